"""A project whose compile makes about a thousand calls to a `FakeServer`, for tests that disturb it.

The server's address comes from the environment, so that two servers that answer alike give the same
artifact, byte for byte.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from building import build
from dspc import DSPC, Result
from server import FakeServer

from dspec.compiler.check.analysis import analyse
from dspec.compiler.compile.built import Built
from dspec.compiler.evaluate.events import Report, silent
from dspec.compiler.evaluate.store import Store
from dspec.runtime.artifact.artifact import write_artifact
from dspec.runtime.models.engine import Engine, Tally
from dspec.runtime.models.ledger import Ledger
from dspec.runtime.models.limits import Backoff

FAST = Backoff(base=0.001, cap=0.01)

CANARY = "canary-7f3a9c5e1b"
"""The key of the project's model: it must turn up nowhere."""

SOURCE = """\
dspec 1

lm fake {{
  model = "openai/fake"
  api_base = env("FAULTING_URL")
  api_key = env("FAULTING_KEY")
  temperature = 0.0
  max_tokens = 40
  retry = {retry}
  timeout = {timeout}
  price {{ input = 1.0; output = 2.0 }}
}}

signature Label {{
  "Give the text a label."
  input text: str
  output label: "a" | "b" | "c" | "d"
}}

module labeller = Predict(Label)

dataset texts {{
  source = jsonl("texts.jsonl")
  input text: str
  field label: "a" | "b" | "c" | "d"
  split {{ train = {rows}; val = {rows}; test = {rows}; seed = 7 }}
}}

metric right(gold: texts, pred: labeller) {{ score = gold.label == pred.label }}

optimize tuned {{
  program = labeller
  metric = right
  train = texts.train
  val = texts.val
  seed = 9
  {budget}
  step search = BootstrapFewShotWithRandomSearch(
    max_bootstrapped_demos = 2,
    max_labeled_demos = 4,
    num_candidate_programs = {candidates},
  )
}}
"""


@dataclass(frozen=True)
class Project:
    folder: Path

    @property
    def source(self) -> Path:
        return self.folder / "main.dspec"

    @property
    def artifact(self) -> Path:
        return self.folder / "compiled" / "tuned.dspc.json"

    @property
    def state(self) -> Path:
        return self.folder / ".dspec"

    def answers(self) -> int:
        """How many answers are in the ledger, as another process sees it."""
        with Ledger(self.state / "ledger.sqlite") as ledger:
            return ledger.count()

    def environment(self, url: str, **more: str) -> dict[str, str]:
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "DSPEC_"))
        }
        return {
            **kept,
            "FAULTING_URL": url,
            "FAULTING_KEY": CANARY,
            "COLUMNS": "110",
            "NO_COLOR": "1",
            **more,
        }

    def start(self, url: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """`dspc compile`, in a process group of its own."""
        return subprocess.Popen(
            [str(DSPC), "compile", "main.dspec", "--threads", "8", *arguments],
            cwd=self.folder,
            env=self.environment(url, **environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def command(self, name: str) -> list[str]:
        """`dspc` for a subcommand that takes the source, or the artifact where that is what it shows."""
        return [str(DSPC), name, str(self.artifact if name == "show" else self.source)]

    def run(self, name: str, *arguments: str, url: str) -> Result:
        """`dspc` with a subcommand, as `command` has it."""
        done = subprocess.run(
            [*self.command(name), *arguments],
            cwd=self.folder,
            env=self.environment(url),
            capture_output=True,
            text=True,
            check=False,
        )
        result = Result(done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in result.text, result.text
        return result

    def compile(self, url: str, *arguments: str, **environment: str) -> Result:
        with self.start(url, *arguments, **environment) as process:
            out, err = process.communicate(timeout=120)
        result = Result(process.returncode, out, err)
        assert "Traceback" not in result.text, result.text
        return result


def project(
    folder: Path,
    *,
    rows: int = 120,
    candidates: int = 16,
    budget: str = "",
    retry: int = 4,
    timeout: float = 20.0,
) -> Project:
    """`rows` rows to train on, as many to score on: some `rows · candidates / 2` calls, since
    candidates that fall behind are not scored to the end."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = [{"text": f"text {i}", "label": "abcd"[i % 4]} for i in range(3 * rows)]
    (folder / "texts.jsonl").write_text("\n".join(map(json.dumps, texts)))
    made = Project(folder)
    block = f"budget {{ {budget} }}" if budget else ""
    made.source.write_text(
        SOURCE.format(rows=rows, candidates=candidates, budget=block, retry=retry, timeout=timeout)
    )
    return made


def requests(url: str) -> int:
    """What a server in another process has been asked so far."""
    with urllib.request.urlopen(url.removesuffix("/v1") + "/count", timeout=10) as response:
        return int(response.read())


def stats(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url.removesuffix("/v1") + "/stats", timeout=10) as response:
        return json.load(response)


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def kill(process: subprocess.Popen[str]) -> None:
    """kill -9, the process and whatever it started."""
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


@dataclass(frozen=True)
class Outcome:
    built: Built
    tally: Tally
    artifact: bytes


async def built(
    made: Project,
    server: FakeServer,
    *,
    threads: int = 8,
    backoff: Backoff = FAST,
    report: Report = silent,
    **options: Any,
) -> Outcome:
    """The compile in this process, on the project's own ledger and store."""
    os.environ |= {"FAULTING_URL": server.url, "FAULTING_KEY": CANARY}
    checked = analyse(made.source).project
    assert checked is not None
    made.state.mkdir(exist_ok=True)
    try:
        with (
            Ledger(made.state / "ledger.sqlite") as ledger,
            Store(made.state / "evaluations.sqlite") as store,
        ):
            ledger.begin("compile")  # and never ended, so that the next compile goes on with it
            async with Engine(threads=threads, ledger=ledger, backoff=backoff) as engine:
                result = await build(
                    checked, "tuned", made.folder, engine=engine, store=store, report=report, **options
                )
                await asyncio.to_thread(write_artifact, made.artifact, result.artifact)
                return Outcome(result, engine.tally, made.artifact.read_bytes())
    finally:
        del os.environ["FAULTING_URL"], os.environ["FAULTING_KEY"]
