"""WS /v1/stream: the events of a stream at home, whatever the frames; and every way to end."""

from __future__ import annotations

import io
import json
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import cache
from pathlib import Path
from socket import SHUT_RDWR
from typing import Any

import numpy as np
import pytest
import soundfile
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.http11 import Response
from websockets.sync.client import ClientConnection, connect

import serein
from serein.inference.stream import Stream
from serein.serve.settings import Settings

ROOT = Path(__file__).parents[2]
RATE_HZ = 16_000


def pcm(name: str = "espeak-german-two-voices-with-pause") -> np.ndarray:
    signal = serein.read_audio(ROOT / "samples" / f"{name}.flac")
    return (signal * 32767).astype("<i2")


load = cache(serein.load)


def at_home(
    samples: np.ndarray, rate: int = RATE_HZ, unsure: float = 0.0, **settings: Any
) -> list[dict[str, Any]]:
    stream = Stream(load(threads=1, unsure_below=unsure), rate=rate, **settings)
    events = stream.push(samples.astype(np.float32) / np.float32(2**15)) + stream.end()
    return [event.to_dict() for event in events]


def opened(service: Any, query: str = "", **options: Any) -> Any:
    return connect(f"{service.ws}?{query}", proxy=None, **options)


def rest(socket: ClientConnection) -> tuple[list[dict[str, Any]], int]:
    """All messages until the end, and how it was closed."""
    messages = []
    try:
        while True:
            messages.append(json.loads(socket.recv(timeout=20)))
    except ConnectionClosed as closed:
        return messages, closed.rcvd.code if closed.rcvd else 1006


def end(socket: ClientConnection) -> list[dict[str, Any]]:
    socket.send('{"type":"end"}')
    messages, code = rest(socket)
    assert code == 1000
    assert messages.pop() == {"type": "done"}
    return messages


def test_ready_says_what_was_agreed(service) -> None:
    with opened(service, "rate=48000&model=emodb&window_s=1&hop_s=0.25") as socket:
        ready = json.loads(socket.recv())
    assert ready == {
        "type": "ready",
        "model": "emodb",
        "labels": list(serein.load("emodb").labels),
        "rate": 48_000,
        "window_s": 1.0,
        "hop_s": 0.25,
    }


@pytest.mark.parametrize("size", [333, 3201, 32_000, 400_000])
def test_events_are_those_at_home_whatever_the_frames(service, size: int) -> None:
    samples = pcm()
    data = samples.tobytes()
    with opened(service) as socket:
        socket.recv()
        for start in range(0, len(data), size):
            socket.send(data[start : start + size])
        events = end(socket)
    assert events == at_home(samples)
    assert {event["type"] for event in events} == {"voice", "emotion", "utterance"}


def test_settings_reach_the_stream(service) -> None:
    samples = pcm("espeak-german")
    query = "rate=8000&window_s=1&hop_s=0.2&adapt=speaker&unsure_below=0.9"
    with opened(service, query) as socket:
        socket.recv()
        socket.send(samples[::2].tobytes())
        events = end(socket)
    own = at_home(samples[::2], 8000, 0.9, window_s=1, hop_s=0.2, adapt=True)
    assert events == own
    assert any(event["emotion"] == "unsure" for event in events)


def test_reset_forgets_half_a_sample_too(service) -> None:
    samples = pcm("espeak-german")
    with opened(service) as socket:
        socket.recv()
        socket.send(samples[:20_000].tobytes() + b"\x01")
        socket.send('{"type":"reset"}')
        socket.send(samples.tobytes())
        events = end(socket)
    own = at_home(samples)
    assert events[-len(own) :] == own


def test_end_at_once(service) -> None:
    with opened(service) as socket:
        socket.recv()
        socket.send(b"")
        assert end(socket) == []


def many_at_once(service: Any, names: list[str], query: str = "") -> list[list[dict[str, Any]]]:
    """Send samples all at once, as fast as each is taken; return the events of each."""

    def listen(name: str) -> list[dict[str, Any]]:
        data = pcm(name).tobytes()
        with opened(service, query) as socket:
            socket.recv()
            for start in range(0, len(data), 32_000):
                socket.send(data[start : start + 32_000])
            return end(socket)

    with ThreadPoolExecutor(len(names)) as clients:
        return list(clients.map(listen, names))


def without_emotions(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out what depends on hops, which become longer where streams wait."""
    return [event for event in events if event["type"] != "emotion"]


def test_many_at_once_do_not_mix(service) -> None:
    names = ["espeak-german", "espeak-mandarin"] * 3
    found = many_at_once(service, names)
    own = [at_home(pcm(name)) for name in names]
    assert list(map(without_emotions, found)) == list(map(without_emotions, own))


def test_hops_become_longer_where_streams_wait(service) -> None:
    names = ["espeak-german-two-voices-with-pause"] * 8
    found = many_at_once(service, names, "hop_s=0.1")
    own = at_home(pcm(), hop_s=0.1)
    for events in found:
        assert without_emotions(events) == without_emotions(own)
    assert sum(map(len, found)) < 0.8 * len(own) * len(names)
    service.wait_until("serein_stream_hop_factor", lambda factor: factor == 1)


def refusal(service: Any, query: str = "") -> Response:
    """Connect, and be refused before the handshake."""
    with pytest.raises(InvalidStatus) as refused, opened(service, query):
        pass
    response = refused.value.response
    assert response.headers["x-content-type-options"] == "nosniff"
    return response


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("rate=300", "invalid"),
        ("rate=1e9", "invalid"),
        ("window_s=11", "invalid"),
        ("window_s=1&hop_s=2", "invalid"),
        ("window_s=10&hop_s=0.1", "invalid"),
        ("unsure_below=2", "invalid"),
        ("adapt=maybe", "invalid"),
        ("windows=2", "invalid"),
        ("model=mutli", "unknown_model"),
    ],
)
def test_wrong_settings_are_refused_before_the_handshake(service, query: str, code: str) -> None:
    response = refusal(service, query)
    assert response.status_code == {"invalid": 422, "unknown_model": 404}[code]
    assert json.loads(response.body)["error"]["code"] == code


def test_there_is_no_other_stream(service) -> None:
    with pytest.raises(InvalidStatus) as refused, connect(f"{service.ws}s", proxy=None):
        pass
    assert refused.value.response.status_code == 404
    assert json.loads(refused.value.response.body)["error"]["code"] == "not_found"


@pytest.mark.parametrize(
    "text",
    ["", "end", '"end"', "[]", '{"type":"stop"}', '{"type":["end"]}', "[" * 20_000, "NaN", "null"],
)
def test_text_that_is_no_command(service, text: str) -> None:
    with opened(service) as socket:
        socket.recv()
        socket.send(text)
        messages, code = rest(socket)
    assert (messages[-1]["type"], messages[-1]["code"], code) == ("error", "bad_request", 1008)


def test_frames_that_are_too_large(service) -> None:
    with opened(service) as socket:
        socket.recv()
        socket.send(bytes(2**20 + 1))
        messages, code = rest(socket)
    assert (messages[-1]["code"], code) == ("too_large", 1009)
    with opened(service) as socket:
        socket.recv()
        with suppress(ConnectionClosed):
            socket.send(bytes(3 * 2**20))
        assert rest(socket)[1] in (1009, 1006)


def test_silence_on_the_wire(strict) -> None:
    with opened(strict) as socket:
        socket.recv()
        socket.send('{"type":"reset"}')  # is no sound
        messages, code = rest(socket)
    assert (messages[-1]["code"], code) == ("idle", 1008)


def test_too_little_sound(strict) -> None:
    """Two bytes again and again are not enough to keep a place."""
    with opened(strict) as socket:
        socket.recv()
        with suppress(ConnectionClosed):
            for _ in range(40):
                socket.send(b"\0\0")
                time.sleep(0.1)
        messages, code = rest(socket)
    assert (messages[-1]["code"], code) == ("idle", 1008)


@pytest.mark.skipif(sys.platform == "darwin", reason="it has one loopback address")
def test_streams_of_one_client_make_room_for_another(strict) -> None:
    other = socket.create_connection(strict.address, source_address=("127.0.0.2", 0))
    with opened(strict) as first, opened(strict) as second, opened(strict, sock=other) as third:
        assert json.loads(third.recv())["type"] == "ready"
        first.recv()
        messages, code = rest(second)
        assert (messages[-1]["code"], code) == ("busy", 1013)
        assert end(third) == []


def test_a_stream_that_lasts_too_long(strict) -> None:
    samples = pcm()[: 7 * RATE_HZ]
    with opened(strict) as socket:
        socket.recv()
        socket.send(samples.tobytes())
        messages, code = rest(socket)
    assert (messages[-1]["code"], code) == ("too_long", 1008)
    assert messages[:-1] == at_home(samples)


def test_more_streams_than_places_and_abrupt_ends(strict) -> None:
    with ExitStack() as sockets:
        first, second = (sockets.enter_context(opened(strict, close_timeout=0.1)) for _ in range(2))
        response = refusal(strict)
        assert response.status_code == 503
        assert int(response.headers["retry-after"]) >= 1
        assert json.loads(response.body)["error"]["code"] == "busy"
        first.send(pcm().tobytes()[:60_000])
        first.socket.shutdown(SHUT_RDWR)  # without a close frame
        strict.wait_until("serein_streams_open", lambda streams: streams == 1)
        with opened(strict) as third:
            assert json.loads(third.recv())["type"] == "ready"
        second.close()
    strict.wait_until("serein_streams_open", lambda streams: streams == 0)


def test_one_stream_too_many_is_refused(service) -> None:
    with ExitStack() as sockets:
        for _ in range(Settings().max_streams):
            sockets.enter_context(opened(service))
        assert refusal(service).status_code == 503
    with opened(service) as socket:
        assert json.loads(socket.recv())["type"] == "ready"


def test_uploads_do_not_block_a_stream(service, voice: Path) -> None:
    """A stream ends while two uploads, one a thread, are far from done."""
    samples = np.resize(serein.read_audio(voice), 300 * RATE_HZ)
    file = io.BytesIO()
    soundfile.write(file, samples, RATE_HZ, format="FLAC")
    data = file.getvalue()
    head = (
        "POST /v1/predict?window_s=0.5&hop_s=0.1 HTTP/1.1\r\nHost: localhost\r\n"
        f"Content-Type: audio/flac\r\nContent-Length: {len(data)}\r\n\r\n"
    ).encode()
    before = service.metric("serein_decoded_seconds_total")
    with ExitStack() as wires, opened(service) as stream:
        stream.recv()
        for _ in range(2):
            wire = wires.enter_context(socket.create_connection(service.address))
            wire.sendall(head + data)
        service.wait_until("serein_decoded_seconds_total", lambda total: total > before + 599)
        stream.send(pcm("espeak-german").tobytes())
        assert end(stream)
        assert service.metric("serein_queue") == 2
    service.wait_until("serein_queue", lambda uploads: uploads == 0)


def test_sound_is_counted(service) -> None:
    before = service.metric("serein_streamed_seconds_total")
    with opened(service) as socket:
        socket.recv()
        socket.send(bytes(2 * RATE_HZ * 2))
        end(socket)
    assert service.metric("serein_streamed_seconds_total") == pytest.approx(before + 2)
