"""The decoder: a recording's bytes, in every format that is read."""

from __future__ import annotations

import io
from pathlib import Path

FORMATS = (
    *(("WAV", "PCM_16"), ("WAV", "PCM_24"), ("WAV", "FLOAT"), ("WAV", "ULAW"), ("WAV", "MS_ADPCM")),
    *(("WAV", "IMA_ADPCM"), ("WAV", "GSM610"), ("WAVEX", "PCM_16"), ("RF64", "PCM_16")),
    *(("AIFF", "PCM_16"), ("AIFF", "ALAW"), ("AU", "PCM_16"), ("AU", "ULAW")),
    *(("FLAC", "PCM_16"), ("FLAC", "PCM_24"), ("OGG", "VORBIS")),
    *(("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III"), ("CAF", "PCM_16"), ("CAF", "ALAC_16")),
    *(("W64", "PCM_16"), ("NIST", "PCM_16")),
)
SAMPLES = Path(__file__).parents[3] / "samples"


class DecoderTarget:
    """`serein.read_audio`; an Ogg page's checksum is made right, or libogg would drop the page."""

    tokens = (
        *(b"RIFF", b"RIFX", b"RF64", b"WAVEfmt ", b"data", b"LIST", b"FORM", b"AIFC", b"COMM"),
        *(b"SSND", b"fLaC", b"OggS", b"OpusHead", b"\x01vorbis", b"ID3\x04\x00\x00\x7f\x7f"),
        *(b"Xing", b"Info", b"\xff\xfb\x90\x64", b".snd", b"caff", b"ftypM4A ", b"#!AMR", b"riff"),
        *(
            b"NIST_1A\n   1024\n",
            b"moov",
            b"stsz",
            b"esds",
            b"\x1a\x45\xdf\xa3",
            b"OpusHead",
            b"mdat",
        ),
    )

    def __init__(self) -> None:
        from serein.audio.read import read_audio
        from serein.defaults import Limits
        from serein.errors import AudioError

        self._read, self._error = read_audio, AudioError
        self._limits = Limits(max_s=3, max_bytes=2**20)
        made = _made()
        joined = [one + one for one in made if one.startswith((b"OggS", b"\xff", b"fLaC", b"RIFF"))]
        self.seeds = [*made, *joined, *_recorded(), (SAMPLES / "silence.flac").read_bytes()]

    def __call__(self, data: bytes) -> str:
        try:
            self._read(_checked_pages(data), limits=self._limits)
        except self._error:
            return self._error.__name__
        return "ok"

    def close(self) -> None:
        """Nothing is held."""


def _made() -> list[bytes]:
    import numpy as np
    import soundfile

    noise = np.random.default_rng(0).normal(0, 0.1, (1600, 2)).astype(np.float32)
    made = []
    for kind, coding in FORMATS:
        channels = 1 if coding == "GSM610" else 2
        file = io.BytesIO()
        soundfile.write(file, noise[:, :channels], 8000, format=kind, subtype=coding)
        made.append(file.getvalue())
    return made


def _recorded() -> list[bytes]:
    """Make what phones and browsers record."""
    import numpy as np

    from made_videos import SOUND_ALONE, sound_alone

    noise = np.random.default_rng(0).normal(0, 0.1, 9600).astype(np.float32)
    return [
        sound_alone(noise[: rate // 5], form=form, codec=codec, rate=rate)
        for form, codec, rate in SOUND_ALONE
    ]


def _checked_pages(data: bytes) -> bytes:
    """Give each Ogg page the checksum that fits."""
    if not data.startswith(b"OggS"):
        return data
    pages = bytearray(data)
    at = 0
    while at >= 0:
        after = pages.find(b"OggS", at + 4)
        end = len(pages) if after < 0 else after
        if end - at >= 27:
            pages[at + 22 : at + 26] = bytes(4)
            pages[at + 22 : at + 26] = _ogg_sum(pages[at:end]).to_bytes(4, "little")
        at = after
    return bytes(pages)


def _ogg_sum(page: bytes) -> int:
    check = 0
    for byte in page:
        check = (check << 8 & 0xFFFFFFFF) ^ TABLE[check >> 24 ^ byte]
    return check


def _table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = (value << 1 ^ (0x04C11DB7 if value & 0x80000000 else 0)) & 0xFFFFFFFF
        table.append(value)
    return table


TABLE = _table()
