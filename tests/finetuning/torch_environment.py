"""What trains, in an environment of its own, `build/finetune-venv`: torch is too large for everybody's.

    python tests/finetuning/torch_environment.py     make it, or say why that cannot be done

The project is installed there with its extra `finetune`, by the versions in `constraints.txt`. `DSPEC_FINETUNE_PYTHON` names a
Python that has all of it already.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
FOLDER = ROOT / "build" / "finetune-venv"
PYTHON = FOLDER / ("Scripts" if os.name == "nt" else "bin") / "python"
CONSTRAINTS = (HERE / "constraints.txt", ROOT / "constraints.txt")
TIMEOUT = 900
"""Seconds for one installation."""


def ready() -> Path | None:
    """A Python that has what trains; None where there is none yet."""
    if given := os.environ.get("DSPEC_FINETUNE_PYTHON"):
        return Path(given)
    stamp = FOLDER / "recipe.sha256"
    return PYTHON if PYTHON.exists() and stamp.is_file() and stamp.read_text().strip() == _recipe() else None


def ensure() -> Path:
    """The same, which is made where it has to be. Exits with the reason where that cannot be done."""
    if (found := ready()) is not None:
        return found
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.parent.mkdir(parents=True, exist_ok=True)
    _run(sys.executable, "-m", "venv", "--without-pip", str(FOLDER))
    pip = [sys.executable, "-m", "pip", "--python", str(PYTHON), "install", "--quiet"]
    pins = [part for one in CONSTRAINTS for part in ("--constraint", str(one))]
    _run(*pip, *pins, "--editable", f"{ROOT}[finetune]")
    (FOLDER / "recipe.sha256").write_text(_recipe() + "\n")
    return PYTHON


def _recipe() -> str:
    content = b"".join(one.read_bytes() for one in (*CONSTRAINTS, ROOT / "pyproject.toml"))
    return hashlib.sha256(content + sys.version.encode()).hexdigest()


def _run(*command: str) -> None:
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    environment.pop("PIP_CONSTRAINT", None)
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        shutil.rmtree(FOLDER, ignore_errors=True)
        sys.exit(f"installing what trains took more than {TIMEOUT} seconds")
    if done.returncode:
        shutil.rmtree(FOLDER, ignore_errors=True)
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        sys.exit(f"installing what trains failed: {said[-1] if said else done.returncode}")


if __name__ == "__main__":
    sys.stdout.write(f"{ensure()}\n")
