"""The ticket example against an OpenAI-compatible server on loopback, through both transports."""

import shutil
from pathlib import Path

import pytest
from dspc import EXAMPLES, dspc
from server import beside

PRICE = "price { input = 0.1; output = 0.4 }"


def example_on(url: str, folder: Path) -> Path:
    """The ticket example with its model behind `url`, and fewer candidates to keep the test short."""
    shutil.copytree(EXAMPLES / "tickets" / "data", folder / "data")
    source = (EXAMPLES / "tickets" / "tickets.dspec").read_text(encoding="utf-8")
    source = source.replace(
        'lm learner { model = "embedded/icl" }',
        f'lm learner {{ model = "openai/icl"; api_base = "{url}"; api_key = env("TEST_KEY"); {PRICE} }}',
    ).replace("num_candidate_programs = 8", "num_candidate_programs = 1")
    assert "openai/icl" in source
    (folder / "tickets.dspec").write_text(source, encoding="utf-8")
    return folder


@pytest.mark.slow
def test_both_transports_give_the_same_artifact(tmp_path: Path) -> None:
    artifacts: list[bytes] = []
    with beside("--answer", "embedded") as url:
        for transport in ("lean", "litellm"):
            folder = tmp_path / transport
            folder.mkdir()
            example_on(url, folder)
            result = dspc(
                "compile", "tickets.dspec", "--transport", transport, cwd=folder, TEST_KEY="sk-canary-1234"
            )
            assert result.code == 0, result.text
            assert "sk-canary-1234" not in result.text
            artifacts.append((folder / "compiled" / "router_v1.dspc.json").read_bytes())
            for path in folder.rglob("*"):
                assert path.is_dir() or b"sk-canary-1234" not in path.read_bytes(), path
    assert artifacts[0] == artifacts[1]
    assert url.encode() not in artifacts[0]


def test_a_budget_in_dollars_needs_a_price(tmp_path: Path) -> None:
    example_on("http://127.0.0.1:9/v1", tmp_path)
    text = (tmp_path / "tickets.dspec").read_text(encoding="utf-8")
    (tmp_path / "tickets.dspec").write_text(text.replace(f"; {PRICE}", ""), encoding="utf-8")
    result = dspc("compile", "tickets.dspec", cwd=tmp_path, TEST_KEY="x")
    assert result.code == 1
    assert "price {" in result.err


def test_a_missing_key_is_named_before_anything_is_asked(tmp_path: Path) -> None:
    with beside("--answer", "embedded") as url:
        example_on(url, tmp_path)
        result = dspc("compile", "tickets.dspec", cwd=tmp_path)
    assert result.code == 4
    assert "TEST_KEY" in result.err
    assert "learner" in result.err
    assert not (tmp_path / "compiled").exists()


@pytest.mark.parametrize("transport", ["lean", "litellm"])
def test_a_dead_server_stops_the_run_and_scores_nothing(transport: str, tmp_path: Path) -> None:
    example_on("http://127.0.0.1:9/v1", tmp_path)
    text = (tmp_path / "tickets.dspec").read_text(encoding="utf-8")
    (tmp_path / "tickets.dspec").write_text(
        text.replace("api_key =", "retry = 0; api_key ="), encoding="utf-8"
    )
    result = dspc("compile", "tickets.dspec", "--transport", transport, cwd=tmp_path, TEST_KEY="x")
    assert result.code == 4
    assert "127.0.0.1:9" in result.err
    assert "run the same command again" in result.err
    assert not (tmp_path / "compiled").exists()
