"""Workers that are forked, as Celery's and Gunicorn's are: the program is loaded before, and each worker calls it.

The engine is opened by the first call in each process; answers may be shared by all of them through one `cache`.
"""

import multiprocessing
import sys
from pathlib import Path

from desk import Desk

from dspec import load

ARTIFACT = Path(__file__).parent / "compiled" / "desk_v1.dspc.json"
desk = load(ARTIFACT, Desk, cache=Path(__file__).parent / ".dspec" / "answers.sqlite")
MESSAGES = ["the parcel is late", "charged twice for one order", "my account is locked"] * 4


def task(message: str) -> str:
    return desk(message=message, timeout=60).team


def main() -> None:
    method = "fork" if sys.platform == "linux" else "spawn"
    with multiprocessing.get_context(method).Pool(3) as pool:
        print(pool.map(task, MESSAGES))


if __name__ == "__main__":
    main()
