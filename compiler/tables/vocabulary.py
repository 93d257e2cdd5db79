"""Words with a meaning of their own inside blocks: strategies, sources, built-in types.

Like the table in `blocks`, they are read by check, completion, hover and the docs.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

STRATEGIES: dict[str, str] = {
    "Predict": "One call that answers the signature directly.",
    "ChainOfThought": "One call that writes its reasoning before the outputs.",
}
"""Module strategies that run."""

LATER_STRATEGIES: dict[str, tuple[str, ...]] = {
    "ReAct": ("tools", "max_iters"),
    "ProgramOfThought": ("max_iters",),
    "MultiChainComparison": ("m", "temperature"),
    "BestOfN": ("n", "reward", "threshold"),
    "Refine": ("n", "reward", "threshold"),
    "python": (),
}
"""Module strategies that are checked and do not run yet, with their options besides `lm`."""

SOURCES: dict[str, str] = {
    "csv": "Comma-separated values with a header line.",
    "jsonl": "One JSON object per line.",
    "json": "A JSON list of objects.",
    "parquet": "A Parquet table.",
}
"""Dataset sources that are files of the project, by their endings."""


class SourceParameter(Struct, frozen=True):
    """One argument of an extern's source. `path` and `column` are texts, too: a data file, a column of it."""

    name: str
    value: Literal["text", "path", "column", "integer", "lm"]
    required: bool = False
    default: str = ""
    doc: str = ""


S = SourceParameter


class FetchedSource(Struct, frozen=True):
    """A dataset source whose rows are no file of the project: `parameters` are what it is told."""

    doc: str
    parameters: tuple[SourceParameter, ...]


FETCHED_SOURCES: dict[str, FetchedSource] = {
    "huggingface": FetchedSource(
        "A dataset on the Hugging Face hub.",
        (
            S("repo", "text", required=True, doc="Its name there, `owner/name`."),
            S("split", "text", default="train", doc="Which of its splits."),
            S("config", "text", doc="Which of its configs, where there are several."),
            S("revision", "text", default="main", doc="A branch, a tag or a commit."),
        ),
    ),
    "python": FetchedSource(
        "What a Python function gives: an iterable of mappings of JSON values.",
        (
            S(
                "function",
                "text",
                required=True,
                doc="`module:function`, found like an extern's and called without arguments.",
            ),
        ),
    ),
}
"""Dataset sources whose rows are fetched and kept."""

EXTERN_SOURCES: dict[str, tuple[SourceParameter, ...]] = {
    "python": (S("function", "text", required=True),),
    "bm25": (S("file", "path", required=True), S("text", "column")),
    "embeddings": (S("file", "path", required=True), S("text", "column"), S("lm", "lm")),
    "colbert": (S("url", "text", required=True), S("k", "integer")),
    "mcp": (S("command", "text"), S("url", "text"), S("tool", "text", required=True)),
}
"""Where an extern may come from, and what each source is told."""

TYPES: dict[str, str] = {
    "str": "Text.",
    "int": "A whole number.",
    "float": "A number.",
    "bool": "true or false.",
    "date": "A calendar date, as `2024-05-31`.",
    "datetime": "A date and time in ISO 8601.",
    "any": "Any JSON value.",
    "image": "An image.",
    "list": "`list[T]`: a list of values of one type.",
    "dict": "`dict[K, V]`: values by key.",
}
"""Built-in types."""
