"""huggingface: the rows of a dataset on the Hugging Face hub."""

from __future__ import annotations

import re

from dspec.runtime.schema.types import JsonValue

from ... import ir
from ...diagnostics import codes
from .base import Checking, Fetch, FetchedSource, Snapshot, SourceParameter, Written

_REPO = re.compile(r"(?:[A-Za-z0-9][\w.-]*/)?[A-Za-z0-9][\w.-]*", re.ASCII)
_PARAMETERS = (
    SourceParameter("repo", "text", required=True, doc="Its name there, `owner/name`."),
    SourceParameter("split", "text", default="train", doc="Which of its splits."),
    SourceParameter("config", "text", doc="Which of its configs, where there are several."),
    SourceParameter("revision", "text", default="main", doc="A branch, a tag or a commit."),
)


def _check(checking: Checking, written: Written) -> ir.DataSource | None:
    repo, place = written.texts["repo"]
    if not _REPO.fullmatch(repo) or ".." in repo or len(repo) > 96:
        checking.report(codes.attributes.NotOnTheHub(place, repo))
        return None
    options: dict[str, JsonValue] = {spec.name: spec.default for spec in _PARAMETERS if spec.default}
    options |= {name: text for name, (text, _) in written.texts.items() if name != "repo"}
    return ir.DataSource(kind=SOURCE.name, path=repo, options=options)


def _title(source: ir.DataSource) -> str:
    config = source.options.get("config")
    return f"{source.path}{f', {config}' if config else ''}, {source.options.get('split')}"


def _fetch(order: Fetch) -> Snapshot:
    from .huggingface_download import download  # no check needs what it brings

    return download(order)


SOURCE = FetchedSource(
    name="huggingface",
    doc="A dataset on the Hugging Face hub.",
    parameters=_PARAMETERS,
    check=_check,
    fetch=_fetch,
    title=_title,
)
