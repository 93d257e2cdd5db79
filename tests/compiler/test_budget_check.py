"""`on_error` and `budget` as written: what the IR holds, and what is reported before a cent is spent."""

from __future__ import annotations

from pathlib import Path

import pytest
from faulting import project
from scripted import FAKE

from dspec.compiler import ir
from dspec.compiler.check.analysis import Analysis, analyse
from dspec.compiler.compile.affording import spell
from dspec.compiler.evaluate.budget import Wall
from dspec.runtime.errors import BudgetExceeded
from dspec.runtime.models.protocol import Message, Request
from dspec.runtime.schema.usage import Spent

EVAL = "\neval ship { program = tuned; metric = right; data = texts.test; SETTING }\n"


def checked(folder: Path, *, optimize: str = "", setting: str = "") -> Analysis:
    made = project(folder, rows=60)
    text = made.source.read_text().replace("  seed = 9", f"  seed = 9\n  {optimize}")
    made.source.write_text(text + EVAL.replace("SETTING", setting))
    return analyse(made.source)


def test_unless_it_is_said_failures_stop_and_nothing_is_limited(tmp_path: Path) -> None:
    found = checked(tmp_path).project
    assert found is not None
    assert (found.optimizes["tuned"].on_error, found.optimizes["tuned"].budget) == ("stop", ir.Budget())
    assert (found.evals["ship"].on_error, found.evals["ship"].budget) == ("stop", None)


def test_what_is_said_is_in_the_ir(tmp_path: Path) -> None:
    found = checked(
        tmp_path,
        optimize='on_error = "score_zero"; budget { minutes = 2.5 }',
        setting='on_error = "score_zero"; budget { calls = 100; usd = 0.5; tokens = 9000 }',
    ).project
    assert found is not None
    assert found.optimizes["tuned"].on_error == found.evals["ship"].on_error == "score_zero"
    assert found.optimizes["tuned"].budget == ir.Budget(minutes=2.5)
    assert found.evals["ship"].budget == ir.Budget(calls=100, usd=0.5, tokens=9000)


@pytest.mark.parametrize(
    ("setting", "code", "said"),
    [
        ('on_error = "zero"', "DS0110", 'did you mean "score_zero"?'),
        ("on_error = score_zero", "DS0110", '`on_error` takes "stop" or "score_zero"'),
        ("budget { calls = 0 }", "DS0115", "at least 1"),
        ("budget { calls = 59 }", "DS0702", "scoring `tuned` once on `texts.test` takes at least 60"),
    ],
)
def test_what_does_not_fit_is_reported(setting: str, code: str, said: str, tmp_path: Path) -> None:
    found = [each for each in checked(tmp_path, setting=setting).diagnostics if each.code == code]
    assert len(found) == 1
    assert said in found[0].message


def test_an_eval_in_dollars_needs_a_price(tmp_path: Path) -> None:
    made = project(tmp_path, rows=60)
    text = made.source.read_text().replace("  price { input = 1.0; output = 2.0 }\n", "")
    made.source.write_text(text + EVAL.replace("SETTING", "budget { usd = 1.0 }"))
    assert [each.code for each in analyse(made.source).diagnostics if each.severity == "error"] == ["DS0710"]


UNBOUNDED = "  max_tokens = 40\n"


@pytest.mark.parametrize("unit", ["usd", "tokens", "calls", "minutes"])
def test_a_wall_around_answers_of_any_length_is_an_estimate(unit: str, tmp_path: Path) -> None:
    made = project(tmp_path, rows=60, budget=f"{unit} = 1000")
    bounded = made.source.read_text()
    assert UNBOUNDED in bounded
    assert not [each for each in analyse(made.source).diagnostics if each.code == "DS0711"]
    found = [
        each
        for each in analyse(made.source, text=bounded.replace(UNBOUNDED, "")).diagnostics
        if each.code == "DS0711"
    ]
    if unit in ("calls", "minutes"):
        assert not found
        return
    (warning,) = found
    assert warning.severity == "warning"
    assert warning.help == "write `max_tokens = …` in lm `fake`"
    (declared,) = warning.secondary
    assert declared.location.source.text[declared.location.start : declared.location.end] == "fake"
    (fix,) = warning.fixes
    assert [edit.replacement for edit in fix.edits] == ["\n  max_tokens = 1000"]


@pytest.mark.parametrize(
    ("model", "free"),
    [('model = "embedded/icl"', True), ('model = "openai/fake"', False)],
)
def test_what_answers_cost_nothing_needs_no_bound(model: str, free: bool, tmp_path: Path) -> None:
    made = project(tmp_path, rows=60, budget="usd = 1.0")
    text = made.source.read_text().replace(UNBOUNDED, "").replace('model = "openai/fake"', model)
    codes = {each.code for each in analyse(made.source, text=text).diagnostics}
    assert ("DS0711" in codes) is not free
    text = text.replace("output = 2.0", "output = 0.0")
    assert "DS0711" not in {each.code for each in analyse(made.source, text=text).diagnostics}


@pytest.mark.parametrize(
    ("unit", "amount", "said"),
    [
        ("calls", 1, "1 call"),
        ("calls", 2000, "2,000 calls"),
        ("tokens", 1, "1 token"),
        ("minutes", 1.0, "1 minute"),
        ("minutes", 0.5, "0.5 minutes"),
    ],
)
async def test_an_amount_is_said_as_it_is(unit: str, amount: float, said: str) -> None:
    assert spell(unit, amount) == said
    wall = Wall(ir.Budget.model_validate({unit: amount}), clock=iter([0.0, 1e9]).__next__)
    wall.spent = Spent(calls=int(amount))
    with pytest.raises(BudgetExceeded, match=f"budget of {said}\n"):
        await wall.reserve(Request(FAKE, (Message("user", "Hello?"),)))
