"""The same service with FastAPI (`pip install fastapi uvicorn`; `uvicorn fastapi_app:app --workers 4`)."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

from desk import Desk
from fastapi import FastAPI, HTTPException
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from dspec import TextPiece, errors, load

app = FastAPI()
desk = load(Path(__file__).parent / "compiled" / "desk_v1.dspc.json", Desk, timeout=60)


class Message(BaseModel):
    message: str


class Answer(BaseModel):
    team: Literal["billing", "delivery", "account"]
    urgent: bool


@app.post("/desk")
async def answer(asked: Message) -> Answer:
    try:
        return (await desk.acall(message=asked.message)).into(Answer)
    except errors.InputError as error:
        raise HTTPException(422, error.message) from error
    except errors.DspecError as error:
        raise HTTPException(503, error.message) from error


@app.post("/desk/stream")
async def streamed(asked: Message) -> StreamingResponse:
    async def events() -> AsyncIterator[str]:
        async with desk.astream(message=asked.message) as stream:
            async for event in stream:
                told = event.text if isinstance(event, TextPiece) else stream.values
                yield f"data: {json.dumps({event.field: told})}\n\n"

    return StreamingResponse(events(), media_type="text/event-stream")
