"""Which rows are near: this project's indexes beside plain numpy and beside the code before them.

    python bench/index.py [--rows 20000] [--answers 20] [--only words,long,vectors,bm25,million]

Every contender is a process of its own that makes its index of the same rows and answers the same inputs; it says how
long both took (CPU time of the process, which other load only touches lightly), what memory the index took, and which
rows it chose: contenders must choose the same. `open` is a second process, for which the index is kept. `before` is the
code that `runtime/index/plain` still is, which answered on the event loop; it takes part with a tenth of the long rows,
for more of them do not fit. Words are drawn by Zipf's law from 20,000 made-up ones and English function words.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

SEED = 7


def texts(rows: int, size: int, seed: int = SEED) -> list[str]:
    from dspec.runtime.models.embedded.features import FUNCTION_WORDS

    rng = random.Random(SEED)
    letters = "etaoinshrdlucmfwypvbgkjqxz"
    made = [
        "".join(rng.choices(letters, weights=range(26, 0, -1), k=rng.randint(3, 9))) for _ in range(20_000)
    ]
    names = [*sorted(FUNCTION_WORDS), *made]
    weights = [1 / (place + 5) for place in range(len(names))]
    drawn = random.Random(seed).choices(names, weights, k=rows * size)
    return [" ".join(drawn[place * size : (place + 1) * size]) for place in range(rows)]


def vectors(rows: int, size: int, seed: int = SEED):
    """Directions around a thousand centres, as embeddings of texts are."""
    import numpy as np

    centres = np.random.default_rng(SEED).normal(size=(1000, size)).astype(np.float32)
    rng = np.random.default_rng(seed)
    found = np.empty((rows, size), np.int8)
    for start in range(0, rows, 10_000):
        count = min(10_000, rows - start)
        block = centres[rng.integers(0, 1000, count)] + rng.normal(size=(count, size)).astype(np.float32)
        found[start : start + count] = np.rint(block / np.abs(block).max(axis=1, keepdims=True) * 127)
    return found


Search = Callable[[object], Sequence[int]]


def before_words(rows: Sequence[str]) -> Search:
    from heapq import nsmallest

    from dspec.runtime.index.plain import PlainIndex

    index = PlainIndex(rows)

    def search(text: object) -> Sequence[int]:
        likeness = index.likeness(str(text))
        shown = ((-round(likeness[place], 9), place) for place in range(len(rows)))
        return [place for _, place in nsmallest(8, shown)]

    return search


def numpy_words(rows: Sequence[str]) -> Search:
    """The same by lists of rows in arrays, feature by feature."""
    import numpy as np

    from dspec.runtime.models.embedded.features import features

    found: dict[str, list[list[float]]] = {}
    for place, text in enumerate(rows):
        for feature, weight in features(text).items():
            entry = found.setdefault(feature, [[], []])
            entry[0].append(place)
            entry[1].append(weight)
    squares = np.zeros(len(rows))
    index = {}
    for feature, (places, weights) in found.items():
        rarity = float(np.log((1 + len(rows)) / len(places)))
        at, parts = np.array(places, np.int32), np.array(weights) * rarity
        index[feature] = (rarity, at, parts)
        squares[at] += parts**2
    found.clear()
    lengths = np.sqrt(squares)

    def search(text: object) -> Sequence[int]:
        sums = np.zeros(len(rows))
        for feature, weight in features(str(text)).items():
            if feature in index:
                rarity, at, parts = index[feature]
                sums[at] += weight * rarity * parts
        scores = np.divide(sums, lengths, out=sums, where=lengths > 0)
        near = np.flatnonzero(scores >= np.partition(scores, -8)[-8] - 2e-9)
        return near[np.lexsort((near, -np.round(scores[near], 9)))][:8].tolist()

    return search


def ours_words(rows: Sequence[str]) -> Search:
    from dspec.runtime.index.ngrams import NgramIndex

    index = NgramIndex.kept(rows)
    return lambda text: [place for place, _ in index.search(str(text), 8)]


def ours_bm25(rows: Sequence[str]) -> Search:
    from dspec.runtime.index.bm25 import WordIndex

    index = WordIndex.kept(rows)
    return lambda text: [place for place, _ in index.search(str(text), 8)]


def before_vectors(rows) -> Search:
    from heapq import nsmallest

    from dspec.runtime.running.vectors import likeness, pack

    packed = tuple(pack(row) for row in rows.tolist())

    def search(vector: object) -> Sequence[int]:
        scores = likeness(packed, vector)  # type: ignore[arg-type]
        return [
            place for _, place in nsmallest(8, ((-round(score, 9), at) for at, score in enumerate(scores)))
        ]

    return search


def numpy_vectors(rows) -> Search:
    """Single precision in memory, one product and a partition."""
    import numpy as np

    wide = rows.astype(np.float32)
    wide /= np.linalg.norm(wide, axis=1, keepdims=True)

    def search(vector: object) -> Sequence[int]:
        asked = np.array(vector, np.float32)
        scores = wide @ (asked / np.linalg.norm(asked))
        near = np.argpartition(scores, -8)[-8:]
        return near[np.argsort(-scores[near], kind="stable")].tolist()

    return search


def ours_vectors(rows) -> Search:
    from dspec.runtime.index.vectors import VectorIndex

    index = VectorIndex.of_packed([row.tobytes() for row in rows])
    return lambda vector: [place for place, _ in index.search(vector, 8)]  # type: ignore[arg-type]


CONTENDERS = {
    "words": {"before": before_words, "numpy": numpy_words, "ours": ours_words},
    "vectors": {"before": before_vectors, "numpy": numpy_vectors, "ours": ours_vectors},
    "bm25": {"ours": ours_bm25},
}


def resident() -> float:
    """MiB that are this process's own; pages of a kept index that were read count."""
    status = Path("/proc/self/status").read_text("utf-8")
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def one(kind: str, contender: str, rows: int, size: int, answers: int) -> None:
    """Be one contender, and print what it cost."""
    make = CONTENDERS[kind][contender]
    if kind == "vectors":
        data, inputs = vectors(rows, size), vectors(answers + 1, size, SEED + 1).astype(float).tolist()
    else:
        data, inputs = texts(rows, size), texts(answers + 1, size, SEED + 1)
    import gc

    import numpy as np  # noqa: F401 - what importing it takes is not the index's

    gc.collect()
    held, began, wall = resident(), time.process_time(), time.perf_counter()
    search = make(data)  # type: ignore[operator]
    made = time.perf_counter() - wall, time.process_time() - began
    search(inputs[0])
    began = time.process_time()
    chosen = [search(asked) for asked in inputs[1:]]
    answered = (time.process_time() - began) / answers
    gc.collect()
    digest = hashlib.sha256(json.dumps(chosen).encode()).hexdigest()[:12]
    print(json.dumps([*made, answered * 1000, resident() - held, digest]))


def run(kind: str, contender: str, rows: int, size: int, answers: int) -> list[float | str]:
    command = [sys.executable, __file__, "--one", kind, contender, str(rows), str(size), str(answers)]
    # One thread of BLAS, so that CPU time is what an answer takes.
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return json.loads(done.stdout)


def table(title: str, kind: str, rows: int, size: int, answers: int, contenders: Sequence[str]) -> None:
    print(f"\n{title}: {rows:,} rows of {size:,}\n")
    print("| contender | make or open, s | an answer, ms CPU | memory, MiB | times ours |")
    print("| --- | ---: | ---: | ---: | ---: |")
    found = {name: run(kind, name, rows, size, answers) for name in contenders}
    if kind != "vectors":
        found["ours, kept"] = run(kind, "ours", rows, size, answers)
    ours = float(found.get("ours, kept", found["ours"])[2])
    for name, (wall, _, answer, memory, _) in found.items():
        print(
            f"| {name} | {wall:.2f} | {answer:.1f} | {memory:,.0f} | {float(answer) / ours:.1f} |", flush=True
        )
    digests = {name: values[4] for name, values in found.items()}
    same = [name for name, digest in digests.items() if digest == digests["ours"]]
    print(f"\nthe same rows in the same order: {', '.join(same)}")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=20_000)
    options.add_argument("--answers", type=int, default=20)
    options.add_argument("--only", default="words,long,vectors,bm25")
    options.add_argument("--one", nargs=5)
    asked = options.parse_args()
    if asked.one:
        kind, contender, rows, size, answers = asked.one
        one(kind, contender, int(rows), int(size), int(answers))
        return
    only, rows, answers = asked.only.split(","), asked.rows, asked.answers
    everyone = ("before", "numpy", "ours")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DSPEC_INDEX_DIR"] = folder
        if "words" in only:
            table("Words", "words", rows, 20, answers, everyone)
        if "long" in only:
            table("Words, all contenders", "words", rows // 10, 150, answers, everyone)
            table("Words", "words", rows, 150, answers, ("ours",))
        if "vectors" in only:
            table("Vectors", "vectors", rows, 1536, answers, everyone)
        if "bm25" in only:
            table("BM25", "bm25", rows, 20, answers, ("ours",))
            table("BM25", "bm25", rows, 150, answers, ("ours",))
        if "million" in only:
            table("Words", "words", 1_000_000, 20, answers, ("ours",))
            table("Vectors", "vectors", 1_000_000, 384, answers, ("ours",))


if __name__ == "__main__":
    main()
