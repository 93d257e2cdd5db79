"""What the expressions of a program that was read refer to: names, fields and judges, each of which must be there.

A name that nothing gives would be found out when it is read: on the first row that takes a branch, or never, where a check
that cannot be computed counts as broken. The shape of a value is followed as far as the file says it; of one that
is not known, any field may be read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

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
from ..schema.program import (
    BranchStep,
    CallStep,
    Check,
    CheckStep,
    EachStep,
    FieldSpec,
    Graph,
    ModuleSpec,
    Program,
    Record,
    RepeatStep,
    RunStep,
    Step,
    ToolStep,
    ValueStep,
    walked,
)
from ..schema.types import (
    ANY,
    DictOf,
    ListOf,
    OneOf,
    OneOfNumbers,
    OneOfRecords,
    OptionalOf,
    RecordRef,
    Scalar,
    TupleOf,
    Type,
)

MAX_WRITTEN = 2_000
"""Steps of one graph, those inside others counted."""

Shape = Type | Mapping[str, Type] | None
"""What is known of a value: its type, the fields that it has, or nothing."""
Scope = Mapping[str, Shape]


def in_graph(graph: Graph, where: str, program: Program) -> Iterator[str]:
    """What the steps of a graph, and what it returns, read of what stands before them."""
    if sum(1 for _ in walked(graph.steps)) > MAX_WRITTEN:
        yield f"{where}.steps: more than {MAX_WRITTEN:,}"
        return
    known = _of_fields(graph.inputs)
    yield from _steps(graph.steps, known, f"{where}.steps", program)
    yield from _all(graph.returns.values(), known, f"{where}.returns", program)


def in_checks(
    checks: Sequence[Check], fields: Sequence[FieldSpec], where: str, program: Program
) -> Iterator[str]:
    """What the checks of a signature or a record read of its fields."""
    for check in checks:
        yield from _all((check.condition, check.message), _of_fields(fields), f"{where}.checks", program)


def in_reward(module: ModuleSpec, where: str, program: Program) -> Iterator[str]:
    """What the reward of a module reads of what it tries, of its judges and of the score."""
    reward = module.reward
    if reward is None:
        return
    tried = (*module.inputs, *module.outputs, *_gives(module.runs, program))
    scope: dict[str, Shape] = {judge.name: None for judge in reward.judges}
    scope[reward.pred] = {field.name: field.type for field in tried}
    for place, let in enumerate(reward.lets):
        yield from _all((let.value,), scope, f"{where}.lets[{place}]", program)
        scope[let.name] = _Found(program.records).shape(let.value, scope)
    told: dict[str, Shape] = {**scope, "score": None, "reason": None}
    yield from _all((reward.score,), scope, f"{where}.score", program)
    if reward.feedback is not None:
        yield from _all((reward.feedback,), told, f"{where}.feedback", program)
    asks: dict[str, set[str]] = {}
    for place, judge in enumerate(reward.judges):
        yield from _all(judge.inputs.values(), told, f"{where}.judges[{place}].inputs", program)
        asks[judge.name] = {name for one in judge.inputs.values() for name in _read(one) if name in scope}
    # Each round leaves out the judges that ask none of those that are left: what is never left out asks itself.
    while ready := [name for name, others in asks.items() if not others & asks.keys()]:
        for name in ready:
            del asks[name]
    for name in asks:
        yield f"{where}.judges: `{name[:80]}` would be asked about what it says itself"


def _gives(key: str | None, program: Program) -> Sequence[FieldSpec]:
    """The outputs of a predictor, a module or a graph of the program."""
    if key in program.predictors:
        return program.predictors[key].signature.outputs
    if key in program.modules:
        return program.modules[key].outputs
    return program.graphs[key].outputs if key in program.graphs else ()


def _of_fields(fields: Iterable[FieldSpec]) -> dict[str, Shape]:
    return {field.name: field.type for field in fields}


def _all(expressions: Iterable[Expression], scope: Scope, where: str, program: Program) -> Iterator[str]:
    for expression in expressions:
        found = _Found(program.records)
        found.shape(expression, scope)
        for fault in dict.fromkeys(found.faults):
            yield f"{where}: {fault}"


def _steps(steps: Sequence[Step], known: dict[str, Shape], where: str, program: Program) -> Iterator[str]:
    """`known` gains what the steps give, each for those after it."""
    for index, step in enumerate(steps):
        at = f"{where}[{index}]"
        given: Shape = None
        match step:
            case CallStep() | RunStep() | ToolStep():
                yield from _all(step.arguments.values(), known, at, program)
                given = _given(step, program)
            case ValueStep():
                yield from _all((step.value,), known, at, program)
                given = _Found(program.records).shape(step.value, known)
            case CheckStep():
                yield from _all((step.check.condition, step.check.message), known, at, program)
                if step.blames is not None and step.blames not in known:
                    yield f"{at}.blames: there is no step `{step.blames[:80]}`"
                continue
            case BranchStep():
                yield from _all((step.condition,), known, at, program)
                for block in (step.consequence, step.alternative):
                    inner = {**known}
                    yield from _steps(block.steps, inner, at, program)
                    yield from _all((block.value,), inner, at, program)
            case EachStep():
                yield from _all((step.iterable,), known, at, program)
                inner = {**known, step.variable: None}
                yield from _steps(step.body.steps, inner, at, program)
                yield from _all((step.body.value,), inner, at, program)
            case RepeatStep():
                yield from _repeated(step, known, at, program)
        known[step.name] = given


def _repeated(step: RepeatStep, known: Scope, at: str, program: Program) -> Iterator[str]:
    yield from _all(step.start.values(), known, at, program)
    state: dict[str, Shape] = dict.fromkeys(step.start)
    inner = {**known, **state}
    yield from _steps(step.steps, inner, at, program)
    if step.until is not None:
        yield from _all((step.until,), inner, at, program)
    yield from _steps(step.then, inner, at, program)
    value = () if step.value is None else (step.value,)
    given = (one.name for one in (*step.steps, *step.then) if not isinstance(one, CheckStep))
    ends = {**known, **state, **dict[str, Shape].fromkeys(given)}
    yield from _all((*step.again.values(), *step.last.values(), *value), ends, at, program)


def _given(step: CallStep | RunStep | ToolStep, program: Program) -> Shape:
    """What is known of the step's value."""
    if isinstance(step, CallStep):
        predictor = program.predictors.get(step.predictor)
        return None if predictor is None else {one.name: one.type for one in predictor.signature.outputs}
    if isinstance(step, RunStep):
        graph = program.graphs.get(step.runs)
        return None if graph is None else {one.name: one.type for one in graph.outputs}
    tool = program.tools.get(step.tool)
    return None if tool is None else tool.output or {one.name: one.type for one in tool.outputs}


def _read(expression: Expression) -> Iterator[str]:
    found = _Found({})
    found.shape(expression, {})
    return iter(found.names)


class _Found:
    """What one expression reads: the `names`, and as `faults` what is not there."""

    def __init__(self, records: Mapping[str, Record]) -> None:
        self.names: set[str] = set()
        self.faults: list[str] = []
        self._records = records

    def shape(self, node: Expression, scope: Scope) -> Shape:
        match node:
            case Constant():
                return None
            case Variable(name=name):
                self.names.add(name)
                if name not in scope:
                    self.faults.append(f"there is nothing called `{name[:80]}`")
                return scope.get(name)
            case Member(target=target, name=name):
                return self._member(self.shape(target, scope), name)
            case Item(target=target, index=index):
                self.shape(index, scope)
                return _item(self.shape(target, scope), index)
            case ForEach(element=element, variable=variable, iterable=iterable, of=of):
                each = _item(self.shape(iterable, scope))
                inner = {variable: each} if of is None else {variable: None, of: each}
                self.shape(element, {**scope, **inner})
                return None
            case Apply(arguments=arguments, named=named):
                parts: Iterable[Expression] = (*arguments, *named.values())
            case UnaryOp(operand=operand):
                parts = (operand,)
            case BinaryOp(left=left, right=right):
                parts = (left, right)
            case If():
                parts = (node.condition, node.consequence, node.alternative)
            case ListOfItems(items=items):
                parts = items
        for part in parts:
            self.shape(part, scope)
        return None

    def _member(self, target: Shape, name: str) -> Shape:
        while isinstance(target, OptionalOf):
            target = target.item
        if isinstance(target, RecordRef):
            record = self._records.get(target.name)
            if record is None:
                return None  # which is a fault of its own
            fields: Mapping[str, Type] = {field.name: field.type for field in record.fields}
        elif isinstance(target, Mapping):
            fields = target
        elif isinstance(target, OneOfRecords):
            # A condition may have asked which of them it is: the check knows, and here any of them may be meant.
            fields = {
                field.name: field.type
                for name in reversed(target.records)
                for field in (self._records[name].fields if name in self._records else ())
            }
        elif isinstance(target, ListOf | TupleOf | OneOf | OneOfNumbers) or (
            isinstance(target, Scalar) and target != ANY
        ):
            self.faults.append(f"`.{name[:80]}` is read of what has no fields")
            return None
        else:
            return None
        if name not in fields:
            self.faults.append(f"there is no field `{name[:80]}`, only {_listed(fields)}")
        return fields.get(name)


def _item(target: Shape, index: Expression | None = None) -> Shape:
    while isinstance(target, OptionalOf):
        target = target.item
    match target:
        case TupleOf(items=items):
            place = index.value if isinstance(index, Constant) else None
            known = isinstance(place, int) and -len(items) <= place < len(items)
            return items[place] if isinstance(place, int) and known else None
        case ListOf(item=item):
            return item
        case DictOf(value=value):
            return value
        case _:
            return None


def _listed(fields: Iterable[str]) -> str:
    return ", ".join(f"`{name[:80]}`" for name in fields)[:300] or "none"
