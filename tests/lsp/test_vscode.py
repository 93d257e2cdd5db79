"""The extension for VS Code, as far as it can be driven without the editor. `dev.py vsix` installs what this needs."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from coloured import PROGRAMS, being_typed
from textmate import Grammar

ROOT = Path(__file__).resolve().parents[2]
EXTENSION = ROOT / "lsp" / "editors" / "vscode"
NODE = shutil.which("node")

pytestmark = [
    pytest.mark.skipif(NODE is None, reason="Node.js is not installed"),
    pytest.mark.skipif(
        not (EXTENSION / "node_modules").is_dir(),
        reason="`dev.py vsix` has not installed the extension's tools",
    ),
]


def test_vs_code_reads_the_grammar_as_the_tests_do() -> None:
    """`support/textmate.py`, which the other tests trust, gives every character the scopes that VS Code gives it."""
    corpus = sorted((ROOT / "tests" / "compiler" / "corpus").glob("syntax_*.dspec"))
    texts = [*(path.read_text(encoding="utf-8") for path in (*PROGRAMS, *corpus)), *being_typed()]
    assert NODE
    done = subprocess.run(
        [NODE, EXTENSION / "test" / "scopes.mjs"],
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        check=True,
    )
    grammar = Grammar(EXTENSION / "syntaxes" / "dspec.tmLanguage.json")
    for text, theirs in zip(texts, json.loads(done.stdout), strict=True):
        if not text.isascii():
            continue  # theirs are counted in UTF-16
        at, ours = 0, [" ".join(one) for one in grammar.scopes(text)]
        for line, found in zip(text.split("\n"), theirs, strict=True):
            assert ours[at : at + len(line)] == found, line
            at += len(line) + 1


def test_parts_that_need_no_editor() -> None:
    """Finding `dspc`, processes, the page: `npm test`. Types are checked when the extension is built."""
    command = ["npm", "run", "--silent", "test"]
    done = subprocess.run(command, cwd=EXTENSION, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_commands_of_the_extension_are_those_of_the_server() -> None:
    from dspec.lsp.features.lenses import COMMANDS

    manifest = json.loads((EXTENSION / "package.json").read_text(encoding="utf-8"))
    named = {one["command"] for one in manifest["contributes"]["commands"]}
    assert set(COMMANDS) <= named
    source = (EXTENSION / "src" / "commands.ts").read_text(encoding="utf-8")
    assert all(f'"{command}": {{' in source for command in COMMANDS)
