"""A folder as people have them: recordings of many kinds, and among them what is none."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from made_videos import VOICE, sound_alone

RATE_HZ = 16_000
Signal = npt.NDArray[np.float32]


def encoded(signal: Signal, kind: str, subtype: str | None = None) -> bytes:
    """Encode a signal as libsndfile does."""
    file = io.BytesIO()
    soundfile.write(file, signal, RATE_HZ, format=kind, subtype=subtype)
    return file.getvalue()


def good_kinds(signal: Signal) -> dict[str, bytes]:
    """Files that are read: what their names end in -> their content."""
    mp3, half = encoded(signal, "MP3"), len(signal) // 2
    first, second = signal[:half], signal[half:]
    return {
        **{".flac": encoded(signal, "FLAC"), ".wav": encoded(signal, "WAV"), ".mp3": mp3},
        **{".ogg": encoded(signal, "OGG", "OPUS"), ".oga": encoded(signal, "OGG", "VORBIS")},
        **{".aifc": encoded(signal, "AIFF", "ULAW"), ".caf": encoded(signal, "CAF", "PCM_16")},
        **{".w64": encoded(signal, "W64"), ".sph": encoded(signal, "NIST", "PCM_16")},
        "-joined.mp3": encoded(first, "MP3") + encoded(second, "MP3"),
        "-chained.ogg": encoded(first, "OGG", "OPUS") + encoded(second, "OGG", "OPUS"),
        "-padded.mp3": bytes(600) + mp3 + bytes(5000),
        "-tagged.mp3": b"ID3\4\0\0\0\0\0\x08" * 2 + bytes(8) + mp3 + b"TAG".ljust(128, b"\0"),
        "-named.flac": encoded(signal, "WAV"),  # not what its name says
        ".m4a": sound_alone(signal, rate=RATE_HZ, form="ipod"),
        ".webm": sound_alone(np.repeat(signal, 3), form="webm", codec="libopus"),
        ".amr": sound_alone(signal[::2], rate=8000, form="amr", codec="libopencore_amrnb"),
        "\udcfc.flac": encoded(signal, "FLAC"),  # a byte that is not UTF-8
        "\n.flac": encoded(signal, "FLAC"),
    }


def bad_kinds(signal: Signal) -> dict[str, tuple[bytes, str]]:
    """Files that are not: what their names end in -> their content, and a word of the reason."""
    wav, flac = encoded(signal, "WAV"), encoded(signal, "FLAC")
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:%064d\nsize 72862\n" % 7
    silent = np.zeros(200, np.float32)
    return {
        "-lfs.wav": (pointer, "Git-LFS pointer"),
        "-page.wav": (b"\n<!DOCTYPE html><html><body>Log in</body></html>", "web page"),
        "-zip.wav": (b"PK\3\4" + bytes(200), "zip archive"),
        "-cut.wav": (wav[: len(wav) // 2], "truncated"),
        "-cut.flac": (flac[: len(flac) // 2], "truncated"),
        "-text.wav": (b"She sounded angry, I think.", "cannot be decoded"),
        "-empty.wav": (b"", "is empty"),
        "-short.wav": (encoded(silent, "WAV"), "need at least"),
        "-unscaled.wav": (encoded(signal * 32768, "WAV", "FLOAT"), "full scale is 1"),
        "-nan.wav": (encoded(signal * np.nan, "WAV", "FLOAT"), "NaN"),
        "-cut.m4a": (sound_alone(signal, rate=RATE_HZ, form="ipod")[:2000], "truncated"),
        ".txt": (b"notes", "of type .txt"),
        "": (b"notes", "of type no extension"),
    }


def fill(folder: Path, good: int, bad: int) -> dict[Path, str]:
    """Make a folder with so many of each, in sub-folders; return the bad ones with the reasons."""
    voice = soundfile.read(VOICE, dtype="float32")[0][RATE_HZ : 2 * RATE_HZ]
    goods, bads = list(good_kinds(voice).items()), list(bad_kinds(voice).items())
    reasons: dict[Path, str] = {}
    for number in range(good):
        ending, content = goods[number % len(goods)]
        _place(folder, number, ending).write_bytes(content)
    for number in range(bad):
        if number % (len(bads) + 1) == len(bads):
            path = _place(folder, number, "-link.wav")
            path.symlink_to("gone.wav")
            reasons[path] = "dangling link"
            continue
        ending, (content, reason) = bads[number % (len(bads) + 1)]
        path = _place(folder, number, f"-bad{ending}")
        path.write_bytes(content)
        reasons[path] = reason
    return reasons


def _place(folder: Path, number: int, ending: str) -> Path:
    here = folder / f"part{number % 3}"
    here.mkdir(parents=True, exist_ok=True)
    return here / f"{number:04}{ending}"


def as_nobody(work: Callable[[], None]) -> None:
    """Work with the rights of a user who may open little, if this one may open all."""
    if os.geteuid() != 0:
        work()
        return
    os.seteuid(65534)
    try:
        work()
    finally:
        os.seteuid(0)
