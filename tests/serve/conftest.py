"""A real service in a process of its own, as a user starts it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from made_bundles import adaptive_bundle, own_bundle

pytest.importorskip("fastapi", reason="pip install 'serein[serve]'")


ROOT = Path(__file__).parents[2]
SERVE = [sys.executable, "-m", "serein", "serve"]
BY_SETTINGS = """
import json, sys
from serein.serve.server import serve
from serein.serve.settings import Settings
settings = json.loads(sys.argv[1])
host = settings.pop("host", "127.0.0.1")
settings |= {name: tuple(v) for name, v in settings.items() if isinstance(v, list)}
serve(Settings(**settings), host=host, port=0, workers=1)
"""


@dataclass
class Service:
    """One that answers."""

    url: str
    process: subprocess.Popen[str]
    log: Path

    @property
    def ws(self) -> str:
        return self.url.replace("http://", "ws://") + "/v1/stream"

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.url.removeprefix("http://").rsplit(":", 1)
        return host, int(port)

    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def metric(self, name: str) -> float:
        wire = HTTPConnection(*self.address, timeout=30)
        wire.request("GET", "/metrics")
        text = wire.getresponse().read().decode()
        wire.close()
        return sum(float(row.split()[-1]) for row in text.splitlines() if row.startswith(name))

    def wait_until(self, name: str, reached: Callable[[float], bool]) -> None:
        """Wait until a metric has such a value."""
        for _ in range(600):
            if reached(self.metric(name)):
                return
            time.sleep(0.05)
        raise AssertionError(f"{name} is {self.metric(name)}")


Start = Callable[..., AbstractContextManager[Service]]


def wait_ready(process: subprocess.Popen[str]) -> str:
    line = process.stdout.readline()
    assert line.startswith("serein: listening on http://"), line
    return line.split()[-1]


@contextmanager
def running(command: list[str], log: Path, **environment: str) -> Iterator[Service]:
    with (
        log.open("w") as errors,
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=os.environ | environment,
        ) as process,
    ):
        try:
            yield Service(wait_ready(process), process, log)
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=20) == 0, log.read_text()
            assert process.stdout.read() == ""
        finally:
            process.kill()


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Start:
    """Start a service by its options; ended, and its status checked, with the block."""

    def by_options(
        *options: str, behind: Sequence[str] = (), **environment: str
    ) -> AbstractContextManager[Service]:
        log = tmp_path_factory.mktemp("service") / "log"
        return running([*behind, *SERVE, "--port", "0", *options], log, **environment)

    return by_options


@pytest.fixture(scope="session")
def start_with(tmp_path_factory: pytest.TempPathFactory) -> Start:
    """Start a service by its settings, those without an option too."""

    def by_settings(**settings: object) -> AbstractContextManager[Service]:
        log = tmp_path_factory.mktemp("service") / "log"
        return running([sys.executable, "-c", BY_SETTINGS, json.dumps(settings)], log)

    return by_settings


@pytest.fixture(scope="session")
def service(start: Start) -> Iterator[Service]:
    """One with the settings that everybody has, without a rate."""
    with start("--requests-per-minute", "0") as started:
        yield started


@pytest.fixture(scope="session")
def adaptive_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return adaptive_bundle(tmp_path_factory.mktemp("adaptive"))


@pytest.fixture(scope="session")
def adaptive(start: Start, adaptive_model: Path, tmp_path_factory: Any) -> Iterator[Service]:
    """One whose default model adapts to recordings, and another that has labels of its own."""
    models = (adaptive_model, "emodb", own_bundle(tmp_path_factory.mktemp("own")))
    options = (option for model in models for option in ("--model", str(model)))
    with start("--requests-per-minute", "0", *options) as started:
        yield started


@pytest.fixture(scope="session")
def strict(start_with: Start) -> Iterator[Service]:
    """One whose limits are reached soon."""
    with start_with(
        max_megabytes=0.5,
        header_seconds=0.7,
        linger_seconds=0.5,
        body_idle_seconds=0.6,
        body_seconds=1.5,
        stream_idle_seconds=0.7,
        max_stream_seconds=6.0,
        max_streams=2,
        max_queue=2,
        decoder_megabytes=256,
        response_seconds=1.0,
        max_window_seconds=20.0,
        requests_per_minute=0,
    ) as started:
        yield started


@pytest.fixture(scope="session")
def voice() -> Path:
    return ROOT / "samples" / "espeak-german.flac"
