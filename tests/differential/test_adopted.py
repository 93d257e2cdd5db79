"""Programs of DSPy 3.4.1 that `dspc adopt` reads, and their way back: `dspc export` writes DSPy programs of what was adopted, and
DSPy asks with those what it asks with the originals, byte for byte. This project's runtime asks the same in its own layout.

Then one that was tuned: DSPy's saved state is imported, exported, loaded by DSPy, saved and imported again.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from dspc import dspc
from programs import chat
from prompts import UnknownLayout, read
from server import Call, FakeServer
from test_dspy import available

from dspec.compiler.check.analysis import analyse
from dspec.runtime.artifact.artifact import read_artifact, write_artifact
from dspec.runtime.artifact.dspy_program import dspy_program
from dspec.runtime.artifact.dspy_state import dspy_state
from dspec.runtime.models.engine import Engine
from dspec.runtime.running.execute import run
from dspec.runtime.schema.program import Demo, Program
from dspec.runtime.tools.toolbox import Toolbox

HERE = Path(__file__).parent
KEY = "DIFFERENTIAL_KEY"
TIMEOUT = 240


@dataclass(frozen=True)
class Case:
    file: str
    program: str
    inputs: dict[str, Any]
    answers: dict[str, str | list[str]]
    """What the model answers for each output; of a list one after the other."""
    tools: dict[str, Callable[..., Any]] = field(default_factory=dict[str, Callable[..., Any]])
    agent: bool = False
    """The instruction of an agent's steps is each side's own: no state is loaded, and layouts are not compared."""
    whole: bool = True


CASES = [
    Case(
        "short_answers",
        "Reader",
        {"question": "Who?", "passages": ["Ada «wrote»\nit", "in 1843"]},
        {"reasoning": "it says so", "answer": "Ada"},
    ),
    Case(
        "hops",
        "Hops",
        {"question": "Who?"},
        {"reasoning": "so", "query": ["first", "second"], "answer": "Ada"},
        {"search": lambda query, k=2: [f"fact {number} of {query}" for number in range(k)]},
        whole=False,  # a list that is given to a field of no type is numbered by DSPy, and JSON here
    ),
    Case(
        "triage",
        "triage",
        {"ticket": "Lost card!", "history": ["a", "b"]},
        {"team": "billing", "urgent": "True", "hours": "2.5"},
    ),
    Case(
        "invoices",
        "Extraction",
        {"letter": "One lamp", "received": None},
        {
            "reasoning": "so",
            "invoice": json.dumps(
                {
                    "seller": "Acme",
                    "currency": "EUR",
                    "lines": [{"sku": "A", "quantity": 2, "note": None}],
                    "shares": {"a": 0.5},
                }
            ),
            "sure": "7",
            "correct": "False",
        },
        whole=False,  # of `currency`, a named union, the schema of DSPy's enumeration says the name
    ),
    Case(
        "revising",
        "Revising",
        {"topic": "Bees"},
        {
            "draft": "v1",
            "reasoning": "so",
            "note": ["more", "less", "fine"],
            "good": ["False", "False", "True"],
            "better": ["v2", "v3"],
        },
    ),
    Case(
        "choosing",
        "Choosing",
        {"question": "1 + 1?"},
        {"kind": "sum", "reasoning": "so", "steps": '["add", "tell"]', "answer": "2"},
    ),
    Case(
        "agent",
        "agent",
        {"question": "How far?"},
        {
            "next_thought": "look",
            "next_tool_name": ["search", "convert", "finish"],
            "next_tool_args": ['{"query": "Rome"}', '{"amount": 10.0}', "{}"],
            "reasoning": "so",
            "kilometres": "16.09",
        },
        {"search": lambda query: [f"fact of {query}"], "convert": lambda amount, unit="km": amount * 1.609},
        agent=True,
    ),
    Case(
        "voting",
        "Voting",
        {"problem": "1 + 1?"},
        {"reasoning": "so", "answer": ["2", "3", "the 3", "3"], "explanation": "because"},
    ),
    Case(
        "chapters",
        "Chapters",
        {"title": " bees ", "chapters": ["one", "two"]},
        {"reasoning": "so", "summary": ["s1", "s2"], "text": "all"},
    ),
    Case(
        "best",
        "Best",
        {"product": "Lamp"},
        {"reasoning": "so", "slogan": ["too long a slogan for us", "lamp!", "no"]},
    ),
    Case(
        "digest",
        "Digest",
        {"mail": "Send it now!"},
        {"reasoning": "so", "tasks": '["send it"]', "first": "send it", "tone": "now", "digest": "Send it."},
    ),
    Case("stubborn", "Stubborn", {"question": "Who?"}, {"reasoning": "so", "answer": '"Ada"'}, whole=False),
]


class Answering:
    """Answers by the case and the outputs that are asked for; knows what each side asked."""

    def __init__(self) -> None:
        self.cases = {case.file: case for case in CASES}
        self.counts: Counter[str] = Counter()
        self.asked: dict[str, list[list[dict[str, str]]]] = {}

    def __call__(self, call: Call) -> str:
        name = call.body["model"]
        case = self.cases[name.partition(".")[2].partition(".")[0]]
        messages = call.body["messages"]
        self.asked.setdefault(name, []).append(messages)
        said: dict[str, str] = {}
        for output in read(messages).outputs:
            answer = case.answers[output]
            if isinstance(answer, list):
                place = self.counts[f"{name} {output}"]
                self.counts[f"{name} {output}"] += 1
                answer = answer[min(place, len(answer) - 1)]
            said[output] = answer
        return chat(**said)


@dataclass(frozen=True)
class Found:
    adopted: dict[str, Any]
    exported: int
    """Exit code of `dspc export`; 70 where there was nothing to export."""
    theirs: Mapping[str, Any]
    back: Mapping[str, Any]
    ours: list[list[dict[str, str]]]
    outputs: dict[str, Any]
    folder: Path


def written(case: Case, folder: Path) -> tuple[dict[str, Any], int]:
    """Adopts the case's file and exports what came of it."""
    folder.mkdir()
    (folder / "pyproject.toml").write_text("")
    shutil.copy(HERE / "adopted" / f"{case.file}.py", folder)
    report = json.loads(dspc("adopt", f"{case.file}.py:{case.program}", "--json", cwd=folder).out)
    if report["errors"]:
        return report, 70
    done = dspc(
        "export", f"{case.file}.dspec", case.program, "--to", "dspy", "-o", "back/again.py", cwd=folder
    )
    if (folder / "back").is_dir():
        shutil.copy(folder / f"{case.file}.py", folder / "back")
    return report, done.code


async def both(python: Path, folder: Path) -> dict[str, Found]:
    os.environ[KEY] = "none"
    made = {case.file: written(case, folder / case.file) for case in CASES}
    answering = Answering()
    async with FakeServer(answering) as server:
        work: list[dict[str, Any]] = []
        for case in CASES:
            place = folder / case.file
            common = {"inputs": case.inputs, "forget": [case.file, "again"]}
            work.append(
                {
                    "name": f"theirs.{case.file}",
                    "model": f"theirs.{case.file}",
                    "file": str(place / f"{case.file}.py"),
                    "program": case.program,
                    **common,
                }
            )
            if (place / "back" / "again.py").exists():
                # An agent's steps are asked for in each side's own words: its state has this project's.
                name = "Agent" if case.agent else "load"
                work.append(
                    {
                        "name": f"back.{case.file}",
                        "model": f"back.{case.file}",
                        "file": str(place / "back" / "again.py"),
                        "program": name,
                        **common,
                    }
                )
        results = await driven(python, folder, server.url, work)
        found: dict[str, Found] = {}
        for case in CASES:
            report, code = made[case.file]
            outputs: dict[str, Any] = {}
            if code != 70 and case.file != "stubborn":
                outputs = await ours(case, folder / case.file, server.url)
            found[case.file] = Found(
                report,
                code,
                results[f"theirs.{case.file}"],
                results.get(f"back.{case.file}", {}),
                answering.asked.get(f"ours.{case.file}", []),
                outputs,
                folder / case.file,
            )
    return found


async def ours(case: Case, folder: Path, url: str) -> dict[str, Any]:
    """What the adopted program gives here."""
    project = analyse(folder / f"{case.file}.dspec").project
    assert project is not None
    program = project.programs[case.program]
    lms = {
        name: lm.model_copy(update={"model": f"openai/ours.{case.file}", "api_base": url, "api_key_env": KEY})
        for name, lm in program.lms.items()
    }
    async with (
        Toolbox(folder, functions=case.tools) as toolbox,
        Engine(transport="lean", threads=1, tools=toolbox) as engine,
    ):
        return (await run(program.with_lms(lms), case.inputs, engine)).outputs


async def driven(python: Path, folder: Path, url: str, work: list[dict[str, Any]]) -> dict[str, Any]:
    (folder / "cases.json").write_text(json.dumps({"url": url, "cases": work}))
    quiet = {"PATH": os.environ.get("PATH", ""), "HOME": str(folder), "DSPY_CACHEDIR": str(folder / "cache")}
    quiet |= {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "NO_PROXY": "*"}
    driver = await asyncio.create_subprocess_exec(
        str(python),
        str(HERE / "dspy_adopted.py"),
        str(folder / "cases.json"),
        str(folder / "results.json"),
        env=quiet,
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(TIMEOUT):
            said, _ = await driver.communicate()
    finally:
        if driver.returncode is None:
            driver.kill()
    assert driver.returncode == 0, said.decode()[-3000:]
    return json.loads((folder / "results.json").read_text())


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Found]:
    return asyncio.run(both(available(), tmp_path_factory.mktemp("adopted")))


def is_whole(case: Case, one: Found) -> bool:
    return (
        one.adopted["whole"] and one.exported == 0 and one.theirs.get("messages") == one.back.get("messages")
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.file)
def test_an_adopted_program_asks_what_the_original_asks(found: dict[str, Found], case: Case) -> None:
    one = found[case.file]
    assert "error" not in one.theirs, one.theirs["error"]
    assert "error" not in one.back, one.back["error"]
    assert is_whole(case, one) == case.whole, one.adopted
    if case.whole:
        assert one.back["messages"] == one.theirs["messages"]
        assert one.back["outputs"] == one.theirs["outputs"]


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.whole and not case.agent], ids=lambda case: case.file
)
def test_this_runtime_asks_the_same_in_its_own_layout(found: dict[str, Found], case: Case) -> None:
    one = found[case.file]
    assert [said(messages) for messages in one.ours] == [
        said(messages) for messages in one.theirs["messages"]
    ]


def said(messages: list[dict[str, str]]) -> Any:
    """What a prompt says; lists are JSON on both sides."""
    try:
        asked = read(messages)
    except UnknownLayout:
        return messages
    return (asked.instruction, asked.demos, asked.inputs, asked.outputs)


def test_nine_of_twelve_are_whole(found: dict[str, Found]) -> None:
    whole = [case.file for case in CASES if is_whole(case, found[case.file])]
    assert len(CASES) == 12
    assert len(whole) >= 9, whole


def test_what_is_not_read_is_said_by_line(found: dict[str, Found]) -> None:
    (lost,) = [one for one in found["stubborn"].adopted["remarks"] if one["lost"]]
    assert (lost["line"], "while" in lost["text"]) == (15, True)
    text = (found["stubborn"].folder / "stubborn.dspec").read_text()
    assert "# stubborn.py:15: `Stubborn` is not read" in text
    assert "module ask = ChainOfThought" in text


# There and back, tuned -------------------------------------------------------------------------------

TUNED = """
optimize tuned {
  program = PROGRAM
  metric = METRIC
  train = trainset
  scoring = "none"
  seed = 3
  step labels = LabeledFewShot(k = 2)
}
"""


@dataclass(frozen=True)
class Tuned:
    file: str
    program: str
    metric: str
    names: tuple[str, ...]
    """Of predictors in the original, where they are others there."""
    told: dict[str, tuple[str, Demo]] = field(default_factory=dict[str, tuple[str, Demo]])
    """Instructions and demos besides, by predictor."""


ROUND = [
    Tuned("short_answers", "Reader", "answered", ()),
    Tuned(
        "digest",
        "Digest",
        "good",
        ("find=single.find.predict", "rank=single.rank"),
        {
            "find": (
                "Find them.\n«All» of them:\n  each",
                Demo(
                    inputs={"mail": "a\nb"}, outputs={"reasoning": "r", "tasks": ["x", "é"]}, augmented=True
                ),
            ),
            "rank": ("Rank.", Demo(inputs={"tasks": ["a"]}, outputs={"first": "a", "tone": "calm"})),
        },
    ),
]


@pytest.mark.parametrize("tuned", ROUND, ids=lambda tuned: tuned.file)
def test_a_tuned_program_goes_there_and_comes_back(tuned: Tuned, tmp_path: Path) -> None:
    """Compile, export, load in DSPy (this project's module, and the original with its state), ask, save, import: the same program."""
    python = available()
    (tmp_path / "pyproject.toml").write_text("")
    shutil.copy(HERE / "adopted" / f"{tuned.file}.py", tmp_path)
    source = tmp_path / f"{tuned.file}.dspec"
    assert dspc("adopt", f"{tuned.file}.py", cwd=tmp_path).code == 0
    text = source.read_text()
    block = TUNED.replace("PROGRAM", tuned.program).replace("METRIC", tuned.metric)
    kept = text[: text.index("\noptimize ")] + block
    source.write_text(kept)
    compiled = dspc("compile", source.name, "tuned", cwd=tmp_path, OPENAI_API_KEY="none")
    assert compiled.code == 0, compiled.text
    artifact = tmp_path / "compiled" / "tuned.dspc.json"
    made = read_artifact(artifact, keys_given=lambda _: True)
    program = made.program
    for address, (instruction, demo) in tuned.told.items():
        assert isinstance(program, Program)
        program = program.with_predictor(address, instruction=instruction, demos=(demo,))
    write_artifact(artifact, made.model_copy(update={"program": program}))
    assert dspc("export", artifact, "--to", "dspy", "-o", "again.py", cwd=tmp_path).code == 0
    named = [part for name in tuned.names for part in ("--predictor", name)]
    assert dspc("export", artifact, "--to", "dspy", *named, "-o", "state.json", cwd=tmp_path).code == 0

    case = next(case for case in CASES if case.file == tuned.file)
    work = [
        {
            "name": "theirs",
            "file": str(tmp_path / f"{tuned.file}.py"),
            "program": tuned.program,
            "state": str(tmp_path / "state.json"),
        },
        {"name": "back", "file": str(tmp_path / "again.py"), "program": "load"},
    ]
    common = {"inputs": case.inputs, "forget": [tuned.file, "again"]}
    work = [{**one, **common, "model": f"{one['name']}.{tuned.file}"} for one in work]
    results = asyncio.run(_asked(python, tmp_path, work))
    theirs, back = results["theirs"], results["back"]
    assert theirs["messages"] == back["messages"]
    assert any(message["role"] == "assistant" for message in theirs["messages"][0]), "demos could have shown"

    before = program
    for side in (theirs, back):
        (tmp_path / "saved.json").write_text(json.dumps(side["saved"]))
        again = dspc(
            "import",
            "saved.json",
            "--into",
            f"{source.name}:{tuned.program}",
            "-o",
            "again.dspc.json",
            "--force",
            cwd=tmp_path,
        )
        assert again.code == 0, again.text
        after = read_artifact(tmp_path / "again.dspc.json", keys_given=lambda _: True).program
        assert after.model_dump(exclude={"name"}) == before.model_dump(exclude={"name"})


async def _asked(python: Path, folder: Path, work: list[dict[str, Any]]) -> dict[str, Any]:
    async with FakeServer(Answering()) as server:
        return await driven(python, folder, server.url, work)


# Every example -----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_every_example_is_a_program_of_dspys(tmp_path: Path) -> None:
    """DSPy loads what is written of each, with the predictors that its state names; pyright finds nothing in it."""
    python = available()
    work: list[dict[str, Any]] = []
    names: dict[str, list[str]] = {}
    for source in sorted((HERE.parents[1] / "examples").rglob("*.dspec")):
        project = analyse(source).project
        for name, program in {} if project is None else project.programs.items():
            stem = f"p{len(work)}"
            made = dspy_program(program, name, f"{stem}.json")
            (tmp_path / f"{stem}.py").write_text(made.text)
            state = dspy_state(program, made.names)
            (tmp_path / f"{stem}.json").write_text(json.dumps(state))
            names[stem] = sorted(set(state) - {"metadata"})
            for module, listed in re.findall(r"^from (\w+) import ([\w, ]+)$", made.text, re.MULTILINE):
                if module not in ("pathlib", "typing", "pydantic"):
                    functions = [
                        f"def {one}(*given: object) -> list[str]:\n    return []\n"
                        for one in listed.split(", ")
                    ]
                    (tmp_path / f"{module}.py").write_text("\n\n".join(functions))
            work.append(
                {
                    "name": stem,
                    "model": stem,
                    "file": str(tmp_path / f"{stem}.py"),
                    "program": "load",
                    "inputs": None,
                }
            )
    assert len(work) > 20
    results = asyncio.run(driven(python, tmp_path, "http://127.0.0.1:9", work))
    assert {stem: one.get("error") for stem, one in results.items() if "error" in one} == {}
    for stem, one in results.items():
        assert set(names[stem]) <= set(one["names"]) | {"traces", "train", "demos", "signature", "lm"}
    (tmp_path / "pyrightconfig.json").write_text(
        json.dumps({"include": ["p*.py"], "typeCheckingMode": "standard"})
    )
    checked = subprocess.run(
        [sys.executable, "-m", "pyright", "--pythonpath", str(python), "-p", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT,
    )
    assert checked.returncode == 0, checked.stdout[-3000:]
