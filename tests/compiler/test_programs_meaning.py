"""Random programs with branches, fan-outs, repetitions and programs in programs mean what they say.

Each is written as text together with a plain function that does the same one call after the other. Outputs and the
order of calls in the trace agree, however long answers take, and the calls lie within the bounds that were counted
before anything ran.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from programs import Told, chat

from dspec.compiler.check.analysis import analyse
from dspec.grammar import format_text, parse
from dspec.runtime.models.protocol import Request
from dspec.runtime.running.bounds import call_bounds, counted
from dspec.runtime.running.execute import Outcome, run
from dspec.runtime.schema.program import Program

HEAD = """\
dspec 1

lm mini { model = "embedded/icl" }
module ask = Predict(sig(question -> answer, ok: bool))
module other = Predict(sig(question -> answer, ok: bool, note))
"""
EXAMPLES = 400 if os.environ.get("DSPEC_DEEP") else 60

Value = str | bool | list[str] | dict[str, str | bool] | list[dict[str, str | bool]]
Scope = dict[str, Value]


def answer(question: str) -> dict[str, str | bool]:
    made = hashlib.sha256(question.encode()).hexdigest()
    return {"answer": made[:5], "ok": made[0] in "01234567", "note": made[5:8]}


class Part:
    """An expression as text, and what it gives in a scope; `does` logs the questions that it asks."""

    def __init__(self, text: str, does: Callable[[Scope, list[str]], Value]) -> None:
        self.text = text
        self.does = does


Line = tuple[list[str], Callable[[Scope, list[str]], None]]


class Writer:
    """Writes one program's body. `known` are the names in scope, by what they hold."""

    def __init__(self, seed: int, programs: dict[str, Callable[[str, list[str]], str]]) -> None:
        self.random = random.Random(seed)
        self.programs = programs
        self.serial = 0

    def name(self) -> str:
        self.serial += 1
        return f"v{self.serial}"

    def some(self, known: dict[str, str], kind: str) -> str | None:
        found = [name for name, held in known.items() if held == kind]
        return self.random.choice(found) if found else None

    def text(self, known: dict[str, str], depth: int = 2) -> Part:
        way = self.random.randint(0, 6)
        name, group, groups = (self.some(known, kind) for kind in ("text", "group", "groups"))
        if way == 1 and group:
            return Part(f"{group}.answer", lambda scope, _: scope[group]["answer"])  # type: ignore[index]
        if way == 2 and groups:
            return Part(
                f'join([g.answer for g in {groups}], "+")',
                lambda scope, _: "+".join(g["answer"] for g in scope[groups]),  # type: ignore[index]
            )
        if way == 3 and depth:
            a, b = self.text(known, depth - 1), self.text(known, depth - 1)
            return Part(
                f"({a.text} + {b.text})",
                lambda scope, log: a.does(scope, log) + b.does(scope, log),  # type: ignore[operator]
            )
        if way == 4 and depth:
            call = self.call(known, depth - 1)
            return Part(f"{call.text}.answer", lambda scope, log: call.does(scope, log)["answer"])  # type: ignore[index]
        if way == 5 and depth:
            test, a, b = (
                self.condition(known, depth - 1),
                self.text(known, depth - 1),
                self.text(known, depth - 1),
            )
            return Part(
                f"(if {test.text} then {a.text} else {b.text})",
                lambda scope, log: a.does(scope, log) if test.does(scope, log) else b.does(scope, log),
            )
        if name:
            return Part(name, lambda scope, _: scope[name])
        return Part('"x"', lambda scope, _: "x")

    def call(self, known: dict[str, str], depth: int) -> Part:
        question = self.text(known, depth)
        module = self.random.choice(("ask", "other"))

        def does(scope: Scope, log: list[str]) -> Value:
            asked = question.does(scope, log)
            assert isinstance(asked, str)
            log.append(asked)
            return answer(asked)

        return Part(f"{module}(question = {question.text})", does)

    def condition(self, known: dict[str, str], depth: int) -> Part:
        way = self.random.randint(0, 4)
        group, flag = self.some(known, "group"), self.some(known, "flag")
        if way == 0 and group:
            return Part(f"{group}.ok", lambda scope, _: scope[group]["ok"])  # type: ignore[index]
        if way == 1 and flag:
            return Part(f"not {flag}", lambda scope, _: not scope[flag])
        if way >= 2 and depth:
            left, call = self.condition(known, 0), self.call(known, depth - 1)
            word = "and" if way == 2 else "or"

            def does(scope: Scope, log: list[str]) -> Value:
                first = bool(left.does(scope, log))
                if first == (word == "or"):
                    return first
                return call.does(scope, log)["ok"]  # type: ignore[index]

            return Part(f"({left.text} {word} {call.text}.ok)", does)
        text = self.text(known, 0)
        return Part(f'({text.text} < "8")', lambda scope, _: text.does(scope, _) < "8")  # type: ignore[operator]

    def line(self, known: dict[str, str], depth: int, state: str | None = None) -> Line:
        """A `let`; `state` is the name that it must give, a group."""
        name = state or self.name()
        way = self.random.choice(
            ("call", "branch")
            if state
            else ("call", "text", "flag", "branch", "each", "texts", "repeat", "program", "list")
        )
        inside = dict(known)
        if way == "text":
            part = self.text(known)
            known[name] = "text"
        elif way == "flag":
            part = self.condition(known, 2)
            known[name] = "flag"
        elif way == "branch":
            test, a = self.condition(known, 1), self.call(known, 1)
            group = self.some(known, "group")
            b = Part(group, lambda scope, _: scope[group]) if group else self.call(known, 1)  # type: ignore[index]
            part = Part(
                f"if {test.text} then {a.text} else {b.text}",
                lambda scope, log: a.does(scope, log) if test.does(scope, log) else b.does(scope, log),
            )
            known[name] = "group"
        elif way in ("each", "texts"):
            part = self.each(inside, groups=way == "each")
            known[name] = "groups" if way == "each" else "text"
            if way == "texts":
                part = self.joined(part)
        elif way == "list":
            a, b = self.call(known, 1), self.call(known, 1)
            part = Part(
                f"[{a.text}, {b.text}]",
                lambda scope, log: [a.does(scope, log), b.does(scope, log)],  # type: ignore[list-item]
            )
            known[name] = "groups"
        elif way == "program" and self.programs:
            called = self.random.choice(sorted(self.programs))
            question = self.text(known)
            run_it = self.programs[called]
            part = Part(
                f"{called}(question = {question.text}).answer",
                lambda scope, log: run_it(question.does(scope, log), log),  # type: ignore[arg-type]
            )
            known[name] = "text"
        elif way == "repeat" and depth and self.some(known, "group"):
            return self.repeat(known, name, depth)
        else:
            part = self.call(known, 1)
            known[name] = "group"

        def does(scope: Scope, log: list[str]) -> None:
            scope[name] = part.does(scope, log)

        return [f"let {name} = {part.text}"], does

    def joined(self, part: Part) -> Part:
        return Part(f'join({part.text}, "-")', lambda scope, log: "-".join(part.does(scope, log)))  # type: ignore[arg-type]

    def each(self, known: dict[str, str], *, groups: bool) -> Part:
        item = self.name()
        source = self.some(known, "groups")
        if source and self.random.random() < 0.5:
            walked = Part(
                f"first([g.answer for g in {source}], 2)",
                lambda scope, _: [g["answer"] for g in scope[source]][:2],  # type: ignore[index]
            )
        else:
            walked = Part('["a", "b", "a"]', lambda scope, _: ["a", "b", "a"])
        inner = {**known, item: "text"}
        element = self.call(inner, 1) if groups else self.text(inner)

        def does(scope: Scope, log: list[str]) -> Value:
            listed = walked.does(scope, log)
            assert isinstance(listed, list)
            return [element.does({**scope, item: one}, log) for one in listed]  # type: ignore[misc, return-value]

        return Part(f"[{element.text} for {item} in {walked.text}]", does)

    def repeat(self, known: dict[str, str], name: str, depth: int) -> Line:
        state = self.some(known, "group")
        assert state is not None
        times = self.random.randint(1, 3)
        inside = dict(known)
        lines: list[Line] = [self.line(inside, depth - 1) for _ in range(self.random.randint(0, 2))]
        given_before = self.random.random() < 0.3
        again: Line | None = self.line(inside, 0, state) if given_before else None
        until = self.condition(inside, 1) if self.random.random() < 0.7 else None
        after = [self.line(inside, 0) for _ in range(self.random.randint(0, 1))]
        if again is None:
            again = self.line(inside, 0, state)
            after.append(again)
            before = lines
        else:
            before = [*lines, again]
        known[name] = "group"
        body = [text for each in before for text in each[0]]
        body += [f"until {until.text}"] if until else []
        body += [text for each in after for text in each[0]]

        def does(scope: Scope, log: list[str]) -> None:
            held = scope[state]
            for _ in range(times):
                turn = {**scope, state: held}
                for _, one in before:
                    one(turn, log)
                held = turn[state]
                if until and until.does(turn, log):
                    break
                for _, one in after:
                    one(turn, log)
                held = turn[state]
            scope[name] = held

        return [f"let {name} = repeat {times} from {state} {{", *(f"  {text}" for text in body), "}"], does


def written(seed: int) -> tuple[str, Callable[[str, list[str]], str]]:
    """A file of three programs, and what the last one does."""
    programs: dict[str, Callable[[str, list[str]], str]] = {}
    text = HEAD
    for number in range(3):
        writer = Writer(seed + number, dict(programs))
        known = {"question": "text"}
        lines = [writer.line(known, 2) for _ in range(writer.random.randint(1, 5))]
        last = writer.text(known, 1)
        body = "\n".join(f"  {line}" for each in lines for line in each[0])
        text += f"\nprogram P{number}(question: str) -> (answer: str) {{\n{body}\n"
        text += f'  return answer = {last.text} + "."\n}}\n'

        def does(question: str, log: list[str], lines: list[Line] = lines, last: Part = last) -> str:
            scope: Scope = {"question": question}
            for _, one in lines:
                one(scope, log)
            given = last.does(scope, log)
            assert isinstance(given, str)
            return given + "."

        programs[f"P{number}"] = does
    return text, programs["P2"]


def asked_of(request: Request) -> str:
    return request.messages[-1].content.removeprefix("[[ ## question ## ]]\n").partition("\n\n")[0]


async def ran(program: Program, question: str, seed: int) -> Outcome:
    waits = random.Random(seed)

    async def tell(request: Request) -> str:
        for _ in range(waits.randint(0, 3)):
            await asyncio.sleep(0)
        given = answer(asked_of(request))
        outputs = {key: str(value).lower() for key, value in given.items()}
        if "note" not in request.messages[0].content:
            del outputs["note"]
        return chat(**outputs)

    return await run(program, {"question": question}, Told(tell))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("programs")


@settings(max_examples=EXAMPLES)
@given(st.integers(0, 2**40))
def test_a_program_does_what_its_text_says(folder: Path, seed: int) -> None:
    text, does = written(seed)
    tree = parse(text)
    assert not any(block.problems for block in tree.blocks), text
    assert format_text(format_text(text)) == format_text(text)
    found = analyse(folder / "main.dspec", text=format_text(text), probe=False)
    errors = [one.message for one in found.diagnostics if one.severity == "error"]
    assert not errors, (errors, text)
    assert found.project is not None
    program = found.project.programs["P2"]
    log: list[str] = []
    expected = does("q", log)
    outcomes = [asyncio.run(ran(program, "q", wait)) for wait in range(2)]
    for outcome in outcomes:
        assert outcome.outputs == {"answer": expected}, text
        assert [step.inputs["question"] for step in outcome.trace] == log, text
    assert outcomes[0].trace == outcomes[1].trace
    bounds = call_bounds(program)
    assert bounds.least <= len(log) <= bounds.most, text
    for key, times in counted(program).items():
        number = sum(step.predictor == key for step in outcomes[0].trace)
        assert times.least <= number <= times.most, (key, text)
