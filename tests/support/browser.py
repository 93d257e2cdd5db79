"""A headless Chromium, driven by its own protocol (CDP) over a pipe: nothing listens, and no network is there for it."""

from __future__ import annotations

import asyncio
import base64
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--hide-scrollbars", "--remote-debugging-pipe"),
    # Whatever a page asks for beyond its own file finds nobody.
    *("--host-resolver-rules=MAP * ~NOTFOUND", "--proxy-server=127.0.0.1:9"),
)
_PATIENCE = 60.0


class Browser:
    """One tab. `problems` are what its console says: refused content, exceptions; `requests` the addresses that it asked for."""

    def __init__(self, reader: asyncio.StreamReader, write: int) -> None:
        self.problems: list[str] = []
        self.requests: list[str] = []
        self._reader, self._write = reader, write
        self._number = 0
        self._session = ""
        self._loaded = asyncio.Event()

    async def open(self, page: Path, *, width: int = 1280, height: int = 800, dark: bool = False) -> float:
        """Shows a file; how many milliseconds passed from the start of the navigation until its script had run."""
        if not self._session:
            target = await self.call("Target.createTarget", url="about:blank")
            attached = await self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
            self._session = attached["sessionId"]
            for domain in ("Page", "Runtime", "Log", "Network"):
                await self.call(f"{domain}.enable")
        await self.size(width, height)
        await self.theme(dark=dark)
        self._loaded.clear()
        await self.call("Page.navigate", url=page.resolve().as_uri())
        while not self._loaded.is_set():
            self._heard(await self._message())
        timing = "performance.getEntriesByType('navigation')[0]"
        return float(await self.run(f"{timing}.loadEventEnd || {timing}.domContentLoadedEventEnd"))

    async def size(self, width: int, height: int) -> None:
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    async def theme(self, *, dark: bool) -> None:
        feature = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[feature])

    async def run(self, expression: str) -> Any:
        """What an expression gives in the page; promises are waited for."""
        found = await self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in found:
            raise AssertionError(found["exceptionDetails"]["exception"].get("description"))
        return found["result"].get("value")

    async def press(self, *keys: str) -> None:
        """Keys, one after the other: a letter, or a name such as `ArrowDown`."""
        for key in keys:
            text = {"text": key} if len(key) == 1 else {"text": "\r"} if key == "Enter" else {}
            await self.call("Input.dispatchKeyEvent", type="keyDown", key=key, **text)
            await self.call("Input.dispatchKeyEvent", type="keyUp", key=key)
        await self.run("new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)))")

    async def picture(self, path: Path, *, whole: bool = False) -> None:
        shot = await self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        number = self._number
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        data = memoryview(json.dumps(message).encode() + b"\0")
        while data:
            data = data[os.write(self._write, data) :]
        while True:
            heard = await self._message()
            if heard.get("id") == number:
                if "error" in heard:
                    raise AssertionError(f"{method}: {heard['error']}")
                return heard["result"]
            self._heard(heard)

    async def _message(self) -> dict[str, Any]:
        async with asyncio.timeout(_PATIENCE):
            return json.loads((await self._reader.readuntil(b"\0"))[:-1])

    def _heard(self, event: dict[str, Any]) -> None:
        given = event.get("params", {})
        match event.get("method"):
            case "Page.loadEventFired":
                self._loaded.set()
            case "Runtime.exceptionThrown":
                self.problems.append(str(given["exceptionDetails"]))
            case "Log.entryAdded":
                self.problems.append(str(given["entry"].get("text")))
            case "Network.requestWillBeSent":
                self.requests.append(str(given["request"]["url"]))
            case _:
                pass


@asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    """A browser with a profile of its own, which ends with the block."""
    assert CHROMIUM is not None, "tests that need one are skipped where there is none"
    given, taken = os.pipe(), os.pipe()
    # The protocol is spoken on 3 and 4, which may be these very pipes: so their numbers are out of the way first.
    ends = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 30) for end in (given[0], taken[1])]

    def speak() -> None:
        os.dup2(ends[0], 3)
        os.dup2(ends[1], 4)

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = await asyncio.create_subprocess_exec(
            CHROMIUM,
            *_FLAGS,
            f"--user-data-dir={profile}",
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            close_fds=False,  # Python's own are closed all the same, but for 3 and 4
            preexec_fn=speak,
        )
        for end in (given[0], taken[1], *ends):
            os.close(end)
        reader = asyncio.StreamReader(limit=2**28)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(taken[0], "rb")
        )
        try:
            yield Browser(reader, given[1])
        finally:
            process.terminate()
            await process.wait()
            transport.close()
            os.close(given[1])
