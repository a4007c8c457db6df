"""The sound of videos by construction: clips of known sound, rate and damage."""

import shutil
import struct
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from made_videos import CONTAINERS, SOUND_ALONE, VOICE, chirp, clip, greys, sound_alone
from serein.audio.media import has_sound, is_video, opened_video
from serein.audio.read import RATE_HZ, read_audio
from serein.defaults import Limits
from serein.errors import AudioError, MissingExtraError, VideoError
from serein.recordings import recordings

pytest.importorskip("av", reason="PyAV is not installed: pip install 'serein[face]'")


def lag(signal, source):
    """By how many samples a signal is late."""
    size = min(signal.size, source.size)
    spectrum = np.fft.rfft(signal[:size], 2 * size) * np.conj(np.fft.rfft(source[:size], 2 * size))
    found = int(np.argmax(np.fft.irfft(spectrum)))
    return found - 2 * size if found > size else found


def likeness(signal, source):
    size = min(signal.size, source.size)
    return np.corrcoef(signal[:size], source[:size])[0, 1]


@pytest.fixture(scope="module")
def spoken():
    """A sample of speech at 48 kHz."""
    voice, rate = soundfile.read(VOICE, dtype="float32")
    assert rate == RATE_HZ
    return np.repeat(voice, 3)  # held, not interpolated: the images are above 8 kHz


# --- the same sound, whatever the container -------------------------------------------------------


@pytest.mark.parametrize("fps", [25, 120])
def test_a_voice_in_mp4_is_the_voice(spoken, fps):
    data = clip(greys(fps), spoken, fps=fps)
    signal, source = read_audio(data), read_audio(spoken, rate=48_000)
    assert signal.dtype == np.float32
    assert abs(signal.size - source.size) <= 1024
    assert lag(signal, source) == 0
    assert likeness(signal, source) > 0.99


@pytest.mark.parametrize("kind", CONTAINERS, ids=lambda kind: kind[0])
def test_every_container_keeps_the_sound_and_its_time(kind):
    data = clip(greys(50), chirp(), kind=kind)
    assert is_video(data)
    assert has_sound(data)
    signal, source = read_audio(data), read_audio(chirp(), rate=48_000)
    late = lag(signal, source)
    assert abs(late) <= 0.05 * RATE_HZ  # a codec's own delay, where the container cannot say it
    assert likeness(signal[max(late, 0) :], source[max(-late, 0) :]) > 0.98
    assert abs(signal.size - 2 * RATE_HZ) <= 0.1 * RATE_HZ


def test_a_path_is_read_whatever_its_name(tmp_path):
    path = tmp_path / "clip.wav"
    path.write_bytes(clip(greys(25), chirp(1.0)))
    np.testing.assert_array_equal(read_audio(path), read_audio(path.read_bytes()))
    assert is_video(path)


def test_channels_are_averaged():
    both = np.stack([chirp(), np.zeros_like(chirp())], axis=1)
    signal = read_audio(clip(greys(50), both))
    assert np.abs(signal[2000:-2000]).max() == pytest.approx(0.25, rel=0.1)


def test_sound_that_starts_later_is_led_by_silence():
    signal = read_audio(clip(greys(75), chirp(), delay_s=1.0, kind=CONTAINERS[2]))
    assert np.abs(signal[: round(0.95 * RATE_HZ)]).max() < 1e-3
    assert lag(signal[RATE_HZ:], read_audio(chirp(), rate=48_000)) <= 400
    assert abs(signal.size - 3 * RATE_HZ) <= 1024


# --- what a video is ------------------------------------------------------------------------------


def test_content_decides_what_a_video_is(tmp_path):
    path = tmp_path / "voice.mp4"
    path.write_bytes(VOICE.read_bytes())
    assert not is_video(path)
    assert not is_video(b"no video at all, only words, but long enough")
    assert not is_video(b"\0\0\0\x20ftypM4A ")
    assert is_video(b"\0\0\0\x20ftypisom and nothing more")  # damaged, but a video


def test_a_container_of_sound_alone_is_no_video():
    data = sound_alone(chirp())
    assert not is_video(data)
    assert lag(read_audio(data), read_audio(chirp(), rate=48_000)) == 0


@pytest.mark.parametrize("kind", SOUND_ALONE, ids=lambda kind: "-".join(kind[:2]))
def test_what_phones_and_browsers_record_is_read(kind):
    form, codec, rate = kind
    data, source = (
        sound_alone(chirp(2.0, rate), form=form, codec=codec, rate=rate),
        chirp(2.0, rate),
    )
    assert not is_video(data)
    signal, source = read_audio(data), read_audio(source, rate=rate)
    late = lag(signal, source)
    assert abs(late) <= 0.1 * RATE_HZ
    assert likeness(signal[max(late, 0) :], source[max(-late, 0) :]) > 0.9
    assert abs(signal.size - 2 * RATE_HZ) <= 0.1 * RATE_HZ


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        *[("a.wma", "wmav1"), ("b.WMA", "wmav2"), ("a.asf", "wmav2"), ("a.mka", "libopus")],
        *[("a.3gp", "aac"), ("a.3g2", "aac"), ("a.caf", "alac"), ("b.caf", "libopus")],
        *[("a.m4a", "alac"), ("b.m4a", "aac"), ("a.aac", "aac"), ("a.adts", "aac")],
        *[("a.webm", "libopus"), ("b.weba", "libvorbis"), ("a.mpg", "mp2")],
    ],
)
@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
def test_what_ffmpeg_writes_is_found_in_a_folder_and_read(tmp_path, name, codec):
    forms = {"weba": ["-f", "webm"], "adts": ["-f", "adts"]}
    command = ["ffmpeg", "-v", "error", "-i", VOICE, "-c:a", codec]
    subprocess.run([*command, *forms.get(name[2:], []), tmp_path / name], check=True)
    (file,) = recordings(tmp_path)
    assert read_audio(file).size == pytest.approx(read_audio(VOICE).size, abs=0.2 * RATE_HZ)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
def test_a_wma_that_lacks_its_last_packets_is_truncated(tmp_path):
    file = tmp_path / "a.wma"
    subprocess.run(["ffmpeg", "-v", "error", "-i", VOICE, "-c:a", "wmav2", file], check=True)
    data = file.read_bytes()
    properties = data.index(bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365"))
    (packet,) = struct.unpack_from("<I", data, properties + 92)
    assert read_audio(data).size > RATE_HZ
    with pytest.raises(AudioError, match="is truncated: the header promises"):
        read_audio(data[: -(len(data) // packet // 2) * packet])


@pytest.mark.parametrize("kind", [SOUND_ALONE[n] for n in (0, 4, 5, 8, 12)])
def test_several_recordings_in_one_file_are_refused(kind):
    form, codec, rate = kind
    data = sound_alone(chirp(1.0, rate), form=form, codec=codec, rate=rate)
    with pytest.raises(AudioError, match="several recordings in one file, of which only the first"):
        read_audio(data + data)


@pytest.mark.parametrize(("form", "codec"), [("tta", "tta"), ("wv", "wavpack")])
def test_lossless_files_that_are_cut_or_joined_are_refused(form, codec):
    data = sound_alone(chirp(1.0, 44_100), form=form, codec=codec, rate=44_100)
    for broken in (data[: len(data) // 2], data + data):
        with pytest.raises(AudioError, match=r"damaged after|is truncated|of which only the first"):
            read_audio(broken)


@pytest.mark.parametrize(("form", "codec"), [("ogg", "flac"), ("tta", "tta"), ("wv", "wavpack")])
def test_sound_that_differs_from_its_checksum_is_refused(form, codec):
    rate = 48_000 if form == "ogg" else 44_100
    data = bytearray(sound_alone(chirp(1.0, rate), form=form, codec=codec, rate=rate))
    data[len(data) // 2] ^= 1
    with pytest.raises(AudioError, match=r"checksum of an Ogg page is wrong|damaged after"):
        read_audio(bytes(data))


def test_an_ogg_of_flac_that_is_cut_is_no_shorter_recording():
    data = sound_alone(chirp(2.0, 48_000), form="ogg", codec="flac")
    with pytest.raises(AudioError, match="its last Ogg page is cut"):
        read_audio(data[: len(data) // 2])


def test_aac_frames_may_be_joined():
    data = sound_alone(chirp(1.0, 44_100), form="adts", rate=44_100)
    assert read_audio(data + data).size == pytest.approx(2 * RATE_HZ, abs=2000)


def test_without_pyav_the_error_names_file_and_extra(tmp_path, monkeypatch):
    path = tmp_path / "clip.mp4"
    path.write_bytes(clip(greys(10), chirp()))
    monkeypatch.setitem(sys.modules, "av", None)
    assert not is_video(path)
    with pytest.raises(
        MissingExtraError,
        match=r"clip\.mp4: is MP4 .* needs the extra \[media\]: pip install 'serein\[media\]'",
    ):
        read_audio(path)


# --- bad input ------------------------------------------------------------------------------------


def test_a_video_without_sound_says_so():
    data = clip(greys(10))
    assert not has_sound(data)
    with pytest.raises(VideoError, match="without sound"):
        read_audio(data)


def test_a_file_cut_short_says_what_is_missing(tmp_path):
    data = clip(
        greys(50), chirp(), target=str(tmp_path / "clip.mp4"), more={"movflags": "faststart"}
    )
    whole = read_audio(data).size
    assert abs(whole - 2 * RATE_HZ) <= 1024
    for tenths in range(2, 9):
        with pytest.raises(VideoError, match=r"(truncated|damaged)"):
            read_audio(data[: len(data) * tenths // 10])
    with pytest.raises(VideoError, match=r"damaged or truncated"):  # its index stood at the end
        read_audio(clip(greys(50), chirp())[:5000])


def test_damage_is_an_error_or_still_a_signal():
    data, rng = clip(greys(50), chirp()), np.random.default_rng(0)
    start = data.index(b"mdat") + 8
    outcomes = set()
    for _ in range(20):
        bad = bytearray(data)
        for place in rng.integers(start, len(data), 100):
            bad[place] = rng.integers(256)
        try:
            outcomes.add(bool(np.isfinite(read_audio(bytes(bad))).all()))
        except AudioError:
            outcomes.add("error")
    assert "error" in outcomes
    assert outcomes <= {"error", True}


def test_a_decoder_that_is_not_listed_does_not_run():
    data = clip(greys(10), chirp(rate=8000), kind=("matroska", "libx264", "real_144"), rate=8000)
    with pytest.raises(VideoError, match="not read"):
        read_audio(data)


def test_a_codec_that_nobody_knows_is_an_error():
    data = clip(greys(10), chirp(), kind=CONTAINERS[2]).replace(b"A_AAC", b"A_ZZZ")
    with pytest.raises(VideoError, match="not read"):
        read_audio(data)


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        (b"", AudioError, "empty"),
        (b"no video at all, only words", AudioError, "cannot be decoded"),
        (b"#EXTM3U\n#EXTINF:9,\nfile:///etc/passwd\n", AudioError, "cannot be decoded"),
        (b"\0\0\0\x20ftypisom" + b"x" * 500, VideoError, "damaged or truncated header"),
        ("nowhere.mp4", AudioError, "no such file"),
    ],
)
def test_what_is_no_video_is_an_error(bad, error, message):
    with pytest.raises(error, match=message):
        read_audio(bad)


def test_limits_hold():
    data = clip(greys(50), chirp())
    with pytest.raises(AudioError, match="at most 1 s"):
        read_audio(data, limits=Limits(max_s=1.0))
    with pytest.raises(AudioError, match="at most 100 are read"):
        read_audio(data, limits=Limits(max_bytes=100))
    with pytest.raises(AudioError, match="at least 5 s"):
        read_audio(data, limits=Limits(min_s=5.0))


def test_sound_longer_than_its_header_says_meets_the_limit():
    data = clip(greys(25), chirp(3.0), kind=CONTAINERS[5])  # MPEG-TS: no duration in a header
    with pytest.raises(AudioError, match=r"(longer than|at most) 1"):
        read_audio(data, limits=Limits(max_s=1.0))


def test_only_frames_of_the_open_file_are_seen():
    with opened_video(clip(greys(5))) as video:
        assert video.name == "<bytes>"
        assert video.format == "mov"
        assert video.start_s == 0
        assert video.duration_s == pytest.approx(0.2)
