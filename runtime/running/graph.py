"""Running a graph: steps that do not depend on each other run at the same time.

A step starts when what it reads is there. A check belongs to what it can send back: the step it
blames and the steps up to the check that depend on that one; whatever reads one of those later
waits for the check. Steps are awaited in their written order, so when several fail, the error
is that of the first one, however the answers arrive. What the trace holds is in that order, too.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec.structs import replace

from ..errors import CheckFailed, ConfigurationError, DspecError, EvaluationError, FunctionFailed, ToolFailed
from ..models.protocol import Answering
from ..schema.program import (
    BranchStep,
    CallStep,
    CheckStep,
    EachStep,
    Graph,
    ModuleSpec,
    NestedSteps,
    Predictor,
    Program,
    RepeatStep,
    RunStep,
    Step,
    Tool,
    ToolStep,
    ValueStep,
)
from ..schema.trace import CODE, TraceStep
from ..schema.types import JsonValue, Row
from ..tools.base import Undeclared, declared
from ..values.checks import Failure, failures
from ..values.interpret import evaluate, names, spend
from ..values.rows import fitting
from .asking import ask_again, fits, given_up
from .hinting import hinted, unhinted
from .order import order_of
from .rewards import scored
from .session import NativeCalls, ProgramRun
from .siblings import Siblings
from .stepruns import (
    Last,
    StepRun,
    as_dropped,
    as_recorded,
    done_again,
    entry_of,
    joined,
    remarks,
    with_answer,
    with_recording,
)
from .strategies.base import Scored
from .strategies.table import conducted, strategy_of

if TYPE_CHECKING:
    from ..tools.sandbox import CodeRan, Sandbox

Result = TypeVar("Result")

STEPS_OF_A_STEP = 10
"""Beginning a step counts as so many steps of an expression, so that loops within loops are bounded in time, too."""


async def run_graph(session: ProgramRun, graph: Graph, inputs: Row, path: str = "") -> StepRun:
    """One run of a graph on checked inputs; the value is its outputs. Raises what its steps raise."""
    steps = _Steps(session, graph.steps, dict(inputs), path, graph.name)
    await _run_traced(steps)
    returns = {name: evaluate(expression, steps.scope) for name, expression in graph.returns.items()}
    outputs = fitting(graph.outputs, returns, session.program.records, graph.name)
    return StepRun(outputs, steps.trace(), steps.notes())


async def in_order(work: Iterable[Coroutine[Any, Any, Result]]) -> list[Result]:
    """Does all of the work at the same time, and gives the results in order. Raises the error of the first in order
    that fails, and cancels the rest."""
    siblings = Siblings[Result]()
    for one in work:
        siblings.begin(one)
    return await siblings.results()


def take_of(sample: int, take: int, place: str = "") -> int:
    """The sample of one of several runs that may ask the same but need answers of their own. The first one has the
    sample of a single run. `place` tells nested takes apart: the second item of the first round is not the first item of
    the second round."""
    if take == 0:
        return sample
    key = f"{sample}/{take}{place and '/'}{place}"
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:6])


async def run_key(session: ProgramRun, key: str, inputs: Row, step: str) -> StepRun:
    """One run of what the key names: a predictor, a module, a graph or a tool.

    Raises EvaluationError for inputs that do not fit, ToolFailed when the tool failed, and what running raises.
    """
    program = session.program
    if (predictor := program.predictors.get(key)) is not None:
        return await _predict(session, key, predictor, inputs, step)
    if (module := program.modules.get(key)) is not None:
        return await _conduct(session, key, module, inputs, step)
    if (graph := program.graphs.get(key)) is not None:
        return await run_graph(session, graph, fitting(graph.inputs, inputs, program.records, step), step)
    if (tool := program.tools.get(key)) is not None:
        return await _call(session, key, tool, inputs, step)
    raise ConfigurationError(f"step `{step}` calls `{key}`, which the program lacks")


async def _predict(
    session: ProgramRun, address: str, predictor: Predictor, inputs: Row, step: str
) -> StepRun:
    row = fitting(predictor.signature.inputs, inputs, session.program.records, step)
    session = with_recording(session)
    if session.voice is not None:
        session = replace(session, speaking=session.voice.at(step, address))
    try:
        asked = await strategy_of(predictor).run(session, predictor, row)
    except DspecError as error:
        if session.speaking is not None:
            session.speaking.withdraw(error.message)
        recording = session.recording
        if recording is not None:
            entry = TraceStep(step, address, row, {}, len(recording.calls), (f"failed: {error.message}",))
            error.trace = (as_recorded(session, entry, recording.said),)
        raise
    if session.speaking is not None:
        session.speaking.settle(asked.outputs)
    return StepRun(
        asked.outputs, (entry_of(session.recording, step, address, asked),), (), Last(predictor, asked, 0)
    )


async def _call(
    session: ProgramRun,
    key: str,
    tool: Tool,
    inputs: Row,
    step: str,
    *,
    function: bool = False,
    asked: Answering | None = None,
) -> StepRun:
    """One call of a tool, or of the `function` that a module is; `asked` is for what that calls."""
    arguments = fitting(tool.inputs, inputs, session.program.records, step)
    began = time.perf_counter()
    answer = await session.engine.call(
        tool, arguments, lms=session.program.lms, records=session.program.records, answer=asked
    )
    entry = TraceStep(step, "", arguments, {}, 0, answer.notes, tool=key)
    if session.recording is not None:
        seconds = time.perf_counter() - began
        entry = replace(entry, began=began - session.recording.origin, seconds=seconds)
    what = "the function of the module" if function else "the tool"
    value: JsonValue = None
    error, undeclared = answer.error, answer.undeclared
    if not error:
        try:
            value = declared(tool, answer.value, session.program.records)
        except Undeclared as problem:
            error, undeclared = problem.message, True
    if error:
        how = "gave what it is not declared to give" if undeclared else "failed"
        failure = f"{what} `{tool.name}` {how}: {error}"
        raised = FunctionFailed(failure) if function and not answer.late else ToolFailed(failure)
        raised.trace = (replace(entry, outputs={"error": failure}),)
        raise raised
    outputs: Row = value if tool.output is None and isinstance(value, dict) else {"result": value}
    return StepRun(value, (replace(entry, outputs=outputs),))


async def _conduct(session: ProgramRun, name: str, module: ModuleSpec, inputs: Row, step: str) -> StepRun:
    row = fitting(module.inputs, inputs, session.program.records, step)
    conductor = _Conductor(session, name, module, step)
    try:
        outputs = await conducted(module)(conductor, row)
    except DspecError as error:
        error.trace = (*conductor.ran({}).trace, *error.trace)
        raise
    return conductor.ran(fitting(module.outputs, outputs, session.program.records, step))


class _Conductor:
    """What a strategy of several calls is given to work with (`strategies.base.Conductor`).

    A call takes its place in the trace when it begins, so that calls which run at the same time stand there in the
    order in which the strategy began them.
    """

    def __init__(self, session: ProgramRun, name: str, module: ModuleSpec, step: str) -> None:
        self.program = session.program
        self.name = name
        self.module = module
        self._session = session
        self._step = step
        self._ran: list[StepRun | None] = []
        self._notes: list[str] = []
        self._takes: dict[int, int] = {}
        """By place in what ran: the take of an attempt, and of what is said of it."""
        self._chosen: int | None = None
        """A take."""

    async def ask(
        self,
        role: str,
        inputs: Row,
        *,
        predictor: Predictor | None = None,
        take: int = 0,
        temperature: float | None = None,
        calling: NativeCalls | None = None,
        together: bool = False,
    ) -> Row:
        address = self.module.predictors[role]
        asked = predictor or self.program.predictors.get(address)
        if asked is None:
            raise ConfigurationError(f"`{self._step}` lacks its predictor `{address}`")
        session = self._taking(take, temperature)
        if calling is not None or together:
            session = replace(session, calling=calling, together=together)
        return (await self._keep(_predict(session, address, asked, inputs, f"{self._step}.{role}"))).outputs

    async def attempt(
        self,
        inputs: Row,
        *,
        take: int = 0,
        temperature: float | None = None,
        hints: Mapping[str, str] = MappingProxyType({}),
    ) -> Row:
        key = self.module.runs
        if key is None:
            raise ConfigurationError(f"`{self._step}` has nothing to try")
        session = self._taking(take, temperature)
        if hints:
            session = replace(session, program=hinted(session.program, hints))
        self._takes[len(self._ran)] = take
        work = run_key(session, key, inputs, f"{self._step}[{take}]")
        return (await self._keep(work, hints=hints)).outputs

    def calls_of(self, take: int) -> tuple[TraceStep, ...]:
        place = next((place for place, of in self._takes.items() if of == take), None)
        ran = None if place is None else self._ran[place]
        return () if ran is None else ran.trace

    def choose(self, take: int) -> None:
        self._chosen = take

    def fits(self, role: str, inputs: Row, *, predictor: Predictor | None = None) -> bool:
        asked = predictor or self.program.predictors[self.module.predictors[role]]
        return fits(self._session, asked, inputs)

    async def call(self, key: str, arguments: Row, *, take: int = 0) -> JsonValue:
        work = run_key(self._taking(take, None), key, arguments, f"{self._step}.{key}")
        return (await self._keep(work, answering=False)).value

    async def function(self, inputs: Row, answer: Answering | None) -> Row:
        own = self.module.function
        tool = None if own is None else self.program.tools.get(own.tool)
        if own is None or tool is None:
            raise ConfigurationError(f"`{self._step}` has no function")
        work = _call(self._session, own.tool, tool, inputs, self._step, function=True, asked=answer)
        return (await self._keep(work)).outputs

    async def run_code(self, code: str, sandbox: Sandbox) -> CodeRan:
        ran: list[CodeRan] = []

        async def work() -> StepRun:
            began = time.perf_counter()
            entry = TraceStep(f"{self._step}.code", "", {"code": code}, {}, 0, tool=CODE)
            try:
                ran.append(await sandbox.run(code))
            except DspecError as error:
                error.trace = (replace(entry, outputs={"error": error.message}), *error.trace)
                raise
            entry = replace(entry, outputs=ran[0].told())
            if self._session.recording is not None:
                seconds = time.perf_counter() - began
                entry = replace(entry, began=began - self._session.recording.origin, seconds=seconds)
            return StepRun(None, (entry,))

        await self._keep(work(), answering=False)
        return ran[0]

    async def score(self, inputs: Row, outputs: Row, *, take: int = 0) -> Scored:
        reward = self.module.reward
        if reward is None:
            raise ConfigurationError(f"`{self._step}` has no reward")
        found = await scored(reward, inputs, outputs, self._judge)
        said = (f"feedback: {found.feedback}",) if found.feedback else ()
        self._takes[len(self._ran)] = take
        self._remark(f"{self._step}[{take}]", *said, reward=found.score)
        return found

    async def _judge(self, program: Program, inputs: Row) -> Row:
        """A judge's outputs. As in a compile its sample is always 0, so that equal questions of all takes share an answer."""
        program = program.with_lms(self.program.lms).model_copy(update={"tools": self.program.tools})
        session = replace(self._session, program=program, sample=0, temperature=None)
        work = run_graph(session, program, inputs, f"{self._step}.reward")
        return (await self._keep(work, dropped=True)).outputs  # what it said is no answer of the program's

    def note(self, text: str) -> None:
        self._notes.append(text)
        self._remark(self._step, text)

    def _remark(self, step: str, *notes: str, reward: float | None = None) -> None:
        self._ran.append(StepRun(None, remarks(self._session, step, *notes, reward=reward)))

    def ran(self, outputs: Row) -> StepRun:
        """All that was done, and as the exchange that the outputs come from the last one that has all of them."""
        trace: list[TraceStep] = []
        last: Last | None = None
        notes = list(self._notes)
        for place, ran in enumerate(self._ran):
            if ran is None:
                continue
            lost = self._chosen is not None and self._takes.get(place, self._chosen) != self._chosen
            if not lost and ran.last is not None and outputs.items() <= ran.outputs.items():
                last = replace(ran.last, place=len(trace) + ran.last.place)
            trace += as_dropped(ran.trace) if lost else ran.trace
            notes += ran.notes
        return StepRun(outputs, tuple(trace), tuple(notes), last)

    def _taking(self, take: int, temperature: float | None) -> ProgramRun:
        if take == 0 and temperature is None:
            return self._session
        sample = take_of(self._session.sample, take)
        if temperature is None:
            temperature = self._session.temperature
        return replace(self._session, sample=sample, temperature=temperature)

    async def _keep(
        self,
        work: Coroutine[Any, Any, StepRun],
        *,
        dropped: bool = False,
        answering: bool = True,
        hints: Mapping[str, str] = MappingProxyType({}),
    ) -> StepRun:
        """What the work gives, once it has its place; without `answering`, the module's outputs are never its own."""
        place = len(self._ran)
        self._ran.append(None)
        try:
            ran = await work
        except DspecError as error:
            self._ran[place] = StepRun(None, as_dropped(error.trace))  # the strategy may go on
            error.trace = ()
            raise
        if dropped:
            ran = replace(ran, trace=as_dropped(ran.trace))
        if not answering:
            ran = replace(ran, last=None)
        if hints:
            ran = replace(ran, trace=tuple(unhinted(self.program, entry, hints) for entry in ran.trace))
        self._ran[place] = ran
        return ran


class _Steps:
    """Steps in progress. `scope` gains every step's value as it comes."""

    def __init__(
        self, session: ProgramRun, steps: tuple[Step, ...], scope: dict[str, JsonValue], path: str, name: str
    ) -> None:
        self.session = session
        self.steps = steps
        self.scope = scope
        self.path = path
        self.name = name
        """The graph's name, for messages."""
        self.done: dict[int, StepRun] = {}
        spend(STEPS_OF_A_STEP * (len(steps) + 1) + len(scope) // 8)
        self.order = order_of(steps)

    async def run(self) -> None:
        if len(self.steps) == 1:
            await self.step(0)
            return
        siblings = Siblings[None]()
        for index in range(len(self.steps)):
            before = [siblings.tasks[earlier] for earlier in self.order[index].after]
            siblings.begin(self.when_ready(index, before))
        await siblings.results()

    async def when_ready(self, index: int, before: Sequence[asyncio.Task[None]]) -> None:
        for task in before:
            await asyncio.shield(task)
        await self.step(index)

    async def step(self, index: int) -> None:
        step = self.steps[index]
        if isinstance(step, CheckStep):
            await self.check(index, step)
        else:
            self.keep(index, step.name, await self.value_of(step))

    async def value_of(self, step: Step) -> StepRun:
        match step:
            case CallStep(predictor=key) | RunStep(runs=key) | ToolStep(tool=key):
                given = {
                    name: evaluate(expression, self.scope) for name, expression in step.arguments.items()
                }
                return await run_key(self.session, key, given, self.place(step.name))
            case ValueStep(value=value):
                return StepRun(evaluate(value, self.scope))
            case BranchStep():
                chosen = evaluate(step.condition, self.scope)
                if not isinstance(chosen, bool):
                    raise EvaluationError(
                        f"{self.name}: the condition of `{step.name}` is neither true nor false"
                    )
                block = step.consequence if chosen else step.alternative
                return await self.block(block, {}, self.place(step.name))
            case EachStep():
                return await self.each(step)
            case RepeatStep():
                return await self.repeat(step)
            case CheckStep():
                raise AssertionError("a check has no value")

    async def block(
        self, block: NestedSteps, more: Mapping[str, JsonValue], path: str, session: ProgramRun | None = None
    ) -> StepRun:
        """A block in a scope of its own, with more names in it."""
        steps = self.inner(block.steps, {**self.scope, **more}, path, session or self.session)
        await _run_traced(steps)
        return StepRun(evaluate(block.value, steps.scope), steps.trace(), steps.notes())

    def inner(
        self, steps: tuple[Step, ...], scope: dict[str, JsonValue], path: str, session: ProgramRun
    ) -> _Steps:
        return _Steps(session, steps, scope, path, self.name)

    def taking(self, step: str, take: int) -> ProgramRun:
        """The session of one item or round of a step. If two of them ask the same, they get two answers."""
        sample = take_of(self.session.sample, take, f"{self.name}.{step}")
        return replace(self.session, sample=sample) if take else self.session

    async def each(self, step: EachStep) -> StepRun:
        items = evaluate(step.iterable, self.scope)
        if not isinstance(items, list):
            raise EvaluationError(f"{self.name}: `{step.name}` walks through a list, and this is none")
        if len(items) > step.most:
            raise EvaluationError(
                f"{self.name}: `{step.name}` walks through {len(items):,} items, and {step.most:,} are the most"
            )
        if len(items) < step.least:
            raise EvaluationError(
                f"{self.name}: `{step.name}` walks through {len(items):,} items, and {step.least:,} are the least"
            )
        place = self.place(step.name)
        ran = await in_order(
            self.block(step.body, {step.variable: item}, f"{place}[{number}]", self.taking(step.name, number))
            for number, item in enumerate(items)
        )
        return joined([one.value for one in ran], ran)

    async def repeat(self, step: RepeatStep) -> StepRun:
        state = {name: evaluate(value, self.scope) for name, value in step.start.items()}
        ran: list[StepRun] = []
        place = self.place(step.name)
        for number in range(step.times):
            scope = {**self.scope, **state}
            session = self.taking(step.name, number)
            first = self.inner(step.steps, scope, f"{place}[{number}]", session)
            await _run_traced(first)
            ran.append(StepRun(None, first.trace(), first.notes()))
            if step.until is not None:
                over = evaluate(step.until, scope)
                if not isinstance(over, bool):
                    raise EvaluationError(
                        f"{self.name}: the `until` of `{step.name}` is neither true nor false"
                    )
                if over:
                    state = {**state, **{name: evaluate(value, scope) for name, value in step.last.items()}}
                    break
            second = self.inner(step.then, scope, f"{place}[{number}]", session)
            await _run_traced(second)
            ran.append(StepRun(None, second.trace(), second.notes()))
            state = {**state, **{name: evaluate(value, scope) for name, value in step.again.items()}}
        value = state if step.value is None else evaluate(step.value, {**self.scope, **state})
        return joined(value, ran)

    def place(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    def keep(self, index: int, name: str, ran: StepRun) -> None:
        self.done[index] = ran
        self.scope[name] = ran.value

    async def check(self, index: int, step: CheckStep) -> None:
        """Runs the check. Where it fails, the blamed step is asked again, as often as its signature allows."""
        broken = failures([step.check], self.scope)
        if not broken:
            return
        blamed = self.order[index].blamed
        last = None if blamed is None else self.done[blamed].last
        if blamed is None or last is None:
            if step.check.kind == "assert":
                raise self.failed(index, step, CheckFailed(f"{self.name}: {broken[0].message}"))
            note = f"suggest not met: {broken[0].message}"
            self.done[index] = StepRun(None, self.remarks(index, step, note), (note,))
            return
        for _ in range(last.predictor.signature.max_retries):
            await self.revise(blamed, list(dict.fromkeys(failure.message for failure in broken)))
            broken = await self.again(index, step)
            if not broken:
                return
        ran = self.done[blamed]
        assert ran.last is not None
        try:
            notes = (*ran.last.asked.notes, *given_up(broken, self.name, ran.last.asked))
        except CheckFailed as error:
            raise self.failed(index, step, error) from None
        session = with_recording(self.session, ran.trace[ran.last.place].calls)
        self.done[blamed] = with_answer(session, ran, replace(ran.last.asked, notes=notes))

    def failed(self, index: int, step: CheckStep, error: CheckFailed) -> CheckFailed:
        self.done[index] = StepRun(None, self.remarks(index, step, f"failed: {error.message}"))
        return error

    def remarks(self, index: int, step: CheckStep, note: str) -> tuple[TraceStep, ...]:
        """What is said of the last step that a check reads; of the graph where it reads none."""
        read = names(step.check.condition)
        earlier = [
            one.name for one in self.steps[:index] if not isinstance(one, CheckStep) and one.name in read
        ]
        about = step.blames or (earlier[-1] if earlier else "")
        return remarks(self.session, self.place(about) if about else self.path or self.name, note)

    async def revise(self, index: int, messages: Sequence[str]) -> None:
        """Asks for the step's outputs again: its last exchange goes on with what is wrong with them."""
        ran, step = self.done[index], self.steps[index]
        last = ran.last
        assert last is not None
        assert not isinstance(step, CheckStep)
        asked = replace(last.asked, notes=(*last.asked.notes, *(f"asked again: {text}" for text in messages)))
        session = with_recording(self.session, ran.trace[last.place].calls)
        speaking = session.voice and session.voice.last(ran.trace[last.place].step)
        if speaking is not None:
            speaking.withdraw(asked.notes[-1])
            session = replace(session, speaking=speaking)
        answered = await ask_again(session, last.predictor, asked, messages)
        if speaking is not None:
            speaking.settle(answered.outputs)
        self.keep(index, step.name, with_answer(session, ran, answered))

    async def again(self, index: int, step: CheckStep) -> list[Failure]:
        """Runs the steps again that depend on a new answer. Gives the failures of the checks among them, else of this one."""
        broken: list[Failure] = []
        for dependent in self.order[index].redone:
            other = self.steps[dependent]
            if isinstance(other, CheckStep):
                broken.extend(failures([other.check], self.scope))
            elif not any(failure.kind == "assert" for failure in broken):
                earlier = self.done.get(dependent)
                if self.session.voice is not None:
                    self.session.voice.withdraw(
                        self.place(other.name), "what it follows from was asked again"
                    )
                await self.step(dependent)
                if earlier is not None and earlier.trace:
                    self.done[dependent] = done_again(earlier, self.done[dependent])
        return broken or failures([step.check], self.scope)

    def trace(self) -> tuple[TraceStep, ...]:
        return tuple(entry for _, ran in sorted(self.done.items()) for entry in ran.trace)

    def notes(self) -> tuple[str, ...]:
        return tuple(note for _, ran in sorted(self.done.items()) for note in ran.notes)


async def _run_traced(steps: _Steps) -> None:
    """Runs the steps. An error carries the trace of what was done before it."""
    try:
        await steps.run()
    except DspecError as error:
        error.trace = (*steps.trace(), *error.trace)
        raise
