"""DS03: externs, beside the Python and the sources that they stand for."""

from __future__ import annotations

from ...project.source import Location
from ..fixes import ItemRoom, insert_item, replace, suggestions
from ..record import Diagnostic, Label
from ..spelling import closest
from ..wording import article, did_you_mean, quoted
from .base import Code, Finding
from .snippets import DATA, HEAD, TICKETS, TOOLS

AGENT = "module agent = ReAct(sig(question -> answer), tools = [find], max_iters = 4)\n"


DS0308 = Code(
    "DS0308",
    "error",
    "extern and its Python differ",
    "An extern declares the inputs and the result of a Python function, and the function's own "
    "annotations say something else. Inputs are given by name, so each must be one of the function's "
    "parameters. The function of a dataset's `python(…)` is called without any.",
    'dspec 1\n\nextern find(query: str) -> str = python("tools:search")\n',
    'dspec 1\n\nextern find(query: str) -> list[str] = python("tools:search")\n',
    TOOLS,
)


def _line(function: Location) -> str:
    """The file and the line of a Python function."""
    return f"{function.source.name}:{function.source.position(function.start).line}"


class NotTaken(Finding, frozen=True):
    """An input of `owner` that the Python `function` does not take: it takes `taken`, and `inputs` are all that are
    declared."""

    code = DS0308
    owner: str
    name: str
    inputs: tuple[str, ...]
    function: Location
    taken: tuple[str, ...]

    @property
    def near(self) -> tuple[str, ...]:
        return closest(self.name, [each for each in self.taken if each not in self.inputs])

    def told(self) -> Diagnostic:
        taken = f"takes {quoted(self.taken)}" if self.taken else "takes nothing by name"
        near = self.near
        return self.says(
            f"{self.owner} has the input `{self.name}`, and its Python function takes no such "
            f"argument{did_you_mean(near)}",
            "not taken by the function",
            secondary=(Label(self.function, taken),),
            fixes=suggestions(self.where, near),
        )


class TakesMore(Finding, frozen=True):
    """The Python `function` of an extern or a module needs what is `absent` in it, or else takes inputs by their `positions`."""

    code = DS0308
    function: Location
    absent: tuple[str, ...]
    positions: tuple[str, ...]

    def told(self) -> Diagnostic:
        name, line = self.where.text, _line(self.function)
        what = quoted(self.absent or self.positions)
        by_position = "" if self.absent else " by position, and inputs are given by name"
        return self.says(
            f"the Python function of `{name}` needs {what}{by_position}",
            f"does not declare {what}" if self.absent else "cannot be called",
            secondary=(Label(self.function, f"needs {what}"),),
            help=f"declare it as an input of `{name}`, or give it a default in {line}"
            if self.absent
            else f"take the `/` out of the parameters in {line}",
        )


class PythonDiffers(Finding, frozen=True):
    """An `input` of `owner`, or else its result, has another type than the Python function says at `python`.

    `written` says that the type stands here and can be replaced.
    """

    code = DS0308
    owner: str
    input: str
    declared: str
    type: str
    python: Location
    function: Location
    written: bool

    def told(self) -> Diagnostic:
        verb = "takes" if self.input else "returns"
        subject = (
            f"`{self.input}` of {self.owner} is declared as"
            if self.input
            else f"{self.owner} is declared to return"
        )
        # Either side may be the wrong one, so the fix is never applied unseen.
        fix = replace(self.where, self.type, f"Declare it as `{self.type}`", guess=True)
        return self.says(
            f"{subject} {self.declared}, and its Python function {verb} {article(self.type)}",
            f"declared as {self.declared}",
            secondary=(Label(self.python, f"{verb} {self.type}"),),
            help=f"change one of them; the function is in {_line(self.function)}",
            fixes=(fix,) if self.written else (),
        )


class TakesNoCall(Finding, frozen=True):
    """The Python `function` of a module that uses others is to be given `call`, which it does not take; `input` says that
    an input of the module has that name."""

    code = DS0308
    function: Location
    input: bool

    def told(self) -> Diagnostic:
        if self.input:
            return self.says(
                "the function of a module gets `call`, by which it calls what the module uses, and this is an input of "
                "that name",
                "the name is taken",
                help="give the input another name",
            )
        return self.says(
            f"the Python function of `{self.where.text}` does not take `call`, by which it calls what the module uses",
            "uses others",
            secondary=(Label(self.function, "takes no `call`"),),
            help=f"add `call` to the parameters in {_line(self.function)}, or take out `uses`",
        )


class NotForRows(Finding, frozen=True):
    """A Python `function` that gives no rows when it is called: it needs arguments, or else to be waited for."""

    code = DS0308
    function: Location
    needed: tuple[str, ...]

    def told(self) -> Diagnostic:
        name, line = self.function.text, _line(self.function)
        if self.needed:
            needs = f"needs {quoted(self.needed)}"
            message = f"`{name}` is called for rows without arguments, and it {needs}"
            label, advice = needs, f"give each a default in {line}"
        else:
            message = f"`{name}` is called for rows and not waited for, and it is `async`"
            label, advice = "is `async`", f"write it as a plain function in {line}"
        return self.says(message, "cannot be called", secondary=(Label(self.function, label),), help=advice)


DS0311 = Code(
    "DS0311",
    "warning",
    "tool without a description",
    "An agent chooses its tools by what they are said to do. Without a doc string here or in Python it "
    "sees a name and guesses.",
    HEAD + 'extern find(query: str) -> list[str] = bm25("notes.jsonl")\n' + AGENT,
    HEAD
    + 'extern find(query: str) -> list[str] { "Searches the notes."; source = bm25("notes.jsonl") }\n'
    + AGENT,
    {"notes.jsonl": '{"text": "a note"}\n{"text": "another note"}\n'},
)


class NoDescription(Finding, frozen=True):
    """A tool of which an agent is told nothing but its name.

    `value` is what stands from the `=` on, if there is one, and `source` the call behind it.
    """

    code = DS0311
    room: ItemRoom | None
    value: Location | None = None
    source: Location | None = None

    def told(self) -> Diagnostic:
        words = '"What it does, and when to use it."'
        fixes = insert_item(self.room, words, "Insert a description")
        if self.value and self.source:
            block = f"{{\n  {words}\n  source = {self.source.text}\n}}"
            fixes = (replace(self.value, block, "Write it as a block with a description", guess=True),)
        return self.says(
            f"the tool `{self.where.text}` has no description, so an agent sees only its name and its inputs",
            "what is it for?",
            help="say in a doc string what it does and when to use it; a Python docstring counts, too",
            fixes=fixes,
        )


DS0330 = Code(
    "DS0330",
    "error",
    "extern and its source differ",
    "A search (`bm25`, `embeddings`, `colbert`) takes one text, and an input `k: int` for how many rows "
    "are wanted; it gives a list of texts, or a list of records, whose fields are columns of the rows.",
    'dspec 1\n\nextern find(query: str, lang: str) -> list[str] = colbert("http://localhost:8893/search")\n',
    'dspec 1\n\nextern find(query: str, k: int = 3) -> list[str] = colbert("http://localhost:8893/search")\n',
)


class TakesNoText(Finding, frozen=True):
    """A search whose `inputs` are not one text, with or without `k`."""

    code = DS0330
    extern: str
    inputs: tuple[str, ...]

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.extern}` is a search, which takes one text and, where you like, `k: int`",
            f"takes {quoted(self.inputs)}" if self.inputs else "takes nothing",
            help=f"declare it as `{self.extern}(query: str, k: int = 3) -> list[str]`",
        )


class GivesNoRows(Finding, frozen=True):
    """A search that is declared to give something else than texts or rows."""

    code = DS0330
    extern: str
    type: str

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.extern}` is a search, which gives a list, and it is declared to give {self.type}",
            f"declared as {self.type}",
            help="declare `list[str]` for the texts that it finds, or `list[R]` with a record `R` for whole rows",
        )


DS0342 = Code(
    "DS0342",
    "error",
    "a metric's function gives no score",
    "A function that is a metric gets the row and the program's outputs as dicts, by the names of the metric's parameters. It "
    "gives true, false or a number from 0 to 1, or such a `score` with `feedback`, a text, as a dict of these two or as a pair.",
    DATA + 'metric right(gold: tickets, pred: router) = python("marks:told")\n',
    DATA + 'metric right(gold: tickets, pred: router) = python("marks:score")\n',
    TICKETS
    | {
        "marks.py": "def score(gold: dict, pred: dict) -> float:\n    return float(gold['topic'] == pred['topic'])\n\n\n"
        "def told(gold: dict, pred: dict) -> str:\n    return 'right' if score(gold, pred) else 'wrong'\n"
    },
)


class GivesNoScore(Finding, frozen=True):
    """A metric's Python function that is said, at `python`, to give `got`, which is no score."""

    code = DS0342
    got: str
    python: Location
    function: Location

    def told(self) -> Diagnostic:
        return self.says(
            f"a metric's function gives a score, and this one gives {article(self.got)}",
            f"gives {self.got}",
            secondary=(Label(self.python, "says so"),),
            help=f"give a number from 0 to 1, or a dict of `score` and `feedback`; the function is in {_line(self.function)}",
        )
