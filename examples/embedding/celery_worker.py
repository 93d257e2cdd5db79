"""A Celery task (`pip install celery[redis]`; `celery --app celery_worker worker`)."""

from pathlib import Path
from typing import Any

from celery import Celery
from desk import Desk

from dspec import errors, load

celery = Celery("desk", broker="redis://localhost:6379/0", backend="redis://localhost:6379/1")
desk = load(Path(__file__).parent / "compiled" / "desk_v1.dspc.json", Desk, timeout=120)
"""Loaded before the workers are forked; each of them opens its own connections with its first task."""


@celery.task(bind=True, max_retries=3)
def route(self: Any, message: str) -> dict[str, Any]:
    try:
        return desk(message=message).outputs
    except errors.ProviderError as error:
        # The engine tried again already: this is for a provider that is down for longer.
        raise self.retry(exc=error, countdown=error.retry_after or 60) from error
