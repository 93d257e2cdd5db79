"""`check --fix` never changes what a file means: it restores what was written, or leaves the file alone."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from corpus import BESIDE, CORPUS, case
from dspc import dspc
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from dspec.compiler.check.analysis import analyse_all
from dspec.compiler.diagnostics.codes.table import CODES
from dspec.compiler.diagnostics.fixes import Check, Repaired, repair
from dspec.compiler.diagnostics.record import Diagnostic
from dspec.compiler.diagnostics.spelling import the_slip
from dspec.grammar import tokenize

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = 5_000 if os.environ.get("DSPEC_DEEP") else 120
LETTERS = "abcdefghijklmnopqrstuvwxyz_"


def checker(path: Path) -> Check:
    def check(texts: Mapping[Path, str]) -> Sequence[Diagnostic]:
        return [one for analysis in analyse_all([path], texts=texts) for one in analysis.diagnostics]

    return check


def mended(path: Path, text: str) -> str:
    """The text after `--fix`, which brings no error or warning and, run again, changes nothing."""
    path.write_text(text, encoding="utf-8")
    check = checker(path)
    before = check({})
    repaired: Repaired = repair(check)
    after = check(repaired.texts)
    assert worst(after) <= worst(before)
    found = repaired.texts.get(path, text)
    path.write_text(found, encoding="utf-8")
    assert repair(check).count == 0
    return found


def worst(found: Sequence[Diagnostic]) -> int:
    return sum(one.severity != "hint" for one in found)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the files that the programs name."""
    made = tmp_path_factory.mktemp("project").resolve()
    (made / "data").mkdir()
    beside = {name: content for code in CODES.values() for name, content in code.files.items()}
    for name, content in {**beside, **BESIDE}.items():
        (made / name).parent.mkdir(exist_ok=True, parents=True)
        (made / name).write_text(content, encoding="utf-8")
    return made


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*.dspec")), ids=lambda path: path.stem)
def test_wrong_programs_are_no_worse_after_fixes_and_the_same_after_more(folder: Path, path: Path) -> None:
    mended(folder / "main.dspec", case(path.read_text(encoding="utf-8")).program)


RIGHT = [
    text
    for text in (
        *(path.read_text(encoding="utf-8") for path in sorted((ROOT / "examples").rglob("[!.]*.dspec"))),
        *(code.right for code in CODES.values() if code.about == "main.dspec"),
    )
    if any(word.isidentifier() for word in text.split())
]


@st.composite
def mistakes(draw: DrawFn) -> tuple[str, str]:
    """A program that is right, and the same with one word of it mistyped: a keyword, a name, an option, a text."""
    text = draw(st.sampled_from(RIGHT))
    tokens = [token.text for token in tokenize(text)]
    words = [
        number
        for number, token in enumerate(tokens)
        if len(token.strip('"')) > 2 and token.strip('"').isidentifier()
    ]
    if not words:
        return text, text
    at = draw(st.sampled_from(words))
    word = tokens[at].strip('"')
    place = draw(st.integers(0, len(word) - 1))
    letter = draw(st.sampled_from(LETTERS))
    match draw(st.sampled_from(["leave out", "double", "replace", "swap", "insert", "capital"])):
        case "leave out":
            other = word[:place] + word[place + 1 :]
        case "double":
            other = word[:place] + word[place] + word[place:]
        case "replace":
            other = word[:place] + letter + word[place + 1 :]
        case "swap":
            other = word[:place] + word[place : place + 2][::-1] + word[place + 2 :]
        case "insert":
            other = word[:place] + letter + word[place:]
        case _:
            other = word.swapcase()
    return text, "".join([*tokens[:at], tokens[at].replace(word, other), *tokens[at + 1 :]])


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(mistake=mistakes())
def test_a_slip_of_the_pen_is_undone_or_left_alone(folder: Path, mistake: tuple[str, str]) -> None:
    right, wrong = mistake
    original = mended(folder / "main.dspec", right)
    assert mended(folder / "main.dspec", wrong) in (original, wrong)


HEAD = (
    'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini" }\ntype Topic = "billing" | "shipping" | "returns"\n'
)
ROUTER = HEAD + "module router = Predict(sig(text -> topic: Topic))\n"
DATA = """dataset tickets {
  source = csv("tickets.csv")
  input text: str
  field topic: Topic
  split { train = 50%; val = 50%; stratify = topic }
}
metric right(gold: tickets, pred: router) = gold.topic == pred.topic
"""
BLOCK = "optimize best { program = PROGRAM; metric = right; train = tickets.train; val = tickets.val\n  step s = STEP\n}\n"


def block(program: str = "router", step: str = "BootstrapFewShot()") -> str:
    return ROUTER + DATA + BLOCK.replace("PROGRAM", program).replace("STEP", step)


GUESSES = {
    "a block that leads back to itself": block("bestt"),
    "a longer name": block("rout"),
    "another number": block("router2").replace(
        "module router", "module router1 = Predict(sig(text -> topic))\nmodule router"
    ),
    "an option of another library": block(step="MIPROv2(num_threads = 16)"),
    "an option that is told apart by a letter": HEAD.replace('-mini" }', '-mini"; top_k = 1 }'),
    "a declaration of another language": HEAD + "class Order { field sku: str }\n",
    "a text with a prefix": ROUTER
    + 'program p(a: str) -> topic: Topic {\n  let r = router(text = f"about {a}")\n  return topic = r.topic\n}\n',
    "another method": HEAD
    + 'extern look(q: str) -> str = http("https://example.com/look", method = "FETCH")\n',
    "a type of another language": ROUTER.replace("text ->", "text: string ->"),
    "a name whose declaration is misspelt": block().replace("module router ", "module roter "),
    "a rule for another type": block(
        step="BootstrapRS()\n  step vote = Ensemble(s.candidates.top(3), reduce = mean(topic))"
    ),
    "a percentage where a number is wanted": block().replace(
        "gold.topic == pred.topic", "f1(gold.topic, pred.topic) > 10%"
    ),
    "a key, which would be gone": HEAD.replace(
        '-mini" }', '-mini"; api_key = "sk-proj-0123456789abcdefghij" }'
    ),
}


@pytest.mark.parametrize("guess", GUESSES)
def test_what_is_guessed_at_is_left_to_a_person(guess: str, folder: Path) -> None:
    text = GUESSES[guess]
    assert worst(checker_of(folder, text)({})), "it is wrong in some way"
    assert mended(folder / "main.dspec", text) == text


def checker_of(folder: Path, text: str) -> Check:
    (folder / "main.dspec").write_text(text, encoding="utf-8")
    return checker(folder / "main.dspec")


SLIPS = {
    "signature ": "signatrue ",
    "temperature": "temprature",
    "max_bootstrapped_demos": "max_bootstraped_demos",
    "ChainOfThought": "ChainOfThougth",
    "metric = right": "metric = rigth",
    "pred.topic": "pred.topci",
}
WHOLE = (
    HEAD.replace('-mini" }', '-mini"; temperature = 0.5 }')
    + "signature Route {\n  input text: str\n  output topic: Topic\n}\nmodule router = ChainOfThought(Route)\n"
    + DATA
    + BLOCK.replace("PROGRAM", "router").replace("STEP", "BootstrapFewShot(max_bootstrapped_demos = 2)")
    + "eval ship { program = best; metric = right; data = tickets.val; gate score >= 0.5 }\n"
)


@pytest.mark.parametrize("meant", SLIPS)
def test_a_slip_with_one_reading_is_repaired(meant: str, folder: Path) -> None:
    assert mended(folder / "main.dspec", WHOLE.replace(meant, SLIPS[meant], 1)) == WHOLE


def test_a_percentile_written_with_a_percent_sign_stays_that_percentile(folder: Path) -> None:
    text = block().replace("gold.topic == pred.topic", "percentile(f1(gold.topic, pred.topic), 10%)")
    assert mended(folder / "main.dspec", text) == text.replace("10%", "10")


def test_a_fix_that_uncovers_an_error_is_not_applied_and_not_promised(folder: Path) -> None:
    text = block(step="BootstrapFewShot(max_bootstraped_demos = -4)")
    (folder / "p.dspec").write_text(text, encoding="utf-8")
    done = dspc("check", "--fix", "p.dspec", cwd=folder)
    (folder / "p.dspec").unlink()
    assert "a fix was not applied" in done.text
    assert "[--fix]" not in done.text


@pytest.mark.parametrize(
    ("written", "near", "meant"),
    [
        ("temprature", ("temperature",), "temperature"),
        ("tempertaure", ("temperature",), "temperature"),
        ("Temperature", ("temperature",), "temperature"),
        ("Predct", ("Predict", "ReAct"), "Predict"),
        ("maxtokens", ("max_tokens",), "max_tokens"),
        ("num_threads", ("num_trials",), None),
        ("top_k", ("top_p",), None),
        ("v1", ("v2",), None),
        ("sorter_v1", ("sorter_v2",), None),
        ("f", ("a",), None),
        ("FETCH", ("PATCH",), None),
        ("sorter", ("sorter_v1",), None),
        ("trains", ("train", "strains"), None),
        ("same", ("same",), None),
    ],
)
def test_which_slip_is_meant(written: str, near: tuple[str, ...], meant: str | None) -> None:
    assert the_slip(written, near) == meant
