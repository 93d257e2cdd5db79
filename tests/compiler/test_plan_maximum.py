"""A plan's maximum is one: no compile takes more calls, tokens or money, whatever it shows and is answered.

And what a compile took corrects what is expected of the next one.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import get_args

import pytest
from building import DEMOS, compiled, plan_of, project
from every_step import CASES, GEPA, SETS, step, writes_by_question
from hypothesis import given, settings
from hypothesis import strategies as st
from keeping import PRICED, Tokens, keeps
from programs import Told, binary, chat, const, must, var
from scripted import Asked, classifier, learner, pipeline
from two_steps import free, in_two_steps, said

from dspec.compiler import ir
from dspec.compiler.compile.affording import shortfalls
from dspec.compiler.compile.bills import Bill, seen
from dspec.compiler.compile.rulers import Most
from dspec.compiler.compile.sizes import bytes_of
from dspec.compiler.compile.walks import Walk
from dspec.compiler.optimizers.base import Spec
from dspec.compiler.optimizers.table import SPECS
from dspec.runtime.adapters import adapter, extraction
from dspec.runtime.errors import NoAnswer, ParseError
from dspec.runtime.models.engine import Tally
from dspec.runtime.models.limits import FURTHER
from dspec.runtime.models.prices import takes_schema
from dspec.runtime.models.transports.answers import billable
from dspec.runtime.running.execute import run
from dspec.runtime.schema.lms import LM, AdapterName
from dspec.runtime.schema.program import Demo, FieldSpec, Program
from dspec.runtime.schema.types import ANY, JsonValue
from dspec.runtime.schema.usage import Usage


def on_priced(program: Program) -> Program:
    return program.with_lms({"fake": PRICED})


def asserting(program: Program) -> Program:
    """The program with a check that unknown labels break, which prompts tell of."""
    known = must(binary(var("label"), "!=", const("L?")), "give a label that is known")
    checks = (known.model_copy(update={"told": "a label is known"}),)
    ask = program.predictors["ask"]
    signature = ask.signature.model_copy(update={"checks": checks, "max_retries": 1})
    return program.model_copy(update={"predictors": {"ask": ask.model_copy(update={"signature": signature})}})


def within(tally: Tally, maximum: Bill) -> None:
    spent = tally.spent
    assert maximum.usd is not None
    assert maximum.input_tokens is not None
    assert maximum.output_tokens is not None
    assert spent.calls <= maximum.calls
    assert spent.input_tokens <= maximum.input_tokens
    assert spent.output_tokens <= maximum.output_tokens
    assert spent.usd <= maximum.usd


@pytest.mark.slow
@pytest.mark.parametrize("name", [*CASES, "GEPA"])
@pytest.mark.parametrize("tokens", ["bytes", "fours"])
@pytest.mark.parametrize("program", [classifier(), pipeline()], ids=["one", "two"])
async def test_no_compile_takes_more(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, tokens: Tokens, program: Program
) -> None:
    """And a compile of what has been seen is what is expected, to the call."""
    made = project(tmp_path, CASES.get(name, GEPA).step, program=on_priced(program), lms=(PRICED,))
    planned = plan_of(made, "tuned", tmp_path)
    reply = keeps(writes_by_question(learner), tokens)
    built, _, tally = await compiled(monkeypatch, tmp_path, made, reply)
    assert built.status == "complete"
    within(tally, planned.maximum)
    needed = built.spent.total
    expected = planned.expected(seen(planned.guess, built.spent))
    assert expected.calls == needed.calls
    assert expected.tokens == pytest.approx(needed.tokens, abs=8)
    assert expected.usd == pytest.approx(needed.usd, rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["LabeledFewShot", "BootstrapFewShot", "RandomSearch, full", "COPRO, full", "SIMBA"]
)
@pytest.mark.parametrize("tokens", ["bytes", "fours"])
@pytest.mark.parametrize("extract", [None, "reader"])
@pytest.mark.parametrize("program", [asserting(classifier()), pipeline()], ids=["one", "two"])
async def test_two_steps_are_two_calls(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    name: str,
    tokens: Tokens,
    extract: str | None,
    program: Program,
) -> None:
    """Each is as long as it may, of one model or two."""
    lm = PRICED.model_copy(update={"adapter": "two_step", "extract": extract})
    reader = PRICED.model_copy(update={"name": "reader", "max_tokens": 200, "price_output": 9.0})
    lms = (lm, reader) if extract else (lm,)
    made = project(
        tmp_path, CASES[name].step, program=program.with_lms({one.name: one for one in lms}), lms=lms
    )
    planned = plan_of(made, "tuned", tmp_path)
    reply = in_two_steps(writes_by_question(learner), tokens)
    built, script, tally = await compiled(monkeypatch, tmp_path, made, reply)
    assert built.status == "complete"
    within(tally, planned.maximum)
    first = [asked for asked in script.asked if free(asked)]
    second = [asked for asked in script.asked if said(asked) is not None]
    again = [asked for asked in second if "could not be read" in asked.request.messages[-1].content]
    # Of a program that is given up in the middle, an answer may be read no more.
    assert 0 < len(second) - len(again) <= len(first)
    assert again, "some are asked again, and the first step is not"
    assert {asked.request.lm.name for asked in second} == {extract or "fake"}


async def test_long_rows_and_demos_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row of 60,000 bytes is in every prompt as soon as it is a demo."""
    made = project(tmp_path, DEMOS, program=on_priced(classifier()), lms=(PRICED,))
    short = plan_of(made, "tuned", tmp_path).maximum
    rows = (tmp_path / "rows.jsonl").read_text(encoding="utf-8").split("\n")
    tail = f' {"word " * 12_000}", "label"'
    longer = [row.replace('", "label"', tail) if at % 9 == 0 else row for at, row in enumerate(rows)]
    (tmp_path / "rows.jsonl").write_text("\n".join(longer), encoding="utf-8")
    planned = plan_of(made, "tuned", tmp_path)
    assert (planned.maximum.input_tokens or 0) > 20 * (short.input_tokens or 0)
    built, _, tally = await compiled(monkeypatch, tmp_path, made, keeps(learner, "bytes"))
    assert built.status == "complete"
    within(tally, planned.maximum)
    assert tally.spent.input_tokens > (short.input_tokens or 0), "without the rows' length it was no bound"


@pytest.mark.parametrize("said", [True, False])
async def test_requests_that_fail_and_are_billed_stay_within_the_second_maximum(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: bool
) -> None:
    """Each request is answered at the last try that `retry` gives it: all those before are billed. Where nobody wrote
    `retry`, the maximum also covers the tries that are made while others are answered."""
    lm = PRICED.model_copy(update={"retry_said": said})
    made = project(tmp_path, DEMOS, program=classifier().with_lms({"fake": lm}), lms=(lm,))
    planned = plan_of(made, "tuned", tmp_path)
    asked: dict[object, int] = {}
    good = keeps(learner, "bytes", unreadable=0)

    def late(one: Asked) -> object:
        key = (one.request.messages, one.request.sample, one.request.temperature)
        asked[key] = asked.get(key, 0) + 1
        answer = good(one)
        if asked[key] % (1 + PRICED.retry):
            usage = getattr(answer, "usage", Usage())
            return billable(NoAnswer("nothing"), Usage(usage.input_tokens, PRICED.max_tokens or 0))
        return answer

    monkeypatch.setattr("dspec.runtime.models.limits.Backoff.delay", lambda *_: 0.0)
    _, _, tally = await compiled(monkeypatch, tmp_path, made, late)  # pyright: ignore[reportArgumentType]
    assert tally.spoiled == PRICED.retry * tally.calls
    within(tally, planned.failing)
    tries = 1 + lm.retry + (0 if said else FURTHER)
    assert planned.failing.usd == pytest.approx(tries * (planned.maximum.usd or 0))


@pytest.mark.parametrize(
    "name", ["BootstrapFewShot", "RandomSearch, full", "COPRO, full", "KNNFewShot", "InferRules"]
)
async def test_what_was_seen_tells_of_other_rows_options_and_prices(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    """Within a factor of two, where no search ends early."""
    first, second = tmp_path / "a", tmp_path / "b"
    first.mkdir()
    second.mkdir()
    reply = keeps(writes_by_question(learner), "fours")
    made = project(first, CASES[name].step, program=on_priced(classifier()), lms=(PRICED,))
    planned = plan_of(made, "tuned", first)
    built, _, _ = await compiled(monkeypatch, first, made, reply)
    dearer = PRICED.model_copy(update={"price_input": 3.0})
    program = classifier().with_lms({"fake": dearer})
    other = project(second, CASES[name].step, program=program, lms=(dearer,), part=45)
    expected = plan_of(other, "tuned", second).expected(seen(planned.guess, built.spent))
    again, _, _ = await compiled(monkeypatch, second, other, reply)
    needed = again.spent.total
    assert expected.usd is not None
    assert 0.5 * needed.usd <= expected.usd <= 2 * needed.usd
    assert 0.5 * needed.calls <= expected.calls <= 2 * needed.calls


def test_a_budget_is_held_against_both(tmp_path: Path) -> None:
    made = project(
        tmp_path,
        step("BootstrapFewShotWithRandomSearch", **SETS),
        program=on_priced(classifier()),
        lms=(PRICED,),
    )
    planned = plan_of(made, "tuned", tmp_path)
    expected, most = planned.expected(), planned.maximum
    assert expected.usd is not None
    assert most.usd is not None

    def short(usd: float) -> list[bool]:
        return [one.short for one in shortfalls(ir.Budget(usd=usd), expected, most)]

    assert short(expected.usd / 2) == [True]
    assert short((expected.usd + most.usd) / 2) == [False]
    assert short(most.usd) == []
    calls = [one.short for one in shortfalls(ir.Budget(calls=most.calls - 1, tokens=10), expected, most)]
    assert calls == [False, True]


def test_every_optimizer_says_what_it_adds_to_prompts() -> None:
    """What is not said would be no part of the maximum."""
    plain = Spec.__struct_defaults__
    for name, spec in SPECS.items():
        if "demos" in spec.sets:
            assert spec.shows not in plain, name
        if spec.prompts:
            assert spec.writes not in plain, name


@given(
    st.recursive(
        st.lists(st.sampled_from(["[[ ## a", " ## ]]", "<a>", "</a>", "\\", '"', "é", "\n"])).map("".join),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["[[ ##", "b"]), inner),
        max_leaves=4,
    )
)
def test_the_bound_of_a_value_holds_in_every_layout(value: JsonValue) -> None:
    field = FieldSpec(name="a", type=ANY)
    for name in get_args(AdapterName):
        layout = adapter(name)
        shown, empty = (
            layout.answer(Demo(inputs={}, outputs={"a": one}), (field,)).encode() for one in (value, "")
        )
        assert len(shown) - len(empty) <= bytes_of(value)


@given(
    st.sampled_from(get_args(AdapterName)),
    st.sampled_from(["mistral/mistral-large-latest", "openai/gpt-4o-mini", "openai/our-own"]),
    st.sampled_from(["", "rules", "demos"]),
    st.text("[ #]<a>/\\é\n", max_size=40),
)
@settings(deadline=None)
def test_no_request_is_longer_than_its_frame_and_inputs(
    name: AdapterName, model: str, more: str, text: str
) -> None:
    """Whatever a prompt says besides, and with a schema where one is sent, in both of two steps."""
    program = asserting(classifier()) if more == "rules" else classifier()
    if more == "demos":
        program = program.with_predictor("ask", demos=(Demo(inputs={"text": text}, outputs={"label": text}),))
    lm = LM(name="fake", model=model, adapter=name, max_tokens=60)
    program = program.with_lms({"fake": lm})
    said = f"{text} it is"
    engine = Told([said, chat(label="L1")] if lm.two_step else [chat(label="L1"), chat(label="L1")])
    try:
        asyncio.run(run(program, {"text": text}, engine))
    except ParseError:
        assert name != "two_step"
    walk = Walk(program, Most(), lms={}, more={})
    asked = program.predictors["ask"]
    frames = [(walk.frame(asked, lm), text)]
    if lm.two_step:
        frames.append((walk.frame(extraction(asked, "fake"), lm, extracting=True), said))
    for request, (frame, value) in zip(engine.requests, frames, strict=False):
        sent = request.form if takes_schema(lm) and request.form else request.response_format
        size = sum(len(one.content.encode()) for one in request.messages)
        size += 0 if sent is None else len(json.dumps(sent, ensure_ascii=False).encode())
        assert size <= frame + bytes_of(value)
