"""Every fenced block of the documentation is tried, or says why it is not; and the site is made of all of it."""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from dspc import EXAMPLES, dspc
from pages import ROOT, USER_PAGES, Block, blocks
from programs import chat
from server import beside
from typer.main import get_command

from dspec import errors
from dspec.compiler.check.analysis import analyse
from dspec.compiler.cli.app import make_app
from dspec.compiler.diagnostics.settings import read_settings
from dspec.runtime.artifact.artifact import Artifact, write_artifact
from dspec.runtime.models.background import shutdown

ALL = [block for page in USER_PAGES for block in blocks(page)]
FOLLOWED = ROOT / "docs" / "getting-started.md"
"""The page that is followed from top to bottom, as a newcomer does."""
ELSEWHERE = {
    ("docs/agents.md", "python"): "tests/test_docs.py",
    ("docs/diagnostics.md", "dspec"): "tests/compiler/test_codes.py",
    ("docs/diagnostics.md", "toml"): "tests/compiler/test_codes.py",
    ("docs/embedding.md", "python"): "tests/end_to_end/test_embedding_examples.py",
    ("docs/from-baml.md", "baml"): "tests/compiler/test_adopt.py",
    ("docs/from-baml.md", "python"): "tests/test_pages.py",
    ("docs/from-dspy.md", "python"): "tests/compiler/test_adopt.py",
    ("docs/from-promptfoo.md", "yaml"): "tests/compiler/test_adopt.py",
    ("docs/production.md", "python"): "tests/end_to_end/test_production.py",
    ("docs/production.md", "dspec"): "tests/end_to_end/test_production.py",
    ("docs/production.md", "sh"): "tests/end_to_end/test_production.py",
    ("docs/serving.md", "json"): "tests/end_to_end/test_serving_page.py",
    ("docs/serving.md", "python"): "tests/end_to_end/test_serving_page.py",
}
"""Where blocks of a language are tried that no test here or in `test_docs.py` takes from every page."""
COMMENTED = ("docs/agents.md", "docs/from-dspy.md", "docs/from-promptfoo.md")
"""Pages whose test takes the blocks that begin with the name of a file."""


def _tried_elsewhere(block: Block) -> bool:
    page = block.page.relative_to(ROOT).as_posix()
    test = ELSEWHERE.get((page, block.language))
    if test is None or (page in COMMENTED and not re.match(r"(#|//) \w+\.\w+\n", block.text)):
        return False
    text = (ROOT / test).read_text(encoding="utf-8")
    return block.page.name in text or page == "docs/diagnostics.md"  # which is made of the codes


@pytest.mark.parametrize("block", ALL, ids=lambda block: block.name)
def test_every_block_is_tried_or_says_why_not(block: Block) -> None:
    """`<!-- not run: why -->` stands right before one that is not."""
    assert not block.mark or re.match(r"not run: \w.+", block.mark), block.mark
    if block.mark or block.page == FOLLOWED or _tried_elsewhere(block):
        return
    tried = block.language in ("dspec", "console", "sh", "toml") or block in PYTHON + OF_TOOLS + TRANSCRIPTS
    if not tried:
        pytest.fail(f"{block.name}: nobody tries this ```{block.language} block")


# Commands ---------------------------------------------------------------------------------------------------

COMMANDS = [
    block
    for block in ALL
    if block.language in ("console", "sh") and not (block.mark or block.file) and block.page != FOLLOWED
]


def _of_dspc(words: list[str]) -> None:
    """What the command line makes of them, without running anything. Raises where it has no such option."""
    app = get_command(make_app(words[:1]) if words[0][0] != "-" else make_app())
    context, command = app.make_context("dspc", [], resilient_parsing=True), app
    while hasattr(command, "commands") and words and words[0][0] != "-":
        command = command.get_command(context, words[0])
        assert command is not None, words
        words = words[1:]
    if words != ["--version"]:
        command.make_context(command.name, list(words), parent=context)


@pytest.mark.parametrize("block", COMMANDS, ids=lambda block: block.name)
def test_every_command_is_one(block: Block, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Of `dspc`, `dev.py` and pip: the command, its options and its extras are there."""
    monkeypatch.chdir(tmp_path)
    dev = (ROOT / "dev.py").read_text(encoding="utf-8")
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    for words in block.commands():
        match words:
            case ["dspc", *rest]:
                for word in rest:  # some commands look for a file before they begin
                    if word.endswith(".dspec") and rest[0] not in ("adopt", "init"):
                        (tmp_path / word).parent.mkdir(parents=True, exist_ok=True)
                        (tmp_path / word).touch()
                _of_dspc(rest)
            case ["python3.11", "dev.py", command, *_]:
                assert f"\ndef {command}(" in dev
            case ["pip", "install", what]:
                extra = re.fullmatch(r"dspc\[(\w+)\]|\.", what)
                assert extra is not None
                assert extra[1] is None or extra[1] in extras
            case ["python", script]:
                assert (block.page.parent / script).is_file()
            case ["curl", *_]:
                assert block.page.name == "serving.md", "tests/end_to_end/test_serving_page.py runs those"
            case ["pygmentize", *rest]:
                from pygments.cmdline import main

                monkeypatch.chdir(ROOT)
                assert main(["pygmentize", *rest]) == 0
            case _:
                pytest.fail(f"{block.name}: nobody tries `{shlex.join(words)}`")


SETTINGS = [one for one in ALL if one.language == "toml" and not one.mark and not _tried_elsewhere(one)]


@pytest.mark.parametrize("block", SETTINGS, ids=lambda block: block.name)
def test_every_setting_is_one(block: Block) -> None:
    assert not read_settings(ROOT, block.text).problems
    assert read_settings(ROOT, block.text).levels


# What a newcomer does ---------------------------------------------------------------------------------------


class Reader:
    """Someone who does what a page says, block by block, in a folder that was empty."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self.environment = environment
        self.heard = ""
        self.failed = False

    def follow(self, block: Block) -> None:
        match block.language:
            case "console":
                self.heard, self.failed = "", False
                for words in block.commands():
                    self._run(words)
            case "text":
                self._expect(block)
            case "python" | "yaml" | "baml":
                named = re.match(r"(?:#|//) (\w+\.\w+)\n", block.text)
                name = named[1] if named else "snippet.py"
                (self.folder / name).write_text(block.text, encoding="utf-8")
                if not named:
                    self._run(["python", name])
            case "dspec":
                self._write(block)
            case language:
                pytest.fail(f"{block.name}: what does a reader do with {language!r}?")

    def _run(self, words: list[str]) -> None:
        assert not self.failed, self.heard
        match words:
            case ["cd", folder]:
                self.folder /= folder
            case ["dspc", *rest]:
                done = dspc(*rest, cwd=self.folder, **self.environment)
                self.heard += done.text
                self.failed = done.code != 0
            case ["python", script]:
                ran = subprocess.run(
                    [sys.executable, script],
                    cwd=self.folder,
                    capture_output=True,
                    text=True,
                    check=False,
                    env={**os.environ, **self.environment},
                )
                self.heard += ran.stdout + ran.stderr
                self.failed = ran.returncode != 0
            case _:
                pytest.fail(f"nobody runs {words}")

    def _expect(self, block: Block) -> None:
        """All lines are there but `…`, and a command has failed only where the page shows that."""
        heard = [" ".join(line.split()) for line in self.heard.splitlines()]
        for line in block.text.splitlines():
            start, gap, _ = " ".join(line.split()).partition("…")
            assert any(one.startswith(start) if gap else one == start for one in heard), (line, self.heard)
        assert self.failed == ("error" in block.text), self.heard
        self.failed = False

    def _write(self, block: Block) -> None:
        """A block of the file is what the file has already, or takes the place of the one with its name."""
        path = self.folder / "main.dspec"
        text = path.read_text(encoding="utf-8")
        if block.text in text:
            return
        head = re.match(r"\w+ \w+", block.text)
        assert head is not None
        old = re.search(rf"^{head[0]}\b.*?(?:^\}}|\}})$\n", text, re.M | re.S)
        assert old is not None, block.text
        path.write_text(text.replace(old[0], block.text), encoding="utf-8")


def test_the_tutorial_is_followed_to_the_letter(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    followed = [block for block in blocks(FOLLOWED) if not block.mark]
    for block in followed:
        reader.follow(block)
        assert not reader.failed or block is followed[-1] or block.language == "console", reader.heard
    assert not reader.failed


GERMAN = chat(reasoning="so", output="Ihr Paket ist unterwegs.", score="1.0")
ADA = chat(result='{"name": "Ada", "skills": ["analysis"], "level": "Senior"}')


@pytest.mark.parametrize(
    ("page", "answer", "heard"),
    [("from-baml", ADA, "Ada ['analysis']"), ("from-promptfoo", GERMAN, "1 test: 1 passed")],
)
def test_who_comes_from_elsewhere_gets_as_far_as_the_page_says(
    tmp_path: Path, page: str, answer: str, heard: str
) -> None:
    """The file of the other tool, what is made of it, and the commands after that, with a server in the provider's place."""
    with beside("--answer", answer) as url:
        reader = Reader(tmp_path, OPENAI_API_KEY="k", OPENAI_BASE_URL=url)
        for block in blocks(ROOT / "docs" / f"{page}.md"):
            if block.language != "dspec":  # `test_adopt.py` holds it against what is written
                reader.follow(block)
            assert not reader.failed, reader.heard
    assert heard in reader.heard


# A program in Python ----------------------------------------------------------------------------------------

PYTHON = [
    block
    for name in ("README.md", "docs/language.md")
    for block in blocks(ROOT / name)
    if block.language == "python" and not block.mark
]
OF_TOOLS = [block for block in blocks(ROOT / "docs" / "tools.md") if block.language == "python"]
TRANSCRIPTS = [block for block in blocks(ROOT / "README.md") if block.language == "text"]


@pytest.fixture(scope="module")
def tickets(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The ticket example, compiled from where the README compiles it; and what was said."""
    folder = tmp_path_factory.mktemp("checkout")
    example = folder / "examples" / "tickets"
    shutil.copytree(EXAMPLES / "tickets", example, ignore=shutil.ignore_patterns("compiled", ".dspec"))
    done = dspc("compile", "examples/tickets/tickets.dspec", cwd=folder)
    assert done.code == 0, done.text
    return example, done.text


@pytest.mark.parametrize("block", TRANSCRIPTS, ids=lambda block: block.name)
def test_what_the_readme_shows_is_what_is_said(tickets: tuple[Path, str], block: Block) -> None:
    command, *lines = block.text.splitlines()
    assert command == "$ dspc compile examples/tickets/tickets.dspec"
    reader = Reader(tickets[0])
    reader.heard = tickets[1]
    reader.follow(block._replace(text="\n".join(lines)))


@pytest.mark.parametrize("block", PYTHON, ids=lambda block: block.name)
def test_python_runs(
    tickets: tuple[Path, str],
    block: Block,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tickets[0])
    code = compile(block.text, block.name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    names: dict[str, Any] = {}
    ran = eval(code, names)
    if inspect.isawaitable(ran):
        asyncio.run(_awaited(ran))
    if block.text.startswith("# metrics.py"):
        assert names["same_value"]("1 000", "1000") == 1.0
        assert names["explained"]({"answer": "a"}, {"answer": "b"})["score"] is False
    else:
        assert capsys.readouterr().out
    shutdown()


EXAMPLE = re.compile(
    r"^\| \[(?P<name>\w+)\]\(\S+\) \|.*\| (?P<before>[\d.]+) \| (?P<after>[\d.]+) \| (?P<calls>[\d,]+) \|$",
    re.M,
)
EXAMPLES_TOLD = list(EXAMPLE.finditer((EXAMPLES / "README.md").read_text(encoding="utf-8")))


@pytest.mark.slow
@pytest.mark.parametrize("told", EXAMPLES_TOLD, ids=lambda told: told["name"])
def test_the_examples_come_to_what_their_table_says(told: re.Match[str], tmp_path: Path) -> None:
    folder = tmp_path / told["name"]
    shutil.copytree(EXAMPLES / told["name"], folder, ignore=shutil.ignore_patterns("compiled", ".dspec"))
    source = re.search(rf"\]\({told['name']}/(\w+\.dspec)\)", told[0])
    done = dspc("compile", source[1] if source else "agent.dspec", "--json", cwd=folder)
    assert done.code == 0, done.text
    made = json.loads(done.out)["compiled"][0]
    (scored,) = made["evals"] or [{"score": made["final"]["score"], "baseline": made["baseline"]}]
    percent = [f"{100 * one:.1f}" for one in (scored["baseline"]["score"], scored["score"])]
    assert [*percent, f"{made['calls']['needed']:,}"] == [told["before"], told["after"], told["calls"]]


def test_every_row_of_that_table_is_held() -> None:
    text = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    without_figures = len(re.findall(r"^\| \[.*\| \| \| \|$", text, re.M))
    assert len(EXAMPLES_TOLD) + without_figures == len(re.findall(r"^\| \[", text, re.M)) >= 4
    assert without_figures <= 1, "what takes another installation has none"


AGENT = """dspec 1

lm learner { model = "embedded/icl" }
extern search(query: str) -> list[str] = python("tools:search")
module agent = ReAct(sig(question -> answer), tools = [search])
"""


@pytest.mark.parametrize("block", OF_TOOLS, ids=lambda block: block.name)
def test_tools_are_given_and_allowed(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tools.py").write_text("def search(query): return [query]\n", encoding="utf-8")
    project = analyse(tmp_path / "main.dspec", text=AGENT).project
    assert project is not None
    (tmp_path / "compiled").mkdir()
    made = Artifact(name="agent", program=project.programs["agent"])
    write_artifact(tmp_path / "compiled" / "agent.dspc.json", made)

    def search(query: str) -> list[str]:
        return [query]

    names: dict[str, Any] = {"search": search}
    exec(block.text, names)
    with pytest.raises(errors.ConfigurationError, match="tools:search"):
        names["load"]("compiled/agent.dspc.json")
    shutdown()


async def _awaited(work: Any) -> None:
    await work
