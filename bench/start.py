"""CPU from process start to the first answer: a saved artifact beside other ways to one answer.

    python bench/start.py [--rounds 5]

`DSPEC_BENCH_PEERS` names a Python that has DSPy and LiteLLM; the bar is half of DSPy's in the same run.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "support"))
from server import spawned  # noqa: E402

from dspec.runtime.artifact.artifact import Artifact, write_artifact  # noqa: E402
from dspec.runtime.schema.expressions import Member, Variable  # noqa: E402
from dspec.runtime.schema.program import LM, CallStep, FieldSpec, Predictor, Program, Signature  # noqa: E402
from dspec.runtime.schema.types import STR  # noqa: E402

ANSWER = "[[ ## answer ## ]]\nyes\n\n[[ ## completed ## ]]"


def program() -> Program:
    text, answer = FieldSpec(name="text", type=STR), FieldSpec(name="answer", type=STR)
    signature = Signature(name="Say", instruction="Answer.", inputs=(text,), outputs=(answer,))
    return Program(
        name="say",
        inputs=(text,),
        outputs=(answer,),
        steps=(CallStep(name="say", predictor="say", arguments={"text": Variable(name="text")}),),
        returns={"answer": Member(target=Variable(name="say"), name="answer")},
        predictors={"say": Predictor(strategy="Predict", signature=signature, lm="fake")},
        lms={"fake": LM(name="fake", model="openai/fake", api_base_env="BENCH_URL", api_key_env="BENCH_KEY")},
    )


def cpu(command: list[str], url: str, folder: Path) -> float:
    environment = {**os.environ, "BENCH_URL": url, "BENCH_KEY": "none", "OPENAI_API_KEY": "none"}
    # an installed package has its bytecode
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    process = subprocess.Popen(
        command, env=environment, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{said[-2000:]}")
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    flags = parser.parse_args()
    ask = str(HERE / "contenders" / "ask.py")
    found: dict[str, list[float]] = {}
    with spawned("--answer", ANSWER) as url, tempfile.TemporaryDirectory() as place:
        artifact = Path(place) / "say.dspc.json"
        write_artifact(artifact, Artifact(name="say", program=program()))
        ways = {
            "http.client": [sys.executable, ask, "first-http", url],
            "aiohttp": [sys.executable, ask, "first-aiohttp", url],
            "dspec, a saved artifact": [sys.executable, ask, "first-dspec", str(artifact)],
            "LiteLLM": [sys.executable, ask, "first-litellm", url],
        }
        if peers := os.environ.get("DSPEC_BENCH_PEERS"):
            ways["DSPy"] = [peers, ask, "first-dspy", url]
        for _ in range(flags.rounds):
            for name, command in ways.items():
                found.setdefault(name, []).append(cpu(command, url, Path(place)))
    least = {name: min(costs) for name, costs in found.items()}
    print("CPU from process start to the first answer (bar: dspec ≤ 0.5 × DSPy)")
    for name, seconds in least.items():
        beside = f"{seconds / least['DSPy']:8.2f} × DSPy" if "DSPy" in least else ""
        print(f"  {name:26}{seconds:7.2f} s{beside}")


if __name__ == "__main__":
    main()
