"""A release in a clone of its own: what it refuses, and what it leaves behind."""

import hashlib
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
VERSION = "9.8.7"
GIT = {
    "GIT_AUTHOR_NAME": "T",
    "GIT_AUTHOR_EMAIL": "t@localhost",
    "GIT_COMMITTER_NAME": "T",
    "GIT_COMMITTER_EMAIL": "t@localhost",
    "GIT_CONFIG_GLOBAL": os.devnull,
}


def git(clone: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=clone, env={**os.environ, **GIT}, check=True, capture_output=True, text=True
    ).stdout


def release(clone: Path, version: str = VERSION) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ".ci/release.py", version, "--no-index"],
        cwd=clone,
        env={**os.environ, **GIT, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        check=False,
        capture_output=True,
        text=True,
    )


def commit(clone: Path) -> None:
    git(clone, "add", "--all")
    git(clone, "commit", "--quiet", "--message", "a change")


def edit(path: Path, before: str, after: str) -> None:
    text, count = re.subn(before, after, path.read_text("utf-8"), count=1, flags=re.MULTILINE)
    assert count == 1
    path.write_text(text, "utf-8")


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files as they are here, as a repository ready for a release."""
    folder = tmp_path_factory.mktemp("release") / "clone"
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    for name in listed:
        if (ROOT / name).is_file() and not name.startswith(("tests/old/", "tests/kinds/", "tests/lsp/")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())
    git(folder, "init", "--quiet")
    edit(folder / "pyproject.toml", r'^version = ".*"', f'version = "{VERSION}"')
    edit(folder / "CHANGELOG.md", r"^## ", f"## {VERSION} (2030-01-02)\n\n- What is new.\n\n## ")
    commit(folder)
    return folder


@pytest.mark.parametrize(
    ("name", "before", "after", "committed", "told"),
    [
        ("pyproject.toml", rf'"{VERSION}"', '"9.8.6"', True, "pyproject.toml says version 9.8.6"),
        ("CHANGELOG.md", rf"## {VERSION} \(2030-01-02\)", f"## {VERSION} (unreleased)", True, "begins with"),
        ("CHANGELOG.md", r"^- What is new\.", "", True, f"says nothing of {VERSION}"),
        ("README.md", r"\Z", "\nMore.\n", False, "the tree is not clean: README.md"),
        ("compiler/ir.py", r"\Z", '\n__version__ = "1"\n', True, "stands in compiler/ir.py, too"),
    ],
)
def test_what_is_not_ready_is_refused(
    clone: Path, name: str, before: str, after: str, committed: bool, told: str
) -> None:
    head = git(clone, "rev-parse", "HEAD").strip()
    try:
        edit(clone / name, before, after)
        if committed:
            commit(clone)
        refused = release(clone)
        assert refused.returncode == 1, refused.stdout
        assert told in refused.stderr
        assert "Traceback" not in refused.stderr
        assert git(clone, "tag") == ""
        assert not (clone / "dist").exists()
    finally:
        git(clone, "reset", "--quiet", "--hard", head)


def test_no_version_is_refused(clone: Path) -> None:
    for version in ("next", "v9.8.7", "9.8", "9.8.7; rm"):
        refused = release(clone, version)
        assert refused.returncode == 1
        assert "is no version" in refused.stderr


@pytest.mark.slow
def test_a_release_is_built_twice_tried_out_and_tagged(clone: Path) -> None:
    done = release(clone)
    assert done.returncode == 0, done.stdout + done.stderr
    wheel, sdist = (clone / "dist" / f"dspc-{VERSION}{end}" for end in ("-py3-none-any.whl", ".tar.gz"))
    for path in (wheel, sdist):
        assert f"{hashlib.sha256(path.read_bytes()).hexdigest()}  dist/{path.name}" in done.stdout
    assert git(clone, "tag").split() == [f"v{VERSION}"]
    assert git(clone, "status", "--porcelain") == ""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert not [name for name in names if "tests/" in name or "shared/" in name or name.endswith(".pyc")]
    again = release(clone)
    assert again.returncode == 1
    assert f"there is a tag v{VERSION} already" in again.stderr
