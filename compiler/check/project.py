"""Every declaration of a project, checked; and the IR of a project without errors."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TypeVar

from dspec.runtime.schema.program import LM, Program

from .. import ir
from ..project.loading import File
from ..project.source import Location
from .chain.evals import evaluation
from .chain.optimize import optimize
from .declarations.datasets import dataset
from .declarations.externs import check_test, extern
from .declarations.lms import check_defaults, lm
from .declarations.metrics import metric
from .declarations.records import record, record_fields
from .declarations.runnable import runnable
from .declarations.signatures import signature
from .session import Place, Session
from .shape.shape import check_shape
from .symbols import FileScope, Symbol
from .types.typenames import alias


def check_declarations(session: Session, file: File, scope: FileScope) -> None:
    """Check the shape of every declaration of a file, then what each one means."""
    for block in file.tree.blocks:
        if block.declaration is not None:
            place = Place(scope, block, block.declaration)
            session.guarded(place.at(block.declaration.keyword), partial(check_shape, session, place))
    session.guarded(Location(file.source, 0, 0), partial(check_defaults, session, scope))
    doubles = [symbol for symbol in session.doubles if session.owners[id(symbol)] is scope]
    for symbol in (*scope.symbols.values(), *doubles):
        session.guarded(symbol.location, partial(_check, session, symbol))


def _check(session: Session, symbol: Symbol) -> None:
    match symbol.kind:
        case "type":
            alias(session, symbol)
        case "record":
            record_fields(session, symbol)
            record(session, symbol)
        case "lm":
            lm(session, symbol)
        case "signature":
            signature(session, symbol)
        case "module" | "program":
            runnable(session, symbol)
        case "extern":
            extern(session, symbol)
        case "dataset":
            dataset(session, symbol)
        case "metric":
            metric(session, symbol)
        case "optimize":
            optimize(session, symbol)
        case "eval":
            evaluation(session, symbol)
        case "test":
            check_test(session, symbol)
        case _:
            pass


def lower(session: Session, found: Mapping[Path, FileScope]) -> ir.Project:
    """The IR of a project that has no errors."""
    lms: dict[str, LM] = {}
    programs: dict[str, Program] = {}
    unbound: dict[str, tuple[str, ...]] = {}
    datasets: dict[str, ir.Dataset] = {}
    metrics: dict[str, ir.Metric] = {}
    optimizes: dict[str, ir.Optimize] = {}
    evals: dict[str, ir.Eval] = {}
    for scope in found.values():
        for symbol in scope.symbols.values():
            match symbol.kind:
                case "lm":
                    _keep(lms, symbol, lm(session, symbol))
                case "module" | "program":
                    ready = runnable(session, symbol)
                    if ready is not None and ready.program is not None:
                        programs[symbol.key] = ready.program
                        unbound[symbol.key] = ready.unbound
                case "dataset":
                    data = dataset(session, symbol)
                    _keep(datasets, symbol, data.dataset if data else None)
                case "metric":
                    judge = metric(session, symbol)
                    _keep(metrics, symbol, judge.metric if judge else None)
                case "optimize":
                    block = optimize(session, symbol)
                    _keep(optimizes, symbol, block.optimize if block else None)
                case "eval":
                    _keep(evals, symbol, evaluation(session, symbol))
                case _:
                    pass
    return ir.Project(
        lms=lms,
        programs=programs,
        unbound=unbound,
        datasets=datasets,
        metrics=metrics,
        optimizes=optimizes,
        evals=evals,
    )


V = TypeVar("V")


def _keep(table: dict[str, V], symbol: Symbol, value: V | None) -> None:
    if value is not None:
        table[symbol.key] = value
