"""`dspc stubs`: the Python classes of a program, so that editors and type checkers know its inputs and outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .completing import ProgramNameArgument
from .console import Exit, fail, print_json
from .sources import program_at, spared


def stubs(
    target: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="An artifact (.dspc.json), or a source (.dspec).", show_default=False
        ),
    ],
    name: ProgramNameArgument = None,
    called: Annotated[
        str,
        typer.Option("--class", metavar="NAME", help="The class's name; after the program's unless said."),
    ] = "",
    pydantic: Annotated[
        bool, typer.Option("--pydantic", help="Write records as Pydantic models instead of dataclasses.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", callback=spared, help="Where to write it; standard output unless said."
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; fail where the file at --output is another.")
    ] = False,
) -> None:
    """Write a program's classes: `load("….dspc.json", Router)` then knows its inputs and outputs."""
    from dspec.runtime.artifact.files import write_whole
    from dspec.runtime.artifact.stubs import class_name
    from dspec.runtime.artifact.stubs import stubs as written

    if called and class_name(called) != called:
        fail(f"`{called}` is not the name of a class", help="for example `--class Router`", code=Exit.USAGE)
    if check and output is None:
        fail("`--check` compares with a file", help="say which with `--output FILE`", code=Exit.USAGE)
    found, program = program_at(target, name)
    text = written(program, found, called=called, pydantic=pydantic)
    if output is None:
        print_json(text)
        return
    try:
        if check:
            if not output.is_file() or output.read_text(encoding="utf-8") != text:
                fail(
                    f"{output} is not what `dspc stubs` writes for {target}", help="run it without `--check`"
                )
            return
        write_whole(output, text.encode())
    except (OSError, UnicodeDecodeError) as error:
        does = "read" if check else "written"
        fail(f"{output} cannot be {does}: {getattr(error, 'strerror', None) or error}", code=Exit.USAGE)
