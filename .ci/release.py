"""A release, from a clean checkout to a tag: `python3.11 dev.py release X.Y.Z`.

Nothing is pushed and nothing uploaded. Every check comes before the tag, and a check that fails leaves neither a tag nor a
file in `dist/`. With `--no-index` the new environment takes the wheel's dependencies from the one that this runs in, and
nothing from an index.
"""

from __future__ import annotations

import argparse
import base64
import csv
import gzip
import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import tomllib
import venv
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import NoReturn

from packaging.metadata import Metadata

ROOT = Path(__file__).resolve().parent.parent
VERSION = re.compile(r"\d+\.\d+\.\d+(?:(?:a|b|rc)\d+)?")
WHOLE = (
    "dspec/__init__.py",
    "dspec/py.typed",
    "dspec/compiler/py.typed",
    "dspec/runtime/py.typed",
    "dspec/lsp/py.typed",
    "dspec/grammar/py.typed",
    "dspec/grammar/dspec.lark",
    "dspec/grammar/table.json",
    "dspec/runtime/artifact.schema.json",
    "dspec/runtime/adapters/system.j2",
    "dspec/compiler/cli/templates/classifier/main.dspec",
    "dspec/compiler/cli/templates/classifier/data/feedback.csv",
    "dspec/compiler/compile/reports/page/report.html.j2",
)
"""Files that a wheel must have."""
STRANGERS = (
    "tests",
    "shared",
    "bench",
    "docs",
    "examples",
    "build",
    "compiled",
    ".dspec",
    "__pycache__",
    "node_modules",
)
"""Folders of which no wheel has anything."""
EXAMPLE = """
import dspec
from dspec import load
print(dspec.__file__)
print(load("compiled/sorter_v1.dspc.json")(text="Why was I charged twice?").kind)
"""


def fail(message: str, help: str = "") -> NoReturn:  # noqa: A002
    sys.exit(f"error: {message}" + (f"\n  help: {help}" if help else ""))


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """What a command printed; ends with what it said where it fails."""
    done = subprocess.run(  # noqa: S603
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        fail(f"{' '.join(map(str, command))} failed:\n{(done.stdout + done.stderr)[-4000:]}")
    return done.stdout


def check_checkout(version: str) -> None:
    """The version's one place, its section in the changelog, a clean tree and a free tag."""
    if not VERSION.fullmatch(version):
        fail(f"{version!r} is no version", "write it as 1.2.3, or 1.2.3rc1")
    stated = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    if stated != version:
        fail(f"pyproject.toml says version {stated}", f'write version = "{version}" there, and commit it')
    written = [
        path.relative_to(ROOT).as_posix()
        for room in ("grammar", "compiler", "runtime", "lsp")
        for path in (ROOT / room).rglob("*.py")
        if re.search(r"^__version__\s*=", path.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    if written:
        fail(f"the version stands in {', '.join(written)}, too", "pyproject.toml is its one place")
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    heads = [*re.finditer(r"^## (.+)$", text, re.MULTILINE)]
    if not heads or not re.fullmatch(rf"{re.escape(version)} \(\d{{4}}-\d\d-\d\d\)", heads[0][1].strip()):
        said = f"begins with {heads[0][0]!r}" if heads else "has no section"
        fail(f"CHANGELOG.md {said}", f"its first section has to be `## {version} (YYYY-MM-DD)`")
    section = text[heads[0].end() : heads[1].start() if len(heads) > 1 else None]
    if not section.strip():
        fail(f"CHANGELOG.md says nothing of {version}", "write what a user gets")
    if changed := run("git", "status", "--porcelain", cwd=ROOT).splitlines():
        fail(
            f"the tree is not clean: {', '.join(line[3:] for line in changed[:8])}", "commit, or put it away"
        )
    if run("git", "tag", "--list", f"v{version}", cwd=ROOT).strip():
        fail(f"there is a tag v{version} already", "a version is released once")


def built(folder: Path, epoch: int) -> tuple[Path, Path]:
    """Wheel and sdist of the commit, made in a new folder: the sdist from its files alone, the wheel from the sdist."""
    checkout, out = folder / "checkout", folder / "out"
    run("git", "clone", "--quiet", "--no-hardlinks", ROOT, checkout, cwd=folder)
    shutil.rmtree(checkout / ".git")
    (checkout / "constraints.txt").stat()
    build = (sys.executable, "-m", "build", "--no-isolation")
    stamp = str(epoch)
    run(*build, "--sdist", "--outdir", out, checkout, cwd=folder, SOURCE_DATE_EPOCH=stamp)
    (sdist,) = out.glob("*.tar.gz")
    normalise(sdist, epoch)
    with tarfile.open(sdist) as archive:
        archive.extractall(folder / "sdist", filter="data")
    (source,) = (folder / "sdist").iterdir()
    run(*build, "--wheel", "--outdir", out, source, cwd=folder, SOURCE_DATE_EPOCH=stamp)
    (wheel,) = out.glob("*.whl")
    return wheel, sdist


def normalise(sdist: Path, epoch: int) -> None:
    """Write an sdist anew, in the order of names, with nobody's ids and the commit's time."""
    with tarfile.open(sdist) as archive:
        members = [(one, archive.extractfile(one)) for one in archive.getmembers()]
        held = [(one, b"" if stream is None else stream.read()) for one, stream in members]
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for one, data in sorted(held, key=lambda pair: pair[0].name):
            one.mtime, one.uid, one.gid, one.uname, one.gname = epoch, 0, 0, "", ""
            one.mode = 0o755 if one.isdir() or one.mode & 0o100 else 0o644
            one.pax_headers = {}
            archive.addfile(one, io.BytesIO(data) if one.isfile() else None)
    with sdist.open("wb") as file, gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=epoch) as zipped:
        zipped.write(packed.getvalue())


def check_wheel(wheel: Path, version: str) -> None:
    """Its files, their hashes, and its metadata by the rules of the package index."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        check_names(names, version)
        info = f"dspc-{version}.dist-info"
        recorded = csv.reader(io.StringIO(archive.read(f"{info}/RECORD").decode()))
        hashes = {row[0]: row[1] for row in recorded}
        for name in names:
            digest = base64.urlsafe_b64encode(hashlib.sha256(archive.read(name)).digest()).rstrip(b"=")
            if hashes.get(name) != f"sha256={digest.decode()}" and not name.endswith("/RECORD"):
                fail(f"{wheel.name}: RECORD has another hash of {name}")
        check_metadata(wheel, archive.read(f"{info}/METADATA"), version)


def check_names(names: Iterable[str], version: str) -> None:
    found = set(names)
    own = f"dspc-{version}.dist-info"
    if missing := [name for name in WHOLE if name not in found]:
        fail(f"the wheel lacks {', '.join(missing)}")
    for name in sorted(found):
        parts = PurePosixPath(name).parts
        inside = parts[1:-1] if name.startswith("dspec/compiler/cli/templates/") else parts[:-1]
        if parts[0] not in ("dspec", own) or set(inside) & set(STRANGERS) or name.endswith((".pyc", ".env")):
            fail(f"the wheel has {name}, which is no part of it")


def check_metadata(where: Path, text: bytes, version: str) -> None:
    try:
        told = Metadata.from_email(text, validate=True)
    except ExceptionGroup as errors:
        fail(f"{where.name}: {'; '.join(map(str, errors.exceptions))}")
    if (told.name, str(told.version)) != ("dspc", version):
        fail(f"{where.name} says that it is {told.name} {told.version}")
    if not (told.description or "").strip() or told.description_content_type != "text/markdown":
        fail(f"{where.name} has no description in Markdown")


def check_sdist(sdist: Path, version: str) -> None:
    with tarfile.open(sdist) as archive:
        names = archive.getnames()
        told = archive.extractfile(f"dspc-{version}/PKG-INFO")
        text = told.read() if told is not None else b""
    if outside := [name for name in names if PurePosixPath(name).parts[0] != f"dspc-{version}"]:
        fail(f"the sdist has {outside[0]}")
    inside = {"/".join(PurePosixPath(name).parts[1:]) for name in names}
    for name in (
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "grammar/dspec.lark",
        "runtime/facade/__init__.py",
    ):
        if name not in inside:
            fail(f"the sdist lacks {name}")
    if strangers := [name for name in inside if name.split("/")[0] in ("shared", ".dspec", "build", "dist")]:
        fail(f"the sdist has {strangers[0]}, which is no part of it")
    check_metadata(sdist, text, version)


def try_out(wheel: Path, folder: Path, version: str, *, index: bool) -> None:
    """Install the wheel into a new environment, and make and run an example in an empty folder."""
    home, empty = folder / "environment", folder / "empty"
    empty.mkdir()
    venv.create(home, with_pip=False, symlinks=os.name != "nt")
    place = home / ("Scripts" if os.name == "nt" else "bin")
    python, dspc = place / "python", place / "dspc"
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet")
    if index:
        run(*pip, "--constraint", ROOT / "constraints.txt", wheel, cwd=empty)
    else:
        run(*pip, "--no-deps", "--no-index", wheel, cwd=empty)
        site = Path(
            run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=empty).strip()
        )
        (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    clean = {"PYTHONPATH": "", "DSPEC_STATE_DIR": str(folder / "state")}
    if run(dspc, "--version", cwd=empty, **clean).strip() != f"dspc {version}":
        fail("the installed command tells another version")
    run(dspc, "init", ".", cwd=empty, **clean)
    run(dspc, "check", cwd=empty, **clean)
    run(dspc, "compile", "main.dspec", cwd=empty, **clean)
    run(dspc, "verify", "compiled/sorter_v1.dspc.json", cwd=empty, **clean)
    place_of, answer = run(python, "-P", "-c", EXAMPLE, cwd=empty, **clean).splitlines()
    if not Path(place_of).resolve().is_relative_to(home.resolve()) or not answer:
        fail(f"the example ran {place_of}, which is not what was installed")


def main() -> None:
    parser = argparse.ArgumentParser(prog="dev.py release", description=__doc__)
    parser.add_argument("version", help="as pyproject.toml says it: 1.2.3")
    parser.add_argument("--no-index", action="store_true", help="ask no package index")
    given = parser.parse_args()
    version: str = given.version
    os.umask(0o022)
    check_checkout(version)
    epoch = int(run("git", "log", "-1", "--format=%ct", cwd=ROOT))
    with tempfile.TemporaryDirectory(prefix="release-") as work:
        folders = [Path(work) / name for name in ("one", "the_other", "trial")]
        for folder in folders:
            folder.mkdir()
        print("building, twice …", flush=True)
        wheel, sdist = built(folders[0], epoch)
        for first, second in zip((wheel, sdist), built(folders[1], epoch), strict=True):
            if first.read_bytes() != second.read_bytes():
                fail(f"{first.name} was built twice, and its bytes differ")
        check_wheel(wheel, version)
        check_sdist(sdist, version)
        print("installing the wheel in a new environment …", flush=True)
        try_out(wheel, folders[2], version, index=not given.no_index)
        dist = ROOT / "dist"
        dist.mkdir(exist_ok=True)
        for path in (wheel, sdist):
            shutil.copyfile(path, dist / path.name)
            print(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  dist/{path.name}")
    run("git", "tag", "--annotate", f"v{version}", "--message", f"dspec {version}", cwd=ROOT)
    print(f"tagged v{version}: `git push origin v{version}` makes it known, and nothing was uploaded")


if __name__ == "__main__":
    main()
