"""Features beside openSMILE, Praat and librosa, in one run on one thread: part of `make bench`."""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

from collections.abc import Callable
from functools import partial
from pathlib import Path

import librosa
import numpy as np
import opensmile
import parselmouth
import turns

import serein
from serein.features import descriptors
from serein.features.feature_sets import SETS, series

SAMPLE = Path(__file__).parent.parent / "samples" / "espeak-english-slow-low.flac"
RATE_HZ = 16_000
SECONDS = 10
TURNS = 7
GRID = {"n_fft": 400, "hop_length": 160, "pad_mode": "constant"}


def main() -> None:
    """Print the table, and keep it for the page."""
    turns.main(__doc__, measured)


def measured() -> list[turns.Row]:
    """Time each set of features, beside a peer where there is one."""
    voice = np.resize(serein.read_audio(SAMPLE), SECONDS * RATE_HZ)
    return [
        turns.beside(
            name,
            turns.ms(partial(ours, voice), per=SECONDS),
            peer,
            turns.ms(theirs, per=SECONDS) if theirs else None,
            unit="ms",
            turns=TURNS,
        )
        for name, (ours, peer, theirs) in pairs(voice).items()
    ]


def pairs(voice: np.ndarray) -> dict[str, tuple[Callable, str, Callable | None]]:
    """Set up what is compared: ours, the peer's name, the peer."""
    sound = parselmouth.Sound(voice.astype(np.float64), RATE_HZ)
    smile = opensmile.Smile(
        opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals, num_workers=1
    )
    lib = librosa.feature
    ten = list(descriptors.COLUMNS)
    compared: dict[str, tuple[Callable, str, Callable | None]] = {
        "expert": (
            one("expert"),
            "openSMILE eGeMAPSv02",
            lambda: smile.process_signal(voice, RATE_HZ),
        ),
        "f0": (one("f0"), "Praat, To Pitch (ac)", sound.to_pitch_ac),
        "f0, against librosa": (one("f0"), "librosa yin", lambda: yin(voice)),
        "formants": (one("formants"), "Praat, To Formant (burg)", sound.to_formant_burg),
        "voice_quality": (
            one("voice_quality"),
            "Praat, point process, jitter",
            lambda: jitter(sound),
        ),
        "intensity": (one("intensity"), "Praat, To Intensity", sound.to_intensity),
        "mel": (one("mel"), "librosa", lambda: lib.melspectrogram(y=voice, sr=RATE_HZ, **GRID)),
        "mfcc": (one("mfcc"), "librosa", lambda: lib.mfcc(y=voice, sr=RATE_HZ, n_mfcc=13, **GRID)),
        f"the {len(ten)} spectral descriptors": (
            lambda signal: series(signal, ten),
            "librosa, those it has",
            lambda: spectral(voice),
        ),
    }
    rest = [name for name in SETS if name not in compared and name not in ten]
    return compared | {name: (one(name), "", None) for name in rest}


def one(name: str) -> Callable[[np.ndarray], object]:
    """Compute one set."""
    return lambda signal: series(signal, [name])


def yin(voice: np.ndarray) -> object:
    """Track F0 with librosa's fast method."""
    return librosa.yin(voice, fmin=75, fmax=600, sr=RATE_HZ, hop_length=160)


def jitter(sound: parselmouth.Sound) -> object:
    """Measure jitter and shimmer with Praat."""
    call = parselmouth.praat.call
    points = call(sound, "To PointProcess (periodic, cc)", 75, 600)
    limits = (0, 0, 0.0001, 0.02, 1.3)
    return (
        call(points, "Get jitter (local)", *limits),
        call([sound, points], "Get shimmer (local)", *limits, 1.6),
        sound.to_harmonicity_cc(),
    )


def spectral(voice: np.ndarray) -> list[object]:
    """Compute librosa's counterparts, from one spectrogram."""
    S = np.abs(librosa.stft(voice, **GRID))
    lib = librosa.feature
    return [
        lib.spectral_centroid(S=S, sr=RATE_HZ),
        lib.spectral_bandwidth(S=S, sr=RATE_HZ),
        lib.spectral_rolloff(S=S, sr=RATE_HZ),
        lib.spectral_flatness(S=S),
        lib.spectral_contrast(S=S, sr=RATE_HZ),
        lib.chroma_stft(S=S**2, sr=RATE_HZ, tuning=0),
        lib.rms(S=S, frame_length=400),
        lib.zero_crossing_rate(voice, frame_length=400, hop_length=160),
    ]


if __name__ == "__main__":
    main()
