"""The table of what an `lm` may hold. What a module may say otherwise for its own calls is marked."""

from __future__ import annotations

from typing import get_args

from dspec.runtime.schema.lms import AdapterName, Effort, Verbosity

from .block_specs import AttributeSpec, BlockSpec, SectionSpec

A = AttributeSpec

PRICE = SectionSpec(
    "price",
    "What the model costs, for budgets, where the price map does not know it.",
    (
        A("input", "number", "USD per million input tokens.", required=True, minimum=0, placeholder="0.15"),
        A("output", "number", "USD per million output tokens.", required=True, minimum=0, placeholder="0.60"),
    ),
)

TRAIN = SectionSpec(
    "train",
    "How `BootstrapFinetune` and `GRPO` tune this model's weights; what is not written is decided where it is trained.",
    (
        A(
            "provider",
            "choice",
            "Who trains it; without it, who serves it.",
            choices=("local", "openai", "azure", "vertex_ai"),
            placeholder='"local"',
        ),
        A(
            "method",
            "choice",
            "Of a local checkpoint: low-rank matrices beside the weights, or the weights themselves.",
            default="lora",
            choices=("lora", "full"),
            placeholder='"full"',
        ),
        A(
            "epochs",
            "integer",
            "How often the rows are gone through.",
            minimum=1,
            maximum=100,
            placeholder="3",
        ),
        A(
            "learning_rate",
            "number",
            "Step size; at a provider that takes one, the factor on its own.",
            minimum=0,
            maximum=10,
            placeholder="0.0002",
        ),
        A("batch_size", "integer", "Rows for each step.", minimum=1, maximum=4096, placeholder="8"),
        A(
            "rank",
            "integer",
            "Rank of LoRA's matrices.",
            default=16,
            minimum=1,
            maximum=1024,
            placeholder="16",
        ),
        A(
            "max_tokens",
            "integer",
            "Tokens of a row, prompt and answer together; longer rows are left out, and counted.",
            minimum=16,
            maximum=1_000_000,
            placeholder="2048",
        ),
        A(
            "price",
            "number",
            "USD per million tokens trained on, for plans and budgets.",
            minimum=0,
            placeholder="3.00",
        ),
    ),
)

HEADERS = SectionSpec(
    "headers",
    'Further headers of each request, `_` sent as `-`; a text, or `env("NAME")`.',
    (),
    free="header",
)

EXTRA = SectionSpec(
    "extra",
    "Parameters that only some providers know: literals, lists, and objects as blocks, sent as they are.",
    (),
    free="json",
    nested=True,
)

LM = BlockSpec(
    "lm",
    "A language model and how to call it.",
    'lm mini { model = "openai/gpt-4o-mini" }',
    "block",
    items=("doc",),
    attributes=(
        A(
            "model",
            "text",
            "Any LiteLLM model string, or `embedded/…` for the offline learner.",
            required=True,
            placeholder='"openai/gpt-4o-mini"',
        ),
        A(
            "api_base",
            "address",
            "Endpoint to call instead of the provider's own.",
            placeholder='env("LM_URL")',
        ),
        A(
            "api_key",
            "secret",
            "Environment variable that holds the key.",
            placeholder='env("LM_KEY")',
        ),
        A("api_version", "text", "Version of the provider's protocol; of Azure.", placeholder='"2024-10-21"'),
        A(
            "temperature",
            "number",
            "Sampling temperature.",
            minimum=0,
            maximum=2,
            placeholder="0.0",
            of_module=True,
        ),
        A(
            "max_tokens",
            "integer",
            "Longest answer, in tokens.",
            minimum=1,
            placeholder="1000",
            of_module=True,
        ),
        A("seed", "integer", "Sampling seed, for providers that take one.", placeholder="1", of_module=True),
        A(
            "top_p",
            "number",
            "Share of the likeliest tokens that are sampled from.",
            minimum=0,
            maximum=1,
            placeholder="0.9",
            of_module=True,
        ),
        A(
            "top_k",
            "integer",
            "Number of the likeliest tokens that are sampled from.",
            minimum=1,
            maximum=100_000,
            placeholder="40",
            of_module=True,
        ),
        A(
            "stop",
            "texts",
            "Texts at which the answer ends; one in the layout of the answer cuts it off.",
            placeholder='["…"]',
            of_module=True,
        ),
        A(
            "frequency_penalty",
            "number",
            "Makes tokens rarer by how often they came.",
            minimum=-2,
            maximum=2,
            placeholder="0.0",
            of_module=True,
        ),
        A(
            "presence_penalty",
            "number",
            "Makes tokens rarer that came at all.",
            minimum=-2,
            maximum=2,
            placeholder="0.0",
            of_module=True,
        ),
        A(
            "reasoning_effort",
            "choice",
            "How much a model thinks before it answers.",
            choices=get_args(Effort),
            placeholder='"low"',
            of_module=True,
        ),
        A(
            "verbosity",
            "choice",
            "How much a model says in its answer.",
            choices=get_args(Verbosity),
            placeholder='"low"',
            of_module=True,
        ),
        A(
            "reasoning",
            "choice",
            "What a chain of thought's `reasoning` is: written as an output, or the model's own, where it gives one.",
            default="written",
            choices=("written", "native"),
            placeholder='"native"',
            of_module=True,
        ),
        A(
            "mode",
            "choice",
            "How it is asked: at once, or by its provider's batch API, at half the price for most and within a day.",
            default="direct",
            choices=("direct", "batch"),
            placeholder='"batch"',
        ),
        A(
            "timeout",
            "number",
            "Seconds for one attempt.",
            default=120.0,
            minimum=0.1,
            placeholder="120",
        ),
        A(
            "retry",
            "integer",
            "Further attempts after a failure that may pass; not written, more of them while others are answered.",
            default=4,
            minimum=0,
            maximum=20,
            placeholder="4",
        ),
        A(
            "fallback",
            "references",
            "Models to ask, in order, when this one fails for good.",
            refers=("lm",),
            placeholder="[other]",
        ),
        A(
            "on_unreadable",
            "choice",
            "What follows an answer that stays unreadable when asked for again: the error, or the `fallback` models in order.",
            default="error",
            choices=("error", "fallback"),
            placeholder='"fallback"',
        ),
        A("rpm", "integer", "Most requests per minute.", minimum=1, placeholder="500"),
        A("tpm", "integer", "Most tokens per minute.", minimum=1, placeholder="200000"),
        A("max_parallel", "integer", "Most requests in flight.", minimum=1, placeholder="8"),
        A(
            "hedge",
            "flag",
            "True to ask a straggler a second time and take the first answer; both may be billed.",
            default=False,
            placeholder="true",
        ),
        A(
            "parse",
            "choice",
            "How forgivingly answers are read.",
            default="lenient",
            choices=("lenient", "strict"),
            placeholder='"strict"',
            of_module=True,
        ),
        A(
            "adapter",
            "choice",
            "How prompts and answers are laid out.",
            default="chat",
            choices=get_args(AdapterName),
            placeholder='"json"',
            of_module=True,
        ),
        A(
            "extract",
            "reference",
            "Model that takes the outputs from an answer in two steps; without it the model itself.",
            refers=("lm",),
            placeholder="other",
        ),
        A(
            "tool_calls",
            "choice",
            "How agents call tools: by the provider's own tool calls, or in the text; `auto` goes by the model.",
            default="auto",
            choices=("auto", "native", "text"),
            placeholder='"text"',
            of_module=True,
        ),
        A(
            "default",
            "flag",
            "True for the model that modules use unless told otherwise.",
            default=False,
            placeholder="true",
        ),
    ),
    sections=(PRICE, HEADERS, EXTRA, TRAIN),
)

OF_MODULE: dict[str, AttributeSpec] = {one.name: one for one in LM.attributes if one.of_module}
"""What a module may say, too, for its own calls."""
