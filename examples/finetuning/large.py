"""Stands in for a large model on loopback: an endpoint of OpenAI's protocol that knows the answers of a table.

    python large.py [PORT] [data/notes.csv]

It is no model. It looks the text up, is wrong about one in four where its prompt shows no demos, and counts a token for every
four characters of prompt and answer, so that a compile against it spends what the price in the file makes of them. `GET /stats`
has what it counted.
"""

from __future__ import annotations

import csv
import json
import re
import sys
import threading
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ASKED = re.compile(r"\[\[ ## text ## \]\]\n(.*?)\n\n", re.DOTALL)


class Large(ThreadingHTTPServer):
    """Serves one table: its column `text` says what is asked, its column `topic` what is answered."""

    daemon_threads = True

    def __init__(self, port: int, table: Path) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        with table.open(newline="", encoding="utf-8") as file:
            self.known = {row["text"]: row["topic"] for row in csv.DictReader(file)}
        self.counted = {"calls": 0, "input_tokens": 0, "output_tokens": 0}
        self.lock = threading.Lock()

    def answered(self, body: dict[str, Any]) -> dict[str, Any]:
        prompt = [str(message["content"]) for message in body["messages"]]
        texts = ASKED.findall(prompt[-1])
        text = texts[-1].strip() if texts else ""
        shown = len(prompt) > 2
        topic = self.known.get(text, "hours") if shown or zlib.crc32(text.encode()) % 4 else "hours"
        said = f"[[ ## topic ## ]]\n{topic}\n\n[[ ## completed ## ]]"
        asked, told = sum(map(len, prompt)) // 4, len(said) // 4
        with self.lock:
            self.counted["calls"] += 1
            self.counted["input_tokens"] += asked
            self.counted["output_tokens"] += told
        choice = {"index": 0, "message": {"role": "assistant", "content": said}, "finish_reason": "stop"}
        usage = {"prompt_tokens": asked, "completion_tokens": told, "total_tokens": asked + told}
        return {
            "id": "large",
            "object": "chat.completion",
            "created": 0,
            "model": "large",
            "choices": [choice],
            "usage": usage,
        }


class _Handler(BaseHTTPRequestHandler):
    server: Large
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._send(200 if self.path == "/stats" else 404, self.server.counted)

    def do_POST(self) -> None:
        try:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self._send(200, self.server.answered(body))
        except (KeyError, TypeError, ValueError):
            self._send(400, {"error": {"message": "a chat is asked for", "type": "invalid_request_error"}})

    def _send(self, status: int, told: object) -> None:
        content = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Requests are not logged."""


if __name__ == "__main__":
    given = dict(enumerate(sys.argv))
    port, table = int(given.get(1, "0")), Path(given.get(2, HERE / "data" / "notes.csv"))
    with Large(port, table) as server:
        print(f"http://127.0.0.1:{server.server_address[1]}/v1", flush=True)
        server.serve_forever()
