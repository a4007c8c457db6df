"""Emotions of everyone who speaks in a LiveKit room, as lines of JSON.

    pip install serein livekit
    export LIVEKIT_URL=wss://… LIVEKIT_TOKEN=…    # a token that may join the room and subscribe
    python examples/livekit_emotion.py

`lk token create --join --room ROOM --identity serein` of LiveKit's command line makes a token. In
an agent of your own, `async for event in emotions(AudioStream(track), recognizer)` is all it takes.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator

import numpy as np
from livekit import rtc

import serein
from serein.inference.stream import Event


async def emotions(
    frames: AsyncIterator[rtc.AudioFrame], recognizer: serein.Recognizer
) -> AsyncIterator[Event]:
    """Give the events of one participant's audio: every half second of speech, each utterance.

    Predicts in a thread, so that the room goes on meanwhile.
    """
    stream: serein.Stream | None = None
    async for frame in frames:
        if stream is None:
            stream = serein.Stream(recognizer, rate=frame.sample_rate)
        samples = np.frombuffer(frame.data, np.int16).reshape(-1, frame.num_channels)
        for event in await asyncio.to_thread(stream.push, samples):
            yield event
    if stream is not None:
        for event in await asyncio.to_thread(stream.end):
            yield event


async def follow(audio: rtc.AudioStream, name: str, recognizer: serein.Recognizer) -> None:
    """Print the events of a participant until their track ends."""
    async for event in emotions((heard.frame async for heard in audio), recognizer):
        print(json.dumps({"participant": name} | event.to_dict()), flush=True)


async def main() -> None:
    """Join the room, and follow every audio track in it until the room closes."""
    url, token = os.environ["LIVEKIT_URL"], os.environ["LIVEKIT_TOKEN"]
    recognizer, room, closed = serein.load(), rtc.Room(), asyncio.Event()
    heard: dict[str, rtc.AudioStream] = {}
    async with asyncio.TaskGroup() as tasks:

        @room.on("track_subscribed")
        def subscribed(track: rtc.Track, _: object, participant: rtc.RemoteParticipant) -> None:
            if track.kind == rtc.TrackKind.KIND_AUDIO:
                heard[track.sid] = rtc.AudioStream(track, sample_rate=16_000, num_channels=1)
                tasks.create_task(follow(heard[track.sid], participant.identity, recognizer))

        @room.on("track_unsubscribed")
        def unsubscribed(track: rtc.Track, *_: object) -> None:
            if track.sid in heard:
                tasks.create_task(heard.pop(track.sid).aclose())

        room.on("disconnected", lambda _: closed.set())
        await room.connect(url, token)
        await closed.wait()
        for audio in heard.values():
            await audio.aclose()


if __name__ == "__main__":
    asyncio.run(main())
