"""What an application does with a compiled program, on the embedded model and on a loopback server."""

from __future__ import annotations

import asyncio
import copy
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from programs import chat, fields, module, predictor, question
from server import FakeServer

import dspec
from dspec import Application, Prediction, load
from dspec.runtime.application import of_program
from dspec.runtime.artifact.artifact import Artifact, write_artifact
from dspec.runtime.errors import (
    ArtifactError,
    ConfigurationError,
    InputError,
    ParseError,
    ProviderError,
)
from dspec.runtime.models.background import background, shutdown
from dspec.runtime.schema.program import LM, Demo
from dspec.runtime.schema.types import STR, OneOf, Row

INTENT = OneOf(values=("card", "cash", "other"))
DEMOS = (("my card is gone", "card"), ("the cash machine is empty", "cash"), ("hello there", "other"))
ROUTE = predictor(fields(text=STR), fields(intent=INTENT)).model_copy(
    update={"demos": tuple(Demo(inputs={"text": text}, outputs={"intent": intent}) for text, intent in DEMOS)}
)


def written(folder: Path, **lm: object) -> Path:
    """An artifact with one model, `mini`, of these settings."""
    settings = {"name": "mini", "model": "embedded/icl", **lm}
    path = folder / "router_v1.dspc.json"
    write_artifact(
        path, Artifact(name="router_v1", program=module(ROUTE, lms={"mini": LM.model_validate(settings)}))
    )
    return path


@pytest.fixture(autouse=True)
def _stopped() -> Iterator[None]:  # pyright: ignore[reportUnusedFunction]
    yield
    shutdown()


@pytest.fixture
def route(tmp_path: Path) -> Application:
    return load(written(tmp_path))


def test_a_call(route: Application) -> None:
    p = route(text="where is my card")
    assert p.intent == p["intent"] == "card"
    assert dict(p) == p.outputs == {"intent": "card"}
    assert repr(p) == "Prediction(intent='card')"
    assert repr(route) == "<dspec program router_v1(text) -> (intent)>"
    assert p.usage.calls == 1
    assert p.usage.cost == 0.0
    assert p.usage.tokens == p.usage.input_tokens + p.usage.output_tokens > 0
    assert p.trace[0].outputs == {"intent": "card"}
    assert "intent" in dir(p)


def test_a_missing_output_names_the_outputs(route: Application) -> None:
    p = route(text="card")
    with pytest.raises(AttributeError, match="no output `label`: the outputs are intent"):
        _ = p.label
    with pytest.raises(KeyError):
        p["label"]
    assert copy.copy(p) == p
    assert copy.deepcopy(p).outputs == p.outputs


def test_an_output_named_like_the_predictions_own_is_an_item(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_artifact(path, Artifact(name="a", program=module(question("usage"))))
    p = load(path)(question="?")
    assert isinstance(p["usage"], str)
    assert p.usage.calls == 1


def test_wrong_inputs_say_what_there_is(route: Application) -> None:
    with pytest.raises(InputError, match="no input `txt`: `module` takes text: str"):
        route(txt="card")
    with pytest.raises(InputError, match="the input `text` is missing"):
        route()


async def test_calls_inside_a_running_loop(route: Application) -> None:
    assert route(text="cash machine").intent == "cash"
    first, second = await asyncio.gather(route.acall(text="my card"), route.acall(text="cash"))
    assert (first.intent, second.intent) == ("card", "cash")
    assert [p.intent for p in await route.abatch([{"text": "hello"}, {"text": "card"}])] == ["other", "card"]


ROWS: list[Row] = [{"text": text} for text, _ in DEMOS] * 20


def test_a_batch_keeps_the_order(route: Application) -> None:
    assert [p.intent for p in route.batch(ROWS, threads=7)] == [intent for _, intent in DEMOS] * 20
    assert route.batch([]) == []
    with pytest.raises(ConfigurationError, match="at least 1"):
        route.batch(ROWS, threads=0)


def test_a_batch_with_failing_rows(route: Application) -> None:
    rows: list[Row] = [{"text": "card"}, {"text": 1}, {}, {"text": "hello"}]
    with pytest.raises(InputError, match="does not fit"):
        route.batch(rows)
    first, second, third, fourth = route.batch(rows, return_exceptions=True)
    assert isinstance(first, Prediction)
    assert isinstance(second, InputError)
    assert "missing" in str(third)
    assert isinstance(fourth, Prediction)


def test_calls_from_several_threads(route: Application) -> None:
    results: dict[int, object] = {}

    def work(index: int) -> None:
        results[index] = route(text=DEMOS[index % 3][0]).intent

    threads = [threading.Thread(target=work, args=(index,)) for index in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [results[index] for index in range(12)] == [intent for _, intent in DEMOS] * 4


def test_closing_and_calling_again(route: Application) -> None:
    with route:
        assert route(text="my card").intent == "card"
    assert background().at_stop == []
    assert route(text="my card").intent == "card"
    shutdown()
    assert route(text="my card").intent == "card"


def test_a_program_that_was_not_compiled() -> None:
    program = module(
        ROUTE, lms={"mini": LM(name="mini", model="openai/gpt-4o", api_base="http://10.0.0.1/v1")}
    )
    assert of_program(program).program.lms["mini"].api_base == "http://10.0.0.1/v1"
    with of_program(program, lm="embedded/icl") as p:
        assert p(text="my card").intent == "card"


def test_a_file_that_is_no_artifact(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="there is no such file"):
        load(tmp_path / "gone.json")


def test_overrides_must_name_models_of_the_program(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="`lm` names the model `big`") as caught:
        load(written(tmp_path), lm={"big": "embedded/icl"})
    assert caught.value.help == "its models are `mini`"
    with pytest.raises(ConfigurationError, match="`threads` must be at least 1"):
        load(written(tmp_path), threads=0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"tools": {"look": 5}}, "`tools['look']` is of type int, and should be a function"),
        (
            {"tools": ["look"]},
            "`tools` is of type list, and should be a mapping from tools' names to functions",
        ),
        ({"tools": {5: print}}, "`a name in tools` is of type int, and should be a text"),
        ({"allow": None}, "`allow` is None, and should be a list of texts"),
        ({"allow": "x"}, "`allow` is one text, not several"),
        ({"allow": 5}, "`allow` is of type int, and should be a list of texts"),
        ({"allow": ["x", None]}, "`allow[1]` is None, and should be a text"),
        ({"lm": 5}, "`lm` is of type int, and should be a text, or a mapping"),
        ({"lm": {"mini": None}}, "`lm['mini']` is None, and should be a text"),
        ({"api_base": ["x"]}, "`api_base` is of type list"),
        ({"api_key_env": b"x"}, "`api_key_env` is of type bytes"),
        ({"threads": "4"}, "`threads` is of type str, and should be a whole number"),
        ({"threads": True}, "`threads` is of type bool"),
        ({"cache": 5}, "`cache` is of type int, and should be a path"),
        ({"root": 5}, "`root` is of type int, and should be a path"),
        ({"isolate": None}, "`isolate` is None, and should be True or False"),
        ({"path": None}, "`path` is None, and should be a path"),
    ],
)
def test_arguments_of_another_kind_are_said_at_once(
    tmp_path: Path, arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(**{"path": written(tmp_path), **arguments})
    assert caught.value.message.startswith(words)


def test_a_batch_says_what_is_wrong_with_its_threads(route: Application) -> None:
    with pytest.raises(ConfigurationError, match="`threads` is of type str"):
        route.batch(ROWS, threads="4")  # pyright: ignore[reportCallIssue, reportArgumentType]
    with pytest.raises(ConfigurationError, match="`threads` must be at most 65,536"):
        route.batch(ROWS, threads=10**9)
    wrong: list[Any] = ["4", 0, 10**9]
    for threads in wrong:
        with pytest.raises(ConfigurationError, match="`threads`"):
            asyncio.run(route.abatch(ROWS, threads=threads))


def test_another_model_takes_nothing_of_the_old_ones_provider(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        model="openai/gpt-4o",
        api_base_env="BASE",
        api_key_env="KEY",
        price_input=1.0,
        temperature=0.5,
    )
    same = load(path, lm="openai/gpt-4o-mini").program.lms["mini"]
    assert (same.model, same.api_base_env, same.api_key_env) == ("openai/gpt-4o-mini", "BASE", "KEY")
    assert (same.price_input, same.temperature) == (None, 0.5)
    other = load(path, lm={"mini": "embedded/icl"}).program.lms["mini"]
    assert (other.model, other.api_base_env, other.api_key_env) == ("embedded/icl", None, None)


def test_a_custom_endpoint_must_be_named_again(tmp_path: Path) -> None:
    path = written(tmp_path, model="hosted_vllm/x", api_base="http://10.0.0.1/v1")
    with pytest.raises(ConfigurationError, match="compiled against its own endpoint") as caught:
        load(path)
    assert 'api_base={"mini": "http://…/v1"}' in caught.value.help
    assert load(path, lm="embedded/icl")(text="my card").intent == "card"
    assert (
        load(path, api_base="http://127.0.0.1:1/v1").program.lms["mini"].api_base == "http://127.0.0.1:1/v1"
    )


async def test_an_endpoint_a_key_and_a_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROUTER_KEY", "sk-secret-of-the-test")
    path = written(tmp_path, model="hosted_vllm/x", api_base="http://10.0.0.1/v1", retry=0)
    async with FakeServer(lambda call: chat(intent="cash")) as server:
        cache = tmp_path / "cache" / "answers.sqlite"
        settings = {"api_base": {"mini": server.url}, "api_key_env": "ROUTER_KEY", "cache": cache}
        with load(path, **settings) as p:  # pyright: ignore[reportArgumentType]
            first = await p.acall(text="a")
            assert (first.intent, first.usage.replayed) == ("cash", 0)
        with load(path, **settings) as p:  # pyright: ignore[reportArgumentType]
            again = await p.acall(text="a")
            assert (again.intent, again.usage.calls, again.usage.replayed, again.usage.tokens) == (
                "cash",
                1,
                1,
                0,
            )
        assert len(server.calls) == 1
        assert b"sk-secret" not in cache.read_bytes()


async def test_errors_come_out_as_they_are(tmp_path: Path) -> None:
    path = written(tmp_path, model="hosted_vllm/x", api_base="http://10.0.0.1/v1", retry=0)
    async with FakeServer(lambda call: "no idea") as server:
        with load(path, api_base=server.url) as p, pytest.raises(ParseError, match="intent: expected one"):
            await p.acall(text="a")
    with load(path, api_base="http://127.0.0.1:9/v1") as p, pytest.raises(ProviderError):
        await p.acall(text="a")


def fresh(code: str, folder: Path) -> str:
    """What a new interpreter prints, warnings being errors."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_a_process_ends_cleanly_and_loads_little(tmp_path: Path) -> None:
    path = written(tmp_path)
    heavy = ("lark", "optuna", "pygls", "litellm", "aiohttp", "numpy", "rich", "typer")
    code = f"""
import sys
from dspec import load
p = load({path.name!r})
assert "jinja2" not in sys.modules
print(p(text="my card").intent, p.batch([{{"text": "cash"}}])[0].intent)
assert not set({heavy!r}) & set(sys.modules), set({heavy!r}) & set(sys.modules)
"""
    assert fresh(code, tmp_path) == "card cash\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_starts_its_own_loop(tmp_path: Path) -> None:
    path = written(tmp_path)
    code = f"""
import os, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of any fork with threads
from dspec import load
p = load({path.name!r})
p(text="my card")
if (child := os.fork()) == 0:
    print(p(text="cash machine").intent, flush=True)
    os._exit(0)
print(os.waitpid(child, 0)[1], p(text="my card").intent)
"""
    assert fresh(code, tmp_path) == "cash\n0 card\n"


def test_the_front_door() -> None:
    assert {"Application", "Prediction", "__version__", "errors", "load"} < set(dspec.__all__)
    assert all(getattr(dspec, name) is not None for name in dspec.__all__)
    assert set(dspec.__all__) <= set(dir(dspec))
    assert dspec.errors.InputError is InputError
    assert dspec.__version__
    with pytest.raises(AttributeError, match="module 'dspec' has no attribute 'compile'"):
        _ = dspec.compile  # pyright: ignore


def test_importing_the_package_imports_nothing_else(tmp_path: Path) -> None:
    code = "import dspec, json, sys; print(json.dumps(sorted(sys.modules)))"
    names = json.loads(fresh(code, tmp_path))
    assert [name for name in names if name.startswith("dspec")] == ["dspec"]
    assert "pydantic" not in names
