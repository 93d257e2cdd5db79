"""`lm` declarations, and the model of a module that names none."""

from __future__ import annotations

import re

from dspec.grammar.tree import Expr, ListLiteral, Literal, Setting
from dspec.runtime.models.endpoints import EMBEDDED_MODELS, has_batches, may_keep_key, split_model
from dspec.runtime.schema.lms import RETRY
from dspec.runtime.schema.modelnames import is_model_name, may_hold_address
from dspec.runtime.schema.program import LM

from ... import ir
from ...diagnostics import codes
from ...tables.lm_block import PRICE, TRAIN
from ...tables.models import EMBEDDED, provider_names, unknown_provider, usual_key
from ..names.names import find
from ..session import Session
from ..shape.attributes import FromEnvironment, Reader, section, settings
from ..symbols import FileScope, Symbol
from .lm_parameters import check_known, extra_in, headers_in, of_lm, settings_in

TWO_STEP = "two_step"
_ADDRESS = r"https?:|//|:\d+(/|$)"


def lm(session: Session, symbol: Symbol) -> LM | None:
    """The settings of a declared model; None after a mistake or inside a circle of fallbacks."""
    return session.once(_check_lm, symbol)


def training(session: Session, symbol: Symbol) -> ir.TrainSettings | None:
    """How a declared model's weights are tuned; None where it does not say."""
    return session.once(_check_training, symbol)


def _check_training(session: Session, symbol: Symbol) -> ir.TrainSettings | None:
    place = session.place(symbol)
    block = section(place.declaration.items, TRAIN.name)
    if block is None:
        return None
    read = Reader(session, place, block.items, TRAIN)
    rank = read.integer("rank")
    return ir.TrainSettings(
        provider=read.choice("provider"),
        method="full" if read.choice("method") == "full" else "lora",
        epochs=read.integer("epochs"),
        learning_rate=read.number("learning_rate"),
        batch_size=read.integer("batch_size"),
        rank=16 if rank is None else rank,
        max_tokens=read.integer("max_tokens"),
        price=read.number("price"),
    )


def _check_lm(session: Session, symbol: Symbol) -> LM | None:
    place = session.place(symbol)
    items = place.declaration.items
    if items is None:
        return None
    read = Reader(session, place, items)
    model = read.text("model")
    if model is not None and not model.strip():
        session.report(codes.attributes.NamesNoModel(place.at(read.found["model"].value)))
        model = None
    elif model is not None and not is_model_name(model) and re.search(_ADDRESS, model, re.IGNORECASE):
        session.report(codes.attributes.NoModelName(place.at(read.found["model"].value)))
        model = None
    base, key = read.environment("api_base"), read.environment("api_key")
    price = section(items, "price")
    prices = Reader(session, place, price.items, PRICE) if price else None
    timeout, retry = read.number("timeout"), read.integer("retry")
    texts, variables = headers_in(session, place, items, model or "")
    values = LM(
        name=symbol.key,
        model=model or "",
        api_base=base if isinstance(base, str) else None,
        api_base_env=base.name if isinstance(base, FromEnvironment) else None,
        api_key_env=key.name if isinstance(key, FromEnvironment) else None,
        api_version=read.text("api_version"),
        headers=texts,
        headers_env=variables,
        extra=extra_in(session, place, items),
        timeout=120.0 if timeout is None else timeout,
        retry=RETRY if retry is None else retry,
        retry_said=retry == RETRY,
        fallback=_fallback(session, read, symbol),
        rpm=read.integer("rpm"),
        tpm=read.integer("tpm"),
        max_parallel=read.integer("max_parallel"),
        hedge=read.flag("hedge") is True,
        mode="batch" if read.choice("mode") == "batch" else None,
        price_input=prices.number("input") if prices else None,
        price_output=prices.number("output") if prices else None,
        extract=_extract(session, read, symbol),
        on_unreadable="fallback" if read.choice("on_unreadable") == "fallback" else None,
    ).model_copy(update=of_lm(settings_in(read)))
    read.flag("default")
    if model is not None and isinstance(key, FromEnvironment) and not may_keep_key(key.name, model):
        at = read.place.at(read.found["api_key"].value)
        session.report(codes.models.NoKeysName(at, key.name, model, usual_key(model)))
        return None
    if isinstance(base, FromEnvironment) and not may_hold_address(base.name):
        session.report(codes.models.NoAddressName(read.place.at(read.found["api_base"].value), base.name))
        return None
    if values.on_unreadable and "fallback" not in read.found:
        at = read.place.at(read.found["on_unreadable"].value)
        session.report(codes.parameters.NoFallback(at, symbol.name))
    if model is None:
        return None
    _known(session, read, values)
    if values.mode == "batch" and not has_batches(values.model):
        at = read.place.at(read.found["mode"].value)
        session.report(codes.models.NoBatches(at, values.model, read.place.at(read.found["model"].value)))
    _two_steps(session, read, values)
    training(session, symbol)
    return values


def _known(session: Session, read: Reader, values: LM) -> None:
    """Warn of a provider that nothing is known of, and of what the model is known to refuse."""
    at = read.place.at(read.found["model"].value)
    provider = unknown_provider(values.model)
    named, name = split_model(values.model)
    if not name.strip():
        session.report(codes.models.NoModelBehind(at, named))
    elif named == EMBEDDED and name not in EMBEDDED_MODELS:
        session.report(codes.models.NotEmbedded(at, name, EMBEDDED_MODELS))
    elif provider is not None and values.api_base is None and values.api_base_env is None:
        session.report(codes.models.UnknownProvider(at, values.model, provider, provider_names()))
    check_known(session, read, values, at)


def _extract(session: Session, read: Reader, symbol: Symbol) -> str | None:
    """The model that takes the outputs from this one's answers: one that answers in a layout."""
    node, other = read.found.get("extract"), read.reference("extract")
    if node is None or other is None:
        return None
    written = settings(session.place(other).declaration.items).get("adapter")
    if written is not None and isinstance(written.value, Literal) and written.value.value == TWO_STEP:
        way = None if other is symbol else session.place(other).at(written)
        session.report(codes.models.ExtractsInTwoSteps(read.place.at(node.value), symbol.name, way))
        return None
    return other.key


def _two_steps(session: Session, read: Reader, values: LM) -> None:
    """Report settings of answers in two steps that mean nothing, or cannot be kept together."""
    two = values.adapter == TWO_STEP
    if "extract" in read.found and not two:
        found = read.found.get("adapter")
        where = None if found is None else read.place.at(found.value)
        session.report(codes.models.NothingToExtract(read.place.at(read.found["extract"]), where))
    elif two and split_model(values.model)[0] == EMBEDDED:
        at, model = read.place.at(read.found["adapter"].value), read.place.at(read.found["model"].value)
        session.report(codes.models.NoWordsOfItsOwn(at, values.model, model))
    elif two and values.tool_calls == "native":
        at, calls = read.place.at(read.found["adapter"].value), read.place.at(read.found["tool_calls"])
        session.report(codes.models.CallsInTwoSteps(at, calls))


def _fallback(session: Session, read: Reader, symbol: Symbol) -> tuple[str, ...]:
    keys: list[str] = []
    for node, other in read.references("fallback"):
        if other is symbol or _falls_back_to(session, other, symbol, set()):
            if session.in_circle((symbol.key, other.key)):
                continue
            session.circle((symbol.key, other.key))
            way = None if other is symbol else other.location
            session.report(codes.models.FallsBackToItself(read.place.at(node), symbol.name, way))
        else:
            keys.append(other.key)
    return tuple(keys)


def _falls_back_to(session: Session, start: Symbol, goal: Symbol, seen: set[int]) -> bool:
    if id(start) in seen:
        return False
    seen.add(id(start))
    place = session.place(start)
    setting = settings(place.declaration.items).get("fallback")
    if setting is None or not isinstance(setting.value, ListLiteral):
        return False
    for item in setting.value.items:
        other = find(session, place, item)
        if other is goal or (
            other is not None and other.kind == "lm" and _falls_back_to(session, other, goal, seen)
        ):
            return True
    return False


def is_default(session: Session, symbol: Symbol) -> bool:
    setting = settings(session.place(symbol).declaration.items).get("default")
    return setting is not None and isinstance(setting.value, Literal) and setting.value.value is True


def default_lm(session: Session, scope: FileScope) -> Symbol | None:
    """The model for a module in `scope` that names none.

    The file's own models come first, then those it imports, then the root file's: the one marked
    `default = true`, or the only one.
    """
    return session.once(_find_default, scope)


def _find_default(session: Session, scope: FileScope) -> Symbol | None:
    for candidates in (_own(scope), _imported(scope), _own(session.main), _imported(session.main)):
        if candidates:
            marked = [symbol for symbol in candidates if is_default(session, symbol)]
            if marked:
                return marked[0]
            if len(candidates) == 1:
                return candidates[0]
    return None


def optimize_lm(session: Session, symbol: Symbol) -> Symbol | None:
    """The model of the first optimize block that names one, in the symbol's file or the root file."""
    for scope in dict.fromkeys((symbol.scope, session.main)):
        for other in scope.symbols.of_kind("optimize"):
            place = session.place(other)
            named = settings(place.declaration.items)
            node = named["lm"].value if "lm" in named else _first(named.get("lms"))
            found = find(session, place, node) if node else None
            if found is not None and found.kind == "lm":
                return found
    return None


def _first(models: Setting | None) -> Expr | None:
    """The first one of `lms = [mini, large]`."""
    listed = None if models is None else models.value
    return listed.items[0] if isinstance(listed, ListLiteral) and listed.items else None


def _own(scope: FileScope) -> list[Symbol]:
    return scope.symbols.of_kind("lm")


def _imported(scope: FileScope) -> list[Symbol]:
    return [symbol for other in scope.imports.values() if other is not None for symbol in _own(other)]


def known_lms(session: Session, scope: FileScope) -> list[Symbol]:
    """The models that a module in `scope` may name: those of its file and its imports or, if there are none, of the
    root file."""
    return [*_own(scope), *_imported(scope)] or _own(session.main)


def check_defaults(session: Session, scope: FileScope) -> None:
    """Report a second `default = true` in one file."""
    marked = [symbol for symbol in _own(scope) if is_default(session, symbol)]
    for symbol in marked[1:]:
        place = session.place(symbol)
        setting = settings(place.declaration.items)["default"]
        value = place.at(setting.value)
        session.report(codes.models.TwoDefaults(place.at(setting), symbol.name, value, marked[0].location))
