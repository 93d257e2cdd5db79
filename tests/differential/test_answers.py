"""The table of awkward answers (`tests/runtime/answers.txt`) read here and by DSPy: who reads what rightly.

Only what one answer's text gives is compared: what either does about an answer that it refuses is another matter.
"""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import environment
import pytest
from answers import AwkwardAnswer, awkward
from programs import fields, predictor

from dspec.runtime.adapters import adapter
from dspec.runtime.schema.types import STR, Row

HERE = Path(__file__).resolve().parent
ANSWERS, RECORDS = awkward()


def ours(case: AwkwardAnswer) -> Row | None:
    cut = "was cut off" if case.cut else ""
    asked = predictor(fields(question=STR), case.outputs)
    reading = adapter(case.adapter).read(asked, case.answer, RECORDS, cut=cut)
    return None if reading.problems else reading.values


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    if not environment.ready():
        pytest.skip("DSPy's environment is not there: python tests/differential/environment.py")
    folder = tmp_path_factory.mktemp("answers")
    cases = [
        {
            "adapter": case.adapter,
            "answer": case.answer,
            "outputs": {output.name: output.type.model_dump(mode="json") for output in case.outputs},
        }
        for case in ANSWERS
    ]
    records = {
        name: {member.name: member.type.model_dump(mode="json") for member in record.fields}
        for name, record in RECORDS.items()
    }
    given, results = folder / "cases.json", folder / "results.json"
    given.write_text(json.dumps({"records": records, "cases": cases}), encoding="utf-8")
    command = [str(environment.PYTHON), str(HERE / "dspy_answers.py"), str(given), str(results)]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    return json.loads(results.read_text(encoding="utf-8"))


def test_fewer_answers_are_read_wrongly_than_by_dspy(theirs: list[Any]) -> None:
    here = Counter(case.judged(ours(case)) for case in ANSWERS)
    there = Counter(case.judged(values) for case, values in zip(ANSWERS, theirs, strict=True))
    assert here["wrong"] == 0, here
    assert here["refused though plain"] < 6, here
    # It reads the plain ones: else this compares nothing.
    assert there["read"] > 100, there
    assert there["wrong"] > 20, there
