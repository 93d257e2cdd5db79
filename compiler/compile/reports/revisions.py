"""Artifacts out of git's history, read by git's plumbing: no hook, filter, pager or program of a configuration runs, nothing
is fetched, and no path leaves the repository.

`git cat-file` gives a stored file as it was stored. It is bounded in time and size, like any artifact.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from dspec.runtime.artifact.artifact import MAX_BYTES, Artifact, parse_artifact
from dspec.runtime.artifact.strict import strict_json
from dspec.runtime.errors import ArtifactError, ConfigurationError, InputError

_SECONDS = 60
_MOST_BESIDE = 1024**3
_REVISION = re.compile(r"[\w@.~^{}/+-]{1,200}")
_NAME = re.compile(r"[\w.-]+")
_QUIET = {
    "GIT_ALLOW_PROTOCOL": "",  # a partial clone would fetch what it lacks; the next line is for newer versions of git
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "LC_ALL": "C",
}
_OFF = ("core.fsmonitor=false", "core.hooksPath=/dev/null", "core.pager=cat", "core.sshCommand=false")


@contextmanager
def artifact_at(revision: str, path: str, folder: Path) -> Generator[Artifact]:
    """The artifact that stands at `path` in a revision, with what lies beside it there. `folder` is in the repository; a path
    is meant from there, as in a shell, or from the repository's root, as git has it.

    Raises InputError for a revision or path that cannot be meant, ArtifactError for what is no artifact, and
    ConfigurationError where git cannot be asked.
    """
    name = f"{revision}:{path}"
    place = _place(revision, path, folder)
    data = _content(revision, place, MAX_BYTES, folder)
    with TemporaryDirectory(prefix="dspec-") as room:
        try:
            for other in _beside(data):
                content = _content(revision, str(PurePosixPath(place).with_name(other)), _MOST_BESIDE, folder)
                (Path(room) / other).write_bytes(content)
            yield parse_artifact(data, Path(room), keys_given=lambda _: True)
        except ArtifactError as error:
            raise ArtifactError(f"{name}: {error.message}", help=error.help) from None


def _beside(data: bytes) -> list[str]:
    """Names of the files beside an artifact, as far as they are names: what else is wrong with it is said when it is read."""
    plain = strict_json(data)
    if not isinstance(plain, dict):
        return []
    listed = [
        one for part in (plain.get("beside"), plain.get("media")) if isinstance(part, list) for one in part
    ]
    names = [str(one.get("file")) for one in listed if isinstance(one, dict)]
    return [one for one in names if _NAME.fullmatch(one) and one not in (".", "..")]


def _place(revision: str, path: str, folder: Path) -> str:
    """The path from the repository's root of what is meant."""
    if not _REVISION.fullmatch(revision) or revision.startswith("-"):
        raise InputError(
            f"`{revision}` is no name of a revision", help="for example `HEAD~1`, a tag, or a hash"
        )
    pure = PurePosixPath(path.replace("\\", "/"))
    if pure.is_absolute() or not pure.parts or any(ord(letter) < 32 for letter in path) or ":" in path:
        raise InputError(
            f"`{path}` is no path in a repository", help="a path from its root, or from this folder"
        )
    prefix = _git(folder, "rev-parse", "--show-prefix").decode("utf-8", "surrogateescape").rstrip("\n")
    for start in (prefix, ""):
        parts: list[str] = []
        for part in (*PurePosixPath(start).parts, *pure.parts):
            if part == "..":
                if not parts:
                    break
                parts.pop()
            elif part != ".":
                parts.append(part)
        else:
            place = "/".join(parts)
            if place and _kind(revision, place, folder) == "blob":
                return place
    _git(folder, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}", what=revision)
    raise InputError(
        f"there is no file {path} in {revision}", help=f"`git ls-tree -r --name-only {revision}` lists them"
    )


def _kind(revision: str, place: str, folder: Path) -> str:
    try:
        return _git(folder, "cat-file", "-t", f"{revision}:{place}").decode().strip()
    except InputError:
        return ""


def _content(revision: str, place: str, most: int, folder: Path) -> bytes:
    size = int(_git(folder, "cat-file", "-s", f"{revision}:{place}"))
    if size > most:
        raise ArtifactError(f"{revision}:{place} is larger than {most // 1024**2} MB, which no artifact is")
    return _git(folder, "cat-file", "blob", f"{revision}:{place}")


def _git(folder: Path, *arguments: str, what: str = "") -> bytes:
    """What a plumbing command of git says. Raises InputError with its first line where it fails."""
    program = shutil.which("git")
    if program is None:
        raise ConfigurationError(
            "git is not installed, and a revision is to be read", help="name two files instead"
        )
    off = [word for setting in _OFF for word in ("-c", setting)]
    try:
        done = subprocess.run(  # noqa: S603 - git by its place on the PATH, and arguments that begin with no dash
            [program, *off, "--no-pager", *arguments],
            cwd=folder,
            env={**os.environ, **_QUIET},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigurationError(f"git cannot be asked: {error}") from error
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        reason = said[0].removeprefix("fatal: ") if said else f"there is no revision `{what}`"
        raise InputError(f"git: {reason[:300]}")
    return done.stdout
