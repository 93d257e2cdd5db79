"""The one style: `format_text`.

Works on tokens and their comments, so nothing typed is lost, and only on declarations that parse; one
that does not stays byte for byte as it is. A blank line separates declarations, unless both are
one-liners that were written together.
"""

from __future__ import annotations

from msgspec import Struct

from .layout import write_run
from .parser import parse
from .pieces import read_declaration, read_remarks
from .tokens import PATTERN
from .tree import Block

_BYTE_ORDER_MARK = "\ufeff"


class _Paragraph(Struct):
    """A declaration with the comment behind it, or a comment between declarations."""

    text: str
    blank: bool
    """Whether a blank line stood above it."""
    is_comment: bool = False
    runs_on: bool = False
    """Whether all that follows belongs to it: a string in it is never closed."""


def format_text(text: str) -> str:
    """The text in the one style; formatting it again changes nothing. Never raises.

    Line ends become `\\n` and a byte order mark goes, except within a broken declaration.
    """
    blocks = parse(text).blocks
    paragraphs: list[_Paragraph] = []
    prefix = text[: blocks[0].start] if blocks else text
    blank = _add_comments(paragraphs, prefix.removeprefix(_BYTE_ORDER_MARK), behind=False)
    waiting: list[Block] = []
    for index, block in enumerate(blocks):
        waiting.append(block)
        core, runs_on = _core(block.text)
        trivia = block.text[core:]
        if index + 1 < len(blocks) and not runs_on and "\n" not in trivia:
            continue  # the next declaration starts on this line: both stay as they are
        if len(waiting) == 1 and not block.problems and block.declaration is not None:
            words = write_run(read_declaration(block.text[:core].replace("\r\n", "\n")), 0)
        else:
            words = _as_written(text, waiting[0].start, block.start + core)
        paragraphs.append(_Paragraph(words, blank, runs_on=runs_on))
        blank = _add_comments(paragraphs, trivia, behind=True)
        waiting.clear()
    return _join(paragraphs)


def _core(text: str) -> tuple[int, bool]:
    """Where a declaration's last token ends, and whether that is a string that is never closed."""
    end, kind, value = 0, "", ""
    for match in PATTERN.finditer(text):
        if match.lastgroup not in ("space", "newline", "comment"):
            end, kind, value = match.end(), match.lastgroup, match[0]
    return end, kind == "broken_string" and value.startswith('"""')


def _as_written(text: str, start: int, end: int) -> str:
    """The stretch with the blanks before it on its line: whether it is indented may be the problem."""
    line = text.rfind("\n", 0, start) + 1
    blanks = text[line:start].removeprefix(_BYTE_ORDER_MARK)
    return (blanks if blanks.isspace() else "") + text[start:end]


def _add_comments(paragraphs: list[_Paragraph], trivia: str, *, behind: bool) -> bool:
    """Adds the comments behind or between declarations; whether a blank line follows the last."""
    remarks, blank = read_remarks(trivia, same_line=behind)
    for remark in remarks:
        if remark.same_line and paragraphs:
            paragraphs[-1].text += "  " + remark.text
        else:
            paragraphs.append(_Paragraph(remark.text, remark.blank, is_comment=True))
    return blank


def _join(paragraphs: list[_Paragraph]) -> str:
    out: list[str] = []
    group = 0  # where the comments above the next declaration start
    for index, one in enumerate(paragraphs):
        if one.is_comment:
            continue
        between = paragraphs[group : index + 1]
        above = paragraphs[group - 1] if group else None
        if above is not None and not any(part.blank for part in between):
            between[0].blank = "\n" in above.text or "\n" in one.text
        group = index + 1
    for index, one in enumerate(paragraphs):
        if index and not paragraphs[index - 1].runs_on:
            out.append("\n\n" if one.blank else "\n")
        out.append(one.text)
    if paragraphs and not paragraphs[-1].runs_on:
        out.append("\n")
    return "".join(out)
