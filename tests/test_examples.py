"""The examples for voice agents work with the real packages: `make agents` installs those."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import serein
from serein.inference.stream import Event

pytestmark = pytest.mark.filterwarnings("default")  # those of other people's packages
ROOT = Path(__file__).parents[1]
RECORDING = ROOT / "samples/espeak-german.flac"


@pytest.fixture(scope="module")
def recognizer() -> serein.Recognizer:
    return serein.load()


@pytest.fixture(scope="module")
def samples() -> np.ndarray:
    return (serein.read_audio(RECORDING) * 32767).astype("<i2")


@pytest.fixture(scope="module")
def pipecat() -> ModuleType:
    return example("pipecat_emotion", "pipecat")


@pytest.fixture(scope="module")
def livekit() -> ModuleType:
    return example("livekit_emotion", "livekit.rtc")


def example(name: str, package: str) -> ModuleType:
    pytest.importorskip(package, reason=f"{package} is not installed: make agents")
    spec = importlib.util.spec_from_file_location(name, ROOT / f"examples/{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where dataclasses look
    spec.loader.exec_module(module)
    return module


def cut(samples: np.ndarray, length: int) -> Iterator[np.ndarray]:
    return (samples[start : start + length] for start in range(0, len(samples), length))


def streamed(recognizer: serein.Recognizer, samples: np.ndarray, rate: int) -> list[Event]:
    stream = serein.Stream(recognizer, rate=rate)
    return stream.push(samples) + stream.end()


# --- Pipecat ---


def through_pipeline(processor: Any, sent: list) -> list:
    """Send frames through a real pipeline; return what came out at its end."""
    from pipecat.tests.utils import run_test

    async def run() -> list:
        down, up = await run_test(processor, frames_to_send=sent, start_timeout=60)
        assert list(up) == []
        return list(down)

    return asyncio.run(run())


@pytest.mark.parametrize(("rate", "channels"), [(16_000, 1), (48_000, 2)])
def test_pipecat(
    pipecat: ModuleType,
    recognizer: serein.Recognizer,
    samples: np.ndarray,
    rate: int,
    channels: int,
) -> None:
    from pipecat.frames.frames import InputAudioRawFrame, TextFrame

    sound = np.repeat(np.repeat(samples, rate // 16_000)[:, None], channels, axis=1)
    text = TextFrame("passed on")
    chunks = [chunk.tobytes() for chunk in cut(sound, rate // 50)]
    audio = [InputAudioRawFrame(chunk, rate, channels) for chunk in chunks]
    down = through_pipeline(pipecat.EmotionProcessor(recognizer), [text, *audio])
    found = [frame for frame in down if isinstance(frame, pipecat.EmotionFrame)]
    wanted = [event for event in streamed(recognizer, sound, rate) if event.kind != "voice"]
    assert [(f.kind, f.emotion, f.confidence, f.start, f.end) for f in found] == [
        (e.kind, e.emotion, e.confidence, e.start, e.end) for e in wanted
    ]
    assert [frame.kind for frame in found][-2:] == ["emotion", "utterance"]
    assert [frame for frame in down if isinstance(frame, InputAudioRawFrame)] == audio
    assert text in down


def test_pipecat_without_speech(pipecat: ModuleType, recognizer: serein.Recognizer) -> None:
    from pipecat.frames.frames import InputAudioRawFrame, TextFrame

    for frame in (TextFrame("passed on"), InputAudioRawFrame(bytes(32_000), 16_000, 1)):
        assert through_pipeline(pipecat.EmotionProcessor(recognizer), [frame]) == [frame]


def test_pipecat_main(pipecat: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(pipecat.main(str(RECORDING)))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines][-2:] == ["emotion", "utterance"]


# --- LiveKit ---


def frame_of(samples: np.ndarray) -> Any:
    from livekit import rtc

    return rtc.AudioFrame(samples.tobytes(), 16_000, samples.shape[1], len(samples))


async def events(livekit: ModuleType, recognizer: serein.Recognizer, frames: list) -> list[Event]:
    async def each() -> AsyncIterator[Any]:
        for frame in frames:
            yield frame

    return [event async for event in livekit.emotions(each(), recognizer)]


@pytest.mark.parametrize("channels", [1, 2])
def test_livekit(
    livekit: ModuleType, recognizer: serein.Recognizer, samples: np.ndarray, channels: int
) -> None:
    sound = np.repeat(samples[:, None], channels, axis=1)
    frames = [frame_of(chunk) for chunk in cut(sound, 160)]
    found = asyncio.run(events(livekit, recognizer, frames))
    assert found == streamed(recognizer, sound, 16_000)
    assert [event.kind for event in found][-2:] == ["emotion", "utterance"]


def test_livekit_without_audio(livekit: ModuleType, recognizer: serein.Recognizer) -> None:
    assert asyncio.run(events(livekit, recognizer, [])) == []


def test_livekit_main(
    livekit: ModuleType,
    samples: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Only the server is missing: a real track of this process comes and goes."""
    from livekit import rtc

    class Room(rtc.Room):
        async def connect(self, url: str, token: str) -> None:
            assert (url, token) == ("ws://here", "secret")
            source = rtc.AudioSource(16_000, 1)
            track = rtc.LocalAudioTrack.create_audio_track("microphone", source)
            participant = type("Participant", (), {"identity": "ann"})
            self.emit("track_subscribed", track, None, participant)
            for chunk in cut(samples[: 2 * 16_000, None], 160):
                await source.capture_frame(frame_of(chunk))
            await source.wait_for_playout()
            self.emit("track_unsubscribed", track, None, participant)
            self.emit("disconnected", 0)

    monkeypatch.setattr(rtc, "Room", Room)
    monkeypatch.setenv("LIVEKIT_URL", "ws://here")
    monkeypatch.setenv("LIVEKIT_TOKEN", "secret")
    asyncio.run(asyncio.wait_for(livekit.main(), 60))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {line["participant"] for line in lines} == {"ann"}
    assert {line["type"] for line in lines} == {"voice", "emotion", "utterance"}
    assert lines[-1]["type"] == "utterance"
