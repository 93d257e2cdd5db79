"""What requests say besides their messages: read from an `lm`, or from the options of a module, and held against what is
known of the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from dspec.grammar.tree import Argument, Expr, Item, ListLiteral, Literal, Section, Setting
from dspec.runtime.models.endpoints import may_keep_key, split_model, versioned
from dspec.runtime.models.prices import reasons
from dspec.runtime.schema.lms import LM, USUAL, OwnSettings
from dspec.runtime.schema.modelnames import may_hold_address
from dspec.runtime.schema.program import Demo, FieldSpec, Program, canonical
from dspec.runtime.schema.requests import (
    MAX_EXTRA,
    MAX_HEADERS,
    extra_faults,
    header_fault,
    header_is_secret,
)
from dspec.runtime.schema.types import STR, JsonValue

from ...diagnostics import codes
from ...project.source import Location
from ...tables.lm_block import EXTRA, HEADERS, OF_MODULE
from ...tables.lm_block import LM as BLOCK
from ...tables.models import not_taken, takes_one_temperature, thinking_budget, thinks_when_told
from ..session import Place, Session
from ..shape.attributes import LEAST, MOST, Reader, environment, number_of, section

_MOST_STOPS = 16
_LONGEST_STOP = 200


def settings_in(read: Reader) -> dict[str, object]:
    """What an `lm` and a module may both say, by name; None where it is not written."""
    return {
        "temperature": read.number("temperature"),
        "max_tokens": read.integer("max_tokens"),
        "seed": read.integer("seed"),
        "top_p": read.number("top_p"),
        "top_k": read.integer("top_k"),
        "stop": _stops(read),
        "frequency_penalty": read.number("frequency_penalty"),
        "presence_penalty": read.number("presence_penalty"),
        "reasoning_effort": read.choice("reasoning_effort"),
        "verbosity": read.choice("verbosity"),
        "reasoning": read.choice("reasoning"),
        "parse": read.choice("parse"),
        "adapter": read.choice("adapter"),
        "tool_calls": read.choice("tool_calls"),
    }


def of_lm(found: Mapping[str, object]) -> dict[str, object]:
    """These settings as an `LM` has them: what says as much as nothing is left out."""
    return {name: value for name, value in found.items() if value is not None and USUAL.get(name) != value}


def own_settings(session: Session, place: Place, given: Mapping[str, Argument]) -> OwnSettings | None:
    """What a module says of its own calls."""
    written = {name: argument for name, argument in given.items() if name in OF_MODULE}
    if not written:
        return None
    found = settings_in(Reader.of_arguments(session, place, written, BLOCK))
    said = {name: value for name, value in found.items() if value is not None}
    return OwnSettings.model_validate(said) if said else None


def check_own(session: Session, place: Place, given: Mapping[str, Argument], program: Program | None) -> None:
    """Warns of options that the models of a module's own predictors do not take."""
    written = {name: argument for name, argument in given.items() if name in OF_MODULE}
    if program is None or not written:
        return
    read = Reader.of_arguments(session, place, written, BLOCK)
    asked = {one.lm: one for one in program.predictors.values() if one.settings is not None}
    for key, predictor in asked.items():
        model, lm = session.lms.get(key), predictor.asks(program.lms)
        if model is not None and lm is not None:
            check_known(session, read, lm, model.location)


def _stops(read: Reader) -> tuple[str, ...] | None:
    texts = read.texts("stop")
    node = read.value("stop")
    if node is None or not texts:
        return None
    if len(texts) > _MOST_STOPS:
        read.session.report(codes.parameters.TooMuch(read.place.at(node), "stop", _MOST_STOPS, "texts"))
        return None
    for text in texts:
        if not 0 < len(text) <= _LONGEST_STOP:
            wanted = f"texts of 1 to {_LONGEST_STOP} characters each"
            read.session.report(codes.parameters.NoPlainValue(read.place.at(node), "stop", wanted))
            return None
    return texts


# Headers and further parameters --------------------------------------------------------------------


def headers_in(
    session: Session, place: Place, items: tuple[Item, ...] | None, model: str
) -> tuple[dict[str, str], dict[str, str]]:
    """The headers that an `lm` adds: with their texts, and with the variables that hold theirs."""
    texts: dict[str, str] = {}
    variables: dict[str, str] = {}
    block = section(items, HEADERS.name)
    written = [one for one in block.items if isinstance(one, Setting)] if block is not None else []
    for setting in written:
        name, at = setting.name.text.replace("_", "-"), place.at(setting.value)
        found = environment(setting.value)
        value = setting.value.value if isinstance(setting.value, Literal) else None
        if found is None and not isinstance(value, str):
            wanted = 'a text, or `env("NAME")`'
            session.report(codes.parameters.NoPlainValue(at, setting.name.text, wanted))
            continue
        text = value if isinstance(value, str) and found is None else None
        why = header_fault(name, text)
        if why and text is not None and not header_fault(name, None) and header_is_secret(name, text):
            owner = place.declaration.name or place.declaration.keyword
            variable = f"{owner.text}_{setting.name.text}".upper()
            session.report(codes.models.SecretInSource(at, setting.name.text, variable))
        elif why:
            session.report(codes.parameters.MayNotBeSet(place.at(setting.name), setting.name.text, why))
        elif found is not None:
            if may_keep_key(found.name, model) or may_hold_address(found.name):
                variables[name] = found.name
            else:
                session.report(codes.parameters.NoHeadersVariable(at, found.name, model))
        elif text is not None:
            texts[name] = text
    if block is not None and len(written) > MAX_HEADERS:
        session.report(codes.parameters.TooMuch(place.at(block.name), HEADERS.name, MAX_HEADERS, "headers"))
    return texts, variables


def extra_in(session: Session, place: Place, items: tuple[Item, ...] | None) -> dict[str, JsonValue]:
    """The further parameters of an `lm`."""
    block = section(items, EXTRA.name)
    if block is None:
        return {}
    names: dict[str, Location] = {}
    found = _object(session, place, block, "", names)
    faults = [*extra_faults(found)]
    for path, why in faults:
        session.report(codes.parameters.MayNotBeSet(names.get(path, place.at(block.name)), path, why))
    if not faults and len(canonical(found)) > MAX_EXTRA:
        at = place.at(block.name)
        session.report(codes.parameters.TooMuch(at, EXTRA.name, MAX_EXTRA, "characters as JSON"))
        return {}
    return {} if faults else found


def _object(
    session: Session, place: Place, block: Section, above: str, names: dict[str, Location]
) -> dict[str, JsonValue]:
    found: dict[str, JsonValue] = {}
    for item in block.items:
        if not isinstance(item, Setting | Section) or item.name.text in found:
            continue
        path = f"{above}{item.name.text}"
        names[path] = place.at(item.name)
        if isinstance(item, Section):
            found[item.name.text] = _object(session, place, item, f"{path}.", names)
        else:
            known, value = _json(item.value)
            if known:
                found[item.name.text] = value
            else:
                wanted = "a text, a number, true, false, none, a list of these, or a block"
                session.report(codes.parameters.NoPlainValue(place.at(item.value), path, wanted))
    return found


def _json(node: Expr) -> tuple[bool, JsonValue]:
    """Whether a node is a value that can be sent as it is, and that value."""
    match node:
        case ListLiteral(items=items):
            each = [_json(item) for item in items]
            return all(known for known, _ in each), [value for _, value in each]
        case Literal(value=str() | bool() | None as value):
            return True, cast("JsonValue", value)
        case _:
            number = number_of(node)
            return number is not None and LEAST <= number <= MOST, number


# What is known of the model ------------------------------------------------------------------------


def check_known(session: Session, read: Reader, lm: LM, model: Location) -> None:
    """Warns of what is said in vain: parameters that the model is known not to take, and thoughts that it does not tell."""

    def at(name: str) -> Location:
        return read.place.at(read.found[name].value)

    temperature = read.found.get("temperature")
    if temperature is not None and lm.temperature not in (None, 1) and takes_one_temperature(lm):
        session.report(codes.models.OneTemperature(at("temperature"), lm.model, lm.temperature, model))
    if lm.stop and "stop" in read.found:
        _in_layout(session, at("stop"), lm, lm.stop)
    # A value that could not be read is reported as that alone.
    for name in (one for one in not_taken(lm, read.found) if getattr(lm, one, None) is not None):
        session.report(codes.parameters.ParameterNotTaken(at(name), name, lm.model, model))
    if "api_version" in read.found and not versioned(lm.model):
        session.report(codes.parameters.NoVersions(at("api_version"), lm.model))
    budget = thinking_budget(lm)
    said = next((one for one in ("max_tokens", "reasoning_effort") if one in read.found), None)
    if budget is not None and said is not None and lm.max_tokens is not None and budget[1] >= lm.max_tokens:
        session.report(
            codes.parameters.NoRoomBehindThinking(at(said), *budget, lm.max_tokens, lm.model, model)
        )
    if "reasoning" in read.found and lm.reasoning is not None and split_model(lm.model)[0] != "embedded":
        untold = lm.reasoning_effort is None and "thinking" not in lm.extra and thinks_when_told(lm)
        if untold or not reasons(lm):
            effort = reasons(lm)
            session.report(codes.parameters.TellsNoThoughts(at("reasoning"), lm.model, model, effort))


def _in_layout(session: Session, at: Location, lm: LM, stops: tuple[str, ...]) -> None:
    """Warn of a text that every answer has before its first value, so that each ends there."""
    from dspec.runtime.adapters import adapter_of  # few models have such texts

    if split_model(lm.model)[0] == "embedded" or lm.two_step:
        return
    mark = "\ufffd"  # as a name and as a value: no text that is written out has it
    answer = adapter_of(lm).answer(Demo(inputs={}, outputs={mark: mark}), (FieldSpec(name=mark, type=STR),))
    before = answer.split(mark)[:2]
    for text in stops:
        if any(text in piece for piece in before):
            session.report(codes.parameters.StopsInLayout(at, text, lm.adapter))
            return
