"""Connections above the limits: those that wait make room, and descriptors never run out."""

from __future__ import annotations

import os
import socket
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from serein.serve.connections import Connections
from serein.serve.settings import Settings

DESCRIPTORS = 200


class Wire:
    """A connection, as far as `Connections` sees it."""

    def __init__(self, address: str) -> None:
        self.address, self.aborted = address, False

    def get_extra_info(self, _name: str) -> tuple[str, int]:
        return self.address, 1

    def abort(self) -> None:
        self.aborted = True


def add(connections: Connections, address: str, *, waiting: bool = True) -> Any:
    wire: Any = Wire(address)
    connections.add(wire)
    connections.set_waiting(wire, waiting)
    return wire


def ended(wires: list[Any]) -> list[int]:
    return [number for number, wire in enumerate(wires) if wire.aborted]


def test_the_longest_idle_makes_room_for_a_new_one_of_its_client() -> None:
    connections = Connections(Settings(max_connections=10, connections_per_client=3))
    other = add(connections, "192.0.2.2")
    wires = [add(connections, "192.0.2.1", waiting=number > 0) for number in range(5)]
    assert ended(wires) == [1, 2]
    assert not other.aborted
    assert len(connections) == 4


def test_the_client_with_most_makes_room_for_others() -> None:
    connections = Connections(Settings(max_connections=4, connections_per_client=0))
    many = [add(connections, "192.0.2.1") for _ in range(3)]
    few = [add(connections, f"192.0.2.{number}") for number in (2, 3)]
    assert ended(many) == [0]
    assert not ended(few)


def test_the_new_one_ends_where_all_have_work() -> None:
    connections = Connections(Settings(max_connections=2, connections_per_client=0))
    wires = [add(connections, "192.0.2.1", waiting=False) for _ in range(4)]
    assert ended(wires) == [2, 3]
    connections.remove(wires[0])
    connections.remove(wires[0])  # as of a connection that was ended for another
    assert not add(connections, "192.0.2.1").aborted


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_idle_connections_take_no_descriptors(start: Any, voice: Path) -> None:
    """More of them than descriptors: others are answered at once, and the log stays short."""
    behind = ["sh", "-c", f'ulimit -n {DESCRIPTORS} && exec "$@"', "sh"]
    with start("--model", "emodb", behind=behind) as service, ExitStack() as wires:
        for _ in range(260):
            wires.enter_context(socket.create_connection(service.address, timeout=10))
        for _ in range(5):
            began = time.perf_counter()
            sent = httpx.post(f"{service.url}/v1/predict", files={"file": voice.read_bytes()})
            assert sent.status_code == 200
            assert time.perf_counter() - began < 2
        limits = httpx.get(f"{service.url}/v1/limits").json()
        assert limits["connections_per_client"] <= limits["max_connections"] < DESCRIPTORS
        descriptors = Path(f"/proc/{service.process.pid}/fd")
        assert (
            not os.access(descriptors, os.R_OK)
            or len(list(descriptors.iterdir())) < DESCRIPTORS - 20
        )
        events = [line["event"] for line in service.lines()]
        assert events.count("too_many_connections") == 1
        assert service.log.stat().st_size < 10_000
