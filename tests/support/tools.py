"""Tools for tests: what a program's `tools` table holds, and a toolbox that calls them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from dspec.runtime.models.protocol import Answering, ToolAnswer, ToolUse
from dspec.runtime.schema.program import FieldSpec, Tool
from dspec.runtime.schema.types import JsonValue, ListOf, Row, Scalar, Type
from dspec.runtime.tools.toolbox import Toolbox

TEXT = Scalar(name="str")
TEXTS = ListOf(item=TEXT)


def tool_of(source: str = "python", *, output: Type = TEXT, **settings: Any) -> Tool:
    """A tool that takes one text; its source's options are settings that no tool has by itself."""
    own = {name: value for name, value in settings.items() if name in Tool.model_fields}
    options = {name: value for name, value in settings.items() if name not in Tool.model_fields}
    given: dict[str, Any] = {
        "name": "search",
        "inputs": (FieldSpec(name="query", type=TEXT),),
        "source": source,
        "options": options,
        "output": output,
    }
    return Tool(**{**given, **own})


async def no_vectors(texts: Sequence[str]) -> list[list[float]]:
    raise AssertionError("no model was to be asked")


def use_of(answer: Answering | None = None) -> ToolUse:
    return ToolUse(None, no_vectors, {}, answer)


async def call(
    toolbox: Toolbox, tool: Tool, answer: Answering | None = None, **arguments: JsonValue
) -> ToolAnswer:
    row: Row = arguments or {"query": "x"}
    return await toolbox.call(tool, row, use_of(answer))


def module(folder: Path, text: str, name: str = "tools") -> Path:
    """A Python module of a project."""
    path = folder / f"{name}.py"
    path.write_text(text, encoding="utf-8")
    return path


class _Everything(Toolbox):
    """A toolbox that may call whatever it is asked to, as a project's own may call what the source declares."""

    def check(self, tools: Iterable[Tool]) -> None:
        return


def trusting(root: Path, **settings: Any) -> Toolbox:
    return _Everything(root, **settings)
