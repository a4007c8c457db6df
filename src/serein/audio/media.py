"""Opens what PyAV decodes, videos and what phones and browsers record; reads its sound. [media].

The files are untrusted: the first bytes decide the format, and no address, playlist or second file
that one names is opened. Time 0 is the start of the container, for sound and pictures alike.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, BinaryIO

import numpy as np

from serein.audio.channels import Sound, Taken
from serein.audio.container import (
    MEDIA_NAMES,
    SOUND_BRANDS,
    SOUND_FORMATS,
    check_asf,
    media_format,
    refuse_joined,
)
from serein.audio.read import Signal, check_layout, collect
from serein.audio.source import RETRY, Source, opened
from serein.defaults import DEFAULT_LIMITS, Limits
from serein.errors import (
    LONGER,
    AudioError,
    FormatError,
    MissingExtraError,
    VideoError,
    in_pieces,
    reason_of,
)

VideoSource = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO
Formats = Mapping[tuple[int, bytes], str]

CONVERT = "convert it to MP4, for instance with: ffmpeg -i video.xyz video.mp4"
SOUND_CODECS = frozenset(  # FFmpeg's names of the decoders that may run
    (
        *("aac", "aac_latm", "ac3", "alac", "amrnb", "amrwb", "libopencore_amrnb", "eac3", "flac"),
        *("libopencore_amrwb", "mp2", "mp2float", "mp3", "mp3float", "opus", "libopus", "speex"),
        *("vorbis", "libvorbis", "wmav1", "wmav2", "wmapro", "wmalossless", "wmavoice"),
        *("tta", "wavpack"),
        *("pcm_u8", "pcm_s8", "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_s32le"),
        *("pcm_s32be", "pcm_f32le", "pcm_f32be", "pcm_f64le", "pcm_f64be", "pcm_alaw"),
        *("pcm_mulaw", "adpcm_ms", "adpcm_ima_wav", "adpcm_ima_qt", "adpcm_swf", "gsm", "gsm_ms"),
    )
)
PICTURE_CODECS = frozenset(
    (
        *("h264", "hevc", "av1", "libdav1d", "vp8", "vp9", "libvpx", "libvpx-vp9", "vp6", "vp6f"),
        *("mpeg1video", "mpeg2video", "mpeg4", "h263", "flv", "mjpeg", "dvvideo", "prores"),
        *("msmpeg4v1", "msmpeg4v2", "msmpeg4", "wmv1", "wmv2", "wmv3", "vc1", "rawvideo"),
        *("png", "webp", "bmp"),
    )
)
EXACT_DURATION = ("mov", "matroska", "tta", "wv")  # of their headers, if they state it at all
WITH_CHECKSUMS = ("tta", "wavpack")
TOLERANCE_S = 0.5  # tracks may end a little before the container
MAX_PIXELS = 4096 * 4096


class VideoFormatError(VideoError, FormatError):
    """A track in an encoding that is not read."""


@dataclass(frozen=True)
class OpenVideo:
    """A video that is open for reading."""

    container: Any
    name: str
    format: str

    @property
    def start_s(self) -> float:
        """Start of the container's clock in seconds: time 0 of serein's timeline."""
        return (self.container.start_time or 0) / 1e6

    @property
    def duration_s(self) -> float:
        """Duration stated in the header, in seconds; 0 if it is not."""
        return max(0.0, (self.container.duration or 0) / 1e6)


def is_video(source: VideoSource) -> bool:
    """Tell by its content whether a file is a video; without PyAV none is."""
    with opened(source, DEFAULT_LIMITS.max_bytes) as file:
        if media_format(file) is None:
            return False
        try:
            with _container(file) as video:
                return bool(picture_streams(video))
        except MissingExtraError:
            return False
        except VideoError:
            return not is_sound(file)


def is_sound(file: Source) -> bool:
    """Tell whether the name of an open file's format is of sound alone."""
    return media_format(file) in SOUND_FORMATS or file.read_at(4, 8) in SOUND_BRANDS


def has_sound(source: VideoSource) -> bool:
    """Tell whether a video has a sound track."""
    with opened_video(source) as video:
        return bool(video.container.streams.audio)


def read_tracks(file: Source, limits: Limits, taken: Taken) -> Sound:
    """Read channels of the first sound track of an open file, from its beginning."""
    file.seek(0)
    with _container(file) as video:
        stream = next(iter(video.container.streams.audio), None)
        if stream is None:
            raise VideoError(
                f"{video.name}: is a video without sound; give one with a sound track, or the "
                "sound in a file of its own"
            )
        context = codec_of(video, stream, SOUND_CODECS)
        if context.name in WITH_CHECKSUMS:
            context.options = {"err_detect": "crccheck+explode"}
        context.thread_count = 1  # the service's decoders may start no thread
        check_layout(video.name, context.sample_rate or 0, context.channels or 0, limits)
        _check_duration(video, limits)
        blocks = _blocks(video, stream, context.sample_rate)
        return collect([(context.sample_rate, blocks)], video.name, limits, taken)


def load_decoders(wav: bytes) -> None:
    """Decode a WAV, so that no part of PyAV is left to be loaded where no file may be opened."""
    av = _av()
    from av.video import stream as _  # noqa: F401

    with av.open(io.BytesIO(wav), format="wav") as container:
        resampler = av.AudioResampler(format="fltp", rate=8000)
        for frame in container.decode(audio=0):
            _floats(resampler, frame, "silence")


@contextmanager
def opened_video(
    source: VideoSource,
    *,
    max_bytes: int = DEFAULT_LIMITS.max_bytes,
    max_pixels: int = MAX_PIXELS,
    stills: Formats = MappingProxyType({}),
) -> Iterator[OpenVideo]:
    """Open a video, or one of the still images, within a ``with`` statement."""
    with (
        opened(source, max_bytes) as file,
        _container(file, max_pixels=max_pixels, stills=stills) as video,
    ):
        yield video


@contextmanager
def _container(
    file: Source,
    *,
    max_pixels: int = MAX_PIXELS,
    stills: Formats = MappingProxyType({}),
) -> Iterator[OpenVideo]:
    """Open the container in a file."""
    kind = format_of(file, stills) or media_format(file)
    if kind is None:
        raise VideoError(
            f"{file.label}: is no video that can be read; need MP4, MOV, WebM, Matroska, AVI, "
            f"WMV, FLV or MPEG: {CONVERT}"
        )
    av = _av(f"{file.label}: is {MEDIA_NAMES.get(kind, kind.upper())}, which")
    refuse_joined(file)
    if kind == "asf":
        check_asf(file)
    try:
        container = av.open(
            file,
            format=kind,
            metadata_errors="replace",
            options={
                "max_pixels": str(max_pixels),
                "codec_whitelist": ",".join(
                    sorted(SOUND_CODECS | PICTURE_CODECS)
                ),  # opening decodes a little
            },
            io_open=_refuse,
        )
    except AudioError:  # the file itself could not be read
        raise
    except (av.FFmpegError, ValueError, MemoryError) as cause:
        raise VideoError(
            f"{file.label}: has a damaged or truncated header ({reason_of(cause)}); {RETRY}"
        ) from cause
    with container:
        yield OpenVideo(container, file.label, kind)


def format_of(file: Source, formats: Formats) -> str | None:
    """Tell the format that the first bytes of an open file name; None if it is none of these."""
    head = file.read_at(0, 16)
    names = (kind for (at, magic), kind in formats.items() if head[at:].startswith(magic))
    return next(names, None)


def picture_streams(video: OpenVideo) -> list[Any]:
    """List the picture tracks, without the cover of an album."""
    av = _av()
    cover = av.stream.Disposition.attached_pic
    return [stream for stream in video.container.streams.video if not stream.disposition & cover]


def codec_of(video: OpenVideo, stream: Any, allowed: frozenset[str] = PICTURE_CODECS) -> Any:
    """Return the decoder of a track; refuse a track without one, or with one not allowed."""
    if stream.codec_context is None or stream.codec_context.name not in allowed:
        raise VideoFormatError(
            f"{video.name}: has a track of {stream.type} in an encoding that is not read; {CONVERT}"
        )
    return stream.codec_context


def decoded(video: OpenVideo, stream: Any) -> Iterator[Any]:
    """Decode a track frame by frame."""
    av, reached_s = _av(), 0.0
    try:
        for packet in video.container.demux():
            reached_s = max(reached_s, _end_s(packet) - video.start_s)
            if packet.stream.index == stream.index:
                yield from packet.decode()
    except AudioError:  # the file itself could not be read
        raise
    except (av.FFmpegError, ValueError, MemoryError) as cause:
        raise VideoError(
            f"{video.name}: is damaged after {reached_s:.2f} s ({reason_of(cause)}); {RETRY}"
        ) from cause
    missing_s = video.duration_s - reached_s
    if video.format in EXACT_DURATION and missing_s > TOLERANCE_S:
        raise VideoError(
            f"{video.name}: is truncated: the header promises {video.duration_s:.2f} s, "
            f"{reached_s:.2f} s are there; {RETRY}"
        )


def _av(what: str = "a video") -> Any:
    """Import PyAV, which this needs."""
    try:
        import av
    except ImportError as error:
        raise MissingExtraError(what, "media") from error
    return av


def _refuse(url: str, flags: int, options: object) -> Any:
    """Refuse to open another file that a container names."""
    raise VideoError(f"the video wants to open another file ({url[:80]}), which is not followed")


def _end_s(packet: Any) -> float:
    """Return the end of a packet on the container's clock, in seconds."""
    if packet.pts is None:
        return 0.0
    return float((packet.pts + (packet.duration or 0)) * packet.time_base)


def _check_duration(video: OpenVideo, limits: Limits) -> None:
    """Refuse a video that is too long by its header, before it is decoded."""
    if video.duration_s > limits.max_s + TOLERANCE_S:
        raise VideoError(
            f"{video.name}: lasts {video.duration_s:.1f} s; at most {limits.max_s:g} s are read: "
            f"cut it into pieces{LONGER}",
            to_try=in_pieces(limits.max_s),
        )


def _blocks(video: OpenVideo, stream: Any, rate: int) -> Iterator[Signal]:
    """Decode to float32, (samples, channels), with silence up to the first frame."""
    resampler = _av().AudioResampler(format="fltp", rate=rate)
    started = False
    for frame in decoded(video, stream):
        if not started:
            started = True
            yield from _silence(video, frame, rate)
        for piece in _floats(resampler, frame, video.name):
            yield piece.T
    for piece in _floats(resampler, None, video.name) if started else ():
        yield piece.T


def _silence(video: OpenVideo, frame: Any, rate: int) -> Iterator[Signal]:
    """Yield silence a second at a time, so that a very late start meets the limit."""
    late_s = (frame.time or 0.0) - video.start_s
    left = round(late_s * rate)
    while left > 0:
        yield np.zeros((min(left, rate), frame.layout.nb_channels), np.float32)
        left -= rate


def _floats(resampler: Any, frame: Any, name: str) -> list[Signal]:
    """Convert a frame to pieces of float32, (channels, samples)."""
    try:
        return [piece.to_ndarray() for piece in resampler.resample(frame)]
    except (_av().FFmpegError, ValueError) as cause:
        raise VideoError(
            f"{name}: changes the layout of its sound midway ({reason_of(cause)}); {CONVERT}"
        ) from cause
