"""python: a Python function, of the project in a process of its own, or of a module that the application allows."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import ConfigurationError
from ..models.protocol import ToolUse
from ..schema.program import Tool
from ..schema.types import JsonValue
from .base import Ground, OpenTool, ToolFunction, ToolOption, ToolSource, text_option, told
from .files import inside
from .functions import FunctionTool
from .workers import FunctionProcesses

REFERENCE = r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*"


async def _open(tool: Tool, ground: Ground, use: ToolUse) -> OpenTool:
    module, _, name = text_option(tool, "function").partition(":")
    if ground.isolated:
        return _processes(module, name, text_option(tool, "file"), ground)
    return FunctionTool(await asyncio.to_thread(_imported, tool, module, name))


def module_folders(module: str, file: str, border: Path) -> list[Path]:
    """Where the project's modules are looked for from the one in `file`: beside it, in the root `border`, and in its `src`."""
    written = border / file  # a link is imported by its own name
    beside = written.parent if written.name != "__init__.py" else written.parent.parent
    for _ in range(module.count(".")):
        beside = beside.parent
    return list(dict.fromkeys((beside, border, border / "src")))


def _processes(module: str, name: str, file: str, ground: Ground) -> FunctionProcesses:
    border = ground.root.resolve()
    found = inside(file, border)
    place: dict[str, JsonValue] = {
        "module": module,
        "function": name,
        "file": str(found),
        "root": str(border),
        # Whoever allows a module for an artifact allows what it defines, not all that it imports.
        "own": not ground.declared,
        "path": list(map(str, module_folders(module, file, border))),
    }
    return FunctionProcesses(place, border)


def _imported(tool: Tool, module: str, name: str) -> ToolFunction:
    """The function, which must be the module's own. Raises ConfigurationError."""
    try:
        found: Any = getattr(importlib.import_module(module), name)
    except Exception as error:  # noqa: BLE001 - importing runs anything
        raise ConfigurationError(
            f"the tool `{tool.name}`: `{module}:{name}` cannot be imported: {told(error)}",
            help=f"make the module importable, or pass the function: "
            f"load(…, tools={{{tool.name!r}: function}})",
        ) from None
    home = getattr(found, "__module__", None)
    if not callable(found) or not isinstance(home, str) or not f"{home}.".startswith(f"{module}."):
        raise ConfigurationError(
            f"the tool `{tool.name}`: `{name}` is no function of the module `{module}`",
            help="allowing a module allows what is defined in it; "
            f"pass others: load(…, tools={{{tool.name!r}: function}})",
        )
    return found


def _reaches(tool: Tool, ground: Ground) -> str:
    """What must be allowed: the module. Where Python runs in processes of its own, it is the file instead, unless that
    lies where the folder's module of this name would be."""
    module = text_option(tool, "function").partition(":")[0]
    path = module.replace(".", "/")
    usual = {f"{folder}{path}{ending}" for folder in ("", "src/") for ending in (".py", "/__init__.py")}
    file = text_option(tool, "file")
    return file if ground.isolated and file not in usual else module


def _faults(tool: Tool) -> Iterator[str]:
    if Path(text_option(tool, "file")).is_absolute():
        yield "option `file` leads outside the project"


SOURCE = ToolSource(
    name="python",
    options=(
        ToolOption("function", required=True, pattern=REFERENCE),
        ToolOption("file"),
        ToolOption("sha256", pattern="[0-9a-f]{64}"),
    ),
    in_folder=True,
    movable=True,
    open=_open,
    reaches=_reaches,
    called=lambda tool: f"the Python function `{text_option(tool, 'function')}`",
    faults=_faults,
)
