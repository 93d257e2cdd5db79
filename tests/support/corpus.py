"""The corpus of wrong programs, and what stands beside each of them."""

from __future__ import annotations

from pathlib import Path

CORPUS = Path(__file__).parent.parent / "compiler" / "corpus"
MARK = "#!"
TOPICS = ("billing", "shipping", "returns")
BESIDE = {
    "dspec.toml": "",
    "abstracts.jsonl": '{"title": "Owls", "text": "Owls hunt at night."}\n' * 3,
    "tools.py": """import datetime

def search(query: str, k: int = 3) -> list[str]:
    \"\"\"Finds notes that share words with the query.\"\"\"
    return []

def count(text: str, /, unit: str) -> int:
    return 0

async def today(zone: "str | None" = None) -> datetime.date:
    ...

def messages():
    yield {"text": "a parcel", "topic": "shipping"}

def price(sku, *, quantity: float, **more): ...
""",
    "lms.dspec": 'dspec 1\n\nlm judge { model = "openai/gpt-4o" }\n',
    "tickets.csv": "text,topic\n"
    + "".join(f"message {n} about {TOPICS[n % 3]},{TOPICS[n % 3]}\n" for n in range(180)),
}
"""What stands beside every program, and a folder `data`."""


def written(text: str) -> tuple[str, list[str]]:
    """The program, and the expectations behind it."""
    program, _, rest = text.partition(MARK)
    expected = [line.removeprefix(MARK).strip() for line in (MARK + rest).splitlines()] if rest else []
    return program, expected
