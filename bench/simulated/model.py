"""A task whose model is simulated: an evaluator that draws answers instead of asking for them.

The model of a task, drawn from its seed:
- an instruction holds any of 12 hints, each of which helps or harms by its own amount; a proposal flips some
  hints of the current one, one that is shown scored attempts crosses good ones, and advice that is added to an
  instruction brings a few hints, more of the helpful ones;
- a demo helps by an amount of its own; a set helps by its demos' mean, more of them with less and less effect,
  and those with a teacher's answer more; besides on rows of a demo's label or topic, where the kind has such;
- instruction and demos can get into each other's way, by a random penalty of each pair;
- rows are easy or hard for all programs alike; given that, each answer is a coin of its own, or five where it is graded.
"""

from __future__ import annotations

import hashlib
import heapq
import math
import random
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from dspec.compiler import ir
from dspec.compiler.data import Example, Rows
from dspec.compiler.evaluate.evaluation import Evaluator
from dspec.compiler.evaluate.meter import Purpose
from dspec.compiler.evaluate.store import UNREAD, RunResult, Store
from dspec.compiler.evaluate.turns import Turn
from dspec.runtime.models.engine import Engine
from dspec.runtime.schema.expressions import BinaryOp, Member, Variable
from dspec.runtime.schema.program import (
    LM,
    CallStep,
    FieldSpec,
    Neighbour,
    Neighbours,
    Predictor,
    Program,
    Signature,
    canonical,
)
from dspec.runtime.schema.trace import TraceStep
from dspec.runtime.schema.types import FLOAT, STR, Row
from dspec.runtime.schema.usage import Spent

from .kinds import Kind

TEST = 2000
HINTS = 12
GRADES = 5
KNOWN = 0.9
"""What a demo of a row's own label adds."""
ROOM = 4
"""Hints and demos from which on a prompt is long."""
NORMAL = statistics.NormalDist()


def draws(*key: object) -> random.Random:
    """A stream that depends on the key alone."""
    return random.Random(hashlib.blake2b(repr(key).encode(), digest_size=16).digest())


def uniform(*key: object) -> float:
    """One number in 0..1 that depends on the key alone."""
    return int.from_bytes(hashlib.blake2b(repr(key).encode(), digest_size=7).digest()) / 2**56


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


@dataclass(frozen=True)
class Asked:
    """A row as the model meets it."""

    difficulty: float
    label: int
    topic: int


@dataclass(frozen=True)
class Skill:
    """What a program makes of rows: log-odds on one of no difficulty, and besides by label and by topic; and the share of its
    answers that can be read."""

    odds: float
    labels: dict[int, float]
    topics: dict[int, float]
    readable: float

    def right(self, row: Asked) -> float:
        """How likely an answer that can be read is right."""
        besides = self.labels.get(row.label, 0.0) + self.topics.get(row.topic, 0.0)
        return sigmoid(self.odds + besides - row.difficulty)


@dataclass(frozen=True)
class Task:
    """What the model is like: everything is a function of `seed` and of the kind."""

    seed: int
    kind: Kind

    @property
    def scale(self) -> float:
        """Of one predictor's effects: several together make as much of a difference as one."""
        return self.kind.effect / math.sqrt(self.kind.predictors)

    @cached_property
    def hints(self) -> tuple[tuple[float, ...], ...]:
        """By predictor and hint: what it adds to the log-odds of a right answer."""

        def one(place: int, hint: int) -> float:
            drawn = draws("hint", self.seed, place, hint).gauss(-0.05, 1.0)
            return (0.12 * drawn**3 if self.kind.steep else 0.45 * drawn) * self.scale

        return tuple(
            tuple(one(place, hint) for hint in range(HINTS)) for place in range(self.kind.predictors)
        )

    @cached_property
    def helpful(self) -> tuple[float, ...]:
        """By row of train: what it is worth as a demo."""
        return tuple(draws("demo", self.seed, row).gauss(0.0, 1.0) for row in range(self.kind.train))

    @cached_property
    def test(self) -> tuple[Asked, ...]:
        return tuple(self.asked(f"test {row}") for row in range(TEST))

    def asked(self, name: str) -> Asked:
        if name not in self._rows:
            self._rows[name] = self._drawn(name)
        return self._rows[name]

    @cached_property
    def _rows(self) -> dict[str, Asked]:
        return {}

    def _drawn(self, name: str) -> Asked:
        drawn = draws("row", self.seed, name)
        difficulty = drawn.gauss(self.kind.hardness, self.kind.spread)
        return Asked(difficulty, drawn.randrange(self.kind.labels), drawn.randrange(self.kind.topics))

    def skill(self, program: Program) -> Skill:
        odds, readable = 0.0, 1.0
        labels: Counter[int] = Counter()
        topics: Counter[int] = Counter()
        kind = self.kind
        for place, predictor in enumerate(program.predictors.values()):
            hints = chosen(predictor.signature.instruction)
            demos = [(int(str(demo.inputs["text"]).split()[1]), demo.augmented) for demo in predictor.demos]
            odds += sum(self.hints[place][hint] for hint in hints)
            odds += self._worth([self.helpful[row] + 0.25 * made for row, made in demos])
            odds -= kind.long * max(0, len(hints) + len(demos) - ROOM) / kind.predictors
            if demos:
                pair = draws("pair", self.seed, place, sorted(hints), sorted(demos)).random()
                odds -= 0.5 * pair * pair * self.scale
            shown = [self.asked(f"train {row}") for row, _ in demos]
            if kind.labels > 1:
                for label in {row.label for row in shown}:
                    labels[label] += KNOWN * self.scale / math.sqrt(kind.predictors)
            for topic in {row.topic for row in shown} if kind.near else ():
                topics[topic] += kind.near * self.scale / math.sqrt(kind.predictors)
            lost = kind.unreadable * (0.3 if demos else 1.0) * 0.5 ** len(hints & {0, 1})
            readable *= 1 - lost
        return Skill(odds, dict(labels), dict(topics), readable)

    def shown(self, program: Program, text: str) -> Program:
        """The program as it is asked about a row: with the demos of its index's rows that are nearest to it. Rows about the same
        topic are nearer than any others, in an order of their own for each row asked about."""
        index = program.neighbours
        if index is None:
            return program
        near = [row for row in self._nearest(index, text) if row.text != index.hidden][: index.k]
        bare = program.model_copy(update={"neighbours": None})
        for address in program.predictors:
            demos = [
                demo
                for row in near
                if (demo := row.bootstrapped.get(address) or row.labelled.get(address)) is not None
            ]
            bare = bare.with_predictor(address, demos=tuple(demos))
        return bare

    def _nearest(self, index: Neighbours, text: str) -> list[Neighbour]:
        """The rows nearest to a text, one more than are shown, since one may be hidden."""
        # The rows are kept with what was found, so that their id stays theirs.
        rows, found = self._found.setdefault((id(index.rows), index.k), (index.rows, {}))
        if text not in found:
            own = self.asked(text).topic
            found[text] = heapq.nsmallest(
                index.k + 1,
                rows,
                key=lambda row: (
                    self.asked(row.text.removeprefix("text: ")).topic != own,
                    uniform("near", self.seed, text, row.text),
                ),
            )
        return found[text]

    @cached_property
    def _found(self) -> dict[tuple[int, int], tuple[Sequence[Neighbour], dict[str, list[Neighbour]]]]:
        return {}

    def score(self, program: Program) -> float:
        """The true score of a program, in percent."""
        if program.neighbours is not None:
            texts = [f"test {row}" for row in range(TEST)]
            skills = [self.skill(self.shown(program, text)) for text in texts]
            return 100 * statistics.fmean(
                skill.readable * skill.right(row) for skill, row in zip(skills, self.test, strict=True)
            )
        skill = self.skill(program)
        return 100 * skill.readable * statistics.fmean(map(skill.right, self.test))

    def _worth(self, worth: Sequence[float]) -> float:
        n = len(worth)
        return (0.5 + 1.2 * statistics.fmean(worth)) * n / (n + 2) * self.scale if n else 0.0


def chosen(instruction: str) -> frozenset[int]:
    words = (word.strip(".,") for word in instruction.split())
    return frozenset(int(word[1:]) for word in words if word[:1] == "h" and word[1:].isdigit())


def written(hints: frozenset[int]) -> str:
    return " ".join(["Answer.", *(f"h{hint}" for hint in sorted(hints))])


class Simulated(Evaluator):
    """The compile's own evaluator, store, counting and all, with the model's answers drawn."""

    def __init__(self, engine: Engine, metric: ir.Metric, task: Task, *, width: int = 64) -> None:
        super().__init__(engine, Store(), metric, width=width)
        self._task = task
        self._skills: dict[int, tuple[Program, Skill, str]] = {}
        self._shown: dict[tuple[int, str], tuple[Program, Program]] = {}

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
        text = str(example.inputs["text"])
        program = self._as_asked(program, text)
        known = self._skills.get(id(program))
        if known is None:
            key = [
                (p.signature.instruction, [d.inputs for d in p.demos]) for p in program.predictors.values()
            ]
            known = self._skills[id(program)] = (program, self._task.skill(program), repr(key))
        _, skill, key = known
        row = self._task.asked(text)
        names = [step.name for step in program.steps]
        spent = Spent(len(names))
        if skill.readable < 1 and uniform("read", self._task.seed, text, key, sample) >= skill.readable:
            return RunResult.of(None, (), (UNREAD, "the answer has no `label`"), spent)
        lucks = range(GRADES if self._task.kind.graded else 1)
        right = skill.right(row)
        grade = statistics.fmean(
            uniform("answer", self._task.seed, text, key, sample, luck) < right for luck in lucks
        )
        outputs: Row = {"label": "right" if grade == 1 else "wrong", "grade": grade}
        trace = tuple(
            TraceStep(name, address, {"text": text}, outputs, 1, ())
            for name, address in zip(names, program.predictors, strict=True)
        )
        return RunResult.of(outputs, trace, spent=spent)

    def _as_asked(self, program: Program, text: str) -> Program:
        if program.neighbours is None:
            return program
        key = id(program), text
        if key not in self._shown:
            self._shown[key] = program, self._task.shown(program, text)
        return self._shown[key][1]

    def _proposal(self, program: Program, inputs: Row, sample: int) -> Row:
        # What else a prompt shows, rows among it, changes the draw and not its quality.
        rng = draws("propose", self._task.seed, canonical(inputs), sample)
        return {field.name: self._text(field.name, inputs, rng) for field in program.outputs}

    def _text(self, name: str, inputs: Row, rng: random.Random) -> str:
        if name.endswith("guidelines"):
            effects = [statistics.fmean(one) for one in zip(*self._task.hints, strict=True)]
            better = [hint for hint in range(HINTS) if effects[hint] > 0]
            found = {
                rng.choice(better) if better and rng.random() < 0.4 else rng.randrange(HINTS)
                for _ in range(3)
            }
            return " ".join(f"h{hint}" for hint in sorted(found))
        if name != "instruction":
            return "Rows of text."
        attempts = str(inputs.get("attempts", ""))
        if not attempts:
            current = chosen(str(inputs["current_instruction"]))
            flipped = {hint for hint in range(HINTS) if rng.random() < 0.3}
            return written(current ^ flipped)
        # Attempts are shown worst first.
        shown = [chosen(part) for part in attempts.split("Scored ") if part.strip()][-3:]
        mother, father = rng.choice(shown), rng.choice(shown)
        child = {h for h in range(HINTS) if h in (mother if rng.random() < 0.5 else father)}
        flipped = {hint for hint in range(HINTS) if rng.random() < 0.12}
        return written(frozenset(child ^ flipped))


OUTPUTS = (FieldSpec(name="label", type=STR), FieldSpec(name="grade", type=FLOAT))


def student(predictors: int) -> Program:
    def asked(place: int) -> Predictor:
        signature = Signature(
            name=f"Task{place}",
            instruction=written(frozenset()),
            inputs=(FieldSpec(name="text", type=STR),),
            outputs=OUTPUTS,
        )
        return Predictor(strategy="Predict", signature=signature, lm="simulated")

    names = [f"p{place}" for place in range(predictors)]
    last = Variable(name=f"s{names[-1]}")
    return Program(
        name="task",
        inputs=(FieldSpec(name="text", type=STR),),
        outputs=OUTPUTS,
        steps=tuple(
            CallStep(name=f"s{name}", predictor=name, arguments={"text": Variable(name="text")})
            for name in names
        ),
        returns={field.name: Member(target=last, name=field.name) for field in OUTPUTS},
        predictors={name: asked(place) for place, name in enumerate(names)},
        lms={"simulated": LM(name="simulated", model="embedded/simulated")},
    )


def metric(graded: bool) -> ir.Metric:
    pred = Variable(name="pred")
    right = BinaryOp(
        operator="==",
        left=Member(target=Variable(name="gold"), name="label"),
        right=Member(target=pred, name="label"),
    )
    score = Member(target=pred, name="grade") if graded else right
    return ir.Metric(name="right", gold="gold", pred="pred", dataset="rows", program="task", score=score)


def rows(part: str, n: int) -> Rows:
    return tuple(Example(i, {"text": f"{part} {i}"}, {"label": "right", "grade": 1.0}) for i in range(n))
