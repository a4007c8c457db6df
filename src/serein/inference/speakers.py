"""Who speaks when: windows of speech, their speaker embeddings, and clusters of these.

Needs the extra [speakers].
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Literal

import numpy as np
import numpy.typing as npt

from serein.audio.frames import HOP
from serein.audio.read import Signal
from serein.audio.utterances import Span
from serein.audio.voice import CHUNK, speaking_runs
from serein.errors import MissingExtraError, SettingError
from serein.features.speaker_embedding import WINDOW, SpeakerEncoder

Doubles = npt.NDArray[np.float64]
Labels = npt.NDArray[np.intp]
Speakers = int | Literal["auto"]
Turn = tuple[int, int, int]  # samples: first, and one after the last; the speaker, from 0

MAX_SPEAKERS = 20
MAX_FOUND = 8  # of `auto`
MAX_CLUSTERED = 1000  # windows: the time grows as the cube
STEP = 40  # frames from one window to the next
MIN_FRAMES = 80  # of a shorter window the voice is known too little to found a cluster
SAME_VOICE = 0.75  # cosine similarity of the mean vectors of two clusters of one voice
KERNEL_WIDTH = 0.1  # of cosine distance, for the affinity of two windows
CHANGE_WITHIN = 0.3  # what a change of speaker costs where speech goes on, in cosine similarity
CHANGE_AFTER_PAUSE = 0.03


def check_speakers(speakers: Speakers | None) -> None:
    """Check how many speakers are looked for."""
    if speakers is None or speakers == "auto":
        return
    whole = isinstance(speakers, int) and not isinstance(speakers, bool)
    if not whole or not 1 <= int(speakers) <= MAX_SPEAKERS:
        raise SettingError(f"speakers is {speakers!r}; allowed: auto, or 1 to {MAX_SPEAKERS}")


def find_turns(
    signal: Signal,
    probabilities: npt.NDArray[np.float32],
    utterances: Sequence[Span],
    speakers: Speakers,
) -> list[Turn]:
    """Cut utterances where the speaker changes, and say of each part who speaks.

    `probabilities`: of speech, (chunks,). Speakers are numbered in the order of first words; there
    are fewer than asked for where there are fewer windows of speech.
    """
    runs = [
        (first * CHUNK // HOP, min(end * CHUNK, signal.size) // HOP)
        for first, end in speaking_runs(probabilities)
        if any(start <= first * CHUNK + CHUNK // 2 < stop for start, stop in utterances)
    ]
    windows = [(number, *span) for number, run in enumerate(runs) for span in _windows(*run)]
    if not windows or speakers == 1:
        return [(start, end, 0) for start, end in utterances]
    table = np.array(windows)
    vectors = SpeakerEncoder(signal)(table[:, 1:]).astype(np.float64)
    centroids = _centroids(vectors, table[:, 2] - table[:, 1], speakers)
    labels = _decoded(vectors @ centroids.T, np.diff(table[:, 0]) > 0)
    return _ordered(_turns(utterances, table, labels))


def _windows(first: int, end: int) -> Iterator[Span]:
    """Lay windows over a run of speech, in frames; a short run is one window."""
    if end - first <= WINDOW:
        if end > first:
            yield first, end
        return
    for start in [*range(first, end - WINDOW, STEP), end - WINDOW]:
        yield start, start + WINDOW


def _centroids(vectors: Doubles, lengths: Labels, speakers: Speakers) -> Doubles:
    """Cluster the vectors of the longer windows; return the mean vector of each cluster."""
    long = lengths >= min(MIN_FRAMES, lengths.max())
    kept = vectors[long]
    kept = kept[:: -(-len(kept) // MAX_CLUSTERED)]
    return _means(kept, _clustered(kept, speakers))


def _clustered(vectors: Doubles, speakers: Speakers) -> Labels:
    """Cluster vectors into so many; or into as many as have mean vectors that are not alike.

    Source: Q. Wang, C. Downey, L. Wan, P. A. Mansfield, I. L. Moreno, "Speaker diarization with
    LSTM", ICASSP 2018 (spectral clustering).
    """
    if speakers != "auto":
        return _spectral(vectors, min(speakers, len(vectors)))
    found = _spectral(vectors, 1)
    for count in range(2, min(MAX_FOUND, len(vectors) - 1) + 1):
        labels = _spectral(vectors, count)
        means = _means(vectors, labels)
        if np.max(np.triu(means @ means.T, 1)) > SAME_VOICE:
            break
        found = labels
    return found


def _spectral(vectors: Doubles, count: int) -> Labels:
    if count == 1 or len(vectors) <= count:
        return np.arange(len(vectors)) % count
    try:
        from sklearn.cluster import SpectralClustering
    except ImportError as cause:
        raise MissingExtraError("telling speakers apart", "speakers") from cause

    method = SpectralClustering(
        count, affinity="precomputed", assign_labels="cluster_qr", random_state=0
    )
    affinity = np.exp((vectors @ vectors.T - 1) / KERNEL_WIDTH)
    labels: Labels = method.fit_predict(affinity).astype(np.intp)
    return labels


def _means(vectors: Doubles, labels: Labels) -> Doubles:
    """Return the mean vector of each cluster, of length 1."""
    means = np.array([vectors[labels == label].mean(axis=0) for label in np.unique(labels)])
    return means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)


def _decoded(similarity: Doubles, pause: npt.NDArray[np.bool_]) -> Labels:
    """Find the likeliest speakers of windows, (windows, speakers): Viterbi's algorithm.

    `pause`: between which windows there is one, (windows - 1,).
    """
    best, back = similarity[0], []
    for row, paused in zip(similarity[1:], pause, strict=True):
        cost = CHANGE_AFTER_PAUSE if paused else CHANGE_WITHIN
        change = best.max() - cost > best
        back.append(np.where(change, best.argmax(), np.arange(best.size)))
        best = np.where(change, best.max() - cost, best) + row
    path = [int(best.argmax())]
    for before in reversed(back):
        path.append(int(before[path[-1]]))
    return np.array(path[::-1])


def _turns(utterances: Sequence[Span], table: Labels, labels: Labels) -> Iterator[Turn]:
    """Cut each utterance between the windows of two speakers: in the pause, or half way."""
    middles = (table[:, 1] + table[:, 2]) * HOP // 2
    for start, end in utterances:
        inside = np.flatnonzero((middles >= start) & (middles < end))
        at = start
        for label, group in groupby(inside, key=lambda window: int(labels[window])):
            last = [*group][-1]
            stop = end if last == inside[-1] else _between(table[last], table[last + 1])
            yield at, stop, label
            at = stop
        if not inside.size:
            yield start, end, int(labels[np.abs(middles - start).argmin()])


def _between(one: Labels, other: Labels) -> int:
    """Return the sample at which speech of one window gives way to that of the next."""
    ends = (one[2], other[1]) if one[0] != other[0] else (one[1:].mean(), other[1:].mean())
    return int(sum(ends) / 2 * HOP)


def _ordered(turns: Iterator[Turn]) -> list[Turn]:
    """Give speakers numbers in the order of first words."""
    numbers: dict[int, int] = {}
    return [(start, end, numbers.setdefault(who, len(numbers))) for start, end, who in turns]
