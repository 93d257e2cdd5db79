"""Adding something is one file and one line in a table: what `CONTRIBUTING.md` promises, done with toys.

A toy's file in `tests/toys` is as it would stand in its place, where the tests import it; the line is what
`monkeypatch` puts into the table.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType

import pytest
from building import compiled, plan_of, prepared, project
from generators import generator
from lsprotocol import types
from programs import fields, module, predictor
from scripted import learner

from dspec import load
from dspec.compiler import ir
from dspec.compiler.check.analysis import Analysis, analyse
from dspec.compiler.check.project import DECLARATIONS
from dspec.compiler.check.session import Session
from dspec.compiler.check.sources.externs import table as externs
from dspec.compiler.check.symbols import Symbol
from dspec.compiler.cli.explain import explain
from dspec.compiler.compile.advice import advise
from dspec.compiler.data import load_rows
from dspec.compiler.data.sources import table as sources
from dspec.compiler.diagnostics.codes.table import CODES
from dspec.compiler.optimizers import table as optimizers
from dspec.compiler.optimizers.base import Spec
from dspec.lsp.features.completion import complete
from dspec.lsp.requests import table as requests
from dspec.lsp.server import make_server
from dspec.runtime.artifact.artifact import Artifact, parse_artifact, write_artifact
from dspec.runtime.errors import ArtifactError
from dspec.runtime.models.background import shutdown
from dspec.runtime.running.strategies import table as strategies
from dspec.runtime.running.strategies.base import ModuleStrategy
from dspec.runtime.schema.program import LM, Demo, Program
from dspec.runtime.schema.types import STR, OneOf

ROOT = Path(__file__).resolve().parent.parent
TOYS = ROOT / "tests" / "toys"
reference = generator("reference")

OPTIMIZERS = ROOT / "compiler/optimizers"
EXAMPLES = (ROOT / "compiler/diagnostics/codes", ROOT / "compiler/tables")
"""What is explained here with a piece of a program may name anything that stands in one."""
PEERS = (ROOT / "compiler/compile/adopt", ROOT / "runtime/artifact/dspy_program.py")
"""Programs of other tools are read and written here, piece by piece, by the names that those tools have for them."""
ALSO_WORDS = {"json", "python"}
"""Names of sources that mean other things, too: a format of messages, a rule's language."""
NAMED: dict[str, dict[str, str]] = {
    "optimizer": optimizers._MODULES | dict.fromkeys((*optimizers.ALIASES, *optimizers.INSTEAD), ""),
    "strategy": strategies._FILES,
    "source of rows": sources._FILES,
    "source of an extern": externs._FILES,
}
"""Of what has a table, the file of each name. Optimizers tell of each other; nobody else mentions one at all."""
ELSEWHERE = {
    **{
        ("compiler/optimizers/auto_families.py", name): "one of those that Auto runs"
        for name in (
            "BootstrapFewShot",
            "BootstrapFewShotWithRandomSearch",
            "COPRO",
            "InferRules",
            "KNNFewShot",
            "LabeledFewShot",
            "SIMBA",
        )
    },
    ("compiler/optimizers/better_together.py", "BootstrapFewShotWithRandomSearch"): "DSPy's default for `p`",
    ("compiler/optimizers/better_together.py", "BootstrapFinetune"): "DSPy's default for `w`",
    ("compiler/serving/bulk/answers.py", "csv"): "a format that answers are written in",
    ("compiler/serving/bulk/answers.py", "jsonl"): "a format that answers are written in",
    ("compiler/serving/bulk/answers.py", "parquet"): "a format that answers are written in",
    ("compiler/serving/mcp.py", "http"): "a way to speak MCP",
    ("compiler/serving/web/openapi.py", "http"): "how OpenAPI calls a key in a header",
    ("runtime/models/endpoints.py", "http"): "the scheme of an address",
    ("runtime/models/transports/lean.py", "embeddings"): "the end of an address",
    ("runtime/tools/web.py", "http"): "the scheme of an address",
    ("runtime/tools/files.py", "csv"): "the runtime reads a tool's file without the compiler",
    ("runtime/tools/files.py", "jsonl"): "the runtime reads a tool's file without the compiler",
    ("runtime/schema/modelnames.py", "huggingface"): "a provider of models has the name of a source, too",
    ("runtime/tools/files.py", "parquet"): "the runtime reads a tool's file without the compiler",
}
"""Names that stand somewhere else, and why they may."""

TEXT = """\
dspec 1

lm mini { model = "embedded/icl" }

module router = Predict(sig(text -> label))

dataset tickets {
  source = jsonl("rows.jsonl")
  input text: str
  field label: str
  split { train = 10; val = 10; seed = 7 }
}

metric right(gold: tickets, pred: router) = gold.label == pred.label

optimize tuned {
  program = router
  metric  = right
  train   = tickets.train
  val     = tickets.val
  step labels = LabeledFewShot()
}
"""


@pytest.fixture(autouse=True)
def _stopped() -> Iterator[None]:  # pyright: ignore[reportUnusedFunction]
    yield
    shutdown()


def put(monkeypatch: pytest.MonkeyPatch, name: str, package: str) -> ModuleType:
    """A toy's file, as if it stood in that package."""
    spec = importlib.util.spec_from_file_location(f"{package}.{name}", TOYS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    toy = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, toy)
    spec.loader.exec_module(toy)
    return toy


def checked(folder: Path, text: str) -> Analysis:
    rows = [{"text": f"row {i} of g{i % 5}", "label": f"L{i % 5}"} for i in range(40)]
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    path = folder / "main.dspec"
    path.write_text(text, encoding="utf-8")
    return analyse(path)


def told(analysis: Analysis) -> list[str]:
    return [f"{found.code} {found.message}" for found in analysis.diagnostics]


def offered(text: str) -> list[str]:
    """What completion offers at `$0`."""
    analysis = analyse(Path("/nowhere/main.dspec"), text=text.replace("$0", ""), probe=False)
    return [found.label for found in complete(analysis, text.index("$0")).suggestions]


@pytest.mark.parametrize(
    "table", [optimizers.SPECS, strategies.STRATEGIES, sources.SOURCES, externs.EXTERN_SOURCES]
)
def test_a_record_has_the_name_that_its_line_gives_it(table: Mapping[str, Spec | ModuleStrategy]) -> None:
    assert [record.name for record in table.values()] == list(table)


async def test_an_optimizer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    put(monkeypatch, "first_rows", "dspec.compiler.optimizers")
    line = TEXT.replace("LabeledFewShot()", "FirstRows(k = 3)")
    assert any("no optimizer named `FirstRows`" in one for one in told(checked(tmp_path, line)))
    monkeypatch.setitem(optimizers._MODULES, "FirstRows", "first_rows")

    analysis = checked(tmp_path, line)
    assert told(analysis) == []
    assert told(checked(tmp_path, line.replace("k = 3", "k = 30"))) == [
        "DS0605 `k` of `FirstRows` asks for 30 rows, and `tickets.train` has 10"
    ]
    assert "`FirstRows` has no option `l`" in told(checked(tmp_path, line.replace("k = 3", "l = 3")))[0]

    assert analysis.project is not None
    assert [step.optimizer for step in plan_of(analysis.project, "tuned", tmp_path).steps] == ["FirstRows"]
    step = ir.StepSpec(name="first", optimizer="FirstRows", options={"k": 3})
    built, _, _ = await compiled(monkeypatch, tmp_path, project(tmp_path, step), learner)
    program = built.steps[0].result.program
    assert isinstance(program, Program)
    assert len(program.predictors["ask"].demos) == 3

    assert "FirstRows" in offered(TEXT.replace("LabeledFewShot()", "$0"))
    assert "k" in offered(TEXT.replace("LabeledFewShot()", "FirstRows($0)"))

    found = advise(prepared(analysis.project, tmp_path), "tuned")
    assert [one.lines for one in found.suggestions if one.why == "the first rows are the clearest"] == [
        ("step first = FirstRows(k = 1)",)
    ]

    page = reference.filled((ROOT / "docs/optimizers.md").read_text("utf-8"))
    assert "| [FirstRows](#firstrows) | rows that are in order | demos | metric |" in page
    section = page.partition("## FirstRows\n")[2].partition("\n## ")[0]
    assert (
        "Where somebody has sorted the rows, the clearest first. **Calls:** none. Source: a test." in section
    )
    assert "| `k` | whole number, from 1 | `2` | Rows to show. |" in section


def named(path: Path, words: re.Pattern[str]) -> set[str]:
    """Which of the names stand in the file's strings, what it says of itself and its parts left out."""
    tree = ast.parse(path.read_text("utf-8"))
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    texts = (
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose
    )
    return {found for text in texts for found in words.findall(text)}


@pytest.mark.slow
@pytest.mark.parametrize("kind", NAMED)
def test_a_name_stands_in_its_own_file_and_in_its_table_alone(kind: str) -> None:
    homes = {name: file for name, file in NAMED[kind].items() if name not in ALSO_WORDS}
    either = "|".join(map(re.escape, homes))
    alone, mentioned = re.compile(rf"\A(?:{either})\Z"), re.compile(rf"\b(?:{either})\b")
    strays = {
        (path.relative_to(ROOT).as_posix(), name)
        for room in ("compiler", "runtime", "lsp", "grammar", "docs")
        for path in (ROOT / room).rglob("*.py")
        if path.name != "table.py" and not any(path.is_relative_to(one) for one in (*EXAMPLES, *PEERS))
        for name in named(
            path, alone if kind != "optimizer" or path.is_relative_to(OPTIMIZERS) else mentioned
        )
        if path.stem != homes[name]
    }
    assert strays == {place for place in ELSEWHERE if place[1] in homes}


def test_a_strategy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    put(monkeypatch, "twice", "dspec.runtime.running.strategies")
    line = TEXT.replace("Predict(", "Twice(")
    assert any("no strategy named `Twice`" in one for one in told(checked(tmp_path, line)))
    once = checked(tmp_path, TEXT).project
    monkeypatch.setitem(strategies._FILES, "Twice", "twice")

    analysis = checked(tmp_path, line)
    assert told(analysis) == []
    assert told(checked(tmp_path, line.replace("pred.label", "pred.draft"))) == []
    assert analysis.project is not None
    assert once is not None
    assert plan_of(analysis.project, "tuned", tmp_path).most == 2 * plan_of(once, "tuned", tmp_path).most > 0

    shown = tuple(
        Demo(inputs={"text": text}, outputs={"draft": "thinking", "label": label})
        for text, label in (("my card is gone", "card"), ("the cash machine is empty", "cash"))
    )
    asked = predictor(fields(text=STR), fields(draft=STR, label=OneOf(values=("card", "cash")))).model_copy(
        update={"strategy": "Twice", "demos": shown}
    )
    path = tmp_path / "router.dspc.json"
    lms = {"mini": LM(name="mini", model="embedded/icl")}
    write_artifact(path, Artifact(name="router", program=module(asked, lms=lms)))
    answer = load(path)(text="my card is lost")
    assert set(answer) == {"draft", "label"}
    assert answer.usage.calls == 2

    assert "Twice" in offered(TEXT.replace("Predict(sig(text -> label))", "$0"))
    page = reference.filled((ROOT / "docs/language.md").read_text("utf-8"))
    assert "| `Twice(…)` |  | Two calls: the second one looks at what the first one said. |" in page
    monkeypatch.delitem(strategies._FILES, "Twice")
    with pytest.raises(ArtifactError, match=r"strategy: input should be 'Predict' or 'ChainOfThought'"):
        parse_artifact(path.read_bytes())


def test_a_source_of_rows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    put(monkeypatch, "lines", "dspec.compiler.data.sources")
    (tmp_path / "rows.lines").write_text("one\ntwo\nthree\n", encoding="utf-8")
    text = 'dspec 1\n\ndataset said {\n  source = lines("rows.lines", mark = "!")\n  input text: str\n}\n'
    assert any("rows cannot be read from `lines`" in one for one in told(checked(tmp_path, text)))
    monkeypatch.setitem(sources._FILES, "lines", "lines")

    analysis = checked(tmp_path, text)
    assert {found.code for found in analysis.diagnostics} <= {"DS0205"}  # the dataset is not used
    assert analysis.project is not None
    rows = load_rows(analysis.project.datasets["said"], tmp_path)
    assert [row.inputs["text"] for row in rows] == ["one!", "two!", "three!"]
    assert any(
        "column `words` is not in" in one for one in told(checked(tmp_path, text.replace("text", "words")))
    )
    assert any(
        "`lines` has no option `marc`" in one for one in told(checked(tmp_path, text.replace("mark", "marc")))
    )
    assert any(
        'write `lines("rows.lines")`' in found.help
        for found in checked(
            tmp_path, text.replace('lines("rows.lines", mark = "!")', 'csv("rows.lines")')
        ).diagnostics
    )

    assert "lines" in offered(TEXT.replace('jsonl("rows.jsonl")', "$0"))
    page = reference.filled((ROOT / "docs/language.md").read_text("utf-8"))
    assert (
        "| `lines(…)` |  | A text file, one row a line. |\n| lines · `path` | required | The file. |\n"
        in page
    )


def test_a_diagnostic(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    toy = put(monkeypatch, "shouting", "dspec.compiler.diagnostics.codes")
    monkeypatch.setitem(CODES, toy.DS0299.name, toy.DS0299)
    check = DECLARATIONS["metric"]

    def with_the_line(session: Session, symbol: Symbol) -> object:
        if symbol.name.isupper():
            session.report(toy.Shouting(symbol.location))
        return check(session, symbol)

    monkeypatch.setitem(DECLARATIONS, "metric", lambda session, symbol: session.once(with_the_line, symbol))

    loud = TEXT.replace("metric right", "metric RIGHT").replace("= right", "= RIGHT")
    assert told(checked(tmp_path, TEXT)) == []
    (found,) = checked(tmp_path, loud).diagnostics
    assert (found.code, found.severity, found.message) == ("DS0299", "warning", "`RIGHT` is in capitals")
    assert found.primary.location.text == "RIGHT"
    assert [edit.replacement for fix in found.fixes for edit in fix.edits] == ["right"]
    allowed = loud.replace("metric RIGHT", "# dspc: allow DS0299 -- it matters\nmetric RIGHT")
    assert told(checked(tmp_path, allowed)) == []
    (tmp_path / "dspec.toml").write_text('[severity]\nDS0299 = "off"\n', encoding="utf-8")
    assert told(checked(tmp_path, loud)) == []

    explain("DS0299")
    assert "who take capitals for shouting" in capsys.readouterr().out
    page = generator("diagnostics").page(CODES)
    assert "| [DS0299](#ds0299) | warning | a name in capitals |" in page
    assert "module SECOND = Predict(Route)" in page


async def test_an_editor_feature(monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, "moniker", "dspec.lsp.requests")
    assert types.TEXT_DOCUMENT_MONIKER not in make_server().protocol.fm.features
    for record in requests._records("moniker"):
        monkeypatch.setitem(requests.FEATURES, record.method, record)

    server = make_server()
    uri = "untitled:one"
    server.documents.open(types.TextDocumentItem(uri, types.LanguageKind.Python, 1, TEXT))
    params = types.MonikerParams(types.TextDocumentIdentifier(uri), types.Position(2, 4))
    (answer,) = await server.protocol.fm.features[types.TEXT_DOCUMENT_MONIKER](params)
    assert answer.identifier == "mini"
    server.checks.close()
