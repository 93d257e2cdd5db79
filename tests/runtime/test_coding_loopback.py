"""ProgramOfThought over a server on the loopback interface, as an application runs it."""

from __future__ import annotations

import re

from agents import QA, several
from programs import chat, fields
from server import Call, FakeServer

from dspec.runtime.application import Application, of_program
from dspec.runtime.schema.program import LM, Signature
from dspec.runtime.schema.trace import CODE
from dspec.runtime.schema.types import INT

SUMS = Signature(name="Sum", instruction=QA.instruction, inputs=QA.inputs, outputs=fields(answer=INT))
MINI = LM(name="mini", model="openai/mini")


def coder(call: Call) -> str:
    """Writes the sum of the question as code; every third time with a mistake, every fifth time without an end."""
    first, second = (int(one) for one in re.findall(r"(\d+) times (\d+)", call.prompt)[-1])
    again = "previous_code" in call.prompt
    code = f"answer = {first} * {second}\nsubmit(answer=answer)"
    if first % 3 == 0 and not again:
        code = f"submit({first} * times)"
    elif first % 5 == 0 and not again:
        code = "while True: pass"
    return chat(reasoning="multiply", generated_code=f"```python\n{code}\n```")


async def test_rows_are_worked_out_by_code_sixteen_at_once() -> None:
    program = several("ProgramOfThought", signature=SUMS, lm=MINI, max_iters=2, timeout=0.5)
    rows = [{"question": f"What is {n} times {n + 7}?"} for n in range(1, 33)]
    async with FakeServer(coder) as server:
        application: Application = of_program(program, api_base=server.url)
        with application:
            found = await application.abatch(rows, threads=16)
    assert [one.answer for one in found] == [n * (n + 7) for n in range(1, 33)]
    again = sum(n % 3 == 0 or n % 5 == 0 for n in range(1, 33))
    assert len(server.calls) == 32 + again
    ran = [sum(step.tool == CODE for step in one.trace) for one in found]
    assert ran == [2 if n % 3 == 0 or n % 5 == 0 else 1 for n in range(1, 33)]
    errors = [step.outputs["error"] for step in found[4].trace if "error" in step.outputs]
    assert errors == [
        "the code was stopped: it did not come to its end in 0.5 s. Its variables are gone; the inputs are there again."
    ]
