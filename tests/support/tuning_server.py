"""A provider that fine-tunes, on loopback: uploads, jobs, their events, and polling. What goes wrong with it is said beforehand."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Provider:
    """`looks` is how many looks at a job it takes to succeed. `faults` are used up one by one: a path's beginning, and a status
    that is answered there, 0 to close the connection after the request was carried out, or a text to answer in its place."""

    looks: int = 2
    faults: list[tuple[str, int | str]] = field(default_factory=list[tuple[str, int | str]])
    ends: str = "succeeded"
    tuned: str = ""
    """What the tuned model is called; unless said, as OpenAI calls one."""
    files: dict[str, bytes] = field(default_factory=dict[str, bytes])
    names: dict[str, str] = field(default_factory=dict[str, str])
    """What files were called by who sent them."""
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    asked: list[str] = field(default_factory=list[str])
    keys: set[str] = field(default_factory=set[str])
    url: str = ""

    def job(self, body: dict[str, Any]) -> dict[str, Any]:
        name = f"ftjob-{len(self.jobs) + 1}"
        self.jobs[name] = {
            "id": name,
            "object": "fine_tuning.job",
            "created_at": 1,
            "model": body["model"],
            "training_file": body["training_file"],
            "hyperparameters": body.get("hyperparameters") or {},
            "seed": body.get("seed", 0),
            "status": "validating_files",
            "fine_tuned_model": None,
            "finished_at": None,
            "organization_id": "org",
            "result_files": [],
            "trained_tokens": None,
            "validation_file": None,
            "error": None,
            "looks": 0,
            "events": [{"message": "created"}],
        }
        return self.jobs[name]

    def look(self, name: str) -> dict[str, Any]:
        job = self.jobs[name]
        job["looks"] += 1
        if job["status"] in ("succeeded", "failed", "cancelled"):
            return job
        if job["looks"] <= self.looks:
            job["status"] = "running"
            job["events"].append({"message": f"step {job['looks']}"})
        elif self.ends == "succeeded":
            rows = self.files[job["training_file"]].decode().splitlines()
            job |= {
                "status": "succeeded",
                "fine_tuned_model": self.tuned or f"ft:{job['model']}:org:dspec:{name}",
                "finished_at": 2,
                "trained_tokens": 100 * len(rows),
            }
        else:
            job |= {"status": self.ends, "error": {"code": "x", "message": "row 3 is unsafe", "param": None}}
        return job

    @property
    def created(self) -> int:
        return len(self.jobs)


@contextmanager
def provider(**options: Any) -> Iterator[Provider]:
    made = Provider(**options)

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            return

        def answer(self, status: int, body: object) -> None:
            self.send(status, "application/json", json.dumps(body).encode())

        def send(self, status: int, kind: str, data: bytes) -> None:
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def carried_out(self, method: str) -> tuple[int, object]:
            path = self.path.partition("?")[0].removeprefix("/v1")
            parts = path.strip("/").split("/")
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            match method, parts:
                case "POST", ["files"]:
                    name = f"file-{len(made.names) + 1}"
                    made.names[name] = body.partition(b'filename="')[2].partition(b'"')[0].decode()
                    start = body.index(b'{"messages"')
                    made.files[name] = body[start : body.rindex(b"}") + 1]
                    return 200, self.file(name)
                case "GET", ["files"]:
                    return 200, {"object": "list", "data": [*map(self.file, made.files)], "has_more": False}
                case "DELETE", ["files", name]:
                    del made.files[name]
                    return 200, {"id": name, "object": "file", "deleted": True}
                case "POST", ["fine_tuning", "jobs"]:
                    return 200, made.job(json.loads(body))
                case "GET", ["fine_tuning", "jobs"]:
                    return 200, {"object": "list", "data": list(made.jobs.values()), "has_more": False}
                case "GET", ["fine_tuning", "jobs", name]:
                    return 200, made.look(name)
                case "GET", ["fine_tuning", "jobs", name, "events"]:
                    return 200, {"object": "list", "data": made.jobs[name]["events"]}
                case "POST", ["fine_tuning", "jobs", name, "cancel"]:
                    made.jobs[name]["status"] = "cancelled"
                    return 200, made.jobs[name]
                case _:
                    return 404, {"error": {"message": "no such path"}}

        def file(self, name: str) -> dict[str, object]:
            return {
                "id": name,
                "object": "file",
                "bytes": len(made.files[name]),
                "created_at": 1,
                "filename": made.names[name],
                "purpose": "fine-tune",
                "status": "processed",
            }

        def handled(self, method: str) -> None:
            made.asked.append(f"{method} {self.path.partition('?')[0].removeprefix('/v1')}")
            made.keys.add(self.headers.get("authorization") or "")
            fault = next((one for one in made.faults if made.asked[-1].startswith(one[0])), None)
            if fault is not None:
                made.faults.remove(fault)
                if isinstance(fault[1], int) and fault[1]:
                    self.rfile.read(int(self.headers.get("content-length") or 0))
                    self.answer(fault[1], {"error": {"message": "not today", "type": "x", "code": None}})
                    return
            status, body = self.carried_out(method)
            if fault is not None and isinstance(fault[1], str):
                self.send(200, "application/json" if fault[1][:1] in "[{" else "text/html", fault[1].encode())
                return
            if fault is not None:
                self.close_connection = True
                self.connection.shutdown(2)
                return
            self.answer(status, body)

        def do_GET(self) -> None:
            self.handled("GET")

        def do_DELETE(self) -> None:
            self.handled("DELETE")

        def do_POST(self) -> None:
            self.handled("POST")

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
