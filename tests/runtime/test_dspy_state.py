"""The JSON that DSPy loads, and the command that writes it. `tests/differential` shows DSPy loading it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from agents import SEARCH, several
from dspc import dspc
from hypothesis import given
from hypothesis import strategies as st
from programs import const, fields, module, predictor, question
from scripted import classifier, pipeline

from dspec.runtime.artifact.artifact import Artifact, write_artifact
from dspec.runtime.artifact.dspy_state import dspy_state, title, with_dspy_state
from dspec.runtime.errors import ArtifactError
from dspec.runtime.schema.ensemble import Ensemble, First
from dspec.runtime.schema.program import Demo, FieldSpec, Neighbours, Program, Reward
from dspec.runtime.schema.types import INT, STR, JsonValue, Row


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


# Reading ------------------------------------------------------------------------------------------


def saved() -> tuple[Program, dict[str, Any]]:
    """A pipeline with demos, and its state as DSPy would have it."""
    program = pipeline()
    for number, (address, one) in enumerate(program.predictors.items()):
        asked = one.signature
        shown = Demo(
            inputs={field.name: f"in {number}" for field in asked.inputs},
            outputs={field.name: f"out {number}" for field in asked.outputs},
            augmented=number == 0,
        )
        program = program.with_predictor(address, instruction=f"Do {number}.", demos=(shown,))
    return program, json.loads(json.dumps(dspy_state(program)))


def test_a_state_comes_back_as_it_was_written() -> None:
    program, state = saved()
    assert with_dspy_state(pipeline(), state) == program
    fixed = predictor(
        fields(text=STR), fields(label=STR), instruction="Name it.", fixed=("Be brief.", "No more.")
    )
    assert with_dspy_state(module(fixed), dspy_state(module(fixed))) == module(fixed)
    alone = dspy_state(module(fixed), {"module": "self"})
    assert with_dspy_state(module(fixed), alone) == module(fixed)


def test_predictors_of_other_names_are_told_by_their_fields() -> None:
    program, state = saved()
    renamed = {f"inner.{name}" if name != "metadata" else name: one for name, one in state.items()}
    assert with_dspy_state(pipeline(), renamed) == program


def test_models_traces_and_anything_else_of_a_file_stay_there() -> None:
    program, state = saved()
    for name, one in state.items():
        if name != "metadata":
            one |= {
                "lm": {"model": "openai/gpt-4o", "api_base": "http://elsewhere"},
                "traces": [1],
                "config": {"api_base": "http://elsewhere"},
                "forward": "x",
            }
            one["demos"][0]["dspy_uuid"] = "7"
    assert with_dspy_state(pipeline(), state) == program


def _without(state: dict[str, Any], *path: str | int) -> None:
    *inner, last = path
    for step in inner:
        state = state[step]  # type: ignore[index]
    del state[last]  # type: ignore[arg-type]


def test_a_state_that_does_not_fit_says_where() -> None:
    program, state = saved()
    first, second = (name for name in state if name != "metadata")
    address = next(iter(program.predictors))

    def refused(change: Callable[[dict[str, Any]], object], words: str) -> None:
        changed = json.loads(json.dumps(state))
        change(changed)
        with pytest.raises(ArtifactError, match=words):
            with_dspy_state(pipeline(), changed)

    refused(lambda one: _without(one, first, "signature"), f"`{first}` has no signature")
    refused(lambda one: _without(one, first, "signature", "instructions"), f"`{address}` has no instructions")
    refused(
        lambda one: _without(one, first, "signature", "fields", 0),
        f"`{address}` has 1 fields there and 2 here",
    )
    refused(lambda one: one[first]["signature"]["fields"].reverse(), "in another order there: number 1")
    refused(lambda one: one[first]["demos"][0].update(colour=1), "`colour`, which is no field")
    refused(lambda one: one[first].update(demos=["x"]), "demo 1 of predictor .* is no object")
    refused(lambda one: one[first].update(demos={}), "are no list")
    refused(lambda one: one.update(more=one[second]), "its predictor `more` is none of")
    refused(
        lambda one: one[first]["demos"][0].update({key: [] for key in one[first]["demos"][0]}), "demo 1 of"
    )
    refused(lambda one: one.clear(), "no state that DSPy 3 saved")
    for other in (None, [], "x", {"metadata": {}}):
        with pytest.raises(ArtifactError, match="no state that DSPy"):
            with_dspy_state(pipeline(), other)  # type: ignore[arg-type]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["signature", "demos", "fields", "instructions", "prefix", "condense", "lm", "text"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_json_gives_a_program_or_a_reason(value: Any) -> None:
    try:
        found = with_dspy_state(pipeline(), value)
    except ArtifactError:
        return
    assert found.predictors.keys() == pipeline().predictors.keys()


def test_an_agents_state_comes_back_as_it_was() -> None:
    turns: list[JsonValue] = [
        {"thought": "look", "tool": "search", "arguments": {"query": "a"}, "observation": "about\n\na"},
        {"thought": "enough", "tool": "finish", "arguments": {}},
    ]
    agent = several("ReAct", tools=[SEARCH])
    step: dict[str, JsonValue] = {"next_thought": "t", "next_tool_name": "finish", "next_tool_args": {}}
    shown = Demo(inputs={"question": "q", "trajectory": turns}, outputs=step, augmented=True)
    agent = agent.with_predictor("m.react", demos=(shown,), instruction="Find out.")
    state = dspy_state(agent)
    assert list(state) == ["m.react", "m.extract.predict", "metadata"]
    assert with_dspy_state(several("ReAct", tools=[SEARCH]), state) == agent


@pytest.mark.parametrize(
    "text",
    [
        "Finds passages. Give it one name at a time; k is best left out",
        "[[ ## next_thought ## ]] is no header",
        "query: what to look for",
        "",
    ],
)
def test_descriptions_of_tools_travel_in_an_agents_instructions(text: str) -> None:
    other = SEARCH.model_copy(update={"name": "searching", "inputs": ()})
    plain = several("ReAct", tools=[SEARCH, other])
    tuned = plain.with_text("search", text).with_predictor("m.react", instruction="Find out.")
    found = with_dspy_state(plain, dspy_state(tuned))
    if text:
        assert found == tuned
    # DSPy's own list of tools, and one that somebody has rewritten, are parts of the instruction.
    state = json.loads(json.dumps(dspy_state(tuned)).replace("- search: query", "- search: query or so"))
    assert with_dspy_state(plain, state).tools == plain.tools


def test_an_instruction_that_lists_tools_itself_stays_whole() -> None:
    plain = several("ReAct", tools=[SEARCH])
    text = "Mind this.\nThe tools, with their arguments:\n- search: query (text), k (whole number; may be left out). Old."
    tuned = plain.with_text("search", "Finds it").with_predictor("m.react", instruction=text)
    assert with_dspy_state(plain, dspy_state(tuned)) == tuned


@pytest.mark.parametrize("outwards", [True, False])
def test_an_agents_tools_may_have_other_names_in_a_file_that_imports_it(outwards: bool) -> None:
    turns: list[JsonValue] = [{"thought": "t", "tool": "TOOL", "arguments": {"query": "a"}}]

    def agent(prefix: str, description: str, instruction: str) -> Program:
        tool = SEARCH.model_copy(update={"name": f"{prefix}search", "description": description})
        other = tool.model_copy(update={"name": f"{prefix}other", "description": "Other"})
        name = f"{prefix}search".replace(".", "_")
        shown = cast("list[JsonValue]", json.loads(json.dumps(turns).replace("TOOL", name)))
        step: Row = {"next_thought": "t", "next_tool_name": name, "next_tool_args": {"query": "a"}}
        demo = Demo(inputs={"question": "q", "trajectory": shown}, outputs=step)
        program = several("ReAct", tools=[tool, other])
        demos = (demo,) if instruction == "Find out." else ()
        return program.with_predictor("m.react", demos=demos, instruction=instruction)

    there, here = ("", "g.") if outwards else ("g.", "")
    saved = dspy_state(agent(there, "Finds it", "Find out."))
    found = with_dspy_state(agent(here, "Passages.", "Answer."), saved)
    assert found == agent(here, "Finds it", "Find out.")


def test_what_dspy_has_not_is_left_as_it_is() -> None:
    reward = Reward(name="r", pred="pred", score=const(0.5))
    refined = several("Refine", more=module(question()), runs="module", reward=reward, n=2, threshold=0.5)
    state = dspy_state(refined)
    assert list(state) == ["m.module", "metadata"]
    assert with_dspy_state(refined, state) == refined


def test_reasoning_that_a_strategy_adds_is_described_in_dspys_words(tmp_path: Path) -> None:
    """DSPy adds it as well, so that its prompt is what it would be without us; a signature's own words stay."""
    path = tmp_path / "main.dspec"
    path.write_text(
        """dspec 1
lm learner { model = "embedded/icl" }
signature Own { input text: str; output label: str; output reasoning: str "Why, in brief" }
module added = ChainOfThought(sig(text -> label))
module own = ChainOfThought(Own)
"""
    )
    from dspec.compiler.check.analysis import analyse

    project = analyse(path).project
    assert project is not None
    for name, described in (("added", "${reasoning}"), ("own", "Why, in brief")):
        program = project.programs[name]
        state = json.loads(json.dumps(dspy_state(program)))
        (first, *_) = state[f"{name}.predict"]["signature"]["fields"][1:]
        assert first == {"prefix": "Reasoning:", "description": described}
        assert with_dspy_state(program, state) == program
