"""CPU of `dspc check`: on one small file, on projects of many files, first and unchanged, and its growth.

    python bench/check.py [--lines 100 1000 5000 10000 50000] [--runs 5]

Each figure is the CPU (user and system) of a whole `dspc` process, interpreter start included: the
median of several runs, which take turns. `first` has an empty state folder, `unchanged` is the same
command again, `one edit` is again after a comment was added to one file that no other file imports.
`text only` is the parse alone, within one process.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SHARED = """dspec 1

# Types that every part of the project uses.
type Intent = "billing" | "refund" | "shipping" | "other"

record Line {
  field sku: str "as printed"
  field quantity: float
  assert quantity > 0 else "quantity must be positive"
}

record Ticket {
  field customer: str
  field lines: list[Line]
  field intent: Intent
}
"""
MODELS = """dspec 1

lm small { model = "embedded/icl"; default = true }
lm large { model = "openai/gpt-4o"; api_key = env("LARGE_KEY"); temperature = 0.2 }
"""
HEAD = """dspec 1

import "{up}shared/models.dspec" as lms
import "{up}shared/types.dspec" as shared

module fallback = Predict(sig(text -> intent: shared.Intent), lm = lms.small)

dataset tickets {{
  source = csv("data/tickets{file}.csv")
  input text: str
  field intent: shared.Intent
  split {{ train = 35%; val = 35%; test = 30%; seed = 7; stratify = intent }}
}}
"""
BLOCK = """
# Part {n}: which queue a ticket belongs to, and what to answer.
signature Route{n} {{
  "Decide which intent a support ticket expresses."
  fixed = "Judge by what the customer wants done, not by the words they mention."
  input text: str "what the customer wrote"
  output intent: shared.Intent
  output urgency: float "0 to 1"
  assert 0.0 <= urgency and urgency <= 1.0 else "urgency must lie in 0..1"
}}

module route{n} = ChainOfThought(Route{n}, lm = lms.small)
module reply{n} = Predict(sig(text, intent -> answer), lm = lms.small)

program Desk{n}(text: str) -> (intent: shared.Intent, answer: str) {{
  let routed = route{n}(text = text)
  let urgent = routed.urgency > 0.8 or "urgent" in lower(text)
  let drafted = reply{n}(text = text, intent = routed.intent)
  suggest len(drafted.answer) < 800 else "be brief"
  return intent = routed.intent, answer = (if urgent then "! " else "") + drafted.answer
}}

metric right{n}(gold: tickets, pred: Desk{n}) {{
  score = gold.intent == pred.intent
  feedback = if score then "correct" else "expected " + gold.intent + ", got " + pred.intent
}}

optimize best{n} {{
  program = Desk{n}
  metric = right{n}
  train = tickets.train
  val = tickets.val
  seed = {n}
  step demos = BootstrapFewShot(max_bootstrapped_demos = 4, max_labeled_demos = 8)
  step search = BootstrapFewShotWithRandomSearch(teacher = demos, num_candidate_programs = 8)
}}

eval ship{n} {{
  program = best{n}
  baseline = Desk{n}
  metric = right{n}
  data = tickets.test
  gate score >= baseline.score + 0.02
}}
"""
INTENTS = ("billing", "refund", "shipping", "other")
ROWS = 400
LINES_PER_FILE = 250


def write_project(folder: Path, lines: int) -> int:
    """A project of about `lines` lines in files of 250, with 400 rows of data each; the number of lines."""
    folder.mkdir(parents=True)
    (folder / "dspec.toml").touch()
    rows = [f"message {i} about {INTENTS[i % 4]} number {i * 7919},{INTENTS[i % 4]}" for i in range(ROWS)]
    for name in ("desk", "shared"):
        (folder / name).mkdir()
    (folder / "desk" / "data").mkdir()
    (folder / "shared" / "models.dspec").write_text(MODELS)
    (folder / "shared" / "types.dspec").write_text(SHARED)
    total = MODELS.count("\n") + SHARED.count("\n")
    number = files = 0
    while total < lines:
        data = folder / "desk" / "data" / f"tickets{files:03}.csv"
        data.write_text("text,intent\n" + "\n".join(rows) + "\n")
        text = HEAD.format(up="../", file=f"{files:03}")
        while text.count("\n") < min(LINES_PER_FILE, lines - total):
            text += BLOCK.format(n=number)
            number += 1
        (folder / "desk" / f"part{files:03}.dspec").write_text(text)
        total += text.count("\n")
        files += 1
    return total


def cpu(command: list[str], folder: Path) -> tuple[float, int]:
    """CPU seconds and peak KiB of one process."""
    # an installed package has its bytecode
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    said = process.stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stderr.close()
    if process.returncode:
        sys.exit(f"dspc check failed ({process.returncode}):\n{said[-2000:]}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss


def parse_only(folder: Path) -> float:
    """CPU seconds that the text → tree step takes for all files, in a fresh process."""
    code = (
        "import sys, time; from pathlib import Path; from dspec.grammar import parse; parse('dspec 1')\n"
        "texts = [p.read_text() for p in sorted(Path().glob('*/*.dspec'))]; start = time.process_time()\n"
        "for text in texts: parse(text)\n"
        "print(time.process_time() - start)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def measure(lines: int, runs: int) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "project"
        total = write_project(folder, lines)
        files = len(list(folder.glob("*/*.dspec")))
        command = [str(Path(sys.executable).with_name("dspc")), "check", "."]
        first: list[float] = []
        unchanged: list[float] = []
        edited: list[float] = []
        memory = 0
        for run in range(runs):
            shutil.rmtree(folder / ".dspec", ignore_errors=True)
            seconds, peak = cpu(command, folder)
            first.append(seconds)
            memory = max(memory, peak)
            unchanged.append(cpu(command, folder)[0])
            with (folder / "desk" / "part000.dspec").open("a") as file:
                file.write(f"# edit {run}\n")
            edited.append(cpu(command, folder)[0])
        parsing = statistics.median(parse_only(folder) for _ in range(min(runs, 3)))
    print(
        f"{total:>7,} {files:>6} {shown(first)} {shown(unchanged)} {shown(edited)} {parsing:>10.2f}"
        f" {statistics.median(first) / total * 1e6:>14.0f} {memory / 1024:>9.0f}",
        flush=True,
    )


def shown(seconds: list[float]) -> str:
    return f"{statistics.median(seconds):>10.2f}"


def floor(runs: int) -> float:
    """CPU of a Python process that does nothing."""
    here = Path(tempfile.gettempdir())
    return statistics.median(cpu([sys.executable, "-c", "pass"], here)[0] for _ in range(runs))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--lines", type=int, nargs="+", default=[100, 1_000, 5_000, 10_000, 50_000])
    parser.add_argument("--runs", type=int, default=5)
    flags = parser.parse_args()
    started = time.perf_counter()
    print(f"CPU seconds, median of {flags.runs}; an empty Python process: {floor(flags.runs):.3f}")
    columns = f"{'lines':>7} {'files':>6} {'first':>10} {'unchanged':>10} {'one edit':>10} {'text only':>10}"
    print(f"{columns} {'first, µs/line':>14} {'peak MiB':>9}")
    for lines in flags.lines:
        measure(lines, flags.runs if lines <= 10_000 else min(flags.runs, 3))
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = children.ru_utime + children.ru_stime
    print(f"({time.perf_counter() - started:.0f} s in all, {spent:.0f} s of them CPU)")


if __name__ == "__main__":
    main()
