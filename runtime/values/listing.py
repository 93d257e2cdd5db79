"""Splits a list that is not JSON into its items, at bullets, lines or commas; not where there are two ways to split it."""

from __future__ import annotations

import re

from .phrases import excludes, turns

_BULLET = re.compile(r"([ \t]{0,12})(?:([-*•–+‣◦▪●○■·⁃∙▸►])\s|(\d{1,4})[.)]\s|(・))\s*(.*)")
_BOLD = re.compile(r"\*\*[^*]{1,100}\*\*")
_MARKED = re.compile(r"[-*•–]\S|\d{1,4}[.)][^\W\d]|[^\w\s]{1,3}\s+\S")
"""Bullets without a blank after them, or marks of which nobody knows whether they belong to the texts: `> a`, `✗ a`."""
_ALONE = re.compile(r"[\W_]+|\d{1,4}[.)]|and|or|und|oder", re.IGNORECASE)
"""A line that is no item, but stands before one or between two."""
_BROKEN_LINE = re.compile(r"<br\s*/?>|(?<!\\)\\n", re.IGNORECASE)
"""What stands for a line break elsewhere."""
_NUMERAL = re.compile(
    r"(?:[IVXLC]{1,7}|[ivxlc]{1,7}|[A-Za-z])[.)]\s|\(\w{1,4}\)\s"
    r"|\d{1,4}(?::\s|[）．、])|[①-⑳]|[一二三四五六七八九十]{1,3}[、．]"
)
"""Marks of items that may as well belong to the texts."""
_SEVERAL = re.compile(r"[,;|•\t，、；]|\s(?:and|&|or|/)\s|[」』»]\s*[「『«]")
_PARTED = re.compile(r"[,;|\t，、；]")
_COMMAS = (",", "，", "、")
_OTHER_FORM = re.compile(r"<[A-Za-z][^<>]*>.*</[A-Za-z][^<>]*>|[\w.]+\(\s*[\[{(].*\)", re.DOTALL)
"""A list in tags, or made by a call."""
_AND_SO_ON = re.compile(r"\.{2,}|…+|(?:etc|usw|and so on|and more)\.?|等等?", re.IGNORECASE)
_YEARS = 1000
"""A number from here on is no bullet, but rather a year."""
_HEADING = re.compile(r"#{1,6}\s")
_ENDS_SENTENCE = (".", "!", "?", "。", "！", "？")
_GROUPED = re.compile(r"\d,\d")
_SPACED = re.compile(r"\d,\s")
_THOUSANDS = re.compile(r"(?<!\d)\d{1,3},\d{3}(?!\d)")


def parts(text: str, *, prose: bool, nested: bool = False) -> list[str] | None:
    """The items' texts. `prose` items may hold commas themselves, and `nested` ones are lists, so neither are split at
    commas. None where the text has no items, leaves some out, or could be split in more than one way."""
    found = _parts(text, prose=prose, nested=nested)
    return None if found is None or any(map(and_so_on, found)) else found


def and_so_on(part: str) -> bool:
    """Whether an item stands for others that were left out."""
    return _AND_SO_ON.fullmatch(part) is not None


def may_hold_several(text: str, found: list[str]) -> bool:
    """Whether lines without bullets that are items may hold several each: `Paris, Rome`. Sentences may have commas."""
    lines = [line for line in text.split("\n") if line.strip()]
    return (
        len(found) > 1
        and not any(map(_BULLET.match, lines))
        and any(map(_PARTED.search, found))
        and not all(part.endswith(_ENDS_SENTENCE) for part in found)
    )


def _parts(text: str, *, prose: bool, nested: bool) -> list[str] | None:
    lines = [line for line in text.split("\n") if line.strip()]
    if prose and len(lines) == 1 and _BROKEN_LINE.search(text):
        return None
    bullets = [_BULLET.match(line) for line in lines]
    if any(bullets):
        return _bulleted(lines, bullets)
    if len(lines) > 1:
        return _lines([line.strip() for line in lines], prose=prose)
    if prose:
        heading, colon, _ = text.partition(":")
        unclear = (
            _SEVERAL.search(text)
            or _OTHER_FORM.fullmatch(text.strip())
            or turns(text)
            or (colon and excludes(heading))
            or not re.search(r"\w", text)
        )
        return None if unclear else [text.strip()]
    return None if nested else _parted(text)


def _bulleted(lines: list[str], bullets: list[re.Match[str] | None]) -> list[str] | None:
    first = next(index for index, bullet in enumerate(bullets) if bullet)
    # A lead-in such as "The items are:" may stand before the first bullet, and only there.
    if first > 1 or (first == 1 and (not _leads_in(lines[0]) or excludes(lines[0]))):
        return None
    found: list[str] = []
    indent, marks, numbers = _width(bullets[first]), set[str](), list[int]()
    for line, bullet in zip(lines[first:], bullets[first:], strict=True):
        if bullet is None:
            # Only an indented line continues an item: any other may be a remark after the list.
            if len(line) - len(line.lstrip()) <= indent:
                return None
            found[-1] += "\n" + line.strip()
            continue
        if abs(_width(bullet) - indent) > 1:
            return None  # a list inside an item
        marks.add(bullet[2] or bullet[4] or "1.")
        numbers += [int(bullet[3])] if bullet[3] else []
        found.append(bullet[5].strip())
    counted = all(number == numbers[0] for number in numbers) or all(
        number == numbers[0] + place for place, number in enumerate(numbers)
    )
    if any(" • " in part for part in found) or (marks == {"・"} and len(found) == 1 and "・" in found[0]):
        return None  # several in one line
    if len(marks) > 1 or not counted or (numbers and numbers[0] >= _YEARS):
        return None
    return _unquoted(found)


def _leads_in(line: str) -> bool:
    """Whether a line says what comes: it ends in a colon, or is a heading."""
    line = line.strip()
    return (
        line.rstrip("*_ ").endswith((":", "："))
        or _HEADING.match(line) is not None
        or bool(_BOLD.fullmatch(line))
    )


def _width(bullet: re.Match[str] | None) -> int:
    return len(bullet[1]) if bullet else 0


def _lines(lines: list[str], *, prose: bool) -> list[str] | None:
    if _BOLD.fullmatch(lines[0]):
        return None  # a heading, or the first item
    if _leads_in(lines[0]):
        if excludes(lines[0]) or any(map(_leads_in, lines[1:])):
            return None
        lines = lines[1:]
    if any(map(_ALONE.fullmatch, lines)) or (prose and any(map(_MARKED.match, lines))):
        return None
    if prose and len({line.isdigit() for line in lines}) > 1:
        return None  # a number may count the line below it
    if prose and (
        any(_of_table(line) for line in lines)
        or _OTHER_FORM.fullmatch("\n".join(lines))
        or sum(_NUMERAL.match(line) is not None for line in lines) > 1
    ):
        return None
    commas = [line.endswith(_COMMAS) for line in lines]
    if any(commas):
        if not all(commas[:-1]):
            return None
        lines = [line.rstrip("".join(_COMMAS)).rstrip() for line in lines]
    # Only some lines end a sentence: one is a remark, or a text was wrapped.
    if len({line.endswith(_ENDS_SENTENCE) for line in lines}) > 1:
        return None
    return _unquoted(lines)


def _of_table(line: str) -> bool:
    return line.startswith("|") or ("--" in line and not line.strip(" \t|:+-"))


def _unquoted(found: list[str]) -> list[str]:
    """The items without quotes, where every item has them around it."""
    for quotes in ('""', "''", "“”", "``"):
        if all(
            len(part) > 1
            and part[0] == quotes[0]
            and part[-1] == quotes[1]
            and not set(quotes) & set(part[1:-1])
            for part in found
        ):
            return [part[1:-1] for part in found]
    return found


def _parted(text: str) -> list[str] | None:
    """The items between commas or semicolons. An `and` may stand before the last one."""
    if ";" in text or "；" in text:
        return _alike([part.strip() for part in re.split("[;；]", text)])
    if _THOUSANDS.search(text) or (_GROUPED.search(text) and _SPACED.search(text)):
        return None  # commas inside numbers, or between them
    found = [part.strip() for part in re.split("[,，、]", text)]
    *rest, last = found
    head, _, tail = last.rpartition("and ")
    if tail and ((head == "" and len(found) > 1) or head.endswith(" ")):
        found = [*rest, *([head.strip()] if head.strip() else []), tail.strip()]
    return _alike(found)


def _alike(found: list[str]) -> list[str] | None:
    """The items, unless only some are in brackets: these may be no items for certain."""
    return None if len({part.startswith(("(", "（")) for part in found}) > 1 else found
