"""A file as it would come from a microphone."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from serein.audio.microphone import Playback
from serein.audio.read import read_audio
from serein.errors import AudioError

SAMPLES = Path(__file__).parents[2] / "samples"
VOICE = SAMPLES / "espeak-english-fast-high.flac"


@pytest.fixture
def half_second(tmp_path: Path) -> Path:
    soundfile.write(tmp_path / "half.wav", np.zeros(8000, np.float32), 16_000)
    return tmp_path / "half.wav"


@pytest.mark.parametrize("chunk_s", [0.01, 0.1, 0.37, 1.0])
def test_the_chunks_are_the_recording(chunk_s: float) -> None:
    source = Playback(VOICE, chunk_s=chunk_s)
    chunks = list(source)
    assert np.array_equal(np.concatenate(chunks), read_audio(VOICE))
    assert {chunk.size for chunk in chunks[:-1]} == {round(chunk_s * source.rate)}
    assert chunks[0].dtype == np.float32
    assert (source.losses, source.lost_s, source.behind_s) == (0, 0.0, 0.0)


def test_realtime_keeps_to_the_clock_however_long_the_taker_takes(half_second: Path) -> None:
    began_s, heard = time.monotonic(), 0
    for chunk in Playback(half_second, chunk_s=0.02, realtime=True):
        heard += chunk.size
        assert time.monotonic() - began_s >= heard / 16_000
        time.sleep(0.01)
    assert time.monotonic() - began_s == pytest.approx(0.51, abs=0.15)


def test_realtime_says_by_how_much_it_is_behind(half_second: Path) -> None:
    source = Playback(half_second, chunk_s=0.1, realtime=True)
    chunks = iter(source)
    next(chunks)
    time.sleep(0.35)
    next(chunks)
    assert source.behind_s == pytest.approx(0.25, abs=0.1)


def test_stop_ends_it(half_second: Path) -> None:
    with Playback(half_second) as source:
        chunks = iter(source)
        next(chunks)
        source.stop()
        assert list(chunks) == []


def test_what_cannot_be_played(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="no such file"):
        Playback(tmp_path / "gone.wav")
    with pytest.raises(ValueError, match=r"chunk_s is 0; allowed: 0\.01 to 1 s"):
        Playback(VOICE, chunk_s=0)
