"""The pictures of a video, a few a second. Extra [face].

Pictures are sampled by their timestamps, whatever the frame rate; a still image is a video of one
picture at 0 s. They are scaled down, for a face is found in 640 pixels as well as in 4096, and
rotated upright as the camera noted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import floor, inf
from typing import Any

import numpy as np
import numpy.typing as npt

from serein.audio.media import (
    CONVERT,
    Formats,
    OpenVideo,
    VideoSource,
    codec_of,
    decoded,
    format_of,
    opened_video,
    picture_streams,
)
from serein.audio.source import RETRY, opened
from serein.errors import LONGER, VideoError, in_pieces

Picture = npt.NDArray[np.uint8]
Timed = tuple[float, Picture]

STILLS: Formats = {  # (position, magic bytes) -> FFmpeg's name of the format
    (0, b"\x89PNG\r\n\x1a\n"): "png_pipe",
    (0, b"\xff\xd8\xff"): "jpeg_pipe",
    (8, b"WEBPVP8"): "webp_pipe",
    (0, b"BM"): "bmp_pipe",
}
MAX_PER_S = 60.0


@dataclass(frozen=True)
class VideoLimits:
    """Limits of the pictures of a video."""

    max_s: float = 3600.0
    max_side: int = 4096  # pixels, as stored
    max_frames: int = 500_000  # decoded: more than an hour at 120 a second
    max_bytes: int = 2 * 2**30


DEFAULT_VIDEO_LIMITS = VideoLimits()


def is_still(source: VideoSource) -> bool:
    """Tell whether a file is a still image that `sample_frames` reads (PNG, JPEG, WebP, BMP)."""
    with opened(source, DEFAULT_VIDEO_LIMITS.max_bytes) as file:
        return format_of(file, STILLS) is not None


def sample_frames(
    source: VideoSource,
    *,
    per_s: float = 5.0,
    max_side: int = 640,
    limits: VideoLimits = DEFAULT_VIDEO_LIMITS,
) -> Iterator[Timed]:
    """Sample the pictures of a video evenly in time: time in seconds, RGB picture."""
    if not 0 < per_s <= MAX_PER_S:
        raise VideoError(f"per_s is {per_s}; need more than 0 and at most {MAX_PER_S:g} a second")
    if max_side < 16:
        raise VideoError(f"max_side is {max_side}; need at least 16 pixels")
    return _frames(source, per_s, max_side, limits)


def _frames(
    source: VideoSource, per_s: float, max_side: int, limits: VideoLimits
) -> Iterator[Timed]:
    pixels = limits.max_side**2
    with opened_video(
        source, max_bytes=limits.max_bytes, max_pixels=pixels, stills=STILLS
    ) as video:
        stream = _picture_stream(video, limits)
        wanted = 0
        for time_s, frame in _timed(video, stream, limits):
            if time_s * per_s + 1e-6 >= wanted:
                yield time_s, _upright(frame, max_side)
                wanted = floor(time_s * per_s + 1e-6) + 1


def _picture_stream(video: OpenVideo, limits: VideoLimits) -> Any:
    """Find the picture track, and check its header."""
    stream = next(iter(picture_streams(video)), None)
    if stream is None:
        raise VideoError(
            f"{video.name}: has no pictures, only sound; give a video, or read it as sound"
        )
    _check_size(video.name, codec_of(video, stream), limits)
    if video.duration_s > limits.max_s:
        raise _too_long(video.name, limits)
    return stream


def _timed(video: OpenVideo, stream: Any, limits: VideoLimits) -> Iterator[tuple[float, Any]]:
    """Decode the pictures with their times in seconds, which never decrease."""
    still = video.format.endswith("_pipe")
    rate = float(stream.average_rate or stream.guessed_rate or 25)
    last_s = -inf
    for number, frame in enumerate(decoded(video, stream)):
        if number >= limits.max_frames:
            raise VideoError(
                f"{video.name}: has more than {limits.max_frames} pictures, the most that are "
                "decoded; cut it into pieces, or lower its frame rate"
            )
        _check_size(video.name, frame, limits)
        if still:
            yield 0.0, frame
            return
        time_s = number / rate if frame.time is None else frame.time - video.start_s
        last_s = max(last_s, time_s, 0.0)
        if last_s > limits.max_s:
            raise _too_long(video.name, limits)
        yield last_s, frame
    if last_s < 0:
        raise VideoError(f"{video.name}: holds no picture that can be decoded; {CONVERT}")


def _check_size(name: str, picture: Any, limits: VideoLimits) -> None:
    """Check width and height of a track or frame."""
    width, height = picture.width, picture.height
    if not (width and height):  # FFmpeg gave up before it knew
        raise VideoError(
            f"{name}: has pictures that are damaged, or larger than {limits.max_side} x "
            f"{limits.max_side} pixels; {RETRY}, or scale it down"
        )
    if max(width, height) > limits.max_side:
        raise VideoError(
            f"{name}: has pictures of {width} x {height} pixels; need at most {limits.max_side} "
            "a side: scale it down, for instance with: ffmpeg -i large.mp4 -vf scale=1280:-2 "
            "small.mp4"
        )


def _too_long(name: str, limits: VideoLimits) -> VideoError:
    return VideoError(
        f"{name}: lasts longer than {limits.max_s:g} s, the most that is read; cut it into "
        f"pieces{LONGER}",
        to_try=in_pieces(limits.max_s),
    )


def _upright(frame: Any, max_side: int) -> Picture:
    """Convert a picture to RGB, scaled down and rotated as the camera noted."""
    scale = min(1.0, max_side / max(frame.width, frame.height))
    size = (max(1, round(frame.width * scale)), max(1, round(frame.height * scale)))
    small = frame.reformat(*size, format="rgb24", interpolation="AREA").to_ndarray()
    return np.ascontiguousarray(np.rot90(small, round(frame.rotation / 90) % 4))
