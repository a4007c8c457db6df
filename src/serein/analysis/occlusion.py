"""Explanation of one prediction by occlusion in time and frequency, and by its features.

Each moment, band or group of features is replaced by itself and the model predicts again; the fall
of the emotion's probability is its importance: positive speaks for the emotion, negative against
it. This says what the model uses, not what causes an emotion, and parts that only work together can
each look unimportant.

References
----------
M. D. Zeiler and R. Fergus, "Visualizing and understanding convolutional networks", ECCV 2014,
section 4.2: occlusion, here over time and over frequency.

L. Breiman, "Random forests", Machine Learning 45, 2001, section 10; A. Fisher, C. Rudin and
F. Dominici, "All models are wrong, but many are useful", Journal of Machine Learning Research
20(177), 2019: permutation importance, here of one prediction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from typing import Any

import numpy as np
import numpy.typing as npt

from serein.analysis.explanation import Band, Explanation, FeatureGroup, Moment
from serein.audio.frames import power_spectra
from serein.audio.read import RATE_HZ, Signal, check_signal
from serein.errors import AudioError, SettingError, check_name, check_range
from serein.features.feature_sets import group_columns
from serein.features.frontend import FRAME, FrontEnd, frame_rms, loud_rms
from serein.inference.prediction import Prediction
from serein.inference.recognizer import Recognizer, model_of
from serein.inference.timeline import window_starts
from serein.inference.window_model import is_silent

Array = npt.NDArray[np.float32]
Values = npt.NDArray[np.float64]
Progress = Callable[[int, int], None]

BANDS_HZ = (0.0, 377.0, 754.0, 1145.0, 1689.0, 2492.0, 3676.0, 5423.0, 8000.0)  # equal in mel
RAMP_HZ = 40.0  # width of the edge of a band
FADE_SAMPLES = 160  # 10 ms from sound to noise and back
NOISE_DB = -30.0  # level of the noise under that of the loud frames, at most
QUIET_SHARE = 10  # the noise is that of the quietest frames, one in so many
MIN_HOPS = 8  # of a window of the recognizer, however the hops are widened
MAX_FEATURE_QUERIES = 5000  # a vector is a thousand times as fast as a sound
INPUTS = {
    "log_mel": "a log-mel spectrogram",
    "waveform": "the samples themselves",
    "features": "a series of frames",
}


def explain(
    recognizer: Recognizer,
    signal: Signal,
    *,
    window_s: float = 0.4,
    hop_s: float = 0.1,
    emotion: str | None = None,
    bands: Sequence[float] = BANDS_HZ,
    background: Sequence[Signal] | None = None,
    budget: int = 600,
    progress: Progress = lambda done, total: None,
    random_state: int | np.random.Generator | None = 0,
) -> Explanation:
    """Explain a prediction: what in a recording speaks for an emotion.

    Stretches of sound are replaced by noise as in the quiet moments of this recording, then each
    band of frequencies; then, for models of named features, each group of features by that of
    other recordings.

    Parameters
    ----------
    recognizer : Recognizer
        With any model.
    signal : numpy.ndarray
        Shape (samples,), float32, mono at 16 kHz; at least twice `window_s` long.
    window_s, hop_s : float
        Length of an occluded stretch, at most half of the recognizer's window, and the step to the
        next, in seconds.
    emotion : str, optional
        One of the recognizer's labels; the predicted one if not given.
    bands : sequence of float
        Edges of the bands in Hz, rising, 0 to 8000; none for no bands.
    background : sequence of numpy.ndarray, optional
        Other recordings, as `signal`, whose features replace this one's; their middle is used.
    budget : int
        Most predictions of the network for stretches and bands. For long recordings the hop is
        widened, to an eighth of the recognizer's window at most; then only the windows of the
        highest probability are examined, at least one.
    progress : callable, optional
        Called with (predictions done, predictions in all).
    random_state : int, numpy.random.Generator or None
        Of the noise, and of the draws from the background.

    Returns
    -------
    Explanation
        Importance of moments, bands and features.

    Raises
    ------
    AudioError
        If a signal is not one or is too short, or there is no speech to explain.
    SettingError
        If the recognizer has no such emotion, or another setting is outside what is allowed.

    Examples
    --------
    >>> from serein.inference.load import load
    >>> explain(load(), np.zeros(16000, dtype=np.float32))
    Traceback (most recent call last):
    serein.errors.AudioError: no speech in this recording: there is nothing to explain
    """
    _check_settings(window_s, hop_s, bands, budget, longest_s=recognizer.window_s / 2)
    signal = check_signal(signal, limits=recognizer.limits)
    if signal.size < 2 * window_s * RATE_HZ:
        raise AudioError(
            f"the recording is {signal.size / RATE_HZ:.2f} s; occluding {window_s:g} s at a time "
            f"needs {2 * window_s:g} s: give a shorter window_s, or a longer recording"
        )
    prediction, chosen = _predicted(recognizer, signal, emotion)
    generator = np.random.default_rng(random_state)
    windows = _speech_windows(recognizer, signal, prediction, chosen)
    grid, windows = _within_budget(windows, _Grid.of(window_s, hop_s), len(bands), budget)
    named = _NamedFeatures.of(recognizer, background, len(windows))
    others = max(0, len(bands) - 1) + named.draws * len(named.groups)
    total = sum(len(grid.starts(window)) + others for window in windows)
    model = _Model(recognizer, chosen, lambda done: progress(done, total))
    noise = _Noise.of(signal)
    pairs = [(window, noise.draw(window.sound.size, generator)) for window in windows]
    curve = _over_time(model, pairs, grid, signal.size)
    return Explanation(
        prediction=prediction,
        emotion=chosen,
        probability=prediction.probabilities[chosen],
        moments=_moments(curve, grid, signal.size),
        bands=_over_frequency(model, pairs, bands),
        features=_over_features(model, windows, named, generator),
        note=named.note,
        window_s=grid.stretch / RATE_HZ,
        hop_s=grid.hop / RATE_HZ,
        examined_s=_covered(windows) / RATE_HZ,
        questions=model.questions,
    )


@dataclass(frozen=True)
class _Window:
    """A window of the recognizer with speech in it."""

    start: int  # sample
    sound: Signal
    probability: float  # of the explained emotion
    weight: float  # seconds of its segment


@dataclass(frozen=True)
class _Grid:
    """Where stretches lie: every `hop` samples from 0, each `stretch` samples long."""

    stretch: int
    hop: int

    @classmethod
    def of(cls, window_s: float, hop_s: float) -> _Grid:
        return cls(round(window_s * RATE_HZ), round(hop_s * RATE_HZ))

    def starts(self, window: _Window) -> npt.NDArray[np.int64]:
        """First samples of the stretches that occlude a part of a window."""
        first = (window.start - self.stretch) // self.hop + 1
        last = (window.start + window.sound.size - 1) // self.hop
        return np.arange(first, last + 1) * self.hop


class _Model:
    """The probability of one emotion; counts the predictions."""

    def __init__(
        self, recognizer: Recognizer, emotion: str, progress: Callable[[int], None]
    ) -> None:
        self._model = model_of(recognizer)
        self._index = recognizer.labels.index(emotion)
        self._progress = progress
        self.questions = 0

    def of_sound(self, sound: Signal) -> float:
        return self._counted(self._model.of_signal(sound))

    def of_vector(self, vector: Array) -> float:
        return self._counted(self._model.of_features(vector))

    def _counted(self, probabilities: npt.NDArray[Any]) -> float:
        self.questions += 1
        self._progress(self.questions)
        return float(probabilities[self._index])


@dataclass(frozen=True)
class _Noise:
    """Noise as in the quiet moments of a recording."""

    spectrum: Values  # amplitude, shape (bins,)
    rms: float

    @classmethod
    def of(cls, signal: Signal) -> _Noise:
        """Measure the quietest frames of a recording."""
        rms = frame_rms(signal)
        quietest = np.argsort(rms, kind="stable")[: max(1, rms.size // QUIET_SHARE)]
        frames = signal[: rms.size * FRAME].reshape(-1, FRAME)[quietest]
        power = power_spectra(frames)
        level = float(np.sqrt(np.mean(np.square(rms[quietest]))))
        highest = loud_rms(rms) * 10 ** (NOISE_DB / 20)
        return cls(np.sqrt(power.mean(axis=0, dtype=np.float64)), min(level, highest))

    def draw(self, samples: int, generator: np.random.Generator) -> Signal:
        """Make noise of this spectrum and level, shape (samples,)."""
        white = np.fft.rfft(generator.standard_normal(samples))
        known = np.linspace(0, 1, self.spectrum.size)
        shape = np.interp(np.linspace(0, 1, white.size), known, self.spectrum)
        noise = np.fft.irfft(white * shape, samples)
        rms = float(np.sqrt(np.mean(noise**2)))
        return (noise * (self.rms / rms if rms else 0.0)).astype(np.float32)


@dataclass(frozen=True)
class _NamedFeatures:
    """The named features of a model, and those of other recordings; none with a reason."""

    front_end: FrontEnd
    groups: dict[str, list[int]]
    others: Array  # shape (recordings, features)
    draws: int  # of the others, for each group and window
    note: str

    @classmethod
    def of(
        cls, recognizer: Recognizer, background: Sequence[Signal] | None, windows: int
    ) -> _NamedFeatures:
        model = model_of(recognizer)
        front_end = model.front_end
        none = np.empty((0, 0), dtype=np.float32)
        if not (front_end.inputs == "features" and front_end.functionals):
            note = f"no named features: the input of this model is {INPUTS[front_end.inputs]}"
            return cls(front_end, {}, none, 0, note)
        if background is None:
            note = "no features: their importance needs other recordings as a background"
            return cls(front_end, {}, none, 0, note)
        others = _vectors(front_end, background, model.window)
        groups = group_columns(front_end.sets, front_end.functionals)
        draws = max(1, MAX_FEATURE_QUERIES // (len(groups) * windows))
        return cls(front_end, groups, others, min(len(others), draws), "")


def _check_settings(
    window_s: float, hop_s: float, bands: Sequence[float], budget: int, *, longest_s: float
) -> None:
    check_range("window_s", window_s, 0.02, longest_s)
    check_range("hop_s", hop_s, 0.01, window_s)
    check_range("budget", budget, 1, inf)
    rising = all(low < high for low, high in pairwise(bands))
    if len(bands) == 1 or not rising or any(not 0 <= edge <= RATE_HZ / 2 for edge in bands):
        raise SettingError(
            f"bands is {list(bands)}; allowed: two edges or more, rising, 0 to {RATE_HZ // 2} Hz"
        )


def _predicted(
    recognizer: Recognizer, signal: Signal, emotion: str | None
) -> tuple[Prediction, str]:
    """Predict, and choose the emotion that is explained."""
    if emotion is not None:
        check_name("emotion", emotion, recognizer.labels)
    prediction = recognizer.predict(signal, rate=RATE_HZ)
    if not prediction.speech:
        raise AudioError(
            "no speech in this recording: there is nothing to explain",
            to_try="serein plot RECORDING",
        )
    return prediction, emotion or str(prediction.likeliest)


def _speech_windows(
    recognizer: Recognizer, signal: Signal, prediction: Prediction, emotion: str
) -> list[_Window]:
    """Cut the windows with speech, for which the recognizer predicts an emotion."""
    length, hop = model_of(recognizer).window, model_of(recognizer).hop
    return [
        _Window(
            start,
            signal[start : start + length],
            segment.probabilities[emotion],
            segment.end - segment.start,
        )
        for start, segment in zip(
            window_starts(signal.size, length, hop), prediction.timeline, strict=True
        )
        if segment.speech
    ]


def _within_budget(
    windows: list[_Window], grid: _Grid, edges: int, budget: int
) -> tuple[_Grid, list[_Window]]:
    """Widen the hop, then leave out windows, until the predictions are within the budget."""
    wider = grid
    for hop in range(grid.hop, max(grid.hop, windows[0].sound.size // MIN_HOPS) + 1, grid.hop):
        wider = grid if hop == grid.hop else _Grid(max(grid.stretch, 2 * hop), hop)
        each = len(wider.starts(windows[0])) + max(0, edges - 1)
        if each * len(windows) <= budget:
            return wider, windows
    highest = sorted(windows, key=lambda window: -window.probability)
    kept = highest[: max(1, budget // each)]
    return wider, sorted(kept, key=lambda window: window.start)


def _over_time(
    model: _Model, pairs: list[tuple[_Window, Signal]], grid: _Grid, samples: int
) -> Values:
    """Occlude stretch by stretch; importance of each hop: (hops,), NaN outside all windows."""
    hops = np.arange(-(-samples // grid.hop))
    centres = np.minimum(hops * grid.hop + grid.hop // 2, samples - 1)
    sums, count = np.zeros(hops.size), np.zeros(hops.size)
    for window, noise in pairs:
        starts = grid.starts(window)
        falls = [
            window.probability - model.of_sound(_occluded(window.sound, noise, first, grid.stretch))
            for first in (starts - window.start).tolist()
        ]
        inside = (window.start <= centres) & (centres < window.start + window.sound.size)
        since = centres[inside, None] - starts
        covering = (since >= 0) & (since < grid.stretch)
        sums[inside] += covering @ np.array(falls) / covering.sum(axis=1)
        count[inside] += 1
    return np.divide(sums, count, out=np.full(hops.size, np.nan), where=count > 0)


def _occluded(sound: Signal, noise: Signal, first: int, length: int) -> Signal:
    """Replace a stretch by noise, with fades at its ends."""
    since = np.arange(sound.size) - first
    share = np.clip(np.minimum(since, length - since) / FADE_SAMPLES + 0.5, 0, 1).astype(np.float32)
    return sound + share * (noise - sound)


def _moments(curve: Values, grid: _Grid, samples: int) -> tuple[Moment, ...]:
    edges = (np.minimum(np.arange(curve.size + 1) * grid.hop, samples) / RATE_HZ).tolist()
    return tuple(
        Moment(start, end, importance)
        for (start, end), importance in zip(pairwise(edges), curve.tolist(), strict=True)
        if np.isfinite(importance)
    )


def _over_frequency(
    model: _Model, pairs: list[tuple[_Window, Signal]], edges: Sequence[float]
) -> tuple[Band, ...]:
    falls = np.zeros((len(pairs), max(0, len(edges) - 1)))
    for row, (window, noise) in enumerate(pairs):
        sound, noise_spectrum = np.fft.rfft(window.sound), np.fft.rfft(noise)
        above = [_above(edge, sound.size) for edge in edges]
        for column in range(falls.shape[1]):
            share = above[column] - above[column + 1]
            occluded = sound + share * (noise_spectrum - sound)
            changed = np.fft.irfft(occluded, window.sound.size).astype(np.float32)
            falls[row, column] = window.probability - model.of_sound(changed)
    means = np.average(falls, axis=0, weights=[window.weight for window, _ in pairs])
    return tuple(map(Band, edges, edges[1:], means.tolist()))


def _above(edge_hz: float, bins: int) -> Values:
    """Share of each bin of a spectrum that lies above an edge: 0 to 1, with a ramp."""
    if edge_hz <= 0 or edge_hz >= RATE_HZ / 2:
        return np.full(bins, float(edge_hz <= 0))
    return np.clip((np.linspace(0, RATE_HZ / 2, bins) - edge_hz) / RAMP_HZ + 0.5, 0, 1)


def _over_features(
    model: _Model, windows: list[_Window], named: _NamedFeatures, generator: np.random.Generator
) -> tuple[FeatureGroup, ...]:
    falls = np.zeros((len(windows), len(named.groups)))
    for row, window in enumerate(windows if named.groups else []):
        vector = named.front_end(window.sound)
        for number, columns in enumerate(named.groups.values()):
            for other in generator.permutation(len(named.others))[: named.draws]:
                changed = vector.copy()
                changed[columns] = named.others[other, columns]
                falls[row, number] += window.probability - model.of_vector(changed)
    means = np.average(falls, axis=0, weights=[window.weight for window in windows])
    means = means / max(1, named.draws)
    found = [
        FeatureGroup(name, len(columns), mean)
        for (name, columns), mean in zip(named.groups.items(), means.tolist(), strict=True)
    ]
    return tuple(sorted(found, key=lambda group: -abs(group.importance)))


def _vectors(front_end: FrontEnd, background: Sequence[Signal], length: int) -> Array:
    """Compute features of the middle of other recordings: (recordings, features)."""
    rows = []
    for signal in background:
        checked = check_signal(signal)
        start = max(0, (checked.size - length) // 2)
        middle = checked[start : start + length]
        if not is_silent(middle):
            rows.append(front_end(middle))
    if not rows:
        raise SettingError(
            f"the background holds {len(background)} recordings, none with sound in its middle; "
            "give other recordings of speech"
        )
    return np.stack(rows)


def _covered(windows: list[_Window]) -> int:
    """Count the samples that lie in at least one of the windows, which are in order."""
    covered = end = 0
    for window in windows:
        last = window.start + window.sound.size
        covered += last - max(end, window.start)
        end = last
    return covered
