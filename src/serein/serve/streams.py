"""WS /v1/stream: the emotions of a live stream."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from functools import partial
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Depends, Query, WebSocket
from starlette.websockets import WebSocketDisconnect

from serein.audio.read import Signal
from serein.defaults import STREAM_HOP_S, STREAM_WINDOW_S
from serein.errors import SereinError
from serein.inference.stream import Event, Stream
from serein.serve.clients import client_of
from serein.serve.errors import RequestError, refuse_unknown
from serein.serve.observability import Metrics
from serein.serve.recognizers import STREAM_RETRY_S, RecognizerPool
from serein.serve.schemas import EMOTIONS, HOP, MODEL, UNSURE, WINDOW, Adapt
from serein.serve.settings import MAX_FRAME_BYTES, STOPPING_KEY, Settings

SAMPLE_BYTES = 2
FULL_SCALE = np.float32(2**15)
NORMAL, GOING_AWAY, POLICY, TOO_LARGE, TRY_LATER = 1000, 1001, 1008, 1009, 1013  # close codes
SUBPROTOCOL = "serein"
MAX_DELAY_S = 1.0  # no further stream is let in while streams wait longer than this


def stream_routes(settings: Settings, recognizers: RecognizerPool, metrics: Metrics) -> APIRouter:
    """Make the route of live streams."""
    router = APIRouter(dependencies=[Depends(refuse_unknown)])

    @router.websocket("/v1/stream")
    async def stream(
        socket: WebSocket,
        rate: Annotated[int, Query(ge=4000, le=192_000)] = 16_000,
        model: Annotated[str, MODEL] = "",
        window_s: Annotated[float, WINDOW] = STREAM_WINDOW_S,
        hop_s: Annotated[float, HOP] = STREAM_HOP_S,
        adapt: Adapt = "none",
        emotions: Annotated[str, EMOTIONS] = "",
        unsure_below: Annotated[float, UNSURE] = settings.unsure_below,
    ) -> None:
        """Predict emotions while sound comes in."""
        recognizer = recognizers.for_request(model, unsure_below, emotions)
        if recognizers.scheduler.delay_s > MAX_DELAY_S:
            raise RequestError("busy", "streams are delayed already; retry soon", STREAM_RETRY_S)
        if window_s / hop_s > settings.max_stream_overlap:
            raise RequestError(
                "invalid", f"hop_s may be window_s / {settings.max_stream_overlap:g} or more"
            )
        client = client_of(socket.scope)
        options: dict[str, Any] = {"rate": rate, "window_s": window_s, "hop_s": hop_s}
        to = None if adapt == "none" else adapt
        with recognizers.stream_slots.slot(client) as slot:
            try:
                voice = await recognizers.run_stream(
                    client, lambda: Stream(recognizer, **options, adapt=to)
                )
            except SereinError as error:
                raise RequestError("invalid", str(error)) from error
            offered = socket.scope.get("subprotocols", [])
            await socket.accept(SUBPROTOCOL if SUBPROTOCOL in offered else None)
            session = Session(socket, voice, window_s, recognizers, settings, metrics)
            ready = {"type": "ready", "model": recognizer.name, "labels": list(voice.labels)}
            try:
                async with slot.until_needed():
                    await session.send(ready | options)
                    await session.run(rate)
            except RequestError as error:
                with suppress(WebSocketDisconnect, TimeoutError):
                    await session.close(StreamEnd(TRY_LATER, error.code, error.message))
            except WebSocketDisconnect:
                pass
            finally:
                socket.state.notes["audio_s"] = round(session.audio_s, 3)

    return router


class StreamEnd(Exception):  # noqa: N818  # also a normal end
    """The service ends a stream."""

    def __init__(self, close_code: int, code: str = "", message: str = "") -> None:
        super().__init__(message)
        self.close_code, self.code, self.message = close_code, code, message


class Session:
    """Takes sound from a client, a frame at a time, and sends events.

    One frame is received while another is processed, and no more: a client that sends faster than
    frames are processed is slowed down by its connection.
    """

    def __init__(
        self,
        socket: WebSocket,
        stream: Stream,
        window_s: float,
        recognizers: RecognizerPool,
        settings: Settings,
        metrics: Metrics,
    ) -> None:
        self._socket, self._stream, self._run = (
            socket,
            stream,
            partial(recognizers.run_stream, client_of(socket.scope)),
        )
        self._hop_s, self._longest_hop_s = stream.hop_s, window_s
        self._recognizers = recognizers
        self._settings, self._metrics = settings, metrics
        self._stopping: asyncio.Event = getattr(socket.state, STOPPING_KEY)
        self._now = asyncio.get_running_loop().time
        self._end = self._now() + settings.max_stream_seconds
        self._idle_at = self._now() + settings.stream_idle_seconds
        self._rest = b""  # half a sample
        self.audio_s = 0.0

    async def run(self, rate: int) -> None:
        """Process frames until one side ends the stream."""
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
                    await self._process(message["bytes"], rate, coming)
                else:
                    await self._command(message.get("text") or "")
        except StreamEnd as end:
            await self.close(end)
        finally:
            for task in (stopping, coming):
                task.cancel()
            await asyncio.gather(stopping, coming, return_exceptions=True)

    async def _wait_for(self, coming: asyncio.Future[Any], stopping: asyncio.Future[Any]) -> None:
        """Wait for the next frame, within the limits of time."""
        idle_limit, limit = self._settings.stream_idle_seconds, self._settings.max_stream_seconds
        left_s = min(self._idle_at, self._end) - self._now()
        await asyncio.wait(
            {coming, stopping}, timeout=max(0, left_s), return_when=asyncio.FIRST_COMPLETED
        )
        if self._stopping.is_set():
            await self._flush()
            raise StreamEnd(GOING_AWAY, "stopping", "the service stops; retry soon")
        if self._now() >= self._end:
            await self._flush()
            raise StreamEnd(POLICY, "too_long", f"a stream may last {limit:g} s; open another")
        if self._now() >= self._idle_at:
            least_s = self._settings.stream_sound_per_minute
            reason = f"no sound came for {idle_limit:g} s, or less than {least_s:g} s in a minute"
            raise StreamEnd(POLICY, "idle", reason)

    async def _process(self, frame: bytes, rate: int, coming: asyncio.Future[Any]) -> None:
        """Process a frame, a second at a time, so that other streams can run in between."""
        if len(frame) > MAX_FRAME_BYTES:
            raise StreamEnd(TOO_LARGE, "too_large", f"a frame may have {MAX_FRAME_BYTES} bytes")
        began, audio_s = self._now(), self.audio_s
        data = self._rest + frame
        whole = len(data) - len(data) % SAMPLE_BYTES
        self._rest = data[whole:]
        samples = np.frombuffer(data[:whole], "<i2").astype(np.float32) / FULL_SCALE
        for start in range(0, samples.size, rate):
            piece = samples[start : start + rate]
            await self._send(await self._run(self._push, piece))
            self.audio_s += piece.size / rate
            self._metrics.streamed.inc(piece.size / rate)
            if coming.done() and coming.result()["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(coming.result().get("code", 1006))
        self._extend(self.audio_s - audio_s, self._now() - began)
        if self.audio_s > self._settings.max_stream_seconds:
            self._end = self._now()

    def _push(self, piece: Signal) -> list[Event]:
        """Process sound, with fewer predictions where streams wait for each other."""
        hop_s = self._hop_s * self._recognizers.hop_stretch
        self._stream.hop_s = min(hop_s, self._longest_hop_s)
        return self._stream.push(piece)

    def _extend(self, sound_s: float, worked_s: float) -> None:
        """Let the stream go on for longer by its sound; the time of the service's work is free."""
        minutes = sound_s / self._settings.stream_sound_per_minute
        latest = self._now() + self._settings.stream_idle_seconds
        self._idle_at = min(self._idle_at + worked_s + 60 * minutes, latest)

    async def _command(self, text: str) -> None:
        """Do what a text frame asks for."""
        try:
            message = json.loads(text)
        except (ValueError, RecursionError):
            message = None
        kind = message.get("type") if isinstance(message, dict) else None
        if kind == "reset":
            self._rest = b""
            await self._run(self._stream.reset)
        elif kind == "end":
            await self._flush()
            await self.send({"type": "done"})
            raise StreamEnd(NORMAL)
        else:
            raise StreamEnd(
                POLICY,
                "bad_request",
                'a text frame has to be {"type":"end"} or {"type":"reset"}; sound is binary',
            )

    async def _flush(self) -> None:
        """Send what is pending."""
        await self._send(await self._run(self._stream.end))

    async def _send(self, events: list[Event]) -> None:
        for event in events:
            await self.send(event.to_dict())

    async def send(self, message: dict[str, Any]) -> None:
        """Send a message; a client that does not read is disconnected."""
        try:
            async with asyncio.timeout(self._settings.send_seconds):
                await self._socket.send_text(json.dumps(message, ensure_ascii=False))
        except TimeoutError as error:
            raise WebSocketDisconnect(1006) from error

    async def close(self, end: StreamEnd) -> None:
        """Say why, and close."""
        if end.code:
            await self.send({"type": "error", "code": end.code, "message": end.message})
        async with asyncio.timeout(self._settings.send_seconds):
            await self._socket.close(end.close_code)
