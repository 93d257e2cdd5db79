"""Writes the steps of a program: each value that is set gets a name of its own."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager

from msgspec import Struct, field

from .drafts import Draft, Unread, plain_name
from .expressions import Value

MAX_TEXT = 20_000
"""Characters of one expression."""


class NeedsProgram(Unread):
    """A branch that is no expression: a part of it is needed twice."""


class WrittenSteps(Struct):
    draft: Draft
    used: set[str] = field(default_factory=set[str])
    """Names that values have."""
    lines: list[str] | None = None
    """Where the steps go; None inside an expression, which has none."""

    @contextmanager
    def going_to(self, lines: list[str] | None) -> Generator[None]:
        """Meanwhile the steps go there."""
        outer, self.lines = self.lines, lines
        try:
            yield
        finally:
            self.lines = outer

    def let(self, name: str, value: Value) -> Value:
        """The value by a name of its own; inside an expression it stays what it is."""
        if len(value.text) > MAX_TEXT:
            raise Unread(f"`{name}` becomes too long an expression")
        if value.fields is not None:
            return self._let_fields(name, value)
        if self.lines is None or (
            value.atom and not value.asks and value.text.replace(".", "").isidentifier()
        ):
            return value
        named = self.free(name)
        self.lines.append(f"let {named} = {value.text}")
        return Value(named, value.kind, value.outputs)

    def _let_fields(self, name: str, group: Value) -> Value:
        """A group that is no expression of its own, as what a judge says: where it has one field, that has the name."""
        fields = dict(group.fields or {})
        if self.lines is None or len(fields) != 1:
            return group
        ((field, text),) = fields.items()
        if text.isidentifier():
            return group
        named = self.free(name)
        self.lines.append(f"let {named} = {text}")
        return Value(group.text, group.kind, group.outputs, fields={field: named})

    def free(self, wanted: str) -> str:
        """A name that nothing has, as near to the wanted one as can be; it is used from then on."""
        name, number = plain_name(wanted), 2
        while name in self.used or name in self.draft.taken:
            name, number = f"{plain_name(wanted)}_{number}", number + 1
        self.used.add(name)
        return name


def folded(lines: list[str], names: Mapping[str, str]) -> list[str]:
    """`let context_2 = …` and then `let context = context_2`, in one line where nothing else reads the first."""
    kept = list(lines)
    for name in names.values():
        last = next((line for line in kept if line.startswith(f"let {name} = ")), None)
        if last is None:
            continue
        inner = last.removeprefix(f"let {name} = ")
        made = next((line for line in kept if line.startswith(f"let {inner} = ")), None)
        if (
            made is not None
            and made.count("\n") == 0
            and not made.endswith("{")
            and "\n".join(kept).count(inner) == 2
        ):
            kept[kept.index(made)] = f"let {name} = {made.removeprefix(f'let {inner} = ')}"
            kept.remove(last)
    return kept
