"""Opens a video, and reads its sound as a signal. Extra [face].

Videos are untrusted: the first bytes decide the format, and no address, playlist or second file
that a video names is opened. Time 0 is the start of the container, for sound and pictures alike.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from serein.audio.container import RETRY, Source, opened
from serein.audio.read import Signal, check_layout, collect
from serein.defaults import DEFAULT_LIMITS, Limits
from serein.errors import AudioError, MissingExtraError, VideoError, reason_of

VideoSource = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO
Formats = Mapping[tuple[int, bytes], str]

CONVERT = "convert it to MP4, for instance with: ffmpeg -i video.xyz video.mp4"
VIDEOS: Formats = {  # (position, magic bytes) -> FFmpeg's name of the format
    (4, b"ftyp"): "mov",
    (4, b"moov"): "mov",
    (4, b"mdat"): "mov",
    (4, b"wide"): "mov",
    (0, b"\x1a\x45\xdf\xa3"): "matroska",
    (8, b"AVI "): "avi",
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"): "asf",
    (0, b"FLV\x01"): "flv",
    (0, b"\x00\x00\x01\xba"): "mpeg",
    (188, b"G"): "mpegts",  # and at 0: see format_of
}
NOT_VIDEO = (
    b"M4A ",
    b"M4B ",
    b"M4P ",
    b"heic",
    b"heix",
    b"mif1",
    b"avif",
)  # MP4 too
CODECS = frozenset(  # FFmpeg's names of the decoders that may run
    (
        *("aac", "aac_latm", "ac3", "alac", "amrnb", "amrwb", "eac3", "flac", "mp2", "mp2float"),
        *("mp3", "mp3float", "opus", "libopus", "vorbis", "libvorbis", "wmav1", "wmav2"),
        *("pcm_u8", "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_s32le", "pcm_f32le"),
        *("pcm_alaw", "pcm_mulaw", "adpcm_ms", "adpcm_ima_wav", "adpcm_swf"),
        *("h264", "hevc", "av1", "libdav1d", "vp8", "vp9", "libvpx", "libvpx-vp9", "vp6", "vp6f"),
        *("mpeg1video", "mpeg2video", "mpeg4", "h263", "flv", "mjpeg", "dvvideo", "prores"),
        *("msmpeg4v1", "msmpeg4v2", "msmpeg4", "wmv1", "wmv2", "wmv3", "vc1", "rawvideo"),
        *("png", "webp", "bmp"),
    )
)
EXACT_DURATION = ("mov", "matroska")  # their headers state the duration exactly, if at all
TOLERANCE_S = 0.5  # tracks may end a little before the container
MAX_PIXELS = 4096 * 4096


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
    """Tell by its content whether a file is a video."""
    with opened(source, DEFAULT_LIMITS.max_bytes) as file:
        if format_of(file, VIDEOS) is None:
            return False
    try:
        with opened_video(source) as video:
            return bool(picture_streams(video))
    except (MissingExtraError, VideoError):
        return True


def has_sound(source: VideoSource) -> bool:
    """Tell whether a video has a sound track."""
    with opened_video(source) as video:
        return bool(video.container.streams.audio)


def read_video_sound(source: VideoSource, *, limits: Limits = DEFAULT_LIMITS) -> Signal:
    """Read the sound of a video as one mono signal at 16 kHz."""
    with opened_video(source, max_bytes=limits.max_bytes) as video:
        stream = next(iter(video.container.streams.audio), None)
        if stream is None:
            raise VideoError(
                f"{video.name}: is a video without sound; give one with a sound track, or the "
                "sound in a file of its own"
            )
        context = codec_of(video, stream)
        check_layout(video.name, context.sample_rate or 0, context.channels or 0, limits)
        _check_duration(video, limits)
        blocks = _blocks(video, stream, context.sample_rate)
        return collect(blocks, context.sample_rate, video.name, limits)


@contextmanager
def opened_video(
    source: VideoSource,
    *,
    max_bytes: int = DEFAULT_LIMITS.max_bytes,
    max_pixels: int = MAX_PIXELS,
    formats: Formats = VIDEOS,
) -> Iterator[OpenVideo]:
    """Open a video within a ``with`` statement."""
    av = _av()
    with opened(source, max_bytes) as file:
        kind = format_of(file, formats)
        if kind is None:
            raise VideoError(
                f"{file.label}: is no video that can be read; need MP4, MOV, WebM, Matroska, AVI, "
                f"WMV, FLV or MPEG: {CONVERT}"
            )
        try:
            container = av.open(
                file,
                format=kind,
                metadata_errors="replace",
                options={
                    "max_pixels": str(max_pixels),
                    "codec_whitelist": ",".join(sorted(CODECS)),  # opening decodes a little
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
    head = file.read_at(0, 256)
    if head[4:8] == b"ftyp" and head[8:12] in NOT_VIDEO:
        return None
    for (position, magic), kind in formats.items():
        if head[position:].startswith(magic) and (kind != "mpegts" or head.startswith(b"G")):
            return kind
    return None


def picture_streams(video: OpenVideo) -> list[Any]:
    """List the picture tracks, without the cover of an album."""
    av = _av()
    cover = av.stream.Disposition.attached_pic
    return [stream for stream in video.container.streams.video if not stream.disposition & cover]


def codec_of(video: OpenVideo, stream: Any) -> Any:
    """Return the decoder of a track; refuse a track without one, or with one not in `CODECS`."""
    if stream.codec_context is None or stream.codec_context.name not in CODECS:
        raise VideoError(
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


def _av() -> Any:
    """Import PyAV."""
    try:
        import av
    except ImportError as error:
        raise MissingExtraError("a video", "face") from error
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
            "cut it into pieces, or raise max_s in the limits"
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
        yield np.zeros((min(left, rate), 1), np.float32)
        left -= rate


def _floats(resampler: Any, frame: Any, name: str) -> list[Signal]:
    """Convert a frame to pieces of float32, (channels, samples)."""
    try:
        return [piece.to_ndarray() for piece in resampler.resample(frame)]
    except (_av().FFmpegError, ValueError) as cause:
        raise VideoError(
            f"{name}: changes the layout of its sound midway ({reason_of(cause)}); {CONVERT}"
        ) from cause
