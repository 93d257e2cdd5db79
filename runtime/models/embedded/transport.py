"""`embedded/…`: an in-context learner behind the same seam as any model.

It is not a language model. It knows no language and no facts: it reads the prompt's instruction, labels,
descriptions and examples, and answers the question from them with classical statistics. So more and
better examples and clearer instructions score higher, which is what the toolchain needs for trying it
out, for tests and for CI, offline and free. It is handed messages and nothing else, and opens no file.
"""

from __future__ import annotations

import hashlib
import math
import threading
from collections import OrderedDict
from collections.abc import Sequence

from ...errors import Refused
from ...schema.usage import Usage
from ..endpoints import EMBEDDED_MODELS
from ..protocol import Answer, Message, Request
from .learner import Learner, learn
from .prompt import divide, read_brief, read_question

PREFIX = "embedded/"
MAX_REMEMBERED = 64
"""How many prompts' examples stay learned: those of the prompts used last. The last one's stay however large it is."""
MAX_REMEMBERED_CHARACTERS = 1_000_000
"""How long all those prompts may be together: what was learned takes about a hundred times the text's memory."""
CHARACTERS_PER_TOKEN = 4


class EmbeddedTransport:
    """Answers in process. Safe to share between tasks and threads."""

    def __init__(self) -> None:
        self._learners: OrderedDict[bytes, tuple[Learner, int]] = OrderedDict()
        self._characters = 0
        self._lock = threading.Lock()

    async def complete(self, request: Request) -> Answer:
        """The answer to a prompt, a pure function of the request. Raises Refused for an unknown model."""
        name = request.lm.model.removeprefix(PREFIX)
        if name not in EMBEDDED_MODELS:
            known = ", ".join(f"`{PREFIX}{model}`" for model in EMBEDDED_MODELS)
            message = f"there is no embedded model `{request.lm.model}`"
            raise Refused(message, help=f"write {known} in the `lm` block")
        if request.kind == "embedding":
            raise Refused(
                f"`{request.lm.model}` makes no embeddings", help="name a model of a provider that does"
            )
        temperature = request.lm.temperature if request.temperature is None else request.temperature
        # It reads the text alone: what is attached is nothing to it.
        messages = tuple(Message(one.role, one.text) if one.attached else one for one in request.messages)
        at = divide(messages)
        learner = self._learner(messages[:at])
        question = read_question(messages[at:], learner.brief)
        seed = _seed(messages, request.sample, request.lm.seed) if temperature else b""
        text = learner.answer(question, temperature=temperature or 0.0, seed=seed)
        return Answer(text, _usage(messages, text), cost=0.0)

    async def aclose(self) -> None:
        with self._lock:
            self._learners.clear()
            self._characters = 0

    def _learner(self, messages: Sequence[Message]) -> Learner:
        key = _digest(messages)
        with self._lock:
            known = self._learners.get(key)
            if known is not None:
                self._learners.move_to_end(key)
                return known[0]
        learner = learn(read_brief(messages))
        size = sum(len(message.content) for message in messages)
        with self._lock:
            if key not in self._learners:
                self._learners[key] = (learner, size)
                self._characters += size
            while len(self._learners) > 1 and (
                len(self._learners) > MAX_REMEMBERED or self._characters > MAX_REMEMBERED_CHARACTERS
            ):
                _, (_, freed) = self._learners.popitem(last=False)
                self._characters -= freed
        return learner


def _digest(messages: Sequence[Message]) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for message in messages:
        text = message.content.encode("utf-8", "surrogatepass")
        digest.update(f"{message.role} {len(text)}\n".encode())
        digest.update(text)
    return digest.digest()


def _seed(messages: Sequence[Message], sample: int, seed: int | None) -> bytes:
    return _digest(messages) + f"{sample} {seed}".encode()


def _usage(messages: Sequence[Message], text: str) -> Usage:
    """What an answer took. There is no provider to count otherwise, so this is no estimate."""
    asked = sum(len(message.content) for message in messages)
    return Usage(math.ceil(asked / CHARACTERS_PER_TOKEN), math.ceil(len(text) / CHARACTERS_PER_TOKEN))
