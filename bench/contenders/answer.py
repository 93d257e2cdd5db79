"""A raw aiohttp client that streams rows from a file to a server, so many at once, and writes an answer a row: for `batch.py`.

python bench/contenders/answer.py ROWS.csv ANSWERS.csv WIDTH URL
"""

from __future__ import annotations

import asyncio
import csv
import json
import sys
from pathlib import Path
from typing import Any

import aiohttp
from ask import messages


def main(rows: str, answers: str, width: int, url: str) -> None:
    with Path(rows).open(newline="", encoding="utf-8") as given, Path(answers).open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["id", "text", "intent"])
        asyncio.run(ask_all(csv.DictReader(given), writer, width, url))


async def ask_all(reader: csv.DictReader[str], writer: Any, width: int, url: str) -> None:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def work() -> None:
            for row in reader:
                body = {"model": "fake", "messages": messages(row["text"]), "temperature": 0.0}
                async with session.post(f"{url}/chat/completions", json=body) as response:
                    answer = json.loads(await response.read())["choices"][0]["message"]["content"]
                writer.writerow([row["id"], row["text"], answer.split("\n")[1]])

        await asyncio.gather(*(work() for _ in range(width)))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
