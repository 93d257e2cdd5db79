"""Every request in the protocol's types and units, a few over standard streams. What is answered is tested in `cases/`."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cursors import PROJECT
from editor import Editor
from rpc import Client

WIDE = 'dspec 1\nlm m { model = "embedded/icl" } # 😀é\nsignature S { "😀é"; input é: str; output b: str }\nmodule ask = Predict(S)\n'
CAN: dict[str, Any] = {
    "textDocument": {
        "hover": {"contentFormat": ["markdown", "plaintext"]},
        "rename": {"prepareSupport": True},
        "completion": {"completionItem": {"snippetSupport": True}},
        "documentSymbol": {"hierarchicalDocumentSymbolSupport": True},
        "codeAction": {"codeActionLiteralSupport": {"codeActionKind": {"valueSet": []}}},
    },
    "workspace": {
        "workspaceEdit": {"documentChanges": True},
        "inlayHint": {"refreshSupport": True},
        "codeLens": {"refreshSupport": True},
    },
}
PULLING: dict[str, Any] = {
    "textDocument": {"diagnostic": {}},
    "workspace": {"diagnostics": {"refreshSupport": True}},
}
WIDTHS = {"utf-8": (2, 4), "utf-16": (1, 2), "utf-32": (1, 1)}
"""Units of `é` and of `😀`."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("requests") / "project"
    shutil.copytree(PROJECT, place)
    return place


@pytest.fixture(scope="module")
def client(project: Path) -> Iterator[Editor]:
    editor = Editor(CAN, options={"commands": ["dspc.plan", "dspc.compile"]})
    main = project / "main.dspec"
    editor.open(main.as_uri(), main.read_text(encoding="utf-8"))
    yield editor
    editor.close()


def at(uri: str, line: int, column: int, **more: object) -> dict[str, Any]:
    return {"textDocument": {"uri": uri}, "position": {"line": line, "character": column}, **more}


def main_of(project: Path) -> str:
    return (project / "main.dspec").as_uri()


def whole(uri: str) -> dict[str, Any]:
    start, end = {"line": 0, "character": 0}, {"line": 999, "character": 0}
    return {"textDocument": {"uri": uri}, "range": {"start": start, "end": end}}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
def test_places_are_told_in_the_agreed_units(encoding: str) -> None:
    e, smile = WIDTHS[encoding]
    uri = "untitled:wide"
    with Client() as client:
        client.initialize([encoding], can=CAN)
        client.open(uri, WIDE)
        start = len('signature S { "') + smile + e + len('"; input ')
        span = {"start": {"line": 2, "character": start}, "end": {"line": 2, "character": start + e}}
        assert client.ask("textDocument/hover", at(uri, 2, start))["range"] == span
        (place,) = client.ask("textDocument/definition", at(uri, 2, start + e))
        assert place == {"uri": uri, "range": span}
        edit = client.ask("textDocument/rename", at(uri, 2, start, newName="text"))
        (change,) = edit["documentChanges"]
        assert change["textDocument"] == {"uri": uri, "version": 1}
        assert change["edits"] == [{"range": span, "newText": "text"}]
        (symbols,) = [
            one for one in client.ask("textDocument/documentSymbol", at(uri, 0, 0)) if one["name"] == "S"
        ]
        assert symbols["children"][0]["selectionRange"] == span
        numbers = client.ask("textDocument/semanticTokens/full", at(uri, 0, 0))["data"]
        assert [numbers[place : place + 5] for place in range(0, len(numbers), 5)][6][2] == len(
            "# "
        ) + smile + e
        (selection,) = client.ask(
            "textDocument/selectionRange",
            {"textDocument": {"uri": uri}, "positions": [{"line": 2, "character": start}]},
        )
        assert selection["range"] == span
        (help_,) = client.ask("textDocument/signatureHelp", at(uri, 3, len("module ask = Predict(")))[
            "signatures"
        ]
        assert help_["parameters"][0]["label"] == [len("Predict("), len("Predict(signature")]


def test_what_an_editor_is_told_of(client: Editor) -> None:
    can = client.told["capabilities"]
    assert can["renameProvider"] == {"prepareProvider": True}
    assert can["semanticTokensProvider"]["full"] == {"delta": True}
    assert can["semanticTokensProvider"]["range"] is True
    assert can["documentOnTypeFormattingProvider"]["firstTriggerCharacter"] == "}"
    for name in ("hover", "definition", "typeDefinition", "references", "documentHighlight", "documentSymbol",
                 "workspaceSymbol", "documentFormatting", "documentRangeFormatting", "foldingRange", "selectionRange",
                 "codeAction", "codeLens", "inlayHint", "signatureHelp", "documentLink", "callHierarchy"):  # fmt: skip
        assert can.get(f"{name}Provider"), name
    assert "diagnosticProvider" not in can


def test_hover_is_markdown_only_where_that_is_understood(project: Path) -> None:
    uri = main_of(project)
    editor = Editor()
    editor.open(uri, (project / "main.dspec").read_text(encoding="utf-8"))
    found = editor.ask("textDocument/hover", at(uri, 9, 8))["contents"]
    assert found["kind"] == "plaintext"
    assert "One *line*." in found["value"]
    assert "```" not in found["value"]
    editor.close()


def test_a_renamed_block_takes_its_artifact_along_where_the_editor_asks_about_it(tmp_path: Path) -> None:
    text = (
        'dspec 1\nlm m { model = "embedded/icl" }\nmodule ask = Predict(sig(a -> b))\n'
        'dataset rows { source = csv("rows.csv"); input a: str; field b: str }\n'
        "metric right(gold: rows, pred: ask) = gold.b == pred.b\n"
        "optimize best { program = ask; metric = right; train = rows; step s = LabeledFewShot() }\n"
    )
    uri = (tmp_path / "main.dspec").as_uri()
    artifact = tmp_path / "compiled" / "best.dspc.json"
    artifact.parent.mkdir()
    artifact.touch()
    asks = {"resourceOperations": ["rename"], "changeAnnotationSupport": {}}
    can = {"workspace": {"workspaceEdit": {"documentChanges": True, **asks}}}
    for able in (can, CAN):
        editor = Editor(able)
        editor.open(uri, text)
        first, *more = editor.ask("textDocument/rename", at(uri, 5, 10, newName="good"))["documentChanges"]
        assert first["edits"][0]["newText"] == "good"
        if able is CAN:
            assert more == []
        else:
            (moved,) = more
            assert (moved["kind"], moved["oldUri"]) == ("rename", artifact.as_uri())
            assert moved["newUri"] == (artifact.parent / "good.dspc.json").as_uri()
        # Neither what has no artifact nor what would lie over another one is moved.
        (artifact.parent / "other.dspc.json").touch()
        for line, column, new in ((2, 8, "good"), (5, 10, "other")):
            changes = editor.ask("textDocument/rename", at(uri, line, column, newName=new))["documentChanges"]
            assert [one.get("kind") for one in changes] == [None]
        editor.close()


def test_references_and_rename_over_files(client: Editor, project: Path) -> None:
    uri, lib = main_of(project), (project / "lib.dspec").as_uri()
    client.open(lib, (project / "lib.dspec").read_text(encoding="utf-8"))
    text = 'dspec 1\nimport "lib.dspec" as lib\nmodule more = Predict(lib.Read, lm = lib.far)\n'
    (project / "other.dspec").write_text(text, encoding="utf-8")
    found = client.ask("textDocument/references", at(lib, 4, 4, context={"includeDeclaration": False}))
    assert sorted((one["uri"].rpartition("/")[2], one["range"]["start"]["line"]) for one in found) == [
        ("lib.dspec", 20),
        ("other.dspec", 2),
    ]
    assert client.ask("textDocument/prepareRename", at(lib, 4, 4))["placeholder"] == "far"
    edit = client.ask("textDocument/rename", at(lib, 4, 4, newName="distant"))
    versions = {
        one["textDocument"]["uri"].rpartition("/")[2]: one["textDocument"]["version"]
        for one in edit["documentChanges"]
    }
    assert versions == {"lib.dspec": 1, "other.dspec": None}
    refused = client.refused("textDocument/rename", at(lib, 4, 4, newName="not"))
    assert refused.code == -32803
    assert "word of the language" in refused.message
    assert client.refused("textDocument/prepareRename", at(uri, 0, 0)).code == -32803


def test_unsaved_text_of_an_importer_counts(client: Editor, project: Path) -> None:
    lib = project / "lib.dspec"
    client.open(lib.as_uri(), lib.read_text(encoding="utf-8"))
    other = (project / "other.dspec").as_uri()
    (project / "other.dspec").write_text("dspec 1\n", encoding="utf-8")
    client.open(other, 'dspec 1\nimport "lib.dspec" as lib\nmodule more = Predict(lib.Read)\n')
    found = client.ask(
        "textDocument/references", at(lib.as_uri(), 14, 11, context={"includeDeclaration": False})
    )
    assert [one["uri"] for one in found if one["uri"] == other] == [other]


def test_symbols_of_the_project(client: Editor) -> None:
    found = client.ask("workspace/symbol", {"query": "rdr"})
    assert [(one["name"], one["containerName"]) for one in found] == [("reader", "lib.dspec")]
    assert {one["name"] for one in client.ask("workspace/symbol", {"query": ""})} >= {
        "router",
        "reader",
        "tuned",
    }


def test_semantic_tokens_as_what_changed(client: Editor) -> None:
    uri = "untitled:coloured"
    client.open(uri, WIDE)
    before = client.ask("textDocument/semanticTokens/full", at(uri, 0, 0))
    again = {**at(uri, 0, 0), "previousResultId": before["resultId"]}
    assert client.ask("textDocument/semanticTokens/full/delta", again)["edits"] == []
    start = {"line": 2, "character": 0}
    client.change(uri, 2, {"range": {"start": start, "end": start}, "text": "# new\n"})
    delta = client.ask("textDocument/semanticTokens/full/delta", again)
    after = client.ask("textDocument/semanticTokens/full", at(uri, 0, 0))
    (edit,) = delta["edits"]
    first, gone = edit["start"], edit["deleteCount"]
    assert before["data"][:first] + edit["data"] + before["data"][first + gone :] == after["data"]
    assert delta["resultId"] == after["resultId"]
    assert client.ask("textDocument/semanticTokens/range", whole(uri))["data"] == after["data"]


def test_formatting_and_ranges(client: Editor) -> None:
    uri = "untitled:loose"
    client.open(uri, 'dspec 1\nlm   a {\nmodel="x/y"\n}\n')
    options = {"tabSize": 2, "insertSpaces": True}
    edits = client.ask("textDocument/formatting", {"textDocument": {"uri": uri}, "options": options})
    assert "".join(one["newText"] for one in edits) == '\nlm a {\n  model = "x/y"\n'
    ranged = client.ask("textDocument/rangeFormatting", {**whole(uri), "options": options})
    assert "".join(one["newText"] for one in ranged) == 'lm a {\n  model = "x/y"\n'
    typed = client.ask("textDocument/onTypeFormatting", at(uri, 3, 1, ch="}", options=options))
    assert typed == ranged
    assert client.ask("textDocument/foldingRange", at(uri, 0, 0)) == [{"startLine": 1, "endLine": 2}]


def test_code_actions_carry_their_edits(client: Editor, project: Path) -> None:
    uri = "untitled:wrong"
    client.open(uri, 'dspec 1\nlm m { model = "embedded/icl" }\nmodule ask = Predit(sig(a -> b))\n')
    place = {"start": {"line": 2, "character": 14}, "end": {"line": 2, "character": 14}}
    asked = {"textDocument": {"uri": uri}, "range": place, "context": {"diagnostics": []}}
    fix, everything = client.ask("textDocument/codeAction", asked)
    assert (fix["kind"], fix["isPreferred"], fix["diagnostics"][0]["code"]) == ("quickfix", True, "DS0211")
    assert fix["edit"]["documentChanges"][0]["edits"][0]["newText"] == "Predict"
    assert everything["kind"] == "source.fixAll"
    only = {**asked, "context": {"diagnostics": [], "only": ["refactor"]}}
    assert client.ask("textDocument/codeAction", only) == []


def test_lenses_and_hints_come_again_once_the_data_was_read(client: Editor, project: Path) -> None:
    uri = main_of(project)
    client.refreshed.clear()
    client.check()
    assert client.refreshed == ["inlay_hint", "code_lens"]
    lenses = client.ask("textDocument/codeLens", at(uri, 0, 0))
    commands = {one["command"]["command"] for one in lenses}
    assert commands == {"dspc.plan", "dspc.compile", ""}
    assert {"title": "plan: 4 to 32 model calls", "command": "dspc.plan", "arguments": [uri, "tuned"]} in [
        one["command"] for one in lenses
    ]
    labels = [one["label"] for one in client.ask("textDocument/inlayHint", whole(uri))]
    assert "8 rows" in labels
    assert ": bool" in labels


def test_links_and_calls(client: Editor, project: Path) -> None:
    uri = main_of(project)
    targets = [one["target"] for one in client.ask("textDocument/documentLink", at(uri, 0, 0))]
    assert targets == [
        (project / "lib.dspec").as_uri(),
        f"{(project / 'helpers.py').as_uri()}#L6",
        (project / "data" / "rows.csv").as_uri(),
    ]
    (item,) = client.ask("textDocument/prepareCallHierarchy", at(uri, 26, 12))
    assert item["name"] == "router"
    callers = client.ask("callHierarchy/incomingCalls", {"item": item})
    assert [one["from"]["name"] for one in callers] == ["Flow", "right", "tuned", "ship", "one"]
    (item,) = client.ask("textDocument/prepareCallHierarchy", at(uri, 25, 9))
    called = client.ask("callHierarchy/outgoingCalls", {"item": item})
    assert [one["to"]["name"] for one in called] == ["router", "thinker"]
    stranger = {**item, "uri": "file:///etc/passwd"}
    assert client.ask("callHierarchy/outgoingCalls", {"item": stranger}) == []


def test_problems_are_pulled_where_the_editor_can_and_then_not_pushed(project: Path) -> None:
    lib, main = project / "pulled.dspec", project / "pulling.dspec"
    lib.write_text('dspec 1\nlm far { model = "embedded/icl" }\n', encoding="utf-8")
    uri = main.as_uri()
    editor = Editor(PULLING)
    assert editor.told["capabilities"]["diagnosticProvider"]["identifier"] == "dspc"
    editor.open(
        uri, 'dspec 1\nimport "pulled.dspec" as lib\nmodule ask = Predict(sig(a -> b), lm = lib.fat)\n'
    )
    document = {"textDocument": {"uri": uri}}
    editor.check()
    found = editor.ask("textDocument/diagnostic", document)
    assert [one["code"] for one in found["items"]] == ["DS0208"]
    again = {**document, "previousResultId": found["resultId"]}
    assert editor.ask("textDocument/diagnostic", again) == {
        "kind": "unchanged",
        "resultId": found["resultId"],
    }
    lib.write_text('dspec 1\nlm fat { model = "embedded/icl" }\n', encoding="utf-8")
    editor.check()
    assert editor.refreshed[0] == "diagnostics"
    assert editor.ask("textDocument/diagnostic", again)["items"] == []
    assert editor.published == []
    assert editor.ask("textDocument/diagnostic", {"textDocument": {"uri": "untitled:other"}})["items"] == []
    editor.close()


def test_nothing_is_pushed_over_the_wire_to_an_editor_that_pulls() -> None:
    uri = "untitled:one"
    with Client() as client:
        client.initialize(can=PULLING)
        client.open(uri, "lm {")
        assert client.ask("textDocument/diagnostic", {"textDocument": {"uri": uri}})["items"]
        assert client.notifications == []


def test_requests_about_broken_or_missing_documents_have_answers(client: Editor) -> None:
    uri = "untitled:broken"
    client.open(uri, "dspec 1\nlm { model = = \nmodule x = (\noptimize o { step a = = MIPROv2( \n")
    options = {"tabSize": 2, "insertSpaces": True}
    for document in (uri, "untitled:never-opened"):
        for method, more in (
            *((f"textDocument/{name}", {}) for name in ("hover", "definition", "typeDefinition", "documentHighlight",
              "documentSymbol", "foldingRange", "codeLens", "documentLink", "semanticTokens/full", "signatureHelp",
              "prepareCallHierarchy", "completion")),
            ("textDocument/references", {"context": {"includeDeclaration": True}}),
            ("textDocument/formatting", {"options": options}),
            ("textDocument/onTypeFormatting", {"options": options, "ch": "\n"}),
            ("textDocument/inlayHint", whole(document)),
            ("textDocument/codeAction", {**whole(document), "context": {"diagnostics": []}}),
            ("textDocument/selectionRange", {"positions": [{"line": 1, "character": 5}]}),
        ):  # fmt: skip
            client.ask(method, {**at(document, 1, 7), **more})
