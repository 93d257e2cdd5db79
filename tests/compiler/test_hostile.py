"""Hostile projects through `dspc check`: findings with a place, in bounded time and memory, never a crash."""

from __future__ import annotations

import json
import os
import resource
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from dspc import DSPC

MEMORY = 700 << 20
"""Address space of the whole process; a check of a small file takes about 100 MiB of it."""
SECONDS = 60
"""CPU of the whole process: far above what any case takes, far below what a quadratic one would."""

LARGE = 3 << 20 if os.environ.get("DSPEC_DEEP") else 1 << 20
"""Bytes of a text that is large and still read."""
MANY = 19_000 if os.environ.get("DSPEC_DEEP") else 3_000
"""Declarations of a text that has many."""

HEAD = 'dspec 1\n\nlm learner { model = "embedded/icl" }\n'


@dataclass(frozen=True)
class Checked:
    code: int
    found: list[dict[str, Any]]

    @property
    def codes(self) -> list[str]:
        return [one["code"] for one in self.found]

    @property
    def text(self) -> str:
        return "\n".join(one["message"] for one in self.found)


def limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))


def check(folder: Path, *paths: str) -> Checked:
    """Checks twice, the second time from memory: both must say the same."""
    (folder / "dspec.toml").touch()
    results = [_run(folder, *paths) for _ in range(2)]
    assert results[0] == results[1]
    found = json.loads(results[0].stdout)["diagnostics"]
    for one in found:
        assert one["message"]
        assert one["primary"]["file"]
        start, end = one["primary"]["start"], one["primary"]["end"]
        assert start["line"] >= 1
        assert start["offset"] <= end["offset"]
    assert len(results[0].stdout) < 4 << 20
    return Checked(results[0].code, found)


@dataclass(frozen=True)
class Run:
    code: int
    stdout: str
    stderr: str


def _run(folder: Path, *paths: str) -> Run:
    process = subprocess.run(
        [str(DSPC), "check", "--format", "json", *paths],
        cwd=folder,
        capture_output=True,
        timeout=5 * SECONDS,
        check=False,
        preexec_fn=limit,
    )
    said = process.stderr.decode()
    assert "Traceback" not in said, said[-2000:]
    assert process.returncode in (0, 1), (process.returncode, said[-2000:], process.stdout[-500:])
    return Run(process.returncode, process.stdout.decode(), said)


TEXTS: dict[str, Callable[[], bytes]] = {
    "a line of 50 MB": lambda: b'dspec 1\nlm x { model = "' + b"x" * (50 << 20) + b'" }\n',
    "a large line": lambda: b'dspec 1\nlm x { model = "' + b"x" * LARGE + b"\n",
    "junk on a line": lambda: b"dspec 1\nlm x { " + b"@ " * (LARGE // 2),
    "names on a line": lambda: b"dspec 1\n" + b"a " * (LARGE // 2),
    "broken items": lambda: b"dspec 1\nlm x {\n" + b" a = \n" * (LARGE // 6) + b"}\n",
    "broken blocks": lambda: b"dspec 1\n" + b"lm x { a = }\n" * (LARGE // 13),
    "brackets, open": lambda: HEAD.encode() + b"metric m(g: d, p: q) { score = " + b"(" * 100_000,
    "brackets, closed": lambda: (
        HEAD.encode() + b"metric m(g: d, p: q) { score = " + b"(" * 100_000 + b"1" + b")" * 100_000 + b" }\n"
    ),
    "lists in lists": lambda: HEAD.encode() + b"signature S { input a: " + b"list[" * 100_000 + b"str }\n",
    "blocks in blocks": lambda: HEAD.encode() + b"lm x " + b"{ a " * 100_000,
    "not not not": lambda: (
        HEAD.encode() + b"metric m(g: d, p: q) { score = " + b"not " * 100_000 + b"true }\n"
    ),
    "a long sum": lambda: HEAD.encode() + b"metric m(g: d, p: q) { score = 1" + b" + 1" * 100_000 + b" }\n",
    "UTF-8 cut short": lambda: HEAD.encode() + "# é".encode()[:-1],
    "Latin-1": lambda: "dspec 1\n# café\n".encode("latin-1"),
    "UTF-16": lambda: HEAD.encode("utf-16"),
    "random bytes": lambda: bytes((i * 7919 + i // 7) % 256 for i in range(100_000)),
    "NUL bytes": lambda: HEAD.encode() + b"\0" * 100_000 + b'\nlm y { model = "a\0b" }\n',
    "only NULs": lambda: b"\0" * 1_000,
    "a NUL in a path": lambda: HEAD.encode() + b'import "a\\u0000b.dspec" as a\n',
    "control characters": lambda: HEAD.encode() + b'lm \x1b[31mred\x07 { model = "x" }\n\x1b]0;title\x07',
    "right to left": lambda: HEAD.encode() + 'lm x { model = "a\u202e\u2066" } } # \u202e\n'.encode(),
    "no line end": lambda: b"lm",
    "too many declarations": lambda: HEAD.encode() + b'lm x { model = "y" }\n' * 100_000,
    f"{MANY:,} unknown names": lambda: (
        HEAD.encode() + b"".join(b"module m%d = Predict(S%d)\n" % (i, i) for i in range(MANY))
    ),
    f"{MANY:,} calls that stop in the middle": lambda: (
        HEAD.encode() + b"module m = Predict(-> nowhere, S)\n" * MANY
    ),
    f"{MANY:,} declarations of one name": lambda: HEAD.encode() + b'lm x { model = "y" }\n' * MANY,
    "100,000 members of a union": lambda: (
        HEAD.encode() + b"type T = " + b" | ".join(b'"v%d"' % i for i in range(100_000)) + b"\n"
    ),
    "a number of 100,000 digits": lambda: HEAD.encode() + b"lm x { seed = " + b"9" * 100_000 + b" }\n",
    "numbers at their ends": lambda: HEAD.encode() + b'lm x { model = "m"; seed = 1e999; rpm = 0x10 }\n',
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TEXTS)
def test_a_hostile_text(name: str, tmp_path: Path) -> None:
    (tmp_path / "main.dspec").write_bytes(TEXTS[name]())
    checked = check(tmp_path, "main.dspec")
    assert checked.code == 1
    assert any(one["severity"] == "error" for one in checked.found)
    assert "DS0000" not in checked.codes


def test_line_ends_and_a_byte_order_mark_are_fine(tmp_path: Path) -> None:
    text = HEAD + "module m = Predict(sig(a -> b))\n"
    (tmp_path / "crlf.dspec").write_bytes(text.replace("\n", "\r\n").encode())
    (tmp_path / "bom.dspec").write_bytes(b"\xef\xbb\xbf" + text.encode())
    (tmp_path / "both.dspec").write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    checked = check(tmp_path)
    assert checked == Checked(0, [])


def test_places_are_right_with_carriage_returns_and_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "main.dspec").write_bytes(
        b"\xef\xbb\xbf" + (HEAD + "module m = Predict(Missing)\n").replace("\n", "\r\n").encode()
    )
    (one,) = check(tmp_path).found
    assert one["primary"]["start"] == {"line": 4, "column": 20, "offset": one["primary"]["start"]["offset"]}


@pytest.mark.parametrize("path", ["../outside.dspec", "/etc/passwd", "a/../../outside.dspec", "link.dspec"])
def test_an_import_that_leaves_the_project(path: str, tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (tmp_path / "outside.dspec").write_text('dspec 1\nlm secret { model = "canary-4711" }\n')
    (project / "link.dspec").symlink_to(tmp_path / "outside.dspec")
    (project / "main.dspec").write_text(
        f'{HEAD}import "{path}" as out\nmodule m = Predict(sig(a -> b), lm = out.secret)\n'
    )
    checked = check(project, "main.dspec")
    assert checked.codes == ["DS0207"]
    assert "canary" not in json.dumps(checked.found)


@pytest.mark.parametrize("path", ["../rows.csv", "/etc/passwd", "link.csv", "folder/../../rows.csv"])
def test_data_that_leaves_the_project(path: str, tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (tmp_path / "rows.csv").write_text("text\ncanary-4711\n")
    (project / "link.csv").symlink_to(tmp_path / "rows.csv")
    checked = data(project, path)
    assert checked.codes == ["DS0413"]
    assert "canary" not in json.dumps(checked.found)


def data(folder: Path, path: str) -> Checked:
    (folder / "main.dspec").write_text(
        f'{HEAD}dataset d {{\n  source = csv("{path}")\n  input text: str\n}}\n'
    )
    return check(folder, "main.dspec")


def fifo(path: Path) -> None:
    os.mkfifo(path)


def loop(path: Path) -> None:
    path.symlink_to(path.with_name("other"))
    path.with_name("other").symlink_to(path)


def folder(path: Path) -> None:
    path.mkdir()


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def socket(path: Path) -> None:
    import socket as sockets

    with sockets.socket(sockets.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(path.parent)  # a socket's path is at most 108 bytes
        try:
            server.bind(path.name)
        finally:
            os.chdir(here)


THINGS = [fifo, loop, folder, device, socket]


@pytest.mark.parametrize("make", THINGS, ids=lambda make: make.__name__)
def test_data_that_is_no_file(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / "rows.csv")
    checked = data(tmp_path, "rows.csv")
    assert set(checked.codes) <= {"DS0401", "DS0413"}
    assert checked.code == 1


@pytest.mark.parametrize("make", THINGS, ids=lambda make: make.__name__)
def test_an_import_that_is_no_file(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / "lms.dspec")
    (tmp_path / "main.dspec").write_text(HEAD + 'import "lms.dspec" as lms\n')
    checked = check(tmp_path, "main.dspec")
    assert set(checked.codes) <= {"DS0204", "DS0207"}
    assert checked.code == 1


@pytest.mark.parametrize("make", [fifo, device, socket], ids=lambda make: make.__name__)
def test_a_source_that_is_no_file(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / "main.dspec")
    checked = check(tmp_path, "main.dspec")
    assert checked.codes == ["DS0810"]
    assert checked.code == 1


def test_a_folder_called_like_a_source(tmp_path: Path) -> None:
    (tmp_path / "x.dspec").mkdir()
    (tmp_path / "x.dspec" / "main.dspec").write_text(HEAD)
    (tmp_path / "round").symlink_to(tmp_path)
    assert check(tmp_path) == Checked(0, [])


@pytest.mark.parametrize("circle", [False, True] if os.environ.get("DSPEC_DEEP") else [True])
def test_ten_thousand_files_that_import_each_other(circle: bool, tmp_path: Path) -> None:
    count = 10_000
    for number in range(count):
        target = number + 1 if number + 1 < count else 0
        line = f'import "f{target}.dspec" as next\n' if number + 1 < count or circle else ""
        (tmp_path / f"f{number}.dspec").write_text(f"{HEAD}{line}module m{number} = Predict(sig(a -> b))\n")
    checked = check(tmp_path, "f0.dspec")
    assert checked.code == 1
    assert "at most 500 files" in checked.text


def test_a_circle_of_imports(tmp_path: Path) -> None:
    for number in range(400):
        (tmp_path / f"f{number}.dspec").write_text(f'{HEAD}import "f{(number + 1) % 400}.dspec" as next\n')
    checked = check(tmp_path, "f7.dspec")
    assert checked.codes.count("DS0214") == 1


def test_a_file_of_settings_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "main.dspec").write_text(HEAD)
    os.mkfifo(tmp_path / "pyproject.toml")
    (tmp_path / "dspec.toml").write_bytes(b"\xff\xfe" + b"[" * 100_000)
    assert check(tmp_path, "main.dspec").codes == ["DS0811"]


def test_a_state_folder_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "main.dspec").write_text(HEAD)
    (tmp_path / ".dspec").write_text("not a folder")
    assert check(tmp_path, "main.dspec") == Checked(0, [])


def test_a_remembered_result_that_is_a_pipe(tmp_path: Path) -> None:
    (tmp_path / "main.dspec").write_text(HEAD)
    check(tmp_path, "main.dspec")
    for path in (tmp_path / ".dspec" / "checks").glob("*.json"):
        path.unlink()
        os.mkfifo(path)
    assert check(tmp_path, "main.dspec") == Checked(0, [])
