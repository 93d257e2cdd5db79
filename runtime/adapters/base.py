"""What every adapter offers, and the part of rendering that they share.

The system message and the demos' turns depend on the predictor alone, so they are rendered once per
predictor and kept in a bounded cache: a compile asks the same candidate hundreds of times. The cache
is keyed by identity and holds what it is keyed by; program values are never changed in place.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import lru_cache

from msgspec import Struct, field

from ..errors import InputError, ParseError
from ..models.protocol import Message
from ..schema.identity import Same
from ..schema.program import LM, Demo, FieldSpec, Predictor, Record, Signature
from ..schema.types import DictOf, JsonValue, ListOf, OptionalOf, RecordRef, Row, Scalar, Type
from ..values.finding import search
from ..values.markers import escape
from ..values.media import medium_kind
from ..values.phrases import fold
from ..values.reading import Read, adapt, read
from .templates import TemplateName, fill
from .turns import LEFT_OUT, PARTED, given, history, sections, shown, turns_of
from .words import in_words

SEVERAL = "is there more than once, with different values"

Records = Mapping[str, Record]


class UnreadOutput(Struct, frozen=True):
    """Why an output could not be read; `field` is the output's name."""

    field: str
    message: str


class Reading(Struct, frozen=True):
    """What could be read from an answer. `notes` say what had to be repaired on the way.

    `guessed` are the outputs among the values that might have meant something else as well.
    """

    values: Row = field(default_factory=dict[str, JsonValue])
    problems: tuple[UnreadOutput, ...] = ()
    notes: tuple[str, ...] = ()
    guessed: tuple[str, ...] = ()
    cut: bool = False
    """Whether the model was stopped before the end of what is read."""


class SplitAnswer(Struct, frozen=True):
    """An answer's parts before they are typed: sections as `texts`, members of a JSON answer as `values`."""

    texts: dict[str, str] = field(default_factory=dict[str, str])
    values: dict[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    notes: tuple[str, ...] = ()
    guessed: frozenset[str] = frozenset()
    """Outputs whose place in the answer had to be guessed."""
    unclear: dict[str, str] = field(default_factory=dict[str, str])
    """Why an output cannot be taken from the answer, though there is something of its name."""
    closed: bool = False
    """Whether the answer came to its end, as its layout tells."""
    last: str = ""
    """The output that the text ends in."""
    bare: bool = False
    """Whether a text without any layout was taken as the only output that was asked for."""
    broken: str = ""
    """Why the JSON around the values cannot be read. The values that were found count only in an answer that was cut."""


class Frame(Struct, frozen=True):
    """What the prompts of one predictor have in common."""

    before: tuple[Message, ...]
    """The system message and the demos' turns. A history's turns follow, and then the question."""
    fields: tuple[FieldSpec, ...]
    """The inputs that stand in the question."""
    tail: str
    """What the question ends with."""
    history: FieldSpec | None
    """The input that holds earlier turns."""
    special: bool
    """Whether the question is more than a text of sections."""


class Adapter(ABC):
    """Stateless, safe to share between threads."""

    template: TemplateName = "system"
    """What the system message is made of."""
    plain: bool = False
    """Whether turns name their fields as people do, and have no layout."""

    def words(self, kind: Type, records: Records, seen: set[str]) -> str:
        """A type, as the system message says it; `seen` are the records that it has spelled out."""
        return in_words(kind, records, seen)

    @abstractmethod
    def layout(self, outputs: Sequence[FieldSpec]) -> str:
        """The layout to answer in, as the system message shows it."""

    @abstractmethod
    def names(self, outputs: Sequence[FieldSpec]) -> str:
        """The outputs to give, in one phrase for a reminder."""

    @abstractmethod
    def answer(self, demo: Demo, outputs: Sequence[FieldSpec]) -> str:
        """A demo's outputs as the model would have answered them."""

    @abstractmethod
    def split(
        self, text: str, outputs: Sequence[FieldSpec], signature: Signature, *, strict: bool
    ) -> SplitAnswer:
        """What the answer holds for each of `outputs`, which are the signature's or some of them."""

    @abstractmethod
    def response_format(self, predictor: Predictor, records: Records, lm: LM) -> dict[str, JsonValue] | None:
        """What to ask the endpoint for, beside the prompt: what a request is known by."""

    def form(self, predictor: Predictor, records: Records) -> dict[str, JsonValue] | None:
        """The same as a schema, which is sent in its place to a model that is listed to take one; None where there is none."""
        return None

    def render(self, predictor: Predictor, inputs: Row, records: Records) -> tuple[Message, ...]:
        """The messages of one call. `inputs` holds every input, already checked.

        Raises InputError for a history with turns that are none of this signature's.
        """
        frame = self.frame(predictor, records)
        past = () if frame.history is None else self.past(predictor.signature, inputs, records)
        return (*frame.before, *past, self.question(frame, inputs))

    def frame(self, predictor: Predictor, records: Records) -> Frame:
        """What all prompts of the predictor have in common."""
        return _frame(self, Same(predictor), Same(records))

    def question(self, frame: Frame, inputs: Row) -> Message:
        """The last message, with every input in its section."""
        if frame.special or self.plain:
            return given(frame.fields, inputs, frame.tail, plain=self.plain)
        return Message("user", sections(frame.fields, inputs) + frame.tail)

    def past(self, signature: Signature, inputs: Row, records: Records) -> Iterator[Message]:
        """The turns of the history among the inputs, each as it was asked and answered."""
        field = history(signature)
        if field is None:
            return
        try:
            turns = turns_of(signature, inputs.get(field.name, field.default), records)
        except ValueError as error:
            raise InputError(f"`{field.name}` of {signature.name}: {error}") from None
        for asked, answered in turns:
            yield given([one for one in signature.inputs if one.name in asked], asked, plain=self.plain)
            outputs = [one for one in signature.outputs if one.name in answered]
            yield Message("assistant", self.answer(Demo(inputs={}, outputs=answered), outputs))

    def read(
        self,
        predictor: Predictor,
        text: str,
        records: Records,
        *,
        strict: bool = False,
        only: Collection[str] | None = None,
        again: bool = False,
        cut: str = "",
    ) -> Reading:
        """Every output that can be read from the answer, and what is wrong with the others.

        With `only`, the outputs of those names; the others need not be there. `again` says that only they were asked
        for, after an answer that could not be read: then words without layout are no text of theirs, since they may as
        well be a remark on the task. `cut` says why the model stopped before
        the answer's end, if it did. Then the output that the text ends in is incomplete, and an output that is missing
        was not left out on purpose, so it gets no default.
        """
        outputs = predictor.signature.outputs
        if only is not None:
            outputs = tuple(output for output in outputs if output.name in only)
        split = self.split(text, outputs, predictor.signature, strict=strict)
        if split.bare and len(outputs) < len(predictor.signature.outputs):
            others = [one.name for one in predictor.signature.outputs if one.name not in split.texts]
            kind = outputs[0].type
            if (again and _any_words(kind, text)) or (_may_be_members(kind) and _has_member(text, others)):
                split = SplitAnswer(unclear={outputs[0].name: "is missing"}, closed=split.closed)
        cut = "" if split.closed else cut
        values: Row = {}
        problems: list[UnreadOutput] = []
        notes, guessed = list(split.notes), list[str]()
        for output in outputs:
            try:
                found = read_output(output, split, records, strict=strict, cut=cut)
            except ValueError as error:
                problems.append(UnreadOutput(output.name, str(error)))
                continue
            values[output.name] = found.value
            notes += (f"{output.name}: {repair}" for repair in found.repairs)
            if found.guessed or output.name in split.guessed:
                guessed.append(output.name)
        return Reading(values, tuple(problems), tuple(notes), tuple(guessed), bool(cut))

    def said_again(
        self,
        predictor: Predictor,
        text: str,
        records: Records,
        *,
        asked_for: Collection[str],
        strict: bool = False,
        cut: str = "",
    ) -> Reading:
        """What the answer to a correction says of outputs beside those that it was `asked_for`; nothing where the two
        kinds cannot be told apart for certain."""
        outputs = predictor.signature.outputs
        wanted = [output for output in outputs if output.name in asked_for]
        others = [output for output in outputs if output.name not in asked_for]
        alone = self.split(text, wanted, predictor.signature, strict=strict)
        # Those asked for come first: text before all sections belongs to them.
        split = self.split(text, [*wanted, *others], predictor.signature, strict=strict)
        if any(_given(one, alone) != _given(one, split) for one in wanted):
            return Reading()
        cut = "" if split.closed else cut
        values: Row = {}
        problems: list[UnreadOutput] = []
        for output in others:
            given = _given(output, split)
            if output.name not in split.unclear and isinstance(given, str) and given.strip() == LEFT_OUT:
                continue
            try:
                values[output.name] = read_output(output, split, records, strict=strict, cut=cut).value
            except ValueError as error:
                problems.append(UnreadOutput(output.name, str(error)))
        return Reading(values, tuple(problems))

    def parse(self, predictor: Predictor, text: str, records: Records, *, strict: bool = False) -> Row:
        """The typed outputs. Raises ParseError that names every output it could not read."""
        reading = self.read(predictor, text, records, strict=strict)
        if reading.problems:
            raise ParseError(describe_problems(reading.problems), raw=text)
        return reading.values

    def correction(self, predictor: Predictor, problems: Sequence[UnreadOutput]) -> Message:
        """The turn that follows an unreadable answer and asks for the named outputs only."""
        wanted = {problem.field for problem in problems}
        outputs = [output for output in predictor.signature.outputs if output.name in wanted]
        lines = [f"{escape(problem.field)}: {escape(problem.message)}" for problem in problems]
        return Message("user", fill("correction", problems=lines, names=self.names(outputs), whole=False))

    def objection(self, predictor: Predictor, messages: Sequence[str]) -> Message:
        """The turn that follows an answer which broke a check and asks for a whole new answer."""
        lines = [escape(message) for message in messages]
        names = self.names(predictor.signature.outputs)
        return Message("user", fill("correction", problems=lines, names=names, whole=True))


def _any_words(kind: Type, text: str) -> bool:
    """Whether any words at all would be a value of that type."""
    match kind:
        case Scalar(name="str" | "any"):
            return True
        case OptionalOf(item=item):
            return _any_words(item, text)
        case ListOf(item=item):
            return _any_words(item, text) and "\n" not in text.strip() and text.strip()[:1] != "["
        case _:
            return False


def _may_be_members(kind: Type) -> bool:
    """Whether a JSON object of any members would be a value of that type."""
    kind = kind.item if isinstance(kind, OptionalOf) else kind
    return isinstance(kind, DictOf) or kind in (Scalar(name="str"), Scalar(name="any"))


def _has_member(text: str, names: Collection[str]) -> bool:
    """Whether the answer is a JSON object with a member of one of these names."""
    folds = {fold(name) for name in names}
    return any(
        one.stands
        and isinstance(one.mended.value, dict)
        and any(fold(key) in folds for key in one.mended.value)
        for one in search(text).found
    )


def read_output(output: FieldSpec, split: SplitAnswer, records: Records, *, strict: bool, cut: str) -> Read:
    """One output's value. Raises ValueError: what is wrong with it."""
    name, kind = output.name, output.type
    if cut and name == split.last:
        raise ValueError(cut)
    if name in split.unclear:
        raise ValueError(split.unclear[name])
    if split.broken and not cut:
        raise ValueError(f"stands in JSON that cannot be read: {split.broken}")
    given = _given(output, split)
    if isinstance(given, str) and given.strip() == LEFT_OUT:
        if cut:
            raise ValueError(f"is missing: the answer {cut}")
        if output.has_default:
            return Read(output.default)
        if isinstance(kind, OptionalOf):
            return Read(None)
        raise ValueError("is missing")
    if name in split.texts:
        return read(split.texts[name], kind, records, strict=strict, name=name)
    return adapt(given, kind, records, strict=strict, name=name)


def _given(output: FieldSpec, split: SplitAnswer) -> JsonValue:
    """What the answer has for an output, not yet typed."""
    return split.texts.get(output.name, split.values.get(output.name, LEFT_OUT))


def differing(sections: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """What is wrong with the outputs that have several sections which do not say the same."""
    return {name: SEVERAL for name, texts in sections.items() if len(set(texts)) > 1}


def describe_problems(problems: Sequence[UnreadOutput]) -> str:
    return "; ".join(f"{problem.field}: {problem.message}" for problem in problems)


@lru_cache(maxsize=512)
def _frame(adapter: Adapter, same: Same[Predictor], records: Same[Records]) -> Frame:
    signature = same.value.signature
    fields = shown(signature)
    reminder = f"Answer with {adapter.names(signature.outputs)}."
    return Frame(
        _before(adapter, same, records),
        fields,
        PARTED + reminder if fields else reminder,
        history(signature),
        not fields or any(medium_kind(one.type) for one in fields),
    )


def _before(adapter: Adapter, same: Same[Predictor], records: Same[Records]) -> tuple[Message, ...]:
    """The system message and the demos' turns."""
    signature = same.value.signature
    partial, complete = _arranged(same.value)
    seen: set[str] = set()
    system = fill(
        adapter.template,
        inputs=[_listed(field, adapter.words(field.type, records.value, seen)) for field in shown(signature)],
        outputs=[
            _listed(field, adapter.words(field.type, records.value, seen)) for field in signature.outputs
        ],
        layout=adapter.layout(signature.outputs),
        left_out=LEFT_OUT if partial else "",
        rules=rules_of(signature, records.value),
        task=[signature.instruction, *signature.fixed],
    )
    messages = [Message("system", system)]
    for demo in (*partial, *complete):
        messages += adapter.past(signature, demo.inputs, records.value)
        messages.append(given(shown(signature), demo.inputs, plain=adapter.plain))
        messages.append(Message("assistant", adapter.answer(demo, signature.outputs)))
    return tuple(messages)


def rules_of(signature: Signature, records: Records) -> list[str]:
    """What the checks of the outputs, and of the records in them, tell beforehand."""
    rules = [check.told for check in signature.checks]
    for name in _within(signature.outputs, records):
        rules += (check.told and f"{name}: {check.told}" for check in records[name].checks)
    return [rule for rule in dict.fromkeys(rules) if rule]


def _within(fields: Sequence[FieldSpec], records: Records) -> list[str]:
    """Names of the records that values of these fields hold, nearest first."""
    found: dict[str, None] = {}
    waiting = [field.type for field in fields]
    while waiting:
        match waiting.pop(0):
            case RecordRef(name=name):
                if name in records and name not in found:
                    found[name] = None
                    waiting += (field.type for field in records[name].fields)
            case ListOf(item=inner) | OptionalOf(item=inner) | DictOf(value=inner):
                waiting.append(inner)
            case _:
                pass
    return list(found)


def _arranged(predictor: Predictor) -> tuple[list[Demo], list[Demo]]:
    """Demos that lack a value, then complete ones; a demo with no input or no output shows nothing."""
    signature = predictor.signature
    partial: list[Demo] = []
    complete: list[Demo] = []
    for demo in predictor.demos:
        inputs = sum(field.name in demo.inputs for field in signature.inputs)
        outputs = sum(field.name in demo.outputs for field in signature.outputs)
        if outputs == len(signature.outputs) and inputs == len(signature.inputs):
            complete.append(demo)
        elif outputs and (inputs or not signature.inputs):
            partial.append(demo)
    return partial, complete


def _listed(field: FieldSpec, words: str) -> str:
    description = " ".join(field.description.split())
    line = f"- {field.name} ({words})"
    return f"{line}: {description}" if description else line
