"""What the check knows of models: a table made from LiteLLM's list, which neither check nor editor imports."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dspec.compiler.tables.models import plain_name, takes_one_temperature, unknown_provider
from dspec.runtime.models.endpoints import PROVIDERS
from dspec.runtime.schema.program import LM

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        ("gpt4", ""),
        ("llama3", ""),
        ("my-model", ""),
        ("claude", ""),
        ("command-r", ""),
        ("deepseek-chat", ""),
        ("openai", ""),
        ("command-r-08-2024", None),
        ("qwen.qwen3-32b-v1:0", None),
        ("ft:gpt-4o-mini:us::id", None),
        ("opnai/gpt-4o", "opnai"),
        ("Openai/gpt-4o", "Openai"),
        ("gpt-4o", None),
        ("o3", None),
        ("claude-9-nano", None),
        ("gemini-2.5-pro", None),
        ("openai/gpt-99-ultra", None),
        ("bedrock/us.anthropic.claude-opus-4-8", None),
        ("openrouter/somebody/something", None),
        ("embedded/icl", None),
        *((f"{provider}/any", None) for provider in PROVIDERS),
    ],
)
def test_a_provider_is_known_or_named(model: str, provider: str | None) -> None:
    assert unknown_provider(model) == provider


@pytest.mark.parametrize(
    ("model", "one"),
    [
        ("openai/o1", True),
        ("openai/o3-mini-2025-01-31", True),
        ("gpt-5-nano", True),
        ("azure/eu/gpt-5-2025-08-07", True),
        ("anthropic/claude-opus-4-7-20260416", True),
        ("bedrock/us.anthropic.claude-opus-4-8", True),
        ("vertex_ai/claude-sonnet-5@default", True),
        ("openai/gpt-5.1", False),
        ("openai/gpt-5-chat", False),
        ("openai/gpt-4o", False),
        ("anthropic/claude-3-5-haiku-latest", False),
        ("groq/o3", False),
        ("openai/gpt-99-ultra", False),
    ],
)
def test_models_that_take_one_temperature_are_known(model: str, one: bool) -> None:
    assert takes_one_temperature(LM(name="m", model=model)) == one


def test_nothing_is_known_of_a_server_of_ones_own() -> None:
    assert not takes_one_temperature(LM(name="m", model="openai/o3", api_base="http://localhost:8000/v1"))
    assert takes_one_temperature(LM(name="m", model="azure/o3", api_base="https://example.com"))


def test_a_plain_name_is_its_own() -> None:
    for name in (
        "us.anthropic.claude-opus-4-8-v1:0",
        "eu/gpt-5-2025-08-07",
        "o3-mini",
        "gpt-5.1-chat-latest",
    ):
        assert plain_name(plain_name(name)) == plain_name(name)


@pytest.mark.slow
def test_the_table_is_what_the_installed_list_gives() -> None:
    code = "import generate_models as made; print(made.table() == made.TABLE.read_text(encoding='utf-8'))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT / "docs",
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert done.stdout.splitlines()[-1] == "True"


def test_a_check_imports_no_litellm(tmp_path: Path) -> None:
    (tmp_path / "main.dspec").write_text(
        'dspec 1\n\nlm m { model = "nowhere/x"; temperature = 0.1 }\nlm o { model = "o3" }\n'
    )
    code = (
        "import sys; from pathlib import Path; from dspec.compiler.check.analysis import analyse; "
        "found = analyse(Path('main.dspec')).diagnostics; print([one.code for one in found], 'litellm' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ},
    )
    assert done.stdout.strip() == "['DS0712'] False"
