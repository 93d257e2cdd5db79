"""The JSON that DSPy loads, and the command that writes it. `tests/differential` shows DSPy loading it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from dspc import dspc
from programs import fields, module, predictor, question
from scripted import classifier, pipeline

from dspec.runtime.artifact.artifact import Artifact, write_artifact
from dspec.runtime.artifact.dspy_state import dspy_state, title
from dspec.runtime.errors import ArtifactError
from dspec.runtime.schema.ensemble import Ensemble, First
from dspec.runtime.schema.program import Demo, FieldSpec, Neighbours
from dspec.runtime.schema.types import INT, STR


def test_a_predictor_as_dspy_saves_it() -> None:
    asked = predictor(
        (FieldSpec(name="text", type=STR, description="the text"),),
        fields(reasoning=STR, label2=INT),
        instruction="Classify.",
        fixed=("Be brief.",),
    ).model_copy(
        update={
            "strategy": "ChainOfThought",
            "demos": (
                Demo(inputs={"text": "é"}, outputs={"reasoning": "r", "label2": 1}, augmented=True),
                Demo(inputs={"text": "b"}, outputs={"label2": None}),
            ),
        }
    )
    assert dspy_state(module(asked)) == {
        "module.predict": {
            "traces": [],
            "train": [],
            "demos": [
                {"augmented": True, "text": "é", "reasoning": "r", "label2": 1},
                {"text": "b", "label2": None},
            ],
            "signature": {
                "instructions": "Classify.\nBe brief.",
                "fields": [
                    {"prefix": "Text:", "description": "the text"},
                    {"prefix": "Reasoning:", "description": "${reasoning}"},
                    {"prefix": "Label 2:", "description": "${label2}"},
                ],
            },
            "lm": None,
        },
        "metadata": {"dependency_versions": {}},
    }


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("camelCaseText", "Camel Case Text"),
        ("snake_case_text", "Snake Case Text"),
        ("text2number", "Text 2 Number"),
        ("HTMLParser", "HTML Parser"),
        ("q", "Q"),
    ],
)
def test_names_in_words(name: str, words: str) -> None:
    assert title(name) == words


def test_names_are_given_by_address_and_a_bare_predict_has_none() -> None:
    state = dspy_state(pipeline(), {"decide": "steps[1].predict"})
    assert list(state) == ["summarize", "steps[1].predict", "metadata"]
    bare = dspy_state(classifier(), {"ask": "self"})
    assert list(bare) == ["traces", "train", "demos", "signature", "lm", "metadata"]


def test_what_the_format_cannot_hold_is_refused() -> None:
    with pytest.raises(ArtifactError, match="no predictor `asks`"):
        dspy_state(classifier(), {"asks": "x"})
    with pytest.raises(ArtifactError, match="`decide` cannot be named `summarize`"):
        dspy_state(pipeline(), {"decide": "summarize"})
    with pytest.raises(ArtifactError, match="cannot be named `metadata`"):
        dspy_state(classifier(), {"ask": "metadata"})
    with pytest.raises(ArtifactError, match="only predictor"):
        dspy_state(pipeline(), {"decide": "self"})
    one = module(question())
    ensemble = Ensemble(name="e", inputs=one.inputs, outputs=one.outputs, members=(one, one), reduce=First())
    with pytest.raises(ArtifactError, match="an ensemble of several"):
        dspy_state(ensemble)
    index = Neighbours(k=1, max_bootstrapped_demos=1, max_labeled_demos=1, rows=())
    with pytest.raises(ArtifactError, match="per input"):
        dspy_state(one.model_copy(update={"neighbours": index}))


def test_dspc_export(tmp_path: Path) -> None:
    program = module(question()).with_predictor(
        "module", demos=(Demo(inputs={"question": "«q»"}, outputs={"answer": "a"}),)
    )
    write_artifact(tmp_path / "p.dspc.json", Artifact(name="p", program=program))
    printed = dspc("export", "p.dspc.json", "--to", "dspy", cwd=tmp_path)
    assert printed.code == 0, printed.text
    assert json.loads(printed.out) == dspy_state(program)
    assert "«q»" in printed.out
    named = ("--predictor", "module=self", "-o", "state.json")
    written = dspc("export", "p.dspc.json", "--to", "dspy", *named, cwd=tmp_path)
    assert (written.code, written.out) == (0, "")
    assert json.loads((tmp_path / "state.json").read_text()) == dspy_state(program, {"module": "self"})


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--to", "dspy", "--predictor", "module"), 2, "ADDRESS=NAME"),
        (("--to", "dspy", "--predictor", "moduel=x"), 1, "there is no predictor `moduel`"),
        (("--to", "onnx"), 2, "dspy"),
        (("--to", "dspy", "-o", "p.dspc.json/state"), 2, "p.dspc.json/state cannot be written"),
    ],
)
def test_dspc_export_says_what_is_wrong(
    arguments: tuple[str, ...], code: int, said: str, tmp_path: Path
) -> None:
    write_artifact(tmp_path / "p.dspc.json", Artifact(name="p", program=module(question())))
    result = dspc("export", "p.dspc.json", *arguments, cwd=tmp_path)
    assert result.code == code
    assert said in result.text
