"""Makes the shared test tools importable (`from server import FakeServer`), properties the same on every run, and leaves
what is slow to `DSPEC_DEEP=1`."""

import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent / "support"))

# A run that fails for a draw that nobody else sees helps nobody: `DSPEC_DEEP=1` draws more, not other things.
settings.register_profile("same", derandomize=True, deadline=None)
settings.load_profile("same")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if os.environ.get("DSPEC_DEEP") or config.option.markexpr:
        return
    slow = {one for one in items if one.get_closest_marker("slow")}
    if slow and len(slow) < len(items):  # whoever names slow tests alone means them
        config.hook.pytest_deselected(items=list(slow))
        items[:] = [one for one in items if one not in slow]


def pytest_collection_finish() -> None:
    """What collecting made stays until the end: the garbage collector looks at it no more."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _indexes_of_their_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What tests keep of indexes is not the user's, nor are the user's theirs."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("DSPEC_INDEX_DIR", str(tmp_path_factory.mktemp("index")))
        yield
