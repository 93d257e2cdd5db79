"""python: what a Python function of the project gives, called without arguments.

A check reads the function's text and runs nothing. Its rows are asked for in an interpreter of its own
(`python_run`).
"""

from __future__ import annotations

import ast
import hashlib
import os
from pathlib import Path

from dspec.runtime.schema.types import JsonValue

from ... import ir
from ...diagnostics import codes
from ...project.source import Location
from .. import opening
from .base import Checking, Fetch, FetchedSource, Snapshot, SourceParameter, Written
from .python_module import REFERENCE, Function, Missing, Module, find_module, needed


def _check(checking: Checking, written: Written) -> ir.DataSource | None:
    text, place = written.texts["function"]
    found = find_function(checking, written.beside, text, place)
    if found is None:
        return None
    module, function = found
    if function is not None and not _callable(checking, place, module, function):
        return None
    name, _, attribute = text.partition(":")
    path = Path(os.path.relpath(module.source.path, checking.folder)).as_posix()
    return ir.DataSource(kind=SOURCE.name, path=path, options={"module": name, "function": attribute})


def _callable(checking: Checking, place: Location, module: Module, function: Function) -> bool:
    """Whether the function can be called for rows as it is: without arguments, and without waiting."""
    missing = needed(function)
    if not missing and not isinstance(function, ast.AsyncFunctionDef):
        return True
    checking.report(codes.externs.NotForRows(place, module.heading(function), tuple(missing)))
    return False


def find_function(
    checking: Checking, beside: Path, written: str, place: Location
) -> tuple[Module, Function | None] | None:
    """The function that `module:function` names in a file of the folder `beside`; reports what is not there, and
    gives None.

    The function itself is None where it may be bound in a way that cannot be seen.
    """
    reference = REFERENCE.fullmatch(written)
    if reference is None:
        dotted = ":".join(written.replace("/", ".").removesuffix(".py").rpartition(".")[::2])
        better = dotted if ":" not in written and REFERENCE.fullmatch(dotted) else ""
        checking.report(codes.functions.NotAReference(place, written, better))
        return None
    module_name, name = reference[1], reference[2]
    module = find_module(module_name, beside, checking.root)
    if isinstance(module, Missing):
        checking.report(codes.functions.NoPythonModule(place, module_name, name, module.reason, module.there))
        return None
    function = module.functions.get(name)
    if function is None and not module.open and name not in module.names:
        own = {key: each for key, each in module.functions.items() if not key.startswith("_")}
        known = tuple((key, module.heading(each)) for key, each in (own or module.functions).items())
        checking.report(codes.functions.NoPythonFunction(place, module.source.name, module_name, name, known))
        return None
    return module, function


def _identity(source: ir.DataSource, folder: Path, root: Path) -> list[JsonValue]:
    """Its rows are those of the module as it is now. Raises DataError where that is not there."""
    real = opening.resolve_inside(source.path, folder, root)
    with opening.open_inside(source.path, folder, root) as stream:
        text = hashlib.sha256(stream.read(opening.MAX_LINE_BYTES)).hexdigest()
    return [source.kind, real.relative_to(root.resolve()).as_posix(), source.options, text]


def _title(source: ir.DataSource) -> str:
    return f"{source.options.get('module')}:{source.options.get('function')}"


def _fetch(order: Fetch) -> Snapshot:
    from .python_run import call  # no check needs what starts a process

    return Snapshot(source=order.source, file="", rows=call(order))


SOURCE = FetchedSource(
    name="python",
    doc="What a Python function gives: an iterable of mappings of JSON values.",
    parameters=(
        SourceParameter(
            "function",
            "text",
            required=True,
            doc="`module:function`, found like an extern's and called without arguments.",
        ),
    ),
    check=_check,
    fetch=_fetch,
    title=_title,
    identity=_identity,
    unknown="its function has not been run as it is now",
)
