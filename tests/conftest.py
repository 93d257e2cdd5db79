"""Makes the shared test tools importable (`from server import FakeServer`), and properties the same on every run."""

import sys
from pathlib import Path

from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent / "support"))

# A run that fails for a draw that nobody else sees helps nobody: `DSPEC_DEEP=1` draws more, not other things.
settings.register_profile("same", derandomize=True, deadline=None)
settings.load_profile("same")
