"""`docs/tutorials.md`: a program of this project for every kind of tutorial that DSPy has, each of them compiled.

Those of `examples/tutorials` are compiled here: with the embedded model where that can answer, else on a server on loopback, which
answers as the embedded model does to what it can read, or writes code as a model would.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from dspc import EXAMPLES, Result, dspc
from programs import chat
from server import Call, FakeServer, embedded

ROOT = EXAMPLES.parent
PAGE = ROOT / "docs" / "tutorials.md"
FOLDER = EXAMPLES / "tutorials"
FILES = sorted(path.stem for path in FOLDER.glob("*.dspec"))
LOOK_UP = """
import re
topic = question.removeprefix("What is the ").rstrip("?")
submit(answer=re.search("the " + topic + r" is ([^.]*)\\.", report)[1])
"""


def writes_code(call: Call) -> str:
    """Arithmetic out of the problem's numbers, and a look-up in a report: code that runs, and is sometimes wrong."""
    if "report" in call.prompt:
        return chat(reasoning="look it up", code=f"```python\n{LOOK_UP}\n```")
    problem = re.findall(r"\[\[ ## problem ## \]\]\n(.*)", call.prompt)[-1]
    numbers = re.findall(r"\d+", problem)
    sign = "*" if "each" in problem or "shelves" in problem or "hold" in problem else "-"
    code = f"answer = {f' {sign} '.join(numbers)}\nsubmit(answer=answer)"
    return chat(reasoning="reckon", generated_code=f"```python\n{code}\n```")


def reads_the_note(call: Call) -> str:
    """An invoice of which only the note was read, since a server on loopback sees nothing."""
    parts = [part for message in call.body["messages"] for part in _parts(message["content"])]
    note = next(part["text"] for part in reversed(parts) if "From " in part.get("text", ""))
    seller, count, currency = re.findall(r"From (.*), (\d) positions, in (EUR|USD)", note)[-1]
    items = [{"name": f"position {place}", "count": 1, "price": 1.0} for place in range(int(count))]
    invoice = {"seller": seller, "currency": currency, "items": items, "total": float(count)}
    return chat(reasoning="the note says it", invoice=json.dumps(invoice))


def _parts(content: str | list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


ASKED: dict[str, Any] = {
    "invoices": lambda: reads_the_note,
    "spoken": embedded,
    "sums": lambda: writes_code,
    "reports": lambda: writes_code,
}
"""What answers in the place of a model that is no embedded one."""


async def compiled(name: str, folder: Path) -> Result:
    if name not in ASKED:
        return await asyncio.to_thread(dspc, "compile", f"{name}.dspec", "--json", cwd=folder)
    async with FakeServer(ASKED[name](), key="k") as server:
        environment = {"OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "k"}
        return await asyncio.to_thread(dspc, "compile", f"{name}.dspec", "--json", cwd=folder, **environment)


@pytest.mark.parametrize("name", FILES)
async def test_an_example_compiles_within_its_plan(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "tutorials"
    shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns("compiled", ".dspec"))
    (folder / "dspec.toml").touch()
    planned = await asyncio.to_thread(dspc, "plan", f"{name}.dspec", "--json", cwd=folder)
    assert planned.code == 0, planned.text
    done = await compiled(name, folder)
    assert done.code == 0, done.text
    (made,) = json.loads(done.out)["compiled"]
    assert made["status"] == "complete"
    assert 0 < made["calls"]["needed"] <= json.loads(planned.out)["most"]
    if name in ("sums", "reports"):
        assert made["final"]["score"] > 0


def rows_of_page() -> list[tuple[str, str]]:
    """Each kind of tutorial with its cell of what is here."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    return [(kind, here) for kind, here, *_ in cells if kind not in ("kind", "---")]


def test_every_program_that_the_page_names_is_there_and_every_example_is_named() -> None:
    linked = {
        (PAGE.parent / target).resolve()
        for _, here in rows_of_page()
        for target in re.findall(r"\]\(([^)#]+)\)", here)
    }
    assert {path for path in linked if not path.exists()} == set()
    named = {path.stem for path in linked if path.parent == FOLDER}
    assert named == set(FILES)


def test_fifteen_kinds_of_programs_have_one_here() -> None:
    kinds = [kind for kind, here in rows_of_page() if ".dspec)" in here]
    assert len(kinds) >= 15
    assert len(set(kinds)) == len(kinds)
