"""The scripted model reads prompts right: else both sides could be asked the same and answered differently.

That it reads DSPy's is shown by the comparison itself; a layout it does not know is an error everywhere.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model import answer, group_of
from programs import fields, predictor
from prompts import Asked, Message, UnknownLayout, read

from dspec.runtime.adapters import adapter
from dspec.runtime.schema.program import Demo
from dspec.runtime.schema.types import STR

# What looks like a field's heading is sent with a backslash, and would be read with it.
TEXT = st.text("ab 1.:\n#[]«", min_size=1, max_size=20).map(lambda text: f"x{text}x".replace("[[", "["))
DEMO = st.builds(
    lambda text, gist, label: Demo(inputs={"text": text, "gist": gist}, outputs={"label": label}),
    TEXT,
    TEXT,
    TEXT,
)


def messages(instruction: str, demos: tuple[Demo, ...], row: dict[str, str]) -> list[Message]:
    asked = predictor(fields(text=STR, gist=STR), fields(label=STR), instruction=instruction)
    asked = asked.model_copy(update={"demos": demos})
    rendered = adapter("chat").render(asked, dict(row), {})
    return [{"role": message.role, "content": message.content} for message in rendered]


@given(TEXT, st.lists(DEMO, max_size=3), TEXT, TEXT)
@settings(max_examples=60, deadline=None)
def test_what_is_rendered_is_read(instruction: str, demos: list[Demo], text: str, gist: str) -> None:
    found = read(messages(instruction, tuple(demos), {"text": text, "gist": gist}))
    pairs = tuple((demo.inputs, demo.outputs) for demo in demos)
    assert found == Asked(instruction, pairs, {"text": text, "gist": gist}, ("label",))


def test_what_an_example_leaves_out_is_in_neither_part() -> None:
    partial = Demo(inputs={"text": "a"}, outputs={"label": "b"})
    whole = Demo(inputs={"text": "c", "gist": "d"}, outputs={"label": "e"})
    found = read(messages("Do it.", (whole, partial), {"text": "f", "gist": "g"}))
    assert found.demos == (({"text": "a"}, {"label": "b"}), ({"text": "c", "gist": "d"}, {"label": "e"}))


@pytest.mark.parametrize(
    "change",
    [
        lambda found: found[1:],
        lambda found: [{**found[0], "content": "You are kind."}, *found[1:]],
        lambda found: [*found[:-1], {**found[-1], "content": "text: a"}],
        lambda found: [found[0], found[1], found[-1]],
    ],
    ids=["no system message", "no task", "no reminder", "half a demo"],
)
def test_another_layout_is_an_error(change) -> None:  # type: ignore[no-untyped-def]
    demo = Demo(inputs={"text": "a", "gist": "b"}, outputs={"label": "c"})
    with pytest.raises(UnknownLayout):
        read(change(messages("Do it.", (demo,), {"text": "f", "gist": "g"})))


def test_answers_depend_on_everything_that_is_asked() -> None:
    def asked(
        instruction: str = "i",
        shown: str = "a g1",
        given: str = "L1",
        text: str = "b g1",
        outputs: str = "gist",
    ) -> Asked:
        return Asked(instruction, (({"text": shown}, {"label": given}),), {"text": text}, (outputs,))

    variants = [asked(), asked(instruction="j"), asked(shown="c g1"), asked(given="L2"), asked(text="d g1")]
    answers = {answer(one, "salt")["gist"] for one in variants} | {answer(asked(), "other")["gist"]}
    assert len(answers) == 6
    assert answer(asked(), "salt") == answer(asked(), "salt")
    assert group_of("blue why g3, row 7") == 3
