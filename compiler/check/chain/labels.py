"""Do the labels fit the outputs that they will be shown as? A demo with a value that its type forbids teaches a mistake."""

from __future__ import annotations

from collections.abc import Sequence

from ...data import LabelsQuestion
from ...diagnostics import codes
from ..session import Session
from ..types.declared import RunnableInfo, reachable
from ..types.kinds import assignable, spell
from .rows import RowsInfo
from .step import StepInfo


def check_shown(
    session: Session, chain: Sequence[StepInfo], tuned: RunnableInfo, train: RowsInfo | None
) -> None:
    """Warn of a step that shows labels as they are, where no field of the rows is named like an output of a prompt."""
    if train is None or tuned.program is None or not tuned.known or not train.data.whole:
        return
    columns = train.data.columns.members
    labels = [name for name in columns if name not in train.data.inputs]
    predictors = tuned.program.predictors.values()
    outputs = {field.name for predictor in predictors for field in predictor.signature.outputs}
    if not outputs or not outputs.isdisjoint(labels):
        return
    for step in chain:
        spec = step.spec
        if (
            spec is None
            or step.call is None
            or "demos" not in spec.sets
            or spec.bootstraps
            or spec.needs_metric
        ):
            continue
        at = step.place.at(step.call.callee)
        session.report(
            codes.training_rows.LabelsNowhere(
                at, spec.name, train.location, tuple(labels), tuple(sorted(outputs))
            )
        )


def check_labels(
    session: Session, chain: Sequence[StepInfo], tuned: RunnableInfo, train: RowsInfo | None
) -> None:
    """Warn of columns whose values cannot be read as the output of the same name, where a step makes demos of them."""
    makes_demos = any(step.spec is not None and "demos" in step.spec.sets for step in chain)
    if not makes_demos or train is None or not session.probe or not tuned.known:
        return
    data, declared = train.data, train.data.dataset
    for name, output in tuned.outputs.items():
        column = data.columns.members.get(name)
        if column is None or declared is None or name in data.inputs or assignable(column.type, output.type):
            continue
        records = reachable(session, [output.type])
        seen = session.see(LabelsQuestion(dataset=declared, column=name, type=output.type, records=records))
        found = None if seen is None else seen.problem
        if found is not None:
            given, wanted = spell(column.type), spell(output.type)
            session.report(
                codes.data.LabelsUnfit(
                    train.location,
                    name,
                    tuned.symbol.name,
                    given,
                    wanted,
                    found.count,
                    found.message,
                    column.location,
                    output.location,
                )
            )
