"""Prepares what a command works on: the names of its blocks looked up once, and the rows of each dataset read once.

Plan, advice, build, evals and what a compile says of itself take their rows from here. So they all speak of the
same rows, also when a file is changed while the command runs. Rows are read when they are first asked for, and let
go when the last block that needs them is finished.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from dspec.runtime.artifact.artifact import MadeFrom
from dspec.runtime.models.checkpoints import know_all
from dspec.runtime.schema.ensemble import Ensemble, Runnable, programs
from dspec.runtime.schema.program import LM, Program
from dspec.runtime.schema.types import Type

from .. import ir
from ..data import DataError, Rows, file_digest, load_rows, part, parts
from ..data.histories import has_history, unfit_rows
from ..data.opening import resolve_inside
from ..data.problem import unreadable
from ..data.snapshots import located
from ..data.sources.table import is_fetched, title
from ..optimizers.base import OptimizerError
from ..project.reads import stamp
from ..project.source import Source
from ..project.state import project_root
from . import enough
from .estimate import Growth

_SAVED = re.compile(r'(?:artifact\("(.+)"\)|dspy_state\("(.+)", [^"]*\))', re.DOTALL)


class Resolved(Struct, frozen=True):
    """An optimize block with everything it names looked up: what plan and build start from."""

    optimize: ir.Optimize
    student: Program
    metric: ir.Metric
    train: Rows
    val: Rows
    """The rows of val: train's where there is no val."""
    raced: Rows
    """Those on which the steps compare: all of `val`, or enough of it."""
    rest: Rows
    """The others, on which the result may be compared with the start, in the order in which they are looked at."""
    teacher_lm: LM | None
    prompt_lm: LM | None = None
    """Model that writes instructions: the student's where the block names none."""
    awaited: frozenset[str] = frozenset()
    """Optimize blocks whose results it takes and that are not there yet. Their programs stand for them, in the shape
    that their steps will give them."""


class Prepared:
    """A checked project, and what a command has read for the blocks of it that it is about.

    `folder` is where data paths start; `needs` are the rows of each of those blocks. Other rows are not kept.
    """

    def __init__(
        self,
        project: ir.Project,
        folder: Path,
        needs: Mapping[str, Iterable[ir.RowsRef]],
        *,
        sources: Sequence[Source] = (),
    ) -> None:
        self.project = project
        """With the results of optimize blocks in it, as far as they are there."""
        self.growths: Mapping[str, Growth] = {}
        """Of the optimize blocks whose results are awaited."""
        self.folder = folder
        """Where data paths start."""
        self.root = project_root(folder / "_")
        """Where models' checkpoints start."""
        know_all(project.lms, self.root)
        self._needs = {name: frozenset(refs) for name, refs in needs.items()}
        self._whole: dict[str, Rows] = {}
        """Datasets of which some rows that are needed have not been asked for."""
        self._rows: dict[ir.RowsRef, Rows] = {}
        self._resolved: dict[str, Resolved] = {}
        self._sources = sources
        self._stamps: dict[str, str] = {}
        """Of datasets' files, from before they were read."""
        self._files: dict[str, tuple[MadeFrom, ...]] = {}

    def rows(self, ref: ir.RowsRef) -> Rows:
        """The rows as they were when the command first read that dataset.

        Raises DataError for rows that cannot be used.
        """
        if ref in self._rows:
            return self._rows[ref]
        dataset = self.project.datasets[ref.dataset]
        if ref.dataset not in self._whole:
            self._stamps[ref.dataset] = self._stamp(dataset.source)
            self._whole[ref.dataset] = load_rows(dataset, self.folder, turns=_turns(self.project, dataset))
        whole = self._whole[ref.dataset]
        if ref.part is None or dataset.split is None or ref.part not in dataset.split.parts:
            found = self._rows[ref] = part(dataset, whole, ref.part)
        else:
            # All parts come of one shuffling.
            needed = frozenset[ir.RowsRef]().union(*self._needs.values())
            for name, rows in parts(dataset, whole).items():
                one = ref.model_copy(update={"part": name})
                if one == ref or (one in needed and one not in self._rows):
                    self._rows[one] = rows
            found = self._rows[ref]
        self._let_go()
        return found

    def resolved(self, name: str) -> Resolved:
        """Optimize block `name`.

        Raises DataError for rows that cannot be used, OptimizerError when there are none to train on.
        """
        if name not in self._resolved:
            self._resolved[name] = resolve(self.project, name, self.rows, frozenset(self.growths))
        return self._resolved[name]

    def files(self, name: str) -> tuple[MadeFrom, ...]:
        """The files that optimize block `name` is made from, as they were when this was first asked: texts of the sources
        that were checked, the root first, files of its rows, Python that makes rows, programs out of files.

        Raises DataError for one that cannot be read, or was changed since its rows were.
        """
        if name not in self._files:
            block = self.resolved(name).optimize
            texts = [
                (self._from_folder(one.path), hashlib.sha256(one.text.encode()).hexdigest())
                for one in self._sources
            ]
            found = [MadeFrom(role="source", path=path, sha256=sha256) for path, sha256 in texts]
            for dataset in dict.fromkeys(ref.dataset for ref in (block.train, block.val) if ref is not None):
                found += self._rows_from(dataset)
            named = [
                one for one in (block.program, *self.project.named(name)) if one not in self.project.optimizes
            ]
            for path in filter(None, map(saved_path, dict.fromkeys(named))):
                digest = file_digest(path, self.folder, self.root)
                found.append(MadeFrom(role="artifact", path=path, sha256=digest))
            self._files[name] = tuple(dict.fromkeys(found))
        return self._files[name]

    def _rows_from(self, dataset: str) -> list[MadeFrom]:
        source = self.project.datasets[dataset].source
        path, folder, root = located(source, self.folder, self.root)
        digest = file_digest(path, folder, root)
        if self._stamp(source) != self._stamps.get(dataset):
            raise unreadable(
                f"the rows of `{dataset}` were changed while they were read", "run the same command again"
            )
        if not is_fetched(source):
            return [MadeFrom(role="data", path=path, sha256=digest)]
        found = [MadeFrom(role="fetched", path=title(source), sha256=digest)]
        if source.path.endswith(".py"):
            python = file_digest(source.path, self.folder, self.root)
            found.append(MadeFrom(role="python", path=source.path, sha256=python))
        return found

    def _stamp(self, source: ir.DataSource) -> str:
        path, folder, root = located(source, self.folder, self.root)
        return stamp(str(resolve_inside(path, folder, root)))

    def _from_folder(self, path: Path) -> str:
        """A path as it is recorded: from the folder, with `/`, in Unicode."""
        relative = Path(os.path.relpath(path, self.folder.resolve())).as_posix()
        return os.fsencode(relative).decode("utf-8", "replace")

    def made(self, name: str, result: Runnable, *, awaited: Growth | None = None) -> None:
        """Take this for the result of optimize block `name` from now on; one that is `awaited` only has its shape, and
        what its steps may add to that."""
        self.project = self.project.model_copy(update={"made": {**self.project.made, name: result}})
        others = {other: growth for other, growth in self.growths.items() if other != name}
        self.growths = others if awaited is None else {**others, name: awaited}
        self._resolved = {
            other: block for other, block in self._resolved.items() if name not in self.project.needed(other)
        }

    def program(self, name: str) -> Runnable | None:
        """What is declared under that name, or made: None for an optimize block whose result is not there."""
        if name in self.growths or (name in self.project.optimizes and name not in self.project.made):
            return None
        return self.project.on_lm(name, None)

    def finished(self, name: str) -> None:
        """Let go of the rows that were there for block `name` alone."""
        self._needs.pop(name, None)
        self._let_go()

    def _let_go(self) -> None:
        needed = frozenset[ir.RowsRef]().union(*self._needs.values())
        unread = {ref.dataset for ref in needed if ref not in self._rows}
        self._whole = {name: rows for name, rows in self._whole.items() if name in unread}
        self._rows = {ref: rows for ref, rows in self._rows.items() if ref in needed}
        self._resolved = {
            name: block for name, block in self._resolved.items() if _refs(block.optimize) <= needed
        }


def saved_path(name: str) -> str | None:
    """The file of a program out of one, by what names it (`Project.made`): `artifact("x.dspc.json")`; None of another name."""
    found = _SAVED.fullmatch(name)
    return None if found is None else found[1] or found[2]


def _turns(project: ir.Project, dataset: ir.Dataset) -> Mapping[str, Mapping[str, Type]]:
    """The media in turns of the dataset's histories, as the programs have them that are run on its rows."""
    if not has_history(dataset):
        return {}
    from dspec.runtime.adapters.turns import turn_media  # few datasets have such a column

    names = [
        one.program
        for one in project.optimizes.values()
        if dataset.name in (one.train.dataset, one.val and one.val.dataset)
    ]
    for one in project.evals.values():
        if one.data.dataset == dataset.name:
            names += [one.program] if one.baseline is None else [one.program, one.baseline]
    found = [each for name in dict.fromkeys(names) for each in programs(project.on_lm(name, None))]
    return turn_media(found)


def _refs(block: ir.Optimize) -> frozenset[ir.RowsRef]:
    return frozenset(ref for ref in (block.train, block.val) if ref is not None)


def resolve(
    project: ir.Project,
    name: str,
    rows: Callable[[ir.RowsRef], Rows],
    awaited: frozenset[str] = frozenset(),
) -> Resolved:
    """Look up what optimize block `name` names.

    Raises OptimizerError where it has no rows, and for an ensemble in place of the program to tune.
    """
    optimize = project.optimizes[name]
    train = rows(optimize.train)
    val = train if optimize.val is None else rows(optimize.val)
    for ref, found in ((optimize.train, train), (optimize.val or optimize.train, val)):
        if not found:
            raise OptimizerError(
                f"`{spell_rows(ref)}` has no rows", help="an optimizer needs at least one row"
            )
    student = project.student(name)
    for ref, found in ((optimize.train, train), (optimize.val or optimize.train, val)):
        check_turns(project.datasets[ref.dataset], found, student)
    if isinstance(student, Ensemble):
        raise OptimizerError(
            f"`{optimize.program}` is an ensemble, which `{name}` cannot tune",
            help="tune its members, or use it as a `teacher`",
        )
    metric = project.metrics[optimize.metric]
    return Resolved(
        optimize,
        student,
        metric,
        train,
        val,
        *enough.parts(optimize, metric, train, val),
        None if optimize.teacher_lm is None else project.lms[optimize.teacher_lm],
        _prompt_lm(student) if optimize.prompt_lm is None else project.lms[optimize.prompt_lm],
        frozenset(one for one in project.needed(name) if one in awaited or one not in project.made),
    )


def asked_in(project: ir.Project, resolved: Resolved) -> list[LM]:
    """The models that a compile of the block asks, those that its searches choose among and its judges' among them."""
    found = [*resolved.student.lms.values(), *project.with_fallbacks(resolved.optimize.lms).values()]
    found += [one for one in (resolved.teacher_lm, resolved.prompt_lm) if one is not None]
    return found + [lm for judge in resolved.metric.judges for lm in judge.program.lms.values()]


def _prompt_lm(student: Program) -> LM | None:
    return next((student.lms.get(predictor.lm) for predictor in student.predictors.values()), None)


def check_turns(dataset: ir.Dataset, rows: Rows, program: Runnable) -> None:
    """Raises DataError for rows with a history whose turns are none of what the program does with it."""
    problem = unfit_rows(dataset, rows, programs(program))
    if problem is not None:
        raise DataError([problem])


def spell_rows(ref: ir.RowsRef) -> str:
    return ref.dataset if ref.part is None else f"{ref.dataset}.{ref.part}"
