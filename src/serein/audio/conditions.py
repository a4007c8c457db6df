"""Conditions of the robustness test: recordings degraded in named ways.

They follow audEERING's ser-tests, but are as strong as in practice where its changes are subtle.

References
----------
J. Wagner et al., "Dawn of the transformer era in speech emotion recognition: closing the valence
gap", IEEE TPAMI 45(9), 2023; the tests: https://audeering.github.io/ser-tests/
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from serein.audio.augment import Augmentation, Gain, Generator, Noise, Overlay, Reverb, babble
from serein.audio.channel import (
    Clipped,
    Coded,
    Highpass,
    Lowpass,
    Offset,
    Overdriven,
    Resampled,
    Telephone,
    Tilt,
    Tone,
)
from serein.audio.read import Signal
from serein.errors import SettingError, unknown_name

VOICES = 5  # of babble; ser-tests mixes 4 to 7


@dataclass(frozen=True)
class Condition:
    """One way to degrade a recording."""

    test: str
    kind: type[Augmentation]
    numbers: Mapping[str, Any] = field(default_factory=dict)
    voices: int = 0

    def apply(self, signal: Signal, generator: Generator, others: Sequence[Signal] = ()) -> Signal:
        """Degrade a signal; babble is mixed from `others`."""
        numbers = dict(self.numbers)
        if self.voices:
            numbers |= {"other": babble(others, generator, self.voices), "repeat": True}
        return self.kind.draw(generator, **numbers).apply(signal)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; conditions with equal values are equal."""
        return {"test": self.test, "kind": self.kind.__name__, **self.numbers} | (
            {"voices": self.voices} if self.voices else {}
        )


def _noises() -> dict[str, Condition]:
    """White noise and babble at each SNR."""
    noise, levels_db = "background noise", (20, 10, 5, 0)
    white = {f"white noise {db} dB": Condition(noise, Noise, {"snr_db": db}) for db in levels_db}
    voices = {
        f"babble {db} dB": Condition(noise, Overlay, {"snr_db": db}, VOICES) for db in levels_db
    }
    return white | voices


PHONE, ROOM, SMALL = "low quality phone", "simulated recording condition", "small changes"
CONDITIONS: dict[str, Condition] = _noises() | {
    "music 10 dB": Condition("background noise", Noise, {"snr_db": 10, "kind": "music"}),
    "room noise 10 dB": Condition("background noise", Noise, {"snr_db": 10, "kind": "room"}),
    "telephone": Condition(PHONE, Telephone),
    "resampled 8 kHz": Condition(PHONE, Resampled, {"rate_hz": 8000}),
    "MP3 16 kbit/s": Condition(PHONE, Coded, {"codec": "mp3", "kbps": 16}),
    "MP3 32 kbit/s": Condition(PHONE, Coded, {"codec": "mp3", "kbps": 32}),
    "Opus 8 kbit/s": Condition(PHONE, Coded, {"codec": "opus", "kbps": 8}),
    "Opus 16 kbit/s": Condition(PHONE, Coded, {"codec": "opus", "kbps": 16}),
    "Vorbis 32 kbit/s": Condition(PHONE, Coded, {"codec": "vorbis", "kbps": 32}),
    "reverberation 0.3 s": Condition(ROOM, Reverb, {"rt60_s": 0.3, "direct_db": 0}),
    "reverberation 0.8 s": Condition(ROOM, Reverb, {"rt60_s": 0.8, "direct_db": 0}),
    "gain -20 dB": Condition(SMALL, Gain, {"gain_db": -20}),
    "gain +20 dB clipped": Condition(SMALL, Overdriven, {"gain_db": 20}),
    "clipping 1 %": Condition(SMALL, Clipped, {"share": 0.01}),
    "clipping 10 %": Condition(SMALL, Clipped, {"share": 0.1}),
    "start cut 250 ms": Condition(SMALL, Offset, {"cut_s": 0.25}),
    "silence 500 ms before": Condition(SMALL, Offset, {"silence_s": 0.5}),
    "additive tone": Condition(SMALL, Tone),
    "highpass 150 Hz": Condition(SMALL, Highpass, {"cutoff_hz": 150}),
    "lowpass 6500 Hz": Condition(SMALL, Lowpass, {"cutoff_hz": 6500}),
    "downward tilt": Condition("spectral tilt", Tilt, {"tilt_db": -20}),
    "upward tilt": Condition("spectral tilt", Tilt, {"tilt_db": 20}),
}
"""Name -> condition; the clean recording is not among them."""


def choose_conditions(words: Iterable[str]) -> dict[str, Condition]:
    """Find conditions by name, by the first words of the name, or by their test."""
    chosen: set[str] = set()
    for word in words:
        wanted = word.strip().lower()
        found = {
            name
            for name, condition in CONDITIONS.items()
            if f"{name} ".lower().startswith(f"{wanted} ") or condition.test == wanted
        }
        if not found:
            tests = sorted({condition.test for condition in CONDITIONS.values()})
            raise SettingError(unknown_name("condition", word, [*CONDITIONS, *tests]))
        chosen |= found
    return {name: condition for name, condition in CONDITIONS.items() if name in chosen}
