"""The classes that `dspc stubs` writes: they run, whatever the names, and know the program that they were made for."""

import importlib.util
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any, get_args, get_type_hints

import pytest
from programs import fields, module, predictor
from server import FakeServer

from dspec import Application, load
from dspec.runtime.artifact.artifact import Artifact, KeptCandidate, Score, write_artifact
from dspec.runtime.artifact.stubs import class_name, shape_of, stubs
from dspec.runtime.errors import ConfigurationError
from dspec.runtime.models.background import shutdown
from dspec.runtime.schema.lms import LM
from dspec.runtime.schema.program import FieldSpec, Program, Record
from dspec.runtime.schema.types import (
    ANY,
    BOOL,
    FLOAT,
    INT,
    STR,
    DictOf,
    ListOf,
    OneOf,
    OneOfNumbers,
    OneOfRecords,
    OptionalOf,
    RecordRef,
    Scalar,
    TupleOf,
)

DATE = Scalar(name="date")
LINE = Record(
    name="Line",
    description='A "line" \\ of """it""".',
    fields=(
        *fields(item=STR, due=DATE),
        FieldSpec(name="count", type=INT, has_default=True, default=1),
        FieldSpec(name="since", type=DATE, has_default=True, default="2026-01-01"),
        FieldSpec(name="tags", type=ListOf(item=STR), has_default=True, default=[]),
    ),
)
CARD = Record(name="Card", fields=fields(kind=OneOf(values=("card",)), number=STR))
CASH = Record(name="Cash", fields=fields(kind=OneOf(values=("cash",)), coins=INT))
DATED = Record(name="Date", fields=fields(day=DATE))
ODD = Record(name="Odd", fields=(FieldSpec(name="class", type=STR),))
RECORDS = {record.name: record for record in (LINE, CARD, CASH, DATED, ODD)}
OUTPUTS = fields(
    lines=ListOf(item=RecordRef(name="Line")),
    paid=OneOfRecords(tag="kind", records=("Card", "Cash")),
    when=RecordRef(name="Date"),
    day=DATE,
    odd=RecordRef(name="Odd"),
    pair=TupleOf(items=(STR, INT)),
    grade=OneOfNumbers(values=(1, 2, 3)),
    names=DictOf(key=STR, value=OptionalOf(item=FLOAT)),
    any=ANY,
    sure=BOOL,
    usage=STR,
)
VALUES: dict[str, Any] = {
    "lines": [{"item": "pen", "due": "2026-05-04", "count": 2, "since": "2026-01-02", "tags": ["a"]}],
    "paid": {"kind": "cash", "coins": 3},
    "when": {"day": "2026-05-05"},
    "day": "2026-05-06",
    "odd": {"class": "x"},
    "pair": ["a", 1],
    "grade": 2,
    "names": {"a": 1.5, "b": None},
    "any": {"x": [1]},
    "sure": True,
    "usage": "much",
}


@pytest.fixture(autouse=True)
def _stopped() -> Iterator[None]:  # pyright: ignore[reportUnusedFunction]
    yield
    shutdown()


def program(
    inputs: tuple[FieldSpec, ...] = fields(text=STR), outputs: tuple[FieldSpec, ...] = OUTPUTS
) -> Program:
    lms = {"mini": LM(name="mini", model="hosted_vllm/x", api_base_env="BASE", adapter="json")}
    return module(predictor(inputs, outputs), records=RECORDS, lms=lms)


def imported(text: str, folder: Path, name: str = "made_by_stubs") -> ModuleType:
    path = folder / f"{name}.py"
    path.write_text(text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    made = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@pytest.mark.parametrize("pydantic", [False, True])
async def test_results_are_of_the_classes(tmp_path: Path, pydantic: bool) -> None:
    import json

    path = tmp_path / "shop.dspc.json"
    write_artifact(path, Artifact(name="shop_v1", program=program()))
    made = imported(stubs(program(), "shop_v1", pydantic=pydantic), tmp_path, f"made_{pydantic}")
    async with FakeServer(lambda call: json.dumps(VALUES)) as server:
        shop = load(path, made.ShopV1, api_base=server.url)
        result = await shop.acall(text="a")
        assert isinstance(result, made.ShopV1Result)
        assert result.lines == [
            made.Line(item="pen", due=date(2026, 5, 4), count=2, since=date(2026, 1, 2), tags=["a"])
        ]
        assert result.lines is result.lines
        assert result.paid == made.Cash(kind="cash", coins=3)
        assert result.when == made.Date_(day=date(2026, 5, 5))
        assert (result.day, result.odd, result.pair) == (date(2026, 5, 6), {"class": "x"}, ("a", 1))
        assert (result.grade, result.names, result.any) == (2, {"a": 1.5, "b": None}, {"x": [1]})
        assert (result["usage"], result.usage.calls) == ("much", 1)
        assert result.outputs == VALUES
        stream = shop.astream(text="b")
        async for _ in stream:
            pass
        assert stream.values["lines"] == result.lines
        (row,) = await shop.with_lm("hosted_vllm/y").abatch([{"text": "c"}])
        assert row.day == date(2026, 5, 6)
        line = made.Line(item="x", due=date(2026, 1, 1))
        assert (line.count, line.since, line.tags) == (1, date(2026, 1, 1), [])


def test_names_that_python_has_other_uses_for(tmp_path: Path) -> None:
    inputs = (
        *fields(**{"class": STR, "self": STR, "inputs": INT}),
        *fields(lm=STR, timeout=FLOAT, inner=BOOL),
    )
    outputs = fields(**{"from": STR, "items": ListOf(item=STR), "_x": STR, "call_id": STR})
    odd = program(inputs, outputs)
    text = stubs(odd, 'a"""\nimport os\n"""-1', called="Odd")
    made = imported(text, tmp_path)
    assert not hasattr(made, "os")
    assert made.Odd.shape == shape_of(odd)
    assert made.OddInputs.__required_keys__ == {"class", "self", "inputs", "lm", "timeout", "inner"}
    assert [class_name(name) for name in ("router_v1", "1st", "a-b c", "été")] == [
        "RouterV1",
        "Program1st",
        "ABC",
        "T",
    ]


def test_labels_of_any_characters_are_those_of_the_program(tmp_path: Path) -> None:
    labels = ("groß", "🦉", "two\nlines", 'say "x"', "a\\b", "\u202eturned", "\x7f")
    made = program(fields(text=STR), fields(label=OneOf(values=labels), counts=DictOf(key=INT, value=STR)))
    text = stubs(made, "it", called="It")
    assert "groß" in text
    assert "🦉" in text
    assert "\u202e" not in text
    assert "counts: dict[str, str]" in text  # JSON has no other keys
    classes = imported(text, tmp_path, "labels")
    assert get_args(get_type_hints(classes.ItResult)["label"]) == labels
    assert classes.It.shape == shape_of(made)


def test_optional_inputs_may_be_left_out(tmp_path: Path) -> None:
    inputs = (
        *fields(note=OptionalOf(item=STR), when=OptionalOf(item=DATE)),
        FieldSpec(name="n", type=INT, has_default=True, default=3),
    )
    made = imported(stubs(program(inputs), "p"), tmp_path)
    assert made.PInputs.__total__ is False
    made = imported(stubs(program((*inputs, *fields(text=STR))), "p"), tmp_path)
    left_out = {name for name, kind in made.PInputs.__annotations__.items() if "NotRequired" in repr(kind)}
    assert left_out == {"note", "when", "n"}


def test_a_class_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "shop.dspc.json"
    write_artifact(path, Artifact(name="shop_v1", program=program()))
    made = imported(stubs(program(fields(text=STR, more=INT), OUTPUTS[1:]), "shop_v1"), tmp_path)
    with pytest.raises(ConfigurationError) as caught:
        load(path, made.ShopV1, api_base="http://127.0.0.1:1/v1")
    assert caught.value.message == (
        "`ShopV1` was made for another version of shop_v1: input more: int (no more); output lines: list[Line] (new); "
        'Line.item: str (new); Line.due: date (new); Line.count: int = 1 (new); Line.since: date = "2026-01-01" (new)'
    )
    assert caught.value.help == "make it anew with `dspc stubs`"


def test_a_class_has_what_any_loaded_program_has(tmp_path: Path) -> None:
    """Members that come for one come for the other; a candidate is of the class of the program that keeps it."""
    path = tmp_path / "shop.dspc.json"
    kept = KeptCandidate(
        label="small",
        step="demos",
        program=program(),
        score=Score(metric="m", score=0.5, low=0.4, high=0.6, n=9, aggregates=()),
        calls=1.0,
        tokens=2.0,
        usd=None,
    )
    write_artifact(path, Artifact(name="shop_v1", program=program(), candidates=(kept,)))
    made = imported(stubs(program(), "shop_v1"), tmp_path)
    with load(path, api_base="http://127.0.0.1:9") as plain, load(path, made.ShopV1) as typed:
        members = [{one for one in dir(each) if not one.startswith("_")} for each in (plain, typed)]
        assert members[0] == members[1]
        assert {"artifact", "candidates", "inspect", "history"} <= members[1]
        (candidate,) = typed.candidates
        assert type(candidate.load()) is made.ShopV1
        assert type(plain.candidates.cheapest()) is Application
