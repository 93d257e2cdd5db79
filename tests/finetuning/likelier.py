"""Updates of a policy, whose odds of the right answers are printed before and after: run by `test_real_training`."""

from __future__ import annotations

import json
import random
import statistics
import sys
from pathlib import Path
from typing import Any

from dspec.compiler.optimizers.training.policy import STATE, Policy
from dspec.compiler.optimizers.training.tuning import tune
from dspec.runtime.models.local import generating

base, rows_file, folder = map(Path, sys.argv[1:])
torch = generating.torch
rows = [json.loads(line)["messages"] for line in rows_file.read_text().splitlines()]
LABELS = ("billing", "shipping", "account", "hours")


def label(row: list[dict[str, str]]) -> str:
    return next(one for one in LABELS if f"\n{one}\n" in row[-1]["content"])


def answered(row: list[dict[str, str]], text: str) -> list[dict[str, str]]:
    return [*row[:-1], {"role": "assistant", "content": row[-1]["content"].replace(label(row), text)}]


def odds(policy: Policy, row: list[dict[str, str]]) -> list[float]:
    found: list[float] = []
    for one in LABELS:
        ids, start, _ = policy._tokens(answered(row, one), 0.0)
        with torch.inference_mode(), generating.one_core(policy.model):
            logits = policy.model(input_ids=torch.tensor([ids])).logits[0, :-1].float()
        said = torch.log_softmax(logits, -1).gather(-1, torch.tensor(ids)[1:, None])[start - 1 :]
        found.append(float(said.sum().exp()))
    return found


def right(policy: Policy) -> float:
    return statistics.fmean(odds(policy, row)[LABELS.index(label(row))] for row in rows[:12])


def begun(place: Path, method: str, state: Path | None = None) -> Policy:
    settings = {"method": method, "rank": 8}
    rate = 0.0005 if method == "full" else 0.002
    order = {"base": str(place), "settings": settings, "seed": 1, "learning_rate": rate}
    return Policy({**order, "state": None if state is None else str(state)})


def update(policy: Policy, number: int, out: Path) -> None:
    draws = random.Random(number)
    samples: list[dict[str, Any]] = []
    for row in draws.sample(rows[:12], 6):
        chances = odds(policy, row)
        drawn = draws.choices(range(4), chances, k=8)
        rewards = [float(LABELS[one] == label(row)) for one in drawn]
        spread = statistics.pstdev(rewards)
        if spread:
            mean = statistics.fmean(rewards)
            samples += (
                {"messages": answered(row, LABELS[one]), "advantage": (reward - mean) / spread}
                for one, reward in zip(drawn, rewards, strict=True)
            )
    policy.step({"samples": samples, "temperature": 1.0, "out": str(out)}, lambda **_: None)


plain = {
    "method": "full",
    "epochs": 3,
    "learning_rate": 0.003,
    "batch_size": 8,
    "max_tokens": None,
    "rank": 8,
}
half = folder / "half" / "weights"
tune(
    {
        "base": str(base),
        "rows": str(rows_file),
        "out": str(half),
        "work": str(folder / "work"),
        "seed": 1,
        "settings": plain,
    },
    lambda **_: None,
)
found: dict[str, dict[str, float]] = {}
for method in ("full", "lora"):
    policy = begun(half, method)
    before = right(policy)
    for number in range(12):
        update(policy, number, folder / method / "weights")
    state = folder / method / STATE
    after = right(policy)
    again = right(begun(folder / method / "weights", "full"))
    other = begun(half, method, state)
    update(other, 99, folder / f"{method}-other" / "weights")
    update(policy, 99, folder / f"{method}-on" / "weights")
    found[method] = {
        "before": before,
        "after": after,
        "again": again,
        "on": right(policy),
        "resumed": right(other),
    }
sys.stdout.write(f"\n{json.dumps(found)}")  # below what TRL says
