"""Says of each program that a chain starts from whether it is an ensemble, and who made its demos and instructions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct, field

from dspec.runtime.schema.ensemble import Ensemble
from dspec.runtime.schema.program import Program

from ...project.source import Location
from ..types.declared import RunnableInfo, SavedInfo


class Maker(Struct, frozen=True):
    """Who made a part of a program: a step, another block, a file, or who wrote the demos of a signature. `name` is what a later
    step would write to name it (if it has a name: `named`), and `key` is the key of the program that this names."""

    name: str
    key: str
    where: Location
    kind: Literal["step", "block", "file", "written"] = "step"
    named: bool = True
    places: frozenset[str] = frozenset()
    """Addresses of the predictors that have the demos, where these are known; empty where they are not."""


class Origin(Struct, frozen=True):
    """A program that a chain starts from, by the `name` that is written for it.

    `made` has the maker of each part that was made (instructions, demos), `shown` the maker of the index for each
    predictor whose demos are chosen for each input. Both are empty for a program that was only declared, without demos.
    """

    name: str = ""
    where: Location | None = None
    ensemble: bool = False
    made: Mapping[str, Maker] = field(default_factory=dict[str, Maker])
    shown: Mapping[str, Maker] = field(default_factory=dict[str, Maker])


DECLARED = Origin()


def declared_origin(info: RunnableInfo, name: str) -> Origin:
    """The origin of a module or program, whose signatures may have demos."""
    shown = _with_demos(info.program) if info.program is not None else frozenset[str]()
    if not shown:
        return DECLARED
    return Origin(
        name, made={"demos": Maker(name, info.symbol.key, info.symbol.location, "written", places=shown)}
    )


def saved_origin(info: SavedInfo, name: str) -> Origin:
    """The origin of a program out of a file, which counts as the maker of its demos."""
    content, where = info.content, info.symbol.location
    if content is None:
        return DECLARED
    if isinstance(content, Ensemble):
        return Origin(name, where, ensemble=True)
    maker = Maker(name, info.symbol.key, where, "file")
    index = content.neighbours
    rows = index.rows if index is not None else ()
    shown = sorted({address for row in rows for address in (*row.bootstrapped, *row.labelled)})
    made = {"demos": maker} if shown or _with_demos(content) else {}
    return Origin(name, where, made=made, shown=dict.fromkeys(shown, maker))


def block_origin(result: Origin, info: RunnableInfo, name: str) -> Origin:
    """The origin of another block's result. The block counts as the maker of what its steps made."""
    where = info.symbol.location
    maker = Maker(name, info.symbol.key, where, "block")
    made, shown = dict.fromkeys(result.made, maker), dict.fromkeys(result.shown, maker)
    return Origin(name, where, result.ensemble, made, shown)


def _with_demos(program: Program) -> frozenset[str]:
    return frozenset(address for address, predictor in program.predictors.items() if predictor.demos)
