"""Makes a value the key of a cache by its identity: a large value that never changes need not be compared or hashed."""

from __future__ import annotations

from typing import Generic, TypeVar, cast

Value = TypeVar("Value")


class Same(Generic[Value]):
    """Wraps a value so that a cache compares it by identity; it keeps the value, and so its identity, alive."""

    __slots__ = ("value",)

    def __init__(self, value: Value) -> None:
        self.value = value

    def __hash__(self) -> int:
        return id(self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self.value is cast("Same[Value]", other).value
