"""`dspc`: the command line. Wiring and the error boundary; each command has a file of its own.

No user ever sees a traceback: a `DspecError` prints its message and help, anything else is a bug,
which leaves a report file and says where it is.
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Annotated

import typer

from dspec.runtime.errors import DspecError

from .check import check
from .compile import compile_command
from .console import Exit, exit_code, print_error
from .crash import report_crash
from .evaluate import evaluate
from .explain import explain
from .fmt import fmt
from .init import init
from .lsp import lsp
from .plan import plan
from .run import run
from .show import show

EPILOG = """
Exit codes: 0 fine · 1 errors found or a gate failed · 2 wrong usage · 3 budget spent, best written ·
4 a key, model or provider is missing · 70 a bug in dspc · 130 interrupted; run it again to go on
"""

app = typer.Typer(
    name="dspc",
    help="Check, plan, compile and run language-model programs written in .dspec files.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command()(init)
app.command()(check)
app.command()(fmt)
app.command()(plan)
app.command("compile")(compile_command)
app.command()(run)
app.command("eval")(evaluate)
app.command()(show)
app.command()(explain)
app.command()(lsp)


def show_version(wanted: bool) -> None:
    if wanted:
        print(f"dspc {version('dspc')}")  # noqa: T201
        raise typer.Exit


@app.callback()
def options(
    _: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Entry point of the console script. Wrong usage and Ctrl-C are Typer's: 2 and 130."""
    try:
        app()
    except DspecError as error:
        print_error(error.message, error.help)
        sys.exit(exit_code(error))
    except Exception as error:  # noqa: BLE001 - the boundary: a bug must not become a traceback
        report = report_crash(error)
        print_error(
            f"DS0000: dspc itself failed: {type(error).__name__}: {error}",
            f"this is a bug, not a mistake of yours; please report it with {report}",
        )
        sys.exit(Exit.BUG)
