"""Reads an answer while it comes, field by field: a text in pieces, any other output once it is whole.

What is read so is what the layout's reading of the whole answer will give, as far as anybody can tell before the end. That
reading has the last word: an answer may go on so that what stood there first means something else. So nothing here mends:
what is out of its layout is left to the whole reading. All is linear in the answer.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence

from msgspec import Struct

from ..schema.program import FieldSpec, Predictor
from ..schema.types import STR, JsonValue
from ..values.markers import unescape
from ..values.phrases import fold
from ..values.tags import unescape as untagged
from .base import Records, SplitAnswer, read_output
from .chat import COMPLETED, DRESSED_HEADER, HEADER, INLINE
from .turns import LEFT_OUT

_THOUGHT = re.compile(r"\s*<think(?:ing)?>")
_THOUGHT_END = re.compile(r"</think(?:ing)?>\s*")
_LONGEST_TAG = 240


class Part(Struct, frozen=True):
    """More of an output: a further `text` of it, or its `value`, which ends it."""

    field: str
    text: str = ""
    value: JsonValue = None
    whole: bool = False


class PartialAnswer(ABC):
    """One answer of a predictor so far."""

    def __init__(self, predictor: Predictor, records: Records, *, strict: bool = False) -> None:
        self._outputs = {output.name: output for output in predictor.signature.outputs}
        self._inputs = [one.name for one in predictor.signature.inputs]
        self._records = records
        self._strict = strict
        self._parts: list[Part] = []
        self._buffer = ""
        """Read, and not yet known to be what."""
        self._begun = self._thinking = False
        self._done: set[str] = set()
        """Outputs that have been there."""
        self._field: FieldSpec | None = None
        """The output that is being read."""
        self._body: list[str] = []
        """All of its text."""
        self._held: str = ""
        """The end of its text, as long as that may be followed by nothing."""
        self._shown = False

    def feed(self, piece: str) -> Sequence[Part]:
        """What is known of the outputs with this piece that was not before."""
        self._parts = []
        self._buffer += piece
        if self._begun or self._begins():
            self._read()
        return self._parts

    @abstractmethod
    def _read(self) -> None:
        """Takes what it can from the buffer."""

    def _begins(self) -> bool:
        """Whether the answer itself has begun: a model may think aloud before it."""
        if not self._thinking:
            self._thinking = _THOUGHT.match(self._buffer) is not None
        if self._thinking:
            ended = _THOUGHT_END.search(self._buffer)
            self._buffer = self._buffer[ended.end() :] if ended else self._buffer
            self._begun = ended is not None
        else:
            start = self._buffer.lstrip()
            self._begun = bool(start) and not "<thinking>".startswith(start)
        return self._begun

    def _open(self, name: str) -> None:
        """Begins an output, unless it was there before."""
        self._field = None if name in self._done else self._outputs.get(name)
        self._done.add(name)
        self._body, self._held, self._shown = [], "", False

    def _add(self, text: str) -> None:
        """More of the output's text. Spaces around it are none of it."""
        field = self._field
        if field is None or not text:
            return
        self._body.append(text)
        if field.type != STR:
            return
        held: str = self._held + text if self._shown else (self._held + text).lstrip()
        solid = held.rstrip()
        if not self._shown and LEFT_OUT.startswith(solid):
            self._held = held
            return
        self._held = held[len(solid) :]
        if solid:
            self._shown = True
            self._parts.append(Part(field.name, solid))

    def _close(self) -> None:
        """Ends the output that is being read."""
        field, self._field = self._field, None
        if field is not None:
            self._give(field, SplitAnswer(texts={field.name: "".join(self._body).strip()}))

    def _give(self, field: FieldSpec, split: SplitAnswer) -> None:
        try:
            found = read_output(field, split, self._records, strict=self._strict, cut="")
        except ValueError:
            return  # what is to be said of it the whole reading says
        self._parts.append(Part(field.name, value=found.value, whole=True))


class PartialSections(PartialAnswer):
    """In the layout of `chat`: by line."""

    def __init__(self, predictor: Predictor, records: Records, *, strict: bool = False) -> None:
        super().__init__(predictor, records, strict=strict)
        self._header = HEADER if strict else DRESSED_HEADER
        names = [*self._inputs, *self._outputs]
        self._names: dict[str, str] = {COMPLETED: COMPLETED}
        if not strict:
            self._names.update({name.casefold(): name for name in reversed(names)})
        self._names.update({name: name for name in names})
        self._within = False
        """Whether something of the line was taken: what follows is no header."""

    def _read(self) -> None:
        while (end := self._buffer.find("\n")) >= 0:
            line, self._buffer = self._buffer[:end], self._buffer[end + 1 :]
            self._line(line)
            self._add("\n")
            self._within = False
        self._beginning()

    def _line(self, line: str) -> None:
        """The rest of a line."""
        if not self._within and (header := self._header.match(line)) and (name := self._name(header["name"])):
            self._section(name)
            line = header["rest"]
        if not self._strict and "[[" in line:
            line = self._inside(line)
        self._add(unescape(line))

    def _inside(self, line: str) -> str:
        """What is left of a line after the headers in it."""
        begin = 0
        for header in INLINE.finditer(line):
            if name := self._name(header["name"]):
                self._add(unescape(line[begin : header.start()].rstrip()))
                self._section(name)
                begin = header.end()
        return line[begin:]

    def _beginning(self) -> None:
        """The line whose end has not come: a header that is whole, and text that can be none."""
        line = self._buffer
        if not line:
            return
        if not self._within:
            header = self._header.match(line)
            # what may dress a header up stands behind it, too
            ends = header is not None and (header["name"] == COMPLETED or header["rest"].strip(":*_`」 \t"))
            if header and ends and (name := self._name(header["name"])):
                self._section(name)
                self._within = True
                line = header["rest"]
            elif not (bare := line.lstrip(" \t#>*_`「")) or bare[:2] in ("[", "[["):
                return
        cut = line.find("[[")
        safe = line[:cut] if cut >= 0 else line
        safe = safe.rstrip("[\\")
        self._within = self._within or bool(safe)
        self._add(safe)
        self._buffer = line[len(safe) :]

    def _name(self, written: str) -> str:
        return self._names.get(written) or ("" if self._strict else self._names.get(written.casefold(), ""))

    def _section(self, name: str) -> None:
        self._close()
        self._open(name)


class PartialTags(PartialAnswer):
    """In the layout of `xml`: from tag to tag."""

    def __init__(self, predictor: Predictor, records: Records, *, strict: bool = False) -> None:
        super().__init__(predictor, records, strict=strict)
        flags = re.ASCII if strict else re.ASCII | re.IGNORECASE
        choice = "|".join(re.escape(name) for name in sorted(self._outputs, key=len, reverse=True))
        self._opening = re.compile(rf"<({choice})>", flags)
        self._folded = {name.lower(): name for name in reversed(self._outputs)}
        self._closing = {
            name: re.compile(rf"</{re.escape(name)}\s{{0,20}}>", flags) for name in self._outputs
        }
        self._inside = ""

    def _read(self) -> None:
        while self._buffer:
            if not self._inside:
                opening = self._opening.search(self._buffer)
                if opening is None:
                    last = self._buffer.rfind("<")
                    self._buffer = "" if last < 0 else self._buffer[last:][-_LONGEST_TAG:]
                    return
                written = opening[1]
                self._inside = written if written in self._outputs else self._folded[written.lower()]
                self._open(self._inside)
                self._buffer = self._buffer[opening.end() :]
            name = self._inside
            closing = self._closing[name].search(self._buffer)
            if closing is None:
                self._take(name)
                return
            self._add(untagged(self._buffer[: closing.start()], name))
            self._buffer = self._buffer[closing.end() :]
            self._close()
            self._inside = ""

    def _take(self, name: str) -> None:
        """Text that can be no end of the section: all but the beginning of a tag or of an escape."""
        text = self._buffer
        last = text.rfind("<", max(0, len(text) - _LONGEST_TAG))
        if last >= 0:
            rest, tag = text[last:].lower(), f"</{name}".lower()
            if not (tag.startswith(rest) or rest.startswith((tag, "<\\"))):
                last = -1
        safe = text if last < 0 else text[:last]
        self._add(untagged(safe, name))
        self._buffer = text[len(safe) :]


_KEY = re.compile(r'[\s,]*"((?:[^"\\]|\\.)*)"\s*:\s*', re.DOTALL)
_TEXT = re.compile(r'(?:[^"\\]|\\[^u]|\\u[0-9a-fA-F]{4})+', re.DOTALL)
_HALF = re.compile(r"(?:\\u[dD][89abAB][0-9a-fA-F]{2})\Z")
_TOKEN = re.compile(r'["{}\[\],]|\\.', re.DOTALL)
_BEFORE = re.compile(r"\s*(?:```[a-zA-Z]*\s*)?")


class PartialObject(PartialAnswer):
    """In the layout of `json`: one object, member by member."""

    def __init__(self, predictor: Predictor, records: Records, *, strict: bool = False) -> None:
        super().__init__(predictor, records, strict=strict)
        self._folds = {fold(name): name for name in reversed(self._outputs)}
        self._state = "before"
        """Then `key`, `text` or `value`, and `over`."""
        self._name = ""
        self._said: list[str] = []
        self._at = self._depth = 0
        """How far a value was looked at, and how deep that is."""
        self._quoted = False

    def _read(self) -> None:
        step = {"before": self._before, "key": self._key, "text": self._text, "value": self._value}
        while (do := step.get(self._state)) and do():
            pass

    def _before(self) -> bool:
        begin = _BEFORE.match(self._buffer)
        assert begin is not None
        rest = self._buffer[begin.end() :]
        if not rest:
            return False
        self._state = "key" if rest[0] == "{" else "before" if rest[0] == "`" else "over"
        self._buffer = rest[1:] if rest[0] == "{" else rest
        return self._state == "key"

    def _key(self) -> bool:
        key = _KEY.match(self._buffer)
        if key is None:
            if self._buffer.lstrip()[:1] == "}":
                self._state = "over"
            return False
        if key.end() == len(self._buffer):
            return False  # the value's first character tells what it is
        try:
            written = json.loads(f'"{key[1]}"', strict=False)
        except ValueError:
            self._state = "over"
            return False
        self._name = written if written in self._outputs else self._folds.get(fold(written), "")
        self._buffer = self._buffer[key.end() :]
        self._open(self._name)
        if self._buffer[0] == '"' and self._field is not None and self._field.type == STR:
            self._buffer = self._buffer[1:]
            self._state, self._said = "text", []
        else:
            self._state = "value"
            self._at = self._depth = 0
            self._quoted = False
        return True

    def _text(self) -> bool:
        text = _TEXT.match(self._buffer)
        if text is not None:
            end = text.end()
            if end < len(self._buffer) or not (half := _HALF.search(text[0])):
                half = None
            end = half.start() if half else end
            if not self._say(self._buffer[:end]):
                return False
            self._buffer = self._buffer[end:]
        if self._buffer[:1] != '"':
            return False
        self._buffer = self._buffer[1:]
        self._state = "key"
        field, self._field = self._field, None
        if field is not None:
            self._give(field, SplitAnswer(values={field.name: "".join(self._said)}))
        return True

    def _say(self, written: str) -> bool:
        try:
            piece = json.loads(f'"{written}"', strict=False)
        except ValueError:
            self._state = "over"
            return False
        assert self._field is not None
        self._said.append(piece)
        if not self._shown and LEFT_OUT.startswith("".join(self._said)):
            return True
        more = piece if self._shown else "".join(self._said)
        if more:
            self._shown = True
            self._parts.append(Part(self._field.name, more))
        return True

    def _value(self) -> bool:
        """A value that is no text: it is taken once it is whole."""
        for token in _TOKEN.finditer(self._buffer, self._at):
            found = token[0]
            if found == '"':
                self._quoted = not self._quoted
            elif self._quoted or found[0] == "\\":
                pass
            elif found in "{[":
                self._depth += 1
            elif self._depth and found in "}]":
                self._depth -= 1
            elif not self._depth:
                self._member(self._buffer[: token.start()])
                self._buffer = self._buffer[token.start() :]
                return self._state == "key"
            self._at = token.end()
        if self._buffer[-1:] != "\\":
            self._at = max(self._at, len(self._buffer))
        return False

    def _member(self, written: str) -> None:
        field, self._field = self._field, None
        self._state = "key"
        try:
            value = json.loads(written)
        except (ValueError, RecursionError):
            self._state = "over"
            return
        if field is not None:
            self._give(field, SplitAnswer(values={field.name: value}))
