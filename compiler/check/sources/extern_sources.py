"""Where an extern comes from: the arguments of its source, and what can be seen of it.

For `python(…)` that is the function's text, compared with the declaration; for an index over a file
the file and its columns. Nothing is imported, started or called.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence

from dspec.grammar.tree import Argument, Call, Expr, Literal, Name
from dspec.runtime.schema.types import DictOf, OneOf, Type

from ... import ir
from ...data import DataError, Places, diagnose, probe
from ...diagnostics.fixes import replace, suggestions
from ...diagnostics.record import Edit, Fix, Label
from ...diagnostics.spelling import closest
from ...diagnostics.wording import article, did_you_mean, listed, quoted
from ...project.source import Location
from ...tables.vocabulary import EXTERN_SOURCES, SOURCES, SourceParameter
from ..names.names import resolve
from ..session import Place, Session
from ..shape.arguments import match_arguments
from ..shape.attributes import described, number_of
from ..symbols import Symbol
from ..types.annotations import type_of
from ..types.kinds import ANY, Group, Member, assignable, is_text, spell
from .data_files import data_file
from .python_source import REFERENCE, Function, Missing, Module, find_module


def check_source(
    session: Session,
    place: Place,
    symbol: Symbol,
    source: Call,
    name: Name,
    inputs: Mapping[str, Member],
    result: Type | Group,
) -> bool:
    """Report what is wrong with an extern's source. True when it brings a description of its own."""
    specs = EXTERN_SOURCES.get(name.text)
    if specs is None:
        near = closest(name.text, EXTERN_SOURCES)
        session.report(
            "DS0211",
            f"an extern cannot come from `{name.text}`{did_you_mean(near)}",
            place.at(name),
            "unknown source",
            help="" if near else f"it comes from {quoted(EXTERN_SOURCES, 'or')}",
            fixes=suggestions(place.at(name), near),
        )
        return True
    read = source_texts(session, place, source, name, specs)
    if read is None:
        return True
    given, texts = read
    if name.text == "python":
        return _python(session, place, symbol, *texts["function"], inputs, result)
    if name.text == "mcp":
        _one_of(session, place, source, given)
    if "file" in texts:
        _file(session, place, texts["file"], texts.get("text"))
    return False


def source_texts(
    session: Session, place: Place, node: Call, name: Name, specs: Sequence[SourceParameter]
) -> tuple[dict[str, tuple[Argument, ...]], dict[str, tuple[str, Expr]]] | None:
    """A source's arguments by parameter, and those that are texts; None where a mistake was reported."""
    names = [spec.name for spec in specs]
    required = {spec.name for spec in specs if spec.required}
    shape = ", ".join(f"{spec.name} = …" for spec in specs)
    mistakes = len(session.diagnostics)
    what = f"`{name.text}`"
    given = match_arguments(session, place, node, what, names, required, f"`{name.text}({shape})`")
    texts: dict[str, tuple[str, Expr]] = {}
    for spec in specs:
        for argument in given.get(spec.name, ()):
            text = text_argument(session, place, name.text, spec.name, spec.value, argument)
            if text is not None:
                texts[spec.name] = (text, argument.value)
    return None if len(session.diagnostics) > mistakes else (given, texts)


def text_argument(
    session: Session, place: Place, source: str, name: str, kind: str, argument: Argument
) -> str | None:
    """The text that a source is given for its parameter `name`; reports what is none. None for other kinds."""
    node = argument.value
    what = f"`{name}` of `{source}`"
    if kind == "lm":
        resolve(session, place, node, ("lm",), what)
        return None
    if kind == "integer":
        number = number_of(node)
        if isinstance(number, int) and number >= 1:
            return None
        wanted = "a whole number from 1 up"
    elif isinstance(node, Literal) and isinstance(node.value, str) and node.value.strip():
        return node.value
    else:
        wanted = "text in quotes"
    session.report(
        "DS0110",
        f"{what} takes {wanted}, and this is {described(place, node)}",
        place.at(node),
        described(place, node),
    )
    return None


def _one_of(session: Session, place: Place, source: Call, given: Mapping[str, object]) -> None:
    """A tool's server is either started by a command or reached by an address."""
    wanted = [name for name in ("command", "url") if name in given]
    if len(wanted) != 1:
        session.report(
            "DS0302" if not wanted else "DS0106",
            "`mcp` needs the server's `command` or its `url`"
            if not wanted
            else "`mcp` takes the server's `command` or its `url`, not both",
            place.at(source.callee if not wanted else source),
            "which server?",
        )


def _file(session: Session, place: Place, file: tuple[str, Expr], column: tuple[str, Expr] | None) -> None:
    """The data file behind an index: inside the project, readable, with the column that is searched."""
    path, node = file
    relative = data_file(session, place, path, node)
    if relative is None or not session.probe:
        return
    ending = path.rpartition(".")[2]
    match ending:
        case "csv" | "jsonl" | "json" | "parquet":
            source = ir.DataSource(kind=ending, path=relative)
        case _:
            session.report(
                "DS0110",
                f'"{path}" does not end like a data file',
                place.at(node),
                "which format?",
                help=f"a data file ends with {quoted([f'.{each}' for each in SOURCES], 'or')}",
            )
            return
    try:
        found = probe(source, session.folder, root=session.root, cache=session.cache)
    except DataError as error:
        places = Places(source=place.at(node))
        session.diagnostics += [diagnose(problem, places).told() for problem in error.problems]
        return
    if column is not None and column[0] not in found.columns:
        near = closest(column[0], found.columns)
        session.report(
            "DS0402",
            f"column `{column[0]}` is not in `{path}`{did_you_mean(near)}",
            place.at(column[1]),
            "no such column",
            secondary=(Label(place.at(node), "read from here"),),
            help="" if near else f"its columns are {listed(found.columns)}",
            fixes=suggestions(place.at(column[1]), tuple(f'"{each}"' for each in near)),
        )


# Python -----------------------------------------------------------------------------------------


def _python(
    session: Session,
    place: Place,
    symbol: Symbol,
    written: str,
    node: Expr,
    inputs: Mapping[str, Member],
    result: Type | Group,
) -> bool:
    found = find_function(session, place, written, node)
    if found is None:
        return True
    module, function = found
    if function is None:
        return True
    _compare(session, place, symbol, module, function, inputs, result)
    return bool(ast.get_docstring(function, clean=False))


def find_function(
    session: Session, place: Place, written: str, node: Expr
) -> tuple[Module, Function | None] | None:
    """The function that `module:function` names; reports what is not there, and gives None.

    The function itself is None where it may be bound in a way that cannot be seen.
    """
    reference = REFERENCE.fullmatch(written)
    if reference is None:
        dotted = written.replace("/", ".").removesuffix(".py")
        fix = ()
        if ":" not in written and REFERENCE.fullmatch(":".join(dotted.rpartition(".")[::2])):
            better = ":".join(dotted.rpartition(".")[::2])
            fix = (replace(place.at(node), f'"{better}"'),)
        session.report(
            "DS0206",
            f'"{written}" names no Python function: it is a module, a colon and a function',
            place.at(node),
            "not `module:function`",
            help='for example `python("tools.search:find")`',
            fixes=fix,
        )
        return None
    module_name, name = reference[1], reference[2]
    module = find_module(module_name, place.source.path.parent, session.root)
    if isinstance(module, Missing):
        _missing_module(session, place, node, module, name)
        return None
    function = module.functions.get(name)
    if function is None and not module.open and name not in module.names:
        _missing_function(session, place, node, module, module_name, name)
        return None
    return module, function


def _missing_module(session: Session, place: Place, node: Expr, module: Missing, name: str) -> None:
    hint = "modules are looked for beside this file, in the project's root and in its `src`"
    if module.there:
        hint = f"there is {listed(module.there)}; " + hint
    if module.near:
        hint = ""
    session.report(
        "DS0206",
        f"{module.reason}{did_you_mean(module.near)}",
        place.at(node),
        "not found",
        help=hint,
        fixes=suggestions(place.at(node), tuple(f'"{near}:{name}"' for near in module.near)),
    )


def _missing_function(
    session: Session, place: Place, node: Expr, module: Module, module_name: str, name: str
) -> None:
    known = [each for each in module.functions if not each.startswith("_")] or list(module.functions)
    near = closest(name, known)
    session.report(
        "DS0206",
        f"`{module.source.name}` has no function `{name}`{did_you_mean(near)}",
        place.at(node),
        "not found there",
        secondary=tuple(
            Label(module.heading(module.functions[each]), f"`{each}` is defined here") for each in near[:1]
        ),
        help="" if near else f"it has {listed(known)}" if known else "it defines no function at all",
        fixes=suggestions(place.at(node), tuple(f'"{module_name}:{each}"' for each in near)),
    )


def _compare(
    session: Session,
    place: Place,
    symbol: Symbol,
    module: Module,
    function: Function,
    inputs: Mapping[str, Member],
    result: Type | Group,
) -> None:
    """Does the declaration fit the function's own parameters and result? Inputs are given by name."""
    arguments = function.args
    by_name = {each.arg: each for each in (*arguments.args, *arguments.kwonlyargs)}
    taken = [*arguments.posonlyargs, *arguments.args]
    with_default = {each.arg for each in taken[len(taken) - len(arguments.defaults) :]}
    with_default |= {
        each.arg
        for each, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        if default is not None
    }
    heading = module.heading(function)
    where = f"{module.source.name}:{module.source.position(heading.start).line}"
    positional = [each.arg for each in arguments.posonlyargs if each.arg not in with_default]
    misspelt: set[str] = set()
    for name, member in inputs.items():
        parameter = by_name.get(name)
        at = member.location or symbol.location
        if parameter is None:
            if arguments.kwarg is not None or name in positional:
                continue
            near = closest(name, [each for each in by_name if each not in inputs])
            misspelt.update(near)
            session.report(
                "DS0308",
                f"extern `{symbol.name}` has the input `{name}`, and its Python function takes no such "
                f"argument{did_you_mean(near)}",
                at,
                "not taken by the function",
                secondary=(
                    Label(heading, f"takes {quoted(by_name)}" if by_name else "takes nothing by name"),
                ),
                fixes=suggestions(at, near),
            )
            continue
        kind = type_of(parameter.annotation)
        if not assignable(member.type, kind):
            _differ(session, place, symbol, module, name, parameter, member, kind, where)
    needed = [name for name in by_name if name not in inputs and name not in with_default]
    absent = [name for name in needed if name not in misspelt and name != "self"]
    if absent or positional:
        what = quoted(absent or positional)
        session.report(
            "DS0308",
            f"the Python function of `{symbol.name}` needs {what}"
            + ("" if absent else " by position, and inputs are given by name"),
            symbol.location,
            f"does not declare {what}" if absent else "cannot be called",
            secondary=(Label(heading, f"needs {what}"),),
            help=f"declare it as an input of `{symbol.name}`, or give it a default in {where}"
            if absent
            else f"take the `/` out of the parameters in {where}",
        )
    _returned(session, place, symbol, module, function, result, where)


def _differ(
    session: Session,
    place: Place,
    symbol: Symbol,
    module: Module,
    name: str,
    parameter: ast.arg,
    member: Member,
    kind: Type,
    where: str,
) -> None:
    node = next((each.type for each in place.declaration.parameters or () if each.name.text == name), None)
    at = place.at(node) if node is not None else member.location or symbol.location
    session.report(
        "DS0308",
        f"`{name}` of extern `{symbol.name}` is declared as {spell(member.type)}, and its Python function "
        f"takes {article(spell(kind))}",
        at,
        f"declared as {spell(member.type)}",
        secondary=(Label(module.place(parameter), f"takes {spell(kind)}"),),
        help=f"change one of them; the function is in {where}",
        fixes=_declare_as(at, kind) if node is not None else (),
    )


def _returned(
    session: Session,
    place: Place,
    symbol: Symbol,
    module: Module,
    function: Function,
    result: Type | Group,
    where: str,
) -> None:
    kind = type_of(function.returns)
    node = place.declaration.returns
    if kind == ANY or node is None or function.returns is None:
        return
    if isinstance(result, Group):
        fits = isinstance(kind, DictOf)  # several named outputs come as one dict
    else:
        # A function that says `str` may well keep to a union of texts; what it gives is checked when it runs.
        fits = assignable(kind, result) or (is_text(kind) and (isinstance(result, OneOf) or is_text(result)))
    if fits:
        return
    at = place.at(node) if not isinstance(node, tuple) else symbol.location
    wanted = spell(result)
    session.report(
        "DS0308",
        f"extern `{symbol.name}` is declared to return {wanted}, and its Python function returns "
        f"{article(spell(kind))}",
        at,
        f"declared as {wanted}",
        secondary=(Label(module.place(function.returns), f"returns {spell(kind)}"),),
        help=f"change one of them; the function is in {where}",
        fixes=_declare_as(at, kind) if not isinstance(node, tuple) else (),
    )


def _declare_as(at: Location, kind: Type) -> tuple[Fix, ...]:
    """Either side may be the wrong one, so the fix is offered, never applied unseen."""
    return (Fix(f"Declare it as `{spell(kind)}`", (Edit(at, spell(kind)),), "maybe"),)
