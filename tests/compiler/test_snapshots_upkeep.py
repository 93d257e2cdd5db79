"""Fetched rows, counted and dropped like answers: by age, or all of them."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from dspc import dspc

from dspec.compiler import ir
from dspec.compiler.data import fetch
from dspec.compiler.data.snapshots_upkeep import KeptRows, contents, prune

DAY = 86_400


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two sources with three and five rows; the first was fetched 40 days ago."""
    monkeypatch.delenv("DSPEC_STATE_DIR", raising=False)
    (tmp_path / "dspec.toml").touch()
    for name, count in (("old", 3), ("new", 5)):
        (tmp_path / f"{name}.py").write_text(f"def load():\n    return [{{'text': 'x'}}] * {count}\n")
        options = {"module": name, "function": "load"}
        source = ir.DataSource.model_validate({"kind": "python", "path": f"{name}.py", "options": options})
        assert fetch(source, tmp_path, when="always") is not None
        if name == "old":
            for path in (tmp_path / ".dspec" / "rows").iterdir():
                os.utime(path, (time.time() - 40 * DAY,) * 2)
    return tmp_path


def files(project: Path) -> list[Path]:
    return sorted((project / ".dspec" / "rows").iterdir())


def test_contents(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    found = contents(project)
    assert (found.sources, found.rows) == (2, 8)
    assert found.bytes == sum(path.stat().st_size for path in files(project))
    assert found.oldest is not None
    assert found.newest is not None
    assert 39 * DAY < found.newest - found.oldest < 41 * DAY
    assert contents(tmp_path_factory.mktemp("none")) == KeptRows(0, 0, 0, None, None)


def test_pruning_by_age_or_all(project: Path) -> None:
    assert prune(project, older_than_days=90) == 0
    assert prune(project, older_than_days=30) == 1
    assert (contents(project).sources, len(files(project))) == (1, 2)
    assert prune(project) == 1
    assert files(project) == []


def test_what_is_no_snapshot_is_counted_as_room_and_links_are_left_alone(project: Path) -> None:
    rows = project / ".dspec" / "rows"
    before = contents(project)
    (rows / f"{'0' * 32}.json").write_text('{"file": "../../dspec.toml"}')
    (rows / f"{'1' * 32}-{'2' * 32}.jsonl").write_text("{}\n")
    (rows / "mine.txt").write_text("not ours")
    (rows / f"{'3' * 32}.json").symlink_to(project / "dspec.toml")
    after = contents(project)
    assert (after.sources, after.rows) == (before.sources, before.rows)
    assert after.bytes == before.bytes + 31
    assert prune(project) == 2
    assert [path.name for path in files(project)] == [f"{'3' * 32}.json", "mine.txt"]
    assert (project / "dspec.toml").exists()


def test_the_command_counts_and_drops_them(project: Path) -> None:
    info = dspc("cache", "info", cwd=project)
    assert f"{project / '.dspec' / 'rows'}: 8 rows of 2 sources, 0.0 MB" in info.out.replace("\n", "")
    plain = json.loads(dspc("cache", "info", "--json", cwd=project).out)
    assert (plain["answers"], plain["fetched"]["sources"], plain["fetched"]["rows"]) == (0, 2, 8)
    assert "fetched" not in dspc("cache", "prune", "--model", "openai/gpt-x", cwd=project).out
    dropped = dspc("cache", "prune", "--older-than", "30", cwd=project)
    assert "dropped the fetched rows of 1 source\n" in dropped.out
    assert "dropped the fetched rows of 1 source\n" in dspc("cache", "prune", "--all", cwd=project).out
    assert "rows" not in dspc("cache", "info", cwd=project).out.replace(str(project), "")
