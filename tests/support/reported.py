"""A small project that was compiled on a fake provider, with rows, answers and an environment that a report must be wary of."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

from dspc import Result, dspc
from server import Call, FakeServer

KEY = "sk-planted-0123456789abcdefghij"
TOKEN = "planted-token-of-the-environment"
BEARER = "Bearer planted.bearer.0123456789abcdef"
ENVIRONMENT = {"TEST_KEY": KEY, "PLANTED_TOKEN": TOKEN}
"""What a command finds in its environment."""
PLANTED = ("sk-planted", "planted-token", "planted.bearer")

SOURCE = """\
dspec 1

lm mini {{
  model = "openai/fake"; api_base = "{url}"; api_key = env("TEST_KEY"); max_tokens = 60; temperature = 0.0
  price {{ input = 1.0; output = 2.0 }}
}}

signature Label {{
  "{instruction}"
  input text: str "what somebody wrote"
  output label: "a" | "b" | "c"
}}

module labeller = Predict(Label)

dataset texts {{
  source = jsonl("texts.jsonl")
  input text: str
  field label: "a" | "b" | "c"
  split {{ train = 12; val = 12; test = 18; seed = 7 }}
}}

metric right(gold: texts, pred: labeller) {{
  score = gold.label == pred.label
  feedback = if score then "correct" else "expected " + gold.label
}}

optimize tuned {{
  program = labeller
  metric = right
  train = texts.train
  val = texts.val
  seed = 9
  step search = BootstrapFewShotWithRandomSearch(
    max_bootstrapped_demos = 2, max_labeled_demos = 4, num_candidate_programs = 3,
  )
}}

eval ship {{ program = tuned; baseline = labeller; metric = right; data = texts.test }}
"""

HOSTILE = (
    "</script><script>document.title = 'taken'</script>",
    "<img src=x onerror=\"document.title = 'taken'\">",
    '=HYPERLINK("http://example.invalid", "open")',
    "'\"><svg onload=alert(1)> &amp; <!-- <script>",
    "{{ 7 * 7 }} {% raw %} ${document.title}",
    "يرجى إلغاء اشتراكي",
    "我的包裹还没有到，请帮我查一下。",
    "👩‍👩‍👧‍👦 family of four 🔥",
    "\u202etxet desrever\u202c and \u2028 a line",
    f"the key is {KEY}, the token {TOKEN}",
    f"Authorization: {BEARER}",
    "long " + "word " * 2_000,
)


def rows(count: int = 42) -> list[dict[str, str]]:
    """Every text says which label it has, but for what the provider makes of it."""
    odd = dict(enumerate(HOSTILE))
    return [
        {
            "text": f"{odd.get(number, 'a note')} (no {number}, kind {'abc'[number % 3]})",
            "label": "abc"[number % 3],
        }
        for number in range(count)
    ]


def answered(call: Call) -> str:
    """Without demos, every second text has the wrong label. Some cannot be read, and one quotes a key."""
    found = re.search(r"\(no (\d+), kind ([abc])\)", call.prompt)
    if found is None:
        return "no"
    number, label = int(found[1]), found[2]
    if number in (4, 26):
        return f"I would rather not say. <b>{KEY}</b>"
    shown = any(
        message["role"] == "assistant" and "label" in message["content"] for message in call.body["messages"]
    )
    if not shown and number % 2:
        label = "abc"[(number + 1) % 3]
    if shown and number % 9 == 2:
        label = "c" if label == "a" else "a"
    return f"[[ ## label ## ]]\n{label}\n\n[[ ## completed ## ]]"


def put(
    folder: Path, url: str = "http://127.0.0.1:9/v1", instruction: str = "Give the text a label."
) -> None:
    (folder / "dspec.toml").touch()
    lines = [json.dumps(row, ensure_ascii=False) for row in rows()]
    (folder / "texts.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "main.dspec").write_text(SOURCE.format(url=url, instruction=instruction), encoding="utf-8")


def on_provider(folder: Path, *commands: tuple[str, ...]) -> list[Result]:
    """Runs the commands in the folder, one after the other, with the provider there; it is gone afterwards."""

    async def run() -> list[Result]:
        async with FakeServer(answered, key=KEY) as server:
            put(folder, server.url)
            return [await asyncio.to_thread(dspc, *one, cwd=folder, **ENVIRONMENT) for one in commands]

    return asyncio.run(run())
