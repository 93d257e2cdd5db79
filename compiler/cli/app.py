"""The commands of `dspc` and their common help; each has a file of its own."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from .console import Exit, fail

EPILOG = """\b
Exit codes:
  0    fine
  1    errors found, or a gate or a test failed
  2    wrong usage
  3    the budget is spent; the best so far is kept
  4    a key, a model, a provider or room for what was answered is missing
  5    what a program takes or gives breaks its callers (diff --breaking)
  6    recorded calls are not what a program was compiled on (watch-drift)
  70   a bug in dspc
  130  interrupted; run it again to go on
"""

COMMANDS = {
    "init": "init",
    "check": "check",
    "fmt": "fmt",
    "advise": "advise",
    "plan": "plan",
    "compile": "compile_command",
    "dev": "dev",
    "run": "run",
    "batch": "batch",
    "serve": "serve",
    "eval": "evaluate",
    "report": "report",
    "diff": "diff",
    "watch-drift": "watch_drift",
    "test": "run_declared",
    "show": "show",
    "verify": "verify",
    "adopt": "adopt",
    "import": "import_state",
    "export": "export",
    "stubs": "stubs",
    "explain": "explain",
    "training": "training",
    "serve-model": "serve_model",
    "lsp": "lsp",
    "completion": "completion",
    "cache": "cache",
}
"""Every command, in the order of the help, and the name of its function or group of commands."""

MODULES = {
    "eval": "evaluate",
    "serve-model": "serve_model",
    "watch-drift": "watch_drift",
    "import": "import_",
}
"""Where a command's module is not called like the command."""


def show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"dspc {version('dspc')}")  # noqa: T201
        raise typer.Exit


def options(
    _: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


class _Command(TyperCommand):
    """Says how inputs are given, where a command that takes some is given them as arguments."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        takes = any(one.name == "inputs" for one in self.params)
        if takes:
            ctx.allow_extra_args = True
        more = super().parse_args(ctx, args)
        name = ctx.params.get("name")
        bare = [name, *more] if isinstance(name, str) and "=" in name else more
        if takes and bare and not ctx.resilient_parsing:
            named = all("=" in one for one in bare)
            wanted = " ".join(f"-i {shlex.quote(one)}" for one in bare) if named else "--input name=value"
            fail(
                f"{' and '.join(f'`{one}`' for one in bare)} {'is' if len(bare) == 1 else 'are'} too much here",
                help=f"inputs are given by `{wanted}`",
                code=Exit.USAGE,
            )
        return more


def make_app(names: Iterable[str] = COMMANDS) -> typer.Typer:
    """The command line with these commands. Only their modules are imported: some bring the engine along."""
    app = typer.Typer(
        name="dspc",
        help="Check, plan, compile and run language-model programs written in .dspec files.",
        epilog=EPILOG,
        no_args_is_help=True,
        add_completion=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(options)
    for name in names:
        module = import_module(f".{MODULES.get(name, name)}", __package__)
        command = getattr(module, COMMANDS[name])
        if isinstance(command, typer.Typer):
            app.add_typer(command)
        else:
            app.command(name, cls=_Command)(command)
    return app
