"""Makes the shared test tools importable: `from server import FakeServer`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))
