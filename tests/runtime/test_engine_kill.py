"""`kill -9` in the middle of a run, then the run again: what was answered is never asked twice."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

from server import spawned

from dspec.runtime.models.ledger import Ledger

ROWS = 120
WIDTH = 8
KILLS = 6

RUN = f"""
import asyncio, sys
from pathlib import Path
from dspec.runtime.models.engine import Engine
from dspec.runtime.models.ledger import Ledger
from dspec.runtime.schema.program import LM
from dspec.runtime.models.protocol import Message, Request

async def main(url, path):
    lm = LM(name="fake", model="openai/fake", api_base=url)
    with Ledger(Path(path)) as ledger:
        async with Engine(threads={WIDTH}, ledger=ledger) as engine:
            requests = [Request(lm, (Message("user", f"row {{i}}"),)) for i in range({ROWS})]
            completions = await asyncio.gather(*map(engine.complete, requests))
    sys.stdout.write("\\n".join(completion.answer.text for completion in completions))

asyncio.run(main(*sys.argv[1:]))
"""


def stats(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url.replace("/v1", "/stats")) as response:
        return json.load(response)


def test_no_answered_request_is_asked_again(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    draw = random.Random(7)
    kills = 0
    with spawned("--latency", "0.02") as url:
        command = [sys.executable, "-c", RUN, url, str(path)]
        while kills < KILLS:
            stored = _count(path)
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            goal = stored + draw.randint(1, ROWS // KILLS)
            while _count(path) < goal and process.poll() is None:
                time.sleep(0.002)
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
            # what the server has answered is on disk, but for the calls in flight at the kill
            assert 0 <= len(stats(url)["answered"]) - _count(path) <= WIDTH
        finished = subprocess.run(command, capture_output=True, text=True, check=True)
        after = stats(url)
    assert finished.stdout.splitlines() == [f"You said: row {i}" for i in range(ROWS)]
    repeats = Counter({digest: count - 1 for digest, count in after["asked"].items() if count > 1})
    assert len(after["asked"]) == ROWS
    assert repeats.total() <= KILLS * WIDTH
    assert repeats.total() < ROWS


def _count(path: Path) -> int:
    if not path.exists():
        return 0
    with Ledger(path) as ledger:
        return ledger.count()
