"""What recording adds to a call: CPU of the whole process, writer included, beside the same calls without it.

    python bench/recording.py [--rounds 8] [--calls 1000]

Both programs ask the same server on loopback, in turn. A round ends when all is written. `plain` is one call after the other,
`batch` 64 in flight, `kept` calls that a `cache` answers, which cost a tenth of the others and so show recording at its dearest.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "support"))
from server import spawned  # noqa: E402
from start import program  # noqa: E402

from dspec import Application, load  # noqa: E402
from dspec.runtime.artifact.artifact import Artifact, write_artifact  # noqa: E402
from dspec.runtime.schema.lms import LM  # noqa: E402

ANSWER = "[[ ## answer ## ]]\nThe parcel is on its way.\n\n[[ ## completed ## ]]"
BAR = 1.20
WARM = 50


def plain(say: Application, calls: int, mark: str) -> None:
    for number in range(calls):
        assert say(text=f"{mark} {number}")


def batch(say: Application, calls: int, mark: str) -> None:
    assert say.batch([{"text": f"{mark} {number}"} for number in range(calls)], threads=64)


def kept(say: Application, calls: int, _: str) -> None:
    for number in range(calls):
        assert say(text=f"kept {number % WARM}")


WAYS: dict[str, Callable[[Application, int, str], None]] = {"plain": plain, "batch": batch, "kept": kept}


def spent(say: Application, way: str, calls: int, mark: str) -> float:
    """Seconds of CPU for each call."""
    began = time.process_time()
    WAYS[way](say, calls, mark)
    deadline = time.monotonic() + 10
    while say.recorded.waiting and time.monotonic() < deadline:
        time.sleep(0.02)
    return (time.process_time() - began) / calls


def opened(path: Path, url: str, file: Path, way: str, recorded: bool) -> Application:
    cache = file.with_suffix(".kept") if way == "kept" else None
    say = load(path, api_base=url, api_key="none", record=file if recorded else None, cache=cache)
    kept(say, WARM, "")
    return say


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--calls", type=int, default=1000)
    flags = parser.parse_args()
    missed = False
    with tempfile.TemporaryDirectory() as name, spawned("--answer", ANSWER) as url:
        folder = Path(name)
        path = folder / "say.dspc.json"
        lm = LM(name="fake", model="openai/fake", api_base_env="BENCH_URL")
        write_artifact(path, Artifact(name="say", program=program().with_lms({"fake": lm})))
        for way in WAYS:
            off, on = (
                opened(path, url, folder / f"{way}-{kind}.sqlite", way, kind) for kind in (False, True)
            )
            pairs = [
                (spent(off, way, flags.calls, f"off {number}"), spent(on, way, flags.calls, f"on {number}"))
                for number in range(flags.rounds)
            ]
            counts = on.recorded
            assert counts.lost == 0, counts
            assert counts.written >= flags.calls * flags.rounds, counts
            ratio = statistics.median(after / before for before, after in pairs)
            least = tuple(1e6 * min(column) for column in zip(*pairs, strict=True))
            off.close()
            on.close()
            size = (folder / f"{way}-True.sqlite").stat().st_size / counts.written
            print(
                f"{way:<6} {least[0]:7.1f} µs of CPU a call, recorded {least[1]:7.1f} µs: median of {flags.rounds} rounds "
                f"{ratio:.3f} x, {size:,.0f} bytes a call"
            )
            missed |= way != "kept" and ratio > BAR
    print(f"bar {BAR} for calls of a model: {'missed' if missed else 'holds'}; load {os.getloadavg()[0]:.1f}")
    sys.exit(missed)


if __name__ == "__main__":
    main()
