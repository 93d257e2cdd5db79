"""Suggestions made from the tables and names that the checker reads; no knowledge of the cursor."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cache
from typing import Literal

from msgspec import Struct

from dspec.compiler.check.expressions.scope import Binding
from dspec.compiler.check.sources.externs.table import EXTERN_SOURCES
from dspec.compiler.check.symbols import Symbol
from dspec.compiler.check.types.kinds import BEYOND_TEXT, NamedValue, spell
from dspec.compiler.data.sources.table import SOURCES
from dspec.compiler.optimizers.base import Option
from dspec.compiler.optimizers.table import SPECS
from dspec.compiler.tables.aggregates import AGGREGATES, AggregateFunction
from dspec.compiler.tables.block_specs import AttributeSpec, BlockSpec, SectionSpec
from dspec.compiler.tables.blocks import BLOCKS
from dspec.compiler.tables.judges import JUDGES, JudgeFunction
from dspec.compiler.tables.vocabulary import TYPES
from dspec.runtime.running.strategies.table import STRATEGIES
from dspec.runtime.values.functions import FUNCTIONS, Function, wording

SuggestionKind = Literal[
    "keyword",
    "declaration",
    "attribute",
    "option",
    "field",
    "value",
    "type",
    "function",
    "optimizer",
    "variable",
    "callable",
    "file",
    "folder",
]


class Offer(Struct, frozen=True):
    """`insert` is what is written, the label where it is empty. Lower ranks come first."""

    label: str
    kind: SuggestionKind
    detail: str = ""
    doc: str = ""
    insert: str = ""
    rank: int = 5
    snippet: str = ""
    """What is written instead where places to fill in can be marked."""


ITEMS = {
    "input": "A field that the program is given.",
    "output": "A field that the model writes.",
    "field": "A field or a labelled column.",
    "assert": "A condition that must hold; on failure the model tries again, then the call fails.",
    "suggest": "A condition that should hold; on failure the model tries again, then the run goes on.",
    "let": "A name for the result of a call.",
    "until": "A condition that ends the repetition.",
    "return": "The program's outputs.",
    "step": "An optimizer and its options.",
    "given": "An input of the test.",
    "expect": "A condition on the outputs.",
    "gate": "A condition on the scores that sets the exit code.",
}
"""Items that a word starts, with a line of doc."""

OPERATORS = ("and", "or", "in", "not in")


def keywords(words: Iterable[str], rank: int = 8) -> Iterator[Offer]:
    return (Offer(word, "keyword", rank=rank) for word in words)


def declarations(present: Collection[str]) -> Iterator[Offer]:
    """Words that start a declaration; the version line only where there is none."""
    for spec in BLOCKS.values():
        if spec.keyword != "dspec":
            yield Offer(spec.keyword, "keyword", spec.form, spec.doc, f"{spec.keyword} ")
        elif spec.keyword not in present:
            yield Offer(spec.form, "keyword", "", spec.doc, rank=0)


def items(spec: BlockSpec) -> Iterator[Offer]:
    for item in spec.items:
        if item != "doc":
            yield Offer(item, "keyword", "", ITEMS[item], f"{item} ", rank=4)


def attributes(spec: BlockSpec | SectionSpec, present: Collection[str], *, before: str) -> Iterator[Offer]:
    """Attributes and sections that are not set yet, required ones first, and that fit before the character
    that follows."""
    for attribute in spec.attributes:
        if attribute.name not in present and before != "{":
            yield Offer(
                attribute.name,
                "attribute",
                attribute_detail(attribute),
                attribute.doc,
                attribute.name if before == "=" else f"{attribute.name} = ",
                rank=1 if attribute.required else 3,
            )
    for section in spec.sections if isinstance(spec, BlockSpec) else ():
        free = section.several or section.name not in present
        if free and before != "=":
            yield Offer(section.name, "attribute", f"{section.name} {{ … }}", section.doc, rank=3)


def attribute_detail(attribute: AttributeSpec) -> str:
    wanted = {
        "choice": " | ".join(f'"{choice}"' for choice in attribute.choices),
        "reference": " or ".join(attribute.refers),
        "references": f"list of {' or '.join(attribute.refers)} names",
        "secret": 'env("NAME")',
        "address": 'text or env("NAME")',
        "rows": "dataset or a part of it",
    }.get(attribute.value, attribute.value)
    default = "" if attribute.default is None else f", default {spelled(attribute.default)}"
    return f"{wanted}{', required' if attribute.required else default}"


def spelled(value: object) -> str:
    """A default as the language writes it."""
    match value:
        case None:
            return "none"
        case bool():
            return "true" if value else "false"
        case str():
            return f'"{value}"'
        case _:
            return str(value)


def references(found: Iterable[tuple[str, Symbol]]) -> Iterator[Offer]:
    """Declarations by the names they are written with."""
    for name, symbol in found:
        if symbol.kind in ("type", "record"):
            yield Offer(name, "type", symbol.kind, symbol.doc, rank=1)
        else:
            yield reference(name, symbol, rank=3 if "." in name else 2)


def calls(found: Iterable[tuple[str, Symbol]]) -> Iterator[Offer]:
    """Declarations that an expression may call; records, whose values are written so, behind the others."""
    for name, symbol in found:
        rank = 5 if symbol.kind == "record" else 3 if "." in name else 2
        yield Offer(name, "callable", symbol.kind, symbol.doc, rank=rank)


def reference(name: str, symbol: Symbol, rank: int = 2) -> Offer:
    return Offer(name, "declaration", symbol.kind, symbol.doc, rank=rank)


def own_names(found: Mapping[str, Symbol | None]) -> Iterator[Offer]:
    """Names of a declaration's own: steps, parts, columns, outputs, predictors."""
    for name, symbol in found.items():
        if symbol is None:
            yield Offer(name, "field", rank=1)
        elif symbol.kind == "step":
            yield Offer(name, "variable", symbol.detail, rank=1)
        elif symbol.kind == "part":
            yield Offer(name, "value", rank=1)
        elif symbol.kind == "module":
            yield reference(name, symbol)
        else:
            yield Offer(name, "field", symbol.detail, symbol.doc, rank=1)


def rows(found: Iterable[tuple[str, Symbol, Iterable[str]]]) -> Iterator[Offer]:
    """Datasets and their split parts; a part is more often what is wanted."""
    for name, symbol, parts in found:
        for part in parts:
            yield Offer(f"{name}.{part}", "declaration", "part of a dataset", symbol.doc, rank=1)
        yield reference(name, symbol)


def types(of_inputs: Collection[str]) -> Iterator[Offer]:
    """The built-in types; of those that only inputs have, the ones that may stand there."""
    for name, doc in TYPES.items():
        if name not in BEYOND_TEXT or name in of_inputs:
            text = f"{name}[" if name in ("list", "dict", "tuple") else ""
            yield Offer(name, "type", "", doc, text, rank=2)


def strategies() -> Iterator[Offer]:
    return (
        Offer(name, "function", "strategy", strategy.doc, rank=1) for name, strategy in STRATEGIES.items()
    )


def sources() -> Iterator[Offer]:
    for name, source in SOURCES.items():
        shape = f'{name}("{source.parameters[0].name}")'
        yield Offer(name, "function", shape, source.doc, rank=1)


def extern_sources() -> Iterator[Offer]:
    return (Offer(name, "function", "source", source.doc, rank=1) for name, source in EXTERN_SOURCES.items())


def optimizers() -> Iterator[Offer]:
    return (
        Offer(spec.name, "optimizer", "optimizer", f"{spec.doc}\n\nAfter {spec.source}.", rank=1)
        for spec in SPECS.values()
    )


def option(spec: Option, *, bare: bool) -> Offer:
    kind = f"{spec.type.replace('_', ' ')}{' or none' if spec.optional else ''}"
    low, high = spec.minimum, spec.maximum
    if low is not None and high is not None:
        bounds = f"\n\nFrom {low:g} to {high:g}."
    else:
        bounds = (
            f"\n\nAt least {low:g}."
            if low is not None
            else f"\n\nAt most {high:g}."
            if high is not None
            else ""
        )
    return Offer(
        spec.name,
        "option",
        f"{kind}, default {spelled(spec.default)}",
        f"{spec.doc}{bounds}",
        spec.name if bare else f"{spec.name} = ",
        rank=2,
    )


@cache
def function(name: str) -> Offer:
    """Made once, as a judge is: every expression offers them all."""
    spec = FUNCTIONS[name]
    shown = ", ".join(
        f"{'…' if parameter.variadic else ''}{parameter.name}: {wording(parameter.kind)}"
        + ("" if parameter.required else f" = {spelled(parameter.default)}")
        for parameter in spec.parameters
    )
    return Offer(spec.name, "function", f"{spec.name}({shown}) -> {wording(spec.result)}", spec.doc, rank=6)


@cache
def judge(name: str) -> Offer:
    spec = JUDGES[name]
    return Offer(spec.name, "function", spec.signature, spec.doc, rank=6)


@cache
def aggregate(name: str) -> Offer:
    spec = AGGREGATES[name]
    return Offer(spec.name, "function", spec.signature, spec.doc, rank=6)


def parameters(function: Function, present: Collection[str]) -> Iterator[Offer]:
    """Names of a function's arguments that are not given yet."""
    for parameter in function.parameters:
        if parameter.name not in present:
            yield Offer(parameter.name, "option", wording(parameter.kind), rank=1)


def named_arguments(
    called: JudgeFunction | AggregateFunction, present: Collection[str], *, bare: bool
) -> Iterator[Offer]:
    """`name = ` for what is not given yet."""
    for rank, name in enumerate(called.arguments):
        if name not in present:
            insert = name if bare else f"{name} = "
            yield Offer(name, "option", called.signature, insert=insert, rank=1 + (rank > 0))


def members(group: Mapping[str, NamedValue]) -> Iterator[Offer]:
    return (
        Offer(member.name, "field", spell(member.type), member.description, rank=1)
        for member in group.values()
    )


def arguments(
    group: Mapping[str, NamedValue], present: Collection[str], noun: str, *, bare: bool
) -> Iterator[Offer]:
    """`name = ` for what is not given yet, required ones first."""
    for member in group.values():
        if member.name not in present:
            yield Offer(
                member.name,
                "option",
                f"{noun}: {spell(member.type)}",
                member.description,
                member.name if bare else f"{member.name} = ",
                rank=2 if member.has_default else 1,
            )


SCORES = {
    ("metric", "score"): "The metric's score for this row.",
    ("metric", "accept"): "Whether the run may become a demo.",
    ("metric", "reason"): "What the judges of the score said.",
    ("eval", "score"): "Mean score of the program, 0 to 1.",
    ("eval", "baseline"): "The scores of the baseline.",
}
"""Names that no line of the file declares, by the declaration they are read in."""


def variables(known: Mapping[str, Binding], keyword: str) -> Iterator[Offer]:
    for name, binding in known.items():
        symbol = binding.symbol
        doc = symbol.doc if symbol else SCORES.get((keyword, name), "")
        yield Offer(name, "variable", spell(binding.kind), doc, rank=3)


def values(texts: Iterable[str], *, quoted: bool, close: bool = False) -> Iterator[Offer]:
    """String literals in the order of their declaration; unquoted inside a string that is being typed."""
    for text in texts:
        escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
        if quoted:
            yield Offer(f'"{escaped}"', "value", rank=0)
        else:
            yield Offer(escaped, "value", insert=f'{escaped}"' if close else escaped, rank=0)


def constants(*words: str) -> Iterator[Offer]:
    return (Offer(word, "value", rank=1) for word in words)
