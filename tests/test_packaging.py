"""The wheel and the sdist, built here and used from an empty directory, away from the checkout."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
APPLICATION = """
from dspec import load
import dspec
print(dspec.__file__)
print(load("compiled/sorter_v1.dspc.json")(text="Why was I charged twice?").kind)
"""


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    result = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
    return result.stdout


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    checkout = tmp_path_factory.mktemp("checkout")
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    for name in tracked:
        if (ROOT / name).is_file():
            (checkout / name).parent.mkdir(parents=True, exist_ok=True)
            (checkout / name).write_bytes((ROOT / name).read_bytes())
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, checkout, cwd=folder)
    return folder


@pytest.mark.slow
def test_the_sdist_holds_the_sources(distributions: Path) -> None:
    (archive,) = distributions.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        names = {name.split("/", 1)[1] for name in tar.getnames() if "/" in name}
    assert {
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "grammar/dspec.lark",
        "runtime/facade/__init__.py",
    } <= names


def test_the_wheel_holds_the_package_and_nothing_else(distributions: Path) -> None:
    (wheel,) = distributions.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        assert {name.split("/")[0] for name in names if not name.startswith("dspc-")} == {"dspec"}
        assert "dspec/grammar/dspec.lark" in names
        assert "dspec/runtime/artifact.schema.json" in names
        assert "dspec/compiler/cli/templates/classifier/main.dspec" in names
        assert any(name.endswith(".j2") for name in names)
        assert not any(name.startswith("dspec/tests") for name in names)


def test_the_installed_wheel_compiles_and_runs(distributions: Path, tmp_path: Path) -> None:
    (wheel,) = distributions.glob("*.whl")
    site, empty = tmp_path / "site", tmp_path / "empty"
    empty.mkdir()
    run(
        *(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"),
        *("--target", site, wheel),
        cwd=empty,
    )
    dspc = site / "bin" / "dspc"
    run(dspc, "init", ".", cwd=empty, PYTHONPATH=str(site))
    run(dspc, "check", cwd=empty, PYTHONPATH=str(site))
    run(dspc, "compile", "main.dspec", cwd=empty, PYTHONPATH=str(site))
    location, kind = run(
        sys.executable, "-P", "-c", APPLICATION, cwd=empty, PYTHONPATH=str(site)
    ).splitlines()
    assert Path(location).is_relative_to(site)
    assert kind in {"praise", "complaint", "question"}
