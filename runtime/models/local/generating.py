"""Loads a checkpoint with transformers and writes answers with it.

Only safetensors are loaded, no code that a checkpoint brings runs, and nothing is fetched.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

from msgspec import Struct

from ...errors import ConfigurationError, PromptTooLong

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# Packages of an extra, which a check of types does not see.
torch: Any = import_module("torch")
transformers: Any = import_module("transformers")
transformers.utils.logging.disable_progress_bar()

_SMALL = 20_000_000
"""Parameters up to which one core answers sooner than several, which would wait for each other after every step."""
_ENDLESS = 1 << 24
"""What tokenizers call a context whose length they do not know."""


class Said(NamedTuple):
    """An answer with the tokens that were read and written, and why it ended."""

    text: str
    read: int
    written: int
    reason: Literal["stop", "length"]


class LoadedCheckpoint(Struct, frozen=True):
    """A model with its tokenizer, on its device."""

    model: Any
    tokenizer: Any


def device() -> str:
    """Where models are put: on a GPU where there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def load(folder: str | Path, *, train: bool = False) -> LoadedCheckpoint:
    """A checkpoint and its tokenizer. In bf16 where there is a GPU, as it was written elsewhere.

    Raises ConfigurationError where it cannot be loaded, or has no chat template.
    """
    place = str(folder)
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            place, local_files_only=True, trust_remote_code=False
        )
        model = transformers.AutoModelForCausalLM.from_pretrained(
            place,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            dtype=torch.bfloat16 if device() == "cuda" else torch.float32,
        )
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError, ImportError) as error:
        said = " ".join(str(error).split())[:300]
        raise ConfigurationError(f"the checkpoint {Path(place).name} cannot be loaded: {said}") from None
    if not getattr(tokenizer, "chat_template", None):
        raise ConfigurationError(
            f"the checkpoint {Path(place).name} has no chat template, so nobody knows how it is asked",
            help="take one that was made for chat, or write `chat_template.jinja` into its folder",
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    model = model.to(device())
    if not train:
        model.eval()
    return LoadedCheckpoint(model, tokenizer)


def window(loaded: LoadedCheckpoint) -> int | None:
    """Tokens of prompt and answer together; None where the checkpoint does not tell."""
    found = [
        one
        for one in (
            getattr(loaded.model.config, "max_position_embeddings", None),
            getattr(loaded.tokenizer, "model_max_length", None),
        )
        if isinstance(one, int) and 0 < one < _ENDLESS
    ]
    return min(found, default=None)


def prompt_ids(loaded: LoadedCheckpoint, messages: Sequence[dict[str, str]]) -> list[int]:
    """The tokens of a prompt, up to where its answer begins."""
    given = loaded.tokenizer.apply_chat_template(
        list(messages), add_generation_prompt=True, tokenize=True, return_dict=True
    )
    return list(given["input_ids"])


@contextmanager
def one_core(model: Any) -> Generator[None]:
    """Within it a small model is worked at by one core."""
    before: int = torch.get_num_threads()
    small = sum(one.numel() for one in model.parameters()) <= _SMALL
    torch.set_num_threads(1 if small else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class _Ended(transformers.StoppingCriteria):
    def __init__(self, ended: Callable[[], bool]) -> None:
        self._ended = ended

    def __call__(self, input_ids: Any, scores: Any, **_: object) -> Any:
        return torch.full((input_ids.shape[0],), self._ended(), dtype=torch.bool, device=input_ids.device)


class Speaker:
    """A loaded checkpoint that answers. To be used by one thread at a time."""

    def __init__(self, folder: str) -> None:
        self._loaded = load(folder)
        self._window = window(self._loaded)

    def answer(
        self,
        messages: Sequence[dict[str, str]],
        *,
        most: int,
        temperature: float = 0.0,
        top_p: float | None = None,
        top_k: int | None = None,
        stop: Sequence[str] = (),
        seed: int = 0,
        ended: Callable[[], bool] = lambda: False,
    ) -> Said:
        """The answer to a chat, at most so many tokens; with temperature 0 the likeliest token each time.

        Raises PromptTooLong where the context has no room for an answer.
        """
        model, tokenizer = self._loaded.model, self._loaded.tokenizer
        ids = prompt_ids(self._loaded, messages)
        if self._window is not None:
            if len(ids) >= self._window:
                raise PromptTooLong(
                    f"the prompt has {len(ids):,} tokens, and the checkpoint takes {self._window:,} with the answer"
                )
            most = min(most, self._window - len(ids))
        sampling: dict[str, Any] = {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}
        if temperature > 0:
            sampling = {
                "do_sample": True,
                "temperature": temperature,
                "top_p": top_p or 1.0,
                "top_k": top_k or 0,
            }
        if stop:
            sampling |= {"stop_strings": list(stop), "tokenizer": tokenizer}
        prompt = torch.tensor([ids], device=model.device)
        with one_core(model), torch.inference_mode(), torch.random.fork_rng(enabled=temperature > 0):
            if temperature > 0:
                torch.manual_seed(seed)
            output = model.generate(
                input_ids=prompt,
                attention_mask=torch.ones_like(prompt),
                max_new_tokens=most,
                pad_token_id=tokenizer.pad_token_id,
                stopping_criteria=transformers.StoppingCriteriaList([_Ended(ended)]),
                **sampling,
            )
        written: list[int] = output[0].tolist()[len(ids) :]
        text = cast("str", tokenizer.decode(written, skip_special_tokens=True))
        for one in stop:
            text = text.partition(one)[0]
        ends = _ends(self._loaded)
        cut = len(written) >= most and not (written and written[-1] in ends)
        return Said(text, len(ids), len(written), "length" if cut else "stop")


def _ends(loaded: LoadedCheckpoint) -> set[int]:
    """Tokens that end an answer."""
    given = loaded.model.generation_config.eos_token_id
    found = [given] if isinstance(given, int) else list(given or ())
    return {*found, loaded.tokenizer.eos_token_id}
