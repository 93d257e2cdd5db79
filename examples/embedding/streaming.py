"""A terminal that shows an answer while it comes, and takes back what counts no more."""

import sys
from pathlib import Path

from desk import Desk

from dspec import FieldValue, TextPiece, Withdrawn, load

ARTIFACT = Path(__file__).parent / "compiled" / "desk_v1.dspc.json"


def main() -> None:
    desk = load(ARTIFACT, Desk)
    with desk.stream(message="The box arrived empty, please hurry.") as stream:
        for event in stream:
            match event:
                case TextPiece(text=text):
                    sys.stdout.write(text)
                case FieldValue(field=field, value=value):
                    print(f"{field} = {value}")
                case Withdrawn(field=field, why=why):
                    print(f"({field} is withdrawn: {why})")
        print(f"for {stream.result.team}, {stream.result.usage.calls} model calls")


if __name__ == "__main__":
    main()
