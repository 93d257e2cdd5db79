"""Do program, metric, rows and steps fit each other? Shared by `optimize` and `eval` blocks."""

from __future__ import annotations

from ...diagnostics.record import Label
from ...diagnostics.spelling import closest
from ...diagnostics.wording import did_you_mean, listed, plural, quoted
from ...optimizers.base import Spec
from ...optimizers.table import FOR_FEW_ROWS
from ...project.source import Location
from ..declarations.datasets import TEST_PARTS
from ..declarations.metrics import MetricInfo, accept_fix
from ..names.names import find
from ..session import Place, Session
from ..shape.attributes import Reader
from ..symbols import Symbol
from ..types.declared import Runnable, runnable
from ..types.kinds import assignable, spell
from .rows import RowsInfo, rows
from .step import StepInfo


def referred_program(session: Session, place: Place, read: Reader, name: str) -> Runnable | None:
    symbol = read.reference(name)
    if symbol is None:
        return None
    found = runnable(session, symbol)
    if found is None:
        node = read.found[name].value
        session.report(
            "DS0210",
            f"`{name}` leads back to this block by way of `{symbol.name}`",
            place.at(node),
            "a circle",
            secondary=(Label(symbol.location, "declared here"),),
        )
    return found


def referred_rows(session: Session, place: Place, read: Reader, name: str) -> RowsInfo | None:
    node = read.value(name)
    return rows(session, place, node, f"`{name}`") if node is not None else None


def check_fit(
    session: Session,
    tuned: Runnable,
    judge: MetricInfo | None,
    data: tuple[RowsInfo | None, ...],
    read: Reader,
) -> None:
    """Do the rows have the program's inputs, and is the metric written for this program and these rows?"""
    place = read.place
    seen: set[str] = set()
    for info in data:
        if info is None or info.data.symbol.key in seen:
            continue
        seen.add(info.data.symbol.key)
        _inputs_fit(session, tuned, info)
        if judge and judge.data and judge.data.symbol is not info.data.symbol:
            _columns_fit(session, judge, info)
    if judge and judge.judged and judge.judged.known and tuned.known:
        wanted = judge.judged.outputs
        absent = [name for name in wanted if name not in tuned.outputs]
        if _base(session, judge.judged.symbol) is not _base(session, tuned.symbol) and absent:
            node = read.found["metric"].value
            session.report(
                "DS0511",
                f"metric `{judge.symbol.name}` is written for `{judge.judged.symbol.name}`, and "
                f"`{tuned.symbol.name}` has no output {quoted(absent, 'or')}",
                place.at(node),
                f"reads the outputs of `{judge.judged.symbol.name}`",
                secondary=(Label(judge.symbol.location, "declared here"),),
            )


def _base(session: Session, symbol: Symbol) -> Symbol:
    """The module or program behind an optimize block."""
    for _ in range(20):
        if symbol.kind != "optimize":
            break
        place = session.place(symbol)
        node = Reader(session, place, place.declaration.items).value("program")
        inner = find(session, place, node) if node is not None else None
        if inner is None:
            break
        symbol = inner
    return symbol


def _inputs_fit(session: Session, tuned: Runnable, info: RowsInfo) -> None:
    """Report inputs of the program that the rows lack, and columns of the wrong type."""
    data = info.data
    if not tuned.known or not data.whole:
        return
    labels = (
        Label(tuned.symbol.location, f"`{tuned.symbol.name}` is declared here"),
        Label(data.symbol.location, f"`{data.symbol.name}` is declared here"),
    )
    for member in tuned.inputs.values():
        column = data.inputs.get(member.name)
        if column is None:
            if member.has_default:
                continue
            other = data.columns.members.get(member.name)
            near = closest(member.name, data.inputs)
            hint = (
                f"mark the column as an input: `input {member.name}: {spell(member.type)}`" if other else ""
            )
            session.report(
                "DS0404",
                f"`{tuned.symbol.name}` needs the input `{member.name}`, and `{data.symbol.name}` "
                + (
                    "has it as a field, not as an input"
                    if other
                    else f"has no such input{did_you_mean(near)}"
                ),
                info.location,
                f"no input `{member.name}`",
                secondary=labels,
                help=hint or (f"its inputs are {listed(data.inputs)}" if data.inputs and not near else ""),
            )
        elif not assignable(column.type, member.type):
            session.report(
                "DS0415",
                f"`{member.name}` is {spell(member.type)} in `{tuned.symbol.name}` and "
                f"{spell(column.type)} in "
                f"`{data.symbol.name}`",
                info.location,
                "types differ",
                secondary=tuple(
                    Label(m.symbol.location, f"{spell(m.type)} here") for m in (member, column) if m.symbol
                ),
            )


def _columns_fit(session: Session, judge: MetricInfo, info: RowsInfo) -> None:
    assert judge.data is not None
    absent = [column for column in judge.data.columns.members if column not in info.data.columns.members]
    if absent:
        session.report(
            "DS0511",
            f"metric `{judge.symbol.name}` is written for rows of `{judge.data.symbol.name}`, and "
            f"`{info.data.symbol.name}` has no column {quoted(absent, 'or')}",
            info.location,
            "other rows",
            secondary=(Label(judge.symbol.location, f"reads rows of `{judge.data.symbol.name}`"),),
        )


def check_steps_fit(
    session: Session,
    place: Place,
    chain: list[StepInfo],
    judge: MetricInfo | None,
    train: RowsInfo | None,
    val: RowsInfo | None,
) -> None:
    warned = False
    inside = [inner for step in chain for inner in step.nested.values()]
    for number, step in enumerate((*chain, *inside)):
        if step.spec is None or step.call is None:
            continue
        spec, at = step.spec, place.at(step.call.callee)
        no_threshold = step.given.get("metric_threshold") is None
        readable = judge is not None and not judge.symbol.block.problems
        if (
            spec.bootstraps
            and judge
            and readable
            and judge.graded
            and not judge.accepts
            and no_threshold
            and not warned
        ):
            warned = True
            session.report(
                "DS0505",
                f"metric `{judge.symbol.name}` gives a number and no `accept`, so `{spec.name}` would make "
                "a demo of "
                "every run that does not score 0",
                at,
                "decides which runs become demos",
                secondary=(Label(judge.symbol.location, "a numeric score, no `accept`"),),
                help="say which runs are good enough: `accept = score >= 0.5`",
                fixes=accept_fix(session, judge),
            )
        if number >= len(chain):
            continue  # rows are the outer optimizer's business
        if train is not None:
            _sizing(session, spec, at, train, val)
        if spec.needs_val and val is None and train is not None:
            session.report(
                "DS0606",
                f"`{spec.name}` compares candidates, and without `val` it does so on the rows it trains on",
                at,
                "would pick the winner on training rows",
                secondary=(Label(train.location, "the only rows"),),
                help=_val_help(train),
            )
        if spec.needs_val and val is not None and train is not None and val.overlaps(train):
            session.report(
                "DS0606",
                f"`val` and `train` are the same rows, so `{spec.name}` picks its winner on training rows",
                val.location,
                "also in `train`",
                secondary=(Label(train.location, "the same rows"),),
                help=_val_help(train),
            )


def _val_help(train: RowsInfo) -> str:
    others = [part for part in train.data.parts if part not in (train.part, *TEST_PARTS)]
    if others:
        name = train.data.symbol.name
        return f"`{name}` has other parts: {listed(f'{name}.{part}' for part in others)}"
    return "split some rows off: `split { train = 20%; val = 60%; test = 20% }`"


def _sizing(session: Session, spec: Spec, at: Location, train: RowsInfo, val: RowsInfo | None) -> None:
    """Hint at a simpler optimizer where there are fewer rows than this one pays off from.

    Rows to compare on count as much as rows to learn from where the optimizer needs both.
    """
    count = train.count
    compared = val.count if spec.needs_val and val is not None and not val.overlaps(train) else 0
    if count is None or compared is None or not 0 < count + compared < spec.advised_train:
        return
    count += compared
    named = f"`{train.text}` and `{val.text}` have" if compared and val else f"`{train.text}` has"
    better = [name for name, fewest in FOR_FEW_ROWS.items() if count >= fewest][-1]
    session.report(
        "DS0607",
        f"`{spec.name}` pays off from about {plural(spec.advised_train, 'row')}, and {named} {count:,}",
        at,
        f"with {plural(count, 'row')}",
        secondary=(Label(train.location, plural(train.count or 0, "row")),),
        help=f"for so few rows, `{better}` gives about as much for fewer calls"
        if better != spec.name
        else "",
    )


def check_test_rows(session: Session, data: tuple[tuple[str, RowsInfo | None], ...]) -> None:
    for name, info in data:
        if info is None or info.part is None or info.part.lower() not in TEST_PARTS:
            continue
        others = [part for part in info.data.parts if part.lower() not in TEST_PARTS]
        session.report(
            "DS0407",
            f"`{name}` reads `{info.text}`: rows that are tuned on can no longer test anything",
            info.location,
            "the test part",
            help=f"use {quoted([f'{info.data.symbol.name}.{part}' for part in others[:3]], 'or')}"
            if others
            else "",
        )
