"""`check --fix`: what is applied, what is left, and what is never written."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from dspec.compiler.diagnostics.fixes import apply_fixes
from dspec.compiler.diagnostics.record import Diagnostic, Edit, Fix, Label
from dspec.compiler.project.source import Location, Source
from dspec.runtime.errors import DspecError


def at(source: Source, start: int, end: int, new: str) -> Edit:
    return Edit(Location(source, start, end), new)


def finding(
    *edits: Edit, applicability: Literal["machine", "maybe"] = "machine", more: tuple[Fix, ...] = ()
) -> Diagnostic:
    fixes = (Fix("fix", edits, applicability), *more)
    return Diagnostic("DS0603", "error", "m", Label(edits[0].location), fixes=fixes)


@pytest.fixture
def source() -> Source:
    return Source(Path("/p/a.dspec"), "a.dspec", "one two three")


def test_edits_are_applied_by_place_whatever_their_order(source: Source) -> None:
    repaired = apply_fixes(
        [finding(at(source, 8, 13, "3")), finding(at(source, 0, 3, "1"), at(source, 3, 3, "!"))]
    )
    assert repaired.texts == {source.path: "1! two 3"}
    assert repaired.count == 2


def test_only_safe_fixes_are_applied_and_one_of_each_diagnostic(source: Source) -> None:
    unsafe = finding(at(source, 0, 3, "no"), applicability="maybe")
    second = finding(
        at(source, 4, 7, "no"),
        applicability="maybe",
        more=(Fix("b", (at(source, 4, 7, "2"),)), Fix("c", (at(source, 8, 9, "x"),))),
    )
    assert apply_fixes([unsafe]).texts == {}
    assert apply_fixes([unsafe, second]).texts == {source.path: "one 2 three"}


@pytest.mark.parametrize("later", [(2, 5), (0, 3), (1, 2), (0, 13)])
def test_a_fix_that_meets_an_earlier_one_waits(source: Source, later: tuple[int, int]) -> None:
    first = finding(at(source, 0, 3, "1"))
    other = finding(at(source, *later, "x"), at(source, 12, 13, "y"))
    repaired = apply_fixes([first, other])
    assert repaired.count == 1
    assert repaired.texts[source.path] in ("1 two three", "x two threy", "onx two threy")


def test_insertions_at_one_place_are_not_guessed_at(source: Source) -> None:
    assert apply_fixes([finding(at(source, 3, 3, "a")), finding(at(source, 3, 3, "b"))]).count == 1


def test_the_same_fix_twice_counts_once(source: Source) -> None:
    edit = at(source, 0, 3, "1")
    assert apply_fixes([finding(edit), finding(edit)]).count == 1


def test_a_fix_over_two_files_is_whole_or_nothing(source: Source) -> None:
    other = Source(Path("/p/b.dspec"), "b.dspec", "four")
    both = finding(at(source, 0, 3, "1"), at(other, 0, 4, "4"))
    assert apply_fixes([both]).texts == {source.path: "1 two three", other.path: "4"}
    bad = finding(at(source, 0, 3, "1"), at(other, 2, 9, "out of bounds"))
    assert apply_fixes([bad]).texts == {}


def test_edits_of_one_fix_that_overlap_are_refused(source: Source) -> None:
    assert apply_fixes([finding(at(source, 0, 5, "a"), at(source, 3, 8, "b"))]).count == 0


def test_line_ends_are_the_files_own() -> None:
    crlf = Source(Path("/p/a.dspec"), "a.dspec", "a\r\nb\r\n")
    assert apply_fixes([finding(at(crlf, 0, 0, "dspec 1\n"))]).texts == {crlf.path: "dspec 1\r\na\r\nb\r\n"}


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_writing_keeps_a_byte_order_mark(tmp_path: Path, mark: bytes) -> None:
    path = tmp_path / "a.dspec"
    path.write_bytes(mark + "é\r\n".encode())
    source = Source(path, "a.dspec", "é\r\n")
    apply_fixes([finding(at(source, 0, 1, "ü"))]).write()
    assert path.read_bytes() == mark + "ü\r\n".encode()


@pytest.mark.parametrize("now", [b"other", b"\xff", None])
def test_a_file_that_changed_meanwhile_is_left_alone(tmp_path: Path, now: bytes | None) -> None:
    first, second = tmp_path / "a.dspec", tmp_path / "b.dspec"
    first.write_text("a")
    sources = [Source(first, "a.dspec", "a"), Source(second, "b.dspec", "b")]
    if now is not None:
        second.write_bytes(now)
    repaired = apply_fixes([finding(at(source, 0, 1, "x")) for source in sources])
    with pytest.raises(DspecError, match=r"`b\.dspec` changed while it was checked"):
        repaired.write()
    assert first.read_text() == "a"
