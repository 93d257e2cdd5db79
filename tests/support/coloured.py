"""Programs whose colours the tests of editors look at."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = sorted(
    path
    for path in (*(ROOT / "examples").rglob("*.dspec"), *(ROOT / "tests" / "grammar").glob("*.dspec"))
    if "compiled" not in path.parts
)
"""Every example, and the files that the grammar's tests have."""


def being_typed() -> list[str]:
    """Texts with a fault, as they are while somebody types."""
    return (ROOT / "tests" / "grammar" / "broken.txt").read_text(encoding="utf-8").split("=====\n")
