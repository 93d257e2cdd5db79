"""Policy-gradient steps on a checkpoint, in the worker's process: a loop of our own, since TRL's trainer samples answers itself,
one prompt at a time, and a program's reward belongs to a whole run of several prompts, which the compile makes and scores.

A step gets chats with advantages that the compile reckoned within groups (GRPO: Shao et al., 2024, arXiv:2402.03300), makes one
update on them, and writes the new weights beside the optimizer's state. With one update for each set of runs the ratio of
new to old policy is 1, so there is nothing to clip; there is no penalty for moving away from where it began.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from dspec.runtime.models.local import generating

from .tuning import lora, write

torch: Any = import_module("torch")
STATE = "optimizer.safetensors"
_MAX_NORM = 1.0
_AT_ONCE = 4
"""Chats whose gradients are made together; gathered over all of a step."""

Say = Callable[..., None]


class Policy:
    """A model under training with its optimizer."""

    def __init__(self, order: dict[str, Any]) -> None:
        settings = order["settings"]
        torch.manual_seed(order["seed"])
        self._loaded = generating.load(order["base"], train=True)
        self.model: Any = self._loaded.model
        self._lora = settings["method"] == "lora"
        if self._lora:
            self.model = import_module("peft").get_peft_model(self.model, lora(settings["rank"]))
        self.model.train()
        self._weights = [one for _, one in sorted(self.model.named_parameters()) if one.requires_grad]
        self._adam = torch.optim.AdamW(self._weights, lr=order["learning_rate"], weight_decay=0.0)
        if order.get("state"):
            self._restore(Path(order["state"]))

    def step(self, order: dict[str, Any], say: Say) -> None:
        """One update, written to `out`."""
        samples = [self._tokens(one["messages"], one["advantage"]) for one in order["samples"]]
        total = sum(len(ids) - start for ids, start, _ in samples)
        temperature = order["temperature"]
        self._adam.zero_grad()
        loss = 0.0
        with generating.one_core(self.model):
            for at in range(0, len(samples), _AT_ONCE):
                piece = self._loss(samples[at : at + _AT_ONCE], temperature) / max(1, total)
                piece.backward()
                loss += float(piece.detach())
            norm = float(torch.nn.utils.clip_grad_norm_(self._weights, _MAX_NORM))
            self._adam.step()
        out = Path(order["out"])
        self._write(out)
        say(
            say="done",
            loss=loss if math.isfinite(loss) else None,
            norm=norm,
            tokens=sum(len(one[0]) for one in samples),
        )

    def _tokens(self, messages: list[dict[str, str]], advantage: float) -> tuple[list[int], int, float]:
        prompt = generating.prompt_ids(self._loaded, messages[:-1])
        whole = self._loaded.tokenizer.apply_chat_template(messages, tokenize=True, return_dict=True)[
            "input_ids"
        ]
        return list(whole), len(prompt), advantage

    def _loss(self, samples: list[tuple[list[int], int, float]], temperature: float) -> Any:
        longest = max(len(ids) for ids, _, _ in samples)
        device = self.model.device
        ids = torch.full((len(samples), longest), self._loaded.tokenizer.pad_token_id, device=device)
        seen = torch.zeros((len(samples), longest), dtype=torch.long, device=device)
        weigh = torch.zeros((len(samples), longest), device=device)
        for place, (tokens, start, advantage) in enumerate(samples):
            ids[place, : len(tokens)] = torch.tensor(tokens, device=device)
            seen[place, : len(tokens)] = 1
            weigh[place, start : len(tokens)] = advantage
        logits = self.model(input_ids=ids, attention_mask=seen).logits[:, :-1].float() / temperature
        said = torch.log_softmax(logits, -1).gather(-1, ids[:, 1:, None])[..., 0]
        return -(said * weigh[:, 1:]).sum()

    def _write(self, out: Path) -> None:
        save = import_module("safetensors.torch").save_file
        state: dict[str, Any] = {}
        for place, weights in enumerate(self._weights):
            state[f"{place}.weights"] = weights.detach().cpu().contiguous()
            for name, value in self._adam.state[weights].items():
                state[f"{place}.{name}"] = value.detach().cpu().contiguous()
        out.parent.mkdir(parents=True, exist_ok=True)
        save(state, str(out.parent / STATE))
        if not self._lora:
            write(self.model, self._loaded.tokenizer, out)
            return
        self.model.merge_adapter()
        try:
            plain = {
                name.removeprefix("base_model.model.").replace(".base_layer", ""): value
                for name, value in self.model.state_dict().items()
                if ".lora_" not in name
            }
            base = self.model.get_base_model()
            write(base, self._loaded.tokenizer, out, plain)
        finally:
            self.model.unmerge_adapter()

    def _restore(self, place: Path) -> None:
        state = import_module("safetensors.torch").load_file(str(place))
        for index, weights in enumerate(self._weights):
            weights.data.copy_(state[f"{index}.weights"])
            names = ("step", "exp_avg", "exp_avg_sq")
            found = {name: state[f"{index}.{name}"] for name in names if f"{index}.{name}" in state}
            if found:
                self._adam.state[weights] = {
                    name: value if name == "step" else value.to(weights.device)
                    for name, value in found.items()
                }
