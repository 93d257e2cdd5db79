"""How messages list names, count things, and call what a user wrote."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

MAX_LISTED = 8


def did_you_mean(near: tuple[str, ...]) -> str:
    """The end of a message: which names may have been meant, if any."""
    return f"; did you mean {quoted(near, 'or')}?" if near else ""


def did_you_mean_text(near: tuple[str, ...]) -> str:
    """Like `did_you_mean`, for texts, which are shown in quotes."""
    return f"; did you mean {either([f'{chr(34)}{text}{chr(34)}' for text in near])}?" if near else ""


def either(words: Sequence[str]) -> str:
    """`a, b or c`, as they are."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def listed(words: Iterable[str]) -> str:
    """Names as a message lists them, cut where it gets long."""
    known = list(words)
    if len(known) > MAX_LISTED:
        return f"{', '.join(f'`{name}`' for name in known[:MAX_LISTED])} and {len(known) - MAX_LISTED} more"
    return quoted(known)


def article(noun: str) -> str:
    """`a module`, `an eval`, `an lm`."""
    vowel = noun[0] in "aeiou" or noun.split()[0] == "lm"
    return f"an {noun}" if vowel else f"a {noun}"


def quoted(words: Iterable[str], conjunction: str = "and") -> str:
    """`a`, `b` and `c`: names as a message lists them."""
    marked = [f"`{word}`" for word in words]
    if len(marked) < 2:
        return "".join(marked)
    return f"{', '.join(marked[:-1])} {conjunction} {marked[-1]}"


def plural(count: int, noun: str, many: str = "") -> str:
    """`1 row`, `2 rows`, `2 entries`."""
    return f"{count:,} {noun if count == 1 else many or noun + 's'}"


def metered(unit: str, amount: float) -> str:
    """Of a budget's unit other than money: `1 call`, `2,000 tokens`, `1.5 minutes`."""
    shown = round(amount) if unit != "minutes" or amount == round(amount) else amount
    return f"{shown:,} {unit.removesuffix('s') if shown == 1 else unit}"


def noun(kind: str) -> str:
    """What messages call a kind of declaration."""
    return {"optimize": "optimize block", "import": "imported file", "repeat": "repetition"}.get(kind, kind)


def nouns(kinds: Iterable[str]) -> str:
    """`module, program or optimize block`."""
    return either([noun(kind) for kind in kinds])


Form = Literal["none", "flag", "text", "number", "list", "name", "path", "expression"]
"""How a value is written: `path` is a name behind a dot, `expression` anything else."""


def described(form: Form, written: str) -> str:
    """What was written, in a message about a value that does not fit."""
    match form:
        case "none" | "flag":
            return f"`{written}`"
        case "text":
            return "text"
        case "number":
            return f"the number {written}"
        case "list":
            return "a list"
        case "name":
            return f"the name `{written}`"
        case _:
            one_line = " ".join(written.split())
            return f"the expression `{one_line if len(one_line) <= 40 else one_line[:39] + '…'}`"
