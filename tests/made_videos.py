"""Videos made from arrays of pictures and sound, in any container: for tests of video and face."""

import io
from pathlib import Path

import av
import cv2
import numpy as np

VOICE = Path(__file__).parents[1] / "samples" / "espeak-german.flac"
BACKGROUND = 200
CONTAINERS = [
    *[("mp4", "libx264", "aac"), ("mov", "libx264", "aac"), ("matroska", "libx264", "aac")],
    *[("webm", "libvpx-vp9", "libopus"), ("avi", "mpeg4", "mp3"), ("mpegts", "libx264", "aac")],
    *[("flv", "libx264", "aac"), ("asf", "mpeg4", "aac"), ("mpeg", "mpeg2video", "mp2")],
]


def clip(
    pictures, sound=None, *, fps=25, rate=48_000, target=None, times=None, more=None,
    kind=("mp4", "libx264", "aac"), delay_s=0.0,
):  # fmt: skip
    """A video of pictures (height, width, 3) and of sound (samples,) or (samples, channels)."""
    file = target or io.BytesIO()
    with av.open(file, "w", format=kind[0], options=more or {}) as container:
        video = container.add_stream(kind[1], rate=fps)
        video.height, video.width = pictures[0].shape[:2]
        video.pix_fmt = "yuv420p"
        voice = None if sound is None else container.add_stream(kind[2], rate=rate)
        if voice is not None:
            voice.layout = "mono" if sound.ndim == 1 else "stereo"
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = number if times is None else times[number]
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if voice is not None:
            _add_sound(container, voice, sound, rate, delay_s)
    return Path(target).read_bytes() if target else file.getvalue()


SOUND_ALONE = [  # container, codec, rate: what phones and browsers record, and editors write
    *[("ipod", "aac", 48_000), ("ipod", "alac", 48_000), ("adts", "aac", 44_100)],
    *[("3gp", "libopencore_amrnb", 8000), ("amr", "libopencore_amrnb", 8000)],
    *[("webm", "libopus", 48_000), ("matroska", "aac", 48_000)],
    *[("matroska", "flac", 48_000), ("asf", "wmav2", 44_100), ("ogg", "flac", 48_000)],
    *[("ac3", "ac3", 48_000), ("eac3", "eac3", 48_000)],
    *[("tta", "tta", 44_100), ("wv", "wavpack", 44_100)],
]


def sound_alone(sound, *, rate=48_000, form="mp4", codec="aac"):
    """A container that holds a track of sound (samples,) and no pictures."""
    file = io.BytesIO()
    with av.open(file, "w", format=form) as container:
        voice = container.add_stream(codec, rate=rate)
        if codec == "wmav2":
            voice.bit_rate = 64_000
        voice.layout = "mono"
        _add_sound(container, voice, sound, rate, 0.0)
    return file.getvalue()


def greys(count, size=(48, 64)):
    """Pictures that grow brighter."""
    return [np.full((*size, 3), number % 256, np.uint8) for number in range(count)]


def chirp(seconds=2.0, rate=48_000):
    """From 200 Hz up: unlike a sine, it is itself at one place in time only."""
    time_s = np.arange(round(seconds * rate)) / rate
    return 0.5 * np.sin(2 * np.pi * (200 + 200 * time_s) * time_s)


def cartoon(size):
    """Draw a face as the cascade expects it: dark eyes below brows, a light nose, a mouth."""

    def ellipse(x, y, wide, high, grey):
        centre, axes = (round(x * size), round(y * size)), (round(wide * size), round(high * size))
        cv2.ellipse(picture, centre, axes, 0, 0, 360, grey, -1)

    picture = np.full((size, size), BACKGROUND, np.uint8)
    ellipse(0.5, 0.52, 0.36, 0.47, 170)
    for x in (0.35, 0.65):
        ellipse(x, 0.40, 0.105, 0.055, 80)
        ellipse(x, 0.41, 0.045, 0.035, 25)
        ellipse(x, 0.32, 0.12, 0.03, 60)
    ellipse(0.5, 0.48, 0.025, 0.10, 190)
    ellipse(0.5, 0.60, 0.06, 0.03, 120)
    ellipse(0.5, 0.74, 0.15, 0.05, 90)
    return cv2.GaussianBlur(picture, (0, 0), size * 0.02)


def scene(*faces, size=(360, 640)):
    """A picture with cartoons at (x, y, size)."""
    picture = np.full((*size, 3), BACKGROUND, np.uint8)
    for x, y, side in faces:
        picture[y : y + side, x : x + side] = cartoon(side)[..., None]
    return picture


def _add_sound(container, voice, sound, rate, delay_s):
    samples = np.atleast_2d(np.ascontiguousarray(sound.T, np.float32))
    layout = "mono" if len(samples) == 1 else "stereo"
    frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout=layout)
    frame.sample_rate, frame.pts = rate, round(delay_s * rate)
    container.mux(voice.encode(frame))
    container.mux(voice.encode(None))
