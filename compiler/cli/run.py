"""`dspc run`: call a compiled program, or one as its source has it."""

from __future__ import annotations

import json as jsonlib
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dspec.runtime.errors import DspecError, InputError, ToolFailed

from .completing import ProgramNameArgument
from .console import Exit, fail, print_json, stdout
from .locking import LockedOption, refuse_changed
from .observing import SpansOption

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dspec.runtime.application import Application
    from dspec.runtime.running.bringing import Given
    from dspec.runtime.running.prediction import Prediction
    from dspec.runtime.schema.program import FieldSpec
    from dspec.runtime.schema.trace import TraceStep
    from dspec.runtime.schema.types import JsonValue, Row, Type

# What every command takes that runs programs.
TargetArgument = Annotated[
    Path,
    typer.Argument(metavar="FILE", help="An artifact (.dspc.json), or a .dspec file.", show_default=False),
]
LmOption = Annotated[str | None, typer.Option("--lm", help="Another model for all of its modules.")]
ApiBaseOption = Annotated[str | None, typer.Option("--api-base", help="Where the model is served.")]
AllowOption = Annotated[
    list[str] | None,
    typer.Option(
        "--allow",
        help="What an artifact's tools may use: a module, a command, the origin of an address. "
        "Those of a .dspec file may all.",
        show_default=False,
    ),
]


def run(
    target: TargetArgument,
    name: ProgramNameArgument = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            "-i",
            help="`name=value`, `name=@file` for an image, audio or a file, `@file.json`, or `-` for JSON on standard input.",
            show_default=False,
        ),
    ] = None,
    lm: LmOption = None,
    api_base: ApiBaseOption = None,
    allow: AllowOption = None,
    trace: Annotated[
        bool,
        typer.Option("--trace", help="Show each call: prompt, answer, repairs, tokens, cost, time."),
    ] = False,
    locked: LockedOption = False,
    json: Annotated[bool, typer.Option("--json", help="Outputs as JSON.")] = False,
    otel: SpansOption = False,
) -> None:
    """Run a program once. Text values may be written as they are, others as JSON."""
    from dspec.runtime.adapters.turns import turn_media
    from dspec.runtime.schema.ensemble import programs

    if locked:
        if target.suffix == ".dspec":
            fail(f"{target} is a source", help="an artifact is locked: run that", code=Exit.USAGE)
        refuse_changed(target, lm)
    application, places = opened(target, name, lm, api_base, tuple(allow or ()))
    with application:
        row = read_inputs(inputs or [], application.inputs, turn_media(programs(application.program)))
        began = time.time_ns()
        try:
            prediction = application.call(row)
        except DspecError as error:
            _tell(application.name, error.trace, began, trace=trace, json=json, otel=otel)
            if isinstance(error, InputError) and not error.help:
                raise InputError(error.message, help="inputs are given by `--input name=value`") from error
            if isinstance(error, ToolFailed) and error.trace and (place := places.get(error.trace[-1].tool)):
                error.within(place)
            raise
    if json:
        print_json(jsonlib.dumps(dict(prediction), ensure_ascii=False, indent=2))
    else:
        draw(prediction)
    _tell(application.name, prediction.trace, began, trace=trace, json=json, otel=otel)


def _tell(name: str, steps: Sequence[TraceStep], began: int, *, trace: bool, json: bool, otel: bool) -> None:
    """The record of the run to whoever asked for it, also of one that failed: spans, and standard error."""
    if otel:
        from dspec.runtime.running.spans import default_tracer, trace_spans

        trace_spans(name, steps, default_tracer(), began=began, ended=time.time_ns())
    if trace:
        show_trace(steps, json)


def show_trace(trace: Sequence[TraceStep], json: bool) -> None:
    if json:
        from dspec.runtime.schema.trace import as_json

        print_json(jsonlib.dumps(as_json(trace), ensure_ascii=False, indent=2), sys.stderr)
        return
    from .tracing import draw_trace

    draw_trace(trace)


def open_target(
    target: Path, name: str | None, lm: str | None, api_base: str | None, allow: tuple[str, ...] = ()
) -> Application:
    """What the command calls: an artifact, or a program as its source has it."""
    return opened(target, name, lm, api_base, allow)[0]


def opened(
    target: Path, name: str | None, lm: str | None, api_base: str | None, allow: tuple[str, ...]
) -> tuple[Application, Mapping[str, str]]:
    """The same, and where the source declares its tools."""
    from dspec.runtime.application import load, of_program
    from dspec.runtime.models.checkpoints import know_all

    from ..project.state import project_root
    from .dotenv import fill_environment

    places: Mapping[str, str] = {}
    if target.suffix != ".dspec":
        place = target.absolute()
        # A source's artifacts lie in `compiled` beside it, where no file may mark the project.
        root = project_root(place.parent if place.parent.name == "compiled" else place)
        application = load(target, lm=lm, api_base=api_base, allow=allow, root=root, isolate=True)
    else:
        from .session import project_tools
        from .sources import checked, pick_program

        _, project = checked(target)
        know_all(project.lms, project_root(target))
        chosen = pick_program(project, name, target)
        externs = tuple(project.externs.values())
        tools = partial(project_tools, target, externs) if externs else None
        places = project.places
        application = of_program(project.programs[chosen], lm=lm, api_base=api_base, tools=tools)
    fill_environment(project_root(target), application.program.lms.values())
    return application, places


def read_inputs(
    given: Sequence[str], fields: Sequence[FieldSpec], turns: Mapping[str, Mapping[str, Type]]
) -> dict[str, Given]:
    """The inputs named on the command line; the program checks them. `turns` are the fields of a history's turns that are
    media."""
    row: dict[str, Given] = {}
    kinds = {field.name: field for field in fields}
    for text in given:
        if text == "-":
            row |= read_object(sys.stdin.read(), "standard input")
        elif text.startswith("@"):
            try:
                row |= read_object(Path(text[1:]).read_text(encoding="utf-8"), text[1:])
            except (OSError, UnicodeDecodeError) as error:
                fail(f"{text[1:]} cannot be read: {error}", code=Exit.USAGE)
        else:
            name, equals, value = text.partition("=")
            if not equals:
                fail(f"`{text}` is not an input", help="write --input name=value", code=Exit.USAGE)
            row[name] = read_value(value, kinds.get(name), turns.get(name, {}))
    return row


def read_object(text: str, where: str) -> Row:
    try:
        value: JsonValue = jsonlib.loads(text)
    except (ValueError, RecursionError) as error:
        fail(f"{where} is not JSON: {error}", code=Exit.USAGE)
    if not isinstance(value, dict):
        fail(f"{where} is not a JSON object", help='write {"name": value}', code=Exit.USAGE)
    return value


def read_value(text: str, field: FieldSpec | None, turns: Mapping[str, Type]) -> Given:
    """Text for text fields; JSON for others, and the text itself where it is none. `@path` is a file where one is wanted."""
    from dspec.runtime.schema.types import OneOf, Scalar
    from dspec.runtime.values.media import medium_kind

    if field is not None and medium_kind(field.type):
        return read_medium(text)
    if field is None or isinstance(field.type, OneOf) or field.type == Scalar(name="str"):
        return text
    try:
        value: JsonValue = jsonlib.loads(text)
    except ValueError:
        return text
    if not turns or not isinstance(value, list):
        return value
    return [
        {name: read_medium(one) if name in turns else one for name, one in turn.items()}
        if isinstance(turn, dict)
        else turn
        for turn in value
    ]


def read_medium(given: JsonValue) -> Given:
    """An image, audio or a file: `@path`, a URL, or a list of such, which in a text is JSON."""
    value: JsonValue = given
    if isinstance(given, str):
        with suppress(ValueError):
            value = jsonlib.loads(given)
    if isinstance(value, list):
        return [read_medium(one) for one in value]
    return Path(value[1:]) if isinstance(value, str) and value.startswith("@") else value


def draw(prediction: Prediction) -> None:
    console = stdout()
    for name, value in prediction.items():
        shown = value if isinstance(value, str) else jsonlib.dumps(value, ensure_ascii=False, indent=2)
        console.print(f"{name}: {shown}", markup=False)
