"""Code lenses: what can be run of a file, above its declarations, and what is known of the last run.

The editor runs the commands, the server none of them: each is named here, and an editor says which of them it has.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from msgspec import Struct

from dspec.compiler.check.analysis import Analysis
from dspec.compiler.check.symbols import Symbol

from .artifacts import compiled, scores
from .facts import DataFacts
from .symbol_docs import spell_cost

CHECK, PLAN, COMPILE, EVAL, TEST, RUN, PROMPT = (
    "dspc.check",
    "dspc.plan",
    "dspc.compile",
    "dspc.eval",
    "dspc.test",
    "dspc.run",
    "dspc.showPrompt",
)
COMMANDS = (CHECK, PLAN, COMPILE, EVAL, TEST, RUN, PROMPT)
"""Each takes the file's URI and, but for the first, the name of a declaration."""


class Lens(Struct, frozen=True):
    """A line of words above the declaration whose name stands from `start` to `end`. Without a `command` it only tells."""

    start: int
    end: int
    title: str
    command: str = ""
    name: str = ""


def lenses(analysis: Analysis, facts: DataFacts, commands: Collection[str]) -> list[Lens]:
    found = [*_of_file(analysis)]
    for symbol in analysis.symbols.scope.symbols.values():
        found += _of(analysis, symbol, facts)
    return [one for one in found if not one.command or one.command in commands]


def _of_file(analysis: Analysis) -> Iterator[Lens]:
    first = analysis.tree.blocks[0] if analysis.tree.blocks else None
    if first is not None and first.declaration is not None and first.declaration.keyword.text == "dspec":
        yield Lens(first.start, first.start + len("dspec"), "check", CHECK)


def _of(analysis: Analysis, symbol: Symbol, facts: DataFacts) -> Iterator[Lens]:
    start, end, name = symbol.location.start, symbol.location.end, symbol.name
    match symbol.kind:
        case "optimize":
            cost = facts.totals.get(symbol.key) if facts.tells_of(symbol) else None
            yield Lens(start, end, f"plan: {spell_cost(cost)}" if cost else "plan", PLAN, name)
            yield Lens(start, end, "compile", COMPILE, name)
            artifact = compiled(analysis.session, symbol)
            if artifact is not None:
                yield Lens(start, end, scores(artifact) or "compiled, not scored")
        case "eval":
            yield Lens(start, end, "eval", EVAL, name)
        case "test":
            yield Lens(start, end, "test", TEST, name)
        case "module" | "program":
            yield Lens(start, end, "run", RUN, name)
            if symbol.kind == "module":
                yield Lens(start, end, "prompt", PROMPT, name)
        case _:
            pass
