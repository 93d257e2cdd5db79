"""Types of the program `desk_v1`, made by `dspc stubs`: do not edit, make it anew."""

# fmt: off
# ruff: noqa

from __future__ import annotations

from typing import ClassVar, Literal, TypedDict, Unpack

from dspec import AnswerStream, AsyncAnswerStream, LoadedProgram, PerModel, Prompt, TypedPrediction


class DeskInputs(TypedDict):
    message: str


class DeskPartial(TypedDict, total=False):
    team: Literal["billing", "delivery", "account"]
    urgent: bool


class DeskResult(TypedPrediction):
    """What `Desk` gives."""

    team: Literal["billing", "delivery", "account"]
    urgent: bool


class Desk(LoadedProgram[DeskInputs, DeskResult, DeskPartial]):
    """The program `desk_v1`: `load("….dspc.json", Desk)`."""

    result: ClassVar[type[TypedPrediction]] = DeskResult
    shape: ClassVar[tuple[str, ...]] = (
        "input message: str",
        "output team: \"billing\" | \"delivery\" | \"account\"",
        "output urgent: bool",
    )

    def __call__(
        self,
        /,
        *,
        lm: PerModel = None,
        timeout: float | None = None,
        temperature: float | None = None,
        **inputs: Unpack[DeskInputs],
    ) -> DeskResult:
        return self.call(inputs, lm=lm, timeout=timeout, temperature=temperature)

    async def acall(
        self,
        /,
        *,
        lm: PerModel = None,
        timeout: float | None = None,
        temperature: float | None = None,
        **inputs: Unpack[DeskInputs],
    ) -> DeskResult:
        return await self._acall(inputs, lm=lm, timeout=timeout, temperature=temperature)

    def stream(
        self,
        /,
        *,
        inner: bool = False,
        lm: PerModel = None,
        timeout: float | None = None,
        temperature: float | None = None,
        **inputs: Unpack[DeskInputs],
    ) -> AnswerStream[DeskResult, DeskPartial]:
        return self._stream(inputs, inner=inner, lm=lm, timeout=timeout, temperature=temperature)

    def astream(
        self,
        /,
        *,
        inner: bool = False,
        lm: PerModel = None,
        timeout: float | None = None,
        temperature: float | None = None,
        **inputs: Unpack[DeskInputs],
    ) -> AsyncAnswerStream[DeskResult, DeskPartial]:
        return self._astream(inputs, inner=inner, lm=lm, timeout=timeout, temperature=temperature)

    def inspect(
        self,
        /,
        **inputs: Unpack[DeskInputs],
    ) -> list[Prompt]:
        return self._inspect(inputs)
