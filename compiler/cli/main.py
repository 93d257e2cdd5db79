"""`dspc`: where the command line starts, and its error boundary.

No user ever sees a traceback: a `DspecError` prints its message and help, anything else is a bug,
which leaves a report file and says where it is. What it takes to read arguments and to draw is imported
only once it is needed: most runs are of `dspc check`, `dspc fmt` and `dspc lsp`, by hooks and editors (`quick`).
"""

from __future__ import annotations

import os
import signal
import sys


def main() -> None:
    """Entry point of the console script. Wrong usage and Ctrl-C are Typer's: 2 and 130."""
    # Imports take most of a second, and would be left with a traceback; nothing is begun by then that is to be put away.
    noticed = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if noticed:
        signal.signal(signal.SIGINT, _leave)
    _name_files_in_utf_8()
    import gc

    from dspec.runtime.errors import DspecError

    from .quick import quickly
    from .streams import guarded

    # Imports make tens of thousands of objects that stay: looking for garbage among them costs a tenth.
    gc.set_threshold(500_000, 20, 100)
    # Pydantic would ask every installed package whether it has a plug-in; none has a say in what a file means.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

    def begin() -> None:
        if noticed:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    out = guarded()
    code: object = 0
    try:
        code = quickly(sys.argv[1:], begin)
        if code is None:
            from .app import COMMANDS, make_app

            named = [name for name in sys.argv[1:2] if name in COMMANDS]
            if "_DSPC_COMPLETE" in os.environ:
                from .completing import names_alone, typed

                words = typed(os.environ)
                named = [name for name in words[1:2] if name in COMMANDS and len(words) > 2]
                app = make_app(named) if named else names_alone(COMMANDS)
            else:
                app = make_app(named or COMMANDS)
            begin()
            app()
            code = 0
    except KeyboardInterrupt:
        code = 130
    except SystemExit as leaving:
        code = leaving.code
    except DspecError as error:
        from .console import exit_code, print_error

        print_error(error.message, error.help)
        code = exit_code(error)
    except Exception as error:  # noqa: BLE001 - the boundary: a bug must not become a traceback
        code = _report(error)
    out.flush()
    if out.lost:
        from .console import Exit, print_error

        print_error(f"standard output takes no more: {out.lost}", "what the command did besides is done")
        code = code or Exit.ENVIRONMENT
    sys.exit(code)  # pyright: ignore[reportArgumentType]


def _report(error: Exception) -> int:
    from .console import Exit, print_error
    from .crash import report_crash

    if (full := _full(error)) is not None:
        named = f"{full.filename} cannot be written: " if full.filename else ""
        print_error(
            f"{named}{(full.strerror or str(full)).lower()}",
            "make room, and run the same command again: what was kept until now is not asked for again",
        )
        return Exit.ENVIRONMENT
    try:
        what_to_do = f"please report it with {report_crash(error)}"
    except OSError as unwritten:
        what_to_do = f"a report of it cannot be written: {unwritten.strerror or unwritten}"
    print_error(
        f"DS0000: dspc itself failed: {type(error).__name__}: {error}",
        f"this is a bug, not a mistake of yours; {what_to_do}",
    )
    return Exit.BUG


def _full(error: BaseException) -> OSError | None:
    """What says that a disk, a quota or a file takes no more, where that is why."""
    import errno
    from typing import cast

    if isinstance(error, BaseExceptionGroup):
        several = cast("BaseExceptionGroup[BaseException]", error).exceptions
        return next((found for one in several if (found := _full(one)) is not None), None)
    numbers = {getattr(errno, name, None) for name in ("ENOSPC", "EDQUOT", "EFBIG")}
    return error if isinstance(error, OSError) and error.errno in numbers else None


def _leave(_signal: int, _frame: object) -> None:
    os._exit(130)


def _name_files_in_utf_8() -> None:
    """Starts again where the locale has no word for most names: a source names its files in UTF-8 wherever it is read."""
    if sys.getfilesystemencoding().lower() == "utf-8" or os.environ.get("PYTHONUTF8") == "1":
        return
    spoken = {} if sys.stdout is None else {"PYTHONIOENCODING": f"{sys.stdout.encoding}:backslashreplace"}
    os.environ.update({**spoken, **os.environ, "PYTHONUTF8": "1"})
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - itself, once more
