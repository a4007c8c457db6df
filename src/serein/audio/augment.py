"""Changed copies of a recording, to teach a recogniser what does not matter.

Drawing is apart from applying: ``draw`` picks concrete numbers from ranges, ``apply`` turns a
signal into a changed one and draws nothing, so the same seed replays the same sound. The numbers
drawn are ``to_dict()``; the class called with them is the same augmentation again. The names by
which recipes call them are in `serein.audio.chain`.

Nothing is ever clipped: what would rise over full scale (or over the input's own peak, where that
is higher) is turned down as a whole. What gets shorter than 0.1 s is filled up with silence.
"""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import soxr

from serein.audio.nonspeech import KINDS, Sound, coloured
from serein.audio.read import RATE_HZ, Signal, check_signal
from serein.defaults import DEFAULT_LIMITS
from serein.errors import MissingExtraError, unknown_name

Generator = np.random.Generator
Span = tuple[float, float]  # lowest, highest

COLOURS = {"white": 0.0, "pink": 1.0}  # noise whose power falls with this power of frequency
NOISE_S = (0.5, 60.0)  # shorter has empty bands; longer repeats: an hour needs no hour of spectrum
SHORTEST = round(DEFAULT_LIMITS.min_s * RATE_HZ)
SEEDS = 2**31


def _number(limits: Span, *, drawn: Span, default: Any = MISSING) -> Any:
    """Declare a number, what it may be, and the range it is drawn from unless told otherwise."""
    return field(default=default, metadata={"limits": limits, "drawn": drawn})


@dataclass(frozen=True)
class Augmentation:
    """What all augmentations of signals share; each names its numbers as fields."""

    def __post_init__(self) -> None:
        for part in fields(self):
            _check(part.name, getattr(self, part.name), part.metadata.get("limits"))

    @classmethod
    def draw(cls, generator: Generator, **options: Any) -> Self:
        """Draw the numbers, as the function `draw` does."""
        known = [part.name for part in fields(cls) if part.name != "seed"]
        for name in options:
            if name not in known:
                raise ValueError(unknown_name("option", name, known))
        numbers = {  # a list of what may be, where no number is drawn, is drawn from
            name: value[generator.integers(len(value))] if isinstance(value, tuple) else value
            for name, value in options.items()
        }
        for part in fields(cls):
            if part.name == "seed":
                numbers["seed"] = int(generator.integers(SEEDS))
            elif "drawn" in part.metadata:
                span = options.get(part.name, part.metadata["drawn"])
                numbers[part.name] = _drawn(generator, part.name, span, part.metadata["limits"])
        return cls(**numbers)

    def apply(self, signal: Signal) -> Signal:
        """Change a signal.

        Parameters
        ----------
        signal : numpy.ndarray
            Shape (samples,), float32, mono, 16 kHz; is left as it is.

        Returns
        -------
        numpy.ndarray
            Shape (samples,), float32; `Stretch` and `Speed` change the length.

        Raises
        ------
        AudioError
            If the signal is not 1-D floats, not finite or shorter than 0.1 s.
        MissingExtraError
            If a library that it needs is not installed.

        Examples
        --------
        >>> Stretch(rate=2.0).apply(np.zeros(16_000, np.float32)).shape
        (8000,)
        """
        signal = check_signal(signal)
        return _settled(self._changed(signal), signal)

    def to_dict(self) -> dict[str, Any]:
        """Give the drawn numbers, fit for JSON; another recording is not among them."""
        return {part.name: getattr(self, part.name) for part in fields(self) if part.compare}

    def _changed(self, signal: Signal) -> npt.NDArray[Any]:
        raise NotImplementedError


@dataclass(frozen=True)
class Noise(Augmentation):
    """Noise made from numbers: "white", "pink" or one of `serein.audio.nonspeech.KINDS`.

    ``snr_db`` is the mean power of the signal over that of the noise; silence stays silent.
    """

    snr_db: float = _number((-40, 100), drawn=(0, 30))
    kind: str = "white"
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kind not in COLOURS | KINDS:
            raise ValueError(unknown_name("noise", self.kind, COLOURS | KINDS))

    def _changed(self, signal: Signal) -> npt.NDArray[Any]:
        seconds = float(np.clip(signal.size / RATE_HZ, *NOISE_S))
        return _mixed(signal, np.resize(self._noise(seconds), signal.size), self.snr_db)

    def _noise(self, seconds: float) -> Signal:
        if self.kind in KINDS:
            return Sound(self.kind, seconds, 1.0, self.seed).signal()
        generator = np.random.default_rng(self.seed)
        noise = coloured(generator, round(seconds * RATE_HZ), COLOURS[self.kind])
        return noise.astype(np.float32)


@dataclass(frozen=True)
class Overlay(Augmentation):
    """Another recording over this one: a second voice, or with ``repeat`` a background.

    ``snr_db`` is the mean power of the signal over that of the other one where it sounds: from
    ``start_s`` until it ends, or with ``repeat`` until the signal ends.
    """

    snr_db: float = _number((-40, 100), drawn=(0, 20))
    start_s: float = _number((0, DEFAULT_LIMITS.max_s), drawn=(0, 0), default=0.0)
    repeat: bool = False
    other: Signal = field(kw_only=True, repr=False, compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_signal(self.other)

    def _changed(self, signal: Signal) -> npt.NDArray[Any]:
        start = round(self.start_s * RATE_HZ)
        room = max(0, signal.size - start)
        other = check_signal(self.other)[:room]
        return _mixed(signal, np.resize(other, room) if self.repeat else other, self.snr_db, start)


@dataclass(frozen=True)
class Stretch(Augmentation):
    """Slower or faster at the same pitch: a rate of 2 halves the length.

    Signalsmith Stretch with a seed: audiomentations' TimeStretch gives it none, and then two runs
    at a rate of 0.4 differ.
    """

    rate: float = _number((0.25, 4), drawn=(0.8, 1.25))

    def _changed(self, signal: Signal) -> npt.NDArray[Any]:
        stretcher = _stretcher()
        stretcher.setTimeFactor(self.rate)
        return stretcher.process(signal[None])[0]


@dataclass(frozen=True)
class Pitch(Augmentation):
    """Higher or lower at the same speed; formants move along."""

    semitones: float = _number((-24, 24), drawn=(-4, 4))

    def _changed(self, signal: Signal) -> npt.NDArray[Any]:
        stretcher = _stretcher()
        stretcher.setTransposeSemitones(self.semitones)
        return stretcher.process(signal[None])[0]


@dataclass(frozen=True)
class Speed(Augmentation):
    """Played faster or slower, as a tape is: pitch and length both change.

    T. Ko et al., "Audio augmentation for speech recognition", Interspeech 2015.
    """

    rate: float = _number((0.25, 4), drawn=(0.9, 1.1))

    def _changed(self, signal: Signal) -> npt.NDArray[Any]:
        return soxr.resample(signal, RATE_HZ * self.rate, RATE_HZ)


@dataclass(frozen=True)
class Gain(Augmentation):
    """Quieter, or louder as far as full scale allows."""

    gain_db: float = _number((-120, 120), drawn=(-12, 12))

    def _changed(self, signal: Signal) -> npt.NDArray[Any]:
        return signal * np.float32(10 ** (self.gain_db / 20))


@dataclass(frozen=True)
class Shuffle(Augmentation):
    """Frames in another order, none more than ``distance`` frames from its place.

    What is left after the last whole frame stays at the end. Seams are not smoothed: the samples
    are the same ones.
    """

    frame_s: float = _number((0.001, 60), drawn=(0.05, 0.2))
    distance: int = field(default=2, metadata={"limits": (0, 1_000_000)})
    seed: int = 0

    def _changed(self, signal: Signal) -> npt.NDArray[Any]:
        length = round(self.frame_s * RATE_HZ)
        count = signal.size // length
        late = np.random.default_rng(self.seed).uniform(0, self.distance + 1, count)
        order = np.argsort(np.arange(count) + late)
        cut = signal[: count * length].reshape(count, length)
        return np.concatenate([cut[order].ravel(), signal[count * length :]])


@dataclass(frozen=True)
class Reverb(Augmentation):
    """A room: the sound itself, and after it noise that falls by 60 dB in ``rt60_s``.

    ``direct_db`` is the power of the direct sound over that of the room. An image-source model
    (pyroomacoustics) was tried: much slower, and further from the RT60 asked for.

    J.-D. Polack, "La transmission de l'énergie sonore dans les salles", thesis, Le Mans 1988.
    """

    rt60_s: float = _number((0.02, 10), drawn=(0.2, 1))
    direct_db: float = _number((-40, 60), drawn=(-3, 12), default=0.0)
    seed: int = 0

    def _changed(self, signal: Signal) -> npt.NDArray[Any]:
        try:
            from scipy.signal import oaconvolve
        except ImportError as cause:
            raise MissingExtraError("augmentation", "sound") from cause
        return oaconvolve(signal, self._response())[: signal.size]

    def _response(self) -> Signal:
        time_s = np.arange(1, round(self.rt60_s * RATE_HZ)) / RATE_HZ
        noise = np.random.default_rng(self.seed).standard_normal(time_s.size)
        room = noise * 10 ** (-3 * time_s / self.rt60_s)
        room *= 10 ** (-self.direct_db / 20) / np.sqrt(np.square(room).sum())
        return np.concatenate([[1.0], room]).astype(np.float32)


def _check(name: str, value: float, limits: Span | None) -> None:
    if limits is not None and not limits[0] <= value <= limits[1]:
        raise ValueError(f"{name} is {value}; allowed: {limits[0]:g} to {limits[1]:g}")


def _drawn(generator: Generator, name: str, span: Span | float, limits: Span) -> float:
    low, high = span if isinstance(span, tuple | list) else (span, span)
    _check(name, low, limits)
    _check(name, high, limits)
    if low > high:
        raise ValueError(f"{name} is to be drawn from {span}; need the lower number first")
    return float(generator.uniform(low, high))


def _settled(changed: npt.NDArray[Any], signal: Signal) -> Signal:
    """Fill up what is too short for a signal, and turn down what is too loud for one."""
    result: Signal = np.zeros(max(changed.size, SHORTEST), dtype=np.float32)
    result[: changed.size] = changed
    ceiling, peak = max(1.0, _peak(signal)), _peak(result)
    if peak > ceiling:
        result *= np.float32((1 - 1e-6) * ceiling / peak)
    return result


def _peak(signal: Signal) -> float:
    return max(float(signal.max()), -float(signal.min()))


def _mixed(signal: Signal, other: Signal, snr_db: float, start: int = 0) -> Signal:
    """Add another sound at so many dB under the signal; a silent one adds nothing."""
    result = signal.copy()
    theirs = _power(other)
    if theirs > 0:
        scale = np.float32(np.sqrt(_power(signal) / theirs) * 10 ** (-snr_db / 20))
        result[start : start + other.size] += scale * other
    return result


def _power(signal: Signal) -> float:
    return float(np.dot(signal, signal)) / max(1, signal.size)


def _stretcher() -> Any:
    try:
        from python_stretch import Signalsmith
    except ImportError as cause:
        raise MissingExtraError("augmentation", "sound") from cause
    stretcher = Signalsmith.Stretch(0)
    stretcher.preset(1, RATE_HZ)
    return stretcher
