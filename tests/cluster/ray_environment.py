"""Ray in an environment of its own, `build/ray-venv`, beside what this one has: 240 MB that hardly anybody needs.

python tests/cluster/ray_environment.py     make it, or say why that cannot be done
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
from environments import Environment  # noqa: E402

RAY = Environment("Ray", ("ray",), HERE / "constraints.txt", beside=True)

if __name__ == "__main__":
    RAY.main()
