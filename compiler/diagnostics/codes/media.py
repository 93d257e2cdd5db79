"""DS037 and DS043: values that are not text, and the turns before."""

from __future__ import annotations

from typing import Literal

from ...project.source import Location
from ..fixes import replace
from ..record import Diagnostic, Label, also
from ..wording import article, listed, quoted
from .base import Code, Finding

LM = 'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini" }\n'
SEE = LM + 'signature See { "Say what the picture shows."; input photo: image; output caption: str }\n'
CHAT = LM + 'signature Chat { "Answer."; input past: history; input question: str; output answer: str }\n'

DS0370 = Code(
    "DS0370",
    "error",
    "a type that only inputs have",
    "`image`, `audio`, `file` and `history` are types of inputs: of a signature, a program or a dataset. Models answer with "
    "text, so no output has them, and neither do records, externs and labels. There may be a list of images, audio or files, and "
    "each may be optional; they stand in no dict and in no list of lists.",
    LM + 'signature Draw { "Draw it."; input what: str; output picture: image }\n',
    SEE,
)

Holder = Literal["output", "field", "column", "extern", "result"]
_HOLDERS: dict[Holder, str] = {
    "output": "an output",
    "field": "a record's field",
    "column": "a label",
    "extern": "an extern's input",
    "result": "what an extern gives",
}


class OnlyAnInput(Finding, frozen=True):
    """A type of inputs for something else."""

    code = DS0370
    type: str
    holder: Holder

    def told(self) -> Diagnostic:
        remedy = {
            "output": "a model answers with text: ask for a description, or for a URL as `str`",
            "field": "make it an input of the signature, beside the record",
            "column": "write `input` for a column that the program is given",
            "extern": "tools take text: give a path or a URL as `str`",
            "result": "tools give text: a path or a URL as `str`",
        }[self.holder]
        return self.says(
            f"{_HOLDERS[self.holder]} cannot be {article(self.type)}: `{self.type}` is a type of inputs",
            "no input",
            help=remedy,
        )


class WrongInside(Finding, frozen=True):
    """A type of inputs within another type that may not hold it."""

    code = DS0370
    type: str

    def told(self) -> Diagnostic:
        if self.type == "history":
            allowed, instead = "`history`, or `history?`", "history"
        else:
            allowed, instead = f"`{self.type}`, `{self.type}?` or `list[{self.type}]`", f"list[{self.type}]"
        return self.says(
            f"`{self.type}` cannot stand inside this type",
            "nested too deep",
            help=f"write {allowed}",
            fixes=(replace(self.where, instead, guess=True),),
        )


DS0371 = Code(
    "DS0371",
    "error",
    "nothing to reckon with",
    "Images, audio, files and histories are handed on to modules, programs and judges, and nothing else is done with them: they "
    "are not text, so they are not compared, added, or given to functions. Whether an optional one is there may be asked "
    "(`photo == none`), and lists of them may be counted, indexed and walked through.",
    SEE
    + "module see = Predict(See)\nprogram P(photo: image) -> (text: str) {\n  let a = see(photo = photo)\n"
    '  return text = "of " + str(photo) + a.caption\n}\n',
    SEE
    + "module see = Predict(See)\nprogram P(photo: image) -> (text: str) {\n  let a = see(photo = photo)\n"
    '  return text = "shows " + a.caption\n}\n',
)


class NotReckoned(Finding, frozen=True):
    """`what` is the operator, function or field that a value of the `type` is given to."""

    code = DS0371
    type: str
    what: str

    def told(self) -> Diagnostic:
        return self.says(
            f"{self.what} takes no {self.type}",
            self.type,
            help="hand it on to a module that takes it, and reckon with what that answers",
        )


class PassedOut(Finding, frozen=True):
    """A program's output that is one of its inputs' media."""

    code = DS0371
    type: str
    output: str

    def told(self) -> Diagnostic:
        return self.says(
            f"the output `{self.output}` cannot be {article(self.type)}: whoever calls the program has it already",
            self.type,
            help="return what a module answers",
        )


class ToolTakes(Finding, frozen=True):
    """A tool of an agent whose `inputs` nobody can write as text."""

    code = DS0371
    tool: str
    inputs: tuple[str, ...]

    def told(self) -> Diagnostic:
        return self.says(
            f"no agent can call `{self.tool}`: a model writes arguments as text, and {quoted(self.inputs)} "
            f"{'is' if len(self.inputs) == 1 else 'are'} not text",
            "cannot be a tool",
            help="call it in a program, before the agent, and give the agent what it answers",
        )


DS0372 = Code(
    "DS0372",
    "error",
    "two histories",
    "The turns of a history become the messages before the last one, so a signature has one history at most.",
    LM
    + 'signature Chat { "Answer."; input a: history; input b: history; input q: str; output answer: str }\n',
    CHAT,
)


class SecondHistory(Finding, frozen=True):
    code = DS0372
    first: Location | None

    def told(self) -> Diagnostic:
        return self.says(
            "a signature has one history at most",
            "another history",
            secondary=also(self.first, "the first"),
            help="join the turns in the application, in their order",
        )


DS0373 = Code(
    "DS0373",
    "warning",
    "model takes no such input",
    "LiteLLM's list of models says of each whether it takes images, audio or PDF files. A model that is listed without them "
    "would refuse every call. Nothing is said of models that are not listed, or that are served at an address of one's own.",
    'dspec 1\n\nlm old { model = "openai/gpt-3.5-turbo" }\n'
    'signature See { "Say what the picture shows."; input photo: image; output caption: str }\nmodule see = Predict(See)\n',
    SEE + "module see = Predict(See)\n",
)


class ModelTakesNone(Finding, frozen=True):
    """An input of a `medium` for a model that is listed as taking none."""

    code = DS0373
    model: str
    input: str
    medium: str
    named: Location | None

    def told(self) -> Diagnostic:
        what = {"image": "images", "audio": "audio", "file": "files"}[self.medium]
        return self.says(
            f"`{self.model}` is not known to take {what}, and `{self.input}` is one"
            if self.medium != "audio"
            else f"`{self.model}` is not known to take audio, and `{self.input}` is audio",
            f"asks {self.model}",
            secondary=also(self.named, "the model"),
            help=f"choose a model that takes {what}, or accept this with `# dspc: allow DS0373 -- reason`",
        )


class EmbeddedReadsText(Finding, frozen=True):
    """Inputs that the built-in learner cannot see."""

    code = DS0373
    inputs: tuple[str, ...]

    def told(self) -> Diagnostic:
        return self.says(
            f"the embedded model reads text alone: it does not see {listed(self.inputs)}",
            "not seen",
            help="use a model of a provider for answers that depend on it",
        )


COMPARED = (
    SEE.replace("input photo: image;", "input photo: image; input question: str;")
    + "module see = Predict(See)\ndataset d {\n"
    '  source = jsonl("d.jsonl"); input photo: image; input question: str; field caption: str\n'
    "  split { train = 50%; val = 50% }\n}\n"
    "metric same(gold: d, pred: see) = gold.caption == pred.caption\n"
    "optimize o {\n  program = see; metric = same; train = d.train; val = d.val\n  step near = "
)
ROWS = "".join(
    f'{{"photo": "https://example.com/{n}.png", "question": "What is shown in {n}?", "caption": "cat {n}"}}\n'
    for n in range(60)
)

DS0376 = Code(
    "DS0376",
    "error",
    "turns that the module did not have",
    "A turn of a history is an object with values of the other inputs and of the outputs of the signature that takes it, and has "
    "something that was given and something that was answered. So are the turns in the rows of a dataset, and those that a test "
    "gives.",
    CHAT + "module chat = Predict(Chat)\n"
    'test t { program = chat; given past = [dict(role = "user", content = "Who?")]; given question = "When?"; '
    'expect answer != "" }\n',
    CHAT + "module chat = Predict(Chat)\n"
    'test t { program = chat; given past = [dict(question = "Who?", answer = "Ada.")]; given question = "When?"; '
    'expect answer != "" }\n',
)


class TurnsOfRows(Finding, frozen=True):
    """Rows with turns that the program at `program` cannot show: `why`."""

    code = DS0376
    why: str
    program: Location

    def told(self) -> Diagnostic:
        return self.says(
            self.why,
            "no turns of this program",
            secondary=(Label(self.program, "is handed them"),),
            help=_TURN,
        )


class GivenTurns(Finding, frozen=True):
    """Turns that are written out for the input `name`: `why` they are none."""

    code = DS0376
    name: str
    why: str

    def told(self) -> Diagnostic:
        why = self.why.removeprefix(f"`{self.name}` of ")
        return self.says(
            f"these turns cannot be given to `{self.name}`: {why}",
            "no such turns",
            help=_TURN,
        )


_TURN = "a turn is an object with inputs and outputs of the signature that takes the history"

DS0377 = Code(
    "DS0377",
    "warning",
    "history alone",
    "A turn of a history has values of the signature's other inputs. A signature without another input has no turns: each "
    "history but an empty one is an error.",
    LM + 'signature Chat { "Answer."; input past: history; output answer: str }\n',
    CHAT,
)


class HistoryAlone(Finding, frozen=True):
    """A history that is the only input of its signature."""

    code = DS0377
    name: str

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.name}` can have no turn: a turn says what the other inputs were, and there is no other input",
            "always empty",
            help="add what is asked now: `input question: str`",
        )


DS0374 = Code(
    "DS0374",
    "warning",
    "rows compared by their text alone",
    "What chooses the nearest rows compares texts. Images, audio, files and histories are left out of that, so two rows "
    "with the same texts count as the same row.",
    COMPARED + "KNNFewShot(k = 2)\n}\n",
    COMPARED + "LabeledFewShot(k = 2)\n}\n",
    {"d.jsonl": ROWS},
)


class ComparedByText(Finding, frozen=True):
    """`left_out` are the inputs that count for nothing where rows are compared."""

    code = DS0374
    optimizer: str
    left_out: tuple[str, ...]
    texts: tuple[str, ...]

    def told(self) -> Diagnostic:
        left = listed([f"`{name}`" for name in self.left_out])
        by = f"by {listed(self.texts)} alone" if self.texts else "by nothing at all"
        return self.says(
            f"`{self.optimizer}` compares rows by their texts: {left} left out, they are compared {by}",
            "compares texts",
            help="use `LabeledFewShot` or `BootstrapFewShotWithRandomSearch`, which show the same demos for every input",
        )
