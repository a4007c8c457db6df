"""Denoising: noise and tones of known answer, plain sample loops as oracle, edges, real speech."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter

from serein import read_audio
from serein.audio.denoise import (
    ADAPTIVE,
    METHODS,
    adaptive,
    denoise,
    spectral_subtraction,
    wiener,
)
from serein.audio.read import RATE_HZ
from serein.errors import AudioError, SettingError

Array = npt.NDArray[np.float32]
Method = Callable[..., Array]

each_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
each_adaptive = pytest.mark.parametrize("method", ADAPTIVE)


def white(samples: int = RATE_HZ, seed: int = 0) -> Array:
    return 0.1 * np.random.default_rng(seed).standard_normal(samples).astype(np.float32)


def bursts(samples: int = 2 * RATE_HZ) -> Array:
    """Half a second of two tones, half a second of nothing, and so on."""
    time = np.arange(samples) / RATE_HZ
    tones = 0.3 * np.sin(2 * np.pi * 440 * time) + 0.2 * np.sin(2 * np.pi * 1500 * time)
    return (tones * (time % 1 < 0.5)).astype(np.float32)


def snr_db(clean: Array, heard: Array) -> float:
    return float(10 * np.log10(np.mean(clean**2) / np.mean((heard - clean) ** 2)))


AWKWARD = {
    "silent": np.zeros(RATE_HZ, np.float32),
    "constant": np.full(RATE_HZ, 0.5, np.float32),
    "clipped": np.clip(20 * white(), -1, 1),
    "shortest": white(1600),
    "impulse": np.eye(1, RATE_HZ, 8000, dtype=np.float32)[0],
    "half silent": np.concatenate([np.zeros(RATE_HZ, np.float32), white()]),
    "tiny": np.float32(1e-25) * white(),
    "alternating, loudest": np.resize(np.array([8, -8], np.float32), RATE_HZ),
}
each_awkward = pytest.mark.parametrize("signal", AWKWARD.values(), ids=AWKWARD)


@each_method
def test_tones_rise_out_of_noise(method: Method):
    clean, noise = bursts(), white(2 * RATE_HZ)
    before = snr_db(clean, clean + noise)
    assert snr_db(clean, method(clean + noise)) > before + 10


@each_method
def test_noise_given_alone_helps_where_nothing_is_quiet(method: Method):
    """A tone without a break: without the noise's own recording, the tone is taken for noise."""
    tone = (0.3 * np.sin(2 * np.pi * 440 * np.arange(RATE_HZ) / RATE_HZ)).astype(np.float32)
    noisy = tone + white()
    assert snr_db(tone, method(noisy)) < 6
    assert snr_db(tone, method(noisy, noise=white(8000, seed=1))) > snr_db(tone, noisy) + 10


def textbook_wiener(signal: Array, noise: Array) -> npt.NDArray[np.float64]:
    """Scalart and Vieira Filho's filter, frame by frame in double precision."""
    hann = np.sin(np.pi * np.arange(512) / 512) ** 2

    def spectra(samples: Array) -> list[npt.NDArray[np.complex128]]:
        wide = np.pad(samples.astype(float), 512, mode="reflect")
        return [np.fft.rfft(hann * wide[k : k + 512]) for k in range(0, wide.size - 511, 128)]

    noise_power = np.mean([np.abs(row) ** 2 for row in spectra(noise)], axis=0)
    total, speech = np.zeros(signal.size + 1536), np.zeros(257)
    for k, row in enumerate(spectra(signal)):
        posterior = np.abs(row) ** 2 / noise_power
        prior = 0.98 * speech / noise_power + 0.02 * np.maximum(posterior - 1, 0)
        prior = np.maximum(prior, 10**-2.5)
        kept = prior / (1 + prior) * row
        speech = np.abs(kept) ** 2
        kept = np.where(prior / (1 + prior) < 0.1, 0.1 * row, kept)
        total[k * 128 : k * 128 + 512] += hann * np.fft.irfft(kept, 512) / 1.5
    return total[512 : 512 + signal.size]


def test_wiener_equals_the_textbooks_loop():
    noisy, noise = bursts() + white(2 * RATE_HZ), white(RATE_HZ, seed=1)
    expected = textbook_wiener(noisy, noise)
    np.testing.assert_allclose(wiener(noisy, noise=noise), expected, atol=1e-5)


@each_method
@pytest.mark.parametrize("reduction_db", [6.0, 12.0, 20.0])
def test_noise_alone_is_turned_down_nearly_as_far_as_allowed(method: Method, reduction_db: float):
    noise = white(4 * RATE_HZ)
    turned_db = 20 * np.log10(noise.std() / method(noise, reduction_db=reduction_db).std())
    assert 0.75 * reduction_db < turned_db <= reduction_db + 0.01


@each_method
@settings(deadline=None, max_examples=30)
@given(samples=st.integers(1600, 6000))
def test_no_reduction_gives_the_signal_back(method: Method, samples: int):
    signal = white(samples)
    same = method(signal, reduction_db=0)
    assert same.shape == (samples,)
    np.testing.assert_allclose(same, signal, atol=1e-6)


@each_method
def test_blocks_join_without_a_seam(method: Method):
    signal = white(RATE_HZ * 60)
    np.testing.assert_allclose(method(signal, reduction_db=0), signal, atol=1e-6)


@each_method
def test_loudness_does_not_matter(method: Method):
    noisy = bursts() + white(2 * RATE_HZ)
    louder = method(noisy) / 1024
    np.testing.assert_allclose(
        method(noisy / 1024), louder, atol=1e-3 * float(np.abs(louder).max())
    )


@each_method
def test_padding_with_digital_silence_is_not_taken_for_the_noise(method: Method):
    clean, noise = bursts(), white(2 * RATE_HZ)
    silence = np.zeros(2 * RATE_HZ, np.float32)
    cleaned = method(np.concatenate([silence, clean + noise]))[2 * RATE_HZ :]
    assert snr_db(clean, cleaned) > snr_db(clean, clean + noise) + 10


@each_method
@each_awkward
def test_awkward_signals_give_finite_values(method: Method, signal: Array):
    before = signal.copy()
    cleaned = method(signal)
    assert cleaned.shape == signal.shape
    assert cleaned.dtype == np.float32
    assert np.isfinite(cleaned).all()
    assert np.square(cleaned).sum() <= np.square(signal).sum() * (1 + 1e-5)
    np.testing.assert_array_equal(signal, before)


@each_method
def test_silence_stays_silence_whatever_the_noise(method: Method):
    silence = np.zeros(RATE_HZ, np.float32)
    assert not method(silence).any()
    assert not method(silence, noise=white()).any()
    np.testing.assert_allclose(method(bursts(), noise=silence), bursts(), atol=1e-5)


@each_method
def test_minutes_take_little_more_than_a_few_copies(method: Method):
    signal = white(150 * RATE_HZ)
    tracemalloc.start()
    method(signal)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    blocks = 6 * 4 * 3000 * 512  # a block's frames, spectra and gains
    assert peak < 3 * signal.nbytes + blocks


@each_method
def test_in_place(method: Method):
    signal, results, peaks = white(150 * RATE_HZ + 77), [], []
    for out in (None, signal):
        tracemalloc.start()
        results.append(method(signal, out=out))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert results[1] is signal
    np.testing.assert_array_equal(*results)
    assert peaks[1] < peaks[0] - 0.9 * signal.nbytes


@each_method
@pytest.mark.parametrize(
    "out",
    [np.empty(9, np.float32), np.empty(1600), "out.wav", np.frombuffer(bytes(6400), np.float32)],
    ids=["9", "float64", "name", "read-only"],
)
def test_bad_place_for_the_result(method: Method, out: object):
    with pytest.raises(SettingError, match="out must be an array of float32"):
        method(white(1600), out=out)


@each_method
def test_real_speech_gains(method: Method, corpus_dir: Callable[[str], Path]):
    clean = read_audio(corpus_dir("emodb") / "03a01Nc.flac")
    noisy = clean + white(clean.size) * np.float32(clean.std() / 0.1 / 10**0.25)
    assert snr_db(clean, noisy) == pytest.approx(5, abs=0.2)
    assert snr_db(clean, method(noisy)) > 9


def test_front_door_is_the_method_itself():
    noisy = bursts() + white(2 * RATE_HZ)
    np.testing.assert_array_equal(denoise(noisy), wiener(noisy))
    np.testing.assert_array_equal(
        denoise(noisy, method="spectral_subtraction", oversubtraction=2),
        spectral_subtraction(noisy, oversubtraction=2),
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "weiner"}, "unknown denoising method 'weiner'; known: wiener, spectral"),
        ({"smoothing": 1.0}, "smoothing is 1.0; allowed: 0 to less than 1"),
        ({"reduction_db": -1}, "reduction_db is -1; allowed: 0 or more"),
        ({"method": "spectral_subtraction", "oversubtraction": -1}, "oversubtraction is -1"),
        ({"noise": np.zeros(1, np.float32)}, "is 1 sample"),
    ],
)
def test_bad_options(options: dict[str, object], message: str):
    with pytest.raises(ValueError, match=message):
        denoise(white(), **options)


@each_method
@pytest.mark.parametrize("signal", [np.zeros(0, np.float32), np.full(16000, np.nan, np.float32)])
def test_bad_signals(method: Method, signal: Array):
    with pytest.raises(AudioError):
        method(signal)
    with pytest.raises(AudioError):
        adaptive(signal, signal)


def misalignment_db(learnt: Array, path: npt.NDArray[np.float64]) -> float:
    known = np.zeros(learnt.size)
    known[: path.size] = path
    return float(20 * np.log10(np.linalg.norm(learnt - known) / np.linalg.norm(known)))


@each_adaptive
@pytest.mark.parametrize("taps", [16, 40])
def test_a_known_path_is_found(method: str, taps: int):
    reference = white(3 * RATE_HZ)
    path = np.random.default_rng(1).standard_normal(16)
    signal = lfilter(path, 1, reference).astype(np.float32)
    cleaned, learnt = adaptive(signal, reference, method=method, taps=taps, step=0.5)
    assert learnt.shape == (taps,)
    assert misalignment_db(learnt, path) < -60
    assert cleaned[-8000:].std() < 1e-3 * signal.std()


def test_nlms_finds_the_path_through_other_noise():
    reference = white(3 * RATE_HZ)
    path = np.random.default_rng(1).standard_normal(16)
    signal = lfilter(path, 1, reference) + 0.1 * white(reference.size, seed=2)
    assert misalignment_db(adaptive(signal, reference).path, path) < -30


@each_adaptive
def test_the_voice_stays(method: str):
    voice, reference = bursts(3 * RATE_HZ), white(3 * RATE_HZ)
    noisy = voice + lfilter([0.5, 0, -0.7, 0.2], 1, reference).astype(np.float32)
    cleaned = adaptive(noisy, reference, method=method).signal
    last = slice(-RATE_HZ, None)
    assert snr_db(voice[last], cleaned[last]) > snr_db(voice[last], noisy[last]) + 10


def by_the_sample(
    signal: Array, reference: Array, method: str, taps: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The textbook's loops, with the scalings that `adaptive` documents."""
    mean = taps * np.mean(reference.astype(float) ** 2)
    padded = np.pad(reference.astype(float), (taps - 1, 0))
    path, errors = np.zeros(taps), np.empty(signal.size)
    spread = np.eye(taps) * taps / (1e-3 * mean)
    for k, wanted in enumerate(signal):
        past = padded[k : k + taps][::-1]
        errors[k] = wanted - past @ path
        if method == "rls":
            gain = spread @ past / (0.99 + past @ spread @ past)
            spread = (spread - np.outer(gain, past @ spread)) / 0.99
        elif method == "nlms":
            gain = 0.3 * past / (past @ past + 1e-3 * mean)
        else:
            gain = min(0.3 / mean, 1 / max(past @ past, 1e-30)) * past
        path = path + gain * errors[k]
    return errors, path


@each_adaptive
@pytest.mark.parametrize(("samples", "taps"), [(1600, 1), (1617, 5), (2011, 50)])
def test_blocks_equal_the_loop_by_the_sample(method: str, samples: int, taps: int):
    rng = np.random.default_rng(3)
    reference = (white(samples) * rng.uniform(0.1, 3, samples)).astype(np.float32)
    signal = lfilter([1, -0.5], [1, 0.6], reference).astype(np.float32) + white(samples, seed=4)
    errors, path = by_the_sample(signal, reference, method, taps)
    ours = adaptive(signal, reference, method=method, taps=taps, step=0.3, forgetting=0.99)
    np.testing.assert_allclose(ours.signal, errors, atol=1e-5)
    np.testing.assert_allclose(ours.path, path, atol=1e-4)


@each_adaptive
@each_awkward
@pytest.mark.parametrize("step", [0.02, 1.9])
def test_adaptive_stays_finite(method: str, signal: Array, step: float):
    other = white(signal.size, seed=5)
    for heard, reference in ((signal, signal), (signal, other), (other, signal)):
        cleaned, path = adaptive(heard, reference, method=method, step=step)
        assert cleaned.shape == signal.shape
        assert cleaned.dtype == path.dtype == np.float32
        assert np.isfinite(cleaned).all()
        assert np.isfinite(path).all()


@each_adaptive
def test_silent_reference_changes_nothing(method: str):
    signal = white()
    cleaned, path = adaptive(signal, np.zeros_like(signal), method=method)
    np.testing.assert_array_equal(cleaned, signal)
    assert not path.any()


def test_rls_survives_a_long_silence_of_the_reference():
    """Forgetting at 0.9 over four seconds would be a factor of 10**2900."""
    reference = white(5 * RATE_HZ)
    reference[RATE_HZ : 4 * RATE_HZ] = 0
    signal = lfilter([0.5, 0.25], 1, reference).astype(np.float32)
    cleaned, path = adaptive(signal, reference, method="rls", taps=4, forgetting=0.9)
    np.testing.assert_allclose(path, [0.5, 0.25, 0, 0], atol=1e-4)
    assert np.abs(cleaned[-8000:]).max() < 1e-4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "nmls"}, "unknown adaptive method 'nmls'; known: nlms"),
        ({"taps": 0}, "taps=0"),
        ({"step": 2.0}, "step=2.0.*over 0 and under 2"),
        ({"forgetting": 0.5}, "forgetting=0.5.*0.9 to 1"),
    ],
)
def test_bad_adaptive_options(options: dict[str, object], message: str):
    with pytest.raises(ValueError, match=message):
        adaptive(white(), white(), **options)


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="reference has 8000 samples; need the signal's 16000"):
        adaptive(white(), white(8000))
