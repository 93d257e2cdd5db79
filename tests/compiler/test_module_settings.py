"""OwnSettings of modules, from the file to the plan: what is read, what a compile may take, what is kept apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from building import DEMOS, compiled, plan_of, project
from keeping import PRICED, keeps
from scripted import Asked, classifier, learner

from dspec.compiler.check.analysis import analyse
from dspec.compiler.evaluate.digests import program_digest
from dspec.compiler.evaluate.store import ProgramKey
from dspec.runtime.models.protocol import Answer
from dspec.runtime.schema.lms import LM, OwnSettings
from dspec.runtime.schema.program import Program

HEAD = """\
dspec 1

lm mini { model = "openai/gpt-4o-mini"; default = true }
lm large { model = "openai/gpt-4o" }
signature Ask { input question: str; output answer: str }
"""


def programs(tmp_path: Path, text: str) -> dict[str, Program]:
    path = tmp_path / "main.dspec"
    path.write_text(HEAD + text, encoding="utf-8")
    (tmp_path / "own.py").write_text("async def twice(question, call):\n    return {}\n", encoding="utf-8")
    analysis = analyse(path)
    assert [one.message for one in analysis.diagnostics] == []
    assert analysis.project is not None
    return analysis.project.programs


def test_every_strategy_has_them_for_all_its_predictors(tmp_path: Path) -> None:
    found = programs(
        tmp_path,
        """
extern look(query: str) -> str { "Looks it up."; source = http("https://example.com/look") }
metric short(pred: plain) = len(pred.answer) < 9
module plain = Predict(Ask, temperature = 0.9, max_tokens = 300, lm = large)
module agent = ReAct(Ask, tools = [look], max_iters = 2, top_p = 0.5)
module chains = MultiChainComparison(Ask, m = 2, temperature = 0.3, max_tokens = 50)
module best = BestOfN(Ask, n = 2, reward = short, threshold = 1.0, stop = "END")
module better = Refine(plain, n = 2, reward = short, threshold = 1.0, max_tokens = 99)
program Both(question: str) -> (answer: str) {
  let first = plain(question = question)
  return answer = agent(question = first.answer).answer
}
module own = python("own:twice", Ask, uses = [plain], max_calls = 2)
""",
    )
    said = {
        name: {address: one.settings for address, one in program.predictors.items()}
        for name, program in found.items()
    }
    plain = OwnSettings(temperature=0.9, max_tokens=300)
    assert said["plain"] == {"plain": plain}
    assert found["plain"].predictors["plain"].lm == "large"
    assert set(said["agent"].values()) == {OwnSettings(top_p=0.5)}
    assert len(said["agent"]) == 2
    assert set(said["chains"].values()) == {OwnSettings(max_tokens=50)}  # the temperature is the strategy's
    assert said["best"] == {"best.predict": OwnSettings(stop=("END",))}
    assert said["better"] == {"plain": plain, "better.advise": OwnSettings(max_tokens=99)}
    assert said["Both"] == {"plain": plain, **said["agent"]}
    assert said["own"] == {"plain": plain}


def with_settings(program: Program, **settings: Any) -> Program:
    own = OwnSettings(**settings)
    made = {name: one.model_copy(update={"settings": own}) for name, one in program.predictors.items()}
    return program.model_copy(update={"predictors": made})


def test_runs_are_kept_apart_by_them_and_programs_without_are_what_they_were() -> None:
    plain = classifier()
    assert "settings" not in plain.model_dump_json()
    changes = ({"temperature": 0.5}, {"temperature": 0.6}, {"top_p": 0.0}, {"adapter": "json"})
    digests = {program_digest(with_settings(plain, **change)) for change in changes}
    assert len(digests | {program_digest(plain)}) == 5
    keys = {ProgramKey(with_settings(plain, **one)).run("x", sample=0, temperature=None) for one in changes}
    assert len(keys) == 4


async def test_the_maximum_goes_by_the_module_s_own_limit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = classifier().with_lms({"fake": PRICED})
    whole = plan_of(project(tmp_path, DEMOS, program=program, lms=(PRICED,)), "tuned", tmp_path).maximum
    made = project(tmp_path, DEMOS, program=with_settings(program, max_tokens=60), lms=(PRICED,))
    planned = plan_of(made, "tuned", tmp_path).maximum
    assert planned.output_tokens == (whole.output_tokens or 0) // 2
    built, _, tally = await compiled(monkeypatch, tmp_path, made, keeps(learner, "bytes"))
    assert built.status == "complete"
    assert 0 < tally.spent.output_tokens <= (planned.output_tokens or 0)
    assert tally.spent.usd <= (planned.usd or 0)


async def test_the_maximum_has_the_fallbacks_that_unreadable_answers_go_to(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The first model says nothing that anybody can read: without them in it, the plan's calls were passed."""
    other = PRICED.model_copy(update={"name": "other", "model": "openai/other"})

    def lms(**changes: Any) -> dict[str, LM]:
        return {"fake": PRICED.model_copy(update={"fallback": ("other",), **changes}), "other": other}

    def planned_of(found: dict[str, LM]) -> tuple[Any, Any]:
        program = classifier().with_lms(found)
        made = project(tmp_path, DEMOS, program=program, lms=tuple(found.values()))
        return made, plan_of(made, "tuned", tmp_path)

    _, alone = planned_of(lms())
    made, planned = planned_of(lms(on_unreadable="fallback"))
    assert planned.most == alone.most
    assert planned.most + planned.again == 2 * (alone.most + alone.again)
    good = keeps(learner, "bytes", unreadable=0)

    def answer(asked: Asked) -> object:
        found = good(asked)
        assert isinstance(found, Answer)
        if asked.request.lm.name == "other":
            return found
        return Answer("nobody can read this " * 5, found.usage)

    built, _, tally = await compiled(monkeypatch, tmp_path, made, answer)  # pyright: ignore[reportArgumentType]
    assert built.status == "complete"
    spent, maximum = tally.spent, planned.maximum
    assert spent.calls == 3 * planned.baseline.most
    assert spent.calls <= maximum.calls
    assert spent.input_tokens <= (maximum.input_tokens or 0)
    assert spent.output_tokens <= (maximum.output_tokens or 0)
    assert spent.usd <= (maximum.usd or 0)
