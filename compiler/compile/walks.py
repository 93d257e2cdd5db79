"""Walks a program as its runs go, and adds up what their calls take: how many bytes a prompt holds, from those of a row.

What expressions make is bounded by what goes in (`sizes`); what calls take and give, a ruler says (`rulers`), one walk serving
both. Since sizes grow ever faster with those of the row, a sum over rows is at most the walk of all their sizes together and the
walks of nothing for the others.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from heapq import nlargest
from types import MappingProxyType

from msgspec import Struct, field

from dspec.runtime.adapters import adapter_of, extraction
from dspec.runtime.models.prices import native, takes_schema
from dspec.runtime.models.transports.answers import FRAME
from dspec.runtime.running.strategies.base import REWARD, RUNS, TOOLS, Role, Times
from dspec.runtime.running.strategies.table import STRATEGIES, strategy_of, times_of
from dspec.runtime.running.thinking import as_asked, thought_in
from dspec.runtime.schema.ensemble import Ensemble, Runnable
from dspec.runtime.schema.expressions import Expression
from dspec.runtime.schema.identity import Same
from dspec.runtime.schema.lms import asked_as, with_fallbacks
from dspec.runtime.schema.program import (
    LM,
    BranchStep,
    CallStep,
    Demo,
    EachStep,
    FieldSpec,
    ModuleSpec,
    NestedSteps,
    Predictor,
    Program,
    RepeatStep,
    RunStep,
    Step,
    ToolStep,
    ValueStep,
    reached_from,
    walked,
)
from dspec.runtime.schema.trace import CODE
from dspec.runtime.schema.types import JsonValue, Row
from dspec.runtime.values.media import dearness, is_history, medium_kind

from .rulers import BYTES_WRITTEN, Load, Ruler
from .sizes import RowSizes, Sized, Sizes, bytes_of, longer, plus, scaled, size_of, whole

ASKED_AGAIN = 400
"""Bytes of a request to mend an answer, and of what it says of each output, at most."""
_MARGIN = 64
"""Bytes around a value: the header of its section, its name in an object."""
_TOOL_TOLD = 400


def _blank(field: FieldSpec) -> JsonValue:
    """A value that takes no room in a prompt."""
    return [] if is_history(field.type) else ""


def askings(program: Program) -> int:
    """How often a call is made at most: once more to mend its answer, and all of that for each failed check."""
    times = 2
    for predictor in program.predictors.values():
        signature = predictor.signature
        if signature.checks or any(record.checks for record in program.records.values()):
            times = max(times, 2 * (1 + signature.max_retries))
    most = max((one.signature.max_retries for one in program.predictors.values()), default=0)
    graphs = (program, *program.graphs.values())
    checks = [step for graph in graphs for step in walked(graph.steps) if step.kind == "check"]
    return times * (1 + most) ** len(checks)


def readers(program: Program) -> int:
    """How many models may be asked for one answer, one after the other, because nobody could read what came before."""
    lms = [predictor.asks(program.lms) for predictor in program.predictors.values()]
    asked = [one for one in lms if one is not None]
    return max((_readers(lm) * _readers(giving(lm, program.lms)) ** lm.two_step for lm in asked), default=1)


def _readers(lm: LM) -> int:
    return 1 + len(lm.fallback) if lm.on_unreadable else 1


class Walk:
    """A program, walked as its runs go. `more` are bytes that each predictor is told beyond what it is told now: demos
    and words that steps may add; `lms` are the models of the project, for those that the program does not have yet; `given`
    are the models that steps may give to a predictor; `within` is how often what runs the program is done again."""

    def __init__(
        self,
        program: Program,
        ruler: Ruler,
        *,
        lms: Mapping[str, LM],
        more: Mapping[str, int],
        given: Mapping[str, Sequence[str]] = MappingProxyType({}),
        within: int = 1,
    ) -> None:
        self.program = program
        self.given = given
        self.ruler = ruler
        self.lms = {**lms, **program.lms}
        self.more = more
        self.asked = askings(program) * within
        self._frames: dict[tuple[Same[Predictor], str], int] = {}
        graphs = (program, *program.graphs.values())
        self._checks = [
            step.check for graph in graphs for step in walked(graph.steps) if step.kind == "check"
        ]
        self._checks += [check for record in program.records.values() for check in record.checks]
        """Those that are no predictor's own."""

    def run(self, inputs: Sizes) -> tuple[Load, Sized]:
        """One run on inputs of these sizes, and what comes of it."""
        load = Load()
        program = self.program
        index = program.neighbours
        if index is not None and index.lm is not None and (lm := self.lms.get(index.lm)) is not None:
            text = whole(dict(inputs)) + _MARGIN * len(inputs)
            self._embed(load, lm, text, 1)
        outputs = self._graph(program.inputs, program.steps, program.returns, inputs, load, 1, 0)
        return load, outputs

    def frame(self, predictor: Predictor, lm: LM, *, extracting: bool = False) -> int:
        """Bytes of the prompt without inputs, a request's other parts among it."""
        key = (Same(predictor), lm.name)
        if key not in self._frames:
            layout = adapter_of(lm, extracting=extracting)
            blank: Row = {one.name: _blank(one) for one in predictor.signature.inputs}
            told = predictor if extracting else as_asked(predictor, lm)
            messages = layout.render(told, blank, self.program.records)
            size = sum(
                len(one.content.encode(errors="replace"))
                + FRAME
                + sum(each.medium.tokens(lm.model) for each in one.attached)
                for one in messages
            )
            form = layout.form(told, self.program.records) if takes_schema(lm) else None
            form = form or layout.response_format(told, self.program.records, lm)
            self._frames[key] = size + (0 if form is None else bytes_of(form))
        return self._frames[key]

    def demo_frame(self, predictor: Predictor, lm: LM) -> int:
        """Bytes of a demo besides its values, and besides what says that some are left out."""
        signature = predictor.signature
        inputs: Row = {one.name: _blank(one) for one in signature.inputs}
        outputs: Row = {one.name: "" for one in signature.outputs}
        demo = Demo(inputs=inputs, outputs=outputs)
        shown = predictor.model_copy(update={"demos": (demo,)})
        bare = predictor.model_copy(update={"demos": ()})
        return self.frame(shown, lm) - self.frame(bare, lm)

    # Steps -----------------------------------------------------------------------------------------

    def _graph(
        self,
        fields: Sequence[FieldSpec],
        steps: Iterable[Step],
        returns: Mapping[str, Expression],
        inputs: Sizes,
        load: Load,
        times: float,
        hint: int,
    ) -> Sized:
        scope: dict[str, Sized] = {
            one.name: inputs.get(one.name, bytes_of(one.default) if one.has_default else 4) for one in fields
        }
        self._steps(steps, scope, load, times, hint)
        return {name: size_of(expression, scope) for name, expression in returns.items()}

    def _steps(
        self, steps: Iterable[Step], scope: dict[str, Sized], load: Load, times: float, hint: int
    ) -> None:
        for step in steps:
            match step:
                case CallStep(predictor=key) | RunStep(runs=key) | ToolStep(tool=key):
                    given = {name: size_of(one, scope) for name, one in step.arguments.items()}
                    scope[step.name] = self._key(key, given, load, times, hint)
                case ValueStep():
                    scope[step.name] = size_of(step.value, scope)
                case BranchStep():
                    ways = (step.consequence, step.alternative)
                    loads = [Load() for _ in ways]
                    first, second = (
                        self._block(way, scope, one, times, hint)
                        for way, one in zip(ways, loads, strict=True)
                    )
                    load.add(self.ruler.either(loads))
                    scope[step.name] = longer(first, second)
                case EachStep():
                    scope[step.name] = self._each(step, scope, load, times, hint)
                case RepeatStep():
                    scope[step.name] = self._repeat(step, scope, load, times, hint)
                case _:
                    pass  # what a check sends back is counted with the calls

    def _block(self, block: NestedSteps, scope: Sizes, load: Load, times: float, hint: int) -> Sized:
        inner = dict(scope)
        self._steps(block.steps, inner, load, times, hint)
        return size_of(block.value, inner)

    def _each(self, step: EachStep, scope: Sizes, load: Load, times: float, hint: int) -> Sized:
        """All items together are as long as the list: one that is that long, and the others of nothing."""
        count = self.ruler.count(Times(step.least, step.most))
        if count <= 0:
            return 2
        items = size_of(step.iterable, scope)
        longest = self._block(step.body, {**scope, step.variable: items}, load, times, hint)
        if count <= 1:
            return scaled(longest, 1)
        empty = self._block(
            step.body, {**scope, step.variable: scaled(items, 0)}, load, times * (count - 1), hint
        )
        return plus(scaled(longest, 1), scaled(empty, count - 1))

    def _repeat(self, step: RepeatStep, scope: Sizes, load: Load, times: float, hint: int) -> Sized:
        state: dict[str, Sized] = {name: size_of(one, scope) for name, one in step.start.items()}
        rounds = self.ruler.count(
            Times(min(1, step.times) if step.until is not None else step.times, step.times)
        )
        while rounds > 0:
            inner: dict[str, Sized] = {**scope, **state}
            one = Load()
            self._steps((*step.steps, *step.then), inner, one, times * min(1.0, rounds), hint)
            after = dict(state)
            for given in (step.again, step.last):
                for name, value in given.items():
                    after[name] = longer(after.get(name, 0), size_of(value, inner))
            if after == state:  # every further round is like this one
                load.add(one, max(1.0, rounds))
                break
            load.add(one)
            state, rounds = after, rounds - 1
        return dict(state) if step.value is None else size_of(step.value, {**scope, **state})

    # Calls -----------------------------------------------------------------------------------------

    def _key(self, key: str, given: Sizes, load: Load, times: float, hint: int) -> Sized:
        program = self.program
        if (predictor := program.predictors.get(key)) is not None:
            return self._call(key, predictor, given, load, times, hint)
        if (module := program.modules.get(key)) is not None:
            return self._module(module, given, load, times, hint)
        if (graph := program.graphs.get(key)) is not None:
            return self._graph(graph.inputs, graph.steps, graph.returns, given, load, times, hint)
        if (tool := program.tools.get(key)) is not None:
            if tool.lm is not None and (lm := self.lms.get(tool.lm)) is not None:
                self._embed(load, lm, whole(dict(given)), times)
            result = self.ruler.result(tool)
            load.written += times * (whole(dict(given)) + result)
            return result if tool.output is not None else {one.name: result for one in tool.outputs}
        return 0

    def _call(
        self,
        address: str,
        predictor: Predictor,
        given: Sizes,
        load: Load,
        times: float,
        hint: int,
        *,
        content: float | None = None,
        told: Predictor | None = None,
        tools: int = 0,
    ) -> Sized:
        """A call of a predictor, on whichever model it is: what any of them takes, and gives at most."""
        outputs: Sized = 0
        loads: list[Load] = []
        for name in dict.fromkeys((predictor.lm, *self.given.get(address, ()))):
            one = Load()
            on = predictor if name == predictor.lm else predictor.model_copy(update={"lm": name})
            gives = self._call_on(
                address, on, given, one, hint, load.written, content=content, told=told, tools=tools
            )
            outputs = longer(outputs, gives) if loads else gives
            loads.append(one)
        load.add(
            loads[0] if len(loads) == 1 else self.ruler.either(loads), times * strategy_of(predictor).calls
        )
        return outputs

    def _call_on(
        self,
        address: str,
        predictor: Predictor,
        given: Sizes,
        one: Load,
        hint: int,
        before: float,
        *,
        content: float | None,
        told: Predictor | None,
        tools: int,
    ) -> Sized:
        """Adds one call to `one`; all calls before it have made so many bytes."""
        lms = [asked_as(self.lms[name], predictor.settings) for name in _asked(predictor.lm, self.lms)]
        if not lms:
            return {one.name: 0 for one in predictor.signature.outputs}
        if content is None:
            dear = max(dearness(lm.model) for lm in lms)
            content = sum(
                (whole(given[one.name]) if one.name in given else bytes_of(one.default))
                * (1 if medium_kind(one.type) is None else dear)
                for one in predictor.signature.inputs
            )
        answer = max(self.ruler.answer(predictor, lm) for lm in lms)
        reading = self._reading(lms[0])
        # What a model thinks by itself, it says beside the answer from which others are taken.
        gives = [*reading, *lms] if thought_in(predictor, lms[0]) else reading or lms
        outputs: dict[str, Sized] = {
            one.name: max(self.ruler.written(one, predictor, lm) for lm in gives)
            for one in predictor.signature.outputs
        }
        prompt = content + hint + self.more.get(address, 0)
        prompt += max(self.frame(told or predictor, lm) + (tools if native(lm) else 0) for lm in lms)
        giving = max((self.ruler.answer(predictor, lm) for lm in reading), default=answer)
        one.written = content + min(whole(outputs), BYTES_WRITTEN * giving + _MARGIN * len(outputs))
        objection = self._objection(predictor, {**given, **outputs}, max(before, one.written))
        if not reading:
            self.ruler.call(one, lms, prompt, answer, self.asked, objection)
        else:
            # What cannot be read is asked again of the second call alone.
            self.ruler.call(one, lms, prompt, answer, self.asked // 2, objection)
            reader = extraction(predictor, reading[0].name)
            shown = BYTES_WRITTEN * answer + max(self.frame(reader, lm, extracting=True) for lm in reading)
            self.ruler.call(one, reading, shown, giving, _readers(lms[0]) * self.asked, objection)
        one.largest[address] = math.ceil(content)
        return outputs

    def _reading(self, lm: LM) -> list[LM]:
        """The model that takes the outputs from what `lm` says in two steps, and those that it falls back to."""
        if not lm.two_step:
            return []
        return [self.lms[name] for name in _asked(lm.extract or lm.name, self.lms)]

    def _objection(self, predictor: Predictor, scope: Sizes, everything: float) -> int:
        """Bytes of what is said of an answer that cannot be read or breaks a check."""
        outputs = predictor.signature.outputs
        unreadable = ASKED_AGAIN * (1 + len(outputs)) + sum(2 * len(str(one.type)) for one in outputs)
        own = sum(whole(size_of(check.message, scope)) for check in predictor.signature.checks)
        anything: Sizes = {"": math.ceil(everything)}
        others = sum(whole(size_of(check.message, anything)) for check in self._checks)
        return max(unreadable, ASKED_AGAIN + own + others)

    def _embed(self, load: Load, lm: LM, size: int, times: float) -> None:
        one = Load()
        self.ruler.call(one, [lm], size + FRAME, 0, 1, 0)
        load.add(one, times)

    def _module(self, module: ModuleSpec, given: Sizes, load: Load, times: float, hint: int) -> Sized:
        """A role is shown the module's inputs, and where it has inputs of its own, what was made in the module before."""
        program, counts = self.program, times_of(module)
        strategy = STRATEGIES.get(module.strategy)
        roles = {
            role: (address, predictor)
            for role, address in module.predictors.items()
            if (predictor := program.predictors.get(address)) is not None
        }
        outputs = {
            role: self._call(address, predictor, given, Load(), 1, 0, content=0)
            for role, (address, predictor) in roles.items()
        }
        facts: Mapping[str, Role] = {} if strategy is None else strategy.roles
        advice = max(map(whole, outputs.values()), default=0)
        made = sum(
            self.ruler.count(counts.get(role, Times(0, 1))) * whole(one)
            for role, one in outputs.items()
            if role not in facts or not facts[role].alone
        )
        code = None if strategy is None or strategy.code is None else strategy.code(module)
        if code is not None:  # what its calls give is seen by later prompts only as far as it shows that
            advice = self.ruler.ran(code.given)
            made += self.ruler.count(counts[CODE]) * self.ruler.ran(code.shown)
        found: list[Sized] = []
        if module.runs is not None:
            run = Load()
            heard = advice + _MARGIN if roles else 0
            found.append(self._key(module.runs, given, run, 1, hint + heard))
            tried = self.ruler.count(counts.get(RUNS, Times(0, 0)))
            load.add(run, times * tried)
            made += tried * run.written + whole(found[0])
            if roles:
                made += sum(
                    max(
                        (
                            self.frame(predictor, lm)
                            for name in (predictor.lm, *self.given.get(address, ()))
                            if (lm := predictor.asks(self.lms, name)) is not None
                        ),
                        default=0,
                    )
                    for address in reached_from(program, module.runs)
                    if (predictor := program.predictors.get(address)) is not None
                )
        if module.tools and TOOLS in counts:
            called: list[Load] = []
            for key in module.tools:
                one = Load()
                takes = _inputs_of(program, key)
                found.append(self._key(key, {each.name: advice for each in takes}, one, 1, 0))
                called.append(one)
            each = self.ruler.either(called)
            load.add(each, times * self.ruler.count(counts[TOOLS]))
            if code is None:
                made += self.ruler.count(counts[TOOLS]) * max(advice + max(map(whole, found)), each.written)
        own = {one.name for one in module.inputs}
        told_of = 2 * _TOOL_TOLD * len(module.tools)
        for role, (address, predictor) in roles.items():
            fact = facts.get(role)
            shown = sum(whole(one) for name, one in given.items() if name in own)
            if fact is not None and fact.shown is not None:
                shown = self.ruler.ran(fact.shown(module))
            if not {one.name for one in predictor.signature.inputs} <= own and not (fact and fact.alone):
                shown += math.ceil(self.ruler.share() * made) + _MARGIN
            told = None
            if fact is not None and fact.told is not None:
                told = fact.told(program, module)
                told_of += 2 * sum(len(text.encode(errors="replace")) for text in told.signature.fixed)
            count = self.ruler.count(counts.get(role, Times(0, 1)))
            self._call(
                address, predictor, given, load, times * count, hint, content=shown, told=told, tools=told_of
            )
        # What code submits is bounded as what it shows.
        submitted = 0 if code is None else self.ruler.ran(code.shown)
        answers = self._answers(module, [*outputs.values(), *found], submitted)
        if module.reward is not None and (asked := counts.get(REWARD)) is not None:
            scope: dict[str, Sized] = {module.reward.pred: {**given, **answers}}
            for let in module.reward.lets:
                scope[let.name] = size_of(let.value, scope)
            for judge in module.reward.judges:
                walk = Walk(judge.program, self.ruler, lms=self.lms, more={}, within=self.asked)
                shown = {name: size_of(one, scope) for name, one in judge.inputs.items()}
                judging, _ = walk.run(shown)
                load.add(Load(taken=judging.taken), judge.most * times * self.ruler.count(asked))
        return answers

    def _answers(self, module: ModuleSpec, found: Sequence[Sized], least: int) -> dict[str, Sized]:
        """The module's outputs: what something in it gave under their names, or else as a whole; `least` bytes each."""
        answers: dict[str, Sized] = {}
        for one in module.outputs:
            named = [size[one.name] for size in found if isinstance(size, dict) and one.name in size]
            answers[one.name] = max((least, *map(whole, named or found)))
        return answers


def _asked(name: str, lms: Mapping[str, LM]) -> list[str]:
    """A model and those that it falls back to, as far as they are known."""
    if name not in lms:
        return []
    return [
        one
        for one in with_fallbacks([name], lambda one: lms[one].fallback if one in lms else ())
        if one in lms
    ]


def giving(lm: LM, lms: Mapping[str, LM]) -> LM:
    """The model whose answers hold the outputs where `lm` is asked: itself, or the one that takes them from what it says."""
    return lms.get(lm.extract, lm) if lm.two_step and lm.extract is not None else lm


def _inputs_of(program: Program, key: str) -> Sequence[FieldSpec]:
    if (predictor := program.predictors.get(key)) is not None:
        return predictor.signature.inputs
    for table in (program.modules, program.graphs, program.tools):
        if key in table:
            return table[key].inputs
    return ()


def chosen_per_input(program: Program) -> dict[str, int]:
    """Bytes of the demos that an index which the program has adds to each predictor's prompt, at most."""
    index = program.neighbours
    if index is None:
        return {}
    found: dict[str, int] = {}
    for address, predictor in program.predictors.items():
        demos = (
            (one for kept in (row.bootstrapped, row.labelled) if (one := kept.get(address)) is not None)
            for row in index.rows
        )
        sizes = [max((_demo_bytes(one) for one in each), default=0) for each in demos]
        lm = program.lms.get(predictor.lm)
        dear = any(medium_kind(one.type) for one in predictor.signature.inputs)
        found[address] = sum(nlargest(index.shown, sizes)) * (dearness(lm.model) if lm and dear else 1)
    return found


def _demo_bytes(demo: Demo) -> int:
    values = {**demo.inputs, **demo.outputs}
    return (
        2 * FRAME + _MARGIN + sum(bytes_of(value) + 2 * len(name) + _MARGIN for name, value in values.items())
    )


class Laden(Struct, frozen=True):
    """A program, or an ensemble's members, with the bytes that steps may add to each predictor's prompt, and the models that
    they may give to it."""

    program: Runnable
    more: Mapping[str, int] = field(default_factory=dict[str, int])
    lms: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])


def run_load(laden: Laden, ruler: Ruler, lms: Mapping[str, LM], inputs: Sizes) -> tuple[Load, Sized]:
    """What one run takes on inputs of these sizes, and the sizes of what it gives."""
    program = laden.program
    if not isinstance(program, Ensemble):
        return Walk(program, ruler, lms=lms, more=laden.more, given=laden.lms).run(inputs)
    ran = [run_load(Laden(one, laden.more, laden.lms), ruler, lms, inputs) for one in program.members]
    outputs: Sized = ran[0][1]
    for _, one in ran[1:]:
        outputs = longer(outputs, one)
    load = Load()
    if program.size is None:
        for one, _ in ran:
            load.add(one)
    else:
        load.add(ruler.either([one for one, _ in ran]), program.size)
    if program.reducer is not None:
        answers = outputs if isinstance(outputs, dict) else {}
        lists = {name: scaled(size, len(program.members)) for name, size in answers.items()}
        reducing, outputs = Walk(program.reducer, ruler, lms=lms, more={}).run({**inputs, **lists})
        load.add(reducing)
    return load, outputs


def rows_load(laden: Laden, ruler: Ruler, lms: Mapping[str, LM], rows: RowSizes) -> Load:
    """What a run on each of the rows takes."""
    load, _ = run_load(laden, ruler, lms, rows.total)
    if rows.count > 1:
        nothing, _ = run_load(laden, ruler, lms, dict.fromkeys(rows.total, 0))
        load.add(nothing, rows.count - 1)
    return load
