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
    istft,
    per_block,
    pre_emphasis,
    stft,
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
    theirs = scipy.signal.get_window(name.replace("rectangular", "boxcar"), length, fftbins=True)
    ours = window(name, length)
    np.testing.assert_allclose(ours, theirs, atol=1e-7)
    assert ours.dtype == np.float32
    assert ours.shape == (length,)
    assert not ours.flags.writeable


def test_unknown_window():
    with pytest.raises(ValueError, match="unknown window 'han'; known: hann"):
        window("han", 400)


@given(samples=st.integers(1, 5000), length=st.integers(1, 600), hop=st.integers(1, 700))
@settings(deadline=None)
def test_frame_k_is_centred_on_sample_k_hops_on(samples: int, length: int, hop: int):
    signal = np.arange(1, samples + 1, dtype=np.float32)
    cut = frames(signal, length, hop=hop)
    assert cut.shape == (1 + samples // hop, length)
    assert len(cut) == frame_count(samples, hop)
    centres = np.arange(len(cut)) * hop
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
    np.testing.assert_allclose(frame_times(3, hop=HOP // 2), [0, 0.005, 0.01])


@pytest.mark.parametrize("block", [1, 7, 10_000])
def test_blocks_of_any_size_give_the_same_rows(block: int, monkeypatch: pytest.MonkeyPatch):
    signal = noise(4000)
    whole = frames(signal, 300, hop=100).max(axis=1, keepdims=True)
    seen: list[int] = []

    def loudest(cut: Array) -> Array:
        seen.append(len(cut))
        return cut.max(axis=1, keepdims=True)

    monkeypatch.setattr(module, "BLOCK_FRAMES", block)
    np.testing.assert_array_equal(per_block(signal, loudest, 300, hop=100), whole)
    assert max(seen) == min(block, len(whole))
    assert sum(seen) == len(whole)


@pytest.mark.parametrize(("length", "hop"), [(400, 160), (512, 128), (256, 256)])
@pytest.mark.parametrize("shape", ["hann", "hamming", "blackman"])
@pytest.mark.parametrize("pad", ["constant", "reflect"])
def test_stft_equals_librosas(length: int, hop: int, shape: str, pad: str):
    signal = noise(16_003)
    theirs = librosa.stft(
        signal, n_fft=length, hop_length=hop, window=shape, center=True, pad_mode=pad
    )
    ours = stft(signal, length=length, hop=hop, shape=shape, pad=pad)
    assert ours.dtype == np.complex64
    np.testing.assert_allclose(ours, theirs.T, atol=1e-5)


@pytest.mark.parametrize("shape", WINDOWS)
@given(samples=st.integers(1600, 4000), half=st.integers(8, 256), data=st.data())
@settings(deadline=None, max_examples=40)
def test_there_and_back(shape: str, samples: int, half: int, data: st.DataObject):
    hop = data.draw(st.integers(max(1, half // 8), 4 * half // 5))
    signal = noise(samples)
    spectrum = stft(signal, length=2 * half, hop=hop, shape=shape)
    back = istft(spectrum, samples, length=2 * half, hop=hop, shape=shape)
    assert back.dtype == np.float32
    np.testing.assert_allclose(back, signal, atol=2e-6)


@pytest.mark.parametrize("shape", WINDOWS)
@pytest.mark.parametrize("samples", [4000, 4100, 4190])
def test_there_and_back_at_half_a_window(shape: str, samples: int):
    signal = noise(samples)
    back = istft(stft(signal, hop=200, shape=shape), samples, hop=200, shape=shape)
    np.testing.assert_allclose(back, signal, atol=2e-5 if samples % 200 else 2e-6)


@pytest.mark.parametrize("shape", ["hann", "blackman"])
def test_half_a_window_is_too_far_where_the_last_frames_end_alone_tells(shape: str):
    signal = noise(4199)
    with pytest.raises(ValueError, match="take a hop of at most 160"):
        istft(stft(signal, hop=200, shape=shape), 4199, hop=200, shape=shape)


def test_there_and_back_across_blocks(monkeypatch: pytest.MonkeyPatch):
    signal = noise(16_000)
    monkeypatch.setattr(module, "BLOCK_FRAMES", 7)
    np.testing.assert_allclose(istft(stft(signal), signal.size), signal, atol=1e-5)


def test_istft_of_a_changed_spectrum_is_the_nearest_signals():
    """Griffin and Lim: no other signal's spectrum lies nearer, so any small change moves away."""
    rng = np.random.default_rng(1)
    spectrum = stft(noise(4000)) * rng.uniform(0, 1, (26, 201)).astype(np.float32)
    nearest = istft(spectrum, 4000)

    def distance(signal: Array) -> float:
        full = np.abs(np.fft.fft(frames(signal) * window("hann", FRAME))[:, :201] - spectrum) ** 2
        return float(full[:, [0, -1]].sum() + 2 * full[:, 1:-1].sum())

    for seed in range(5):
        change = 1e-2 * noise(4000) * np.random.default_rng(seed).choice([-1, 1], 4000)
        assert distance(nearest + change) > distance(nearest)


@pytest.mark.parametrize("shape", ["hann", "blackman"])
@pytest.mark.parametrize("hop", [399, 400])
def test_gaps_are_an_error(shape: str, hop: int):
    message = f"a {shape} window of 400 samples every {hop} leaves gaps; take a hop of at most 160"
    with pytest.raises(ValueError, match=message):
        istft(stft(noise(4000), hop=hop, shape=shape), 4000, hop=hop, shape=shape)


def test_more_samples_than_the_frames_tell_of_are_an_error():
    for samples in (2000, 3200):
        with pytest.raises(ValueError, match="leaves gaps"):
            istft(stft(noise(1600), shape="hamming"), samples, shape="hamming")
