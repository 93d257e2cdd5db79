"""Tells what a run's predictors answer while they answer: fields as they come, and what of it counts no more.

An answer is read in parts as its pieces come (`adapters.partial`), and has the last word once it is whole: what was told and
turns out otherwise is withdrawn, as is all of an answer that fails, is refused by a check or asked for again. What is told
of a field and never withdrawn is a beginning of its value.

A predictor's output is the program's where the program returns it as it is. Of a module of several calls (an agent, the best
of several answers) the outputs are known at its end, and so told then; its predictors are heard under their addresses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from ..adapters import Part, PartialAnswer
from ..models.protocol import Hearing
from ..schema.expressions import Member, Variable
from ..schema.program import CallStep, Graph, Program, RunStep
from ..schema.types import JsonValue, Row


@dataclass(frozen=True, slots=True)
class _Heard:
    """Of which output something is told."""

    field: str
    step: str
    """Where in the program, as in a trace: a step's name, those around it before it."""
    predictor: str
    """Address of the predictor that answers; "" where no single one does."""
    output: bool
    """Whether `field` is one of the program's outputs. Otherwise it is one of an inner predictor's."""


@dataclass(frozen=True, slots=True)
class TextPiece(_Heard):
    """More of a text: `text` follows what was told of it before."""

    text: str


@dataclass(frozen=True, slots=True)
class FieldValue(_Heard):
    """A field is whole. Its `value` is checked against its type; checks between fields come at the answer's end."""

    value: JsonValue


@dataclass(frozen=True, slots=True)
class Withdrawn(_Heard):
    """What was told of the field counts no more; it is told anew, or the call fails."""

    why: str


StreamEvent = TextPiece | FieldValue | Withdrawn

Tell = Callable[[StreamEvent], None]
"""Told on the engine's loop."""


class _Told:
    """What was told of one field."""

    __slots__ = ("text", "value", "whole")

    def __init__(self) -> None:
        self.text = ""
        self.whole = False
        self.value: JsonValue = None


class Voice:
    """One run's. Knows which outputs of which predictors are the program's own."""

    def __init__(self, program: Program | None, tell: Tell) -> None:
        """Without a program, for runs whose predictors are not heard, the outputs are told at their end."""
        self._tell = tell
        self._outputs: dict[tuple[str, str], list[str]] = {}
        for name, place in () if program is None else _sources(program, program):
            self._outputs.setdefault(place, []).append(name)
        self._steps: dict[str, list[StepVoice]] = {}
        """By step, in the order in which they began: a module of several calls may ask one predictor often."""

    def at(self, step: str, predictor: str) -> StepVoice:
        """For one run of a predictor."""
        made = StepVoice(self, step, predictor)
        self._steps.setdefault(step, []).append(made)
        return made

    def last(self, step: str) -> StepVoice | None:
        """For a further answer of a step that was run."""
        made = self._steps.get(step)
        return made[-1] if made else None

    def withdraw(self, step: str, why: str) -> None:
        """Takes back what was told of a step and of all within it."""
        for name, made in self._steps.items():
            if name == step or name.startswith((f"{step}.", f"{step}[")):
                for one in made:
                    one.withdraw(why)

    def finish(self, outputs: Row) -> None:
        """Tells what the program gives, as far as it was not told."""
        places = {name: place for place, names in self._outputs.items() for name in names}
        for name, value in outputs.items():
            step, field = places.get(name, ("", name))
            speaker = self.last(step)
            told = None if speaker is None else speaker.told.get(field)
            about = (name, step, "" if speaker is None else speaker.predictor, True)
            if told is not None and told.whole and told.value == value:
                continue
            if told is not None:
                self._tell(Withdrawn(*about, why="the program gives another value"))
            self._tell(FieldValue(*about, value=value))

    def fail(self, why: str) -> None:
        """Withdraws all that was told: the run has no outputs."""
        for made in self._steps.values():
            for one in made:
                one.withdraw(why)

    def told(self, step: str, field: str, event: Callable[[str, bool], StreamEvent]) -> None:
        """Hands on what a predictor says of a field, as of the program's outputs where it is: `event` is made of a name and
        whether that is an output's."""
        names = self._outputs.get((step, field))
        if names is None:
            self._tell(event(field, False))
        else:
            for name in names:
                self._tell(event(name, True))


class StepVoice(Hearing):
    """One run of a predictor: its answers, one after the other."""

    def __init__(self, voice: Voice, step: str, predictor: str) -> None:
        self.step = step
        self.predictor = predictor
        self.told: dict[str, _Told] = {}
        self._voice = voice
        self._make: Callable[[], PartialAnswer | None] = lambda: None
        self._reader: PartialAnswer | None = None

    def listening(self, make: Callable[[], PartialAnswer | None]) -> Hearing | None:
        """For the next answer, which a reader that is made here reads; None where nothing can be read before the end."""
        self._make = make
        self._reader = make()
        return None if self._reader is None else self

    def said(self, piece: str) -> None:
        if self._reader is not None:
            for part in self._reader.feed(piece):
                self._part(part)

    def unsaid(self) -> None:
        self.withdraw("the answer was not whole, and is asked for again")
        self._reader = self._make()

    def withdraw(self, why: str) -> None:
        """Takes back all that was told."""
        for name in self.told:
            self._withdraw(name, why)
        self.told.clear()

    def settle(self, outputs: Row) -> None:
        """Tells what the predictor gives, as far as it was not told."""
        for name, value in outputs.items():
            told = self.told.get(name)
            if told is None:
                self._part(Part(name, value=value, whole=True))
            elif told.whole and told.value == value:
                continue
            elif not told.whole and isinstance(value, str) and value.startswith(told.text):
                if more := value[len(told.text) :]:
                    self._part(Part(name, more))
                self._part(Part(name, value=value, whole=True))
            else:
                self._withdraw(name, "the whole answer says it otherwise")
                del self.told[name]
                self._part(Part(name, value=value, whole=True))
        for name in [name for name in self.told if name not in outputs]:
            self._withdraw(name, "the whole answer says it otherwise")
            del self.told[name]

    def _part(self, part: Part) -> None:
        told = self.told.get(part.field)
        if told is None:
            told = self.told[part.field] = _Told()
        step, predictor = self.step, self.predictor
        if part.whole:
            told.whole, told.value = True, part.value
            self._voice.told(
                step, part.field, lambda name, output: FieldValue(name, step, predictor, output, part.value)
            )
        else:
            told.text += part.text
            self._voice.told(
                step, part.field, lambda name, output: TextPiece(name, step, predictor, output, part.text)
            )

    def _withdraw(self, field: str, why: str) -> None:
        step, predictor = self.step, self.predictor
        self._voice.told(step, field, lambda name, output: Withdrawn(name, step, predictor, output, why))


def _sources(
    program: Program, graph: Graph, path: str = "", depth: int = 0
) -> Iterator[tuple[str, tuple[str, str]]]:
    """The outputs of a graph that are a predictor's as it gives them: the step and the name that they have there."""
    steps = {step.name: step for step in graph.steps if isinstance(step, CallStep | RunStep)}
    inner: dict[str, Mapping[str, tuple[str, str]]] = {}
    for name, expression in graph.returns.items():
        if not (isinstance(expression, Member) and isinstance(expression.target, Variable)):
            continue
        step = steps.get(expression.target.name)
        if step is None:
            continue
        place = f"{path}.{step.name}" if path else step.name
        key = step.predictor if isinstance(step, CallStep) else step.runs
        if key in program.predictors:
            yield name, (place, expression.name)
        elif key in program.graphs and depth < len(program.graphs):
            if step.name not in inner:
                inner[step.name] = dict(_sources(program, program.graphs[key], place, depth + 1))
            if expression.name in inner[step.name]:
                yield name, inner[step.name][expression.name]
