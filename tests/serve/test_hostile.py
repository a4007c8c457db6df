"""What hostile clients send: bombs, lies, slow and broken uploads. The service keeps working.

A bare connection waits `TIMEOUT_S`, less than the default limits of headers and bodies (10 s), so
a service that ignored the short limits of `strict` would fail here.
"""

from __future__ import annotations

import json
import re
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from made_sounds import flac_silence, lying_wav, opus_silence

MEGABYTE = 2**20
TIMEOUT_S = 8  # of a bare connection
POST_TIMEOUT_S = 30


def post(service: Any, data: bytes, kind: str = "audio/ogg") -> httpx.Response:
    return httpx.post(
        f"{service.url}/v1/predict",
        content=data,
        headers={"content-type": kind},
        timeout=POST_TIMEOUT_S,
    )


def code(answer: httpx.Response) -> str:
    return str(answer.json()["error"]["code"])


def memory(service: Any) -> float:
    """Resident memory of the worker in MB."""
    status = Path(f"/proc/{service.process.pid}/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) / 1024


def talk(service: Any, *pieces: bytes, pause_s: float = 0.0) -> bytes:
    """Send pieces over a bare connection, and return the response until the service ends it."""
    with socket.create_connection(service.address, timeout=TIMEOUT_S) as wire:
        answer = b""
        try:
            for piece in pieces:
                wire.sendall(piece)
                time.sleep(pause_s)
            while got := wire.recv(65536):
                answer += got
        except (ConnectionResetError, BrokenPipeError):
            pass
    return answer


def head(length: int, kind: str = "audio/wav") -> bytes:
    return (
        f"POST /v1/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {length}\r\n\r\n"
    ).encode()


def test_a_day_of_opus_in_a_small_file(service) -> None:
    data = opus_silence(24)
    assert len(data) < 4 * MEGABYTE
    before = memory(service)
    answer = post(service, data)
    assert code(answer) == "too_long"
    assert "longer than 600 s" in answer.text
    assert "raise max_s" not in answer.text
    assert memory(service) - before < 100


def test_hours_of_flac(service) -> None:
    assert "longer than 600 s" in post(service, flac_silence(2 * 3600)).text


@pytest.mark.parametrize(
    ("rate", "channels", "claimed", "words"),
    [
        (655_350, 8, 2**31, "655350 Hz; need 4000 to"),
        (192_000, 8, 2**32 - 37, "need at least 0.1 s"),  # as written to a pipe
        (16_000, 1, 2**31 - 2**20, "is truncated"),
        (16_000, 1000, 2**31, "channels"),
        (0, 1, 2000, "file"),
        (16_000, 0, 2000, "file"),
    ],
)
def test_headers_that_lie(service, rate: int, channels: int, claimed: int, words: str) -> None:
    answer = post(service, lying_wav(rate, channels, claimed))
    assert code(answer) == "unreadable"
    assert words in answer.text


def test_every_cut_of_a_recording_is_answered(service, voice: Path) -> None:
    data = voice.read_bytes()
    for size in range(1, 4000, 397):
        assert post(service, data[:size]).status_code == 422


def test_too_large_is_said_before_it_is_sent(strict) -> None:
    answer = talk(strict, head(10 * MEGABYTE))
    assert answer.startswith(b"HTTP/1.1 413")
    assert b'"too_large"' in answer


def test_too_large_without_a_length(strict) -> None:
    def chunks():
        for _ in range(40):
            yield bytes(32 * 1024)

    answer = httpx.post(
        f"{strict.url}/v1/predict", content=chunks(), headers={"content-type": "audio/wav"}
    )
    assert answer.status_code == 413
    assert code(answer) == "too_large"


def test_too_large_in_a_form(strict) -> None:
    for size in (0.51, 0.6, 3):
        data = bytes(round(size * MEGABYTE))
        answer = httpx.post(f"{strict.url}/v1/predict", files={"file": ("a.wav", data)})
        assert code(answer) == "too_large"


def test_an_upload_that_stops(strict) -> None:
    answer = talk(strict, head(1000), bytes(100))
    assert answer.startswith(b"HTTP/1.1 408")
    assert b'"slow_upload"' in answer


def test_a_slow_upload(strict) -> None:
    answer = talk(strict, head(1000), *[bytes(10)] * 8, pause_s=0.25)
    assert answer.startswith(b"HTTP/1.1 408")


def test_slow_headers(strict) -> None:
    line = b"X-Slow: 1\r\n"
    assert talk(strict, b"GET /healthz HTTP/1.1\r\n", *[line] * 6, pause_s=0.25) == b""


def test_no_request_at_all(strict) -> None:
    assert talk(strict) == b""


def test_a_slow_second_request(strict) -> None:
    first = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    answer = talk(strict, first, b"GET /healthz", b" HTTP/1.1\r\nX", pause_s=0.6)
    assert answer.count(b"HTTP/1.1") == 1


def test_headers_without_end(service) -> None:
    answer = talk(service, b"GET / HTTP/1.1\r\n", *[b"X-A: " + bytes([65]) * 30_000] * 5)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize("pieces", [1, 7])
def test_headers_that_are_too_large(service, pieces: int) -> None:
    """In one piece too, as all of them that arrive at once."""
    lines = b"".join(b"X-%d: %b\r\n" % (number, b"A" * 990) for number in range(70))
    data = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + lines + b"\r\n"
    size = len(data) // pieces + 1
    answer = talk(service, *(data[at : at + size] for at in range(0, len(data), size)))
    assert answer == b"" or (answer.startswith(b"HTTP/1.1 400") and b"too large" in answer)
    assert service.metric("serein_queue") == 0


def test_a_malformed_handshake_is_answered_as_json_and_repeats_nothing(service) -> None:
    answer = talk(
        service,
        b"GET /v1/stream HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
        b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: <script>\r\n\r\n",
    )
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400")
    assert b"application/json" in head
    assert b"text/plain" not in head
    assert json.loads(body)["error"]["code"] == "bad_request"
    assert b"script" not in answer


def test_what_is_sent_is_not_in_the_log(service) -> None:
    """Neither what python-multipart says of bytes, nor what websockets says of text."""
    size = service.log.stat().st_size
    form = {"content-type": "multipart/form-data; boundary=b"}
    httpx.post(f"{service.url}/v1/predict", content=b"--bZZZ\r\n" * 3, headers=form)
    with connect(service.ws, proxy=None) as stream:
        stream.recv()
        with suppress(ConnectionClosed):
            stream.send(b"secret\xff\xfe", text=True)
            while True:
                stream.recv(timeout=10)
    said = service.log.read_text()[size:]
    for private in ("character", "boundary", "secret", "0xff", "Traceback", "\\xff"):
        assert private not in said


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"\x00" * 100,
        b"GET\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    ],
)
def test_what_is_not_http(strict, data: bytes) -> None:
    answer = talk(strict, data, pause_s=0.1)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4"), answer


def test_a_half_closed_connection_frees_its_place(strict, voice: Path) -> None:
    for _ in range(5):  # more than there are places
        with socket.create_connection(strict.address, timeout=5) as wire:
            wire.sendall(head(1000) + bytes(100))
            wire.shutdown(socket.SHUT_WR)
            assert wire.recv(100) == b""
    assert post(strict, voice.read_bytes()).status_code == 200
    assert strict.metric("serein_queue") == 0


def test_more_uploads_than_places(strict, voice: Path) -> None:
    client = httpx.Client(headers={"content-type": "audio/flac"})  # slow to make: first
    wires = [socket.create_connection(strict.address, timeout=5) for _ in range(2)]
    try:
        for wire in wires:
            wire.sendall(head(1000) + bytes(10))
        strict.wait_until("serein_queue", lambda uploads: uploads == 2)
        answer = client.post(f"{strict.url}/v1/predict", content=voice.read_bytes())
    finally:
        client.close()
        for wire in wires:
            wire.close()
    assert (answer.status_code, code(answer)) == (503, "busy")
    assert int(answer.headers["retry-after"]) >= 1


@pytest.mark.skipif(sys.platform == "darwin", reason="it has one loopback address")
def test_slow_uploads_of_one_client_make_room_for_another(strict, voice: Path) -> None:
    transport = httpx.HTTPTransport(local_address="127.0.0.2")
    wires = [socket.create_connection(strict.address, timeout=5) for _ in range(2)]
    try:
        for wire in wires:
            wire.sendall(head(1000) + bytes(10))
        strict.wait_until("serein_queue", lambda uploads: uploads == 2)
        with httpx.Client(transport=transport) as client:
            url = f"{strict.url}/v1/predict"
            sent = client.post(url, files={"file": voice.read_bytes()}, timeout=POST_TIMEOUT_S)
        assert sent.status_code == 200
        assert b'"busy"' in wires[1].recv(65536)
    finally:
        for wire in wires:
            wire.close()


def test_a_timeline_of_too_many_windows(strict, voice: Path) -> None:
    query = "?window_s=2&hop_s=0.1"
    answer = httpx.post(f"{strict.url}/v1/predict{query}", files={"file": voice.read_bytes()})
    assert (answer.status_code, code(answer)) == (422, "invalid")
    assert "36 s in all; allowed for this recording: 20 s" in answer.text
    assert post(strict, voice.read_bytes()).status_code == 200


def test_a_client_that_reads_no_responses(strict) -> None:
    """It is cut, though its connection has more to read than the kernel keeps for it."""
    with socket.socket() as wire:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        wire.settimeout(TIMEOUT_S)
        wire.connect(strict.address)
        asked = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
        began = time.monotonic()
        with pytest.raises((ConnectionResetError, BrokenPipeError)):  # noqa: PT012
            while time.monotonic() - began < TIMEOUT_S:
                wire.sendall(asked * 20)
                time.sleep(0.1)
    assert post(strict, b"RIFF").status_code == 422


def test_a_decoder_without_memory(strict, voice: Path) -> None:
    before = strict.metric("serein_decoder_failures_total")
    answer = post(strict, flac_silence(590))
    assert (answer.status_code, code(answer)) == (422, "decoder_failed")
    assert "memory" in answer.text
    assert post(strict, voice.read_bytes()).status_code == 200
    assert strict.metric("serein_decoder_failures_total") == before + 1


def test_uploads_of_clients_that_left_are_cancelled(service, voice: Path) -> None:
    long = flac_silence(500)
    query = b"/v1/predict?window_s=0.5&hop_s=0.1"
    for _ in range(4):
        with socket.create_connection(service.address, timeout=5) as wire:
            wire.sendall(head(len(long)).replace(b"/v1/predict", query) + long)
            service.wait_until("serein_queue", lambda uploads: uploads > 0)
    assert post(service, voice.read_bytes()).status_code == 200
    service.wait_until("serein_queue", lambda uploads: uploads == 0)
