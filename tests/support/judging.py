"""Metrics with judges, read from text as users write them, and a scripted model that judges."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from scripted import Asked, Reply, Script

from dspec.compiler import ir
from dspec.compiler.check.analysis import analyse

HEAD = """\
dspec 1
lm fake { model = "embedded/scripted"; default = true }
lm strict { model = "embedded/strict" }
module router = Predict(sig(text -> label))
dataset tickets { source = jsonl("rows.jsonl"); input text: str; field label: str }
"""
"""Declarations that the scripted programs and rows agree with."""

SEMANTIC = (
    "{ score = semantic_f1(gold.label, pred.label, judge = strict); accept = score > 0.5; feedback = reason }"
)
POLITE = 'llm_judge("It is polite.", judge = strict, reply = pred.label)'


def metric(body: str, head: str = HEAD) -> ir.Metric:
    """The metric `right` with this body, on rows and outputs of the scripted classifier."""
    text = f"{head}metric right(gold: tickets, pred: router) {body}\n"
    analysis = analyse(Path("/nowhere/main.dspec"), text=text, probe=False)
    assert analysis.project is not None, [found.message for found in analysis.diagnostics]
    return analysis.project.metrics["right"]


def is_judging(asked: Asked) -> bool:
    return asked.request.lm.name == "strict" or "reasoning" in asked.wanted


def judgings(script: Script) -> list[Asked]:
    return [asked for asked in script.asked if is_judging(asked)]


def marks(asked: Asked) -> tuple[str, ...]:
    """The numbers that the judge is asked for."""
    return tuple(name for name in asked.wanted if name not in ("reasoning", "completed"))


def agrees(asked: Asked) -> Mapping[str, object]:
    """A judge that gives 1 where the first two things that it is shown are the same, else 0."""
    shown = [text for name, text in asked.question.items() if name != "question"]
    mark = 1.0 if shown[0] == shown[1] else 0.0
    return {"reasoning": f"{shown[1]} for {shown[0]}", **dict.fromkeys(marks(asked), mark)}


def judged_by(judge: Callable[[Asked], Mapping[str, object] | str | Exception], reply: Reply) -> Reply:
    """`reply`, with `judge` where a judge is asked."""
    return lambda asked: judge(asked) if is_judging(asked) else reply(asked)
