"""Channels: averaged, one, or each; whether they differ, and what is done where they cancel."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from made_videos import chirp, clip, greys
from serein.audio.channels import Sound, check_channels
from serein.audio.read import read_audio, read_sound
from serein.errors import AudioError, SettingError

RATE_HZ = 16_000


def noise(seed: int, seconds: float = 1.5) -> np.ndarray:
    samples = np.random.default_rng(seed).standard_normal(round(seconds * RATE_HZ))
    return (0.1 * samples).astype(np.float32)


def file_of(channels: list[np.ndarray], rate: int = RATE_HZ, kind: str = "WAV") -> bytes:
    file = io.BytesIO()
    subtype = "FLOAT" if kind == "WAV" else None
    soundfile.write(file, np.stack(channels, axis=1), rate, format=kind, subtype=subtype)
    return file.getvalue()


ONE, TWO = noise(1), noise(2)


@pytest.mark.parametrize(
    ("channels", "expected"),
    [("left", ONE), ("right", TWO), (1, ONE), ("2", TWO), ("mix", (ONE + TWO) / 2)],
)
def test_one_channel_or_the_average(channels: str | int, expected: np.ndarray) -> None:
    for source, rate in ((file_of([ONE, TWO]), None), (np.stack([ONE, TWO], axis=1), RATE_HZ)):
        sound = read_sound(source, rate=rate, channels=channels)
        assert np.allclose(sound.signals[0], expected, atol=1e-6)
        assert sound.count == 2


def test_each_of_eight_is_what_one_alone_is_also_resampled() -> None:
    data = file_of([noise(seed) for seed in range(8)], rate=22_050)
    sound = read_sound(data, channels="each")
    assert sound.numbers == tuple(range(1, 9))
    for number, signal in zip(sound.numbers, sound.signals, strict=True):
        assert np.array_equal(signal, read_sound(data, channels=number).signals[0])


def test_a_mono_file_is_one_channel() -> None:
    data = file_of([ONE])
    assert read_sound(data, channels="each").numbers == (1,)
    assert read_sound(data).notice is None
    with pytest.raises(AudioError, match=r"has 1 channel: there is no channel 2"):
        read_sound(data, channels="right")


@pytest.mark.parametrize(
    ("channels", "notice"),
    [
        ([ONE, TWO], "the 2 channels differ, and are averaged"),
        ([ONE, ONE], None),  # one sound twice
        ([ONE, 0.3 * ONE], None),  # and at two levels
        ([ONE + 0.5, ONE - 0.2], None),  # and two offsets
        ([ONE, 0 * ONE], None),
        ([0 * ONE, 0 * ONE], None),
        ([ONE, ONE + 0.01 * TWO], None),
        ([ONE, 0 * ONE, TWO], "the 3 channels differ"),
    ],
)
def test_a_notice_where_channels_differ(channels: list[np.ndarray], notice: str | None) -> None:
    found = read_sound(file_of(channels)).notice
    assert found is None if notice is None else found.startswith(notice)
    assert "channels each" in found if notice else True
    assert read_sound(file_of(channels), channels="each").notice is None


@pytest.mark.parametrize("level", [-1.0, -0.9, -1.1])
def test_an_average_that_cancels_is_the_loudest_channel(level: float) -> None:
    data = file_of([ONE, level * ONE])
    sound = read_sound(data)
    loudest = 2 if level < -1 else 1
    assert np.allclose(sound.signals[0], level * ONE if loudest == 2 else ONE, atol=1e-6)
    assert sound.numbers == (loudest,)
    assert f"channel {loudest}, the loudest, is taken" in str(sound.notice)
    assert np.array_equal(read_audio(data), sound.signals[0])


def test_a_file_object_is_put_back_after_it_was_read_twice() -> None:
    file = io.BytesIO(b"before" + file_of([ONE, -ONE], kind="FLAC"))
    file.seek(6)
    assert np.abs(read_audio(file)).max() > 0.1
    assert file.tell() == 6


def test_channels_of_a_video() -> None:
    both = np.stack([chirp(), 0 * chirp()], axis=1)
    left, right = read_sound(clip(greys(50), both, delay_s=0.0), channels="each").signals
    assert np.abs(left).max() > 10 * np.abs(right).max()


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 8), st.floats(0.1, 10.0))
def test_one_sound_at_many_levels_neither_differs_nor_is_lost(count: int, ratio: float) -> None:
    levels = np.geomspace(1, ratio, count) / max(1, ratio)
    sound = read_sound(np.outer(ONE, levels).astype(np.float32), rate=RATE_HZ)
    assert not sound.differ
    assert np.allclose(sound.signals[0], ONE * levels.mean(), atol=1e-5)


@pytest.mark.parametrize("channels", ["", "middle", 0, -1, "0", "+1", "², 1", True, 1.5, "1.5"])
def test_no_channels(channels: object) -> None:
    with pytest.raises(SettingError, match="allowed: mix, each, left, right, or a number from 1"):
        check_channels(channels)


def test_a_number_far_too_large_is_a_channel_that_is_not_there() -> None:
    with pytest.raises(AudioError, match="there is no channel"):
        read_sound(file_of([ONE, TWO]), channels="9" * 400)


def test_what_a_sound_is_without_more() -> None:
    assert Sound((ONE,), (0,)).notice is None
