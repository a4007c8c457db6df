"""Sampling pictures by construction: clips made here whose pictures tell which one they are."""

import struct
import zlib
from fractions import Fraction

import numpy as np
import pytest

from made_videos import CONTAINERS, chirp, clip, greys, sound_alone
from serein.errors import AudioError, VideoError
from serein.features.video import VideoLimits, is_still, sample_frames

av = pytest.importorskip("av", reason="PyAV is not installed: pip install 'serein[face]'")

QUARTER_TURN = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
UPRIGHT = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)


def times(data, **more):
    return [time_s for time_s, _ in sample_frames(data, **more)]


def picture_file(codec, picture, pix_fmt):
    """One picture in a file of its own."""
    encoder = av.CodecContext.create(codec, "w")
    encoder.height, encoder.width = picture.shape[:2]
    encoder.pix_fmt, encoder.time_base = pix_fmt, Fraction(1, 25)
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pix_fmt)
    return b"".join(bytes(packet) for packet in (*encoder.encode(frame), *encoder.encode(None)))


def png(width, height):
    """A PNG whose header claims this size; it holds one line of zeros."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    lines = zlib.compress(b"\0" * 100)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", lines) + chunk(b"IEND", b"")
    )


# --- evenly in time -------------------------------------------------------------------------------


@pytest.mark.parametrize("fps", [10, 25, 30, 120])
@pytest.mark.parametrize("per_s", [1.0, 5.0])
def test_samples_are_even_whatever_the_frame_rate(fps, per_s):
    found = times(clip(greys(2 * fps), fps=fps), per_s=per_s)
    np.testing.assert_allclose(found, np.arange(2 * per_s) / per_s, atol=1 / fps)


def test_each_picture_stands_at_its_own_time():
    for time_s, picture in sample_frames(clip(greys(50)), per_s=5):
        assert picture.shape == (48, 64, 3)
        assert picture.dtype == np.uint8
        assert picture.mean() == pytest.approx(round(time_s * 25), abs=3)


def test_more_than_there_are_gives_each_once():
    assert times(clip(greys(20), fps=10), per_s=50) == pytest.approx(np.arange(20) / 10)


def test_a_varying_rate_is_sampled_by_time():
    ticks = [*range(25), *range(25, 75, 5)]  # a second at 25 a second, then two at 5
    found = times(clip(greys(35), times=ticks), per_s=5)
    np.testing.assert_allclose(found, np.arange(15) / 5, atol=1e-3)


def test_pictures_and_sound_share_time_0():
    late = clip(greys(50), chirp(), delay_s=0.5, kind=CONTAINERS[2])
    assert times(late)[0] == pytest.approx(0, abs=0.01)


# --- size, turn and stills ------------------------------------------------------------------------


def test_large_pictures_are_scaled_down():
    data = clip(greys(2, size=(360, 1280)))
    assert {picture.shape for _, picture in sample_frames(data)} == {(180, 640, 3)}
    assert {picture.shape for _, picture in sample_frames(data, max_side=100)} == {(28, 100, 3)}


def test_pictures_are_turned_upright():
    left_red = np.zeros((48, 64, 3), np.uint8)
    left_red[:, :32, 0] = 250
    data = clip([left_red] * 3)
    (_, plain), *_ = sample_frames(data)
    place = data.index(UPRIGHT, data.index(b"tkhd"))  # a quarter turn clockwise for the player
    (_, turned), *_ = sample_frames(data[:place] + QUARTER_TURN + data[place + len(UPRIGHT) :])
    np.testing.assert_array_equal(turned, np.rot90(plain, -1))
    assert turned[5, 24, 0] > 200  # left went up
    assert turned[-5, 24, 0] < 50


@pytest.mark.parametrize(
    ("codec", "pix_fmt"), [("png", "rgb24"), ("mjpeg", "yuvj420p"), ("bmp", "bgr24")]
)
def test_a_still_image_is_one_picture_at_0(codec, pix_fmt):
    picture = np.full((40, 60, 3), (200, 100, 50), np.uint8)
    data = picture_file(codec, picture, pix_fmt)
    assert is_still(data)
    [(time_s, found)] = sample_frames(data)
    assert time_s == 0
    np.testing.assert_allclose(found, picture, atol=6)


def test_a_video_is_no_still():
    assert not is_still(clip(greys(2)))


# --- bad input ------------------------------------------------------------------------------------


def test_a_claim_of_huge_pictures_is_refused():
    with pytest.raises(VideoError, match=r"4096 x 4096|at most 4096"):
        list(sample_frames(png(30_000, 30_000)))
    with pytest.raises(VideoError, match="pictures of 64 x 48 pixels; need at most 50"):
        list(sample_frames(clip(greys(2)), limits=VideoLimits(max_side=50)))
    with pytest.raises(VideoError, match="pictures of 4200 x 64 pixels; need at most 4096"):
        list(sample_frames(clip(greys(2, size=(64, 4200)))))


def test_limits_hold():
    data = clip(greys(50))
    with pytest.raises(VideoError, match="longer than 1 s"):
        list(sample_frames(data, limits=VideoLimits(max_s=1.0)))
    with pytest.raises(VideoError, match="more than 20 pictures"):
        list(sample_frames(data, limits=VideoLimits(max_frames=20)))
    with pytest.raises(AudioError, match="at most 100 are read"):
        list(sample_frames(data, limits=VideoLimits(max_bytes=100)))


@pytest.mark.parametrize("per_s", [0, -1, 61, float("nan"), float("inf")])
def test_a_rate_must_be_one(per_s):
    with pytest.raises(VideoError, match="per_s is"):
        sample_frames(b"not looked at", per_s=per_s)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (b"no video at all, only words", "no video that can be read"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "no video that can be read"),
        (b"\x89PNG\r\n\x1a\n" + b"x" * 100, "damaged"),
        (b"\xff\xd8\xff" + b"x" * 100, "damaged"),
        (b"\x1a\x45\xdf\xa3" + b"x" * 100, "damaged"),
    ],
)
def test_what_holds_no_picture_is_an_error(bad, message):
    with pytest.raises(VideoError, match=message):
        list(sample_frames(bad))


def test_sound_alone_has_no_pictures():
    with pytest.raises(VideoError, match="no pictures, only sound"):
        list(sample_frames(sound_alone(chirp(), form="matroska")))


def test_damage_is_an_error_or_pictures():
    data, rng = clip(greys(50), chirp()), np.random.default_rng(1)
    outcomes = set()
    for _ in range(30):
        bad = bytearray(data)
        for place in rng.integers(40, len(data), 60):
            bad[place] = rng.integers(256)
        try:
            outcomes.add(all(np.isfinite(times(bytes(bad)))))
        except VideoError:
            outcomes.add("error")
    assert "error" in outcomes
    assert outcomes <= {"error", True}
