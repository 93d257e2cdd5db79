"""The language server as an editor meets it: a process, spoken to over its standard streams."""

import asyncio
import json
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from dspc import dspc
from lsprotocol import types
from pygls.exceptions import JsonRpcContentModified, JsonRpcInternalError, JsonRpcRequestCancelled
from rpc import Client

from dspec.compiler.check.analysis import analyse
from dspec.lsp.requests.base import EditorFeature, EditorRequest
from dspec.lsp.server import answering, make_server
from dspec.lsp.work import Work

TICKETS = Path(__file__).resolve().parents[2] / "examples" / "tickets"
FINE = 'dspec 1\nlm m { model = "embedded/icl" }\nmodule ask = Predict(sig(question -> answer))\n'
URI = "untitled:one"


@pytest.fixture
def client() -> Iterator[Client]:
    with Client() as client:
        client.initialize()
        yield client


def insert(line: int, column: int, text: str) -> dict[str, Any]:
    place = {"line": line, "character": column}
    return {"range": {"start": place, "end": place}, "text": text}


def position(line: int, column: int, uri: str = URI) -> dict[str, Any]:
    return {"textDocument": {"uri": uri}, "position": {"line": line, "character": column}}


# Text and diagnostics ---------------------------------------------------------------------------


def test_what_the_server_says_it_can_do() -> None:
    with Client() as client:
        result = client.initialize(["utf-32", "utf-16"])
        assert result["serverInfo"]["name"] == "dspc"
        can = result["capabilities"]
        assert can["positionEncoding"] == "utf-32"
        assert can["textDocumentSync"]["openClose"] is True
        assert can["textDocumentSync"]["change"] == types.TextDocumentSyncKind.Incremental
        assert "." in can["completionProvider"]["triggerCharacters"]
        # Both push and pull would show every problem twice in some editors.
        assert "diagnosticProvider" not in can


def test_diagnostics_appear_follow_an_edit_and_vanish(client: Client) -> None:
    client.open(URI, FINE.replace("Predict(", "Pedict("))
    (found,) = client.diagnostics(URI, 1)
    assert "did you mean `Predict`" in found["message"]
    assert found["source"] == "dspc"
    assert found["severity"] == types.DiagnosticSeverity.Error
    assert found["range"] == {
        "start": {"line": 2, "character": 13},
        "end": {"line": 2, "character": 19},
    }
    client.change(URI, 2, insert(0, 0, "# é😀\n"))
    (moved,) = client.diagnostics(URI, 2)
    assert moved["range"]["start"] == {"line": 3, "character": 13}
    client.change(URI, 3, insert(3, 14, "r"))
    assert client.diagnostics(URI, 3) == []


def test_closing_a_document_takes_its_diagnostics_away(client: Client) -> None:
    client.open(URI, "lm {")
    assert client.diagnostics(URI, 1)
    client.notify("textDocument/didClose", {"textDocument": {"uri": URI}})
    assert client.notification("textDocument/publishDiagnostics")["params"] == {"uri": URI, "diagnostics": []}


def test_a_mistake_in_an_imported_file_shows_after_it_was_saved(client: Client, tmp_path: Path) -> None:
    other = tmp_path / "lms.dspec"
    other.write_text('dspec 1\nlm tiny { model = "embedded/icl" }\n')
    main = (tmp_path / "main.dspec").as_uri()
    text = 'dspec 1\nimport "lms.dspec" as lms\nmodule ask = Predict(sig(q -> a), lm = lms.small)\n'
    client.open(main, text)
    (found,) = client.diagnostics(main, 1)
    assert "small" in found["message"]
    other.write_text('dspec 1\nlm small { model = "embedded/icl" }\n')
    client.notify("textDocument/didSave", {"textDocument": {"uri": other.as_uri()}})
    assert client.diagnostics(main, 1) == []


def test_mistakes_in_the_settings_show_in_their_own_file(client: Client, tmp_path: Path) -> None:
    settings = tmp_path / "dspec.toml"
    settings.write_text('# levels\n[severty]\nDS0205 = "off"\n')
    main, uri = (tmp_path / "main.dspec").as_uri(), settings.as_uri()
    client.open(main, FINE)
    shown = client.notification("textDocument/publishDiagnostics")["params"]
    assert (shown["uri"], shown.get("version")) == (uri, None)
    assert "did you mean `severity`" in shown["diagnostics"][0]["message"]
    assert shown["diagnostics"][0]["range"]["start"] == {"line": 1, "character": 1}
    assert client.diagnostics(main, 1) == []
    # Open, the editor's text counts; it is no program, and nothing is offered in it.
    client.open(uri, '[severity]\nDS0205 = "of"\n', 7)
    (found,) = client.diagnostics(uri, 7)
    assert 'did you mean "off"' in found["message"]
    assert client.ask("textDocument/completion", position(1, 3, uri)) is None
    client.change(uri, 8, {"text": '[severity]\nDS0205 = "off"\n'})
    assert client.diagnostics(uri, 8) == []


def test_data_is_read_once_the_typing_pauses_and_stays_known(client: Client, tmp_path: Path) -> None:
    folder = tmp_path / "tickets"
    shutil.copytree(TICKETS, folder)
    path = folder / "tickets.dspec"
    text = path.read_text(encoding="utf-8").replace("input text: str\n  field", "input texts: str\n  field")
    client.open(path.as_uri(), text)
    quick = messages(client.diagnostics(path.as_uri(), 1))
    full = messages(client.diagnostics(path.as_uri(), 1))
    assert any("`texts`" in message and "column" in message for message in full.keys() - quick.keys())
    client.change(path.as_uri(), 2, insert(0, 0, "# moved\n"))
    assert messages(client.diagnostics(path.as_uri(), 2)) == {
        message: line + 1 for message, line in full.items()
    }


def messages(found: list[dict[str, Any]]) -> dict[str, int]:
    """The line of every message."""
    return {each["message"]: each["range"]["start"]["line"] for each in found}


PIECES = (
    *(
        "lm a { }",
        "\n",
        "\r\n",
        "\r",
        "\n\n",
        "{",
        "}",
        '"',
        '"""',
        " = ",
        "type T = ",
        '"x" | "ü"',
        "#",
        ";",
    ),
    *(
        "module m = Predict(sig(a -> b))",
        "lm b { model = 3 }",
        "😀",
        "\u2028",
        "\x85",
        "\x0c",
        "語",
        "ß",
        "(",
    ),
)


def units(text: str, encoding: str) -> int:
    return (
        len(text.encode(f"{encoding}-le" if encoding != "utf-8" else encoding))
        // {
            "utf-8": 1,
            "utf-16": 2,
            "utf-32": 4,
        }[encoding]
    )


def place_of(text: str, offset: int, encoding: str) -> dict[str, int]:
    """The protocol's place of an offset, by splitting the text the plain way."""
    before = text[:offset].replace("\r\n", "\n").replace("\r", "\n")
    if text[offset - 1 : offset + 1] == "\r\n" and offset:
        before = before[:-1]
    lines = before.split("\n")
    return {"line": len(lines) - 1, "character": units(lines[-1], encoding)}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
def test_five_hundred_random_edits_leave_the_same_text(encoding: str) -> None:
    dice = random.Random(encoding)
    path = Path("untitled.dspec")
    text = FINE
    with Client() as client:
        client.initialize([encoding])
        client.open(URI, text, 0)
        for version in range(1, 501):
            start = dice.randrange(len(text) + 1)
            end = min(len(text), start + dice.choice((0, 0, 0, 1, 3, 40)))
            # Between CR and LF there is no place to name.
            start, end = (at - (text[at - 1 : at + 1] == "\r\n") for at in (start, end))
            new = dice.choice(PIECES) if len(text) < 1_500 else ""
            span = {"start": place_of(text, start, encoding), "end": place_of(text, end, encoding)}
            client.change(URI, version, {"range": span, "text": new})
            text = text[:start] + new + text[end:]
            if version % 25 == 0:
                shown = client.diagnostics(URI, version)
                expected = [
                    (
                        found.code,
                        found.message,
                        place_of(text, found.primary.location.start, encoding),
                    )
                    for found in analyse(path, text=text, probe=False).diagnostics
                ]
                assert [
                    (found["code"], found["message"][: len(message)], found["range"]["start"])
                    for found, (_, message, _) in zip(shown, expected, strict=True)
                ] == expected


# Completion -------------------------------------------------------------------------------------


def test_completion_answers_with_an_edit_in_the_agreed_units(client: Client) -> None:
    text = FINE + 'dataset d { source = csv("😀") ; in }\n'
    client.open(URI, text)
    column = units(text.splitlines()[3].removesuffix(" }"), "utf-16")
    result = client.ask("textDocument/completion", position(3, column))
    (item,) = [item for item in result["items"] if item["label"] == "input"]
    assert item["textEdit"]["newText"] == "input "
    assert item["textEdit"]["range"] == {
        "start": {"line": 3, "character": column - 2},
        "end": {"line": 3, "character": column},
    }
    assert item["documentation"]


def test_completion_of_a_document_that_is_not_open_is_empty(client: Client) -> None:
    assert client.ask("textDocument/completion", position(0, 0, "untitled:other")) is None


def test_optimizer_options_come_with_type_default_and_doc(client: Client) -> None:
    client.open(URI, FINE + "optimize o { step a = LabeledFewShot(")
    result = client.ask("textDocument/completion", position(3, 38))
    (item,) = [item for item in result["items"] if item["label"] == "k"]
    assert item["detail"].startswith("int, default ")
    assert item["documentation"]
    assert item["textEdit"]["newText"] == "k = "


def test_cancelled_requests_are_answered_as_cancelled(client: Client) -> None:
    client.open(URI, FINE)
    numbers: list[int] = []
    for _ in range(30):
        number = client.request("textDocument/completion", position(2, 0))
        client.notify("$/cancelRequest", {"id": number})
        numbers.append(number)
    answers = [client.answer(number) for number in numbers]
    cancelled = [answer for answer in answers if answer.get("error", {}).get("code") == -32800]
    assert cancelled
    assert all("result" in answer for answer in answers if answer not in cancelled)
    assert client.ask("textDocument/completion", position(2, 0))["items"]


async def test_a_request_for_a_text_that_has_changed_is_refused() -> None:
    server = make_server()
    server.documents.open(types.TextDocumentItem(URI, types.LanguageKind.Python, 1, FINE))
    handler = server.protocol.fm.features[types.TEXT_DOCUMENT_COMPLETION]
    params = types.CompletionParams(types.TextDocumentIdentifier(URI), types.Position(2, 0))
    task = asyncio.ensure_future(handler(params))
    await asyncio.sleep(0)
    change = types.TextDocumentContentChangeWholeDocument("")
    server.documents.change(types.VersionedTextDocumentIdentifier(2, URI), [change])
    with pytest.raises(JsonRpcContentModified):
        await task
    server.checks.close()


async def test_work_in_pieces_ends_when_it_is_cancelled_or_the_text_changes() -> None:
    server = make_server()
    server.documents.open(types.TextDocumentItem(URI, types.LanguageKind.Python, 1, FINE))
    done: list[int] = []

    def work(asked: EditorRequest) -> Work[int]:
        for number in range(1_000):
            done.append(number)
            yield
        return len(done)

    handler = answering(server, EditorFeature(types.TEXT_DOCUMENT_REFERENCES, work, title="Counting"))
    place = types.ReferenceParams(
        types.ReferenceContext(include_declaration=True),
        types.TextDocumentIdentifier(URI),
        types.Position(2, 0),
    )
    assert await handler(place) == 1_000
    stopped = server.showing
    asked: list[str] = []

    def cancelled_at_once(title: str, cancel: Callable[[], None]) -> AbstractAsyncContextManager[None]:
        asked.append(title)
        cancel()
        return stopped(title, cancel)

    server.showing = cancelled_at_once  # type: ignore[method-assign]
    done.clear()
    with pytest.raises(JsonRpcRequestCancelled):
        await handler(place)
    assert (asked, len(done)) == (["Counting"], 1)
    server.showing = stopped  # type: ignore[method-assign]
    task = asyncio.ensure_future(handler(place))
    while len(done) < 10:
        await asyncio.sleep(0)
    server.documents.change(
        types.VersionedTextDocumentIdentifier(2, URI), [types.TextDocumentContentChangeWholeDocument("")]
    )
    with pytest.raises(JsonRpcContentModified):
        await task
    assert len(done) < 20
    server.close()


# Manners ----------------------------------------------------------------------------------------


def test_goodbye_in_order_ends_with_0(client: Client) -> None:
    assert client.ask("shutdown", None) is None
    late = client.answer(client.request("textDocument/completion", position(0, 0)))
    assert late["error"]["code"] == -32600
    client.notify("exit", None)
    assert client.process.wait(30) == 0


def test_a_client_may_say_that_it_speaks_over_standard_streams(tmp_path: Path) -> None:
    done = dspc("lsp", "--stdio", cwd=tmp_path)
    assert (done.code, done.text) == (1, "")


def test_a_log_that_cannot_be_written_is_said_so(tmp_path: Path) -> None:
    done = dspc("lsp", "--log-file", str(tmp_path / "away" / "log.txt"), cwd=tmp_path)
    assert (done.code, done.out) == (4, "")
    assert "the log cannot be written to" in done.err


def test_exit_without_shutdown_ends_with_1(client: Client) -> None:
    client.notify("exit", None)
    assert client.process.wait(30) == 1


def test_the_end_of_the_input_ends_the_server(client: Client) -> None:
    client.open(URI, FINE)
    assert client.hang_up() == 1


def test_a_request_before_initialize_is_refused() -> None:
    with Client() as client:
        client.open(URI, FINE)
        early = client.answer(client.request("textDocument/completion", position(0, 0)))
        assert early["error"]["code"] == -32002
        client.initialize()
        client.open(URI, FINE)
        assert client.diagnostics(URI, 1) == []
        again = client.answer(client.request("initialize", {"processId": None, "capabilities": {}}))
        assert again["error"]["code"] == -32600


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("textDocument/completion", {"textDocument": 3}, -32602),
        ("textDocument/completion", {**position(0, 0), "position": {"line": -1, "character": 0}}, -32602),
        ("textDocument/completion", [], -32602),
        ("workspace/executeCommand", {"command": "rm"}, -32602),
        ("dspc/unheardOf", {}, -32601),
        ("textDocument/didSave", {"textDocument": {"uri": URI}}, -32600),
    ],
)
def test_nonsense_is_answered_with_an_error(client: Client, method: str, params: object, code: int) -> None:
    answer = client.answer(client.request(method, params))
    assert answer["error"]["code"] == code


def test_nonsense_without_an_answer_is_logged_and_shown_to_nobody(client: Client) -> None:
    client.send_raw(b"{nonsense")
    client.send_raw(b"[1, 2]")
    client.send_raw(json.dumps({"jsonrpc": "1.0", "method": "x"}).encode())
    client.notify("textDocument/didChange", {"textDocument": {"uri": URI}})
    client.change("untitled:never-opened", 5, insert(0, 0, "x"))
    client.notify("textDocument/didClose", {"textDocument": {"uri": "untitled:never-opened"}})
    client.notify("$/unheardOf", {})
    client.open(URI, FINE)
    assert client.diagnostics(URI, 1) == []
    assert [message["method"] for message in client.notifications] == []
    client.hang_up()
    client.close()
    assert b"never-opened" in client.errors
    assert b"Traceback" not in client.errors


def test_the_server_ends_with_the_process_of_its_editor() -> None:
    editor = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    code = "import dspec.lsp.server as server; server.ALIVE = 0.05; server.serve()"
    with Client(code=code) as client:
        client.ask("initialize", {"processId": editor.pid, "rootUri": None, "capabilities": {}})
        assert client.process.poll() is None
        editor.communicate(b"\n")
        assert client.process.wait(30) == 1


def test_changes_on_disk_are_watched_and_the_server_says_how_it_is(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    library, main = tmp_path / "lib.dspec", tmp_path / "main.dspec"
    library.write_text("dspec 1\n")
    uri = main.as_uri()
    with Client(
        code=f"from pathlib import Path; from dspec.lsp.server import serve; serve(Path({str(log)!r}))"
    ) as client:
        watched = {"workspace": {"didChangeWatchedFiles": {"dynamicRegistration": True}}}
        client.ask("initialize", {"processId": None, "rootUri": None, "capabilities": watched})
        client.notify("initialized", {})
        (asked,) = client.asked("client/registerCapability")["params"]["registrations"]
        (watcher,) = asked["registerOptions"]["watchers"]
        assert {"dspec", "toml", "py", "csv"} <= set(re.findall(r"\w+", watcher["globPattern"]))
        client.open(uri, 'dspec 1\nimport "lib.dspec" as lib\nmodule m = Predict(lib.S, lm = lib.mini)\n')
        assert client.diagnostics(uri, 1)
        library.write_text(
            'dspec 1\nlm mini { model = "openai/gpt-4o-mini" }\nsignature S { "Say."; input a: str; output b: str }\n'
        )
        changed = {"changes": [{"uri": library.as_uri(), "type": 2}]}
        client.notify("workspace/didChangeWatchedFiles", changed)
        assert client.diagnostics(uri, 1) == []
        status = client.ask("workspace/executeCommand", {"command": "dspc.status"})
        assert (status["documents"], status["files"], status["watching"], status["log"]) == (
            1,
            2,
            True,
            str(log),
        )
        client.notify(
            "textDocument/didChange",
            {"textDocument": {"uri": "untitled:never-opened", "version": 2}, "contentChanges": []},
        )
        client.ask("shutdown", None)
        client.notify("exit", None)
        assert client.process.wait(30) == 0
    assert "never-opened" in log.read_text()


async def test_a_feature_that_fails_is_told_without_local_paths(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: EditorRequest) -> object:
        raise RuntimeError("off")

    server = make_server()
    server.documents.open(types.TextDocumentItem(URI, types.LanguageKind.Python, 1, FINE))
    handler = answering(server, EditorFeature("textDocument/hover", fail))
    params = types.HoverParams(types.TextDocumentIdentifier(URI), types.Position(2, 0))
    with pytest.raises(JsonRpcInternalError) as told:
        await handler(params)
    assert told.value.data is None
    assert "in fail" in caplog.text
    server.checks.close()


def test_an_answer_that_cannot_be_written_is_an_error() -> None:
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]
    written: list[bytes] = []

    class Writer:
        def write(self, data: bytes) -> None:
            written.append(data)

    protocol = make_server().protocol
    protocol.set_writer(Writer())  # type: ignore[arg-type]
    protocol._send_response(7, nested)
    (message,) = written
    head, _, body = message.partition(b"\r\n\r\n")
    assert int(head.rpartition(b" ")[2]) == len(body)
    answer = json.loads(body)
    assert (answer["id"], answer["error"]["code"]) == (7, JsonRpcInternalError.CODE)


def test_a_selection_grows_through_few_of_many_brackets(client: Client) -> None:
    client.open(URI, "dspec 1\nmetric m(gold: a, pred: b) = " + "(" * 5_000 + "1" + ")" * 5_000)
    places = [{"line": 1, "character": 4_000}]
    found = client.ask("textDocument/selectionRange", {"textDocument": {"uri": URI}, "positions": places})[0]
    depth = 0
    while (found := found.get("parent")) is not None:
        depth += 1
    assert 50 < depth < 200


@pytest.mark.skipif(sys.platform == "win32", reason="there nobody can tell")
@pytest.mark.parametrize("module", ["dspec.compiler.data.looking", "dspec.lsp.telling"])
def test_a_process_that_works_for_the_server_ends_with_it(module: str) -> None:
    code = f"from {module} import serve; serve(1)"  # its parent is another one
    with subprocess.Popen([sys.executable, "-P", "-c", code], stdin=subprocess.PIPE) as process:
        assert process.wait(20) == 1, "though its input has not ended"
