"""What a string of the file stands for: a file, a Python function, a model, an environment variable."""

from __future__ import annotations

import ast
from pathlib import Path

from dspec.compiler.check.sources.externs.table import EXTERN_SOURCES
from dspec.compiler.data.opening import resolve_inside
from dspec.compiler.data.problem import DataError
from dspec.compiler.data.sources.python_module import REFERENCE, Module, find_module
from dspec.compiler.data.sources.table import SOURCES
from dspec.compiler.diagnostics.wording import plural
from dspec.compiler.project.source import Location
from dspec.compiler.tables.models import EMBEDDED, unknown_provider
from dspec.grammar.tree import Argument, Call, Declaration, Literal, Reference, Setting
from dspec.runtime.models.endpoints import split_model

from .markdown import block, code, joined, plain
from .words import CursorWord


def hover_of_string(word: CursorWord) -> str:
    role = role_of(word)
    match role:
        case "path":
            found = data_file(word)
            if found is None:
                return ""
            return f"Data file of {plural(found.stat().st_size, 'byte')}."
        case "python":
            return _of_function(word)
        case "model":
            return _of_model(word.value)
        case "environment":
            return "An environment variable, read when the program runs and never by the editor."
        case _:
            return ""


def role_of(word: CursorWord) -> str:
    """`import`, `path`, `python`, `model` or `environment`; empty for any other text."""
    if not word.way or not isinstance(word.way[-1], Literal):
        return ""
    parent = word.way[-2] if len(word.way) > 1 else None
    if isinstance(parent, Declaration) and word.keyword == "import":
        return "import"
    if isinstance(parent, Setting) and word.keyword == "lm" and parent.name.text == "model":
        return "model"
    call = word.way[-3] if len(word.way) > 2 else None
    if not (isinstance(parent, Argument) and isinstance(call, Call) and isinstance(call.callee, Reference)):
        return ""
    callee = call.callee.name.text
    if callee == "env":
        return "environment"
    table = SOURCES if word.keyword == "dataset" else EXTERN_SOURCES
    source = table.get(callee)
    if callee == "python":
        return "python" if parent.name is None or parent.name.text == "function" else ""
    if source is None:
        return ""
    first = source.parameters[0]
    name = parent.name.text if parent.name else first.name if parent is call.arguments[0] else ""
    parameter = next((one for one in source.parameters if one.name == name), None)
    return "path" if parameter is not None and parameter.value == "path" else ""


def data_file(word: CursorWord) -> Path | None:
    """The file inside the project that a path names, as its source's own folder counts it."""
    return inside(word.value, word)


def inside(path: str, word: CursorWord) -> Path | None:
    session = word.analysis.session
    try:
        return resolve_inside(path, word.analysis.source.path.parent, session.root)
    except DataError:
        return None


def imported(word: CursorWord) -> Path | None:
    """The source that an import names, where it could be read."""
    declaration = word.block.declaration if word.block else None
    name = declaration.name.text if declaration and declaration.name else ""
    scope = word.analysis.symbols.scope.imports.get(name)
    return scope.source.path if scope else None


def function_place(word: CursorWord) -> tuple[Module, Location | None] | None:
    """The module that `module:function` names, read and never imported, and where the function is."""
    found = REFERENCE.fullmatch(word.value)
    if found is None:
        return None
    session = word.analysis.session
    module = find_module(found[1], word.analysis.source.path.parent, session.root)
    if not isinstance(module, Module):
        return None
    function = module.functions.get(found[2])
    return module, module.heading(function) if function is not None else None


def _of_function(word: CursorWord) -> str:
    place = function_place(word)
    found = REFERENCE.fullmatch(word.value)
    if place is None or found is None:
        return ""
    module = place[0]
    function = module.functions.get(found[2])
    if function is None:
        return f"{code(module.source.name)} has no function {code(found[2])} that can be read."
    returns = f" -> {ast.unparse(function.returns)}" if function.returns else ""
    head = "async def" if isinstance(function, ast.AsyncFunctionDef) else "def"
    shape = f"{head} {function.name}({ast.unparse(function.args)}){returns}"
    return joined(
        block(shape, "python"), plain(ast.get_docstring(function) or ""), f"In {code(module.source.name)}."
    )


def _of_model(model: str) -> str:
    provider, name = split_model(model)
    if provider == EMBEDDED:
        return "The learner that comes with dspc: offline, deterministic and free. It is no language model."
    if unknown_provider(model) is not None:
        return f"No provider is known that is called {code(provider or model)}."
    return f"Model {code(name)} of {code(provider)}." if provider else f"Model {code(model)}."
