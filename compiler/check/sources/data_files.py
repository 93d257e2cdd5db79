"""Finds the data file that a source names by its path."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

from dspec.grammar.tree import Expr

from ...diagnostics import codes
from ..session import Place, Session
from ..shape.secrets import holds_secret


def data_file(session: Session, place: Place, path: str, node: Expr) -> str | None:
    """The path as it counts from the root file's folder; reports one that leads outside the project, or holds a secret."""
    if holds_secret(path):
        session.report(codes.models.SecretInSource(place.at(node), "path", ""))
        return None
    written = place.text(node)
    if "\\" in written:
        session.report(codes.data.PathWithBackslash(place.at(node), written))
        return None
    folder = place.source.path.parent
    target = Path(os.path.normpath(folder / path))
    if (
        PurePosixPath(path).is_absolute()
        or "\\" in path
        or "\0" in path
        or not target.is_relative_to(session.root)
    ):
        session.report(codes.data.LeadsOutside(place.at(node), path, session.root.name))
        return None
    return path if folder == session.folder else Path(os.path.relpath(target, session.folder)).as_posix()
