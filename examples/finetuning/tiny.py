"""Makes a tiny checkpoint with random weights: nothing is fetched, and it can be tuned on a laptop in a minute.

    python tiny.py FOLDER TEXTS…

Its tokenizer is trained on the texts (files of any kind; a project's sources and data will do) and on the words that stand in
every prompt, its weights know nothing.
`BootstrapFinetune` with `method = "full"` teaches it one narrow task. It is made for tests and for trying things out; for
work, put any chat checkpoint in its place.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
"""How a chat becomes one text. The end of a turn ends the answer."""
SPECIAL = ("<|end|>", "<|pad|>", "<|system|>", "<|user|>", "<|assistant|>")


def make(folder: Path, texts: Sequence[str], *, vocabulary: int = 1200, seed: int = 0) -> None:
    """Write the checkpoint: a Llama of two layers, 128 wide, about 0.4 million parameters."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    plain = Tokenizer(models.BPE())
    plain.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    plain.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    plain.train_from_iterator(texts, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=plain, eos_token="<|end|>", pad_token="<|pad|>", chat_template=TEMPLATE
    )
    torch.manual_seed(seed)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=128,
            intermediate_size=256,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=4,
            max_position_embeddings=1024,
            initializer_range=0.1,  # so narrow a model does not leave chance for long with the usual 0.02
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=None,
        )
    )
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    place, *given = map(Path, sys.argv[1:])
    words = files("dspec.runtime.adapters").joinpath("system.j2").read_text(encoding="utf-8")
    layout = "Layout of an answer: Answer with [[ ## topic ## ]], then [[ ## completed ## ]]."
    make(place, [*(file.read_text(encoding="utf-8") for file in given), *[words, layout] * 20])
