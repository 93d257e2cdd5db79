"""A lane: what all calls of one LM share on their way to its endpoint."""

from __future__ import annotations

import asyncio
import hashlib
from functools import lru_cache

from msgspec import Struct
from msgspec.structs import replace

from ..errors import ProviderError
from ..schema.identity import Same
from ..schema.program import LM, canonical
from ..schema.types import JsonValue
from ..schema.usage import Usage
from .endpoints import Endpoint
from .limits import Admission, RateWindow, Stragglers
from .prices import Price
from .protocol import Request, Transport
from .transports.answers import OF_LM, may_be_left_out

_SHARED = (
    "name",
    "model",
    "api_base",
    "api_base_env",
    "api_key_env",
    "api_version",
    "price_input",
    "price_output",
    "rpm",
    "tpm",
    "max_parallel",
    "mode",
)


def shared_by(lm: LM, address: str, key: str | None = None) -> tuple[object, ...]:
    """What the LMs of one lane have in common: a module that asks at another temperature keeps to the same limits. The key
    that an application gives for them is its last part."""
    return (address, *_shared(Same(lm)), key)


@lru_cache(maxsize=256)
def _shared(lm: Same[LM]) -> tuple[object, ...]:
    headers = (*lm.value.headers.items(), *lm.value.headers_env.items())
    return (*(getattr(lm.value, name) for name in _SHARED), *headers)


STREAM = "stream"
"""Left out of a request, its answer comes whole."""
SCHEMA = "json_schema"
"""Kind of a `response_format`, and what of it is left out first: then an object is asked for."""


def remembered_by(endpoint: Endpoint, lm: LM) -> bytes:
    """What a model at its endpoint is remembered by between commands: a digest, of the names of secret headers alone."""
    who: dict[str, JsonValue] = {
        "endpoint": endpoint.address,
        "model": lm.model,
        "headers": [dict(lm.headers), dict(lm.headers_env)],
    }
    return hashlib.sha256(canonical(who).encode(errors="surrogatepass")).digest()


class Learned(Struct):
    """What was found out about a model at its endpoint."""

    key: bytes
    """What it is remembered by (`remembered_by`)."""
    refused: set[str]
    """Parameters that it does not take."""
    formless: asyncio.Future[bool | None] | None = None
    """Whether what it refused without a word is answered where no form is asked for, once somebody tries that; None where
    that could not be told."""


class Lane(Struct):
    """What all calls of one LM share; gates and transports are shared by all LMs of an endpoint."""

    endpoint: Endpoint
    transport: Transport
    gate: Admission
    stragglers: Stragglers
    parallel: asyncio.Semaphore | None
    rpm: RateWindow | None
    tpm: RateWindow | None
    price: Price | None
    schemas: bool
    """Whether the model is listed to take schemas."""
    learned: Learned
    batched: bool = False
    """Whether requests wait for the provider to answer many of them, within a day."""

    def fitted(self, request: Request) -> Request:
        """The request as the model takes it: with a schema where it is known to, without what it does not take."""
        left_out = set[str]()
        if self.learned.refused:
            left_out |= self.learned.refused.intersection(may_be_left_out(request.parameters()))
        form = self._form(request)
        if STREAM in self.learned.refused and request.heard is not None:
            request = replace(request, heard=None)
        if not left_out and form is request.response_format:
            return request
        lm = request.lm
        of_lm: dict[str, object] = {**dict.fromkeys(left_out.intersection(OF_LM))}
        if not left_out.isdisjoint(lm.extra):
            of_lm["extra"] = {name: value for name, value in lm.extra.items() if name not in left_out}
        return replace(
            request,
            lm=lm.model_copy(update=of_lm),
            temperature=None if "temperature" in left_out else request.temperature,
            response_format=form,
        )

    def _form(self, request: Request) -> dict[str, JsonValue] | None:
        wanted = request.response_format
        if wanted is None or "response_format" in self.learned.refused:
            return None
        if SCHEMA in self.learned.refused:
            return {"type": "json_object"} if wanted["type"] == SCHEMA else wanted
        return request.form if self.schemas and request.form is not None else wanted

    def learns(self, sent: Request, parameter: str) -> str:
        """Notes that a request as it was sent was refused for a parameter. Returns what is left out from now on, "" where
        that was known."""
        kind = (sent.response_format or {}).get("type") if parameter == "response_format" else None
        left_out = SCHEMA if kind == SCHEMA else parameter
        if left_out in self.learned.refused:
            return ""
        self.learned.refused.add(left_out)
        return left_out

    def unused(self, units: int) -> None:
        """Gives back what a request that was not sent took of the rates; `units` of `tpm`."""
        if self.rpm is not None:
            self.rpm.settle(-1)
        if self.tpm is not None:
            self.tpm.settle(-units)

    def cost(self, usage: Usage | None) -> float | None:
        """USD, or None where nobody knows."""
        return None if usage is None or self.price is None else self.price.of(usage)

    def described(self, error: ProviderError, lm: LM, attempts: int) -> ProviderError:
        """The same error, saying which model failed where and after how many attempts."""
        where = f" at {self.endpoint.shown}" if self.endpoint.url else ""
        tries = f" after {attempts} attempts" if attempts > 1 else ""
        message = f"lm {lm.name} ({lm.model}){where}{tries}: {error.message}"
        told = type(error)(message, help=error.help)
        told.retry_after = error.retry_after
        return told
