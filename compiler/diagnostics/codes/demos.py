"""DS0363 to DS0369: demos that are written in a signature."""

from __future__ import annotations

from ...project.source import Location
from ..record import Diagnostic, Label, also
from ..wording import plural, quoted
from .base import Code, Finding

_LM = 'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini" }\n'


def _rates(*demos: str) -> str:
    lines = "".join(f"  demo {{ {demo} }}\n" for demo in demos)
    return (
        _LM
        + 'signature Rate {\n  "Rate how urgent the message is."\n  input text: str\n  output urgency: int\n'
        + "  output why: str\n  assert 0 <= urgency and urgency <= 5\n"
        + lines
        + "}\nmodule rate = Predict(Rate)\n"
    )


_WHOLE = 'text = "It burns."; urgency = 5; why = "Somebody is in danger."'


DS0363 = Code(
    "DS0363",
    "error",
    "demo that shows nothing",
    "A demo shows what is answered to some inputs. Without any input, or without any output, there is nothing to learn from it, "
    "and no prompt would show it.",
    _rates('text = "It burns."'),
    _rates(_WHOLE),
)


class ShowsNothing(Finding, frozen=True):
    """A demo that gives none of the signature's `inputs`, none of its `outputs`, or none of either: those are named."""

    code = DS0363
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def told(self) -> Diagnostic:
        lacks = " and ".join(
            word for word, names in (("no input", self.inputs), ("no output", self.outputs)) if names
        )
        first = " and ".join(f"`{names[0]} = …`" for names in (self.inputs, self.outputs) if names)
        return self.says(f"this demo gives {lacks}", f"gives {lacks}", help=f"add {first}")


DS0364 = Code(
    "DS0364",
    "error",
    "demo that may not be answered so",
    "A model learns from a demo, so what the signature asserts must hold of it, and what records in it assert, as of an answer. "
    "The turns of a history have fields of the signature.",
    _rates(_WHOLE.replace("5", "9")),
    _rates(_WHOLE),
)


class BreaksAssert(Finding, frozen=True):
    """A demo that breaks an `assert`, whose message is `told_of`."""

    code = DS0364
    told_of: str

    def told(self) -> Diagnostic:
        return self.says(
            f"this demo breaks an `assert`: {self.told_of}",
            "would teach what is refused",
            help="change the demo, or what is asserted",
        )


class CannotBeShown(Finding, frozen=True):
    """A value of the field `name` that no prompt could show: `why`."""

    code = DS0364
    name: str
    why: str

    def told(self) -> Diagnostic:
        return self.says(f"`{self.name}` of a demo cannot be this: {self.why}", "cannot be shown")


DS0365 = Code(
    "DS0365",
    "warning",
    "fields that a demo leaves out",
    'A prompt shows such a field as "(left out of this example)". That is meant where an output is better left to the model, and '
    "a slip where a field was added later. An input that has a default has it in a demo, too.",
    _rates(_WHOLE.partition("; why")[0]),
    _rates(_WHOLE),
)


class LeavesOut(Finding, frozen=True):
    """A demo without a value for some fields, which stand at `places`."""

    code = DS0365
    absent: tuple[str, ...]
    places: tuple[Location, ...]

    def told(self) -> Diagnostic:
        return self.says(
            f"this demo leaves out {quoted(self.absent)}",
            f"says nothing of {quoted(self.absent)}",
            secondary=tuple(Label(place, "declared here") for place in self.places),
            help=f"add `{self.absent[0]} = …`",
        )


class BaseLeavesOut(Finding, frozen=True):
    """A signature that has its demos from `base`, and fields that are not in those."""

    code = DS0365
    base: str
    absent: tuple[str, ...]
    places: tuple[Location, ...]

    def told(self) -> Diagnostic:
        return self.says(
            f"the demos that `{self.where.text}` has from `{self.base}` leave out {quoted(self.absent)}",
            f"has the demos of `{self.base}`",
            secondary=tuple(Label(place, "not in those") for place in self.places),
            help="write demos here, which take the place of the base's",
        )


DS0366 = Code(
    "DS0366",
    "warning",
    "demos of the same inputs",
    "Every prompt pays for each demo. One that is there twice teaches nothing more, and two answers to the same inputs leave the "
    "model to guess which is right.",
    _rates(_WHOLE, _WHOLE.replace("5", "4")),
    _rates(_WHOLE, 'text = "No hurry."; urgency = 0; why = "Nothing depends on it."'),
)


class SameInputs(Finding, frozen=True):
    """A demo with the inputs of the one at `first`, and its outputs, too, if it is the `same`."""

    code = DS0366
    first: Location
    same: bool

    def told(self) -> Diagnostic:
        return self.says(
            "this demo is there twice"
            if self.same
            else "this demo has the inputs of another one, and answers otherwise",
            "again here" if self.same else "the same inputs",
            secondary=(Label(self.first, "first here" if self.same else "answered here"),),
            help="remove one of them",
        )


DS0367 = Code(
    "DS0367",
    "warning",
    "demos that no prompt shows",
    "Demos are shown where a model is given inputs of the signature and answers with its outputs: by a module of one call, by "
    "the attempts of one that tries, by the call of an agent that gives the answer. A module without such a prompt has no use "
    "for them, nor has a signature that extends another for a demo whose values it does not take.",
    _rates(_WHOLE).replace("Predict(Rate)", "RLM(Rate)"),
    _rates(_WHOLE).replace("Predict(Rate)", "ChainOfThought(Rate)"),
)


class NoPromptShows(Finding, frozen=True):
    """A module of a `strategy` none of whose prompts shows the demos of `signature`, which stand at `first`."""

    code = DS0367
    strategy: str
    signature: str
    first: Location | None

    def told(self) -> Diagnostic:
        return self.says(
            f"no prompt of `{self.where.text}` shows the demos of `{self.signature}`",
            f"`{self.strategy}` asks nothing that they answer",
            secondary=also(self.first, "the signature"),
            help="take a signature without demos, which may be the base of the one that has them",
        )


class NotInherited(Finding, frozen=True):
    """A signature that leaves out so many demos of its `base`, since the first of them does not fit: `why`."""

    code = DS0367
    base: str
    number: int
    why: str

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.where.text}` does not take over {plural(self.number, 'demo')} of `{self.base}`: {self.why}",
            "its own fields or checks refuse that",
            help="write demos here, which take the place of the base's",
        )
