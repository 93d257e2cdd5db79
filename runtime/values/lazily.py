"""Scopes that find some of their values when an expression first reads them."""

from __future__ import annotations

from ..schema.types import JsonValue


class LazyScope(dict[str, JsonValue]):
    """A scope that `find`s the values which are not in it. The body of a loop reads them through a scope `within` it."""

    def finds(self, name: str) -> bool:
        """Whether the value is found when it is read."""
        raise NotImplementedError

    def find(self, name: str, scope: LazyScope) -> JsonValue:
        """The value, for an expression that reads it in `scope`: this one, or one within it."""
        raise NotImplementedError

    def within(self) -> LazyScope:
        return _Within(self)

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or (isinstance(name, str) and self.finds(name))

    def __missing__(self, name: str) -> JsonValue:
        return self.find(name, self)


class _Within(LazyScope):
    """The names of a loop, before those of the scope around it."""

    def __init__(self, around: LazyScope) -> None:
        super().__init__(around)
        self._around = around

    def finds(self, name: str) -> bool:
        return self._around.finds(name)

    def find(self, name: str, scope: LazyScope) -> JsonValue:
        return self._around.find(name, scope)
