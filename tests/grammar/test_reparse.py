"""An edited text gives the tree that it gives by itself, and declarations that are left as they are keep their blocks."""

from __future__ import annotations

import random

import pytest
from dspec_writer import dspec_texts
from grammar_profile import thorough
from hypothesis import given
from hypothesis import strategies as st

from dspec.compiler.project.loading import MAX_DECLARATIONS
from dspec.compiler.project.source import MAX_SOURCE_BYTES
from dspec.grammar import parse, reparse
from dspec.grammar.parser import StretchCache

PIECES = (
    "", "\n", "\n\n", " ", "{", "}", '"', '"""', ";", "x", "é", "\u2028", "\ufeff", "\r\n", "# note\n", "lm x {", "type T = ",
    '\nlm z { model = "a" }\n', "  lm y { }", 'import "a" as b\n', "dspec 1\n", "module x = Predict(S)\n",
)  # fmt: skip
THREE = 'dspec 1\n\nlm a { model = "x" }\n\n# note\nlm b { model = "y" }\n\nlm c { model = "z" }\n'


@thorough
@given(dspec_texts, st.integers(0, 1 << 30))
def test_any_edits_give_the_tree_of_the_whole_text(text: str, seed: int) -> None:
    dice = random.Random(seed)
    tree = parse(text)
    for _ in range(6):
        start = dice.randrange(len(text) + 1)
        end = min(len(text), start + dice.choice((0, 0, 0, 1, 3, 40, 400)))
        piece = dice.choice(PIECES) if dice.random() < 0.8 else text[start // 2 : start // 2 + 300]
        text = text[:start] + piece + text[end:]
        tree = reparse(tree, text)
        assert tree == parse(text)


def test_declarations_that_an_edit_leaves_alone_keep_their_blocks() -> None:
    before = parse(THREE)
    old = before.blocks
    after = reparse(before, THREE.replace('"y"', '"why"'))
    assert [one is other for one, other in zip(old, after.blocks, strict=True)] == [True, True, False, True]
    assert after.blocks[3].start == THREE.index("lm c") + 2


def test_a_comment_behind_a_declaration_is_no_change_of_it() -> None:
    before = parse(THREE)
    old = before.blocks
    after = reparse(before, THREE.replace("# note", "# another note"))
    assert all(one is other for one, other in zip(old, after.blocks, strict=True))
    assert after == parse(after.text)


def test_a_block_that_is_moved_is_the_same_block() -> None:
    before = parse(THREE)
    a, b = before.blocks[1:3]
    moved = THREE.replace(
        'lm a { model = "x" }\n\n# note\nlm b { model = "y" }', 'lm b { model = "y" }\n\nlm a { model = "x" }'
    )
    after = reparse(before, moved)
    assert after.blocks[1] is b
    assert after.blocks[2] is a
    assert after == parse(moved)


def test_as_many_declarations_are_kept_as_a_file_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    assert StretchCache.STRETCHES == MAX_DECLARATIONS
    assert StretchCache.CHARACTERS == MAX_SOURCE_BYTES
    monkeypatch.setattr(StretchCache, "STRETCHES", 50)
    cache = StretchCache()
    stretches = [f"type T{number} = str\n" for number in range(50)]
    first = [cache.blocks(stretch) for stretch in stretches]
    assert all(cache.blocks(stretch) is known for stretch, known in zip(stretches, first, strict=True))
    cache.blocks("type One = str\n")
    assert cache.blocks(stretches[1]) is first[1]
    assert cache.blocks(stretches[0]) is not first[0], "the one longest unused makes room"


def test_versions_of_a_long_declaration_make_room_for_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StretchCache, "CHARACTERS", 100_000)
    cache = StretchCache()
    versions = [f"type T{number} = str # {'long ' * 2_000}\n" for number in range(10, 40)]
    first = [cache.blocks(version) for version in versions]
    kept = [
        cache.blocks(version) is known for version, known in zip(versions[::-1], first[::-1], strict=True)
    ]
    assert kept.count(True) == 100_000 // len(versions[0])
