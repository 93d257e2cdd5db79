"""`dspc export`: a program in another tool's format, or as an artifact without a compile."""

from __future__ import annotations

import asyncio
import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dspec.runtime.errors import ArtifactError

from .completing import ProgramNameArgument
from .console import Exit, fail, print_json, stderr, stdout

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dspec.runtime.schema.ensemble import Runnable


class ExportFormat(StrEnum):
    """What a program can be written as."""

    DSPY = "dspy"
    MESSAGES = "messages"
    OPENAI_JSONL = "openai-jsonl"
    ARTIFACT = "artifact"


def export(
    target: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="An artifact (.dspc.json), or a source (.dspec).", show_default=False
        ),
    ],
    to: Annotated[
        ExportFormat,
        typer.Option(
            help="`dspy`: what `Module.load` of DSPy 3.4 reads, and, with `-o NAME.py`, the module itself. "
            "`messages`: the prompt for inputs. `openai-jsonl`: a chat a line, for the rows of a file. "
            "`artifact`: a source's program as it stands, for applications to load.",
            show_default=False,
        ),
    ],
    name: ProgramNameArgument = None,
    predictor: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ADDRESS[=NAME]",
            help="To `dspy`: a predictor's name in the DSPy module, as `router=classify.predict`; `self` for a module "
            "that is a bare `dspy.Predict`. Unless said: its own, with `.predict` after a chain of thought. "
            "To the others: whose prompt.",
            show_default=False,
        ),
    ] = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            "-i",
            help="To `messages`: `name=value`, `@file.json`, or `-` for JSON on standard input.",
            show_default=False,
        ),
    ] = None,
    rows: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="To `openai-jsonl`: a csv, jsonl, json or parquet file with a column for each input, and for "
            "outputs that are known.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Where to write it; unless said standard output, and an artifact to `compiled/NAME.dspc.json`.",
        ),
    ] = None,
) -> None:
    """Write a program for another tool. What that tool has no word for is named, and the exit code is 1."""
    from .sources import program_at

    found, program = program_at(target, name)
    match to:
        case ExportFormat.DSPY:
            _dspy(program, found, names(predictor or []), output)
        case ExportFormat.MESSAGES:
            _messages(program, inputs or [], _only(predictor), output)
        case ExportFormat.OPENAI_JSONL:
            _chats(program, rows, _only(predictor), output)
        case ExportFormat.ARTIFACT:
            _artifact(program, found, target, output)


def _dspy(program: Runnable, name: str, given: dict[str, str], output: Path | None) -> None:
    from dspec.runtime.artifact.dspy_program import dspy_program
    from dspec.runtime.artifact.dspy_state import dspy_state, left_behind

    if output is None or output.suffix != ".py":
        _write(json.dumps(dspy_state(program, given), ensure_ascii=False, indent=2) + "\n", output)
        _leave_saying(left_behind(program))
        return
    if given:
        fail(
            "`--predictor` names predictors of a module that is there already",
            help="the one that is written to a .py file has names of its own: leave it out",
            code=Exit.USAGE,
        )
    made = dspy_program(program, name, output.with_suffix(".json").name)
    _write(
        json.dumps(dspy_state(program, made.names), ensure_ascii=False, indent=2) + "\n",
        output.with_suffix(".json"),
    )
    _write(made.text, output)
    _leave_saying(made.lost)


def _messages(program: Runnable, given: Sequence[str], predictor: str | None, output: Path | None) -> None:
    from dspec.runtime.adapters.turns import turn_media
    from dspec.runtime.application import of_program
    from dspec.runtime.schema.ensemble import programs

    from ..compile.chatlines import as_messages, chosen_prompt
    from .run import read_inputs

    row = read_inputs(given, program.inputs, turn_media(programs(program)))
    # Nobody is asked, so where a model is served, which an artifact never says, does not matter.
    lms = {lm_name: lm.model_copy(update={"custom_endpoint": False}) for lm_name, lm in program.lms.items()}
    with of_program(program.with_lms(lms)) as application:
        prompts = application.inspect(**row)
    prompt = chosen_prompt(prompts, predictor)
    _write(json.dumps(as_messages(prompt), ensure_ascii=False, indent=2) + "\n", output)
    _leave_saying(_media(program, prompt.predictor))


def _chats(program: Runnable, rows: Path | None, predictor: str | None, output: Path | None) -> None:
    from dspec.runtime.schema.program import Program

    from ..compile.chatlines import chat_lines, rows_of_file

    if rows is None:
        fail(
            "`openai-jsonl` is a line for each row",
            help="say which rows: `--rows FILE.jsonl`",
            code=Exit.USAGE,
        )
    if not isinstance(program, Program):
        raise ArtifactError("an ensemble asks several programs", help="export one of its members")
    if output is not None and output.exists() and output.samefile(rows):
        fail(f"{output} holds the rows, and would be overwritten by the chats", code=Exit.USAGE)
    lines, said = asyncio.run(chat_lines(program, rows_of_file(program, rows), predictor))
    _write("".join(f"{line}\n" for line in lines), output)
    for one in said:
        stderr().print(f"note: {one}", markup=False)
    _leave_saying(_media(program, predictor))


def _artifact(program: Runnable, name: str, source: Path, output: Path | None) -> None:
    from dspec.runtime.artifact.artifact import Artifact, write_artifact

    from ..compile.provenance import imported_from

    if source.suffix != ".dspec":
        fail(f"{source} is an artifact already", code=Exit.USAGE)
    place = output or source.resolve().parent / "compiled" / f"{name}.dspc.json"
    if place.exists():
        fail(
            f"{place} is there already, and may have been compiled",
            help="remove it, or name another place with `--output`",
            code=Exit.USAGE,
        )
    note = f"written from {source.name} as it stands: nothing was tuned, and nothing scored"
    made = Artifact(name=name, program=program, provenance=imported_from(program, program), notes=(note,))
    try:
        write_artifact(place, made)
    except OSError as error:
        fail(f"{place} cannot be written: {error.strerror or error}", code=Exit.USAGE)
    stdout().print(f"wrote {place}", markup=False)


def _media(program: Runnable, predictor: str | None) -> list[str]:
    """Inputs that messages show as a line of text."""
    from dspec.runtime.schema.ensemble import programs
    from dspec.runtime.values.media import medium_kind

    return [
        f"`{field.name}`: {kind}s are sent as what they are, and stand here as the line that stands for them"
        for one in programs(program)
        for address, asked in one.predictors.items()
        if predictor in (None, address)
        for field in asked.signature.inputs
        if (kind := medium_kind(field.type))
    ]


def _write(text: str, output: Path | None) -> None:
    from dspec.runtime.artifact.files import write_whole

    from .sources import spared

    spared(output)
    if output is None:
        print_json(text)
        return
    try:
        write_whole(output, text.encode(errors="surrogatepass"))
    except OSError as error:
        fail(f"{output} cannot be written: {error.strerror or error}", code=Exit.USAGE)


def _leave_saying(lost: Iterable[str]) -> None:
    """Names what was not exported, and leaves with 1 where there is any of it."""
    told = list(dict.fromkeys(lost))
    for one in told:
        stderr().print(f"not exported: {one}", markup=False)
    if told:
        raise typer.Exit(Exit.FINDINGS)


def _only(predictor: list[str] | None) -> str | None:
    if predictor and len(predictor) > 1:
        fail("`--predictor` names one predictor here", code=Exit.USAGE)
    return predictor[0] if predictor else None


def names(given: list[str]) -> dict[str, str]:
    """The predictors' names by their addresses."""
    found: dict[str, str] = {}
    for text in given:
        address, equals, name = text.partition("=")
        if not equals or not address.strip() or not name.strip():
            fail(
                f"`--predictor {text}` is not `ADDRESS=NAME`",
                help="for example `--predictor router=classify.predict`",
                code=Exit.USAGE,
            )
        found[address.strip()] = name.strip()
    return found
