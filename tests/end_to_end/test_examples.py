"""The examples as a newcomer meets them: checked, planned, compiled, run; offline."""

import json
import shutil
from pathlib import Path

import pytest
from dspc import EXAMPLES, Result, dspc


def copy(name: str, folder: Path) -> Path:
    """A copy of an example in a folder of its own."""
    target = folder / name
    shutil.copytree(EXAMPLES / name, target, ignore=shutil.ignore_patterns("compiled", ".dspec"))
    return target


def compiled(example: Path, *arguments: str) -> tuple[Result, dict]:
    result = dspc("compile", f"{example.name}.dspec", "--json", *arguments, cwd=example)
    assert result.code == 0, result.text
    return result, json.loads(result.out)["compiled"][0]


@pytest.fixture(scope="module")
def tickets(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    example = copy("tickets", tmp_path_factory.mktemp("examples"))
    return example, compiled(example)[1]


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir()))
def test_every_example_checks_clean_and_is_formatted(name: str, tmp_path: Path) -> None:
    example = copy(name, tmp_path)
    assert dspc("check", "--strict", cwd=example).code == 0
    assert dspc("fmt", "--check", cwd=example).code == 0


def test_the_ticket_router_gains_fifteen_points_on_rows_it_never_saw(tickets: tuple[Path, dict]) -> None:
    (evaluation,) = tickets[1]["evals"]
    assert evaluation["score"] >= evaluation["baseline"]["score"] + 0.15
    assert evaluation["low"] <= evaluation["score"] <= evaluation["high"]
    assert evaluation["baseline"]["low"] <= evaluation["baseline"]["score"] <= evaluation["baseline"]["high"]
    assert evaluation["passed"]


def test_compiling_again_gives_the_same_bytes_and_makes_no_call(tickets: tuple[Path, dict]) -> None:
    example, first = tickets
    artifact = example / "compiled" / "router_v1.dspc.json"
    before = artifact.read_bytes()
    artifact.unlink()
    _, second = compiled(example)
    assert artifact.read_bytes() == before
    assert first["calls"]["made"] > 0
    assert second["calls"]["made"] == 0
    assert second["calls"]["needed"] == first["calls"]["needed"]


def test_threads_and_an_empty_state_do_not_change_a_byte(tickets: tuple[Path, dict], tmp_path: Path) -> None:
    artifact = tickets[0] / "compiled" / "router_v1.dspc.json"
    other = copy("tickets", tmp_path)
    compiled(other, "--threads", "1")
    assert (other / "compiled" / "router_v1.dspc.json").read_bytes() == artifact.read_bytes()


@pytest.mark.parametrize("name", ["tickets", "triage"])
def test_a_compile_makes_the_calls_that_were_planned_or_fewer(name: str, tmp_path: Path) -> None:
    example = copy(name, tmp_path)
    plan = json.loads(dspc("plan", f"{name}.dspec", "--json", cwd=example).out)
    _, made = compiled(example)
    assert plan["least"] <= made["calls"]["needed"] <= plan["most"]
    assert made["calls"]["made"] <= made["calls"]["needed"]
    for planned, step in zip(plan["steps"], made["steps"], strict=True):
        assert step["calls"] <= planned["task"][1] + planned["teacher"][1]


def test_the_pipeline_improves(tmp_path: Path) -> None:
    _, made = compiled(copy("triage", tmp_path))
    (evaluation,) = made["evals"]
    assert evaluation["score"] >= evaluation["baseline"]["score"] + 0.10


def test_the_compiled_router_answers_from_the_command_line_and_in_python(
    tickets: tuple[Path, dict], tmp_path: Path
) -> None:
    from dspec import load

    artifact = tickets[0] / "compiled" / "router_v1.dspc.json"
    text = "I was charged twice on my invoice this month"
    shown = dspc("run", artifact, "--input", f"text={text}", "--json", cwd=tmp_path)
    assert shown.code == 0, shown.text
    assert json.loads(shown.out)["intent"] == load(artifact)(text=text).intent
