"""`dspc plan`: what a compile will ask for, before it asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from msgspec.structs import replace

from ..diagnostics.wording import plural
from .budgets import BudgetOption, with_budgets
from .completing import OptimizeNameArgument
from .console import print_json, stdout
from .options import ThreadsOption
from .sources import SourceArgument

if TYPE_CHECKING:
    from ..compile.bills import Bill
    from ..compile.prepared import Prepared
    from ..evaluate.counts import Range
    from .planned import Planned


def plan(
    path: SourceArgument,
    name: OptimizeNameArgument = None,
    why: Annotated[
        bool, typer.Option("--why", help="Say what has changed since the last complete compile.")
    ] = False,
    budget: BudgetOption = None,
    threads: ThreadsOption = 16,
    json: Annotated[
        bool, typer.Option("--json", help="For machines, and for `dspc compile --plan`.")
    ] = False,
) -> None:
    """Say how many calls a compile makes and what they cost. Calls no model."""
    from ..compile.pipeline import plan_blocks
    from .planned import look, recalled
    from .sources import checked, compiled_from_here, pick

    _, project = checked(path)
    chosen = pick(list(project.optimizes), name, "optimize", path)
    project = with_budgets(project, path, budget)
    base = path.resolve().parent
    prepared, jobs = plan_blocks(
        project, [chosen], base, compiled_from_here(path), evals=True, recalled=recalled(path)
    )
    *before, seen = (look(path, prepared, job.name, made=job.plan, threads=threads) for job in jobs)
    seen = replace(seen, before=tuple(before))
    if json:
        print_json(seen.to_json())
        return
    for one in (*before, seen):
        draw(one)
        draw_time(one, threads)
        draw_free(one)
        if why:
            draw_changes(one)
        if one is not seen:
            stdout().print()
    draw_results(prepared, chosen, seen)


def draw_results(prepared: Prepared, name: str, seen: Planned) -> None:
    """What of other blocks this one starts from: what is there, and what all compiles take together."""
    there = [other for other in prepared.project.needed(name) if prepared.program(other) is not None]
    if there:
        names = ", ".join(there)
        stdout().print(f"compiled already, and taken as it is: {names}", markup=False)
    if seen.before:
        least, most = seen.in_all()
        names = ", ".join(one.plan.optimize for one in seen.before)
        stdout().print(f"with {names} before it, in all: {least:,} to {plural(most, 'call')}", markup=False)


def draw_time(seen: Planned, threads: int) -> None:
    from ..compile.pace import spell as spell_seconds

    time = seen.time
    if time.batched:
        stdout().print(
            f"time: {', '.join(time.batched)} answers in batches, each within 24 h; what is asked together is one, and what "
            "follows from answers is asked in the next",
            markup=False,
        )
        return
    source = "as in the last compile" if time.measured else "a guess before the first compile"
    stdout().print(
        f"time: {spell_seconds(time.least)} to {spell_seconds(time.most)} at {threads} threads, with "
        f"{spell_seconds(time.per_call[0])} to {spell_seconds(time.per_call[1])} a call ({source})",
        markup=False,
    )


def draw_free(seen: Planned) -> None:
    known = seen.free
    if known.calls == 0:
        return
    console = stdout()
    what = [f"{plural(known.rows, 'row')} of the baseline"] if known.rows else []
    what += (f"step {name}" for name in known.steps)
    console.print(f"known already, and free: {plural(known.calls, 'call')} ({', '.join(what)})", markup=False)


def draw_changes(seen: Planned) -> None:
    console = stdout()
    if seen.changes is None:
        console.print("\nno complete compile is remembered here: everything counts as new", markup=False)
    elif not seen.changes:
        console.print("\nnothing has changed since the last complete compile", markup=False)
    else:
        console.print("\nchanged since the last complete compile:", markup=False)
        for change in seen.changes:
            console.print(f"  {change}", markup=False)


def spell(calls: Range) -> str:
    if calls.least == calls.most:
        return f"{calls.most:,}"
    return f"{calls.least:,} to {calls.most:,}"


def draw(seen: Planned) -> None:
    from ..evaluate.counts import Range

    console, made = stdout(), seen.plan
    from rich.table import Table

    table = Table(title=f"plan of {made.optimize}", title_justify="left", box=None, pad_edge=False)
    prompts = any(step.prompt.most for step in made.steps)
    judges = any(one.judge.most for one in (made, *made.steps, *made.evals))

    def judge(calls: Range) -> list[str]:
        return [spell(calls) if calls.most else ""] if judges else []

    gap = [""] if prompts else []
    headings = ["what", "how", "rows", "calls", "teacher calls"]
    headings += [*(["prompt calls"] if prompts else []), *(["judge calls"] if judges else [])]
    for heading in headings:
        table.add_column(heading, justify="left" if heading in ("what", "how") else "right", no_wrap=True)
    val = str(made.steps[0].val) if made.steps else ""
    scored = made.scoring != "none"
    if scored:
        start = spell(made.baseline), "", *gap, *judge(made.judge)
        table.add_row("baseline", "the program as it is", val, *start)
    for step in made.steps:
        table.add_row(
            f"step {step.name}",
            step.optimizer,
            f"{step.train} + {step.val}",
            spell(step.task),
            spell(step.teacher) if step.teacher.most else "",
            *([spell(step.prompt) if step.prompt.most else ""] if prompts else []),
            *judge(step.judge),
        )
    last = judge(made.judge if made.final.most else Range())
    if scored:
        table.add_row("final", "the result, unless scored", val, spell(made.final), "", *gap, *last)
    for evaluation in made.evals:
        table.add_row(
            f"eval {evaluation.name}",
            "result and baseline",
            str(evaluation.rows),
            spell(evaluation.calls),
            "",
            *gap,
            *judge(evaluation.judge),
        )
    table.add_section()
    table.add_row("in all", "", "", f"{made.least:,} to {made.most:,}", "", style="bold")
    console.print(table)
    estimate = made.estimate
    console.print(
        f"\none run, before any step: about {estimate.input_tokens:,} tokens in, "
        f"{estimate.output_tokens:,} out"
    )
    draw_cost(seen)
    for note in made.notes:
        console.print(f"· {note}", markup=False)


def draw_cost(seen: Planned) -> None:
    """What is expected, and what it takes at most."""
    from ..compile.affording import shortfalls

    console, most = stdout(), seen.plan.maximum
    source = "as the last compile took it" if seen.seen else "a guess before the first compile"
    console.print(f"expected: {spell_amount(seen.expected)} ({source})", markup=False)
    console.print(f"at most:  {spell_amount(most)}", markup=False)
    failing = seen.plan.failing.usd
    if failing and most.usd is not None and failing > most.usd:
        console.print(
            f"          ${failing:,.4f} if every request fails as often as `retry` tries it, and is billed"
        )
    for one in () if seen.repeats else shortfalls(seen.budget, seen.expected, most):
        said = (
            "less than is expected: it may stop in the middle"
            if one.short
            else "less than at most: it may end early"
        )
        console.print(f"budget:   {one.budget}, {said}", markup=False)
    if seen.expected.usd is None:
        console.print("price unknown: add `price { input = …; output = … }` to the lm")


def spell_amount(amount: Bill) -> str:
    tokens = "any number of tokens" if amount.tokens is None else f"{amount.tokens:,} tokens"
    usd = "" if amount.usd is None else f", ${amount.usd:,.4f}"
    return f"{plural(amount.calls, 'call')}, {tokens}{usd}"
