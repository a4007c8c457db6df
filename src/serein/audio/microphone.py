"""A microphone, chunk by chunk. Needs the extra [mic].

Conventions: a chunk is one-dimensional, float32, mono, full scale is -1 to 1. What a microphone
loses is filled with silence, so that counting samples tells the time.
"""

from __future__ import annotations

import os
import queue
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from serein.audio.read import RATE_HZ, Signal, read_audio
from serein.defaults import DEFAULT_LIMITS, Limits
from serein.errors import AudioError, MissingExtraError

CHUNK_S = 0.1
LONGEST_WAIT_S = 30.0  # sound that waits to be taken; what comes when it is full is lost
LONGEST_GAP_S = 60.0  # that is filled: the night that a computer slept is not
STALL_S = 5.0
POLL_S = 0.2  # how soon a stop is noticed where no sound comes
LOOK = "`serein listen --devices` lists the microphones"
NONE = "plug one in, or permit programs to use it in the system's settings"


class LostSoundWarning(RuntimeWarning):
    """A microphone's sound came faster than it was taken, and some of it is lost."""


@dataclass(frozen=True)
class InputDevice:
    """A microphone, or another input that sounds like one."""

    number: int
    name: str
    system: str
    rate: int
    channels: int
    default: bool


def input_devices() -> list[InputDevice]:
    """List the microphones.

    Returns
    -------
    list of InputDevice
        By number; empty if there is none.

    Raises
    ------
    MissingExtraError
        If sounddevice or PortAudio is not installed.
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
    """A microphone that is open within ``with``, and is iterated over for its chunks.

    It iterates until `stop` is called. Where sound is lost, by the system or because chunks were
    not taken for 30 s, there is a `LostSoundWarning`, and silence in its place.

    Parameters
    ----------
    device : str or int, optional
        Number, or a part of the name, of one of `input_devices`; the system's own choice if not
        given.

    Attributes
    ----------
    name : str
        What the system calls it.
    rate : int
        Sampling rate of the chunks in Hz: 16 000 where the device offers it, else its own.
    losses : int
        How often sound was lost.
    lost_s : float
        Seconds of sound that were lost, as far as the system tells.

    Raises
    ------
    AudioError
        If there is no such microphone, it is busy, or, while it is iterated over, unplugged.
    MissingExtraError
        If sounddevice or PortAudio is not installed.

    Examples
    --------
    >>> with Microphone() as microphone:  # doctest: +SKIP
    ...     for chunk in microphone:
    ...         print(microphone.rate, chunk.size)
    """

    def __init__(self, device: str | int | None = None) -> None:
        self._sound = _sounddevice()
        self._device = int(device) if isinstance(device, str) and device.isdigit() else device
        found = self._found()
        self.rate, self._channels = self._layout(found)
        self.name: str = found["name"]
        self.losses = 0
        self._chunk = round(CHUNK_S * self.rate)
        self._waiting: queue.Queue[tuple[int, Signal]] = queue.Queue(
            round(LONGEST_WAIT_S / CHUNK_S)
        )
        self._lost = 0  # samples
        self._unfilled = 0  # of them, those whose silence is not in the queue yet
        self._next_s: float | None = None
        self._stopped = False
        self._stream: Any = None

    @property
    def lost_s(self) -> float:
        """Seconds of sound that were lost, as far as the system tells."""
        return self._lost / self.rate

    @property
    def behind_s(self) -> float:
        """Seconds of sound that have come and were not yet taken."""
        return self._waiting.qsize() * self._chunk / self.rate

    def __enter__(self) -> Self:
        try:
            self._stream = self._sound.InputStream(
                device=self._device,
                samplerate=self.rate,
                channels=self._channels,
                dtype="float32",
                blocksize=self._chunk,
                callback=self._heard,
            )
            self._stream.start()
        except (self._sound.PortAudioError, ValueError) as cause:
            self._close()
            raise AudioError(
                f"the microphone {self.name!r} cannot be opened ({_reason(cause)}): close programs "
                f"that use it, or take another: {LOOK}"
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
        losses = lost = 0  # that have been told
        while (taken := self._take()) is not None:
            silent, chunk = taken
            if self.losses > losses:
                self._warn(self._lost - lost)
                losses, lost = self.losses, self._lost
            for start in range(0, silent, self._chunk):
                yield np.zeros(min(self._chunk, silent - start), np.float32)
            yield chunk

    def _take(self) -> tuple[int, Signal] | None:
        """Wait for the next chunk and the count of samples lost before it; None at the end."""
        polls = 0  # counted, not timed: a computer that slept is not a microphone that stalled
        while not self._stopped:
            try:
                return self._waiting.get(timeout=POLL_S)
            except queue.Empty:
                polls += 1
                if not self._stream.active or polls * POLL_S > STALL_S:
                    raise AudioError(
                        f"the microphone {self.name!r} gives no more sound: see that it is plugged "
                        "in and start again"
                    ) from None
        return None

    def _heard(self, block: Any, frames: int, times: Any, status: Any) -> None:
        """Keep a block, (frames, channels). PortAudio's thread calls this: it never waits."""
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
        """Count the samples between the last block and one that begins now; 0 if not known."""
        if self._next_s is None or not 0 < begins_s - self._next_s < LONGEST_GAP_S:
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
        """Ask the system for the microphone."""
        try:
            return self._sound.query_devices(self._device, "input")
        except (self._sound.PortAudioError, ValueError) as cause:
            if not input_devices():
                raise AudioError(f"no microphone: {NONE}") from cause
            named = "" if self._device is None else f" {self._device!r}"
            raise AudioError(f"no microphone{named} ({_reason(cause)}): {LOOK}") from cause

    def _layout(self, found: Any) -> tuple[int, int]:
        """Choose sampling rate and channels: what serein uses, or what the device offers."""
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
    """Import sounddevice, which looks for the library PortAudio as it is imported."""
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


def _reason(cause: Exception) -> str:
    """Tell what PortAudio said, on one line."""
    return " ".join(str(cause).split()).rstrip(".:")


def _default_number(sound: Any) -> int | None:
    """Tell which device the system would choose; None if it has none to choose."""
    try:
        number: int = sound.query_devices(None, "input")["index"]
    except (sound.PortAudioError, ValueError):
        return None
    return number


class Playback:
    """A file as chunks, paced by the clock or as fast as they are taken.

    Parameters
    ----------
    file : str or path
        Whatever `read_audio` reads.
    chunk_s : float
        Length of a chunk in seconds.
    realtime : bool
        Whether a chunk comes only when a microphone would have heard all of it.
    limits : Limits
        What is accepted as a recording.

    Attributes
    ----------
    name : str
        The file's name.
    rate : int
        16 000 Hz.

    Raises
    ------
    AudioError
        If the file cannot be read, or is outside the limits.
    ValueError
        If `chunk_s` is not from 0.01 to 1.

    Examples
    --------
    >>> [chunk.size for chunk in Playback("two-seconds.wav", chunk_s=0.8)]  # doctest: +SKIP
    [12800, 12800, 6400]
    """

    losses, lost_s = 0, 0.0  # a file loses nothing; asked where it may be a microphone

    def __init__(
        self,
        file: str | os.PathLike[str],
        *,
        chunk_s: float = 0.1,
        realtime: bool = False,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        if not 0.01 <= chunk_s <= 1:
            raise ValueError(f"chunk_s is {chunk_s}; allowed: 0.01 to 1 s")
        self.name = os.fspath(file)
        self.rate = RATE_HZ
        self.behind_s = 0.0
        self._signal = read_audio(file, limits=limits)
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
        """Sleep until a moment of the clock, so that errors of single sleeps do not add up."""
        early_s = due_s - time.monotonic()
        self.behind_s = max(0.0, -early_s)
        if early_s > 0:
            time.sleep(early_s)
