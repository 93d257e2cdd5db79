"""Finds JSON among words: every list and object of an answer, and whether the words around it let it be the answer.

A part never stands for the whole: where a list or an object cannot be read, the search ends, and looks at nothing
inside it or after it.
"""

from __future__ import annotations

import re

from msgspec import Struct, field

from ..schema.types import JsonValue
from .phrases import corrects, excludes, last_sentence, says_nothing, unfenced
from .repair import MAX_MENDED, Mended, NotJson, exact_json, mend

_MAX_FOUND = 10_000
_NEAR = 1_000
"""Characters around a value that are looked at."""
_OPENING = re.compile(r"[\[{]")
_IN_PROSE = re.compile(r"\{[\w .-]{0,80}\}|\[(?:\d{1,4}|[ xX])\](?=[ \t]+\w)|\[[^\W\d][\w .-]{0,80}\](?=\()")
"""Brackets that are no JSON: a placeholder, a reference, a link."""
_LEADS_IN = re.compile(r"(?:[:：=]|\b(?:is|are)|```\w*)[ \t*_`]*$")
_BULLETED = re.compile(r"\s*(?:[-*•–+]|\d{1,4}[.)])\s+")
_OWN_BULLET = re.compile(r"(?:[-*•–+]|\d{1,4}[.)])[ \t]{1,9}\Z")
_ENDS = re.compile(r"[\s}\]).!*`]*(?:(?://|#)([^\n]*))?")
REMARKED = "took JSON that a remark follows"
_GOES_ON = re.compile(r"[\"'“,:{\[]")


class FoundJson(Struct, frozen=True):
    """A list or an object in a text, with the words of its own line and of the lines next to it."""

    mended: Mended
    start: int
    before: str
    """What stands before it on its line, as `after` stands behind it. `lead` and `follow` are the nearest lines above and
    below that are not blank."""
    lead: str
    after: str
    follow: str
    bare: bool = False
    """A list that begins with neither quotes nor brackets, as references do."""

    @property
    def led(self) -> bool:
        """Whether it begins its line, or follows words that introduce a value."""
        return not self.before.strip() or bool(
            _LEADS_IN.search(self.before.rstrip()) or _BULLETED.fullmatch(self.before)
        )

    @property
    def stands(self) -> bool:
        """Whether nothing around it may give it another meaning."""
        lead = self.before if self.before.strip(" `*_") else self.lead
        end = _ENDS.fullmatch(self.after)
        return (
            self.led
            and not excludes(last_sentence(lead[-400:]))
            and end is not None
            and not excludes(end[1] or "")
            and not _GOES_ON.match(self.follow)
            and not corrects(self.follow[:400])
        )

    @property
    def remarked(self) -> bool:
        """Whether what stands behind it may say something of it, as `Drop the last one.` does."""
        end = _ENDS.fullmatch(self.after)
        return not says_nothing(f"{end[1] or '' if end else self.after} {self.follow}")


class Search(Struct, frozen=True):
    """What was found. `lost` says why something that looks like JSON could not be read, `led` whether it stood where
    an answer stands."""

    text: str
    found: tuple[FoundJson, ...] = ()
    lost: str = ""
    led: bool = False
    whole: dict[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    """The members of a lost object that are surely complete."""

    @property
    def listed(self) -> bool:
        """Whether nothing but commas, bullets and line breaks stands between what was found, and around it."""
        first = self.found[0].start
        lead = _OWN_BULLET.sub("", self.text[max(0, first - _NEAR) : first])
        led = _LEADS_IN.search(lead.rstrip()) and not excludes(last_sentence(lead[-400:]))
        rest, last = "", first if led else 0
        for one in self.found:
            rest += self.text[last : one.start] + "\n"
            last = one.mended.end
        rest += self.text[last:]
        return not re.sub(r"[\s,]|(?m:^[ \t]*(?:[-*•–+]|\d{1,4}[.)])[ \t])|```\w*", "", rest)


def search(text: str) -> Search:
    """Every list and object of the text that is not inside another."""
    text = unfenced(text)
    if text[:1] in ("[", "{"):
        try:
            return Search(text, (_placed(text, 0, Mended(exact_json(text), len(text))),))
        except ValueError:
            pass
    if len(text) > MAX_MENDED:
        return Search(text, (), "it is too long", led=True)
    found: list[FoundJson] = []
    position = 0
    while (match := _OPENING.search(text, position)) is not None and len(found) < _MAX_FOUND:
        start = match.start()
        if (prose := _IN_PROSE.match(text, start)) is not None and prose[0] != text:
            position = prose.end()
            continue
        try:
            mended = mend(text, start)
        except NotJson as error:
            led = _placed(text, start, Mended(None, start + 1)).led
            return Search(text, tuple(found), str(error), led, error.whole)
        one = _placed(text, start, mended)
        if one.led or not one.bare:
            found.append(one)
        position = mended.end
    return Search(text, tuple(found))


def _placed(text: str, start: int, mended: Mended) -> FoundJson:
    nearest = max(0, start - _NEAR)
    line = max(text.rfind("\n", nearest, start) + 1, nearest)
    end = text.find("\n", mended.end, mended.end + _NEAR)
    end = min(len(text), mended.end + _NEAR) if end < 0 else end
    above = text[max(0, line - _NEAR) : line].rstrip()
    above = re.sub(r"\n?[ \t]*```\w*$", "", above).rstrip()
    return FoundJson(
        mended,
        start,
        text[line:start],
        above.rpartition("\n")[2],
        text[mended.end : end],
        text[end : end + _NEAR].replace("```", "").strip().partition("\n")[0],
        text[start] == "["
        and text[start + 1 : start + 40].lstrip()[:1] not in ('"', "'", "“", "{", "[", "]"),
    )
