"""Load test on loopback: uploads and streams at once, and a worker killed in the middle.

`python bench/load.py` starts a service of two workers, puts it under load, and writes
results/load.json and the table in results/load.md. Every request must get a prediction or a clean
error (429 or 503 with Retry-After); uploads that are refused are sent again until they get one.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np
import psutil
from library import RESULTS, ROOT, write_between, write_json
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

import serein

CLIP = ROOT / "samples" / "espeak-english-slow-low.flac"
MARK = "<!-- python bench/load.py -->"
RATE_HZ = 16_000
BLOCK_S = 0.1
REFUSALS = (429, 503)
ROUNDS = 3


@dataclass
class Outcome:
    """What became of the requests of one load test."""

    uploads: Counter[str] = field(default_factory=Counter)
    attempts: Counter[int] = field(default_factory=Counter)
    streams: Counter[str] = field(default_factory=Counter)
    waited_s: list[float] = field(default_factory=list)
    late_s: list[float] = field(default_factory=list)
    unclean: list[str] = field(default_factory=list)
    took_s: float = 0.0


async def load(url: str, *, uploads: int, streams: int, seconds: float) -> Outcome:
    """Send so many uploads and streams at once, and wait until each has its response.

    Parameters
    ----------
    url : str
        Address of the service.
    uploads, streams : int
        How many.
    seconds : float
        Length of the sound of each stream, sent in real time; each begins elsewhere in it.

    Returns
    -------
    Outcome
        What became of them.
    """
    found, sound = Outcome(), np.resize(serein.read_audio(CLIP), round(seconds * RATE_HZ))
    pcm = (sound * 32767).astype("<i2")
    starts = np.linspace(0, pcm.size, streams, endpoint=False, dtype=int)
    limits = httpx.Limits(max_connections=None)
    start_s = time.perf_counter()
    async with httpx.AsyncClient(base_url=url, limits=limits, timeout=120) as client:
        await asyncio.gather(
            *(upload(client, found) for _ in range(uploads)),
            *(stream(url, np.roll(pcm, -start).tobytes(), found) for start in starts),
        )
    found.took_s = time.perf_counter() - start_s
    return found


async def upload(client: httpx.AsyncClient, found: Outcome) -> None:
    """Send an upload until there is a prediction."""
    body, start_s = CLIP.read_bytes(), time.perf_counter()
    while True:
        try:
            response = await client.post(
                "/v1/predict", content=body, headers={"Content-Type": "audio/flac"}
            )
        except httpx.TransportError as error:
            found.uploads[f"lost: {type(error).__name__}"] += 1
            return
        found.attempts[response.status_code] += 1
        if response.status_code not in REFUSALS:
            break
        if not response.headers.get("Retry-After", "").isdigit() or "error" not in response.json():
            found.unclean.append(response.text)
            return
        await asyncio.sleep(int(response.headers["Retry-After"]))
    right = response.status_code == 200 and response.json()["emotion"] is not None
    found.uploads["answered" if right else f"status {response.status_code}"] += 1
    found.waited_s.append(time.perf_counter() - start_s)


async def stream(url: str, pcm: bytes, found: Outcome) -> None:
    """Send sound in real time; note the delay of each event after its sound."""
    address = url.replace("http", "ws", 1) + "/v1/stream"
    try:
        async with connect(address, open_timeout=60, ping_timeout=None) as socket:
            start_s, events = time.perf_counter(), 0
            sending = asyncio.create_task(send(socket, pcm, start_s))
            try:
                async for message in socket:
                    event = json.loads(message)
                    if event["type"] == "emotion":
                        found.late_s.append(time.perf_counter() - start_s - event["end"])
                    events += event["type"] in ("emotion", "utterance")
            finally:
                await asyncio.gather(sending, return_exceptions=True)
            done = event["type"] == "done" and events > 0
            found.streams["answered" if done else f"ended by {event}"] += 1
    except InvalidStatus as refusal:
        clean = refusal.response.status_code in REFUSALS
        if not clean or "Retry-After" not in refusal.response.headers:
            found.unclean.append(str(refusal))
        found.streams["refused"] += 1
    except (OSError, EOFError, ConnectionClosed) as error:
        found.streams[f"lost: {type(error).__name__}"] += 1


async def send(socket: Any, pcm: bytes, start_s: float) -> None:
    """Send sound in real time, then ask for what is pending."""
    block = round(BLOCK_S * RATE_HZ) * 2
    for number, at in enumerate(range(0, len(pcm), block), start=1):
        await asyncio.sleep(max(0.0, start_s + number * BLOCK_S - time.perf_counter()))
        await socket.send(pcm[at : at + block])
    await socket.send(json.dumps({"type": "end"}))


@contextmanager
def service(*options: str) -> Iterator[tuple[str, psutil.Process]]:
    """Run a service of two workers; yield its address and its process."""
    command = [sys.executable, "-m", "serein", "serve", "--port", "0", "--workers", "2", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            assert process.stdout is not None  # noqa: S101
            line = process.stdout.readline().decode()
            yield line.rpartition(" ")[2].strip(), psutil.Process(process.pid)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def memory_mb(process: psutil.Process) -> float:
    """Return the resident memory of a process and all below it."""
    processes = [process, *process.children(recursive=True)]
    return sum(one.memory_info().rss for one in processes) / 2**20


def workers(process: psutil.Process) -> list[psutil.Process]:
    """Return the worker processes: the children of the supervisor that have decoders."""
    return [child for child in process.children() if child.children()]


def summary(found: Outcome) -> dict[str, Any]:
    """Return the outcome as plain values."""
    late = np.percentile(found.late_s or [0], [50, 95, 99]).round(2).tolist()
    return {
        "uploads": dict(found.uploads),
        "attempts": {str(status): count for status, count in sorted(found.attempts.items())},
        "streams": dict(found.streams),
        "unclean": len(found.unclean),
        "longest_wait_s": round(max(found.waited_s, default=0), 1),
        "event_late_s": dict(zip(("p50", "p95", "p99"), late, strict=True)),
        "took_s": round(found.took_s, 1),
    }


def main() -> None:
    """Measure, write and print."""
    rows, memory = [], []
    with service("--requests-per-minute", "0") as (url, process):
        for _ in range(ROUNDS):
            rows.append(summary(asyncio.run(load(url, uploads=200, streams=50, seconds=10))))
            memory.append(round(memory_mb(process)))
        victim = workers(process)[0].pid
        killed = asyncio.run(with_a_kill(url, victim))
        after = summary(asyncio.run(load(url, uploads=20, streams=2, seconds=3)))
    found = {"crowds": rows, "memory_mb": memory, "killed": summary(killed), "after": after}
    write_json(RESULTS / "load.json", found)
    write_between(ROOT / "results" / "load.md", MARK, table(found))
    print(json.dumps(found, indent=1))


async def with_a_kill(url: str, victim: int) -> Outcome:
    """Start a load test, and kill a worker two seconds later."""
    sent = asyncio.create_task(load(url, uploads=200, streams=50, seconds=10))
    await asyncio.sleep(2)
    os.kill(victim, signal.SIGKILL)
    return await sent


def table(found: dict[str, Any]) -> str:
    """Return the table in Markdown."""
    head = "| | uploads | refused, then retried | streams | delay of events | unclean |"
    lines = [head, "|---|---|---|---|---|---|"]
    names = [f"load {number + 1}" for number in range(len(found["crowds"]))]
    for name, row in zip(
        [*names, "a worker killed", "afterwards"],
        [*found["crowds"], found["killed"], found["after"]],
        strict=True,
    ):
        refused = sum(row["attempts"].get(str(status), 0) for status in REFUSALS)
        late = row["event_late_s"]
        cells = (counts(row["uploads"]), refused, counts(row["streams"]))
        times = f"p50 {late['p50']:.2f}, p95 {late['p95']:.2f} s"
        lines.append(f"| {name} | {' | '.join(map(str, cells))} | {times} | {row['unclean']} |")
    memory = ", ".join(map(str, found["memory_mb"]))
    return "\n".join([*lines, "", f"Memory of all processes after each load: {memory} MB."])


def counts(named: dict[str, int]) -> str:
    """Return counts in words."""
    return ", ".join(f"{count} {name}" for name, count in sorted(named.items())) or "none"


if __name__ == "__main__":
    main()
