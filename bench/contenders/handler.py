"""A raw aiohttp handler that asks the same model for each request, without checks, tries or limits: for `serve.py`.

    python bench/contenders/handler.py URL

It prints the port that it listens on.
"""

from __future__ import annotations

import asyncio
import json
import sys

import aiohttp
from aiohttp import web
from ask import messages


async def main(url: str) -> None:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def run(request: web.Request) -> web.Response:
            given = json.loads(await request.read())
            body = {"model": "fake", "messages": messages(given["text"]), "temperature": 0.0}
            async with session.post(f"{url}/chat/completions", json=body) as response:
                answer = json.loads(await response.read())["choices"][0]["message"]["content"]
            return web.json_response({"outputs": {"intent": answer.split("\n")[1]}})

        app = web.Application()
        app.router.add_post("/run", run)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
        print(runner.addresses[0][1], flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
