"""Cepstra and linear prediction: librosa, scipy and the FFT as oracles; vowels and noise."""

from collections.abc import Callable
from pathlib import Path

import librosa
import numpy as np
import numpy.typing as npt
import pytest
import scipy.linalg
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

from serein.audio.frames import frames, pre_emphasis, window
from serein.audio.read import RATE_HZ, read_audio
from serein.errors import AudioError
from serein.features.cepstral import deltas, levinson, lpc, lpcc, mfcc, plp
from serein.features.feature_sets import SETS

Array = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
SERIES: dict[str, Callable[..., Array]] = {"mfcc": mfcc, "lpc": lpc, "lpcc": lpcc, "plp": plp}

VOWELS_HZ = {"a": (730, 1090, 2440), "i": (270, 2290, 3010), "u": (300, 870, 2240)}


def noise(samples: int = RATE_HZ, seed: int = 0) -> Array:
    return 0.1 * np.random.default_rng(seed).standard_normal(samples).astype(np.float32)


def vowel(name: str, pitch_hz: float = 110, seconds: float = 1.0) -> Array:
    """Pulses through resonances 80 Hz wide, with a little breath."""
    time = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    sound = np.diff(np.floor(time * pitch_hz), prepend=-1.0) + 0.1 * noise(time.size)
    for formant_hz in VOWELS_HZ[name]:
        pole = np.exp((-np.pi * 80 + 2j * np.pi * formant_hz) / RATE_HZ)
        sound = scipy.signal.lfilter([1.0], np.poly([pole, pole.conj()]).real, sound)
    return (0.5 * sound / np.abs(sound).max()).astype(np.float32)


def all_pole_cepstrum(coefficients: Doubles, count: int) -> Doubles:
    """Compute the cepstrum of 1 / A(z) with a transform long enough not to wrap."""
    response = np.fft.rfft(np.append(1.0, -np.asarray(coefficients, np.float64)), 2**16)
    return 2 * np.fft.irfft(-np.log(np.abs(response)))[1 : count + 1]


def assert_mfcc_equals_librosas(signal: Array, count: int, bands: int) -> None:
    mel = librosa.feature.melspectrogram(
        y=signal, sr=RATE_HZ, n_fft=400, hop_length=160, n_mels=bands, pad_mode="constant"
    )
    level = librosa.power_to_db(mel, top_db=None)
    expected = librosa.feature.mfcc(S=level, n_mfcc=count).T
    np.testing.assert_allclose(mfcc(signal, count=count, bands=bands), expected, atol=1e-3)


@pytest.mark.parametrize(("count", "bands"), [(13, 40), (20, 26), (1, 1), (40, 40)])
def test_mfcc_equals_librosas(count: int, bands: int):
    signal = np.concatenate([vowel("a"), np.zeros(5000, np.float32), noise()])
    assert_mfcc_equals_librosas(signal, count, bands)


def test_mfcc_of_a_real_voice(corpus_dir: Callable[[str], Path]):
    recording = sorted(corpus_dir("emodb").rglob("*.flac"))[0]
    assert_mfcc_equals_librosas(read_audio(recording), 13, 40)


def test_ten_times_louder_moves_the_first_mfcc_only():
    """20 dB in each of 40 bands: 20 sqrt(40) in the orthonormal transform."""
    moved = mfcc(np.float32(10) * noise()) - mfcc(noise())
    np.testing.assert_allclose(moved[:, 0], 20 * np.sqrt(40), atol=1e-2)
    np.testing.assert_allclose(moved[:, 1:], 0, atol=1e-2)


@pytest.mark.parametrize(("order", "width"), [(1, 9), (2, 9), (1, 3), (2, 5), (3, 11)])
@pytest.mark.parametrize("time", [11, 12, 100])
def test_deltas_equal_librosas(time: int, order: int, width: int):
    series = np.random.default_rng(0).standard_normal((time, 4)).astype(np.float32)
    expected = librosa.feature.delta(series, axis=0, order=order, width=width, mode="interp")
    np.testing.assert_allclose(deltas(series, order=order, width=width), expected, atol=1e-5)


@pytest.mark.parametrize("time", range(3, 20))
def test_deltas_of_a_parabola(time: int):
    """However short: a line's slope is its slope, a parabola's second derivative constant."""
    steps = np.arange(time, dtype=np.float32)[:, None]
    np.testing.assert_allclose(deltas(3 * steps + 7), 3, atol=1e-4)
    np.testing.assert_allclose(deltas(steps**2 - steps, order=2), 2, atol=1e-3)


@pytest.mark.parametrize(("time", "order"), [(0, 1), (1, 1), (2, 1), (2, 2), (4, 3)])
def test_deltas_of_what_is_too_short_are_0(time: int, order: int):
    found = deltas(np.random.default_rng(0).standard_normal((time, 3)), order=order)
    assert found.shape == (time, 3)
    assert found.dtype == np.float32
    assert not found.any()


@pytest.mark.parametrize(("order", "width"), [(0, 9), (1, 8), (3, 3), (1, 1), (1, -3)])
def test_deltas_refuse(order: int, width: int):
    with pytest.raises(ValueError, match=f"order is {order}, width {width}; allowed: 1 up"):
        deltas(np.zeros((20, 2), np.float32), order=order, width=width)


def test_deltas_refuse_a_signal():
    with pytest.raises(ValueError, match="series has 1 dimensions; allowed: 2"):
        deltas(noise())


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 24), st.integers(0, 2**32 - 1))
def test_levinson_equals_scipys(order: int, seed: int):
    sound = np.random.default_rng(seed).standard_normal(300)
    lags = np.array([sound[k:] @ sound[: sound.size - k] for k in range(order + 1)])
    coefficients, error = levinson(lags)
    np.testing.assert_allclose(coefficients, scipy.linalg.solve_toeplitz(lags[:-1], lags[1:]))
    assert float(error) == pytest.approx(lags[0] - coefficients @ lags[1:])


def test_levinson_takes_any_shape():
    lags = np.array([4.0, 2.0, 0.5, -1.0]) * np.arange(6).reshape(2, 3, 1)
    coefficients, error = levinson(lags)
    assert coefficients.shape == (2, 3, 3)
    assert not coefficients[0, 0].any()
    assert error[0, 0] == 0
    np.testing.assert_allclose(error[1, 2], 5 * error[0, 1])
    np.testing.assert_allclose(coefficients[1, 2], coefficients[0, 1])


def test_levinson_stops_at_what_is_predicted_wholly():
    """A cosine obeys x[n] = 2 cos(w) x[n-1] - x[n-2]; further coefficients have nothing to say."""
    lags = np.cos(0.3 * np.arange(7))
    coefficients, error = levinson(lags)
    np.testing.assert_allclose(coefficients, [2 * np.cos(0.3), -1, 0, 0, 0, 0], atol=1e-6)
    assert 0 <= error < 1e-12


@pytest.mark.parametrize("order", [1, 10, 16])
@pytest.mark.parametrize("signal", [vowel("a"), noise()], ids=["vowel", "noise"])
def test_lpc_equals_scipys(signal: Array, order: int):
    cut = frames(pre_emphasis(signal)) * window("hamming", 400)
    found = lpc(signal, order=order)
    for frame in (0, 1, 40, 77, 100):
        sound = cut[frame].astype(np.float64)
        lags = np.array([sound[k:] @ sound[: 400 - k] for k in range(order + 1)])
        expected = scipy.linalg.solve_toeplitz(lags[:-1], lags[1:])
        np.testing.assert_allclose(found[frame], expected, atol=2e-5)


def test_lpc_finds_the_process_that_made_the_noise():
    """The mean over frames; pre-emphasis is undone by making the noise through its inverse."""
    poles = np.array([0.9 * np.exp(0.8j), 0.8 * np.exp(2.0j)])
    process = np.poly(np.concatenate([poles, poles.conj()])).real
    shaped = scipy.signal.lfilter([1.0], np.convolve(process, [1.0, -0.97]), noise(20 * RATE_HZ))
    found = lpc((0.1 * shaped).astype(np.float32), order=4)[5:-5].mean(axis=0)
    np.testing.assert_allclose(found, -process[1:], atol=0.05)


@pytest.mark.parametrize(("order", "count"), [(16, 13), (4, 30), (1, 5)])
def test_lpcc_equals_the_cepstrum_of_the_model(order: int, count: int):
    signal = vowel("i") + 0.1 * noise()
    predictors, found = lpc(signal, order=order), lpcc(signal, order=order, count=count)
    for frame in (2, 30, 98):
        expected = all_pole_cepstrum(predictors[frame], count)
        np.testing.assert_allclose(found[frame], expected, atol=2e-3)


def test_the_cepstrum_of_one_pole_by_hand():
    """ln 1 / (1 - a / z) = a / z + a^2 / 2 z^2 + ..."""
    signal = noise()
    pole = lpc(signal, order=1)
    powers = np.arange(1, 6)
    np.testing.assert_allclose(lpcc(signal, order=1, count=5), pole**powers / powers, atol=1e-6)


def plp_by_the_paper(frame: Array, order: int, count: int) -> Doubles:
    """Follow Hermansky's section II step by step, band by band."""
    power = np.abs(np.fft.rfft(frame * window("hamming", 400))) ** 2
    hz = np.arange(201) * 40.0
    bark = 6 * np.log(hz / 600 + np.sqrt((hz / 600) ** 2 + 1))
    heard = []
    for centre in np.arange(21) * bark[-1] / 20:
        omega = 2 * np.pi * 600 * np.sinh(centre / 6)
        loud = (omega**2 + 56.8e6) * omega**4
        loud /= (omega**2 + 6.3e6) ** 2 * (omega**2 + 0.38e9) * (omega**6 + 9.58e26)
        heard.append(loud * sum(p * masking(centre - z) for p, z in zip(power, bark, strict=True)))
    heard[0], heard[-1] = heard[1], heard[-2]
    loudness = np.array(heard) ** (1 / 3)
    lags = np.fft.ifft(np.concatenate([loudness, loudness[-2:0:-1]])).real
    predictors = scipy.linalg.solve_toeplitz(lags[:order], lags[1 : order + 1])
    return all_pole_cepstrum(predictors, count)


def masking(bark: float) -> float:
    """Spread a tone over bands `bark` above it: equation 5."""
    if -1.3 <= bark <= -0.5:
        return 10 ** (2.5 * (bark + 0.5))
    if -0.5 < bark < 0.5:
        return 1.0
    return 10 ** (-1.0 * (bark - 0.5)) if 0.5 <= bark <= 2.5 else 0.0


@pytest.mark.parametrize(("order", "count"), [(12, 13), (5, 20), (19, 5)])
def test_plp_equals_the_paper(order: int, count: int):
    signal = vowel("a") + 0.1 * noise()
    found = plp(signal, order=order, count=count)
    for frame in (0, 50, 99):
        expected = plp_by_the_paper(frames(signal)[frame], order, count)
        np.testing.assert_allclose(found[frame], expected, atol=1e-5)


@pytest.mark.parametrize("analyse", [lpc, lpcc, plp])
def test_loudness_does_not_matter(analyse: Callable[[Array], Array]):
    signal = vowel("a") + noise()
    assert np.abs(analyse(signal)).max() > 0.1
    np.testing.assert_allclose(analyse(8 * signal), analyse(signal), atol=1e-3)


def distance(one: Array, other: Array) -> float:
    return float(np.linalg.norm(one[10:-10].mean(axis=0) - other[10:-10].mean(axis=0)))


@pytest.mark.parametrize("analyse", [mfcc, lpcc, plp])
def test_vowels_differ_more_than_voices(analyse: Callable[[Array], Array]):
    """The same vowel at two pitches is nearer than two vowels at one pitch."""
    low = {name: analyse(vowel(name, 100)) for name in VOWELS_HZ}
    high = {name: analyse(vowel(name, 140)) for name in VOWELS_HZ}
    same = max(distance(low[name], high[name]) for name in VOWELS_HZ)
    other = min(distance(low[one], low[two]) for one, two in ["ai", "au", "iu"])
    assert same < 0.9 * other


@pytest.mark.parametrize("name", SERIES)
@pytest.mark.parametrize("samples", [1600, 1759, 1760, 481_000])
def test_shapes(name: str, samples: int):
    found = SERIES[name](noise(samples))
    assert found.shape == (1 + samples // 160, len(SETS[name].columns))
    assert found.dtype == np.float32
    assert SETS[name].columns[0] == f"{name}_1"


@pytest.mark.parametrize("name", SERIES)
def test_blocks_do_not_show(name: str):
    """31 s are two blocks; frames near their seam equal those of the seconds around it."""
    signal = noise(31 * RATE_HZ)
    around = SERIES[name](signal[29 * RATE_HZ :])
    np.testing.assert_allclose(SERIES[name](signal)[2910:], around[10:], atol=1e-3)


@pytest.mark.parametrize("analyse", [lpc, lpcc, plp])
def test_silence_gives_0(analyse: Callable[[Array], Array]):
    assert not analyse(np.zeros(RATE_HZ, np.float32)).any()
    signal = noise()
    signal[4000:12_000] = 0.0
    assert not analyse(signal)[30:70].any()
    assert analyse(signal)[10].all()


def test_mfcc_of_silence_is_the_floor():
    """-100 dB in each of 40 bands, and no shape."""
    found = mfcc(np.zeros(RATE_HZ, np.float32))
    np.testing.assert_allclose(found[:, 0], -100 * np.sqrt(40), rtol=1e-5)
    np.testing.assert_allclose(found[:, 1:], 0, atol=1e-3)


@pytest.mark.parametrize("name", ["lpcc", "plp"])
@pytest.mark.parametrize(
    "signal",
    [
        np.ones(RATE_HZ, np.float32),
        np.full(RATE_HZ, 1e-38, np.float32),
        np.sin(0.1 * np.arange(RATE_HZ)).astype(np.float32),
        np.sign(np.sin(0.1 * np.arange(RATE_HZ))).astype(np.float32),
        np.eye(1, RATE_HZ, 8000, dtype=np.float32)[0],
        32_768 * noise(),
    ],
    ids=["constant", "denormal", "tone", "clipped", "click", "integer scale"],
)
def test_models_are_stable(name: str, signal: Array):
    """With all poles within the unit circle, no cepstral coefficient n exceeds order / n."""
    order = {"lpcc": 16, "plp": 12}[name]
    found = SERIES[name](signal)
    assert (np.abs(found) <= order / np.arange(1, 14) + 1e-6).all()
    assert np.isfinite(mfcc(signal)).all()
    assert np.isfinite(lpc(signal)).all()


@pytest.mark.parametrize("analyse", SERIES.values(), ids=SERIES)
@pytest.mark.parametrize(
    ("signal", "complaint"),
    [
        (np.zeros(1, np.float32), "1 sample"),
        (np.zeros(0, np.float32), "0 samples"),
        (np.full(RATE_HZ, np.inf, np.float32), "NaN or infinite"),
        (np.zeros((2, RATE_HZ), np.float32), "1-D array"),
    ],
)
def test_bad_signals(analyse: Callable[[Array], Array], signal: Array, complaint: str):
    with pytest.raises(AudioError, match=complaint):
        analyse(signal)


@pytest.mark.parametrize(
    ("analyse", "options", "complaint"),
    [
        (mfcc, {"count": 41}, "count is 41; allowed: 1 to 40"),
        (mfcc, {"count": 0}, "count is 0; allowed: 1 to 40"),
        (mfcc, {"bands": 202}, "bands is 202; allowed: 1 to 201"),
        (lpc, {"order": 0}, "order is 0; allowed: 1 to 100"),
        (lpcc, {"order": 101}, "order is 101; allowed: 1 to 100"),
        (lpcc, {"count": 0}, "count is 0; allowed: 1 to 100"),
        (plp, {"order": 20}, "order is 20; allowed: 1 to 19"),
        (plp, {"count": 101}, "count is 101; allowed: 1 to 100"),
    ],
)
def test_options_out_of_range(
    analyse: Callable[..., Array], options: dict[str, int], complaint: str
):
    with pytest.raises(ValueError, match=complaint):
        analyse(noise(), **options)
