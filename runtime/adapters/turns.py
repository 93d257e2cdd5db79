"""Turns of a prompt as they are put together: fields in sections, with media in their places, and the turns of a history.

A medium's line stands in its section and is attached there, so that it is sent as what it is; in a field of any other type
the same line is a text. Turns of a history are messages of their own, in the layout of demos, and come after those.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

from ..models.protocol import Attached, Message
from ..schema.expressions import Variable
from ..schema.identity import Same
from ..schema.program import CallStep, FieldSpec, Program, Record, RunStep, Signature, Step, walked
from ..schema.types import JsonValue, Row, Type
from ..values.markers import written
from ..values.media import MediumKind, is_history, medium, medium_kind
from ..values.values import at, coerce, inside, short
from ..values.values import shown as as_text

PARTED = "\n\n"
LEFT_OUT = "(left out of this example)"
"""Stands in a demo's turn for a value that its row does not have."""


def header(name: str) -> str:
    return f"[[ ## {name} ## ]]"


def sections(fields: Sequence[FieldSpec], row: Row, *, plain: bool = False) -> str:
    """Every field under its header, blocks parted by a blank line."""
    return PARTED.join(
        f"{_heading(field, plain)}\n{_text(row[field.name], plain) if field.name in row else LEFT_OUT}"
        for field in fields
    )


def _heading(field: FieldSpec, plain: bool) -> str:
    return f"{field.name}:" if plain else header(field.name)


def _text(value: JsonValue, plain: bool) -> str:
    """A value in its section. Where nothing is read back, nothing need be escaped."""
    return as_text(value) if plain else written(value)


def shown(signature: Signature) -> tuple[FieldSpec, ...]:
    """The inputs that stand in sections: all but a history."""
    return _parted(Same(signature))[0]


def history(signature: Signature) -> FieldSpec | None:
    """The input that holds earlier turns."""
    return _parted(Same(signature))[1]


@lru_cache(maxsize=256)
def _parted(signature: Same[Signature]) -> tuple[tuple[FieldSpec, ...], FieldSpec | None]:
    fields = signature.value.inputs
    past = next((one for one in fields if is_history(one.type)), None)
    return (fields if past is None else tuple(one for one in fields if not is_history(one.type))), past


def given(fields: Sequence[FieldSpec], row: Row, tail: str = "", *, plain: bool = False) -> Message:
    """A user's turn: the fields in sections, with media attached, and what follows them. A `plain` one has their names
    before them, and is silent of those that the row lacks."""
    if plain:
        fields = [one for one in fields if one.name in row]
    if not any(medium_kind(one.type) for one in fields):
        return Message("user", sections(fields, row, plain=plain) + tail)
    text = ""
    attached: list[Attached] = []
    for place, field in enumerate(fields):
        text += f"{PARTED if place else ''}{_heading(field, plain)}\n"
        kind = medium_kind(field.type)
        if kind is None or field.name not in row:
            text += _text(row[field.name], plain) if field.name in row else LEFT_OUT
            continue
        text = _with_media(text, row[field.name], kind, attached, plain)
    return Message("user", text + tail, tuple(attached))


def _with_media(text: str, value: JsonValue, kind: MediumKind, attached: list[Attached], plain: bool) -> str:
    """The text with one line for each medium of the value, which is attached there."""
    for place, one in enumerate(value if isinstance(value, list) else [value]):
        text += "\n" if place else ""
        found = medium(one) if isinstance(one, str) else None
        line = _text(one, plain)
        if found is not None and found.kind == kind:
            line = found.sign
            attached.append(Attached(len(text), len(text) + len(line), found))
        text += line
    return text + ("[]" if value == [] else "")


def turns_of(signature: Signature, value: JsonValue, records: Mapping[str, Record]) -> list[tuple[Row, Row]]:
    """The turns of a history, each with what was given and what was answered. Raises ValueError for what is no turn of
    this signature."""
    inputs = {one.name: one for one in shown(signature)}
    outputs = {one.name: one for one in signature.outputs}
    turns: list[tuple[Row, Row]] = []
    for place, turn in enumerate(value if isinstance(value, list) else [], 1):
        where = f"turn {place}"
        if not isinstance(turn, dict):
            raise ValueError(at(where, f"expected an object of fields, got {short(turn)}"))
        both: tuple[Row, Row] = ({}, {})
        for name, one in turn.items():
            field = inputs.get(name) or outputs.get(name)
            if field is None:
                known = ", ".join(f"`{each}`" for each in (*inputs, *outputs))
                raise ValueError(at(where, f"there is no field {short(name)}; a turn has {known}"))
            try:
                both[name in outputs][name] = coerce(one, field.type, records)
            except ValueError as error:
                raise ValueError(at(inside(where, name), str(error))) from None
        if not all(both):
            lacking = "answered" if both[0] else "given"
            raise ValueError(at(where, f"it says nothing of what was {lacking}"))
        turns.append(both)
    return turns


def unfit_turns(program: Program, inputs: Row) -> str:
    """Why a history among a program's inputs is none of the module's that is handed it; empty where all are."""
    for name, field, signature in _takers(program, program.steps, {one: one for one in inputs}):
        try:
            turns_of(signature, inputs[name], program.records)
        except ValueError as error:
            return f"`{field}` of {signature.name}: {error}"
    return ""


def turn_signatures(programs: Iterable[Program]) -> dict[str, list[Signature]]:
    """By a program's history: the signatures of the modules that are handed it. Each of its turns is to fit all of them."""
    found: dict[str, list[Signature]] = {}
    for program in programs:
        names = {one.name: one.name for one in program.inputs if is_history(one.type)}
        for name, _, signature in _takers(program, program.steps, names) if names else ():
            known = found.setdefault(name, [])
            if signature not in known:
                known.append(signature)
    return found


def turn_media(programs: Iterable[Program]) -> dict[str, dict[str, Type]]:
    """By a program's history: the fields of its turns that are images, audio or files, as the modules have them that are
    handed it."""
    found: dict[str, dict[str, Type]] = {}
    for name, signatures in turn_signatures(programs).items():
        found[name] = {}
        for signature in reversed(signatures):
            media = {one.name: one.type for one in shown(signature) if medium_kind(one.type) is not None}
            found[name] |= media
    return found


def _takers(
    program: Program, steps: Sequence[Step], names: Mapping[str, str]
) -> Iterator[tuple[str, str, Signature]]:
    """Whose a history is: the program's input, and the field and signature that it is handed to. `names` are the inputs
    by what `steps` call them."""
    for step in walked(steps):
        if not isinstance(step, CallStep | RunStep):
            continue
        handed = {
            name: names[one.name]
            for name, one in step.arguments.items()
            if isinstance(one, Variable) and one.name in names
        }
        yield from _takers_at(program, step.predictor if isinstance(step, CallStep) else step.runs, handed)


def _takers_at(program: Program, key: str, handed: Mapping[str, str]) -> Iterator[tuple[str, str, Signature]]:
    """The same of what is called under a key: a predictor, those of a module, or a program."""
    if (graph := program.graphs.get(key)) is not None:
        yield from _takers(program, graph.steps, handed)
        return
    module = program.modules.get(key)
    if module is not None and module.runs is not None:
        yield from _takers_at(program, module.runs, handed)
    for address in (key,) if module is None else module.predictors.values():
        predictor = program.predictors.get(address)
        field = None if predictor is None else history(predictor.signature)
        if predictor is not None and field is not None and field.name in handed:
            yield handed[field.name], field.name, predictor.signature
