"""Artifacts: what is written, what is read back, and what is refused."""

from __future__ import annotations

import json
import os
import time
import tracemalloc
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from programs import binary, call, const, fields, module, must, predictor, question, should, var
from snapshot import check_snapshot

from dspec.runtime.artifact import artifact as artifacts
from dspec.runtime.artifact.artifact import (
    Artifact,
    Provenance,
    Score,
    StepRecord,
    artifact_text,
    parse_artifact,
    read_artifact,
    schema_text,
    write_artifact,
    write_whole,
)
from dspec.runtime.errors import ArtifactError
from dspec.runtime.schema.expressions import ForEach, If, Item, ListOfItems, UnaryOp
from dspec.runtime.schema.program import LM, CheckStep, Demo, FieldSpec, Program, Record, ValueStep
from dspec.runtime.schema.types import (
    ANY,
    FLOAT,
    INT,
    STR,
    DictOf,
    JsonValue,
    ListOf,
    OneOf,
    OptionalOf,
    RecordRef,
    Scalar,
)

HERE = Path(__file__).parent


def everything() -> Program:
    """A program with every kind of type, step and expression."""
    asked = predictor(
        (
            FieldSpec(name="text", type=STR, description="the message – in any language"),
            FieldSpec(name="k", type=INT, has_default=True, default=3),
            FieldSpec(name="note", type=OptionalOf(item=STR), has_default=True),
        ),
        fields(
            kind=OneOf(values=("a", "ä")),
            lines=ListOf(item=RecordRef(name="Line")),
            extra=DictOf(key=STR, value=ANY),
            day=Scalar(name="date"),
        ),
        fixed=("Be exact.",),
        checks=(must(call("matches", var("kind"), pattern=const("^.$")), "odd"),),
        max_retries=0,
    ).model_copy(
        update={
            "demos": (
                Demo(
                    inputs={"text": "né", "k": 0}, outputs={"kind": "ä", "extra": {"x": [None, False, 0, ""]}}
                ),
                Demo(inputs={"text": ""}, outputs={"day": "2024-01-01"}, augmented=True),
            )
        }
    )
    program = module(
        asked,
        records={
            "Line": Record(
                name="Line",
                fields=fields(sku=STR, qty=FLOAT),
                checks=(should(binary(var("qty"), ">", const(0.0)), "positive"),),
            )
        },
        lms={
            "mini": LM(name="mini", model="openai/gpt-4o-mini", api_key_env="MY_KEY", fallback=("local",)),
            "local": LM(name="local", model="hosted_vllm/x", api_base="http://10.0.0.1:8000/v1", retry=0),
        },
    )
    steps = (
        *program.steps,
        ValueStep(
            name="n",
            value=If(
                condition=UnaryOp(
                    operator="not", operand=binary(var("k"), "in", ListOfItems(items=(const(None),)))
                ),
                consequence=Item(target=var("out", "lines"), index=const(0)),
                alternative=ForEach(element=var("x"), variable="x", iterable=var("out", "lines")),
            ),
        ),
        CheckStep(check=must(binary(var("n"), "!=", const(None)), "empty"), blames="out"),
    )
    return program.model_copy(update={"steps": steps})


FULL = Artifact(
    name="everything_v1",
    program=everything(),
    scores={"val": Score(metric="right", score=0.5, low=0.25, high=0.75, n=20)},
    provenance=Provenance(
        toolchain="dspc 0.1.0",
        source="0" * 64,
        data={"train": "1" * 64},
        seeds={"demos": 9},
        models={"mini": "openai/gpt-4o-mini"},
        steps=(StepRecord(name="demos", optimizer="BootstrapFewShot", options={"max_rounds": 1}, calls=12),),
        calls=12,
        cost_usd=0.25,
    ),
    notes=("stopped at the budget",),
)


def test_written_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "everything_v1.dspc.json"
    write_artifact(path, FULL)
    read = read_artifact(path)
    moved = FULL.program.lms["local"].model_copy(update={"api_base": None, "custom_endpoint": True})
    assert read == FULL.model_copy(update={"program": FULL.program.with_lms({"local": moved})})
    assert artifact_text(read).encode() == path.read_bytes()
    check_snapshot(HERE / "artifacts" / "everything.txt", path.read_text("utf-8"))


def test_no_address_is_written() -> None:
    text = artifact_text(FULL)
    assert "10.0.0.1" not in text
    assert '"custom_endpoint": true' in text


def test_the_schema_is_published_and_current() -> None:
    published = (Path(artifacts.__file__).parents[1] / "artifact.schema.json").read_text("utf-8")
    assert published == schema_text(), "run `python3.11 dev.py generate`"


def test_what_is_written_fits_the_schema() -> None:
    schema = json.loads(schema_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(artifact_text(FULL)), schema)


TEXTS = st.text(max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=100, deadline=None)
@given(instruction=TEXTS, value=VALUES, default=VALUES)
def test_any_text_and_value_survives(instruction: str, value: JsonValue, default: JsonValue) -> None:
    asked = predictor(
        (FieldSpec(name="x", type=ANY, has_default=True, default=default),),
        fields(y=ANY),
        instruction=instruction,
    )
    demo = Demo(inputs={"x": value}, outputs={"y": value})
    program = module(asked.model_copy(update={"demos": (demo,)}))
    program = program.model_copy(update={"returns": {"y": const(value)}})
    text = artifact_text(Artifact(name="a", program=program))
    read = parse_artifact(text.encode())
    assert read.program == program
    assert artifact_text(read) == text


def changed(**members: Any) -> bytes:
    return json.dumps(json.loads(artifact_text(FULL)) | members).encode()


def edited(place: str, value: Any) -> bytes:
    """The artifact with one member replaced; `place` is a path like `program.lms.mini.model`."""
    plain = json.loads(artifact_text(FULL))
    *parents, last = place.split(".")
    target = plain
    for parent in parents:
        target = target[int(parent)] if isinstance(target, list) else target[parent]
    target[int(last) if isinstance(target, list) else last] = value
    return json.dumps(plain).encode()


ROUTE = "program.predictors.module.signature"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "line 1: not JSON"),
        (b"\xff\xfe", "is not UTF-8 text"),
        (b"[]", "is not a dspec artifact: it has no `format`"),
        (b"{}", "is not a dspec artifact: it has no `format`"),
        (b'{"format": 1, "format": 1}', 'the member "format" is given twice'),
        (b'{"format": NaN}', "NaN is not a JSON value"),
        (b'{"format": 1e400}', "the number 1e400 is out of range"),
        (b'{"format": ' + b"9" * 5000 + b"}", "Exceeds the limit"),
        (b"[" * 1_000_000, "is nested too deep"),
        (b'{"a":' * 500_000, "is nested too deep"),
        (changed(format=2), "has format 2, and this version of dspec reads format 1"),
        (changed(format=True), "has format true"),
        (changed(format={"a": 1}), 'has format {"a": 1}'),
        (changed(kind="swarm"), 'is of kind "swarm", which this version of dspec cannot run'),
        (changed(surprise=1), "surprise: this version of dspec knows no such member"),
        (b'{"format": 1}', "name: field required (and 1 more)"),
        (
            edited("program.lms.mini.timeout", "fast"),
            "program.lms.mini.timeout: input should be a valid number",
        ),
        (edited("program.steps.0.kind", "loop"), "program.steps[0]: input tag 'loop'"),
        (
            edited("program.steps.0.arguments.text.op", "eval"),
            "program.steps[0].arguments.text: input tag 'eval'",
        ),
        (
            edited(f"{ROUTE}.outputs.0.type.values.1", 3),
            f"{ROUTE}.outputs[0].type.values[1]: input should be",
        ),
        (edited(f"{ROUTE}.max_retries", 10**6), f"{ROUTE}.max_retries: must lie in 0..100"),
        (edited(f"{ROUTE}.outputs.0.name", "a ## ]]"), f"{ROUTE}: 'a ## ]]' is not a name"),
        (edited(f"{ROUTE}.outputs.0.name", "text"), f"{ROUTE}: `text` is there twice"),
        (edited(f"{ROUTE}.outputs", []), f"{ROUTE}: it has no outputs"),
        (edited(f"{ROUTE}.outputs.0.type.values", []), f"{ROUTE}.kind: a union without values"),
        (edited("program.predictors.module.lm", "gone"), "program.predictors.module: there is no lm `gone`"),
        (edited("program.steps.0.predictor", "gone"), "program.steps[0]: there is no predictor `gone`"),
        (edited("program.lms.mini.fallback.0", "gone"), "program.lms.mini: there is no lm `gone`"),
        (
            edited("program.lms.mini.api_base", "http://10.0.0.9/v1"),
            "program.lms.mini.api_base: an artifact holds no address",
        ),
        (edited("program.records", {}), "there is no record `Line`"),
        (edited("program.returns", {}), "program.returns: the output `kind` is missing"),
        (
            edited(f"{ROUTE}.checks.0.condition.function", "system"),
            f"{ROUTE}: this version of dspec has no function `system`",
        ),
    ],
)
def test_refused(data: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.dspc.json"
    path.write_bytes(data)
    with pytest.raises(ArtifactError) as caught:
        read_artifact(path)
    assert message in caught.value.message
    assert caught.value.message.startswith(str(path))
    assert len(caught.value.message) < 400 + len(str(path))
    assert caught.value.help


def test_deep_expressions_are_refused() -> None:
    nested = (
        '{"op": "unary", "operator": "not", "operand": ' * 400 + '{"op": "constant", "value": 1}' + "}" * 400
    )
    with pytest.raises(ArtifactError):
        parse_artifact(edited("program.returns.kind", "@").replace(b'"@"', nested.encode()))


def test_only_regular_files_of_a_sane_size_are_opened(tmp_path: Path) -> None:
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(200 * 1024**2)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    tracemalloc.start()
    began = time.process_time()
    for path, message in (
        (large, "is larger than 16 MB"),
        (pipe, "is not a regular file"),
        (tmp_path, "is not a regular file"),
        (Path("/dev/zero"), "is not a regular file"),
        (tmp_path / "gone", "there is no such file"),
        (Path("a\0b"), "cannot be read"),
    ):
        with pytest.raises(ArtifactError, match=message):
            read_artifact(path)
    assert time.process_time() - began < 0.1
    assert tracemalloc.get_traced_memory()[1] < 8 * 1024**2
    tracemalloc.stop()


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200) | VALUES.map(lambda value: json.dumps({"format": 1, "name": value}).encode()))
def test_any_bytes_give_an_artifact_error(data: bytes) -> None:
    with pytest.raises(ArtifactError):
        parse_artifact(data)


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    failing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.json"
    write_whole(path, b"old")

    def fail(*_: object) -> None:
        raise OSError(28, "no space left")

    if failing == "fsync":
        monkeypatch.setattr(os, "fsync", fail)
    else:
        monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="no space left"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]


def test_what_a_killed_writer_left_is_cleared_away(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    dead = 2**22 + 12345  # beyond the largest process number
    (tmp_path / f".a.json.{dead}.tmp").write_bytes(b"half")
    (tmp_path / f".a.json.{os.getpid()}.tmp").write_bytes(b"half")
    running = tmp_path / f".a.json.{os.getppid()}.tmp"
    running.write_bytes(b"another writer's")
    (tmp_path / ".a.json.mine.tmp").write_bytes(b"not ours")
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"
    left = {entry.name for entry in tmp_path.iterdir()}
    assert left == {"a.json", ".a.json.mine.tmp", running.name}


def test_a_link_keeps_pointing_at_the_file_that_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "a.json"
    link.symlink_to(tmp_path / "real" / "a.json")
    write_whole(link, b"new")
    assert link.is_symlink()
    assert (tmp_path / "real" / "a.json").read_bytes() == b"new"


def test_small_programs_stay_readable() -> None:
    text = artifact_text(Artifact(name="q", program=module(question())))
    assert text.endswith("}\n")
    assert max(map(len, text.splitlines())) <= 100
    assert '"inputs": [{"name": "question", "type": {"kind": "scalar", "name": "str"}}],' in text
