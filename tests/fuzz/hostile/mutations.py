"""What damages an input: cut, flipped, spliced, repeated, and with numbers that lie."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

MOST_BYTES = 16 * 1024
LIES = (0, 1, 2, 127, 128, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1)
WORDS = (
    *(b"-1", b"0", b"1e999", b"-1e999", b"nan", b"inf", b"NaN", b"Infinity", b"null", b"true"),
    *(b"9" * 40, b"9" * 5000, b"1e-320", b"[]", b"{}", b'""', b"[" * 3000, b"\x00", b"\xff\xfe"),
    *("\u202e\ud7ff\U0001f3a4".encode(), b"../../etc/passwd", b"x" * 5000, b"\r\n"),
)


def mutate(draw: random.Random, seeds: Sequence[bytes], tokens: Sequence[bytes]) -> bytes:
    """Damage one of the seeds, once or several times over."""
    data = bytearray(draw.choice(seeds))
    for _ in range(draw.choice((1, 1, 1, 2, 3, 8))):
        draw.choice(DAMAGES)(draw, data, seeds, tokens)
    return bytes(data[:MOST_BYTES])


Damage = Callable[[random.Random, bytearray, Sequence[bytes], Sequence[bytes]], None]


def _place(draw: random.Random, data: bytearray) -> int:
    """Choose a place, headers more often than what follows them."""
    return draw.randrange(min(len(data), draw.choice((16, 128, 400, 10**9, 10**9))) + 1)


def _flip(draw: random.Random, data: bytearray, *_: object) -> None:
    for _flips in range(draw.choice((1, 2, 8))):
        if (at := _place(draw, data)) < len(data):
            data[at] ^= 1 << draw.randrange(8)


def _cut(draw: random.Random, data: bytearray, *_: object) -> None:
    del data[_place(draw, data) :]


def _leave_out(draw: random.Random, data: bytearray, *_: object) -> None:
    at = _place(draw, data)
    del data[at : at + draw.choice((1, 4, 50, 1000))]


def _repeat(draw: random.Random, data: bytearray, *_: object) -> None:
    at = _place(draw, data)
    block = data[at : at + draw.choice((1, 4, 50, 1000))]
    data[at:at] = block * draw.choice((1, 3, 50))


def _splice(draw: random.Random, data: bytearray, seeds: Sequence[bytes], *_: object) -> None:
    other = draw.choice(seeds)
    data[_place(draw, data) :] = other[draw.randrange(len(other) + 1) :]


def _lie(draw: random.Random, data: bytearray, *_: object) -> None:
    """Write a number that is not so where a length may stand."""
    at, width = _place(draw, data), draw.choice((1, 2, 4, 8))
    number = draw.choice(LIES) + draw.choice((0, 0, 1, -1))
    data[at : at + width] = (number % 256**width).to_bytes(width, draw.choice(("little", "big")))


def _count_wrong(draw: random.Random, data: bytearray, *_: object) -> None:
    """Replace a number that is written in digits."""
    if numbers := list(re.finditer(rb"\d+(\.\d+)?", data)):
        start, end = draw.choice(numbers).span()
        data[start:end] = draw.choice(WORDS)


def _assign(draw: random.Random, data: bytearray, _seeds: object, tokens: Sequence[bytes]) -> None:
    """Put another value after a key."""
    if values := list(re.finditer(rb"(?<=[=:]) *[^\n,}]+", data)):
        start, end = draw.choice(values).span()
        data[start:end] = b" " + draw.choice((*WORDS, *tokens))


def _say(draw: random.Random, data: bytearray, _seeds: object, tokens: Sequence[bytes]) -> None:
    at, word = _place(draw, data), draw.choice((*WORDS, *tokens))
    data[at : at + draw.choice((0, len(word)))] = word


def _swap_lines(draw: random.Random, data: bytearray, *_: object) -> None:
    lines = data.split(b"\n")
    draw.shuffle(lines)
    data[:] = b"\n".join(lines)


DAMAGES: tuple[Damage, ...] = (
    *(_flip, _flip, _cut, _leave_out, _repeat, _splice, _lie, _lie),
    *(_count_wrong, _assign, _assign, _say, _swap_lines),
)
