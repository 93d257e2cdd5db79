"""Tools that are requests: http and ColBERT. A server that lies, trickles or leads elsewhere gives an error in time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web

from dspec.runtime.schema.types import ListOf, Scalar
from dspec.runtime.tools.toolbox import Toolbox
from tests.support.tools import TEXTS, call, tool_of, trusting

ANY = Scalar(name="any")


async def trickle(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    for _ in range(600):
        await response.write(b" ")
        await asyncio.sleep(0.05)
    return response


async def endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    while True:
        await response.write(b"[" * 65536)


async def search(request: web.Request) -> web.Response:
    k = int(request.query["k"])
    texts = [{"text": f"{request.query['query']} {n}", "score": 1.0 / n, "pid": n} for n in range(1, 6)]
    return web.json_response({"topk": texts[: k + 1]})  # one more than was asked for


async def echo(request: web.Request) -> web.Response:
    body = await request.json() if request.can_read_body else None
    headers = {name: request.headers[name] for name in ("Authorization", "X-Key") if name in request.headers}
    return web.json_response(
        {"method": request.method, "query": dict(request.query), "body": body, "headers": headers}
    )


async def say(request: web.Request) -> web.Response:
    return web.Response(text=request.query["text"], content_type=request.query["type"])


def saying(status: int, text: str, **headers: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, text=text, headers=headers)

    return answer


@pytest.fixture
async def url() -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/echo", echo)
    app.router.add_get("/search", search)
    app.router.add_get("/say", say)
    app.router.add_get("/trickle", trickle)
    app.router.add_get("/endless", endless)
    app.router.add_get("/away", saying(302, "", Location="/echo"))
    app.router.add_get("/broken", saying(500, "it broke"))
    app.router.add_get("/deep", saying(200, "[" * 200_000))
    app.router.add_get("/list", saying(200, "[1]"))
    app.router.add_get("/empty", saying(200, '{"topk": ["a"]}'))
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.fixture
async def tools(tmp_path: Path) -> AsyncIterator[Toolbox]:
    async with trusting(tmp_path) as made:
        yield made


async def test_arguments_go_as_json_or_in_the_address(tools: Toolbox, url: str) -> None:
    posted = await call(tools, tool_of("http", url=f"{url}/echo", output=ANY), query="a&b", k=3, of=["x"])
    assert posted.value == {
        "method": "POST",
        "query": {},
        "body": {"query": "a&b", "k": 3, "of": ["x"]},
        "headers": {},
    }
    got = await call(
        tools,
        tool_of("http", url=f"{url}/echo?fixed=1", method="GET", output=ANY),
        query="a&b=ü",
        k=3,
        of=["x"],
    )
    assert isinstance(got.value, dict)
    assert got.value["query"] == {"fixed": "1", "query": "a&b=ü", "k": "3", "of": '["x"]'}


async def test_keys_and_addresses_come_from_the_environment(
    tools: Toolbox, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEARCH_KEY", "hunter2hunter2")
    monkeypatch.setenv("SEARCH_URL", f"{url}/echo")
    for settings, headers in (
        ({}, {"Authorization": "Bearer hunter2hunter2"}),
        ({"header": "X-Key"}, {"X-Key": "hunter2hunter2"}),
    ):
        tool = tool_of("http", url_env="SEARCH_URL", api_key_env="SEARCH_KEY", output=ANY, **settings)
        answer = await call(tools, tool)
        assert isinstance(answer.value, dict)
        assert answer.value["headers"] == headers
    monkeypatch.setenv("SEARCH_KEY", "two\r\nlines: x")
    assert "holds no key" in (await call(tools, tool_of("http", url=url, api_key_env="SEARCH_KEY"))).error
    monkeypatch.delenv("SEARCH_KEY")
    assert (
        "SEARCH_KEY is not set"
        in (await call(tools, tool_of("http", url=url, api_key_env="SEARCH_KEY"))).error
    )


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/trickle", "no result within 0.5 s"),
        ("/endless", "the server's answer has more than 665,536 bytes"),
        ("/away", "the server answered 302"),
        ("/broken", "the server answered 500"),
        ("/nowhere", "the server answered 404"),
        ("/say?type=text/html&text=hello", "the server's answer is not JSON"),
        ("/say?type=application/json&text=NaN", "the server's answer is not JSON"),
        ("/deep", "the server's answer is not JSON"),
    ],
)
async def test_what_a_server_does_wrong_is_an_answer(tools: Toolbox, url: str, path: str, error: str) -> None:
    answer = await call(
        tools,
        tool_of("http", url=url + path, method="GET", output=ANY, timeout=0.5 if "trickle" in path else 20.0),
    )
    assert (answer.value, answer.error) == (None, error)


async def test_a_text_may_be_plain(tools: Toolbox, url: str) -> None:
    plain = tool_of("http", url=f"{url}/say?type=text/plain", method="GET")
    assert (await call(tools, plain, text="hello")).value == "hello"
    quoted = tool_of("http", url=f"{url}/say?type=application/json", method="GET")
    assert (await call(tools, quoted, text='"hello"')).value == "hello"


async def test_nobody_there(tools: Toolbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEARCH_URL", "http://127.0.0.1:9/x")
    for source in ("http", "colbert"):
        known = await call(
            tools, tool_of(source, url="http://me:hunter2@127.0.0.1:9/x?key=hunter2", output=TEXTS)
        )
        assert known.error.startswith("the server at http://127.0.0.1:9 cannot be reached: ")
        assert known.notes[-1].endswith("; check the `url`, and that the server runs")
        assert "hunter2" not in str(known)
        secret = await call(tools, tool_of(source, url_env="SEARCH_URL", output=TEXTS))
        assert secret.error.startswith("the server at the address in SEARCH_URL cannot be reached: ")
        assert secret.notes[-1].endswith("; check the variable, and that the server runs")


async def test_colbert(tools: Toolbox, url: str) -> None:
    texts = tool_of("colbert", url=f"{url}/search", k=2, output=TEXTS)
    assert (await call(tools, texts, query="a")).value == ["a 1", "a 2"]
    assert (await call(tools, texts, query="a", k=1)).value == ["a 1"]
    rows = tool_of("colbert", url=f"{url}/search", k=1, output=ListOf(item=ANY))
    assert (await call(tools, rows, query="a")).value == [{"text": "a 1", "score": 1.0, "pid": 1}]


@pytest.mark.parametrize("path", ["/list", "/empty", "/echo"])
async def test_what_is_no_colbert_server(tools: Toolbox, url: str, path: str) -> None:
    answer = await call(tools, tool_of("colbert", url=url + path, output=TEXTS), query="a")
    assert answer.error == "the server's answer has no list `topk`"
