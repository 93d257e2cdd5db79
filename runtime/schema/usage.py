"""What calls of models used: tokens of one call, what any number of them took, and what was wrong with their answers."""

from __future__ import annotations

from msgspec import Struct

_PICO = 10**12


class Usage(Struct, frozen=True):
    """What one call used, in tokens."""

    input_tokens: int = 0
    output_tokens: int = 0
    estimated: bool = False
    """True when the provider reported none and the counts are an estimate."""


class Spent(Struct, frozen=True):
    """Calls with their tokens and their cost. Money is whole picodollars inside, so that sums are exact and the same in
    any order; `usd` is for showing it."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: int = 0
    """In 1e-12 USD."""
    unpriced: int = 0
    """Answers whose price nobody knows: `cost` lacks them."""

    @classmethod
    def of(cls, usage: Usage, usd: float | None, calls: int = 1) -> Spent:
        """What one answer took; no `usd` where nobody knows its price."""
        if usd is None:
            return cls(calls, usage.input_tokens, usage.output_tokens, 0, 1)
        return cls(calls, usage.input_tokens, usage.output_tokens, pico(usd), 0)

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    @property
    def usd(self) -> float:
        """In USD, without answers of unknown price."""
        return self.cost / _PICO

    @property
    def known_usd(self) -> float | None:
        """In USD, or None where some price is not known."""
        return None if self.unpriced else self.usd

    def __add__(self, other: Spent) -> Spent:
        return Spent(
            self.calls + other.calls,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cost + other.cost,
            self.unpriced + other.unpriced,
        )

    def __mul__(self, times: int) -> Spent:
        return Spent(
            times * self.calls,
            times * self.input_tokens,
            times * self.output_tokens,
            times * self.cost,
            times * self.unpriced,
        )


class Flaws(Struct, frozen=True):
    """Answers by what was wrong with them; each counts once, whatever became of it.

    One was `cut` when the model was stopped before its end, `repaired` when something in it had to be guessed,
    `unreadable` when an output could not be read from it.
    """

    cut: int = 0
    repaired: int = 0
    unreadable: int = 0

    @property
    def total(self) -> int:
        return self.cut + self.repaired + self.unreadable

    def __add__(self, other: Flaws) -> Flaws:
        return Flaws(self.cut + other.cut, self.repaired + other.repaired, self.unreadable + other.unreadable)


def pico(usd: float) -> int:
    """An amount of USD in whole picodollars."""
    return round(usd * _PICO)
