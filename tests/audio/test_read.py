"""Reading by construction: sines of known pitch, level and length, and files damaged on purpose."""

import contextlib
import functools
import io
import os
import re
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import example, given, settings
from hypothesis import strategies as st

from serein.audio import read
from serein.audio.read import RATE_HZ, check_signal, read_audio
from serein.defaults import Limits
from serein.errors import AudioError, MissingExtraError
from serein.recordings import EXTENSIONS

PITCH_HZ = 440.0
LEVEL = 0.5
WAV_RIFF_SIZE, WAV_RATE, WAV_DATA_SIZE = slice(4, 8), slice(24, 28), slice(40, 44)


def sine(rate=RATE_HZ, seconds=3.0, channels=1):
    """A sine, (frames,) or (frames, channels)."""
    tone = LEVEL * np.sin(2 * np.pi * PITCH_HZ * np.arange(round(rate * seconds)) / rate)
    return tone if channels == 1 else np.tile(tone[:, None], channels)


def encode(samples, rate=RATE_HZ, kind="WAV", subtype=None, **options):
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=kind, subtype=subtype, **options)
    return file.getvalue()


@functools.cache
def encoded_sine(kind, subtype=None, rate=RATE_HZ, seconds=3.0, channels=1):
    return encode(sine(rate, seconds, channels), rate, kind, subtype)


def with_size(wav, riff, data):
    """A WAV whose header claims these sizes."""
    wav = bytearray(wav)
    wav[WAV_RIFF_SIZE] = riff.to_bytes(4, "little")
    wav[WAV_DATA_SIZE] = data.to_bytes(4, "little")
    return bytes(wav)


def with_flac_frames(flac, frames):
    """A FLAC whose header claims this many frames (36 bits)."""
    word = int.from_bytes(flac[18:26]) >> 36 << 36 | frames
    return flac[:18] + word.to_bytes(8) + flac[26:]


def without_xing(mp3):
    """An MP3 without its first frame, which holds the length."""
    return mp3[mp3.index(mp3[:2], 4) :]


def pitch_hz(signal):
    spectrum = np.abs(np.fft.rfft(signal * np.hanning(signal.size)))
    return np.argmax(spectrum) * RATE_HZ / signal.size


def level(signal):
    middle = signal[signal.size // 4 : -signal.size // 4].astype(float)
    return np.sqrt(2 * np.mean(middle**2))


# --- right length, pitch and level, whatever the format -------------------------------------------

LOSSLESS = [("WAV", "PCM_16"), ("WAV", "PCM_24"), ("WAV", "FLOAT"), ("FLAC", "PCM_16")]
LOSSLESS += [("WAVEX", "PCM_16"), ("AIFF", "PCM_16"), ("AU", "PCM_16"), ("WAV", "PCM_U8")]
LOSSY = [("OGG", "VORBIS"), ("MP3", "MPEG_LAYER_III"), ("WAV", "ULAW")]
RATES = [8000, 11_025, 16_000, 44_100, 48_000]
CASES = [(kind, rate) for kind in LOSSLESS + LOSSY for rate in RATES]
CASES += [(("OGG", "OPUS"), rate) for rate in (8000, 16_000, 48_000)]


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(("kind", "rate"), CASES)
def test_a_sine_keeps_length_pitch_and_level(tmp_path, kind, rate, channels):
    path = tmp_path / "sine"
    path.write_bytes(encoded_sine(*kind, rate=rate, seconds=1.5, channels=channels))
    signal = read_audio(path)
    assert signal.dtype == np.float32
    assert signal.ndim == 1
    assert signal.flags.c_contiguous
    assert signal.flags.writeable
    assert abs(signal.size - 24_000) <= (1 if kind in LOSSLESS else 800)
    assert pitch_hz(signal) == pytest.approx(PITCH_HZ, abs=RATE_HZ / signal.size)
    assert level(signal) == pytest.approx(LEVEL, rel=0.01 if kind in LOSSLESS else 0.05)


@pytest.mark.parametrize("rate", [4000, 11_025, 44_100, 384_000])
def test_resampling_in_blocks_is_resampling_at_once(rate):
    noise = 0.1 * np.random.default_rng(0).standard_normal(round(3.3 * rate)).astype(np.float32)
    at_once = soxr.resample(noise, rate, RATE_HZ, quality="HQ")
    np.testing.assert_allclose(read_audio(noise, rate=rate), at_once, atol=1e-4)


@pytest.mark.parametrize("kind", [("MP3", "MPEG_LAYER_III"), ("OGG", "VORBIS"), ("OGG", "OPUS")])
def test_blocks_join_without_a_seam(kind):
    data = encoded_sine(*kind)
    at_once, _ = soundfile.read(io.BytesIO(data), dtype="float32")
    np.testing.assert_allclose(read_audio(data), at_once, atol=1e-6)


def test_channels_are_averaged():
    left, right = np.full(8000, 0.5), np.full(8000, -0.25)
    wav = encode(np.stack([left, right], axis=1), subtype="FLOAT")
    np.testing.assert_array_equal(read_audio(wav), np.full(8000, 0.125, np.float32))


def test_integers_are_scaled_to_full_scale():
    ends = np.tile(np.array([-(2**15), 0, 2**15 - 1], np.int16), 1000)
    expected = np.tile(np.array([-1.0, 0.0, 1 - 2**-15], np.float32), 1000)
    np.testing.assert_array_equal(read_audio(encode(ends)), expected)
    np.testing.assert_array_equal(read_audio(ends, rate=RATE_HZ), expected)
    np.testing.assert_array_equal(read_audio(ends.astype(np.int32) << 16, rate=RATE_HZ), expected)


# --- every kind of source gives the same samples --------------------------------------------------


class Pipe(io.RawIOBase):
    """A binary file that cannot seek and gives a little at a time."""

    def __init__(self, data):
        self.data = io.BytesIO(data)

    def readable(self):
        return True

    def readinto(self, buffer):
        piece = self.data.read(min(1000, len(buffer)))
        buffer[: len(piece)] = piece
        return len(piece)


@pytest.mark.parametrize("rate", [RATE_HZ, 44_100])
def test_all_sources_give_the_same_samples(tmp_path, rate):
    samples = sine(rate, channels=2).astype(np.float32)
    data = encode(samples, rate, subtype="FLOAT")
    path = tmp_path / "sine.wav"
    path.write_bytes(data)
    expected = read_audio(samples, rate=rate)
    for source in (path, str(path), data, bytearray(data), memoryview(data), Pipe(data)):
        np.testing.assert_array_equal(read_audio(source), expected)
    with path.open("rb") as file:
        np.testing.assert_array_equal(read_audio(file), expected)
        assert not file.closed


def test_a_file_object_is_read_from_where_it_stands():
    data = encoded_sine("FLAC")
    file = io.BytesIO(b"something else" + data)
    file.seek(14)
    np.testing.assert_array_equal(read_audio(file), read_audio(data))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ">f4", np.int16, np.int32])
def test_arrays_of_every_dtype_are_read_and_left_alone(dtype):
    scale = 1 if np.dtype(dtype).kind == "f" else np.iinfo(dtype).max
    array = (sine() * scale).astype(dtype)
    array.setflags(write=False)
    signal = read_audio(array, rate=RATE_HZ)
    assert not np.shares_memory(signal, array)
    np.testing.assert_allclose(signal, sine(), atol=1e-3)


def test_an_array_may_be_strided():
    wide = np.zeros((16_000, 4), np.float32)
    wide[:, 1] = sine(seconds=1)
    np.testing.assert_array_equal(read_audio(wide[:, 1], rate=RATE_HZ), wide[:, 1])


@pytest.mark.parametrize("name", ["voice.wav", "voice.raw", "voice.gsm", "voice.xyz", "voice"])
def test_content_decides_not_the_name(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(encoded_sine("FLAC"))
    assert read_audio(path).size == 48_000
    with path.open("rb") as file:
        assert read_audio(file).size == 48_000


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_extensions_are_those_of_formats_that_can_be_decoded(extension):
    known = {"AIF": "AIFF", "AIFC": "AIFF", "OGA": "OGG", "OPUS": "OGG", "SND": "AU", "SPH": "NIST"}
    known |= {"MP2": "MP3", "MPGA": "MP3", "WAVE": "WAV", "BWF": "WAV"}
    name = extension.removeprefix(".").upper()
    assert known.get(name, name) in soundfile.available_formats()


# --- headers that leave the length open, as a pipe's do -------------------------------------------


@pytest.mark.parametrize(
    ("riff", "data"),
    [(0xFFFFFFFF, 0xFFFFFFFF), (0x7FFFF024, 0x7FFFF000), (0, 0), (36, 0), (0xFFFFFFFF, 0)],
)
def test_a_wav_from_a_pipe_is_read_whole(riff, data):
    wav = encoded_sine("WAV")
    np.testing.assert_array_equal(read_audio(with_size(wav, riff, data)), read_audio(wav))


def test_a_flac_from_a_pipe_is_read_whole():
    flac = encoded_sine("FLAC")
    np.testing.assert_array_equal(read_audio(with_flac_frames(flac, 0)), read_audio(flac))


@pytest.mark.parametrize("tag", [b"", b"TAG".ljust(128, b"\0")])
@pytest.mark.parametrize("loud_first", [True, False])
def test_an_mp3_without_a_length_is_read_whole(loud_first, tag):
    noise = 0.2 * np.random.default_rng(0).standard_normal(5 * RATE_HZ)
    halves = [noise, np.zeros_like(noise)]
    samples = np.concatenate(halves if loud_first else halves[::-1])
    mp3 = encode(samples, kind="MP3", bitrate_mode="VARIABLE", compression_level=0.5)
    assert b"Xing" in mp3[:100]
    assert read_audio(without_xing(mp3) + tag).size == pytest.approx(samples.size, abs=2000)


def test_a_slightly_wrong_size_is_no_truncation():
    wav = encoded_sine("WAV")
    assert read_audio(with_size(wav, len(wav), len(wav))).size == 48_000


# --- limits hold while decoding -------------------------------------------------------------------


@pytest.fixture
def decoded_frames(monkeypatch):
    """The frames that soundfile has been asked for, block by block."""
    frames = []
    read = soundfile.SoundFile.read

    def counted(self, *args, **options):
        block = read(self, *args, **options)
        frames.append(len(options["out"]))
        return block

    monkeypatch.setattr(soundfile.SoundFile, "read", counted)
    return frames


@pytest.mark.parametrize("kind", [("OGG", "OPUS"), ("FLAC", "PCM_16")])
def test_decoding_stops_at_the_limit(kind, decoded_frames):
    silence = encode(np.zeros(120 * 8000, np.int16), 8000, *kind)
    assert len(silence) < 100_000
    with pytest.raises(AudioError, match=r"^<bytes>: lasts longer than 20 s.*max_s"):
        read_audio(silence, limits=Limits(max_s=20))
    assert sum(decoded_frames) <= 21 * 8000


def test_a_block_is_small_whatever_limits_and_header_say(decoded_frames):
    wav = bytearray(encode(np.zeros((8000, 1000), np.int16)))
    wav[WAV_RATE] = (2**31 - 1).to_bytes(4, "little")
    generous = Limits(max_channels=1000, max_rate_hz=2**31, min_s=0)
    read_audio(bytes(wav), limits=generous)
    assert max(decoded_frames) * 1000 <= 2**22


def test_memory_is_the_result_and_a_block(tmp_path):
    path = tmp_path / "long.wav"
    soundfile.write(path, np.zeros((120 * 48_000, 2), np.int16), 48_000)
    read_audio(sine(), rate=RATE_HZ)
    tracemalloc.start()
    try:
        signal = read_audio(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1.15 * signal.nbytes + 2_000_000


def test_max_bytes_holds_before_opening(tmp_path, monkeypatch):
    data = encoded_sine("WAV")
    path = tmp_path / "sine.wav"
    path.write_bytes(data)
    monkeypatch.delattr(soundfile.SoundFile, "__init__")
    for source in (path, data, io.BytesIO(data), Pipe(data)):
        with pytest.raises(AudioError, match=r"bytes or more; at most 50000 are read: cut it"):
            read_audio(source, limits=Limits(max_bytes=50_000))


@pytest.mark.parametrize("rate", [300, 1_000_000])
def test_rate_outside_the_limits(rate, decoded_frames):
    wav = bytearray(encoded_sine("WAV"))
    wav[WAV_RATE] = rate.to_bytes(4, "little")
    match = rf"rate of {rate} Hz; need 4000 to 384000 Hz"
    with pytest.raises(AudioError, match=match):
        read_audio(bytes(wav))
    with pytest.raises(AudioError, match=match):
        read_audio(sine(), rate=rate)
    assert not decoded_frames


@pytest.mark.parametrize("channels", [12, 1000])
def test_too_many_channels(channels, decoded_frames):
    match = rf"has {channels} channels; need 1 to 8"
    with pytest.raises(AudioError, match=match):
        read_audio(encode(np.zeros((2000, channels), np.int16)))
    with pytest.raises(AudioError, match=match):
        read_audio(np.zeros((2000, channels), np.int16), rate=RATE_HZ)
    assert not decoded_frames


@pytest.mark.parametrize("channels", [0, 0xFFFF])
def test_an_absurd_number_of_channels(channels):
    wav = bytearray(encoded_sine("WAV"))
    wav[22:24] = channels.to_bytes(2, "little")
    with pytest.raises(AudioError, match=r"^<bytes>: cannot be decoded"):
        read_audio(bytes(wav))


def test_a_header_that_lies_about_frames():
    flac = with_flac_frames(encoded_sine("FLAC"), 2**36 - 1)
    with pytest.raises(AudioError, match=r"truncated: the header promises \d+\.\d* s, 3 s are"):
        read_audio(flac)


# --- what cannot be read --------------------------------------------------------------------------


def test_a_missing_file(tmp_path):
    path = tmp_path / "anna.wav"
    with pytest.raises(
        AudioError, match=rf"^{re.escape(str(path))}: there is no such file; check the path"
    ):
        read_audio(path)


def test_the_name_is_the_path_as_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AudioError, match=r"^\./anna\.wav: there is no such file"):
        read_audio("./anna.wav")


def test_a_folder(tmp_path):
    with pytest.raises(AudioError, match=r"is a folder; give the path of one recording"):
        read_audio(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_a_named_pipe_does_not_hang(tmp_path):
    path = tmp_path / "pipe.wav"
    os.mkfifo(path)
    with pytest.raises(AudioError, match=r"pipe\.wav: is a pipe or device, not a regular file"):
        read_audio(path)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="there is no such device here")
def test_a_device_does_not_hang():
    with pytest.raises(AudioError, match=r"^/dev/zero: is a pipe or device"):
        read_audio("/dev/zero")


def test_a_file_without_the_right_to_read_it(tmp_path, monkeypatch):
    path = tmp_path / "secret.wav"
    path.write_bytes(encoded_sine("WAV"))

    def denied(*args, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)  # root may read everything
    with pytest.raises(AudioError, match=r"secret\.wav: may not be read; give yourself the right"):
        read_audio(path)


@pytest.mark.parametrize("name", ["a\0b.wav", "x" * 300])
def test_an_impossible_path(name):
    with pytest.raises(AudioError, match=r": cannot be read \("):
        read_audio(name)


def test_an_empty_file(tmp_path):
    path = tmp_path / "empty.wav"
    path.touch()
    with pytest.raises(AudioError, match=r"empty\.wav: is empty \(0 bytes\); copy or record"):
        read_audio(path)
    with pytest.raises(AudioError, match=r"^<bytes>: is empty"):
        read_audio(b"")


@pytest.mark.parametrize("kind", ["WAV", "AU", "AIFF"])
def test_a_header_without_sound(kind):
    with pytest.raises(AudioError, match=r"is 0 samples \(0 s\); need at least 0\.1 s"):
        read_audio(encode(np.zeros(0), kind=kind))


def test_a_flac_header_without_sound():
    header = bytearray(with_flac_frames(encoded_sine("FLAC"), 0)[:42])
    header[4] |= 0x80  # the last block of the header
    with pytest.raises(AudioError, match=r"is 0 samples \(0 s\); need at least 0\.1 s"):
        read_audio(bytes(header))


def test_one_sample():
    with pytest.raises(AudioError, match=r"is 1 sample \(0\.00006 s\); need at least 0\.1 s"):
        read_audio(encode(np.zeros(1)))
    with pytest.raises(AudioError, match=r"^<array>: is 1 sample "):
        read_audio(np.zeros(1), rate=RATE_HZ)


def test_text_named_wav(tmp_path):
    path = tmp_path / "notes.wav"
    path.write_text("She sounded angry, I think.\n" * 20)
    with pytest.raises(AudioError, match=r"notes\.wav: cannot be decoded .*need WAV.*ffmpeg"):
        read_audio(path)


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\0\0\0\x20ftypM4A \0\0\0\0", "MP4"),
        (bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"), "WMA"),
        (bytes.fromhex("1a45dfa39f4286810142f7810142f281"), "WebM"),
        (b"#!AMR\n", "AMR"),
        (bytes.fromhex("fff160403effFCde02004c617663"), "AAC"),
        (b"ID3\4\0\0\0\0\0\1\0" + bytes.fromhex("fff160403effFCde"), "AAC"),
    ],
)
def test_without_pyav_formats_of_phones_and_browsers_are_named(head, kind, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    match = (
        rf"^<bytes>: is .*{kind}.*, which needs the extra \[media\]: pip install 'serein\[media\]'"
    )
    with pytest.raises(MissingExtraError, match=match):
        read_audio(head + bytes(1000))


@pytest.mark.parametrize(
    ("head", "said", "command"),
    [
        (b"version https://git-lfs.github.com/spec/v1\r\n", "Git-LFS pointer", "git lfs pull"),
        (b"/annex/objects/SHA256E-s1--x.wav", "git-annex pointer", "git annex get ."),
        (b"../../.git/annex/objects/a/b/x.wav", "git-annex pointer", "git annex get ."),
        (b"PK\3\4", "zip archive: unpack it", "file RECORDING"),
        (b"\xfd7zXZ\0\0", "compressed with xz: unpack it", "file RECORDING"),
    ],
)
def test_what_is_no_recording_is_named_with_what_to_do(head, said, command):
    with pytest.raises(AudioError, match=said) as found:
        read_audio(head + bytes(1000))
    assert found.value.to_try == command


@pytest.mark.parametrize("kind", ["VORBIS", "OPUS"])
def test_a_damaged_page_of_ogg_is_no_shorter_recording(kind):
    data = bytearray(
        encode(np.random.default_rng(0).normal(0, 0.1, 64_000), kind="OGG", subtype=kind)
    )
    read_audio(bytes(data))
    data[len(data) // 2] ^= 1
    with pytest.raises(AudioError, match="the checksum of an Ogg page is wrong"):
        read_audio(bytes(data))


@pytest.mark.parametrize("kind", ["WAV", "AIFF", "AU", "CAF", "W64"])
def test_a_recording_that_was_copied_as_text_is_refused(kind):
    data = encoded_sine(kind, "PCM_16")
    assert read_audio(data).size
    with pytest.raises(AudioError, match=r"as if it were text .*: copy it again, as binary"):
        read_audio(data.replace(b"\n", b"\r\n"))


READ = {"WAV", "WAVEX", "RF64", "FLAC", "OGG", "MP3", "AIFF", "AU", "CAF", "W64", "NIST"}
RARE = ("DWVW", "G72", "NMS")  # encodings that no recorder of speech makes


def rare_files():
    """A file of every format and encoding that libsndfile writes and serein does not read."""
    for kind in soundfile.available_formats():
        for subtype in soundfile.available_subtypes(kind):
            if kind not in {*READ, "RAW", "SD2"} or subtype.startswith(RARE):
                with contextlib.suppress(soundfile.SoundFileError):
                    yield pytest.param(
                        encoded_sine(kind, subtype, rate=8000), id=f"{kind} {subtype}"
                    )


def htk_as_mp3():
    """An HTK file of zeros, if it were 1000 times longer, that begins as an MP3 does."""
    first = next(word for word in range(0xFFFB9000, 0xFFFBFFFF) if word % 500 == 494)
    head = first.to_bytes(4) + (625).to_bytes(4) + b"\0\2\0\0"
    return head + bytes((2 * first + 12) // 1000 - len(head))


ID3 = b"ID3\4\0\0\0\0\0\x08" + bytes(8)
DISGUISED = [
    ID3 + encoded_sine("VOC", "PCM_U8"),
    ID3 + encoded_sine("WAV", "PCM_16"),
    ID3 * 2 + encoded_sine("PVF", "PCM_16"),
]


@pytest.mark.parametrize("data", [*rare_files(), *DISGUISED])
def test_other_formats_and_encodings_do_not_reach_libsndfile(data, monkeypatch):
    monkeypatch.setattr(read, "_open_sound", lambda file: pytest.fail("reached libsndfile"))
    with pytest.raises(
        AudioError, match=r"cannot be decoded .*need WAV, FLAC.*SPH: convert.*ffmpeg"
    ):
        read_audio(data)


def test_the_pretended_length_of_an_mp3_makes_no_other_format_of_it():
    with pytest.raises(AudioError, match="cannot be decoded"):
        read_audio(htk_as_mp3())


def test_what_libsndfile_takes_a_file_for_is_checked_too(monkeypatch):
    monkeypatch.setattr(read, "check_container", lambda file: [file])
    for kind, subtype in (("VOC", "PCM_16"), ("WAV", "NMS_ADPCM_16")):
        with pytest.raises(AudioError, match=rf"is {kind} \({subtype}\), which is not read"):
            read_audio(encoded_sine(kind, subtype, rate=8000))


@pytest.mark.parametrize("subtype", ["ALAW", "IMA_ADPCM", "MS_ADPCM", "GSM610"])
def test_encodings_of_telephones_are_read(subtype):
    assert abs(read_audio(encoded_sine("WAV", subtype, rate=8000)).size - 48_000) < 1000


@pytest.mark.parametrize("kind", [("RF64", "PCM_16"), ("AIFF", "ULAW"), ("AIFF", "IMA_ADPCM")])
def test_containers_of_wav_and_aiff_are_read(kind):
    assert read_audio(encoded_sine(*kind)).size == 48_000


def test_tags_before_mp3_and_flac_are_skipped():
    mp3 = encoded_sine("MP3")
    np.testing.assert_array_equal(read_audio(ID3 * 2 + mp3), read_audio(mp3))
    np.testing.assert_array_equal(
        read_audio(ID3 + encoded_sine("FLAC")), read_audio(encoded_sine("FLAC"))
    )


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("rate", [RATE_HZ, 48_000])
def test_samples_that_are_not_finite(bad, rate):
    samples = sine(rate, channels=2).astype(np.float32)
    samples[-1, 1] = bad
    with pytest.raises(AudioError, match=r"^<bytes>: holds NaN or infinite samples"):
        read_audio(encode(samples, rate, subtype="FLOAT"))
    with pytest.raises(AudioError, match=r"^<array>: holds NaN or infinite samples"):
        read_audio(samples, rate=rate)


def test_samples_too_large_for_float32():
    with pytest.raises(AudioError, match=r"holds NaN or infinite samples"):
        read_audio(encode(np.full(8000, 1e300), subtype="DOUBLE"))
    with pytest.raises(AudioError, match=r"has a peak of 3\.4e\+38; full scale is 1"):
        read_audio(encode(np.full((8000, 2), 3.4e38), 8000, subtype="FLOAT"))


# --- truncated ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["WAV", "WAVEX", "AIFF", "AU"])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.99])
def test_a_cut_file_with_chunks(kind, part):
    data = encoded_sine(kind, "PCM_16")
    match = r"is truncated: the header promises 9600\d bytes of sound, \d+ are there; copy or rec"
    with pytest.raises(AudioError, match=match):
        read_audio(data[: round(part * len(data))])


def test_a_cut_wav_with_chunks_before_the_sound():
    wav = encoded_sine("WAV")
    note = b"LIST\x05\0\0\0INFOx\0"  # an odd size is padded
    longer = wav[:36] + note + wav[36:]
    assert read_audio(longer).size == 48_000
    with pytest.raises(AudioError, match=r"truncated: the header promises 96000 bytes of sound, 9"):
        read_audio(longer[:-2000])


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("claimed", [None, 0])
def test_a_cut_flac(part, claimed):
    flac = encode(np.random.default_rng(0).uniform(-0.5, 0.5, 48_000), kind="FLAC")
    flac = flac if claimed is None else with_flac_frames(flac, claimed)
    match = r"truncated: (the header promises 3 s, )?[012] s are there \(.*\); copy or record"
    with pytest.raises(AudioError, match=match):
        read_audio(flac[: round(part * len(flac))])


def test_a_flac_damaged_in_the_middle():
    flac = bytearray(encode(np.random.default_rng(0).uniform(-0.5, 0.5, 48_000), kind="FLAC"))
    flac[len(flac) // 2 : len(flac) // 2 + 200] = bytes(200)
    with pytest.raises(AudioError, match=r"is damaged or truncated: the header promises 3 s, 1 s"):
        read_audio(bytes(flac))


@pytest.mark.parametrize("part", [0.3, 0.5, 0.9])
def test_a_cut_mp3(part):
    mp3 = encoded_sine("MP3")
    with pytest.raises(AudioError, match=r"truncated: the header promises 3\.02 s, [012]\.\d+ s a"):
        read_audio(mp3[: round(part * len(mp3))])


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.99])
def test_a_cut_ogg(subtype, part):
    ogg = encoded_sine("OGG", subtype)
    with pytest.raises(AudioError, match=r"is truncated: its last Ogg page is cut; copy or record"):
        read_audio(ogg[: round(part * len(ogg))])


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_an_ogg_cut_between_pages(subtype):
    ogg = encoded_sine("OGG", subtype, seconds=10.0)
    with pytest.raises(AudioError, match=r"is truncated: the Ogg stream lacks its end-of-stream"):
        read_audio(ogg[: ogg.rindex(b"OggS")])


# --- wrong use ------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [None, "16000"])
def test_an_array_needs_a_rate(rate):
    with pytest.raises(AudioError, match=r"^<array>: rate is .*: pass rate=\.\.\. in Hz"):
        read_audio(sine(), rate=rate)


@pytest.mark.parametrize("source", ["anna.wav", b"RIFF", io.BytesIO(b"RIFF")])
def test_a_rate_is_only_for_arrays(source):
    with pytest.raises(AudioError, match=r"rate=16000 came with a file, which carries its own"):
        read_audio(source, rate=16_000)


def test_a_transposed_array():
    with pytest.raises(AudioError, match=r"shape \(2, 48000\); .* looks transposed, pass its \.T"):
        read_audio(sine(channels=2).T, rate=RATE_HZ)


@pytest.mark.parametrize("dtype", [bool, complex, object, np.uint8, np.int8, np.int64, "U4"])
def test_arrays_of_other_dtypes(dtype):
    with pytest.raises(AudioError, match=r"an array of .*; need float16, float32, float64, int16"):
        read_audio(np.zeros(RATE_HZ).astype(dtype), rate=RATE_HZ)


@pytest.mark.parametrize("shape", [(), (0,), (0, 2), (48_000, 0), (48_000, 2, 1)])
def test_arrays_of_other_shapes(shape):
    with pytest.raises(AudioError, match=r"with shape \(.*; need \(samples,\) or \(samples, chan"):
        read_audio(np.zeros(shape), rate=RATE_HZ)


def test_integers_made_floats():
    loud = sine() * 32_768
    with pytest.raises(AudioError, match=r"peak of 16384; .*integer samples .*divide them by 3276"):
        read_audio(loud, rate=RATE_HZ)
    assert read_audio(sine() * 15, rate=RATE_HZ).max() == pytest.approx(7.5, rel=1e-3)


@pytest.mark.parametrize("source", [None, 3])
def test_something_else(source):
    with pytest.raises(AudioError, match=r"is of type .*; need a path, bytes, a binary file or a"):
        read_audio(source)


class Tensor:
    """Whatever NumPy can take."""

    def __init__(self, samples):
        self.samples = samples

    def __array__(self, dtype=None, copy=None):
        if self.samples is None:
            raise TypeError("can't convert cuda:0 device type tensor to numpy")
        return self.samples


@pytest.mark.parametrize("kind", [list, tuple, Tensor])
def test_lists_and_tensors_are_arrays(kind):
    samples = sine(seconds=0.5)
    expected = read_audio(samples, rate=RATE_HZ)
    np.testing.assert_array_equal(read_audio(kind(samples), rate=RATE_HZ), expected)
    np.testing.assert_array_equal(check_signal(kind(samples)), expected)
    np.testing.assert_array_equal(read.ChunkReader().push(kind(samples)), expected)
    with pytest.raises(AudioError, match=r"^<array>: rate is None; an array does not carry"):
        read_audio(kind(samples))
    with pytest.raises(AudioError, match=r"^<array>: has a peak of 16384; full scale is 1"):
        read_audio(kind(samples * 32768), rate=RATE_HZ)
    # made signals within serein may have any scale: only where sound comes in is it checked
    np.testing.assert_array_equal(check_signal(kind(samples * 32768)), expected * 32768)


def test_what_numpy_cannot_take():
    with pytest.raises(
        AudioError, match=r"NumPy cannot take \(can't convert cuda.*detach\(\)\.cpu"
    ):
        read_audio(Tensor(None), rate=RATE_HZ)
    with pytest.raises(AudioError, match=r"list that NumPy cannot take"):
        read_audio([[0.0], [0.0, 1.0]], rate=RATE_HZ)


def test_a_text_file_object():
    with pytest.raises(AudioError, match=r"is open as text; open it with mode 'rb'"):
        read_audio(io.StringIO("RIFF"))


@pytest.mark.parametrize("good_reads", [0, 3, 5, 8])
def test_a_file_object_that_fails(good_reads):
    class Failing(io.BytesIO):
        reads = 0

        def read(self, *args):
            self.reads += 1
            if self.reads > good_reads:
                raise ConnectionError("the line is dead")
            return super().read(*args)

    with pytest.raises(AudioError, match=r"^<file>: cannot be read \(the line is dead\)"):
        read_audio(Failing(encoded_sine("FLAC")))


def test_a_closed_file_object():
    file = io.BytesIO(b"RIFF")
    file.close()
    with pytest.raises(AudioError, match=r"^<file>: cannot be read \(I/O operation on closed"):
        read_audio(file)


def test_a_decoder_that_makes_no_progress_ends(monkeypatch):
    monkeypatch.setattr(soundfile.SoundFile, "read", lambda self, out: out[:0])
    with pytest.raises(AudioError, match=r"is truncated: the header promises 3 s, 0 s are there"):
        read_audio(encoded_sine("WAV"))


def test_a_resampler_that_fails(monkeypatch):
    def failing(*args, **options):
        raise RuntimeError("malloc failed")

    monkeypatch.setattr(soxr, "ResampleStream", failing)
    with pytest.raises(AudioError, match=r"cannot be resampled from 8000 Hz \(malloc failed\)"):
        read_audio(sine(8000), rate=8000)


# --- check_signal ---------------------------------------------------------------------------------


def test_check_signal_gives_float32_and_copies_only_if_it_must():
    signal = sine().astype(np.float32)
    assert check_signal(signal) is signal
    assert check_signal(sine()).dtype == np.float32
    assert check_signal(np.repeat(signal, 2)[::2]).flags.c_contiguous


@pytest.mark.parametrize(
    ("signal", "match"),
    [
        (None, r"is of type NoneType; need a 1-D array of floats.*serein\.read_audio"),
        (
            np.zeros((16_000, 1)),
            r"is an array of float64 with shape \(16000, 1\); need a 1-D array of",
        ),
        (
            np.zeros(16_000, np.int16),
            r"is an array of int16 with shape \(16000,\); need a 1-D array of",
        ),
        (np.zeros(0), r"is 0 samples \(0 s\); need at least 0\.1 s"),
        (np.zeros(1599), r"is 1599 samples \(0\.09994 s\); need at least 0\.1 s"),
        (np.full(16_000, np.nan), r"holds NaN or infinite samples"),
        (np.full(16_000, 1e300), r"holds NaN or infinite samples"),
        (np.zeros(160_002), r"lasts longer than 10 s"),
    ],
)
def test_check_signal_refuses(signal, match):
    with pytest.raises(AudioError, match=rf"^<array>: {match}"):
        check_signal(signal, limits=Limits(max_s=10))


# --- anything at all ------------------------------------------------------------------------------

BASES = [("WAV", "PCM_16"), ("WAV", "FLOAT"), ("FLAC", "PCM_16"), ("OGG", "VORBIS")]
BASES += [("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III"), ("AIFF", "PCM_16")]


@st.composite
def damaged(draw):
    """A valid file with some bytes changed, mostly in its head, and perhaps its end cut."""
    data = bytearray(encoded_sine(*draw(st.sampled_from(BASES)), seconds=0.5))
    anywhere = st.integers(0, len(data) - 1)
    places = st.lists(st.one_of(st.integers(0, 99), anywhere), max_size=12)
    for place in draw(places):
        data[place] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.one_of(st.none(), anywhere))])


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.binary(max_size=400), damaged()))
@example(b"RIFF\0\0\0\0WAVE" + bytes(5000))
@example(b"OggS")
@example(b"ID3\4\0\0\x7f\x7f\x7f\x7f")
@example(b"\xff\xfb")
def test_any_bytes_end_in_a_signal_or_an_audio_error(data):
    try:
        signal = read_audio(data, limits=Limits(max_s=10))
    except AudioError as error:
        message = str(error)
    else:
        assert check_signal(signal) is signal
        message = "<bytes>: is fine"
    assert message.startswith("<bytes>: ")
