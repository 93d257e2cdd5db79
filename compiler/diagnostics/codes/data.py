"""DS04: datasets, their files and their splits."""

from __future__ import annotations

from ...project.source import Location
from ..fixes import Room, insert_item, replace, suggestions
from ..record import Diagnostic, Label
from ..spelling import closest
from ..wording import did_you_mean, listed
from .base import Code, Finding
from .snippets import METRIC, TICKETS, optimize

HEAD = "dspec 1\n\n"


def dataset(columns: str = "input text: str; field topic: str", *more: str, path: str = "tickets.csv") -> str:
    lines = (f'source = csv("{path}")', *columns.split("; "), *more)
    return HEAD + "dataset tickets {\n" + "".join(f"  {line}\n" for line in lines) + "}\n"


REPEATED = {"tickets.csv": "text,topic\n" + "same text,billing\n" * 6 + "other text,returns\n" * 6}
RARE = {
    "tickets.csv": "text,topic\n"
    + "".join(f"message {n},billing\n" for n in range(30))
    + "a rare one,returns\n"
}

DS0401 = Code(
    "DS0401",
    "error",
    "data cannot be read",
    "The file is missing, empty, of another format, or some of its rows are damaged. Paths are "
    "relative to the "
    "file that declares the dataset.",
    dataset(path="ticket.csv"),
    dataset(),
    TICKETS,
)


class OtherFormat(Finding, frozen=True):
    """A file that is read as a `source`, and whose name ends as that of another does; `written` is its path."""

    code = DS0401
    path: str
    source: str
    ending: str
    written: Location

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.path}` cannot be read as {self.source}; its name says {self.ending}",
            "another format",
            help=f"write `{self.ending}({self.written.text})`",
            fixes=(replace(self.where, self.ending, guess=True),),
        )


DS0402 = Code(
    "DS0402",
    "error",
    "column not in the file",
    "The dataset declares a column that the file does not have. Read as missing, it would make every "
    "comparison "
    "with it false.",
    dataset("input text: str; field topics: str"),
    dataset(),
    TICKETS,
)


class NoSuchColumn(Finding, frozen=True):
    """A column to search in the data file at `path`, which is named at `file` and has `columns`."""

    code = DS0402
    column: str
    path: str
    file: Location
    columns: tuple[str, ...]

    def told(self) -> Diagnostic:
        near = closest(self.column, self.columns)
        return self.says(
            f"column `{self.column}` is not in `{self.path}`{did_you_mean(near)}",
            "no such column",
            secondary=(Label(self.file, "read from here"),),
            help="" if near else f"its columns are {listed(self.columns)}",
            fixes=suggestions(self.where, tuple(f'"{name}"' for name in near)),
        )


DS0403 = Code(
    "DS0403",
    "error",
    "rows break a type",
    "Some rows hold a value that the declared type does not allow. The message counts them and shows "
    "the first "
    "few with their lines.",
    dataset("input text: str; field topic: int"),
    dataset(),
    TICKETS,
)


DS0404 = Code(
    "DS0404",
    "error",
    "program's input not in the data",
    "A program runs on the `input` columns of a row, by name. A column marked `field` is a label and "
    "never shown "
    "to it.",
    METRIC.replace("input text: str; output", "input message: str; output")
    + optimize("step demos = BootstrapFewShot()"),
    METRIC + optimize("step demos = BootstrapFewShot()"),
    TICKETS,
)


DS0405 = Code(
    "DS0405",
    "error",
    "split asks for too much",
    "The parts of a split together ask for more rows than there are, for more than 100 %, or for none.",
    dataset("input text: str; field topic: str", "split { train = 80%; test = 40% }"),
    dataset("input text: str; field topic: str", "split { train = 60%; test = 40% }"),
    TICKETS,
)


class NoParts(Finding, frozen=True):
    code = DS0405

    def told(self) -> Diagnostic:
        return self.says(
            "this split has no parts",
            "empty",
            help="for example `split { train = 20%; val = 60%; test = 20% }`",
        )


DS0406 = Code(
    "DS0406",
    "warning",
    "same input in several parts",
    "Rows with the same input stand in several parts of the split, so that what was learned on one is "
    "asked again in "
    "another, and scores look better than they are.",
    dataset("input text: str; field topic: str", "split { train = 50%; test = 50% }"),
    dataset("input text: str; field topic: str"),
    REPEATED,
)


DS0407 = Code(
    "DS0407",
    "error",
    "tuning on the test part",
    "A part called `test` is kept to score the final program. Once an optimizer has read it, it can "
    "no longer "
    "say how the program does on rows it has not seen.",
    METRIC + optimize("step d = BootstrapFewShot()").replace(".train;", ".test;"),
    METRIC + optimize("step d = BootstrapFewShot()"),
    TICKETS,
)


DS0409 = Code(
    "DS0409",
    "error",
    "no input column",
    "Columns marked `input` are what a program is run on; a dataset needs at least one.",
    dataset("field text: str; field topic: str"),
    dataset(),
    TICKETS,
)


class NoInputColumn(Finding, frozen=True):
    """`column` is the first that is none, with its word `field` at `word`."""

    code = DS0409
    room: Room | None
    column: str = ""
    word: Location | None = None

    def told(self) -> Diagnostic:
        fixes = insert_item(self.room, "input text: str")
        if self.word:
            fixes = (replace(self.word, "input", f"Make `{self.column}` an input", guess=True),)
        return self.says(
            f"dataset `{self.where.text}` has no `input` column, so no program can be run on its rows",
            "no input",
            help="mark the columns that a program reads: `input text: str`",
            fixes=fixes,
        )


DS0410 = Code(
    "DS0410",
    "warning",
    "too rare to stratify",
    "A stratified split keeps the share of each value in every part. A value with fewer rows than "
    "there are parts "
    "is missing from some.",
    dataset("input text: str; field topic: str", "split { train = 50%; test = 50%; stratify = topic }"),
    dataset("input text: str; field topic: str", "split { train = 50%; test = 50% }"),
    RARE,
)


DS0412 = Code(
    "DS0412",
    "error",
    "unknown part",
    "The dataset's `split` has no part of this name.",
    METRIC + "eval e { program = router; metric = right; data = tickets.tset }\n",
    METRIC + "eval e { program = router; metric = right; data = tickets.test }\n",
    TICKETS,
)


DS0413 = Code(
    "DS0413",
    "error",
    "data outside the project",
    "Data files stand inside the project, below the nearest folder with a `dspec.toml`, a "
    "`pyproject.toml` or a "
    "`.git`; nothing outside it is read.",
    dataset(path="../tickets.csv"),
    dataset(),
    TICKETS,
)


class LeadsOutside(Finding, frozen=True):
    """A data file outside the project, whose root is the folder `root`."""

    code = DS0413
    path: str
    root: str

    def told(self) -> Diagnostic:
        return self.says(
            f'the data file "{self.path}" lies outside the project',
            "outside the project",
            help="data files stand inside the project; their paths are relative to this file and use `/`",
            notes=(f"the project's root is the folder `{self.root}`",),
        )


DS0415 = Code(
    "DS0415",
    "error",
    "column and input of different types",
    "The dataset declares a column with one type, the program takes it with another.",
    METRIC.replace("input text: str; output", "input text: list[str]; output")
    + "eval e { program = router; metric = right; data = tickets.test }\n",
    METRIC + "eval e { program = router; metric = right; data = tickets.test }\n",
    TICKETS,
)


DS0416 = Code(
    "DS0416",
    "hint",
    "rows not known yet",
    "`python(…)` and `huggingface(…)` rows are not in the project, and a check neither runs code nor uses "
    "the network. `dspc check --deep`, `dspc compile` and `dspc eval` fetch them and keep them under "
    "`.dspec`; from then on they are checked like those of a file. Of `python(…)` they are asked for "
    "again once the module has changed.",
    dataset().replace('csv("tickets.csv")', 'python("rows:load")'),
    dataset(),
    TICKETS | {"rows.py": "def load():\n    yield {'text': 'a parcel', 'topic': 'shipping'}\n"},
)
