"""Tokens and money of calls that nobody has made: what a compile is expected to take, and what it takes at most.

The maximum is a bound for every provider that keeps to `max_tokens` and bills what it answers: it is made of the rows and
of the demos and words that steps may add (`walks`), with every answer asked for again as often as the program allows. A
second one holds where requests fail after they were billed. What is expected before the first compile is a guess; a compile
leaves behind by how much it was wrong (`bills.Seen`), for each purpose, and the next plan corrects it so. What a judge is shown
depends on answers that nobody has yet: the guess takes them to be as long as the labels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from dspec.runtime.adapters.base import LEFT_OUT
from dspec.runtime.models.limits import FURTHER
from dspec.runtime.models.prices import context_window, price
from dspec.runtime.models.transports.answers import FRAME, estimate_text
from dspec.runtime.schema.ensemble import Runnable, programs
from dspec.runtime.schema.lms import with_fallbacks
from dspec.runtime.schema.program import LM, FieldSpec, Program, Tool, canonical
from dspec.runtime.tools.base import Ground
from dspec.runtime.tools.table import SOURCES
from dspec.runtime.values.media import dearness, is_history, medium_kind

from .. import ir
from ..data import Rows
from ..evaluate.counts import Range
from ..evaluate.meter import PURPOSES, Purpose
from ..optimizers.base import Shows, Writes
from ..optimizers.choosing import ModelChoice
from ..optimizers.frozen import tunable
from ..optimizers.proposing.answers import MAX_EXTENDED, MAX_INSTRUCTION
from ..optimizers.proposing.cases import MAX_CASES, MAX_FEEDBACK
from ..optimizers.proposing.outline import outline, role
from ..optimizers.proposing.showing import MAX_CHARACTERS, MAX_ROWS
from ..optimizers.training.results import untuned_name
from ..optimizers.training.table import TRAINERS, trainer_named
from . import sizes, walks
from .bills import Bill, Guess, TrainingPlan
from .rulers import BYTES_WRITTEN, Likely, Load, Most, dearest
from .sizes import Sized
from .walks import ASKED_AGAIN, Laden

SAMPLE_ROWS = 20
"""Rows whose labels say how long answers are."""
OUTPUT_TOKENS = 12
"""Assumed tokens of an output whose size nobody knows; `reasoning` counts several times as much."""
REASONING_TOKENS = 80
PROMPT_TOKENS = (3000, 300)
"""Assumed tokens, in and out, of a call that writes an instruction."""
_WRITTEN = 1_000
"""Assumed bytes of an instruction that a model wrote."""
_QUESTION = 8_000
"""Bytes of the task of a call that writes an instruction, with the frame of its prompt, at most."""
_UTF8 = 4
"""Bytes of a character at most."""
_ASKED = 2
"""How often a call that writes an instruction is made: once more to mend its answer."""


class Growth(Struct, frozen=True):
    """What steps have made of a program: bytes of demos and of words that its prompts may have gained, and those that they
    likely have; and the models that its predictors may ask by now, where steps chose among several."""

    most_demos: Mapping[str, int] = {}
    most_words: Mapping[str, int] = {}
    likely_demos: Mapping[str, int] = {}
    likely_words: Mapping[str, int] = {}
    lms: Mapping[str, tuple[str, ...]] = {}

    def most(self, program: Runnable) -> Laden:
        return Laden(program, _both(self.most_demos, self.most_words), self.lms)

    def likely(self, program: Runnable) -> Laden:
        return Laden(program, _both(self.likely_demos, self.likely_words), self.lms)


def _both(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in (*one, *other)}


def grown(program: Runnable) -> Growth:
    """Of a program that no step has changed: what its index shows."""
    found: dict[str, int] = {}
    for one in programs(program):
        for address, size in walks.chosen_per_input(one).items():
            found[address] = max(size, found.get(address, 0))
    return Growth(most_demos=found, likely_demos=found)


def larger(growths: Sequence[Growth]) -> Growth:
    """Of programs that stand together: for each predictor the most of any."""

    def most(tables: Sequence[Mapping[str, int]]) -> dict[str, int]:
        return {name: max(table.get(name, 0) for table in tables) for table in tables for name in table}

    return Growth(
        most([one.most_demos for one in growths]),
        most([one.most_words for one in growths]),
        most([one.likely_demos for one in growths]),
        most([one.likely_words for one in growths]),
        {
            address: tuple(dict.fromkeys(name for each in growths for name in each.lms.get(address, ())))
            for one in growths
            for address in one.lms
        },
    )


def histories(project: ir.Project) -> set[str]:
    """The columns of rows that hold turns."""
    columns = [column for dataset in project.datasets.values() for column in dataset.inputs]
    return {column.name for column in columns if is_history(column.type)}


class Reckoning:
    """Adds up what the parts of a compile take. `folder` is the one below which tools have their files."""

    def __init__(
        self, project: ir.Project, train: Rows, val: Rows, prompt_lm: LM | None, folder: Path
    ) -> None:
        turns = histories(project)
        self.train = sizes.sized(train, histories=turns)
        self.val = self.train if val is train else sizes.sized(val, histories=turns)
        self.project = project
        self._lms = project.lms
        self._prompt_lm = prompt_lm
        self._folder = folder
        self._tools: dict[int, tuple[Tool, int | None]] = {}
        self._most = Most(self._tool)
        self._likely = Likely(_Answers(val[:SAMPLE_ROWS] or train[:SAMPLE_ROWS]), self._tool)
        self._bounds = Load()
        self._guesses: dict[Purpose, Load] = {purpose: Load() for purpose in PURPOSES}
        self._again: dict[tuple[object, ...], tuple[Runnable, tuple[Load, Sized]]] = {}
        """Runs that were walked; the programs are held so that their identities stay theirs."""

    # Parts -----------------------------------------------------------------------------------------

    def all_rows(
        self,
        program: Runnable,
        growth: Growth,
        rows: sizes.RowSizes,
        calls: Range,
        *,
        likely: float | None = None,
    ) -> None:
        """The program on each of these rows, which are at most so many calls; `likely` is the share that is made."""
        self._bounds.add(walks.rows_load(growth.most(program), self._most, self._lms, rows))
        one = walks.rows_load(growth.likely(program), self._likely, self._lms, rows)
        self._guess("task", one, calls, likely)

    def runs(
        self, purpose: Purpose, candidates: Sequence[tuple[Runnable, Growth]], calls: Range, per_run: int
    ) -> None:
        """At most so many calls, in runs of `per_run` of any of these programs, on rows that nobody knows yet."""
        if not calls.most:
            return
        count = math.ceil(calls.most / max(1, per_run))
        longest = _larger_of(self.train.longest, self.val.longest)
        loads = [self._run(growth.most(program), self._most, longest)[0] for program, growth in candidates]
        self._bounds.add(dearest(loads), count)
        program, growth = candidates[0]
        one, _ = self._run(growth.likely(program), self._likely, self.val.mean())
        self._guess(purpose, one.times(count), calls)

    def training(
        self, student: Program, growth: Growth, runs: int, settings: Mapping[str, ir.TrainSettings]
    ) -> TrainingPlan:
        """What is trained on where so many runs teach at most, every call of a model a row."""
        longest = _larger_of(self.train.longest, self.val.longest)
        most, _ = self._run(growth.most(student), self._most, longest)
        likely, _ = self._run(growth.likely(student), self._likely, self.train.mean())
        plan = TrainingPlan(0, 0, 0, 0.0, 0.0)
        for load, expected in ((likely, True), (most, False)):
            for lm, one in load.taken.items():
                how = settings.get(untuned_name(lm.name), ir.TrainSettings())
                name = trainer_named(lm, how)
                if name is None:
                    continue
                trainer = TRAINERS[name]
                tokens = math.ceil(runs * (one.inputs + one.outputs) * trainer.epochs(how))
                each = trainer.price(lm, how)
                usd = None if each is None else tokens * each / 1e6
                plan += (
                    TrainingPlan(math.ceil(runs * one.requests), tokens, 0, usd, 0.0, name == "local")
                    if expected
                    else TrainingPlan(0, 0, None if lm.name in self._most.open else tokens, 0.0, usd, False)
                )
        return plan

    def questions(self, student: Program, growth: Growth, writes: Writes, calls: Range) -> None:
        """Calls of the model that writes, each of which shows rows, what the program is, and `writes` says what else."""
        lm = self._prompt_lm
        if lm is None or not calls.most:
            return
        lms = [self._lms.get(name) or student.lms[name] for name in self._chain(lm, student)]
        answer = max(map(self._most.limit, lms))
        longest = _larger_of(self.train.longest, self.val.longest)
        run, _ = self._run(growth.most(student), self._most, longest)
        told = len(outline(student).encode(errors="replace")) + _QUESTION
        for address, predictor in student.predictors.items():
            told += len(role(student, address).encode(errors="replace"))
            told += 2 * len(predictor.signature.instruction.encode(errors="replace"))
            told += growth.most_words.get(address, 0)
        shown = sizes.whole(dict(self.train.top(MAX_ROWS))) + MAX_ROWS * sum(
            len(name) + 8 for name in self.train.longest
        )
        told += min(_UTF8 * MAX_CHARACTERS, shown) + 8
        told += writes.shown * min(BYTES_WRITTEN * answer + 100, _UTF8 * MAX_EXTENDED)
        told += writes.runs * min(_UTF8 * MAX_CASES, int(2 * run.written) + 4 * _UTF8 * MAX_FEEDBACK)
        one = Load()
        self._most.call(one, lms, told, answer, _ASKED, 4 * ASKED_AGAIN)
        self._bounds.add(one, calls.most)
        guess = Load()
        inputs, outputs = PROMPT_TOKENS
        guess.take(lms[0], 1, min(inputs, told), min(outputs, answer))
        self._guess("prompt", guess.times(calls.most), calls)

    def judges(
        self, metric: ir.Metric, program: Runnable, growth: Growth, rows: sizes.RowSizes, runs: int
    ) -> None:
        """The metric's judges, where that many runs of the program are scored on rows like these."""
        if not metric.judges or not runs:
            return
        longest = _larger_of(rows.longest, self.train.longest)
        usual, calls = rows.mean(), Range(0, runs)
        _, answered = self._run(growth.most(program), self._most, longest)
        _, guessed = self._run(growth.likely(program), self._likely, usual)
        for judge in metric.judges:
            self._bounds.add(self._judged(metric, judge, self._most, longest, answered), runs * judge.most)
            one = self._judged(metric, judge, self._likely, usual, guessed)
            self._guess("judge", one.times(runs * judge.most), calls)

    def _judged(
        self, metric: ir.Metric, judge: ir.Judge, ruler: Most | Likely, row: sizes.Sizes, answered: Sized
    ) -> Load:
        opinion = sum(
            BYTES_WRITTEN * ruler.answer(asked, walks.giving(lm, {**other.program.lms, **self._lms}))
            for other in metric.judges
            for asked in other.program.predictors.values()
            if (lm := asked.asks(self._lms) or asked.asks(other.program.lms)) is not None
        )
        opinion += sum(_opinion_size(other) for other in metric.judges if other.gives == "verdict")
        scope: dict[str, Sized] = {
            "score": 32,
            "accept": 5,
            "reason": opinion,
            **{other.name: _opinion_size(other) for other in metric.judges},
            metric.gold: dict(row),
            metric.pred: answered,
        }
        for let in metric.lets:
            scope[let.name] = sizes.size_of(let.value, scope)
        given = {name: sizes.size_of(one, scope) for name, one in judge.inputs.items()}
        walk = walks.Walk(judge.program, ruler, lms=self._lms, more={})
        return walk.run(given)[0]

    # What steps add --------------------------------------------------------------------------------

    def stepped(
        self,
        student: Program,
        growth: Growth,
        shows: Shows,
        writes: Writes,
        models: ModelChoice,
        *,
        adds: bool,
    ) -> Growth:
        """The student's growth as the programs have it that a step makes of it, which may choose among `models`; `adds` where it
        keeps the demos it finds."""
        lms = {**growth.lms, **models.options(student)}
        growth = replace(growth, lms=lms)
        demos, likely = self._demos(student, growth, shows.most, shows.made, repeats=shows.repeats)
        most_demos, likely_demos = dict(growth.most_demos), dict(growth.likely_demos)
        for table, new in ((most_demos, demos), (likely_demos, likely)):
            for address, size in new.items():
                before = table.get(address, 0)
                table[address] = before + size if adds else max(before, size)
        most_words, likely_words = dict(growth.most_words), dict(growth.likely_words)
        if writes.kept and self._prompt_lm is not None:
            answer = min(BYTES_WRITTEN * self._most.limit(self._prompt_lm), _UTF8 * MAX_INSTRUCTION)
            for address in tunable(student):
                words = most_words.get(address, 0) + writes.kept * answer
                most_words[address] = min(words, _UTF8 * MAX_EXTENDED)
                likely_words[address] = likely_words.get(address, 0) + _WRITTEN
        return Growth(most_demos, most_words, likely_demos, likely_words, lms)

    def taught(self, teacher: Runnable, growth: Growth, shows: Shows) -> Growth:
        """The teacher's growth with the labelled demos that it may be given."""
        found = [growth]
        for one in programs(teacher):
            demos, likely = self._demos(one, growth, shows.taught, 0)
            found.append(Growth(most_demos=demos, likely_demos=likely))
        return larger(found)

    def _demos(
        self, program: Program, growth: Growth, most: int, made: int, *, repeats: bool = False
    ) -> tuple[dict[str, int], dict[str, int]]:
        """Bytes of so many demos, `made` of them of runs, for each predictor: at most, and likely."""
        rows = self.train
        count = most if repeats else min(most, rows.count)
        if not count or not rows.count:
            return {}, {}
        together = {name: count * sizes.whole(one) for name, one in rows.longest.items()}
        top = together if repeats else rows.top(count)
        laden, guessed = growth.most(program), growth.likely(program)
        run, _ = self._run(laden, self._most, top)
        nothing, _ = self._run(laden, self._most, dict.fromkeys(top, 0))
        usual, _ = self._run(guessed, self._likely, rows.mean())
        walk = walks.Walk(program, self._most, lms=self._lms, more={})
        bounds: dict[str, int] = {}
        likely: dict[str, int] = {}
        for address, predictor in tunable(program).items():
            named = dict.fromkeys((predictor.lm, *growth.lms.get(address, ())))
            asked = [lm for name in named if (lm := predictor.asks(walk.lms, name)) is not None]
            if not asked:
                continue
            frame = max(walk.demo_frame(predictor, lm) for lm in asked)
            gives = [walks.giving(lm, walk.lms) for lm in asked]
            # A row that lacks a value says so.
            names = [one.name for one in (*predictor.signature.inputs, *predictor.signature.outputs)]
            missing = sum(name not in rows.longest for name in names)
            frame += len(LEFT_OUT) * missing
            lacking = 2 * len(LEFT_OUT) + 200 if missing else 0
            labelled = sizes.whole(dict(top))
            shown = run.largest.get(address, 0) + (count - 1) * nothing.largest.get(address, 0)
            written = min(made, count) * max(
                min(
                    BYTES_WRITTEN * self._most.limit(lm),
                    sum(self._most.written(one, predictor, lm) for one in predictor.signature.outputs),
                )
                for lm in gives
            )
            # Where a run asks with the row's own values, the row bounds them.
            within = shown <= labelled + 4 * count * len(predictor.signature.inputs)
            inner = shown if made and not within else 0
            media = any(medium_kind(one.type) for one in predictor.signature.inputs)
            dear = max(dearness(lm.model) for lm in asked) if media else 1
            bounds[address] = lacking + count * frame + dear * (labelled + inner) + written
            answer = sum(
                self._likely.written(one, predictor, gives[0]) for one in predictor.signature.outputs
            )
            likely[address] = count * (frame - 2 * FRAME + usual.largest.get(address, 0) + answer)
        return bounds, likely

    # Sums ------------------------------------------------------------------------------------------

    @property
    def unlimited(self) -> tuple[str, ...]:
        """Models without `max_tokens`: there is no bound on what they answer."""
        return tuple(sorted(self._most.open))

    @property
    def with_extras(self) -> tuple[str, ...]:
        """Models whose requests have parameters of which nobody knows what they cost."""
        return tuple(sorted(lm.name for lm in self._bounds.taken if lm.extra))

    def maximum(self, calls: int, *, failing: bool = False) -> Bill:
        """Of at most so many calls; where they are `failing`, each as often as its model is tried, and billed each time."""
        inputs, outputs, usd = 0.0, 0.0, 0.0
        for lm, one in self._bounds.taken.items():
            tries = 1 + lm.retry + (FURTHER if lm.insists else 0) if failing else 1
            window = context_window(lm)
            shown = tries * (one.inputs if window is None else min(one.inputs, one.requests * window))
            answered = tries * one.outputs
            inputs, outputs = inputs + shown, outputs + answered
            each = price(lm)
            # Without a limit there is no bound, unless answers are free.
            if each is None or usd is None or (lm.name in self._most.open and each.output):
                usd = None
            else:
                usd += shown * each.input + answered * each.output
        bounded = not self._most.open
        return Bill(
            calls,
            math.ceil(inputs) if bounded else None,
            math.ceil(outputs) if bounded else None,
            usd,
        )

    def guess(self) -> dict[Purpose, Guess]:
        """What is expected by rule, of each purpose that has calls."""
        found: dict[Purpose, Guess] = {}
        for purpose, load in self._guesses.items():
            calls = inputs = outputs = 0.0
            input_usd: float | None = 0.0
            output_usd: float | None = 0.0
            for lm, one in load.taken.items():
                each = price(lm)
                calls, inputs, outputs = calls + one.requests, inputs + one.inputs, outputs + one.outputs
                if each is None or input_usd is None or output_usd is None:
                    input_usd = output_usd = None
                else:
                    input_usd += one.inputs * each.input
                    output_usd += one.outputs * each.output
            if calls:
                found[purpose] = Guess(calls, inputs, outputs, input_usd, output_usd)
        return found

    def one_run(self, program: Program) -> tuple[int, int]:
        """Tokens in and out of a run of the program as it is, on a row of the middle."""
        load, _ = self._run(grown(program).likely(program), self._likely, self.val.mean())
        taken = load.taken.values()
        return math.ceil(sum(one.inputs for one in taken)), math.ceil(sum(one.outputs for one in taken))

    def _guess(self, purpose: Purpose, load: Load, calls: Range, likely: float | None = None) -> None:
        """Takes the middle of a range for what happens, where nothing better is known."""
        if calls.most:
            middle = (calls.least + calls.most) / 2 / calls.most
            self._guesses[purpose].add(load, middle if likely is None else likely)

    def _run(self, laden: Laden, ruler: Most | Likely, row: sizes.Sizes) -> tuple[Load, Sized]:
        key = (
            id(laden.program),
            ruler is self._most,
            tuple(laden.more.items()),
            tuple(laden.lms.items()),
            tuple(row.items()),
        )
        if key not in self._again:
            self._again[key] = laden.program, walks.run_load(laden, ruler, self._lms, row)
        return self._again[key][1]

    def _chain(self, lm: LM, student: Program) -> list[str]:
        known = {**student.lms, **self._lms, lm.name: self._lms.get(lm.name, lm)}
        named = with_fallbacks([lm.name], lambda name: known[name].fallback if name in known else ())
        return [name for name in named if name in known]

    def _tool(self, tool: Tool) -> int | None:
        """Bytes of a tool's largest result, where its source can tell."""
        if id(tool) not in self._tools:
            source = SOURCES.get(tool.source)
            size = None if source is None else source.size(tool, Ground(self._folder))
            self._tools[id(tool)] = tool, None if size is None else size.result
            lm = None if tool.lm is None or size is None else self._lms.get(tool.lm)
            if lm is not None and size is not None and size.prepared:
                once = Load()
                once.take(lm, 0, size.prepared, 0)
                self._bounds.add(once)
        return self._tools[id(tool)][1]


def _larger_of(one: sizes.Sizes, other: sizes.Sizes) -> dict[str, Sized]:
    return {
        name: max(sizes.whole(one.get(name, 0)), sizes.whole(other.get(name, 0))) for name in {**one, **other}
    }


class _Answers:
    """Tokens of an output: labels of its name where rows have them, else a guess by its name."""

    def __init__(self, sample: Rows) -> None:
        self._sample = sample
        self._known: dict[str, int] = {}

    def __call__(self, field: FieldSpec) -> int:
        name = field.name
        if name not in self._known:
            labels = [row.labels[name] for row in self._sample if name in row.labels]
            if labels:
                self._known[name] = math.ceil(
                    sum(estimate_text(canonical(label)) for label in labels) / len(labels)
                )
            else:
                self._known[name] = REASONING_TOKENS if name == "reasoning" else OUTPUT_TOKENS
        return self._known[name]


def _opinion_size(judge: ir.Judge) -> int:
    """Bytes of what a judge gives at most: a number, or what its tool may give."""
    return sum(4 * tool.max_result for tool in judge.program.tools.values()) or 32
