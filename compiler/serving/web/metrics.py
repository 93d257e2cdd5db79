"""What a server did, in Prometheus' text format.

Labels are names of programs and statuses alone: nothing that a caller chooses, so that their number is bounded.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict

from dspec.runtime.running.prediction import CallUsage

from .turnstile import Turnstile

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
"""Seconds."""


class ServerMetrics:
    def __init__(self, gate: Turnstile) -> None:
        self._gate = gate
        self._requests: Counter[tuple[str, int]] = Counter()
        self._seconds: defaultdict[str, list[int]] = defaultdict(lambda: [0] * (len(_BUCKETS) + 1))
        self._sums: defaultdict[str, float] = defaultdict(float)
        self._calls: Counter[str] = Counter()
        self._replayed: Counter[str] = Counter()
        self._tokens: Counter[tuple[str, str]] = Counter()
        self._cost: defaultdict[str, float] = defaultdict(float)

    def answered(self, program: str, status: int, seconds: float, usage: CallUsage | None) -> None:
        """Notes a request to a program that is over."""
        self._requests[program, status] += 1
        self._seconds[program][bisect_left(_BUCKETS, seconds)] += 1
        self._sums[program] += seconds
        if usage is not None:
            self._calls[program] += usage.calls - usage.replayed
            self._replayed[program] += usage.replayed
            self._tokens[program, "input"] += usage.input_tokens
            self._tokens[program, "output"] += usage.output_tokens
            self._cost[program] += usage.cost or 0.0

    def text(self) -> str:
        lines: list[str] = []

        def family(name: str, kind: str, told: str, samples: list[tuple[str, float]]) -> None:
            lines.extend((f"# HELP {name} {told}", f"# TYPE {name} {kind}"))
            lines.extend(f"{name}{labels} {value:.17g}" for labels, value in samples)

        def by_program(counts: dict[str, int] | dict[str, float]) -> list[tuple[str, float]]:
            return [(_labels(program=name), value) for name, value in sorted(counts.items())]

        family(
            "dspec_requests_total",
            "counter",
            "Requests to programs, by status.",
            [
                (_labels(program=name, status=str(status)), count)
                for (name, status), count in sorted(self._requests.items())
            ],
        )
        lines.append("# HELP dspec_request_seconds Seconds from a request's head to the end of its answer.")
        lines.append("# TYPE dspec_request_seconds histogram")
        for name, counts in sorted(self._seconds.items()):
            total = 0
            for bound, count in zip((*_BUCKETS, None), counts, strict=True):
                total += count
                le = "+Inf" if bound is None else f"{bound:g}"
                lines.append(f"dspec_request_seconds_bucket{_labels(program=name, le=le)} {total}")
            lines.append(f"dspec_request_seconds_sum{_labels(program=name)} {self._sums[name]:.17g}")
            lines.append(f"dspec_request_seconds_count{_labels(program=name)} {total}")
        family("dspec_running", "gauge", "Requests that are being answered.", [("", self._gate.inside)])
        family("dspec_waiting", "gauge", "Requests that wait for a place.", [("", self._gate.waiting)])
        family("dspec_model_calls_total", "counter", "Answers of models.", by_program(self._calls))
        family(
            "dspec_replayed_calls_total",
            "counter",
            "Answers that were kept, or shared with the same request.",
            by_program(self._replayed),
        )
        family(
            "dspec_tokens_total",
            "counter",
            "Tokens of answers that were paid for, in and out.",
            [
                (_labels(program=name, direction=way), count)
                for (name, way), count in sorted(self._tokens.items())
            ],
        )
        family(
            "dspec_cost_usd_total",
            "counter",
            "USD of answers whose price is known.",
            by_program(self._cost),
        )
        return "\n".join(lines) + "\n"


def _labels(**values: str) -> str:
    told = ",".join(f'{name}="{_escaped(value)}"' for name, value in values.items())
    return f"{{{told}}}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
