"""A script: one call, many calls, and what they were."""

from pathlib import Path

from desk import Desk

from dspec import errors, load

ARTIFACT = Path(__file__).parent / "compiled" / "desk_v1.dspc.json"
MESSAGES = (
    "The parcel is late and I need it today.",
    "I was charged twice, no hurry.",
    "I cannot log in, and it must be solved right now.",
)


def main() -> None:
    with load(ARTIFACT, Desk) as desk:
        one = desk(message=MESSAGES[0])
        print(f"{one.team} ({'now' if one.urgent else 'later'}): {MESSAGES[0]}")

        results = desk.batch([{"message": text} for text in MESSAGES], return_exceptions=True, progress=True)
        for text, result in zip(MESSAGES, results, strict=True):
            print(
                f"failed: {result}" if isinstance(result, errors.DspecError) else f"{result.team:<10} {text}"
            )

        slowest = max(desk.history(), key=lambda call: call.seconds)
        print(f"{desk.usage.calls} model calls; the slowest of the last took {slowest.seconds:.3f} s")


if __name__ == "__main__":
    main()
