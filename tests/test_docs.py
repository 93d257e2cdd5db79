"""What the documentation shows is true: every snippet checks clean, every link leads somewhere."""

import re
from pathlib import Path

import pytest
from generators import generator

from dspec.compiler.check.analysis import analyse
from dspec.compiler.optimizers.table import SPECS
from dspec.compiler.tables.blocks import BLOCKS

ROOT = Path(__file__).resolve().parent.parent
reference = generator("reference")
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "examples").rglob("README.md")),
]
FENCE = re.compile(r"^```dspec\n(.*?)^```$", re.MULTILINE | re.DOTALL)
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
    return [
        (f"{page.relative_to(ROOT)}:{text[: match.start()].count(chr(10)) + 1}", match[1])
        for page in PAGES
        for text in [page.read_text(encoding="utf-8")]
        for match in FENCE.finditer(text)
    ]


@pytest.mark.parametrize(("place", "snippet"), snippets(), ids=[place for place, _ in snippets()])
def test_every_snippet_checks_clean(place: str, snippet: str, tmp_path: Path) -> None:
    for name, text in (README_ROWS if place.startswith("README") else ROWS).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    path = tmp_path / "snippet.dspec"
    path.write_text(snippet if "dspec 1\n" in snippet else f"dspec 1\n\n{snippet}", encoding="utf-8")
    analysis = analyse(path)
    # A snippet shows one thing, so what it declares need not be used.
    found = [d for d in analysis.diagnostics if d.severity != "hint" and d.code != "DS0205"]
    assert not found, [(d.code, d.message) for d in found]


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
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
