"""Before money is spent somebody on a terminal is asked; nobody else is, and nobody where nothing is to be paid."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from dspc import dspc
from server import beside
from terminal import on_terminal

SOURCE = """\
dspec 1

lm mini {{
  model = "openai/fake"; api_base = "{url}"; api_key = env("TEST_KEY"); max_tokens = 30
  {price}
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
  split {{ train = 4; val = 4; test = 4; seed = 7 }}
}}

metric right(gold: texts, pred: labeller) {{ score = gold.label == pred.label }}

optimize tuned {{
  program = labeller
  metric = right
  train = texts.train
  val = texts.val
  seed = 9
  budget {{ usd = 0.0001 }}
  step demos = LabeledFewShot(k = 2)
}}

eval held_out {{ program = labeller; metric = right; data = texts.test; budget {{ calls = 50 }} }}
"""
PRICED = "price { input = 1.0; output = 2.0 }"
KEY = {"TEST_KEY": "k"}


@pytest.fixture
def url() -> Iterator[str]:
    with beside("--answer", "hashed") as url:
        yield url


def put(folder: Path, url: str, price: str = PRICED) -> None:
    rows = [json.dumps({"text": f"text {number}", "label": "abcd"[number % 4]}) for number in range(12)]
    (folder / "dspec.toml").touch()
    (folder / "texts.jsonl").write_text("\n".join(rows), encoding="utf-8")
    (folder / "main.dspec").write_text(SOURCE.format(url=url, price=price), encoding="utf-8")


def asked(url: str) -> int:
    with urlopen(f"{url.removesuffix('/v1')}/stats") as answer:
        return json.load(answer)["requests"]


def test_a_compile_shows_its_plan_and_asks(tmp_path: Path, url: str) -> None:
    put(tmp_path, url)
    done = on_terminal("compile", "main.dspec", cwd=tmp_path, typed="n\n", until="[y/N]", **KEY)
    planned = dspc("plan", "main.dspec", cwd=tmp_path).out
    expected, most = (
        line.split(":", 1)[1].strip()
        for line in planned.splitlines()
        if line.startswith(("expected:", "at most:"))
    )
    assert done.code == 130
    assert f"expected: {expected}" in done.out
    assert f"at most:  {most}" in done.out
    assert "budget:   $0.0001, where it ends" in done.out
    assert "nothing was asked, and nothing spent" in done.out
    assert asked(url) == 0
    assert not (tmp_path / "compiled").exists()


def test_nobody_is_asked_twice_for_what_is_answered(tmp_path: Path, url: str) -> None:
    put(tmp_path, url)
    source = tmp_path / "main.dspec"
    source.write_text(
        source.read_text(encoding="utf-8").replace("usd = 0.0001", "usd = 5.0"), encoding="utf-8"
    )
    done = on_terminal("compile", "main.dspec", cwd=tmp_path, typed="y\n", until="[y/N]", **KEY)
    assert done.code == 0
    assert "where it ends" not in done.out, "the budget is more than it takes at most"
    before = asked(url)
    assert before
    again = on_terminal("compile", "main.dspec", cwd=tmp_path, **KEY)
    assert (again.code, "[y/N]" in again.out, asked(url)) == (0, False, before)

    scored = on_terminal("eval", "main.dspec", cwd=tmp_path, typed="yes\n", until="[y/N]", **KEY)
    assert scored.code == 0
    assert "expected: 4 calls" in scored.out
    assert "budget:   50 calls" not in scored.out
    before = asked(url)
    again = on_terminal("eval", "main.dspec", cwd=tmp_path, **KEY)
    assert (again.code, "[y/N]" in again.out, asked(url)) == (0, False, before)


@pytest.mark.parametrize(
    ("flags", "environment"), [(("--yes",), {}), (("-y",), {}), ((), {"CI": "true"}), ((), {"TERM": "dumb"})]
)
def test_nobody_is_asked_who_said_so(
    tmp_path: Path, url: str, flags: tuple[str, ...], environment: dict[str, str]
) -> None:
    put(tmp_path, url)
    done = on_terminal("eval", "main.dspec", *flags, cwd=tmp_path, **KEY, **environment)
    assert (done.code, "[y/N]" in done.out) == (0, False)
    assert asked(url) > 0


def test_a_pipe_is_not_asked(tmp_path: Path, url: str) -> None:
    put(tmp_path, url)
    done = dspc("eval", "main.dspec", cwd=tmp_path, CI="", **KEY)
    assert (done.code, "[y/N]" in done.text) == (0, False)


def test_a_price_that_nobody_knows_is_asked_for_and_one_of_zero_is_not(tmp_path: Path, url: str) -> None:
    put(tmp_path, url, price="")
    source = tmp_path / "main.dspec"
    source.write_text(
        source.read_text(encoding="utf-8").replace("usd = 0.0001", "calls = 90"), encoding="utf-8"
    )
    done = on_terminal("eval", "main.dspec", cwd=tmp_path, typed="\n", until="[y/N]", **KEY)
    assert (done.code, asked(url)) == (130, 0)
    assert "price unknown" in done.out
    put(tmp_path, url, price="price { input = 0; output = 0 }")
    free = on_terminal("eval", "main.dspec", cwd=tmp_path, **KEY)
    assert (free.code, "[y/N]" in free.out) == (0, False)


def test_a_batch_asks_for_the_rows_that_are_left(tmp_path: Path, url: str) -> None:
    put(tmp_path, url)
    command = ("batch", "main.dspec", "texts.jsonl", "--out", "out.jsonl")
    done = on_terminal(*command, cwd=tmp_path, typed="n\n", until="[y/N]", **KEY)
    assert (done.code, asked(url)) == (130, 0)
    assert "expected: 12 calls" in done.out
    assert sorted(path.name for path in tmp_path.glob("out*")) == []
    some = dspc(*command, "--budget", "calls=5", cwd=tmp_path, **KEY)
    assert some.code == 3
    rest = on_terminal(*command, "--budget", "usd=9", cwd=tmp_path, typed="y\n", until="[y/N]", **KEY)
    left = int(rest.out.split("expected: ")[1].split(" calls")[0])
    assert 0 < left < 12
    assert "a guess; answers that were paid before are free" in rest.out
    assert rest.code in (0, 1), "one in twenty answers is no label"
    assert (tmp_path / "out.jsonl").exists()
