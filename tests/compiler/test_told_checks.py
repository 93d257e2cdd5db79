"""What an `assert` demands stands in the prompt before it is broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from dspec.compiler.check.analysis import analyse
from dspec.runtime.adapters import adapter
from dspec.runtime.running.strategies.table import STRATEGIES
from dspec.runtime.schema.lms import AdapterName
from dspec.runtime.schema.program import Program, canonical
from dspec.runtime.schema.types import Row

SOURCE = """\
dspec 1

lm mini { model = "embedded/icl" }
record Line { field sku: str; field qty: int; assert qty > 0 else "quantity must be positive" }
record Gift { field text: str; assert text != "" else "a gift has a text" }
dataset rows {
  source = jsonl("rows.jsonl"); input text: str; input gift: Gift
  field line: Line; field urgency: float; split { train = 2; val = 2 }
}
signature Read {
  "Read it."
  input text: str
  input gift: Gift
  output line: Line
  output urgency: float
  assert 0.0 <= urgency and urgency <= 1.0 else "urgency must lie in 0..1"
  assert   line.qty   < 100
  assert line.sku != text else "not " + text
  suggest urgency > 0.1 else "rarely that calm"
  suggest line.qty < 50
}
module reads = Predict(Read)
module reasons = ChainOfThought(Read)
metric exact(gold: rows, pred: reads) { score = gold.urgency == pred.urgency }
"""
CHAIN = """\
optimize here { program = reads; metric = exact; train = rows.train; val = rows.val; step a = LabeledFewShot(k = 1) }
optimize there { compat = "dspy"; program = reads; metric = exact; train = rows.train; val = rows.val; step a = LabeledFewShot(k = 1) }
optimize once { program = reads; metric = exact; train = rows.train; val = rows.val; step a = LabeledFewShot(k = 1, compat = "dspy") }
"""
TOLD = """\
What must hold of an answer:
- urgency must lie in 0..1
- line.qty < 100
- line.sku != text
- Line: quantity must be positive
"""
CODED = """\
dspec 1

lm mini { model = "openai/gpt-4o-mini" }
record Line { field sku: str; field qty: int; assert qty > 0 else "quantity must be positive" }
signature Read {
  "Read it."
  input text: str
  output line: Line
  assert line.qty < 100 else "below {{100}}"
  suggest line.qty < 50
}
module sums = ProgramOfThought(Read)
module reader = RLM(Read)
"""
LINE = 'Line as a JSON object {"sku": text, "qty": whole number}'
MUST = "What must hold of that:\n- below {{100}}\n- Line: quantity must be positive"
GIVEN: Row = {"text": "a", "gift": {"text": "b"}}


def project(folder: Path):  # type: ignore[no-untyped-def]
    path = folder / "a.dspec"
    row = '{"text": "a", "gift": {"text": "b"}, "line": {"sku": "s", "qty": 1}, "urgency": 0.5}\n'
    (folder / "rows.jsonl").write_text(row * 4)
    path.write_text(SOURCE + CHAIN)
    found = analyse(path)
    assert found.project is not None, [one.message for one in found.diagnostics]
    return found.project


def system(program: Program, address: str, layout: AdapterName = "chat") -> str:
    return adapter(layout).render(program.predictors[address], GIVEN, program.records)[0].content


@pytest.mark.parametrize("layout", ["chat", "json", "xml"])
@pytest.mark.parametrize("address", ["reads", "reasons"])
def test_every_layout_says_what_must_hold(tmp_path: Path, layout: AdapterName, address: str) -> None:
    """An input's record is none of the answer's, a `suggest` is none that must hold."""
    program = project(tmp_path).on_lm(address, None)
    told = system(program, address, layout)
    assert TOLD in told
    assert "gift has" not in told
    assert "calm" not in told


def test_dspys_schedule_leaves_it_out(tmp_path: Path) -> None:
    found = project(tmp_path)
    assert TOLD in system(found.student("here"), "reads")
    for block in ("there", "once"):
        student = found.student(block)
        assert "must hold" not in system(student, "reads")
        assert student.predictors["reads"].signature.checks[0].message.value == "urgency must lie in 0..1"


def test_a_program_without_it_is_what_it_was(tmp_path: Path) -> None:
    """As an artifact of an older version, which has no word of it: neither has what is hashed and written of it."""
    program = project(tmp_path).on_lm("reads", None).untold()
    assert "told" not in canonical(program.model_dump(mode="json"))
    assert Program.model_validate(program.model_dump(mode="json")) == program
    assert program.untold() is program
    assert "must hold" not in system(program, "reads")


def test_code_that_submits_is_told_as_well(tmp_path: Path) -> None:
    """Its call of `submit` is where they are checked. An artifact from before that keeps its prompts."""
    path = tmp_path / "a.dspec"
    path.write_text(CODED)
    found = analyse(path).project
    assert found is not None
    for address, role in (("sums", "generate"), ("sums", "regenerate"), ("reader", "act")):
        program = found.on_lm(address, None)
        assert isinstance(program, Program)
        module = program.modules[address]
        telling = STRATEGIES[module.strategy].roles[role].told
        assert telling is not None
        told = telling(program, module).signature.fixed
        assert any(f"`submit` takes:\n- line: {LINE}\n{MUST}" in one for one in told), told
        assert "must hold" not in str(telling(program.untold(), module).signature.fixed)
        asked = program.predictors[f"{address}.{role}"]
        before = asked.model_copy(update={"signature": asked.signature.model_copy(update={"submits": False})})
        old = program.model_copy(update={"predictors": {**program.predictors, f"{address}.{role}": before}})
        assert "must hold" not in str(telling(old, module).signature.fixed)
