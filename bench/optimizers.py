"""Every search optimizer as it comes beside `compat = "dspy"`: score, model calls, regret.

    python bench/optimizers.py [--seeds 20] [--jobs 2] [--only COPRO] [--json FILE]

Offline: the model is simulated, and how often it is right is written down, so that a program's true score
and the best there could be are computed instead of sampled. Both schedules get the same rows, the same
model and the same proposals' quality, and every distinct run is counted once, as with a cache. What the
simulation cannot say is how real prompts behave: it measures searching, not prompting.

The model of a task, drawn from its seed:
- an instruction holds any of 12 hints, each of which helps or harms by its own amount; a proposal flips some
  hints of the current one, and one that is shown scored attempts crosses good ones;
- a demo helps by an amount of its own; a set helps by its demos' mean, more of them with less and less effect,
  and those with a teacher's answer more;
- instruction and demos can get into each other's way, by a random penalty of each pair;
- rows are easy or hard for all programs alike; given that, each answer is a coin of its own.

Five kinds of tasks: a plain one, an easy one (candidates differ a lot), a noisy one (they differ less than
the rows can tell), a flat one (all are equally good), and one of two predictors in a row. What a compile keeps in
the end is what counts: by default the winner, or the start where the winner's lead is no more than luck.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import math
import random
import statistics
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from dspec.compiler import ir
from dspec.compiler.compile.selection import last_word
from dspec.compiler.data import Example, Rows
from dspec.compiler.evaluate.evaluation import Evaluator
from dspec.compiler.evaluate.meter import Purpose
from dspec.compiler.evaluate.store import RunResult, Store
from dspec.compiler.evaluate.streams import stream
from dspec.compiler.evaluate.turns import Turn
from dspec.compiler.optimizers.base import Context, Options
from dspec.compiler.optimizers.compat.table import run_of
from dspec.compiler.optimizers.table import SPECS
from dspec.runtime.models.engine import Engine
from dspec.runtime.schema.ensemble import Ensemble
from dspec.runtime.schema.expressions import BinaryOp, Member, Variable
from dspec.runtime.schema.program import LM, CallStep, FieldSpec, Predictor, Program, Signature, canonical
from dspec.runtime.schema.trace import TraceStep
from dspec.runtime.schema.types import STR, JsonValue, Row
from dspec.runtime.schema.usage import Spent

TRAIN, TEST = 50, 4000
HINTS = 12
MOST_DEMOS = 16
STEPS: dict[str, tuple[str, dict[str, JsonValue], int]] = {
    "RandomSearch(10)": ("BootstrapFewShotWithRandomSearch", {"num_candidate_programs": 10}, 200),
    "COPRO": ("COPRO", {}, 200),
    "MIPROv2 light": ("MIPROv2", {"auto": "light"}, 100),
    "MIPROv2 medium": ("MIPROv2", {"auto": "medium"}, 300),
}
"""Optimizer, options, and rows of val: for MIPROv2 as many as its `auto` compares trials on, since DSPy leaves
the others unused."""


def draws(*key: object) -> random.Random:
    """A stream that depends on the key alone."""
    return random.Random(hashlib.blake2b(repr(key).encode(), digest_size=16).digest())


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


@dataclass(frozen=True)
class Kind:
    """`effect` scales all that tells programs apart, 1 being plain; `rows` is how much difficulty varies."""

    predictors: int = 1
    effect: float = 1.0
    rows: float = 1.6


KINDS = {
    "plain": Kind(),
    "easy": Kind(effect=2.0, rows=1.0),
    "noisy": Kind(effect=0.4),
    "flat": Kind(effect=0.0),
    "two predictors": Kind(predictors=2),
}


@dataclass(frozen=True)
class Task:
    """What the model is like: everything is a function of `seed` and of the kind."""

    seed: int
    kind: Kind

    @property
    def predictors(self) -> int:
        return self.kind.predictors

    @property
    def scale(self) -> float:
        """Of one predictor's effects: several together make as much of a difference as one."""
        return self.kind.effect / math.sqrt(self.predictors)

    @cached_property
    def hints(self) -> tuple[tuple[float, ...], ...]:
        """By predictor and hint: what it adds to the log-odds of a right answer."""
        scale = 0.45 * self.scale
        return tuple(
            tuple(draws("hint", self.seed, p, hint).gauss(-0.05, 1.0) * scale for hint in range(HINTS))
            for p in range(self.predictors)
        )

    @cached_property
    def helpful(self) -> tuple[float, ...]:
        """By row of train: what it is worth as a demo."""
        return tuple(draws("demo", self.seed, row).gauss(0.0, 1.0) for row in range(TRAIN))

    @cached_property
    def test(self) -> tuple[float, ...]:
        return tuple(self.difficulty(f"test {row}") for row in range(TEST))

    def difficulty(self, text: str) -> float:
        return draws("row", self.seed, text).gauss(0.6, self.kind.rows)

    def demos_worth(self, worth: Sequence[float]) -> float:
        n = len(worth)
        return (0.5 + 1.2 * statistics.fmean(worth)) * n / (n + 2) * self.scale if n else 0.0

    def odds(self, program: Program) -> float:
        """Log-odds of a right answer on a row of no difficulty."""
        total = 0.0
        for place, predictor in enumerate(program.predictors.values()):
            hints = chosen(predictor.signature.instruction)
            demos = [(int(str(demo.inputs["text"]).split()[1]), demo.augmented) for demo in predictor.demos]
            total += sum(self.hints[place][hint] for hint in hints)
            total += self.demos_worth([self.helpful[row] + 0.25 * made for row, made in demos])
            if demos:
                pair = draws("pair", self.seed, place, sorted(hints), sorted(demos)).random()
                total -= 0.5 * pair * pair * self.scale
        return total

    def score(self, odds: float) -> float:
        """The true score of a program: how often it is right on test, on average."""
        return statistics.fmean(sigmoid(odds - difficulty) for difficulty in self.test)

    def optimum(self, *, hints: bool, demos: bool, labels: int, bootstrapped: int) -> float:
        """The best score of what the optimizer may change, pairs that get in each other's way aside."""
        total = 0.0
        best = sorted(self.helpful, reverse=True)
        for effects in self.hints:
            if hints:
                total += sum(effect for effect in effects if effect > 0)
            if demos:
                most = max(labels, bootstrapped)
                total += max(
                    self.demos_worth([best[k] + 0.25 * (k < bootstrapped) for k in range(n)])
                    for n in range(1, most + 1)
                )
        return self.score(total)


def chosen(instruction: str) -> frozenset[int]:
    return frozenset(int(word[1:]) for word in instruction.split() if word[0] == "h" and word[1:].isdigit())


def written(hints: frozenset[int]) -> str:
    return " ".join(["Answer.", *(f"h{hint}" for hint in sorted(hints))])


class Simulated(Evaluator):
    """The compile's own evaluator, store, counting and all, with the model's answers drawn."""

    def __init__(self, engine: Engine, metric: ir.Metric, task: Task) -> None:
        super().__init__(engine, Store(), metric)
        self._task = task
        self._odds: dict[int, tuple[Program, float]] = {}

    async def _execute(
        self,
        program: Program,
        example: Example,
        purpose: Purpose,
        sample: int,
        temperature: float | None,
        turn: Turn,
    ) -> RunResult:
        if program.name == "propose":
            return RunResult.of(self._proposal(program, example.inputs, sample), spent=Spent(1))
        known = self._odds.get(id(program))
        if known is None:
            known = self._odds[id(program)] = (program, self._task.odds(program))
        text = str(example.inputs["text"])
        key = [(p.signature.instruction, [d.inputs for d in p.demos]) for p in program.predictors.values()]
        luck = draws("answer", self._task.seed, text, key, sample).random()
        right = luck < sigmoid(known[1] - self._task.difficulty(text))
        outputs: Row = {"label": "right" if right else "wrong"}
        names = [step.name for step in program.steps]
        trace = tuple(
            TraceStep(name, address, {"text": text}, outputs, 1, ())
            for name, address in zip(names, program.predictors, strict=True)
        )
        return RunResult.of(outputs, trace, spent=Spent(len(names)))

    def _proposal(self, program: Program, inputs: Row, sample: int) -> Row:
        if all(field.name != "instruction" for field in program.outputs):
            return {field.name: "Rows of text." for field in program.outputs}
        # What else a prompt shows, rows among it, changes the draw and not its quality.
        rng = draws("propose", self._task.seed, canonical(inputs), sample)
        attempts = str(inputs.get("attempts", ""))
        if not attempts:
            current = chosen(str(inputs["current_instruction"]))
            flipped = {hint for hint in range(HINTS) if rng.random() < 0.3}
            return {"instruction": written(current ^ flipped)}
        # Attempts are shown worst first.
        shown = [chosen(part) for part in attempts.split("Scored ") if part.strip()][-3:]
        mother, father = rng.choice(shown), rng.choice(shown)
        child = {h for h in range(HINTS) if h in (mother if rng.random() < 0.5 else father)}
        flipped = {hint for hint in range(HINTS) if rng.random() < 0.12}
        return {"instruction": written(frozenset(child ^ flipped))}


def student(predictors: int) -> Program:
    def asked(place: int) -> Predictor:
        signature = Signature(
            name=f"Task{place}",
            instruction=written(frozenset()),
            inputs=(FieldSpec(name="text", type=STR),),
            outputs=(FieldSpec(name="label", type=STR),),
        )
        return Predictor(strategy="Predict", signature=signature, lm="simulated")

    names = [f"p{place}" for place in range(predictors)]
    return Program(
        name="task",
        inputs=(FieldSpec(name="text", type=STR),),
        outputs=(FieldSpec(name="label", type=STR),),
        steps=tuple(
            CallStep(name=f"s{name}", predictor=name, arguments={"text": Variable(name="text")})
            for name in names
        ),
        returns={"label": Member(target=Variable(name=f"s{names[-1]}"), name="label")},
        predictors={name: asked(place) for place, name in enumerate(names)},
        lms={"simulated": LM(name="simulated", model="embedded/simulated")},
    )


METRIC = ir.Metric(
    name="right",
    gold="gold",
    pred="pred",
    dataset="rows",
    program="task",
    score=BinaryOp(
        operator="==",
        left=Member(target=Variable(name="gold"), name="label"),
        right=Member(target=Variable(name="pred"), name="label"),
    ),
)


def rows(kind: str, n: int) -> Rows:
    return tuple(Example(i, {"text": f"{kind} {i}"}, {"label": "right"}) for i in range(n))


@dataclass(frozen=True)
class Outcome:
    """One optimizer on one task; scores are true ones, in percent. `searched` is what the search found, and
    `score` what the compile ends with: the start, where its last word was that the gain is noise (`kept`)."""

    step: str
    kind: str
    seed: int
    schedule: str
    searched: float
    score: float
    start: float
    optimum: float
    calls: int
    kept: bool


async def optimized(name: str, kind: str, seed: int, compat: bool) -> Outcome:
    optimizer, given, scoring = STEPS[name]
    task = Task(seed, KINDS[kind])
    spec, program = SPECS[optimizer], student(task.predictors)
    options = Options(spec, given)
    train, val = rows("train", TRAIN), rows("val", scoring)
    kept = False
    async with Engine() as engine:
        evaluator = Simulated(engine, METRIC, task)
        context = Context(
            evaluator=evaluator,
            # DSPy's COPRO has no val and scores on train: it gets the rows that ours is scored on.
            train=val if compat and optimizer == "COPRO" else train,
            val=val,
            teacher=None,
            rng=lambda stream_name: stream(seed, "bench", stream_name),
            progress=lambda label, score: None,
            seed=seed,
        )
        before = None if compat else await evaluator.evaluate(program, val)
        result = await run_of(spec, "dspy" if compat else None)(program, options, context)
        found = made = result.program
        if before is not None:
            # As a compile does: it scores what it starts from first, and says the last word for nothing.
            after = await evaluator.evaluate(made, val)
            kept = not last_word(before.scores, after.scores, [result]).real
            made = program if kept else made
    assert not isinstance(made, Ensemble)
    assert not isinstance(found, Ensemble)
    both = {name: options.integer(name) for name in DEMO_NAMES} if spec.option(DEMO_NAMES[0]) else {}
    best = task.optimum(
        hints="instructions" in spec.sets,
        demos="demos" in spec.sets,
        labels=both.get("max_labeled_demos", 0),
        bootstrapped=both.get("max_bootstrapped_demos", 0),
    )
    return Outcome(
        name,
        kind,
        seed,
        "dspy" if compat else "default",
        100 * task.score(task.odds(found)),
        100 * task.score(task.odds(made)),
        100 * task.score(task.odds(program)),
        100 * best,
        evaluator.spent.calls,
        kept,
    )


DEMO_NAMES = ("max_labeled_demos", "max_bootstrapped_demos")


def one(job: tuple[str, str, int, bool]) -> Outcome:
    return asyncio.run(optimized(*job))


def spread(values: Sequence[float]) -> str:
    return f"{statistics.fmean(values):.1f} ± {statistics.stdev(values) if len(values) > 1 else 0:.1f}"


def calls(outcomes: Sequence[Outcome]) -> str:
    made = [one.calls for one in outcomes]
    return f"{statistics.fmean(made):,.0f} ± {statistics.stdev(made) if len(made) > 1 else 0:,.0f}"


def share(theirs: Sequence[Outcome], ours: Sequence[Outcome]) -> str:
    return f"{sum(one.calls for one in ours) / sum(one.calls for one in theirs):.1%}"


def mean_and_error(paired: Sequence[float]) -> str:
    error = statistics.stdev(paired) / math.sqrt(len(paired)) if len(paired) > 1 else 0.0
    return f"{statistics.fmean(paired):+.2f} ± {error:.2f}"


HEAD = (
    "| optimizer | tasks | score: start | best | dspy | default | regret: dspy | default | calls: dspy | default "
    "| share | default − dspy | search alone − dspy | start kept |"
)


def table(found: Sequence[Outcome]) -> list[str]:
    """Lines of a Markdown table: means ± standard deviations over the seeds, and a line over all kinds."""
    lines = [HEAD, "| --- | --- |" + " ---: |" * (HEAD.count("|") - 3)]
    for name in STEPS:
        of = [one for one in found if one.step == name]
        theirs = [one for one in of if one.schedule == "dspy"]
        ours = [one for one in of if one.schedule == "default"]
        for kind in [*KINDS, None]:
            a, b = ([one for one in part if kind is None or one.kind == kind] for part in (theirs, ours))
            if not a:
                continue
            lines.append(
                f"| {name} | {kind or '**all**'} "
                f"| {statistics.fmean(one.start for one in a):.1f} | {statistics.fmean(one.optimum for one in a):.1f} "
                f"| {spread([one.score for one in a])} | {spread([one.score for one in b])} "
                f"| {spread([one.optimum - one.score for one in a])} | {spread([one.optimum - one.score for one in b])} "
                f"| {calls(a)} | {calls(b)} | {share(a, b)} "
                f"| {mean_and_error([y.score - x.score for x, y in zip(a, b, strict=True)])} "
                f"| {mean_and_error([y.searched - x.score for x, y in zip(a, b, strict=True)])} "
                f"| {statistics.fmean(one.kept for one in b):.0%} |"
            )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", default="", help="only optimizers whose name holds this")
    parser.add_argument("--json", type=Path, default=None, help="also write every outcome there")
    flags = parser.parse_args()
    jobs = [
        (name, kind, seed, compat)
        for name in STEPS
        if flags.only in name
        for kind in KINDS
        for compat in (True, False)
        for seed in range(flags.first, flags.first + flags.seeds)
    ]
    with ProcessPoolExecutor(flags.jobs) as pool:
        found = list(pool.map(one, jobs, chunksize=5))
    print(
        f"{flags.seeds} tasks of each kind; {TRAIN} rows of train; mean ± standard deviation over the tasks;"
    )
    print("the differences are means over the same tasks ± their standard errors, in points of test score\n")
    print("\n".join(table(found)))
    if flags.json:
        flags.json.write_text(json.dumps([asdict(one) for one in found]))


if __name__ == "__main__":
    main()
