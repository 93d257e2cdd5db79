"""`dspc serve`: what callers are told, who is let in, and that a stop loses nobody."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import aiohttp
import jsonschema
import pytest
from dspc import DSPC, dspc
from programs import chat
from server import Call, FakeServer

from dspec import load
from dspec.compiler.check.analysis import analyse
from dspec.compiler.serving.schemas import standing_alone
from dspec.compiler.serving.web.openapi import openapi
from dspec.compiler.serving.web.server import ProgramServer, ServerSettings
from dspec.compiler.serving.web.turnstile import TurnedAway, Turnstile
from dspec.runtime.artifact.artifact import Artifact, kind_of, write_artifact
from dspec.runtime.errors import InputError
from dspec.runtime.models.background import background
from dspec.runtime.running.fitting import check_inputs

SOURCE = """dspec 1
lm fake { model = "openai/fake"; api_base = env("SERVE_URL"); api_key = env("OPENAI_API_KEY"); retry = 0 }
record Line { field item: str; field count: int = 1; field parts: list[Line] = [] }
signature Read {
  "Read the order."
  input text: str "what was written"
  input day: date?
  input lines: list[Line] = []
  input weights: dict[str, float] = dict()
  output word: str "the first word"
  output size: 1 | 2 | 3
}
module read = Predict(Read)
"""


def artifact(
    folder: Path, monkeypatch: pytest.MonkeyPatch | None = None, url: str = "", name: str = "read"
) -> Path:
    (folder / "main.dspec").write_text(SOURCE, encoding="utf-8")
    project = analyse(folder / "main.dspec").project
    assert project is not None
    program = project.programs["read"]
    path = folder / f"{name}.dspc.json"
    write_artifact(path, Artifact(kind=kind_of(program), name=name, program=program))
    if monkeypatch is not None:
        monkeypatch.setenv("SERVE_URL", url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-upstream")
    return path


def answer(call: Call) -> str:
    text = call.body["messages"][1]["content"].split("[[ ## text ## ]]\n")[1].split("\n")[0]
    return "I cannot." if text == "unreadable" else chat(word=f"word of {text}", size="2")


class Served:
    """A server on loopback, and what it logged."""

    def __init__(self, server: ProgramServer, log: list[str], session: aiohttp.ClientSession) -> None:
        self.server = server
        self.log = log
        self.session = session
        self.url = f"http://127.0.0.1:{server.port}"

    async def run(self, inputs: object, path: str = "/run", **headers: str) -> tuple[int, Any]:
        async with self.session.post(self.url + path, json=inputs, headers=headers) as response:
            return response.status, await response.json()

    async def get(self, path: str, **headers: str) -> tuple[int, str]:
        async with self.session.get(self.url + path, headers=headers) as response:
            return response.status, await response.text()


@asynccontextmanager
async def serving(
    *paths: Path, timeout: float = 20.0, record: Path | None = None, **settings: Any
) -> AsyncGenerator[Served]:
    log: list[str] = []
    programs = {
        one.name: one for one in (load(path, timeout=timeout, history=0, record=record) for path in paths)
    }
    server = ProgramServer(programs, ServerSettings(port=0, **settings), log.append)
    home = background()
    await asyncio.wrap_future(home.submit(server.start()))
    try:
        async with aiohttp.ClientSession() as session:
            yield Served(server, log, session)
    finally:
        await asyncio.wrap_future(home.submit(server.close()))
        for one in programs.values():
            await asyncio.to_thread(one.close)


async def test_a_program_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with FakeServer(answer) as model, serving(artifact(tmp_path, monkeypatch, model.url)) as served:
        status, told = await served.run({"text": "a", "day": "2026-01-31", "lines": [{"item": "x"}]})
        assert status == 200
        assert told["outputs"] == {"word": "word of a", "size": 2}
        assert told["usage"]["calls"] == 1
        status, by_name = await served.run({"text": "a"}, "/run/read")
        assert (status, by_name["outputs"]) == (200, told["outputs"])
        assert (await served.get("/health"))[0] == 200
        assert json.loads((await served.get("/ready"))[1])["programs"] == ["read"]
        line = json.loads(served.log[0])
        assert (line["program"], line["status"], line["id"]) == ("read", 200, told["id"])
        assert "word of a" not in "".join(served.log)


async def test_runs_are_recorded_with_what_callers_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "recorded.sqlite"
    async with FakeServer(answer) as model:
        async with serving(artifact(tmp_path, monkeypatch, model.url), record=file) as served:
            _, told = await served.run({"text": "a"})
            said = {"id": told["id"], "score": 0.5, "outputs": {"size": 3}}
            assert await served.run(said, "/feedback") == (202, {"id": told["id"]})
            assert (await served.run({"id": told["id"], "comment": "hm"}, "/feedback/read"))[0] == 202
            for wrong, words in (
                ({"score": 1}, "'' is no id of a call"),
                ({"id": told["id"]}, "a feedback says something"),
                ({"id": told["id"], "score": 2}, "the score is 2"),
                ({"id": told["id"], "outputs": {"size": 4}}, "the output `size` does not fit"),
                ({"id": told["id"], "scores": 1}, "`scores` is not known; a feedback has id, score"),
                ({"id": told["id"], "call": "x"}, "`call` is not known"),
                (["id"], "the body is a list"),
            ):
                status, problem = await served.run(wrong, "/feedback")
                assert (status, problem["error"]["message"].startswith(words)) == (422, True), problem
            assert (await served.run(said, "/feedback/other"))[0] == 404
            document = json.loads((await served.get("/openapi.json"))[1])
            assert "/feedback/read" in document["paths"]
        with closing(sqlite3.connect(file)) as database:
            assert database.execute("SELECT id, inputs FROM calls").fetchall() == [
                (told["id"], '{"text":"a"}')
            ]
            rows = database.execute("SELECT id, score, comment, outputs FROM feedback").fetchall()
        assert rows == [(told["id"], 0.5, None, '{"size":3}'), (told["id"], None, "hm", None)]
        async with serving(artifact(tmp_path, monkeypatch, model.url)) as served:
            assert (await served.run(said, "/feedback"))[0] == 404
            assert "/feedback" not in (await served.get("/openapi.json"))[1]


@pytest.mark.parametrize(
    ("inputs", "where", "message"),
    [
        ({}, "text", "it is missing"),
        ({"text": 5}, "text", "expected text, got 5"),
        ({"text": "a", "txt": "b"}, "txt", "there is no such input"),
        ({"text": "a", "day": "tomorrow"}, "day", "expected a date"),
        (
            {"text": "a", "lines": [{"item": "x"}, {"item": "x", "count": "b"}]},
            "lines[1].count",
            "a whole number",
        ),
        ({"text": "a", "lines": [{"item": "x", "parts": [{}]}]}, "lines[0].parts[0]", "lacks the field item"),
        ({"text": "a", "weights": {"x": True}}, "weights.x", "a number"),
    ],
)
async def test_inputs_that_do_not_fit_are_told_with_their_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inputs: dict[str, Any], where: str, message: str
) -> None:
    async with serving(artifact(tmp_path, monkeypatch, "http://127.0.0.1:9/v1")) as served:
        status, told = await served.run(inputs)
    assert status == 422
    (detail,) = told["error"]["details"]
    assert detail["where"] == where
    assert message in detail["message"]


async def test_bodies_that_are_none_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = artifact(tmp_path, monkeypatch, "http://127.0.0.1:9/v1")
    cases: list[tuple[bytes, str, int, str]] = [
        (b'{"text": ', "application/json", 400, "is not JSON"),
        (b"", "application/json", 400, "is not JSON"),
        (b'{"text": "\xff"}', "application/json", 400, "is not UTF-8"),
        (b'{"text": NaN}', "application/json", 400, "is not JSON"),
        (b"[" * 200_000, "application/json", 400, "nested deeper"),
        (b'["a"]', "application/json", 422, "the body is a list"),
        (b'{"text": "a"}', "text/plain", 415, "application/json"),
        (b'{"text": "%b"}' % (b"a" * 300_000), "application/json", 413, "larger than"),
    ]
    async with serving(path, max_body=256_000) as served:
        for body, kind, status, said in cases:
            async with served.session.post(
                served.url + "/run", data=body, headers={"Content-Type": kind}
            ) as response:
                told = await response.json()
            assert (response.status, said in told["error"]["message"]) == (status, True), told

        # One that does not say how large it is.
        async def endless() -> AsyncGenerator[bytes]:
            for _ in range(100):
                yield b"a" * 10_000

        async with served.session.post(
            served.url + "/run", data=endless(), headers={"Content-Type": "application/json"}
        ) as response:
            assert response.status == 413
        packed = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        async with served.session.post(served.url + "/run", data=b"x", headers=packed) as response:
            assert response.status == 415
        assert (await served.run({"text": 1}))[0] == 422  # it is well


@pytest.mark.parametrize(
    ("fault", "status", "kind"),
    [
        ("503", 502, "model"),
        ("cut", 502, "model"),
        ("malformed", 502, "model"),
        ("html", 502, "model"),
        ("says:no such thing", 502, "refused"),
        ("429:7", 503, "limited"),
        ("401", 502, "model"),
        ("leak", 502, "refused"),
        ("hang", 504, "late"),
    ],
)
async def test_what_goes_wrong_upstream_is_told_without_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, status: int, kind: str
) -> None:
    async with FakeServer(answer, faults=[fault] * 20) as model:
        async with serving(artifact(tmp_path, monkeypatch, model.url), timeout=1.0) as served:
            async with served.session.post(served.url + "/run", json={"text": "a"}) as response:
                text = await response.text()
            assert response.status == status, text
            assert json.loads(text)["error"]["kind"] == kind
            assert "sk-" not in text + "".join(served.log)
            assert model.url not in text
            if kind == "limited":
                assert int(response.headers["Retry-After"]) >= 1


async def test_an_answer_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with FakeServer(answer) as model, serving(artifact(tmp_path, monkeypatch, model.url)) as served:
        status, told = await served.run({"text": "unreadable"})
    assert (status, told["error"]["kind"]) == (502, "answer")


async def test_a_stream_tells_what_comes_and_ends_with_the_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with FakeServer(answer, trickle=0.002) as model:
        async with serving(artifact(tmp_path, monkeypatch, model.url)) as served:
            headers = {"Accept": "text/event-stream"}
            async with served.session.post(
                served.url + "/run", json={"text": "a b c"}, headers=headers
            ) as response:
                assert response.content_type == "text/event-stream"
                events = re.findall(r"event: (\w+)\ndata: (.*)\n\n", await response.text())
            told = [(name, json.loads(data)) for name, data in events]
            assert "".join(data["text"] for name, data in told if name == "text") == "word of a b c"
            assert told[-1][0] == "result"
            assert told[-1][1]["outputs"] == {"word": "word of a b c", "size": 2}
            async with served.session.post(
                served.url + "/run", json={"text": "unreadable"}, headers=headers
            ) as response:
                events = re.findall(r"event: (\w+)\ndata: (.*)\n\n", await response.text())
            assert events[-1][0] == "error"
            assert json.loads(events[-1][1])["status"] == 502
            async with asyncio.timeout(3):
                while len(served.log) < 2:
                    await asyncio.sleep(0.01)
            assert [json.loads(line)["status"] for line in served.log] == [200, 502]


async def test_who_leaves_gives_the_run_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with FakeServer(answer, latency=30.0) as model:
        async with serving(artifact(tmp_path, monkeypatch, model.url)) as served:
            for place, headers in enumerate(({}, {"Accept": "text/event-stream"}), 1):
                asked = asyncio.create_task(served.run({"text": "a"}, **headers))
                while len(model.calls) < place:
                    await asyncio.sleep(0.01)
                asked.cancel()
                await asyncio.gather(asked, return_exceptions=True)
            async with asyncio.timeout(10):
                while model.hung_up < 2 or served.server._gate.inside:
                    await asyncio.sleep(0.02)
            assert "dspec_running 0" in (await served.get("/metrics"))[1]


async def test_only_so_many_run_and_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with FakeServer(answer, latency=0.5) as model:
        path = artifact(tmp_path, monkeypatch, model.url)
        async with serving(path, concurrency=2, queue=3) as served:
            found = await asyncio.gather(*(served.run({"text": f"t{i}"}) for i in range(9)))
            assert sorted(status for status, _ in found) == [200] * 5 + [429] * 4
            assert model.most_in_flight == 2
        async with serving(path, concurrency=1, queue=5, patience=0.2) as served:
            found = await asyncio.gather(*(served.run({"text": f"u{i}"}) for i in range(3)))
            assert sorted(status for status, _ in found) == [200, 503, 503]
            async with served.session.post(served.url + "/run", json={"text": "v"}) as response:
                assert response.status == 200


async def test_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with FakeServer(answer) as model:
        path = artifact(tmp_path, monkeypatch, model.url)
        async with serving(path, keys=("one", "zwei-€")) as served:
            assert (await served.run({"text": "a"}))[0] == 401
            for wrong in ("Bearer two", "Bearer", "Basic !!", "Bearer onemore", "one"):
                assert (await served.run({"text": "a"}, Authorization=wrong))[0] == 401
                assert (await served.get("/openapi.json", Authorization=wrong))[0] == 401
            assert (await served.run({"text": "a"}, Authorization="Bearer one"))[0] == 200
            by_browser = base64.b64encode("anyone:zwei-€".encode()).decode()
            assert (await served.get("/docs", Authorization=f"Basic {by_browser}"))[0] == 200
            assert (await served.get("/health"))[0] == 200
            document = json.loads((await served.get("/openapi.json", Authorization="Bearer one"))[1])
            assert document["paths"]["/run"]["post"]["security"] == [{"key": []}]
            assert not model.calls[1:]


async def test_a_page_elsewhere_cannot_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(artifact(tmp_path, monkeypatch, "http://127.0.0.1:9/v1")) as served:
        assert (await served.run({"text": "a"}, Host="evil.example"))[0] == 421
        assert (await served.get("/docs", Host=f"localhost:{served.server.port}"))[0] == 200
        async with served.session.post(served.url + "/run", data=b'{"text": "a"}') as response:
            assert response.status == 415
        async with served.session.options(served.url + "/run") as response:
            assert response.status == 405


async def test_the_document_says_what_is_taken_and_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with FakeServer(answer) as model, serving(artifact(tmp_path, monkeypatch, model.url)) as served:
        document = json.loads((await served.get("/openapi.json"))[1])
        _, told = await served.run({"text": "a"})
    assert document["openapi"] == "3.1.0"
    assert set(document["paths"]) == {"/run", "/run/read", "/health", "/ready", "/metrics"}

    def valid(name: str, value: object) -> bool:
        schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        return jsonschema.Draft202012Validator(schema).is_valid(value)

    jsonschema.Draft202012Validator.check_schema(document["components"]["schemas"]["read_inputs"])
    assert valid("read_answer", told)
    assert valid(
        "read_inputs", {"text": "a", "lines": [{"item": "x", "parts": [{"item": "y"}]}], "day": None}
    )
    for wrong in (
        {},
        {"text": 1},
        {"text": "a", "more": 1},
        {"text": "a", "lines": [{"item": "x", "parts": [{}]}]},
    ):
        assert not valid("read_inputs", wrong)
    assert not valid("read_answer", {**told, "outputs": {"word": "a", "size": 4}})


TALKING = """dspec 1
lm fake { model = "openai/fake"; api_base = env("SERVE_URL"); api_key = env("OPENAI_API_KEY"); retry = 0 }
record Line { field item: str; field parts: list[Line] = [] }
signature Talk {
  input question: str "what is asked now"
  input order: Line?
  input past: PAST
  output answer: str
  output size: 1 | 2 | 3
}
signature Sum {
  input question: str
  input past: PAST
  output answer: str
}
module talk = Predict(Talk)
module sum = Predict(Sum)
program both(question: str, earlier: PAST) {
  let said = talk(question = question, order = none, past = earlier)
  let short = sum(question = said.answer, past = earlier)
  return answer = short.answer
}
"""


@pytest.mark.parametrize("kind", ["history", "history?"])
@pytest.mark.parametrize(("name", "field"), [("talk", "past"), ("both", "earlier")])
def test_turns_of_a_history_are_told_as_they_are_checked(kind: str, name: str, field: str) -> None:
    project = analyse(Path("main.dspec"), text=TALKING.replace("PAST", kind)).project
    assert project is not None
    program = project.programs[name]
    document = openapi({name: program}, keyed=False, version="1")
    schemas: Any = document["components"]
    by_web = {"$ref": f"#/components/schemas/{name}_inputs", "components": schemas}
    by_tool: Any = standing_alone(program, given=True)
    jsonschema.Draft202012Validator.check_schema(by_tool)
    turn = {"question": "a", "answer": "b"}
    known: list[bool] = []
    for turns in (
        [],
        None,
        [turn],
        [turn, {**turn, "size": 3}],
        [{**turn, "size": 4}],
        [{**turn, "order": {"item": "x", "parts": [{"item": "y"}]}}],
        [{**turn, "order": None}],
        [{**turn, "order": {"parts": []}}],
        [{"question": "a"}],
        [{"answer": "b"}],
        [{**turn, "more": 1}],
        [{**turn, "question": 1}],
        [{**turn, "past": []}],
        [{}],
        ["a"],
        {"question": "a"},
    ):
        inputs: Any = {"question": "now", field: turns}
        try:
            check_inputs(program, inputs)
        except InputError:
            fits = False
        else:
            fits = True
        known.append(fits)
        assert jsonschema.Draft202012Validator(by_web).is_valid(inputs) is fits, turns
        assert jsonschema.Draft202012Validator(by_tool).is_valid(inputs) is fits, turns
    assert 0 < sum(known) < len(known)


async def test_several_programs_each_by_their_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with FakeServer(answer) as model:
        paths = [artifact(tmp_path, monkeypatch, model.url, name) for name in ("one", "two")]
        async with serving(*paths) as served:
            assert (await served.run({"text": "a"}, "/run/two"))[0] == 200
            status, told = await served.run({"text": "a"})
            assert status == 404
            assert "one, two" in told["error"]["message"]
            assert "/run" not in json.loads((await served.get("/openapi.json"))[1])["paths"]


async def test_slow_senders_hold_nothing_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dspec.compiler.serving.web.server._HEAD_SECONDS", 0.3)
    monkeypatch.setattr("dspec.compiler.serving.web.server._SWEEP_SECONDS", 0.1)
    async with FakeServer(answer) as model:
        path = artifact(tmp_path, monkeypatch, model.url)
        async with serving(path, concurrency=2, queue=2, body_seconds=0.4) as served:
            head = b"POST /run HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            heads = [await asyncio.open_connection("127.0.0.1", served.server.port) for _ in range(20)]
            bodies = [await asyncio.open_connection("127.0.0.1", served.server.port) for _ in range(3)]
            for _, writer in heads:
                writer.write(head)
            for _, writer in bodies:
                writer.write(head + b'Content-Length: 50\r\n\r\n{"te')
            await asyncio.sleep(0.1)
            assert (await served.run({"text": "a"}))[0] == 200
            async with asyncio.timeout(5):
                for reader, _ in bodies:
                    assert b" 408 " in await reader.readline()
                for reader, _ in heads:
                    assert await reader.read() == b""
            for _, writer in (*heads, *bodies):
                writer.close()
            assert (await served.run({"text": "a"}))[0] == 200


async def test_the_metrics_are_in_their_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with FakeServer(answer) as model, serving(artifact(tmp_path, monkeypatch, model.url)) as served:
        for text in ("a", "a", 5):
            await served.run({"text": text})
        text = (await served.get("/metrics"))[1]
    sample = re.compile(r'[a-z_]+(\{([a-z]+="[^"\n]*",?)+\})? [0-9.e+-]+')
    lines = text.splitlines()
    assert all(sample.fullmatch(line) for line in lines if not line.startswith("#"))
    assert 'dspec_requests_total{program="read",status="200"} 2' in lines
    assert 'dspec_request_seconds_count{program="read"} 3' in lines
    assert 'dspec_request_seconds_bucket{program="read",le="+Inf"} 3' in lines
    assert 'dspec_model_calls_total{program="read"} 2' in lines


async def test_a_gate_counts_those_inside() -> None:
    gate = Turnstile(1, 1, patience=5)
    async with gate.place():
        waiting = asyncio.create_task(gate.place().__aenter__())
        await asyncio.sleep(0)
        with pytest.raises(TurnedAway) as away:
            async with gate.place():
                pass
        assert away.value.status == 429
        assert str(away.value) == "1 request is being answered and 1 waits already"
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert (gate.inside, gate.waiting) == (1, 0)
        assert not await gate.drained(0.05)
        with pytest.raises(TurnedAway) as away:
            async with gate.place():
                pass
        assert away.value.status == 503
    assert await gate.drained(0.05)


# The command -----------------------------------------------------------------------------------------


@asynccontextmanager
async def command(
    path: Path, url: str, *flags: str
) -> AsyncGenerator[tuple[asyncio.subprocess.Process, str]]:
    environment = {**os.environ, "SERVE_URL": url, "OPENAI_API_KEY": "none"}
    process = await asyncio.create_subprocess_exec(
        *(str(DSPC), "serve", str(path), "--port", "0", *flags), stderr=subprocess.PIPE, env=environment
    )
    assert process.stderr is not None
    try:
        line = (await process.stderr.readline()).decode()
        found = re.search(r"http://\S+:\d+", line)
        assert found, line + (await process.stderr.read()).decode()
        yield process, found[0]
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_a_stop_answers_what_is_being_asked_and_nothing_new(tmp_path: Path) -> None:
    async with FakeServer(answer, latency=1.0) as model:
        async with command(artifact(tmp_path), model.url, "-q", "--concurrency", "4") as (process, url):
            async with aiohttp.ClientSession() as session:

                async def ask(text: str) -> int:
                    async with session.post(f"{url}/run", json={"text": text}) as response:
                        await response.read()
                        return response.status

                asked = [asyncio.create_task(ask(f"t{i}")) for i in range(8)]
                while len(model.calls) < 4:
                    await asyncio.sleep(0.01)
                process.send_signal(signal.SIGTERM)
                await asyncio.sleep(0.3)
                async with session.get(f"{url}/ready") as response:
                    assert response.status == 503
                async with session.post(f"{url}/run", json={"text": "late"}) as response:
                    assert response.status == 503
                    assert response.headers["Retry-After"]
                # Those that waited in the queue were let in before the stop: they are answered, too.
                assert await asyncio.gather(*asked) == [200] * 8
            assert await asyncio.wait_for(process.wait(), 10) == 0
        assert model.hung_up == 0
        assert len(model.calls) == 8


async def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    async with FakeServer(answer, latency=30.0) as model:
        async with command(artifact(tmp_path), model.url, "-q") as (process, url):
            async with aiohttp.ClientSession() as session:
                asked = asyncio.create_task(session.post(f"{url}/run", json={"text": "a"}))
                while not model.calls:
                    await asyncio.sleep(0.01)
                process.send_signal(signal.SIGTERM)
                await asyncio.sleep(0.3)
                process.send_signal(signal.SIGTERM)
                assert await asyncio.wait_for(process.wait(), 10) == 130
                await asyncio.gather(asked, return_exceptions=True)


@pytest.mark.parametrize(
    ("flags", "code", "said"),
    [
        (["--host", "0.0.0.0"], 2, "whoever reaches 0.0.0.0 could run these programs"),
        (["--key-env", "NOT_SET_HERE"], 4, "NOT_SET_HERE is not set"),
        (["--mcp", "--mcp-http"], 2, "two ways to serve"),
    ],
)
def test_mistakes(tmp_path: Path, flags: list[str], code: int, said: str) -> None:
    path = artifact(tmp_path)
    done = dspc(
        "serve", path.name, *flags, cwd=tmp_path, SERVE_URL="http://127.0.0.1:9/v1", OPENAI_API_KEY="x"
    )
    assert done.code == code, done.text
    assert said in done.err


def test_what_its_models_lack_is_told_at_the_start(tmp_path: Path) -> None:
    path = artifact(tmp_path)
    done = dspc("serve", path.name, cwd=tmp_path, SERVE_URL="http://127.0.0.1:9/v1")
    assert done.code == 4
    assert "OPENAI_API_KEY, which is not set" in done.err
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = dspc(
            *("serve", path.name, "--port", port),
            cwd=tmp_path,
            SERVE_URL="http://127.0.0.1:9/v1",
            OPENAI_API_KEY="x",
        )
    assert done.code == 4
    assert "nothing can listen at" in done.err


# MCP, by the protocol's own client ---------------------------------------------------------------------


async def _as_a_tool(client: Any) -> None:
    (tool,) = (await client.list_tools()).tools
    assert tool.name == "read"
    assert tool.description == "Read the order."
    program = analyse_schema()
    assert tool.input_schema == program
    result = await client.call_tool("read", {"text": "a"})
    assert not result.is_error
    assert result.structured_content == {"word": "word of a", "size": 2}
    wrong = await client.call_tool("read", {"text": 5, "lines": [{"count": 1}]})
    assert wrong.is_error
    assert "text: expected text, got 5; lines[0]: Line lacks the field item" in wrong.content[0].text
    assert (await client.call_tool("read", {"text": "unreadable"})).is_error
    assert (await client.call_tool("other", {})).is_error


def analyse_schema() -> object:
    project = analyse(Path("main.dspec"), text=SOURCE).project
    assert project is not None
    program = project.programs["read"]
    return standing_alone(program, given=True)


async def test_as_an_mcp_server_on_standard_streams(tmp_path: Path) -> None:
    from mcp import Client, StdioServerParameters, stdio_client

    async with FakeServer(answer) as model:
        environment = {**os.environ, "SERVE_URL": model.url, "OPENAI_API_KEY": "none"}
        server = StdioServerParameters(
            command=str(DSPC), args=["serve", str(artifact(tmp_path)), "--mcp"], env=environment
        )
        with (tmp_path / "errors").open("w") as errors:
            async with Client(stdio_client(server, errlog=errors)) as client:
                await _as_a_tool(client)


async def test_as_an_mcp_server_over_http(tmp_path: Path) -> None:
    import httpx2
    from mcp import Client
    from mcp.client.streamable_http import streamable_http_client

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with FakeServer(answer) as model:
        flags = ("--mcp-http", "--port", str(port), "--key-env", "THE_KEY")
        os.environ["THE_KEY"] = "secret"
        try:
            async with command(artifact(tmp_path), model.url, *flags) as (process, url):
                async with aiohttp.ClientSession() as session:
                    for _ in range(100):
                        try:
                            async with session.post(f"{url}/mcp", json={}) as response:
                                assert response.status == 401
                                break
                        except aiohttp.ClientConnectionError:
                            await asyncio.sleep(0.05)
                headers = {"Authorization": "Bearer secret"}
                async with httpx2.AsyncClient(headers=headers, timeout=20) as web:
                    async with Client(streamable_http_client(f"{url}/mcp", http_client=web)) as client:
                        await _as_a_tool(client)
                process.send_signal(signal.SIGTERM)
                assert await asyncio.wait_for(process.wait(), 10) == 0
        finally:
            del os.environ["THE_KEY"]


def test_what_is_no_checkpoint_is_not_served_as_a_model(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    for name, said in (
        ("gone", "gone is no folder"),
        ("file", "file is no folder"),
        ("folder", "folder is no checkpoint: it lacks `config.json`"),
    ):
        refused = dspc("serve-model", name, cwd=tmp_path)
        assert refused.code in (2, 4)
        assert said in refused.err
