"""What a plan says against what a compile takes: over all examples and all optimizers, with a model that uses all it may.

    python bench/plan.py [--only NAME] [--tokens fours|bytes]

The model keeps to `max_tokens` and fills every free text up to it; its tokens are four bytes each, or one (the most that
any tokenizer makes). For each case the first plan's expectation and maximum stand beside what was spent, and then the
second plan's beside what a second compile takes, with another seed and nothing kept of the first but what it taught.
Leaves with 1 where a maximum was passed.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "support"))
import pytest  # noqa: E402
from accounting import compiled as compiled_example  # noqa: E402
from building import compiled, plan_of, project  # noqa: E402
from every_step import CASES, GEPA, writes_by_question  # noqa: E402
from keeping import PRICED, Tokens, keeps, talkative  # noqa: E402
from scripted import learner, pipeline  # noqa: E402
from server import FakeServer  # noqa: E402

from dspec.compiler.compile.bills import Bill, seen  # noqa: E402
from dspec.runtime.schema.usage import Spent  # noqa: E402

EXAMPLES = HERE.parent / "examples"
LM = """lm learner {{
  model = "openai/fake"; api_base = env("ACCOUNT_URL"); api_key = env("ACCOUNT_KEY"); max_tokens = 400
  price {{ input = 0.15; output = 0.6 }}{default}
}}"""
SEED = re.compile(r"(?m)^  seed = \d+$")


class Line(NamedTuple):
    """One compile: what was planned and what it took, and whether all of it was there to be asked for."""

    expected: Bill
    most: Bill
    spent: Spent
    whole: bool = True

    @property
    def holds(self) -> bool:
        spent, most = self.spent, self.most
        assert most.usd is not None
        assert most.tokens is not None
        return spent.calls <= most.calls and spent.tokens <= most.tokens and spent.usd <= most.usd

    def __str__(self) -> str:
        usd = self.expected.usd or 0.0
        return (
            f"{self.expected.calls:7,} {usd:9.4f}{self.most.calls:8,} {self.most.usd or 0.0:9.3f}"
            f"{self.spent.calls:8,} {self.spent.usd:9.4f} {usd / max(1e-9, self.spent.usd):6.2f}"
            f" {(self.most.usd or 0.0) / max(1e-9, self.spent.usd):6.0f}{'' if self.holds else '  PASSED'}"
        )


async def example(source: Path, name: str, tokens: Tokens) -> list[Line]:
    """Both compiles of one block of a copy of an example."""
    lines: list[Line] = []
    known = {}
    for seed in (9, 10):
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / source.parent.name
            shutil.copytree(source.parent, folder, ignore=shutil.ignore_patterns(".dspec", "compiled"))
            for file in folder.glob("*.dspec"):
                text = file.read_text(encoding="utf-8")
                text = re.sub(
                    r'lm learner \{ model = "embedded/icl"(; default = true)? \}',
                    lambda found: LM.format(default=found[1] or ""),
                    text,
                )
                text = re.sub(r"(?m)^  budget .*\n", "", SEED.sub(f"  seed = {seed}", text))
                file.write_text(text, encoding="utf-8")
            answer, reports = talkative(tokens)
            async with FakeServer(answer, reports=reports) as server:
                account = await compiled_example(
                    folder / source.name, server, Path(place) / "state", name=name
                )
        planned = account.result.job.plan
        lines.append(Line(planned.expected(known), planned.maximum, account.result.tally.spent))
        known = seen(planned.guess, account.result.spent)
    return lines


async def optimizer(name: str, tokens: Tokens) -> list[Line]:
    """Both compiles of a program of two modules with one step."""
    lines: list[Line] = []
    known = {}
    case = CASES.get(name, GEPA)
    for seed in (9, 10):
        with tempfile.TemporaryDirectory() as place, pytest.MonkeyPatch.context() as patch:
            program = pipeline().with_lms({"fake": PRICED})
            made = project(Path(place), case.step, program=program, lms=(PRICED,), part=40)
            block = made.optimizes["tuned"].model_copy(update={"seed": seed})
            made = made.model_copy(update={"optimizes": {"tuned": block}})
            planned = plan_of(made, "tuned", Path(place))
            built, _, tally = await compiled(
                patch, Path(place), made, keeps(writes_by_question(learner), tokens)
            )
        lines.append(Line(planned.expected(known), planned.maximum, tally.spent))
        known = seen(planned.guess, built.spent)
    return lines


def examples() -> dict[str, Callable[[Tokens], object]]:
    """Every optimize block of the examples but those whose tools run a server of their own."""
    found: dict[str, Callable[[Tokens], object]] = {}
    for source in sorted(one for one in EXAMPLES.glob("*/*.dspec") if one.is_file()):
        text = source.read_text(encoding="utf-8")
        for name in re.findall(r"(?m)^optimize (\w+)", text) if "mcp(" not in text else ():
            found[f"{source.stem}: {name}"] = lambda tokens, source=source, name=name: example(
                source, name, tokens
            )
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="")
    parser.add_argument("--tokens", choices=("fours", "bytes"), default="fours")
    arguments = parser.parse_args()
    cases = examples() | {
        name: lambda tokens, name=name: optimizer(name, tokens) for name in (*CASES, "GEPA")
    }
    print(f"{'':34}{'expected':>17}{'at most':>18}{'spent':>18}{'exp/spent':>10}{'most/spent':>11}")
    passed = False
    for name, case in cases.items():
        if arguments.only not in name:
            continue
        for number, line in enumerate(asyncio.run(case(arguments.tokens)), 1):  # pyright: ignore
            print(f"{name if number == 1 else '  the second time':34}{line}", flush=True)
            passed = passed or not line.holds
    sys.exit(1 if passed else 0)


if __name__ == "__main__":
    main()
