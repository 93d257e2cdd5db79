"""DSPy in an environment of its own, `build/dspy-venv`: it needs other versions than this project does.

    python tests/differential/environment.py     make it, or say why that cannot be done

The versions stand in `constraints.txt`; an environment made from the same file is used again. DSPy is a
program that tests compare with: nothing of it is imported here.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
FOLDER = HERE.parents[1] / "build" / "dspy-venv"
PYTHON = FOLDER / ("Scripts" if os.name == "nt" else "bin") / "python"
CONSTRAINTS = HERE / "constraints.txt"
WANTED = ("dspy", "optuna", "numpy")
TIMEOUT = 600
"""Seconds for one installation."""


class CannotBeMade(Exception):
    """The environment could not be made; the text says why."""


def ready() -> bool:
    """Whether an environment with these versions is there."""
    stamp = FOLDER / "recipe.sha256"
    return PYTHON.exists() and stamp.is_file() and stamp.read_text().strip() == _recipe()


def ensure() -> Path:
    """The environment's Python; installs DSPy when it has to. Raises CannotBeMade."""
    if ready():
        return PYTHON
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.parent.mkdir(parents=True, exist_ok=True)
    try:
        # Without pip of its own, so that it can also be made where Python comes without `ensurepip`.
        _run(sys.executable, "-m", "venv", "--without-pip", str(FOLDER))
        pip = [sys.executable, "-m", "pip", "--python", str(PYTHON)]
        _run(*pip, "install", "--quiet", "--constraint", str(CONSTRAINTS), *WANTED)
    except CannotBeMade:
        shutil.rmtree(FOLDER, ignore_errors=True)
        raise
    (FOLDER / "recipe.sha256").write_text(_recipe() + "\n")
    return PYTHON


def _recipe() -> str:
    return hashlib.sha256(CONSTRAINTS.read_bytes() + sys.version.encode()).hexdigest()


def _run(*command: str) -> None:
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    # pip's own settings decide where packages come from, but not this project's pins.
    environment.pop("PIP_CONSTRAINT", None)
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise CannotBeMade(f"installing DSPy took more than {TIMEOUT} seconds") from error
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise CannotBeMade(f"installing DSPy failed: {said[-1] if said else done.returncode}")


if __name__ == "__main__":
    try:
        sys.stdout.write(f"{ensure()}\n")
    except CannotBeMade as failure:
        sys.exit(str(failure))
