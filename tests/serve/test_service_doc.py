"""docs/SERVICE.md does what it shows, and says what is."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from serein.serve.errors import STATUS
from serein.serve.settings import Settings

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "SERVICE.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(sh|python)\n(.*?)```", TEXT, re.S)
HERE = "127.0.0.1:8000"
CURL = [block for kind, block in BLOCKS if kind == "sh" and block.startswith("curl")]
ROUTES = ("predict", "adapt", "audio/transcriptions", "stream", "models", "limits")
PYTHON = [block for kind, block in BLOCKS if kind == "python"]


def run(command: list[str], **environment: str) -> str:
    done = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        check=False,
        timeout=60,
        env=os.environ | environment,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode("utf-8", "replace")


def at(service: Any, block: str) -> str:
    assert HERE in block
    return block.replace(HERE, service.url.removeprefix("http://"))


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl")
@pytest.mark.parametrize("block", CURL, ids=range(len(CURL)))
def test_curl(adaptive, block: str) -> None:
    shell = "curl() { command curl --silent --show-error --fail --noproxy '*' \"$@\"; }\nset -e\n"
    shown = run(["bash", "-c", shell + at(adaptive, block)], KEY="none-is-needed")
    if "/v1/stream" in block:
        assert shown.startswith("HTTP/1.1 101")
        assert '{"type": "ready"' in shown
    else:
        assert shown


@pytest.mark.parametrize("block", PYTHON, ids=range(len(PYTHON)))
def test_python(adaptive, block: str) -> None:
    shown = run([sys.executable, "-W", "error", "-c", at(adaptive, block)], NO_PROXY="*")
    if "connect(" in block:
        assert shown.startswith("{'type': 'ready'")
        assert shown.splitlines()[-1].startswith("done")
        assert "utterance" in shown
    else:
        assert "\n" in shown


def test_every_route_has_both(service) -> None:
    versioned = [f"/v1/{name}" for name in ROUTES]
    for route in (*versioned, "/healthz", "/metrics"):
        assert any(f"{HERE}{route}" in block for block in CURL), route
        assert any(route in block for block in PYTHON), route


def rows(mark: str) -> list[list[str]]:
    table = TEXT.partition(f"<!-- {mark} -->\n")[2].partition("\n\n")[0]
    cells = [line.strip("|").split("|") for line in table.splitlines()[2:]]
    return [[cell.strip() for cell in row] for row in cells]


def test_error_codes_are_those_of_the_service() -> None:
    assert {row[0].strip("`"): int(row[1]) for row in rows("errors")} == STATUS


def test_limits_are_those_of_the_service() -> None:
    numbers = [float(row[1].split()[0]) for row in rows("limits")]
    named = [
        *("max_megabytes", "max_seconds", "max_channels", "max_connections"),
        *("connections_per_client", "max_queue", "max_streams"),
        *("max_stream_seconds", "max_window_seconds", "max_stream_overlap"),
        *("predict_seconds", "response_seconds", "stream_sound_per_minute"),
        *("requests_per_minute", "max_clients"),
        *("header_seconds", "body_idle_seconds"),
        *(
            "body_seconds",
            "linger_seconds",
            "stream_idle_seconds",
            "send_seconds",
            "decoder_seconds",
        ),
        *("decoder_megabytes", "decoders", "stop_seconds"),
    ]
    assert numbers == [getattr(Settings(), name) for name in named]
    others = {
        "models",
        "provider",
        "emotions",
        "unsure_below",
        "adapt_from",
        "version",
        "api_key",
        "api_key_file",
        "allow_origins",
        "allow_hosts",
        "store",
    }
    assert set(named) | others == {field.name for field in fields(Settings)}


def test_options_are_those_of_the_service() -> None:
    command = [sys.executable, "-m", "serein", "serve", "--help"]
    offered = set(re.findall(r"--[a-z-]+", run(command, COLUMNS="200", TERM="dumb")))
    for option in re.findall(
        r"--(?:max|requests|connections|predict|allow|api|store|workers|host|port|model|emotions|unsure|adapt)[a-z-]*",
        TEXT,
    ):
        if option != "--max-time":
            assert option in offered
