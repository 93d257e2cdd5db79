"""The same evaluation by other means: one process each, for `eval.py`, `compile.py` and `start.py`.

    python bench/contenders/ask.py aiohttp|dspy|dspy-search ROWS.csv WIDTH URL
    python bench/contenders/ask.py first-http|first-aiohttp|first-dspy|first-litellm URL

Everything is imported where it is used, so that nobody pays for another's imports.
"""

from __future__ import annotations

import sys

INSTRUCTION = "Decide which intent a support ticket expresses."
SYSTEM = f"""The user's message holds these fields, each under a header of its name:
- text (str): what the customer wrote

Answer with these fields, each under a header of its name:
- intent (exactly one of: billing, refund, shipping, account_access)

Layout of an answer:
[[ ## intent ## ]]
...
[[ ## completed ## ]]

{INSTRUCTION}"""


def read_rows(path: str) -> list[dict[str, str]]:
    import csv

    with open(path, newline="", encoding="utf-8") as file:  # noqa: PTH123
        return list(csv.DictReader(file))


def messages(text: str) -> list[dict[str, str]]:
    asked = f"[[ ## text ## ]]\n{text}\n\nAnswer with [[ ## intent ## ]], then [[ ## completed ## ]]."
    return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": asked}]


def by_aiohttp(path: str, width: int, url: str) -> None:
    import asyncio
    import json

    import aiohttp

    async def main() -> int:
        places = asyncio.Semaphore(width)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

            async def right(row: dict[str, str]) -> bool:
                body = {"model": "fake", "messages": messages(row["text"]), "temperature": 0.0}
                async with places, session.post(f"{url}/chat/completions", json=body) as response:
                    answer = json.loads(await response.read())["choices"][0]["message"]["content"]
                return row["intent"] in answer

            return sum(await asyncio.gather(*map(right, read_rows(path))))

    print(asyncio.run(main()))


def by_dspy(path: str, width: int, url: str) -> None:
    from typing import Literal

    import dspy

    class Route(dspy.Signature):
        """Decide which intent a support ticket expresses."""

        text: str = dspy.InputField(desc="what the customer wrote")
        intent: Literal["billing", "refund", "shipping", "account_access"] = dspy.OutputField()

    # the calls are distinct, so its cache would only add work
    dspy.configure(lm=dspy.LM("openai/fake", api_base=url, api_key="none", cache=False, temperature=0.0))
    rows = [dspy.Example(**row).with_inputs("text") for row in read_rows(path)]
    evaluate = dspy.Evaluate(
        devset=rows,
        metric=lambda gold, pred, trace=None: gold.intent == pred.intent,
        num_threads=width,
        display_progress=False,
    )
    print(evaluate(dspy.Predict(Route)))


def search_by_dspy(path: str, width: int, url: str) -> None:
    from typing import Literal

    import dspy

    class Label(dspy.Signature):
        """Give the text a label."""

        text: str = dspy.InputField()
        label: Literal["a", "b", "c", "d"] = dspy.OutputField()

    dspy.configure(lm=dspy.LM("openai/fake", api_base=url, api_key="none", cache=False, temperature=0.0))
    rows = [dspy.Example(**row).with_inputs("text") for row in read_rows(path)]
    search = dspy.BootstrapFewShotWithRandomSearch(
        metric=lambda gold, pred, trace=None: gold.label == pred.label,
        num_candidate_programs=10,
        num_threads=width,
        max_errors=1000,
    )
    search.compile(dspy.Predict(Label), trainset=rows[:200], valset=rows[200:])


def first_http(url: str) -> None:
    import http.client
    import json
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
    body = json.dumps({"model": "fake", "messages": messages("hello")})
    connection.request("POST", f"{parts.path}/chat/completions", body, {"Content-Type": "application/json"})
    print(json.loads(connection.getresponse().read())["choices"][0]["message"]["content"])


def first_aiohttp(url: str) -> None:
    import asyncio

    import aiohttp

    async def main() -> str:
        async with aiohttp.ClientSession() as session:
            body = {"model": "fake", "messages": messages("hello")}
            async with session.post(f"{url}/chat/completions", json=body) as response:
                return (await response.json())["choices"][0]["message"]["content"]

    print(asyncio.run(main()))


def first_dspy(url: str) -> None:
    import dspy

    dspy.configure(lm=dspy.LM("openai/fake", api_base=url, api_key="none", cache=False))
    print(dspy.Predict("text -> answer")(text="hello"))


def first_litellm(url: str) -> None:
    import litellm

    answer = litellm.completion(model="openai/fake", messages=messages("hello"), api_base=url, api_key="none")
    print(answer.choices[0].message.content)


def first_dspec(artifact: str) -> None:
    from dspec import load

    print(load(artifact)(text="hello"))


def main() -> None:
    name, *rest = sys.argv[1:]
    whole = {"aiohttp": by_aiohttp, "dspy": by_dspy, "dspy-search": search_by_dspy}
    if name in whole:
        path, width, url = rest
        whole[name](path, int(width), url)
        return
    first = {
        "first-http": first_http,
        "first-aiohttp": first_aiohttp,
        "first-dspy": first_dspy,
        "first-litellm": first_litellm,
        "first-dspec": first_dspec,
    }
    first[name](rest[0])


if __name__ == "__main__":
    main()
