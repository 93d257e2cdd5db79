"""Makes the shared test tools importable (`from server import FakeServer`), and properties the same on every run."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent / "support"))

# A run that fails for a draw that nobody else sees helps nobody: `DSPEC_DEEP=1` draws more, not other things.
settings.register_profile("same", derandomize=True, deadline=None)
settings.load_profile("same")


@pytest.fixture(scope="session", autouse=True)
def _indexes_of_their_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What tests keep of indexes is not the user's, nor are the user's theirs."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("DSPEC_INDEX_DIR", str(tmp_path_factory.mktemp("index")))
        yield
