"""Writes `docs/commands.md`: every command of `dspc` with its arguments and options, as its `--help` has them.

They come from the command line itself (`dspec.compiler.cli.app`), so a new command or option is on the page by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command

from dspec.compiler.cli.app import EPILOG, make_app

PAGE = Path(__file__).resolve().parent / "commands.md"
HEAD = """# Commands

Every command of `dspc` with its arguments and options, as `dspc COMMAND --help` prints them. Where a `FILE` is a source, a folder
that holds one `.dspec` file stands for it. Results go to standard output, everything else to standard error. `dspc --version`
says which version this is, and `dspc --install-completion` teaches the shell the commands.
"""
_BOUNDS = re.compile(r"(?:(?P<least>[\d.]+)<=)?x(?:<=(?P<most>[\d.]+)|>=(?P<from>[\d.]+))")


def page() -> str:
    """The page, from the command line as it is now."""
    app = get_command(make_app())
    context = app.make_context("dspc", [], resilient_parsing=True)
    commands = list(_commands(app, context, "dspc"))
    lines = [HEAD, "| command | what it does |", "| --- | --- |"]
    for path, command, _ in commands:
        said = command.help.partition("\n\n")[0]
        lines.append(f"| [`{path}`](#{path.replace(' ', '-')}) | {_cell(said)} |")
    lines += ["", "## Exit codes", "", "| code | meaning |", "| --- | --- |"]
    lines += [f"| {code} | {_cell(words)} |" for code, words in re.findall(r"^ +(\d+) +(.+)$", EPILOG, re.M)]
    for path, command, inside in commands:
        lines += ["", f"## {path}", "", command.help, ""]
        usage = " ".join(command.collect_usage_pieces(inside))
        lines += [f"`{f'{path} {usage}'.strip()}`"]
        for title, kind in (("argument", "argument"), ("option", "option")):
            rows = list(_rows((one for one in command.params if one.param_type_name == kind), inside))
            if rows:
                lines += ["", f"| {title} | meaning | |", "| --- | --- | --- |", *rows]
    return "\n".join(lines) + "\n"


def _commands(group: Any, context: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    """Each command with its whole name and a context to ask it in; those of groups one by one."""
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        inside = command.context_class(command, info_name=name, parent=context)
        if hasattr(command, "commands"):
            yield from _commands(command, inside, f"{path} {name}")
        else:
            yield f"{path} {name}", command, inside


def _rows(parameters: Iterable[Any], context: Any) -> Iterator[str]:
    for parameter in parameters:
        record = parameter.get_help_record(context)
        if record is None:
            continue
        written, said = record
        words, _, rest = said.rpartition("  [") if said.endswith("]") else (said, "", "")
        yield f"| `{_cell(written)}` | {_cell(words)} | {_cell(_said(rest.removesuffix(']')))} |"


def _said(rest: str) -> str:
    """Default and bounds in words."""

    def bounds(found: re.Match[str]) -> str:
        if found["from"]:
            return f"from {float(found['from']):g}"
        return (
            f"{float(found['least']):g} to {float(found['most']):g}"
            if found["least"]
            else f"up to {found['most']}"
        )

    return "; ".join(
        _BOUNDS.sub(bounds, part) if "x" in part and "=" in part else part for part in rest.split("; ")
    ).replace("default: ", "default ")


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
