"""F0 and formants beside Praat and openSMILE: `python bench/praat.py --data FOLDER_OF_CORPORA`.

Also what becomes of linear prediction when the signs of its coefficients are turned, which is what
openSMILE's formants look like.
"""

from __future__ import annotations

import argparse
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import opensmile
import parselmouth
import scipy.stats

import serein
from serein.audio.frames import frames, window
from serein.features.cepstral import levinson
from serein.features.formants import formants
from serein.features.pitch import f0
from serein.features.voice_quality import voice_quality

RATE_HZ = 16_000
LPC_RATE_HZ = 11_000  # as GeMAPS has it: order 11, frames of 20 ms, no pre-emphasis
ORDER = 11
NAMES = [f"F{k}frequency_sma3nz_amean" for k in (1, 2, 3)]


def main() -> None:
    """Print the agreement over EmoDB."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the corpora")
    files = serein.Corpus.load("emodb", parser.parse_args().data).paths
    with ProcessPoolExecutor() as pool:
        rows = list(pool.map(compare, files, chunksize=10))
    pitch = np.concatenate([row["pitch"] for row in rows])
    ours, praat = pitch[:, 0], pitch[:, 1]
    both = (ours > 0) & (praat > 0)
    agreed = np.mean((ours > 0) == (praat > 0))
    off = np.abs(ours[both] / praat[both] - 1)
    print(f"F0 against Praat, {len(files)} clips: median difference {np.median(off):.3%},")
    print(f"  gross errors {np.mean(off > 0.2):.2%}, voicing {agreed:.1%}")
    off = np.nanmedian(np.concatenate([row["formants"] for row in rows]), axis=0)
    print("F1, F2, F3 against Praat, median difference: " + ", ".join(f"{x:.2%}" for x in off))
    theirs = np.array([row["openSMILE"] for row in rows])
    for name in ("ours", "Praat", "LPC", "LPC, signs turned"):
        means = np.array([row[name] for row in rows])
        found = [
            scipy.stats.spearmanr(*pair).statistic for pair in zip(means.T, theirs.T, strict=True)
        ]
        words = ", ".join(f"{value:.2f}" for value in found)
        print(f"rank correlation of mean F1, F2, F3 with openSMILE's: {name:18} {words}")
    print_jitter(rows)


def print_jitter(rows: list[dict[str, np.ndarray]]) -> None:
    """Print how local jitter ranks the clips: ours, Praat's, openSMILE's."""
    ours, praat, smile = np.nan_to_num([row["jitter"] for row in rows]).T
    for name, pair in {
        "ours and Praat's": (ours, praat),
        "ours and openSMILE's": (ours, smile),
        "Praat's and openSMILE's": (praat, smile),
    }.items():
        print(f"rank correlation of jitter: {name:24} {scipy.stats.spearmanr(*pair).statistic:.2f}")


def praat_jitter(signal: np.ndarray) -> float:
    """Measure local jitter with Praat's usual settings."""
    call = parselmouth.praat.call
    sound = parselmouth.Sound(signal.astype(np.float64), RATE_HZ)
    points = call(sound, "To PointProcess (periodic, cc)", 75, 600)
    return call(points, "Get jitter (local)", 0, 0, 0.0001, 0.02, 1.3)


def compare(file: Path) -> dict[str, np.ndarray]:
    """Measure one clip with everything; Praat's frames are ours within 0.25 ms."""
    signal = serein.read_audio(file)
    signal = signal[: (signal.size - 8) // 160 * 160 + 8]
    sound = parselmouth.Sound(signal[: signal.size // 160 * 160].astype(np.float64), RATE_HZ)
    praat_f0 = sound.to_pitch_ac(time_step=0.01, pitch_floor=75, pitch_ceiling=600)
    mine_f0 = f0(signal)[:, 0]
    at = np.rint(praat_f0.xs() * 100).astype(int)
    tracks, voiced = formants(signal), mine_f0 > 0
    same, theirs = praat_formants(signal, voiced)
    smile = opensmile.Smile(
        opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals, num_workers=1
    )
    answer = smile.process_signal(signal, RATE_HZ)
    jitter = voice_quality(signal)[voiced, 0]
    return {
        "jitter": np.array(
            [jitter.mean(), praat_jitter(signal), answer["jitterLocal_sma3nz_amean"].iloc[0]]
        ),
        "pitch": np.stack([mine_f0[at], praat_f0.selected_array["frequency"]], axis=1),
        "formants": np.abs(tracks[same, :3] / theirs - 1),
        "openSMILE": answer[NAMES].to_numpy()[0],
        "ours": means(tracks[voiced]),
        "Praat": means(np.nan_to_num(theirs)),
        "LPC": means(lpc_formants(signal, sign=1)[voiced]),
        "LPC, signs turned": means(lpc_formants(signal, sign=-1)[voiced]),
    }


def praat_formants(signal: np.ndarray, voiced: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Track formants with Praat; give numbers of our frames and F1 to F3 there."""
    track = parselmouth.Sound(signal.astype(np.float64), RATE_HZ).to_formant_burg(
        time_step=0.005, maximum_formant=5500, window_length=0.025
    )
    number = np.rint(track.xs() * 100).astype(int)
    same = (np.abs(track.xs() * 100 - number) < 0.03) & voiced[number]
    values = [[track.get_value_at_time(k, time) for k in (1, 2, 3)] for time in track.xs()[same]]
    return number[same], np.array(values).reshape(-1, 3)


def lpc_formants(signal: np.ndarray, *, sign: int) -> np.ndarray:
    """Find the roots of the prediction polynomial as openSMILE's settings give it."""
    cut = frames(signal, 320) * window("hamming", 320)
    power = np.abs(np.fft.rfft(cut, 512, axis=1)) ** 2
    bins = 512 * LPC_RATE_HZ // RATE_HZ
    autocorrelation = np.fft.irfft(power[:, : bins // 2 + 1], bins, axis=1)[:, : ORDER + 1]
    autocorrelation[:, 0] += 1e-9
    weights, _ = levinson(autocorrelation.astype(np.float64))
    companion = np.zeros((len(weights), ORDER, ORDER))
    companion[:, 0] = sign * weights
    companion[:, np.arange(1, ORDER), np.arange(ORDER - 1)] = 1
    roots = np.linalg.eigvals(companion)
    hz = np.angle(roots) * LPC_RATE_HZ / (2 * np.pi)
    found = np.sort(np.where((roots.imag > 0) & (hz > 50) & (hz < 5450), hz, np.inf), axis=1)
    return np.where(np.isfinite(found), found, 0)


def means(tracks: np.ndarray) -> np.ndarray:
    """Mean of F1, F2, F3 over the frames that have them."""
    return np.array([column[column > 0].mean() if column.any() else 0.0 for column in tracks.T[:3]])


if __name__ == "__main__":
    main()
