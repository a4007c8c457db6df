"""Who may come in: key, origin, host, rate; and what every answer carries."""

from __future__ import annotations

import base64
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

KEY = "correct-horse-battery"
PAGE = "https://page.example"


@pytest.fixture(scope="module")
def guarded(start, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    file = tmp_path_factory.mktemp("key") / "key"
    file.write_text(f"{KEY}\n")
    options = ["--api-key-file", str(file), "--allow-origin", PAGE, "--allow-host", "ser.example"]
    with start(*options, "--requests-per-minute", "0", "--model", "emodb") as started:
        yield started


def get(service: Any, path: str = "/v1/limits", **headers: str) -> httpx.Response:
    return httpx.get(
        f"{service.url}{path}",
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )


def code(answer: httpx.Response) -> str:
    return str(answer.json()["error"]["code"])


@pytest.mark.parametrize(
    "headers",
    [{"authorization": f"Bearer {KEY}"}, {"authorization": f"bearer {KEY}"}, {"x_api_key": KEY}],
)
def test_with_the_key(guarded, headers: dict[str, str]) -> None:
    assert get(guarded, **headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer"},
        {"authorization": f"Basic {KEY}"},
        {"authorization": f"Bearer {KEY}x"},
        {"x_api_key": KEY[:-1]},
        {"x_api_key": ""},
    ],
)
def test_without_the_key(guarded, headers: dict[str, str]) -> None:
    answer = get(guarded, **headers)
    assert (answer.status_code, code(answer)) == (401, "no_key")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert KEY not in answer.text


def test_a_key_in_the_query_is_none(guarded) -> None:
    assert get(guarded, f"/v1/limits?key={KEY}&api_key={KEY}").status_code == 401


@pytest.mark.parametrize("path", ["/", "/healthz"])
def test_head_is_allowed_as_get_is(guarded, path: str) -> None:
    answer = httpx.head(f"{guarded.url}{path}")
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize("path", ["/", "/healthz", "/assets/nothing.js"])
def test_open_without_a_key(guarded, path: str) -> None:
    assert get(guarded, path).status_code != 401


@pytest.mark.parametrize(
    "path", ["/metrics", "/docs", "/openapi.json", "/v1/models", "/nothing", "//", "/assets"]
)
def test_closed_without_a_key(guarded, path: str) -> None:
    assert get(guarded, path).status_code == 401


def encoded(key: str) -> str:
    return "key." + base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")


def test_the_key_of_a_stream(guarded) -> None:
    with connect(guarded.ws, proxy=None, subprotocols=["serein", encoded(KEY)]) as stream:
        assert stream.subprotocol == "serein"
        assert json.loads(stream.recv())["type"] == "ready"
    with connect(guarded.ws, proxy=None, additional_headers={"X-API-Key": KEY}) as stream:
        assert json.loads(stream.recv())["type"] == "ready"
    for names in (["serein"], ["serein", encoded("wrong")], ["key.%%%"], ["key."]):
        with (
            pytest.raises(InvalidStatus) as refused,
            connect(guarded.ws, proxy=None, subprotocols=names),
        ):
            pass
        assert refused.value.response.status_code == 401


def test_origins(guarded) -> None:
    key = {"x_api_key": KEY}
    assert get(guarded, origin=guarded.url, **key).status_code == 200
    allowed = get(guarded, origin=PAGE, **key)
    assert allowed.headers["access-control-allow-origin"] == PAGE
    assert "origin" in allowed.headers["vary"].lower()
    for origin in ("https://evil.example", "null", f"{PAGE}.evil.example", "http://127.0.0.1:1"):
        answer = get(guarded, origin=origin, **key)
        assert (answer.status_code, code(answer)) == (403, "bad_origin")
        assert "access-control-allow-origin" not in answer.headers


def test_origins_of_streams(guarded) -> None:
    headers = {"X-API-Key": KEY}
    with connect(guarded.ws, proxy=None, origin=PAGE, additional_headers=headers) as stream:
        assert json.loads(stream.recv())["type"] == "ready"
    with (
        pytest.raises(InvalidStatus) as refused,
        connect(guarded.ws, proxy=None, origin="https://evil.example", additional_headers=headers),
    ):
        pass
    assert refused.value.response.status_code == 403


def test_preflight(guarded) -> None:
    asks = {"access-control-request-method": "POST", "origin": PAGE}
    answer = httpx.options(f"{guarded.url}/v1/predict", headers=asks)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert "x-api-key" in answer.headers["access-control-allow-headers"]
    asks["origin"] = "https://evil.example"
    assert httpx.options(f"{guarded.url}/v1/predict", headers=asks).status_code == 403


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("127.0.0.1:1", 200),
        ("[::1]:8000", 200),
        ("SER.example", 200),
        ("ser.example:443", 200),
        ("evil.example", 400),
        ("127.0.0.1.evil.example", 400),
        ("localhost.evil.example", 400),
        ("[::1].evil.example", 400),
        ("[::1]evil:80", 400),
        ("localhost:80@evil.example", 400),
        ("user@localhost", 400),
        ("localhost:port", 400),
        ("localhost:80:80", 400),
        ("localhost/", 400),
        ("[localhost]", 400),
        ("[", 400),
        ("", 400),
        ("x" * 5000, 400),
    ],
)
def test_hosts(guarded, host: str, status: int) -> None:
    assert get(guarded, "/healthz", host=host).status_code == status


@pytest.mark.parametrize(
    ("doubled", "code"), [("Host: ser.example", "bad_request"), (f"Origin: {PAGE}", "bad_origin")]
)
def test_a_doubled_header(guarded, doubled: str, code: str) -> None:
    lines = ["GET /v1/limits HTTP/1.0", "Host: ser.example", f"Origin: {PAGE}", f"X-API-Key: {KEY}"]
    for sent, words in ((lines, "max_bytes"), ([*lines, doubled], code)):
        with socket.create_connection(guarded.address, timeout=10) as wire:
            wire.sendall("\r\n".join([*sent, "", ""]).encode())
            answer = b"".join(iter(lambda: wire.recv(65536), b"")).decode()
        assert words in answer


def test_rate(start) -> None:
    with start("--requests-per-minute", "5", "--model", "emodb") as service:
        for _ in range(5):
            assert get(service).status_code == 200
        answer = get(service)
        assert (answer.status_code, code(answer)) == (429, "too_many")
        assert 1 <= int(answer.headers["retry-after"]) <= 60
        with pytest.raises(InvalidStatus) as refused, connect(service.ws, proxy=None):
            pass
        assert refused.value.response.status_code == 429
        assert get(service, "/healthz").status_code == 200


@pytest.mark.parametrize("path", ["/", "/healthz", "/docs", "/nothing", "/v1/predict"])
def test_headers_of_every_answer(service, path: str) -> None:
    answer = get(service, path)
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'self'; connect-src 'self' ws:")
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "microphone=(self)" in answer.headers["permissions-policy"]
    assert "server" not in answer.headers


def test_a_key_file_that_others_can_read_is_warned_of(guarded) -> None:
    warnings = [line for line in guarded.lines() if line["event"] == "readable_by_others"]
    assert ["--api-key-file" in str(line["advice"]) for line in warnings] == [True]


def test_nothing_private_is_logged(guarded, voice: Path) -> None:
    headers = {"x-api-key": KEY, "user-agent": "secret-agent"}
    httpx.post(
        f"{guarded.url}/v1/predict?model=emodb",
        files={"file": ("private-call.flac", voice.read_bytes())},
        headers=headers,
    )
    get(guarded, "/private/path?private=query")
    with connect(f"{guarded.ws}?hop_s=0.125", proxy=None, additional_headers=headers) as stream:
        stream.recv()
        stream.send('{"type":"end"}')
        stream.recv()
    for _ in range(100):
        if (lines := guarded.lines())[-1]["event"] == "stream":
            break
        time.sleep(0.05)
    text = guarded.log.read_text()
    for private in (KEY, encoded(KEY), "private", "secret", "0.125", "model=", "neutral", "127.0"):
        assert private not in text
    predict = next(line for line in lines if line.get("route") == "/v1/predict")
    assert {"time", "level", "event", "worker", "method", "status", "ms"} <= set(predict)
    assert (predict["status"], predict["bytes"]) == (200, voice.stat().st_size)
    assert predict["audio_s"] == pytest.approx(3.651)
    assert any(line["event"] == "stream" and line["status"] == 101 for line in lines)
