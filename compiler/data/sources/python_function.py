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
from ...diagnostics.fixes import replace, suggestions
from ...diagnostics.record import Label
from ...diagnostics.spelling import closest
from ...diagnostics.wording import did_you_mean, listed, quoted
from ...project.source import Location
from .. import opening
from .base import Checking, Fetch, FetchedSource, Snapshot, SourceParameter, Written
from .python_module import REFERENCE, Function, Missing, Module, find_module


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
    arguments = function.args
    taken = [*arguments.posonlyargs, *arguments.args]
    needed = [each.arg for each in taken[: len(taken) - len(arguments.defaults)]]
    pairs = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    needed += [each.arg for each, default in pairs if default is None]
    where = f"{module.source.name}:{module.source.position(module.heading(function).start).line}"
    if needed:
        message = f"`{function.name}` is called for rows without arguments, and it needs {quoted(needed)}"
        label, advice = f"needs {quoted(needed)}", f"give each a default in {where}"
    elif isinstance(function, ast.AsyncFunctionDef):
        message = f"`{function.name}` is called for rows and not waited for, and it is `async`"
        label, advice = "is `async`", f"write it as a plain function in {where}"
    else:
        return True
    heading = Label(module.heading(function), label)
    checking.report("DS0308", message, place, "cannot be called", secondary=(heading,), help=advice)
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
        dotted = written.replace("/", ".").removesuffix(".py")
        fix = ()
        if ":" not in written and REFERENCE.fullmatch(":".join(dotted.rpartition(".")[::2])):
            better = ":".join(dotted.rpartition(".")[::2])
            fix = (replace(place, f'"{better}"'),)
        checking.report(
            "DS0206",
            f'"{written}" names no Python function: it is a module, a colon and a function',
            place,
            "not `module:function`",
            help='for example `python("tools.search:find")`',
            fixes=fix,
        )
        return None
    module_name, name = reference[1], reference[2]
    module = find_module(module_name, beside, checking.root)
    if isinstance(module, Missing):
        _missing_module(checking, place, module, name)
        return None
    function = module.functions.get(name)
    if function is None and not module.open and name not in module.names:
        _missing_function(checking, place, module, module_name, name)
        return None
    return module, function


def _missing_module(checking: Checking, place: Location, module: Missing, name: str) -> None:
    hint = "modules are looked for beside this file, in the project's root and in its `src`"
    if module.there:
        hint = f"there is {listed(module.there)}; " + hint
    if module.near:
        hint = ""
    checking.report(
        "DS0206",
        f"{module.reason}{did_you_mean(module.near)}",
        place,
        "not found",
        help=hint,
        fixes=suggestions(place, tuple(f'"{near}:{name}"' for near in module.near)),
    )


def _missing_function(
    checking: Checking, place: Location, module: Module, module_name: str, name: str
) -> None:
    known = [each for each in module.functions if not each.startswith("_")] or list(module.functions)
    near = closest(name, known)
    checking.report(
        "DS0206",
        f"`{module.source.name}` has no function `{name}`{did_you_mean(near)}",
        place,
        "not found there",
        secondary=tuple(
            Label(module.heading(module.functions[each]), f"`{each}` is defined here") for each in near[:1]
        ),
        help="" if near else f"it has {listed(known)}" if known else "it defines no function at all",
        fixes=suggestions(place, tuple(f'"{module_name}:{each}"' for each in near)),
    )


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
