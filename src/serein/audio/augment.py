"""Augmentations of a signal: noise, overlay, stretch, pitch, speed, cut, gain, shuffle, reverb.

``draw`` chooses the random numbers, ``apply`` changes a signal and draws none, so the same seed
gives the same sound. ``to_dict()`` holds the numbers; the class called with them is the same
augmentation again. `serein.audio.chain` has the names that recipes use.

No augmentation clips: a result above full scale (or above the input's peak, if that is higher) is
scaled down. A result shorter than 0.1 s is padded with silence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import soxr

from serein.audio.nonspeech import NOISES, Sound, coloured
from serein.audio.read import RATE_HZ, Signal, check_signal
from serein.defaults import DEFAULT_LIMITS
from serein.errors import MissingExtraError, SettingError, check_name, check_range

Generator = np.random.Generator
Span = tuple[float, float]  # lowest and highest

COLOURS = {"white": 0.0, "pink": 1.0}  # name -> slope of `coloured`
NOISE_S = (0.5, 60.0)  # shorter noise lacks bands; longer noise repeats
MIN_SAMPLES = round(DEFAULT_LIMITS.min_s * RATE_HZ)
CUT_HOP_S, CUT_LEAST = 0.05, 0.5  # between parts that `Cut` may keep; of the loudest's energy
MAX_SEED = 2**31


def number(limits: Span, *, drawn: Span | None = None, default: Any = MISSING) -> Any:
    """Declare a number: its limits, the range it is drawn from, its value if it is not drawn."""
    return field(default=default, metadata={"limits": limits} | ({"drawn": drawn} if drawn else {}))


@dataclass(frozen=True)
class Augmentation:
    """Base of all augmentations of signals; their numbers are fields."""

    def __post_init__(self) -> None:
        for part in fields(self):
            if "limits" in part.metadata:
                check_range(part.name, getattr(self, part.name), *part.metadata["limits"])

    @classmethod
    def draw(cls, generator: Generator, **options: Any) -> Self:
        """Draw the numbers; `serein.audio.chain.draw` documents the options."""
        known = [part.name for part in fields(cls) if part.name not in ("seed", "voices")]
        for name in options:
            check_name("option", name, known)
        numbers = {  # of a tuple, one entry is drawn
            name: value[generator.integers(len(value))] if isinstance(value, tuple) else value
            for name, value in options.items()
        }
        for part in fields(cls):
            if part.name == "seed":
                numbers["seed"] = int(generator.integers(MAX_SEED))
            elif "drawn" in part.metadata:
                span = options.get(part.name, part.metadata["drawn"])
                numbers[part.name] = _drawn(generator, part.name, span, part.metadata["limits"])
        return cls(**numbers)

    def apply(self, signal: Signal) -> Signal:
        """Change a signal.

        Returns: shape (samples,), float32, of another length after `Stretch`, `Speed` or `Offset`.
        """
        signal = check_signal(signal)
        return _within_limits(self._changed(signal), signal)

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers, fit for JSON, without other recordings."""
        return {part.name: getattr(self, part.name) for part in fields(self) if part.compare}

    def _changed(self, signal: Signal) -> npt.NDArray[Any]:
        raise NotImplementedError


@dataclass(frozen=True)
class Noise(Augmentation):
    """Add noise: "white", "pink", one of `serein.audio.nonspeech.NOISES`, or "babble".

    ``snr_db`` is the ratio of the mean powers of signal and noise; silence stays silent. Babble is
    mixed from ``voices``, recordings of other people.
    """

    snr_db: float = number((-40, 100), drawn=(0, 30))
    kind: str = "white"
    seed: int = 0
    voices: Sequence[Signal] = field(default=(), kw_only=True, repr=False, compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_name("noise", self.kind, [*COLOURS, *NOISES, "babble"])
        for voice in self.voices:
            check_signal(voice)

    def _changed(self, signal: Signal) -> npt.NDArray[Any]:
        seconds = float(np.clip(signal.size / RATE_HZ, *NOISE_S))
        return _mixed(signal, np.resize(self._noise(seconds), signal.size), self.snr_db)

    def _noise(self, seconds: float) -> Signal:
        if self.kind in NOISES:
            return Sound(self.kind, seconds, 1.0, self.seed).signal()
        generator = np.random.default_rng(self.seed)
        if self.kind == "babble":
            return babble(self.voices, generator, len(self.voices))
        noise = coloured(generator, round(seconds * RATE_HZ), COLOURS[self.kind])
        return noise.astype(np.float32)


@dataclass(frozen=True)
class Overlay(Augmentation):
    """Add another recording: a second voice, or with ``repeat`` a background.

    It sounds from ``start_s`` to its end, or with ``repeat`` to the end of the signal; ``snr_db``
    is the ratio of the mean powers of the signal and of that part.
    """

    snr_db: float = number((-40, 100), drawn=(0, 20))
    start_s: float = number((0, DEFAULT_LIMITS.max_s), drawn=(0, 0), default=0.0)
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
    """Change the tempo and keep the pitch: a rate of 2 halves the length.

    Signalsmith Stretch with a seed; audiomentations gives it none, so that its runs differ.
    """

    rate: float = number((0.25, 4), drawn=(0.8, 1.25))

    def _changed(self, signal: Signal) -> npt.NDArray[Any]:
        stretcher = _stretcher()
        stretcher.setTimeFactor(self.rate)
        return stretcher.process(signal[None])[0]


@dataclass(frozen=True)
class Pitch(Augmentation):
    """Change the pitch and keep the tempo; formants are shifted too."""

    semitones: float = number((-24, 24), drawn=(-4, 4))

    def _changed(self, signal: Signal) -> npt.NDArray[Any]:
        stretcher = _stretcher()
        stretcher.setTransposeSemitones(self.semitones)
        return stretcher.process(signal[None])[0]


@dataclass(frozen=True)
class Speed(Augmentation):
    """Play faster or slower, as a tape: pitch and length both change.

    T. Ko et al., "Audio augmentation for speech recognition", Interspeech 2015.
    """

    rate: float = number((0.25, 4), drawn=(0.9, 1.1))

    def _changed(self, signal: Signal) -> npt.NDArray[Any]:
        return soxr.resample(signal, RATE_HZ * self.rate, RATE_HZ)


@dataclass(frozen=True)
class Cut(Augmentation):
    """Keep a short part, of those that are about as loud as the loudest."""

    seconds: float = number((0.1, 60), drawn=(0.25, 1.2))
    place: float = number((0, 1), drawn=(0, 1), default=0.0)  # 0: the first of these parts

    def _changed(self, signal: Signal) -> npt.NDArray[Any]:
        length = round(self.seconds * RATE_HZ)
        starts = np.arange(0, signal.size - length + 1, round(CUT_HOP_S * RATE_HZ))
        if starts.size < 2:
            return signal
        energy = np.append(0.0, np.cumsum(np.square(signal, dtype=np.float64)))
        held = energy[starts + length] - energy[starts]
        loud = starts[held >= held.max() * CUT_LEAST]
        start = loud[round(self.place * (loud.size - 1))]
        return signal[start : start + length]


@dataclass(frozen=True)
class Gain(Augmentation):
    """Change the level, up to full scale."""

    gain_db: float = number((-120, 120), drawn=(-12, 12))

    def _changed(self, signal: Signal) -> npt.NDArray[Any]:
        return signal * np.float32(10 ** (self.gain_db / 20))


@dataclass(frozen=True)
class Shuffle(Augmentation):
    """Shuffle frames, none by more than ``distance`` frames.

    The rest after the last whole frame stays at the end. Joins are not smoothed.
    """

    frame_s: float = number((0.001, 60), drawn=(0.05, 0.2))
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
    """Add reverberation: noise that falls by 60 dB in ``rt60_s`` after the direct sound.

    ``direct_db`` is the direct-to-reverberant ratio. An image-source model (pyroomacoustics) was
    much slower, and its RT60 further from the one asked for.

    J.-D. Polack, "La transmission de l'énergie sonore dans les salles", thesis, Le Mans 1988.
    """

    rt60_s: float = number((0.02, 10), drawn=(0.2, 1))
    direct_db: float = number((-40, 60), drawn=(-3, 12), default=0.0)
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


def babble(others: Sequence[Signal], generator: Generator, voices: int) -> Signal:
    """Mix several recordings at equal loudness, each from a random offset."""
    if not others:
        raise SettingError(
            "babble is mixed from other recordings, and there are none: give some as "
            "Noise(…, voices=[…]); a recipe takes those of the clip's corpus and test part"
        )
    drawn = generator.choice(len(others), min(voices, len(others)), replace=False)
    length = max(others[number].size for number in drawn)
    mixed = np.zeros(length, np.float32)
    for number in drawn:
        voice = np.resize(others[number], length)
        loudness = np.sqrt(np.square(voice, dtype=np.float64).mean())
        scale = np.float32(0.1 / loudness) if loudness > 0 else np.float32(0)
        mixed += scale * np.roll(voice, int(generator.integers(length)))
    return mixed


def _drawn(generator: Generator, name: str, span: Span | float, limits: Span) -> float:
    low, high = span if isinstance(span, tuple | list) else (span, span)
    for value in (low, high):
        check_range(name, value, *limits)
    if low > high:
        raise SettingError(f"{name} is to be drawn from {span}; need the lower number first")
    return float(generator.uniform(low, high))


def _within_limits(changed: npt.NDArray[Any], signal: Signal) -> Signal:
    """Pad a result that is too short, and scale down one that is too loud."""
    result: Signal = np.zeros(max(changed.size, MIN_SAMPLES), dtype=np.float32)
    result[: changed.size] = changed
    ceiling, peak = max(1.0, _peak(signal)), _peak(result)
    if peak > ceiling:
        result *= np.float32((1 - 1e-6) * ceiling / peak)
    return result


def _peak(signal: Signal) -> float:
    return max(float(signal.max()), -float(signal.min()))


def _mixed(signal: Signal, other: Signal, snr_db: float, start: int = 0) -> Signal:
    """Add another sound at an SNR, from the sample `start` on; a silent one adds nothing."""
    result = signal.copy()
    other_power = _power(other)
    if other_power > 0:
        scale = np.float32(np.sqrt(_power(signal) / other_power) * 10 ** (-snr_db / 20))
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
