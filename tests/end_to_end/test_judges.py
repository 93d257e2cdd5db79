"""A metric with a judge, from the plan to the second compile, on a server on loopback."""

import json
import shutil
from pathlib import Path

from dspc import EXAMPLES, dspc
from server import beside

CANARY = "sk-canary-5678"
METRIC = """
metric right(gold: tickets, pred: router) {
  score = if gold.intent == pred.intent
    then 1.0
    else llm_judge("Both ask for the same.", judge = marker, wanted = gold.intent, given = pred.intent)
  accept = score >= 0.9
  feedback = reason
}
"""


def judged_example(url: str, folder: Path) -> Path:
    shutil.copytree(EXAMPLES / "tickets" / "data", folder / "data")
    source = (EXAMPLES / "tickets" / "tickets.dspec").read_text(encoding="utf-8")
    head, _, rest = source.partition("metric right")
    tail = rest[rest.index("}\n") + 2 :].replace("num_candidate_programs = 8", "num_candidate_programs = 1")
    price = "price { input = 1.0; output = 2.0 }"
    marker = (
        f'\nlm marker {{ model = "openai/marker"; api_base = "{url}"; api_key = env("TEST_KEY"); '
        f"max_tokens = 300; {price} }}\n"
    )
    head = head.replace('model = "embedded/icl"', 'model = "embedded/icl"; default = true')
    (folder / "tickets.dspec").write_text(head + marker + METRIC + tail, encoding="utf-8")
    return folder


def test_a_judge_is_planned_paid_and_never_asked_twice(tmp_path: Path) -> None:
    with beside("--answer", "embedded", "--key", CANARY) as url:
        folder = judged_example(url, tmp_path)
        planned = json.loads(dspc("plan", "tickets.dspec", "--json", cwd=folder).out)
        assert planned["judge"] == [0, 140]
        assert planned["steps"][1]["judge"][1] >= planned["steps"][1]["task"][1]
        assert 0.0 < planned["expected"]["usd"] <= planned["maximum"]["usd"]
        shown = dspc("plan", "tickets.dspec", cwd=folder).out
        assert "judge calls" in shown
        done = dspc("compile", "tickets.dspec", "--json", cwd=folder, TEST_KEY=CANARY)
        assert done.code == 0, done.text
        (first,) = json.loads(done.out)["compiled"]
        assert 0 < first["calls"]["judge"] < first["calls"]["needed"] <= planned["most"]
        assert 0 < first["cost_usd"] < planned["maximum"]["usd"]
    # The server is gone, and nobody misses it.
    again = dspc("compile", "tickets.dspec", cwd=folder, TEST_KEY=CANARY)
    assert again.code == 0, again.text
    assert "now: 0 model calls" in again.out
    assert "are of the metric's judges" in again.out
    (ship,) = json.loads(dspc("eval", "tickets.dspec", "--json", cwd=folder, TEST_KEY=CANARY).out)["evals"]
    assert 0 < ship["calls"]["judge"] < ship["calls"]["needed"]
    assert "nothing has changed" in dspc("plan", "tickets.dspec", "--why", cwd=folder).out
    for path in folder.rglob("*"):
        assert path.is_dir() or CANARY.encode() not in path.read_bytes(), path
    artifact = (folder / "compiled" / "router_v1.dspc.json").read_text(encoding="utf-8")
    assert url not in artifact
    assert json.loads(artifact)["provenance"]["models"]["judge"] == "openai/marker"
