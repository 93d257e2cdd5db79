"""Loads a record that stands in a file of its own when somebody first asks for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TypeVar

Part = TypeVar("Part")


class FileTable(Mapping[str, Part]):
    """Records by name. A record is the `attribute` of the module that `modules` has for its name, in `package`.

    To look up one record imports one file. To go through all values imports them all.
    """

    def __init__(self, package: str | None, modules: Mapping[str, str], attribute: str) -> None:
        self._package = package
        self._modules = modules
        self._attribute = attribute
        self._loaded: dict[str, Part] = {}

    def __getitem__(self, name: str) -> Part:
        module = self._modules[name]
        if module not in self._loaded:
            self._loaded[module] = getattr(import_module(f".{module}", self._package), self._attribute)
        return self._loaded[module]

    def __contains__(self, name: object) -> bool:
        return name in self._modules

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __len__(self) -> int:
        return len(self._modules)
