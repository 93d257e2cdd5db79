"""The model of the differential tests: an OpenAI-compatible server that answers from a prompt's parts alone.

It prints its URL. The name of a model says who asks and how: `SIDE.CASE.SALT.EVERY`. Answers of a task
depend on the salt, instruction, demos and inputs. Texts that a proposer writes cannot, since the questions
differ: the n-th proposal that a model is asked for is a text of its number. Where EVERY is not 0 (MIPROv2),
DSPy asks for so many a predictor, the first of which it throws away, and this project for the others.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import sys
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support")]

from prompts import Asked, UnknownLayout, read  # noqa: E402
from server import Call, FakeServer  # noqa: E402

GROUPS = 4
PROPOSALS = {"instruction", "proposed_instruction"}


def answer(asked: Asked, salt: str) -> dict[str, str]:
    """A task's answer: right more often when a demo shows the question's group."""
    recipe = [salt, asked.instruction, asked.demos, asked.inputs]
    number = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()
    group = group_of(asked.inputs["text"])
    known = any(
        "text" in shown and "label" in given and group_of(shown["text"]) == group
        for shown, given in asked.demos
    )
    wording = int(hashlib.sha256(f"{salt}{asked.instruction}".encode()).hexdigest()[:4], 16) / 0xFFFF
    right = int(number[:8], 16) / 0xFFFFFFFF < 0.25 + 0.3 * known + 0.3 * wording
    values = {
        "reasoning": f"It reads like {number[8:12]}.",
        "gist": f"about g{group}, {number[12:16]}",
        "label": f"L{group if right else (group + 1) % GROUPS}",
    }
    return {name: values[name] for name in asked.outputs}


def group_of(text: str) -> int:
    found = re.search(r"\bg(\d)\b", text)
    assert found, text
    return int(found[1])


class Model:
    def __init__(self) -> None:
        self._proposals: Counter[str] = Counter()

    def __call__(self, call: Call) -> str:
        name: str = call.body["model"]
        side, _, salt, every = name.split(".")
        try:
            asked = read(call.body["messages"])
        except UnknownLayout as error:
            sys.stderr.write(f"{name}: {error}\n")
            return "unknown layout"
        if set(asked.outputs) <= {"reasoning", "gist", "label"}:
            values = answer(asked, salt)
        elif PROPOSALS & set(asked.outputs):
            values = self._proposal(asked, name, side, int(every))
        else:
            values = {
                output: f"Nothing much to say of the {output.replace('_', ' ')}." for output in asked.outputs
            }
        sections = [f"[[ ## {output} ## ]]\n{value}" for output, value in values.items()]
        return "\n\n".join([*sections, "[[ ## completed ## ]]"])

    def _proposal(self, asked: Asked, name: str, side: str, every: int) -> dict[str, str]:
        number = self._proposals[name]
        self._proposals[name] += 1
        if every:
            each = every if side == "dspy" else every - 1
            text = f"Wording {number // each} {number % each + (side != 'dspy')} of what is wanted."
        else:
            text = f"Wording {number} of what is wanted."
        return {output: text if output in PROPOSALS else "So it is" for output in asked.outputs}


async def main() -> None:
    server = FakeServer(Model())
    await server.start(0)
    sys.stdout.write(f"{server.url}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
