"""Describes what advice rests on, and what an optimizer proposes in view of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

from msgspec import Struct, field

from dspec.runtime.schema.types import JsonValue

FEW, SOME, MANY = 20, 50, 200
"""Rows of train and val together: below the first, nothing can be compared; from the second, demo sets can; from
the third, instructions and demos together."""

Standing = Literal["fitting", "next", "another way", "unsure", "special", "cheap", "free"]
"""What an idea is worth beside those of other optimizers, best first. "fitting": it is what such data are for; "next":
nearly as good, or the same for less; "another way": it learns from something else; "unsure": more rows would make it
surer; "special": it pays off where inputs are of a special kind; "cheap": it makes few calls; "free": it makes none.
Ideas of the same standing keep the table's order."""
STANDINGS: tuple[Standing, ...] = get_args(Standing)


class Situation(Struct, frozen=True):
    """What the advice rests on. `labelled` counts rows of train that can be shown as a demo."""

    optimize: str
    train: int
    val: int
    """0 where the block names none: candidates would then be compared on train."""
    labelled: int
    predictors: int
    calls_per_run: int
    graded: bool
    accepts: bool
    """Whether the metric says which runs may become demos: by `accept`, or by a score that is a bool."""
    feedback: bool
    prompt_only: bool
    budget: int | None
    """Model calls, where the block bounds them."""
    usd: float | None = None
    """The block's bound in money."""
    tunable: bool = False
    """Whether the weights of the program's models can be tuned."""
    faithful: bool = False
    """Every step of the block runs on DSPy's schedule, so a suggested step has to opt out of that."""

    @property
    def rows(self) -> int:
        return self.train + self.val

    @property
    def no_demos(self) -> str:
        """Why no prompt can show a demo, as a clause; empty where one can."""
        if self.prompt_only:
            return "prompts may show no rows"
        return "" if self.labelled or self.accepts else "no row of train can be shown as a demo"


class Idea(Struct, frozen=True):
    """A step that an optimizer proposes: its name in the block, its options, and the reason in words for a person."""

    standing: Standing
    step: str
    why: str
    options: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])
