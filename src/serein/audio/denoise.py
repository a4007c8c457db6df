"""Noise out of a recording: spectral subtraction, the Wiener filter, adaptive cancellation.

`spectral_subtraction` and `wiener` need one signal and learn the noise from its quietest frames;
`adaptive` needs a second channel that hears the noise alone.

All are our own: they beat the libraries in bench/denoise.py (20 clips of EmoDB, one thread). Mean
gain in segmental SNR over white, pink and babble noise at 0, 5, 10 dB: ours 4.4 dB both, at 0.6 and
1.6 ms a second of audio; pyroomacoustics 1.6 dB (subtraction, 13 ms) and, on 3 clips, -0.5 dB
(iterative Wiener, 271 ms); noisereduce 1.0 dB, 8 ms. The last two lead in babble at 0 dB alone, by
0.9 dB at most. Adaptive filters equal padasip's: NLMS at 17 ms for its 61, RLS at 33 for 221.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from serein.audio.frames import Array, Spectrum, window
from serein.audio.read import check_signal
from serein.errors import unknown_name

Gain = Callable[[Array, Array], Array]  # power (frames, bins) and noise (bins,) to a factor each
Wide = npt.NDArray[np.floating[Any]]

FRAME = 512  # samples: 32 ms, and a quarter overlaps: 0.2 dB better than 25 ms every 10 ms
HOP = 128
BLOCK_FRAMES = 3000  # 24 s: the noise is learnt anew for each
QUIET_SHARE = 0.15  # of a block's frames, the quietest: noise alone even in speech without a break
FAINTEST = np.float32(1e-30)  # power that stands for none, so that silence divides
LEAST_SNR = np.float32(10**-2.5)  # a priori, Ephraim & Malah's -25 dB
ADAPTIVE_BLOCK = 32  # samples at a time: 16 to 64 are equally fast
LITTLE = 1e-3  # of the reference's mean energy: under it a reference teaches nothing


def spectral_subtraction(
    signal: Array,
    *,
    noise: Array | None = None,
    oversubtraction: float = 4,
    reduction_db: float = 20,
) -> Array:
    """Take the noise's power spectrum away from each frame's.

    Parameters
    ----------
    signal : numpy.ndarray
        Shape (samples,), float32, mono at 16 kHz.
    noise : numpy.ndarray, optional
        Shape (any samples,), noise alone; without it, the quietest frames are taken for noise.
    oversubtraction : float
        How many times the noise's power is taken away, at least 0: more leaves less musical noise.
    reduction_db : float
        How far a frequency may be turned down, at least 0, which changes nothing.

    Returns
    -------
    numpy.ndarray
        Shape (samples,), float32.

    Raises
    ------
    AudioError, ValueError
        If signal or noise is not one; if an option is negative.

    References
    ----------
    M. Berouti et al., "Enhancement of speech corrupted by acoustic noise", ICASSP 1979, equation 4,
    with one factor for all signal-to-noise ratios.

    Examples
    --------
    >>> hiss = np.random.default_rng(0).standard_normal(16000)
    >>> bool(spectral_subtraction(hiss).std() < 0.2)
    True
    """
    if oversubtraction < 0:
        raise ValueError(f"oversubtraction is {oversubtraction}; allowed: 0 or more")

    def gain(power: Array, noise_power: Array) -> Array:
        share = oversubtraction * noise_power / np.maximum(power, FAINTEST)
        return np.sqrt(np.maximum(1 - share, 0))

    return _filtered(signal, noise, gain, reduction_db)


def wiener(
    signal: Array, *, noise: Array | None = None, smoothing: float = 0.98, reduction_db: float = 20
) -> Array:
    """Weigh each frequency by how much of it is speech: the Wiener filter, decision-directed.

    Parameters
    ----------
    signal : numpy.ndarray
        Shape (samples,), float32, mono at 16 kHz.
    noise, reduction_db
        As in `spectral_subtraction`.
    smoothing : float
        Weight of the frame before in the a-priori signal-to-noise ratio, 0 to less than 1.

    Returns
    -------
    numpy.ndarray
        Shape (samples,), float32.

    Raises
    ------
    AudioError, ValueError
        If signal or noise is not one; if an option is out of range.

    References
    ----------
    Y. Ephraim, D. Malah, IEEE Trans. ASSP 32(6), 1984, equation 51; P. Scalart, J. Vieira Filho,
    "Speech enhancement based on a priori signal to noise estimation", ICASSP 1996.

    Examples
    --------
    >>> bool(wiener(np.random.default_rng(0).standard_normal(16000)).std() < 0.2)
    True
    """
    if not 0 <= smoothing < 1:
        raise ValueError(f"smoothing is {smoothing}; allowed: 0 to less than 1")
    return _filtered(signal, noise, _decision_directed(smoothing), reduction_db)


METHODS = dict[str, Callable[..., Array]](wiener=wiener, spectral_subtraction=spectral_subtraction)


def denoise(signal: Array, *, method: str = "wiener", **options: Any) -> Array:
    """Take noise out of one signal.

    Parameters
    ----------
    signal : numpy.ndarray
        Shape (samples,), float32, mono at 16 kHz.
    method : {"wiener", "spectral_subtraction"}
        How.
    **options
        That method's own, such as ``noise`` and ``reduction_db``.

    Returns
    -------
    numpy.ndarray
        Shape (samples,), float32.

    Raises
    ------
    AudioError, ValueError
        If the signal is not one; if the method is unknown or an option is out of range.

    Examples
    --------
    >>> denoise(np.zeros(16000, dtype=np.float32)).shape
    (16000,)
    """
    if method not in METHODS:
        raise ValueError(unknown_name("denoising method", method, METHODS))
    return METHODS[method](signal, **options)


def _filtered(signal: Array, noise: Array | None, gain: Gain, reduction_db: float) -> Array:
    """Scale the spectrum of each frame and overlap-add, block by block."""
    if reduction_db < 0:
        raise ValueError(f"reduction_db is {reduction_db}; allowed: 0 or more")
    checked = check_signal(signal)
    known = None if noise is None else _mean_power(check_signal(noise))
    total = np.zeros((-(-checked.size // HOP) + 2 * FRAME // HOP, HOP), dtype=np.float32)
    for first, spectrum in _spectra(checked):
        power = np.abs(spectrum) ** 2
        factor = gain(power, _quietest(power) if known is None else known)
        _overlap_add(total[first:], spectrum * np.maximum(factor, 10 ** (-reduction_db / 20)))
    return total.ravel()[FRAME : FRAME + checked.size]


def _spectra(signal: Array) -> Iterator[tuple[int, Spectrum]]:
    """Give blocks of spectra, each (frames, bins), and the number of a block's first frame.

    Mirrored edges let each sample lie in as many frames; blocks are equal, so none is too short.
    """
    padded = np.pad(signal, FRAME, mode="reflect")
    cut = np.lib.stride_tricks.sliding_window_view(padded, FRAME)[::HOP]
    first = 0
    for block in np.array_split(cut, -(-len(cut) // BLOCK_FRAMES)):
        yield first, np.fft.rfft(block * window("hann", FRAME), axis=1).astype(np.complex64)
        first += len(block)


def _overlap_add(total: Array, spectrum: Spectrum) -> None:
    """Add frames into rows of HOP samples; squared Hann windows a quarter apart sum to 1.5."""
    rows = np.fft.irfft(spectrum, FRAME, axis=1) * (window("hann", FRAME) / np.float32(1.5))
    for number, part in enumerate(np.split(rows, FRAME // HOP, axis=1)):
        total[number : number + len(part)] += part


def _mean_power(noise: Array) -> Array:
    means = [(np.abs(spectrum) ** 2).mean(axis=0) for _, spectrum in _spectra(noise)]
    return np.maximum(np.mean(means, axis=0), FAINTEST)  # blocks are equally long


def _quietest(power: Array) -> Array:
    """Average the quietest frames; digital silence, which encoders pad with, is none of them."""
    energy = power.sum(axis=1)
    sounding = np.flatnonzero(energy)
    count = max(1, round(QUIET_SHARE * sounding.size))
    quiet = sounding[np.argsort(energy[sounding], kind="stable")[:count]]
    return np.maximum(power[quiet].sum(axis=0) / count, FAINTEST)


def _decision_directed(smoothing: float) -> Gain:
    """Make the Wiener gain, which remembers the last frame's speech from block to block."""
    share, speech = np.float32(smoothing), np.zeros(FRAME // 2 + 1, dtype=np.float32)

    def gain(power: Array, noise: Array) -> Array:
        rows = np.empty_like(power)
        for row, now in zip(rows, power, strict=True):
            fresh = np.maximum(now / noise - 1, 0)
            snr = np.maximum(share * (speech / noise) + (1 - share) * fresh, LEAST_SNR)
            row[:] = snr / (1 + snr)
            speech[:] = row**2 * now
        return rows

    return gain


class Cancelled(NamedTuple):
    """What adaptive cancellation gives."""

    signal: Array  # (samples,), float32: what the reference does not explain, which is the voice
    path: Array  # (taps,), float32: the filter from reference to noise, as last learnt


def adaptive(
    signal: Array,
    reference: Array,
    *,
    method: str = "nlms",
    taps: int = 32,
    step: float = 0.02,
    forgetting: float = 0.9998,
) -> Cancelled:
    """Learn how a reference of the noise sounds in the signal, and take that away.

    Parameters
    ----------
    signal : numpy.ndarray
        Shape (samples,), float32, mono at 16 kHz: voice and noise.
    reference : numpy.ndarray
        Shape (samples,): the noise alone, as another microphone or the loudspeaker has it, earlier
        than in the signal by fewer than ``taps`` samples.
    method : {"nlms", "lms", "rls"}
        "nlms" steps by the reference's energy at the time, "lms" by that of the whole (but never
        past NLMS's step of 1, so it cannot diverge), "rls" solves the least squares.
    taps : int
        Length of the filter in samples.
    step : float
        For NLMS and LMS, over 0 and under 2: more learns faster and bites more from the voice.
    forgetting : float
        For RLS, 0.9 to 1: the past's weight shrinks by this with each sample.

    Returns
    -------
    Cancelled
        The cleaned signal, shape (samples,), and the filter, shape (taps,).

    Raises
    ------
    AudioError, ValueError
        If signal or reference is not one; if their lengths differ or an option is not allowed.

    References
    ----------
    S. Haykin, "Adaptive Filter Theory", 4th edition 2002, chapters 5, 6 and 9; J. Benesty,
    P. Duhamel, "A fast exact least mean square adaptive algorithm", IEEE Trans. SP 40(12), 1992.

    Examples
    --------
    >>> hum = np.random.default_rng(0).standard_normal(16000).astype(np.float32)
    >>> (adaptive(0.5 * hum, hum, taps=2, step=0.5).path.round(3) + 0.0).tolist()
    [0.5, 0.0]
    """
    checked, heard = check_signal(signal), check_signal(reference)
    if checked.size != heard.size:
        raise ValueError(f"reference has {heard.size} samples; need the signal's {checked.size}")
    if taps < 1 or not 0 < step < 2 or not 0.9 <= forgetting <= 1:
        allowed = "taps from 1, step over 0 and under 2, forgetting 0.9 to 1"
        raise ValueError(f"{taps=}, {step=}, {forgetting=}; allowed: {allowed}")
    if method not in ADAPTIVE:
        raise ValueError(unknown_name("adaptive method", method, ADAPTIVE))
    energy = taps * float(np.dot(heard, heard)) / heard.size + 1e-20
    learn = ADAPTIVE[method](taps, energy, step, forgetting)
    past = np.lib.stride_tricks.sliding_window_view(np.pad(heard, (taps - 1, 0)), taps)[:, ::-1]
    left = np.empty_like(checked)
    for first in range(0, checked.size, ADAPTIVE_BLOCK):
        block = slice(first, first + ADAPTIVE_BLOCK)
        left[block] = learn(past[block].astype(np.float64), checked[block])
    return Cancelled(left, learn.path.astype(np.float32))


class _Nlms:
    """NLMS by blocks, exact: errors, less what those before them taught, solve a triangle."""

    def __init__(self, taps: int, energy: float, step: float, _: float) -> None:
        self.path: Wide = np.zeros(taps)
        self.energy, self.step = energy, step

    def __call__(self, past: Wide, wanted: Array) -> Wide:
        gram = past @ past.T
        steps = self.steps(np.diag(gram))
        system = np.tril(gram, -1) * steps + np.eye(len(past))
        error: Wide = np.linalg.solve(system, wanted - past @ self.path)
        self.path += (steps * error) @ past
        return error

    def steps(self, energy: Wide) -> Wide:
        return self.step / (energy + LITTLE * self.energy)


class _Lms(_Nlms):
    def steps(self, energy: Wide) -> Wide:
        return 1 / np.maximum(energy, self.energy / self.step)


class _Rls:
    """RLS, exact to the sample but a block at a time: its errors are a Kalman filter's innovations.

    Measurement k of a block is as uncertain as forgetting**k; the Cholesky factor of the errors'
    covariance makes them those that the filter would have made sample by sample.
    """

    def __init__(self, taps: int, energy: float, _: float, forgetting: float) -> None:
        self.path: Wide = np.zeros(taps)
        self.spread: Wide = np.eye(taps) * taps / (LITTLE * energy)
        self.most = np.trace(self.spread)
        self.ages = forgetting ** np.arange(1, ADAPTIVE_BLOCK + 1)

    def __call__(self, past: Wide, wanted: Array) -> Wide:
        ages, shared = self.ages[: len(past)], past @ self.spread
        root = np.linalg.cholesky(shared @ past.T + np.diag(ages))
        white = np.linalg.solve(root, np.column_stack([wanted - past @ self.path, shared]))
        self.path += white[:, 0] @ white[:, 1:]
        grown = (self.spread - white[:, 1:].T @ white[:, 1:]) / ages[-1]
        # Never less sure than at first: while the reference is silent, forgetting would overflow.
        self.spread = (grown + grown.T) / 2 * min(1.0, self.most / np.trace(grown))
        return white[:, 0] * np.diag(root)


ADAPTIVE: dict[str, type[_Nlms | _Rls]] = {"nlms": _Nlms, "lms": _Lms, "rls": _Rls}
