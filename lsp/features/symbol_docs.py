"""What is known of a declaration, a field, a step or a name of a value, as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dspec.compiler.check.analysis import Analysis
from dspec.compiler.check.declarations.datasets import DatasetInfo
from dspec.compiler.check.declarations.externs import ExternInfo
from dspec.compiler.check.declarations.records import column_call
from dspec.compiler.check.declarations.signatures import SignatureInfo
from dspec.compiler.check.symbols import Symbol
from dspec.compiler.check.types.declared import RunnableInfo, TunedInfo
from dspec.compiler.check.types.kinds import Group, NamedValue, spell
from dspec.compiler.diagnostics.wording import plural
from dspec.compiler.optimizers.table import find as find_optimizer
from dspec.grammar.tree import Call, FieldItem, Literal, Reference, Step
from dspec.runtime.schema.program import LM, Predictor, Record
from dspec.runtime.schema.types import OneOf

from .artifacts import compiled, scores, tuned_predictors
from .facts import ColumnFacts, DataFacts, StepCost
from .markdown import block, code, joined, plain

MAX_LISTED = 12
"""Fields, demos and values that are listed."""


def of_symbol(analysis: Analysis, symbol: Symbol, facts: DataFacts) -> str:
    match symbol.kind:
        case "import":
            return _of_import(analysis, symbol)
        case (
            "signature" | "module" | "program" | "optimize" | "lm" | "dataset" | "record" | "type" | "extern"
        ):
            doc = "" if symbol.kind == "signature" else plain(symbol.doc)  # which is its instruction
            return joined(*_of_declaration(analysis, symbol, facts), doc)
        case "metric" | "eval" | "test":
            return joined(block(_heading(symbol)), plain(symbol.doc))
        case "column":
            return joined(block(_typed(symbol)), plain(symbol.doc), _of_column(symbol, facts))
        case "part":
            return joined(block(f"{symbol.name} = {symbol.detail}"), _of_part(symbol, facts))
        case "step":
            return _of_step(symbol, facts)
        case _:
            return joined(block(_typed(symbol)), plain(symbol.doc))


def _typed(symbol: Symbol) -> str:
    word = {"parameter": "", "variable": "", "column": "field"}.get(symbol.kind, symbol.kind)
    if symbol.kind == "column":
        role = next(
            (
                item.role
                for item in symbol.declaration.items or ()
                if isinstance(item, FieldItem) and item.name.text == symbol.name
            ),
            "field",
        )
        word = role
    return f"{word} {symbol.name}: {symbol.detail}".strip()


def _heading(symbol: Symbol) -> str:
    """The first line of a declaration, up to its body."""
    declaration = symbol.declaration
    text = symbol.block.text[: declaration.span.end]
    ends = [one.span.start for one in declaration.items or ()][:1]
    if declaration.items is not None and ends:
        text = text[: ends[0]]
    return (
        " ".join(text.split()).rstrip("{ ").rstrip()
        if declaration.items is not None
        else " ".join(text.split())
    )


def _of_import(analysis: Analysis, symbol: Symbol) -> str:
    scope = analysis.symbols.scope.imports.get(symbol.name)
    if scope is None:
        return block(_heading(symbol))
    lines = [f"{one.kind} {one.name}" for one in list(scope.symbols.values())[:MAX_LISTED]]
    more = len(scope.symbols) - len(lines)
    return joined(
        block(_heading(symbol)), block("\n".join([*lines, *([f"# and {more} more"] if more > 0 else [])]))
    )


def _of_declaration(analysis: Analysis, symbol: Symbol, facts: DataFacts) -> Iterable[str]:
    session = analysis.session
    found = session.checked(symbol)
    match found:
        case SignatureInfo():
            yield block(f"signature {symbol.name}{_shape(found.inputs, found.outputs)}")
            yield _instructed(found.signature.instruction, found.signature.fixed)
        case TunedInfo(runnable=inner):
            yield block(f"optimize {symbol.name}{_shape(inner.inputs, inner.outputs)}")
            if symbol.key in facts.totals and facts.tells_of(symbol):
                yield f"A compile takes {spell_cost(facts.totals[symbol.key])}."
            yield from _compiled(analysis, symbol)
        case RunnableInfo():
            yield block(f"{symbol.kind} {symbol.name}{_shape(found.inputs, found.outputs)}")
            yield from _prompted(analysis, symbol, found)
        case LM():
            yield block(f"lm {symbol.name}")
            yield _model(found)
        case DatasetInfo():
            yield block(f"dataset {symbol.name}{_shape(found.columns.members, {})}")
            yield _rows(symbol, found, facts)
        case ExternInfo():
            result = found.result
            given = spell(result) if not isinstance(result, Group) else _outputs(result.members)
            yield block(f"extern {symbol.name}({_fields(found.inputs)}) -> {given}")
        case Record():
            lines = [f"  field {one.name}: {spell(one.type)}" for one in found.fields[:MAX_LISTED]]
            yield block("\n".join([f"record {symbol.name} {{", *lines, "}"]))
        case _:
            yield from _of_type(symbol, found)


def _of_type(symbol: Symbol, found: object) -> Iterable[str]:
    yield block(_heading(symbol))
    if isinstance(found, OneOf) and found.notes:
        pairs = zip(found.values, found.notes, strict=False)
        yield "\n".join(f"- {code(value)}: {plain(note)}" for value, note in pairs if note)


def _shape(inputs: Mapping[str, NamedValue], outputs: Mapping[str, NamedValue]) -> str:
    return f"({_fields(inputs)}) -> {_outputs(outputs)}" if outputs else f"({_fields(inputs)})"


def _outputs(members: Mapping[str, NamedValue]) -> str:
    return f"({_fields(members)})"


def _fields(members: Mapping[str, NamedValue]) -> str:
    shown = [f"{one.name}: {spell(one.kind)}" for one in list(members.values())[:MAX_LISTED]]
    return ", ".join([*shown, *(["…"] if len(members) > MAX_LISTED else [])])


# Prompts ------------------------------------------------------------------------------------------


def _instructed(instruction: str, fixed: Iterable[str]) -> str:
    return joined("Instruction:", plain(instruction), *(f"{plain(text)} *(fixed)*" for text in fixed))


def _prompted(analysis: Analysis, symbol: Symbol, found: RunnableInfo) -> Iterable[str]:
    """What a module's own predictors are asked, and what a compile of it made of that."""
    program = found.program
    if program is None:
        return
    own = [
        (address, one)
        for address, one in program.predictors.items()
        if address == symbol.key or address.startswith(f"{symbol.key}.")
    ]
    for address, predictor in own:
        lm = program.lms.get(predictor.lm)
        model = f" on {code(lm.model)}" if lm else ""
        yield (
            f"{code(address)}: {predictor.strategy}{model}"
            if len(own) > 1
            else f"{predictor.strategy}{model}"
        )
        yield _instructed(predictor.signature.instruction, predictor.signature.fixed)
    for block_symbol in analysis.symbols.scope.symbols.values():
        if block_symbol.kind != "optimize":
            continue
        artifact = compiled(analysis.session, block_symbol)
        for address, predictor in tuned_predictors(artifact, symbol.key) if artifact else ():
            yield f"As compiled in {code(block_symbol.name)}" + (
                f", {code(address)}:" if len(own) > 1 else ":"
            )
            yield _tuned(predictor)


def _tuned(predictor: Predictor) -> str:
    count = len(predictor.demos)
    shown = [f"- {code(_values(one.inputs))} → {code(_values(one.outputs))}" for one in predictor.demos[:3]]
    demos = f"{count} {'demo' if count == 1 else 'demos'}" + (
        ", the first of them:" if count > 3 else ":" if count else ""
    )
    return joined(plain(predictor.signature.instruction), demos, "\n".join(shown))


def _values(values: Mapping[str, object]) -> str:
    text = ", ".join(
        f"{name} = {value!r}" if not isinstance(value, str) else f'{name} = "{value}"'
        for name, value in values.items()
    )
    return text if len(text) <= 120 else f"{text[:119]}…"


def _compiled(analysis: Analysis, symbol: Symbol) -> Iterable[str]:
    artifact = compiled(analysis.session, symbol)
    if artifact is None:
        yield "Not compiled yet."
        return
    score = scores(artifact)
    yield f"Compiled: {score}." if score else "Compiled, and not scored."


def _model(found: LM) -> str:
    given = [("temperature", found.temperature), ("max_tokens", found.max_tokens)]
    said = ", ".join(f"{name} {value:g}" for name, value in given if value is not None)
    falls = ", ".join(map(code, found.leads_to))
    return joined(
        f"Model {code(found.model)}{f', {said}' if said else ''}.", f"Falls back to {falls}." if falls else ""
    )


# Data ---------------------------------------------------------------------------------------------


def _rows(symbol: Symbol, found: DatasetInfo, facts: DataFacts) -> str:
    if not facts.tells_of(symbol) or symbol.key not in facts.rows:
        return ""
    parts = facts.parts.get(symbol.key, {})
    shares = ", ".join(f"{code(name)} {count:,}" for name, count in parts.items())
    return f"{plural(facts.rows[symbol.key], 'row')}{f': {shares}' if shares else ''}."


def _of_part(symbol: Symbol, facts: DataFacts) -> str:
    key = symbol.key.removesuffix(symbol.name) + (
        symbol.declaration.name.text if symbol.declaration.name else ""
    )
    count = facts.parts.get(key, {}).get(symbol.name)
    if count is None or facts.texts.get(key) != symbol.block.text:
        return ""
    return f"{count:,} of {plural(facts.rows[key], 'row')}."


def column_facts(symbol: Symbol, facts: DataFacts) -> ColumnFacts | None:
    """What the file holds in the column that a dataset's field stands for."""
    owner = symbol.declaration.name
    key = symbol.key.removesuffix(symbol.name) + (owner.text if owner else "")
    if facts.texts.get(key) != symbol.block.text:
        return None
    return facts.columns.get(key, {}).get(column_name(symbol))


def column_name(symbol: Symbol) -> str:
    """What the source calls a column: another name where the dataset renames it."""
    for item in symbol.declaration.items or ():
        if isinstance(item, FieldItem) and item.name.text == symbol.name:
            call = column_call(item.default)
            value = call.arguments[0].value if call and call.arguments else None
            if isinstance(value, Literal) and isinstance(value.value, str):
                return value.value
    return symbol.name


def _of_column(symbol: Symbol, facts: DataFacts) -> str:
    found = column_facts(symbol, facts)
    return describe_column(found) if found else ""


def describe_column(found: ColumnFacts) -> str:
    share = 100 * found.missing / found.rows if found.rows else 0.0
    missing = (
        f"{found.missing:,} of {found.rows:,} missing ({share:.0f} %)"
        if found.missing
        else f"none of {found.rows:,} missing"
    )
    samples = ", ".join(map(code, found.samples))
    return joined(
        f"In the file: {code(found.type)}, {missing}.", f"For example {samples}." if samples else ""
    )


# Steps --------------------------------------------------------------------------------------------


def _of_step(symbol: Symbol, facts: DataFacts) -> str:
    step = next(
        (
            one
            for one in symbol.declaration.items or ()
            if isinstance(one, Step) and one.name and one.name.text == symbol.name
        ),
        None,
    )
    call = step.value if step else None
    name = call.callee.name.text if isinstance(call, Call) and isinstance(call.callee, Reference) else ""
    spec = find_optimizer(name)
    written = symbol.block.text[step.span.start : step.span.end] if step else symbol.name
    owner = symbol.declaration.name
    key = symbol.key.removesuffix(symbol.name) + (owner.text if owner else "")
    cost = facts.steps.get(key, {}).get(symbol.name) if facts.texts.get(key) == symbol.block.text else None
    return joined(
        block(written),
        spec.doc if spec else "",
        f"Takes {spell_cost(cost)}." if cost else "",
        f"Costs: {spec.costs}" if spec and not cost else "",
    )


def spell_cost(cost: StepCost) -> str:
    if not cost.most:
        return "no model calls"
    if cost.least == cost.most:
        return plural(cost.most, "model call")
    return f"{cost.least:,} to {plural(cost.most, 'model call')}"
