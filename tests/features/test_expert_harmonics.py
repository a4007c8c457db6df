"""Harmonics of known strength are found at that strength."""

from __future__ import annotations

import numpy as np
import pytest

from serein.audio.read import RATE_HZ
from serein.errors import AudioError
from serein.features.expert import HARMONICS, harmonics

TIME_S = np.arange(RATE_HZ) / RATE_HZ
FRAMES = 101


def voice(f0_hz: float, levels_db: list[float]) -> np.ndarray:
    parts = [
        10 ** (level / 20) * np.sin(2 * np.pi * k * f0_hz * TIME_S)
        for k, level in enumerate(levels_db, start=1)
    ]
    return (0.1 * sum(parts)).astype(np.float32)


def measured(signal: np.ndarray, f0_hz: float, formants_hz: list[float]) -> dict[str, float]:
    pitch = np.full(FRAMES, f0_hz, np.float32)
    tracks = np.tile(np.array(formants_hz, np.float32), (FRAMES, 1))
    return dict(zip(HARMONICS, harmonics(signal, pitch, tracks)[50].tolist(), strict=True))


@pytest.mark.parametrize("f0_hz", [90.0, 150.0, 310.0])
def test_levels_are_found(f0_hz: float) -> None:
    levels_db = [0.0, -6.0, -12.0, 3.0, -20.0, -9.0, -30.0, -15.0]
    found = measured(voice(f0_hz, levels_db), f0_hz, [3.1 * f0_hz, 4.0 * f0_hz, 7.9 * f0_hz])
    expected = {
        "h1_h2_db": 6.0,
        "h1_a3_db": 15.0,
        "f1_level_db": -12.0,
        "f2_level_db": 3.0,
        "f3_level_db": -15.0,
    }
    assert found == pytest.approx(expected, abs=0.5)


def test_gain_does_not_matter() -> None:
    signal = voice(150, [0, -6, -12, -18])
    loud, quiet = (measured(gain * signal, 150, [300, 450, 600]) for gain in (1.0, 0.01))
    assert loud == pytest.approx(quiet, abs=0.1)


def test_0_where_unvoiced_or_without_the_formant() -> None:
    signal = voice(150, [0, -6, -12])
    assert not harmonics(signal, np.zeros(FRAMES, np.float32), np.ones((FRAMES, 3))).any()
    found = measured(signal, 150, [300, 0, 0])
    assert found["f2_level_db"] == found["f3_level_db"] == found["h1_a3_db"] == 0
    assert found["f1_level_db"] == pytest.approx(-6, abs=0.5)


@pytest.mark.parametrize("f0_hz", [75.0, 600.0])
def test_formants_at_the_edges_and_silence_are_finite(f0_hz: float) -> None:
    for signal in (np.zeros(RATE_HZ, np.float32), voice(f0_hz, [0.0] * 13)):
        found = measured(signal, f0_hz, [50, 7999, 20_000])
        assert all(np.isfinite(value) for value in found.values())


def test_what_is_no_signal_is_refused() -> None:
    with pytest.raises(AudioError, match=r"need at least 0\.1 s"):
        harmonics(np.zeros(3, np.float32), np.ones(1, np.float32), np.ones((1, 3), np.float32))
