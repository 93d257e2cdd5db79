"""What a project remembers, seen from the command line: plans, changes, the cache."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from dspc import EXAMPLES, dspc


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("state") / "tickets"
    shutil.copytree(EXAMPLES / "tickets", folder, ignore=shutil.ignore_patterns(".dspec", "compiled"))
    plan = dspc("plan", "tickets.dspec", "--json", "--why", cwd=folder)
    (folder / "plan.json").write_text(plan.out)
    assert json.loads(plan.out)["free"]["calls"] == 0
    result = dspc("compile", "tickets.dspec", "--plan", "plan.json", "--events", "log.ndjson", cwd=folder)
    assert result.code == 0, result.text
    return folder


@pytest.fixture
def project(compiled: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(compiled, tmp_path / "tickets"))


def changed(project: Path, before: str, after: str) -> None:
    source = project / "tickets.dspec"
    text = source.read_text()
    assert before in text
    source.write_text(text.replace(before, after, 1))


def test_an_unchanged_project_is_free_though_its_text_moves_about(compiled: Path) -> None:
    source = compiled / "tickets.dspec"
    text = source.read_text()
    metric = text[text.index("metric right") : text.index("optimize router_v1")]
    source.write_text(
        "# a comment\n" + text.replace(metric, "").replace("k = 16", "k   =   16") + "\n" + metric
    )
    try:
        said = dspc("plan", "tickets.dspec", "--why", cwd=compiled)
        assert "nothing has changed since the last complete compile" in said.out
        again = dspc("compile", "tickets.dspec", "--json", cwd=compiled)
        assert json.loads(again.out)["compiled"][0]["calls"]["made"] == 0
    finally:
        source.write_text(text)


def test_a_changed_option_is_named_and_earlier_steps_stay_free(project: Path) -> None:
    # what a compile followed from is remembered by the source's place
    dspc("compile", "tickets.dspec", cwd=project)
    changed(project, "max_labeled_demos = 64", "max_labeled_demos = 24")
    said = dspc("plan", "tickets.dspec", "--why", cwd=project).out
    assert "steps.search.options.max_labeled_demos: 64 → 24" in said
    assert "step labels" in said.partition("free:")[2].partition("\n")[0]
    changed(project, "Decide which intent", "Say which intent")
    said = dspc("plan", "tickets.dspec", "--why", cwd=project).out
    assert "signature.instruction" in said
    assert "free:" not in said


def test_a_plan_that_is_no_longer_the_plan_is_refused(project: Path) -> None:
    assert dspc("compile", "tickets.dspec", "--plan", "plan.json", cwd=project).code == 0
    changed(project, "seed = 9", "seed = 10")
    refused = dspc("compile", "tickets.dspec", "--plan", "plan.json", cwd=project)
    assert refused.code == 1
    assert "seed: 9 → 10" in refused.err
    changed(project, "seed = 10", "seed = 9")
    with (project / "data" / "tickets.csv").open("a") as file:
        file.write('"one more ticket, please",refund\n')
    assert "train: " in dspc("compile", "tickets.dspec", "--plan", "plan.json", cwd=project).err
    (project / "plan.json").write_text("[]")
    assert dspc("compile", "tickets.dspec", "--plan", "plan.json", cwd=project).code == 2


def test_the_cache_is_counted_carried_over_and_dropped(project: Path) -> None:
    info = json.loads(dspc("cache", "info", "--json", cwd=project).out)
    assert info["models"] == {"embedded/icl": info["answers"]}
    assert dspc("cache", "export", "answers.ndjson", cwd=project).code == 0
    assert dspc("cache", "prune", cwd=project).code == 2
    assert f"dropped {info['answers']:,}" in dspc("cache", "prune", "--all", cwd=project).out
    paid_again = json.loads(dspc("compile", "tickets.dspec", "--json", cwd=project).out)["compiled"][0][
        "calls"
    ]
    assert paid_again["made"] == info["answers"]
    dspc("cache", "prune", "--all", cwd=project)
    taken = dspc("cache", "import", "answers.ndjson", cwd=project)
    assert f"took in {info['answers']:,} answers" in taken.out
    (project / "answers.ndjson").write_text('{"key": 1}\n')
    wrong = dspc("cache", "import", "answers.ndjson", cwd=project)
    assert wrong.code == 1
    assert "1 line of answers.ndjson holds no answer and was left out" in wrong.err
    assert dspc("cache", "import", "nowhere.ndjson", cwd=project).code == 2


def test_the_log_tells_the_whole_compile(compiled: Path) -> None:
    events = [json.loads(line) for line in (compiled / "log.ndjson").read_text().splitlines()]
    kinds = {event["event"] for event in events}
    assert {"step_started", "step_finished", "row_scored", "candidate_scored", "call_answered"} <= kinds
    assert not {"messages", "prompt", "text"} & {name for event in events for name in event}
