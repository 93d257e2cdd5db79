"""A secret in an address is one in the source: it is found wherever addresses are written, and never shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from dspec.compiler.check.analysis import analyse
from dspec.compiler.check.shape.secrets import holds_secret
from dspec.compiler.diagnostics.formats.github_annotations import github
from dspec.compiler.diagnostics.formats.json_report import to_json
from dspec.compiler.diagnostics.formats.sarif_log import sarif
from dspec.compiler.diagnostics.formats.short_lines import short
from dspec.compiler.diagnostics.render.human import render

SECRETS = (
    "https://api.example/v1/look?key=hunter2hunter2",
    "https://api.example/v1/look?q=a&api_key=hunter2hunter2",
    "https://api.example/look?access-token=hunter2hunter2#x",
    "https://me:hunter2hunter2@api.example/look",
    "https://hunter2hunter2@api.example",
)
PLAIN = (
    "https://api.example/v1/look",
    "https://api.example/look?sort_key=name&lang=en&max_tokens=5",
    "https://api.example/look?key=",
    "http://localhost:8893/search?q=a@b",
    "data/rows.csv",
    "me@example.com",
)
PLACES = {
    "http": 'extern look(query: str) -> str = http("URL")',
    "colbert": 'extern look(query: str) -> list[str] = colbert("URL")',
    "mcp": 'extern look(query: str) -> str = mcp(url = "URL", tool = "look")',
    "a command": 'extern look(query: str) -> str = mcp(command = "serve --at URL", tool = "look")',
    "a search": 'extern look(query: str) -> list[str] = bm25("URL")',
    "csv": 'dataset rows { source = csv("URL"); input text: str }',
    "jsonl": 'dataset rows { source = jsonl("URL"); input text: str }',
    "huggingface": 'dataset rows { source = huggingface("URL"); input text: str }',
    "a model": 'lm other { model = "openai/x"; api_base = "URL" }',
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("address", SECRETS)
def test_a_secret_in_an_address_is_found_and_never_shown(place: str, address: str, tmp_path: Path) -> None:
    text = f"dspec 1\n\n{PLACES[place].replace('URL', address)}\n"
    found = analyse(tmp_path / "main.dspec", text=text).diagnostics
    assert [one.code for one in found if one.severity == "error"] == ["DS0705"]
    shown = render(found, colour=False, unicode=True, width=110)
    shown += "".join(write(found) for write in (github, sarif, short, to_json))
    assert "hunter2" not in shown


def test_what_is_a_secret() -> None:
    assert all(map(holds_secret, SECRETS))
    assert not any(map(holds_secret, PLAIN))
