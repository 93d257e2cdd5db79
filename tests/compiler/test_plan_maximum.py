"""A plan's maximum is one: no compile takes more calls, tokens or money, whatever it shows and is answered."""

from __future__ import annotations

from pathlib import Path

import pytest
from building import compiled, plan_of, project
from every_step import CASES, GEPA, Case, writes_by_question
from keeping import Tokens, keeps
from scripted import FAKE, classifier, learner, pipeline

from dspec.compiler.compile.estimate import Bill
from dspec.runtime.models.engine import Tally
from dspec.runtime.schema.program import Program

PRICED = FAKE.model_copy(
    update={
        "model": "openai/fake",
        "api_base": "http://127.0.0.1:1/v1",
        "max_tokens": 120,
        "price_input": 1.0,
        "price_output": 4.0,
    }
)


def on_priced(program: Program) -> Program:
    return program.with_lms({"fake": PRICED})


def within(tally: Tally, maximum: Bill) -> None:
    spent = tally.spent
    assert maximum.usd is not None
    assert maximum.input_tokens is not None
    assert maximum.output_tokens is not None
    assert spent.calls <= maximum.calls
    assert spent.input_tokens <= maximum.input_tokens
    assert spent.output_tokens <= maximum.output_tokens
    assert spent.usd <= maximum.usd


@pytest.mark.parametrize("name", [*CASES, "GEPA"])
@pytest.mark.parametrize("tokens", ["bytes", "fours"])
@pytest.mark.parametrize("program", [classifier(), pipeline()], ids=["one", "two"])
async def test_no_compile_takes_more(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, tokens: Tokens, program: Program
) -> None:
    case: Case = CASES.get(name, GEPA)
    made = project(tmp_path, case.step, program=on_priced(program), lms=(PRICED,))
    planned = plan_of(made, "tuned", tmp_path)
    reply = keeps(writes_by_question(learner), tokens)
    built, _, tally = await compiled(monkeypatch, tmp_path, made, reply)
    assert built.status == "complete"
    within(tally, planned.maximum)
