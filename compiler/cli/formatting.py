"""Formats sources: what `dspc fmt` does once its arguments are read."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from dspec.grammar import format_text

from ..project.files import write_text
from ..project.loading import ImportProblem, read_text
from ..project.state import project_root
from .console import Exit, print_error, print_json, say


def format_input(*, check: bool, diff: bool) -> Exit:
    """Standard input, to standard output."""
    before = sys.stdin.read()
    after = format_text(before)
    if diff or not check:
        print_json(unified("<stdin>", before, after) if diff else after)
    return Exit.FINDINGS if (check or diff) and before != after else Exit.OK


def format_files(sources: Sequence[Path], *, check: bool, diff: bool) -> Exit:
    changed = unread = 0
    for path in sources:
        found = read_text(path, project_root(path.resolve()))
        if isinstance(found, ImportProblem):
            unread += 1
            print_error(f"{path} cannot be read: {found.reason}")
            continue
        before = found.replace("\r\n", "\n")
        after = format_text(before)
        if before == after:
            continue
        changed += 1
        if diff:
            print_json(unified(str(path), before, after))
        elif check:
            say(f"would reformat {path}")
        else:
            write_text(path, after)
            say(f"reformatted {path}")
    say(f"{len(sources)} checked, {changed} {'to change' if check or diff else 'changed'}")
    return Exit.FINDINGS if unread or (changed and (check or diff)) else Exit.OK


def unified(name: str, before: str, after: str) -> str:
    import difflib

    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), name, f"{name} (formatted)"
    )
    return "".join(lines)
