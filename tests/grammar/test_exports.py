"""What the room hands out."""

from __future__ import annotations

import ast
from pathlib import Path

import dspec.grammar
from dspec.grammar import tree


def test_every_public_name_of_the_tree_is_exported() -> None:
    source = ast.parse(Path(tree.__file__).read_text(encoding="utf-8"))
    classes = {one.name for one in source.body if isinstance(one, ast.ClassDef)}
    names = {
        target.id
        for one in source.body
        if isinstance(one, ast.Assign)
        for target in one.targets
        if isinstance(target, ast.Name)
    }
    own = {"Token", "TokenKind", "forget_parsed", "format_text", "parse", "reparse", "tokenize"}
    assert set(dspec.grammar.__all__) == classes | names | own
    assert all(hasattr(dspec.grammar, name) for name in dspec.grammar.__all__)
