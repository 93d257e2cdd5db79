"""What is declared runs: nothing in the language is only checked."""

from __future__ import annotations

from pathlib import Path

from dspec.compiler.optimizers.table import RUNS, SPECS

ROOT = Path(__file__).resolve().parents[2]


def test_every_optimizer_runs() -> None:
    assert all(callable(RUNS[name]) for name in SPECS)


def test_no_page_says_that_something_does_not_run_yet() -> None:
    for page in (ROOT / "docs").glob("*.md"):
        text = page.read_text(encoding="utf-8")
        assert "Not supported yet" not in text, page
        # the promise of what keeps working names the message that a later version may take back
        assert "not supported yet" not in text.replace("A form that says `not supported yet`", ""), page
        assert "Declared but not run" not in text, page
