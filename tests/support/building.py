"""A small project on disk, and a compile of it on scripted answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from datasets import dataset, field, source
from scripted import FAKE, Reply, Script, classifier, exact, scripted

from dspec.compiler import ir
from dspec.compiler.compile import evals, plan
from dspec.compiler.compile.build import run_steps
from dspec.compiler.compile.built import Built
from dspec.compiler.compile.prepared import Prepared
from dspec.compiler.data.needs import compile_needs, eval_needs
from dspec.compiler.evaluate.events import Report, silent
from dspec.compiler.evaluate.store import Store
from dspec.runtime.artifact.artifact import artifact_text, read_artifact, write_artifact
from dspec.runtime.models.engine import Tally
from dspec.runtime.models.ledger import Ledger
from dspec.runtime.models.protocol import Tools
from dspec.runtime.schema.program import LM, Program

DEMOS = ir.StepSpec(name="demos", optimizer="BootstrapFewShot", options={"max_labeled_demos": 4})
SEARCH = ir.StepSpec(
    name="search",
    optimizer="BootstrapFewShotWithRandomSearch",
    options={"num_candidate_programs": 3, "max_labeled_demos": 4, "search": "full"},
)


def project(
    folder: Path,
    *steps: ir.StepSpec,
    program: Program | None = None,
    lms: tuple[LM, ...] = (),
    part: int = 20,
    **block: Any,
) -> ir.Project:
    """Rows in five groups, `part` each to train on, compare on and test on; one program, one metric, the optimize
    block `tuned`."""
    rows = [{"text": f"row {i} of g{i % 5}", "label": f"L{i % 5}"} for i in range(3 * part)]
    size = ir.Amount(value=part, unit="rows")
    split = ir.Split(parts=dict.fromkeys(("train", "val", "test"), size), seed=7)
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    program = program or classifier()
    steps = steps or (DEMOS, SEARCH)
    tickets = dataset("rows.jsonl", field("label"), split=split).model_copy(
        update={"name": "tickets", "source": source("rows.jsonl")}
    )
    optimize: dict[str, Any] = {
        "name": "tuned",
        "program": program.name,
        "metric": "right",
        "train": ir.RowsRef(dataset="tickets", part="train"),
        "val": ir.RowsRef(dataset="tickets", part="val"),
        "seed": 9,
        "steps": steps,
        "emit": steps[-1].name,
    }
    return ir.Project(
        lms={lm.name: lm for lm in (FAKE, *lms)},
        programs={program.name: program},
        datasets={"tickets": tickets},
        metrics={"right": exact()},
        optimizes={"tuned": ir.Optimize(**(optimize | block))},
    )


def prepared(made: ir.Project, folder: Path) -> Prepared:
    """The project with the rows of all its blocks."""
    return Prepared(made, folder, compile_needs(made, made.optimizes) | eval_needs(made, made.evals))


def plan_of(made: ir.Project, name: str, folder: Path) -> plan.Plan:
    return plan.plan(prepared(made, folder), name)


async def build(made: ir.Project, name: str, folder: Path, **options: Any) -> Built:
    """The compile of one block, without its file; `options` are those of `run_steps`."""
    ready = prepared(made, folder)
    return (await run_steps(ready, plan.plan(ready, name), **{"front": True, **options})).select()


async def evaluated(made: ir.Project, name: str, folder: Path, **options: Any) -> evals.EvalResult:
    """An eval block's result; `options` are those of `evaluate_named`."""
    return await evals.evaluate_named(prepared(made, folder), name, **options)


async def compiled(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    made: ir.Project,
    reply: Reply,
    *,
    threads: int = 16,
    latency: Callable[[], float] | None = None,
    ledger: Ledger | None = None,
    store: Store | None = None,
    report: Report = silent,
    tools: Tools | None = None,
) -> tuple[Built, Script, Tally]:
    script = Script(reply, latency)
    with scripted(monkeypatch, script, threads=threads, ledger=ledger, tools=tools) as engine:
        try:
            built = await build(made, "tuned", folder, engine=engine, store=store or Store(), report=report)
        finally:
            await engine.drain()  # as a session does: the next one finds what was on its way in the ledger
        return built, script, engine.tally


def gain(built: Built) -> float:
    """What the program that is written scores above the one that was given."""
    assert built.final is not None
    assert built.baseline is not None
    return built.final.score - built.baseline.score


async def loaded_again(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    made: ir.Project,
    built: Built,
    reply: Reply,
    tools: Tools | None = None,
) -> evals.EvalResult:
    """Writes the artifact and reads it: it is the same to the byte, and scores the same, every answer asked for again."""
    path = folder / "tuned.dspc.json"
    write_artifact(path, built.artifact)
    loaded = read_artifact(path)
    assert loaded == built.artifact
    assert artifact_text(loaded).encode() == path.read_bytes()
    block = ir.Eval(name="e", program="tuned", metric="right", data=ir.RowsRef(dataset="tickets", part="val"))
    with scripted(monkeypatch, Script(reply), tools=tools) as engine:
        result = await evaluated(
            made.model_copy(update={"evals": {"e": block}}),
            "e",
            folder,
            engine=engine,
            store=Store(),
            compiled={"tuned": loaded.program},
        )
    assert result.program == built.final
    return result
