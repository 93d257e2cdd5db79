"""Compile wall against the least it can be: calls × latency ÷ width. Random search over ten programs.

    python bench/compile.py [--widths 16,64] [--latency 0.1]

200 + 200 rows, a server that answers after the latency. `DSPEC_BENCH_PEERS` names a Python that has DSPy,
whose BootstrapFewShotWithRandomSearch is run on the same rows with the same settings.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "support"))
from server import spawned  # noqa: E402

SOURCE = """dspec 1
lm fake {{ model = "openai/fake"; api_base = "{url}"; temperature = 0.0 }}
signature Label {{
  "Give the text a label."
  input text: str
  output label: "a" | "b" | "c" | "d"
}}
module labeller = Predict(Label)
dataset rows {{
  source = csv("rows.csv")
  input text: str
  field label: "a" | "b" | "c" | "d"
  split {{ train = 200; val = 200; seed = 1 }}
}}
metric right(gold: rows, pred: labeller) {{ score = gold.label == pred.label }}
optimize tuned {{
  program = labeller; metric = right; train = rows.train; val = rows.val; seed = 1
  step search = BootstrapFewShotWithRandomSearch(num_candidate_programs = 10)
}}
"""


def timed(command: list[str], folder: Path, url: str) -> tuple[float, int]:
    """Wall from start to end, and the requests it made."""
    environment = {**os.environ, "OPENAI_API_KEY": "none", "NO_COLOR": "1"}
    # an installed package has its bytecode
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    began = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    wall = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    with urllib.request.urlopen(url.removesuffix("/v1") + "/stats") as response:
        return wall, json.load(response)["requests"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--widths", default="16,64")
    parser.add_argument("--latency", type=float, default=0.1)
    flags = parser.parse_args()
    print(
        f"RandomSearch(10), 200 + 200 rows, {flags.latency * 1000:.0f} ms answers "
        "(bars: ≤ 1.3 at 16 wide, ≤ 2.0 at 64)"
    )
    for width in map(int, flags.widths.split(",")):
        for name in ("dspc compile", "DSPy"):
            peers = os.environ.get("DSPEC_BENCH_PEERS")
            if name == "DSPy" and not peers:
                continue
            with (
                tempfile.TemporaryDirectory() as place,
                spawned("--latency", str(flags.latency), "--answer", "hashed") as url,
            ):
                folder = Path(place)
                (folder / "main.dspec").write_text(SOURCE.format(url=url))
                lines = [f"text {i},{'abcd'[i % 4]}" for i in range(400)]
                (folder / "rows.csv").write_text("text,label\n" + "\n".join(lines) + "\n")
                dspc = [str(Path(sys.executable).parent / "dspc"), "compile", "main.dspec", "-j", str(width)]
                if name == "dspc compile":
                    wall, calls = timed(dspc, folder, url)
                    again, more = timed(dspc, folder, url)
                else:
                    ask = str(HERE / "contenders" / "ask.py")
                    wall, calls = timed(
                        [peers or "", ask, "dspy-search", "rows.csv", str(width), url], folder, url
                    )
                    again, more = 0.0, calls
                least = calls * flags.latency / width
                print(
                    f"  {width:3} wide  {name:14}{wall:8.2f} s for {calls} calls: "
                    f"{wall / least:6.2f} × the least"
                )
                if name == "dspc compile":
                    print(f"            unchanged, again{again:6.2f} s, {more - calls} calls (bar: 0)")


if __name__ == "__main__":
    main()
