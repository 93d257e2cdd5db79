"""How soon a field's first text is at the application, beside the first token on the wire; and what a call costs that streams.

    python bench/streaming.py [--rounds 20] [--latency 0.3] [--trickle 0.01]

The server on loopback waits, then writes a token at a time. A raw client notes when the first token of any kind comes, and when
the first one does that is of the field's own text: before it stands the layout's header. The bar is 1.05 of the latter.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "support"))
from server import spawned  # noqa: E402
from start import program  # noqa: E402

from dspec import Application, TextPiece, load  # noqa: E402
from dspec.runtime.artifact.artifact import Artifact, write_artifact  # noqa: E402
from dspec.runtime.schema.lms import LM, AdapterName  # noqa: E402

TEXT = "It is a long answer that comes a few letters at a time, as answers of models do. " * 3
BAR = 1.05
ANSWERS: dict[AdapterName, str] = {
    "chat": f"[[ ## answer ## ]]\n{TEXT}\n\n[[ ## completed ## ]]",
    "json": json.dumps({"answer": TEXT}),
    "xml": f"<answer>\n{TEXT}\n</answer>",
}


def loaded(folder: Path, url: str, adapter: AdapterName) -> Application:
    lm = LM(name="fake", model="openai/fake", api_base_env="BENCH_URL", adapter=adapter)
    path = folder / f"{adapter}.dspc.json"
    write_artifact(path, Artifact(name="say", program=program().with_lms({"fake": lm})))
    return load(path, api_base=url, api_key="none")


async def raw(url: str, body: bytes) -> tuple[float, float]:
    """Seconds to the first token, and to the first one of the field's text."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    head = f"POST {parts.path}/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    began = time.perf_counter()
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    first, said = 0.0, ""
    while True:
        line = await reader.readline()
        if not line.startswith(b"data: {"):
            continue
        choices = json.loads(line[6:])["choices"]
        said += choices[0]["delta"].get("content") or "" if choices else ""
        if said and not first:
            first = time.perf_counter() - began
        if TEXT[:1] in said:
            writer.close()
            return first, time.perf_counter() - began


async def first_field(say: Application, text: str) -> float:
    began = time.perf_counter()
    async with say.astream(text=text) as stream:
        async for event in stream:
            if isinstance(event, TextPiece):
                return time.perf_counter() - began
    raise AssertionError("nothing came")


async def measure(say: Application, url: str, rounds: int) -> tuple[float, float, float]:
    """The least of each: the first token, the field's first token, and its text at the application; one after the other in
    each round."""
    found: list[tuple[float, float, float]] = []
    for number in range(rounds + 1):
        (prompt,) = await asyncio.to_thread(say.inspect, text=f"question {number}")
        messages = [{"role": role, "content": text} for role, text in prompt.messages]
        body = json.dumps({"model": "fake", "messages": messages, "stream": True}).encode()
        token, own = await raw(url, body)
        found.append((token, own, await first_field(say, f"question {number}")))
    first, second, third = zip(*found[1:], strict=True)  # the first round opens connections
    return min(first), min(second), min(third)


def seconds_of(say: Application, calls: int, *, streamed: bool) -> float:
    """CPU of a call."""
    began = time.process_time()
    for number in range(calls):
        if streamed:
            assert say.stream(text=f"cpu {number}").result
        else:
            assert say(text=f"cpu {number}")
    return (time.process_time() - began) / calls


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--latency", type=float, default=0.3, help="seconds before the first token")
    parser.add_argument("--trickle", type=float, default=0.01, help="seconds between tokens")
    parser.add_argument("--calls", type=int, default=300, help="for the CPU of a call")
    flags = parser.parse_args()
    worst = 0.0
    with tempfile.TemporaryDirectory() as name:
        for adapter, answer in ANSWERS.items():
            trickling = ("--latency", str(flags.latency), "--trickle", str(flags.trickle))
            with spawned("--answer", answer, *trickling) as url:
                say = loaded(Path(name), url, adapter)
                token, own, field = asyncio.run(measure(say, url, flags.rounds))
            worst = max(worst, field / own)
            print(
                f"{adapter:<5} first token {1000 * token:.1f} ms, of the field {1000 * own:.1f} ms, at the application "
                f"{1000 * field:.1f} ms: {field / own:.3f} x ({field / token:.3f} x the first token of any kind)"
            )
        with spawned("--answer", ANSWERS["chat"]) as url:
            say = loaded(Path(name), url, "chat")
            seconds_of(say, 20, streamed=True)
            whole, streamed = (seconds_of(say, flags.calls, streamed=kind) for kind in (False, True))
        print(f"CPU of a call: whole {1000 * whole:.2f} ms, streamed in 60 pieces {1000 * streamed:.2f} ms")
    print(f"bar {BAR}: {'holds' if worst <= BAR else 'missed'} at {worst:.3f}")
    sys.exit(worst > BAR)


if __name__ == "__main__":
    main()
