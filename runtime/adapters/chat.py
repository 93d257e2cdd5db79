"""The `chat` adapter: each field is a section under a header line, closed by a `completed` header.

Reading is by line. Only the signature's own names open a section, so a header of another name is part
of the text it stands in. An output with two sections that differ has no value. In lenient mode an answer without any
header may also be a JSON object, labelled lines, or the bare value of the only output.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, lru_cache

from msgspec.structs import replace

from ..schema.identity import Same
from ..schema.program import LM, Demo, FieldSpec, Predictor, Signature
from ..schema.types import JsonValue, Scalar
from ..values.markers import unescape
from .base import Adapter, Records, SplitAnswer, differing
from .members import spoken
from .turns import header, sections
from .unlaid import without_layout

COMPLETED = "completed"
_MARK = r"\[\[[ \t]*##[ \t]*(?P<name>\w{1,200})[ \t]*##[ \t]*\]\]"
HEADER = re.compile(rf"[ \t]*{_MARK}[ \t]*(?P<rest>.*)")
DRESSED_HEADER = re.compile(
    r"[ \t]*+(?:(?P<code>`(?!`)|「)|[#>*_]{0,4}+[ \t]*+)"
    rf"{_MARK}(?(code)[`」]|[*_]{{0,3}})(?::(?=\s|$))?[ \t]*(?P<rest>.*)"
)
_END_OF_LIST = re.compile(rf"[ \t]*(?:[-*•–\"'(<「]|\d{{1,3}}[.)])[ \t]*{_MARK}[\"')>」.]?[ \t]*")
"""A mark of the answer's end that was written as a last item, or in quotes or brackets."""
_FULL_WIDTH = re.compile(
    r"^([ \t]*)[\[［]{2}[ \t]*[#＃]{2}[ \t]*(\w{1,200})[ \t]*[#＃]{2}[ \t]*[\]］]{2}", re.MULTILINE
)
INLINE = re.compile(rf"(?<!\\){_MARK}")
_BROKEN_LAYOUT = re.compile(
    r"[\[【［][ \t]*[#＃]{2}|##[ \t]*\]|^[ \t]*##[ \t]*\w{1,200}[ \t]*##|\A<think", re.MULTILINE
)
"""Signs that an answer was meant to have sections, or that it is thoughts without an end."""

_BROKEN_END = re.compile(
    r"[ \t>*_`]*(?:\[\[|【【|［［|##[ \t]*(?=\w+[ \t]*##))[ \t]*[#＃]*[ \t]*(?:completed?|end)"
    r"[ \t]*[#＃]*[ \t]*[\]］】]*[ \t.*_`]*",
    re.IGNORECASE,
)
"""A last line that was meant to mark the answer's end."""
_CUT_HEADER = re.compile(r"[ \t]*\[{1,2}[ \t]*##[ \t]*(\w{0,200})[ \t]*#{0,2}[ \t]*\]?[ \t]*")
"""A line that is a header without its end."""


class ChatAdapter(Adapter):
    def layout(self, outputs: Sequence[FieldSpec]) -> str:
        body = "\n".join(f"{header(field.name)}\n..." for field in outputs)
        return f"Layout of an answer:\n{body}\n{header(COMPLETED)}"

    def names(self, outputs: Sequence[FieldSpec]) -> str:
        return f"{', '.join(header(field.name) for field in outputs)}, then {header(COMPLETED)}"

    def answer(self, demo: Demo, outputs: Sequence[FieldSpec]) -> str:
        return f"{sections(outputs, demo.outputs)}\n\n{header(COMPLETED)}"

    def response_format(self, predictor: Predictor, records: Records, lm: LM) -> dict[str, JsonValue] | None:
        return None

    def split(
        self, text: str, outputs: Sequence[FieldSpec], signature: Signature, *, strict: bool
    ) -> SplitAnswer:
        if outputs is signature.outputs and (laid := _as_laid_out(text, signature)) is not None:
            return laid
        if not strict:
            text = spoken(text)
        names = [field.name for field in (*signature.inputs, *signature.outputs)]
        if not strict and ("［" in text or "＃" in text):
            text = _narrow(text, {name.casefold() for name in (*names, COMPLETED)})
        found = _Sections(text, names, strict=strict)
        if not found.texts and not strict:
            before = "\n".join(found.before)
            return without_layout(before, outputs, _BROKEN_LAYOUT, closed=found.closed)
        texts = {name: unescape(sections[0]) for name, sections in found.texts.items()}
        unclear = differing(found.texts)
        for name in found.torn:
            unclear.setdefault(name, "holds a header that is broken")
        split = SplitAnswer(texts, unclear=unclear, closed=found.closed, last=found.last)
        first = outputs[0] if outputs else None
        before = "\n".join(found.before).strip()
        if (
            not strict
            and first is not None
            and first.name not in texts
            and first.type == Scalar(name="str")
            and before
            and not before.endswith((":", "："))
        ):
            # A model sometimes begins with the text of the first section, as if its header stood there already.
            note = f"took the text before the first header as {first.name}"
            before = unescape(before)
            guessed = frozenset([first.name])
            return replace(split, texts={first.name: before, **texts}, notes=(note,), guessed=guessed)
        return split


def _as_laid_out(text: str, signature: Signature) -> SplitAnswer | None:
    """The parts of an answer that has the layout to the letter, as most have, and nothing in it that may mean more; None
    of any other."""
    layout = _layout_of(Same(signature))
    match = layout and layout.fullmatch(text)
    if not match:
        return None
    texts = {
        output.name: body.strip() for output, body in zip(signature.outputs, match.groups(), strict=True)
    }
    return SplitAnswer(texts, closed=True, last=signature.outputs[-1].name)


@lru_cache(maxsize=256)
def _layout_of(signature: Same[Signature]) -> re.Pattern[str] | None:
    """What such an answer matches: no text in it has a character that headers, escapes, thoughts and ends of turns are made
    of. None where a field has the name of the last header."""
    one = signature.value
    outputs = [output.name for output in one.outputs]
    if not outputs or any(field.name.casefold() == COMPLETED for field in (*one.inputs, *one.outputs)):
        return None
    if len(set(outputs)) < len(outputs) or any(
        len(name) > 200 for name in outputs
    ):  # no header, as `_MARK` has it
        return None
    body = r"\n([^\[\]［］#＃<\\]*)\n"
    return re.compile(
        "".join(re.escape(header(name)) + body for name in outputs) + re.escape(header(COMPLETED)) + r"\s*"
    )


def _narrow(text: str, names: set[str]) -> str:
    """The text with its headers in the brackets that they should have, where they stand in full-width ones."""

    def narrowed(match: re.Match[str]) -> str:
        return f"{match[1]}[[ ## {match[2]} ## ]]" if match[2].casefold() in names else match[0]

    return _FULL_WIDTH.sub(narrowed, text)


@lru_cache(maxsize=256)
def _by_written(names: tuple[str, ...], strict: bool) -> Mapping[str, str]:
    """The names of fields by each that their headers may have."""
    found: dict[str, str] = {}
    if not strict:
        found.update({name.casefold(): name for name in reversed(names)})
    found.update({name: name for name in names})
    return found


class _Sections:
    """An answer by its headers: `before` are the lines before the first, `texts` each name's sections, `torn` the names of
    sections in which a header is broken.

    A header begins its line. In lenient mode Markdown may stand around it, and its name may have another case. A header
    inside a line counts if no header of that name begins a line, and `completed` counts if it ends the line. What follows
    `completed` is no part of the answer, unless sections begin again.
    """

    def __init__(self, text: str, names: Sequence[str], *, strict: bool) -> None:
        self.before: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self.closed = False
        self.last = ""
        self.torn: set[str] = set()
        self._strict = strict
        self._names = _by_written(tuple(names), strict)
        """Fields by each name that their headers may have."""
        self._own_completed = COMPLETED in self._names
        lines = text.split("\n")
        self._lines = lines
        sections: list[tuple[str, list[str]]] = [("", self.before)]
        for line in lines:
            if "[[" not in line:
                sections[-1][1].append(line)
                continue
            for name, piece in self._pieces(line):
                if name == COMPLETED and not self._own_completed:
                    self.closed = True
                    sections.append(("", [piece]))
                elif name:
                    self.closed = False  # the answer begins again, perhaps improved
                    sections.append((name, [piece]))
                else:
                    sections[-1][1].append(piece)
            if self.closed and strict:
                break
        for name, body in sections[1:]:
            if not name:
                continue
            whole = "\n".join(body)
            self.texts.setdefault(name, []).append(whole.strip())
            self.last = name
            if "##" in whole and any(map(self._torn, body)):
                self.torn.add(name)
        if not strict and self.last and not self.closed:
            last = next((line for line in reversed(sections[-1][1]) if line.strip()), "")
            if _BROKEN_END.fullmatch(last):
                self.torn.add(self.last)

    @cached_property
    def _starting(self) -> set[str]:
        """The fields whose header begins a line somewhere."""
        return {self._name(match["name"]) for line in self._lines if (match := self._match(line))}

    def _match(self, line: str) -> re.Match[str] | None:
        if "[[" not in line:
            return None
        return (HEADER if self._strict else DRESSED_HEADER).match(line)

    def _name(self, written: str) -> str:
        """The field that a header names, or `completed`; "" for any other name."""
        if (known := self._names.get(written)) is not None:
            return known
        name = "" if self._strict else self._names.get(written.casefold(), "")
        if (not name and written == COMPLETED) or (not self._strict and written.casefold() == COMPLETED):
            return name or COMPLETED
        return name

    def _torn(self, line: str) -> bool:
        """Whether a line is the beginning of a header of this answer, without its end."""
        if "##" not in line or (match := _CUT_HEADER.fullmatch(line)) is None:
            return False
        written = match[1].casefold()
        return any(name.casefold().startswith(written) for name in (*self._names, COMPLETED))

    def _pieces(self, line: str) -> Sequence[tuple[str, str]]:
        """The line in pieces, each with the name of the header before it, "" where there is none."""
        match = self._match(line)
        name = self._name(match["name"]) if match else ""
        rest = match["rest"] if match and name else line
        end = None if self._strict or name or self._own_completed else _END_OF_LIST.fullmatch(line)
        if end is not None and self._name(end["name"]) == COMPLETED:
            return ((COMPLETED, ""),)
        return ((name, rest),) if self._strict or "[[" not in rest else tuple(self._inside(name, rest))

    def _inside(self, name: str, rest: str) -> Iterator[tuple[str, str]]:
        """What follows a header of that name on its line, parted by further headers."""
        begin, end = 0, len(rest.rstrip(" \t*_`"))
        for inside in INLINE.finditer(rest):
            other = self._name(inside["name"])
            ends = inside.end() >= end
            if not other or (
                other in self._starting if other != COMPLETED or self._own_completed else not ends
            ):
                continue
            yield name, rest[begin : inside.start()].rstrip()
            name, begin = other, inside.end()
        yield name, rest[begin:]
