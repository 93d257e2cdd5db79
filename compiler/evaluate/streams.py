"""Named random streams: every draw of a compile comes from a seed and a path of names.

Two streams with different names are independent, and asking for one never moves another, so a draw
depends on what it is for and not on when it is made. The names are hashed with SHA-256 and not with
`hash()`, which differs between processes.
"""

from __future__ import annotations

import hashlib
import random


def stream(seed: int, *names: str) -> random.Random:
    """A generator that depends on `seed` and `names` alone, alike on every machine.

    Names are length-prefixed before hashing: ("ab", "c") and ("a", "bc") are different streams.
    """
    recipe = [str(seed), *names]
    text = "".join(f"{len(name)}:{name}" for name in recipe)
    number = int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest(), "big")
    return random.Random(number)  # noqa: S311 - choosing demos, not keys
