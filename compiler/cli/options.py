"""Options of commands that make calls. A shell asks for them at every press of a key, so nothing that makes calls is imported."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated

import typer


class TransportChoice(StrEnum):
    auto = "auto"
    lean = "lean"
    litellm = "litellm"


ThreadsOption = Annotated[
    int, typer.Option("--threads", "-j", min=1, max=4096, help="Model calls in flight at most.")
]
TransportOption = Annotated[
    TransportChoice,
    typer.Option(help="auto: the lean client where the endpoint speaks OpenAI's protocol, else LiteLLM."),
]


_PLACES = re.compile(r"local|ray(?:://(\S+))?")


def _place(value: str) -> str:
    if _PLACES.fullmatch(value) is None:
        raise typer.BadParameter("expected local, ray or ray://ADDRESS")
    return value


EngineOption = Annotated[
    str,
    typer.Option(
        "--engine",
        metavar="local|ray[://ADDRESS]",
        callback=_place,
        help="Where runs are made and calls are sent from: this process, workers under a Ray of their own on this machine, or "
        "those of the Ray cluster that it is part of (`auto`, or the head's HOST:PORT).",
    ),
]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        "--workers", min=1, max=4096, help="Workers under `--engine ray`; one for each CPU if left out."
    ),
]
