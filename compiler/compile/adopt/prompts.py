"""Prompts with placeholders as instructions, and what is expected of outputs as tests: what promptfoo and BAML share."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct, field

from dspec.runtime.schema.types import JsonValue

from .drafts import Draft, Unread, literal, plain_name

PLACEHOLDER = re.compile(r"\{\{-?\s*+([A-Za-z_][\w.]*+)\s*+(?:\|[\w()'\" ,]*+)?-?\}\}")
_CODE = re.compile(r"\{%.{0,2000}?%\}|\{#.{0,2000}?#\}|\{\{.{0,2000}?\}\}", re.DOTALL)
MAX_PROMPT = 100_000
"""Characters of a prompt."""
MAX_DEPTH = 20


class Worded(Struct, frozen=True):
    """A prompt's text as an instruction, the names in it, and what of it is code."""

    instruction: str
    names: tuple[str, ...]
    code: tuple[str, ...]


def worded(text: str, drop: Iterable[str] = ()) -> Worded:
    """The text with each placeholder as the name of an input. Those that begin like one of `drop` are left out."""
    if len(text) > MAX_PROMPT:
        raise Unread(f"a prompt of {len(text):,} characters")
    names: dict[str, None] = {}
    left = tuple(drop)
    for one in left:  # `ctx.output_format(…)`, `_.role("user")`
        text = re.sub(rf"\{{\{{-?\s*{re.escape(one)}[^}}]{{0,500}}\}}\}}", "", text)

    def named(match: re.Match[str]) -> str:
        name = match[1]
        if name.startswith(left) and left:
            return ""
        root = plain_name(name.partition(".")[0])
        names[root] = None
        return f"`{'.'.join([root, *name.split('.')[1:]])}`"

    plain = PLACEHOLDER.sub(named, text)
    code = tuple(dict.fromkeys(_CODE.findall(plain)))
    plain = _CODE.sub("", plain)
    lines = [line.rstrip() for line in plain.strip().splitlines()]
    return Worded(re.sub(r"\n{3,}", "\n\n", "\n".join(lines)), tuple(names), code)


def kind_of(values: Sequence[JsonValue]) -> str:
    """The type of an input, of which these are values; `str` of none."""
    kinds = {_kind(one) for one in values}
    if kinds == {"int", "float"}:
        return "float"
    return kinds.pop() if len(kinds) == 1 else "str" if not kinds else "any"


def _kind(value: JsonValue) -> str:
    match value:
        case bool():
            return "bool"
        case int():
            return "int"
        case float():
            return "float"
        case list():
            return f"list[{kind_of(value)}]" if value else "list[any]"
        case dict():
            return "dict[str, any]"
        case _:
            return "str"


def given(value: JsonValue, deep: int = 0) -> str:
    """A value as a test has it. Raises Unread."""
    if deep > MAX_DEPTH:
        raise Unread("a value that nests too deep")
    match value:
        case dict():
            pairs: list[str] = []
            for key, one in value.items():
                if plain_name(str(key)) != key:
                    raise Unread(f"a key `{str(key)[:40]}`, which no name can be")
                pairs.append(f"{key} = {given(one, deep + 1)}")
            return f"dict({', '.join(pairs)})"
        case list():
            return f"[{', '.join(given(one, deep + 1) for one in value)}]"
        case _:
            return literal(value)


class TestDraft(Struct):
    """A test that is being written."""

    __test__ = False

    program: str
    inputs: Mapping[str, JsonValue]
    expects: list[str] = field(default_factory=list[str])
    comments: list[str] = field(default_factory=list[str])

    def declare(self, draft: Draft, wanted: str, needs: Mapping[str, str]) -> None:
        """Writes it where it expects something; `needs` are the program's inputs and their types."""
        lines = [f"program = {self.program}"]
        for name, kind in needs.items():
            if name not in self.inputs and kind.endswith("?"):
                lines.append(f"given {name} = none")
                continue
            if name not in self.inputs:
                draft.say(0, f"the test `{wanted}` does not give `{name}`: it is empty there", lost=True)
                lines.append(f"given {name} = {_EMPTY.get(kind, 'none')}")
                continue
            value = self.inputs[name]
            shown = given(value if kind != "str" or isinstance(value, str) else str(value))
            lines.append(f"given {name} = {shown}")
        lines += [f"# {comment}" for comment in self.comments]
        lines += [f"expect {one}" for one in self.expects]
        if not self.expects:
            draft.comment("test", 0, f"the test `{wanted}` expects nothing that can be said")
            return
        draft.add("test", "\n".join([f"test {draft.name(wanted)} {{", *(f"  {line}" for line in lines), "}"]))


_EMPTY = {"str": '""', "int": "0", "float": "0.0", "bool": "false", "any": '""'}
