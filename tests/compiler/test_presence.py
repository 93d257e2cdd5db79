"""Values that may be missing: a condition that asks for them lets them be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from dspec.compiler.check.analysis import analyse

PROGRAM = """dspec 1

lm learner {{ model = "embedded/icl" }}

record Address {{ field city: str? }}
record Person {{ field name: str?; field home: Address? }}

module greet = Predict(sig(text -> person: Person))

program Greet(text: str, tone: str?) -> (said: str) {{
  let found = greet(text = text)
  let said = {expression}
  return said = said
}}
"""


def messages(folder: Path, expression: str) -> list[str]:
    text = PROGRAM.format(expression=expression)
    found = analyse(folder / "main.dspec", text=text).diagnostics
    return [one.message for one in found if one.severity == "error"]


@pytest.mark.parametrize(
    "expression",
    [
        'if tone == none then "" else tone',
        'if tone != none then tone + "!" else text',
        'if none == tone then "" else upper(tone)',
        'if not (tone == none) then tone else ""',
        'if tone != none and len(tone) > 3 then tone else ""',
        'if tone == none or tone == "" then "" else tone + text',
        'if found.person.name == none then "" else found.person.name',
        'if found.person.home == none then "" else if found.person.home.city == none then "" '
        "else found.person.home.city",
        'join([if tone == none then "" else tone for word in split(text)])',
    ],
)
def test_what_was_asked_for_is_there(expression: str, tmp_path: Path) -> None:
    assert messages(tmp_path, expression) == []


@pytest.mark.parametrize(
    "expression",
    [
        "tone",
        'if tone == none then tone + "" else ""',
        'if tone != none or text == "" then tone + "" else ""',
        'if tone == none and text == "" then "" else tone + ""',
        'if found.person.home != none then "" + found.person.home.city else ""',
        'if found.person.name == none then "" else tone + ""',
        'if tone == none then "" else join([tone + "" for tone in ["a", none]])',
    ],
)
def test_what_was_not_asked_for_may_be_missing(expression: str, tmp_path: Path) -> None:
    assert len(messages(tmp_path, expression)) == 1
