"""`optimize` and `eval` blocks: do program, metric and rows fit each other?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dspec.grammar.tree import Expr, Gate, Reference
from dspec.runtime.expressions import Variable

from .. import ir
from ..blocks import BUDGET
from ..diagnostics import Label
from ..spelling import closest, plural, quoted
from ..symbols import Symbol
from .attributes import Reader, section
from .datasets import TEST_PARTS
from .expressions import Binding, Scope, truth
from .kinds import FLOAT, Group, Member, assignable, spell
from .metrics import MetricInfo, accept_fix, metric
from .names import did_you_mean, listed
from .rows import RowsInfo, rows
from .runnable import Runnable, runnable
from .session import Place, Session, insert_item, suggestions
from .steps import StepInfo, check_chain, steps

FEW_ROWS = 10


@dataclass(frozen=True, slots=True)
class OptimizeInfo:
    runnable: Runnable
    train: RowsInfo | None
    val: RowsInfo | None
    optimize: ir.Optimize | None


def optimize(session: Session, symbol: Symbol) -> OptimizeInfo | None:
    return session.once(_check_optimize, symbol)


def _check_optimize(session: Session, symbol: Symbol) -> OptimizeInfo:
    place = session.place(symbol)
    items = place.declaration.items
    read = Reader(session, place, items)
    tuned = _program(session, place, read, "program")
    scored = read.reference("metric")
    judge = metric(session, scored) if scored else None
    train, val = _rows(session, place, read, "train"), _rows(session, place, read, "val")
    lms = {name: read.reference(name) for name in ("lm", "prompt_lm", "teacher_lm")}
    seed = read.integer("seed")
    budget = section(items, "budget")
    limits = Reader(session, place, budget.items, BUDGET) if budget else None
    chain = steps(session, place, symbol)
    emit = _emit(session, place, read.value("emit"), chain)
    if items is not None and not chain and not place.block.problems:
        session.report(
            "DS0619",
            f"optimize block `{symbol.name}` has no step, so there is nothing to do",
            symbol.location,
            "no step",
            help="for example `step demos = BootstrapFewShot()`",
            fixes=insert_item(place, "step demos = BootstrapFewShot()", "Insert a step"),
        )
    check_chain(session, place, chain, emit)
    if tuned is not None:
        _fits(session, tuned, judge, (("train", train), ("val", val)), read)
        _tunable(session, place, symbol, tuned, chain)
    _steps_fit(session, place, chain, judge, train, val)
    _test_rows(session, (("train", train), ("val", val)))
    built = None
    specs = [step.ir() for step in chain]
    ready = [spec for spec in specs if spec is not None]
    if tuned and scored and train and ready and len(ready) == len(specs):
        built = ir.Optimize(
            name=symbol.key,
            program=tuned.symbol.key,
            metric=scored.key,
            train=train.reference,
            val=val.reference if val else None,
            lm=lms["lm"].key if lms["lm"] else None,
            prompt_lm=lms["prompt_lm"].key if lms["prompt_lm"] else None,
            teacher_lm=lms["teacher_lm"].key if lms["teacher_lm"] else None,
            seed=seed or 0,
            budget=ir.Budget(
                usd=limits.number("usd") if limits else None,
                calls=limits.integer("calls") if limits else None,
                tokens=limits.integer("tokens") if limits else None,
                minutes=limits.number("minutes") if limits else None,
            ),
            steps=tuple(ready),
            emit=emit or ready[-1].name,
        )
    base = tuned or Runnable(symbol, {}, {}, None, known=False)
    own = Runnable(symbol, base.inputs, base.outputs, base.program, base.unbound, base.known)
    return OptimizeInfo(own, train, val, built)


def _program(session: Session, place: Place, read: Reader, name: str) -> Runnable | None:
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


def _rows(session: Session, place: Place, read: Reader, name: str) -> RowsInfo | None:
    node = read.value(name)
    return rows(session, place, node, f"`{name}`") if node is not None else None


def _emit(session: Session, place: Place, node: Expr | None, chain: list[StepInfo]) -> str | None:
    if node is None:
        return None
    names = [step.name for step in chain if step.symbol]
    written = place.text(node)
    if isinstance(node, Reference) and written in names:
        session.use(place, node, next(step.symbol for step in chain if step.name == written))
        return written
    near = closest(written, names)
    session.report(
        "DS0622",
        f"`emit` names `{written}`, which is no step of this block{did_you_mean(near)}",
        place.at(node),
        "not a step",
        help="" if near else f"its steps are {listed(names)}" if names else "give a step a name: `step demos = …`",
        fixes=suggestions(place.at(node), near),
    )
    return None


def _fits(
    session: Session,
    tuned: Runnable,
    judge: MetricInfo | None,
    data: tuple[tuple[str, RowsInfo | None], ...],
    read: Reader,
) -> None:
    """Do the rows have the program's inputs, and is the metric written for this program and these rows?"""
    place = read.place
    seen: set[str] = set()
    for name, info in data:
        if info is None or info.data.symbol.key in seen:
            continue
        seen.add(info.data.symbol.key)
        inputs_fit(session, tuned, info, name)
        if judge and judge.data and judge.data.symbol is not info.data.symbol:
            _columns_fit(session, judge, info, name)
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
    from .names import find

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


def inputs_fit(session: Session, tuned: Runnable, info: RowsInfo, name: str) -> None:
    """Report inputs of the program that the rows lack, and columns of the wrong type."""
    if not tuned.known:
        return
    data = info.data
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
            hint = f"mark the column as an input: `input {member.name}: {spell(member.type)}`" if other else ""
            session.report(
                "DS0404",
                f"`{tuned.symbol.name}` needs the input `{member.name}`, and `{data.symbol.name}` "
                + ("has it as a field, not as an input" if other else f"has no such input{did_you_mean(near)}"),
                info.location,
                f"no input `{member.name}`",
                secondary=labels,
                help=hint or (f"its inputs are {listed(data.inputs)}" if data.inputs and not near else ""),
            )
        elif not assignable(column.type, member.type):
            session.report(
                "DS0415",
                f"`{member.name}` is {spell(member.type)} in `{tuned.symbol.name}` and {spell(column.type)} in "
                f"`{data.symbol.name}`",
                info.location,
                "types differ",
                secondary=tuple(
                    Label(m.symbol.location, f"{spell(m.type)} here") for m in (member, column) if m.symbol
                ),
            )


def _columns_fit(session: Session, judge: MetricInfo, info: RowsInfo, name: str) -> None:
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


def _tunable(
    session: Session, place: Place, symbol: Symbol, tuned: Runnable, chain: list[StepInfo]
) -> None:
    if tuned.program is not None and not tuned.program.predictors:
        session.report(
            "DS0615",
            f"`{tuned.symbol.name}` calls no model, so there is nothing to tune",
            symbol.location,
            "nothing to tune",
            secondary=(Label(tuned.symbol.location, "calls no module"),),
        )
    _ = chain, place


def _steps_fit(
    session: Session,
    place: Place,
    chain: list[StepInfo],
    judge: MetricInfo | None,
    train: RowsInfo | None,
    val: RowsInfo | None,
) -> None:
    warned = False
    for step in chain:
        if step.spec is None or step.call is None:
            continue
        spec, at = step.spec, place.at(step.call.callee)
        no_threshold = step.given.get("metric_threshold") is None
        if spec.bootstraps and judge and judge.graded and not judge.accepts and no_threshold and not warned:
            warned = True
            session.report(
                "DS0505",
                f"metric `{judge.symbol.name}` gives a number and no `accept`, so `{spec.name}` would make a demo of "
                "every run that does not score 0",
                at,
                "decides which runs become demos",
                secondary=(Label(judge.symbol.location, "a numeric score, no `accept`"),),
                help="say which runs are good enough: `accept = score >= 0.5`",
                fixes=accept_fix(session, judge),
            )
        options = step.options()
        if options is not None and train is not None and train.count is not None:
            _enough(session, spec.name, at, spec.min_train(options), spec.advised_train, train)
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
        return f"`{train.data.symbol.name}` has other parts: {listed(f'{train.data.symbol.name}.{p}' for p in others)}"
    return "split some rows off: `split { train = 20%; val = 60%; test = 20% }`"


def _enough(session: Session, optimizer: str, at, needed: int, advised: int, train: RowsInfo) -> None:  # type: ignore[no-untyped-def]
    count = train.count
    assert count is not None
    if count < needed:
        session.report(
            "DS0605",
            f"`{optimizer}` needs {plural(needed, 'training row')} with these options, and `{train.text}` has {count:,}",
            at,
            f"needs {needed:,}",
            secondary=(Label(train.location, plural(count, "row")),),
        )
    elif count < advised:
        better = "BootstrapFewShot" if count >= FEW_ROWS else "LabeledFewShot"
        session.report(
            "DS0607",
            f"`{optimizer}` pays off from about {plural(advised, 'training row')}, and `{train.text}` has {count:,}",
            at,
            f"with {plural(count, 'row')}",
            secondary=(Label(train.location, plural(count, "row")),),
            help=f"for so few rows, `{better}` gives as much for fewer calls" if better != optimizer else "",
        )


def _test_rows(session: Session, data: tuple[tuple[str, RowsInfo | None], ...]) -> None:
    for name, info in data:
        if info is None or info.part is None or info.part.lower() not in TEST_PARTS:
            continue
        others = [part for part in info.data.parts if part.lower() not in TEST_PARTS]
        session.report(
            "DS0407",
            f"`{name}` reads `{info.text}`: rows that are tuned on can no longer test anything",
            info.location,
            "the test part",
            help=f"use {quoted([f'{info.data.symbol.name}.{part}' for part in others[:3]], 'or')}" if others else "",
        )


# eval ---------------------------------------------------------------------------------------------


def evaluation(session: Session, symbol: Symbol) -> ir.Eval | None:
    return session.once(_check_eval, symbol)


def _check_eval(session: Session, symbol: Symbol) -> ir.Eval | None:
    place = session.place(symbol)
    read = Reader(session, place, place.declaration.items)
    subject = _program(session, place, read, "program")
    baseline = _program(session, place, read, "baseline")
    scored = read.reference("metric")
    judge = metric(session, scored) if scored else None
    data = _rows(session, place, read, "data")
    for found in (subject, baseline):
        if found is not None:
            _fits(session, found, judge if found is subject else None, (("data", data),), read)
            if data is not None:
                _trained_on(session, found, data)
    gates = tuple(
        _gate(session, place, item, "baseline" in read.found)
        for item in place.declaration.items or ()
        if isinstance(item, Gate)
    )
    if not (subject and scored and data):
        return None
    return ir.Eval(
        name=symbol.key,
        program=subject.symbol.key,
        baseline=baseline.symbol.key if baseline else None,
        metric=scored.key,
        data=data.reference,
        gates=gates,
    )


def _trained_on(session: Session, found: Runnable, data: RowsInfo) -> None:
    """Warn of a score on rows that the program was tuned on."""
    if found.symbol.kind != "optimize":
        return
    block = optimize(session, found.symbol)
    for name, info in (("train", block.train), ("val", block.val)) if block else ():
        if info is not None and info.overlaps(data):
            session.report(
                "DS0805",
                f"`{found.symbol.name}` was tuned on `{info.text}`, so its score on `{data.text}` says little",
                data.location,
                f"also its `{name}`",
                secondary=(Label(info.location, f"`{name}` of `{found.symbol.name}`"),),
                help="score on rows that no step has seen",
            )
            return


def gate_names(baseline: bool) -> Mapping[str, Binding]:
    """What a gate may read."""
    names = {"score": Binding(FLOAT, Variable(name="score"))}
    if baseline:
        group = Group("the results of the baseline", {"score": Member("score", FLOAT)}, "result", "DS0806")
        names["baseline"] = Binding(group, Variable(name="baseline"))
    return names


def _gate(session: Session, place: Place, item: Gate, baseline: bool) -> ir.Gate:
    if not baseline and any(part == "baseline" for part in _words(item.condition)):
        session.report(
            "DS0806",
            "this gate reads `baseline`, and the block names no baseline",
            place.at(item.condition),
            "no baseline to compare with",
            help="add `baseline = …`",
            fixes=insert_item(place, "baseline = router", "Insert `baseline = …`"),
        )
        baseline = True
    scope = Scope(session, place, gate_names(baseline), "a gate")
    condition = truth(scope, item.condition, "a gate")
    return ir.Gate(text=" ".join(place.text(item.condition).split()), condition=condition)


def _words(node: object) -> set[str]:
    """The names that an expression reads."""
    from dataclasses import fields as parts
    from dataclasses import is_dataclass

    if isinstance(node, Reference):
        return {node.name.text}
    if isinstance(node, tuple):
        return set[str]().union(*(_words(item) for item in node))
    if is_dataclass(node) and not isinstance(node, type):
        return set[str]().union(*(_words(getattr(node, part.name)) for part in parts(node)))
    return set()
