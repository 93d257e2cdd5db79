"""Makes a value the key of a cache by its identity: a large value that never changes need not be compared or hashed."""

from __future__ import annotations

from typing import Generic, TypeVar

Value = TypeVar("Value")


class Same(int, Generic[Value]):
    """Wraps a value so that a cache compares it by identity; it keeps the value, and so its identity, alive.

    It is the number that stands for the identity: numbers are compared and hashed without a step of Python, several times
    in every call of a model.
    """

    value: Value

    def __new__(cls, value: Value) -> Same[Value]:
        self = super().__new__(cls, id(value))
        self.value = value
        return self
