"""Inside a running event loop: calls beside each other, a batch, a stream."""

import asyncio
from pathlib import Path

from desk import Desk

from dspec import load

ARTIFACT = Path(__file__).parent / "compiled" / "desk_v1.dspc.json"


async def main() -> None:
    desk = load(ARTIFACT, Desk)
    late, locked = await asyncio.gather(
        desk.acall(message="the parcel is late"), desk.acall(message="my account is locked", timeout=10)
    )
    print(late.team, locked.team)

    rows = await desk.abatch(
        [{"message": "the wrong sum on the invoice"}, {"message": "tracking has not moved"}]
    )
    print([row.team for row in rows])

    async with desk.astream(message="I cannot log in, please hurry") as stream:
        async for event in stream:
            print(event.field, stream.values)
        print((await stream.result()).urgent)


if __name__ == "__main__":
    asyncio.run(main())
