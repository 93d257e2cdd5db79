"""A project whose compile is answered badly, and everything that says what it took."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import published
from faulting import FAST
from server import Call, FakeServer

from dspec.compiler.check.analysis import analyse
from dspec.compiler.cli.results import compiled_json
from dspec.compiler.compile.pipeline import Compiled, compile_block, plan_blocks
from dspec.compiler.evaluate.events import Event, silent
from dspec.compiler.evaluate.spans import spans
from dspec.compiler.evaluate.store import Store
from dspec.runtime.models.calls import CallEvent, EngineEvent
from dspec.runtime.models.engine import Engine
from dspec.runtime.models.ledger import Ledger
from dspec.runtime.tools.toolbox import Toolbox

HEAD = """\
dspec 1

lm mini {
  model = "openai/fake"; api_base = env("ACCOUNT_URL"); api_key = env("ACCOUNT_KEY")
  max_tokens = 40; retry = 12; timeout = 5
  price { input = PRICE; output = 2.5 }
}

type Label = "a" | "b" | "c" | "d"

signature Labels {
  "Give the text a label."
  input text: str
  output label: Label
CHECK}

module labeller = Predict(Labels)

dataset texts {
  source = jsonl("texts.jsonl")
  input text: str
  field label: Label
  split { train = 12; val = 12; test = 12; seed = 7 }
}
"""

TAIL = """
metric right(gold: texts, pred: SUBJECT) { score = gold.label == pred.label }

optimize tuned {
  program = SUBJECT
  metric = right
  train = texts.train
  val = texts.val
  seed = 9
  ON_ERROR
  step demos = BootstrapFewShot(max_bootstrapped_demos = 2, max_labeled_demos = 3)
  step search = BootstrapFewShotWithRandomSearch(max_bootstrapped_demos = 2, max_labeled_demos = 3, num_candidate_programs = 3)
}

eval held_out { program = tuned; baseline = SUBJECT; metric = right; data = texts.test }
"""

ASSERT = '  assert label != "a" else "not a"\n  max_retries = 1\n'

SUBJECTS = {
    "one": ("", "labeller", ""),
    "asserting": ("", "labeller", ASSERT),
    "best": (
        'metric sure(pred: labeller) = pred.label == "b"\n'
        "module best = BestOfN(labeller, n = 3, reward = sure, threshold = 1.0)\n",
        "best",
        ASSERT,
    ),
    "vote": ("module vote = Majority(labeller, n = 3)\n", "vote", ""),
    "graph": (
        "module again = Predict(sig(text, first: Label -> label: Label))\n"
        "program Twice(text: str) -> (label: Label) {\n"
        "  let one = labeller(text = text)\n"
        "  let two = again(text = text, first = one.label)\n"
        '  assert two.label != "c" else "not c"\n'
        "  return label = two.label\n}\n",
        "Twice",
        "",
    ),
}
"""By name: declarations, the program's name, and the checks of its signature."""


def usage(call: Call, text: str) -> tuple[tuple[int, int], dict[str, Any]]:
    """Every byte is a token."""
    prompt = sum(len(one["content"].encode()) for one in call.body["messages"])
    billed = (prompt, len(text.encode()))
    return billed, {"prompt_tokens": billed[0], "completion_tokens": billed[1]}


@dataclass(frozen=True)
class Account:
    """What one compile says of itself, in all the ways in which it does."""

    result: Compiled
    report: dict[str, Any]
    events: list[CallEvent]
    spans: list[dict[str, Any]]
    artifact: bytes


class _Tracer:
    """What OpenTelemetry's would be told."""

    def __init__(self) -> None:
        self.attributes: list[dict[str, Any]] = []

    def start_span(self, name: str, attributes: dict[str, Any] | None = None, **_: object) -> _Span:
        found = dict(attributes or {})
        self.attributes.append(found)
        return _Span(found)


class _Span:
    def __init__(self, attributes: dict[str, Any]) -> None:
        self._attributes = attributes

    def set_attribute(self, name: str, value: object) -> None:
        self._attributes[name] = value

    def set_status(self, *_: object) -> None: ...

    def end(self, **_: object) -> None: ...


def written(folder: Path, subject: str, *, price: float = 1.0, on_error: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dspec.toml").touch()
    rows = [{"text": f"text {number}", "label": "abcd"[number % 4]} for number in range(36)]
    (folder / "texts.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    more, name, check = SUBJECTS[subject]
    text = HEAD.replace("PRICE", str(price)).replace("CHECK", check) + more + TAIL.replace("SUBJECT", name)
    text = text.replace("ON_ERROR", f'on_error = "{on_error}"' if on_error else "")
    (folder / "main.dspec").write_text(text, encoding="utf-8")
    return folder / "main.dspec"


async def compiled(
    source: Path, server: FakeServer, state: Path, *, store: bool = True, name: str = "tuned"
) -> Account:
    """A compile as the command makes it, from its beginning to its end; the ledger and, if it is wanted, the store are in
    `state`."""
    with patch.dict(os.environ, ACCOUNT_URL=server.url, ACCOUNT_KEY="x"):
        return await _compiled(source, state, store, name)


async def _compiled(source: Path, state: Path, store: bool, name: str) -> Account:
    state.mkdir(parents=True, exist_ok=True)
    project = analyse(source).project
    assert project is not None
    prepared, jobs = plan_blocks(project, [name], source.parent, state / "out", evals=True)
    job = jobs[-1]
    events: list[CallEvent] = []
    tracer = _Tracer()
    with (
        Ledger(state / "ledger.sqlite") as ledger,
        Store(state / "runs.sqlite" if store else None) as runs,
        spans(tracer) as observe,
    ):

        def tell(event: EngineEvent) -> None:
            if isinstance(event, CallEvent):
                events.append(event)
                observe(event)

        report: Callable[[Event], None] = silent
        tools = Toolbox(source.parent, declared=tuple(project.externs.values()), isolated=True, ledger=ledger)
        ledger.begin(name)
        async with (
            tools,
            Engine(threads=8, ledger=ledger, backoff=FAST, on_event=tell, tools=tools) as engine,
        ):
            result = await compile_block(prepared, job, engine=engine, store=runs, report=report, front=True)
            await engine.drain()
        ledger.end()
    (told,) = published.read("compile", compiled_json([result]))["compiled"]
    artifact = b"" if result.kept.place is None else result.kept.place.read_bytes()
    return Account(result, told, events, tracer.attributes, artifact)
