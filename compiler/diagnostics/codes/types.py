"""DS03: types, calls and programs."""

from __future__ import annotations

from ..fixes import replace, suggestions
from ..record import Diagnostic, Label
from ..spelling import closest
from ..wording import did_you_mean, listed, plural, quoted
from .base import Code, Finding
from .snippets import DATA, TICKETS, TOOLS

ASK = """\
dspec 1

lm mini { model = "openai/gpt-4o-mini" }
signature Ask { "Answer the question."; input question: str; output answer: str; output sources: list[str] }
module ask = Predict(Ask)
"""


def program(*lines: str, header: str = "program P(question: str) -> (answer: str)") -> str:
    return ASK + header + " {\n" + "".join(f"  {line}\n" for line in lines) + "}\n"


BM25 = 'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini" }\n'
AGENT = "module agent = ReAct(sig(question -> answer), tools = [find], max_iters = 4)\n"

CALL = "let a = ask(question = question)"
RETURN = "return answer = a.answer"

DS0301 = Code(
    "DS0301",
    "error",
    "types do not fit",
    "A value of one type stands where another is declared. Both places are shown. A whole number may "
    "stand for a "
    "number, and a literal of a union for text; nothing else is converted in silence.",
    program(CALL, "return answer = a.sources"),
    program(CALL, 'return answer = join(a.sources, "; ")'),
)


class WrongKey(Finding, frozen=True):
    """The type of a dict's keys."""

    code = DS0301

    def told(self) -> Diagnostic:
        return self.says(
            f"a dict's keys are text or whole numbers, and `{self.where.text}` is neither",
            "cannot be a key",
            help="use `dict[str, …]`",
            fixes=(replace(self.where, "str", guess=True),),
        )


DS0302 = Code(
    "DS0302",
    "error",
    "missing argument",
    "The call leaves out an input that has no default.",
    program("let a = ask()", RETURN),
    program(CALL, RETURN),
)


class LacksArguments(Finding, frozen=True):
    """A call of `what`, which is written as `shape`, without `lacking`."""

    code = DS0302
    what: str
    shape: str
    lacking: tuple[str, ...]
    declared: tuple[Label, ...] = ()

    def told(self) -> Diagnostic:
        return self.says(
            f"this call of {self.what} lacks {quoted(self.lacking)}",
            f"lacks {quoted(self.lacking)}",
            secondary=self.declared,
            help=f"it is called as {self.shape}",
        )


DS0303 = Code(
    "DS0303",
    "error",
    "unknown argument",
    "What is called has no input or option of this name, or takes fewer of them.",
    program("let a = ask(qestion = question)", RETURN),
    program(CALL, RETURN),
)


class TooManyArguments(Finding, frozen=True):
    code = DS0303
    what: str
    shape: str
    count: int
    noun: str
    declared: tuple[Label, ...] = ()

    def told(self) -> Diagnostic:
        return self.says(
            f"{self.what} takes {plural(self.count, self.noun)}, and this is one more",
            "one too many",
            secondary=self.declared,
            help=f"it is called as {self.shape}",
        )


class UnknownArgument(Finding, frozen=True):
    """`known` are the names that `what` takes."""

    code = DS0303
    what: str
    known: tuple[str, ...]
    noun: str
    declared: tuple[Label, ...] = ()

    def told(self) -> Diagnostic:
        name = self.where.text
        near = closest(name, self.known)
        return self.says(
            f"{self.what} has no {self.noun} `{name}`{did_you_mean(near)}",
            f"not an {self.noun}",
            secondary=self.declared,
            help="" if near else f"it has {listed(self.known)}" if self.known else f"it has no {self.noun}s",
            fixes=suggestions(self.where, near),
        )


DS0304 = Code(
    "DS0304",
    "error",
    "unknown field",
    "The value has no field or output of this name.",
    program(CALL, "return answer = a.anwser"),
    program(CALL, RETURN),
)


DS0305 = Code(
    "DS0305",
    "error",
    "header and return differ",
    "A program's header promises its outputs, and `return` must give exactly those.",
    program(CALL, "return reply = a.answer"),
    program(CALL, RETURN),
)


DS0306 = Code(
    "DS0306",
    "error",
    "literal outside its union",
    "The text is compared with, or given to, a union of literals that does not hold it. In a metric "
    "such a "
    "comparison would score every row as wrong.",
    'dspec 1\n\nsignature Rate { input text: str; output mood: "good" | "bad"; suggest mood != "god" }\n',
    'dspec 1\n\nsignature Rate { input text: str; output mood: "good" | "bad"; suggest mood != "good" }\n',
)


DS0307 = Code(
    "DS0307",
    "error",
    "record contains itself",
    "Every value of the record would need another one inside it, without end. A field that may be "
    "missing, or a "
    "list, ends it.",
    "dspec 1\n\nrecord Part { field name: str; field inner: Part }\n",
    "dspec 1\n\nrecord Part { field name: str; field inner: Part? }\n",
)


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


DS0309 = Code(
    "DS0309",
    "warning",
    "paid for, not used",
    "A model is called and nothing reads its answer, so every run pays for it without effect.",
    program(CALL, "let b = ask(question = question)", RETURN),
    program(CALL, "let b = ask(question = a.answer)", "return answer = b.answer"),
)


DS0310 = Code(
    "DS0310",
    "error",
    "nothing in, or nothing out",
    "A signature needs at least one input and one output, a record at least one field.",
    "dspec 1\n\nsignature Ask { input question: str }\n",
    "dspec 1\n\nsignature Ask { input question: str; output answer: str }\n",
)


DS0311 = Code(
    "DS0311",
    "warning",
    "tool without a description",
    "An agent chooses its tools by what they are said to do. Without a doc string here or in Python it "
    "sees a name and guesses.",
    BM25 + 'extern find(query: str) -> list[str] = bm25("notes.jsonl")\n' + AGENT,
    BM25
    + 'extern find(query: str) -> list[str] { "Searches the notes."; source = bm25("notes.jsonl") }\n'
    + AGENT,
    {"notes.jsonl": '{"text": "a note"}\n{"text": "another note"}\n'},
)


DS0313 = Code(
    "DS0313",
    "error",
    "operator does not apply",
    "The operator works on other types. Text and numbers are never mixed; `str(…)` makes text of a value.",
    program(CALL, 'return answer = "sources: " + len(a.sources)'),
    program(CALL, 'return answer = "sources: " + str(len(a.sources))'),
)


DS0315 = Code(
    "DS0315",
    "error",
    "not true or false",
    "A condition is true or false. Text, numbers and lists do not count as either; compare them with "
    "something.",
    program(CALL, 'assert len(a.sources) else "name a source"', RETURN),
    program(CALL, 'assert len(a.sources) > 0 else "name a source"', RETURN),
)


DS0316 = Code(
    "DS0316",
    "error",
    "union of types",
    "A union lists string literals. A value that may be missing is written `T?`; a value of several "
    "shapes is a "
    "record with optional fields.",
    "dspec 1\n\ntype Value = str | int\n",
    'dspec 1\n\ntype Value = "low" | "high"\n',
)


class TypeInUnion(Finding, frozen=True):
    code = DS0316

    def told(self) -> Diagnostic:
        return self.says(
            f"a union lists string literals, and `{self.where.text}` is a type",
            "not a string literal",
            help="write `T?` for a value that may be missing, or a record for structured values",
        )


DS0317 = Code(
    "DS0317",
    "error",
    "list or dict of what",
    "`list` and `dict` need the type of what they hold, since answers are read and checked by it.",
    "dspec 1\n\nsignature Ask { input question: str; output facts: list }\n",
    "dspec 1\n\nsignature Ask { input question: str; output facts: list[str] }\n",
)


class OfWhat(Finding, frozen=True):
    """A `list` or a `dict` that does not say what it holds."""

    code = DS0317

    def told(self) -> Diagnostic:
        word = self.where.text
        full = "list[str]" if word == "list" else "dict[str, str]"
        return self.says(
            f"`{word}` needs to know what it holds, as in `{full}`",
            "of what?",
            fixes=(replace(self.where, full, guess=True),),
        )


DS0318 = Code(
    "DS0318",
    "error",
    "cannot be called",
    "Modules, programs and built-in functions can be called by name. Values have no methods.",
    program(CALL, "return answer = a.answer.strip()"),
    program(CALL, "return answer = strip(a.answer)"),
)


DS0319 = Code(
    "DS0319",
    "error",
    "model call in the wrong place",
    "Only programs call modules. Metrics, checks and gates are computed, so that scoring a row twice "
    "costs nothing; a metric may ask a judge, as in `llm_judge(…)`.",
    DATA + "metric right(gold: tickets, pred: router) = gold.topic == router(text = gold.text).topic\n",
    DATA + "metric right(gold: tickets, pred: router) = gold.topic == pred.topic\n",
    TICKETS,
)


DS0320 = Code(
    "DS0320",
    "error",
    "not a regular expression",
    "The pattern cannot be read, and every row would fail on it. Patterns are matched in linear time; "
    "look-around "
    "and back-references do not exist.",
    program(CALL, 'assert matches(a.answer, "[a-z") else "lower case"', RETURN),
    program(CALL, 'assert matches(a.answer, "[a-z]+") else "lower case"', RETURN),
)


DS0321 = Code(
    "DS0321",
    "error",
    "default is computed",
    "A default is part of what is sent and remembered, so it must be known when the file is read: a "
    "literal or a "
    "list of literals.",
    "dspec 1\n\nsignature Ask { input question: str; input limit: int = 2 + 3; output answer: str }\n",
    "dspec 1\n\nsignature Ask { input question: str; input limit: int = 5; output answer: str }\n",
)


class ComputedDefault(Finding, frozen=True):
    code = DS0321
    name: str

    def told(self) -> Diagnostic:
        return self.says(
            f"the default of `{self.name}` must be a literal, and this is computed", "not a literal"
        )


DS0322 = Code(
    "DS0322",
    "error",
    "output with a default",
    "A model always writes every output. One that may be left out is declared with `?`.",
    'dspec 1\n\nsignature Ask { input question: str; output answer: str = "none" }\n',
    "dspec 1\n\nsignature Ask { input question: str; output answer: str? }\n",
)
