"""How hard the grammar's properties are tried: `DSPEC_DEEP=1 pytest tests/grammar` for 12,000 examples."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

IS_DEEP = os.environ.get("DSPEC_DEEP") == "1"
thorough = settings(
    max_examples=12_000 if IS_DEEP else 60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
