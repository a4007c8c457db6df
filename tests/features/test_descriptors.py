"""Spectral descriptors: librosa as oracle, sines and noise of known answer, silence, blocks."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import librosa
import numpy as np
import numpy.typing as npt
import pytest

from serein.audio.frames import BLOCK_FRAMES
from serein.audio.read import RATE_HZ, read_audio
from serein.errors import AudioError
from serein.features.descriptors import COLUMNS, describe
from serein.features.spectral import mel_spectrogram, power_spectrogram

Array = npt.NDArray[np.float32]
GRID = {"n_fft": 400, "hop_length": 160}
FRAMES = {"frame_length": 400, "hop_length": 160}


def sine(hz: float, seconds: float = 1.0) -> Array:
    time = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return (0.5 * np.sin(2 * np.pi * hz * time)).astype(np.float32)


def noise(samples: int, seed: int = 0) -> Array:
    return 0.1 * np.random.default_rng(seed).standard_normal(samples).astype(np.float32)


def one(name: str, signal: Array) -> Array:
    return describe(signal, [name])[name]


def voice_like() -> Array:
    """Noise, tones and a glide, never silent, longer than two blocks."""
    time = np.arange(7 * RATE_HZ + 77) / RATE_HZ
    loudness = 0.05 + 0.5 * np.square(np.sin(2 * np.pi * 1.5 * time))
    glide = np.sin(2 * np.pi * (150 * time + 100 * np.square(time)))
    return (loudness * glide + noise(time.size) * loudness).astype(np.float32)


THEIRS: dict[str, Callable[[Array], Array]] = {
    "spectral_centroid": lambda y: librosa.feature.spectral_centroid(y=y, sr=RATE_HZ, **GRID),
    "spectral_bandwidth": lambda y: librosa.feature.spectral_bandwidth(y=y, sr=RATE_HZ, **GRID),
    "spectral_flatness": lambda y: librosa.feature.spectral_flatness(y=y, **GRID),
    "spectral_contrast": lambda y: librosa.feature.spectral_contrast(y=y, sr=RATE_HZ, **GRID),
    "chroma": lambda y: librosa.feature.chroma_stft(y=y, sr=RATE_HZ, tuning=0, **GRID),
    "zero_crossing_rate": lambda y: librosa.feature.zero_crossing_rate(y, **FRAMES),
    "rms_energy": lambda y: librosa.feature.rms(y=y, **FRAMES),
}


@pytest.mark.parametrize("name", THEIRS)
def test_equal_librosas(name: str):
    signal = voice_like()
    expected = THEIRS[name](signal).T
    assert expected.std() > 0
    np.testing.assert_allclose(
        describe(signal, [name])[name], expected, rtol=2e-4, atol=1e-4 * expected.max()
    )


def test_rolloff_equals_librosas():
    """A sum that lies on the threshold may fall to either bin."""
    signal = voice_like()
    theirs = librosa.feature.spectral_rolloff(y=signal, sr=RATE_HZ, **GRID).T
    apart = np.abs(one("spectral_rolloff", signal) - theirs)
    assert apart.max() <= 40
    assert (apart > 0).mean() < 0.01


@pytest.mark.parametrize("bands", [26, 40, 80])
def test_mel_equals_librosas(bands: int):
    signal = voice_like()
    theirs = librosa.feature.melspectrogram(
        y=signal, sr=RATE_HZ, n_mels=bands, pad_mode="constant", **GRID
    )
    ours = mel_spectrogram(signal, bands=bands)
    np.testing.assert_allclose(ours, theirs.T, rtol=1e-4, atol=1e-9)


def test_power_equals_librosas():
    signal = voice_like()
    theirs = np.square(np.abs(librosa.stft(signal, pad_mode="constant", **GRID))).T
    np.testing.assert_allclose(power_spectrogram(signal), theirs, rtol=1e-3, atol=1e-6)


def test_a_real_voice_equals_librosas(corpus_dir: Callable[[str], Path]):
    signal = read_audio(sorted(corpus_dir("emodb").rglob("*.flac"))[0])
    ours = describe(signal, THEIRS)
    for name, theirs in THEIRS.items():
        expected = theirs(signal).T
        np.testing.assert_allclose(
            ours[name], expected, rtol=5e-3, atol=1e-3 * expected.max(), err_msg=name
        )


@pytest.mark.parametrize("hz", [400, 1000, 2520, 6000])
def test_a_sine_is_where_it_sounds(hz: int):
    found = describe(
        sine(hz), ["spectral_centroid", "spectral_rolloff", "spectral_bandwidth", "spectral_flux"]
    )
    inner = {name: series[5:-5] for name, series in found.items()}
    np.testing.assert_allclose(inner["spectral_centroid"], hz, atol=2)
    np.testing.assert_allclose(inner["spectral_rolloff"], hz, atol=40)
    assert inner["spectral_bandwidth"].max() < 100
    assert inner["spectral_flux"].max() < 1e-3


@pytest.mark.parametrize(("hz", "column"), [(1760, "chroma_10"), (2093, "chroma_1")])
def test_a_note_has_its_class(hz: int, column: str):
    found = describe(sine(hz), ["chroma"])["chroma"][5:-5]
    assert (found.argmax(axis=1) == COLUMNS["chroma"].index(column)).all()
    assert found.max() == 1.0


def test_noise_is_flat_and_a_tone_is_not():
    tone, hiss = sine(1000), noise(RATE_HZ)
    names = ["spectral_flatness", "spectral_entropy"]
    of_tone, of_hiss = describe(tone, names), describe(hiss, names)
    for name, tonal, noisy in [(names[0], 1e-3, 0.4), (names[1], 0.25, 0.85)]:
        assert of_tone[name][5:-5].max() < tonal, name
        assert of_hiss[name][5:-5].min() > noisy, name


def test_the_entropy_of_a_click_is_full():
    """A click in the middle of a frame has the same power in every bin."""
    signal = np.zeros(RATE_HZ, np.float32)
    signal[8000] = 1.0
    assert one("spectral_entropy", signal)[50, 0] == pytest.approx(1.0, abs=1e-5)


def test_entropy_equals_its_definition():
    signal = voice_like()
    power = power_spectrogram(signal).astype(np.float64)
    share = power / power.sum(axis=1, keepdims=True)
    expected = -(share * np.log(share)).sum(axis=1) / np.log(201)
    np.testing.assert_allclose(one("spectral_entropy", signal)[:, 0], expected, atol=1e-5)


def test_flux_equals_its_definition_across_blocks():
    signal = voice_like()
    magnitude = np.sqrt(power_spectrogram(signal).astype(np.float64))
    assert len(magnitude) > 2 * BLOCK_FRAMES
    unit = magnitude / np.linalg.norm(magnitude, axis=1, keepdims=True)
    expected = np.append(0.0, np.linalg.norm(np.diff(unit, axis=0), axis=1))
    np.testing.assert_allclose(one("spectral_flux", signal)[:, 0], expected, atol=1e-5)


def test_flux_hears_a_change_of_tone():
    changed = np.append(sine(500), sine(3000))
    flux = one("spectral_flux", changed)[5:-5, 0]
    assert abs(int(flux.argmax()) + 5 - 100) <= 1
    assert flux.max() > 0.5


def test_zero_crossings_of_a_sine():
    """Twice a period; a frame of 400 samples at 1010 Hz has 50 or 51."""
    rate = one("zero_crossing_rate", sine(1010))[3:-3]
    np.testing.assert_allclose(rate * 400, 50.5, atol=0.5001)


def test_zeros_count_as_positive():
    """As in librosa; so do steps too small to hear. And the ends are no crossings."""
    signal = np.tile(np.array([-0.1, 0.0, 0.1, 0.0, 1e-12, -1e-12], np.float32), 500)
    theirs = librosa.feature.zero_crossing_rate(signal, **FRAMES).T
    assert 0.2 < theirs.mean() < 0.5
    np.testing.assert_allclose(one("zero_crossing_rate", signal), theirs, atol=1e-6)


def test_loudness_changes_energy_only():
    """Those that tell of the shape stay when the signal is four times as loud."""
    signal = noise(2 * RATE_HZ)
    soft, loud = describe(signal, COLUMNS), describe(4 * signal, COLUMNS)
    np.testing.assert_allclose(loud.pop("rms_energy"), 4 * soft["rms_energy"], rtol=1e-6)
    for name, series in loud.items():
        np.testing.assert_allclose(series, soft[name], rtol=1e-4, atol=1e-4, err_msg=name)


@pytest.mark.parametrize("block", [1, 7, 300, 100_000])
def test_blocks_do_not_show(block: int, monkeypatch: pytest.MonkeyPatch):
    signal = voice_like()
    expected = describe(signal, COLUMNS)
    monkeypatch.setattr("serein.features.descriptors.BLOCK_FRAMES", block)
    for name, series in describe(signal, COLUMNS).items():
        np.testing.assert_allclose(series, expected[name], rtol=1e-4, atol=1e-4, err_msg=name)


@pytest.mark.parametrize("samples", [1600, 1601, 1759, 1760, 48_000, 48_159])
def test_shapes_and_columns(samples: int):
    found = describe(noise(samples), COLUMNS)
    assert list(found) == list(COLUMNS)
    for name, series in found.items():
        assert series.shape == (1 + samples // 160, len(COLUMNS[name])), name
        assert series.dtype == np.float32
        np.testing.assert_array_equal(one(name, noise(samples)), series)
    every = [column for columns in COLUMNS.values() for column in columns]
    assert len(set(every)) == len(every)


def test_silence_gives_0():
    for name, series in describe(np.zeros(RATE_HZ, np.float32), COLUMNS).items():
        assert not series.any(), name


def test_silence_within_sound_gives_0():
    signal = noise(RATE_HZ)
    signal[4000:12_000] = 0.0
    for name, series in describe(signal, COLUMNS).items():
        assert not series[30:70].any(), name
        assert series[10].any(), name


@pytest.mark.parametrize(
    "signal",
    [
        np.ones(RATE_HZ, np.float32),
        -np.ones(RATE_HZ, np.float32),
        np.full(RATE_HZ, 1e-38, np.float32),
        np.sign(sine(440)) * np.float32(1.0),
        np.eye(1, RATE_HZ, 8000, dtype=np.float32)[0],
        32_768 * sine(440),
    ],
    ids=["constant", "negative", "denormal", "clipped", "click", "integer scale"],
)
def test_odd_signals_are_finite(signal: Array):
    for name, series in describe(signal, COLUMNS).items():
        assert np.isfinite(series).all(), name
        assert (series >= 0).all(), name


@pytest.mark.parametrize(
    "analyse", [power_spectrogram, mel_spectrogram, lambda signal: one("chroma", signal)]
)
@pytest.mark.parametrize(
    ("signal", "complaint"),
    [
        (np.zeros(1, np.float32), "1 sample"),
        (np.zeros(0, np.float32), "0 samples"),
        (np.full(RATE_HZ, np.nan, np.float32), "NaN"),
        (np.zeros((2, RATE_HZ), np.float32), "1-D array"),
    ],
)
def test_bad_signals(analyse: Callable[[Array], Array], signal: Array, complaint: str):
    with pytest.raises(AudioError, match=complaint):
        analyse(signal)


def test_an_unknown_name():
    with pytest.raises(ValueError, match="unknown descriptor 'croma'; known: chroma, "):
        describe(noise(RATE_HZ), ["rms_energy", "croma"])


@pytest.mark.parametrize("bands", [-1, 0, 202])
def test_bands_out_of_range(bands: int):
    with pytest.raises(ValueError, match=f"bands is {bands}; allowed: 1 to 201"):
        mel_spectrogram(noise(RATE_HZ), bands=bands)


def test_numpy_is_enough():
    """The core install has neither scipy nor librosa."""
    program = (
        "import sys, json, serein.features.descriptors, serein.features.cepstral;"
        "print(json.dumps([m for m in ('scipy', 'librosa', 'sklearn') if m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert json.loads(done.stdout) == []
