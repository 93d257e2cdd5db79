"""What a program says of that which a module may call: the inputs and the words of a tool, module or program."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from ...errors import ConfigurationError
from ...schema.program import FieldSpec, Program
from ...schema.types import OptionalOf, Row


class ToolOffer(Struct, frozen=True):
    """What is known of something that may be called."""

    inputs: tuple[FieldSpec, ...]
    description: str


def offered(program: Program, key: str) -> ToolOffer:
    """What the program says of the tool, module or program under a key."""
    if (tool := program.tools.get(key)) is not None:
        return ToolOffer(tool.inputs, tool.description)
    if (predictor := program.predictors.get(key)) is not None:
        return ToolOffer(predictor.signature.inputs, predictor.signature.instruction)
    if (module := program.modules.get(key)) is not None:
        if module.function is not None:
            key = module.function.tool
            return ToolOffer(module.inputs, program.tools[key].description if key in program.tools else "")
        asked = (program.predictors.get(address) for address in module.predictors.values())
        return ToolOffer(module.inputs, next((one.signature.instruction for one in asked if one), ""))
    if (graph := program.graphs.get(key)) is not None:
        return ToolOffer(graph.inputs, "")
    raise ConfigurationError(f"there is no tool `{key}`")


def unknown_argument(program: Program, key: str, arguments: Row) -> str:
    """What is wrong with arguments of which one has a name that the callee's inputs have not; "" where none has."""
    known = [field.name for field in offered(program, key).inputs]
    unknown = next((name for name in arguments if name not in known), None)
    if unknown is None:
        return ""
    return f"there is no argument `{unknown[:80]}`; the tool takes {', '.join(known) or 'no arguments'}"


def missing_argument(program: Program, key: str, arguments: Row) -> str:
    """What is wrong with arguments that lack one; "" where none is missing."""
    for field in offered(program, key).inputs:
        if field.name not in arguments and not field.has_default and not isinstance(field.type, OptionalOf):
            return f"`{field.name}` is missing"
    return ""


def around(program: Program, names: Mapping[str, str]) -> dict[str, tuple[str, list[str]]]:
    """What stands before and behind each tool's description in its line, by key."""
    from ...adapters.words import in_words  # with jinja2, which reading a record does not need

    seen: set[str] = set()
    found: dict[str, tuple[str, list[str]]] = {}
    for key, name in names.items():
        inputs = offered(program, key).inputs
        takes = ", ".join(
            f"{field.name} ({in_words(field.type, program.records, seen)}"
            + ("; may be left out" if field.has_default or isinstance(field.type, OptionalOf) else "")
            + ")"
            for field in inputs
        )
        notes = [f"{field.name}: {field.description}" for field in inputs if field.description.strip()]
        found[key] = (f"- {name}: {takes or 'no arguments'}", notes)
    return found


def sentences(head: str, *notes: str) -> str:
    """The head and the notes as sentences on one line."""
    plain = (" ".join(note.split()).rstrip(".") for note in notes)
    return ". ".join((head, *(note for note in plain if note)))
