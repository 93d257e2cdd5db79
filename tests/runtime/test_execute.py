"""Running one predictor: inputs, repair, checks, fallbacks."""

from __future__ import annotations

import pytest
from programs import (
    Told,
    binary,
    call,
    chat,
    const,
    cut,
    fields,
    module,
    must,
    predictor,
    question,
    should,
    var,
)

from dspec.runtime.errors import (
    CheckFailed,
    ConfigurationError,
    InputError,
    NotSet,
    ParseError,
    Refused,
    Unauthorized,
    Unavailable,
)
from dspec.runtime.running.execute import run
from dspec.runtime.schema.program import LM, FieldSpec, Record
from dspec.runtime.schema.types import (
    FLOAT,
    INT,
    STR,
    DictOf,
    JsonValue,
    ListOf,
    OneOf,
    OptionalOf,
    RecordRef,
    Row,
)
from dspec.runtime.schema.usage import Flaws

QUESTION: Row = {"question": "Why?"}


async def test_one_call() -> None:
    model = Told([chat(answer="because")])
    outcome = await run(module(question()), QUESTION, model)
    assert outcome.outputs == {"answer": "because"}
    assert outcome.calls == 1
    assert (outcome.paid.input_tokens, outcome.paid.output_tokens, outcome.paid.usd) == (10, 5, 0.25)
    (step,) = outcome.trace
    assert (step.step, step.predictor, step.attempts, step.notes) == ("out", "module", 1, ())
    assert (step.inputs, step.outputs) == (QUESTION, {"answer": "because"})


async def test_sample_and_temperature_reach_every_request() -> None:
    model = Told(["", chat(answer="a")])
    await run(module(question("answer", "why")), QUESTION, Told([chat(answer="a", why="b")]), sample=1)
    with pytest.raises(ParseError):
        await run(module(question("answer", "why")), QUESTION, model, sample=3, temperature=0.7)
    assert [(request.sample, request.temperature) for request in model.requests] == [(3, 0.7), (3, 0.7)]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (
            {},
            "the input `question` is missing: `module` takes question: str, k: int (optional), note: ",
        ),
        ({"question": "a", "q": "b"}, "there is no input `q`: `module` takes question: str"),
        ({"question": 3}, "the input `question` does not fit: expected text, got 3"),
        ({"question": "a", "k": "many"}, 'the input `k` does not fit: expected a whole number, got "many"'),
    ],
)
async def test_inputs_are_checked_before_any_call(inputs: Row, message: str) -> None:
    asked = predictor(
        (
            FieldSpec(name="question", type=STR),
            FieldSpec(name="k", type=INT, has_default=True, default=5),
            FieldSpec(name="note", type=OptionalOf(item=STR)),
        ),
        fields(answer=STR),
    )
    with pytest.raises(InputError) as caught:
        await run(module(asked), inputs, Told([]))
    assert caught.value.message.startswith(message)
    model = Told([chat(answer="a")])
    outcome = await run(module(asked), {"question": "a"}, model)
    assert outcome.trace[0].inputs == {"question": "a", "k": 5, "note": None}


async def test_a_repair_on_the_text_takes_no_call() -> None:
    outcome = await run(module(question()), QUESTION, Told(['{"answer": "because"}']))
    assert outcome.outputs == {"answer": "because"}
    assert outcome.trace[0].notes == ("read a JSON object instead of sections",)


SURE = predictor(
    fields(question=STR), fields(answer=STR, mood=OneOf(values=("calm", "angry")), confidence=FLOAT)
)


async def test_only_what_could_not_be_read_is_asked_for_again() -> None:
    model = Told([chat(answer="a", mood="Calm.", confidence="quite"), chat(confidence="0.5")])
    outcome = await run(module(SURE), QUESTION, model)
    assert outcome.outputs == {"answer": "a", "mood": "calm", "confidence": 0.5}
    assert list(outcome.outputs) == ["answer", "mood", "confidence"]
    assert outcome.trace[0].attempts == 2
    assert outcome.trace[0].notes == ('asked again: confidence: expected a number, got "quite"',)
    first, second = model.requests
    assert second.messages[: len(first.messages)] == first.messages
    assert [message.role for message in second.messages[len(first.messages) :]] == ["assistant", "user"]
    assert 'confidence: expected a number, got "quite"' in model.last
    assert "[[ ## mood ## ]]" not in model.last


async def test_what_a_new_answer_says_otherwise_counts_with_a_note() -> None:
    first = chat(answer="a", mood="calm", confidence="quite")
    model = Told([first, chat(answer="b", mood="calm", confidence="0.5")])
    outcome = await run(module(SURE), QUESTION, model)
    assert outcome.outputs == {"answer": "b", "mood": "calm", "confidence": 0.5}
    assert outcome.trace[0].notes[1:] == ("answer: the new answer says it otherwise, and counts",)


async def test_what_a_new_answer_says_again_unreadably_leaves_the_first() -> None:
    first = chat(answer="a", mood="calm", confidence="quite")
    model = Told([first, "Sorry about that.\n" + chat(mood="well", confidence="0.5")])
    outcome = await run(module(SURE), QUESTION, model)
    assert outcome.outputs == {"answer": "a", "mood": "calm", "confidence": 0.5}
    (note,) = outcome.trace[0].notes[1:]
    assert note.startswith("mood: said again, but expected one of")


async def test_a_second_unreadable_answer_ends_the_call() -> None:
    model = Told([chat(answer="a", mood="x", confidence="1"), "no idea"])
    with pytest.raises(
        ParseError, match='Asked: mood: expected one of "calm", "angry", got "no idea"'
    ) as caught:
        await run(module(SURE), QUESTION, model)
    assert caught.value.raw == "no idea"


async def test_an_empty_answer_is_asked_for_again_without_an_empty_turn() -> None:
    model = Told(["", chat(answer="a")])
    outcome = await run(module(question()), QUESTION, model)
    assert outcome.outputs == {"answer": "a"}
    assert all(message.content for message in model.requests[-1].messages)


LENIENT = LM(name="mini", model="embedded/icl")
READINGS = [
    LENIENT,
    *(
        LENIENT.model_copy(update={name: value})
        for name, value in (("parse", "strict"), ("adapter", "json"), ("adapter", "xml"))
    ),
]
BOTH = predictor(
    fields(question=STR), fields(label=OneOf(values=("cat", "category")), note=OptionalOf(item=STR))
)


def half(lm: LM) -> str:
    """An answer that ends within its note."""
    return {
        "chat": "[[ ## label ## ]]\ncat\n\n[[ ## note ## ]]\nit pu",
        "json": '{"label": "cat", "note": "it pu',
        "xml": "<label>cat</label>\n<note>it pu",
    }[lm.adapter]


def note(lm: LM) -> str:
    return {
        "chat": chat(note="it purrs"),
        "json": '{"note": "it purrs"}',
        "xml": "<note>it purrs</note>",
    }[lm.adapter]


@pytest.mark.parametrize("lm", READINGS, ids=["lenient", "strict", "json", "xml"])
async def test_what_was_cut_off_is_asked_for_again_once_and_said_why(lm: LM) -> None:
    model = Told([cut(half(lm)), note(lm)])
    outcome = await run(module(BOTH, lms={"mini": lm}), QUESTION, model)
    assert outcome.outputs == {"label": "cat", "note": "it purrs"}
    why = f"note: {'is missing: the answer ' if lm.adapter == 'json' else ''}was cut off at `max_tokens`"
    assert f"- {why}" in model.last
    entry = outcome.trace[0]
    assert entry.notes == (
        "the answer was cut off at `max_tokens`",
        f"asked again: {why}",
    )
    assert (entry.flaws, entry.guessed) == (Flaws(cut=1), ())


@pytest.mark.parametrize("lm", READINGS, ids=["lenient", "strict", "json", "xml"])
async def test_an_answer_that_is_cut_off_again_is_refused(lm: LM) -> None:
    with pytest.raises(ParseError, match=r"note: .*was cut off at `max_tokens`") as caught:
        await run(module(BOTH, lms={"mini": lm}), QUESTION, Told([cut(half(lm)), cut(half(lm))]))
    assert caught.value.help == "raise `max_tokens`: the answer was cut off"
    assert caught.value.flaws == Flaws(cut=2)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "[[ ## label ## ]]\ncat",
            "- label: was cut off at `max_tokens`\n- note: is missing: the answer was cut off",
        ),
        ("", "- label: is missing: the answer was cut off at `max_tokens`"),
        ('{"label": "cat"', "- label: was cut off at `max_tokens`\n- note: is missing"),
    ],
)
async def test_an_output_that_may_be_null_is_not_null_because_the_answer_was_cut_off(
    text: str, told: str
) -> None:
    model = Told([cut(text), chat(label="category", note="null")])
    outcome = await run(module(BOTH), QUESTION, model)
    assert outcome.outputs == {"label": "category", "note": None}
    assert told in model.last


async def test_an_answer_that_came_to_its_end_is_whole_whatever_stopped_the_model() -> None:
    outcome = await run(module(BOTH), QUESTION, Told([cut(chat(label="cat", note="x"))]))
    assert outcome.outputs == {"label": "cat", "note": "x"}
    assert (outcome.trace[0].notes, outcome.trace[0].flaws) == ((), Flaws())


async def test_an_answer_that_a_filter_cut_off_is_no_matter_of_length() -> None:
    model = Told([cut(half(LENIENT), "content_filter")] * 2)
    with pytest.raises(ParseError, match="note: was cut off by the provider's filter") as caught:
        await run(module(BOTH), QUESTION, model)
    assert caught.value.help == ""


async def test_a_guess_is_used_and_known_to_be_one() -> None:
    outcome = await run(
        module(BOTH), QUESTION, Told([chat(label="cat, because it purrs so nicely", note="x")])
    )
    assert outcome.outputs["label"] == "cat"
    entry = outcome.trace[0]
    assert (entry.guessed, entry.flaws) == (("label",), Flaws(repaired=1))
    assert entry.notes == ("label: took the label that an explanation follows",)


async def test_a_denial_is_asked_about_again() -> None:
    model = Told([chat(label="doesn't look like a category", note="x"), chat(label="cat")])
    outcome = await run(module(BOTH), QUESTION, model)
    assert outcome.outputs["label"] == "cat"
    assert (outcome.trace[0].guessed, outcome.trace[0].flaws) == ((), Flaws(unreadable=1))


async def test_strict_parsing_takes_no_liberties_and_still_asks_again() -> None:
    lms = {"mini": LM(name="mini", model="embedded/icl", parse="strict")}
    model = Told([chat(answer="a", mood="Calm", confidence="1"), chat(mood="calm")])
    assert (await run(module(SURE, lms=lms), QUESTION, model)).outputs["mood"] == "calm"
    assert len(model.requests) == 2


SHORT = binary(call("len", var("answer")), "<=", const(3))


async def test_a_broken_assert_goes_back_to_the_model_with_its_message() -> None:
    program = module(question(checks=(must(SHORT, "at most three letters"),)))
    model = Told([chat(answer="long"), chat(answer="longer"), chat(answer="ok")])
    outcome = await run(program, QUESTION, model)
    assert outcome.outputs == {"answer": "ok"}
    assert outcome.trace[0].attempts == 3
    assert outcome.trace[0].notes == ("asked again: at most three letters",) * 2
    assert "- at most three letters" in model.last
    roles = [message.role for message in model.requests[-1].messages]
    assert roles == ["system", "user", "assistant", "user", "assistant", "user"]


async def test_an_assert_that_stays_broken_fails_the_call_with_its_message() -> None:
    program = module(question(checks=(must(SHORT, "at most three letters"),), max_retries=1))
    model = Told([chat(answer="long")] * 2)
    with pytest.raises(CheckFailed, match="Asked: at most three letters") as caught:
        await run(program, QUESTION, model)
    assert "long" in caught.value.raw


async def test_no_two_requests_of_a_run_are_the_same() -> None:
    program = module(question(checks=(must(SHORT, "too long"),), max_retries=4))
    model = Told([chat(answer="long")] * 5)
    with pytest.raises(CheckFailed):
        await run(program, QUESTION, model)
    assert len({request.identity() for request in model.requests}) == 5


async def test_a_suggest_that_stays_broken_is_noted_and_the_run_goes_on() -> None:
    program = module(question(checks=(should(SHORT, "be short"),), max_retries=1))
    outcome = await run(program, QUESTION, Told([chat(answer="long")] * 2))
    assert outcome.outputs == {"answer": "long"}
    assert outcome.trace[0].notes == ("asked again: be short", "suggest not met: be short")


async def test_checks_may_read_inputs_and_a_check_that_cannot_be_computed_is_broken() -> None:
    same = binary(var("answer"), "!=", var("question"))
    broken = binary(var("answer"), "<", const(3))
    program = module(question(checks=(must(same, "do not repeat"), should(broken, "unused")), max_retries=1))
    model = Told([chat(answer="Why?"), chat(answer="x")])
    outcome = await run(program, QUESTION, model)
    assert "- do not repeat\n- cannot be checked: `<` cannot order" in model.last
    assert outcome.trace[0].notes[-1].startswith("suggest not met: cannot be checked")


LINE = Record(
    name="Line",
    fields=fields(sku=STR, qty=FLOAT),
    checks=(must(binary(var("qty"), ">", const(0)), "quantity must be positive"),),
)
ORDER = predictor(
    fields(text=STR),
    fields(lines=ListOf(item=RecordRef(name="Line")), by_name=DictOf(key=STR, value=RecordRef(name="Line"))),
)


async def test_checks_of_records_say_where() -> None:
    program = module(ORDER, records={"Line": LINE})
    bad = chat(
        lines='[{"sku": "a", "qty": 1}, {"sku": "b", "qty": 0}]', by_name='{"x": {"sku": "a", "qty": -1}}'
    )
    good = chat(lines='[{"sku": "a", "qty": 1}]', by_name="{}")
    model = Told([bad, good])
    outcome = await run(program, {"text": "order"}, model)
    assert outcome.outputs == {"lines": [{"sku": "a", "qty": 1.0}], "by_name": {}}
    assert "- lines[1]: quantity must be positive\n- by_name.x: quantity must be positive" in model.last


async def test_checks_of_records_hold_for_inputs_too() -> None:
    asked = predictor(fields(line=RecordRef(name="Line")), fields(answer=STR))
    with pytest.raises(InputError, match="the inputs do not hold: line: quantity must be positive"):
        await run(module(asked, records={"Line": LINE}), {"line": {"sku": "a", "qty": 0}}, Told([]))


async def test_a_correction_and_an_objection_in_one_exchange() -> None:
    checked = predictor(
        fields(question=STR),
        fields(answer=STR, confidence=FLOAT),
        checks=(must(binary(var("confidence"), "<=", const(1)), "at most 1"),),
    )
    model = Told(
        [chat(answer="a", confidence="high"), chat(confidence="7"), chat(answer="b", confidence="1")]
    )
    outcome = await run(module(checked), QUESTION, model)
    assert outcome.outputs == {"answer": "b", "confidence": 1.0}
    shown = model.requests[-1].messages[-2].content
    assert "[[ ## answer ## ]]\na" in shown
    assert "[[ ## confidence ## ]]\n7.0" in shown


async def test_a_fallback_answers_where_the_model_does_not() -> None:
    lms = {
        "mini": LM(name="mini", model="embedded/a", fallback=("other", "third")),
        "other": LM(name="other", model="embedded/b"),
        "third": LM(name="third", model="embedded/c"),
    }
    model = Told([Unavailable("down"), Refused("no"), chat(answer="a")])
    outcome = await run(module(question(), lms=lms), QUESTION, model)
    assert [request.lm.name for request in model.requests] == ["mini", "other", "third"]
    assert outcome.trace[0].notes == ("fell back to third",)
    with pytest.raises(Unavailable, match="gone"):
        await run(
            module(question(), lms=lms), QUESTION, Told([Refused("a"), Refused("b"), Unavailable("gone")])
        )


@pytest.mark.parametrize("first", [NotSet("KEY is not set"), Unavailable("down")])
async def test_a_model_without_its_key_is_stood_in_for(first: Exception) -> None:
    lms = {
        "mini": LM(name="mini", model="embedded/a", fallback=("other", "third")),
        "other": LM(name="other", model="embedded/b"),
        "third": LM(name="third", model="embedded/c"),
    }
    model = Told([first, NotSet("OTHER is not set"), chat(answer="a")])
    outcome = await run(module(question(), lms=lms), QUESTION, model)
    assert outcome.trace[0].notes == ("fell back to third: OTHER is not set",)
    # it is an error only where none can be asked; where one was, it is that one's
    with pytest.raises(type(first), match=str(first)):
        await run(module(question(), lms=lms), QUESTION, Told([first, NotSet("b"), NotSet("c")]))


async def test_a_key_that_is_not_accepted_is_no_case_for_a_fallback() -> None:
    lms = {
        "mini": LM(name="mini", model="embedded/a", fallback=("other",)),
        "other": LM(name="other", model="embedded/b"),
    }
    with pytest.raises(Unauthorized, match="no credit"):
        await run(module(question(), lms=lms), QUESTION, Told([Unauthorized("no credit"), chat(answer="a")]))


async def test_a_provider_failure_is_never_an_answer() -> None:
    with pytest.raises(Unavailable):
        await run(module(question()), QUESTION, Told([Unavailable("down")]))


async def test_a_model_that_is_not_there() -> None:
    program = module(question().model_copy(update={"lm": "gone"}))
    with pytest.raises(ConfigurationError, match="names the model `gone`"):
        await run(program, QUESTION, Told([]))


async def test_the_json_adapter_asks_for_json() -> None:
    lms = {"mini": LM(name="mini", model="openai/gpt-4o", adapter="json")}
    model = Told(['{"answer": "a"}'])
    assert (await run(module(question(), lms=lms), QUESTION, model)).outputs == {"answer": "a"}
    format_ = model.requests[0].response_format
    assert format_ is not None
    assert format_["type"] == "json_schema"


async def test_returned_values_fit_the_program_outputs() -> None:
    value: JsonValue = 3
    program = module(question()).model_copy(
        update={"outputs": fields(answer=FLOAT), "returns": {"answer": const(value)}}
    )
    outcome = await run(program, QUESTION, Told([chat(answer="a")]))
    assert outcome.outputs == {"answer": 3.0}
    assert isinstance(outcome.outputs["answer"], float)
