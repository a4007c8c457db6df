"""Synthetic sounds that are not speech: to train the detection of speech with, and as noise.

`draw` chooses the random numbers of a sound, `Sound.signal` makes its samples, so the same seed
gives the same sound. Signals are mono, 16 kHz, float32.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from serein.audio.frames import Doubles
from serein.audio.read import RATE_HZ, Signal

Generator = np.random.Generator
Maker = Callable[[Generator, int], Doubles]


@dataclass(frozen=True)
class Sound:
    """One sound that is not speech."""

    kind: str
    seconds: float
    peak: float
    seed: int

    def signal(self) -> Signal:
        """Make the samples."""
        generator = np.random.default_rng(self.seed)
        samples = NOISES[self.kind](generator, round(self.seconds * RATE_HZ))
        return (samples * self.peak / np.abs(samples).max()).astype(np.float32)


def draw(generator: Generator, kind: str) -> Sound:
    """Draw a sound of a kind: 0.5 to 6 s long, its peak at 0.1 % to 100 % of full scale."""
    return Sound(
        kind,
        seconds=float(generator.uniform(0.5, 6.0)),
        peak=float(10 ** generator.uniform(-3, 0)),
        seed=int(generator.integers(2**31)),
    )


def _time(samples: int) -> Doubles:
    return np.arange(samples) / RATE_HZ


def coloured(generator: Generator, samples: int, slope: float) -> Doubles:
    """Make noise with power proportional to frequency ** -slope: 0 is white, 1 is pink."""
    return _shaped(generator, samples, lambda hz: np.maximum(hz, 20.0) ** (-slope / 2))


def _band(generator: Generator, samples: int, low_hz: float, high_hz: float) -> Doubles:
    return _shaped(generator, samples, lambda hz: (hz >= low_hz) & (hz <= high_hz))


def _shaped(
    generator: Generator, samples: int, response: Callable[[npt.NDArray[Any]], Any]
) -> Doubles:
    """Filter white noise by a frequency response, a function of Hz."""
    spectrum = np.fft.rfft(generator.standard_normal(samples))
    return np.fft.irfft(spectrum * response(np.fft.rfftfreq(samples, 1 / RATE_HZ)), samples)


def _noise(generator: Generator, samples: int) -> Doubles:
    return coloured(generator, samples, generator.uniform(-0.5, 2.5))


def _band_noise(generator: Generator, samples: int) -> Doubles:
    low_hz = generator.uniform(50, 4000)
    return _band(generator, samples, low_hz, low_hz * generator.uniform(1.2, 4.0))


def _wind(generator: Generator, samples: int) -> Doubles:
    gusts = np.abs(_band(generator, samples, 0.0, generator.uniform(1.0, 4.0)))
    return coloured(generator, samples, generator.uniform(1.0, 2.5)) * gusts


def _hum(generator: Generator, samples: int) -> Doubles:
    mains_hz = generator.choice([50.0, 60.0, 100.0, 120.0])
    parts = np.arange(1, 12)
    strength = generator.uniform(0, 1, parts.size) / parts
    hum = _harmonics(2 * np.pi * mains_hz * _time(samples), strength)
    hiss = _noise(generator, samples)
    return hum + hiss * generator.uniform(0.0, 0.3) / hiss.std()


def _tone(generator: Generator, samples: int) -> Doubles:
    hz = np.exp(generator.uniform(np.log(80), np.log(6000)))
    return np.sin(2 * np.pi * hz * _time(samples))


def _sweep(generator: Generator, samples: int) -> Doubles:
    low, high = np.log(generator.uniform(60, 7000, 2))
    hz = np.exp(low + (high - low) * np.linspace(0, 1, samples))
    if generator.random() < 0.5:  # a siren
        hz = np.exp((low + high) / 2) * 2 ** (
            0.5 * np.sin(2 * np.pi * generator.uniform(0.2, 4) * _time(samples))
        )
    return np.sin(2 * np.pi * np.cumsum(hz) / RATE_HZ)


def _beeps(generator: Generator, samples: int) -> Doubles:
    pair_hz = generator.uniform(350, 2500, 2)
    tone = np.sin(2 * np.pi * _time(samples)[:, None] * pair_hz).sum(axis=1)
    period_s, duty = generator.uniform(0.1, 1.5), generator.uniform(0.2, 0.7)
    return tone * ((_time(samples) / period_s % 1.0) < duty) + 1e-4


def _clicks(generator: Generator, samples: int) -> Doubles:
    per_second = np.exp(generator.uniform(np.log(1), np.log(200)))
    hits = (generator.random(samples) < per_second / RATE_HZ) * generator.standard_normal(samples)
    hits[samples // 2] = 1.0
    decay_s = np.exp(generator.uniform(np.log(5e-4), np.log(0.05)))
    ring_hz = generator.uniform(100, 5000)
    tail = np.arange(min(samples, int(8 * decay_s * RATE_HZ) + 1)) / RATE_HZ
    echo = np.exp(-tail / decay_s) * np.cos(2 * np.pi * ring_hz * tail)
    size = 1 << (2 * samples - 1).bit_length()  # quick to transform
    rung: Doubles = np.fft.irfft(np.fft.rfft(hits, size) * np.fft.rfft(echo, size), size)
    return rung[:samples]


def _engine(generator: Generator, samples: int) -> Doubles:
    drift = 1 + 0.1 * _slow(generator, samples)
    phase = np.cumsum(generator.uniform(15, 120) * drift) / RATE_HZ
    pulses = np.maximum(0, np.sin(2 * np.pi * phase)) ** generator.uniform(2, 12)
    rough = _noise(generator, samples)
    return pulses * (1 + generator.uniform(0, 0.6) * rough / rough.std())


def _music(generator: Generator, samples: int) -> Doubles:
    """Chords and melodies of plucked or blown harmonic notes, with a beat now and then."""
    signal = np.zeros(samples)
    scale = np.array([0, 2, 4, 5, 7, 9, 11, 12, 14, 16])
    root_hz, brightness = generator.uniform(80, 440), generator.uniform(0.5, 2.5)
    onset_s = generator.uniform(0.1, 0.8)
    for start in np.arange(0, samples / RATE_HZ, onset_s):
        for step in generator.choice(scale, generator.integers(1, 5), replace=False):
            _add_note(generator, signal, start, root_hz * 2 ** (step / 12), brightness)
    if generator.random() < 0.5:
        beat = _clicks(generator, samples)
        signal = signal + beat * np.abs(signal).max() / np.abs(beat).max() * generator.random()
    return signal


def _add_note(
    generator: Generator, signal: Doubles, start_s: float, hz: float, brightness: float
) -> None:
    begin = int(start_s * RATE_HZ)
    time = _time(min(signal.size - begin, int(generator.uniform(0.2, 2.0) * RATE_HZ)))
    if time.size == 0:
        return
    parts = np.arange(1, max(2, min(12, int(RATE_HZ / 2 / hz))))
    vibrato = generator.choice([0.0, 0.01]) * np.sin(2 * np.pi * 5 * time)
    tone = _harmonics(2 * np.pi * hz * (time + vibrato / 30), parts**-brightness)
    attack = np.minimum(1.0, time / generator.choice([0.005, 0.1]))
    signal[begin : begin + time.size] += tone * attack * np.exp(-time * generator.uniform(0.5, 6))


def _harmonics(phase: Doubles, strength: npt.NDArray[np.floating]) -> Doubles:
    """Add up sines of 1, 2, 3 … times a phase, by Horner's rule: a sine each would take longer."""
    turn = np.cos(phase) + 1j * np.sin(phase)
    total = np.zeros_like(turn)
    for part in strength[::-1]:
        total = (total + part) * turn
    return total.imag


def _room(generator: Generator, samples: int) -> Doubles:
    """Make the noise of a room: air that falls with frequency, hum of the mains, and clatter."""
    air = coloured(generator, samples, generator.uniform(1.0, 2.5))
    hum, clatter = _hum(generator, samples), _clicks(generator, samples)
    strength = generator.uniform(0.0, 1.0, 2)
    return air / air.std() + strength[0] * hum / hum.std() + strength[1] * clatter / clatter.std()


def _slow(generator: Generator, samples: int) -> Doubles:
    wave = _band(generator, samples, 0.0, 2.0)
    return wave / (np.abs(wave).max() + 1e-12)


KINDS: dict[str, Maker] = {
    "noise": _noise,
    "band noise": _band_noise,
    "wind": _wind,
    "hum": _hum,
    "tone": _tone,
    "sweep": _sweep,
    "beeps": _beeps,
    "clicks": _clicks,
    "engine": _engine,
    "music": _music,
}
"""Kinds that speech detection is trained on."""
NOISES = KINDS | {"room": _room}
"""Kinds that `serein.audio.augment.Noise` adds to speech."""
