"""`dspc`: where the command line starts, and its error boundary.

No user ever sees a traceback: a `DspecError` prints its message and help, anything else is a bug,
which leaves a report file and says where it is. What it takes to read arguments and to draw is imported
only once it is needed: most runs are of `dspc check`, by hooks and editors, with nothing to say.
"""

from __future__ import annotations

import gc
import os
import sys

from dspec.runtime.errors import DspecError

from .quick import nothing_new


def main() -> None:
    """Entry point of the console script. Wrong usage and Ctrl-C are Typer's: 2 and 130."""
    if nothing_new(sys.argv[1:]):
        return
    # Imports make tens of thousands of objects that stay: looking for garbage among them costs a tenth.
    gc.set_threshold(500_000, 20, 100)
    # Pydantic would ask every installed package whether it has a plug-in; none has a say in what a file means.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    from .app import COMMANDS, make_app
    from .console import Exit, exit_code, print_error

    named = [name for name in sys.argv[1:2] if name in COMMANDS]
    try:
        make_app(named or COMMANDS)()
    except DspecError as error:
        print_error(error.message, error.help)
        sys.exit(exit_code(error))
    except Exception as error:  # noqa: BLE001 - the boundary: a bug must not become a traceback
        from .crash import report_crash

        report = report_crash(error)
        print_error(
            f"DS0000: dspc itself failed: {type(error).__name__}: {error}",
            f"this is a bug, not a mistake of yours; please report it with {report}",
        )
        sys.exit(Exit.BUG)
