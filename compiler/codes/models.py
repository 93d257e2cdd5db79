"""DS07: language models and budgets."""

from __future__ import annotations

from .base import Code

ASK = "module ask = Predict(sig(question -> answer))\n"

MODELS: dict[str, Code] = {
    "DS0701": Code(
        "error",
        "no model",
        "A module that names no lm uses the only one in scope, or the one marked `default = true`. With "
        "several and "
        "no mark, nothing says which one answers.",
        "dspec 1\n\n" + ASK,
        'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini" }\n' + ASK,
    ),
    "DS0705": Code(
        "error",
        "secret in the source",
        "A key in a file is a key in every copy of the file, in its history and in its backups. "
        '`env("NAME")` names '
        "the environment variable that holds it.",
        'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini"; api_key = "sk-not-a-real-key" }\n',
        'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini"; api_key = env("OPENAI_API_KEY") }\n',
    ),
    "DS0707": Code(
        "error",
        "two default models",
        "One model in a file may be marked as the default.",
        'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini"; default = true }\n'
        'lm large { model = "openai/gpt-4o"; default = true }\n',
        'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini"; default = true }\nlm large { model = '
        '"openai/gpt-4o" }\n',
    ),
    "DS0709": Code(
        "error",
        "fallback in a circle",
        "A fallback is asked when a model fails for good. A model that falls back to itself would fail in "
        "the same "
        "way again.",
        'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini"; fallback = [mini] }\n',
        'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini"; fallback = [large] }\nlm large { model = '
        '"openai/gpt-4o" }\n',
    ),
}
