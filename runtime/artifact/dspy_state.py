"""A program as DSPy's saved state: the JSON that `Module.save("….json")` of DSPy 3.4 writes and `load` reads.

The format has no names and no types of fields, and no steps: it fits a DSPy module whose predictors have the
same fields in the same order, inputs before outputs. It is written for such a module, and read for a program of
such predictors; nothing of DSPy is needed here. What is read is instructions, descriptions of fields and demos, as
data: models, addresses, traces and whatever else a file may hold are left where they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import cast

from ..errors import ArtifactError
from ..running.strategies.base import Role
from ..running.strategies.table import STRATEGIES, strategy_of
from ..running.thinking import thought_in
from ..schema.ensemble import Ensemble, Runnable, parts
from ..schema.program import CallStep, Demo, FieldSpec, Predictor, Program, RunStep, walked
from ..schema.types import DictOf, JsonValue, ListOf, OneOf, OptionalOf, Row, TupleOf, Type
from ..values.media import is_history, medium_kind
from ..values.values import coerce
from .dspy_layouts import in_todays_layout

ITSELF = "self"
"""Name of the only predictor of a DSPy module that is a bare `dspy.Predict`: its state has no name."""

_METADATA: JsonValue = {"dependency_versions": {}}


def dspy_state(program: Runnable, names: Mapping[str, str] | None = None) -> dict[str, JsonValue]:
    """The state of a DSPy module with this program's instructions and demos.

    `names` has the names of predictors in DSPy, by address. A predictor that is not in it is named by its address, one
    of a chain of thought by the `predict` inside, and one of a module of several calls as in DSPy's own module. Raises
    ArtifactError for an address that is not there, for names that clash, and for what the format cannot hold: an
    ensemble, and demos that are chosen per input.
    """
    if isinstance(program, Ensemble):
        raise ArtifactError(
            "DSPy's format holds one program, and this is an ensemble of several",
            help="compile with `emit` on a step before the ensemble, and export that",
        )
    if program.neighbours is not None:
        raise ArtifactError(
            "DSPy's format holds the demos of a prompt, and this program chooses its demos per input",
            help="export a program whose demos are the same for every input",
        )
    for address, predictor in program.predictors.items():
        beyond = [
            one.name for one in predictor.signature.inputs if medium_kind(one.type) or is_history(one.type)
        ]
        if any(name in demo.inputs for demo in predictor.demos for name in beyond):
            raise ArtifactError(
                f"the demos of `{address}` show `{beyond[0]}`, and DSPy's format has no place for what is not text",
                help="export a program without demos, or whose demos are text",
            )
    given = dict(names or {})
    unknown = [address for address in given if address not in program.predictors]
    if unknown:
        raise ArtifactError(
            f"there is no predictor `{unknown[0]}`", help=f"there is {', '.join(program.predictors)}"
        )
    usual = _usual_names(program)
    named = {address: name for address in program.predictors if (name := given.get(address, usual[address]))}
    if ITSELF in named.values():
        if len(named) > 1:
            raise ArtifactError(
                f"`{ITSELF}` is the name of a module's only predictor, and this program has {len(named)}"
            )
        address = next(iter(named))
        return {**_predictor(program, address), "metadata": _METADATA}
    states: dict[str, JsonValue] = {}
    for address, name in named.items():
        if name in states or name == "metadata":
            raise ArtifactError(
                f"`{address}` cannot be named `{name}` in DSPy's file: that name is taken",
                help="give each predictor a name of its own",
            )
        states[name] = _predictor(program, address)
    return {**states, "metadata": _METADATA}


def left_behind(program: Runnable) -> list[str]:
    """What the program says of how its models are asked, and in its prompts, which DSPy's format has no place for."""
    found: list[str] = []
    for one in parts(program):
        for address, predictor in one.predictors.items():
            lm = predictor.asks(one.lms)
            if predictor.settings is not None and (said := predictor.settings.said):
                names = ", ".join(f"`{name}`" for name in said)
                found.append(
                    f"{address}: {names}: give `config` to its `dspy.Predict`, or set it on its `dspy.LM`"
                )
            if lm is not None and thought_in(predictor, lm):
                found.append(
                    f"{address}: its model's own reasoning: DSPy has its model write one, unless the field is a "
                    "`dspy.Reasoning`"
                )
            signature = predictor.signature
            found += (
                f"{address}: what the labels of `{field.name}` mean: say it in the field's `desc`"
                for field in (*signature.inputs, *signature.outputs)
                if _meanings(field.type)
            )
            if any(check.told for check in signature.checks):
                found.append(f"{address}: what its `assert`s demand: say it in the signature's docstring")
    return found


def _meanings(kind: Type) -> bool:
    """Whether a type's labels have meanings, which prompts tell."""
    match kind:
        case OneOf():
            return bool(kind.notes)
        case ListOf() | OptionalOf():
            return _meanings(kind.item)
        case DictOf():
            return _meanings(kind.key) or _meanings(kind.value)
        case TupleOf():
            return any(map(_meanings, kind.items))
        case _:
            return False


def _usual_names(program: Program) -> dict[str, str]:
    """The names of predictors in DSPy, by address: each is a path in a DSPy module that has an attribute for each module
    that steps call; "" for a predictor that DSPy does not have."""
    called = {step.predictor for step in walked(program.steps) if isinstance(step, CallStep)}
    called |= {step.runs for step in walked(program.steps) if isinstance(step, RunStep)}
    tried = {
        module.runs: key
        for key, module in program.modules.items()
        if module.runs is not None and module.runs not in called
    }
    names: dict[str, str] = {}
    for address, predictor in program.predictors.items():
        inner = strategy_of(predictor).dspy
        path = _path(address, tried)
        names[address] = f"{path}.{inner}" if inner else path
    for key, module in program.modules.items():
        for role, address in module.predictors.items():
            inner = STRATEGIES[module.strategy].roles[role].dspy
            names[address] = f"{_path(key, tried)}.{inner}" if inner else ""
    return names


def _path(key: str, tried: Mapping[str, str]) -> str:
    """The path of a module in DSPy: what another module tries is that one's `module`."""
    parts: list[str] = []
    while key in tried:
        key = tried[key]
        parts.append("module")
    return ".".join((key, *parts))


def _told(program: Program, address: str) -> tuple[Predictor, Role | None]:
    """A predictor as it is asked, and its role where it is one of a module of several calls."""
    predictor = program.predictors[address]
    for module in program.modules.values():
        for name, own in module.predictors.items():
            if own == address:
                role = STRATEGIES[module.strategy].roles[name]
                return role.told(program, module) if role.told is not None else predictor, role
    return predictor, None


def _predictor(program: Program, address: str) -> dict[str, JsonValue]:
    predictor, role = _told(program, address)
    signature = predictor.signature
    changed = role.dspy_inputs if role is not None else None
    return {
        "traces": [],
        "train": [],
        "demos": [
            _demo(demo if changed is None else demo.model_copy(update={"inputs": changed(demo.inputs)}))
            for demo in predictor.demos
        ],
        "signature": {
            # DSPy knows no text that is kept from optimizers: it becomes part of the instruction.
            "instructions": "\n".join(text for text in (signature.instruction, *signature.fixed) if text),
            "fields": [
                _field(field, own=field not in strategy_of(predictor).adds)
                for field in (*signature.inputs, *signature.outputs)
            ],
        },
        "lm": None,
    }


def _demo(demo: Demo) -> dict[str, JsonValue]:
    mark: dict[str, JsonValue] = {"augmented": True} if demo.augmented else {}
    return {**mark, **demo.inputs, **demo.outputs}


def _field(field: FieldSpec, *, own: bool) -> dict[str, JsonValue]:
    """A field; one that the strategy adds is not its `own`: DSPy adds it as well, in words of its own."""
    description = (field.description if own else "") or f"${{{field.name}}}"
    return {"prefix": f"{title(field.name)}:", "description": description}


def title(name: str) -> str:
    """A field's name in words, as DSPy heads it: `snake_case2` is `Snake Case 2`."""
    spaced = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    spaced = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", spaced)
    spaced = re.sub(r"([a-zA-Z])(\d)", r"\1_\2", spaced)
    spaced = re.sub(r"(\d)([a-zA-Z])", r"\1_\2", spaced)
    words = [word if word.isupper() else word.capitalize() for word in spaced.split("_")]
    return " ".join(words)


# Reading ------------------------------------------------------------------------------------------


def with_dspy_state(program: Program, state: JsonValue) -> Program:
    """The program with the instructions and demos of a DSPy module's state, and the descriptions of an agent's tools
    where `dspy_state` wrote them into its instructions.

    A state belongs to the predictor that `dspy_state` gives its name; else to the one at the end of its path, as
    `answer.predict` of `rag.answer.predict`; else to the one predictor whose fields have the same headings. States of
    DSPy before 2.6 are read, too (`dspy_layouts`). Raises ArtifactError that says which predictor does not fit, and why.
    """
    state, _ = in_todays_layout(state)
    if not isinstance(state, dict):
        raise ArtifactError("is no state that DSPy saved: it holds no object", help=_SAVED)
    if "signature" in state:
        states: dict[str, JsonValue] = {ITSELF: state}
    else:
        states = {name: one for name, one in state.items() if name != "metadata"}
    unfit = [name for name, one in states.items() if not isinstance(one, dict) or "signature" not in one]
    if unfit or not states:
        where = f": `{_short(unfit[0])}` has no signature" if unfit else ""
        raise ArtifactError(f"is no state that DSPy 3 saved{where}", help=_SAVED)
    found = _assigned(program, states)
    own: dict[str, Row] = {}
    for address, name in found.items():
        program, own[address] = _untold(program, address, cast("Row", states[name]))
    predictors = {
        address: _restored(program, address, own[address]) if address in own else predictor
        for address, predictor in program.predictors.items()
    }
    return program.model_copy(update={"predictors": predictors})


_SAVED = 'write it with `Module.save("….json")` of DSPy 3'


def _short(name: str) -> str:
    return name if len(name) <= 80 else f"{name[:79]}…"


def _assigned(program: Program, states: Mapping[str, JsonValue]) -> dict[str, str]:
    """The name of each predictor's state in the file, by address."""
    found: dict[str, str] = {}
    names_there = _usual_names(program)
    for address in program.predictors:
        usual = [names_there[address], address]
        if len(program.predictors) == 1:
            usual.append(ITSELF)
        named = next((name for name in usual if name in states), None)
        if named is not None:
            found[address] = named
    left = [name for name in states if name not in found.values()]
    missing = [one for one in program.predictors if one not in found and names_there[one]]
    # DSPy has no predictor where there is no name, so its state says nothing of it.
    for fits in (_but_for_dots, _at_the_end, _with_headings):
        for address in list(missing):
            alike = [
                name for name in left if fits(program, address, names_there[address], name, states[name])
            ]
            if len(alike) == 1:
                found[address] = alike[0]
                left.remove(alike[0])
                missing.remove(address)
    if missing:
        names = ", ".join(f"`{_short(name)}`" for name in (left or [*states])[:5])
        others = " and others" if len(left or states) > 5 else ""
        raise ArtifactError(
            f"no predictor in it is {_listed(missing)}: it has {names}{others}",
            help="name the modules as DSPy's are, or give them the same fields",
        )
    if left:
        raise ArtifactError(
            f"its predictor {_listed(left)} is none of `{program.name}`"
            if len(left) == 1
            else f"its predictors {_listed(left)} are none of `{program.name}`",
            help="name the program that it is a state of",
        )
    return found


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{_short(name)}`" for name in names[:5]) + (" and others" if len(names) > 5 else "")


def _but_for_dots(program: Program, address: str, usual: str, name: str, state: JsonValue) -> bool:
    """Whether it is the attribute that `dspy_program` makes of a name with a dot, of what is imported."""
    return re.sub(r"\W", "_", name) == re.sub(r"\W", "_", usual)


def _at_the_end(program: Program, address: str, usual: str, name: str, state: JsonValue) -> bool:
    """Whether a path in DSPy's module ends with the name, an item of a list written as `query_0`."""
    return f".{_PLACE.sub(_FLAT, name)}".endswith(f".{usual}")


_PLACE, _FLAT = re.compile(r"\[['\"]?(\w+)['\"]?\]"), r"_\1"


def _with_headings(program: Program, address: str, usual: str, name: str, state: JsonValue) -> bool:
    return _headings(state) == _titles(program.predictors[address])


def _titles(predictor: Predictor) -> list[str]:
    signature = predictor.signature
    return [f"{title(field.name)}:" for field in (*signature.inputs, *signature.outputs)]


def _fields(state: JsonValue) -> list[JsonValue]:
    signature = state.get("signature") if isinstance(state, dict) else None
    fields = signature.get("fields") if isinstance(signature, dict) else None
    return fields if isinstance(fields, list) else []


def _has_fields(state: Row) -> bool:
    signature = state.get("signature")
    return not (isinstance(signature, dict) and "fields" in signature and signature["fields"] is None)


def _headings(state: JsonValue) -> list[JsonValue]:
    return [field.get("prefix") if isinstance(field, dict) else None for field in _fields(state)]


def _restored(program: Program, address: str, state: dict[str, JsonValue]) -> Predictor:
    """The predictor with its state."""
    predictor = program.predictors[address]
    role = _told(program, address)[1]
    signature, instructions = predictor.signature, _instructions(state)
    if instructions is None:
        raise ArtifactError(f"predictor `{address}` has no instructions", help=_SAVED)
    own = (*signature.inputs, *signature.outputs)
    # States of 2.4 have no fields: what is known of them here stays.
    fields = _fields(state) if _has_fields(state) else [None] * len(own)
    if len(fields) != len(own):
        raise ArtifactError(
            f"predictor `{address}` has {len(fields)} fields there and {len(own)} here: "
            + ", ".join(f"`{field.name}`" for field in own),
            help="a state fits a module whose signature has the same fields in the same order",
        )
    titles = _titles(predictor)
    for place, heading in enumerate(_headings(state) if _has_fields(state) else ()):
        # A heading that somebody chose says nothing; the heading of another field says that the order differs.
        if heading != titles[place] and heading in titles:
            raise ArtifactError(
                f"predictor `{address}` has its fields in another order there: number {place + 1} is {heading!r}, "
                f"and here it is `{own[place].name}`",
                help="a state fits a module whose signature has the same fields in the same order",
            )
    described = [_described(mine, theirs) for mine, theirs in zip(own, fields, strict=True)]
    changed = signature.model_copy(
        update={
            "instruction": _without_fixed(instructions, signature.fixed),
            "inputs": tuple(described[: len(signature.inputs)]),
            "outputs": tuple(described[len(signature.inputs) :]),
        }
    )
    demos = state.get("demos", [])
    if not isinstance(demos, list):
        raise ArtifactError(f"the demos of predictor `{address}` are no list", help=_SAVED)
    if role is not None and (ours := role.from_dspy) is not None:
        demos = [ours(demo) if isinstance(demo, dict) else demo for demo in demos]
    shown = tuple(_demo_of(program, address, number, demo) for number, demo in enumerate(demos, 1))
    return predictor.model_copy(update={"signature": changed, "demos": shown})


def _untold(program: Program, address: str, state: Row) -> tuple[Program, Row]:
    """The program as a predictor's state in a file tells of it, and the state without that."""
    for module in program.modules.values():
        for name, own in module.predictors.items():
            take = STRATEGIES[module.strategy].roles[name].from_state
            if own == address and take is not None:
                program, state = take(program, module, state)
    return program, state


def _instructions(state: JsonValue) -> str | None:
    signature = state.get("signature") if isinstance(state, dict) else None
    text = signature.get("instructions") if isinstance(signature, dict) else None
    return text if isinstance(text, str) else None


def _without_fixed(instructions: str, fixed: tuple[str, ...]) -> str:
    """The instruction without the fixed texts that `dspy_state` writes after it."""
    tail = "\n".join(fixed)
    if not tail or not instructions.endswith(tail):
        return instructions
    return instructions.removesuffix(tail).removesuffix("\n")


def _described(field: FieldSpec, saved: JsonValue) -> FieldSpec:
    text = saved.get("description") if isinstance(saved, dict) else None
    if not isinstance(text, str) or text in ("", f"${{{field.name}}}"):
        return field
    return field.model_copy(update={"description": text})


def _demo_of(program: Program, address: str, number: int, saved: JsonValue) -> Demo:
    signature = program.predictors[address].signature
    if not isinstance(saved, dict):
        raise ArtifactError(f"demo {number} of predictor `{address}` is no object", help=_SAVED)
    sides: list[dict[str, JsonValue]] = []
    for fields in (signature.inputs, signature.outputs):
        side: dict[str, JsonValue] = {}
        for field in fields:
            if field.name not in saved:
                continue
            try:
                side[field.name] = coerce(saved[field.name], field.type, program.records)
            except ValueError as error:
                raise ArtifactError(
                    f"demo {number} of predictor `{address}`: `{field.name}`: {error}"[:400],
                    help="take the demo out of the file, or change the field's type",
                ) from None
        sides.append(side)
    known = {field.name for field in (*signature.inputs, *signature.outputs)}
    other = [
        name for name in saved if name not in known and name != "augmented" and not name.startswith("dspy_")
    ]
    if other or not sides[1]:
        what = f"`{_short(other[0])}`, which is no field" if other else "no output"
        raise ArtifactError(
            f"demo {number} of predictor `{address}` has {what} of its signature", help=_SAVED
        )
    return Demo(inputs=sides[0], outputs=sides[1], augmented=saved.get("augmented") is True)
