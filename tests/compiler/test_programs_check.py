"""What programs are lowered to: which step a call is, what is blamed for a check, and whose tables are taken over."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from dspec.compiler.check.analysis import Analysis, analyse
from dspec.compiler.check.declarations import callees
from dspec.compiler.check.declarations.externs import ExternInfo, extern
from dspec.compiler.check.session import Session
from dspec.compiler.check.symbols import Symbol
from dspec.runtime.running.bounds import call_bounds, counted
from dspec.runtime.running.strategies.base import Times
from dspec.runtime.schema.program import CheckStep, FieldSpec, Program, RunStep, Tool, ToolStep, walked
from dspec.runtime.schema.types import INT, STR, ListOf

HEAD = """\
dspec 1

lm mini { model = "embedded/icl" }
module ask = Predict(sig(question -> answer, good: bool))
"""


def checked(folder: Path, text: str) -> Analysis:
    return analyse(folder / "main.dspec", text=HEAD + text, probe=False)


def program(folder: Path, *lines: str, before: str = "") -> Program:
    body = "\n".join(f"  {line}" for line in lines)
    found = checked(folder, f"{before}\nprogram P(question: str) -> (answer: str) {{\n{body}\n}}\n")
    assert not [one.message for one in found.diagnostics if one.severity == "error"]
    assert found.project is not None
    return found.project.programs["P"]


def blamed(made: Program) -> list[str | None]:
    return [step.blames for step in walked(made.steps) if isinstance(step, CheckStep)]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (("let a = ask(question = question)", "assert a.good"), ["a"]),
        (("let a = ask(question = question)", "let b = a.answer + question", "assert len(b) > 3"), ["a"]),
        (("let a = [ask(question = str(i)) for i in range(2)]", "assert a[0].good"), [None]),
        (
            (
                "let a = ask(question = question)",
                'let b = if a.good then a else ask(question = "again")',
                "assert b.good",
            ),
            [None],
        ),
        (
            (
                "let a = ask(question = question)",
                "let b = [ask(question = str(i)) for i in range(2)]",
                "assert a.good and b[0].good",
            ),
            ["a"],
        ),
        (
            (
                "let a = ask(question = question)",
                "let b = repeat 2 from a {",
                "  let c = ask(question = a.answer)",
                "  suggest c.good",
                "  suggest a.good",
                "  until c.good",
                "  suggest c.good",
                "  let a = ask(question = c.answer)",
                "}",
                "suggest b.good",
            ),
            ["c", None, None, None],
        ),
        (("assert ask(question = question).good", "let a = ask(question = question)"), ["ask#1"]),
    ],
)
def test_a_check_blames_the_call_that_it_reads_or_nothing(
    tmp_path: Path, lines: tuple[str, ...], expected: list[str | None]
) -> None:
    last = "return answer = b.answer" if any("let b = repeat" in line for line in lines) else ""
    assert blamed(program(tmp_path, *lines, last or "return answer = question")) == expected


def test_another_program_is_a_graph_and_its_predictors_keep_their_addresses(tmp_path: Path) -> None:
    inner = """
program Inner(question: str, times: int = 2) -> (answer: str) {
  let a = ask(question = question + str(times))
  return answer = a.answer
}

program Middle(question: str) -> (answer: str) {
  let a = Inner(question)
  return answer = a.answer
}
"""
    made = program(
        tmp_path,
        "let a = Middle(question)",
        "let b = Inner(question = a.answer, times = 3)",
        "return answer = b.answer",
        before=inner,
    )
    assert set(made.predictors) == {"ask"}
    assert set(made.graphs) == {"Inner", "Middle"}
    assert [step.runs for step in made.steps if isinstance(step, RunStep)] == ["Middle", "Inner"]
    assert call_bounds(made) == Times(2, 2)


@pytest.mark.parametrize(
    ("listed", "least", "most"),
    [
        ('["a", "b"]', 2, 2),
        ('unique(["a", "b"])', 1, 2),
        ("first(split(question), 4)", 0, 4),
        ('first(["a", "b", "c"], 2)', 2, 2),
        ('["a"] + first(split(question), 2)', 1, 3),
        ('if question == "" then ["a"] else ["a", "b", "c"]', 1, 3),
        ("[str(i) for i in range(5)]", 5, 5),
        ("first([str(i) for i in range(5)], 7)", 5, 5),
    ],
)
def test_the_length_of_a_list_is_known_before_it_runs(
    tmp_path: Path, listed: str, least: int, most: int
) -> None:
    made = program(
        tmp_path,
        f"let walked = {listed}",
        "let all = [ask(question = one) for one in walked]",
        "return answer = all[0].answer",
    )
    assert counted(made) == {"ask": Times(least, most)}


def test_the_fix_for_an_uncounted_list_takes_the_first_ten(tmp_path: Path) -> None:
    found = checked(
        tmp_path,
        "program P(question: str) -> (answer: str) {\n"
        "  let all = [ask(question = one) for one in split(question)]\n"
        "  return answer = if len(all) > 0 then all[0].answer else question\n}\n",
    )
    (finding,) = found.diagnostics
    assert finding.code == "DS0323"
    (fix,) = finding.fixes
    assert [edit.replacement for edit in fix.edits] == ["first(split(question), 10)"]


def test_an_extern_is_a_tool_that_is_called_as_often_as_its_step_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = Tool(
        name="find",
        inputs=(
            FieldSpec(name="query", type=STR),
            FieldSpec(name="k", type=INT, has_default=True, default=3),
        ),
        output=ListOf(item=STR),
        source="python",
    )

    def found(session: Session, symbol: Symbol) -> ExternInfo | None:
        info = extern(session, symbol)
        return replace(info, tool=tool) if info else None

    monkeypatch.setattr(callees, "extern", found)
    built: list[Program] = []
    program = callees.Callees.program
    monkeypatch.setattr(
        callees.Callees, "program", lambda self, graph: built.append(program(self, graph)) or built[-1]
    )
    checked(
        tmp_path,
        'extern find(query: str, k: int = 3) -> list[str] = mcp(tool = "find", command = "serve")\n'
        "program P(question: str) -> (answer: str) {\n"
        "  let a = find(question)\n"
        '  let b = [find(query = one, k = 1) for one in ["a", "b"]]\n'
        '  return answer = join(a + b[0] + (if question == "" then find(question) else []))\n}\n',
    )
    (made,) = built
    assert made.tools == {"find": tool}
    assert counted(made) == {"find": Times(3, 4)}
    assert call_bounds(made) == Times(0, 0)
    assert sum(isinstance(step, ToolStep) for step in walked(made.steps)) == 3


def test_a_chain_of_programs_is_checked_in_any_order_and_however_long(tmp_path: Path) -> None:
    def chain(number: int) -> str:
        return "\n".join(
            f"program P{i}(question: str) -> (answer: str) {{\n"
            f"  let a = {f'P{i + 1}' if i + 1 < number else 'ask'}(question = question)\n"
            f"  return answer = a.answer\n}}\n"
            for i in range(number)
        )

    assert not checked(tmp_path, chain(45)).diagnostics
    (finding,) = checked(tmp_path, chain(400)).diagnostics
    assert finding.code == "DS0324"
    circle = chain(400).replace("let a = ask(", "let a = P0(")
    (finding,) = checked(tmp_path, circle).diagnostics
    assert finding.code == "DS0210"
    assert "P0 → P1 → P2 → P3 → … → P398 → P399 → P0" in finding.message
