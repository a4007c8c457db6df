"""Emotions of the user's voice in a Pipecat pipeline, as frames of their own.

    pip install serein 'pipecat-ai>=1.3'
    python examples/pipecat_emotion.py samples/espeak-german.flac    # a file in place of a user

In your own, one for each user: Pipeline([transport.input(), EmotionProcessor(serein.load()), …])

It passes every frame on; each half second of speech and each utterance add an `EmotionFrame`.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from pipecat.frames.frames import DataFrame, EndFrame, Frame, InputAudioRawFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.workers.runner import WorkerRunner

import serein
from serein.inference.stream import Event


@dataclass
class EmotionFrame(DataFrame):
    """What the voice sounds like; `kind` is `emotion` (so far) or `utterance` (all of it)."""

    kind: str
    emotion: str | None  # None: no speech in it
    confidence: float | None
    start: float  # in seconds of the user's audio
    end: float


class EmotionProcessor(FrameProcessor):
    """Adds an `EmotionFrame` for each event of a stream that has an emotion."""

    def __init__(self, recognizer: serein.Recognizer) -> None:
        super().__init__()
        self._recognizer = recognizer
        self._stream: serein.Stream | None = None
        self._alone = asyncio.Lock()  # audio and EndFrame come from two tasks

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Pass the frame on; of audio from the user, say the emotion."""
        await super().process_frame(frame, direction)
        if isinstance(frame, EndFrame) and self._stream is not None:
            await self._push_events(self._stream.end)
        await self.push_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame):
            if self._stream is None:
                self._stream = serein.Stream(self._recognizer, rate=frame.sample_rate)
            samples = np.frombuffer(frame.audio, "<i2").reshape(-1, frame.num_channels)
            await self._push_events(self._stream.push, samples)

    async def _push_events(self, predict: Callable[..., list[Event]], *sound: np.ndarray) -> None:
        """Predict in a thread, so that the pipeline goes on meanwhile."""
        async with self._alone:
            for event in await asyncio.to_thread(predict, *sound):
                if event.kind != "voice":
                    values = (event.emotion, event.confidence, event.start, event.end)
                    await self.push_frame(EmotionFrame(event.kind, *values))


async def main(recording: str) -> None:
    """Send a recording through a pipeline, as a transport would send the user's voice."""
    worker = PipelineWorker(Pipeline([EmotionProcessor(serein.load())]))
    worker.set_reached_downstream_filter((EmotionFrame,))

    @worker.event_handler("on_frame_reached_downstream")
    async def show(_: PipelineWorker, frame: EmotionFrame) -> None:
        print(frame.kind, frame.emotion, frame.confidence, frame.start, frame.end)

    samples = (serein.read_audio(recording) * 32767).astype("<i2")
    for sound in np.split(samples, range(320, samples.size, 320)):  # 20 ms each
        await worker.queue_frame(InputAudioRawFrame(sound.tobytes(), 16_000, 1))
    await worker.queue_frame(EndFrame())
    runner = WorkerRunner()
    await runner.add_workers(worker)
    await runner.run()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
