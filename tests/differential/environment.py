"""DSPy in an environment of its own, `build/dspy-venv`: it needs other versions than this project does.

    python tests/differential/environment.py     make it, or say why that cannot be done

The versions stand in `constraints.txt`; an environment made from the same file is used again. DSPy is a
program that tests compare with: nothing of it is imported here.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
from environments import CannotBeMade, Environment  # noqa: E402

DSPY = Environment("DSPy", ("dspy", "optuna", "numpy"), HERE / "constraints.txt")

PYTHON, ready, ensure = DSPY.python, DSPY.ready, DSPY.ensure

__all__ = ["DSPY", "PYTHON", "CannotBeMade", "ensure", "ready"]

if __name__ == "__main__":
    DSPY.main()
