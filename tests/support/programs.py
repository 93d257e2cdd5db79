"""Small programs, and a stand-in for the engine that answers them from a list of texts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from dspec.runtime.errors import DspecError
from dspec.runtime.models.engine import Completion
from dspec.runtime.models.protocol import Answer, Request, ToolAnswer
from dspec.runtime.schema.expressions import (
    Apply,
    BinaryOp,
    BinaryOperator,
    Constant,
    Expression,
    Member,
    Variable,
)
from dspec.runtime.schema.program import (
    LM,
    CallStep,
    Check,
    FieldSpec,
    Predictor,
    Program,
    Record,
    Signature,
    Tool,
)
from dspec.runtime.schema.types import STR, JsonValue, Row, Type
from dspec.runtime.schema.usage import Usage

Answering = Callable[[Request], Awaitable[str | Answer | DspecError]]


class Told:
    """Answers with the texts in turn, or with what a function of the request gives."""

    def __init__(
        self,
        script: Sequence[str | Answer | DspecError] | Answering,
        *,
        finish_reason: str = "stop",
        tools: Mapping[str, Callable[..., JsonValue]] | None = None,
    ) -> None:
        self.requests: list[Request] = []
        self.called: list[tuple[str, Row]] = []
        self._tools = dict(tools or {})
        self._script = script
        self._finish_reason = finish_reason

    async def complete(self, request: Request) -> Completion:
        self.requests.append(request)
        if callable(self._script):
            answer: str | Answer | DspecError = await self._script(request)
        else:
            assert len(self.requests) <= len(self._script), f"unexpected: {request.messages[-1].content}"
            answer = self._script[len(self.requests) - 1]
        await asyncio.sleep(0)
        if isinstance(answer, DspecError):
            raise answer
        if isinstance(answer, Answer):
            return Completion(answer, "model")
        return Completion(Answer(answer, Usage(10, 5), 0.25, self._finish_reason), "model")

    def unusable(self, request: Request) -> None:
        """Nothing is kept here."""

    async def call(self, tool: Tool, arguments: Row, **_: object) -> ToolAnswer:
        """What a function of the tool's name and its arguments gives; what it raises is the error."""
        self.called.append((tool.name, arguments))
        await asyncio.sleep(0)
        try:
            return ToolAnswer(self._tools[tool.name](**arguments))
        except Exception as error:  # noqa: BLE001  # whatever a tool does
            return ToolAnswer(error=str(error))

    @property
    def last(self) -> str:
        """What the last request ended with."""
        return self.requests[-1].messages[-1].content


def cut(text: str, why: str = "length") -> Answer:
    """An answer that the model was stopped in."""
    return Answer(text, Usage(10, 5), 0.25, why)


def chat(**sections: str) -> str:
    """An answer in the chat layout."""
    body = "".join(f"[[ ## {name} ## ]]\n{value}\n\n" for name, value in sections.items())
    return f"{body}[[ ## completed ## ]]"


def fields(**types: Type) -> tuple[FieldSpec, ...]:
    return tuple(FieldSpec(name=name, type=kind) for name, kind in types.items())


def predictor(
    inputs: Sequence[FieldSpec], outputs: Sequence[FieldSpec], *, lm: str = "mini", **signature: Any
) -> Predictor:
    told = {"name": "Asked", "instruction": "Answer the question.", **signature}
    return Predictor(
        strategy="Predict",
        signature=Signature(inputs=tuple(inputs), outputs=tuple(outputs), **told),
        lm=lm,
    )


def module(
    asked: Predictor,
    *,
    records: Mapping[str, Record] | None = None,
    lms: Mapping[str, LM] | None = None,
) -> Program:
    """A predictor as a program of one step."""
    signature = asked.signature
    arguments = {spec.name: var(spec.name) for spec in signature.inputs}
    return Program(
        name="module",
        inputs=signature.inputs,
        outputs=signature.outputs,
        steps=(CallStep(name="out", predictor="module", arguments=arguments),),
        returns={spec.name: var("out", spec.name) for spec in signature.outputs},
        predictors={"module": asked},
        records=dict(records or {}),
        lms=dict(lms or {"mini": LM(name="mini", model="embedded/icl")}),
    )


def question(*outputs: str, **signature: Any) -> Predictor:
    """A predictor from `question` to text outputs."""
    return predictor(fields(question=STR), fields(**dict.fromkeys(outputs or ("answer",), STR)), **signature)


def var(name: str, *members: str) -> Expression:
    """`name.member.member`."""
    expression: Expression = Variable(name=name)
    for member in members:
        expression = Member(target=expression, name=member)
    return expression


def const(value: JsonValue) -> Constant:
    return Constant(value=value)


def binary(left: Expression, operator: BinaryOperator, right: Expression) -> BinaryOp:
    return BinaryOp(operator=operator, left=left, right=right)


def call(function: str, *arguments: Expression, **named: Expression) -> Apply:
    return Apply(function=function, arguments=arguments, named=named)


def must(condition: Expression, message: str) -> Check:
    return Check(kind="assert", condition=condition, message=const(message))


def should(condition: Expression, message: str) -> Check:
    return Check(kind="suggest", condition=condition, message=const(message))
