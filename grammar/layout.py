"""Pieces → lines: what the one style looks like within a declaration.

A run stays on one line if it fits. Otherwise it is broken before the operators that bind loosest, or,
where there is none, at its last list that makes the rest fit, one element to a line. All of these are
places where the language lets a line end. Formatting a result again finds the same breaks, because
they depend on widths and comments, never on how the lines were broken before; the one exception is a
block on one line, which stays on one line.
"""

from __future__ import annotations

from .pieces import OPERAND_ENDS, Braces, Brackets, Part, Remark, Run, Word

WIDTH = 100
INDENT = 2

_NO_SPACE_BEFORE = frozenset({"COMMA", "DOT", "COLON", "QUESTION", "RPAR", "RSQB"})
_NO_SPACE_BEHIND = frozenset({"DOT", "LPAR", "LSQB"})
_LOOSEST_FIRST = (
    frozenset({"COMMA"}),
    frozenset({"BAR"}),
    frozenset({"FOR"}),
    frozenset({"THEN", "ELSE"}),
    frozenset({"OR"}),
    frozenset({"AND"}),
    frozenset({"EQ", "NE", "LT", "LE", "GT", "GE", "IN", "NOT"}),
    frozenset({"PLUS", "MINUS"}),
    frozenset({"STAR", "SLASH"}),
)


_COMMA = Word("COMMA", ",", [], opens_item=False, breaks=False, blank=False)
_SEMICOLON = Word("SEP", ";", [], opens_item=False, breaks=False, blank=False)


def write_run(run: Run, indent: int) -> str:
    """A declaration or an item, without the comments above and behind it.

    The first line is without its indentation; `indent` is how far it will be indented.
    """
    body = run.parts[-1]
    if not isinstance(body, Braces):
        return _write(run.parts, indent)
    head = run.parts[:-1]
    if body.one_line and not any(map(_has_comment, head)):
        line = flat(run.parts)
        if _fits(line, indent):
            return line
    return f"{_write(head, indent, reserve=2)} {_write_body(body, indent)}"


# One line ----------------------------------------------------------------------------------------


def flat(parts: list[Part], *, continues: bool = False) -> str:
    """The parts on one line, without comments. `continues`: an operator may open it."""
    words: list[Word] = []
    for part in parts:
        _flatten(part, words)
    text: list[str] = []
    for index, word in enumerate(words):
        if index and _spaced(words, index, continues):
            text.append(" ")
        text.append(word.text)
    return "".join(text)


def _flatten(part: Part, words: list[Word]) -> None:
    if isinstance(part, Word):
        words.append(part)
        return
    separator, runs = (_COMMA, part.elements) if isinstance(part, Brackets) else (_SEMICOLON, part.items)
    words.append(part.opener)
    for index, run in enumerate(runs):
        if index:
            words.append(separator)
        for inner in run.parts:
            _flatten(inner, words)
    words.append(part.closer)


def _spaced(words: list[Word], index: int, continues: bool) -> bool:
    """Whether a space stands between a word and the one before it."""
    before, word = words[index - 1].terminal, words[index].terminal
    if word in _NO_SPACE_BEFORE or before in _NO_SPACE_BEHIND or word == "SEP":
        return False
    if before == "MINUS" and _is_sign(words, index - 1, continues):
        return False
    if word in ("LPAR", "LSQB"):
        return before not in OPERAND_ENDS and before != "SIG"
    return not (before == "LBRACE" and word == "RBRACE")


def _is_sign(words: list[Word], index: int, continues: bool) -> bool:
    return words[index - 1].terminal not in OPERAND_ENDS if index else not continues


def _fits(text: str, indent: int, reserve: int = 0) -> bool:
    """Whether the text's own lines keep to the width; lines within a triple string are as they are."""
    if "\n" not in text:
        return indent + len(text) + reserve <= WIDTH
    first, last = text[: text.index("\n")], text[text.rindex("\n") + 1 :]
    return indent + len(first) <= WIDTH and len(last) + reserve <= WIDTH


# Several lines -----------------------------------------------------------------------------------


def _write(parts: list[Part], indent: int, *, reserve: int = 0, continues: bool = False) -> str:
    """Parts without a body, on as few lines as the style has for them.

    Keeps `reserve` columns free on the last line. Comments before the first part are the caller's.
    """
    if not _has_inner_comment(parts[0]) and not any(map(_has_comment, parts[1:])):
        line = flat(parts, continues=continues)
        if _fits(line, indent, reserve):
            return line
    segments = _segments(parts)
    if len(segments) > 1:
        return _write_segments(segments, indent, reserve, continues)
    return _write_broken(parts, _groups_to_break(parts, indent, reserve, continues), indent, continues)


def _segments(parts: list[Part]) -> list[list[Part]]:
    """The run cut before its loosest operators, behind its commas, and before words with comments."""
    words = [part.terminal if isinstance(part, Word) else "" for part in parts]
    cuts: set[int] = set()
    for terminals in _LOOSEST_FIRST:
        cuts = {index for index in range(1, len(parts)) if _is_break(words, index, terminals)}
        if cuts:
            break
    segments = [parts[:1]]
    for index, part in enumerate(parts[1:], start=1):
        if index in cuts or _remarks(part):
            segments.append([])
        segments[-1].append(part)
    return segments


def _is_break(words: list[str], index: int, terminals: frozenset[str]) -> bool:
    before, word = words[index - 1], words[index]
    if "COMMA" in terminals:
        return before == "COMMA" and words[max(0, index - 3)] != "FOR"  # a loop's two names stay together
    if word not in terminals or before == "NOT":
        return False
    if word == "FOR" and "ASSIGN" in words[index:]:
        return False  # the setting's own `for`
    return word not in ("MINUS", "NOT") or before in OPERAND_ENDS or not before


def _write_segments(segments: list[list[Part]], indent: int, reserve: int, continues: bool) -> str:
    inner = indent + INDENT
    lines = [_write(segments[0], indent, continues=continues)]
    for segment in segments[1:]:
        remarks = _remarks(segment[0])
        _add_behind(lines, [remark.text for remark in remarks if remark.same_line], inner)
        lines += [" " * inner + remark.text for remark in remarks if not remark.same_line]
        free = reserve if segment is segments[-1] else 0
        lines.append(" " * inner + _write(segment, inner, reserve=free, continues=True))
    return "\n".join(lines)


def _groups_to_break(parts: list[Part], indent: int, reserve: int, continues: bool) -> set[int]:
    """The last list that makes the rest fit; else every list. Lists with comments in any case."""
    groups = {
        index: part
        for index, part in enumerate(parts)
        if isinstance(part, Brackets) and (part.elements or part.behind or part.below)
    }
    commented = {index for index, group in groups.items() if _has_inner_comment(group)}
    if commented:
        return commented
    for index in reversed(groups):
        head = flat([*parts[:index], groups[index].opener], continues=continues)
        tail = flat([groups[index].closer, *parts[index + 1 :]])
        if _fits(head, indent) and _fits(tail, indent, reserve):
            return {index}
    return set(groups)


def _write_broken(parts: list[Part], chosen: set[int], indent: int, continues: bool) -> str:
    """The parts on one line, but for the chosen groups, which get one element to a line."""
    text = ""
    line: list[Part] = []
    for index, part in enumerate(parts):
        if index not in chosen:
            line.append(part)
            continue
        assert isinstance(part, Brackets)
        text += flat([*line, part.opener], continues=continues) + _write_elements(part, indent)
        line = [part.closer]
    return text + flat(line, continues=continues)


def _write_elements(group: Brackets, indent: int) -> str:
    """What stands between a group's opener and its closer, each element on its own line."""
    inner = indent + INDENT
    lines = [""]
    _add_behind(lines, group.behind, inner)
    for element in group.elements:
        lines += [" " * inner + remark.text for remark in element.above]
        text = _write(element.parts, inner, reserve=1)
        ends = element is group.elements[-1] and not group.may_end_in_comma
        lines.append(" " * inner + text + ("" if ends else ","))
        _add_behind(lines, element.behind, inner)
    lines += [" " * inner + remark.text for remark in group.below]
    return "\n".join(lines) + "\n" + " " * indent


def _write_body(body: Braces, indent: int) -> str:
    inner = indent + INDENT
    lines = ["{"]
    _add_behind(lines, body.behind, inner)
    for item in body.items:
        _add_above(lines, item.above, inner)
        if item.blank and len(lines) > 1:
            lines.append("")
        lines.append(" " * inner + write_run(item, inner))
        _add_behind(lines, item.behind, inner)
    _add_above(lines, body.below, inner)
    return "{}" if lines == ["{"] else "\n".join(lines) + "\n" + " " * indent + "}"


# Comments ----------------------------------------------------------------------------------------


def _add_behind(lines: list[str], comments: list[str], indent: int) -> None:
    """Puts the first comment behind the last line and any others below it."""
    if comments:
        lines[-1] += "  " + comments[0]
        lines += [" " * indent + comment for comment in comments[1:]]


def _add_above(lines: list[str], remarks: list[Remark], indent: int) -> None:
    for remark in remarks:
        if remark.blank and len(lines) > 1:
            lines.append("")
        lines.append(" " * indent + remark.text)


def _remarks(part: Part) -> list[Remark]:
    return part.remarks if isinstance(part, Word) else part.opener.remarks


def _has_comment(part: Part) -> bool:
    return bool(_remarks(part)) or _has_inner_comment(part)


def _has_inner_comment(part: Part) -> bool:
    if isinstance(part, Word):
        return False
    runs = part.elements if isinstance(part, Brackets) else part.items
    return bool(part.behind or part.below) or any(
        run.above or run.behind or any(map(_has_comment, run.parts)) for run in runs
    )
