"""Denoising here beside the libraries': `python bench/denoise.py --data FOLDER_OF_CORPORA`.

Noise is added to clips of EmoDB at 0, 5 and 10 dB; the gain is in segmental signal-to-noise ratio
(frames of 30 ms, each clipped to -10..35 dB). A library's delay is taken out before it is judged,
and libraries that are not installed are left out.
"""

from __future__ import annotations

import argparse
import csv
import os
import time
import warnings
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import numpy.typing as npt

import serein
from serein.audio.denoise import adaptive, spectral_subtraction, wiener

try:
    import pyroomacoustics
except ImportError:
    pyroomacoustics = None
try:
    import noisereduce
except ImportError:
    noisereduce = None
try:
    import padasip
except ImportError:
    padasip = None

Array = npt.NDArray[np.float64]
Case = tuple[str, int, Array, Array]  # noise, its level in dB, clean, noisy

RATE_HZ = 16_000
TAPS = 32
NOISES = ("white", "pink", "babble")
SNRS_DB = (0, 5, 10)
SLOW_CLIPS = 3  # as many for candidates slower than a tenth of real time


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds emodb/")
    parser.add_argument("--clips", type=int, default=20)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(0)
    clips, others = read_clips(options.data / "emodb", options.clips, rng)
    cases = [case for clip in clips for case in noisy_versions(clip, others, rng)]
    compare_one_channel(cases)
    compare_adaptive(clips, others, rng)


def read_clips(
    folder: Path, count: int, rng: np.random.Generator
) -> tuple[list[Array], list[Array]]:
    """Read clips to clean and 60 others to make babble of."""
    with (folder / "index.csv").open(encoding="utf-8") as table:
        names = [row["file"] for row in csv.DictReader(table)]
    drawn = rng.choice(names, count + 60, replace=False)
    signals = [serein.read_audio(folder / name).astype(np.float64) for name in drawn]
    return signals[:count], signals[count:]


def make_noise(kind: str, samples: int, others: list[Array], rng: np.random.Generator) -> Array:
    """Make noise of standard deviation 1."""
    if kind == "babble":
        drawn = rng.choice(len(others), 6, replace=False)
        rolled = [np.roll(np.resize(others[k], samples), rng.integers(samples)) for k in drawn]
        noise = np.sum(rolled, axis=0)
    else:
        noise = rng.standard_normal(samples)
    if kind == "pink":
        spectrum = np.fft.rfft(noise)
        lowest = samples * 50 / RATE_HZ  # flat under 50 Hz
        noise = np.fft.irfft(
            spectrum / np.sqrt(np.maximum(np.arange(len(spectrum)), lowest)), samples
        )
    return noise / noise.std()


def at_level(noise: Array, clean: Array, snr_db: float) -> Array:
    """Scale noise to lie so many dB under the clean signal."""
    wanted = np.mean(clean**2) / 10 ** (snr_db / 10)
    return noise * np.sqrt(wanted / np.mean(noise**2))


def noisy_versions(clean: Array, others: list[Array], rng: np.random.Generator) -> list[Case]:
    """Add each noise at each level."""
    cases = []
    for kind in NOISES:
        noise = make_noise(kind, clean.size, others, rng)
        for snr_db in SNRS_DB:
            noisy = (clean + at_level(noise, clean, snr_db)).astype(np.float32)
            cases.append((kind, snr_db, clean, noisy))
    return cases


def segmental_snr_db(clean: Array, cleaned: Array, frame: int = 480) -> float:
    """Average the frames' signal-to-noise ratios, each clipped to -10..35 dB."""
    cut = clean.size // frame * frame
    speech = np.sum(clean[:cut].reshape(-1, frame) ** 2, axis=1)
    error = np.sum((cleaned - clean)[:cut].reshape(-1, frame) ** 2, axis=1)
    ratio_db = 10 * np.log10((speech + 1e-12) / (error + 1e-12))
    return float(np.clip(ratio_db, -10, 35).mean())


def one_channel() -> dict[str, Callable[[Array], Array]]:
    """Name the candidates."""
    found: dict[str, Callable[[Array], Array]] = {
        "serein spectral_subtraction": spectral_subtraction,
        "serein wiener": wiener,
    }
    if pyroomacoustics:
        room = pyroomacoustics.denoise
        found["pyroomacoustics apply_spectral_sub"] = room.apply_spectral_sub
        found["pyroomacoustics, db_reduc=10 beta=20 alpha=3"] = lambda noisy: (
            room.apply_spectral_sub(noisy, nfft=512, db_reduc=10, lookback=5, beta=20, alpha=3)
        )
        found["pyroomacoustics apply_iterative_wiener"] = room.apply_iterative_wiener
    if noisereduce:
        reduce = noisereduce.reduce_noise
        found["noisereduce non-stationary"] = lambda noisy: reduce(noisy, RATE_HZ)
        found["noisereduce stationary"] = lambda noisy: reduce(noisy, RATE_HZ, stationary=True)
        found["noisereduce stationary n_fft=512"] = lambda noisy: reduce(
            noisy, RATE_HZ, stationary=True, n_fft=512
        )
    return found


def without_delay(cleaned: Array, noisy: Array) -> Array:
    """Shift a streaming method's output back: only the delays of whole hops are tried."""
    best = max(
        (0, 128, 256, 512), key=lambda d: float(np.dot(cleaned[d:], noisy[: noisy.size - d]))
    )
    return np.concatenate([cleaned[best:], np.zeros(best)])


def compare_one_channel(cases: list[Case]) -> None:
    """Print gain by method, noise and level, and the compute."""
    levels = " ".join(f"{kind + ' 0/5/10 dB':>19}" for kind in NOISES)
    print(f"{'segmental SNR gain, dB':46} {levels} {'mean':>6} {'ms/s':>7} {'clips':>5}")
    for name, method in one_channel().items():
        gains, ms_per_s = judge(method, cases[: SLOW_CLIPS * 9])
        clips = SLOW_CLIPS
        if ms_per_s < 100:
            gains, ms_per_s = judge(method, cases)
            clips = len(cases) // 9
        cells = [
            "/".join(f"{np.mean(gains[kind, snr_db]):5.2f}" for snr_db in SNRS_DB)
            for kind in NOISES
        ]
        mean = np.mean([np.mean(cell) for cell in gains.values()])
        row = " ".join(f"{cell:>19}" for cell in cells)
        print(f"{name:46} {row} {mean:6.2f} {ms_per_s:7.2f} {clips:5}", flush=True)


def judge(
    method: Callable[[Array], Array], cases: list[Case]
) -> tuple[dict[tuple[str, int], list[float]], float]:
    """Give gains in dB by noise and level, and milliseconds a second of audio."""
    gains = defaultdict(list)
    spent = 0.0
    for kind, snr_db, clean, noisy in cases:
        begun = time.perf_counter()
        raw = method(noisy)
        spent += time.perf_counter() - begun
        cleaned = without_delay(raw, noisy)
        gain = segmental_snr_db(clean, cleaned) - segmental_snr_db(clean, noisy)
        gains[kind, snr_db].append(gain)
    return gains, 1000 * spent * RATE_HZ / sum(case[3].size for case in cases)


def two_channels() -> dict[str, Callable[[Array, Array], Array]]:
    """Name the adaptive filters; libraries get the step and forgetting that ours has by default."""
    found: dict[str, Callable[[Array, Array], Array]] = {
        f"serein {name}": lambda noisy, reference, name=name: (
            adaptive(noisy, reference, method=name, taps=TAPS).signal
        )
        for name in ("lms", "nlms", "rls")
    }
    if padasip:
        kinds = padasip.filters
        found["padasip NLMS"] = with_padasip(lambda: kinds.FilterNLMS(TAPS, mu=0.02, w="zeros"))
        found["padasip RLS"] = with_padasip(lambda: kinds.FilterRLS(TAPS, mu=0.9998, w="zeros"))
    if pyroomacoustics:
        room = pyroomacoustics.adaptive
        found["pyroomacoustics NLMS"] = with_room(lambda: room.NLMS(TAPS, mu=0.02))
        found["pyroomacoustics BlockLMS nlms L=32"] = with_room(
            lambda: room.BlockLMS(TAPS, mu=0.02, L=32, nlms=True)
        )
        found["pyroomacoustics RLS"] = with_room(lambda: room.RLS(TAPS, lmbd=0.9998, dtype=float))
        found["pyroomacoustics BlockRLS"] = with_room(
            lambda: room.BlockRLS(TAPS, lmbd=0.9998, dtype=float)
        )
    return found


def with_padasip(make: Callable[[], object]) -> Callable[[Array, Array], Array]:
    """Run a padasip filter: it wants the reference's past as a matrix."""

    def cancel(noisy: Array, reference: Array) -> Array:
        padded = np.pad(reference, (TAPS - 1, 0))
        past = np.lib.stride_tricks.sliding_window_view(padded, TAPS)[:, ::-1]
        return make().run(noisy, np.ascontiguousarray(past))[1]

    return cancel


def with_room(make: Callable[[], object]) -> Callable[[Array, Array], Array]:
    """Run a pyroomacoustics filter: it keeps no errors, so each is taken before the update."""

    def cancel(noisy: Array, reference: Array) -> Array:
        filter_ = make()
        padded = np.pad(reference, (TAPS - 1, 0))
        left = np.empty_like(noisy)
        for k, wanted in enumerate(noisy):
            left[k] = wanted - padded[k : k + TAPS][::-1] @ filter_.w
            filter_.update(reference[k], wanted)
        return left

    return cancel


def compare_adaptive(clips: list[Array], others: list[Array], rng: np.random.Generator) -> None:
    """Print how well a noise is cancelled that came over a path of 24 taps, at 5 dB."""
    print(
        f"\n{'reference given, segmental SNR gain, dB':46}", *(f"{n:>7}" for n in NOISES), "   ms/s"
    )
    path = rng.standard_normal(24) * 0.8 ** np.arange(24)
    cases = []
    for clean in clips[:6]:
        for kind in NOISES:
            reference = 0.1 * make_noise(kind, clean.size, others, rng)
            heard = at_level(np.convolve(reference, path)[: clean.size], clean, 5)
            cases.append((kind, clean, clean + heard, reference))
    seconds = sum(case[1].size for case in cases) / RATE_HZ
    for name, cancel in two_channels().items():
        gains = defaultdict(list)
        spent = 0.0
        for kind, clean, noisy, reference in cases:
            begun = time.perf_counter()
            cleaned = cancel(noisy, reference)
            spent += time.perf_counter() - begun
            gains[kind].append(segmental_snr_db(clean, cleaned) - segmental_snr_db(clean, noisy))
        row = " ".join(f"{np.mean(gains[kind]):7.2f}" for kind in NOISES)
        print(f"{name:46} {row} {1000 * spent / seconds:7.1f}", flush=True)


if __name__ == "__main__":
    main()
