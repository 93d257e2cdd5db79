"""Keeps what an application says of its program's tools until one is called: nothing is imported before."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from ..errors import ConfigurationError
from ..models.ledger import Ledger
from ..models.protocol import Tools
from ..schema.ensemble import Runnable, parts
from ..schema.program import Tool, reached
from .base import ToolFunction, ToolProblem

_FOLDERS_ABOVE = 4


class ToolService(Tools, Protocol):
    """Calls tools, until it is closed."""

    async def aclose(self) -> None: ...


def tools_of(program: Runnable) -> list[Tool]:
    """The tools that a run may call."""
    return [
        tool for part in parts(program) for key, tool in sorted(part.tools.items()) if key in reached(part)
    ]


class ToolCalling(Struct, frozen=True):
    """Functions in the place of tools, what the others may reach, and the folder of their files.

    With `isolated`, Python runs in processes of its own, from files below the folder.
    """

    functions: Mapping[str, ToolFunction]
    allow: tuple[str, ...] = ()
    root: Path | None = None
    isolated: bool = False

    def checked(self, tools: Sequence[Tool], artifact: Path) -> Callable[[Ledger | None], ToolService]:
        """What makes a toolbox for an artifact's tools. Raises ConfigurationError for one that may not be
        called, or whose data file is another one than it was made with."""
        from .toolbox import Toolbox  # few programs have tools

        known = {tool.name for tool in tools}
        for name in self.functions:
            if name not in known:
                names = ", ".join(f"`{other}`" for other in sorted(known)) or "none"
                raise ConfigurationError(
                    f"`tools` names `{name[:80]}`, which the program does not call",
                    help=f"its tools are {names}",
                )
        root = self.root or folder_of([tool for tool in tools if tool.name not in self.functions], artifact)

        def made(ledger: Ledger | None) -> ToolService:
            return Toolbox(
                root, functions=self.functions, allow=self.allow, isolated=self.isolated, ledger=ledger
            )

        toolbox = Toolbox(root, functions=self.functions, allow=self.allow, isolated=self.isolated)
        toolbox.check(tools)
        toolbox.check_files(tools)
        return made


def folder_of(tools: Sequence[Tool], artifact: Path) -> Path:
    """The nearest folder, from the artifact's upwards, that has the files of all tools that search through one.

    Where a tool runs something in the folder, the artifact's file names must not choose it: then it is the artifact's
    own folder, or the one around `compiled`.
    """
    from .files import inside
    from .table import SOURCES

    own = artifact.absolute().parent
    if any(tool.source in SOURCES and SOURCES[tool.source].in_folder for tool in tools):
        return own.parent if own.name == "compiled" else own
    names = [
        str(tool.options.get("file"))
        for tool in tools
        if tool.source in SOURCES and SOURCES[tool.source].steady
    ]
    if not names:
        return own
    for folder in (own, *own.parents[:_FOLDERS_ABOVE]):
        try:
            for name in names:
                inside(name, folder)
        except ToolProblem:
            continue
        return folder
    return own
