"""Rewrites the tables in `docs/language.md`, `docs/optimizers.md` and `docs/tools.md` from the tables in the code.

A table, or the sections of all optimizers, stands between `<!-- name -->` and `<!-- /name -->`; what is around it is
written by hand. Functions come from `dspec.runtime.values.functions`, strategies from
`dspec.runtime.running.strategies.table`, judges and attributes from `dspec.compiler.tables`, sources from
`dspec.compiler.data.sources.table` and `dspec.compiler.check.sources.externs.table`, optimizers from
`dspec.compiler.optimizers.table`. Nowhere else are they listed, so a new one is on the page by itself.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterable
from pathlib import Path

from dspec.compiler.check.sources.externs.table import EXTERN_SOURCES
from dspec.compiler.data.sources.base import FetchedSource
from dspec.compiler.data.sources.table import SOURCES
from dspec.compiler.optimizers.base import Option, OptionType, Spec
from dspec.compiler.optimizers.compat.table import FAITHFUL
from dspec.compiler.optimizers.table import ALIASES, SPECS
from dspec.compiler.tables.aggregates import AGGREGATES
from dspec.compiler.tables.block_specs import AttributeSpec, SectionSpec, ValueKind
from dspec.compiler.tables.blocks import BLOCKS
from dspec.compiler.tables.judges import JUDGES
from dspec.runtime.running.strategies.table import STRATEGIES
from dspec.runtime.schema.types import JsonValue
from dspec.runtime.values.functions import FUNCTIONS, Function, FunctionParameter, wording

DOCS = Path(__file__).resolve().parent
PAGES = (DOCS / "language.md", DOCS / "optimizers.md", DOCS / "tools.md")

FILE = "The file."
"""What a path means that says no more of itself."""
_MARK = re.compile(r"<!-- (?P<name>[a-z]+(?: \w+)?) -->\n.*?<!-- /(?P=name) -->", re.DOTALL)

_VALUES: dict[ValueKind, str] = {
    "text": "text",
    "texts": "text, or a list of texts",
    "integer": "whole number",
    "number": "number",
    "flag": "`true` or `false`",
    "secret": '`env("NAME")`',
    "address": 'text, or `env("NAME")`',
    "rows": "a dataset, or a part of one",
    "expression": "expression",
    "amount": "rows, or percent",
    "header": 'text, or `env("NAME")`',
    "json": "a literal, a list of such, or a block",
    "shown": "a literal of its type",
}
_OPTIONS: dict[OptionType, str] = {
    "int": "whole number",
    "float": "number",
    "bool": "`true` or `false`",
    "str": "text",
    "int_list": "list of whole numbers",
    "reducer": "rule",
}


def filled(page: str) -> str:
    """The page with every marked table as the code has it now. Raises KeyError for an unknown mark."""

    def table(found: re.Match[str]) -> str:
        name = found["name"]
        what, _, of = name.partition(" ")
        match what:
            case "functions":
                rows = _functions()
            case "judges":
                rows = _judges()
            case "aggregates":
                rows = _aggregates()
            case "attributes":
                block = BLOCKS[of]
                rows = _attributes(block.attributes, block.sections)
            case "strategies":
                rows = _strategies()
            case "sources":
                rows = _sources()
            case "externs":
                rows = _externs()
            case "optimizers":
                rows = _optimizers()
            case "sections":
                rows = _sections()
            case _:
                raise KeyError(name)
        return "\n".join([f"<!-- {name} -->", *rows, f"<!-- /{name} -->"])

    return _MARK.sub(table, page)


def _table(*columns: str) -> list[str]:
    return [_row(*columns), _row(*["---"] * len(columns))]


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _functions() -> Iterable[str]:
    yield from _table("function", "gives")
    for function in FUNCTIONS.values():
        yield _row(f"`{_signature(function)}`", function.doc)


def _aggregates() -> Iterable[str]:
    yield from _table("aggregate", "gives")
    for aggregate in AGGREGATES.values():
        yield _row(f"`{aggregate.signature}`", aggregate.doc)


def _judges() -> Iterable[str]:
    yield from _table("judge", "gives")
    for judge in JUDGES.values():
        yield _row(f"`{judge.signature}`", judge.doc)


def _signature(function: Function) -> str:
    parameters = ", ".join(_parameter(parameter) for parameter in function.parameters)
    return f"{function.name}({parameters}) -> {wording(function.result)}"


def _parameter(parameter: FunctionParameter) -> str:
    default = "" if parameter.required else f" = {_literal(parameter.default)}"
    return f"{parameter.name}: {wording(parameter.kind)}{', …' if parameter.variadic else ''}{default}"


def _strategies() -> Iterable[str]:
    yield from _table("strategy", "default", "meaning")
    for name, strategy in STRATEGIES.items():
        yield _row(f"`{name}(…)`", "", strategy.doc)
        for option in strategy.options:
            yield _row(f"{name} · `{option.name}`", _default(option.default), option.doc)


def _externs() -> Iterable[str]:
    yield from _table("source", "default", "meaning")
    for name, source in EXTERN_SOURCES.items():
        yield _row(f"`{name}(…)`", "", source.doc)
        for parameter in source.parameters:
            default = "required" if parameter.required else f"`{parameter.default}`" * bool(parameter.default)
            yield _row(f"{name} · `{parameter.name}`", default, parameter.doc)


def _sources() -> Iterable[str]:
    yield from _table("source", "default", "meaning")
    for name, source in SOURCES.items():
        fetched = "[Fetched](#fetched-rows). " if isinstance(source, FetchedSource) else ""
        yield _row(f"`{name}(…)`", "", fetched + source.doc)
        for parameter in source.parameters:
            default = (
                "required" if parameter.required else f'`"{parameter.default}"`' * bool(parameter.default)
            )
            doc = parameter.doc or (FILE if parameter.value == "path" else "")
            yield _row(f"{name} · `{parameter.name}`", default, doc)


def _attributes(attributes: Iterable[AttributeSpec], sections: Iterable[SectionSpec]) -> Iterable[str]:
    yield from _table("attribute", "value", "default", "meaning")
    for attribute in attributes:
        yield _attribute(attribute, "")
    for section in sections:
        yield _row(f"`{section.name} {{ … }}`", "block", "", section.doc)
        for attribute in section.attributes:
            yield _attribute(attribute, f"{section.name} · ")
        if section.free in ("header", "json"):
            yield _row(f"{section.name} · any name", _VALUES[section.free], "", "")
        if section.free == "shown":
            yield _row(f"{section.name} · the name of a field", _VALUES["shown"], "", "")
        if section.free == "amount":
            yield _row(f"{section.name} · any other name", _VALUES["amount"], "", "A part of that size.")


def _attribute(attribute: AttributeSpec, lead: str) -> str:
    match attribute.value:
        case "choice":
            value = _choices(attribute.choices)
        case "reference":
            value = f"{_articled(attribute.refers)}"
        case "references":
            value = f"list of {' or '.join(f'`{kind}`' for kind in attribute.refers)} names"
        case kind:
            value = _VALUES[kind] + _bounds(attribute.minimum, attribute.maximum)
    default = "required" if attribute.required else _default(attribute.default)
    doc = attribute.doc + " Of one module, too." * attribute.of_module
    return _row(f"{lead}`{attribute.name}`", value, default, doc)


def _articled(kinds: tuple[str, ...]) -> str:
    return "name of " + " or ".join(f"{'an' if kind[0] in 'aeiou' else 'a'} `{kind}`" for kind in kinds)


def _optimizers() -> Iterable[str]:
    yield from _table(
        "optimizer", "suits", "changes", "needs", "asks `prompt_lm`", "has `.candidates`", "`compat`"
    )
    for spec in SPECS.values():
        needs = [
            name for name, needed in (("metric", spec.needs_metric), ("`val`", spec.needs_val)) if needed
        ]
        yield _row(
            f"[{spec.name}](#{spec.name.lower()})",
            spec.suits,
            " and ".join(sorted(spec.sets)) or "nothing in its members",
            ", ".join(needs) or "nothing",
            "yes" if spec.prompts else "",
            "yes" if spec.candidates else "",
            "yes" if spec.name in FAITHFUL else "",
        )


def _sections() -> Iterable[str]:
    for spec in SPECS.values():
        said = f"{spec.about} **Calls:** {spec.costs} Source: {_source(spec)}."
        yield from ("", f"## {spec.name}", "", *textwrap.wrap(said, 120, break_on_hyphens=False), "")
        yield from _options(spec)
    yield ""


def _source(spec: Spec) -> str:
    """Where the algorithm comes from; under which name is said where it is another one there."""
    source = spec.source.replace(f", {spec.name}", "")
    return re.sub(r"arXiv:([\d.]+\d)", r"[arXiv:\1](https://arxiv.org/abs/\1)", source)


def _options(spec: Spec) -> Iterable[str]:
    also = [alias for alias, name in ALIASES.items() if name == spec.name]
    if also:
        yield f"Also called {', '.join(f'`{alias}`' for alias in also)}."
        yield ""
    yield from _table("option", "value", "default", "meaning")
    for option in spec.options:
        yield _row(f"`{option.name}`", _option_value(option), _default(option.default), option.doc)


def _option_value(option: Option) -> str:
    value = _choices(option.choices) if option.choices else _OPTIONS[option.type]
    if option.refers:
        value += f", or the {_articled(option.refers)}"
    none = ", or `none`" if option.optional and option.default is not None else ""
    return value + _bounds(option.minimum, option.maximum) + none


def _choices(choices: Iterable[str]) -> str:
    return " or ".join(f'`"{choice}"`' for choice in choices)


def _bounds(minimum: float | None, maximum: float | None) -> str:
    if minimum is None:
        return ""
    return f", {minimum:g} to {maximum:g}" if maximum is not None else f", from {minimum:g}"


def _default(value: JsonValue) -> str:
    return "" if value is None else f"`{_literal(value)}`"


def _literal(value: JsonValue) -> str:
    return "none" if value is None else json.dumps(value, ensure_ascii=False)


def main() -> None:
    for page in PAGES:
        page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
