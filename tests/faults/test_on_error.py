"""`on_error`: a row whose model never answers pauses the run, or scores 0 where that is asked for."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from faulting import Project, built, project
from rich.console import Console
from server import Call, FakeServer, hashed, spawned

from dspec.compiler.check.analysis import analyse
from dspec.compiler.cli.results import draw_compiled
from dspec.compiler.compile.keeping import Kept
from dspec.compiler.compile.pipeline import Compiled, Job
from dspec.runtime.errors import Refused, Unauthorized, Unavailable
from dspec.runtime.models.engine import Tally

SHIP = """
eval ship {
  program = tuned
  metric = right
  data = texts.test
  ON_ERROR
  gate score >= 0.0
}
"""


def broken(call: Call) -> str:
    """Fails for good on one text of ten, whatever program asks."""
    shown = re.findall(r"text (\d+)", str(call.body["messages"]))
    if shown[-1].endswith("7"):
        raise web.HTTPServiceUnavailable(text="not for this row")
    return hashed(call)


def forgiving(folder: Path, **settings: Any) -> Project:
    made = project(folder, **{"rows": 30, "candidates": 4, "retry": 1, **settings})
    text = made.source.read_text()
    made.source.write_text(text.replace("  seed = 9", '  seed = 9\n  on_error = "score_zero"') + SHIP)
    evals(made, 'on_error = "score_zero"')
    return made


def evals(made: Project, setting: str) -> None:
    made.source.write_text(made.source.read_text().replace("ON_ERROR", setting))


async def test_rows_that_fail_for_good_score_zero_are_counted_and_asked_again(tmp_path: Path) -> None:
    async with FakeServer(hashed) as server:
        clean = await built(forgiving(tmp_path / "clean"), server)
    made = forgiving(tmp_path / "made")
    async with FakeServer(broken) as server:
        found = await built(made, server)
    baseline = found.built.baseline
    assert found.built.status == "complete"
    assert baseline is not None
    assert 1 <= baseline.unanswered <= 9
    assert all(
        row.score == 0.0 and "not for this row" in (row.reason or "")
        for row in baseline.rows
        if row.unanswered
    )
    provenance = json.loads(found.artifact)["provenance"]
    assert provenance["unanswered"] >= baseline.unanswered
    assert "scored 0, as `on_error` says" in found.artifact.decode()
    assert "127.0.0.1" not in found.artifact.decode()
    assert any("not for this row" in note for note in found.built.notes)
    shown = io.StringIO()
    job = Job(found.built.plan, made.artifact, ())
    draw_compiled(Console(file=shown, width=200), Compiled(job, found.built, Kept(None), (), Tally()))
    assert f"fewer: {provenance['unanswered']} runs got no answer" in shown.getvalue()
    # What nobody answered is not remembered: with the endpoint whole again, nothing of it is left.
    async with FakeServer(hashed) as server:
        again = await built(made, server)
    assert again.artifact == clean.artifact
    assert "unanswered" not in json.loads(again.artifact)["provenance"]


async def test_the_artifact_of_one_that_was_cut_short_holds_no_reason_either(tmp_path: Path) -> None:
    made = forgiving(tmp_path, budget="calls = 60")
    async with FakeServer(broken) as server:
        found = await built(made, server)
    assert found.built.status == "budget"
    assert any("not for this row" in note for note in found.built.notes)
    assert "scored 0, as `on_error` says" in found.artifact.decode()
    assert "not for this row" not in found.artifact.decode()
    assert "127.0.0.1" not in found.artifact.decode()


async def test_unless_it_is_asked_for_one_row_pauses_the_run(tmp_path: Path) -> None:
    async with FakeServer(broken) as server:
        with pytest.raises(Unavailable, match="not for this row"):
            await built(project(tmp_path, rows=30, candidates=4, retry=1), server)


async def test_a_key_that_is_not_accepted_stops_the_run_all_the_same(tmp_path: Path) -> None:
    async with FakeServer(hashed, faults={"401": 1.0}) as server:
        with pytest.raises(Unauthorized):
            await built(forgiving(tmp_path), server)


def test_an_eval_says_how_many_and_why(tmp_path: Path) -> None:
    made = forgiving(tmp_path, retry=0)
    with spawned("--answer", "hashed") as url:
        assert made.compile(url, "--no-evals").code == 0
    command = made.run("eval", url="http://127.0.0.1:9/v1")
    assert command.code == 0, command.text
    assert "30 rows without any answer (scored 0, as `on_error` says); the first: lm fake" in command.out
    made.source.write_text(
        made.source.read_text().replace(
            'data = texts.test\n  on_error = "score_zero"', 'data = texts.test\n  on_error = "stop"'
        )
    )
    assert made.run("eval", url="http://127.0.0.1:9/v1").code == 4


def refusing(call: Call) -> str:
    """Refuses one row of ten for good, as a content filter does."""
    shown = re.findall(r"text (\d+)", str(call.body["messages"]))
    if shown[-1].endswith("7"):
        raise web.HTTPBadRequest(text="flagged by the content policy")
    return hashed(call)


async def test_a_refused_row_is_named_and_there_is_a_way_past_it(tmp_path: Path) -> None:
    """With `on_error` in the block alone: its evals keep to it, too."""
    made = project(tmp_path, rows=30, candidates=4)
    made.source.write_text(made.source.read_text() + SHIP.replace("ON_ERROR", ""))
    async with FakeServer(refusing) as server:
        with pytest.raises(Refused) as caught:
            await built(made, server)
        assert re.match(r"row \d*8 of `texts`: lm fake .*flagged by the content policy", caught.value.message)
        assert 'on_error = "score_zero"' in caught.value.help
        text = made.source.read_text()
        made.source.write_text(text.replace("  seed = 9", '  seed = 9\n  on_error = "score_zero"'))
        again = await built(made, server)
    assert again.built.status == "complete"
    checked = analyse(made.source).project
    assert checked is not None
    assert checked.evals["ship"].when_unanswered == "score_zero"
    made.source.write_text(
        made.source.read_text().replace("data = texts.test", 'data = texts.test\n  on_error = "stop"')
    )
    stopped = analyse(made.source).project
    assert stopped is not None
    assert stopped.evals["ship"].when_unanswered == "stop"
