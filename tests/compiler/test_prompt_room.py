"""Demos as a prompt can hold them: cut evenly, left out at last, always the same way, and told."""

from __future__ import annotations

import string
from pathlib import Path

import pytest
from building import compiled, project
from hypothesis import given
from hypothesis import strategies as st
from programs import fields, module, predictor
from scripted import FAKE

from dspec.compiler import ir
from dspec.compiler.data import Example
from dspec.compiler.evaluate.events import StepFinished
from dspec.compiler.optimizers import prompt_room
from dspec.compiler.optimizers.demos import hide
from dspec.compiler.optimizers.prompt_room import SHORTEST, PromptRoom, same_value
from dspec.runtime.adapters import adapter
from dspec.runtime.models.prices import context_window
from dspec.runtime.models.transports.answers import estimate_tokens
from dspec.runtime.schema.program import LM, Demo, Program
from dspec.runtime.schema.types import STR, ListOf

SMALL = LM(name="fake", model="openai/gpt-4", max_tokens=100)
"""Takes 8,192 tokens."""


def reader(lm: LM = SMALL) -> Program:
    asked = predictor(fields(passages=ListOf(item=STR), question=STR), fields(answer=STR))
    return module(asked).model_copy(update={"lms": {asked.lm: lm}})


def demo(number: int, *sizes: int) -> Demo:
    passages = [(string.ascii_lowercase[number % 26] * 9 + " ") * (size // 10) for size in sizes]
    return Demo(inputs={"passages": [*passages], "question": f"q{number}?"}, outputs={"answer": f"a{number}"})


def tokens(program: Program, demos: tuple[Demo, ...]) -> int:
    program = program.with_predictor("module", demos=demos)
    lm = next(iter(program.lms.values()))
    blank = {"passages": None, "question": None}
    return estimate_tokens(adapter(lm.adapter).render(program.predictors["module"], blank, program.records))


def test_windows_are_those_of_the_map() -> None:
    assert context_window(SMALL) == 8192
    assert context_window(FAKE) is None
    assert context_window(LM(name="toy", model="embedded/icl")) is None


def test_what_fits_or_goes_to_a_model_of_unknown_size_is_left_alone() -> None:
    few = tuple(demo(n, 400) for n in range(4))
    assert PromptRoom().fit(reader(), "module", few) == few
    many = tuple(demo(n, 40_000) for n in range(4))
    assert PromptRoom().fit(reader(FAKE), "module", many) == many


def test_the_longest_texts_are_cut_to_one_length() -> None:
    room, program = PromptRoom(), reader()
    demos = (demo(0, 30_000, 200), demo(1, 9_000), demo(2, 300))
    kept = room.fit(program, "module", demos)
    assert kept[2] == demos[2]
    assert [one.outputs for one in kept] == [one.outputs for one in demos]
    lengths = [len(text) for one in kept[:2] for text in one.inputs["passages"]]  # type: ignore[union-attr]
    assert lengths[1] == 200
    assert abs(lengths[0] - lengths[2]) < 10
    assert tokens(program, kept) < 8192 * prompt_room.SHARE
    (note,) = room.notes(program.with_predictor("module", demos=kept))
    assert note == "a prompt of `module` holds 8,192 tokens: long texts of 2 demos are cut"
    assert room.fit(program, "module", demos) == kept


def test_what_is_still_too_much_is_left_out_from_the_end() -> None:
    room, program = PromptRoom(), reader()
    demos = tuple(demo(n, *[500] * 40) for n in range(6))
    kept = room.fit(program, "module", demos)
    assert 0 < len(kept) < 6
    assert [one.outputs for one in kept] == [one.outputs for one in demos[: len(kept)]]
    (note,) = room.notes(program.with_predictor("module", demos=kept))
    assert note.endswith(f"{6 - len(kept)} demos left out" if len(kept) < 5 else "1 demo left out")
    assert room.notes(program) == ()


@given(st.lists(st.lists(st.integers(0, 20_000), max_size=4), max_size=6))
def test_any_demos_fit_afterwards_and_those_kept_are_the_first(sizes: list[list[int]]) -> None:
    program = reader()
    demos = tuple(demo(n, *each) for n, each in enumerate(sizes))
    kept = PromptRoom().fit(program, "module", demos)
    assert tokens(program, kept) - tokens(program, ()) <= 8192 * prompt_room.SHARE
    for one, whole in zip(kept, demos, strict=False):
        assert one.outputs == whole.outputs
        assert same_value(one.inputs, whole.inputs)  # type: ignore[arg-type]
        assert all(
            cut == text or len(cut) >= SHORTEST  # type: ignore[arg-type]
            for cut, text in zip(one.inputs["passages"], whole.inputs["passages"], strict=True)  # type: ignore[arg-type]
        )


@given(st.lists(st.lists(st.integers(0, 9_000), max_size=3), min_size=1, max_size=8), st.data())
def test_any_demos_of_an_index_fit_together(sizes: list[list[int]], data: st.DataObject) -> None:
    program = reader()
    demos = tuple(demo(n, *each) for n, each in enumerate(sizes))
    cut = PromptRoom().fit_any(program, "module", demos, 3)
    shown = tuple(data.draw(st.permutations(cut))[:3])
    assert tokens(program, shown) - tokens(program, ()) <= 8192 * prompt_room.SHARE
    assert [one.outputs for one in cut] == [one.outputs for one in demos]
    assert PromptRoom().fit_any(reader(FAKE), "module", demos, 3) == demos


def test_a_cut_demo_still_shows_its_row() -> None:
    """Else a row that candidates are scored on would find its own answer in the prompt."""
    program = reader()
    demos = tuple(demo(n, 30_000) for n in range(3))
    kept = PromptRoom().fit(program, "module", demos)
    assert kept[1] != demos[1]
    shown = program.with_predictor("module", demos=kept)
    row = Example(0, demos[1].inputs, {"answer": "a1"})
    assert hide(shown, row).predictors["module"].demos == (kept[0], kept[2])
    other = Example(0, demo(1, 30_010).inputs, {"answer": "a1"})
    assert hide(shown, other).predictors["module"].demos == kept


async def test_a_step_tells_what_it_cut(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(prompt_room, "context_window", lambda lm: 800)
    told: list[StepFinished] = []
    labels = ir.StepSpec(name="labels", optimizer="LabeledFewShot", options={"k": 12})
    made = project(tmp_path, labels)
    built, _, _ = await compiled(
        monkeypatch,
        tmp_path,
        made,
        lambda request: "[[ ## label ## ]]\nL1",
        report=lambda event: told.append(event) if isinstance(event, StepFinished) else None,
    )
    (note,) = told[0].notes
    assert note == "a prompt of `ask` holds 800 tokens: 4 demos left out"
    assert built.steps[0].result.notes == told[0].notes
