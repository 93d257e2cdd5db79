"""How hard the grammar's properties are tried: with `DSPEC_DEEP=1`, 2,500 programs for each of eleven."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

IS_DEEP = bool(os.environ.get("DSPEC_DEEP"))
thorough = settings(
    max_examples=2_500 if IS_DEEP else 60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
