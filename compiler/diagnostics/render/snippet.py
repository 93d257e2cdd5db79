"""Source lines with labels under them.

    14│   step joint = MIPROv2(auto = "light", num_candidates = 12)
      │                        ─────────────   ^^^^^^^^^^^^^^^^^^^ would be overridden
      │                        auto sets 6 candidates

The rightmost label's text stands beside its marker, the others hang below theirs. A span over several
lines is underlined on its first line and marked at its end on the last, joined by a lane at the left.
Lines are cut to a window around what is labelled before anything is measured, so that the cost never
depends on a line's length.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from msgspec import Struct

from ...project.source import Location, Source
from .cells import cells, safe, width, wrap
from .look import Look, Style

MAX_LANES = 4
_NARROWEST = 24


class Mark(Struct, frozen=True):
    """A labelled range of one file: offsets within its text, and no line end at its end."""

    start: int
    end: int
    text: str
    primary: bool


class _Segment(Struct, frozen=True):
    """The part of a mark on one line, in characters of the line; `text` only where it is shown."""

    start: int
    end: int
    text: str
    primary: bool


class _Lane(Struct, frozen=True):
    index: int
    first: int
    last: int
    primary: bool


class _View(NamedTuple):
    """The visible part of a line: its text, and where each of its characters starts in it.

    `starts[i]` is the column of character `begin + i`; one more entry is the column after the last.
    """

    text: str
    begin: int
    starts: list[int]

    def column(self, character: int) -> int:
        return self.starts[min(max(character - self.begin, 0), len(self.starts) - 1)]


def mark(location: Location, text: str, *, primary: bool) -> Mark:
    """A mark within the text's bounds, whatever the location says."""
    source = location.source.text
    start = min(max(location.start, 0), len(source))
    end = min(max(location.end, start), len(source))
    while end > start + 1 and source[end - 1] in "\r\n":
        end -= 1
    return Mark(start, end, text, primary)


def gutter(source: Source, marks: Sequence[Mark]) -> int:
    """Columns that the line numbers of these marks take."""
    return max(len(str(source.position(_last(mark)).line)) for mark in marks)


def snippet(source: Source, marks: Sequence[Mark], margin: int, look: Look) -> list[str]:
    """The labelled lines of one file, line numbers in `margin` columns."""
    segments, starts, lanes = _segments(source, marks)
    lane_columns = 2 * (1 + max((lane.index for lane in lanes), default=-1))
    room = max(_NARROWEST, look.width - margin - 3 - lane_columns)
    rows: list[str] = []
    shown = 0
    for line in sorted(segments):
        if shown and line == shown + 2:
            begin = starts[line] - 1 - (source.position(starts[line] - 1).column - 1)
            view = _view(source, begin, [], room, look)
            rows.append(_row(str(shown + 1), margin, _lane_text(lanes, shown + 1, look), view.text, look))
        elif shown and line > shown + 2:
            rows.append(_row("", margin, _lane_text(lanes, shown + 1, look), look.glyphs.gap, look))
        view = _view(source, starts[line], segments[line], room, look)
        rows.append(_row(str(line), margin, _lane_text(lanes, line, look), view.text, look))
        for number, text in enumerate(_markers(segments[line], view, room, look)):
            rows.append(_row("", margin, _lane_text(lanes, line, look, under=number + 1), text, look))
        shown = line
    return rows


def _last(mark: Mark) -> int:
    """Offset of a mark's last character, or of its start when it is empty."""
    return max(mark.start, mark.end - 1)


def _segments(
    source: Source, marks: Sequence[Mark]
) -> tuple[dict[int, list[_Segment]], dict[int, int], list[_Lane]]:
    """Segments by line, each line's offset in the text, and the lanes of marks over several lines."""
    segments: dict[int, list[_Segment]] = {}
    starts: dict[int, int] = {}
    lanes: list[_Lane] = []
    for item in sorted(marks, key=lambda m: (m.start, m.end)):
        first, last = source.position(item.start), source.position(_last(item))
        starts[first.line] = item.start - first.column + 1
        starts[last.line] = _last(item) - last.column + 1
        if first.line == last.line:
            size = item.end - item.start
            begin = first.column - 1
            segments.setdefault(first.line, []).append(_Segment(begin, begin + size, item.text, item.primary))
            continue
        taken = {lane.index for lane in lanes if lane.last >= first.line}
        index = next((i for i in range(MAX_LANES) if i not in taken), None)
        if index is not None:
            lanes.append(_Lane(index, first.line, last.line, item.primary))
        rest = source.text.find("\n", item.start, item.start + 10_000)
        line_end = first.column - 1 + (rest - item.start if rest >= 0 else 10_000)
        opening = _Segment(first.column - 1, line_end, "", item.primary)
        segments.setdefault(first.line, []).append(opening)
        closing = _Segment(last.column - 1, last.column, item.text, item.primary)
        segments.setdefault(last.line, []).append(closing)
    return segments, starts, lanes


def _view(source: Source, start: int, segments: list[_Segment], room: int, look: Look) -> _View:
    """The part of the line at offset `start` that fits into `room` columns: all of it, or what is around a segment."""
    text = source.text
    limit = 4 * room
    for secret in look.secrets:
        if secret.source is source or secret.source.text == text:
            hidden = re.sub(r"[^\n\"']", "*", text[secret.start : secret.end])
            text = text[: secret.start] + hidden + text[secret.end :]
    end = text.find("\n", start, start + limit)
    whole = end >= 0 or len(text) <= start + limit
    if whole:
        view = _measure(text[start : end if end >= 0 else len(text)].rstrip("\r"), 0, look)
        if view.starts[-1] <= room:
            return view
    more = look.glyphs.more
    begin = _window(segments, room - 2 * len(more))
    end = text.find("\n", start + begin, start + begin + limit)
    stop = end if end >= 0 else min(len(text), start + begin + limit)
    view = _measure(text[start + begin : stop].rstrip("\r"), begin, look)
    left = more if begin else ""
    space = room - len(left)
    if view.starts[-1] > space or (end < 0 and stop < len(text)):
        fits = sum(column <= space - len(more) for column in view.starts) - 1
        view = _measure(text[start + begin : start + begin + max(0, fits)], begin, look)
        view = view._replace(text=view.text + more)
    return view._replace(text=left + view.text, starts=[column + len(left) for column in view.starts])


def _window(segments: list[_Segment], room: int) -> int:
    """The first character to show: all labels if they fit, else the primary one, in the middle."""
    first = min((segment.start for segment in segments), default=0)
    last = max((segment.end for segment in segments), default=0)
    if last - first > room:
        focus = next((segment for segment in segments if segment.primary), segments[0])
        first, last = focus.start, focus.end
    return 0 if last <= room else max(0, first - max(0, room - (last - first)) // 2)


def _measure(text: str, begin: int, look: Look) -> _View:
    glyphs: list[str] = []
    starts = [0]
    for cell in cells(text, unicode=look.unicode):
        glyphs.append(cell.glyph)
        starts.append(starts[-1] + cell.width)
    return _View("".join(glyphs), begin, starts)


class _Placed(NamedTuple):
    """A segment in columns of the view."""

    start: int
    end: int
    text: str
    style: Style
    primary: bool


def _markers(segments: list[_Segment], view: _View, room: int, look: Look) -> list[str]:
    """The row of markers, then one or more rows for each text that does not fit beside its own."""
    placed: list[_Placed] = []
    for segment in segments:
        start = view.column(segment.start)
        end = max(start + 1, view.column(segment.end))
        style: Style = look.severity if segment.primary else "secondary"
        placed.append(_Placed(start, end, safe(segment.text, unicode=look.unicode), style, segment.primary))
    row: list[tuple[str, Style]] = [(" ", "plain")] * max(item.end for item in placed)
    for item in sorted(placed, key=lambda item: item.primary):
        glyph = look.glyphs.primary if item.primary else look.glyphs.secondary
        marked: list[tuple[str, Style]] = [(glyph, item.style)] * (item.end - item.start)
        row[item.start : item.end] = marked
    line = _painted(row, look)
    hanging = sorted((item for item in placed if item.text), key=lambda item: -item.start)
    if hanging:
        beside = hanging[0]
        is_last = beside.end == len(row)
        if is_last and beside.end + 1 + width(beside.text) <= room:
            line += " " + look.paint(beside.text, beside.style)
            hanging = hanging[1:]
    return [line, *_hung(hanging, room, look)]


def _hung(hanging: list[_Placed], room: int, look: Look) -> list[str]:
    """Texts below their markers, the rightmost first, bars leading down to those still to come."""
    rows: list[str] = []
    for number, item in enumerate(hanging):
        lead: list[tuple[str, Style]] = [(" ", "plain")] * item.start
        for other in hanging[number + 1 :]:
            if other.start < item.start:
                lead[other.start] = (look.glyphs.bar, other.style)
        texts = wrap(item.text, max(_NARROWEST, room - item.start))
        rows.extend(_painted(lead, look) + look.paint(text, item.style) for text in texts)
    return rows


def _painted(row: list[tuple[str, Style]], look: Look) -> str:
    pieces: list[str] = []
    begin = 0
    for i in range(1, len(row) + 1):
        if i == len(row) or row[i][1] != row[begin][1]:
            pieces.append(look.paint("".join(glyph for glyph, _ in row[begin:i]), row[begin][1]))
            begin = i
    return "".join(pieces)


def _lane_text(lanes: list[_Lane], line: int, look: Look, under: int = 0) -> str:
    """The lanes beside a line, or beside the `under`-th row below it."""
    if not lanes:
        return ""
    columns = [" "] * (1 + max(lane.index for lane in lanes))
    for lane in lanes:
        style: Style = look.severity if lane.primary else "secondary"
        glyph = ""
        if lane.first <= line <= lane.last:
            glyph = look.glyphs.runs
            if line == lane.first and not under:
                glyph = look.glyphs.opens
            elif line == lane.last and under:
                glyph = look.glyphs.closes if under == 1 else ""
        if glyph:
            columns[lane.index] = look.paint(glyph, style)
    return " ".join(columns) + " "


def _row(number: str, margin: int, lanes: str, text: str, look: Look) -> str:
    frame = look.paint(f"{number:>{margin}}{look.glyphs.bar}", "frame")
    return f"{frame} {lanes}{text}".rstrip(" ")
