"""A metric that fails is named, with its place and the row, and is never a low score unsaid."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from dspc import dspc
from scripted import classifier

from dspec.compiler.check.analysis import analyse
from dspec.compiler.data import Example
from dspec.compiler.optimizers.demos import with_labels
from dspec.runtime.schema.types import FLOAT

HEAD = """\
dspec 1

lm learner { model = "embedded/icl" }
type L = "cat" | "dog"
module f = Predict(sig(text -> label: L))
dataset d { source = csv("d.csv")
  input text: str
  field label: L
  split { train = 40; val = 30 } }
"""
END = """
optimize best { program = f; metric = ok; train = d.train; val = d.val%s
  step a = BootstrapFewShot() }
"""
RIGHT = "{ score = if gold.label == pred.label then %s else 0; accept = score > 0 }"


def project(folder: Path, metric: str, block: str = "") -> Path:
    (folder / "dspec.toml").touch()
    rows = (
        f"message number {n} about {('dogs', 'cats')[n % 2]},{('dog', 'cat')[n % 2]}\n" for n in range(70)
    )
    (folder / "d.csv").write_text("text,label\n" + "".join(rows))
    path = folder / "main.dspec"
    path.write_text(f"{HEAD}metric ok(gold: d, pred: f) {metric}\n{END % block}")
    return path


def test_one_row_that_a_metric_fails_on_is_named_and_no_score(tmp_path: Path) -> None:
    project(
        tmp_path,
        RIGHT % '1 / (len(gold.text) - len(gold.text) + (if contains(gold.text, " 50 ") then 0 else 1))',
    )
    failed = dspc("compile", "main.dspec", cwd=tmp_path)
    assert failed.code == 1
    assert "`score` of metric `ok` (main.dspec:10) failed on row 51" in failed.text
    assert "score_zero" in failed.text
    assert not (tmp_path / "compiled").exists()
    project(
        tmp_path,
        (tmp_path / "main.dspec").read_text().split("pred: f) ")[1].split("\n")[0],
        '; on_error = "score_zero"',
    )
    lenient = dspc("compile", "main.dspec", cwd=tmp_path)
    assert lenient.code == 0, lenient.text
    assert "the metric failed on 1 row, which scored 0" in " ".join(lenient.out.split())
    assert "usable answer" not in lenient.text
    notes = json.loads((tmp_path / "compiled" / "best.dspc.json").read_text())["notes"]
    assert notes == ["the metric failed on 1 row, which scored 0, as `on_error` says"]


def test_an_eval_names_rows_that_its_metric_fails_on(tmp_path: Path) -> None:
    path = project(tmp_path, RIGHT % '1 / (if contains(gold.text, " 50 ") then 0 else 1)')
    text = path.read_text() + 'eval e { program = f; metric = ok; data = d; on_error = "score_zero" }\n'
    path.write_text(text)
    assert (
        "1 row on which the metric failed (scored 0, as `on_error` says)"
        in dspc("eval", path, cwd=tmp_path).out
    )


@pytest.mark.parametrize(
    ("body", "codes"),
    [
        (RIGHT % "1", []),
        (RIGHT % "5", ["DS0510"]),
        (RIGHT % "-0.5", ["DS0510"]),
        (RIGHT % "(2 - 0.5)", ["DS0510"]),
        ("= if gold.text == pred.label then 1 else if gold.label == pred.label then 1 else 2", ["DS0510"]),
        ("= f1(gold.text, pred.label) * 100", ["DS0510"]),
        ("= f1(gold.text, pred.label) + 2", ["DS0510"]),
        ("= f1(gold.text, pred.label) / 2 + f1(gold.label, pred.label) / 2", []),
        ("= min(1, f1(gold.text, pred.label) * 100)", []),
        ("{ let five = 5; score = if gold.label == pred.label then five else 0 }", ["DS0510"]),
        ("{ let points = if gold.label == pred.label then 5 else 0; score = points }", ["DS0510"]),
        (
            "{ let a = if gold.label == pred.label then (if gold.text == pred.label then 9 else 1) else 0"
            "\n let b = a\n score = b }",
            ["DS0510"],
        ),
        ("{ let points = 2 * f1(gold.text, pred.label); score = points }", ["DS0510"]),
        ("{ let points = 2 * f1(gold.text, pred.label); score = points / 2 }", []),
        ("{ let points = 2 * f1(gold.text, pred.label); score = if points > 1 then 1 else points }", []),
        ("{ let x = if gold.label == pred.label then 5 else 0; score = if x > 1 then 1 else x }", []),
        ("= mean(if gold.label == pred.label then 5 else 0)", ["DS0510"]),
        ("= mean(100 * f1(gold.text, pred.label))", ["DS0510"]),
        (
            "{ let x = if gold.label == pred.label then 5 else 0; score = 0.5 * mean(x) + 0.5 * mean(x) }",
            ["DS0510"],
        ),
        ("= round(f1(gold.text, pred.label) + 4)", ["DS0510"]),
        ("= f1(gold.text, pred.label) / 0", ["DS0513"]),
        ("= f1(gold.text, pred.label) / (1 - 1)", ["DS0513"]),
        ("{ score = f1(gold.text, pred.label); accept = score > 2 }", ["DS0504"]),
        ("{ score = f1(gold.text, pred.label); accept = not (score <= -1 or score >= 0.5) }", ["DS0504"]),
        ("{ score = f1(gold.text, pred.label); accept = f1(gold.text, pred.label) > 70 }", ["DS0504"]),
        ("{ score = f1(gold.text, pred.label); accept = score >= 0 and len(pred.label) > -1 }", []),
    ],
)
def test_a_score_that_cannot_be_one_is_found_by_check(tmp_path: Path, body: str, codes: list[str]) -> None:
    found = analyse(project(tmp_path, body)).diagnostics
    assert [one.code for one in found if one.code not in ("DS0505",)] == codes


@pytest.mark.parametrize(
    ("gate", "codes"),
    [
        ("score >= baseline.score + 5", ["DS0504"]),
        ("score >= baseline.score + 0.05", []),
        ("100 * score >= 80", []),
        ("score >= 80", ["DS0504"]),
        ("score - baseline.score > 2", []),
        ("score / 0 > 1", ["DS0513"]),
    ],
)
def test_a_gate_that_never_changes_is_found_by_check(tmp_path: Path, gate: str, codes: list[str]) -> None:
    path = project(tmp_path, RIGHT % "1")
    block = f"eval e {{ program = best; baseline = f; metric = ok; data = d; gate {gate} }}\n"
    path.write_text(path.read_text() + block)
    found = [one.code for one in analyse(path).diagnostics]
    assert [code for code in found if code != "DS0805"] == codes


def test_scores_on_training_rows_are_called_that_by_check_and_by_compile(tmp_path: Path) -> None:
    path = project(tmp_path, "= gold.label == pred.label")
    text = path.read_text().replace("val = d.val", "").replace("BootstrapFewShot()", "LabeledFewShot(k = 4)")
    path.write_text(text)
    assert [one.code for one in analyse(path).diagnostics] == ["DS0634"]
    done = dspc("compile", path, cwd=tmp_path)
    assert "training rows" in done.out
    assert "val, which chose it" not in done.out
    assert "no val: these are scores on training rows" in " ".join(done.out.split())


def test_an_eval_says_how_many_of_its_rows_are_shown(tmp_path: Path) -> None:
    path = project(tmp_path, "= gold.label == pred.label", '; compat = "dspy"')
    text = path.read_text().replace("BootstrapFewShot()", "LabeledFewShot(k = 4)")
    path.write_text(text + "eval e { program = best; metric = ok; data = d.train }\n")
    done = dspc("compile", path, "--json", cwd=tmp_path)
    assert json.loads(done.out)["compiled"][0]["evals"][0]["in_prompt"] == 4


def test_candidates_that_are_compared_on_training_rows_are_said_once(tmp_path: Path) -> None:
    path = project(tmp_path, "= gold.label == pred.label")
    steps = "".join(f"\n  step s{n} = BootstrapFewShotWithRandomSearch()" for n in range(3))
    path.write_text(
        path.read_text().replace("; val = d.val", "").replace("\n  step a = BootstrapFewShot()", steps)
    )
    assert [one.code for one in analyse(path).diagnostics].count("DS0606") == 1


@pytest.mark.parametrize(
    ("answer", "column", "codes"),
    [
        ("float", "str", ["DS0419"]),
        ("int?", "str", ["DS0419"]),
        ('"a 0" | "a 1"', "str", ["DS0419"]),
        ("str", "str", []),
        ("list[str]", "str", ["DS0419"]),
    ],
)
def test_labels_that_no_output_may_be_are_found_and_never_shown(
    tmp_path: Path, answer: str, column: str, codes: list[str]
) -> None:
    (tmp_path / "dspec.toml").touch()
    (tmp_path / "d.csv").write_text("text,answer\n" + "".join(f"q {n},a {n}\n" for n in range(20)))
    path = tmp_path / "main.dspec"
    path.write_text(
        f"""dspec 1
lm learner {{ model = "embedded/icl" }}
module f = Predict(sig(text -> answer: {answer}))
dataset d {{ source = csv("d.csv"); input text: str; field answer: {column}; split {{ train = 10; val = 10 }} }}
metric ok(gold: d, pred: f) = gold.text == str(pred.answer)
optimize best {{ program = f; metric = ok; train = d.train; val = d.val; step a = LabeledFewShot(k = 4) }}
"""
    )
    found = [one for one in analyse(path).diagnostics if one.code == "DS0419"]
    assert [one.code for one in found] == codes
    if found and answer.startswith('"'):
        assert found[0].message.startswith("18 values of `answer`")
        assert "2: " not in found[0].message


def test_numbers_in_text_are_labels_of_a_number(tmp_path: Path) -> None:
    predictor = classifier().predictors["ask"]
    number = predictor.signature.outputs[0].model_copy(update={"type": FLOAT})
    signature = predictor.signature.model_copy(update={"outputs": (number,)})
    program = classifier().model_copy(
        update={"predictors": {"ask": predictor.model_copy(update={"signature": signature})}}
    )
    labels = ("42", "1e3", "so: 42", None, "#### 42")
    rows = tuple(Example(n, {"text": f"{n}"}, {"label": one}) for n, one in enumerate(labels))
    shown = with_labels(program, rows, 9, None).predictors["ask"].demos
    assert [demo.outputs["label"] for demo in shown] == ["42", "1e3"]


def test_a_budget_that_no_candidate_fits_in_is_found_with_both_numbers(tmp_path: Path) -> None:
    path = project(tmp_path, "{ score = gold.label == pred.label; feedback = gold.label }")
    text = path.read_text()
    for calls, codes in ((8, ["DS0635"]), (59, ["DS0635"]), (60, [])):
        path.write_text(text.replace("BootstrapFewShot()", f"GEPA(max_metric_calls = {calls})"))
        found = [one for one in analyse(path).diagnostics if one.code == "DS0635"]
        assert [one.code for one in found] == codes
        assert all(
            f"score {calls} rows" in one.message and "take 60 on the 30 rows" in one.message for one in found
        )


def test_an_eval_of_a_program_against_itself_is_found(tmp_path: Path) -> None:
    path = project(tmp_path, "= gold.label == pred.label")
    path.write_text(path.read_text() + "eval e { program = f; baseline = f; metric = ok; data = d.val }\n")
    assert [one.code for one in analyse(path).diagnostics] == ["DS0815"]


FITS = """dspec 1
lm learner {{ model = "embedded/icl" }}
type L = "a" | "b"
signature S {{ input text: str; output label: L }}
module plain = Predict(S)
module cot = ChainOfThought(S)
dataset d {{ source = jsonl("r.jsonl"); input text: str; field label: L; field note: str }}
dataset bare {{ source = jsonl("bare.jsonl"); input text: str; field label: L }}
metric ok(gold: d, pred: cot) {metric}
eval e {{ program = plain; metric = ok; data = bare }}
"""


@pytest.mark.parametrize(
    ("metric", "codes"),
    [
        ("= gold.label == pred.label", []),
        ("{ score = gold.label == pred.label; feedback = pred.reasoning }", ["DS0511"]),
        ('= gold.label == pred.label and gold.note != ""', ["DS0511"]),
        ("= contains(pred.label, gold.label)", []),
        ('= llm_judge("So.", learner, said = pred.label, why = gold.note)', ["DS0511"]),
    ],
)
def test_a_metric_fits_what_has_all_that_it_reads(tmp_path: Path, metric: str, codes: list[str]) -> None:
    (tmp_path / "dspec.toml").touch()
    (tmp_path / "r.jsonl").write_text('{"text": "x", "label": "a", "note": ""}\n')
    (tmp_path / "bare.jsonl").write_text('{"text": "x", "label": "a"}\n')
    path = tmp_path / "main.dspec"
    path.write_text(FITS.format(metric=metric))
    assert [one.code for one in analyse(path).diagnostics] == codes


def test_reasoning_comes_first_wherever_the_signature_has_it(tmp_path: Path) -> None:
    path = tmp_path / "main.dspec"
    path.write_text(
        """dspec 1
lm learner { model = "embedded/icl" }
signature S { input claim: str; output verdict: str; output reasoning: str "Brief explanation"; output sure: bool }
signature T { input reasoning: str; output verdict: str }
module cot = ChainOfThought(S)
module plain = Predict(S)
module given = ChainOfThought(T)
"""
    )
    project = analyse(path).project
    assert project is not None
    names = {
        name: [field.name for field in program.predictors[name].signature.outputs]
        for name, program in project.programs.items()
    }
    assert names == {
        "cot": ["reasoning", "verdict", "sure"],
        "plain": ["verdict", "reasoning", "sure"],
        "given": ["verdict"],
    }
    assert project.programs["cot"].predictors["cot"].signature.outputs[0].description == "Brief explanation"


def test_a_budget_that_cut_the_steps_leaves_what_is_known(tmp_path: Path) -> None:
    never_right = 'contains(gold.text, " 50 ")'  # a perfect baseline has no step run
    path = project(tmp_path, f"= gold.label == pred.label and not {never_right}", "; budget { calls = 30 }")
    done = dspc("compile", path, cwd=tmp_path)
    assert done.code == 3
    (line,) = (line for line in done.out.splitlines() if line.startswith("val, which chose it"))
    assert " 30 " in line
    assert line.count("96.7 (83.3 to 99.4)") == 2, "what the artifact holds was scored"
    assert not line.endswith("+0.0"), "and compared with nothing"
