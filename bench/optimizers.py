"""Every search optimizer as it comes beside DSPy's schedule: test score and model calls, all of them counted.

    python bench/optimizers.py [--seeds 10] [--kinds tuned|held-out] [--only COPRO] [--sample 2] [--json FILE]
    python bench/optimizers.py --auto [--seeds 4] [--max-calls 800]
    python bench/optimizers.py --sizes [--only COPRO]       by rows of val, beside DSPy's schedule run anew
    python bench/optimizers.py --prune [--first 100]        what `Prune` saves and loses behind some of them
    python bench/optimizers.py --record          writes what DSPy's schedule gives, for all the others

Offline: the model is simulated (`simulated/model.py`), so that a program's true score is computed and not sampled. What the
simulation cannot say is how real prompts behave: it measures searching, not prompting. A block is compiled as
`dspc compile` does it: the scorings before and after the steps are counted, and what the last word keeps is what is scored.
Every distinct call is counted once, as with a cache.

What is compared with is `compat = "dspy"`, without any scoring that DSPy does not make; SIMBA, InferRules and GEPA have no
such schedule: the first two are held against `search = "full"`, GEPA against what it was when it scored every row of its
candidates. Those runs are recorded in `simulated/dspy.json`; `--sample` runs so many of each kind again and says if they
differ. GEPA's were recorded before it raced, and cannot be made anew. `Prune` is held against the same block without it, on the
same rows of val.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from simulated.kinds import HELD_OUT, KINDS, SIZES, TUNED
from simulated.model import Simulated, Task, metric, rows, student

from dspec.compiler import ir
from dspec.compiler.compile import enough
from dspec.compiler.compile.build import Ran
from dspec.compiler.compile.built import Built
from dspec.compiler.compile.plan import Plan, plan_resolved
from dspec.compiler.compile.prepared import Resolved
from dspec.compiler.evaluate.events import silent
from dspec.compiler.optimizers.table import SPECS
from dspec.compiler.optimizers.texts import prompt_tokens
from dspec.runtime.models.engine import Engine
from dspec.runtime.models.transports.answers import estimate_text
from dspec.runtime.running.inspecting import prompts_of
from dspec.runtime.schema.ensemble import Ensemble
from dspec.runtime.schema.program import Program
from dspec.runtime.schema.types import JsonValue

Step = tuple[str, dict[str, JsonValue]]
STEPS: dict[str, tuple[Step, ...]] = {
    "RandomSearch(10)": (("BootstrapFewShotWithRandomSearch", {"num_candidate_programs": 10}),),
    "COPRO": (("COPRO", {}),),
    "MIPROv2 light": (("MIPROv2", {"auto": "light"}),),
    "MIPROv2 medium": (("MIPROv2", {"auto": "medium"}),),
    "MIPROv2 0-shot": (("MIPROv2", {"auto": "light", "max_bootstrapped_demos": 0, "max_labeled_demos": 0}),),
    "Bootstrap → MIPROv2": (("BootstrapFewShot", {}), ("MIPROv2", {"auto": "light"})),
    "SIMBA": (("SIMBA", {}),),
    "InferRules": (("InferRules", {}),),
    "GEPA light": (("GEPA", {"auto": "light"}),),
    "KNNFewShot": (("KNNFewShot", {}),),
}
PRUNED = ("RandomSearch(10)", "MIPROv2 light", "SIMBA", "InferRules")
"""After what `Prune` is measured."""
AUTO = "Auto"
AUTO_STEPS: list[Step] = [("Auto", {})]
HEADROOM = 6.0
WITHOUT_COMPAT = ("SIMBA", "InferRules", "GEPA")
IN_FULL = ("SIMBA", "InferRules")
"""Those of them that can still score every row of their candidates."""
RECORD = Path(__file__).parent / "simulated" / "dspy.json"
HALVES = (("Kinds that settings were tried on", TUNED), ("Kinds that none was tried on", HELD_OUT))
Z90 = 1.645
BEHIND = 3.0


@dataclass(frozen=True)
class Outcome:
    """One block on one task; scores are true ones, in percent."""

    step: str
    kind: str
    seed: int
    score: float
    start: float
    calls: int
    seen: float = math.nan
    """What the report says the result scores on val; of a recorded block it is not known."""
    corrected: float = math.nan
    """The same without its luck."""
    start_seen: float = math.nan
    """What the start scores on the same rows of val."""


@dataclass(frozen=True)
class Thinned:
    """The same block without and with `Prune` at its end; tokens are by rule."""

    step: str
    kind: str
    seed: int
    scores: tuple[float, float]
    calls: tuple[int, int]
    texts: tuple[int, int]
    """Tokens of instructions and demos."""
    prompts: tuple[int, int]
    """Tokens of all that is asked for an answer."""


def block(name: str, kind: str, seed: int, compat: bool) -> ir.Optimize:
    steps = tuple(
        ir.StepSpec(
            name=f"step{place}",
            optimizer=optimizer,
            # DSPy gives up after ten answers that nobody can read.
            options=options
            | ({"max_errors": 1000} if SPECS[optimizer].option("max_errors") else {})
            | ({"search": "full"} if compat and optimizer in IN_FULL else {}),
            compat="dspy" if compat and optimizer not in WITHOUT_COMPAT else None,
        )
        for place, (optimizer, options) in enumerate(AUTO_STEPS if name == AUTO else STEPS[name])
    )
    # DSPy's SIMBA knows no val.
    part = "train" if compat and name == "SIMBA" else "val"
    return ir.Optimize(
        name="tuned",
        program="task",
        metric="right",
        train=ir.RowsRef(dataset="rows", part="train"),
        val=ir.RowsRef(dataset="rows", part=part),
        seed=seed,
        # Where none of the first answers can be read, a compile stops to show one.
        on_error="score_zero",
        steps=steps,
        emit=steps[-1].name,
        **({"scoring": "none"} if compat else {}),
    )


def planned_block(
    optimize: ir.Optimize, task: Task, looks_like: ir.Optimize | None = None
) -> tuple[ir.Project, Resolved, Plan, ir.Metric]:
    """The block with its rows and its plan, for a task of its kind. Where `looks_like` is given, it compares on as many rows as
    that does."""
    program, measure = student(task.kind.predictors), metric(task.kind.graded)
    assert optimize.val is not None
    parts = {"train": rows("train", task.kind.train), "val": rows("val", task.kind.val)}
    lm = program.lms["simulated"]
    project = ir.Project(
        lms={lm.name: lm},
        programs={program.name: program},
        metrics={measure.name: measure},
        optimizes={optimize.name: optimize},
    )
    train, val = parts["train"], parts[optimize.val.part or ""]
    # DSPy compares on all of val.
    looked_at = (
        (val, ()) if optimize.scoring == "none" else enough.parts(looks_like or optimize, measure, train, val)
    )
    resolved = Resolved(optimize, program, measure, train, val, *looked_at, None, lm)
    return project, resolved, plan_resolved(project, resolved, Path()), measure


async def built(
    optimize: ir.Optimize, task: Task, looks_like: ir.Optimize | None = None
) -> tuple[Built, Program]:
    """What a block gives, and its program."""
    project, resolved, planned, measure = planned_block(optimize, task, looks_like)
    async with Engine() as engine:
        evaluator = Simulated(engine, measure, task)
        ran = Ran(project, resolved, planned, evaluator, silent, walled=False)
        await ran.run()
        found = ran.select()
    made = found.artifact.program
    assert not isinstance(made, Ensemble)
    assert planned.least <= found.spent.calls <= planned.most, (optimize, task, found.spent.calls, planned)
    return found, made


async def compiled(name: str, kind: str, seed: int, compat: bool) -> Outcome:
    task = Task(seed, (KINDS | SIZES)[kind])
    found, made = await built(block(name, kind, seed, compat), task)
    seen = math.nan if found.final is None else 100 * found.final.score
    corrected = seen if found.corrected is None else 100 * found.corrected
    start_seen = math.nan if found.baseline is None else 100 * found.baseline.score
    return Outcome(
        name,
        kind,
        seed,
        task.score(made),
        task.score(student(task.kind.predictors)),
        found.spent.calls,
        seen,
        corrected,
        start_seen,
    )


async def thinned(name: str, kind: str, seed: int) -> Thinned:
    task = Task(seed, KINDS[kind])
    without = block(name, kind, seed, compat=False)
    last = ir.StepSpec(name="lean", optimizer="Prune", options={})
    pruned = without.model_copy(update={"steps": (*without.steps, last), "emit": last.name})
    (before, fat), (after, lean) = await built(without, task, pruned), await built(pruned, task)
    return Thinned(
        name,
        kind,
        seed,
        (task.score(fat), task.score(lean)),
        (before.spent.calls, after.spent.calls),
        (prompt_tokens(fat), prompt_tokens(lean)),
        (await _asked(fat), await _asked(lean)),
    )


async def _asked(program: Program) -> int:
    prompts = await prompts_of(program, {"text": "test 0"}, None)
    return sum(estimate_text(text) for prompt in prompts for _, text in prompt.messages)


def bounded(max_calls: int | None) -> None:
    """Says to this process how many calls `Auto` may take."""
    AUTO_STEPS[:] = [("Auto", {} if max_calls is None else {"max_calls": max_calls})]


def one(job: tuple[str, str, int, bool]) -> Outcome:
    return asyncio.run(compiled(*job))


def one_thinned(job: tuple[str, str, int]) -> Thinned:
    return asyncio.run(thinned(*job))


def recorded() -> dict[tuple[str, str, int], Outcome]:
    if not RECORD.exists():
        return {}
    names = json.loads(RECORD.read_text())
    found = (
        Outcome(step, kind, seed, score, start, calls)
        for step, kinds in names.items()
        for kind, outcomes in kinds.items()
        for seed, (score, start, calls) in enumerate(outcomes)
    )
    return {(one.step, one.kind, one.seed): one for one in found}


def record(outcomes: Iterable[Outcome]) -> None:
    """One line for each step and kind: score, score of the start, and calls, seed after seed."""
    lines: dict[str, dict[str, list[str]]] = {}
    for one in sorted(outcomes, key=lambda one: one.seed):
        kinds = lines.setdefault(one.step, {}).setdefault(one.kind, [])
        assert len(kinds) == one.seed, "every seed from 0 on"
        kinds.append(f"[{one.score:.3f}, {one.start:.3f}, {one.calls}]")
    steps = [
        f" {json.dumps(step, ensure_ascii=False)}: {{\n"
        + ",\n".join(f"  {json.dumps(kind)}: [{', '.join(seeds)}]" for kind, seeds in kinds.items())
        + "\n }"
        for step, kinds in lines.items()
    ]
    RECORD.write_text("{\n" + ",\n".join(steps) + "\n}\n")


@dataclass(frozen=True)
class Pairs:
    """The same tasks, compiled on DSPy's schedule (`theirs`) and as they come (`ours`)."""

    theirs: Sequence[Outcome]
    ours: Sequence[Outcome]

    @property
    def differences(self) -> list[float]:
        return [b.score - a.score for a, b in zip(self.theirs, self.ours, strict=True)]

    @property
    def by_seed(self) -> list[float]:
        """The mean difference of each seed: tasks of one seed have rows and hints in common, whatever their kind."""
        found: dict[int, list[float]] = {}
        for one, difference in zip(self.ours, self.differences, strict=True):
            found.setdefault(one.seed, []).append(difference)
        return [statistics.fmean(own) for own in found.values()]

    @property
    def share(self) -> float:
        return sum(one.calls for one in self.ours) / sum(one.calls for one in self.theirs)

    def line(self, *names: str) -> str:
        mean, error = _mean(self.by_seed)
        cells = (
            *names,
            f"{statistics.fmean(one.start for one in self.theirs):.1f}",
            f"{statistics.fmean(one.score for one in self.theirs):.1f}",
            f"{statistics.fmean(one.score for one in self.ours):.1f}",
            f"{mean:+.2f} ± {error:.2f}",
            f"{mean - Z90 * error:+.1f} … {mean + Z90 * error:+.1f}",
            f"{statistics.fmean(one.calls for one in self.theirs):,.0f}",
            f"{statistics.fmean(one.calls for one in self.ours):,.0f}",
            f"{self.share:.1%}",
        )
        return f"| {' | '.join(cells)} |"


HEAD = (
    "| optimizer | tasks | start | dspy | default | default − dspy | 90 % interval | calls: dspy | default | share | "
    "kinds more than 3 behind |"
)


def table(found: Sequence[Outcome], known: dict[tuple[str, str, int], Outcome], title: str) -> list[str]:
    lines = [f"### {title}", "", HEAD, "| --- | --- |" + " ---: |" * (HEAD.count("|") - 3)]
    for name in STEPS:
        of = [one for one in found if one.step == name and (one.step, one.kind, one.seed) in known]
        pairs = Pairs([known[one.step, one.kind, one.seed] for one in of], of)
        if not of:
            continue
        for kind in dict.fromkeys(one.kind for one in of):
            both = [(a, b) for a, b in zip(pairs.theirs, of, strict=True) if a.kind == kind]
            lines.append(f"{Pairs([a for a, _ in both], [b for _, b in both]).line(name, kind)} |")
        lines.append(f"{pairs.line(name, '**all**')} {behind(of, known)} |")
    return lines


def honesty(found: Sequence[Outcome]) -> list[str]:
    """By how much scores on val are above the true ones, as reported and without their luck; and the latter once more less what
    the start shows too much or too little on the same rows, which tells it more sharply: rows that are easy are easy for both."""

    def mean(values: Sequence[float]) -> str:
        found, error = _mean(values)
        return f"{found:+.2f} ± {error:.2f}"

    lines = [
        "| optimizer | tasks | val less the true score | without luck, less the true score | less what the start shows |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name in [*STEPS, "**all**"]:
        of = [one for one in found if name in (one.step, "**all**") and not math.isnan(one.seen)]
        if of:
            seen = [one.seen - one.score for one in of]
            corrected = [one.corrected - one.score for one in of]
            besides = [off - (one.start_seen - one.start) for one, off in zip(of, corrected, strict=True)]
            lines.append(f"| {name} | {len(of)} | {mean(seen)} | {mean(corrected)} | {mean(besides)} |")
    return lines


def behind(of: Sequence[Outcome], known: dict[tuple[str, str, int], Outcome]) -> str:
    """The kinds in which the default is more than `BEHIND` points behind, on average."""
    found: dict[str, list[float]] = {}
    for one in of:
        found.setdefault(one.kind, []).append(one.score - known[one.step, one.kind, one.seed].score)
    means = {kind: statistics.fmean(differences) for kind, differences in found.items()}
    return ", ".join(f"{kind} {mean:+.1f}" for kind, mean in means.items() if mean < -BEHIND) or "none"


def best_of(known: dict[tuple[str, str, int], Outcome], kind: str, seeds: int) -> list[Outcome]:
    """The outcomes of DSPy's best optimizer of the kind, by the mean of the first `seeds` tasks."""
    every = [[known.get((name, kind, seed)) for seed in range(seeds)] for name in STEPS]
    whole = [[one for one in found if one is not None] for found in every if all(found)]
    return max(whole, key=lambda found: statistics.fmean(one.score for one in found))


def recorded_tasks(known: dict[tuple[str, str, int], Outcome], kind: str, seeds: int) -> int:
    """How many of the first `seeds` tasks of the kind are recorded, at least of one optimizer."""
    return sum(any((name, kind, seed) in known for name in STEPS) for seed in range(seeds))


def auto_table(found: Sequence[Outcome], known: dict[tuple[str, str, int], Outcome], title: str) -> list[str]:
    """`Auto` beside DSPy's best optimizer of each kind, which nobody knows beforehand."""
    lines = [
        f"### {title}",
        "",
        "| kind | tasks | start | DSPy's best | its score | its calls | Auto | Auto − best | calls | share |",
        "| --- | ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    rooms: list[float] = []
    pairs: list[tuple[Outcome, Outcome]] = []
    for kind in dict.fromkeys(one.kind for one in found):
        ours = sorted((one for one in found if one.kind == kind), key=lambda one: one.seed)
        theirs = best_of(known, kind, len(ours))
        pairs += zip(theirs, ours, strict=True)
        both = Pairs(theirs, ours)
        gap, error = _mean(both.differences)
        start, best = (statistics.fmean(getattr(one, of) for one in theirs) for of in ("start", "score"))
        if best - start > HEADROOM:
            rooms.append(gap)
        score, calls = (statistics.fmean(getattr(one, of) for one in ours) for of in ("score", "calls"))
        taken = statistics.fmean(one.calls for one in theirs)
        lines.append(
            f"| {kind} | {len(ours)} | {start:.1f} | "
            f"{theirs[0].step} | {best:.1f} | {taken:,.0f} | {score:.1f} | {gap:+.1f} ± {error:.1f} | "
            f"{calls:,.0f} | {both.share:.0%} |"
        )
    whole = Pairs([one for one, _ in pairs], [one for _, one in pairs])
    gap, error = _mean(whole.by_seed)
    lines.append(f"| **all** | {len(pairs)} | | | | | | {gap:+.2f} ± {error:.2f} | | {whole.share:.0%} |")
    if rooms:
        mean = statistics.fmean(rooms)
        lines += [
            "",
            f"Mean of the {len(rooms)} kinds whose headroom exceeds {HEADROOM:g} points: {mean:+.2f}.",
        ]
    return lines


def prune_table(found: Sequence[Thinned], title: str) -> list[str]:
    """What `Prune` loses and saves: by what comes before it, by kind, and over all."""
    lines = [
        f"### {title}",
        "",
        "| | tasks | without | `Prune` | 90 % interval | fewer tokens of instructions and demos | of whole prompts "
        "| calls: without | `Prune` |",
        "| --- | ---: | ---: | ---: | --- | ---: | ---: | ---: | ---: |",
    ]
    steps, kinds = dict.fromkeys(one.step for one in found), dict.fromkeys(one.kind for one in found)
    of = {name: [one for one in found if name in (one.step, one.kind)] for name in (*steps, *kinds)}
    return lines + [_thinner(name, own) for name, own in (of | {"**all**": found}).items()]


def _thinner(name: str, of: Sequence[Thinned]) -> str:
    """One line; tasks of a seed are one draw, as in `Pairs.by_seed`."""
    seeds = [[one for one in of if one.seed == seed] for seed in dict.fromkeys(one.seed for one in of)]
    gain, error = _mean([statistics.fmean(one.scores[1] - one.scores[0] for one in own) for own in seeds])

    def saved(pairs: Callable[[Thinned], tuple[int, int]]) -> str:
        shares = [1 - sum(pairs(one)[1] for one in own) / sum(pairs(one)[0] for one in own) for own in seeds]
        mean, error = _mean(shares)
        return f"{100 * mean:.0f} ± {100 * error:.0f} %"

    cells = (
        name,
        f"{len(of)}",
        f"{statistics.fmean(one.scores[0] for one in of):.1f}",
        f"{gain:+.2f} ± {error:.2f}",
        f"{gain - Z90 * error:+.1f} … {gain + Z90 * error:+.1f}",
        saved(lambda one: one.texts),
        saved(lambda one: one.prompts),
        f"{statistics.fmean(one.calls[0] for one in of):,.0f}",
        f"{statistics.fmean(one.calls[1] - one.calls[0] for one in of):+,.0f}",
    )
    return f"| {' | '.join(cells)} |"


def _mean(values: Sequence[float]) -> tuple[float, float]:
    """The mean and its standard error."""
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0
    return statistics.fmean(values), error


def by_size(only: str, seeds: int, processes: int) -> list[str]:
    """The optimizers that have a schedule of DSPy's, on plain tasks with few rows of val and with many."""
    names = [
        name for name in STEPS if only in name and name.split()[0] not in (*WITHOUT_COMPAT, "KNNFewShot")
    ]
    jobs = [(name, kind, seed) for name in names for kind in SIZES for seed in range(seeds)]
    with ProcessPoolExecutor(processes) as pool:
        theirs = list(pool.map(one, [(*job, True) for job in jobs], chunksize=2))
        ours = list(pool.map(one, [(*job, False) for job in jobs], chunksize=2))
    known = {(one.step, one.kind, one.seed): one for one in theirs}
    return table(ours, known, f"By rows of val, {seeds} tasks of each size")


def differ(jobs: list[tuple[str, str, int, bool]], known: dict[tuple[str, str, int], Outcome]) -> list[str]:
    """What of the recorded runs comes out otherwise now. GEPA is no longer what was recorded."""
    again = map(one, (job for job in jobs if not job[0].startswith("GEPA")))
    return [
        f"{now.step}, {now.kind}, seed {now.seed}: {then.score:.1f} in {then.calls} calls, now {now.score:.1f} in {now.calls}"
        for now in again
        if (then := known[now.step, now.kind, now.seed])
        and (abs(then.score - now.score) > 0.01 or then.calls != now.calls)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--only", default="", help="only optimizers whose name holds this")
    parser.add_argument("--kind", default="", help="only kinds whose name holds this")
    parser.add_argument(
        "--kinds", default="", choices=("", "tuned", "held-out"), help="only one half of the kinds"
    )
    parser.add_argument("--sample", type=int, default=0, help="recorded runs of each kind to make again")
    parser.add_argument("--record", action="store_true", help="record what DSPy's schedule gives")
    parser.add_argument("--json", type=Path, default=None, help="also write every outcome there")
    parser.add_argument("--sizes", action="store_true", help="plain tasks by rows of val")
    parser.add_argument("--auto", action="store_true", help="Auto beside DSPy's best optimizer of each kind")
    parser.add_argument(
        "--prune", action="store_true", help=f"Prune after each of {', '.join(PRUNED)}, and the same without"
    )
    parser.add_argument("--first", type=int, default=0, help="the first seed of --prune")
    parser.add_argument("--max-calls", type=int, default=None, help="what Auto may take at most")
    flags = parser.parse_args()
    halves = {"tuned": TUNED, "held-out": HELD_OUT}
    kinds = [kind for kind in halves.get(flags.kinds, KINDS) if flags.kind in kind]
    known = recorded()

    def jobs(seeds: int, compat: bool) -> list[tuple[str, str, int, bool]]:
        steps = [name for name in STEPS if flags.only in name]
        return [(name, kind, seed, compat) for name in steps for kind in kinds for seed in range(seeds)]

    if flags.sizes:
        print("\n".join(by_size(flags.only, flags.seeds, flags.jobs)))
        return
    if flags.prune:
        seeds = range(flags.first, flags.first + flags.seeds)
        chains = [
            (name, kind, seed) for name in PRUNED if flags.only in name for kind in kinds for seed in seeds
        ]
        with ProcessPoolExecutor(flags.jobs) as pool:
            pairs = list(pool.map(one_thinned, chains, chunksize=2))
        for title, half in HALVES:
            if of := [pair for pair in pairs if pair.kind in half]:
                print("\n".join(prune_table(of, title)), "\n")
        if flags.json:
            flags.json.write_text(json.dumps([asdict(pair) for pair in pairs]))
        return
    with ProcessPoolExecutor(flags.jobs, initializer=bounded, initargs=(flags.max_calls,)) as pool:
        asked = jobs(flags.seeds, flags.record)
        if flags.auto:
            asked = [
                (AUTO, kind, seed, False)
                for kind in kinds
                for seed in range(recorded_tasks(known, kind, flags.seeds))
            ]
        found = list(pool.map(one, asked, chunksize=2))
    if flags.record:
        record(
            [
                *found,
                *(one for key, one in known.items() if key not in {(o.step, o.kind, o.seed) for o in found}),
            ]
        )
        return
    print(
        f"{flags.seeds} tasks of each kind; the differences are means over the same tasks ± their standard errors, by seed\n"
    )
    for title, half in HALVES:
        if of := [one for one in found if one.kind in half]:
            if flags.auto:
                print("\n".join(auto_table(of, known, title)), "\n")
                continue
            print("\n".join(table(of, known, title)), "\n")
    print("### How honest the score on val is\n")
    print("\n".join(honesty(found)), "\n")
    for line in differ(jobs(flags.sample, True), known):
        print(f"not as recorded: {line}")
    if flags.json:
        flags.json.write_text(json.dumps([asdict(one) for one in found]))


if __name__ == "__main__":
    main()
