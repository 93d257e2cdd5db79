"""Suggestions made from the tables and names that the checker reads; no knowledge of the cursor."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Literal

from msgspec import Struct

from dspec.compiler.check.sources.externs.table import EXTERN_SOURCES
from dspec.compiler.check.symbols import FileScope, Symbol
from dspec.compiler.data.sources.table import SOURCES
from dspec.compiler.optimizers.base import Option
from dspec.compiler.optimizers.table import SPECS
from dspec.compiler.tables.block_specs import AttributeSpec, BlockSpec, SectionSpec
from dspec.compiler.tables.blocks import BLOCKS
from dspec.compiler.tables.judges import JUDGES, JudgeFunction
from dspec.compiler.tables.vocabulary import TYPES
from dspec.runtime.running.strategies.table import running
from dspec.runtime.values.functions import FUNCTIONS, Function, wording

from .shapes import Fields, doc_of, names, parts
from .variables import Variables

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
]


class Suggestion(Struct, frozen=True):
    """`insert` is what is written, the label where it is empty. Lower ranks come first."""

    label: str
    kind: SuggestionKind
    detail: str = ""
    doc: str = ""
    insert: str = ""
    rank: int = 5


ITEMS = {
    "input": "A field that the program is given.",
    "output": "A field that the model writes.",
    "field": "A field or a labelled column.",
    "assert": "A condition that must hold; on failure the model tries again, then the call fails.",
    "suggest": "A condition that should hold; on failure the model tries again, then the run goes on.",
    "let": "A name for the result of a call.",
    "return": "The program's outputs.",
    "step": "An optimizer and its options.",
    "given": "An input of the test.",
    "expect": "A condition on the outputs.",
    "gate": "A condition on the scores that sets the exit code.",
}
"""Items that a word starts, with a line of doc."""

NOT_OFFERED_TYPES = ("image",)
"""Built-in types that the checker answers with "not supported yet"."""

OPERATORS = ("and", "or", "in", "not in")


def keywords(words: Iterable[str], rank: int = 8) -> Iterator[Suggestion]:
    return (Suggestion(word, "keyword", rank=rank) for word in words)


def declarations(present: Collection[str]) -> Iterator[Suggestion]:
    """Words that start a declaration; the version line only where there is none."""
    for spec in BLOCKS.values():
        if spec.keyword != "dspec":
            yield Suggestion(spec.keyword, "keyword", spec.form, spec.doc, f"{spec.keyword} ")
        elif spec.keyword not in present:
            yield Suggestion(spec.form, "keyword", "", spec.doc, rank=0)


def items(spec: BlockSpec) -> Iterator[Suggestion]:
    for item in spec.items:
        if item != "doc":
            yield Suggestion(item, "keyword", "", ITEMS[item], f"{item} ", rank=4)


def attributes(
    spec: BlockSpec | SectionSpec, present: Collection[str], *, bare: bool = False
) -> Iterator[Suggestion]:
    """Attributes and sections that are not set yet, required ones first; `bare` leaves the `=` out."""
    for attribute in spec.attributes:
        if attribute.name not in present:
            yield Suggestion(
                attribute.name,
                "attribute",
                attribute_detail(attribute),
                attribute.doc,
                attribute.name if bare else f"{attribute.name} = ",
                rank=1 if attribute.required else 3,
            )
    for section in spec.sections if isinstance(spec, BlockSpec) else ():
        if section.name not in present and section.supported:
            yield Suggestion(section.name, "attribute", f"{section.name} {{ … }}", section.doc, rank=3)


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


def references(scope: FileScope, kinds: Collection[str], qualifier: str = "") -> Iterator[Suggestion]:
    """Names of declarations; with a qualifier those of that import only, without it."""
    prefix = f"{qualifier}." if qualifier else ""
    for name, symbol in names(scope, kinds):
        if name.startswith(prefix):
            short = name.removeprefix(prefix)
            yield reference(short, symbol, rank=3 if "." in short else 2)


def reference(name: str, symbol: Symbol, rank: int = 2) -> Suggestion:
    return Suggestion(name, "declaration", symbol.kind, symbol.doc or doc_of(symbol), rank=rank)


def rows(scope: FileScope) -> Iterator[Suggestion]:
    """Datasets and their split parts; a part is more often what is wanted."""
    for name, symbol in names(scope, ("dataset",)):
        for part in parts(symbol):
            yield Suggestion(f"{name}.{part}", "declaration", "part of a dataset", doc_of(symbol), rank=1)
        yield reference(name, symbol)


def types(scope: FileScope) -> Iterator[Suggestion]:
    for name, symbol in names(scope, ("type", "record")):
        yield Suggestion(name, "type", symbol.kind, doc_of(symbol), rank=1)
    for name, doc in TYPES.items():
        if name not in NOT_OFFERED_TYPES:
            yield Suggestion(name, "type", "", doc, f"{name}[" if name in ("list", "dict") else "", rank=2)


def strategies() -> Iterator[Suggestion]:
    return (
        Suggestion(name, "function", "strategy", strategy.doc, rank=1) for name, strategy in running().items()
    )


def sources() -> Iterator[Suggestion]:
    for name, source in SOURCES.items():
        shape = f'{name}("{source.parameters[0].name}")'
        yield Suggestion(name, "function", shape, source.doc, rank=1)


def extern_sources() -> Iterator[Suggestion]:
    return (
        Suggestion(name, "function", "source", source.doc, rank=1) for name, source in EXTERN_SOURCES.items()
    )


def optimizers() -> Iterator[Suggestion]:
    return (
        Suggestion(spec.name, "optimizer", "optimizer", f"{spec.doc}\n\nAfter {spec.source}.", rank=1)
        for spec in SPECS.values()
    )


def option(spec: Option) -> Suggestion:
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
    return Suggestion(
        spec.name,
        "option",
        f"{kind}, default {spelled(spec.default)}",
        f"{spec.doc}{bounds}",
        f"{spec.name} = ",
        rank=2,
    )


def function(spec: Function) -> Suggestion:
    shown = ", ".join(
        f"{'…' if parameter.variadic else ''}{parameter.name}: {wording(parameter.kind)}"
        + ("" if parameter.required else f" = {spelled(parameter.default)}")
        for parameter in spec.parameters
    )
    return Suggestion(
        spec.name, "function", f"{spec.name}({shown}) -> {wording(spec.result)}", spec.doc, rank=6
    )


def functions() -> Iterator[Suggestion]:
    return (function(spec) for spec in FUNCTIONS.values())


def judges() -> Iterator[Suggestion]:
    return (
        Suggestion(judge.name, "function", judge.signature, judge.doc, rank=6) for judge in JUDGES.values()
    )


def judge_arguments(judge: JudgeFunction, present: Collection[str]) -> Iterator[Suggestion]:
    """`name = ` for what is not given yet."""
    for rank, name in enumerate(judge.arguments):
        if name not in present:
            yield Suggestion(name, "option", judge.signature, insert=f"{name} = ", rank=1 + (rank > 0))


def fields(group: Fields) -> Iterator[Suggestion]:
    return (Suggestion(field.name, "field", field.detail or "str", field.doc, rank=1) for field in group)


def arguments(group: Fields, present: Collection[str], noun: str) -> Iterator[Suggestion]:
    """`name = ` for what is not given yet, required ones first."""
    for field in group:
        if field.name not in present:
            detail = f"{noun}: {field.detail or 'str'}"
            yield Suggestion(
                field.name,
                "option",
                detail,
                field.doc,
                f"{field.name} = ",
                rank=2 if field.has_default else 1,
            )


def variables(known: Variables) -> Iterator[Suggestion]:
    return (
        Suggestion(name, "variable", variable.detail, variable.doc, rank=3)
        for name, variable in known.items()
    )


def values(texts: Iterable[str], *, quoted: bool, close: bool = False) -> Iterator[Suggestion]:
    """String literals in the order of their declaration; unquoted inside a string that is being typed."""
    for text in texts:
        escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
        if quoted:
            yield Suggestion(f'"{escaped}"', "value", rank=0)
        else:
            yield Suggestion(escaped, "value", insert=f'{escaped}"' if close else escaped, rank=0)


def constants(*words: str) -> Iterator[Suggestion]:
    return (Suggestion(word, "value", rank=1) for word in words)
