"""Sources whose rows are no file of the project: `python(…)` and `huggingface(…)`.

What can be seen without asking is checked: the function's text, the dataset's name. Rows come from what
was kept; they are asked for only where the session says so.
"""

from __future__ import annotations

import ast
import os
import re
from pathlib import Path

from dspec.grammar.tree import Call, Expr, Name
from dspec.runtime.schema.types import JsonValue

from ... import ir
from ...data import DataError, Findings
from ...diagnostics.record import Label
from ...diagnostics.wording import plural, quoted
from ...tables.vocabulary import FETCHED_SOURCES
from ..session import Place, Session
from .extern_sources import find_function, source_texts
from .python_source import Function, Module

_REPO = re.compile(r"(?:[A-Za-z0-9][\w.-]*/)?[A-Za-z0-9][\w.-]*", re.ASCII)


def fetched_source(session: Session, place: Place, node: Call, name: Name) -> ir.DataSource | None:
    """The source that a dataset's `python(…)` or `huggingface(…)` names; reports what is wrong with it."""
    read = source_texts(session, place, node, name, FETCHED_SOURCES[name.text].parameters)
    if read is None:
        return None
    _, texts = read
    if name.text == "python":
        return _python(session, place, *texts["function"])
    return _huggingface(session, place, texts)


def fetched(session: Session, source: ir.DataSource) -> Findings | None:
    """Ask for the rows where the session says so: what went wrong, None if nothing did."""
    try:
        kept = session.fetcher.fetch(source, session.folder, session.root)
    except DataError as error:
        session.fetched.append(f"fetched no rows of {source.title}")
        return Findings(problems=error.problems)
    if kept is not None:
        commit = f" at {kept.commit[:12]}" if kept.commit else ""
        session.fetched.append(f"fetched {plural(kept.rows, 'row')} of {source.title}{commit}")
    return None


def _huggingface(session: Session, place: Place, texts: dict[str, tuple[str, Expr]]) -> ir.DataSource | None:
    repo, node = texts["repo"]
    if not _REPO.fullmatch(repo) or ".." in repo or len(repo) > 96:
        session.report(
            "DS0110",
            f'"{repo[:80]}" is no name of a dataset on the hub: that is an owner, a slash and a name',
            place.at(node),
            "not `owner/name`",
            help='for example `huggingface("stanfordnlp/imdb", split = "train")`',
        )
        return None
    parameters = FETCHED_SOURCES["huggingface"].parameters
    options: dict[str, JsonValue] = {spec.name: spec.default for spec in parameters if spec.default}
    options |= {name: text for name, (text, _) in texts.items() if name != "repo"}
    return ir.DataSource(kind="huggingface", path=repo, options=options)


def _python(session: Session, place: Place, written: str, node: Expr) -> ir.DataSource | None:
    found = find_function(session, place, written, node)
    if found is None:
        return None
    module, function = found
    if function is not None and not _callable(session, place, node, module, function):
        return None
    name, _, attribute = written.partition(":")
    path = Path(os.path.relpath(module.source.path, session.folder)).as_posix()
    return ir.DataSource(kind="python", path=path, options={"module": name, "function": attribute})


def _callable(session: Session, place: Place, node: Expr, module: Module, function: Function) -> bool:
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
    session.report("DS0308", message, place.at(node), "cannot be called", secondary=(heading,), help=advice)
    return False
