"""What a program that was read from a file must satisfy beyond its shape.

Names reach prompts, so they are plain words; every reference inside the program leads somewhere; every
function is one that this version has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from ..errors import ConfigurationError
from ..index.limits import MAX_ROWS
from ..running.bounds import MAX_STEPS, excess
from ..running.strategies.base import COMPAT, MAX_CALLS, ModuleStrategy
from ..running.strategies.table import of_one_call, of_several_calls, strategy_named
from ..running.vectors import unpack
from ..schema.ensemble import ByProgram, Ensemble, First, Mean, Runnable, has_mean, lacking, parts, unfed
from ..schema.expressions import (
    Apply,
    BinaryOp,
    Constant,
    Expression,
    ForEach,
    If,
    Item,
    ListOfItems,
    Member,
    UnaryOp,
    Variable,
)
from ..schema.lms import with_fallbacks
from ..schema.program import (
    BranchStep,
    CallStep,
    Check,
    CheckStep,
    EachStep,
    FieldSpec,
    Graph,
    ModuleSpec,
    Neighbours,
    Predictor,
    Program,
    RepeatStep,
    Reward,
    RunStep,
    Step,
    Tool,
    ToolStep,
    ValueStep,
)
from ..schema.types import (
    FLOAT,
    MAX_RECORDS,
    MAX_TUPLE,
    STR,
    DictOf,
    ListOf,
    OneOf,
    OneOfNumbers,
    OneOfRecords,
    OptionalOf,
    RecordRef,
    TupleOf,
    Type,
)
from ..values.functions import FUNCTIONS, misfit
from ..values.values import tags_of
from .attached import media_faults
from .naming import in_ranges, plain_names, settings
from .references import in_checks, in_graph, in_reward

_NAME = re.compile(r"[^\W\d]\w{0,99}")


def faults(program: Runnable) -> Iterator[str]:
    """What is wrong with the program, each with its place."""
    if isinstance(program, Ensemble):
        yield from _ensemble(program)
    else:
        yield from _program(program, "program")


def _ensemble(ensemble: Ensemble) -> Iterator[str]:
    yield from _fields(ensemble.inputs, "program.inputs", ensemble)
    yield from _fields(ensemble.outputs, "program.outputs", ensemble)
    if not ensemble.outputs:
        yield "program.outputs: an ensemble without outputs"
    for place, member in enumerate(ensemble.members):
        where = f"program.members[{place}]"
        yield from _program(member, where)
        wanted = ensemble.outputs if ensemble.reducer is None else ()
        for role, ours, theirs in (
            ("inputs", member.inputs, ensemble.inputs),
            ("outputs", wanted, member.outputs),
        ):
            for missing in lacking(ours, theirs):
                yield f"{where}.{role}: `{missing[:80]}` is not as the ensemble has it"
        for missing in lacking(ensemble.inputs, member.inputs):
            yield f"{where}.inputs: there is no `{missing[:80]}`, which the ensemble takes"
    if ensemble.size is not None and not 1 <= ensemble.size <= len(ensemble.members):
        yield f"program.size: must lie in 1..{len(ensemble.members)}"
    for place, program in enumerate(parts(ensemble)):
        for name, lm in program.lms.items():
            if lm != ensemble.lms[name]:
                yield f"program.members[{place}].lms.{name}: another member has another model of this name"
    reduce = ensemble.reduce
    if isinstance(reduce, ByProgram):
        yield from _program(reduce.program, "program.reduce.program")
        for name in unfed(reduce.program, ensemble.inputs, ensemble.members):
            yield f"program.reduce.program.inputs: nothing is given for `{name[:80]}`"
        for name in lacking(ensemble.outputs, reduce.program.outputs):
            yield f"program.reduce.program.outputs: `{name[:80]}` is not as the ensemble has it"
    elif not isinstance(reduce, First):
        output = next((field for field in ensemble.outputs if field.name == reduce.field), None)
        if output is None:
            yield f"program.reduce.field: there is no output `{reduce.field[:80]}`"
        elif isinstance(reduce, Mean) and not has_mean(output.type):
            yield f"program.reduce.field: `{output.name}` is not a float, so it has no mean"


def _program(program: Program, where: str) -> Iterator[str]:
    yield from _fields(program.inputs, f"{where}.inputs", program)
    yield from _fields(program.outputs, f"{where}.outputs", program)
    for name, record in program.records.items():
        yield from _fields(record.fields, f"{where}.records.{name}", program)
        yield from _checks(record.checks, f"{where}.records.{name}")
        yield from in_checks(record.checks, record.fields, f"{where}.records.{name}", program)
    yield from plain_names(program, where)
    for table in ("records", "lms", "graphs"):
        for key, one in getattr(program, table).items():
            if one.name != key:
                yield f"{where}.{table}.{key[:80]}: it is called `{one.name[:80]}` inside"
    for name, lm in program.lms.items():
        yield from settings(lm, f"{where}.lms.{name}", program)
        if name in with_fallbacks(lm.fallback, lambda other: _fallback(program, other)):
            yield f"{where}.lms.{name}.fallback: it leads back to `{name[:80]}`"
    for name, predictor in program.predictors.items():
        yield from _predictor(predictor, f"{where}.predictors.{name}", program)
    for name, module in program.modules.items():
        yield from _module(module, f"{where}.modules.{name}", program)
    for name, tool in program.tools.items():
        yield from _tool(tool, f"{where}.tools.{name[:80]}", program)
    yield from _graph(program, where, program)
    for key, graph in program.graphs.items():
        place = f"{where}.graphs.{key}"
        yield from _fields(graph.inputs, f"{place}.inputs", program)
        yield from _fields(graph.outputs, f"{place}.outputs", program)
        yield from _graph(graph, place, program)
    yield from _once(program, where)
    yield from _bounded(program, where)
    yield from media_faults(program, where)
    if program.neighbours is not None:
        yield from _neighbours(program.neighbours, f"{where}.neighbours", program)


def _fallback(program: Program, name: str) -> Sequence[str]:
    lm = program.lms.get(name)
    return () if lm is None else lm.fallback


def _tool(tool: Tool, where: str, program: Program) -> Iterator[str]:
    from ..tools.base import MAX_RESULT, option_faults  # few programs have tools
    from ..tools.table import SOURCES

    yield from _fields((*tool.inputs, *tool.outputs), where, program)
    if tool.output is not None:
        yield from _type(tool.output, where, program)
    if (tool.output is None) != bool(tool.outputs):
        yield f"{where}: a tool gives one value, or named ones"
    if not all(map(_NAME.fullmatch, tool.name.split("."))):
        yield f"{where}.name: {tool.name[:80]!r} is not a name"
    if tool.lm is not None and tool.lm not in program.lms:
        yield f"{where}.lm: there is no lm `{tool.lm[:80]}`"
    for name, value, least, most in (
        ("timeout", tool.timeout, 0.1, 3600),
        ("retry", tool.retry, 0, 20),
        ("max_result", tool.max_result, 1, MAX_RESULT),
        ("max_parallel", tool.max_parallel, 1, 256),
    ):
        if value is not None and not least <= value <= most:
            yield f"{where}.{name}: must lie in {least}..{most:,}"
    source = SOURCES.get(tool.source)
    if source is None:
        yield f"{where}.source: input should be {' or '.join(map(repr, SOURCES))}"
        return
    for fault in (*option_faults(source, tool.options), *source.faults(tool)):
        yield f"{where}.options: {fault}"


def _neighbours(index: Neighbours, where: str, program: Program) -> Iterator[str]:
    if not 1 <= index.k <= MAX_ROWS:
        yield f"{where}.k: must lie in 1..{MAX_ROWS:,}"
    for member in ("max_bootstrapped_demos", "max_labeled_demos"):
        if not 0 <= getattr(index, member) <= MAX_ROWS:
            yield f"{where}.{member}: must lie in 0..{MAX_ROWS:,}"
    if len(index.rows) > MAX_ROWS:
        yield f"{where}.rows: {len(index.rows):,}, and an index has at most {MAX_ROWS:,}"
    if (index.vectorizer == "lm") != (index.lm is not None):
        yield f"{where}.vectorizer: an index has a model when, and only when, it compares embeddings"
    if index.lm is not None:
        if index.lm not in program.lms:
            yield f"{where}.lm: there is no lm `{index.lm[:80]}`"
        yield from _vectors(index, where)
    for place, row in enumerate(index.rows):
        for address in (*row.bootstrapped, *row.labelled):
            if address not in program.predictors:
                yield f"{where}.rows[{place}]: there is no predictor `{address[:80]}`"


def _vectors(index: Neighbours, where: str) -> Iterator[str]:
    size: int | None = None
    for place, row in enumerate(index.rows):
        try:
            found = len(unpack(row.vector))
        except ValueError as error:
            yield f"{where}.rows[{place}].vector: {error}"
            continue
        size = size or found
        if found != size:
            yield f"{where}.rows[{place}].vector: {found} numbers, and the first row has {size}"


def _predictor(predictor: Predictor, where: str, program: Program) -> Iterator[str]:
    if predictor.lm not in program.lms:
        yield f"{where}: there is no lm `{predictor.lm}`"
    if strategy_named(predictor.strategy, several=False) is None:
        yield f"{where}.strategy: input should be {' or '.join(map(repr, of_one_call()))}"
    if predictor.settings is not None:
        yield from in_ranges(predictor.settings, f"{where}.settings")
    signature = predictor.signature
    yield from _fields((*signature.inputs, *signature.outputs), f"{where}.signature", program)
    if not signature.outputs:
        yield f"{where}.signature: it has no outputs"
    if not 0 <= signature.max_retries <= 100:
        yield f"{where}.signature.max_retries: must lie in 0..100"
    yield from _checks(signature.checks, f"{where}.signature")
    fields = (*signature.inputs, *signature.outputs)
    yield from in_checks(signature.checks, fields, f"{where}.signature", program)


def _module(module: ModuleSpec, where: str, program: Program) -> Iterator[str]:
    """What is wrong with a module of several calls: it must be as its strategy's record says."""
    strategy = strategy_named(module.strategy, several=True)
    if strategy is None:
        yield f"{where}.strategy: input should be {' or '.join(map(repr, of_several_calls()))}"
        return
    yield from _fields((*module.inputs, *module.outputs), where, program)
    for role in strategy.roles:
        if module.predictors.get(role) not in program.predictors:
            yield f"{where}.predictors: there is no predictor of the role `{role}`"
    for role in module.predictors:
        if role not in strategy.roles:
            yield f"{where}.predictors: `{strategy.name}` has no role `{role[:80]}`"
    tables = (program.predictors, program.modules, program.graphs)
    for key in _twice(module.tools):
        yield f"{where}.tools: `{key[:80]}` is there twice"
    for key in module.tools:
        if not any(key in table for table in (program.tools, *tables)):
            yield f"{where}.tools: there is no `{key[:80]}` to call"
    if strategy.tries != (module.runs is not None):
        yield f"{where}.runs: `{strategy.name}` {'needs something' if strategy.tries else 'has nothing'} to try"
    if module.runs is not None and not any(module.runs in table for table in tables):
        yield f"{where}.runs: there is no `{module.runs[:80]}` to try"
    yield from _options(module, strategy, where)
    yield from _own_function(module, strategy, where, program)
    if all(
        role in module.predictors and module.predictors[role] in program.predictors for role in strategy.roles
    ):
        for fault in strategy.faults(program, module):
            yield f"{where}.predictors: {fault}"
    if module.reward is not None:
        yield from _reward(module.reward, f"{where}.reward", program)
        yield from in_reward(module, f"{where}.reward", program)


def _own_function(
    module: ModuleSpec, strategy: ModuleStrategy, where: str, program: Program
) -> Iterator[str]:
    function = module.function
    if bool(strategy.function) != (function is not None):
        yield f"{where}.function: `{strategy.name}` {'needs a' if strategy.function else 'has no'} function"
    if function is None:
        return
    tool = program.tools.get(function.tool)
    if tool is None:
        yield f"{where}.function: there is no tool `{function.tool[:80]}`"
    elif tool.output is not None:
        yield f"{where}.function: a module gives named outputs"
    if len(function.names) != len(module.tools) or len(set(function.names)) != len(function.names):
        yield f"{where}.function.names: a name for each of the tools, and none twice"
    if module.tools and MAX_CALLS not in module.options:
        yield f"{where}.options.{MAX_CALLS}: it is missing"
    yield from _checks(function.checks, f"{where}.function")


def _options(module: ModuleSpec, strategy: ModuleStrategy, where: str) -> Iterator[str]:
    known = {option.name: option for option in strategy.options if not option.of_function}
    for name, option in known.items():
        at = f"{where}.options.{name[:80]}"
        value = module.options.get(name)
        if option.value in ("tools", "lm"):  # what they name stands elsewhere in the program
            continue
        if option.value == "metric":
            if module.reward is None:
                yield f"{where}.reward: `{strategy.name}` needs one"
        elif value is None:
            if not option.optional:
                yield f"{at}: it is missing"
        elif option.value == "output":
            if value not in {field.name for field in module.outputs}:
                yield f"{at}: there is no such output"
        elif isinstance(value, bool) or not isinstance(
            value, int if option.value == "integer" else (int, float)
        ):
            yield f"{at}: input should be {'a whole number' if option.value == 'integer' else 'a number'}"
        elif (option.low is not None and value < option.low) or (
            option.high is not None and value > option.high
        ):
            yield f"{at}: out of range"
    for name, value in module.options.items():
        if name not in known and (name, value) != COMPAT:
            yield f"{where}.options: `{strategy.name}` has no option `{name[:80]}` of this value"


def _reward(reward: Reward, where: str, program: Program) -> Iterator[str]:
    yield from _functions(reward.score, f"{where}.score")
    if reward.feedback is not None:
        yield from _functions(reward.feedback, f"{where}.feedback")
    for place, let in enumerate(reward.lets):
        yield from _functions(let.value, f"{where}.lets[{place}]")
    own = [reward.pred, *(let.name for let in reward.lets), *(judge.name for judge in reward.judges)]
    for name in _twice(own) if reward.lets else ():
        yield f"{where}: `{name[:80]}` is there twice"
    for place, judge in enumerate(reward.judges):
        at = f"{where}.judges[{place}]"
        if judge.program.lms:
            yield f"{at}.program.lms: a judge asks the models of its program"
        yield from _program(judge.program.with_lms(program.lms), f"{at}.program")
        given = {field.name: field.type for field in judge.program.outputs}
        if given.get("score") != FLOAT or given.get("reason") != STR:
            yield f"{at}.program.outputs: a judge gives a `score` and a `reason`"
        yield from _fed(judge.inputs, judge.program.inputs, f"{at}.inputs")
        for name, expression in judge.inputs.items():
            yield from _functions(expression, f"{at}.inputs.{name}")


def _graph(graph: Graph, where: str, program: Program) -> Iterator[str]:
    """Faults of a graph's steps and of what it returns."""
    yield from in_graph(graph, where, program)
    yield from _block(graph.steps, (), where, program)
    for name, expression in graph.returns.items():
        yield from _functions(expression, f"{where}.returns.{name}")
    for output in graph.outputs:
        if output.name not in graph.returns:
            yield f"{where}.returns: the output `{output.name}` is missing"


def _once(program: Program, where: str) -> Iterator[str]:
    """Keys that stand in two of the tables, and names that two tools have: nobody would know which is meant."""
    tables = (program.predictors, program.modules, program.tools, program.graphs)
    for key in _twice([key for table in tables for key in table]):
        yield f"{where}: `{key[:80]}` is there twice"
    for name in _twice([tool.name for tool in program.tools.values()]):
        yield f"{where}.tools: two are called `{name[:80]}`"


def _twice(names: Iterable[str]) -> list[str]:
    """Those among the names that are there before."""
    seen: set[str] = set()
    return [name for name in names if name in seen or seen.add(name)]


def _bounded(program: Program, where: str) -> Iterator[str]:
    """Faults of a program whose runs may not end, or may call too much."""
    try:
        problem = excess(program)
    except ConfigurationError as error:
        yield f"{where}: {error.message}"
        return
    if problem:
        yield f"{where}: a run may take {problem}"


def _step(step: Step, where: str, program: Program) -> Iterator[str]:
    match step:
        case CallStep():
            predictor = program.predictors.get(step.predictor)
            if predictor is None:
                yield f"{where}: there is no predictor `{step.predictor}`"
            else:
                yield from _fed(step.arguments, predictor.signature.inputs, where)
            yield from _arguments(step.arguments, where)
        case RunStep():
            runs = program.modules.get(step.runs) or program.graphs.get(step.runs)
            if runs is None:
                yield f"{where}: there is no module or program `{step.runs[:80]}`"
            else:
                yield from _fed(step.arguments, runs.inputs, where)
            yield from _arguments(step.arguments, where)
        case ToolStep():
            tool = program.tools.get(step.tool)
            if tool is None:
                yield f"{where}: there is no tool `{step.tool[:80]}`"
            else:
                yield from _fed(step.arguments, tool.inputs, where)
            yield from _arguments(step.arguments, where)
        case ValueStep():
            yield from _functions(step.value, where)
        case BranchStep():
            yield from _functions(step.condition, f"{where}.condition")
            for name, block in (("consequence", step.consequence), ("alternative", step.alternative)):
                yield from _block(block.steps, (block.value,), f"{where}.{name}", program)
        case EachStep():
            yield from _functions(step.iterable, f"{where}.iterable")
            if not 0 <= step.least <= step.most <= MAX_STEPS:
                yield f"{where}.most: must lie in {max(0, min(step.least, MAX_STEPS)):,}..{MAX_STEPS:,}"
            yield from _block(step.body.steps, (step.body.value,), f"{where}.body", program)
        case RepeatStep():
            if not 0 <= step.times <= MAX_STEPS:
                yield f"{where}.times: must lie in 0..{MAX_STEPS:,}"
            for name in (*step.again, *step.last):
                if name not in step.start:
                    yield f"{where}.again: `{name[:80]}` is no part of the state"
            until = () if step.until is None else (step.until,)
            value = () if step.value is None else (step.value,)
            values = (*step.start.values(), *until, *step.again.values(), *step.last.values(), *value)
            yield from _block((*step.steps, *step.then), values, where, program)
        case CheckStep():
            yield from _checks((step.check,), where)


def _fed(given: Iterable[str], inputs: Sequence[FieldSpec], where: str) -> Iterator[str]:
    """Inputs that what is called is not given, and arguments that it does not take."""
    names = set(given)
    for field in inputs:
        if field.name not in names and not field.has_default and not isinstance(field.type, OptionalOf):
            yield f"{where}.arguments: the input `{field.name[:80]}` is missing"
    for name in sorted(names.difference(field.name for field in inputs)):
        yield f"{where}.arguments: there is no input `{name[:80]}`"


def _arguments(arguments: dict[str, Expression], where: str) -> Iterator[str]:
    for name, expression in arguments.items():
        yield from _functions(expression, f"{where}.arguments.{name}")


def _block(
    steps: Sequence[Step], values: Sequence[Expression], where: str, program: Program
) -> Iterator[str]:
    for name in _twice([step.name for step in steps if not isinstance(step, CheckStep)]):
        yield f"{where}.steps: `{name[:80]}` is there twice"
    for index, step in enumerate(steps):
        yield from _step(step, f"{where}.steps[{index}]", program)
    for value in values:
        yield from _functions(value, where)


def _fields(fields: Sequence[FieldSpec], where: str, program: Runnable) -> Iterator[str]:
    seen: set[str] = set()
    for field in fields:
        if not _NAME.fullmatch(field.name):
            yield f"{where}: {field.name[:80]!r} is not a name"
        if field.name in seen:
            yield f"{where}: `{field.name}` is there twice"
        seen.add(field.name)
        yield from _type(field.type, f"{where}.{field.name}", program)


def _type(kind: Type, where: str, program: Runnable) -> Iterator[str]:
    match kind:
        case ListOf(item=item) | OptionalOf(item=item):
            yield from _type(item, where, program)
        case DictOf(key=key, value=value):
            yield from _type(key, where, program)
            yield from _type(value, where, program)
        case RecordRef(name=name) if name not in program.records:
            yield f"{where}: there is no record `{name}`"
        case OneOf(values=()) | OneOfNumbers(values=()):
            yield f"{where}: a union without values"
        case OneOf(values=values, notes=notes) if len(notes) not in (0, len(values)):
            yield f"{where}: {len(notes)} notes on {len(values)} values"
        case TupleOf(items=items):
            if not 1 <= len(items) <= MAX_TUPLE:
                yield f"{where}: a tuple has 1 to {MAX_TUPLE} values, and this one {len(items):,}"
            for index, item in enumerate(items[:MAX_TUPLE]):
                yield from _type(item, f"{where}[{index}]", program)
        case OneOfRecords():
            yield from _union(kind, where, program)
        case _:
            pass


def _union(kind: OneOfRecords, where: str, program: Runnable) -> Iterator[str]:
    if not 1 <= len(kind.records) <= MAX_RECORDS:
        yield f"{where}: a union has 1 to {MAX_RECORDS} records, and this one {len(kind.records):,}"
        return
    seen: set[str] = set()
    for name in kind.records:
        own = tags_of(name, kind.tag, program.records)
        if name not in program.records:
            yield f"{where}: there is no record `{name[:80]}`"
        elif not own or not seen.isdisjoint(own):
            yield f"{where}: `{kind.tag[:80]}` does not tell `{name[:80]}` from the other records"
        seen.update(own)


def _checks(checks: Sequence[Check], where: str) -> Iterator[str]:
    for check in checks:
        yield from _functions(check.condition, where)
        yield from _functions(check.message, where)


def _functions(expression: Expression, where: str) -> Iterator[str]:
    """Functions that this version does not have."""
    match expression:
        case Constant() | Variable():
            return
        case Member(target=target):
            parts: tuple[Expression, ...] = (target,)
        case Item(target=target, index=index):
            parts = (target, index)
        case Apply(function=function, arguments=arguments, named=named):
            if function not in FUNCTIONS:
                yield f"{where}: this version of dspec has no function `{function}`"
            elif (problem := misfit(FUNCTIONS[function], len(arguments), named)) is not None:
                yield f"{where}: {function}: {problem}"
            parts = (*arguments, *named.values())
        case UnaryOp(operand=operand):
            parts = (operand,)
        case BinaryOp(left=left, right=right):
            parts = (left, right)
        case If():
            parts = (expression.condition, expression.consequence, expression.alternative)
        case ListOfItems(items=items):
            parts = items
        case ForEach(element=element, iterable=iterable):
            parts = (element, iterable)
    for part in parts:
        yield from _functions(part, where)
