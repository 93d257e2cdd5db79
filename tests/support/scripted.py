"""A scripted model behind a real engine, and small projects for tests of the compiler's back half.

The model knows nothing but the prompt: `Script.reply` is given the fields of the question and of the
demos shown before it, and returns the fields of the answer (those that were not asked for are left
out), or its text, or the whole answer, or an error to raise.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from dspec.compiler import ir
from dspec.compiler.data import Example, Rows
from dspec.runtime.adapters import LEFT_OUT
from dspec.runtime.models import pool
from dspec.runtime.models.engine import Engine
from dspec.runtime.models.ledger import Ledger
from dspec.runtime.models.protocol import Answer, Message, Request, Tools
from dspec.runtime.schema.expressions import BinaryOp, Expression, Member, Variable
from dspec.runtime.schema.program import LM, CallStep, Demo, FieldSpec, Predictor, Program, Signature
from dspec.runtime.schema.types import STR, Type
from dspec.runtime.schema.usage import Usage

SECTION = re.compile(r"\[\[ ## (\w+) ## \]\]\n(.*?)(?=\n\n\[\[ ##|\n\nAnswer with|\Z)", re.S)
WANTED = re.compile(r"\[\[ ## (\w+) ## \]\]")
FAKE = LM(name="fake", model="embedded/scripted")

Fields = dict[str, str]


@dataclass(frozen=True)
class Asked:
    """One request as the script sees it: the question, the demos, and the request itself."""

    question: Fields
    demos: tuple[tuple[Fields, Fields], ...]
    wanted: tuple[str, ...]
    request: Request


Reply = Callable[[Asked], Mapping[str, object] | str | Answer | Exception]


@dataclass
class Script:
    """The transport. `asked` holds every request in the order of arrival."""

    reply: Reply
    latency: Callable[[], float] | None = None
    asked: list[Asked] = field(default_factory=list)
    embedded: list[str] = field(default_factory=list)
    """Texts whose embedding was asked for, in the order of arrival."""
    in_flight: int = 0
    most_in_flight: int = 0

    async def complete(self, request: Request) -> Answer:
        if request.kind == "embedding":
            (message,) = request.messages
            self.embedded.append(message.content)
            await asyncio.sleep(self.latency() if self.latency else 0)
            return Answer(json.dumps(embedding(message.content)), Usage(len(message.content) // 4, 0))
        asked = _asked(request)
        self.asked.append(asked)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(self.latency() if self.latency else 0)
            given = self.reply(asked)
        finally:
            self.in_flight -= 1
        if isinstance(given, Exception):
            raise given
        if isinstance(given, Answer):
            return given
        text = given if isinstance(given, str) else answer_text(given, asked.wanted)
        return Answer(text, Usage(len(str(request.messages)) // 4, len(text) // 4))

    async def aclose(self) -> None:
        return None

    @property
    def calls(self) -> int:
        return len(self.asked)

    def texts(self, name: str = "text") -> list[str]:
        """One input of every request, in the order of arrival."""
        return [asked.question.get(name, "") for asked in self.asked]


def embedding(text: str) -> list[float]:
    """Texts of one group lie close to each other, those of numbers near each other closest."""
    named, number = re.search(r"g(\d+)", text), re.search(r"row (\d+)", text)
    which = int(named[1]) % 10 if named else -1
    return [float(place == which) for place in range(10)] + [int(number[1]) / 1000 if number else 0.0]


def answer_text(fields: Mapping[str, object], wanted: tuple[str, ...]) -> str:
    return "\n\n".join(f"[[ ## {name} ## ]]\n{fields[name]}" for name in wanted if name in fields)


def _asked(request: Request) -> Asked:
    turns = [message for message in request.messages if message.role != "system"]
    pairs = zip(turns[:-1:2], turns[1::2], strict=False)
    demos = tuple((_sections(user), _sections(answer)) for user, answer in pairs)
    wanted = tuple(WANTED.findall(turns[-1].content.rsplit("Answer with", 1)[-1]))
    return Asked(_sections(turns[-1]), demos, wanted, request)


def _sections(message: Message) -> Fields:
    found = {name: text.strip() for name, text in SECTION.findall(message.content)}
    return {name: text for name, text in found.items() if text != LEFT_OUT and name != "completed"}


@contextmanager
def scripted(
    monkeypatch: pytest.MonkeyPatch,
    script: Script,
    *,
    threads: int = 16,
    ledger: Ledger | None = None,
    tools: Tools | None = None,
) -> Iterator[Engine]:
    """A real engine whose only transport is the script."""
    with monkeypatch.context() as patch:
        patch.setattr(pool, "open_transport", lambda *_: script)
        yield Engine(threads=threads, ledger=ledger, tools=tools)


def jitter(seed: int = 0, most: float = 0.004) -> Callable[[], float]:
    """Latencies that put answers out of order."""
    draws = random.Random(seed)
    return lambda: draws.random() * most


# Programs and rows ---------------------------------------------------------------------------------


def spec(name: str, kind: Type = STR) -> FieldSpec:
    return FieldSpec(name=name, type=kind)


def predictor(inputs: str, outputs: str, lm: str = "fake", **settings: Any) -> Predictor:
    """A predictor over text fields, their names separated by spaces."""
    return Predictor(
        strategy="Predict",
        signature=Signature(
            name="Task",
            instruction=f"Give {outputs}.",
            inputs=tuple(spec(name) for name in inputs.split()),
            outputs=tuple(spec(name) for name in outputs.split()),
        ),
        lm=lm,
        **settings,
    )


def member(target: str, name: str) -> Expression:
    return Member(target=Variable(name=target), name=name)


def classifier(name: str = "router", **settings: Any) -> Program:
    """One predictor `ask`: text → label."""
    return Program(
        name=name,
        inputs=(spec("text"),),
        outputs=(spec("label"),),
        steps=(CallStep(name="out", predictor="ask", arguments={"text": Variable(name="text")}),),
        returns={"label": member("out", "label")},
        predictors={"ask": predictor("text", "label", **settings)},
        lms={"fake": FAKE},
    )


def knowing(*groups: int) -> Program:
    """A classifier that knows these groups of rows, by a demo each."""
    demos = tuple(Demo(inputs={"text": f"row 900 of g{g}"}, outputs={"label": f"L{g}"}) for g in groups)
    return classifier().with_predictor("ask", demos=demos)


def pipeline() -> Program:
    """Two predictors in a row: `summarize` text → gist, `decide` text, gist → label."""
    text = Variable(name="text")
    return Program(
        name="chain",
        inputs=(spec("text"),),
        outputs=(spec("label"),),
        steps=(
            CallStep(name="first", predictor="summarize", arguments={"text": text}),
            CallStep(
                name="second", predictor="decide", arguments={"text": text, "gist": member("first", "gist")}
            ),
        ),
        returns={"label": member("second", "label")},
        predictors={
            "summarize": predictor("text", "gist"),
            "decide": predictor("text gist", "label"),
        },
        lms={"fake": FAKE},
    )


def fork() -> Program:
    """Two predictors at once: `summarize` text → gist, `decide` text → label."""
    text = Variable(name="text")
    return Program(
        name="fork",
        inputs=(spec("text"),),
        outputs=(spec("label"),),
        steps=(
            CallStep(name="first", predictor="summarize", arguments={"text": text}),
            CallStep(name="second", predictor="decide", arguments={"text": text}),
        ),
        returns={"label": member("second", "label")},
        predictors={"summarize": predictor("text", "gist"), "decide": predictor("text", "label")},
        lms={"fake": FAKE},
    )


def rows(n: int, *, start: int = 0, groups: int = 3) -> Rows:
    """Row i has the text `row i of group i mod groups` and the group's label."""
    return tuple(
        Example(i, {"text": f"row {i} of g{i % groups}"}, {"label": f"L{i % groups}"})
        for i in range(start, start + n)
    )


def exact(**parts: Expression) -> ir.Metric:
    """`score = gold.label == pred.label`."""
    return ir.Metric(
        name="right",
        gold="gold",
        pred="pred",
        dataset="tickets",
        program="router",
        score=BinaryOp(operator="==", left=member("gold", "label"), right=member("pred", "label")),
        **parts,
    )


def group(text: str) -> str:
    return text.rsplit("g", 1)[-1]


def learner(asked: Asked) -> Fields:
    """Right when some demo shows the question's group; otherwise right on every fourth row."""
    text = asked.question["text"]
    known = any(group(shown["text"]) == group(text) for shown, _ in asked.demos if "text" in shown)
    lucky = int(text.split()[1]) % 4 == 0
    return {"label": f"L{group(text)}" if known or lucky else "L?", "gist": f"about {group(text)}"}


def oracle(asked: Asked) -> Fields:
    """Always right."""
    return {"label": f"L{group(asked.question['text'])}", "gist": "so"}


def wrong(asked: Asked) -> Fields:
    """Never right."""
    return {"label": "L?", "gist": "so"}
