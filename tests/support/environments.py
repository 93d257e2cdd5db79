"""Environments of their own for packages that this project does without: made once, from exact versions, in `build`."""

from __future__ import annotations

import hashlib
import os
import shutil
import site
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

BUILD = Path(__file__).resolve().parents[2] / "build"
TIMEOUT = 600
"""Seconds for one installation."""


class CannotBeMade(Exception):
    """The environment could not be made; the text says why."""


@dataclass(frozen=True)
class Environment:
    """`wanted` packages with the versions that `constraints` has. With `beside`, what this interpreter has can be imported
    there as well, this project among it."""

    name: str
    wanted: tuple[str, ...]
    constraints: Path
    beside: bool = False

    @property
    def folder(self) -> Path:
        return BUILD / f"{self.name.lower()}-venv"

    @property
    def python(self) -> Path:
        return self.folder / ("Scripts" if os.name == "nt" else "bin") / "python"

    def ready(self) -> bool:
        """Whether an environment with these versions is there."""
        stamp = self.folder / "recipe.sha256"
        return self.python.exists() and stamp.is_file() and stamp.read_text().strip() == self._recipe()

    def ensure(self) -> Path:
        """Its Python; installs what is wanted when it has to. Raises CannotBeMade."""
        if self.ready():
            return self.python
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            # Without pip of its own, so that it can also be made where Python comes without `ensurepip`.
            self._run(sys.executable, "-m", "venv", "--without-pip", str(self.folder))
            pip = [sys.executable, "-m", "pip", "--python", str(self.python)]
            self._run(*pip, "install", "--quiet", "--constraint", str(self.constraints), *self.wanted)
        except CannotBeMade:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        if self.beside:
            (packages,) = self.folder.glob("lib/python*/site-packages")
            lines = [f"import site; site.addsitedir({place!r})" for place in site.getsitepackages()]
            (packages / "beside.pth").write_text("\n".join(lines) + "\n")
        (self.folder / "recipe.sha256").write_text(self._recipe() + "\n")
        return self.python

    def main(self) -> None:
        try:
            sys.stdout.write(f"{self.ensure()}\n")
        except CannotBeMade as failure:
            sys.exit(str(failure))

    def _recipe(self) -> str:
        beside = repr(site.getsitepackages()).encode() if self.beside else b""
        return hashlib.sha256(self.constraints.read_bytes() + sys.version.encode() + beside).hexdigest()

    def _run(self, *command: str) -> None:
        environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        # pip's own settings decide where packages come from, but not this project's pins.
        environment.pop("PIP_CONSTRAINT", None)
        try:
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, timeout=TIMEOUT, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise CannotBeMade(f"installing {self.name} took more than {TIMEOUT} seconds") from error
        if done.returncode:
            said = (done.stderr.strip() or done.stdout.strip()).splitlines()
            raise CannotBeMade(f"installing {self.name} failed: {said[-1] if said else done.returncode}")
