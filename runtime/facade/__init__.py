"""dspec: run optimized language-model programs. `from dspec import load` is all an application needs.

    p = load("compiled/router_v1.dspc.json")
    p(text="Someone took my card.").intent

Nothing is imported before it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dspec.runtime import errors
    from dspec.runtime.application import Application, Candidates, KeptProgram, LoadedProgram, load
    from dspec.runtime.running.bringing import Given, GivenMedium
    from dspec.runtime.running.inspecting import Prompt
    from dspec.runtime.running.overriding import PerModel
    from dspec.runtime.running.prediction import Prediction, TypedPrediction
    from dspec.runtime.running.recording.recorder import RecordCounts
    from dspec.runtime.running.recording.settings import RecordSettings
    from dspec.runtime.running.records import CallRecord
    from dspec.runtime.running.spans import call_spans
    from dspec.runtime.running.streaming import FieldValue, StreamEvent, TextPiece, Withdrawn
    from dspec.runtime.running.streams import AnswerStream, AsyncAnswerStream

    __version__: str

__all__ = [
    "AnswerStream",
    "Application",
    "AsyncAnswerStream",
    "CallRecord",
    "Candidates",
    "FieldValue",
    "Given",
    "GivenMedium",
    "KeptProgram",
    "LoadedProgram",
    "PerModel",
    "Prediction",
    "Prompt",
    "RecordCounts",
    "RecordSettings",
    "StreamEvent",
    "TextPiece",
    "TypedPrediction",
    "Withdrawn",
    "__version__",
    "call_spans",
    "errors",
    "load",
]

_RUNNING = {
    "bringing": ("Given", "GivenMedium"),
    "inspecting": ("Prompt",),
    "overriding": ("PerModel",),
    "prediction": ("Prediction", "TypedPrediction"),
    "recording.recorder": ("RecordCounts",),
    "recording.settings": ("RecordSettings",),
    "records": ("CallRecord",),
    "spans": ("call_spans",),
    "streaming": ("FieldValue", "StreamEvent", "TextPiece", "Withdrawn"),
    "streams": ("AsyncAnswerStream", "AnswerStream"),
}
_HOMES = {
    "Application": "dspec.runtime.application",
    "KeptProgram": "dspec.runtime.application",
    "LoadedProgram": "dspec.runtime.application",
    "Candidates": "dspec.runtime.application",
    "load": "dspec.runtime.application",
    **{name: f"dspec.runtime.running.{file}" for file, names in _RUNNING.items() for name in names},
}


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version

        return version("dspc")
    if name == "errors":
        return import_module("dspec.runtime.errors")
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'dspec' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(home), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
