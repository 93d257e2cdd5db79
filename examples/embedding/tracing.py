"""Every call as a line of JSON, with its model calls: what a hook is told is all that spans need."""

import json
import sys
from pathlib import Path

from desk import Desk

from dspec import CallRecord, load

ARTIFACT = Path(__file__).parent / "compiled" / "desk_v1.dspc.json"


def traced(call: CallRecord) -> None:
    """Runs on another thread, in the context of whoever called: a span that is open there is this one's parent."""
    spans = [
        {
            "step": step.step,
            "model": asked.model,
            "began": asked.began,
            "seconds": asked.seconds,
            "cost": asked.cost,
        }
        for step in call.trace
        for asked in step.calls
    ]
    told = {
        "id": call.id,
        "program": call.program,
        "seconds": call.seconds,
        "error": None if call.error is None else type(call.error).__name__,
        "spans": spans,
    }
    sys.stdout.write(json.dumps(told) + "\n")


def main() -> None:
    with load(ARTIFACT, Desk, on_call=traced) as desk:
        desk(message="a payment that I did not make")


if __name__ == "__main__":
    main()
