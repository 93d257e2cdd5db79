"""A million rows, a large project, many kept answers: beside the code before, DSPy, and the raw limit.

    python bench/scale.py [--before COMMIT] [--only data,parse,start,hits,resume] [--rows 1000000] [--answers 20000] [--rounds 3]

With `--before`, the code of that commit runs in turn with today's, out of a worktree of its own. `DSPEC_BENCH_PEERS` names a
Python that has DSPy. Every figure is CPU (user and system) of a whole process, start included, the least of the rounds:
other load can only add. Memory is the process's at most.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests" / "support")]
from check import write_project  # noqa: E402
from eval import ANSWER, SOURCE  # noqa: E402
from server import spawned  # noqa: E402

CONTENDER = str(HERE / "contenders" / "scale.py")
DSPC = [sys.executable, "-c", "from dspec.compiler.cli.main import main; main()"]
LABELS = ("billing", "refund", "shipping", "account_access")
ROOMS = ("grammar", "compiler", "runtime", "lsp")
MILLION = """dspec 1
lm fake {{ model = "openai/fake"; api_base = "http://127.0.0.1:9/v1"; max_tokens = 100; price {{ input = 0.1; output = 0.2 }} }}
type Intent = "billing" | "refund" | "shipping" | "account_access"
module router = Predict(sig(text -> intent: Intent))
dataset tickets {{
  source = {kind}("rows.{kind}")
  input text: str
  field intent: Intent
  split {{ {split}; seed = 7; stratify = intent }}
}}
metric right(gold: tickets, pred: router) {{ score = gold.intent == pred.intent }}
optimize best {{
  program = router
  metric = right
  train = tickets.train
  val = tickets.val
  step demos = BootstrapFewShot(max_bootstrapped_demos = 2)
}}
eval ship {{ program = best; baseline = router; metric = right; data = tickets.test }}
"""
SPLITS = {"few": "train = 200; val = 300; test = 1000", "all": "train = 30%; val = 30%; test = 40%"}


class Cost(NamedTuple):
    cpu: float
    """Seconds."""
    memory: float
    """MiB at most."""
    said: str = ""

    def __str__(self) -> str:
        return f"{self.cpu:8.2f} s {self.memory:6.0f} MiB"


Sides = dict[str, dict[str, str]]
"""The code now and before, by what the environment has besides for it."""


@contextmanager
def sides(before: str | None) -> Iterator[Sides]:
    if before is None:
        yield {"now": {}}
        return
    with tempfile.TemporaryDirectory() as place:
        tree, package = Path(place) / "tree", Path(place) / "path" / "dspec"
        git = ["git", "-C", str(HERE.parent), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", str(tree), before], check=True)
        try:
            package.mkdir(parents=True)
            for room in ROOMS:
                (package / room).symlink_to(tree / room, target_is_directory=True)
            for file in (tree / "runtime" / "facade").iterdir():
                if file.is_file():
                    (package / file.name).symlink_to(file)
            yield {"before": {"PYTHONPATH": str(package.parent)}, "now": {}}
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True)


def cost(command: list[str], folder: Path, more: dict[str, str]) -> Cost:
    environment = {**os.environ, "NO_COLOR": "1", "OPENAI_API_KEY": "none", **more}
    # an installed package has its bytecode
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=said, stderr=subprocess.PIPE, text=True
        )
        assert process.stderr is not None
        wrong = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.stderr.close()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            sys.exit(f"{' '.join(command)} failed:\n{wrong[-2000:]}")
        said.seek(0)
        return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, said.read())


def least(rounds: int, measure: Callable[[], Cost]) -> Cost:
    return min((measure() for _ in range(rounds)), key=lambda one: one.cpu)


def line(name: str, found: Cost, beside: Cost | None = None) -> None:
    ratio = (
        ""
        if beside is None
        else f"{found.cpu / beside.cpu:8.2f} × before, {found.memory / beside.memory:.2f} memory"
    )
    print(f"    {name:28}{found}{ratio}", flush=True)


# A million rows ---------------------------------------------------------------------------------------


def data(given: Sides, flags: argparse.Namespace) -> None:
    peers = os.environ.get("DSPEC_BENCH_PEERS")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "dspec.toml").touch()
        # Not in this process: what it has taken counts as taken by each that it starts.
        cost([sys.executable, CONTENDER, "write-rows", place, str(flags.rows)], folder, {})
        for kind in ("csv", "jsonl", "parquet"):
            print(f"\n{flags.rows:,} rows of {kind} (bars: check as csv, deep and plan ≤ 8 s and ≤ 500 MiB)")
            for name, split in SPLITS.items():
                (folder / f"{name}.dspec").write_text(MILLION.format(kind=kind, split=split))
            line(
                "read by its own reader",
                cost([sys.executable, CONTENDER, f"raw-{kind}", f"rows.{kind}"], folder, {}),
            )
            if peers and kind == "csv":
                line("DSPy's examples", cost([peers, CONTENDER, "dspy-csv", "rows.csv"], folder, {}))
            for words in (
                ["check", "few.dspec"],
                ["check", "--deep", "few.dspec"],
                ["plan", "few.dspec"],
                ["plan", "all.dspec"],
            ):
                told: dict[str, str] = {}
                beside: Cost | None = None
                for side, more in given.items():

                    def measured(more: dict[str, str] = more, words: list[str] = words) -> Cost:
                        shutil.rmtree(folder / ".dspec", ignore_errors=True)
                        return cost(
                            [*DSPC, *words, *(["--json"] if words[0] == "plan" else [])], folder, more
                        )

                    found = least(1, measured)
                    line(f"{' '.join(words)}, {side}", found, beside)
                    told[side], beside = found.said, found
                if len(set(told.values())) > 1:
                    sys.exit(f"{' '.join(words)} says something else than before")


# The rest ---------------------------------------------------------------------------------------------


def parse(given: Sides, flags: argparse.Namespace) -> None:
    print("\n50,000 lines parsed again in one process (bar: 25 ms)")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "project"
        write_project(folder, 50_000)
        for side, more in given.items():
            found = [
                cost([sys.executable, CONTENDER, "parse", str(folder)], folder, more).said
                for _ in range(flags.rounds)
            ]
            times = [json.loads(one) for one in found]
            first, again = (min(one[key] for one in times) for key in ("first", "again"))
            print(f"    {side:8}first {first:6.2f} s, again {again * 1000:8.1f} ms", flush=True)


def start(given: Sides, flags: argparse.Namespace) -> None:
    print(
        "\nCPU from start to end, unchanged example (bars: --version and fmt ≤ 0.12 s, each check as the plain one)"
    )
    example = HERE.parent / "examples" / "tickets" / "tickets.dspec"
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "tickets"
        shutil.copytree(example.parent, folder, ignore=shutil.ignore_patterns(".dspec", "compiled"))
        plain = ["check", example.name]
        commands = [
            ["--version"],
            ["fmt", "--check", example.name],
            plain,
            [*plain, "--strict"],
            [*plain, "--format", "json"],
        ]
        line(
            "python alone", least(flags.rounds * 3, lambda: cost([sys.executable, "-c", "pass"], folder, {}))
        )
        for words in commands:
            beside: Cost | None = None
            for side, more in given.items():
                shutil.rmtree(folder / ".dspec", ignore_errors=True)
                cost([*DSPC, *plain], folder, more)
                found = least(
                    flags.rounds * 3, lambda more=more, words=words: cost([*DSPC, *words], folder, more)
                )
                line(f"{' '.join(words)}, {side}", found, beside)
                beside = found


def hits(given: Sides, flags: argparse.Namespace) -> None:
    from dspec.compiler.check.analysis import analyse
    from dspec.runtime.artifact.artifact import Artifact, write_artifact
    from dspec.runtime.schema.program import Program

    print("\nµs of CPU of a kept answer through a program: one by one, and in a batch (bars: ≤ 60, ≤ 40)")
    calls = "1000"
    with tempfile.TemporaryDirectory() as place, spawned("--answer", ANSWER) as url:
        folder = Path(place)
        (folder / "main.dspec").write_text(SOURCE.format(url=url))
        (folder / "rows.csv").write_text("text,intent\nhello,billing\n")
        checked = analyse(folder / "main.dspec").project
        assert checked is not None
        program = checked.programs["router"]
        assert isinstance(program, Program)
        lms = {
            name: lm.model_copy(update={"api_base": None, "api_base_env": "BENCH_URL"})
            for name, lm in program.lms.items()
        }
        artifact = folder / "router.dspc.json"
        write_artifact(artifact, Artifact(name="router", program=program.model_copy(update={"lms": lms})))
        ways = {
            side: (
                [sys.executable, CONTENDER, "hits-dspec", str(artifact), calls],
                {**more, "BENCH_URL": url},
            )
            for side, more in given.items()
        }
        if peers := os.environ.get("DSPEC_BENCH_PEERS"):
            ways["DSPy"] = ([peers, CONTENDER, "hits-dspy", url, calls], {})
        for name, (command, more) in ways.items():
            found = [json.loads(cost(command, folder, more).said) for _ in range(flags.rounds)]
            single, batch = (min(one[key] for one in found) for key in ("single", "batch"))
            print(f"    {name:8}{single:8.1f} {batch:8.1f}", flush=True)


def resume(given: Sides, flags: argparse.Namespace) -> None:
    """A compile that was stopped after its last answer. What its runs gave is kept beside the answers, unless another
    version of the runtime kept it."""
    print(f"\na compile of {flags.answers:,} answers once more, without its start (bar: ≤ 3 s for 100,000)")
    text = SOURCE.replace('"{url}"', 'env("BENCH_URL")').replace(
        "eval ship {{ program = router; metric = right; data = tickets }}",
        "optimize best {{ program = router; metric = right; train = tickets; step labels = LabeledFewShot(k = 2) }}",
    )
    with tempfile.TemporaryDirectory() as place, spawned("--answer", ANSWER, "--latency", "0.0") as url:
        for side, more in given.items():
            each = {**more, "BENCH_URL": url}
            took: dict[tuple[int, bool], float] = {}
            for rows in (10, flags.answers // 2):
                folder = Path(place) / f"{side}-{rows}"
                folder.mkdir()
                (folder / "dspec.toml").touch()
                (folder / "main.dspec").write_text(text.format())
                lines = [
                    f"Message {number}: I was charged twice on my invoice,{LABELS[number % 4]}"
                    for number in range(rows)
                ]
                (folder / "rows.csv").write_text("text,intent\n" + "\n".join(lines) + "\n")
                command = [*DSPC, "compile", "main.dspec", "-j", "64"]
                cost(command, folder, each)
                for stored in (True, False):
                    shutil.rmtree(folder / ".dspec" / "compiles")
                    if not stored:
                        for file in (folder / ".dspec").glob("evaluations.sqlite*"):
                            file.unlink()
                    took[rows, stored] = cost(command, folder, each).cpu
            many = flags.answers // 2
            for stored, name in ((True, "runs kept"), (False, "answers alone")):
                seconds = took[many, stored] - took[10, stored]
                print(
                    f"    {name}, {side:8}{seconds:6.2f} s: {seconds / flags.answers * 100_000:6.1f} s for 100,000",
                    flush=True,
                )


MEASUREMENTS = {each.__name__: each for each in (data, parse, start, hits, resume)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--before", help="a commit, whose code runs in turn with today's")
    parser.add_argument("--only", default=",".join(MEASUREMENTS))
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--answers", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    flags = parser.parse_args()
    with sides(flags.before) as given:
        for name in flags.only.split(","):
            MEASUREMENTS[name](given, flags)


if __name__ == "__main__":
    main()
