"""Completion within texts: files, columns, models, variables of the environment, Python functions.

Only what lies inside the project is listed, and nothing is imported, run or connected to. What the check would refuse
right there is not offered.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

from msgspec.structs import replace

from dspec.compiler import ir
from dspec.compiler.check import query
from dspec.compiler.check.sources.externs.table import EXTERN_SOURCES
from dspec.compiler.data import DataError
from dspec.compiler.data.opening import resolve_inside
from dspec.compiler.data.probing import Probe, glance
from dspec.compiler.data.sources.base import FileSource, SourceParameter
from dspec.compiler.data.sources.python_module import Missing, Module, find_module
from dspec.compiler.data.sources.table import SOURCES, is_ending, kind_by_ending
from dspec.compiler.project.loading import read_text
from dspec.compiler.tables.models import EMBEDDED, models_of, provider_names
from dspec.grammar import parse
from dspec.runtime.models.endpoints import PROVIDERS, split_model
from dspec.runtime.schema.types import spell

from .cursor import Cursor, Spot, terminal, word
from .here import Here
from .offers import Offer

MAX_LISTED = 200
"""Files of a folder, models of a provider, functions of a module that are offered."""
MAX_TRIED = 60
"""Offers that are checked one by one; further ones are left out."""
MAX_FOLLOWED = 50
"""Sources that are read to find out whether one of them leads back."""
LOOKED = 500
"""Rows of a data file that are looked at for its columns."""
_IMPORT = re.compile(r'^import[ \t]*"([^"\n\\]*)"', re.MULTILINE)
_ENV = re.compile(r'\benv\([ \t]*"([A-Za-z_]\w*)"')
_NAMES_OF_KEYS = re.compile(r"[A-Z][A-Z0-9_]*_(?:API_KEY|KEY|TOKEN|API_BASE|BASE_URL|ENDPOINT|URL)")


def text_offers(here: Here) -> list[Offer] | None:
    """What may stand in the text under the cursor; None where texts of that place have no list."""
    cursor = here.cursor
    typed = cursor.text[cursor.start - cursor.base : here.offset - cursor.base]
    spot = cursor.inner
    if here.spec.keyword == "import" and len(cursor.spots) == 1 and spot.index == 1:
        return list(_paths(here, typed, "import"))
    if spot.group.opener in ("{", "") and terminal(spot.element, 1) == "ASSIGN" and spot.index == 2:
        named = (here.spec.keyword, word(spot.element, 0))
        return _kept(here, _models(typed)) if named == ("lm", "model") else None
    return _argument(here, spot, typed) if spot.group.opener == "(" and len(cursor.spots) > 1 else None


def _argument(here: Here, spot: Spot, typed: str) -> list[Offer] | None:
    """In the parentheses of a source, of `env`, `column` or `artifact`."""
    outer = here.cursor.spots[-2]
    callee = word(outer.element, outer.index - 1)
    named = terminal(spot.element, 1) == "ASSIGN" and spot.index >= 2
    name = word(spot.element, 0) if named else ""
    if callee == "env":
        return list(_environment(here, word(outer.element, 0)))
    if callee == "artifact":
        return list(_paths(here, typed, "artifact"))
    if callee == "column" and here.spec.keyword == "dataset":
        return [Offer(one, "field", kind, rank=1) for one, kind in columns_of(here)]
    table = SOURCES if here.spec.keyword == "dataset" else EXTERN_SOURCES
    source = table.get(callee)
    if callee == "python" and (not name or name == "function") and spot.number == 0:
        return _kept(here, _functions(here, typed), whole=True)
    parameters: tuple[SourceParameter, ...] = source.parameters if source else ()
    chosen = (
        [one for one in parameters if one.name == name] if name else parameters[spot.number : spot.number + 1]
    )
    parameter = next(iter(chosen), None)
    match parameter.value if parameter else "":
        case "path":
            file = source if isinstance(source, FileSource) else None
            return list(_paths(here, typed, file.ending if file else "data"))
        case "column":
            file = _first_text(spot)
            return [Offer(one, "field", kind, rank=1) for one, kind in _columns(here, "", file)]
        case "choice" if parameter is not None:
            return [Offer(one, "value", rank=0) for one in parameter.choices]
        case _:
            return None


def _first_text(spot: Spot) -> str:
    return word(spot.group.elements[0], 0).strip('"')


# Files --------------------------------------------------------------------------------------------


def _paths(here: Here, typed: str, wanted: str) -> Iterator[Offer]:
    """Files and folders inside the project that continue what is typed; the folders first lead on."""
    analysis = here.analysis
    folder, root = analysis.source.path.parent, analysis.session.root
    above = typed.rpartition("/")[0]
    place = Path(os.path.normpath(folder / above)) if above else folder
    if typed.startswith(("/", "~")) or not _inside(place, root):
        return
    try:
        entries = sorted(place.iterdir())[:MAX_LISTED]
    except OSError:
        return
    for entry in entries:
        if entry.name.startswith(".") or not _inside(entry, root):
            continue
        path = f"{above}/{entry.name}" if above else entry.name
        if entry.is_dir():
            if entry.name not in ("node_modules", "__pycache__"):
                yield Offer(f"{path}/", "folder", "folder", rank=2)
        elif _fits(here, entry, wanted):
            yield Offer(path, "file", rank=1)


def _inside(place: Path, root: Path) -> bool:
    try:
        return place.resolve().is_relative_to(root)
    except (OSError, RuntimeError):
        return False


def _fits(here: Here, entry: Path, wanted: str) -> bool:
    if not entry.is_file():
        return False
    match wanted:
        case "import":
            own = here.analysis.source.path
            root = here.analysis.session.root
            return (
                entry.suffix == ".dspec" and entry.resolve() != own and not _leads_to(entry, own, root, set())
            )
        case "artifact":
            return entry.name.endswith(".dspc.json")
        case "data":
            return is_ending(entry.suffix[1:]) and not entry.name.endswith(".dspc.json")
        case _:
            return entry.suffix == f".{wanted}"


def _leads_to(source: Path, own: Path, root: Path, seen: set[Path]) -> bool:
    """Whether a source imports the file itself, directly or through others, so that importing it makes a circle."""
    if source in seen or len(seen) > MAX_FOLLOWED:
        return False
    seen.add(source)
    text = read_text(source, root)
    named = _IMPORT.finditer(text) if isinstance(text, str) else ()
    targets = [Path(os.path.normpath(source.parent / found[1])) for found in named]
    return any(one == own or _leads_to(one, own, root, seen) for one in targets)


# Columns ------------------------------------------------------------------------------------------


def columns_of(here: Here) -> list[tuple[str, str]]:
    """The columns of the file that a dataset reads, each with its type."""
    outer = here.cursor.braces[0] if here.cursor.braces else None
    for element in outer.group.elements if outer else ():
        if word(element, 0) == "source" and terminal(element, 1) == "ASSIGN" and terminal(element, 3) == "(":
            call = element[3]
            first = word(call.elements[0], 0) if not isinstance(call, tuple) else ""
            return _columns(here, word(element, 2), first.strip('"'))
    return []


def _columns(here: Here, kind: str, path: str) -> list[tuple[str, str]]:
    analysis = here.analysis
    kind = kind or kind_by_ending(path.rpartition(".")[2])
    found = SOURCES.get(kind)
    if (
        not isinstance(found, FileSource) or found.beside
    ):  # a database is looked at by the process that may be killed
        return []
    try:
        real = resolve_inside(path, analysis.source.path.parent, analysis.session.root)
        status = real.stat()
        found = _glanced(
            kind,
            path,
            analysis.source.path.parent,
            analysis.session.root,
            (status.st_mtime_ns, status.st_size),
        )
    except (DataError, OSError):
        return []
    return [(name, spell(one.type)) for name, one in found.columns.items()]


@lru_cache(maxsize=32)
def _glanced(kind: str, path: str, folder: Path, root: Path, _changed: tuple[int, int]) -> Probe:
    return glance(ir.DataSource(kind=kind, path=path), folder, root=root, rows=LOOKED)


# Models and their keys ----------------------------------------------------------------------------


def _models(typed: str) -> Iterator[Offer]:
    """Providers, and behind the slash the models of one that are known by name."""
    provider, slash, _ = typed.partition("/")
    if slash:
        for name in models_of(provider)[:MAX_LISTED]:
            yield Offer(f"{provider}/{name}", "value", rank=1)
        return
    yield Offer(f"{EMBEDDED}/icl", "value", "the offline learner", rank=1)
    for name in provider_names():
        yield Offer(f"{name}/", "folder", "provider", rank=1 if name in PROVIDERS else 3)
    for name in models_of("openai"):
        yield Offer(f"openai/{name}", "value", rank=4)


def _environment(here: Here, attribute: str) -> Iterator[Offer]:
    """Names of variables: the usual ones of the model, those that the file names, and those that look like keys."""
    outer = here.cursor.braces[0] if here.cursor.braces else None
    model = (
        next((word(one, 2) for one in outer.group.elements if word(one, 0) == "model"), "") if outer else ""
    )
    provider = PROVIDERS.get(split_model(model.strip('"'))[0])
    of_address = attribute == "api_base"
    usual = () if provider is None else provider.base_env if of_address else provider.key_env
    yield from (Offer(name, "value", "usual", rank=0) for name in usual)
    for found in _ENV.finditer(here.analysis.tree.text):
        if not found.start(1) <= here.offset <= found.end(1):
            yield Offer(found[1], "value", "in this file", rank=1)
    for name in sorted(os.environ):
        if _NAMES_OF_KEYS.fullmatch(name):
            yield Offer(name, "value", "set here", rank=2)
    for one in PROVIDERS.values():
        yield from (Offer(name, "value", rank=3) for name in (one.base_env if of_address else one.key_env))


# Python -------------------------------------------------------------------------------------------


def _functions(here: Here, typed: str) -> Iterator[Offer]:
    """Modules of the project; behind the colon the functions of one. Files are read, and nothing is imported."""
    analysis = here.analysis
    folder, root = analysis.source.path.parent, analysis.session.root
    name, colon, _ = typed.partition(":")
    if colon:
        module = find_module(name, folder, root)
        if not isinstance(module, Module):
            return
        for function in sorted(module.functions)[:MAX_LISTED]:
            if not function.startswith("_"):
                yield Offer(f"{name}:{function}", "value", module.source.name, rank=1)
        return
    prefix = name.rpartition(".")[0]
    beside = find_module(f"{prefix}.\0" if prefix else "\0", folder, root)
    for module_name in beside.there[:MAX_LISTED] if isinstance(beside, Missing) else ():
        yield Offer(f"{module_name}:", "folder", "module", rank=2)


# Trying -------------------------------------------------------------------------------------------


def _kept(here: Here, found: Iterable[Offer], *, whole: bool = False) -> list[Offer]:
    """Those that the check takes right there, or in the `whole` declaration; what leads on to more is not tried."""
    kept: list[Offer] = []
    tried = 0
    for one in found:
        if one.kind == "folder":
            kept.append(one)
        elif tried < MAX_TRIED:
            tried += 1
            if takes(here, one.label, whole=whole):
                kept.append(one)
    return kept


def takes(here: Here, text: str, *, whole: bool) -> bool:
    """Whether the check finds no error in a text in the place of that under the cursor, or in its declaration."""
    cursor = here.cursor
    block = _with(cursor, text)
    if block is None:
        return True
    parsed = parse(block).blocks
    if not parsed:
        return True
    view = query.view(here.analysis, replace(parsed[0], start=cursor.base), cursor.word[0])
    if view is None:
        return True
    start = cursor.base + cursor.word[0]
    end = start + len(text) + 2
    return not any(
        one.code.severity == "error" and (whole or (one.where.start < end and start < one.where.end))
        for one in view.session.reported
        if one.where.source is here.analysis.source
    )


def _with(cursor: Cursor, text: str) -> str | None:
    """The declaration with another text in the place of that under the cursor, and closed if it was open."""
    start, end = cursor.word
    old = cursor.text[start:end]
    closed = len(old) > 1 and old.endswith('"')
    rest = cursor.text[end:] if closed else _closing(cursor)
    return f'{cursor.text[:start]}"{text}"{rest}'


def _closing(cursor: Cursor) -> str:
    """What closes the brackets around a text that is being typed."""
    closers = {"(": ")", "[": "]", "{": " }"}
    return "".join(closers.get(spot.group.opener, "") for spot in reversed(cursor.spots))
