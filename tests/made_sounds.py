"""Sounds that no microphone made: hours of silence in a small file, headers that lie."""

from __future__ import annotations

import io
import struct

import numpy as np
import soundfile

OPUS_RATE_HZ = 48_000  # of Opus's clock, whatever the sound
PACKET_S = 0.06
SILENCE = bytes([3 << 3])  # SILK, narrow band, 60 ms, and no frame: discontinuous transmission
TABLE = []
for _byte in range(256):
    _value = _byte << 24
    for _ in range(8):
        _value = (_value << 1) ^ (0x04C11DB7 if _value & 0x80000000 else 0)
    TABLE.append(_value & 0xFFFFFFFF)


def opus_silence(hours: float) -> bytes:
    """Ogg Opus whose packets are one byte each: an hour is a hundred kilobytes."""
    head = b"OpusHead" + struct.pack("<BBHIhB", 1, 1, 0, 8000, 0, 0)
    tags = b"OpusTags" + struct.pack("<I", 0) + struct.pack("<I", 0)
    pages = [_page([head], 0, 0, kind=2), _page([tags], 0, 1)]
    count = round(hours * 3600 / PACKET_S / 255)
    for number in range(count):
        position = round((number + 1) * 255 * PACKET_S * OPUS_RATE_HZ)
        last = 4 if number == count - 1 else 0
        pages.append(_page([SILENCE] * 255, position, number + 2, kind=last))
    return b"".join(pages)


def _page(packets: list[bytes], position: int, number: int, kind: int = 0) -> bytes:
    head = struct.pack("<4sBBqIII", b"OggS", 0, kind, position, 7, number, 0)
    head += bytes([len(packets)]) + bytes(len(packet) for packet in packets)
    page = bytearray(head + b"".join(packets))
    check = 0
    for byte in page:
        check = ((check << 8) & 0xFFFFFFFF) ^ TABLE[(check >> 24) ^ byte]
    page[22:26] = struct.pack("<I", check)
    return bytes(page)


def flac_silence(seconds: float, rate: int = 8000) -> bytes:
    """Silence as FLAC: ten minutes are a few kilobytes."""
    file = io.BytesIO()
    soundfile.write(file, np.zeros(round(seconds * rate), np.int16), rate, format="FLAC")
    return file.getvalue()


def lying_wav(rate: int, channels: int, claimed_bytes: int) -> bytes:
    """Make a WAV header that claims what it likes, and a little sound after it."""
    block = 2 * channels
    form = struct.pack("<HHIIHH", 1, channels, rate, (rate * block) & 0xFFFFFFFF, block, 16)
    sound = bytes(block * 1000)
    return (
        b"RIFF"
        + struct.pack("<I", (claimed_bytes + 36) & 0xFFFFFFFF)
        + b"WAVEfmt "
        + struct.pack("<I", len(form))
        + form
        + b"data"
        + struct.pack("<I", claimed_bytes)
        + sound
    )
