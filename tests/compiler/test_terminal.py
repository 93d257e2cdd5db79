"""What came from elsewhere is shown as it is, and a terminal obeys none of it."""

from __future__ import annotations

import json
import re
import sys

import pytest

from dspec.compiler.cli.console import print_error, print_json, stderr, stdout
from dspec.compiler.cli.controls import CODES
from dspec.compiler.cli.run import draw, show_trace
from dspec.runtime.running.execute import Outcome
from dspec.runtime.running.prediction import Prediction
from dspec.runtime.schema.trace import TraceStep

CODED = "".join(map(chr, (*range(9), *range(0xB, 0x20), *range(0x7F, 0xA0), 0x202E, 0x2066)))
OBEYED = f":smile: [red]\x1b]8;;http://x\x1b\\{CODED}"
WRITTEN = ":smile: [red]" + "".join(
    ascii(one)[1:-1] if re.match(CODES, one) else one for one in OBEYED.removeprefix(":smile: [red]")
)
STEP = TraceStep(
    "out",
    "ask",
    {"text": OBEYED},
    {"answer": OBEYED},
    1,
    (OBEYED,),
    exchange=(("user", OBEYED), ("assistant", OBEYED)),
)


def test_outputs_are_shown_whole(capsys: pytest.CaptureFixture[str]) -> None:
    draw(Prediction(Outcome({"answer": OBEYED, "more": [OBEYED]}, ())))
    first, *rest = capsys.readouterr().out.splitlines()
    assert first == f"answer: {WRITTEN}"
    assert not re.search(CODES, "".join(rest))


@pytest.mark.parametrize("console", [stdout, stderr])
def test_text_on_either_stream(console: object, capsys: pytest.CaptureFixture[str]) -> None:
    assert callable(console)
    console().print(OBEYED, markup=False)
    print_error(OBEYED, OBEYED)
    found = capsys.readouterr()
    assert not re.search(CODES, found.out + found.err)
    assert found.err.count("\\x07") == (3 if console is stderr else 2)


def test_a_trace_in_either_form(capsys: pytest.CaptureFixture[str]) -> None:
    show_trace([STEP], json=False)
    assert not re.search(CODES, capsys.readouterr().err)
    show_trace([STEP], json=True)
    shown = capsys.readouterr().err
    assert not re.search(CODES, shown)
    (step,) = json.loads(shown)
    assert (step["outputs"], step["notes"]) == ({"answer": OBEYED}, [OBEYED])


def test_json_stays_json(capsys: pytest.CaptureFixture[str]) -> None:
    print_json(json.dumps({"é": OBEYED}, ensure_ascii=False))
    print_json(json.dumps([OBEYED], ensure_ascii=False), sys.stderr)
    found = capsys.readouterr()
    assert not re.search(CODES, found.out + found.err)
    assert (json.loads(found.out), json.loads(found.err)) == ({"é": OBEYED}, [OBEYED])
