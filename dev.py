#!/usr/bin/env python3
"""Every daily command of this repository, for a machine with nothing but Python 3.11 and git.

    python3 dev.py demo            compile the ticket example, score it, run the result
    python3 dev.py test [ARGS]     run the test suite (arguments go to pytest)
    python3 dev.py deep            the slower suites: faults, a hundred kills, deep properties, DSPy beside it, Ray
    python3 dev.py lint            ruff: rules and formatting
    python3 dev.py fix             ruff: apply what it can
    python3 dev.py types           pyright, strict
    python3 dev.py bench [NAME]    the benchmarks in bench/ (options go to them: bench batch --rows 10000)
    python3 dev.py build           wheel and sdist into dist/
    python3 dev.py release X.Y.Z   check, build twice, try out and tag a version; nothing is pushed
    python3 dev.py vsix            the extension for VS Code into dist/ (needs Node.js 20 or newer and npm)
    python3 dev.py site            the documentation as a site in build/site, which needs no network and no server
    python3 dev.py generate        rebuild the checked-in generated files
    python3 dev.py pins            refresh constraints.txt from the environment
    python3 dev.py shell CMD …     any command inside the environment

The environment is `.venv`, made on first use from `constraints.txt` and remade when that changes.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
ROOMS = ("grammar", "compiler", "runtime", "lsp")
EXTENSION = ROOT / "lsp" / "editors" / "vscode"
PAGES = ("commands", "diagnostics", "reference", "models", "map", "schema", "editors")
"""What `docs/generate_….py` rewrites."""
SLOWER = (
    "faults",
    "cluster",
    "differential",
    "finetuning",
    "grammar",
    "compiler/test_arrival.py",
    "compiler/test_deletions.py",
    "compiler/test_hostile.py",
    "compiler/test_mutations.py",
    "compiler/test_simulated_truth.py",
)
"""What `deep` runs, beside tests that are marked as slow: faults, DSPy, Ray and real training in environments of their own, and
properties that try harder when asked to."""


def run(*command: str | Path, cwd: Path = ROOT) -> None:
    """Run a command in the environment; end with its exit code if it fails."""
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}"}
    environment["PIP_CONSTRAINT"] = str(ROOT / "constraints.txt")
    environment.setdefault("PIP_DISABLE_PIP_VERSION_CHECK", "1")
    result = subprocess.run([str(part) for part in command], cwd=cwd, env=environment, check=False)
    if result.returncode:
        sys.exit(result.returncode)


def python_311() -> str:
    """An interpreter of 3.11 or newer: this one, or one on the PATH. Not that of `.venv`, which is about to be remade."""
    if sys.version_info >= (3, 11):  # noqa: UP036 - this file is what an older Python may run
        return getattr(sys, "_base_executable", None) or sys.executable
    for name in ("python3.13", "python3.12", "python3.11"):
        if found := shutil.which(name):
            return found
    sys.exit(f"dspec needs Python 3.11 or newer; this is {sys.version.split()[0]}.")


def setup() -> None:
    """Make `.venv`, or leave it if nothing it depends on has changed."""
    recipe = hashlib.sha256(
        (ROOT / "pyproject.toml").read_bytes() + (ROOT / "constraints.txt").read_bytes()
    ).hexdigest()
    stamp = VENV / "recipe.sha256"
    if stamp.is_file() and stamp.read_text().strip() == recipe and PYTHON.exists():
        return
    print("Setting up .venv (about a minute, once) …", flush=True)
    shutil.rmtree(VENV, ignore_errors=True)
    base = python_311()
    if subprocess.run([base, "-m", "venv", str(VENV)], check=False, capture_output=True).returncode:
        # Debian splits ensurepip off: an environment without pip, filled by the pip there is.
        shutil.rmtree(VENV, ignore_errors=True)
        run(base, "-m", "venv", "--without-pip", VENV)
        run(base, "-m", "pip", "--python", PYTHON, "install", "--quiet", "pip")
    run(PYTHON, "-m", "pip", "install", "--quiet", "--editable", f"{ROOT}[dev]")
    stamp.write_text(recipe + "\n")


def link_types() -> None:
    """Rebuild `build/types/dspec`: the rooms under their import names, where pyright can see them."""
    package = ROOT / "build" / "types" / "dspec"
    shutil.rmtree(package, ignore_errors=True)
    package.mkdir(parents=True)
    for room in ROOMS:
        (package / room).symlink_to(ROOT / room, target_is_directory=True)
    for path in (ROOT / "runtime" / "facade").iterdir():
        if path.is_file():
            (package / path.name).symlink_to(path)


def demo(_: list[str]) -> None:
    example = ROOT / "examples" / "tickets"
    run(BIN / "dspc", "compile", example / "tickets.dspec")
    run(PYTHON, example / "app.py")


def test(arguments: list[str]) -> None:
    """The suite, or what the arguments name; faults are left to `deep`, which waits for servers to die.

    Its many processes find bytecode in `build`, also where none may be written beside the sources.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = str(ROOT / "build" / "bytecode")
    run(
        PYTHON, "-m", "pytest", "-n", "auto", "--dist", "worksteal", *(arguments or ["--ignore=tests/faults"])
    )


def deep(_: list[str]) -> None:
    os.environ.update(DSPEC_DEEP=os.environ.get("DSPEC_DEEP") or "1")
    for name, script in (("DSPY", "differential/environment.py"), ("RAY", "cluster/ray_environment.py")):
        made = subprocess.run([str(PYTHON), f"tests/{script}"], cwd=ROOT, check=False)
        os.environ[f"DSPEC_REQUIRE_{name}"] = "0" if made.returncode else "1"
    subprocess.run([str(PYTHON), "tests/finetuning/torch_environment.py"], cwd=ROOT, check=False)
    test([f"tests/{part}" for part in SLOWER])
    test(["-m", "slow", *(f"--ignore=tests/{part}" for part in SLOWER)])


def lint(_: list[str]) -> None:
    run(BIN / "ruff", "check", ".")
    run(BIN / "ruff", "format", "--check", ".")


def fix(_: list[str]) -> None:
    run(BIN / "ruff", "check", "--fix", ".")
    run(BIN / "ruff", "format", ".")


def types(_: list[str]) -> None:
    link_types()
    run(BIN / "pyright")


def bench(arguments: list[str]) -> None:
    """Those that are named; what follows, from the first option on, is said to each."""
    first = next((place for place, one in enumerate(arguments) if one.startswith("-")), len(arguments))
    names = arguments[:first] or sorted(path.stem for path in (ROOT / "bench").glob("*.py"))
    for name in names:
        print(f"\n== {name}", flush=True)
        run(PYTHON, ROOT / "bench" / f"{name}.py", *arguments[first:])


def build(_: list[str]) -> None:
    run(PYTHON, "-m", "build", "--outdir", ROOT / "dist", ROOT)


def release(arguments: list[str]) -> None:
    run(PYTHON, ROOT / ".ci" / "release.py", *arguments)


def vsix(_: list[str]) -> None:
    """The extension as one file, from the packages that its lock names: equal sources give equal bytes.

    npm fetches what it has not kept from an earlier time; with everything kept, or `node_modules` in place, nothing is.
    """
    npm = shutil.which("npm") or sys.exit("the extension is built with Node.js, and `npm` is not installed")
    lock, installed = EXTENSION / "package-lock.json", EXTENSION / "node_modules" / ".package-lock.json"
    if not installed.is_file() or installed.stat().st_mtime < lock.stat().st_mtime:
        run(npm, "ci", "--prefer-offline", cwd=EXTENSION)
    shutil.copy(ROOT / "LICENSE", EXTENSION)
    os.environ["SOURCE_DATE_EPOCH"] = "1700000000"
    target = ROOT / "dist" / "dspec.vsix"
    target.parent.mkdir(exist_ok=True)
    run(
        npm, "exec", "--offline", "--", "vsce", "package", "--no-dependencies", "--out", target, cwd=EXTENSION
    )


def site(_: list[str]) -> None:
    """Strict: a link that leads nowhere ends it. The theme's notice of its successor is for who maintains this."""
    gathered = ROOT / "build" / "pages"
    os.environ["NO_MKDOCS_2_WARNING"] = "1"
    run(PYTHON, ROOT / "docs" / "site" / "pages.py", gathered)
    run(PYTHON, "-m", "mkdocs", "build", "--strict", "--quiet", "-f", gathered / "mkdocs.yml")
    print(f"open {ROOT / 'build' / 'site' / 'index.html'}")


def generate(_: list[str]) -> None:
    run(PYTHON, "-P", "-m", "dspec.grammar.table")
    for page in PAGES:
        run(PYTHON, ROOT / "docs" / f"generate_{page}.py")


def pins(_: list[str]) -> None:
    """Rewrite constraints.txt with what is installed now. Names and versions only, no addresses."""
    listed = subprocess.run(
        [str(PYTHON), "-m", "pip", "freeze", "--exclude-editable"], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    header = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()[0]
    build_tools = [
        line
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if line.startswith("setuptools==")
    ]
    exact = [line for line in listed if "==" in line and not line.startswith("setuptools==")]
    lines = [header, *sorted(exact + build_tools, key=str.lower)]
    (ROOT / "constraints.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def shell(arguments: list[str]) -> None:
    run(*arguments)


COMMANDS = {
    command.__name__: command
    for command in (
        demo,
        test,
        deep,
        lint,
        fix,
        types,
        bench,
        build,
        release,
        vsix,
        site,
        generate,
        pins,
        shell,
    )
}


def main() -> None:
    name, *arguments = sys.argv[1:] or ["help"]
    if name not in COMMANDS:
        print(__doc__)
        sys.exit(0 if name in ("help", "-h", "--help") else 2)
    setup()
    COMMANDS[name](arguments)


if __name__ == "__main__":
    main()
