"""What a chain starts from that is made already: an ensemble or not, and by whom its demos and words were made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct, field

from dspec.runtime.schema.ensemble import Ensemble
from dspec.runtime.schema.program import Program

from ...project.source import Location
from ..types.declared import RunnableInfo, SavedInfo


class Maker(Struct, frozen=True):
    """Who made something of a program: a step, another block or a file. `name` is what a step would write for it, where
    it can be `named`, and `key` what that stands for."""

    name: str
    key: str
    where: Location
    kind: Literal["step", "block", "file"] = "step"
    named: bool = True


class Origin(Struct, frozen=True):
    """A program that a chain starts from, by the `name` that is written for it.

    `made` says by what of it (instructions, demos) who made it, `shown` the same for predictors whose demos are chosen
    for each input. Of a program that is declared nothing was made.
    """

    name: str = ""
    where: Location | None = None
    ensemble: bool = False
    made: Mapping[str, Maker] = field(default_factory=dict[str, Maker])
    shown: Mapping[str, Maker] = field(default_factory=dict[str, Maker])


DECLARED = Origin()


def saved_origin(info: RunnableInfo, name: str) -> Origin:
    """Of a program out of a file: its demos were made by whoever wrote that."""
    content, where = info.content if isinstance(info, SavedInfo) else None, info.symbol.location
    if content is None:
        return DECLARED
    if isinstance(content, Ensemble):
        return Origin(name, where, ensemble=True)
    maker = Maker(name, info.symbol.key, where, "file")
    index = content.neighbours
    rows = index.rows if index is not None else ()
    shown = sorted({address for row in rows for address in (*row.bootstrapped, *row.labelled)})
    made = {"demos": maker} if shown or _has_demos(content) else {}
    return Origin(name, where, made=made, shown=dict.fromkeys(shown, maker))


def block_origin(result: Origin, info: RunnableInfo, name: str) -> Origin:
    """Of another block's result: what its steps made, as that block's."""
    where = info.symbol.location
    maker = Maker(name, info.symbol.key, where, "block")
    made, shown = dict.fromkeys(result.made, maker), dict.fromkeys(result.shown, maker)
    return Origin(name, where, result.ensemble, made, shown)


def _has_demos(program: Program) -> bool:
    return any(predictor.demos for predictor in program.predictors.values())
