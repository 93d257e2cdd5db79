"""What the tables say of a word of the language, as Markdown. The tables' own texts are Markdown already."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from dspec.compiler.data.sources.base import SourceParameter
from dspec.compiler.diagnostics.codes.base import Code
from dspec.compiler.optimizers.base import Option, Spec
from dspec.compiler.tables.aggregates import AggregateFunction
from dspec.compiler.tables.block_specs import AttributeSpec, BlockSpec, SectionSpec
from dspec.compiler.tables.judges import JudgeFunction
from dspec.runtime.running.strategies.base import ModuleStrategy, StrategyOption
from dspec.runtime.values.functions import Function, wording

from .markdown import block, code, joined
from .offers import attribute_detail, spelled

MAX_SHOWN = 6
"""Options that the shape of a call shows."""


def of_block(spec: BlockSpec) -> str:
    return joined(block(spec.form), spec.doc)


def of_attribute(spec: AttributeSpec) -> str:
    return joined(
        block(f"{spec.name} = {spec.placeholder or '…'}"),
        spec.doc,
        _facts(attribute_detail(spec), spec.minimum, spec.maximum),
    )


def of_section(spec: SectionSpec) -> str:
    listed = [f"- {code(one.name)}: {one.doc}" for one in spec.attributes]
    return joined(block(f"{spec.name} {{ … }}"), spec.doc, "\n".join(listed))


def of_item(word: str, doc: str) -> str:
    return joined(block(word), doc)


def of_strategy(spec: ModuleStrategy) -> str:
    options = [f"- {code(strategy_option(one))}: {one.doc}" for one in spec.options]
    adds = ", ".join(code(one.name) for one in spec.adds)
    calls = "several calls of a model in a run" if spec.conduct is not None else _calls(spec.calls)
    return joined(
        block(strategy_shape(spec)),
        spec.doc,
        f"Adds the output {adds}." if adds else "",
        f"{calls}.".capitalize(),
        "\n".join(options),
    )


def _calls(count: int) -> str:
    return f"{count} {'call' if count == 1 else 'calls'} of a model in a run"


def strategy_shape(spec: ModuleStrategy) -> str:
    names = [strategy_option(one) for one in spec.options if one.value != "function"]
    head = ["function"] if spec.function else []
    return f"{spec.name}({', '.join([*head, 'signature', *names])})"


def strategy_option(option: StrategyOption) -> str:
    """An option as it is written: with its default, or with what it takes."""
    if option.required:
        return f"{option.name} = …"
    return f"{option.name} = {spelled(option.default)}"


def of_strategy_option(option: StrategyOption) -> str:
    need = "required" if option.required else f"default {spelled(option.default)}"
    return joined(
        block(strategy_option(option)), option.doc, _facts(f"{option.value}, {need}", option.low, option.high)
    )


def of_optimizer(spec: Spec) -> str:
    options = [f"- {code(f'{one.name} = {spelled(one.default)}')}: {one.doc}" for one in spec.options]
    return joined(
        block(optimizer_shape(spec)),
        spec.doc,
        f"For {spec.suits}.",
        f"Costs: {spec.costs}",
        "\n".join(options),
        f"After {spec.source}.",
    )


def optimizer_shape(spec: Spec) -> str:
    """The call with its defaults; those of many options are listed elsewhere."""
    if len(spec.options) > MAX_SHOWN:
        return f"{spec.name}(…)"
    names = [f"{one.name} = {spelled(one.default)}" for one in spec.options]
    head = ["programs"] if spec.gathers else []
    return f"{spec.name}({', '.join([*head, *names])})"


def of_option(option: Option) -> str:
    kind = f"{option.type.replace('_', ' ')}{' or none' if option.optional else ''}"
    choices = " | ".join(f'"{one}"' for one in option.choices)
    detail = f"{choices or kind}, default {spelled(option.default)}"
    return joined(
        block(f"{option.name} = {spelled(option.default)}"),
        option.doc,
        _facts(detail, option.minimum, option.maximum),
    )


def _facts(detail: str, low: float | None, high: float | None) -> str:
    bounds = [f"at least {low:g}" if low is not None else "", f"at most {high:g}" if high is not None else ""]
    return f"*{', '.join(one for one in (detail, *bounds) if one)}*"


class HasParameters(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def doc(self) -> str: ...
    @property
    def parameters(self) -> tuple[SourceParameter, ...]: ...


def of_source(spec: HasParameters) -> str:
    listed = [f"- {code(source_parameter(one))}: {one.doc}" for one in spec.parameters]
    return joined(block(source_shape(spec)), spec.doc, "\n".join(listed))


def source_shape(spec: HasParameters) -> str:
    return f"{spec.name}({', '.join(map(source_parameter, spec.parameters))})"


def source_parameter(one: SourceParameter) -> str:
    if one.required:
        return one.name
    text = one.value in ("text", "path", "column", "choice") and one.default
    return f"{one.name} = {spelled(one.default) if text else one.default or 'none'}"


def of_source_parameter(one: SourceParameter) -> str:
    values = " | ".join(f'"{each}"' for each in one.choices) or one.value
    return joined(block(source_parameter(one)), one.doc, f"*{values}{', required' if one.required else ''}*")


def function_shape(spec: Function) -> str:
    shown = ", ".join(function_parameters(spec))
    return f"{spec.name}({shown}) -> {wording(spec.result)}"


def function_parameters(spec: Function) -> list[str]:
    return [
        f"{'…' if one.variadic else ''}{one.name}: {wording(one.kind)}"
        + ("" if one.required else f" = {spelled(one.default)}")
        for one in spec.parameters
    ]


def of_function(spec: Function | JudgeFunction | AggregateFunction) -> str:
    shape = function_shape(spec) if isinstance(spec, Function) else spec.signature
    judged = "Asks a model, within the budget." if isinstance(spec, JudgeFunction) else ""
    return joined(block(shape), spec.doc, judged)


def of_type(name: str, docs: Mapping[str, str]) -> str:
    return joined(block(name), docs[name])


def of_code(entry: Code) -> str:
    return joined(f"**{entry.name}** ({entry.severity}): {entry.title}", entry.explanation)


def listed(names: Iterable[str]) -> str:
    return ", ".join(map(code, names))
