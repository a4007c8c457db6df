"""`serein listen`: a file as a microphone hears it, a terminal, signals, and a real microphone."""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import typer
from rich.console import Console

from made_bundles import adaptive_bundle
from serein.audio.microphone import LostSoundWarning, Playback
from serein.audio.read import read_audio
from serein.cli.listen import listen
from serein.cli.live_display import LiveDisplay
from serein.cli.live_view import PlainLines
from serein.emotions import EMOTIONS
from serein.errors import AudioError, SereinError
from serein.inference.load import load
from serein.inference.recognizer import Recognizer
from serein.inference.stream import Event, Stream
from serein.language import Language

SAMPLES = Path(__file__).parents[1] / "samples"
VOICE = SAMPLES / "espeak-german.flac"
SHORT = SAMPLES / "espeak-english-fast-high.flac"
TWO = SAMPLES / "espeak-german-two-voices-with-pause.flac"
NOTICE = "How a listener might describe the voice, not what a person feels."
NOTICE_ZH = "不是人的真实感受"
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-W", "error", "-m", "serein", "listen", *map(str, arguments)]


def run(*arguments: str | Path, status: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command(*arguments), capture_output=True, text=True, timeout=60, check=False
    )
    assert "Traceback" not in done.stderr
    assert done.returncode == status, done.stderr
    return done


def events_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@cache
def recognizer() -> Recognizer:
    return load()


@cache
def by_hand(file: Path, **settings: Any) -> list[Event]:
    stream = Stream(recognizer(), **settings)
    found = [event for chunk in Playback(file) for event in stream.push(chunk)]
    return [*found, *stream.end()]


def test_json_is_what_a_stream_tells() -> None:
    assert events_of(run("--file", TWO, "--json").stdout) == [
        event.to_dict() for event in by_hand(TWO)
    ]


def test_settings_reach_the_stream() -> None:
    options = ("--window", "1", "--hop", "0.25", "--adapt", "speaker", "--threads", "1")
    found = events_of(run("--file", TWO, "--json", *options).stdout)
    assert found == [event.to_dict() for event in by_hand(TWO, window_s=1, hop_s=0.25, adapt=True)]
    assert found[-1]["utterances_known"] > found[0]["utterances_known"] == 0


def test_it_begins_with_a_saved_adaptation(tmp_path: Path) -> None:
    model = adaptive_bundle(tmp_path / "model")
    saved = load(model).adapt(SAMPLES, to="recordings").save_adaptation(tmp_path / "room.json")
    options = ("--file", SHORT, "--json", "--model", model, "--adapt-from", saved)
    events = events_of(run(*options, "--adapt", "recordings").stdout)
    assert {event["utterances_known"] for event in events} == {
        json.loads(saved.read_text())["utterances"]
    }
    assert "--adapt-from is of recordings" in run(*options, "--adapt", "speaker", status=2).stderr


def test_a_line_an_utterance_where_there_is_no_terminal() -> None:
    spoken = [event for event in by_hand(TWO) if event.kind == "utterance"]
    assert run("--file", TWO).stdout.splitlines() == [
        f"{event.start:8.2f} {event.end:8.2f}   {event.emotion} {event.confidence:.2f}   "
        f"valence {event.valence:+z.2f} arousal {event.arousal:+z.2f}"
        for event in spoken
    ]


def test_the_lines_are_chinese_too(capsys: pytest.CaptureFixture[str]) -> None:
    PlainLines("", Language.zh).add_events(by_hand(TWO, adapt=True))
    first, second = capsys.readouterr().out.splitlines()
    assert re.fullmatch(
        r" +0\.00 +2\.\d\d   中性 0\.\d\d   效价 -\d\.\d\d 唤醒度 \+\d\.\d\d", first
    )
    assert second.endswith("   已按 1 段语音适应")


def test_seconds_stops_and_answers_what_is_pending() -> None:
    found = events_of(run("--file", VOICE, "--seconds", "1.55", "--json").stdout)
    assert found[-1]["type"] == "utterance"
    assert found[-1]["end"] == pytest.approx(1.55, abs=0.01)


def test_realtime_reaches_the_playback(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def playback(file: Path, *, realtime: bool) -> Playback:
        asked.append(realtime)
        return Playback(file)

    monkeypatch.setattr("serein.audio.microphone.Playback", playback)
    listen(file=SAMPLES / "silence.flac", realtime=True)
    assert asked == [True]


class Interrupted(Playback):
    """A microphone whose listener presses Ctrl-C after 1.5 s of sound."""

    def __init__(self, device: str | None) -> None:
        super().__init__(VOICE)

    def __iter__(self) -> Iterator[Any]:
        for number, chunk in enumerate(super().__iter__()):
            if number == 15:
                signal.raise_signal(signal.SIGINT)
            yield chunk


def test_ctrl_c_ends_it_and_the_utterance_is_predicted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("serein.audio.microphone.Microphone", Interrupted)
    listen(as_json=True)
    found = events_of(capsys.readouterr().out)
    assert found[0]["type"] == "voice"
    assert found[-1]["type"] == "utterance"
    assert found[-1]["end"] == pytest.approx(1.6, abs=0.11)
    assert found[-1]["emotion"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_process_ends_it_well(tmp_path: Path, number: int) -> None:
    long = np.tile(read_audio(VOICE), 40)
    soundfile.write(tmp_path / "long.wav", long, 16_000)
    with subprocess.Popen(
        command("--file", tmp_path / "long.wav", "--realtime", "--json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        heard = [process.stdout.readline(), process.stdout.readline()]  # a voice, an emotion
        process.send_signal(number)
        rest, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    found = events_of("".join(heard) + rest)
    assert found[-1]["type"] == "utterance"
    assert found[-1]["end"] < long.size / 16_000


def test_a_closed_pipe_is_no_error() -> None:
    line = f"{sys.executable} -m serein listen --file {TWO} --json | head -n 1"
    done = subprocess.run(  # noqa: S602
        line, shell=True, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr == ""
    assert len(events_of(done.stdout)) == 1


def test_channels_that_differ_are_said(tmp_path: Path) -> None:
    file = tmp_path / "call.wav"
    soundfile.write(file, np.random.default_rng(0).normal(0, 0.1, (16_000, 2)), 16_000)
    done = run("--file", file, "--json")
    assert "call.wav: the 2 channels differ, and are averaged" in done.stderr
    assert "differ" not in done.stdout


def test_wrong_usage_is_status_2() -> None:
    assert "no such file" in run("--file", "gone.wav", status=2).stderr
    assert "hop" in run("--file", VOICE, "--hop", "3", status=2).stderr


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"realtime": True}, typer.BadParameter, "--realtime paces a --file: name one"),
        ({"file": VOICE, "device": "2"}, typer.BadParameter, "--file and --device came"),
        ({"file": VOICE, "window": 99}, SereinError, "99"),
        ({"file": VOICE, "model": "mutli"}, SereinError, "unknown model"),
    ],
)
def test_wrong_settings(settings: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        listen(**settings)


class Unplugged(Playback):
    """A microphone that loses sound twice, and then its plug."""

    def __init__(self, device: str | None) -> None:
        super().__init__(SHORT)

    def __iter__(self) -> Iterator[Any]:
        for number, chunk in enumerate(super().__iter__()):
            if number in (5, 6):
                warnings.warn("lost 0.1 s", LostSoundWarning, stacklevel=1)
            if number == 15:
                raise AudioError("no more sound")
            yield chunk


def test_an_unplugged_microphone_is_said_after_the_answer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("serein.audio.microphone.Microphone", Unplugged)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(AudioError, match="no more sound"):
        listen(as_json=True)
    assert signal.getsignal(signal.SIGINT) is before
    printed = capsys.readouterr()
    assert printed.err.splitlines()[1:] == ["serein: lost 0.1 s"] * 2
    assert events_of(printed.out)[-1]["type"] == "utterance"


class Source:
    """What a display asks of a source of sound."""

    name, rate, behind_s, lost_s = "desk", 16_000, 0.0, 0.0


class Trouble(Source):
    behind_s, lost_s = 1.25, 0.5


@cache
def heard_by_chunk() -> list[tuple[Any, list[Event]]]:
    stream = Stream(recognizer(), adapt=True)
    return [(chunk, stream.push(chunk)) for chunk in Playback(TWO)]


def shown(
    width: int, lang: Language, *, until_s: float, height: int = 24
) -> tuple[str, list[Event]]:
    """Render the display after so much of a recording; give also the events up to then."""
    console = Console(record=True, width=width, height=height, file=io.StringIO())
    display = LiveDisplay(recognizer().labels, title="a desk [bold]", lang=lang, console=console)
    told = []
    for chunk, events in heard_by_chunk()[: round(until_s / 0.1)]:
        display.add_sound(chunk, Source())
        display.add_events(events)
        told += events
    console.print(display.render())
    return console.export_text(), told


@pytest.mark.parametrize("lang", list(Language))
@pytest.mark.parametrize("width", [60, 120])
def test_the_display_shows_everything(width: int, lang: Language) -> None:
    text, told = shown(width, lang, until_s=7.1)
    now, (first,) = told[-1], [event for event in told if event.kind == "utterance"]
    lines = text.splitlines()
    assert len(lines) <= 24
    in_chinese = lang is Language.zh
    names = {
        label: EMOTIONS[label].chinese if in_chinese else label for label in recognizer().labels
    }
    assert now.kind == "emotion"
    assert " ".join(names[str(now.emotion)].upper()) in text
    assert f"{now.confidence:.0%}" in lines[2]
    lengths = []
    for label, share in sorted(now.probabilities.items(), key=lambda item: item[1]):
        row = next(line for line in lines if line.startswith(names[label]))
        assert f"{share:4.0%}" in row
        lengths.append(row.count("█"))
    assert lengths == sorted(lengths)  # bars grow with the probabilities
    assert lengths[-1] > 10 * now.probabilities[str(now.likeliest)]
    assert "a desk [bold]" in lines[0]
    assert lines[0].endswith("00:07")
    words = (
        ("最近一分钟", "效价", "音量", "已按")
        if in_chinese
        else ("last minute", "valence", "level", "adapted by")
    )
    assert all(word in text for word in words)
    assert (NOTICE_ZH if in_chinese else NOTICE) in " ".join(text.split())
    strip = lines[next(i for i, line in enumerate(lines) if words[0] in line) - 1]
    assert len(strip) == width
    assert not set(strip) - set("·░▒▓█")
    assert sum(cell != "·" for cell in strip) == pytest.approx(width * 5 / 60, abs=2)
    assert f"{first.start:.1f}-{first.end:.1f} s" in text
    assert f"{names[str(first.emotion)]} {first.confidence:.2f}" in text


def test_the_display_between_voices() -> None:
    text, told = shown(60, Language.en, until_s=3.5)
    now = told[-1]
    assert now.kind == "utterance"
    assert "no voice" in text
    assert f"{now.emotion} {now.confidence:.2f}" in text
    assert f"{now.valence:+.2f}" in text
    assert "100%" not in text


@pytest.mark.parametrize("width", [20, 40, 300])
def test_the_display_of_an_odd_terminal(width: int) -> None:
    text, _ = shown(width, Language.en, until_s=7.1, height=5)
    assert all(len(line) <= width for line in text.splitlines())


def test_the_display_says_what_is_wrong() -> None:
    console = Console(record=True, width=120, height=24, file=io.StringIO())
    display = LiveDisplay(["anger", "neutral"], title="desk", console=console)
    for _ in range(31):
        display.add_sound(np.zeros(1600, np.float32), Trouble())
    display.warn("the microphone lost 0.50 s of sound")
    console.print(display.render())
    text = console.export_text().replace("\n", " ")
    for words in ("behind by 1.2 s", "lost 0.5 s of sound", "nothing but zeros", "lost 0.50 s"):
        assert words in text
    display.add_sound(np.ones(1600, np.float32), Trouble())
    console.print(display.render())
    text = console.export_text()
    assert "too loud" in text
    assert "zeros" not in text


def test_the_display_is_drawn_anew_at_most_every_eighth_of_a_second() -> None:
    now_s, screen = 0.0, io.StringIO()
    console = Console(file=screen, width=80, force_terminal=True)
    display = LiveDisplay(["anger"], title="desk", console=console, clock=lambda: now_s)
    drawn = []
    with display:
        for now_s in (10.0, 10.05, 10.1, 10.13, 10.2, 10.26):  # noqa: B007
            before = screen.tell()
            display.add_sound(np.zeros(1600, np.float32), Source())
            drawn.append(screen.tell() > before)
    assert drawn == [True, False, False, True, False, True]


def test_on_a_terminal_there_is_the_display() -> None:
    here, there = pty.openpty()
    fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 80, 0, 0))
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "80", "LINES": "30"}
    with subprocess.Popen(
        command("--file", VOICE), stdout=there, stderr=there, env=environment
    ) as process:
        os.close(there)
        text = read_all(here)
    assert process.returncode == 0
    plain = ESCAPES.sub("", text)
    assert "Traceback" not in plain
    assert text.rstrip().endswith("\x1b[?25h")  # the cursor is back
    last_frame = plain[plain.rindex("serein ") :]
    spoken = by_hand(VOICE)[-1]
    assert f"{spoken.emotion} {spoken.confidence:.2f}" in last_frame
    assert "00:03" in last_frame
    assert NOTICE in " ".join(last_frame.split())


def read_all(terminal: int) -> str:
    """Read a terminal until nobody writes to it."""
    read = b""
    try:
        while block := os.read(terminal, 65536):
            read += block
    except OSError:  # Linux's way to say that the other end is closed
        pass
    os.close(terminal)
    return read.decode()


def missing_for_a_microphone() -> list[str]:
    """Tell what is missing for a virtual microphone: ALSA's default is PulseAudio's null sink."""
    programs = ("pulseaudio", "pactl", "paplay")
    missing = [program for program in programs if shutil.which(program) is None]
    try:
        import sounddevice  # noqa: F401
    except (ImportError, OSError):
        missing.append("sounddevice with libportaudio2")
    if not list(Path("/usr/lib").glob("*/alsa-lib/libasound_module_pcm_pulse.so")):
        missing.append("libasound2-plugins")
    return missing


@pytest.fixture(scope="module")
def microphone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Give the environment of a computer whose microphone hears what `paplay` plays."""
    if missing := missing_for_a_microphone():
        pytest.skip(f"no virtual microphone without {', '.join(missing)}")
    home = tmp_path_factory.mktemp("sound")
    (home / "asound.conf").write_text(
        "pcm.!default { type pulse }\nctl.!default { type pulse }\n"
        'pcm.desk { type pulse hint { show on description "a desk" } }\n'
    )
    environment = os.environ | {
        "HOME": str(home),
        "XDG_RUNTIME_DIR": str(home),
        "PULSE_SERVER": f"unix:{home}/native",
        "ALSA_CONFIG_PATH": f"/usr/share/alsa/alsa.conf:{home}/asound.conf",
    }
    modules = (
        "module-null-sink sink_name=cable rate=48000",
        f"module-native-protocol-unix socket={home}/native auth-anonymous=1",
    )
    server = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no"]
    with subprocess.Popen(
        [*server, "--load", modules[0], "--load", modules[1]],
        env=environment,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            wait_for_sound(environment)
            yield environment
        finally:
            process.kill()


def wait_for_sound(environment: dict[str, str]) -> None:
    for _ in range(50):
        asked = subprocess.run(["pactl", "info"], env=environment, capture_output=True, check=False)
        if asked.returncode == 0:
            return
        time.sleep(0.1)
    pytest.skip("PulseAudio did not start here")


def listening(environment: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    """Start to listen, and come back once sound comes."""
    process = subprocess.Popen(
        command(*arguments),
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    greeting = process.stderr.readline()
    assert "listening to" in greeting, greeting
    assert NOTICE in greeting
    return process


def play(environment: dict[str, str]) -> None:
    subprocess.run(["paplay", SHORT], env=environment, check=True, timeout=30)


def test_a_real_microphone_hears_an_utterance(microphone: dict[str, str]) -> None:
    with listening(microphone, "--json", "--seconds", "3.8", "--device", "desk") as process:
        play(microphone)
        text, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")
    found = events_of(text)
    assert [event["type"] for event in found].count("utterance") == 1
    last = found[-1]
    assert last["type"] == "utterance"
    assert last["end"] - last["start"] == pytest.approx(2.1, abs=0.3)
    expected = recognizer().predict(SHORT)
    assert last["probabilities"][expected.emotion] == pytest.approx(expected.confidence, abs=0.1)


def test_sigterm_at_a_real_microphone(microphone: dict[str, str]) -> None:
    with listening(microphone) as process:
        play(microphone)
        process.send_signal(signal.SIGTERM)
        text, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")
    assert len(text.splitlines()) == 1
    assert "valence" in text


def test_real_microphones_are_listed(microphone: dict[str, str]) -> None:
    listed = subprocess.run(
        command("--devices"), env=microphone, capture_output=True, text=True, check=True
    )
    assert re.search(r"^\* +\d+  default   \(ALSA, \d+ Hz, \d+ channels\)$", listed.stdout, re.M)
    assert " desk " in listed.stdout


def test_a_microphone_that_is_not_there(microphone: dict[str, str]) -> None:
    done = subprocess.run(
        command("--device", "nowhere"), env=microphone, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "no microphone 'nowhere'" in done.stderr
    assert "Traceback" not in done.stderr
