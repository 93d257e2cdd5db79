"""A module that is a function of the project, on two worlds: a process of its own, and the application's."""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

from agents import MINI
from programs import Told, fields, predictor, var

from dspec.runtime.models.protocol import Answering, ToolAnswer, ToolUse
from dspec.runtime.schema.program import (
    LM,
    Check,
    FieldSpec,
    ModuleSpec,
    OwnFunction,
    Predictor,
    Program,
    Record,
    RunStep,
    Tool,
)
from dspec.runtime.schema.types import STR, JsonValue, Row
from dspec.runtime.tools.toolbox import Toolbox
from tests.support.tools import no_vectors, trusting

World = Literal["isolated", "here"]
WORLDS: tuple[World, ...] = ("isolated", "here")
FILE = "own"
ASK = predictor(fields(question=STR), fields(answer=STR))


def function_module(
    name: str,
    *,
    uses: Mapping[str, Predictor | Tool] | None = None,
    max_calls: int = 9,
    checks: Sequence[Check] = (),
    outputs: tuple[FieldSpec, ...] | None = None,
    records: Mapping[str, Record] | None = None,
    **settings: Any,
) -> Program:
    """The module `m` of `question`, which the function of that name in `own.py` runs; it uses `ask` unless said."""
    used = {"ask": ASK} if uses is None else dict(uses)
    inputs, outputs = fields(question=STR), outputs or fields(answer=STR)
    tool = Tool(
        name="m",
        inputs=inputs,
        outputs=outputs,
        source="python",
        options={"function": f"{FILE}:{name}", "file": f"{FILE}.py"},
    ).model_copy(update=settings)
    module = ModuleSpec(
        strategy="python",
        inputs=inputs,
        outputs=outputs,
        options={"max_calls": max_calls} if used else {},
        tools=tuple(used),
        function=OwnFunction(tool="m.function", names=tuple(used), checks=tuple(checks)),
    )
    return Program(
        name="m",
        inputs=inputs,
        outputs=outputs,
        steps=(RunStep(name="out", runs="m", arguments={"question": var("question")}),),
        returns={one.name: var("out", one.name) for one in outputs},
        predictors={key: one for key, one in used.items() if isinstance(one, Predictor)},
        records=dict(records or {}),
        lms={MINI.name: MINI},
        modules={"m": module},
        tools={"m.function": tool} | {key: one for key, one in used.items() if isinstance(one, Tool)},
    )


class Equipped(Told):
    """Scripted answers, and a toolbox for what is no model."""

    def __init__(self, script: Any, toolbox: Toolbox) -> None:
        super().__init__(script)
        self._toolbox = toolbox

    async def call(
        self,
        tool: Tool,
        arguments: Row,
        *,
        lms: Mapping[str, LM] = {},
        records: Mapping[str, Record] = {},
        answer: Answering | None = None,
    ) -> ToolAnswer:
        return await self._toolbox.call(tool, arguments, ToolUse(None, no_vectors, records, answer))


@asynccontextmanager
async def toolbox_in(world: World, folder: Path, text: str, *names: str) -> AsyncIterator[Toolbox]:
    """What calls functions of that text: the tool `m` is the last of `names` where the functions are the application's."""
    path = folder / f"{FILE}.py"
    path.write_text(text, encoding="utf-8")
    functions: dict[str, Any] = {}
    if world == "here":
        spec = importlib.util.spec_from_file_location(f"own_{abs(hash(str(folder)))}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        functions = {"m": getattr(module, names[-1])}
    async with trusting(folder, isolated=world == "isolated", functions=functions) as toolbox:
        yield toolbox


def trace_of(trace: Sequence[Any]) -> list[tuple[str, str, JsonValue]]:
    """Where each entry stands, what it is of, and what it was given."""
    return [(one.step, one.predictor or one.tool, one.inputs) for one in trace]
