"""`dspc batch` on a file of many rows, killed twice, beside a raw aiohttp client that does the same calls.

    python bench/batch.py [--rows 100000] [--width 64] [--latency 0.05] [--kills 2] [--format csv]

Both stream the same rows from the same file to the same local server, so many at once, and write an answer a row. The batch is
ended by SIGKILL after a share of the rows and run again, and its wall time is that of all its runs, starts included. Memory is
what the kernel says of the process. The server counts what it was asked: more than a request a row are repeats.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "support"))
from server import spawned  # noqa: E402

ANSWER = "[[ ## intent ## ]]\nbilling\n\n[[ ## completed ## ]]"
SOURCE = """dspec 1
lm fake {{ model = "openai/fake"; api_base = "{url}"; temperature = 0.0 }}
type Intent = "billing" | "refund" | "shipping" | "account_access"
signature Route {{
  "Decide which intent a support ticket expresses."
  input text: str "what the customer wrote"
  output intent: Intent
}}
module router = Predict(Route)
"""


def write_rows(path: Path, rows: int) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        made = csv.writer(file)
        made.writerow(["id", "text"])
        for i in range(rows):
            made.writerow(
                [i, f"Message {i}: I was charged twice on my invoice, and would like to know what happened"]
            )


def asked(url: str) -> int:
    with urllib.request.urlopen(url.removesuffix("/v1") + "/count") as response:
        return int(response.read())


def waited(process: subprocess.Popen[bytes]) -> tuple[int, float, float]:
    """Exit code, CPU seconds and MiB at most."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def raw(folder: Path, url: str, width: int) -> tuple[float, float, float]:
    command = [sys.executable, str(HERE / "contenders" / "answer.py"), "rows.csv", "raw.csv", str(width), url]
    began = time.perf_counter()
    code, cpu, memory = waited(subprocess.Popen(command, cwd=folder))
    if code:
        sys.exit(f"the raw client failed with {code}")
    return time.perf_counter() - began, cpu, memory


def batch(
    folder: Path, url: str, rows: int, width: int, kills: int, kind: str
) -> tuple[float, float, float, int]:
    """Seconds of all runs, CPU seconds, the most MiB of any, and requests."""
    command = [str(Path(sys.executable).parent / "dspc"), "batch", "main.dspec", "rows.csv"]
    command += ["--out", f"answers.{kind}", "-j", str(width), "--quiet"]
    environment = {**os.environ, "OPENAI_API_KEY": "none"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package has its bytecode
    before = asked(url)
    seconds = cpu = memory = 0.0
    for kill in range(1, kills + 2):
        began = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, env=environment)
        if kill <= kills:
            while asked(url) - before < rows * kill // (kills + 1) and process.poll() is None:
                time.sleep(0.2)
            os.kill(process.pid, signal.SIGKILL)
        code, took, most = waited(process)
        seconds, cpu, memory = seconds + time.perf_counter() - began, cpu + took, max(memory, most)
        if code != (0 if kill > kills else -signal.SIGKILL):
            sys.exit(f"dspc batch ended with {code}")
    return seconds, cpu, memory, asked(url) - before


def check(path: Path, rows: int) -> None:
    """Every row is there once, in its place, with an answer."""
    if path.suffix == ".csv":
        with path.open(newline="", encoding="utf-8") as file:
            found = [(row["id"], row["intent"], row["error"]) for row in csv.DictReader(file)]
    elif path.suffix == ".jsonl":
        with path.open(encoding="utf-8") as file:
            read = [json.loads(line) for line in file]
        found = [(row["id"], row["intent"], row["error"] or "") for row in read]
    else:
        import polars

        frame = polars.read_parquet(path).fill_null("")
        found = list(zip(frame["id"], frame["intent"], frame["error"], strict=True))
    if found != [(str(i), "billing", "") for i in range(rows)]:
        sys.exit("rows are missing, out of their order, or without an answer")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--latency", type=float, default=0.05)
    parser.add_argument("--kills", type=int, default=2)
    parser.add_argument("--format", default="csv", choices=("csv", "jsonl", "parquet"))
    given = parser.parse_args()
    flags = ("--latency", str(given.latency), "--answer", ANSWER)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_rows(folder / "rows.csv", given.rows)
        with spawned(*flags) as url:
            seconds, cpu, memory = raw(folder, url, given.width)
        with spawned(*flags) as url:
            (folder / "main.dspec").write_text(SOURCE.format(url=url))
            ours, took, most, requests = batch(
                folder, url, given.rows, given.width, given.kills, given.format
            )
        check(folder / f"answers.{given.format}", given.rows)
    rows = given.rows
    print(
        f"{rows:,} rows, {given.width} at once, {given.latency * 1000:.0f} ms an answer, killed {given.kills} times"
    )
    print(f"  raw aiohttp {rows / seconds:8,.0f} rows/s{cpu * 1000 / rows:8.3f} ms CPU{memory:8.1f} MiB")
    print(f"  dspc batch  {rows / ours:8,.0f} rows/s{took * 1000 / rows:8.3f} ms CPU{most:8.1f} MiB")
    print(
        f"  rate {seconds / ours:.2f} × raw (bar: ≥ 0.70), CPU {took / cpu:.2f} × raw, memory (bar: ≤ 150 MiB), ",
        end="",
    )
    print(f"{requests - rows} requests repeated (bar: ≤ {given.kills * given.width}); every row once")


if __name__ == "__main__":
    main()
