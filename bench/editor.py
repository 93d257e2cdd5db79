"""What the language server costs: its start, a key, a completion right after it, opening, many edits at once, and memory.

    python bench/editor.py [--lines 1000 10000] [--keys 64] [--without-naive]

A real server process over its standard streams, beside one that checks the whole file and all its imports with every key,
as ours did once. The file is made of copies of one program; each key is typed in a metric halfway down, and the diagnostics of
exactly that version are waited for. CPU is the server process's own, which other work on the machine changes little. Data
files do not exist. The start is `dspc lsp` with its bytecode written, as it is installed, beside a server of pygls that can
nothing. `dspc check` runs on 5,000 lines from nothing, unchanged, and with one block changed.
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
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "support"))
import rpc
from rpc import SERVE, Client

rpc.PATIENCE = 600.0

NAIVE = f"""
from dspec.compiler.check.analysis import analyse
from dspec.lsp.checks import Checks

def whole(self, document):
    return analyse(document.path, text=document.text.content, probe=False, asked=document.edited)

Checks._analysed = whole
{SERVE}
"""
"""A server that checks everything anew with every key."""

DSPC = "import sys; from dspec.compiler.cli.main import main; sys.argv = ['dspc', *{arguments}]; main()"
BARE = "from pygls.lsp.server import LanguageServer; LanguageServer('bare', '1').start_io()"
"""A server that has what ours is made with, and nothing else."""

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


TYPED = " and gold.intent"
"""Typed letter by letter, and then taken away at once."""


def cpu(client: Client) -> float:
    """Seconds of CPU that the server process took so far."""
    fields = Path(f"/proc/{client.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(client: Client) -> float:
    """MiB that the server process holds."""
    for line in Path(f"/proc/{client.process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def bytecode(folder: Path) -> dict[str, str]:
    """The environment of a process that keeps its bytecode in a folder."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": str(folder)}


def start_of(folder: Path, turns: int = 5) -> str:
    """The least CPU until `initialize` is answered: of ours, of ours with what it imports after that, of a bare server; and
    what each holds then."""
    least: dict[str, float] = {}
    held: dict[str, float] = {}
    for name, code in {"ours": DSPC.format(arguments=["lsp"]), "pygls alone": BARE}.items():
        for turn in range(turns + 1):
            with Client(code=code, env=bytecode(folder)) as client:
                client.ask("initialize", {"processId": None, "rootUri": None, "capabilities": {}})
                taken, held[name] = cpu(client), memory(client)
                if name == "ours":
                    client.notify("initialized", {})
                    time.sleep(1)
                    after, held["ours, prepared"] = cpu(client), memory(client)
                goodbye(client)
            if turn:  # the first one writes the bytecode
                least[name] = min(taken, least.get(name, taken))
                if name == "ours":
                    least["ours, prepared"] = min(after, least.get("ours, prepared", after))
    told = (f"{name} {least[name]:.2f} s and {held[name]:.0f} MiB" for name in least)
    return f"start to initialized, CPU: {', '.join(told)}"


def checks_of(folder: Path, lines: int = 5_000) -> str:
    """CPU of `dspc check`: from nothing, of what has not changed, and after a change of one block."""
    project = folder / "check"
    project.mkdir()
    (project / "dspec.toml").touch()
    place, text = project / "main.dspec", program(lines)
    changed = text.replace("gold.intent == pred.intent", "pred.intent == gold.intent", 1)

    def check() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-P", "-c", DSPC.format(arguments=["check", str(place)])]
        subprocess.run(command, env=bytecode(folder), check=False, capture_output=True)
        now = resource.getrusage(resource.RUSAGE_CHILDREN)
        return now.ru_utime + now.ru_stime - before.ru_utime - before.ru_stime

    found: dict[str, list[float]] = {"from nothing": [], "unchanged": [], "one block changed": []}
    for turn in range(4):
        shutil.rmtree(project / ".dspec", ignore_errors=True)
        place.write_text(text, encoding="utf-8")
        times = [check(), check()]
        place.write_text(changed, encoding="utf-8")
        times.append(check())
        for seconds, kept in zip(times, found.values(), strict=True):
            if turn:
                kept.append(seconds)
    told = (f"{name} {min(seconds):.2f} s" for name, seconds in found.items())
    return f"dspc check of {lines} lines, CPU: {', '.join(told)}"


def keys(line: int, column: int, count: int) -> Iterator[tuple[dict[str, Any], int]]:
    """Edits that a person makes, each with the column of the cursor behind it."""
    start, at = column, column
    for number in range(count):
        letter = TYPED[number % len(TYPED)]
        begin = start if number % len(TYPED) == 0 else at
        yield (
            {
                "range": {
                    "start": {"line": line, "character": begin},
                    "end": {"line": line, "character": at},
                },
                "text": letter,
            },
            begin + 1,
        )
        at = begin + 1


def middle_of(text: str) -> tuple[int, int]:
    """The end of a score, halfway down."""
    rows = text.splitlines()
    line = next(n for n in range(len(rows) // 2, len(rows)) if rows[n].startswith("  score"))
    return line, len(rows[line])


class Typing:
    """Times of keys in one file."""

    def __init__(self, code: str, text: str, uri: str, count: int) -> None:
        line, column = middle_of(text)
        self.typing: list[float] = []
        self.asking: list[float] = []
        with Client(code=code) as client:
            client.initialize()
            opened = time.perf_counter()
            client.open(uri, text, 0)
            client.diagnostics(uri, 0)
            self.opened = time.perf_counter() - opened
            before = cpu(client)
            for version, (change, _) in enumerate(keys(line, column, count), 1):
                begin = time.perf_counter()
                client.change(uri, version, change)
                client.diagnostics(uri, version)
                self.typing.append(time.perf_counter() - begin)
            self.key_cpu = (cpu(client) - before) / count
            for version, (change, cursor) in enumerate(keys(line, column, count), count + 1):
                place = {"line": line, "character": cursor}
                client.change(uri, version, change)
                begin = time.perf_counter()
                client.ask("textDocument/completion", {"textDocument": {"uri": uri}, "position": place})
                self.asking.append(time.perf_counter() - begin)
                client.diagnostics(uri, version)
            begin = time.perf_counter()
            last = 2 * count + 200
            for version, (change, _) in enumerate(keys(line, column, 200), 2 * count + 1):
                client.change(uri, version, change)
            client.diagnostics(uri, last)
            self.queued = time.perf_counter() - begin
            goodbye(client)

    def shown(self) -> str:
        return (
            f"CPU of a key {self.key_cpu * 1000:.1f} ms, key → diagnostics {shown(self.typing)}, "
            f"completion {shown(self.asking)}, open {self.opened:.2f} s, 200 edits {self.queued:.2f} s"
        )


def goodbye(client: Client) -> None:
    client.ask("shutdown", None)
    client.notify("exit", None)


def shown(seconds: list[float]) -> str:
    ordered = sorted(seconds)
    return f"{statistics.median(ordered) * 1000:.1f} ms (p95 {ordered[int(len(ordered) * 0.95)] * 1000:.1f})"


def importing(folder: Path, count: int) -> tuple[str, str]:
    """A file with that many imports, each of them used, and its URI."""
    (folder / "dspec.toml").touch()
    lines = ["dspec 1"]
    for number in range(count):
        (folder / f"part{number}.dspec").write_text(program(60), encoding="utf-8")
        lines.append(f'import "part{number}.dspec" as p{number}')
    lines += [
        f"module own{number} = Predict(p{number}.Route0, lm = p{number}.learner)" for number in range(count)
    ]
    text = "\n".join(lines) + BLOCK.format(n=0) + 'lm learner { model = "embedded/icl" }\n'
    (folder / "main.dspec").write_text(text, encoding="utf-8")
    return text, (folder / "main.dspec").as_uri()


def memory_of(files: int, lines: int) -> str:
    """What a server holds with many files open, and after opening and closing them all a second time."""
    text = program(lines)
    held: list[float] = []
    with Client() as client:
        client.initialize()
        time.sleep(2)  # what documents need is imported after the answer
        empty = memory(client)
        for turn in range(2):
            for number in range(files):
                client.open(f"untitled:{number}", text, turn)
                client.diagnostics(f"untitled:{number}", turn)
            held.append(memory(client))
            for number in range(files):
                client.notify("textDocument/didClose", {"textDocument": {"uri": f"untitled:{number}"}})
            client.ask("workspace/executeCommand", {"command": "dspc.status"})
            time.sleep(3)  # memory is given back a moment later
            held.append(memory(client))
        goodbye(client)
    return (
        f"{files} files of {lines} lines: {empty:.0f} MiB empty, {held[0]:.0f} open, {held[1]:.0f} closed, "
        f"{held[2]:.0f} open again ({(held[2] / held[0] - 1) * 100:+.1f} %), {held[3]:.0f} closed"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--lines", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--keys", type=int, default=64)
    parser.add_argument("--imports", type=int, default=100)
    parser.add_argument("--files", type=int, default=100)
    parser.add_argument("--without-naive", action="store_true")
    arguments = parser.parse_args()
    servers = {"ours": SERVE} | ({} if arguments.without_naive else {"naive": NAIVE})
    with tempfile.TemporaryDirectory() as folder:
        print(start_of(Path(folder).resolve()), flush=True)
        print(checks_of(Path(folder).resolve()), flush=True)
        for lines in arguments.lines:
            text = program(lines)
            for name, code in servers.items():
                count = arguments.keys if name == "ours" else max(4, arguments.keys // 8)
                found = Typing(code, text, "untitled:bench", count)
                print(f"{lines:>6} lines, {name}: {found.shown()}", flush=True)
        text, uri = importing(Path(folder).resolve(), arguments.imports)
        for name, code in servers.items():
            count = arguments.keys if name == "ours" else max(4, arguments.keys // 8)
            found = Typing(code, text, uri, count)
            print(f"{arguments.imports} imports, {name}: {found.shown()}", flush=True)
    print(memory_of(arguments.files, 500))


if __name__ == "__main__":
    main()
