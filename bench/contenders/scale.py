"""The same at scale by other means: one process each, for `scale.py`.

    python bench/contenders/scale.py write-rows FOLDER ROWS
    python bench/contenders/scale.py raw-csv|raw-jsonl|raw-parquet|dspy-csv FILE
    python bench/contenders/scale.py parse FOLDER
    python bench/contenders/scale.py hits-dspec ARTIFACT CALLS | hits-dspy URL CALLS

Everything is imported where it is used, so that nobody pays for another's imports. `parse` and `hits` print JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

LABELS = ("billing", "refund", "shipping", "account_access")


def write_rows(folder: str, rows: str) -> None:
    import csv
    import random

    import polars

    place = Path(folder)
    dice = random.Random(1)
    words = [f"word{number}" for number in range(3_000)]
    with (place / "rows.csv").open("w", newline="") as table, (place / "rows.jsonl").open("w") as objects:
        writer = csv.writer(table)
        writer.writerow(["text", "intent"])
        for number in range(int(rows)):
            more = ", and more" if number % 3 == 0 else ""
            text = f"Message {number}: {' '.join(dice.choices(words, k=8))}{more}"
            label = LABELS[dice.randrange(4)]
            writer.writerow([text, label])
            objects.write(json.dumps({"text": text, "intent": label}) + "\n")
    polars.read_csv(place / "rows.csv").write_parquet(place / "rows.parquet")


def raw_csv(path: str) -> None:
    import csv

    with open(path, newline="", encoding="utf-8") as file:  # noqa: PTH123
        print(sum(1 for _ in csv.reader(file)))


def raw_jsonl(path: str) -> None:
    with open(path, encoding="utf-8") as file:  # noqa: PTH123
        print(sum(len(json.loads(line)) > 0 for line in file))


def raw_parquet(path: str) -> None:
    import polars

    print(polars.read_parquet(path).height)


def dspy_csv(path: str) -> None:
    """Rows as DSPy has them: an example each."""
    import csv

    import dspy

    with open(path, newline="", encoding="utf-8") as file:  # noqa: PTH123
        print(len([dspy.Example(**row).with_inputs("text") for row in csv.DictReader(file)]))


def parse(folder: str) -> None:
    from dspec.grammar import parse

    texts = [path.read_text() for path in sorted(Path(folder).glob("*/*.dspec"))]
    seconds: list[float] = []
    for _ in range(4):
        start = time.process_time()
        trees = [parse(text) for text in texts]
        seconds.append(time.process_time() - start)
        del trees
    print(json.dumps({"first": seconds[0], "again": min(seconds[1:])}))


def least(calls: int, work: Callable[[], object]) -> float:
    """Microseconds of CPU of one call, the least of five rounds."""
    found: list[float] = []
    for _ in range(5):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return min(found) / calls * 1e6


def hits_dspec(artifact: str, calls: str) -> None:
    from dspec import load

    rows = [{"text": f"Message {number}: I was charged twice"} for number in range(int(calls))]
    with load(artifact, cache=Path(artifact).with_name("answers.sqlite")) as program:
        program.batch(rows)
        single = least(len(rows), lambda: [program(**row) for row in rows])
        print(json.dumps({"single": single, "batch": least(len(rows), lambda: program.batch(rows))}))


def hits_dspy(url: str, calls: str) -> None:
    from typing import Literal

    import dspy

    class Route(dspy.Signature):
        """Decide which intent a support ticket expresses."""

        text: str = dspy.InputField(desc="what the customer wrote")
        intent: Literal["billing", "refund", "shipping", "account_access"] = dspy.OutputField()

    dspy.configure_cache(enable_disk_cache=False, enable_memory_cache=True)
    dspy.configure(lm=dspy.LM("openai/fake", api_base=url, api_key="none", temperature=0.0))
    route = dspy.Predict(Route)
    texts = [f"Message {number}: I was charged twice" for number in range(int(calls))]
    examples = [dspy.Example(text=text).with_inputs("text") for text in texts]
    for text in texts:
        route(text=text)
    single = least(len(texts), lambda: [route(text=text) for text in texts])
    print(
        json.dumps(
            {
                "single": single,
                "batch": least(len(texts), lambda: route.batch(examples, disable_progress_bar=True)),
            }
        )
    )


WAYS = {
    "write-rows": write_rows,
    "raw-csv": raw_csv,
    "raw-jsonl": raw_jsonl,
    "raw-parquet": raw_parquet,
    "dspy-csv": dspy_csv,
    "parse": parse,
    "hits-dspec": hits_dspec,
    "hits-dspy": hits_dspy,
}

if __name__ == "__main__":
    WAYS[sys.argv[1]](*sys.argv[2:])
