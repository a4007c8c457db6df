"""Files with more in them than one recording: joined ones, tags, padding, junk."""

import io
from contextlib import suppress

import av
import numpy as np
import pytest
import soundfile

from made_videos import sound_alone
from serein.audio.mpeg import mpeg_parts
from serein.audio.read import RATE_HZ, read_audio
from serein.errors import AudioError

ID3 = b"ID3\4\0\0\0\0\0\x08" + bytes(8)
APE = b"APETAGEX" + bytes(60)
LYRICS = b"LYRICSBEGIN" + b"la " * 300 + b"000900LYRICS200"
ID3V1 = b"TAG".ljust(128, b"\0")
JUNK = np.random.default_rng(0).bytes(3000)


def tone(hz, seconds=1.5, rate=RATE_HZ):
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)


def encoded(samples, kind, subtype=None, rate=RATE_HZ):
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=kind, subtype=subtype)
    return file.getvalue()


def pitch_hz(signal):
    spectrum = np.abs(np.fft.rfft(signal * np.hanning(signal.size)))
    return np.argmax(spectrum) * RATE_HZ / signal.size


def without_tag(mp3):
    """An MP3 without the frame that says how long it is."""
    return mp3[mp3.index(mp3[:2], 4) :]


FIRST, SECOND = tone(440), tone(880, 1.0)
MP3 = encoded(FIRST, "MP3")
BARE = without_tag(MP3)


@pytest.mark.parametrize(
    ("kind", "subtype"),
    [
        *[("MP3", None), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("FLAC", None), ("WAV", None)],
        *[("AIFF", None), ("AU", None), ("CAF", "PCM_16"), ("W64", None), ("NIST", "PCM_16")],
    ],
)
def test_all_parts_of_a_joined_file_are_read(kind, subtype):
    data = encoded(FIRST, kind, subtype) + encoded(SECOND, kind, subtype)
    signal = read_audio(data)
    assert signal.size == pytest.approx(2.5 * RATE_HZ, abs=2500)
    assert pitch_hz(signal[:RATE_HZ]) == pytest.approx(440, abs=2)
    assert pitch_hz(signal[-RATE_HZ // 2 :]) == pytest.approx(880, abs=3)


def test_parts_may_differ_in_rate_and_channels():
    other = encoded(np.tile(tone(880, 1.0, 44_100)[:, None], 2), "MP3", rate=44_100)
    signal = read_audio(MP3 + ID3 + other)
    assert signal.size == pytest.approx(2.5 * RATE_HZ, abs=3000)
    assert pitch_hz(signal[-RATE_HZ // 2 :]) == pytest.approx(880, abs=3)


def test_a_cut_part_is_no_complete_file():
    with pytest.raises(AudioError, match="truncated"):
        read_audio(MP3[: len(MP3) // 2] + MP3)
    ogg = encoded(FIRST, "OGG", "OPUS")
    with pytest.raises(AudioError, match="truncated"):
        read_audio(ogg[: ogg.rindex(b"OggS")] + ogg)


def test_so_many_files_in_one_are_refused():
    with pytest.raises(AudioError, match="is 65 files in one; at most 64 are read"):
        read_audio(encoded(tone(440, 0.1), "WAV") * 70)


@pytest.mark.parametrize("mp3", [MP3, BARE], ids=["tagged", "bare"])
@pytest.mark.parametrize(
    ("before", "behind"),
    [
        *[(bytes(600), b""), (b"", bytes(5000)), (JUNK, b""), (b"", JUNK), (ID3 * 3, ID3V1)],
        *[(ID3 + bytes(100), b""), (APE, APE + ID3V1), (b"", LYRICS + ID3V1), (b"", ID3)],
        (b"TAG+" + bytes(223), ID3V1 * 2),
    ],
)
def test_what_is_around_an_mp3_changes_nothing(mp3, before, behind, capfd):
    np.testing.assert_array_equal(read_audio(before + mp3 + behind), read_audio(mp3))
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("mp3", [MP3, BARE], ids=["tagged", "bare"])
@pytest.mark.parametrize("within", [bytes(700), JUNK, ID3, ID3V1])
def test_what_is_between_frames_is_passed_over(mp3, within, capfd):
    cut = next(at.start for part in mpeg_parts(Bytes(mp3), 0) for at in part.ranges)
    frames = starts(mp3, cut)
    half = frames[len(frames) // 2]
    signal = read_audio(mp3[:half] + within + mp3[half:])
    assert signal.size == pytest.approx(1.5 * RATE_HZ, abs=3000)
    assert pitch_hz(signal) == pytest.approx(440, abs=2)
    assert capfd.readouterr().err == ""


def test_damage_within_frames_says_nothing_on_standard_error(capfd):
    draw = np.random.default_rng(0)
    for _ in range(20):
        bad = bytearray(MP3)
        for place in draw.integers(200, len(bad), 40):
            bad[place] = draw.integers(256)
        with suppress(AudioError):
            read_audio(bytes(bad))
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("rate", [16_000, 32_000, 44_100, 48_000])
def test_mpeg_layer_two_is_read(rate):
    data = sound_alone(tone(440, 1.5, rate), rate=rate, form="mp2", codec="mp2")
    signal = read_audio(data)
    assert signal.size == pytest.approx(1.5 * RATE_HZ, abs=2000)
    assert pitch_hz(signal) == pytest.approx(440, abs=2)


def test_a_false_tag_does_not_cut_a_file():
    """A tag that promises less, as that of a file that was joined by a program, is passed over."""
    at = MP3.index(b"Info" if b"Info" in MP3[:100] else b"Xing")
    short = MP3[: at + 8] + (10).to_bytes(4) + MP3[at + 12 :]
    assert read_audio(short).size == pytest.approx(1.5 * RATE_HZ, abs=3000)


class Bytes:
    """Bytes as `mpeg_parts` reads them."""

    def __init__(self, data):
        self.data, self.size = data, len(data)

    def read_at(self, position, count):
        return self.data[position : position + count]


def starts(mp3, first):
    """Where the frames of an MP3 begin, found by PyAV."""
    with av.open(io.BytesIO(mp3), format="mp3") as container:
        found = [packet.pos for packet in container.demux(audio=0) if packet.size]
    return [at for at in found if at and at > first]
