"""Which model each predictor asks, as a choice of a search: one dimension more beside instructions and demos.

A block's `lms` names the models. A predictor that names no model itself may ask any of them: it is open. Where a block has no
`lms`, no predictor is open, and everything here gives back what it is given. A program that moves to another model keeps its
instructions and demos; texts of demos that are too long for that model are cut (`prompt_room`).
"""

from __future__ import annotations

import random
from collections.abc import Mapping

from msgspec import Struct, field

from dspec.runtime.schema.program import LM, Program

from .prompt_room import PromptRoom

MOST_MOVED = 4
"""Programs at most that a search makes of its best one by asking other models."""


class ModelChoice(Struct, frozen=True):
    """The models of a block's `lms`, in its order, and the addresses of the predictors that may ask any of them."""

    names: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    lms: Mapping[str, LM] = field(default_factory=dict[str, LM])
    """The project's models, by name."""

    @property
    def ways(self) -> int:
        """In how many ways models may be given to the predictors; 1 where nothing is open."""
        return ways(len(self.names), len(self.addresses))

    def options(self, program: Program) -> dict[str, tuple[str, ...]]:
        """By predictor: the models that it may ask, the one that it asks now first."""
        return {
            address: tuple(dict.fromkeys((program.predictors[address].lm, *self.names)))
            for address in self.addresses
        }

    def moved(self, program: Program, asked: Mapping[str, str], room: PromptRoom) -> Program:
        """The program with these predictors on these models; the program itself where they are on them."""
        changed = {address: name for address, name in asked.items() if program.predictors[address].lm != name}
        if not changed:
            return program
        found = program.asking(changed, {**self.lms, **program.lms})
        for address in changed:
            demos = found.predictors[address].demos
            fitting = room.fit(found, address, demos)
            if fitting != demos:
                found = found.with_predictor(address, demos=fitting)
        return found

    def dealt(self, program: Program, count: int, rng: random.Random) -> list[dict[str, str]]:
        """Models for so many candidates, drawn so that each predictor asks each model about equally often."""
        options = self.options(program)
        decks: dict[str, list[str]] = {address: [] for address in options}
        found: list[dict[str, str]] = []
        for _ in range(count):
            for address, deck in decks.items():
                if not deck:
                    deck += options[address]
                    rng.shuffle(deck)
            found.append({address: deck.pop() for address, deck in decks.items()})
        return found

    def others(self, program: Program) -> list[dict[str, str]]:
        """For each model of the block: all open predictors on it. Not the model that all of them ask already."""
        now = {address: program.predictors[address].lm for address in self.addresses}
        every = [dict.fromkeys(self.addresses, name) for name in self.names] if self.addresses else []
        return [asked for asked in every if asked != now]

    def around(self, program: Program, room: PromptRoom) -> list[Program]:
        """The programs that a search makes of its best one, `MOST_MOVED` at most: first all open predictors on one model, then
        one predictor alone on another model."""
        single = [{address: name} for address, names in self.options(program).items() for name in names[1:]]
        found: list[Program] = []
        for asked in (*self.others(program), *single):
            made = self.moved(program, asked, room)
            if made not in found:
                found.append(made)
        return found[: most_moved(self.ways)]

    def said(self, program: Program, start: Program) -> str:
        """What to add to the label of a program: the models that it asks, where those are not the start's."""
        asked = {address: program.predictors[address].lm for address in self.addresses}
        if asked == {address: start.predictors[address].lm for address in self.addresses}:
            return ""
        names = set(asked.values())
        if len(names) == 1:
            return f" on {names.pop()}"
        return " on " + ", ".join(f"{address} {name}" for address, name in asked.items())


def ways(models: int, predictors: int) -> int:
    """In how many ways so many models may be given to so many predictors."""
    return max(1, models) ** predictors


def most_moved(found: int) -> int:
    """How many programs a search makes of its best one at most; `found` counts the ways to give models to predictors."""
    return min(MOST_MOVED, found - 1)
