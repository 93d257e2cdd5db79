"""Two artifacts held against each other: contract, scores, rows that flipped, prompts, models, cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

from msgspec import Struct

from dspec.runtime.artifact.artifact import Artifact, Score
from dspec.runtime.schema.ensemble import Runnable, parts
from dspec.runtime.schema.lms import SENT
from dspec.runtime.schema.program import LM, digest
from dspec.runtime.schema.types import JsonValue
from dspec.runtime.schema.usage import Spent

from ... import ir
from ...data import rows_digest
from ...diagnostics.wording import plural
from ..prepared import Prepared, spell_rows
from .contract import ContractChange, contract_changes
from .facts import PromptFacts, ReportFacts, RowTable, SpendLine
from .kept import Archive
from .prompting import prompts_of, told
from .tables import table_of

_SETTINGS = (
    "model",
    *("temperature", "max_tokens", "seed", *SENT, "fallback", "parse", "adapter", "extract", "tool_calls"),
    *(
        "reasoning",
        "on_unreadable",
        "api_version",
        "custom_endpoint",
        "timeout",
        "retry",
        "rpm",
        "tpm",
        "max_parallel",
    ),
    *("hedge", "price_input", "price_output"),
)
"""What of a model's settings is shown. Addresses, keys, headers and what else a provider is sent are told of by their names
at most."""


class ChangedSetting(Struct, frozen=True):
    """A value that differs: None where there is none on that side."""

    place: str
    before: str | None
    after: str | None


class ScorePair(Struct, frozen=True):
    """The scores that the artifacts carry for a role. `same_rows` says whether both are of the same rows, by their hash."""

    role: str
    before: Score | None
    after: Score | None
    same_rows: bool


class Comparison(Struct, frozen=True):
    """What differs. `tables` are rows on which both were looked at, `missing` says what is not known."""

    names: tuple[str, str]
    contract: tuple[ContractChange, ...]
    scores: tuple[ScorePair, ...]
    settings: tuple[ChangedSetting, ...]
    prompts: tuple[PromptFacts, ...]
    spent: tuple[Spent, Spent]
    """What the compiles took."""
    tables: tuple[RowTable, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def breaks(self) -> bool:
        return any(change.breaking for change in self.contract)


def comparison(
    names: tuple[str, str],
    before: Artifact,
    after: Artifact,
    tables: Sequence[RowTable] = (),
    missing: Sequence[str] = (),
) -> Comparison:
    lacking = [
        f"{table.title}: {plural(count, 'row')} of {len(table.rows):,} "
        f"{'is' if count == 1 else 'are'} not kept for both, and left out"
        for table in tables
        if (count := sum(row.before is None or row.after is None for row in table.rows))
    ]
    return Comparison(
        names,
        contract_changes(before.program, after.program),
        tuple(_scores(before, after)),
        tuple(_settings(before, after)),
        prompts_of(before.program, after.program),
        (_spent(before), _spent(after)),
        tuple(table for table in tables if table.paired is not None),
        (*missing, *lacking),
    )


async def tables_of(
    prepared: Prepared,
    block: str,
    names: tuple[str, str],
    before: Runnable,
    after: Runnable,
    archive: Archive,
) -> list[RowTable]:
    """Both programs on the rows of the block's evals and on those that it is scored on, from what is kept."""
    project = prepared.project
    optimize = project.optimizes[block]
    ref = optimize.val or optimize.train
    looked: list[tuple[str, ir.RowsRef, ir.Metric, bool]] = [
        (f"eval {one.name}", one.data, project.metrics[one.metric], True)
        for one in project.evals.values()
        if one.program == block
    ]
    looked.append(("val" if optimize.val else "train", ref, project.metrics[optimize.metric], False))
    old, new = project.on_declared(before), project.on_declared(after)
    found: list[RowTable] = []
    for title, rows_ref, metric, unseen in looked:
        rows = prepared.rows(rows_ref)
        sides = [await archive.look(one, rows, metric) for one in (old, new)]
        found.append(
            table_of(
                title,
                spell_rows(rows_ref),
                rows,
                project.datasets[rows_ref.dataset],
                metric,
                (names[0], old, sides[0]),
                (names[1], new, sides[1]),
                unseen=unseen,
            )
        )
    return found


def data_of(prepared: Prepared, block: str) -> dict[str, str]:
    """The hashes of a block's rows as they are now, by role."""
    resolved = prepared.resolved(block)
    return {"train": rows_digest(resolved.train), "val": rows_digest(resolved.val)}


def facts_of(result: Comparison) -> ReportFacts:
    """The comparison as a page."""
    old, new = result.names
    return ReportFacts(
        name="diff",
        title=f"{old} → {new}",
        subtitle="two artifacts",
        tables=result.tables,
        prompts=result.prompts,
        spending=(
            SpendLine(f"compile of {new}", result.spent[1]),
            SpendLine(f"compile of {old}", result.spent[0]),
        ),
        missing=(*(f"Breaks: {one.text}." for one in result.contract if one.breaking), *result.missing),
        origin=tuple((one.place, f"{one.before or '–'} → {one.after or '–'}") for one in result.settings),
    )


def _spent(artifact: Artifact) -> Spent:
    origin = artifact.provenance
    return Spent(
        origin.calls,
        origin.input_tokens,
        origin.output_tokens,
        round((origin.cost_usd or 0.0) * 10**12),
        int(origin.cost_usd is None and origin.calls > 0),
    )


def _scores(before: Artifact, after: Artifact) -> Iterator[ScorePair]:
    for role in ("val", "train"):
        old, new = before.scores.get(role), after.scores.get(role)
        if old is not None or new is not None:
            hashes = [one.provenance.data.get(role) for one in (before, after)]
            same = hashes[0] == hashes[1] and hashes[0] is not None
            same &= before.provenance.metric == after.provenance.metric
            yield ScorePair(role, old, new, same)


def _settings(before: Artifact, after: Artifact) -> Iterator[ChangedSetting]:
    old, new = _said(before), _said(after)
    for place in dict.fromkeys([*old, *new]):
        if old.get(place) != new.get(place):
            yield ChangedSetting(place, old.get(place), new.get(place))


def _said(artifact: Artifact) -> dict[str, str]:
    """What is compared besides contract and prompts: names of places, and what stands there."""
    said: dict[str, str] = {
        "name": artifact.name,
        "kind": artifact.kind,
        "compiled by": artifact.provenance.toolchain,
    }
    every = parts(artifact.program)
    for place, program in enumerate(every):
        lead = "" if len(every) == 1 else f"member {place + 1}: "
        for name, lm in program.lms.items():
            said |= {f"{lead}lm {name}.{member}": value for member, value in _lm(lm)}
        for address, predictor in program.predictors.items():
            said[f"{lead}{address}.strategy"] = predictor.strategy
            said[f"{lead}{address}.lm"] = predictor.lm
            for member, value in (predictor.settings.said if predictor.settings is not None else {}).items():
                said[f"{lead}{address}.{member}"] = str(value)
        for key, tool in program.tools.items():
            said[f"{lead}tool {key}"] = tool.source
        graph: JsonValue = program.model_dump(
            mode="json", include={"steps", "returns", "modules", "graphs", "records"}
        )
        said[f"{lead}steps"] = digest(graph)[:12]
        if program.neighbours is not None:
            said[f"{lead}index"] = f"{program.neighbours.shown} of {len(program.neighbours.rows):,} rows"
    origin = artifact.provenance
    for role, seed in origin.seeds.items():
        said[f"seed {role}"] = str(seed)
    for role, value in origin.data.items():
        said[f"rows of {role}"] = value[:12]
    said["metric"] = origin.metric[:12]
    for step in origin.steps:
        said[f"step {step.name}"] = step.optimizer
        said |= {f"step {step.name}.{name}": told(value, 200) for name, value in step.options.items()}
    return {place: value for place, value in said.items() if value}


def _lm(lm: LM) -> Iterator[tuple[str, str]]:
    for member in _SETTINGS:
        value: object = getattr(lm, member)
        if value is not None and value is not False and value != ():
            yield (
                member,
                ", ".join(map(str, cast("tuple[object, ...]", value)))
                if isinstance(value, tuple)
                else str(value),
            )
    for member in ("api_key_env", "api_base_env"):
        if (name := getattr(lm, member)) is not None:
            yield member, str(name)
    if headers := [*lm.headers, *lm.headers_env]:
        yield "headers", ", ".join(sorted(headers))
    if lm.extra:
        yield "extra", ", ".join(sorted(lm.extra))
