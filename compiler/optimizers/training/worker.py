"""The process that trains: `python -m dspec.compiler.optimizers.training.worker`, an order a line on its standard input.

It imports torch, so nothing else imports it. What libraries print goes to standard error; standard output is for what the
compile hears. It ends with its standard input: whoever ordered the work is gone then.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator
from queue import SimpleQueue
from typing import Any

from dspec.runtime.errors import DspecError


def main() -> None:
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def say(**what: object) -> None:
        out.write(json.dumps(what) + "\n")
        out.flush()

    held: dict[str, Any] = {}
    for order in _orders():
        try:
            _do(order, say, held)
        except DspecError as error:
            say(say="failed", text=error.message)
            return
        except ImportError as error:
            say(
                say="failed",
                text=f"the package {error.name} is not installed; `dspc[finetune]` brings it along",
            )
            return
        except Exception as error:  # noqa: BLE001  whatever it is, the compile is told, and the log has the rest
            import traceback

            traceback.print_exc()
            text = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            memory = "OutOfMemory" in type(error).__name__ or "out of memory" in text
            help_text = (
                "; a smaller `batch_size` or `max_tokens` in `train { … }` takes less memory"
                if memory
                else ""
            )
            say(say="failed", text=text + help_text)
            return


def _orders() -> Iterator[dict[str, Any]]:
    """The orders as they come. The end of standard input ends the process at once, whatever it is at."""
    waiting: SimpleQueue[dict[str, Any]] = SimpleQueue()

    def read() -> None:
        for line in sys.stdin.buffer:
            waiting.put(json.loads(line))
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    while True:
        yield waiting.get()


def _do(order: dict[str, Any], say: Any, held: dict[str, Any]) -> None:
    """Carries out an order; `held` is what one leaves for the next."""
    match order["do"]:
        case "tune":
            from .tuning import tune

            tune(order, say)
        case "begin":
            from .policy import Policy

            held["policy"] = Policy(order)
            say(say="done")
        case _:
            held["policy"].step(order, say)


if __name__ == "__main__":
    main()
