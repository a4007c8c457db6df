"""Augmentations by the recording channel: telephone, codecs, clipping, filters, equalisers.

`serein.audio.conditions` uses them in robustness tests.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from serein.audio.augment import Augmentation, number
from serein.audio.read import RATE_HZ, Signal
from serein.errors import AudioError, SettingError, check_name

TELEPHONE_HZ = 8000
LAME_DELAY = 1105  # samples that encoder (576) and decoder (529) put before an MP3
PAD = 4096  # samples: longer than the filters' responses, and a size that FFTs are fast with


class Codec(NamedTuple):
    """How libsndfile encodes: its compression level falls from 1 to 0 as the bit rate rises."""

    container: str
    subtype: str
    kbps: tuple[float, ...]
    levels: tuple[float, ...]
    mode: str | None = None


CODECS = {  # as libsndfile 1.2.2 maps them for one channel at 16 kHz; measured
    "mp3": Codec("MP3", "MPEG_LAYER_III", (8, 160), (0.999, 0), "CONSTANT"),
    "opus": Codec("OGG", "OPUS", (6, 256), (1, 0)),
    "vorbis": Codec(
        *("OGG", "VORBIS"), (24, 32, 40, 48, 56, 64, 100), (1, 0.9, 0.8, 0.7, 0.6, 0.5, 0)
    ),
}


@dataclass(frozen=True)
class Telephone(Augmentation):
    """Send through a telephone line: 300 to 3400 Hz, 8 kHz, 8-bit mu-law.

    ITU-T Recommendation G.711, "Pulse code modulation (PCM) of voice frequencies", 1988; the band
    as in G.712.
    """

    def _changed(self, signal: Signal) -> npt.NDArray[Any]:
        line = soxr.resample(_shaped(signal, _phone_band), RATE_HZ, TELEPHONE_HZ)
        return _fitted(soxr.resample(_companded(line), TELEPHONE_HZ, RATE_HZ), signal.size)


@dataclass(frozen=True)
class Coded(Augmentation):
    """Encode at a bit rate and decode again; the encoder's delay is removed.

    ``kbps`` is in kbit/s: constant for "mp3", a target for "opus", nominal for "vorbis"; with the
    latter two, speech with pauses takes less.
    """

    codec: str
    kbps: float = number((6, 256))

    def __post_init__(self) -> None:
        super().__post_init__()
        check_name("codec", self.codec, CODECS)
        low, *_, high = CODECS[self.codec].kbps
        if not low <= self.kbps <= high:
            raise SettingError(f"kbps is {self.kbps}; {self.codec} does {low:g} to {high:g} kbit/s")

    def _changed(self, signal: Signal) -> npt.NDArray[Any]:
        codec, file = CODECS[self.codec], io.BytesIO()
        options = {
            "compression_level": float(np.interp(self.kbps, codec.kbps, codec.levels)),
            "bitrate_mode": codec.mode,
        }
        layout = {"format": codec.container, "subtype": codec.subtype}
        try:
            soundfile.write(file, np.clip(signal, -1, 1), RATE_HZ, **layout, **options)
            file.seek(0)
            decoded: Signal = soundfile.read(file, dtype="float32")[0]
        except soundfile.SoundFileError as cause:
            raise AudioError(
                f"libsndfile {soundfile.__libsndfile_version__} does not encode {self.codec} "
                f"({cause}); install soundfile from a wheel, or leave this condition out"
            ) from cause
        if self.codec == "mp3" and decoded.size > signal.size:
            # At low rates there is no LAME header, which would tell the decoder the delay.
            decoded = decoded[LAME_DELAY:]
        return _fitted(decoded, signal.size)


@dataclass(frozen=True)
class Clipped(Augmentation):
    """Clip the loudest share of the samples, as an overloaded input does."""

    share: float = number((0, 1), drawn=(0.001, 0.05))

    def _changed(self, signal: Signal) -> npt.NDArray[Any]:
        level = np.quantile(np.abs(signal), 1 - self.share).astype(np.float32)
        return np.clip(signal, -level, level)


@dataclass(frozen=True)
class Overdriven(Augmentation):
    """Amplify and clip at full scale; `Gain` scales down instead."""

    gain_db: float = number((0, 60), drawn=(6, 20))

    def _changed(self, signal: Signal) -> npt.NDArray[Any]:
        return np.clip(signal * np.float32(10 ** (self.gain_db / 20)), -1, 1)


@dataclass(frozen=True)
class Resampled(Augmentation):
    """Resample to a lower rate and back, which removes frequencies above half of it."""

    rate_hz: int = number((4000, RATE_HZ), default=8000)

    def _changed(self, signal: Signal) -> npt.NDArray[Any]:
        there = soxr.resample(signal, RATE_HZ, self.rate_hz)
        return _fitted(soxr.resample(there, self.rate_hz, RATE_HZ), signal.size)


@dataclass(frozen=True)
class Offset(Augmentation):
    """Cut off ``cut_s`` at the start, or put ``silence_s`` of digital silence before it."""

    cut_s: float = number((0, 3600), default=0.0)
    silence_s: float = number((0, 3600), default=0.0)

    def _changed(self, signal: Signal) -> npt.NDArray[Any]:
        silence = np.zeros(round(self.silence_s * RATE_HZ), np.float32)
        return np.concatenate([silence, signal[round(self.cut_s * RATE_HZ) :]])


@dataclass(frozen=True)
class Tone(Augmentation):
    """Add a sine; its peak is ``snr_db`` under the peak of the signal."""

    hz: float = number((1, RATE_HZ / 2), drawn=(5000, 7000))
    snr_db: float = number((-40, 100), drawn=(40, 50))

    def _changed(self, signal: Signal) -> npt.NDArray[Any]:
        peak = float(np.abs(signal).max()) * 10 ** (-self.snr_db / 20)
        phase = 2 * np.pi * self.hz / RATE_HZ * np.arange(signal.size)
        return signal + (peak * np.sin(phase)).astype(np.float32)


@dataclass(frozen=True)
class Highpass(Augmentation):
    """Filter with a first-order Butterworth high-pass."""

    cutoff_hz: float = number((1, 7900), drawn=(50, 150))

    def _changed(self, signal: Signal) -> npt.NDArray[Any]:
        return _shaped(signal, lambda hz: 1 - _lowpass(hz, self.cutoff_hz))


@dataclass(frozen=True)
class Lowpass(Augmentation):
    """Filter with a first-order Butterworth low-pass."""

    cutoff_hz: float = number((1, 7900), drawn=(6500, 7500))

    def _changed(self, signal: Signal) -> npt.NDArray[Any]:
        return _shaped(signal, lambda hz: _lowpass(hz, self.cutoff_hz))


@dataclass(frozen=True)
class Tilt(Augmentation):
    """Tilt the spectrum: ``tilt_db`` more at 8 kHz than at 0 Hz, linear in dB; the same power."""

    tilt_db: float = number((-80, 80), drawn=(-20, 20))

    def _changed(self, signal: Signal) -> npt.NDArray[Any]:
        tilted = _shaped(signal, lambda hz: 10 ** (self.tilt_db * hz / (RATE_HZ / 2) / 20))
        before, after = np.square(signal).mean(), np.square(tilted).mean()
        return tilted * np.sqrt(before / after) if after > 0 else tilted


@dataclass(frozen=True)
class Equaliser(Augmentation):
    """Equalise as another microphone would: a random tilt and three random broad bands.

    ``gain_db`` is the largest gain of each of the four; they add up. The tilt is linear in octaves,
    from 120 Hz to 8 kHz; bands are 0.7 to 2.4 octaves wide, at half their height.
    """

    gain_db: float = number((0, 40), drawn=(6, 6))
    seed: int = 0

    def _changed(self, signal: Signal) -> npt.NDArray[Any]:
        generator = np.random.default_rng(self.seed)
        tilt, *gains = generator.uniform(-self.gain_db, self.gain_db, 4)
        centres, widths = generator.uniform(7, 13, 3), generator.uniform(0.3, 1, 3)

        def response(hz: npt.NDArray[Any]) -> npt.NDArray[Any]:
            octave = np.log2(np.maximum(hz, 60))
            level_db = tilt * (octave - 10) / 3
            for gain, centre, width in zip(gains, centres, widths, strict=True):
                level_db += gain * np.exp(-0.5 * ((octave - centre) / width) ** 2)
            return 10 ** (level_db / 20)

        return _shaped(signal, response)


def _shaped(signal: Signal, response: Callable[[npt.NDArray[Any]], npt.NDArray[Any]]) -> Signal:
    """Multiply the spectrum by a frequency response, a function of Hz."""
    size = PAD * (2 + signal.size // PAD)
    hz = np.fft.rfftfreq(size, 1 / RATE_HZ)
    changed = np.fft.irfft(np.fft.rfft(signal, size) * response(hz), size)
    return changed[: signal.size].astype(np.float32)


def _lowpass(hz: npt.NDArray[Any], cutoff_hz: float) -> npt.NDArray[Any]:
    """Compute the response of a digital first-order Butterworth low-pass (bilinear transform)."""
    slope = np.tan(np.pi * cutoff_hz / RATE_HZ)
    back = np.exp(-2j * np.pi * hz / RATE_HZ)
    return slope * (1 + back) / (1 + slope + (slope - 1) * back)


def _phone_band(hz: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Compute a band-pass of 300 to 3400 Hz; 0 below 200 and above 3600 Hz, without a jump."""
    inside = np.clip(np.minimum((hz - 200) / 100, (3600 - hz) / 200), 0, 1)
    return np.sin(np.pi / 2 * inside) ** 2


def _companded(line: Signal) -> Signal:
    """Encode as 8-bit mu-law and decode again."""
    layout = {"samplerate": TELEPHONE_HZ, "format": "RAW", "subtype": "ULAW"}
    file = io.BytesIO()
    soundfile.write(file, np.clip(line, -1, 1), **layout)
    file.seek(0)
    return soundfile.read(file, dtype="float32", channels=1, **layout)[0]


def _fitted(changed: Signal, size: int) -> Signal:
    """Cut or pad to `size` samples."""
    return np.pad(changed[:size], (0, max(0, size - changed.size)))
