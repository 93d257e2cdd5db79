"""DS08: evaluations, gates and the project as a whole."""

from __future__ import annotations

from .base import Code
from .snippets import METRIC, MODULE, TICKETS, optimize
from .types import UnknownField

EVAL = "eval ship { program = router; metric = right; data = tickets.test; "
TUNED = METRIC + optimize("step demos = BootstrapFewShot()")

UNUSED = 'import "lms.dspec" as lms'
LMS = {"lms.dspec": 'dspec 1\n\nlm judge { model = "openai/gpt-4o" }\n'}

DS0000 = Code(
    "DS0000",
    "error",
    "a bug in dspc",
    "The toolchain itself failed while it checked this place. The rest was checked; a report that a "
    "maintainer needs was written to a file, which the help names. No value from the environment and "
    "no data stands in it.",
    "",
    'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini" }\n',
)


DS0805 = Code(
    "DS0805",
    "warning",
    "scored on rows it was tuned on",
    "A program does better on the rows that it was tuned on than on new ones, so this score promises "
    "too much.",
    TUNED + "eval ship { program = v1; metric = right; data = tickets.train }\n",
    TUNED + "eval ship { program = v1; metric = right; data = tickets.test }\n",
    TICKETS,
)


DS0806 = Code(
    "DS0806",
    "error",
    "gate without its baseline",
    "A gate reads `score`, the mean score of the program, and, in a block that names a `baseline`, "
    "`baseline.score`.",
    METRIC + EVAL + "gate score >= baseline.score }\n",
    METRIC + EVAL + "gate score >= 0.8 }\n",
    TICKETS,
)


class UnknownResult(UnknownField, frozen=True):
    code = DS0806


DS0810 = Code(
    "DS0810",
    "error",
    "file cannot be read",
    "A source is a regular file of UTF-8 text inside the project's root, of at most 4 MiB. The "
    "message says which "
    "of these does not hold.",
    "",
    'dspec 1\n\nlm mini { model = "openai/gpt-4o-mini" }\n',
)


DS0811 = Code(
    "DS0811",
    "error",
    "settings cannot be read",
    "`dspec.toml` in the project's root sets the level of codes, one line each under `[severity]`: "
    "`off`, `hint`, `warning` or `error`. A key or a value that is not known would otherwise be ignored "
    "without a word.",
    '[severity]\nDS0607 = "none"\n',
    '[severity]\nDS0607 = "off"\n',
    about="dspec.toml",
)


DS0812 = Code(
    "DS0812",
    "warning",
    "allows nothing",
    "The comment allows a code that is not reported at the place it covers: the reason for it is gone, "
    "or it stands in the wrong place. At the end of a line it covers that line; on a line of its own, "
    "the item or the declaration that starts on the next one.",
    MODULE + "# dspc: allow DS0205 -- used by the next version\nmodule second = Predict(Route)\n",
    MODULE + f"# dspc: allow DS0205 -- used by the next version\n{UNUSED}\n",
    LMS,
)


DS0813 = Code(
    "DS0813",
    "warning",
    "comment to dspc not understood",
    "A comment that starts with `dspc:` speaks to the checker: `allow`, the codes, two dashes and the "
    "reason, which the next reader will want to know.",
    MODULE + f"{UNUSED}  # dspc: allow DS0205\n",
    MODULE + f"{UNUSED}  # dspc: allow DS0205 -- used by the next version\n",
    LMS,
)


DS0814 = Code(
    "DS0814",
    "warning",
    "errors stay errors",
    "Warnings and hints can be allowed by a comment and set to another level in `dspec.toml`. An error "
    "cannot: nothing could be compiled from a program that has one.",
    '[severity]\nDS0201 = "warning"\n',
    '[severity]\nDS0205 = "error"\n',
    about="dspec.toml",
)
