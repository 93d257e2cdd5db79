"""Latency of the language server: from a key to its diagnostics, and from a request to its completion.

    python bench/editor.py [--lines 1000 10000] [--keys 60]

A real server process over its standard streams. The file is made of copies of one program; each key is
typed in a metric halfway down, and the diagnostics of exactly that version are waited for. Data files
do not exist, so the later look at the data costs nothing here.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "support"))
from rpc import Client

URI = "untitled:bench"
BLOCK = """
type Intent{n} = "billing" | "refund" | "shipping" | "other"

signature Route{n} {{
  "Decide which intent a support ticket expresses."
  input text: str "what the customer wrote"
  output intent: Intent{n}
}}

module router{n} = Predict(Route{n})

# Tickets of one quarter.
dataset tickets{n} {{
  source = csv("data/tickets.csv")
  input text: str
  field intent: Intent{n}
  split {{ train = 35%; val = 35%; test = 30%; seed = 7; stratify = intent }}
}}

metric right{n}(gold: tickets{n}, pred: router{n}) {{
  score = gold.intent == pred.intent
}}

optimize best{n} {{
  program = router{n}
  metric = right{n}
  train = tickets{n}.train
  val = tickets{n}.val
  step demos = BootstrapFewShot(max_bootstrapped_demos = 4, max_labeled_demos = 8)
}}
"""


def program(lines: int) -> str:
    copies = max(1, lines // BLOCK.count("\n"))
    head = 'dspec 1\nlm learner { model = "embedded/icl" }\n'
    return head + "".join(BLOCK.format(n=n) for n in range(copies))


def measure(lines: int, keys: int) -> None:
    text = program(lines)
    rows = text.splitlines()
    middle = next(n for n in range(len(rows) // 2, len(rows)) if rows[n].startswith("  score"))
    column = len(rows[middle])
    typing: list[float] = []
    asking: list[float] = []
    with Client() as client:
        started = time.perf_counter()
        client.initialize()
        ready = time.perf_counter()
        client.open(URI, text, 0)
        client.diagnostics(URI, 0)
        opened = time.perf_counter()
        for version in range(1, keys + 1):
            # Letters of ` and gold.intent`, typed one by one and then taken away again at once.
            letter = " and gold.intent"[(version - 1) % 16]
            place = {"line": middle, "character": column}
            if (version - 1) % 16 == 0 and version > 1:
                change = {
                    "range": {"start": {"line": middle, "character": len(rows[middle])}, "end": place},
                    "text": "",
                }
                column = len(rows[middle])
                place = {"line": middle, "character": column}
                client.change(URI, 1_000_000 + version, change)
                client.diagnostics(URI, 1_000_000 + version)
            begin = time.perf_counter()
            client.change(URI, version, {"range": {"start": place, "end": place}, "text": letter})
            client.diagnostics(URI, version)
            typing.append(time.perf_counter() - begin)
            column += 1
            begin = time.perf_counter()
            where = {"line": middle, "character": column}
            client.ask("textDocument/completion", {"textDocument": {"uri": URI}, "position": where})
            asking.append(time.perf_counter() - begin)
        client.ask("shutdown", None)
        client.notify("exit", None)
    print(
        f"{len(rows):>6} lines: start {ready - started:.2f} s, open {(opened - ready) * 1000:.0f} ms, "
        f"key → diagnostics {shown(typing)}, completion {shown(asking)}"
    )


def shown(seconds: list[float]) -> str:
    return f"{statistics.median(seconds) * 1000:.1f} ms (worst {max(seconds) * 1000:.1f})"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--lines", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--keys", type=int, default=60)
    arguments = parser.parse_args()
    for lines in arguments.lines:
        measure(lines, arguments.keys)


if __name__ == "__main__":
    main()
