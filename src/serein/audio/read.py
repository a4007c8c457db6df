"""Any recording -> a mono float32 signal at 16 000 Hz.

Conventions: a signal is one-dimensional, float32, mono, at ``RATE_HZ``, full scale is -1 to 1.
Limits are checked while decoding, so a small file that unpacks to days of sound stops at the limit.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import replace
from functools import partial
from numbers import Real
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from serein.audio.channels import Channels, Relation, Sound, Taken, check_channels, check_there
from serein.audio.container import (
    CONVERT,
    FORMATS,
    check_container,
    media_format,
)
from serein.audio.source import RETRY, Source, name_of, opened
from serein.defaults import DEFAULT_LIMITS, Limits
from serein.errors import LONGER, AudioError, FormatError, TooLongError, in_pieces, reason_of

Signal = npt.NDArray[np.float32]
AudioSource = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | npt.NDArray[Any]
Part = tuple[float, Iterable[Signal]]  # rate in Hz, and blocks of (frames, channels)

RATE_HZ = 16_000

BLOCK_SAMPLES = 2**22  # all channels together
FULL_SCALE = {np.int16: 2.0**15, np.int32: 2.0**31}
ARRAY_TYPES = (np.float16, np.float32, np.float64, *FULL_SCALE)
MAX_PEAK = 8.0
UNKNOWN_FRAMES = 2**62  # from here on, libsndfile means that the header states no length
DECODER_ERRORS = (soundfile.SoundFileError, AssertionError, OSError, TypeError, ValueError)
CONTAINERS = (  # libsndfile's names
    *("WAV", "WAVEX", "RF64", "FLAC", "OGG", "MP3", "MPEG", "AIFF", "AU", "CAF", "W64", "NIST"),
)
ENCODINGS = (
    *("PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"),
    *("IMA_ADPCM", "MS_ADPCM", "GSM610", "VORBIS", "OPUS"),
    *("MPEG_LAYER_I", "MPEG_LAYER_II", "MPEG_LAYER_III"),
    *("ALAC_16", "ALAC_20", "ALAC_24", "ALAC_32"),
)
MPEG = ("MP3", "MPEG")
TOLERANCE_S = 0.05  # a header may be wrong by one MP3 frame


def read_audio(
    source: AudioSource, *, rate: int | None = None, limits: Limits = DEFAULT_LIMITS
) -> Signal:
    """Read a recording as one mono signal at 16 kHz.

    Parameters
    ----------
    source : str, PathLike, bytes-like, binary file object, array, tensor or list
        A file's content decides its format, not its name; of joined ones all parts are read. A
        file object is read from its present position on, and left open. An array is (samples,) or
        (samples, channels), floats with full scale -1 to 1, or int16 or int32; it is not changed.
    rate : int, optional
        Sampling rate of an array in Hz; only for arrays.
    limits : Limits
        What is accepted.

    Returns
    -------
    ndarray of float32, shape (samples,)
        The average of the channels at ``RATE_HZ``, C-contiguous, always a new array; the loudest
        channel, where they cancel each other out.

    Raises
    ------
    AudioError
        If the source cannot be read or decoded, is truncated, holds NaN or infinite samples, or is
        outside the limits.
    MissingExtraError
        If it is of a format that PyAV reads, and that is not installed.

    Examples
    --------
    >>> second = np.zeros((44_100, 2), np.int16)
    >>> read_audio(second, rate=44_100).shape
    (16000,)
    """
    return read_sound(source, rate=rate, limits=limits).signals[0]


def read_sound(
    source: AudioSource,
    *,
    rate: int | None = None,
    limits: Limits = DEFAULT_LIMITS,
    channels: Channels = "mix",
) -> Sound:
    """Read a recording as `read_audio` does, its channels averaged, one of them, or each."""
    taken = check_channels(channels)
    if is_array(source):
        array = _as_array(source)
        return _unless_cancelled(lambda this: _read_array(array, rate, limits, this), taken)
    if rate is not None:
        raise AudioError(
            f"{name_of(source)}: rate={rate} came with a file, which carries its own; "
            "leave rate out: it is only for arrays"
        )
    with opened(source, limits.max_bytes) as file:
        return _unless_cancelled(lambda this: _read_file(file, limits, this), taken)


def _unless_cancelled(read: Callable[[Taken], Sound], taken: Taken) -> Sound:
    """Read, and where the average holds nothing read the loudest channel in its place."""
    sound = read(taken)
    if not sound.cancelled:
        return sound
    return replace(read(sound.numbers[0]), cancelled=True)


def _read_file(file: Source, limits: Limits, taken: Taken) -> Sound:
    """Decode an open file, from its beginning."""
    if media_format(file) is not None:
        from serein.audio.media import read_tracks  # which imports this module

        return read_tracks(file, limits, taken)
    file.seek(0)
    parts = check_container(file)
    return collect(map(partial(_decoded, limits=limits), parts), file.label, limits, taken)


class ChunkReader:
    """Mixes down and resamples sound that arrives in chunks; how it is cut does not matter."""

    def __init__(self, rate: int = RATE_HZ) -> None:
        check_layout("<stream>", rate, 1, DEFAULT_LIMITS)
        self.rate = rate
        self._resample = _resampler(rate)

    def push(self, chunk: npt.NDArray[Any]) -> Signal:
        """Resample the next chunk, (samples,) or (samples, channels)."""
        chunk = _as_array(chunk)
        if isinstance(chunk, np.ndarray) and chunk.ndim in (1, 2) and not len(chunk):
            return np.empty(0, np.float32)
        _check_array(chunk, transposed=False)
        frames = chunk.reshape(len(chunk), -1)
        check_layout("<stream>", self.rate, frames.shape[1], DEFAULT_LIMITS)
        blocks = _full_scale_blocks(frames, self.rate)
        return np.concatenate([self._resample(_checked_mono(block), False) for block in blocks])

    def end(self) -> Signal:
        """Return the samples still in the resampler; the next chunk begins anew."""
        rest = self._resample(np.empty(0, np.float32), True)
        self._resample = _resampler(self.rate)
        return rest


def check_signal(signal: npt.NDArray[Any], *, limits: Limits = DEFAULT_LIMITS) -> Signal:
    """Check that an array is a mono signal at 16 kHz, and return it as contiguous float32."""
    return _checked(_as_array(signal), "<array>", limits)


def is_array(source: object) -> bool:
    """Tell whether a source is samples: an array, a tensor, or a list of numbers."""
    return isinstance(source, (list, tuple)) or hasattr(source, "__array__")


def _as_array(source: Any) -> Any:
    """Return samples as an array, and others as they are."""
    if isinstance(source, np.ndarray) or not is_array(source):
        return source
    try:
        return np.asarray(source)
    except Exception as cause:  # a tensor's own: it lies on a GPU, or needs its gradient
        raise AudioError(
            f"<array>: a {type(source).__name__} that NumPy cannot take ({reason_of(cause)}); for "
            "a tensor: pass tensor.detach().cpu()"
        ) from cause


def check_layout(name: str, rate: float, channels: int, limits: Limits) -> None:
    """Check what a header claims, before anything is decoded or allocated."""
    if not limits.min_rate_hz <= rate <= limits.max_rate_hz:
        raise AudioError(
            f"{name}: has a sampling rate of {rate} Hz; need {limits.min_rate_hz} to "
            f"{limits.max_rate_hz} Hz: {RETRY}"
        )
    if not 1 <= channels <= limits.max_channels:
        raise AudioError(
            f"{name}: has {channels} channels; need 1 to {limits.max_channels}: "
            "keep those with the voice"
        )


def collect(parts: Iterable[Part], name: str, limits: Limits, taken: Taken = "mix") -> Sound:
    """Take channels of parts, blocks of (frames, channels); resample and join up to the limit.

    Returns: where an average holds nothing, it is `cancelled`, and `numbers` has the loudest
    channel; the signal is that average.
    """
    lanes: list[bytearray] = []  # grow in place; a list of blocks takes the memory twice
    relation, seconds = Relation(), 0.0
    for rate, blocks in parts:
        frames = 0
        try:
            resamplers: list[Callable[[Signal, bool], Signal]] = []
            for block in blocks:
                frames += len(block)
                if frames > (limits.max_s - seconds) * rate + 1e-3:
                    raise _too_long(name, limits)
                _check_scale(block, name)
                relation.add(block)
                signals = _taken(block, taken, name)
                _check_lanes(len(lanes or signals), len(signals), name)
                lanes = lanes or [bytearray() for _ in signals]
                resamplers = resamplers or [_resampler(rate) for _ in signals]
                for lane, resample, signal in zip(lanes, resamplers, signals, strict=True):
                    lane.extend(resample(signal, False).data.cast("B"))
            for lane, resample in zip(lanes, resamplers, strict=False):
                lane.extend(resample(np.empty(0, np.float32), True).data.cast("B"))
        except RuntimeError as cause:  # from soxr: _decode_into handles those of soundfile
            raise AudioError(
                f"{name}: cannot be resampled from {rate} Hz ({cause}); {RETRY}"
            ) from cause
        seconds += frames / rate
    found = [np.frombuffer(lane, np.float32) for lane in lanes or [bytearray()]]
    joined = tuple(_checked(signal, name, limits) for signal in found)
    loudest = relation.cancelled if taken == "mix" else 0
    numbers = tuple(range(1, len(joined) + 1)) if taken == "each" else (loudest or _number(taken),)
    return Sound(joined, numbers, max(1, relation.channels), relation.differ, bool(loudest))


def _check_lanes(before: int, now: int, name: str) -> None:
    """Refuse joined recordings of which each channel is asked for, and one has fewer."""
    if before != now:
        raise AudioError(
            f"{name}: is several recordings in one, of {before} and of {now} channels: take one "
            "channel, or cut it"
        )


def _taken(block: Signal, taken: Taken, name: str) -> list[Signal]:
    """Take channels of (frames, channels)."""
    if taken == "mix":
        return [_mono(block)]
    count = block.shape[1]
    check_there(taken, count, name)
    each = range(count) if taken == "each" else [_number(taken) - 1]
    return [np.ascontiguousarray(block[:, channel]) for channel in each]


def _number(taken: Taken) -> int:
    return taken if isinstance(taken, int) else 0


def _checked(signal: npt.NDArray[Any], name: str, limits: Limits) -> Signal:
    """Check a signal; errors name its source."""
    if not isinstance(signal, np.ndarray) or signal.ndim != 1 or signal.dtype.kind != "f":
        raise AudioError(
            f"{name}: is {_kind(signal)}; need a 1-D array of floats, mono at {RATE_HZ} Hz: "
            "read it with serein.read_audio"
        )
    seconds = signal.size / RATE_HZ
    if seconds < limits.min_s:
        raise AudioError(
            f"{name}: is {signal.size} {'sample' if signal.size == 1 else 'samples'} "
            f"({_seconds(seconds)}); need at least {_seconds(limits.min_s)}"
        )
    if signal.size > limits.max_s * RATE_HZ + 1:  # resampling may round up
        raise _too_long(name, limits)
    with np.errstate(over="ignore"):
        single = np.ascontiguousarray(signal, dtype=np.float32)
    _peak(single, name)
    return single


def _decoded(file: Source, limits: Limits) -> Part:
    """Open a file with libsndfile: its rate, and blocks decoded as they are asked for."""
    sound = _open_sound(file)
    with ExitStack() as unless_good:
        unless_good.enter_context(sound)
        if sound.format not in CONTAINERS or sound.subtype not in ENCODINGS:  # past the first check
            raise FormatError(
                f"{file.label}: is {sound.format} ({sound.subtype}), which is not read; need "
                f"{FORMATS}: {CONVERT}"
            )
        check_layout(file.label, sound.samplerate, sound.channels, limits)
        unless_good.pop_all()
    return sound.samplerate, _file_blocks(sound, file)


class _Forward(soundfile.SoundFile):  # type: ignore[misc]  # soundfile carries no types
    """A sound file without seeking: soundfile seeks after each block, which breaks an MP3 there."""

    def seekable(self) -> bool:
        return False


class _Quiet:
    """Takes standard error away while libmpg123 may write to it, in any thread."""

    def __init__(self) -> None:
        self._lock, self._users, self._kept = Lock(), 0, -1

    def __enter__(self) -> None:
        with self._lock, suppress(OSError):  # the service's decoders may not, and have none
            self._users += 1
            if self._users == 1:
                self._kept = os.dup(2)
                with Path(os.devnull).open("wb") as null:
                    os.dup2(null.fileno(), 2)

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._users -= 1
            if not self._users and self._kept >= 0:
                os.dup2(self._kept, 2)
                os.close(self._kept)
                self._kept = -1


_quiet = _Quiet()


def _open_sound(file: Source) -> _Forward:
    """Open with libsndfile, which finds the format by content: the file has no name here."""
    try:
        with _quiet:
            return _Forward(file)
    except DECODER_ERRORS as cause:
        file.raise_failure()
        raise AudioError(
            f"{file.label}: cannot be decoded ({reason_of(cause)}); need {FORMATS}: {CONVERT}"
        ) from cause


def _file_blocks(sound: _Forward, file: Source) -> Iterator[Signal]:
    """Decode about a second at a time, (frames, channels); the next block overwrites the last."""
    block = np.empty((_block_frames(sound.samplerate, sound.channels), sound.channels), np.float32)
    decoded = 0
    with sound:
        while frames := _decode_into(block, sound, file, decoded):
            decoded += frames
            yield block[:frames]
        file.raise_failure()
        if _promised(sound, file) - decoded > TOLERANCE_S * sound.samplerate:
            raise _truncated(sound, file, decoded)


def _decode_into(block: Signal, sound: _Forward, file: Source, decoded: int) -> int:
    """Decode one block and return its frames, 0 at the end."""
    try:
        with _quiet if sound.format in MPEG else nullcontext():
            return len(sound.read(out=block))
    except DECODER_ERRORS as cause:
        file.raise_failure()
        raise _truncated(sound, file, decoded, f" ({reason_of(cause)})") from cause


def _promised(sound: _Forward, file: Source) -> int:
    """Return how many frames the header states; 0 if it does not."""
    frames = int(sound.frames)
    return frames if file.has_length and frames < UNKNOWN_FRAMES else 0


def _truncated(sound: _Forward, file: Source, decoded: int, reason: str = "") -> AudioError:
    promised, there = _promised(sound, file) / sound.samplerate, decoded / sound.samplerate
    promise = f"the header promises {_seconds(promised)}, " if promised else ""
    kind = "damaged or truncated" if reason else "truncated"
    return AudioError(
        f"{file.label}: is {kind}: {promise}{_seconds(there)} are there{reason}; {RETRY}"
    )


def _read_array(array: npt.NDArray[Any], rate: float | None, limits: Limits, taken: Taken) -> Sound:
    """Bring an array to 16 kHz."""
    _check_array(array)
    frames = np.asarray(array).reshape(len(array), -1)
    if not isinstance(rate, Real):
        raise AudioError(
            f"<array>: rate is {rate!r}; an array does not carry its sampling rate: "
            "pass rate=... in Hz"
        )
    check_layout("<array>", rate, frames.shape[1], limits)
    return collect([(rate, _full_scale_blocks(frames, rate))], "<array>", limits, taken)


def _check_array(array: npt.NDArray[Any], *, transposed: bool = True) -> None:
    """Check dtype and shape, and that an array does not look transposed."""
    if not isinstance(array, np.ndarray) or array.dtype.type not in ARRAY_TYPES:
        need = "float16, float32, float64, int16 or int32"
    elif array.ndim not in (1, 2) or array.size == 0:
        need = "(samples,) or (samples, channels), one or more of each"
    elif transposed and array.ndim == 2 and array.shape[1] > array.shape[0]:
        need = "(samples, channels): it looks transposed, pass its .T"
    else:
        return
    raise AudioError(f"<array>: is {_kind(array)}; need {need}")


def _full_scale_blocks(frames: npt.NDArray[Any], rate: float) -> Iterator[Signal]:
    """Convert about a second at a time to float32 with full scale 1, (frames, channels)."""
    step = _block_frames(rate, frames.shape[1])
    full_scale = FULL_SCALE.get(frames.dtype.type)
    for start in range(0, len(frames), step):
        block = frames[start : start + step]
        if full_scale:
            yield block.astype(np.float32) / np.float32(full_scale)
        else:
            yield block.astype(np.float32)


def _resampler(rate: float) -> Callable[[Signal, bool], Signal]:
    """Make a function of samples, and whether they are the last, that resamples them to 16 kHz."""
    if rate == RATE_HZ:
        return lambda samples, last: samples
    stream = soxr.ResampleStream(rate, RATE_HZ, 1, dtype="float32", quality="HQ")
    resample: Callable[[Signal, bool], Signal] = stream.resample_chunk
    return resample


def _checked_mono(block: Signal) -> Signal:
    _check_scale(block, "<stream>")
    return _mono(block)


def _mono(block: Signal) -> Signal:
    """Average the channels of (frames, channels)."""
    channels = block.shape[1]
    if channels == 1:
        return np.ascontiguousarray(block[:, 0])
    with np.errstate(all="ignore"):  # _checked finds an overflow
        average: Signal = np.matmul(block, np.full(channels, 1 / channels, np.float32))
    return average


def _block_frames(rate: float, channels: int) -> int:
    """Return the frames of about a second, at most `BLOCK_SAMPLES` samples."""
    return max(1, min(int(rate), BLOCK_SAMPLES // channels))


def _check_scale(samples: npt.NDArray[Any], name: str) -> None:
    """Refuse samples that are not finite, or were never scaled to 1."""
    if (peak := _peak(samples, name)) > MAX_PEAK:
        raise AudioError(
            f"{name}: has a peak of {peak:.5g}; full scale is 1: these look like integer samples "
            "made floats, divide them by 32768"
        )


def _peak(samples: npt.NDArray[Any], name: str) -> float:
    """Return the largest magnitude; refuse NaN and infinity."""
    peak = float(np.maximum(samples.max(initial=0), -samples.min(initial=0)))
    if not np.isfinite(peak):
        raise AudioError(
            f"{name}: holds NaN or infinite samples; need finite ones: find the step that made "
            "them, or replace them with numpy.nan_to_num"
        )
    return peak


def _too_long(name: str, limits: Limits) -> TooLongError:
    return TooLongError(
        f"{name}: lasts longer than {_seconds(limits.max_s)}, the most that is read; "
        f"cut it into pieces{LONGER}",
        to_try=in_pieces(limits.max_s),
    )


def _kind(thing: object) -> str:
    """Describe an argument of a wrong type."""
    if isinstance(thing, np.ndarray):
        return f"an array of {thing.dtype} with shape {thing.shape}"
    return f"of type {type(thing).__name__}"


def _seconds(seconds: float) -> str:
    """Format a duration: five decimals under a second, else three."""
    text = f"{seconds:.5f}" if seconds < 1 else f"{seconds:.3f}"
    return f"{text.rstrip('0').rstrip('.')} s"
