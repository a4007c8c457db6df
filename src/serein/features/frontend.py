"""The front end of a recogniser: what is done to a signal before the network sees it.

Training and recognition share this one object; a bundle stores it, so the two cannot drift.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from serein.audio.read import RATE_HZ
from serein.errors import unknown_name
from serein.features.spectral import log_mel

Array = npt.NDArray[np.float32]

INPUTS = ("log_mel", "waveform", "features")
LEVELS = ("as_recorded", "speech_rms")
MAX_BANDS = 256
EDITION = 1  # raised whenever the same settings would give other numbers
SPEECH_RMS = 0.1  # the level, relative to full scale, to which `speech_rms` brings a voice
FRAME = 320  # samples: 20 ms
TRIM_DB = -30.0  # frames this far under the louder ones, at either end, are trimmed off
TRIM_MARGIN = 5  # frames kept before the first and after the last of the voice: 100 ms


@dataclass(frozen=True)
class FrontEnd:
    """Settings of the front end, and the front end itself: call it with a signal.

    Parameters
    ----------
    inputs : {"log_mel", "waveform", "features"}
        What the network eats: Whisper a log-mel spectrogram, the wav2vec 2.0 family samples, models
        without an encoder feature sets.
    bands : int
        Mel bands, for ``log_mel``.
    normalise : bool
        For ``waveform``: bring the samples to mean 0 and variance 1. For ``features``: each column
        of a series.
    level : {"as_recorded", "speech_rms"}
        ``speech_rms`` brings the louder part of the signal to a fixed level, so that the gain of a
        microphone does not matter.
    trim : bool
        Whether silence at either end is cut off, so that it does not matter how tightly a recording
        was cut.
    sets : tuple of str
        For ``features``: keys of `serein.features.feature_sets.SETS`.
    functionals : tuple of str
        For ``features``: how they are pooled to one vector; none for a series.
    step : int
        For ``features`` as a series: so many frames of 10 ms are averaged to one.

    Raises
    ------
    ValueError
        If a setting is not one of those listed.

    Examples
    --------
    >>> FrontEnd()(np.zeros(16000, dtype=np.float32)).shape
    (100, 80)
    """

    inputs: str = "log_mel"
    bands: int = 80
    normalise: bool = False
    level: str = "as_recorded"
    trim: bool = False
    sets: tuple[str, ...] = ()
    functionals: tuple[str, ...] = ()
    step: int = 1

    def __post_init__(self) -> None:
        if self.inputs not in INPUTS:
            raise ValueError(f"inputs is {self.inputs!r}; allowed: {', '.join(INPUTS)}")
        if self.level not in LEVELS:
            raise ValueError(f"level is {self.level!r}; allowed: {', '.join(LEVELS)}")
        if type(self.bands) is not int or not 1 <= self.bands <= MAX_BANDS:
            raise ValueError(f"bands is {self.bands!r}; allowed: a whole number, 1 to {MAX_BANDS}")
        for name in ("normalise", "trim"):
            if type(getattr(self, name)) is not bool:
                raise ValueError(f"{name} is {getattr(self, name)!r}; allowed: true or false")
        if self.inputs == "features":
            self._check_features()

    def __call__(self, signal: Array) -> Array:
        """Turn a signal into the network's input."""
        if self.trim:
            signal = trim_silence(signal)
        if self.level == "speech_rms":
            signal = to_speech_level(signal)
        if self.inputs == "log_mel":
            return log_mel(signal, bands=self.bands)
        if self.inputs == "features":
            return self._features(signal)
        return _standardise(signal) if self.normalise else signal

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain values, for a manifest."""
        settings = asdict(self) | {"sets": list(self.sets), "functionals": list(self.functionals)}
        if self.inputs != "features":
            for name in ("sets", "functionals", "step"):
                del settings[name]
        return settings | {"rate_hz": RATE_HZ, "edition": EDITION}

    @property
    def fingerprint(self) -> str:
        """The settings in 20 letters, for caches."""
        text = json.dumps(self.to_dict(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:20]

    @property
    def width(self) -> int | None:
        """Features a frame, for ``features`` as a series; else None."""
        if self.inputs != "features" or self.functionals:
            return None
        from serein.features.feature_sets import SETS

        return sum(len(SETS[name].columns) for name in self.sets)

    @classmethod
    def from_dict(cls, settings: dict[str, Any]) -> FrontEnd:
        """Rebuild a front end from `to_dict`'s values.

        Parameters
        ----------
        settings : dict
            As `to_dict` returned it.

        Returns
        -------
        FrontEnd
            An equal front end.

        Raises
        ------
        ValueError
            If a key is unknown, the rate is not 16 kHz or the edition is another.
        """
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(settings) - known - {"rate_hz", "edition"})
        if unknown:
            raise ValueError(f"unknown front-end settings: {', '.join(unknown)}")
        if settings.get("rate_hz", RATE_HZ) != RATE_HZ:
            raise ValueError(f"the front end's rate is {settings['rate_hz']} Hz, not {RATE_HZ} Hz")
        if settings.get("edition", EDITION) != EDITION:
            raise ValueError(f"the front end is of edition {settings['edition']}, not {EDITION}")
        values = {key: settings[key] for key in known & set(settings)}
        for key in {"sets", "functionals"} & set(values):
            values[key] = tuple(map(str, values[key]))
        return cls(**values)

    def _check_features(self) -> None:
        from serein.features.feature_sets import SETS
        from serein.features.functionals import FUNCTIONALS

        if not self.sets or len(set(self.sets)) < len(self.sets):
            raise ValueError(f"sets is {', '.join(self.sets) or 'empty'}; name one or more, once")
        for name in self.sets:
            if name not in SETS:
                raise ValueError(unknown_name("feature set", name, SETS))
            if SETS[name].vector is not None and not self.functionals:
                raise ValueError(f"{name} describes whole recordings: give functionals too")
        for name in self.functionals:
            if name not in FUNCTIONALS:
                raise ValueError(unknown_name("functional", name, FUNCTIONALS))
        if not isinstance(self.step, int) or not 1 <= self.step <= 100:
            raise ValueError(
                f"step is {self.step}; allowed: a whole number, 1 to 100 frames of 10 ms"
            )

    def _features(self, signal: Array) -> Array:
        from serein.features.feature_sets import describe

        functionals = self.functionals or None
        found = describe(signal, self.sets, functionals=functionals, per_utterance=self.normalise)
        return found if self.functionals or self.step == 1 else _averaged(found, self.step)


def frame_rms(signal: Array) -> Array:
    """Measure the level of consecutive 20 ms frames."""
    count = signal.size // FRAME
    frames = signal[: count * FRAME].reshape(count, FRAME) if count else signal[None]
    rms: Array = np.sqrt(np.mean(np.square(frames), axis=1))
    return rms


def loud_rms(rms: Array) -> float:
    """Take the 95th percentile of frame levels: how loud the voice is, whatever the pauses."""
    # not np.percentile: its first call imports numpy.ma, which costs a cold start 10 ms
    return float(np.interp(0.95 * (rms.size - 1), np.arange(rms.size), np.sort(rms)))


def trim_silence(signal: Array) -> Array:
    """Cut silence off both ends, to 100 ms from the voice.

    A 20 ms frame is silent if it is more than 30 dB under the 95th percentile of all.
    """
    rms = frame_rms(signal)
    voiced = np.flatnonzero(rms >= loud_rms(rms) * 10 ** (TRIM_DB / 20))
    first = max(0, voiced[0] - TRIM_MARGIN) * FRAME
    last = (voiced[-1] + 1 + TRIM_MARGIN) * FRAME
    return signal[first:last]


def to_speech_level(signal: Array) -> Array:
    """Scale a signal so that its louder frames have an RMS of 0.1.

    Frames within 20 dB of the 95th percentile count as voice. Digital silence stays as it is.
    """
    rms = frame_rms(signal)
    voiced = rms[rms >= 0.1 * loud_rms(rms)]
    level = float(np.sqrt(np.mean(np.square(voiced))))
    if level == 0.0:
        return signal
    result: Array = signal * np.float32(SPEECH_RMS / level)
    return result


def _averaged(series: Array, step: int) -> Array:
    """Average so many frames to one, shape (time, feature); the last may be of fewer."""
    edges = np.arange(0, len(series), step)
    counts = np.diff(np.append(edges, len(series)))[:, None]
    sums: Array = np.add.reduceat(series, edges, axis=0)
    return (sums / counts).astype(np.float32)


def _standardise(signal: Array) -> Array:
    result: Array = (signal - signal.mean()) / np.sqrt(signal.var() + 1e-7)
    return result
