"""Runs a command and outlives it by so much as it takes to end what it started: a script for an interpreter of its own.

On Linux a process whose parent is gone falls to the nearest one above it that has asked for such, and this one has. So all
that the command starts ends here, whatever it does to get away: a session of its own, a parent that leaves. Nothing else is
ever killed: only children of this very process are, level by level, and nobody but it can free their numbers for others.

    python guard.py GRACE COMMAND ARGUMENT…

The command has the standard streams as they are and leads a process group. It ends when it does, at SIGTERM, or GRACE seconds
after whoever holds the other side of standard input has gone; how it ended is how this ends.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress

_ADOPTS = 36
"""`PR_SET_CHILD_SUBREAPER` of prctl(2)."""
_ENDING_SECONDS = 1.5
"""So long is it tried to end what is left."""
_NO_COMMAND = 127


def guarded(command: Sequence[str], *, grace: float = 0.0) -> list[str]:
    """The command that runs another one under guard; that one itself where there is no such thing."""
    if sys.platform != "linux":
        return list(command)
    return [sys.executable, "-I", "-S", "-B", os.path.abspath(__file__), str(grace), *command]  # noqa: PTH100


def end_guarded(pid: int, *, running: bool) -> None:
    """Ends what was started by a command that `guarded` gave, as the leader of a process group. `running` says that it was
    not waited for yet. Raises OSError."""
    if sys.platform != "linux" and os.name == "posix":
        os.killpg(pid, signal.SIGKILL)  # where it has ended, what it left in its group
    elif running:
        os.kill(pid, signal.SIGTERM)  # on Windows, no process can refuse it


def main() -> None:
    grace, command = float(sys.argv[1]), sys.argv[2:]
    _adopt()
    woken, wake = os.pipe()
    for end in (woken, wake):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, _heed)
    child = _started(command)
    _leave_streams()
    status = _watch(child, woken, grace)
    _end_children()
    _end_as(status)


def _heed(number: int, frame: object) -> None:
    """Nothing: a signal with a function is written to the wakeup pipe."""


def _adopt() -> None:
    """Asks for the children of those below that end. Where that cannot be had, what is still below is ended all the same."""
    with suppress(Exception):
        import ctypes

        ctypes.CDLL(None).prctl(_ADOPTS, 1, 0, 0, 0)


def _started(command: list[str]) -> int:
    child = os.fork()
    if child:
        return child
    try:
        os.setpgid(0, 0)
        for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGTERM, signal.SIGCHLD):
            signal.signal(
                number, signal.SIG_DFL
            )  # Python ignores the first two, and commands would inherit that
        os.execvp(command[0], command)  # noqa: S606 - a shell is not wanted
    except BaseException as error:  # noqa: BLE001 - a second of this process must not go on
        os.write(2, f"{command[0]}: {error}\n".encode(errors="replace"))
    os._exit(_NO_COMMAND)


def _leave_streams() -> None:
    """Whoever reads what the command says sees its end when the command's side closes."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.close(nowhere)


def _watch(child: int, woken: int, grace: float) -> int | None:
    """Waits for the command: its status, or None when it is to be ended."""
    poll = select.poll()
    poll.register(0, 0)  # tells of a side that is gone, and of nothing that waits to be read
    poll.register(woken, select.POLLIN)
    end: float | None = None
    while True:
        left = None if end is None else max(0.0, end - time.monotonic())
        for stream, event in poll.poll(None if left is None else 1000 * left):
            if stream == woken:
                if signal.SIGTERM in os.read(woken, 4096):
                    return None
                continue
            poll.unregister(0)
            if event & select.POLLHUP:
                end = time.monotonic() + grace
        for pid, status in _reaped():
            if pid == child:
                return status
        if end is not None and time.monotonic() >= end:
            return None


def _reaped() -> Iterator[tuple[int, int]]:
    with suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            yield found


def _end_children() -> None:
    """Kills the children, then those that fall to this process by that, until there are none."""
    end = time.monotonic() + _ENDING_SECONDS
    while time.monotonic() < end:
        for pid in _children():
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.002)


def _children() -> Iterator[int]:
    own = str(os.getpid())
    for entry in os.listdir("/proc"):  # noqa: PTH208
        if entry.isdigit():
            with suppress(OSError), open(f"/proc/{entry}/stat", "rb") as file:  # noqa: PTH123
                if file.read().rpartition(b")")[2].split()[1].decode() == own:
                    yield int(entry)


def _end_as(status: int | None) -> None:
    if status is None:
        os._exit(0)
    if os.WIFSIGNALED(status):
        import resource

        number = os.WTERMSIG(status)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the command has left its own already
        with suppress(OSError):
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(os.waitstatus_to_exitcode(status) % 256)


if __name__ == "__main__":
    main()
