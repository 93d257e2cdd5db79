"""SIMBA's rules: advice for each module, drawn from a better and a worse run on the same row.

Algorithm: the `append_a_rule` strategy of DSPy's SIMBA. One question for all modules that took part.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dspec.runtime.schema.program import Program
from dspec.runtime.schema.trace import counting

from ..frozen import tunable
from .answers import clean, extended
from .cases import run_listed
from .cases import shown as shown_row
from .outline import outline, role
from .proposer import Proposer
from .showing import MAX_ROWS, rows_for, shown
from .templates import fill

if TYPE_CHECKING:
    import random

    from ...data.rows import Rows
    from ...evaluate.evaluation import Attempt

MAX_ADVICE = 2_000
"""Characters of one module's advice."""
_NOTHING = frozenset({"", "none", "none.", "n/a", "-"})


async def advise(
    proposer: Proposer,
    program: Program,
    better: Attempt,
    worse: Attempt,
    rows: Rows,
    rng: random.Random,
    *,
    sample: int,
) -> dict[str, str]:
    """Advice for the program's predictors, by address, as far as its instruction has room for it. Raises halts."""
    taking_part = {step.predictor for step in counting((*better.trace, *worse.trace))}
    addresses = [address for address in tunable(program) if address in taking_part]
    if not addresses:
        return {}
    labelled = [row for row in rows if row.labels]
    drawn = tuple(rng.sample(labelled, min(MAX_ROWS, len(labelled))))
    # The last predictor's rows are the likeliest to be labelled; without its labels, whole rows are shown.
    examples = rows_for(program.predictors[addresses[-1]], drawn)
    inputs = {
        "modules": "\n\n".join(_told(program, address) for address in addresses),
        "program": outline(program) if len(program.predictors) > 1 else "",
        "case": shown_row(better.example.row),
        "better": run_listed(better),
        "worse": run_listed(worse),
        "examples": shown(examples),
    }
    given = {name: text for name, text in inputs.items() if text}
    names = _names(addresses)
    task = fill("contrast", given=list(given), modules=len(addresses), labelled=bool(better.example.labels))
    answer = await proposer.ask_several(
        task,
        given,
        {name: f"advice for the module {address}" for address, name in names.items()},
        sample=sample,
        temperature=proposer.temperature,
    )
    found: dict[str, str] = {}
    for address, name in names.items():
        advice = clean((answer or {}).get(name, "")[: 2 * MAX_ADVICE])[:MAX_ADVICE].strip()
        instruction = program.predictors[address].signature.instruction
        if advice.lower() not in _NOTHING and extended(instruction, advice) is not None:
            found[address] = advice
    return found


def _told(program: Program, address: str) -> str:
    instruction = program.predictors[address].signature.instruction
    return f"{role(program, address)}\nIt is told\n{_indented(instruction)}"


def _indented(text: str) -> str:
    return "\n".join(f"  | {line}" for line in text.splitlines())


def _names(addresses: list[str]) -> dict[str, str]:
    """The output that each module's advice is asked in; addresses need not be names of fields."""
    if len(addresses) == 1:
        return {addresses[0]: "guidelines"}
    return {address: f"module_{number}_guidelines" for number, address in enumerate(addresses, 1)}
