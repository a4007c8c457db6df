"""The front end of a recognizer: from a signal to the input of its network.

Training and inference run the same object, and a bundle stores its settings.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from serein.audio.frames import Array
from serein.audio.read import RATE_HZ
from serein.errors import SettingError, check_name, renamed
from serein.features.spectral import log_mel

INPUTS = ("log_mel", "waveform", "features")
LEVELS = ("as_recorded", "speech_rms")
MAX_BANDS = 256
MAX_STEP = 100
EDITION = 1  # raised whenever the same settings would give other numbers
SPEECH_RMS = 0.1  # of full scale, for the level `speech_rms`
FRAME = 320  # samples: 20 ms
TRIM_DB = -30.0  # relative to the 95th percentile: frames below, at both ends, are trimmed
TRIM_MARGIN = 5  # frames kept before and after the speech: 100 ms
SMOOTHED = 9  # frames: noise, of voices above all, is judged by the power of 180 ms
FLOOR = 0.1  # the quantile of these that is the noise floor
OVER_FLOOR_DB = 10.0  # over the noise floor: frames below, at both ends, are noise …
MOST_NOISE_DB = -12.0  # … unless they are louder than this, relative to the 95th percentile


@renamed(normalise="utterance_normalisation")
@dataclass(frozen=True)
class FrontEnd:
    """Settings of the front end, and the front end itself: call it with a signal.

    Parameters
    ----------
    inputs : {"log_mel", "waveform", "features"}
        The network's input: a log-mel spectrogram (Whisper), samples (the wav2vec 2.0 family) or
        feature sets (models without an encoder).
    bands : int
        Mel bands, for ``log_mel``.
    utterance_normalisation : bool
        Whether each recording is brought to mean 0 and variance 1 by itself: its samples for
        ``waveform``, each column of its series for ``features``.
    level : {"as_recorded", "speech_rms"}
        ``speech_rms`` scales the signal so that its speech has an RMS of 0.1 of full scale; the
        gain of a microphone then does not matter.
    trim : bool
        Whether silence at both ends is cut off.
    trim_noise : bool
        Whether noise at both ends is cut off too: all up to 10 dB over the noise floor.
    sets : tuple of str
        For ``features``: keys of `serein.features.feature_sets.SETS`.
    functionals : tuple of str
        For ``features``: functionals that pool them to one vector; none for a series.
    step : int
        For ``features`` as a series: number of frames of 10 ms that are averaged to one, 1 to 100.

    Raises
    ------
    SettingError
        If a setting is not one of those listed.

    Examples
    --------
    >>> FrontEnd()(np.zeros(16000, dtype=np.float32)).shape
    (100, 80)
    """

    inputs: str = "log_mel"
    bands: int = 80
    utterance_normalisation: bool = False
    level: str = "as_recorded"
    trim: bool = False
    trim_noise: bool = False
    sets: tuple[str, ...] = ()
    functionals: tuple[str, ...] = ()
    step: int = 1

    def __post_init__(self) -> None:
        check_name("inputs", self.inputs, INPUTS)
        check_name("level", self.level, LEVELS)
        _check_count("bands", self.bands, MAX_BANDS)
        for name in ("utterance_normalisation", "trim", "trim_noise"):
            if type(getattr(self, name)) is not bool:
                raise SettingError(f"{name} is {getattr(self, name)!r}; allowed: true or false")
        if self.inputs == "features":
            self._check_features()

    def __call__(self, signal: Array) -> Array:
        """Compute the network's input.

        Parameters
        ----------
        signal : numpy.ndarray
            Shape (samples,), float32, mono at 16 kHz.

        Returns
        -------
        numpy.ndarray
            Shape (samples // 160, bands), (samples,), (features,) or (time, features), float32.
        """
        if self.trim or self.trim_noise:
            signal = trim_silence(signal, noise=self.trim_noise)
        if self.level == "speech_rms":
            signal = to_speech_level(signal)
        if self.inputs == "log_mel":
            return log_mel(signal, bands=self.bands)
        if self.inputs == "features":
            return self._features(signal)
        return _normalised(signal) if self.utterance_normalisation else signal

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain values, for a manifest."""
        settings = asdict(self) | {"sets": list(self.sets), "functionals": list(self.functionals)}
        if self.inputs != "features":
            for name in ("sets", "functionals", "step"):
                del settings[name]
        if not self.trim_noise:  # as it was before there was such a setting
            del settings["trim_noise"]
        return settings | {"rate_hz": RATE_HZ, "edition": EDITION}

    def cache_key(self) -> dict[str, Any]:
        """Return `to_dict` with the names of format 0.1, so that what was cached then is found."""
        settings = self.to_dict()
        return settings | {"normalise": settings.pop("utterance_normalisation")}

    @property
    def fingerprint(self) -> str:
        """The settings in 20 letters, for caches."""
        text = json.dumps(self.cache_key(), sort_keys=True)
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
        """Rebuild a front end from the values of a manifest, of format 0.1 too.

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
        SettingError
            If a key is unknown, the rate is not 16 kHz or the edition is another.
        """
        values = {
            "utterance_normalisation" if k == "normalise" else k: settings[k] for k in settings
        }
        for name, needed in (("rate_hz", RATE_HZ), ("edition", EDITION)):
            if (found := values.pop(name, needed)) != needed:
                raise SettingError(f"the front end's {name} is {found}; this serein needs {needed}")
        for name in values:
            check_name("front-end setting", name, [field.name for field in fields(cls)])
        for name in {"sets", "functionals"} & values.keys():
            values[name] = tuple(map(str, values[name]))
        return cls(**values)

    def _check_features(self) -> None:
        from serein.features.feature_sets import SETS
        from serein.features.functionals import FUNCTIONALS

        if not self.sets or len(set(self.sets)) < len(self.sets):
            raise SettingError(f"sets is {', '.join(self.sets) or 'empty'}; name one or more, once")
        for name in self.sets:
            check_name("feature set", name, SETS)
            if SETS[name].vector is not None and not self.functionals:
                raise SettingError(f"{name} describes whole recordings: give functionals too")
        for name in self.functionals:
            check_name("functional", name, FUNCTIONALS)
        _check_count("step", self.step, MAX_STEP)

    def _features(self, signal: Array) -> Array:
        from serein.features.feature_sets import describe

        found = describe(
            signal,
            self.sets,
            functionals=self.functionals or None,
            utterance_normalisation=self.utterance_normalisation,
        )
        return found if self.functionals or self.step == 1 else _averaged(found, self.step)


def frame_rms(signal: Array) -> Array:
    """Measure the RMS of consecutive frames of 20 ms."""
    count = signal.size // FRAME
    frames = signal[: count * FRAME].reshape(count, FRAME) if count else signal[None]
    return np.sqrt(np.mean(np.square(frames), axis=1))


def loud_rms(rms: Array) -> float:
    """Take the 95th percentile of the frames' RMS: the level of speech, whatever the pauses."""
    return _quantile(rms, 0.95)


def _quantile(rms: Array, share: float) -> float:
    # not np.quantile: its first call imports numpy.ma, which costs a cold start 10 ms
    return float(np.interp(share * (rms.size - 1), np.arange(rms.size), np.sort(rms)))


def trim_silence(signal: Array, *, noise: bool = False) -> Array:
    """Cut off silence at both ends: frames 30 dB under the 95th percentile, but for 100 ms.

    With `noise`, also frames up to 10 dB over the noise floor: the voice of a noisy recording.
    """
    rms = frame_rms(signal)
    loud = loud_rms(rms)
    least = loud * _ratio(TRIM_DB)
    if noise:
        rms = _smoothed(rms)
        over = _quantile(rms, FLOOR) * _ratio(OVER_FLOOR_DB)
        least = max(least, min(over, loud * _ratio(MOST_NOISE_DB)))
    voiced = np.flatnonzero(rms >= min(least, rms.max()))
    first = max(0, voiced[0] - TRIM_MARGIN) * FRAME
    last = (voiced[-1] + 1 + TRIM_MARGIN) * FRAME
    return signal[first:last]


def _smoothed(rms: Array) -> Array:
    """Average the power of neighbouring frames."""
    power = np.pad(np.square(rms), SMOOTHED // 2, "edge")
    return np.sqrt(np.convolve(power, np.full(SMOOTHED, 1 / SMOOTHED, rms.dtype), "valid"))


def _ratio(db: float) -> float:
    return float(10 ** (db / 20))


def to_speech_level(signal: Array) -> Array:
    """Scale a signal so that frames within 20 dB of its 95th percentile have an RMS of 0.1."""
    rms = frame_rms(signal)
    voiced = rms[rms >= 0.1 * loud_rms(rms)]
    level = float(np.sqrt(np.mean(np.square(voiced))))
    if level == 0.0:
        return signal
    return signal * np.float32(SPEECH_RMS / level)


def _check_count(name: str, value: object, most: int) -> None:
    if type(value) is not int or not 1 <= value <= most:
        raise SettingError(f"{name} is {value!r}; allowed: a whole number, 1 to {most}")


def _averaged(series: Array, step: int) -> Array:
    """Average `step` frames to one, shape (time, feature); the last may be of fewer."""
    edges = np.arange(0, len(series), step)
    counts = np.diff(np.append(edges, len(series)))[:, None]
    sums: Array = np.add.reduceat(series, edges, axis=0)
    return (sums / counts).astype(np.float32)


def _normalised(signal: Array) -> Array:
    """Bring samples to mean 0 and variance 1, as wav2vec 2.0 was trained."""
    return (signal - signal.mean()) / np.sqrt(signal.var() + 1e-7)
