"""Functions that the project calls: read, never imported."""

raise RuntimeError("this module was imported")


def find(query: str, k: int = 3) -> list[str]:
    """The passages that fit the query."""
    return []


def score(gold: dict, pred: dict) -> float:
    return 1.0


LIMIT = 3
