"""What checks ask of data: what a dataset's rows are like, which columns a file has, whether labels fit an output, whether
a picture is one, and whether histories can be shown.

A question is a value, and so is what is seen. A command has its questions answered at once. The editor has them answered
by a process of their own (`serve`), which may be killed, and goes on without until then.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from itertools import islice
from pathlib import Path
from typing import Literal, Protocol

from pydantic import TypeAdapter

from dspec.runtime.schema.program import Program, Record
from dspec.runtime.schema.types import Frozen, JsonValue, Type
from dspec.runtime.values.media import MediumKind

from .. import ir
from ..project.caches import FolderCache
from ..project.reads import journal
from .checking import Findings, check, unfit_labels
from .fingerprint import fingerprint
from .histories import paths_in, unfit_history, unfit_turns_of
from .media import MediaFiles
from .probing import probe
from .problem import DataError, DataProblem

MEMORY = 4 << 30
"""Bytes of address space that a process may have which answers questions."""
SECONDS = 60
"""And of its time."""
_LOOK = 0.2
"""Seconds between two looks at whether the parent is still there."""
MAX_FILES = 1_000
"""Files that one answer is known to depend on: those that were looked at first."""


class RowsQuestion(Frozen, defer_build=True):
    """What is wrong with a dataset, and how many rows it has; with `deep`, by all rows of a large file."""

    about: Literal["rows"] = "rows"
    dataset: ir.Dataset
    deep: bool = False


class IndexQuestion(Frozen, defer_build=True):
    """Which columns a data file has, and its digest."""

    about: Literal["index"] = "index"
    source: ir.DataSource


class LabelsQuestion(Frozen, defer_build=True):
    """Whether the values of a column can be read as another type."""

    about: Literal["labels"] = "labels"
    dataset: ir.Dataset
    column: str
    type: Type
    records: dict[str, Record]


class MediumQuestion(Frozen, defer_build=True):
    """Whether a path or an address stands for a medium of a kind."""

    about: Literal["medium"] = "medium"
    text: str
    kind: MediumKind


class BroughtQuestion(Frozen, defer_build=True):
    """What prompts have for a path or an address of a medium, or for a list of such."""

    about: Literal["brought"] = "brought"
    value: JsonValue
    kind: MediumKind


class TurnsQuestion(Frozen, defer_build=True):
    """Whether the histories of a dataset's rows can be shown by programs that take them."""

    about: Literal["turns"] = "turns"
    dataset: ir.Dataset
    programs: tuple[Program, ...]


class HistoryQuestion(Frozen, defer_build=True):
    """Whether a program can show a history, as a file gives it for one of the inputs."""

    about: Literal["history"] = "history"
    program: Program
    name: str
    type: Type
    turns: JsonValue


Question = (
    RowsQuestion
    | IndexQuestion
    | LabelsQuestion
    | MediumQuestion
    | BroughtQuestion
    | TurnsQuestion
    | HistoryQuestion
)


class DataSeen(Frozen, defer_build=True):
    """What was seen. All is empty where nothing could be: then nothing is said.

    `findings` answers for rows, and for an index whose file cannot be read; `columns` and `digest` for an index;
    `problem` for labels and turns that do not fit; `fault` for a medium that is none, and a history that is not shown;
    `value` for a medium that was brought.
    """

    findings: Findings | None = None
    columns: tuple[str, ...] = ()
    digest: str = ""
    problem: DataProblem | None = None
    fault: str = ""
    value: JsonValue = None
    files: tuple[tuple[str, str], ...] = ()
    """What another process looked at for it, such as the pictures of rows: paths and their stamps (`project.reads`)."""


class DataLooks(Protocol):
    """Whoever answers questions: with what is seen, or with the name of the question, which is answered later."""

    def see(self, question: Question) -> DataSeen | str: ...


class AtOnce:
    """Answers for commands. Paths count from `folder`; nothing outside `root` is read."""

    def __init__(self, folder: Path, root: Path, cache: FolderCache | None = None) -> None:
        self._folder, self._root, self._cache = folder, root, cache

    def see(self, question: Question) -> DataSeen:
        folder, root, cache = self._folder, self._root, self._cache
        match question:
            case RowsQuestion(dataset=dataset, deep=deep):
                return DataSeen(findings=check(dataset, folder, root=root, cache=cache, deep=deep))
            case IndexQuestion(source=source):
                try:
                    found = probe(source, folder, root=root, cache=cache)
                    digest = fingerprint(source, folder, root=root, cache=cache)
                except DataError as error:
                    return DataSeen(findings=Findings(problems=error.problems))
                return DataSeen(columns=tuple(found.columns), digest=digest)
            case LabelsQuestion(dataset=dataset, column=column, type=kind, records=records):
                return DataSeen(problem=unfit_labels(dataset, folder, column, kind, records, root=root))
            case MediumQuestion(text=text, kind=kind):
                try:
                    MediaFiles(folder, root, glancing=True).value(text, kind)
                except ValueError as error:
                    return DataSeen(fault=str(error))
                return DataSeen()
            case BroughtQuestion(value=value, kind=kind):
                try:
                    return DataSeen(value=MediaFiles(folder, root, glancing=False).value(value, kind))
                except ValueError as error:
                    return DataSeen(fault=str(error))
            case TurnsQuestion(dataset=dataset, programs=programs):
                return DataSeen(problem=unfit_turns_of(dataset, folder, programs, root=root))
            case HistoryQuestion():
                return DataSeen(fault=unfit_history(question, MediaFiles(folder, root, glancing=True)))


def files_of(question: Question) -> tuple[str, ...]:
    """The data files that a question is about, by their paths from the folder."""
    match question:
        case RowsQuestion() | LabelsQuestion() | TurnsQuestion():
            return (question.dataset.source.path,)
        case IndexQuestion(source=source):
            return (source.path,)
        case MediumQuestion(text=text):
            return (text,)
        case BroughtQuestion(value=value):
            texts = value if isinstance(value, list) else [value]
            return tuple(one for one in texts if isinstance(one, str))
        case HistoryQuestion():
            return tuple(paths_in(question))


def serve(parent: int = 0) -> None:
    """Answer the questions on standard input, a line of JSON for each, within bounds of memory and time, and no longer than
    the process `parent` lives."""
    bound(parent)
    adapter: TypeAdapter[Question] = TypeAdapter(Question)
    asked = json.loads(sys.stdin.read())
    looks = AtOnce(Path(asked["folder"]), Path(asked["root"]))
    for text in asked["questions"]:
        try:
            with journal() as files:
                seen = looks.see(adapter.validate_json(text))
            seen = seen.model_copy(update={"files": tuple(islice(files.items(), MAX_FILES))})
        except (MemoryError, RecursionError):
            seen = DataSeen()
        sys.stdout.write(seen.model_dump_json() + "\n")
        sys.stdout.flush()


def bound(parent: int = 0) -> None:
    """Bound what this process may take, so that no data makes it take more, and end it when its parent has ended."""
    if parent and sys.platform != "win32":
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    try:
        import resource
    except ImportError:  # Windows: whoever started the process ends it
        return
    for what, most in (
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_CPU, SECONDS),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(what)
        if hard == resource.RLIM_INFINITY or hard > most:
            resource.setrlimit(what, (most, most))


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK)
    os._exit(1)
