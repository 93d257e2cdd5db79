"""The one way to adopt a file: told by its name which tool it is of, read within bounds, never run."""

from __future__ import annotations

from pathlib import Path

from dspec.runtime.errors import InputError

from .baml import adopted_from_baml
from .drafts import Draft
from .dspy_module import adopted_from_dspy
from .promptfoo import adopted_from_promptfoo
from .python_source import MAX_BYTES, NotRead


def adopted(source: Path, name: str | None) -> Draft:
    """The draft of a file, or of a folder of BAML files. Raises InputError."""
    try:
        if source.is_dir():
            files = sorted(one for one in source.rglob("*.baml") if one.is_file())[:200]
            if not files:
                raise NotRead("it has no .baml file")
            return adopted_from_baml([(one.name, _read(one)) for one in files], name, source.resolve().name)
        data = _read(source)
        match source.suffix.lower():
            case ".py":
                return adopted_from_dspy(source.name, data, name)
            case ".yaml" | ".yml" | ".json":
                return adopted_from_promptfoo(source, data)
            case ".baml":
                return adopted_from_baml([(source.name, data)], name, source.name)
            case other:
                raise NotRead(f"`{other}` is none of .py (DSPy), .yaml and .json (promptfoo), .baml")
    except NotRead as error:
        raise InputError(f"{source} cannot be adopted: {error}") from None
    except RecursionError:
        raise InputError(f"{source} cannot be adopted: it nests too deep") from None
    except OSError as error:
        raise InputError(f"{source} cannot be read: {error.strerror or error}") from None


def _read(source: Path) -> bytes:
    with source.open("rb") as stream:
        data = stream.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise NotRead(f"{source.name} has more than {MAX_BYTES:,} bytes")
    return data
