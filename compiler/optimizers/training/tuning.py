"""Supervised tuning with TRL: whole weights, or LoRA whose matrices are merged into the weights at the end.

The loss is that of the answers alone. After every epoch the state is kept in the work folder, and a run that finds one there
goes on from it: the same draws, so the same weights. What is kept of the result is safetensors, JSON and the chat
template; the state is read as tensors alone (`weights_only`), and removed with the folder.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from dspec.compiler.diagnostics.wording import plural
from dspec.runtime.errors import ConfigurationError
from dspec.runtime.models.local import generating

torch: Any = import_module("torch")
transformers: Any = import_module("transformers")
trl: Any = import_module("trl")

EPOCHS = 3
RATES = {"full": 2e-5, "lora": 2e-4}
"""Step sizes where nobody says one: for checkpoints that know a language."""
BATCH = 8
_ACTIVATIONS = 34
"""Bytes of a layer's activations for each token and each number of its width, in 16 bits (Korthikanti et al., 2022,
arXiv:2205.05198), attention's own left out, which is not kept where it is fused."""

Say = Callable[..., None]


def tune(order: dict[str, Any], say: Say) -> None:
    """Train the checkpoint `base` on `rows` and write the result to `out`."""
    settings, out, work = order["settings"], Path(order["out"]), Path(order["work"])
    loaded = generating.load(order["base"], train=True)
    rows = [
        json.loads(line)["messages"] for line in Path(order["rows"]).read_text(encoding="utf-8").splitlines()
    ]
    kept, lengths = fitting(loaded, rows, settings["max_tokens"])
    if not kept:
        raise ConfigurationError("no row is short enough for the checkpoint's context")
    epochs = settings["epochs"] or EPOCHS
    longest = max(lengths)
    batch, gather = batches(loaded.model, settings["batch_size"] or BATCH, longest, len(kept))
    gpu = generating.device() == "cuda"
    config = trl.SFTConfig(
        output_dir=str(work),
        num_train_epochs=epochs,
        per_device_train_batch_size=batch,
        gradient_accumulation_steps=gather,
        learning_rate=settings["learning_rate"] or RATES[settings["method"]],
        warmup_steps=max(1, math.ceil(0.05 * epochs * len(kept) / (batch * gather))),
        lr_scheduler_type="cosine",
        seed=order["seed"],
        data_seed=order["seed"],
        bf16=gpu,
        use_cpu=not gpu,
        gradient_checkpointing=False,
        max_length=longest,
        packing=False,
        completion_only_loss=True,
        logging_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=1,
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=gpu,
    )
    trainer = trl.SFTTrainer(
        model=loaded.model,
        args=config,
        train_dataset=import_module("datasets").Dataset.from_list(
            [{"prompt": row[:-1], "completion": row[-1:]} for row in kept]
        ),
        processing_class=loaded.tokenizer,
        peft_config=lora(settings["rank"]) if settings["method"] == "lora" else None,
        callbacks=[_telling(say, epochs)],
    )
    say(
        say="at",
        text=f"{plural(len(kept), 'row')}, {plural(epochs, 'epoch')}, {plural(batch * gather, 'row')} a step"
        + (f" ({batch} at once)" if gather > 1 else "")
        + f", {settings['method']}, on {'a GPU in bf16' if gpu else 'the CPU'}",
    )
    with generating.one_core(loaded.model):
        trainer.train(resume_from_checkpoint=last_state(work))
    model = trainer.accelerator.unwrap_model(trainer.model)
    if settings["method"] == "lora":
        model = model.merge_and_unload()
    write(model, loaded.tokenizer, out)
    say(say="done", tokens=epochs * sum(lengths), left_out=len(rows) - len(kept), loss=_last_loss(trainer))


def fitting(loaded: Any, rows: list[Any], most: int | None) -> tuple[list[Any], list[int]]:
    """The rows that are short enough, and how long each is in tokens."""
    window = generating.window(loaded)
    bounds = [one for one in (most, window) if one is not None]
    limit = min(bounds) if bounds else None
    kept: list[Any] = []
    lengths: list[int] = []
    for row in rows:
        encoded = loaded.tokenizer.apply_chat_template(row, tokenize=True, return_dict=True)
        length = len(encoded["input_ids"])
        if limit is None or length <= limit:
            kept.append(row)
            lengths.append(length)
    return kept, lengths


def batches(model: Any, wanted: int, longest: int, rows: int) -> tuple[int, int]:
    """Rows at once, and how often their gradients are gathered for a step of `wanted` rows: on a GPU as many at once as half of
    the memory that is free holds, by the usual sum for activations and the logits; on a CPU all of them."""
    wanted = min(wanted, rows)
    if generating.device() != "cuda":
        return wanted, 1
    free, _ = torch.cuda.mem_get_info()
    config = model.config
    layers, width = config.num_hidden_layers, config.hidden_size
    row = longest * (layers * width * _ACTIVATIONS + config.vocab_size * 8)
    batch = max(1, min(wanted, int(free * 0.5 / row)))
    return batch, math.ceil(wanted / batch)


def lora(rank: int) -> Any:
    """Low-rank matrices beside every linear layer (Hu et al., 2021, arXiv:2106.09685)."""
    return import_module("peft").LoraConfig(
        r=rank, lora_alpha=2 * rank, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM"
    )


def last_state(work: Path) -> str | None:
    """Where the last whole epoch is kept; None where there is none."""
    found = sorted(work.glob("checkpoint-*"), key=lambda one: int(one.name.rpartition("-")[2]))
    whole = [one for one in found if (one / "trainer_state.json").is_file()]
    return str(whole[-1]) if whole else None


def write(model: Any, tokenizer: Any, out: Path, state: dict[str, Any] | None = None) -> None:
    """The checkpoint, whole or not at all: safetensors, JSON and the chat template. `state` are its weights where they are not
    the model's own."""
    part = out.with_name(f"{out.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    model.save_pretrained(str(part), **({} if state is None else {"state_dict": state}))
    tokenizer.save_pretrained(str(part))
    for file in part.iterdir():
        if file.suffix in (".bin", ".pt", ".pth", ".pkl", ".py"):
            file.unlink()
        else:
            with file.open("rb") as handle:
                os.fsync(handle.fileno())
    shutil.rmtree(out, ignore_errors=True)
    part.replace(out)


def _last_loss(trainer: Any) -> float | None:
    losses = [one["loss"] for one in trainer.state.log_history if "loss" in one]
    return losses[-1] if losses else None


def _telling(say: Say, epochs: int) -> Any:
    class Telling(transformers.TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if logs and "loss" in logs:
                say(say="at", text=f"epoch {round(state.epoch)} of {epochs}, loss {float(logs['loss']):.3f}")

    return Telling()
