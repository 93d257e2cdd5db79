"""What the documentation shows is true: every snippet checks clean, every link leads somewhere."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from generators import generator
from own_functions import Equipped
from pages import USER_PAGES, blocks
from programs import chat

from dspec.compiler.check.analysis import analyse
from dspec.compiler.optimizers.table import SPECS
from dspec.compiler.tables.blocks import BLOCKS
from dspec.runtime.models.protocol import Request
from dspec.runtime.running.execute import run
from dspec.runtime.tools.toolbox import Toolbox

ROOT = Path(__file__).resolve().parent.parent
reference = generator("reference")
FENCE = re.compile(r"^```dspec\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MODULE = re.compile(r"^```python\n# (\w+\.py)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
"""Python that a page shows as a file beside its snippets."""
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#]+)(#[^)]*)?\)")

INTENTS = ("card_lost", "cash_withdrawal", "top_up", "other")
ROWS = {
    "data/tickets.csv": "text,intent\n" + "".join(f"message {i},{INTENTS[i % 4]}\n" for i in range(400)),
    "data/questions.jsonl": "".join(f'{{"question": "q{i}", "answer": "a{i}"}}\n' for i in range(400)),
}
README_ROWS = {
    "data/tickets.csv": "text,intent\n"
    + "".join(f"message {i},{('billing', 'refund', 'shipping')[i % 3]}\n" for i in range(400))
}


def snippets() -> list[tuple[str, str]]:
    """Blocks that are whole by themselves. `test_pages.py` follows the page that builds a file up, and half of what stands in
    `diagnostics.md` is wrong on purpose: `tests/compiler/test_codes.py`. A block with a file's name stands among others."""
    return [
        (block.name, block.text)
        for page in USER_PAGES
        for block in blocks(page)
        if block.language == "dspec"
        and not (block.mark or block.file)
        and page.name not in ("getting-started.md", "diagnostics.md")
    ]


def _write(files: Mapping[str, str], folder: Path) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


@pytest.mark.parametrize(("place", "snippet"), snippets(), ids=[place for place, _ in snippets()])
def test_every_snippet_checks_clean(place: str, snippet: str, tmp_path: Path) -> None:
    _write(README_ROWS if place.startswith("README") else ROWS, tmp_path)
    page = (ROOT / place.partition(":")[0]).read_text(encoding="utf-8")
    for module in MODULE.finditer(page):
        (tmp_path / module[1]).write_text(module[2], encoding="utf-8")
    path = tmp_path / "snippet.dspec"
    path.write_text(snippet if "dspec 1\n" in snippet else f"dspec 1\n\n{snippet}", encoding="utf-8")
    analysis = analyse(path)
    # A snippet shows one thing, so what it declares need not be used.
    found = [d for d in analysis.diagnostics if d.severity != "hint" and d.code != "DS0205"]
    assert not found, [(d.code, d.message) for d in found]


def test_pictures_are_shown_and_small() -> None:
    """`docs/screenshots.py` takes them; all together they weigh less than 150 kB."""
    pictures = sorted((ROOT / "docs" / "pictures").iterdir())
    shown = {
        match[1].removeprefix("docs/")
        for page in USER_PAGES
        for match in re.finditer(r"!\[.+\]\((\S+)\)", page.read_text(encoding="utf-8"))
    }
    assert {f"pictures/{picture.name}" for picture in pictures} == shown
    assert sum(picture.stat().st_size for picture in pictures) < 150_000


async def test_the_module_in_python_runs(tmp_path: Path) -> None:
    """Out of the page: three searches at most, and a conclusion."""
    page = (ROOT / "docs" / "agents.md").read_text(encoding="utf-8")
    (text,) = (match[1] for match in FENCE.finditer(page) if "python(" in match[1])
    (source,) = (module[2] for module in MODULE.finditer(page))
    _write({**ROWS, "hops.py": source}, tmp_path)
    found = analyse(tmp_path / "snippet.dspec", text=text).project
    assert found is not None
    given: dict[str, Any] = {}
    exec(source, given)

    async def answer(request: Request) -> str:
        hops = request.messages[1].content.count("about q")
        if "## enough ##" in request.messages[0].content:
            return chat(reasoning="so", enough=str(hops >= 2).lower(), query=f"q{hops}")
        return chat(reasoning="so", answer=f"after {hops} searches")

    tools = {"many_hops": given["forward"], "search": lambda query: [f"about {query}"]}
    async with Toolbox(tmp_path, functions=tools) as toolbox:
        outcome = await run(found.programs["many_hops"], {"question": "Who?"}, Equipped(answer, toolbox))
    assert outcome.outputs == {"answer": "after 2 searches"}
    assert len(outcome.trace) == 7


@pytest.mark.parametrize("page", USER_PAGES, ids=[str(page.relative_to(ROOT)) for page in USER_PAGES])
def test_every_link_leads_somewhere(page: Path) -> None:
    for match in LINK.finditer(page.read_text(encoding="utf-8")):
        assert (page.parent / match[1]).exists(), match[0]


@pytest.mark.parametrize("page", reference.PAGES, ids=lambda page: page.name)
def test_the_tables_are_the_codes_own(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text == reference.filled(text), "run `python3.11 dev.py generate`"


def test_every_function_block_and_optimizer_is_documented() -> None:
    language, optimizers, tools = (page.read_text(encoding="utf-8") for page in reference.PAGES)
    assert "<!-- functions -->" in language
    for name, block in BLOCKS.items():
        documented = f"<!-- attributes {name} -->" in language + tools
        assert documented or not (block.attributes or block.sections) or name == "test"
    for name in SPECS:
        assert f"\n## {name}\n" in optimizers


def test_the_map_names_every_file_as_it_is() -> None:
    made = generator("map")
    assert made.MAP.read_text(encoding="utf-8") == made.map_text(), "run `python3.11 dev.py generate`"


def test_the_commands_are_the_command_lines_own() -> None:
    made = generator("commands")
    assert made.PAGE.read_text(encoding="utf-8") == made.page(), "run `python3.11 dev.py generate`"
