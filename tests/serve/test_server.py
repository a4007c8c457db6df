"""The process: how it starts, what it refuses, how it stops, and that workers are replaced."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

import serein
from serein.errors import SereinError, ServiceError
from serein.serve.server import serve
from serein.serve.settings import Settings, read_key


def refused(*options: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "serein", "serve", *options],
        capture_output=True,
        check=False,
        text=True,
        timeout=30,
        env=os.environ | environment,
    )
    assert (done.returncode, done.stdout) == (2, "")
    return done.stderr


def one_line(text: str) -> str:
    assert text.startswith("serein: ")
    said, hint = text.splitlines()
    assert hint.startswith(("try: serein ", "try: pip "))
    return said


def test_a_port_in_use(service) -> None:
    port = str(service.address[1])
    assert f"cannot listen on 127.0.0.1, port {port}" in one_line(refused("--port", port))


def test_a_key_that_is_too_short() -> None:
    text = one_line(refused("--port", "0", SEREIN_API_KEY="secret"))
    assert "need 16 or more" in text
    assert "secret" not in text


def test_wrong_usage() -> None:
    assert "Invalid value" in refused("--workers", "0")


@pytest.mark.parametrize(
    ("host", "settings", "words"),
    [
        ("nowhere.invalid", {}, "cannot listen on nowhere.invalid, port 0"),
        ("::", {}, "give an API key by --api-key-file or SEREIN_API_KEY"),
        ("0.0.0.0", {}, "give an API key by --api-key-file or SEREIN_API_KEY"),  # noqa: S104
        ("127.0.0.1", {"models": ("mutli",)}, "unknown model 'mutli'"),
        ("127.0.0.1", {"models": ("multi", "multi")}, "two models are called 'multi'"),
        ("127.0.0.1", {"store": "/proc/nowhere"}, "cannot be made"),
        ("127.0.0.1", {"allow_origins": ("example.org",)}, "need scheme and host"),
        ("127.0.0.1", {"api_key": "a key with spaces in it"}, "holds spaces"),
    ],
)
def test_bad_settings(host: str, settings: dict[str, Any], words: str) -> None:
    with pytest.raises(SereinError, match=re.escape(words)):
        serve(Settings(**settings), host=host, port=0, workers=1)


def test_key_files(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("  a-long-enough-key \nnotes\n")
    assert read_key(file) == "a-long-enough-key"
    file.write_text("\n")
    with pytest.raises(ServiceError, match="holds no API key"):
        read_key(file)
    with pytest.raises(ServiceError, match="cannot be read as an API key"):
        read_key(tmp_path / "nowhere")


def test_other_machines_with_a_key(start) -> None:
    options = ("--host", "0.0.0.0", "--model", "emodb")  # noqa: S104
    with start(*options, SEREIN_API_KEY="a-long-enough-key") as service:
        url = f"http://127.0.0.1:{service.address[1]}/v1/limits"
        assert httpx.get(url).status_code == 401
        assert httpx.get(url, headers={"x-api-key": "a-long-enough-key"}).status_code == 200


def test_a_missing_extra_is_named(tmp_path: Path) -> None:
    (tmp_path / "fastapi.py").write_text("raise ModuleNotFoundError(name='fastapi')")
    text = refused("--port", "0", PYTHONPATH=str(tmp_path))
    assert "pip install 'serein[serve]'" in one_line(text)


def test_the_page_that_is_not_built_or_is(service) -> None:
    answer = httpx.get(service.url)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "<!doctype html>" in answer.text.lower()


def test_what_it_says_about_itself(service) -> None:
    health = httpx.get(f"{service.url}/healthz").json()
    assert set(health.pop("decoder_sandbox")) <= {"no_new_privs", "landlock", "seccomp"}
    assert health == {"status": "ok", "version": serein.__version__}
    models = httpx.get(f"{service.url}/v1/models").json()["models"]
    assert [(model["name"], model["default"]) for model in models] == [
        ("multi", True),
        ("emodb", False),
        ("open", False),
    ]
    own = serein.load("emodb")
    assert models[1]["labels"] == list(own.labels)
    assert models[1]["scores"] == own.manifest["scores"]
    limits = httpx.get(f"{service.url}/v1/limits").json()
    assert limits["stores"] is False
    assert limits["max_bytes"] == 25 * 2**20
    assert limits["max_seconds"] == 600


def test_metrics(service, voice: Path) -> None:
    before = service.metric("serein_decoded_seconds_total")
    httpx.post(f"{service.url}/v1/predict", files={"file": voice.read_bytes()})
    assert service.metric("serein_decoded_seconds_total") == pytest.approx(before + 3.651, abs=0.01)
    text = httpx.get(f"{service.url}/metrics").text
    for name in (
        'serein_requests_total{method="POST",route="/v1/predict",status="200"}',
        'serein_request_seconds_bucket{le="0.1",route="/v1/predict"}',
        f'serein_worker_info{{pid="{service.process.pid}",version="{serein.__version__}"}} 1.0',
        "process_resident_memory_bytes",
        "serein_queue 0.0",
    ):
        assert name in text


def test_nothing_is_stored_unless_asked(start, voice: Path, tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept").chmod(0o755)
    with start("--store", str(tmp_path / "kept"), "--model", "emodb") as service:
        assert "readable_by_others" in [line["event"] for line in service.lines()]
        assert httpx.get(f"{service.url}/v1/limits").json()["stores"] is True
        answer = httpx.post(
            f"{service.url}/v1/predict", files={"file": ("private.flac", voice.read_bytes())}
        ).json()
    sound, said = sorted((tmp_path / "kept").iterdir())
    assert sound.read_bytes() == voice.read_bytes()
    assert json.loads(said.read_text()) == answer | {"file": None}
    assert {file.stat().st_mode & 0o777 for file in (sound, said)} == {0o600}
    assert "private" not in sound.name


def descendants(service: Any) -> list[Any]:
    return psutil.Process(service.process.pid).children(recursive=True)


def workers(service: Any) -> list[Any]:
    """Those that supervisors start, which have decoders of their own."""
    found = []
    for process in descendants(service):
        with suppress(psutil.Error):
            if "spawn_main" in " ".join(process.cmdline()) and len(process.children()) == 2:
                found.append(process)
    return found


def test_stopping_flushes_streams_and_leaves_nothing(start_with) -> None:
    samples = serein.read_audio(Path(__file__).parents[2] / "samples" / "espeak-german.flac")
    with start_with(models=["emodb"], stop_seconds=60.0) as service:  # which it must not need
        children = descendants(service)
        with connect(service.ws, proxy=None) as stream:
            stream.recv()
            stream.send((samples[:40_000] * 32767).astype("<i2").tobytes())
            while json.loads(stream.recv())["type"] != "emotion":
                pass
            service.process.send_signal(signal.SIGTERM)
            messages = []
            with pytest.raises(ConnectionClosed) as closed:  # noqa: PT012
                while True:
                    messages.append(json.loads(stream.recv(timeout=30)))
            assert closed.value.rcvd.code == 1001
        assert messages[-2]["type"] == "utterance"
        assert (messages[-1]["type"], messages[-1]["code"]) == ("error", "stopping")
        assert service.process.wait(timeout=30) == 0
    assert children
    assert not psutil.wait_procs(children, timeout=10)[1]


def test_stopping_in_the_middle_of_a_long_upload(start_with, voice: Path) -> None:
    samples = np.resize(serein.read_audio(voice), 500 * 16_000)
    with start_with(models=["emodb"], stop_seconds=1.0) as service:
        wire = socket.create_connection(service.address)
        data = (samples * 32767).astype("<i2").tobytes()
        size = len(data).to_bytes(4, "little")
        wave = (
            b"RIFF"
            + size
            + b"WAVEfmt \x10\0\0\0\1\0\1\0\x80\x3e\0\0\0\x7d\0\0\2\0\x10\0data"
            + size
        )
        query = "POST /v1/predict?window_s=0.5&hop_s=0.1 HTTP/1.1\r\nHost: localhost\r\n"
        kind = f"Content-Type: audio/wav\r\nContent-Length: {len(wave + data)}\r\n\r\n"
        wire.sendall((query + kind).encode() + wave + data)
        service.wait_until("serein_decoded_seconds_total", lambda total: total >= 500)
        service.process.send_signal(signal.SIGINT)
        assert service.process.wait(timeout=30) == 0  # the upload would take longer
        with wire:
            assert wire.recv(100).startswith(b"HTTP/1.1 503")


def test_a_killed_worker_is_replaced_and_workers_do_not_outlive_the_service(
    start, voice: Path
) -> None:
    def answers() -> bool:
        sent = httpx.post(f"{service.url}/v1/predict", files={"file": voice.read_bytes()})
        return sent.status_code == 200

    with start("--workers", "2", "--model", "emodb") as service:
        everyone = descendants(service)
        victim, survivor = workers(service)
        orphans = victim.children()
        victim.suspend()  # so that the supervisor asks whether it lives, and waits
        time.sleep(0.7)
        victim.kill()
        assert not psutil.wait_procs([victim, *orphans], timeout=20)[1]
        assert all(answers() for _ in range(5))
        for _ in range(300):
            if len(workers(service)) == 2:
                break
            time.sleep(0.1)
        assert len(workers(service)) == 2
        assert survivor in workers(service)
        assert all(answers() for _ in range(5))
        everyone += descendants(service)
        service.process.kill()
        assert not psutil.wait_procs(everyone, timeout=20)[1]
        service.process.wait()
        service.process.returncode = 0  # this end was meant
