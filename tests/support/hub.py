"""A dataset hub on loopback: the API that the hub's library asks, for datasets given as files."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

COMMIT = "a" * 40


@dataclass
class Hub:
    """`repos` are files by name, for each dataset; those in `private` want the token `secret`.

    `asked` are the requests so far, as `GET /path`.
    """

    url: str
    repos: dict[str, dict[str, bytes]]
    private: frozenset[str] = frozenset()
    gated: frozenset[str] = frozenset()
    status: int = 0
    """If not 0, the answer to everything."""
    commit: str = COMMIT
    asked: list[str] = field(default_factory=list[str])


@contextmanager
def serving(repos: Mapping[str, Mapping[str, bytes]], *private: str, gated: str = "") -> Iterator[Hub]:
    hub = Hub(
        "", {name: dict(files) for name, files in repos.items()}, frozenset(private), frozenset([gated])
    )

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer()

        def do_HEAD(self) -> None:
            self._answer()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Tests are quiet."""

        def _answer(self) -> None:
            path = unquote(urlsplit(self.path).path)
            hub.asked.append(f"{self.command} {path}")
            if hub.status:
                self._send(hub.status, b"{}")
                return
            for name, files in hub.repos.items():
                api, resolved = f"/api/datasets/{name}/revision/", f"/datasets/{name}/resolve/{hub.commit}/"
                if not path.startswith((api, resolved)):
                    continue
                if name in hub.gated:
                    self._send(403, b"{}", {"X-Error-Code": "GatedRepo"})
                elif name in hub.private and self.headers.get("Authorization") != "Bearer secret":
                    break
                elif path.startswith(resolved):
                    body = files[path.removeprefix(resolved)]
                    self._send(200, body, {"X-Repo-Commit": hub.commit, "ETag": f'"{hash(body):x}"'})
                elif path.removeprefix(api) not in ("main", hub.commit):
                    self._send(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
                else:
                    siblings = [{"rfilename": file, "size": len(body)} for file, body in files.items()]
                    listing = {"id": name, "sha": hub.commit, "siblings": siblings}
                    self._send(200, json.dumps(listing).encode())
                return
            self._send(401, b"{}", {"X-Error-Code": "RepoNotFound"})

        def _send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
