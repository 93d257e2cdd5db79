"""Workers on a Ray cluster: one that is there, or one of this machine's own for as long as the command lasts.

Ray starts the processes, puts them where there is room and notices when they are gone; what crosses is what `Worker` takes and
gives, bytes of JSON. It pickles nothing of ours but the name of that class. Its own processes listen on the loopback address
alone where we start them, ask for a token, report nothing to anybody, and end with the command, however that ends.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import shutil
import socket
import tempfile
import threading
from collections.abc import AsyncGenerator, Callable, Mapping
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from dspec.runtime.errors import ConfigurationError

from .driver import LinkLost, WorkerLink, Workers
from .processes import HostLink, HostLost, ProcessHost
from .worker import Worker

_STARTS = 3
"""Times that Ray is started: under load its own deadlines, which nobody can set, are too short now and then."""
_MEMORY = 100 * 2**20
"""Bytes of Ray's object store, which little of ours goes through."""
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DISABLE_IMPORT_WARNING": "1",
    "RAY_SCHEDULER_EVENTS": "0",
    "RAY_IGNORE_UNHANDLED_ERRORS": "1",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
}

_OWN = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # what makes Ray listen on the loopback address alone, whatever its name says
    "RAY_AUTH_MODE": "token",
    "RAY_gcs_server_port_wait_time_s": "120",  # 30 s are too few on a machine under load
    "RAY_memory_monitor_refresh_ms": "0",  # whoever fills the machine's memory, our workers are not who it is
}
"""Of a Ray that we start."""
_PREFIX = "dspc-ray-"
_ENDING = 10.0
"""Seconds for a host's process to end by itself."""
_PLACING = 900.0
"""Seconds that a training waits for a machine."""


@asynccontextmanager
async def on_ray(address: str, number: int | None) -> AsyncGenerator[Workers]:
    """So many workers on the cluster at `address` ("" for one of this machine's own), or one for each of its CPUs.

    Raises ConfigurationError where Ray is not installed, cannot be started or is not at the address.
    """
    thread = _RayThread()
    try:
        ray, found = await asyncio.wrap_future(thread.call(lambda: _start(address, number)))
        try:
            actor: Any = ray.remote(num_cpus=1, max_restarts=0, max_concurrency=8)(Worker)
            async with Workers(lambda: _open(ray, actor), number or found, lambda: _host(ray)) as workers:
                yield workers
        finally:
            await asyncio.wrap_future(thread.call(ray.shutdown))
    finally:
        thread.end()


class _RayThread(threading.Thread):
    """What starts Ray's processes and ends them. Linux ends them when the thread does that started them, so it lives as long as
    they are wanted; and the event loop goes on meanwhile."""

    def __init__(self) -> None:
        super().__init__(name="dspec-ray", daemon=True)
        self._work: list[tuple[Callable[[], Any], Future[Any]] | None] = []
        self._ready = threading.Semaphore(0)
        self.start()

    def call(self, work: Callable[[], Any]) -> Future[Any]:
        done: Future[Any] = Future()
        self._work.append((work, done))
        self._ready.release()
        return done

    def end(self) -> None:
        self._work.append(None)
        self._ready.release()

    def run(self) -> None:
        while True:
            self._ready.acquire()
            one = self._work.pop(0)
            if one is None:
                return
            work, done = one
            try:
                done.set_result(work())
            except BaseException as error:  # noqa: BLE001  # raised where it is waited for
                done.set_exception(error)


def _start(address: str, number: int | None) -> tuple[Any, int]:
    """Ray, and how many CPUs it has for workers."""
    os.environ.update(_QUIET)
    if not address:
        os.environ.update(_OWN)
        # One for the process, where Ray reads it once.
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        os.environ.pop("RAY_ADDRESS", None)
    try:
        ray: Any = import_module("ray")
    except ImportError:
        raise ConfigurationError(
            "Ray is not installed, which `--engine ray` needs", help="pip install 'dspc[ray]'"
        ) from None
    # What its daemons have to say goes to standard output, where results are, and there is no setting against that.
    ray._private.worker.print_to_stdstream = _unsaid
    common: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    if address:
        try:
            _reach(address)
            ray.init(address=address, **common)
        except Exception as error:  # noqa: BLE001  # Ray raises a dozen kinds, and none is its own
            raise ConfigurationError(
                f"there is no Ray cluster at {address} that this machine is part of: {_line(error)}",
                help="`ray start --head` begins one, and `ray start --address=…` makes a machine part of it; this command "
                "runs on one of its machines",
            ) from None
        return ray, max(1, int(ray.cluster_resources().get("CPU", 1)))
    cpus = number or len(os.sched_getaffinity(0))
    for left in reversed(range(_STARTS)):
        folder = _folder()
        try:
            ray.init(
                num_cpus=cpus,
                num_gpus=0,
                include_dashboard=False,
                object_store_memory=_MEMORY,
                _temp_dir=f"{folder}/ray",  # which Ray makes everybody's
                **common,
            )
        except Exception as error:  # noqa: BLE001  # as above
            with suppress(Exception):
                ray.shutdown()
            shutil.rmtree(folder, ignore_errors=True)
            if not left:
                raise ConfigurationError(
                    f"Ray could not be started, {_STARTS} times: {_line(error)}",
                    help="a machine under load is too slow for Ray's own deadlines; without `--engine` nothing needs it",
                ) from None
        else:
            return _Own(ray, folder), cpus
    raise AssertionError("it was started, or could not be")


def _reach(address: str) -> None:
    """Raises OSError where nobody is at the address: Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()


def _folder() -> str:
    """A folder for Ray's logs and sockets, and for nobody else. Those of commands that were killed are removed."""
    # Sockets lie deep in it, and the path of one has 107 bytes at most.
    place = tempfile.gettempdir()
    place = "/tmp" if len(place) > 30 and os.path.isdir("/tmp") else place  # noqa: S108, PTH112
    for left in Path(place).glob(f"{_PREFIX}*-*"):
        pid = left.name.removeprefix(_PREFIX).partition("-")[0]
        if pid.isdigit() and not _lives(int(pid)):
            shutil.rmtree(left, ignore_errors=True)
    return tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=place)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # somebody else's
    return True


def _unsaid(*_: object, **__: object) -> None:
    return


class _Own:
    """Ray as this command has started it, with the folder that goes when it ends."""

    def __init__(self, ray: Any, folder: str) -> None:
        self._ray = ray
        self._folder = folder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ray, name)

    def shutdown(self) -> None:
        self._ray.shutdown()
        shutil.rmtree(self._folder, ignore_errors=True)


async def _open(ray: Any, actor: Any) -> WorkerLink:
    try:
        return _RayLink(ray, actor.remote())
    except Exception as error:  # noqa: BLE001  # of a dozen kinds: the cluster may be back, or be given up
        raise LinkLost(_line(error)) from None


async def _host(ray: Any) -> HostLink:
    """A machine for a training: one with a GPU that is free, where the cluster has any."""
    gpus = 1 if ray.cluster_resources().get("GPU", 0) >= 1 else 0
    actor = ray.remote(num_cpus=0, num_gpus=gpus, max_restarts=0, max_concurrency=8)(ProcessHost)
    return _RayHost(ray, actor.remote())


class _RayHost:
    def __init__(self, ray: Any, handle: Any) -> None:
        self._ray = ray
        self._handle = handle

    async def start(
        self, module: str, log: str, environment: Mapping[str, str | None], folders: list[str]
    ) -> tuple[int, str] | None:
        try:
            async with asyncio.timeout(_PLACING):
                return await self._handle.start.remote(module, log, dict(environment), folders)
        except TimeoutError:
            raise ConfigurationError(
                f"no worker was free for a training for {_PLACING:.0f} s",
                help="every answer so far is kept; see who has the cluster's GPUs (`ray status`)",
            ) from None
        except self._ray.exceptions.RayTaskError as error:
            raise OSError(_line(error)) from None
        except self._ray.exceptions.RayError as error:
            raise HostLost(_line(error)) from None

    async def send(self, line: bytes) -> None:
        await self._asked(self._handle.send, line)

    async def heard(self) -> bytes:
        return await self._asked(self._handle.heard)

    async def code(self) -> int | None:
        return await self._asked(self._handle.code)

    async def aclose(self) -> None:
        with suppress(HostLost):
            await asyncio.wait([asyncio.ensure_future(self._asked(self._handle.aclose))], timeout=_ENDING)
        with suppress(self._ray.exceptions.RayError):
            self._ray.kill(self._handle, no_restart=True)

    async def _asked(self, method: Any, *parts: Any) -> Any:
        try:
            return await method.remote(*parts)
        except self._ray.exceptions.RayTaskError as error:
            raise ValueError(_line(error)) from None
        except self._ray.exceptions.RayError as error:
            raise HostLost(_line(error)) from None


class _RayLink:
    def __init__(self, ray: Any, handle: Any) -> None:
        self._ray = ray
        self._handle = handle

    async def take(self, lines: bytes) -> None:
        try:
            await self._handle.take.remote(lines)
        except self._ray.exceptions.RayError as error:
            raise LinkLost(_line(error)) from None

    async def give(self) -> bytes:
        try:
            return await self._handle.give.remote()
        except self._ray.exceptions.RayError as error:
            raise LinkLost(_line(error)) from None

    async def aclose(self) -> None:
        with suppress(self._ray.exceptions.RayError):
            self._ray.kill(self._handle, no_restart=True)


def _line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__
