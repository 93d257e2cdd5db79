"""What a report takes: making the page out of what is kept, against scoring the same rows again, and opening it in a browser.

    python bench/report.py [--rows 10000]

Opening is held against the browser's own work on as many bytes of JSON in an empty page, the least that any page with these rows
does before it shows one. Without a Chromium that part is left out.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))

from browser import CHROMIUM, browser  # noqa: E402

LABELS = ("billing", "refund", "shipping", "cancellation")
SOURCE = """\
dspec 1
lm learner {{ model = "embedded/icl" }}
signature Route {{
  "Say what it is about."
  input text: str
  output label: {labels}
}}
module route = Predict(Route)
dataset notes {{
  source = jsonl("notes.jsonl")
  input text: str
  field label: {labels}
  split {{ train = 16; val = {rows}; seed = 1 }}
}}
metric right(gold: notes, pred: route) = gold.label == pred.label
optimize tuned {{
  program = route; metric = right; train = notes.train; val = notes.val
  step demos = LabeledFewShot(k = 8)
}}
"""
BARE = """<!doctype html><meta charset="utf-8"><script type="application/json" id="data">{data}</script>
<script>JSON.parse(document.getElementById("data").textContent)</script>"""
TIMES = 5


def project(folder: Path, rows: int) -> None:
    labels = " | ".join(f'"{label}"' for label in LABELS)
    (folder / "dspec.toml").touch()
    (folder / "main.dspec").write_text(SOURCE.format(labels=labels, rows=rows), encoding="utf-8")
    words = "a note of some length that somebody wrote about an order, number"
    lines = [
        json.dumps({"text": f"{words} {number}, for {LABELS[number % 4]}", "label": LABELS[number % 4]})
        for number in range(rows + 16)
    ]
    (folder / "notes.jsonl").write_text("\n".join(lines), encoding="utf-8")


def timed(folder: Path, *arguments: str) -> float:
    began = time.perf_counter()
    subprocess.run(
        [Path(sys.executable).parent / "dspc", *arguments], cwd=folder, check=True, capture_output=True
    )
    return time.perf_counter() - began


async def opened(page: Path) -> float:
    found: list[float] = []
    for _ in range(TIMES):
        async with browser() as tab:
            found.append(await tab.open(page))
    return median(found)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=10_000)
    rows: int = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        project(folder, rows)
        first = timed(folder, "compile", "main.dspec")
        shutil.rmtree(folder / "compiled")
        again = timed(folder, "compile", "main.dspec")
        made = timed(folder, "report", "main.dspec")
        page = folder / "report.html"
        size = page.stat().st_size
        print(f"{rows:,} rows, two programs: compile {first:.1f} s, again {again:.1f} s, report {made:.1f} s")
        print(
            f"  report / compile again {made / again:.2f}; page {size / 1e6:.2f} MB, {size / rows:.0f} bytes a row"
        )
        if CHROMIUM is None:
            print("  no Chromium: opening is not measured")
            return
        bare = folder / "bare.html"
        data = page.read_text(encoding="utf-8").split('id="data">')[1].split("</script>")[0]
        bare.write_text(BARE.format(data=data), encoding="utf-8")
        least, whole = asyncio.run(opened(bare)), asyncio.run(opened(page))
        print(f"  opens in {whole:.0f} ms, its bytes alone in {least:.0f} ms: {whole / least:.2f}")


if __name__ == "__main__":
    main()
