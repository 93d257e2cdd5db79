"""The evaluation store: remembers runs, forgets what it cannot trust, never answers wrongly."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from scripted import FAKE, classifier, pipeline

from dspec.compiler.evaluate.store import ProgramKey, RunResult, Store, forget, lm_digest, program_digest
from dspec.runtime.errors import ConfigurationError
from dspec.runtime.schema.program import LM, Demo, Program
from dspec.runtime.schema.trace import TraceStep
from dspec.runtime.schema.types import JsonValue

TRACE = (TraceStep("out", "ask", {"text": "a"}, {"label": "b"}, 1, ("mended",)),)
RUN = RunResult({"label": "b", "n": None, "x": [1, 2.5, {"y": "ä"}]}, TRACE, None, 1, 10, 5, 123, 0)
FAILED = RunResult(None, (), ("CheckFailed", "label: is too long"), 2, 10, 5, 123, 1)
KEYS = [bytes([i]) * 32 for i in range(4)]


def test_what_was_put_is_found_again_by_another_process(tmp_path: Path) -> None:
    path = tmp_path / "runs.sqlite"
    with Store(path) as store:
        store.put(KEYS[0], RUN)
        store.put(KEYS[1], FAILED)
        assert store.lookup(KEYS) == {KEYS[0]: RUN, KEYS[1]: FAILED}
    with Store(path) as store:
        assert store.lookup(KEYS) == {KEYS[0]: RUN, KEYS[1]: FAILED}
        assert store.problem is None


def test_members_keep_the_order_in_which_they_were_answered(tmp_path: Path) -> None:
    run = replace(RUN, outputs={"z": 1, "a": {"y": 1, "b": 2}})
    for store in (Store(), Store(tmp_path / "runs.sqlite")):
        with store:
            store.put(KEYS[0], run)
            store.flush()
            (found,) = store.lookup(KEYS).values()
            assert str(found.outputs) == str(run.outputs)


def test_what_json_cannot_say_is_forgotten_and_harms_no_other_run(tmp_path: Path) -> None:
    with Store(tmp_path / "runs.sqlite") as store:
        store.put(KEYS[0], replace(RUN, outputs={"x": float("nan")}))
        store.put(KEYS[1], RUN)
        store.flush()
        assert store.lookup(KEYS) == {KEYS[1]: RUN}


@pytest.mark.parametrize(
    "value", [float("inf"), [None, float("nan")], "half \ud83d of a pair", "null", {"é": None}, 2**80, 1e300]
)
def test_what_needs_care_is_read_as_it_was_or_forgotten(tmp_path: Path, value: JsonValue) -> None:
    run = replace(RUN, outputs={"x": value}, trace=(replace(TRACE[0], outputs={"x": value}, reward=0.5),))
    with Store(tmp_path / "runs.sqlite") as store:
        store.put(KEYS[0], run)
        store.flush()
        said = "nan" not in repr(value) and "inf" not in repr(value)
        assert store.lookup(KEYS) == ({KEYS[0]: run} if said else {})
        assert repr(store.lookup(KEYS)) == repr({KEYS[0]: run} if said else {})


def test_in_memory_it_remembers_for_its_own_life() -> None:
    with Store() as store:
        store.put(KEYS[0], RUN)
        assert store.lookup(KEYS) == {KEYS[0]: RUN}
    assert Store().lookup(KEYS) == {}


def test_a_run_that_nobody_could_read_is_remembered_no_longer_than_the_store_is_open(tmp_path: Path) -> None:
    path = tmp_path / "runs.sqlite"
    unread = replace(FAILED, error=("ParseError", "label: is missing"), set_aside=True)
    voted = replace(RUN, set_aside=True)  # another answer gave the outputs
    with Store(path) as store:
        store.put(KEYS[0], unread)
        store.put(KEYS[1], voted)
        assert store.lookup(KEYS) == {KEYS[0]: unread, KEYS[1]: voted}
    with Store(path) as store:
        assert store.lookup(KEYS) == {}


def test_thousands_of_rows_are_looked_up_at_once(tmp_path: Path) -> None:
    keys = [i.to_bytes(32, "big") for i in range(3000)]
    with Store(tmp_path / "runs.sqlite") as store:
        for key in keys[::2]:
            store.put(key, RUN)
        store.flush()
        assert set(store.lookup(keys)) == set(keys[::2])


def test_two_stores_on_one_file_see_each_others_runs(tmp_path: Path) -> None:
    path = tmp_path / "runs.sqlite"
    with Store(path) as one, Store(path) as two:
        one.put(KEYS[0], RUN)
        two.put(KEYS[1], FAILED)
        one.flush()
        two.flush()
        assert one.lookup(KEYS) == two.lookup(KEYS) == {KEYS[0]: RUN, KEYS[1]: FAILED}


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE runs SET body = replace(CAST(body AS TEXT), 'b', 'c')",
        "UPDATE runs SET body = x'00'",
        "UPDATE runs SET seal = x'00'",
        "UPDATE runs SET seal = 7, body = 7",
        "UPDATE runs SET key = x'" + KEYS[1].hex() + "'",
    ],
)
def test_a_row_that_was_tampered_with_is_a_miss(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "runs.sqlite"
    with Store(path) as store:
        store.put(KEYS[0], RUN)
    with sqlite3.connect(path) as database:
        database.execute(damage)
    database.close()
    with Store(path) as store:
        assert store.lookup(KEYS) == {}
        store.put(KEYS[0], RUN)
        store.flush()
        assert store.lookup(KEYS) == {KEYS[0]: RUN}


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 8000), st.binary(min_size=1, max_size=600))
def test_a_file_with_garbage_in_it_never_gives_a_wrong_run(
    tmp_path_factory: pytest.TempPathFactory, offset: int, garbage: bytes
) -> None:
    path = tmp_path_factory.mktemp("store") / "runs.sqlite"
    with Store(path) as store:
        for key in KEYS:
            store.put(key, RUN)
    content = bytearray(path.read_bytes())
    content[offset : offset + len(garbage)] = garbage
    path.write_bytes(content)
    with Store(path) as store:
        assert all(run == RUN for run in store.lookup(KEYS).values())
        store.put(KEYS[0], FAILED)
        store.flush()
        assert store.lookup(KEYS[:1]) in ({KEYS[0]: FAILED}, {KEYS[0]: RUN})


def test_a_file_that_is_no_database_is_set_aside_and_said(tmp_path: Path) -> None:
    path = tmp_path / "runs.sqlite"
    path.write_text("this is a diary, not a database\n" * 50)
    with Store(path) as store:
        assert "damaged" in (store.problem or "")
        store.put(KEYS[0], RUN)
    with Store(path) as store:
        assert store.lookup(KEYS) == {KEYS[0]: RUN}
        assert store.problem is None
    assert "diary" in (tmp_path / "runs.sqlite.damaged").read_text()


def test_a_place_that_cannot_be_used_leaves_a_memory(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with Store(tmp_path / "folder") as store:
        assert "in memory only" in (store.problem or "")
        store.put(KEYS[0], RUN)
        assert store.lookup(KEYS) == {KEYS[0]: RUN}
    with pytest.raises(ConfigurationError, match="does not exist"):
        Store(tmp_path / "nowhere" / "runs.sqlite")


def test_a_store_from_before_there_were_versions_keeps_its_runs(tmp_path: Path) -> None:
    path = tmp_path / "runs.sqlite"
    with Store(path) as store:
        store.put(KEYS[0], RUN)
    with sqlite3.connect(path) as database:
        database.execute("ALTER TABLE runs RENAME TO runs_2")
        database.execute("CREATE TABLE runs_1 (key BLOB PRIMARY KEY, body BLOB, seal BLOB) WITHOUT ROWID")
        database.execute("PRAGMA user_version = 0")
    database.close()
    for _ in range(2):
        with Store(path) as store:
            assert store.problem is None
            assert store.lookup(KEYS) == {KEYS[0]: RUN}
    with sqlite3.connect(path) as database:
        assert database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall() == [
            ("runs",)
        ]
    database.close()


def test_a_store_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "runs.sqlite"
    Store(path).close()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    before = path.read_bytes()
    with Store(path) as store:
        assert "newer version" in (store.problem or "")
        store.put(KEYS[0], RUN)
        assert store.lookup(KEYS) == {KEYS[0]: RUN}
    forget(path)
    assert path.read_bytes() == before


def test_runs_are_forgotten_when_they_are_told_to_be(tmp_path: Path) -> None:
    path = tmp_path / "runs.sqlite"
    forget(path)
    assert not path.exists()
    with Store(path) as store:
        store.put(KEYS[0], RUN)
    forget(path)
    with Store(path) as store:
        assert store.lookup(KEYS) == {}


def test_a_file_that_fails_in_the_middle_loses_nothing_of_this_run(tmp_path: Path) -> None:
    path = tmp_path / "runs.sqlite"
    with Store(path) as store:
        store.put(KEYS[0], RUN)
        store.flush()
        other = sqlite3.connect(path)
        other.execute("DROP TABLE runs")
        other.close()
        store.put(KEYS[1], RUN)
        store.flush()
        assert "in memory only" in (store.problem or "")
        assert store.lookup(KEYS) == {KEYS[1]: RUN}


# Keys ----------------------------------------------------------------------------------------------


def with_lm(**settings: object) -> Program:
    return classifier().with_lms({"fake": FAKE.model_copy(update=settings)})


def test_what_reaches_no_prompt_is_not_part_of_the_key() -> None:
    program = pipeline()
    turned = program.model_copy(
        update={
            "name": "renamed",
            "predictors": dict(reversed(program.predictors.items())),
            "lms": {"unused": FAKE, **program.lms},
        }
    )
    spare = program.model_copy(
        update={"predictors": {**program.predictors, "spare": classifier().predictors["ask"]}}
    )
    assert program_digest(program) == program_digest(turned) == program_digest(spare)
    assert lm_digest(program) == lm_digest(turned)
    other_lm = with_lm(
        name="x", timeout=1.0, retry=0, rpm=3, max_parallel=2, price_input=1.0, api_key_env="K"
    )
    assert lm_digest(other_lm) == lm_digest(classifier())


def test_what_changes_an_answer_is_part_of_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    program = classifier()
    demo = Demo(inputs={"text": "a"}, outputs={"label": "b"})
    programs = [
        program,
        program.with_predictor("ask", instruction="Guess."),
        program.with_predictor("ask", demos=(demo,)),
        pipeline(),
    ]
    assert len({program_digest(one) for one in programs}) == 4
    backup = LM(name="backup", model="embedded/other")
    served = {"model": "hosted_vllm/m", "api_base_env": "PLACE"}
    digests: set[str] = set()
    for place in ("http://localhost:1/v1", "http://localhost:2/v1"):
        monkeypatch.setenv("PLACE", place)
        digests.add(lm_digest(with_lm(**served)))
    digests |= {
        lm_digest(one)
        for one in (
            program,
            with_lm(model="embedded/other"),
            with_lm(temperature=0.0),
            with_lm(max_tokens=5),
            with_lm(seed=1),
            with_lm(parse="strict"),
            with_lm(adapter="json"),
            with_lm(adapter="xml"),
            with_lm(fallback=("backup",)).with_lms({"backup": backup}),
        )
    }
    assert len(digests) == 11


def test_an_lm_that_falls_back_to_itself_has_a_key() -> None:
    assert lm_digest(with_lm(fallback=("fake",))) != lm_digest(classifier())


def test_samples_temperatures_and_inputs_have_their_own_keys() -> None:
    key = ProgramKey(classifier())
    keys = {
        key.run("a", sample=0, temperature=None),
        key.run("b", sample=0, temperature=None),
        key.run("a", sample=1, temperature=None),
        key.run("a", sample=0, temperature=0.0),
        key.run("a", sample=0, temperature=1.0),
    }
    assert len(keys) == 5
    assert {len(one) for one in keys} == {32}


def test_the_file_is_not_a_pickle_and_is_written_in_wal_mode(tmp_path: Path) -> None:
    path = tmp_path / "runs.sqlite"
    with Store(path) as store:
        store.put(KEYS[0], RUN)
        store.flush()
        assert Path(f"{path}-wal").exists()
        with sqlite3.connect(path) as database:
            (body,) = database.execute("SELECT body FROM runs").fetchone()
        database.close()
    assert body.startswith(b'{"outputs":{"label":"b"')
