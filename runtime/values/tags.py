"""Values between tags: `<name>`, the value, `</name>`. The layout of the `xml` adapter's answers.

A value is text as it is, not XML: code and HTML in it need no entities. Within a field's section only the tags of that
very field would be taken for layout, so `escape` puts a backslash behind their `<`, and `unescape` takes exactly that
backslash away: any other `<\\/b>` is what the value says. All is linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from msgspec import Struct, field

_FOLDED = re.IGNORECASE | re.ASCII
_CDATA = re.compile(r"<!\[CDATA\[((?:(?!\]\]>).)*)\]\]>", re.DOTALL)


class Tagged(Struct):
    """A text by its tags."""

    texts: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    """Each name's sections, stripped, with their escapes."""
    open: set[str] = field(default_factory=set[str])
    """Names whose closing tag is missing: their text ends where the next section begins, or with the text."""
    twisted: set[str] = field(default_factory=set[str])
    """Names whose tags do not pair: one stands within its own section, or closes none."""
    before: str = ""
    """What stands before the first tag: all of the text where there is none."""
    last: str = ""
    """The section that the text ends in."""


def split(text: str, names: Sequence[str], *, strict: bool) -> Tagged:
    """The sections of these names. Tags of other names, and tags within a section of another name, are text.

    Unless it is `strict`, a name may be in other letters and a tag may have attributes.
    """
    lower = {name.lower(): name for name in reversed(names)}
    tags = [
        (
            one[2] if one[2] in names else lower[one[2].lower()],
            not one[1],
            bool(one[3]),
            one.start(),
            one.end(),
        )
        for one in (_strict if strict else _lenient)(tuple(names)).finditer(text)
    ]
    last_closing = {name: at for at, (name, opens, *_) in enumerate(tags) if not opens}
    found = Tagged(before=text[: tags[0][3]] if tags else text)
    inside, begin, past = "", 0, 0
    for at, (name, opens, empty, start, end) in enumerate(tags):
        if inside:
            if name == inside and opens:
                found.twisted.add(name)
            elif name == inside:
                found.texts.setdefault(name, []).append(_content(text[begin:start].strip(), strict=strict))
                inside, past = "", end
        elif not opens or (not strict and _in_comment(text[past:start])):
            found.twisted.add(name)
        elif empty:
            found.texts.setdefault(name, []).append("")
            found.last = name
        elif last_closing.get(name, -1) > at:
            inside, begin, found.last = name, end, name
        else:
            until = tags[at + 1][3] if at + 1 < len(tags) else len(text)
            found.texts.setdefault(name, []).append(text[end:until].strip())
            found.open.add(name)
            found.last = name
    return found


def _in_comment(before: str) -> bool:
    return before.rfind("<!--") > before.rfind("-->")


def _content(text: str, *, strict: bool) -> str:
    """What a section says: of one that is wholly marked as text, that text."""
    marked = None if strict else _CDATA.fullmatch(text)
    return marked[1].strip() if marked else text


def escape(text: str, name: str) -> str:
    """The text as it stands in the section of that name."""
    return _bare(name).sub(r"<\\", text) if "<" in text else text


def unescape(text: str, name: str) -> str:
    return _escaped(name).sub("<", text) if "<\\" in text else text


def _choice(names: tuple[str, ...]) -> str:
    return "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))


@lru_cache(maxsize=512)
def _strict(names: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(rf"<(/?)({_choice(names)})()>")


@lru_cache(maxsize=512)
def _lenient(names: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(rf"<(/?)({_choice(names)})(?:\s[^<>]{{0,200}}?)?(/?)>", _FOLDED)


@lru_cache(maxsize=512)
def _bare(name: str) -> re.Pattern[str]:
    return re.compile(rf"<(?=\\*+/?{re.escape(name)}[\s/>])", _FOLDED)


@lru_cache(maxsize=512)
def _escaped(name: str) -> re.Pattern[str]:
    return re.compile(rf"<\\(?=\\*+/?{re.escape(name)}[\s/>])", _FOLDED)
