"""Pieces → lines: what the one style looks like within a declaration.

A run stays on one line if it fits. Otherwise it is broken before the operators that bind loosest, or,
where there is none, at its last list that makes the rest fit, one element to a line. All of these are
places where the language lets a line end. Formatting a result again finds the same breaks, because
they depend on widths and comments, never on how the lines were broken before; the one exception is a
block on one line, which stays on one line.
"""

from __future__ import annotations

from .pieces import Body, Group, Part, Remark, Run, Word

WIDTH = 100
INDENT = 2

_NO_SPACE_BEFORE = frozenset({"COMMA", "DOT", "COLON", "QUESTION", "RPAR", "RSQB"})
_NO_SPACE_BEHIND = frozenset({"DOT", "LPAR", "LSQB"})
_OPERAND_ENDS = frozenset(
    {"NAME", "AS", "LIST", "DICT", "NUMBER", "PERCENT", "STRING", "TRUE", "FALSE", "NONE", "RPAR", "RSQB"}
)
_LOOSEST_FIRST = (
    {"COMMA"},
    {"BAR"},
    {"FOR"},
    {"THEN", "ELSE"},
    {"OR"},
    {"AND"},
    {"EQ", "NE", "LT", "LE", "GT", "GE", "IN", "NOT"},
    {"PLUS", "MINUS"},
    {"STAR", "SLASH"},
)


_COMMA = Word("COMMA", ",", [], opens_item=False, breaks=False, blank=False)
_SEMICOLON = Word("SEP", ";", [], opens_item=False, breaks=False, blank=False)


def write_run(run: Run, indent: int) -> str:
    """A declaration or an item, without the comments above and behind it.

    The first line is without its indentation; `indent` is how far it will be indented.
    """
    body = run.parts[-1]
    if not isinstance(body, Body):
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
    separator, runs = (_COMMA, part.elements) if isinstance(part, Group) else (_SEMICOLON, part.items)
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
        return before not in _OPERAND_ENDS and before != "SIG"
    return not (before == "LBRACE" and word == "RBRACE")


def _is_sign(words: list[Word], index: int, continues: bool) -> bool:
    return words[index - 1].terminal not in _OPERAND_ENDS if index else not continues


def _fits(text: str, indent: int, reserve: int = 0) -> bool:
    """Whether the text's own lines keep to the width; lines within a triple string are as they are."""
    if "\n" not in text:
        return indent + len(text) + reserve <= WIDTH
    first, last = text[: text.index("\n")], text[text.rindex("\n") + 1 :]
    return indent + len(first) <= WIDTH and len(last) + reserve <= WIDTH


# Several lines -----------------------------------------------------------------------------------


def _write(parts: list[Part], indent: int, *, reserve: int = 0, continues: bool = False) -> str:
    """Parts without a body, on as few lines as the style has for them.

    `reserve` columns are kept free on the last line.
    """
    commented = any(map(_has_comment, parts))
    if not commented:
        line = flat(parts, continues=continues)
        if _fits(line, indent, reserve):
            return line
    segments = _segments(parts)
    if len(segments) > 1:
        return _write_segments(segments, indent, reserve, continues)
    groups = [
        index for index, part in enumerate(parts) if isinstance(part, Group) and (part.elements or part.below)
    ]
    for chosen in reversed(groups):
        if not any(_has_comment(part) for index, part in enumerate(parts) if index != chosen):
            text = _write_broken(parts, {chosen}, indent, continues)
            if all(_fits(line, 0) for line in (" " * indent + text).split("\n")):
                return text
    # No single list will do: break those with comments, or else the last one, or else give in.
    chosen = {index for index in groups if _has_comment(parts[index])} or set(groups)
    return _write_broken(parts, chosen, indent, continues)


def _segments(parts: list[Part]) -> list[list[Part]]:
    """The run cut before its loosest operators, behind its commas, and before words with comments."""
    loosest: set[str] = set()
    words = [part.terminal if isinstance(part, Word) else "" for part in parts]
    for terminals in _LOOSEST_FIRST:
        if any(_is_break(words, index, terminals) for index in range(1, len(parts))):
            loosest = terminals
            break
    segments: list[list[Part]] = [[]]
    for index, part in enumerate(parts):
        if index and (_remarks(part) or _is_break(words, index, loosest)):
            segments.append([])
        segments[-1].append(part)
    return segments


def _is_break(words: list[str], index: int, terminals: set[str]) -> bool:
    before = words[index - 1]
    if "COMMA" in terminals:
        return before == "COMMA"
    word = words[index]
    if word not in terminals or before == "NOT":
        return False
    return word not in ("MINUS", "NOT") or before in _OPERAND_ENDS or before == ""


def _write_segments(segments: list[list[Part]], indent: int, reserve: int, continues: bool) -> str:
    inner = indent + INDENT
    lines = [_write(segments[0], indent, continues=continues)]
    for number, segment in enumerate(segments[1:], start=2):
        remarks = _remarks(segment[0])
        _add_behind(lines, [remark.text for remark in remarks if remark.same_line], inner)
        lines += [" " * inner + remark.text for remark in remarks if not remark.same_line]
        text = _write(
            _without_remarks(segment), inner, reserve=reserve if number == len(segments) else 0, continues=True
        )
        lines.append(" " * inner + text)
    return "\n".join(lines)


def _write_broken(parts: list[Part], chosen: set[int], indent: int, continues: bool) -> str:
    """The parts on one line, but for the chosen groups, which get one element to a line."""
    text = ""
    start = 0
    for index in sorted(chosen):
        group = parts[index]
        assert isinstance(group, Group)
        stub = flat([*parts[start:index], group.opener], continues=continues or start > 0)
        before = parts[index - 1] if index else None
        text += stub + _write_elements(group, indent, _may_end_in_comma(group, before))
        parts = [*parts[:index], group.closer, *parts[index + 1 :]]
        start = index
    if not chosen:
        return flat(parts, continues=continues)
    return text + flat(parts[start:])[len(_closer(parts[start])) :] if False else text + flat(parts[start:])
