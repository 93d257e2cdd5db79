"""Steps that ask a second model: in a whole compile, in the plan, in the ledger, and offline."""

from __future__ import annotations

from pathlib import Path

import pytest
from building import build, compiled, plan_of, project
from scripted import Asked, classifier, jitter, pipeline
from writing import Model, is_writing, skill

from dspec.compiler import ir
from dspec.compiler.check.analysis import analyse
from dspec.compiler.evaluate.store import Store
from dspec.runtime.models.engine import Engine
from dspec.runtime.models.ledger import Ledger
from dspec.runtime.schema.program import LM, Program

WRITER = LM(name="writer", model="embedded/writer", fallback=("spare",))
SPARE = LM(name="spare", model="embedded/spare")
COPRO = ir.StepSpec(name="reword", optimizer="COPRO", options={"breadth": 4, "depth": 2})
MIPRO = ir.StepSpec(name="joint", optimizer="MIPROv2", options={"max_labeled_demos": 2})
DEMOS = ir.StepSpec(name="demos", optimizer="BootstrapFewShot", options={"max_labeled_demos": 2})
ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("step", [COPRO, MIPRO])
async def test_the_blocks_prompt_lm_writes_the_instructions(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, step: ir.StepSpec
) -> None:
    made = project(tmp_path, step, lms=(WRITER, SPARE), prompt_lm="writer")
    built, script, _ = await compiled(monkeypatch, tmp_path, made, Model([70, 40]))
    models = {(is_writing(asked), asked.request.lm.model) for asked in script.asked}
    assert models == {(True, "embedded/writer"), (False, "embedded/scripted")}
    assert skill(built.artifact.program) == 70
    assert set(built.artifact.program.lms) == {"fake"}
    assert built.artifact.provenance is not None
    assert built.artifact.provenance.models == {"fake": "embedded/scripted", "prompt": "embedded/writer"}
    own, script, _ = await compiled(monkeypatch, tmp_path, project(tmp_path, step), Model([70, 40]))
    assert {asked.request.lm.name for asked in script.asked} == {"fake"}
    assert skill(own.artifact.program) == 70


@pytest.mark.parametrize("program", [classifier(), pipeline()])
@pytest.mark.parametrize(
    "steps",
    [(COPRO,), (MIPRO,), (DEMOS, MIPRO), (MIPRO, COPRO), (COPRO, COPRO.model_copy(update={"name": "again"}))],
)
async def test_the_compile_stays_within_the_plan(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, program: Program, steps: tuple[ir.StepSpec, ...]
) -> None:
    made = project(tmp_path, *steps, program=program)
    planned = plan_of(made, "tuned", tmp_path)
    built, script, tally = await compiled(monkeypatch, tmp_path, made, Model([30, 60, 45]), latency=jitter())
    assert planned.least <= built.spent.calls <= planned.most
    assert script.calls == built.spent.calls - tally.shared
    assert 0 < built.spent.prompt.calls <= sum(step.prompt.most for step in planned.steps)
    for outcome in built.steps:
        assert outcome.spent.prompt.calls <= outcome.planned.prompt.most
        assert outcome.spent.calls <= outcome.planned.calls.most
    assert built.final is not None
    assert built.baseline is not None
    assert built.final.score >= built.baseline.score


async def test_a_second_compile_asks_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made = project(tmp_path, MIPRO, COPRO)
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        first, _, _ = await compiled(monkeypatch, tmp_path, made, Model([30, 60]), ledger=ledger)
        second, script, _ = await compiled(monkeypatch, tmp_path, made, Model([30, 60]), ledger=ledger)
    assert script.calls == 0
    assert second.artifact == first.artifact
    assert second.spent == first.spent


async def test_prompt_calls_count_against_the_budget(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made = project(tmp_path, COPRO, budget=ir.Budget(calls=22))
    built, script, _ = await compiled(monkeypatch, tmp_path, made, Model([60]), threads=1)
    assert built.status == "budget"
    assert script.calls == 22
    assert sum(is_writing(asked) for asked in script.asked) == 2
    assert skill(built.artifact.program) == 20


def test_the_plan_tells_what_proposals_may_cost(tmp_path: Path) -> None:
    found = plan_of(project(tmp_path, COPRO), "tuned", tmp_path)
    assert found.steps[0].prompt == (0, 11)
    assert any("11 calls write instructions" in note for note in found.notes)
    priced = LM(name="writer", model="hosted_vllm/w", price_input=1.0, price_output=10.0, max_tokens=300)
    dear = plan_of(project(tmp_path, COPRO, lms=(priced,), prompt_lm="writer"), "tuned", tmp_path)
    assert dear.expected().usd == pytest.approx(8 * (3000 + 3000) / 1e6)
    assert dear.maximum.usd is not None
    assert dear.maximum.usd > 11 * (3000 + 3000) / 1e6
    unknown = LM(name="writer", model="nobody/knows")
    nobody = plan_of(project(tmp_path, COPRO, lms=(unknown,), prompt_lm="writer"), "tuned", tmp_path)
    assert nobody.expected().usd is nobody.maximum.usd is None


async def test_fallbacks_of_the_prompt_model_come_along(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from dspec.runtime.errors import Refused

    def reply(asked: Asked) -> dict[str, str] | Exception:
        return Refused("no") if asked.request.lm.name == "writer" else Model([70])(asked)

    made = project(tmp_path, COPRO, lms=(WRITER, SPARE), prompt_lm="writer")
    built, _, _ = await compiled(monkeypatch, tmp_path, made, reply)
    assert skill(built.artifact.program) == 70


@pytest.mark.parametrize("step", ["COPRO(breadth = 6, depth = 2)", "MIPROv2()"])
async def test_the_embedded_model_learns_from_its_own_instructions(step: str) -> None:
    path = ROOT / "examples" / "tickets" / "tickets.dspec"
    text = path.read_text(encoding="utf-8")
    head, _, rest = text.partition("  step labels")
    tail = rest[rest.index("eval ship") :]
    found = analyse(path, text=f"{head}  step written = {step}\n}}\n\n{tail}")
    assert found.project is not None, found.diagnostics
    async with Engine() as engine:
        built = await build(found.project, "router_v1", path.parent, engine=engine, store=Store())
    assert built.baseline is not None
    assert built.final is not None
    assert built.comparison is not None
    assert built.final.score > built.baseline.score + 0.2
    assert built.comparison.low > 0
    instruction = built.artifact.program.predictors["router"].signature.instruction
    assert instruction.startswith("Decide which intent a support ticket expresses.\n- use `")
    assert built.spent.calls <= built.plan.most
