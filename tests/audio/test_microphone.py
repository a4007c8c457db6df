"""A microphone, with a PortAudio made for the test; the real one is in test_cli_listen.py."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

from serein.audio.microphone import (
    CHUNK_S,
    LostSoundWarning,
    Microphone,
    Playback,
    input_devices,
)
from serein.audio.read import read_audio
from serein.errors import AudioError, MissingExtraError

SAMPLES = Path(__file__).parents[2] / "samples"
VOICE = SAMPLES / "espeak-english-fast-high.flac"


class PortAudioError(Exception):
    pass


class Sound(ModuleType):
    """What serein uses of sounddevice, with a microphone that hears what the test gives it."""

    PortAudioError = PortAudioError

    def __init__(self) -> None:
        super().__init__("sounddevice")
        self.devices = [
            self.device(0, "speaker", channels=0),
            self.device(1, "headset", channels=1),
            self.device(2, "webcam", channels=2),
        ]
        self.offered = {(16_000, 1), (48_000, 1), (48_000, 2)}
        self.busy = False
        self.opened: dict[str, Any] = {}
        self.active = True
        self.closed = False

    def device(self, number: int, name: str, channels: int) -> dict[str, Any]:
        return {
            "index": number,
            "name": name,
            "hostapi": 0,
            "default_samplerate": 48_000.0,
            "max_input_channels": channels,
        }

    def query_devices(self, device: Any = None, kind: str | None = None) -> Any:
        if kind is None:
            return self.devices
        found = [
            entry
            for entry in self.devices
            if entry["max_input_channels"] and device in (None, entry["index"], entry["name"])
        ]
        if not found and isinstance(device, str):
            raise ValueError(f"No input device matching {device!r}")
        if not found:
            raise PortAudioError(f"Error querying device {-1 if device is None else device}")
        return found[0]

    def query_hostapis(self, number: int) -> dict[str, Any]:
        return {"name": "ALSA"}

    def check_input_settings(
        self, device: Any, channels: int, dtype: str, extra: Any, samplerate: int
    ) -> None:
        if (samplerate, channels) not in self.offered:
            raise PortAudioError("Invalid sample rate [PaErrorCode -9997]")

    def InputStream(self, **settings: Any) -> Sound:  # noqa: N802  # as sounddevice has it
        if self.busy:
            raise PortAudioError(
                "Error opening InputStream: Device unavailable [PaErrorCode -9985]"
            )
        self.opened = settings
        return self

    def start(self) -> None:
        pass

    def abort(self, *, ignore_errors: bool) -> None:
        self.active = False

    def close(self, *, ignore_errors: bool) -> None:
        self.closed = True

    def hear(self, block: Any, *, at_s: float = 0.0, overflow: bool = False) -> None:
        frames = np.array(block, np.float32).reshape(len(block), -1)
        times = SimpleNamespace(inputBufferAdcTime=at_s)
        status = SimpleNamespace(input_overflow=overflow)
        self.opened["callback"](frames, len(frames), times, status)
        frames[:] = np.nan  # PortAudio uses it again


@pytest.fixture
def sound(monkeypatch: pytest.MonkeyPatch) -> Sound:
    made = Sound()
    monkeypatch.setitem(sys.modules, "sounddevice", made)
    return made


def heard(microphone: Microphone, chunks: int) -> np.ndarray:
    found = [chunk for _, chunk in zip(range(chunks), microphone, strict=False)]
    return np.concatenate(found)


def test_devices_are_listed(sound: Sound) -> None:
    found = input_devices()
    assert [(entry.number, entry.name, entry.default) for entry in found] == [
        (1, "headset", True),
        (2, "webcam", False),
    ]
    assert (found[1].system, found[1].rate, found[1].channels) == ("ALSA", 48_000, 2)
    sound.devices = []
    assert input_devices() == []


@pytest.mark.parametrize(
    ("offered", "rate", "channels"),
    [
        ({(16_000, 1), (48_000, 1)}, 16_000, 1),
        ({(16_000, 2), (48_000, 1)}, 16_000, 2),
        ({(48_000, 1), (48_000, 2)}, 48_000, 1),
        ({(48_000, 2)}, 48_000, 2),
    ],
)
def test_the_layout_is_what_the_device_offers(
    sound: Sound, offered: set[tuple[int, int]], rate: int, channels: int
) -> None:
    sound.offered = offered
    with Microphone("webcam") as microphone:
        assert microphone.rate == sound.opened["samplerate"] == rate
        assert sound.opened["channels"] == channels
        assert sound.opened["device"] == "webcam"
        assert microphone.name == "webcam"
    assert sound.closed


def test_a_number_may_be_text(sound: Sound) -> None:
    assert Microphone("2").name == Microphone(2).name == "webcam"


def test_chunks_come_in_order_as_mono(sound: Sound) -> None:
    sound.offered = {(48_000, 2)}
    ramp = np.arange(20, dtype=np.float32)
    with Microphone(2) as microphone:
        sound.hear(np.stack([ramp[:9], ramp[:9] + 1], axis=1))
        sound.hear(np.stack([ramp[9:], ramp[9:] + 1], axis=1))
        assert microphone.behind_s == pytest.approx(2 * CHUNK_S)
        signal = heard(microphone, 2)
        assert microphone.behind_s == 0
    assert signal.dtype == np.float32
    assert np.array_equal(signal, ramp + 0.5)
    assert (microphone.losses, microphone.lost_s) == (0, 0)


def test_what_the_system_lost_is_silence_of_the_right_length(sound: Sound) -> None:
    tone = np.ones(1600, np.float32)
    with Microphone() as microphone:
        sound.hear(tone, at_s=100.0)
        sound.hear(tone, at_s=100.6, overflow=True)
        with pytest.warns(LostSoundWarning, match=r"lost 0\.50 s of sound.*filled with silence"):
            signal = heard(microphone, 7)
    assert np.array_equal(signal, [*tone, *np.zeros(8000), *tone])
    assert (microphone.losses, microphone.lost_s) == (1, 0.5)


@pytest.mark.parametrize("at_s", [(0.0, 0.0), (100.0, 30_000.0)], ids=["no clock", "a night"])
def test_a_loss_of_unknown_length_is_said(sound: Sound, at_s: tuple[float, float]) -> None:
    tone = np.ones(1600, np.float32)
    with Microphone() as microphone:
        sound.hear(tone, at_s=at_s[0])
        sound.hear(tone, at_s=at_s[1], overflow=True)
        with pytest.warns(LostSoundWarning, match="unknown length.*times are too early"):
            signal = heard(microphone, 2)
    assert signal.size == 3200
    assert (microphone.losses, microphone.lost_s) == (1, 0.0)


def test_what_is_not_taken_in_time_is_lost_and_the_time_stays_right(
    sound: Sound, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serein.audio.microphone.MAX_QUEUE_S", 3 * CHUNK_S)
    with Microphone() as microphone:
        for number in range(1, 6):
            sound.hear(np.full(1600, number))
        chunks = iter(microphone)
        with pytest.warns(LostSoundWarning, match=r"lost 0\.20 s"):
            first = next(chunks)
        sound.hear(np.full(1600, 6))
        later = [next(chunks) for _ in range(5)]
    signal = np.concatenate([first, *later])
    assert signal[::1600].tolist() == [1, 2, 3, 0, 0, 6]
    assert microphone.lost_s == pytest.approx(0.2)


def test_unplugged_is_an_error_after_what_was_heard(sound: Sound) -> None:
    with Microphone() as microphone:
        sound.hear(np.ones(1600))
        sound.active = False
        chunks = iter(microphone)
        assert next(chunks).size == 1600
        with pytest.raises(AudioError, match="'headset' gives no more sound: see that it is plug"):
            next(chunks)


def test_silence_of_the_system_is_an_error(sound: Sound, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serein.audio.microphone.POLL_S", 1e-4)
    monkeypatch.setattr("serein.audio.microphone.STALL_S", 3e-4)
    with Microphone() as microphone, pytest.raises(AudioError, match="gives no more sound"):
        next(iter(microphone))


def test_stop_ends_the_iteration(sound: Sound) -> None:
    with Microphone() as microphone:
        microphone.stop()
        assert list(microphone) == []


def test_it_must_be_open(sound: Sound) -> None:
    with pytest.raises(AudioError, match="use it in a with statement"):
        next(iter(Microphone()))


@pytest.mark.parametrize(
    ("device", "words"),
    [
        ("loud", "no microphone 'loud' .No input device matching 'loud'.: .*--devices. lists"),
        (7, "no microphone 7 .Error querying device 7.: .*--devices. lists"),
        (0, "no microphone 0"),
    ],
)
def test_an_unknown_microphone(sound: Sound, device: str | int, words: str) -> None:
    with pytest.raises(AudioError, match=words) as unknown:
        Microphone(device)
    assert unknown.value.to_try == "serein listen --devices"


def test_no_microphone_at_all(sound: Sound) -> None:
    sound.devices = sound.devices[:1]
    with pytest.raises(AudioError, match="no microphone: plug one in, or permit") as none:
        Microphone()
    assert none.value.to_try == "serein listen --file RECORDING"


def test_a_busy_microphone(sound: Sound) -> None:
    sound.busy = True
    with (
        pytest.raises(AudioError, match=r"'headset' cannot be opened .*unavailable.*close progr"),
        Microphone(),
    ):
        pass


def test_no_offered_layout_is_said_when_it_is_opened(sound: Sound) -> None:
    sound.offered, sound.busy = set(), True
    with pytest.raises(AudioError, match="cannot be opened"), Microphone():
        pass


def test_without_sounddevice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'serein\[mic\]'"):
        Microphone()


def test_without_portaudio(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')")
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MissingExtraError, match="apt install libportaudio2"):
        input_devices()


# --- a file as if it were a microphone ---


@pytest.fixture
def half_second(tmp_path: Path) -> Path:
    soundfile.write(tmp_path / "half.wav", np.zeros(8000, np.float32), 16_000)
    return tmp_path / "half.wav"


@pytest.mark.parametrize("chunk_s", [0.01, 0.1, 0.37, 1.0])
def test_the_chunks_are_the_recording(chunk_s: float) -> None:
    source = Playback(VOICE, chunk_s=chunk_s)
    chunks = list(source)
    assert np.array_equal(np.concatenate(chunks), read_audio(VOICE))
    assert {chunk.size for chunk in chunks[:-1]} == {round(chunk_s * source.rate)}
    assert chunks[0].dtype == np.float32
    assert (source.losses, source.lost_s, source.behind_s) == (0, 0.0, 0.0)


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("serein.audio.microphone.time", made)
    return made


def test_realtime_keeps_to_the_clock_however_long_the_taker_takes(
    half_second: Path, clock: Clock
) -> None:
    began_s, heard = clock.now_s, 0
    for chunk in Playback(half_second, chunk_s=0.02, realtime=True):
        heard += chunk.size
        assert clock.now_s - began_s == pytest.approx(heard / 16_000)
        clock.sleep(0.01)
    assert clock.now_s - began_s == pytest.approx(0.51)


def test_realtime_says_by_how_much_it_is_behind(half_second: Path, clock: Clock) -> None:
    source = Playback(half_second, chunk_s=0.1, realtime=True)
    chunks = iter(source)
    next(chunks)
    clock.sleep(0.35)
    next(chunks)
    assert source.behind_s == pytest.approx(0.25)


def test_stop_ends_a_playback(half_second: Path) -> None:
    with Playback(half_second) as source:
        chunks = iter(source)
        next(chunks)
        source.stop()
        assert list(chunks) == []


def test_what_cannot_be_played(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="no such file"):
        Playback(tmp_path / "gone.wav")
    with pytest.raises(ValueError, match=r"chunk_s is 0; allowed: 0\.01 to 1"):
        Playback(VOICE, chunk_s=0)
