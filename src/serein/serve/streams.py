"""WS /v1/stream: who may open one, and with which settings."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query, WebSocket
from starlette.websockets import WebSocketDisconnect

from serein.defaults import DEFAULT_UNSURE_BELOW, STREAM_HOP_S, STREAM_WINDOW_S
from serein.errors import SereinError
from serein.inference.stream import Event, Stream
from serein.serve.access import SUBPROTOCOL
from serein.serve.errors import Refusal
from serein.serve.middleware import NOTES
from serein.serve.observability import Metrics
from serein.serve.predict import HOP, UNSURE, WINDOW, check_hop
from serein.serve.recognizers import Judges
from serein.serve.settings import MAX_FRAME_BYTES, STOPPING, Settings

SAMPLE_BYTES = 2
FULL_SCALE = np.float32(2**15)
NORMAL, GOING_AWAY, REFUSED, TOO_LARGE = 1000, 1001, 1008, 1009


class Ended(Exception):  # noqa: N818  # also a good end
    """A stream that is over."""

    def __init__(self, close_code: int, code: str = "", message: str = "") -> None:
        super().__init__(message)
        self.close_code, self.code, self.message = close_code, code, message


class Session:
    """Takes sound from a client, a frame at a time, and sends what is heard.

    The next frame is asked for while one is listened to, and no further: a client that sends faster
    than it can be listened to is held up by its own connection.
    """

    def __init__(
        self,
        socket: WebSocket,
        stream: Stream,
        judges: Judges,
        settings: Settings,
        metrics: Metrics,
        stopping: asyncio.Event,
    ) -> None:
        self._socket, self._stream, self._judges = socket, stream, judges
        self._settings, self._metrics, self._stopping = settings, metrics, stopping
        self._now = asyncio.get_running_loop().time
        self._end = self._now() + settings.max_stream_seconds
        self._heard_at = self._now()
        self._carry = b""
        self.audio_s = 0.0

    async def run(self, rate: int) -> None:
        """Listen until one side ends it."""
        stopping = asyncio.ensure_future(self._stopping.wait())
        coming = asyncio.ensure_future(self._socket.receive())
        try:
            while True:
                await self._wait_for(coming, stopping)
                message = coming.result()
                if message["type"] == "websocket.disconnect":
                    raise WebSocketDisconnect(message.get("code", 1006))
                coming = asyncio.ensure_future(self._socket.receive())
                if message.get("bytes") is not None:
                    await self._listen(message["bytes"], rate, coming)
                else:
                    await self._obey(message.get("text") or "")
        except Ended as ended:
            await self._close(ended)
        finally:
            for task in (stopping, coming):
                task.cancel()
            await asyncio.gather(stopping, coming, return_exceptions=True)

    async def _wait_for(self, coming: asyncio.Future[Any], stopping: asyncio.Future[Any]) -> None:
        """Wait for the next frame, but not for ever."""
        idle_at = self._heard_at + self._settings.stream_idle_seconds
        patience = min(idle_at, self._end) - self._now()
        await asyncio.wait(
            {coming, stopping}, timeout=max(0, patience), return_when=asyncio.FIRST_COMPLETED
        )
        if self._stopping.is_set():
            await self._send(await self._judges.listen(self._stream.end))
            raise Ended(GOING_AWAY, "stopping", "the service stops; come again soon")
        if self._now() >= self._end:
            await self._send(await self._judges.listen(self._stream.end))
            limit = self._settings.max_stream_seconds
            raise Ended(REFUSED, "too_long", f"a stream may last {limit:g} s; open another")
        if not coming.done():
            limit = self._settings.stream_idle_seconds
            raise Ended(REFUSED, "idle", f"no sound came for {limit:g} s")

    async def _listen(self, frame: bytes, rate: int, coming: asyncio.Future[Any]) -> None:
        """Listen to a frame, a second at a time, so that other streams get their turn."""
        if len(frame) > MAX_FRAME_BYTES:
            raise Ended(TOO_LARGE, "too_large", f"a frame may have {MAX_FRAME_BYTES} bytes")
        data = self._carry + frame
        whole = len(data) - len(data) % SAMPLE_BYTES
        self._carry = data[whole:]
        samples = np.frombuffer(data[:whole], "<i2").astype(np.float32) / FULL_SCALE
        for start in range(0, samples.size, rate):
            piece = samples[start : start + rate]
            await self._send(await self._judges.listen(self._stream.push, piece))
            self.audio_s += piece.size / rate
            self._metrics.streamed(piece.size / rate)
            if coming.done() and coming.result()["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(coming.result().get("code", 1006))
        if frame:
            self._heard_at = self._now()
        if self.audio_s > self._settings.max_stream_seconds:
            self._end = self._now()

    async def _obey(self, text: str) -> None:
        """Do what a text frame asks for."""
        try:
            message = json.loads(text)
        except (ValueError, RecursionError):
            message = None
        kind = message.get("type") if isinstance(message, dict) else None
        if kind == "reset":
            self._carry = b""
            await self._judges.listen(self._stream.reset)
        elif kind == "end":
            await self._send(await self._judges.listen(self._stream.end))
            await self.send({"type": "done"})
            raise Ended(NORMAL)
        else:
            raise Ended(
                REFUSED,
                "bad_request",
                'a text frame has to be {"type":"end"} or {"type":"reset"}; sound is binary',
            )

    async def _send(self, events: list[Event]) -> None:
        for event in events:
            await self.send(event.to_dict())

    async def send(self, message: dict[str, Any]) -> None:
        """Send a message, if the client takes it."""
        try:
            async with asyncio.timeout(self._settings.send_seconds):
                await self._socket.send_text(json.dumps(message, ensure_ascii=False))
        except TimeoutError as error:
            raise WebSocketDisconnect(1006) from error

    async def _close(self, ended: Ended) -> None:
        if ended.code:
            await self.send({"type": "error", "code": ended.code, "message": ended.message})
        async with asyncio.timeout(self._settings.send_seconds):
            await self._socket.close(ended.close_code)


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
        window_s: Annotated[float, WINDOW] = STREAM_WINDOW_S,
        hop_s: Annotated[float, HOP] = STREAM_HOP_S,
        adapt: bool = False,
        unsure_below: Annotated[float, UNSURE] = DEFAULT_UNSURE_BELOW,
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
