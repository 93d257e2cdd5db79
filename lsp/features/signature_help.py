"""Signature help: what takes the arguments that are being written, and which of them it is."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from dspec.compiler.check.analysis import Analysis
from dspec.compiler.check.declarations.externs import ExternInfo
from dspec.compiler.check.sources.externs.table import EXTERN_SOURCES
from dspec.compiler.check.symbols import Symbol
from dspec.compiler.check.types.declared import RunnableInfo, TunedInfo
from dspec.compiler.check.types.kinds import NamedValue, spell
from dspec.compiler.data.sources.table import SOURCES
from dspec.compiler.optimizers.table import find as find_optimizer
from dspec.compiler.tables.aggregates import AGGREGATES
from dspec.compiler.tables.judges import JUDGES, JudgeFunction
from dspec.compiler.tables.lm_block import OF_MODULE
from dspec.grammar import tokenize
from dspec.grammar.tokens import Token
from dspec.grammar.walk import block_at
from dspec.runtime.running.strategies.table import STRATEGIES
from dspec.runtime.schema.program import Record
from dspec.runtime.schema.types import spell as spell_type
from dspec.runtime.values.functions import FUNCTIONS, Function, wording

from .docs import HasParameters, function_parameters, source_parameter, strategy_option
from .offers import spelled


class TakenParameter(Struct, frozen=True):
    """One parameter: its name, as the label shows it, and a line of doc."""

    name: str
    shown: str
    doc: str = ""


class Help(Struct, frozen=True):
    """`active` is the parameter that is being written; None where it is none of them."""

    callee: str
    parameters: tuple[TakenParameter, ...]
    result: str = ""
    doc: str = ""
    active: int | None = None

    @property
    def label(self) -> str:
        return f"{self.callee}({', '.join(one.shown for one in self.parameters)}){self.result}"

    def span(self, number: int) -> tuple[int, int]:
        """Where a parameter stands in the label."""
        start = len(self.callee) + 1 + sum(len(one.shown) + 2 for one in self.parameters[:number])
        return start, start + len(self.parameters[number].shown)


class _Open(Struct, frozen=True):
    """A call that is not closed before the cursor: its callee, and the tokens of the argument being written."""

    callee: tuple[str, ...]
    number: int
    argument: tuple[Token, ...]


def signature_help(analysis: Analysis, offset: int) -> Help | None:
    """What is called around an offset; None outside of parentheses, and for what is unknown."""
    block = block_at(analysis.tree, offset)
    if block is None or block.declaration is None:
        return None
    for call in _calls(tokenize(block.text[: offset - block.start])):
        found = _called(analysis, block.declaration.keyword.text, call.callee)
        if found is not None:
            return _at(found, call)
    return None


def _calls(tokens: Sequence[Token]) -> list[_Open]:
    """The calls that are open at the end of the tokens, the innermost first."""
    code = [one for one in tokens if one.kind not in ("space", "newline", "comment")]
    stack: list[tuple[int, list[int]]] = []
    for place, token in enumerate(code):
        if token.kind != "symbol":
            continue
        if token.text in "([{":
            stack.append((place, []))
        elif token.text in ")]}" and stack:
            stack.pop()
        elif token.text == "," and stack:
            stack[-1][1].append(place)
    found: list[_Open] = []
    for opener, commas in reversed(stack):
        if code[opener].text == "{":
            break
        # The first parentheses of a program are its header.
        callee = _path(code[:opener]) if code[opener].text == "(" and opener > 2 else ()
        if callee:
            start = commas[-1] if commas else opener
            found.append(_Open(callee, len(commas), tuple(code[start + 1 :])))
    return found


def _path(code: Sequence[Token]) -> tuple[str, ...]:
    """`name` or `alias.name` at the end of the tokens."""
    if not code or code[-1].kind != "name":
        return ()
    if len(code) > 2 and code[-2].text == "." and code[-3].kind == "name":
        return code[-3].text, code[-1].text
    return (code[-1].text,)


def _at(found: Help, call: _Open) -> Help:
    name = call.argument[0].text if len(call.argument) > 1 and call.argument[1].text == "=" else ""
    names = [one.name for one in found.parameters]
    if name:
        active = names.index(name) if name in names else None
    else:
        last = len(names) - 1
        variadic = bool(names) and found.parameters[-1].shown.startswith("…")
        active = call.number if call.number <= last else last if variadic else None
    return Help(found.callee, found.parameters, found.result, found.doc, active)


def _called(analysis: Analysis, keyword: str, callee: tuple[str, ...]) -> Help | None:
    name = callee[-1]
    if len(callee) == 1:
        built_in = _built_in(keyword, name)
        if built_in is not None:
            return built_in
    symbol = _symbol(analysis, callee)
    if symbol is not None:
        return _declared(analysis, symbol, ".".join(callee))
    function = FUNCTIONS.get(name) or JUDGES.get(name) or AGGREGATES.get(name) if len(callee) == 1 else None
    if function is None:
        return None
    if isinstance(function, Function):
        shown = zip(function.parameters, function_parameters(function), strict=True)
        taken = tuple(TakenParameter(one.name, text) for one, text in shown)
        return Help(name, taken, f" -> {wording(function.result)}", function.doc)
    more = ("…",) if isinstance(function, JudgeFunction) and function.takes_any else ()
    names = (*function.arguments, *more)
    return Help(name, tuple(TakenParameter(one, one) for one in names), " -> float", function.doc)


def _built_in(keyword: str, name: str) -> Help | None:
    if keyword == "module" and name in STRATEGIES:
        strategy = STRATEGIES[name]
        head = (
            [TakenParameter("function", "function", "`module:function`, in Python.")]
            if strategy.function
            else []
        )
        head.append(TakenParameter("signature", "signature", "What the model is asked."))
        own = [
            TakenParameter(one.name, strategy_option(one), one.doc)
            for one in strategy.options
            if one.value != "function"
        ]
        lm = TakenParameter("lm", "lm", "The model that answers; the default one unless said.")
        known = {one.name for one in own}
        settings = [TakenParameter(key, key, one.doc) for key, one in OF_MODULE.items() if key not in known]
        return Help(name, (*head, *own, *(() if strategy.function else (lm, *settings))), doc=strategy.doc)
    optimizer = find_optimizer(name) if keyword == "optimize" else None
    if optimizer is not None:
        head = (
            [TakenParameter("programs", "programs", "The programs that are gathered.")]
            if optimizer.gathers
            else []
        )
        own = [
            TakenParameter(one.name, f"{one.name} = {spelled(one.default)}", one.doc)
            for one in optimizer.options
        ]
        if optimizer.takes_teacher:
            own.append(TakenParameter("teacher", "teacher", "Whose successful runs become demos."))
        if not optimizer.gathers:
            own.append(TakenParameter("student", "student", "The program that is tuned."))
        return Help(name, (*head, *own), doc=optimizer.doc)
    source: HasParameters | None = SOURCES.get(name) if keyword == "dataset" else None
    if keyword in ("extern", "metric"):
        source = EXTERN_SOURCES.get(name)
    if source is not None:
        taken = tuple(TakenParameter(one.name, source_parameter(one), one.doc) for one in source.parameters)
        return Help(name, taken, doc=source.doc)
    return None


def _symbol(analysis: Analysis, callee: tuple[str, ...]) -> Symbol | None:
    scope = analysis.symbols.scope
    if len(callee) == 2:
        imported = scope.imports.get(callee[0])
        return imported.symbols.get(callee[1]) if imported else None
    return scope.symbols.get(callee[0])


def _declared(analysis: Analysis, symbol: Symbol, name: str) -> Help | None:
    found = analysis.session.checked(symbol)
    if isinstance(found, TunedInfo):
        found = found.runnable
    if isinstance(found, RunnableInfo):
        outputs = ", ".join(f"{one.name}: {spell(one.kind)}" for one in found.outputs.values())
        return Help(name, tuple(map(_member, found.inputs.values())), f" -> ({outputs})", symbol.doc)
    if isinstance(found, ExternInfo):
        return Help(
            name, tuple(map(_member, found.inputs.values())), f" -> {spell(found.result)}", symbol.doc
        )
    if isinstance(found, Record):
        taken = tuple(
            TakenParameter(one.name, f"{one.name}: {spell_type(one.type)}", one.description)
            for one in found.fields
        )
        return Help(name, taken, doc=symbol.doc)
    if symbol.kind == "metric":
        names = [one.name.text for one in symbol.declaration.parameters or ()]
        return Help(name, tuple(TakenParameter(one, one) for one in names), doc=symbol.doc)
    return None


def _member(one: NamedValue) -> TakenParameter:
    return TakenParameter(
        one.name, f"{one.name}: {spell(one.kind)}{' = …' if one.has_default else ''}", one.description
    )
