"""Every condition changes a recording by its seed alone, and can be told and chosen by name."""

from __future__ import annotations

import json

import numpy as np
import pytest

from serein.audio.augment import babble
from serein.audio.conditions import CONDITIONS, choose_conditions
from serein.audio.read import RATE_HZ
from serein.errors import SettingError

conditions = pytest.mark.parametrize("name", CONDITIONS)
MIDDLE = slice(RATE_HZ // 4, -RATE_HZ // 4)


def sine(hz: float, seconds: float = 1.0, peak: float = 0.3) -> np.ndarray:
    time = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return (peak * np.sin(2 * np.pi * hz * time)).astype(np.float32)


def rough(seconds: float = 1.0, seed: int = 5) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal(round(seconds * RATE_HZ))
    return (0.05 * noise).astype(np.float32)


def voice(seconds: float = 1.5, seed: int = 3) -> np.ndarray:
    """Bursts of harmonics: something that a speech codec was made for."""
    time = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    pitch = 130 * (1 + 0.1 * np.sin(2 * np.pi * 1.3 * time + seed))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE_HZ
    tones = sum(np.cos(k * phase) / (1 + (k - 5) ** 2 / 9) for k in range(1, 25))
    breath = 0.1 * np.random.default_rng(seed).standard_normal(time.size)
    return (0.05 * (tones + breath) * np.clip(np.sin(19 * time), 0, 1)).astype(np.float32)


def level_db(changed: np.ndarray, signal: np.ndarray) -> float:
    """Level of the changed sound over that of the signal, ends left out."""
    powers = [np.square(part[MIDDLE], dtype=np.float64).mean() for part in (changed, signal)]
    return float(10 * np.log10((powers[0] + 1e-20) / powers[1]))


@conditions
def test_a_condition_draws_from_its_seed_alone(name: str) -> None:
    signal, others = voice(), [voice(1.0, seed) for seed in range(4)]
    before, state = signal.copy(), np.random.get_state()[1].copy()
    heard = [
        CONDITIONS[name].apply(signal, np.random.default_rng(seed), others) for seed in (1, 1, 2)
    ]
    assert heard[0].tobytes() == heard[1].tobytes()
    assert heard[0].dtype == np.float32
    assert np.isfinite(heard[0]).all()
    assert heard[0].shape != signal.shape or np.abs(heard[0] - signal).max() > 1e-4
    np.testing.assert_array_equal(signal, before)
    np.testing.assert_array_equal(np.random.get_state()[1], state)


@conditions
@pytest.mark.parametrize("signal", [np.zeros(1600, np.float32), rough()[:1600]])
def test_conditions_bear_silence_and_the_shortest_signal(name: str, signal: np.ndarray) -> None:
    heard = CONDITIONS[name].apply(signal, np.random.default_rng(0), [rough(), 0 * rough()])
    assert np.isfinite(heard).all()
    assert heard.size >= 1600


@conditions
def test_what_is_done_is_told_in_plain_values(name: str) -> None:
    told = CONDITIONS[name].to_dict()
    assert json.loads(json.dumps(told)) == told
    assert told["test"] in {
        "background noise",
        "low quality phone",
        "simulated recording condition",
        "small changes",
        "spectral tilt",
    }


def test_what_is_not_fixed_is_drawn_anew_for_each_recording() -> None:
    signal, tones = sine(220), set()
    for seed in range(5):
        heard = CONDITIONS["additive tone"].apply(signal, np.random.default_rng(seed))
        tones.add(int(np.abs(np.fft.rfft(heard - signal)).argmax()))
    assert len(tones) == 5
    assert min(tones) >= 5000
    assert max(tones) <= 7000


def test_babble_is_as_far_under_the_signal_as_it_says() -> None:
    signal, others = voice(), [(10.0**-seed * voice(1.0, seed)).astype("f4") for seed in range(5)]
    for snr_db in (20, 0):
        heard = CONDITIONS[f"babble {snr_db} dB"].apply(signal, np.random.default_rng(0), others)
        assert level_db(heard - signal, signal) == pytest.approx(-snr_db, abs=1.5)


def test_no_voice_in_a_babble_is_louder_than_another() -> None:
    tones = [sine(hz, peak=peak) for hz, peak in ((300, 0.9), (500, 0.001), (700, 0.1))]
    powers = np.abs(np.fft.rfft(babble(tones, np.random.default_rng(0), 3)))[[300, 500, 700]]
    assert powers.max() < 1.05 * powers.min()


def test_babble_without_others_is_refused() -> None:
    with pytest.raises(SettingError, match="mixed from other recordings, and there are none"):
        CONDITIONS["babble 5 dB"].apply(voice(), np.random.default_rng(0))


def test_conditions_are_chosen_by_name_beginning_or_test() -> None:
    assert len(CONDITIONS) >= 24
    assert list(choose_conditions(["telephone", "opus"])) == [
        "telephone",
        "Opus 8 kbit/s",
        "Opus 16 kbit/s",
    ]
    assert list(choose_conditions(["babble 0 dB "])) == ["babble 0 dB"]
    assert "gain -20 dB" in choose_conditions(["small changes"])
    with pytest.raises(ValueError, match="unknown condition 'telefone'; known: telephone"):
        choose_conditions(["telefone"])
    with pytest.raises(ValueError, match="unknown condition ''"):
        choose_conditions([""])
