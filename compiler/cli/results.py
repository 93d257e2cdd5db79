"""Results of a compile or an eval: as a table for people, as JSON for machines.

The JSON is stable: `{"version": 1, "compiled": […]}` and `{"version": 1, "evals": […]}`. Scores are in 0..1,
costs in USD. `needed` counts calls as if nothing had been answered before, those of judges (`judge`) among
them: those that were `made` now, that the ledger or a call in flight answered (`replayed`), and those of runs that are
`remembered`, less what was made `besides`, which nothing needed in the end. `shared` is 0: those of a call in flight are
`replayed`, since which answers had arrived by then is a matter of time. `spoiled` is what was reported of
requests without an answer; it is in `tokens` and `cost_usd`. `reserved` is what the budget counts besides, at most: requests of
which nobody reported what they took. `answers` counts those that
were cut off, those that had to be guessed at and those that could not be read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct, to_builtins
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dspec.runtime.artifact.artifact import Score
from dspec.runtime.schema.types import JsonValue
from dspec.runtime.schema.usage import Flaws, Spent

from ..compile.evals import EvalResult, scored
from ..diagnostics.wording import plural
from .controls import plain

if TYPE_CHECKING:
    from dspec.runtime.models.engine import Tally

    from ..compile.built import Built
    from ..compile.offers import Chosen, ScoredProgram
    from ..compile.pipeline import Compiled
    from ..compile.selection import LastWord
    from ..evaluate.meter import Account
    from ..evaluate.outcomes import Evaluation
    from ..evaluate.toolfailures import ToolFailure
    from ..optimizers.base import StepResult


def draw_compiled(console: Console, result: Compiled) -> None:
    """What a compile did: scores before and after, calls against the plan, and where the artifact is."""
    built = result.built
    table = _score_table(result.job.name)
    if built.baseline is not None:
        role = next(iter(built.artifact.scores), "")
        what = {"val": "val, which chose it", "train": "training rows"}.get(role, "rows to choose by")
        final = None if built.final is None else scored("", built.final)
        # The best of a compile that was cut short before its last word is compared with nothing, and may be lucky.
        compared = built.status == "complete" or built.verdict is not None
        _row(table, what, scored("", built.baseline), final, compared=compared)
        if final is not None and built.verdict is not None and built.corrected is not None:
            _without_luck(table, final, built.verdict)
    for evaluation in result.evals:
        _row(table, f"eval {evaluation.name}", evaluation.baseline_score, evaluation.score)
    if table.row_count:
        console.print(table)
    if built.plan.scoring == "none":
        console.print(f'{result.job.name}: not scored, as `scoring = "none"` says', markup=False)
    elif not table.row_count:
        console.print(f"{result.job.name}: nothing was scored", markup=False)
    console.print()
    for evaluation in result.evals:
        _draw_verdict(console, evaluation)
    never = {failure.said for failure in built.tools if failure.always}
    for note in built.notes:
        if note not in never:
            console.print(f"note: {note}", markup=False)
    _draw_tools(console, [failure for failure in built.tools if failure.always])
    _draw_front(console, built)
    for step in built.steps:
        if (said := step.said) is not None:
            console.print(f"step {step.name}: {said}; {_took(step.spent)}", markup=False)
    needed = result.spent.calls
    saved = result.job.plan.most - needed
    beside = ""
    if saved > 0:
        beside = f" ({saved:,} fewer: {_fewer(result, saved)})"
    elif saved < 0:
        beside = f" ({-saved:,} more, to ask again for answers that did not parse or broke a check)"
    console.print(f"calls: at most {result.job.plan.most:,} planned, {needed:,} needed{beside}", markup=False)
    judged = _judge_calls(result)
    if judged:
        console.print(f"  {judged:,} of those needed are of the metric's judges")
    draw_flaws(console, "answers: ", built.spent.flaws)
    console.print(Text.assemble("now: ", spent_line(result.tally, result.spent.calls)))
    if (replaced := result.kept.replaced) is not None:
        console.print(
            f"note: it takes the place of an artifact that was scored ({replaced.metric}: {_spell(replaced)}); this one is not",
            markup=False,
        )
    if (better := result.kept.better) is not None:
        runs = plural(built.artifact.provenance.unanswered or 0, "run")
        console.print(
            f"note: {runs} got no answer, and the result scored less than the artifact that stands there ({_spell(better)}), "
            f"which stays: the next compile asks for these answers again",
            markup=False,
        )
    for path in result.kept.stays:
        console.print(f"left {path} as it was", markup=False)
    if result.kept.place is not None:
        console.print(f"wrote {result.kept.place}", markup=False)


def _draw_front(console: Console, built: Built) -> None:
    """What there is to choose between, where a cheaper program scored less."""
    front = built.front
    if len(front) < 2:
        return
    table = Table(title="score against cost", title_justify="left", box=None, pad_edge=False)
    table.add_column("candidate")
    for heading in ("score", "tokens an answer", "USD an answer"):
        table.add_column(heading, justify="right")
    for offer in front:
        usd = "unpriced" if offer.takes.usd is None else f"{offer.takes.usd:.6f}"
        table.add_row(Text(offer.name), f"{100 * offer.score:.1f}", f"{offer.takes.tokens:,.0f}", usd)
    console.print(table)
    console.print()


def _took(spent: Account) -> str:
    money = spent.total.known_usd
    return plural(spent.calls, "call") + ("" if not money else f", ${money:.4f}")


def _draw_tools(console: Console, failures: Sequence[ToolFailure], *, indent: str = "") -> None:
    """Tools that failed; where one never worked, what was scored is not the program that was meant."""
    for failure in failures:
        line = Text(indent)
        if failure.always:
            line.append("warning: ", "bold yellow")
        console.print(line.append(plain(failure.said)))


def draw_warnings(console: Console, results: Iterable[Compiled | EvalResult]) -> None:
    """The tools that never worked, beside results for machines."""
    for result in results:
        failed = result.tools if isinstance(result, EvalResult) else result.built.tools
        _draw_tools(console, [failure for failure in failed if failure.always])


def told_money(spent: Spent) -> str:
    """US dollars, as far as prices are known."""
    if not spent.unpriced:
        return f"${spent.usd:.4f}"
    if not spent.usd:
        return "an unknown price"
    return f"${spent.usd:.4f} and {plural(spent.unpriced, 'call')} of unknown price"


def _fewer(result: Compiled, saved: int) -> str:
    """Why a compile needed so many calls fewer than it may at most."""
    from dspec.runtime.running.bounds import call_bounds

    built = result.built
    if built.status != "complete":
        return "it ended before all steps were done"
    if built.ended:
        return "it ended early, as nothing can score more than 100"
    evaluations = [one for each in result.evals for one in (each.program, each.baseline) if one is not None]
    by_tools = built.ended_by_tools + sum(each.ended_by_tools for each in result.evals)
    unanswered = (built.artifact.provenance.unanswered or 0) + sum(one.unanswered for one in evaluations)
    reasons = [f"{plural(by_tools, 'run')} ended where a tool failed"] if by_tools else []
    reasons += [f"{plural(unanswered, 'run')} got no answer"] if unanswered else []
    run = call_bounds(built.artifact.program)
    if saved > (by_tools + unanswered) * run.most:
        reasons += ["runs that took fewer calls than they may"] if run.least < run.most else []
        reasons.append("scores already known, or demos found early")
    return ", ".join(reasons)


def draw_evals(console: Console, evaluations: list[EvalResult]) -> None:
    """Nothing where none came to its end: the error that follows says what is known."""
    if not evaluations:
        return
    table = _score_table("")
    for evaluation in evaluations:
        _row(table, f"eval {evaluation.name}", evaluation.baseline_score, evaluation.score)
    console.print(table)
    console.print()
    for evaluation in evaluations:
        _draw_verdict(console, evaluation)


def _score_table(title: str) -> Table:
    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
    table.add_column("score (95 % interval)")
    for heading in ("rows", "baseline", "optimized", "gain"):
        table.add_column(heading, justify="right")
    return table


def _row(
    table: Table, what: str, before: Score | None, after: Score | None, *, compared: bool = True
) -> None:
    """One line, with the gain where the two were `compared`."""
    gain = ""
    if compared and before is not None and after is not None:
        gain = f"{100 * (after.score - before.score):+.1f}"
    known = after or before
    if known is not None:
        what += known.over_rows
    table.add_row(what, "" if known is None else str(known.n), _spell(before), _spell(after), gain)


def _without_luck(table: Table, final: Score, verdict: LastWord) -> None:
    """The line below the score of rows that chose the result."""
    score, (low, high) = verdict.worth.without_luck(final.score, (final.low, final.high))
    left = final.model_copy(update={"score": score, "low": low, "high": high})
    table.add_row("  without its luck", "", "", _spell(left), f"{100 * verdict.worth.gained:+.1f}")


def _spell(score: Score | None) -> str:
    if score is None:
        return "–"
    return f"{100 * score.score:.1f} ({100 * score.low:.1f} to {100 * score.high:.1f})"


def _draw_verdict(console: Console, evaluation: EvalResult) -> None:
    if (pair := evaluation.comparison) is not None:
        console.print(
            f"eval {evaluation.name}: {plural(pair.better, 'row')} better, {pair.worse} worse, {pair.same} the same; "
            f"gain {100 * pair.difference:+.1f} ({100 * pair.low:+.1f} to {100 * pair.high:+.1f})"
            + ("" if pair.low > 0 or pair.high < 0 else ": no real difference"),
            markup=False,
        )
    _draw_failures(console, evaluation)
    _draw_tools(console, evaluation.tools, indent="  ")
    if evaluation.shown:
        are = "row is" if evaluation.shown == 1 else "rows are"
        console.print(
            f"  {evaluation.shown:,} of these {are} in the program's prompt: on new rows it may do worse"
        )
    if judged := evaluation.spent.judge.calls:
        console.print(
            f"  {plural(evaluation.spent.calls, 'call')} needed, {judged:,} of them of the metric's judges"
        )
    draw_flaws(console, "  answers: ", evaluation.spent.flaws)
    for gate in evaluation.gates:
        mark = Text("gate holds", "green") if gate.held else Text("gate FAILED", "bold red")
        console.print(Text.assemble("  ", mark, f"  {gate.text}"))


def _draw_failures(console: Console, evaluation: EvalResult) -> None:
    program = evaluation.program
    unusable = program.failures - program.unanswered - program.metric_failures
    if unusable:
        console.print(
            f"  {plural(unusable, 'row')} without a usable answer (scored 0); the first: {_first_unusable(program)}",
            markup=False,
        )
    for count, what, reasons in (
        (program.unanswered, "without any answer", (row.reason for row in program.rows if row.unanswered)),
        (
            program.metric_failures,
            "on which the metric failed",
            (row.reason for row in program.rows if row.metric_failed),
        ),
    ):
        if count:
            console.print(
                f"  {plural(count, 'row')} {what} (scored 0, as `on_error` says); the first: {next(reasons)}",
                markup=False,
            )


def _first_unusable(program: Evaluation) -> str | None:
    """Why the first row has no outputs that has an answer, or a tool that gave none."""
    unusable = (row for row in program.rows if not (row.unanswered or row.metric_failed))
    return next((row.reason for row in unusable if row.reason is not None), None)


def draw_flaws(console: Console, head: str, flaws: Flaws) -> None:
    """What was wrong with answers, where something was. None of those is shown in a demo."""
    told = [
        f"{flaws.cut:,} cut off (a larger `max_tokens` leaves more room)" if flaws.cut else "",
        f"{flaws.repaired:,} with something that had to be guessed" if flaws.repaired else "",
        f"{flaws.unreadable:,} that could not be read" if flaws.unreadable else "",
    ]
    if flaws.total:
        said = ", ".join(part for part in told if part)
        console.print(f"{head}{said}; no demo shows any of these", markup=False, soft_wrap=True)


def _spent(spent: Spent) -> JsonValue:
    return {
        "input_tokens": spent.input_tokens,
        "output_tokens": spent.output_tokens,
        "cost_usd": spent.known_usd,
    }


def _flaws(flaws: Flaws) -> JsonValue:
    return {"cut": flaws.cut, "repaired": flaws.repaired, "unreadable": flaws.unreadable}


class Origins(Struct, frozen=True):
    """Calls that a compile needed and nobody paid: `replayed` answers, and those of runs that are `remembered`. And calls made
    `besides`, which nothing needed in the end."""

    replayed: int
    remembered: int
    besides: int


def origins(tally: Tally, needed: int) -> Origins:
    """Where the answers that were not paid came from, of so many calls that were needed."""
    rest = needed - tally.calls - tally.free
    # A run that is asked for twice at once gets its answer twice, and is needed once: whether it was at once is a matter of time.
    twice = min(tally.free, max(0, -rest))
    return Origins(tally.free - twice, max(0, rest), max(0, -rest) - twice)


def spent_line(tally: Tally, needed: int) -> Text:
    """What a compile cost that needed so many calls, in one line."""
    found = origins(tally, needed)
    counted = (
        (found.replayed, "not paid again"),
        (found.remembered, "of runs that are remembered"),
        (found.besides, "that nothing needed in the end"),
        (tally.spoiled, "without an answer that may be billed"),
        (tally.refitted, "refused for a parameter and asked again without it"),
        (tally.estimated, "without a count of tokens, which are estimated"),
    )
    parts = [plural(tally.calls, "model call"), *(f"{count} {said}" for count, said in counted if count)]
    spent = tally.spent
    parts.append(f"{spent.tokens:,} tokens")
    parts.append(told_money(spent))
    if (reserved := tally.reserved) != Spent():
        money = "" if reserved.known_usd is None else f" and ${reserved.usd:.4f}"
        parts.append(f"the budget counts up to {reserved.tokens:,} tokens{money} more")
    return Text(" · ".join(parts), "dim")


def _judge_calls(result: Compiled) -> int:
    spent = [result.built.spent, *(evaluation.spent for evaluation in result.evals)]
    return sum(one.judge.calls for one in spent)


def compiled_json(results: list[Compiled]) -> str:
    return _dump({"version": 1, "compiled": [_compiled(result) for result in results]})


def evals_json(evaluations: list[EvalResult]) -> str:
    return _dump({"version": 1, "evals": [_evaluation(evaluation) for evaluation in evaluations]})


def _dump(value: JsonValue) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _compiled(result: Compiled) -> JsonValue:
    built, tally = result.built, result.tally
    found = origins(tally, result.spent.calls)
    metric = next((score.metric for score in built.artifact.scores.values()), "")
    return {
        "name": result.job.name,
        "artifact": None if result.kept.place is None else str(result.kept.place),
        "left": [str(path) for path in result.kept.stays],
        "status": built.status,
        "scoring": built.plan.scoring,
        "replaced": _replaced(result.kept.replaced),
        "better": _replaced(result.kept.better),
        "baseline": None if built.baseline is None else _score(scored(metric, built.baseline)),
        "final": None if built.final is None else _final(metric, built),
        "comparison": to_builtins(built.comparison),
        "verdict": None if built.verdict is None else _verdict(built.verdict),
        "chosen": None if built.chosen is None else _chosen(built.chosen),
        "front": [_offer(offer) for offer in built.front],
        "steps": [
            {
                "name": step.name,
                "optimizer": step.optimizer,
                "planned": {"least": step.planned.calls.least, "most": step.planned.calls.most},
                "calls": step.spent.calls,
                "cost_usd": step.spent.total.known_usd,
                "verdict": None if step.verdict is None else _verdict(step.verdict),
                "comparison": None if step.verdict is None else to_builtins(step.verdict.comparison),
                "notes": list(step.result.notes),
                **_explored(step.result),
                "candidates": [
                    {"label": candidate.label, "score": candidate.score}
                    for candidate in step.result.candidates
                ],
            }
            for step in built.steps
        ],
        "evals": [_evaluation(evaluation) for evaluation in result.evals],
        "calls": {
            "planned": {
                "least": result.job.plan.least,
                "most": result.job.plan.most,
                "again": result.job.plan.again,
            },
            "needed": result.spent.calls,
            "judge": _judge_calls(result),
            "made": tally.calls,
            "replayed": found.replayed,
            "shared": 0,
            "remembered": found.remembered,
            "besides": found.besides,
            "spoiled": tally.spoiled,
            "refitted": tally.refitted,
            "estimated": tally.estimated,
        },
        "needed": _spent(result.spent.total),
        "spoiled": _spent(tally.wasted),
        "reserved": _spent(tally.reserved),
        "unanswered": built.artifact.provenance.unanswered or 0,
        "tools": to_builtins(built.tools),
        "answers": _flaws(built.spent.flaws),
        "tokens": {"input": tally.spent.input_tokens, "output": tally.spent.output_tokens},
        "cost_usd": tally.spent.known_usd,
        "notes": list(built.notes),
    }


def _offer(offer: ScoredProgram) -> JsonValue:
    """A program that no other beats in both score and cost; what it takes is for one answer, on the average."""
    takes = offer.takes
    return {
        "step": offer.step,
        "label": offer.label,
        "score": offer.score,
        "usd": takes.usd,
        "tokens": takes.tokens,
        "calls": takes.calls,
    }


def _chosen(chosen: Chosen) -> JsonValue:
    """What was minimized; `offer` is None where no program is certain to reach the gate."""
    return {
        "minimize": chosen.unit,
        "gate": chosen.gate,
        "tried": chosen.tried,
        "offer": None if chosen.offer is None else _offer(chosen.offer),
    }


def _final(metric: str, built: Built) -> JsonValue:
    """`corrected` is the score without the luck of having been chosen by it (`Built.without_luck`)."""
    assert built.final is not None
    return _score(scored(metric, built.final)) | {"corrected": built.without_luck}


def _explored(result: StepResult) -> dict[str, JsonValue]:
    """The rounds of a step that tried several optimizers, and why it went no further; nothing of any other."""
    if not result.stopped:
        return {}
    rounds: list[JsonValue] = [to_builtins(one) for one in result.explored]
    return {"explored": rounds, "stopped": result.stopped}


def _evaluation(evaluation: EvalResult) -> JsonValue:
    return {
        "name": evaluation.name,
        **_score(evaluation.score),
        "baseline": None if evaluation.baseline_score is None else _score(evaluation.baseline_score),
        "comparison": to_builtins(evaluation.comparison),
        "failures": evaluation.program.failures,
        "unanswered": evaluation.program.unanswered,
        "metric_failures": evaluation.program.metric_failures,
        "in_prompt": evaluation.shown,
        "tools": to_builtins(evaluation.tools),
        "calls": {"needed": evaluation.spent.calls, "judge": evaluation.spent.judge.calls},
        "answers": _flaws(evaluation.spent.flaws),
        "gates": [{"text": gate.text, "held": gate.held} for gate in evaluation.gates],
        "passed": evaluation.passed,
        "rows": [
            {
                "index": row.index,
                "score": row.score,
                "outputs": row.outputs,
                "reason": row.reason,
                "unanswered": row.unanswered,
                "metric_failed": row.metric_failed,
            }
            for row in evaluation.program.rows
        ],
    }


def _replaced(score: Score | None) -> JsonValue:
    """The score of an artifact whose place an unscored one took, or which a worse one did not take."""
    return None if score is None else {"metric": score.metric, **_score(score)}


def _score(score: Score) -> dict[str, JsonValue]:
    made: dict[str, JsonValue] = {"aggregates": [*score.aggregates]} if score.aggregates else {}
    return {"score": score.score, "low": score.low, "high": score.high, "n": score.n, **made}


def _verdict(verdict: LastWord) -> JsonValue:
    """What the comparison means: where it is not `real`, the start is the result, but for steps on DSPy's schedule."""
    return {
        "real": verdict.real,
        "sure": verdict.sure,
        "tried": verdict.tried,
        "chance": verdict.chance,
        "luck": verdict.worth.luck,
        "gained": verdict.worth.gained,
        "interval": list(verdict.interval),
        "decided": verdict.decided,
        "fresh": verdict.fresh,
    }
