"""Training of the detector that tells speech from other sounds.

It is trained on the corpora's clips, clean and with noise, against synthetic sounds, and evaluated
on unseen speakers and unseen kinds of sound.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import GroupKFold

from serein.audio import nonspeech
from serein.audio.read import read_audio
from serein.engine import each, torch_threads, usable_cores
from serein.experiment.prepare import Front, Prepared, Progress, ProgressBar, stack
from serein.features.frontend import FrontEnd
from serein.models.linear import MaskedLogisticRegression
from serein.models.pipelines import Pooled

Array = npt.NDArray[np.float32]

CLIPS = 900  # of the corpora, clean and again with noise
SOUNDS = 60  # of each kind that is not speech
FEW = 400  # take less time than starting other processes
SNR_DB = (0.0, 30.0)
MISS_RATE = 0.002  # of held-out speech: sets the threshold
THRESHOLD_RANGE = (0.02, 0.5)


@dataclass(frozen=True)
class SpeechDetector:
    """A trained detector, its threshold and its scores on unseen speakers and kinds of sound."""

    classifier: Any
    threshold: float
    speech_heard: float
    sounds_refused: float


def train_speech_detector(
    prepared: Prepared, *, seed: int, progress_bar: ProgressBar
) -> SpeechDetector:
    """Train and evaluate the detector on a recipe's features."""
    front = cast("Front", prepared.front)  # features of a table are refused before
    generator = np.random.default_rng(seed)
    clips = _with_speech(prepared)
    count = min(CLIPS, len(clips))
    chosen = np.sort(generator.choice(clips, count, replace=False))
    noisy = [draw_noisy(prepared.corpus.paths[row], generator) for row in chosen]
    kinds = np.repeat(sorted(nonspeech.KINDS), SOUNDS)
    drawn = [nonspeech.draw(generator, str(kind)) for kind in kinds]
    with progress_bar("speech detector") as progress, torch_threads(1):
        described = describe_sounds([*noisy, *drawn], front, progress)
    speakers = np.array(prepared.speakers)[chosen]
    X = _below(prepared.voice[chosen], stack(described, front))
    y = np.repeat([True, False], [2 * count, len(drawn)])
    groups = np.concatenate([speakers, speakers, kinds])
    held_out = _held_out(X, y, groups, prepared.width)
    threshold = float(np.clip(np.quantile(held_out[y], MISS_RATE), *THRESHOLD_RANGE))
    return SpeechDetector(
        _fit(X, y, prepared.width),
        threshold,
        speech_heard=float(np.mean(held_out[y] >= threshold)),
        sounds_refused=float(np.mean(held_out[~y] < threshold)),
    )


def _with_speech(prepared: Prepared) -> npt.NDArray[np.intp]:
    """List the clips that hold speech: all but those of a corpus of vocal bursts."""
    own = {clip.corpus for clip in prepared.bursts or ()}
    return np.flatnonzero(~np.isin(prepared.origin, sorted(own)))


@dataclass(frozen=True)
class NoisySpeech:
    """A clip and the sound to mix under it."""

    file: Path
    sound: nonspeech.Sound
    snr_db: float

    def signal(self) -> Array:
        """Mix the two; a short sound is repeated."""
        speech = read_audio(self.file)
        noise = np.resize(self.sound.signal(), speech.size)
        power = np.mean(np.square(noise)) + 1e-12
        gain = np.sqrt(np.mean(np.square(speech)) / power / 10 ** (self.snr_db / 10))
        return speech + np.float32(gain) * noise


def draw_noisy(file: Path, generator: np.random.Generator) -> NoisySpeech:
    """Draw a sound to mix under a clip."""
    kind = str(generator.choice(sorted(nonspeech.KINDS)))
    return NoisySpeech(file, nonspeech.draw(generator, kind), float(generator.uniform(*SNR_DB)))


class Signal(Protocol):
    """What makes its samples when they are needed."""

    def signal(self) -> Array:
        """Return shape (samples,), float32, mono at 16 kHz."""


def describe_sounds(drawn: Sequence[Signal], front: Front, progress: Progress) -> list[Array]:
    """Extract the features of sounds."""
    extract, found = partial(_features, front=front), []
    with ThreadPoolExecutor(usable_cores()) as pool:
        if isinstance(front, FrontEnd):  # written in Python: threads would wait for each other
            arrays = each(extract, drawn, jobs=-1 if len(drawn) > FEW else 1)
        else:
            arrays = pool.map(extract, drawn)
        for array in arrays:
            found.append(array)
            progress(len(found), len(drawn))
    return found


def _features(sound: Signal, front: Front) -> Array:
    return front(sound.signal())


def _below(first: Array, second: Array) -> Array:
    """Put matrices one below the other; the narrower one is padded with NaN."""
    columns = max(first.shape[1], second.shape[1])
    rows = np.full((len(first) + len(second), columns), np.nan, np.float32)
    rows[: len(first), : first.shape[1]] = first
    rows[len(first) :, : second.shape[1]] = second
    return rows


def _fit(X: Array, y: npt.NDArray[np.bool_], width: int | None) -> Any:
    weight = np.where(y, 0.5 / y.mean(), 0.5 / (1 - y.mean()))
    classifier: Any = MaskedLogisticRegression(C=0.02)
    if width is not None:
        classifier = Pooled(classifier, width=width)
    return classifier.fit(X, y, sample_weight=weight)


def _held_out(
    X: Array, y: npt.NDArray[np.bool_], groups: npt.NDArray[np.str_], width: int | None
) -> npt.NDArray[np.float64]:
    """Return the probability of speech for unseen speakers and unseen kinds of sound."""
    probability = np.empty(len(y))
    for train, test in GroupKFold(5).split(X, y, groups):
        probability[test] = _fit(X[train], y[train], width).predict_proba(X[test])[:, 1]
    return probability
