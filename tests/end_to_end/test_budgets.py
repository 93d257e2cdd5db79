"""Budgets as a user meets them: what `dspc check` and `dspc plan` say of them, before and after a compile."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.request import urlopen

import pytest
from dspc import dspc
from server import beside

SOURCE = """\
dspec 1

lm mini {{
  model = "openai/fake"; api_base = "{url}"; api_key = env("TEST_KEY"); max_tokens = 30
  price {{ input = 1.0; output = 2.0 }}
}}

signature Label {{
  "Give the text a label."
  input text: str
  output label: "a" | "b" | "c" | "d"
}}

module labeller = Predict(Label)

dataset texts {{
  source = jsonl("texts.jsonl")
  input text: str
  field label: "a" | "b" | "c" | "d"
  split {{ train = 15; val = 15; seed = 7 }}
}}

metric right(gold: texts, pred: labeller) {{ score = gold.label == pred.label }}

optimize tuned {{
  program = labeller
  metric = right
  train = texts.train
  val = texts.val
  seed = 9
  {budget}
  step demos = BootstrapFewShot(max_bootstrapped_demos = 2, max_labeled_demos = 4)
}}
"""


def put(folder: Path, url: str, budget: str) -> None:
    rows = [json.dumps({"text": f"text {number}", "label": "abcd"[number % 4]}) for number in range(30)]
    (folder / "dspec.toml").touch()
    (folder / "texts.jsonl").write_text("\n".join(rows), encoding="utf-8")
    (folder / "main.dspec").write_text(SOURCE.format(url=url, budget=budget), encoding="utf-8")


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, float]]:
    folder = tmp_path_factory.mktemp("planned")
    put(folder, "http://127.0.0.1:1/v1", "")
    return json.loads(dspc("plan", "main.dspec", "--json", cwd=folder).out)


@pytest.mark.parametrize("unit", ["usd", "calls"])
@pytest.mark.parametrize("where", ["below", "between", "above"])
def test_a_check_tells_which_budgets_may_not_last(
    unit: str, where: str, planned: dict[str, dict[str, float]], tmp_path: Path
) -> None:
    expected, most = planned["expected"][unit], planned["maximum"][unit]
    amount = {"below": 0.7 * expected, "between": (expected + most) / 2, "above": most + 1}[where]
    shown = f"{amount:.6f}" if unit == "usd" else str(int(amount))
    put(tmp_path, "http://127.0.0.1:1/v1", f"budget {{ {unit} = {shown} }}")
    found = dspc("check", "main.dspec", cwd=tmp_path)
    again = dspc("check", "main.dspec", cwd=tmp_path)
    assert found.code == again.code == 0
    assert found.err == again.err
    said = {
        "below": "does not reach for `tuned`, which is expected to take",
        "between": "may end `tuned` early: it is expected to take",
        "above": "no problems",
    }[where]
    assert said in " ".join(found.err.replace("│", " ").split())
    assert ("DS0714" in found.err) == (where != "above")
    plan = dspc("plan", "main.dspec", cwd=tmp_path).out
    assert ("budget: " in plan) == (where != "above")


def test_a_comment_allows_a_budget_that_may_not_last(tmp_path: Path) -> None:
    put(tmp_path, "http://127.0.0.1:1/v1", "# dspc: allow DS0714 -- a try\n  budget { usd = 0.0001 }")
    assert "no problems" in dspc("check", "main.dspec", cwd=tmp_path).err


def test_the_second_plan_knows_what_the_first_compile_took(tmp_path: Path) -> None:
    with beside("--answer", "embedded") as url:
        put(tmp_path, url, "budget { usd = 1.0 }")
        first = json.loads(dspc("plan", "main.dspec", "--json", cwd=tmp_path).out)
        assert first["expected"]["seen"] is False
        done = dspc("compile", "main.dspec", "--json", cwd=tmp_path, TEST_KEY="x")
        assert done.code == 0, done.text
        (told,) = json.loads(done.out)["compiled"]
        second = json.loads(dspc("plan", "main.dspec", "--json", cwd=tmp_path).out)
        assert second["maximum"] == first["maximum"]
        assert second["expected"]["seen"] is True
        assert second["expected"]["calls"] == told["calls"]["needed"]
        assert second["expected"]["usd"] == pytest.approx(told["needed"]["cost_usd"], rel=0.01)
        assert told["cost_usd"] <= second["maximum"]["usd"]
        shown = dspc("plan", "main.dspec", cwd=tmp_path).out
        assert re.search(r"expected: [\d,]+ calls, [\d,]+ tokens, \$\d.*as the last compile took it", shown)
        # What a check says follows the record, though no file of the project has changed.
        put(tmp_path, url, f"budget {{ usd = {0.9 * second['expected']['usd']:.8f} }}")
        # Everything is answered already: the same compile takes nothing.
        assert "no problems" in dspc("check", "main.dspec", cwd=tmp_path).err
        assert "budget: " not in dspc("plan", "main.dspec", cwd=tmp_path).out
        source = tmp_path / "main.dspec"
        source.write_text(
            source.read_text(encoding="utf-8").replace("seed = 9", "seed = 8"), encoding="utf-8"
        )
        assert "budget: " in dspc("plan", "main.dspec", cwd=tmp_path).out
        assert "as the last compile took it" in " ".join(
            dspc("check", "main.dspec", cwd=tmp_path).err.replace("│", " ").split()
        )


SEARCHING = """
lm vectors {{ model = "openai/vectors"; api_base = "{url}"; api_key = env("TEST_KEY"); price {{ input = 1.0; output = 0.0 }} }}

extern near(query: str, k: int = 2) -> list[str] = embeddings("texts.jsonl", text = "text", lm = vectors)

program Searching(text: str) -> (label: str) {{
  let notes = near(query = text)
  let out = labeller(text = text + " " + str(len(notes)))
  return label = out.label
}}

eval found {{ program = Searching; data = texts.val; metric = right; budget {{ calls = {calls} }} }}
"""


@pytest.mark.parametrize("calls", [3, 20, 40])
def test_what_a_search_asks_its_model_for_is_paid_within_the_wall(calls: int, tmp_path: Path) -> None:
    with beside("--answer", "a") as url:
        put(tmp_path, url, "")
        source = tmp_path / "main.dspec"
        told = source.read_text(encoding="utf-8").replace(
            "max_tokens = 30", "max_tokens = 30; default = true"
        )
        source.write_text(told + SEARCHING.format(url=url, calls=calls), encoding="utf-8")
        done = dspc("eval", "main.dspec", "found", "--json", cwd=tmp_path, TEST_KEY="x")
        assert done.code, done.text
        assert "budget" in done.err
        with urlopen(f"{url.removesuffix('/v1')}/count") as told:
            assert int(told.read()) == calls
