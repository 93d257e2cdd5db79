"""Programs as tools of an MCP server, by the protocol's own SDK (the extra `mcp`)."""

from __future__ import annotations

import hmac
import json
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dspec.runtime.application import Application
from dspec.runtime.errors import ConfigurationError, DspecError
from dspec.runtime.schema.ensemble import parts

from .schemas import standing_alone, told_of
from .web.problems import problem_of, unfit_inputs
from .web.turnstile import TurnedAway, Turnstile

if TYPE_CHECKING:
    from mcp.server import Server
    from mcp_types import CallToolResult, Tool

    from .web.server import ServerSettings


def mcp_server(
    programs: Mapping[str, Application], gate: Turnstile, log: Callable[[str], None]
) -> Server[Any]:
    """A server whose tools are these programs, with their types as schemas. Raises ConfigurationError without the SDK."""
    try:
        import mcp_types as types
        from mcp.server import Server
    except ImportError:
        raise ConfigurationError("`--mcp` needs the package mcp", help="pip install 'dspc[mcp]'") from None
    logging.getLogger("mcp").addHandler(logging.NullHandler())

    async def list_tools(_: Any, __: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[_tool(name, one) for name, one in programs.items()])

    async def call_tool(_: Any, asked: types.CallToolRequestParams) -> types.CallToolResult:
        application = programs.get(asked.name)
        if application is None:
            return _failed(f"there is no such tool: there is {', '.join(programs)}")
        inputs = dict(asked.arguments or {})
        if (unfit := unfit_inputs(application.program, inputs)) is not None:
            return _failed("; ".join(f"{one['where']}: {one['message']}" for one in unfit.details))
        try:
            async with gate.place():
                prediction = await application.run_here(inputs)
        except TurnedAway as away:
            return _failed(away.message)
        except DspecError as error:
            problem = problem_of(error)
            if problem.status != 422:
                log(
                    json.dumps(
                        {"program": asked.name, "error": type(error).__name__, "problem": problem.kind}
                    )
                )
            return _failed(problem.message)
        text = json.dumps(prediction.outputs, ensure_ascii=False)
        return types.CallToolResult(
            content=[types.TextContent(type="text", text=text)], structured_content=prediction.outputs
        )

    return Server("dspc", on_list_tools=list_tools, on_call_tool=call_tool)


def _tool(name: str, application: Application) -> Tool:
    import mcp_types as types

    program = application.program
    return types.Tool(
        name=name,
        description=told_of(program) or None,
        input_schema=standing_alone(program, given=True),
        output_schema=standing_alone(program, given=False),
        annotations=types.ToolAnnotations(read_only_hint=not any(one.tools for one in parts(program))),
    )


def _failed(message: str) -> CallToolResult:
    import mcp_types as types

    return types.CallToolResult(content=[types.TextContent(type="text", text=message)], is_error=True)


async def over_stdio(server: Server[Any]) -> None:
    """Serves whoever started this process, until standard input ends."""
    from mcp.server.stdio import stdio_server

    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


class McpHttp:
    """The server over streamable HTTP, at `/mcp`. For one event loop."""

    def __init__(self, server: Server[Any], settings: ServerSettings) -> None:
        import uvicorn

        host = settings.host
        app = server.streamable_http_app(
            stateless_http=True, json_response=True, host=host, max_request_body_size=settings.max_body
        )
        config = uvicorn.Config(
            _keyed(app, settings.keys),
            host=host,
            port=settings.port,
            log_level="critical",
            access_log=False,
            timeout_graceful_shutdown=math.ceil(settings.drain_seconds),
        )
        self._server = uvicorn.Server(config)

    async def run(self) -> None:
        """Serves until it is stopped. Raises ConfigurationError where it cannot listen."""
        try:
            await self._server.serve()
        except SystemExit:
            raise ConfigurationError(
                f"nothing can listen there: {self._server.config.host}:{self._server.config.port}"
            ) from None

    def stop(self) -> None:
        """Takes nothing new, and ends once what it has is answered."""
        self._server.should_exit = True


def _keyed(app: Any, keys: Sequence[str]) -> Any:
    """The application behind a check of keys."""
    if not keys:
        return app
    known = [f"Bearer {key}".encode() for key in keys]

    async def checked(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            given = dict(scope["headers"]).get(b"authorization", b"")
            if not sum(hmac.compare_digest(given, key) for key in known):
                headers = [(b"content-type", b"text/plain"), (b"www-authenticate", b"Bearer")]
                await send({"type": "http.response.start", "status": 401, "headers": headers})
                await send({"type": "http.response.body", "body": b"a key is needed"})
                return
        await app(scope, receive, send)

    return checked
