"""Frames: scipy and librosa as oracles, the way back, and the grid."""

import librosa
import numpy as np
import numpy.typing as npt
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

from serein.audio import frames as module
from serein.audio.frames import (
    FRAME,
    HOP,
    WINDOWS,
    frame_count,
    frame_times,
    frames,
    per_block,
    power_spectra,
    pre_emphasis,
    runs,
    some_frames,
    spectra,
    window,
)

Array = npt.NDArray[np.float32]


def noise(samples: int) -> Array:
    return 0.1 * np.random.default_rng(0).standard_normal(samples).astype(np.float32)


@pytest.mark.parametrize("coefficient", [0.0, 0.5, 0.97, 1.0])
def test_pre_emphasis_equals_scipy_and_its_inverse_undoes_it(coefficient: float):
    signal = noise(1000)
    before = signal.copy()
    lifted = pre_emphasis(signal, coefficient=coefficient)
    assert lifted.dtype == np.float32
    np.testing.assert_allclose(
        lifted, scipy.signal.lfilter([1, -coefficient], 1, signal), atol=1e-7
    )
    undone = scipy.signal.lfilter([1], [1, -coefficient], lifted.astype(np.float64))
    np.testing.assert_allclose(undone, signal, atol=1e-5)
    np.testing.assert_array_equal(signal, before)


@pytest.mark.parametrize("coefficient", [-0.1, 1.1, float("nan")])
def test_pre_emphasis_out_of_range(coefficient: float):
    with pytest.raises(ValueError, match="allowed: 0 to 1"):
        pre_emphasis(noise(10), coefficient=coefficient)


@pytest.mark.parametrize("length", [2, 5, 256, 400, 512])
@pytest.mark.parametrize("name", WINDOWS)
def test_windows_equal_scipys(name: str, length: int):
    theirs = scipy.signal.get_window(name, length, fftbins=True)
    ours = window(name, length)
    np.testing.assert_allclose(ours, theirs, atol=1e-7)
    assert ours.dtype == np.float32
    assert ours.shape == (length,)
    assert not ours.flags.writeable


def test_unknown_window():
    with pytest.raises(ValueError, match="unknown window 'han'; known: hann"):
        window("han", 400)


@given(samples=st.integers(1, 5000), length=st.integers(1, 600))
@settings(deadline=None)
def test_frame_k_is_centred_on_sample_k_hops_on(samples: int, length: int):
    signal = np.arange(1, samples + 1, dtype=np.float32)
    cut = frames(signal, length)
    assert cut.shape == (1 + samples // HOP, length)
    assert len(cut) == frame_count(samples)
    centres = np.arange(len(cut)) * HOP
    expected = np.where(centres < samples, centres + 1, 0)
    np.testing.assert_array_equal(cut[:, length // 2], expected)
    steps = np.diff(cut, axis=1)
    inside = (cut[:, 1:] > 0) & (cut[:, :-1] > 0)
    assert (steps[inside] == 1).all()


def test_frames_equal_librosas():
    signal = noise(5003)
    padded = np.pad(signal, FRAME // 2, mode="reflect")
    theirs = librosa.util.frame(padded, frame_length=FRAME, hop_length=HOP, axis=0)
    np.testing.assert_array_equal(frames(signal, pad="reflect")[: len(theirs)], theirs)
    assert len(theirs) >= frame_count(5003) - 1


def test_frame_times_are_ten_milliseconds_apart():
    np.testing.assert_allclose(frame_times(4), [0, 0.01, 0.02, 0.03])


@pytest.mark.parametrize("block", [1, 7, 10_000])
def test_blocks_of_any_size_give_the_same_rows(block: int, monkeypatch: pytest.MonkeyPatch):
    signal = noise(4000)
    whole = frames(signal, 300).max(axis=1, keepdims=True)
    seen: list[int] = []

    def loudest(cut: Array) -> Array:
        seen.append(len(cut))
        return cut.max(axis=1, keepdims=True)

    monkeypatch.setattr(module, "BLOCK_FRAMES", block)
    np.testing.assert_array_equal(per_block(signal, loudest, 300), whole)
    assert max(seen) == min(block, len(whole))
    assert sum(seen) == len(whole)


@pytest.mark.parametrize("length", [400, 512])
@pytest.mark.parametrize("shape", WINDOWS)
@pytest.mark.parametrize("pad", ["constant", "reflect"])
def test_spectra_equal_librosas_stft(length: int, shape: str, pad: str):
    signal = noise(16_003)
    theirs = librosa.stft(
        signal, n_fft=length, hop_length=HOP, window=shape, center=True, pad_mode=pad
    )
    ours = spectra(frames(signal, length, pad=pad), shape=shape)
    assert ours.dtype == np.complex64
    np.testing.assert_allclose(ours, theirs.T, atol=1e-5)


def test_power_spectra_of_padded_frames_equal_numpys():
    cut = frames(noise(4000), 960)
    theirs = np.abs(np.fft.rfft(cut * window("hann", 960).astype(np.float64), 2048, axis=1)) ** 2
    ours = power_spectra(cut, fft_size=2048)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


def test_runs_of_flags():
    flags = np.array([1, 1, 0, 0, 1, 0, 1], dtype=bool)
    assert runs(flags).tolist() == [[0, 2], [4, 5], [6, 7]]
    assert runs(~flags).tolist() == [[2, 4], [5, 6]]
    assert runs(np.zeros(3, dtype=bool)).shape == (0, 2)


def test_some_frames_are_those_of_all_frames():
    signal = np.random.default_rng(5).normal(size=4000).astype(np.float32)
    for length in (400, 960, 5000):
        every = frames(signal, length)
        for numbers in ([0, 7, 13, 25], [10, 11, 15], [24]):
            found = some_frames(signal, np.array(numbers), length)
            np.testing.assert_array_equal(found, every[numbers])


def test_blocks_of_frames_are_less_the_mean():
    signal = (1 + np.random.default_rng(6).normal(size=9000)).astype(np.float32)
    mean = signal.mean()
    found = per_block(signal, lambda cut: cut.copy(), mean=float(mean))
    np.testing.assert_array_equal(found, frames(signal - mean))
