"""`local/…`: a checkpoint on this machine behind the same seam as any model.

It is loaded with the first call, once its files are found to be what they are said to be. One answer is made at a time, in a
thread of its own: several at once would be padded to one length, and the sums that this changes can change a word, so that
an answer would depend on what else was asked. Token counts are the tokenizer's own.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TYPE_CHECKING

from ...errors import ConfigurationError, Refused
from ...schema.usage import Usage
from ..checkpoints import verified
from ..protocol import Answer, Request

if TYPE_CHECKING:
    from .generating import Speaker

NEW_TOKENS = 1024
"""Longest answer where neither the model's settings nor its context say less."""


@lru_cache(maxsize=1)
def _worker() -> ThreadPoolExecutor:
    """The one thread of the process in which answers are made: two would share its cores."""
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="dspec-local")


class LocalTransport:
    """Answers from a checkpoint. Safe to share between tasks and threads."""

    async def complete(self, request: Request) -> Answer:
        """The answer, a function of the request and the weights. Raises ConfigurationError where the weights are not what they
        were, or what loads them is not installed; Refused for what a checkpoint does not do; PromptTooLong."""
        if request.kind == "embedding":
            raise Refused(
                f"`{request.lm.model}` makes no embeddings", help="name a model of a provider that does"
            )
        if any(message.attached for message in request.messages):
            raise Refused(
                f"`{request.lm.model}` reads text alone, and the prompt shows an image, audio or a file"
            )
        gone = threading.Event()
        try:
            return await asyncio.get_running_loop().run_in_executor(_worker(), _answer, request, gone)
        finally:
            gone.set()

    async def aclose(self) -> None:
        """Nothing is held: what was loaded last stays for the next one that asks it."""


def _answer(request: Request, gone: threading.Event) -> Answer:
    """In the worker's thread. What nobody waits for any more ends with the next token."""
    lm = request.lm
    folder, sha256 = verified(lm)
    model = speaker(str(folder), sha256)
    temperature = lm.temperature if request.temperature is None else request.temperature
    said = model.answer(
        [{"role": message.role, "content": message.content} for message in request.messages],
        most=lm.max_tokens or NEW_TOKENS,
        temperature=temperature or 0.0,
        top_p=lm.top_p,
        top_k=lm.top_k,
        stop=lm.stop or (),
        seed=_seed(request),
        ended=gone.is_set,
    )
    return Answer(said.text, Usage(said.read, said.written), cost=0.0, finish_reason=said.reason)


@lru_cache(maxsize=2)
def speaker(folder: str, sha256: str) -> Speaker:
    """The model in a folder whose files have this digest; the last two that were asked stay loaded.

    Raises ConfigurationError.
    """
    try:
        from .generating import Speaker
    except ImportError as error:
        raise ConfigurationError(
            f"`local/…` models need the package {error.name or 'torch'}, which is not installed",
            help='install what runs them: pip install "dspc[finetune]"',
        ) from None
    return Speaker(folder)


def _seed(request: Request) -> int:
    """Draws depend on what is asked and on the sample alone."""
    text = f"{request.question()['messages']}|{request.sample}|{request.lm.seed}"
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8], "big") >> 1
