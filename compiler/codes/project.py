"""DS08: evaluations, gates and the project as a whole."""

from __future__ import annotations

from .base import Code
from .snippets import METRIC, TICKETS, optimize

EVAL = "eval ship { program = router; metric = right; data = tickets.test; "
TUNED = METRIC + optimize("step demos = BootstrapFewShot()")

PROJECT: dict[str, Code] = {
    "DS0805": Code(
        "warning",
        "scored on rows it was tuned on",
        "A program does better on the rows that it was tuned on than on new ones, so this score promises "
        "too much.",
        TUNED + "eval ship { program = v1; metric = right; data = tickets.train }\n",
        TUNED + "eval ship { program = v1; metric = right; data = tickets.test }\n",
        TICKETS,
    ),
    "DS0806": Code(
        "error",
        "gate without its baseline",
        "A gate reads `score`, the mean score of the program, and, in a block that names a `baseline`, "
        "`baseline.score`.",
        METRIC + EVAL + "gate score >= baseline.score }\n",
        METRIC + EVAL + "gate score >= 0.8 }\n",
        TICKETS,
    ),
    "DS0810": Code(
        "error",
        "file cannot be read",
        "A source is a regular file of UTF-8 text inside the project's root, of at most 16 MiB. The "
        "message says which "
        "of these does not hold.",
        "",
        'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini" }\n',
    ),
}
