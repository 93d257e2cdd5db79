"""DSPy 3.4.1 itself against `compat = "dspy"`: the same rows and the same model, the same compiled program.

Skipped unless DSPy's environment is there (`environment.py` makes it, and `dev.py deep` runs that first);
`DSPEC_REQUIRE_DSPY=1` turns a skip into a failure. DSPy is started once for all cases.

What is compared is what a prompt can show, since the rest of DSPy's state differs by design: its demos are
whole rows, with columns that a predictor does not have; and COPRO's `prefix` of an output reaches no prompt.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import environment
import pytest
from cases import CASES, COUNTED, EXPORTED, MEMBERS, NEIGHBOURS, NEIGHBOURS_AT_DEFAULTS, Case
from dspec_side import Compiled, answers, compiled, elected, exported, labelled, members, ranks

from dspec.runtime.artifact.dspy_state import dspy_state
from dspec.runtime.running.neighbours import with_nearest_demos
from dspec.runtime.schema.program import LM, Program

HERE = Path(__file__).parent
DRIVER_TIMEOUT = 240
FIELDS = {
    "ask.predict": ("text", "reasoning", "label"),
    "summarize": ("text", "gist"),
    "decide": ("text", "gist", "label"),
}

INPUTS = {"ask.predict": {"text"}, "summarize": {"text"}, "decide": {"text", "gist"}}

Shown = dict[str, tuple[str, tuple[str, ...]]]
"""By predictor: its instruction, and its demos as JSON, with what they have of its fields and whether a
teacher made them."""


@dataclass(frozen=True)
class Dspy:
    url: str
    results: dict[str, dict[str, Any]]
    ask: Callable[[list[dict[str, Any]]], dict[str, dict[str, Any]]]
    """Starts DSPy again for more cases."""
    made: dict[str, Compiled] = field(default_factory=dict[str, Compiled])
    """What this side made of the cases so far."""

    def of(self, case: Case) -> dict[str, Any]:
        found = self.results[case.name]
        assert "error" not in found, found["error"]
        return found

    async def ours(self, case: Case) -> Compiled:
        if case.name not in self.made:
            self.made[case.name] = await compiled(case, self.url)
        return self.made[case.name]


def available() -> Path:
    """DSPy's Python; skips or fails where there is none."""
    if environment.ready():
        return environment.PYTHON
    missing = (
        "DSPy's environment is not made: `python tests/differential/environment.py` makes it (a minute, once)"
    )
    if os.environ.get("DSPEC_REQUIRE_DSPY") == "1":
        pytest.fail(missing)
    pytest.skip(missing)


@pytest.fixture(scope="module")
def dspy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dspy]:
    """The model, and what DSPy made of every case."""
    python = available()
    folder = tmp_path_factory.mktemp("dspy")
    command = [sys.executable, str(HERE / "model.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as model:
        assert model.stdout is not None
        try:
            url = model.stdout.readline().strip()
            yield Dspy(url, driven(python, url, folder), partial(asked, python, url, folder))
        finally:
            model.kill()


def driven(python: Path, url: str, folder: Path) -> dict[str, dict[str, Any]]:
    more = [case.as_json() | {"load": exported(case, url)} for case in EXPORTED]
    more += [
        case.as_json() | {"members": [dspy_state(one) for one in members(case, url)]} for case in MEMBERS
    ]
    more += [
        case.as_json() | {"vectors": ranks(case, url)} for case in (*NEIGHBOURS, *NEIGHBOURS_AT_DEFAULTS)
    ]
    return asked(python, url, folder, [*(case.as_json() for case in CASES), *more])


def asked(python: Path, url: str, folder: Path, cases: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    (folder / "cases.json").write_text(json.dumps({"url": url, "cases": cases}))
    quiet = {"PATH": os.environ.get("PATH", ""), "HOME": str(folder), "DSPY_CACHEDIR": str(folder / "cache")}
    quiet |= {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "NO_PROXY": "*"}
    done = subprocess.run(
        [str(python), str(HERE / "dspy_side.py"), str(folder / "cases.json"), str(folder / "results.json")],
        env=quiet,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=DRIVER_TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads((folder / "results.json").read_text())


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIFFERENTIAL_KEY", "none")


def shown(state: dict[str, Any]) -> Shown:
    """What of a saved state a prompt can show."""
    found: Shown = {}
    for name, fields in FIELDS.items():
        if name in state:
            demos = [
                {key: value for key, value in demo.items() if key in (*fields, "augmented")}
                for demo in state[name]["demos"]
            ]
            texts = tuple(json.dumps(demo, sort_keys=True) for demo in demos)
            found[name] = (state[name]["signature"]["instructions"], texts)
    return found


def ours(program: Program) -> Shown:
    return shown(dspy_state(program))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_the_compiled_program_and_all_scores_are_the_same(case: Case, dspy: Dspy) -> None:
    theirs = dspy.of(case)
    made = await dspy.ours(case)
    assert ours(made.program) == shown(theirs["state"])
    assert ranking(made) == distinct([(one["score"], shown(one["state"])) for one in theirs["candidates"]])


def ranking(made: Compiled) -> list[tuple[float, Shown]]:
    """All candidates, best first: of each its score, and its prompts."""
    programs = [candidate.program for candidate in made.result.candidates]
    assert all(isinstance(program, Program) for program in programs)
    return distinct(list(zip(made.scores, map(ours, programs), strict=True)))


def distinct(candidates: Sequence[tuple[float, Shown]]) -> list[tuple[float, Shown]]:
    """Without repeats. COPRO means to drop them and misses those whose field objects it rebuilt."""
    found: list[tuple[float, Shown]] = []
    for candidate in candidates:
        if candidate not in found:
            found.append(candidate)
    return found


def test_the_cases_tell_programs_apart(dspy: Dspy) -> None:
    """Equal results mean something only where different choices would have shown."""
    for case in CASES:
        states = [json.dumps(shown(one["state"])) for one in dspy.of(case)["candidates"]]
        assert not states or len(set(states)) > 1, case.name
    scores = {one["score"] for case in CASES for one in dspy.of(case)["candidates"]}
    assert len(scores) > 10


@pytest.mark.parametrize("case", COUNTED, ids=lambda case: case.name)
async def test_where_nothing_is_scored_as_many_calls_are_made(case: Case, dspy: Dspy) -> None:
    """But for rows that are the same: those are asked about once here, and in DSPy where its cache is on."""
    made = await dspy.ours(case)
    assert made.calls == dspy.of(case)["calls"]
    assert made.calls == 0 or case.optimizer != "LabeledFewShot"


async def test_dspy_asks_the_same_with_an_exported_state_as_with_its_own(dspy: Dspy) -> None:
    """Message for message: system prompt with all descriptions, demos, and question."""
    compared = [
        case.as_json()
        | {"val": case.rows()[1][:2] or case.rows()[0][:2]}
        | {"prompts": {"ours": dspy_state((await dspy.ours(case)).program), "theirs": dspy.of(case)["state"]}}
        for case in CASES
    ]
    results = dspy.ask(compared)
    for case in CASES:
        found = results[case.name]
        assert "error" not in found, found["error"]
        assert len(found["theirs"]) >= 2
        assert found["ours"] == found["theirs"], case.name


@pytest.mark.parametrize("case", EXPORTED, ids=lambda case: case.name)
async def test_an_exported_program_loads_in_dspy_and_answers_the_same(case: Case, dspy: Dspy) -> None:
    loaded = dspy.of(case)
    state = exported(case, dspy.url)
    assert loaded["state"] == {name: member for name, member in state.items() if name != "metadata"}
    assert loaded["answers"] == await answers(labelled(case, dspy.url), case)


@pytest.mark.parametrize("case", MEMBERS, ids=lambda case: case.name)
async def test_an_ensemble_elects_the_same_answers(case: Case, dspy: Dspy) -> None:
    """`size` is not compared: DSPy draws members anew for every request, without a seed."""
    assert dspy.of(case)["answers"] == await answers(await elected(case, dspy.url), case)


async def no_model(lm: LM, text: str) -> list[float]:
    raise AssertionError(f"{lm.name} was asked for the embedding of {text}")


@pytest.mark.parametrize("case", NEIGHBOURS, ids=lambda case: case.name)
async def test_neighbours_show_the_same_demos(case: Case, dspy: Dspy) -> None:
    """DSPy bootstraps a request's neighbours when it comes, this project each row once.

    So labels and bootstrapped demos together can differ (a row's teacher was shown other labels). Each alone is the
    same, in the same order, and so are the neighbours; DSPy compares them by vectors in which the ranks of this
    project's index stand.
    """
    theirs = dspy.of(case)
    made = await compiled(case, dspy.url)
    _, val = case.rows()
    assert len(theirs["states"]) == len(val)
    for row, state in zip(val, theirs["states"], strict=True):
        found = await near(made.program, row)
        assert found == visible(shown(state))
    assert theirs["answers"] == await answers(made.program, case)


@pytest.mark.parametrize("case", NEIGHBOURS_AT_DEFAULTS, ids=lambda case: case.name)
async def test_at_the_defaults_neighbours_are_shown_as_their_teacher_was(case: Case, dspy: Dspy) -> None:
    """What does differ, so that the page on optimizers stays true: demos, where the teacher is shown labels."""
    theirs = dspy.of(case)
    made = await compiled(case, dspy.url)
    _, val = case.rows()
    same = [
        await near(made.program, row) == visible(shown(state))
        for row, state in zip(val, theirs["states"], strict=True)
    ]
    assert not all(same)
    # A row that is not accepted shows its label; the step of two whose output has none shows nothing of it.
    for row, state in zip(val, theirs["states"], strict=True) if case.program == "one" else ():
        assert texts(await near(made.program, row)) == texts(visible(shown(state)))


async def near(program: Program, row: dict[str, str]) -> Shown:
    """The demos that an input is shown."""
    return visible(ours(await with_nearest_demos(program, {"text": row["text"]}, no_model)))


def texts(found: Shown) -> dict[str, set[str]]:
    """The rows that are shown, whoever answered them."""
    return {name: {json.loads(demo)["text"] for demo in demos} for name, (_, demos) in found.items()}


def visible(found: Shown) -> Shown:
    """Without the demos of which nothing reaches a prompt: those that have no output, or no input."""

    def seen(name: str, demo: str) -> bool:
        given = json.loads(demo).keys()
        inputs = INPUTS[name]
        return bool(given & inputs) and bool(given & (set(FIELDS[name]) - inputs))

    return {
        name: (instruction, tuple(demo for demo in demos if seen(name, demo)))
        for name, (instruction, demos) in found.items()
    }
