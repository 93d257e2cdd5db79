"""`kill -9` in the rounds of an `Auto`: no answered call is repeated, and the artifact is the same."""

from __future__ import annotations

import json
import time
from pathlib import Path

from faulting import Project, kill, project, requests
from server import spawned

from dspec.runtime.artifact.artifact import parse_artifact

THREADS = 8
KILLS = 5
ROWS = 30


def prepared(folder: Path) -> Project:
    """A project whose rows tell their label by a word, but for one in five, so that nothing is ever perfect."""
    made = project(folder, rows=ROWS)
    text = made.source.read_text(encoding="utf-8")
    before, step, _ = text.partition("  step search = ")
    assert step
    made.source.write_text(f"{before}{step}Auto()\n}}\n".replace("max_tokens = 40", "max_tokens = 400"))
    words = ["apples", "rivers", "iron", "violin", "pears", "lakes", "copper", "flute"]
    rows = [
        {"text": f"{words[row % 8]} and {row * 7919 % 1000}", "label": "abcd"[(row + (row % 5 == 0)) % 4]}
        for row in range(3 * ROWS)
    ]
    (folder / "texts.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return made


def test_a_compile_with_auto_goes_on_after_it_was_killed(tmp_path: Path) -> None:
    quiet = prepared(tmp_path / "quiet")
    with spawned("--answer", "embedded") as url:
        result = quiet.compile(url)
        assert result.code == 0, result.text
        calls = requests(url)
    (step,) = parse_artifact(quiet.artifact.read_bytes()).provenance.steps
    assert len(step.explored) > 2, "it is killed in several rounds"
    assert quiet.answers() == calls

    killed = prepared(tmp_path / "killed")
    asked = answers = lost = 0
    with spawned("--answer", "embedded", "--latency", "0.005") as url:
        for number in range(1, KILLS + 1):
            process = killed.start(url)
            while requests(url) < calls * number // (KILLS + 1) and process.poll() is None:
                time.sleep(0.004)
            assert process.poll() is None, "it was killed in the middle"
            kill(process)
            now_kept, now_asked = killed.answers(), requests(url)
            # Whatever was asked in this round is kept, but for what was on its way.
            repeated = (now_asked - asked) - (now_kept - answers)
            assert 0 <= repeated <= THREADS
            asked, answers, lost = now_asked, now_kept, lost + repeated
        assert 0 < answers < calls
        result = killed.compile(url)
        assert result.code == 0, result.text
        assert requests(url) == calls + lost
    assert killed.answers() == calls
    assert killed.artifact.read_bytes() == quiet.artifact.read_bytes()
