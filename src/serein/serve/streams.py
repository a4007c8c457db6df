"""WS /v1/stream: who may open one, and with which settings."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, WebSocket
from starlette.websockets import WebSocketDisconnect

from serein.errors import SereinError
from serein.inference.stream import Stream
from serein.serve.entrance import NOTES
from serein.serve.guards import SUBPROTOCOL
from serein.serve.judges import Judges
from serein.serve.metrics import Metrics
from serein.serve.predict import check_hop
from serein.serve.protocol import STOPPING
from serein.serve.refusal import Refusal
from serein.serve.session import Session
from serein.serve.settings import Settings

BUSY_S = 10  # when to come again
LATE_S = 1.0  # where streams wait so long, there is no room for another


class Open:
    """How many streams are open."""

    def __init__(self, most: int) -> None:
        self._most, self.count = most, 0

    def __enter__(self) -> None:
        if self.count >= self._most:
            raise Refusal("busy", f"{self._most} streams are open; come again soon", BUSY_S)
        self.count += 1

    def __exit__(self, *error: object) -> None:
        self.count -= 1


def stream_routes(settings: Settings, judges: Judges, metrics: Metrics, places: Open) -> APIRouter:
    """Make the route that listens to voices as they come."""
    router = APIRouter()

    @router.websocket("/v1/stream")
    async def stream(
        socket: WebSocket,
        rate: Annotated[int, Query(ge=4000, le=192_000)] = 16_000,
        model: Annotated[str, Query(max_length=80)] = "",
        window_s: Annotated[float, Query(ge=0.5, le=10)] = 2.0,
        hop_s: Annotated[float, Query(ge=0.1, le=10)] = 0.5,
        adapt: bool = False,
        unsure_below: Annotated[float, Query(ge=0, le=1)] = 0.0,
    ) -> None:
        """Listen to a voice as it comes."""
        recognizer = judges.find(model).for_request(unsure_below)
        check_hop(window_s, hop_s)
        if judges.turns.behind_s > LATE_S:
            raise Refusal("busy", "streams are heard late already; come again soon", BUSY_S)
        with places:
            try:
                voice = await judges.listen(
                    lambda: Stream(
                        recognizer, rate=rate, window_s=window_s, hop_s=hop_s, adapt=adapt
                    )
                )
            except (SereinError, ValueError) as error:
                raise Refusal("invalid", str(error)) from error
            asked = socket.scope.get("subprotocols", [])
            await socket.accept(SUBPROTOCOL if SUBPROTOCOL in asked else None)
            stopping: asyncio.Event = socket.scope["state"][STOPPING]
            session = Session(socket, voice, judges, settings, metrics, stopping)
            ready = {"type": "ready", "model": recognizer.name, "labels": list(voice.labels)}
            try:
                await session.send(ready | {"rate": rate, "window_s": window_s, "hop_s": hop_s})
                await session.run(rate)
            except (WebSocketDisconnect, TimeoutError):
                pass
            finally:
                socket.scope[NOTES]["audio_s"] = round(session.audio_s, 3)

    return router
