"""The comment of the GitHub Action: what a compile would cost, and scores here beside those of the base branch.

    python docs/action_comment.py FOLDER

FOLDER has what `dspc plan --json` and `dspc eval --json` wrote: `plan.json`, `eval.json` and `base.json`; each may be missing.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def comment(folder: Path) -> str:
    plan, here, base = (_read(folder / f"{name}.json") for name in ("plan", "eval", "base"))
    return "\n".join([*_planned(plan), *_scored(here, base)]) + "\n"


def _planned(plan: dict[str, Any]) -> Iterator[str]:
    if not plan:
        return
    yield f"### Plan of `{plan['optimize']}`"
    yield ""
    yield "| | calls | tokens | USD |"
    yield "| --- | ---: | ---: | ---: |"
    for name in ("expected", "maximum"):
        bill = plan[name]
        parts = [bill["input_tokens"], bill["output_tokens"]]
        tokens = "unbounded" if None in parts else f"{sum(parts):,}"
        usd = "unknown" if bill["usd"] is None else f"{bill['usd']:,.4f}"
        yield f"| {'at most' if name == 'maximum' else name} | {bill['calls']:,} | {tokens} | {usd} |"
    yield ""


def _scored(here: dict[str, Any], base: dict[str, Any]) -> Iterator[str]:
    before = {one["name"]: one for one in base.get("evals", ())}
    for one in here.get("evals", ()):
        yield f"### Eval `{one['name']}`"
        yield ""
        yield f"Score {_percent(one)} on {one['n']} rows ({_percent(one, 'low')} to {_percent(one, 'high')})."
        old = before.get(one["name"])
        if old is not None:
            change = 100 * (one["score"] - old["score"])
            yield f"On the base branch {_percent(old)}: {change:+.1f}."
        elif base:
            yield "The base branch has no such eval."
        for gate in one["gates"]:
            yield f"- gate {'holds' if gate['held'] else '**FAILED**'}: `{gate['text']}`"
        yield ""


def _percent(score: dict[str, Any], name: str = "score") -> str:
    return f"{100 * score[name]:.1f}"


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


if __name__ == "__main__":
    sys.stdout.write(comment(Path(sys.argv[1])))
