"""Every declaration of a project, checked; and the IR of a project without errors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import TypeVar

from dspec.runtime.schema.program import LM, Program, Tool

from .. import ir
from ..project.source import Location
from ..tables.block_specs import SymbolKind
from .chain.evals import evaluation
from .chain.optimize import optimize
from .chain.tests import test
from .declarations.datasets import dataset
from .declarations.externs import extern
from .declarations.lms import check_defaults, lm
from .declarations.lms import training as how_trained
from .declarations.metrics import metric
from .declarations.modules import module
from .declarations.programs import program
from .declarations.records import check_endless, record
from .declarations.signatures import signature
from .names.files import FileNames, Unit
from .session import MAX_STEPS, Check, Place, Session
from .shape.shape import check_shape
from .shape.syntax import check_syntax
from .symbols import FileScope, Symbol
from .types.declared import runnable, saved
from .types.typenames import alias

DECLARATIONS: Mapping[SymbolKind, Check] = {
    "type": alias,
    "record": record,
    "lm": lm,
    "signature": signature,
    "module": module,
    "program": program,
    "extern": extern,
    "dataset": dataset,
    "metric": metric,
    "optimize": optimize,
    "eval": evaluation,
    "test": test,
}
"""The check of each kind of declaration. `Session.checked` looks up what it gives."""


def check_declarations(session: Session, names: FileNames) -> None:
    """Check the syntax and the shape of the declarations of a file that wait for it, then what each one means."""
    units, declaring = names.in_order()
    for unit in units:
        at = Location(names.scope.source, 0, 0, unit.block)
        session.guarded(at, partial(session.once, check_block, unit))
        session.forget_empty(check_block, unit)
    start = Location(names.scope.source, 0, 0)
    session.guarded(start, partial(session.once, check_defaults, names.scope))
    for unit in declaring:
        at = Location(names.scope.source, 0, 0, unit.block)
        session.guarded(at, partial(session.once, check_declaration, unit))
    if not session.crashes and session.reads.steps <= MAX_STEPS:  # or what failed is tried again
        names.waiting.clear()


def check_block(session: Session, unit: Unit) -> bool:
    """What is wrong with the syntax and the shape of a block. True: the result is that it was looked at."""
    check_syntax(session, unit.scope.source, unit.block)
    if unit.block.declaration is not None:
        check_shape(session, Place(unit.scope, unit.block, unit.block.declaration))
    return True


def check_declaration(session: Session, unit: Unit) -> bool:
    """What is wrong with a declaration, whatever its kind is."""
    symbol = unit.symbol
    if symbol is not None:
        session.checked(symbol)
        if symbol.kind == "record":
            check_endless(session, symbol)
    return True


def lower(session: Session, found: Iterable[FileScope]) -> ir.Project:
    """The IR of a project that has no errors."""
    lms: dict[str, LM] = {}
    training: dict[str, ir.TrainSettings] = {}
    programs: dict[str, Program] = {}
    unbound: dict[str, tuple[str, ...]] = {}
    datasets: dict[str, ir.Dataset] = {}
    metrics: dict[str, ir.Metric] = {}
    optimizes: dict[str, ir.Optimize] = {}
    evals: dict[str, ir.Eval] = {}
    tests: dict[str, ir.Test] = {}
    externs: dict[str, Tool] = {}
    places: dict[str, str] = {}
    for scope in found:
        for symbol in scope.symbols.values():
            match symbol.kind:
                case "lm":
                    _keep(lms, symbol, lm(session, symbol))
                    _keep(training, symbol, how_trained(session, symbol))
                case "module" | "program":
                    ready = runnable(session, symbol)
                    if ready is not None and ready.program is not None:
                        programs[symbol.key] = ready.program
                        own = ready.program.modules.get(symbol.key)
                        if own is not None and own.function is not None:
                            externs[symbol.key] = ready.program.tools[own.function.tool]
                            places[own.function.tool] = symbol.location.told
                        unbound[symbol.key] = ready.unbound
                case "dataset":
                    data = dataset(session, symbol)
                    _keep(datasets, symbol, data.dataset if data else None)
                case "metric":
                    measure = metric(session, symbol)
                    _keep(metrics, symbol, measure.placed if measure else None)
                    for judge in measure.asked if measure else ():
                        externs |= judge.program.tools
                case "optimize":
                    block = optimize(session, symbol)
                    _keep(optimizes, symbol, block.optimize if block else None)
                case "eval":
                    _keep(evals, symbol, evaluation(session, symbol))
                case "test":
                    tested = test(session, symbol)
                    _keep(tests, symbol, tested.placed if tested else None)
                case "extern":
                    declared = extern(session, symbol)
                    _keep(externs, symbol, declared.tool if declared else None)
                    places[symbol.key] = symbol.location.told
                case _:
                    pass
    for one in saved(session):
        unbound[one.symbol.key] = one.unbound
    project = ir.Project(
        lms=lms,
        training=training,
        programs=programs,
        externs=externs,
        places=places,
        unbound=unbound,
        datasets=datasets,
        metrics=metrics,
        optimizes=optimizes,
        evals=evals,
        tests=tests,
    )
    made = {
        one.symbol.key: project.on_declared(one.content) for one in saved(session) if one.content is not None
    }
    return project.model_copy(update={"made": made}) if made else project


V = TypeVar("V")


def _keep(table: dict[str, V], symbol: Symbol, value: V | None) -> None:
    if value is not None:
        table[symbol.key] = value
