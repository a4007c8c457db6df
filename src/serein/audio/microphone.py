"""A microphone, chunk by chunk, and a file as if it were one. Extra [mic].

A chunk is one-dimensional, float32, mono; full scale is -1 to 1. Lost sound is replaced by silence,
so that the count of samples is the time.
"""

from __future__ import annotations

import os
import queue
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Self

import numpy as np

from serein.audio.read import RATE_HZ, Signal, read_sound
from serein.audio.source import name_of
from serein.defaults import DEFAULT_LIMITS, Limits
from serein.errors import AudioError, MissingExtraError, check_range, reason_of

CHUNK_S = 0.1
MAX_QUEUE_S = 30.0  # sound that waits to be taken; beyond it, new sound is lost
MAX_GAP_S = 60.0  # a longer gap, such as a suspended computer's, is not filled with silence
STALL_S = 5.0
POLL_S = 0.2  # how soon a stop is noticed where no sound comes
DEVICES, FROM_FILE = "serein listen --devices", "serein listen --file RECORDING"
LIST_THEM = f"`{DEVICES}` lists the microphones"
NO_MICROPHONE = "no microphone: plug one in, or permit programs to use it in the system's settings"


class LostSoundWarning(RuntimeWarning):
    """A microphone's sound came faster than it was taken, and some is lost."""


@dataclass(frozen=True)
class InputDevice:
    """A microphone, or another input of sound."""

    number: int
    name: str
    system: str
    rate: int
    channels: int
    default: bool


def input_devices() -> list[InputDevice]:
    """List the microphones.

    Returns: the devices by number; empty if there is none.
    """
    sound = _sounddevice()
    chosen = _default_number(sound)
    return [
        InputDevice(
            number=device["index"],
            name=device["name"],
            system=sound.query_hostapis(device["hostapi"])["name"],
            rate=round(device["default_samplerate"]),
            channels=device["max_input_channels"],
            default=device["index"] == chosen,
        )
        for device in sound.query_devices()
        if device["max_input_channels"] > 0
    ]


class Microphone:
    """A microphone: open it in a ``with`` statement and iterate over its chunks.

    The iteration ends when `stop` is called. Lost sound, by the system or because chunks were not
    taken for 30 s, gives a `LostSoundWarning` and silence in its place.

    `device`: number, or part of the name, of one of `input_devices`; the system's default if None.

    `name`: its name in the system.
    `rate`: sampling rate of the chunks in Hz: 16 000 where the device offers it, else its own.
    `losses`: how often sound was lost.
    """

    def __init__(self, device: str | int | None = None) -> None:
        self._sound = _sounddevice()
        self._device = int(device) if isinstance(device, str) and device.isdigit() else device
        found = self._found()
        self.rate, self._channels = self._layout(found)
        self.name: str = found["name"]
        self.losses = 0
        self._chunk = round(CHUNK_S * self.rate)
        self._waiting: queue.Queue[tuple[int, Signal]] = queue.Queue(round(MAX_QUEUE_S / CHUNK_S))
        self._lost = 0  # samples
        self._unfilled = 0  # lost samples whose silence is not in the queue yet
        self._next_s: float | None = None
        self._stopped = False
        self._stream: Any = None

    @property
    def lost_s(self) -> float:
        """Seconds of sound that were lost, as far as the system tells."""
        return self._lost / self.rate

    @property
    def behind_s(self) -> float:
        """Seconds of sound that wait to be taken."""
        return self._waiting.qsize() * self._chunk / self.rate

    def __enter__(self) -> Self:
        try:
            self._stream = self._sound.InputStream(
                device=self._device,
                samplerate=self.rate,
                channels=self._channels,
                dtype="float32",
                blocksize=self._chunk,
                callback=self._receive,
            )
            self._stream.start()
        except (self._sound.PortAudioError, ValueError) as cause:
            self._close()
            raise AudioError(
                f"the microphone {self.name!r} cannot be opened ({reason_of(cause)}): close "
                f"programs that use it, or take another: {LIST_THEM}",
                to_try=DEVICES,
            ) from cause
        return self

    def __exit__(self, *error: object) -> None:
        self._close()

    def stop(self) -> None:
        """End the iteration; a signal's handler or another thread may call it."""
        self._stopped = True

    def __iter__(self) -> Iterator[Signal]:
        if self._stream is None:
            raise AudioError("the microphone is not open: use it in a with statement")
        losses = lost = 0  # that were warned of
        while (taken := self._take()) is not None:
            silent, chunk = taken
            if self.losses > losses:
                self._warn(self._lost - lost)
                losses, lost = self.losses, self._lost
            for start in range(0, silent, self._chunk):
                yield np.zeros(min(self._chunk, silent - start), np.float32)
            yield chunk

    def _take(self) -> tuple[int, Signal] | None:
        """Wait for the count of lost samples and the chunk after them; None at the end."""
        polls = 0  # not a time: it would pass while a computer is suspended
        while not self._stopped:
            try:
                return self._waiting.get(timeout=POLL_S)
            except queue.Empty:
                polls += 1
                if not self._stream.active or polls * POLL_S > STALL_S:
                    raise AudioError(
                        f"the microphone {self.name!r} gives no more sound: see that it is plugged "
                        "in and start again",
                        to_try=DEVICES,
                    ) from None
        return None

    def _receive(self, block: Any, frames: int, times: Any, status: Any) -> None:
        """Queue a block, (frames, channels). PortAudio's thread calls this, so it never waits."""
        if status.input_overflow:
            self._lose(self._gap(times.inputBufferAdcTime))
        self._next_s = times.inputBufferAdcTime + frames / self.rate
        mono = block.mean(axis=1, dtype=np.float32)  # a copy: the block is used again
        try:
            self._waiting.put_nowait((self._unfilled, mono))
            self._unfilled = 0
        except queue.Full:
            self._lose(frames)

    def _lose(self, samples: int) -> None:
        self.losses += 1
        self._lost += samples
        self._unfilled += samples

    def _gap(self, begins_s: float) -> int:
        """Count the samples between the last block and one that begins now; 0 if unknown."""
        if self._next_s is None or not 0 < begins_s - self._next_s < MAX_GAP_S:
            return 0
        return round((begins_s - self._next_s) * self.rate)

    def _warn(self, samples: int) -> None:
        known = f"{samples / self.rate:.2f} s of sound" if samples else "sound of unknown length"
        late = "it is filled with silence" if samples else "times are too early by it from here on"
        warnings.warn(
            f"the microphone lost {known}: the computer was too busy; {late}",
            LostSoundWarning,
            stacklevel=3,
        )

    def _found(self) -> Any:
        """Look the microphone up in the system."""
        try:
            return self._sound.query_devices(self._device, "input")
        except (self._sound.PortAudioError, ValueError) as cause:
            if not input_devices():
                raise AudioError(NO_MICROPHONE, to_try=FROM_FILE) from cause
            named = "" if self._device is None else f" {self._device!r}"
            why = f"no microphone{named} ({reason_of(cause)}): {LIST_THEM}"
            raise AudioError(why, to_try=DEVICES) from cause

    def _layout(self, found: Any) -> tuple[int, int]:
        """Choose sampling rate and channels: 16 kHz mono, or what the device offers."""
        own = round(found["default_samplerate"])
        most = min(2, found["max_input_channels"])
        layouts = [(rate, channels) for rate in (RATE_HZ, own) for channels in (1, most)]
        for rate, channels in layouts[:-1]:
            try:
                self._sound.check_input_settings(self._device, channels, "float32", None, rate)
            except self._sound.PortAudioError:
                continue
            return rate, channels
        return layouts[-1]  # opening it says what is wrong

    def _close(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.abort(ignore_errors=True)
            stream.close(ignore_errors=True)


def _sounddevice() -> Any:
    """Import sounddevice, which loads the library PortAudio."""
    try:
        import sounddevice
    except ImportError as cause:
        raise MissingExtraError("the microphone", "mic") from cause
    except OSError as cause:
        raise MissingExtraError(
            "the microphone needs the library PortAudio, which is not there (on Debian or Ubuntu: "
            "apt install libportaudio2), and",
            "mic",
        ) from cause
    return sounddevice


def _default_number(sound: Any) -> int | None:
    """Return the number of the system's default device, if any."""
    try:
        number: int = sound.query_devices(None, "input")["index"]
    except (sound.PortAudioError, ValueError):
        return None
    return number


class Playback:
    """A recording in chunks, in real time or as fast as they are taken.

    `file`: a recording that `read_audio` reads.
    `chunk_s`: length of a chunk in seconds, 0.01 to 1.
    `realtime`: whether each chunk comes at the time at which a microphone would give it.
    `limits`: what is accepted as a recording.

    `notice`: what is to be known of its channels, which are averaged; None for nothing.
    """

    losses, lost_s = 0, 0.0  # as `Microphone` has them; a file loses nothing

    def __init__(
        self,
        file: str | os.PathLike[str] | BinaryIO,
        *,
        chunk_s: float = 0.1,
        realtime: bool = False,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        check_range("chunk_s", chunk_s, 0.01, 1)
        self.name = name_of(file)
        self.rate = RATE_HZ
        self.behind_s = 0.0
        sound = read_sound(file, limits=limits)
        self.notice, self._signal = sound.notice, sound.signals[0]
        self._chunk = round(chunk_s * RATE_HZ)
        self._realtime = realtime
        self._stopped = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def stop(self) -> None:
        """End the iteration; a signal's handler or another thread may call it."""
        self._stopped = True

    def __iter__(self) -> Iterator[Signal]:
        began_s = time.monotonic()
        for start in range(0, self._signal.size, self._chunk):
            chunk = self._signal[start : start + self._chunk]
            if self._realtime:
                self._wait_until(began_s + (start + chunk.size) / RATE_HZ)
            if self._stopped:
                return
            yield chunk

    def _wait_until(self, due_s: float) -> None:
        """Sleep until a time of the clock, so that errors of sleeping do not add up."""
        early_s = due_s - time.monotonic()
        self.behind_s = max(0.0, -early_s)
        if early_s > 0:
            time.sleep(early_s)
