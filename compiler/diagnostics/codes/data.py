"""DS04: datasets, their files and their splits."""

from __future__ import annotations

import re

from ...project.source import Location
from ..fixes import ItemRoom, insert_item, replace, suggestions
from ..record import Diagnostic, Label, also
from ..spelling import closest
from ..wording import did_you_mean, listed, plural, quoted
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
    """A file that is read as a `source`, but has the `ending` of another one; its path is `written` there."""

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


class DataFault(Finding, frozen=True):
    """A fault of a data file or a split, in the words that a compile stops with, too."""

    said: str
    advice: str

    def told(self) -> Diagnostic:
        return self.says(self.said, help=self.advice)


class DataUnreadable(DataFault, frozen=True):
    code = DS0401


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


class ColumnUnnamed(Finding, frozen=True):
    """`column(…)` without the one text that it takes."""

    code = DS0402
    name: str

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.where.text}` must say in quotes what the file calls the column `{self.name}`",
            "one text in quotes",
            help=f'for example `{self.name}: str = column("Customer Message")`',
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


class ColumnMissing(DataFault, frozen=True):
    """A column that the file lacks. It is reported at the column, with the `source` that it is read from; at the source
    itself where the declaration has no such column.

    `renamed` are columns of the file that may have been meant. To rename is a guess: it might break what reads the column.
    """

    code = DS0402
    source: Location | None
    renamed: tuple[str, ...]

    def told(self) -> Diagnostic:
        return self.says(
            self.said,
            "no such column" if self.source else "",
            secondary=also(self.source, "read from here"),
            help=self.advice,
            fixes=tuple(
                replace(self.where, name, f"rename to `{name}`", guess=True) for name in self.renamed
            ),
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


class TypeBroken(DataFault, frozen=True):
    """Rows that break a type. It is reported at the type or the column, with the `source` that it is read from; at the
    source itself where the declaration has neither."""

    code = DS0403
    source: Location | None

    def told(self) -> Diagnostic:
        return self.says(
            self.said,
            "not in every row" if self.source else "",
            secondary=also(self.source, "read from here"),
            help=self.advice,
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


class InputNotInData(Finding, frozen=True):
    """An input of the program that the rows lack; `field` is its type where they have it as a field."""

    code = DS0404
    program: Location
    data: Location
    name: str
    field: str
    inputs: tuple[str, ...]

    def told(self) -> Diagnostic:
        near = closest(self.name, self.inputs)
        lacks = (
            "has it as a field, not as an input" if self.field else f"has no such input{did_you_mean(near)}"
        )
        there = f"its inputs are {listed(self.inputs)}" if self.inputs and not near else ""
        return self.says(
            f"`{self.program.text}` needs the input `{self.name}`, and `{self.data.text}` {lacks}",
            f"no input `{self.name}`",
            secondary=tuple(
                Label(place, f"`{place.text}` is declared here") for place in (self.program, self.data)
            ),
            help=f"mark the column as an input: `input {self.name}: {self.field}`" if self.field else there,
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


class SplitFault(DataFault, frozen=True):
    code = DS0405


DS0420 = Code(
    "DS0420",
    "warning",
    "part called almost like a setting",
    "A split's parts have names of your own, so a misspelt `seed` is a part. A count of rows among parts in percent "
    "whose name is a letter away from a setting's is more likely that setting.",
    dataset("input text: str; field topic: str", "split { train = 60%; test = 30%; sed = 7 }"),
    dataset("input text: str; field topic: str", "split { train = 60%; test = 30%; seed = 7 }"),
    TICKETS,
)


class PartLikeSetting(Finding, frozen=True):
    """A part, whose name stands here, that is most likely the `setting` of the split."""

    code = DS0420
    setting: str

    def told(self) -> Diagnostic:
        name = self.where.text
        return self.says(
            f"`{name}` is a part of the split, a count of rows among parts in percent; did you mean `{self.setting}`?",
            "a part",
            help=f"where a part is meant, give it another name than `{name}`",
            fixes=(replace(self.where, self.setting, guess=True),),
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


class Duplicates(DataFault, frozen=True):
    """`count` inputs that stand in this part and in other `parts`, too."""

    code = DS0406
    count: int
    parts: tuple[Location, ...]

    def told(self) -> Diagnostic:
        shares = f"shares {self.count:,} with {quoted(part.text for part in self.parts)}"
        return self.says(
            self.said,
            shares if self.parts else "",
            secondary=tuple(Label(part) for part in self.parts),
            help=self.advice,
        )


class CutFromOne(Finding, frozen=True):
    """`val` is a dataset that reads the same source as the dataset at `train`."""

    code = DS0406
    train: Location
    title: str
    fetched: bool

    def told(self) -> Diagnostic:
        what = "rows" if self.fetched else "file"
        return self.says(
            f"`train` and `val` are cut from the same {what}, `{self.title}`, by two datasets: a row may "
            "stand in both",
            f"the same {what}",
            secondary=(Label(self.train, "reads it, too"),),
            help="declare one dataset and give it a `split` with both parts",
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


class TunesOnTest(Finding, frozen=True):
    """`role` is what the rows are read as; `others` are the dataset's other parts."""

    code = DS0407
    role: str
    others: tuple[str, ...]

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.role}` reads `{self.where.text}`: rows that are tuned on can no longer test anything",
            "the test part",
            help=f"use {quoted(self.others[:3], 'or')}" if self.others else "",
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
    """A dataset without an input. `column` is its first column, whose keyword `field` stands at `word`."""

    code = DS0409
    room: ItemRoom | None
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


class TooRare(DataFault, frozen=True):
    code = DS0410


DS0412 = Code(
    "DS0412",
    "error",
    "unknown part",
    "The dataset's `split` has no part of this name.",
    METRIC + "eval e { program = router; metric = right; data = tickets.tset }\n",
    METRIC + "eval e { program = router; metric = right; data = tickets.test }\n",
    TICKETS,
)


class UnknownPart(Finding, frozen=True):
    code = DS0412
    dataset: Location
    parts: tuple[str, ...]

    def told(self) -> Diagnostic:
        name = self.where.text
        near = closest(name, self.parts)
        there = (
            f"its parts are {listed(self.parts)}"
            if self.parts
            else f"give it one: `split {{ {name} = 50% }}`"
        )
        return self.says(
            f"`{self.dataset.text}` has no part `{name}`{did_you_mean(near)}",
            "not a part of its split",
            secondary=(Label(self.dataset, f"`{self.dataset.text}` is declared here"),),
            help="" if near else there,
            fixes=suggestions(self.where, near, declared=True),
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


class DataOutside(DataFault, frozen=True):
    code = DS0413


DS0418 = Code(
    "DS0418",
    "error",
    "path with backslashes",
    "A path is written with `/` on every system. A backslash in a text begins an escape: `\\t` is a tab.",
    dataset(path="data\\tickets.csv"),
    dataset(),
    TICKETS,
)


class PathWithBackslash(Finding, frozen=True):
    """A path as `written`, quotes included."""

    code = DS0418
    written: str

    def told(self) -> Diagnostic:
        meant = re.sub(r"\\+", "/", self.written)
        return self.says(
            f"the path {self.written} has a backslash, and paths are written with `/`",
            "begins an escape",
            fixes=(replace(self.where, meant),),
        )


DS0419 = Code(
    "DS0419",
    "warning",
    "labels that are no values of the output",
    "A column with the name of an output fills it in the demos that a step makes. Values that cannot be read as the output's "
    "type are never shown: they would teach the model what it may not answer.",
    METRIC.replace("output topic: str", "output topic: int").replace(
        "gold.topic == pred.topic", "len(gold.topic) == pred.topic"
    )
    + optimize("step s = LabeledFewShot(k = 2)"),
    METRIC + optimize("step s = LabeledFewShot(k = 2)"),
    TICKETS,
)


class LabelsUnfit(Finding, frozen=True):
    """`count` values of the column `name` do not fit the output of that name; `shown` has the first of them."""

    code = DS0419
    name: str
    program: str
    given: str
    wanted: str
    count: int
    shown: str
    column: Location | None
    output: Location | None

    def told(self) -> Diagnostic:
        return self.says(
            f"{plural(self.count, 'value')} of `{self.name}` cannot be read as {self.wanted}, which the output `{self.name}` "
            f"of `{self.program}` is ({self.shown})",
            "these rows become no demos",
            secondary=also(self.column, f"is {self.given}") + also(self.output, f"is {self.wanted}"),
            help=f'give the column another name, `answer_text: {self.given} = column("{self.name}")`, or keep what the output '
            "may be in a column of its own",
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


class OtherType(Finding, frozen=True):
    """An input and the column of its `name`, with their types and the places that are known."""

    code = DS0415
    name: str
    program: str
    wanted: str
    data: str
    given: str
    input: Location | None
    column: Location | None

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.name}` is {self.wanted} in `{self.program}` and {self.given} in `{self.data}`",
            "types differ",
            secondary=(*also(self.input, f"{self.wanted} here"), *also(self.column, f"{self.given} here")),
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


class NotFetched(DataFault, frozen=True):
    code = DS0416


DS0417 = Code(
    "DS0417",
    "warning",
    "values that fill a prompt",
    "A value of more than 50,000 characters fills most of what a model takes, or all of it, and is paid for in every call. "
    "As a demo it is cut where the model's size is known; as an input it is sent as it is.",
    dataset(path="minutes.csv"),
    dataset(),
    TICKETS | {"minutes.csv": f"text,topic\n{'on and on ' * 6000},billing\n"},
)


class LongValues(DataFault, frozen=True):
    """A column with values that are longer than a prompt is good for."""

    code = DS0417
