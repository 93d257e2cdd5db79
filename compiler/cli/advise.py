"""`dspc advise`: which optimizer to use, from the data and the program at hand."""

from __future__ import annotations

import json as plain_json
from typing import TYPE_CHECKING, Annotated

import typer

from ..diagnostics.wording import plural
from .completing import OptimizeNameArgument
from .console import print_json, stdout
from .sources import SourceArgument

if TYPE_CHECKING:
    from dspec.runtime.schema.types import JsonValue

    from ..compile.advice import Advice, Suggestion
    from ..optimizers.advising import Situation


def advise(
    path: SourceArgument,
    name: OptimizeNameArgument = None,
    prompt_only: Annotated[
        bool, typer.Option("--prompt-only", help="Instructions alone: prompts may show no rows.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Say which optimizers suit the program and its data. Calls no model."""
    from ..compile.advice import advise as advice_for
    from ..compile.plan import plan_with_result
    from ..compile.prepared import Prepared
    from ..data.needs import advice_needs
    from .sources import checked, pick

    _, project = checked(path)
    chosen = pick(list(project.optimizes), name, "optimize", path)
    blocks = project.in_order([chosen])
    prepared = Prepared(project, path.resolve().parent, advice_needs(project, blocks))
    for other in blocks[:-1]:
        _, result, growth = plan_with_result(prepared, other, scored=False)
        prepared.made(other, result, awaited=growth)
    found = advice_for(prepared, chosen, prompt_only=prompt_only)
    if json:
        print_json(plain_json.dumps(_plain(found), indent=2, ensure_ascii=False))
        return
    _draw(found)


def _draw(found: Advice) -> None:
    console = stdout()
    console.print(spell(found.situation), markup=False)
    for number, suggestion in enumerate(found.suggestions, 1):
        console.print(f"\n{number}. {suggestion.why}", markup=False)
        for line in suggestion.lines:
            console.print(f"     {line}", style="bold", markup=False)
        console.print(f"   {_price(suggestion)}", markup=False)
        for need in suggestion.needs:
            console.print(f"   needs: {need}", markup=False)
    place = f"`optimize {found.situation.optimize}`"
    console.print(f"\nPut one of them in place of the steps of {place}, then: dspc plan", markup=False)
    if found.notes:
        console.print()
    for note in found.notes:
        console.print(f"· {note}", markup=False)


def spell(s: Situation) -> str:
    """The situation in one line."""
    metric = "graded" if s.graded else "right or wrong"
    parts = [
        f"{plural(s.train, 'row')} of train ({s.labelled:,} labelled)",
        f"{s.val:,} of val" if s.val else "no val",
        f"{s.predictors} {'predictor' if s.predictors == 1 else 'predictors'}, "
        f"{s.calls_per_run} {'call' if s.calls_per_run == 1 else 'calls'} a run",
        f"metric {metric}{', with feedback' if s.feedback else ''}",
    ]
    bounds = [plural(s.budget, "call")] if s.budget is not None else []
    bounds += [f"${s.usd:,.2f}"] if s.usd is not None else []
    parts.append(f"at most {' and '.join(bounds)}" if bounds else "no budget")
    return f"{s.optimize}: " + " · ".join(parts)


def _price(suggestion: Suggestion) -> str:
    plan = suggestion.plan
    calls = plural(plan.most, "call")
    if plan.least != plan.most:
        calls = f"{plan.least:,} to {calls}"
    usd = plan.expected().usd
    cost = "" if not usd else f", about ${usd:.2f}"
    over = "" if suggestion.fits else f"; the budget ends it at {' or '.join(suggestion.over)}"
    return f"{calls} with the scoring before and after{cost}{over}"


def _plain(found: Advice) -> JsonValue:
    s = found.situation
    return {
        "version": 1,
        "optimize": s.optimize,
        "situation": {
            "train": s.train,
            "val": s.val,
            "labelled": s.labelled,
            "predictors": s.predictors,
            "calls_per_run": s.calls_per_run,
            "graded": s.graded,
            "feedback": s.feedback,
            "prompt_only": s.prompt_only,
            "budget": {"calls": s.budget, "usd": s.usd},
        },
        "suggestions": [
            {
                "steps": list(one.lines),
                "why": one.why,
                "calls": {"least": one.plan.least, "most": one.plan.most},
                "usd": one.plan.expected().usd,
                "fits": one.fits,
                "over": list(one.over),
                "needs": list(one.needs),
            }
            for one in found.suggestions
        ],
        "notes": list(found.notes),
    }
