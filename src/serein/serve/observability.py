"""Metrics for Prometheus, and logs as JSON lines. Each worker counts for itself."""

from __future__ import annotations

import logging
import os
import time
import traceback
from types import TracebackType
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from pythonjsonlogger.json import JsonFormatter

LOG_EVERY_S = 60.0  # of what a client can cause at will
logger = logging.getLogger("serein.serve")
_logged_at_s: dict[str, float] = {}
BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """Counters of requests, errors, sound, and work in progress."""

    def __init__(self, version: str) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        worker = self._gauge("serein_worker_info", "This worker: always 1.", "pid", "version")
        worker.labels(str(os.getpid()), version).set(1)
        route = ("route", "method", "status")
        self._requests = self._counter("serein_requests_total", "Requests answered.", *route)
        self._latency = Histogram(
            "serein_request_seconds",
            "From the first byte of a request to the last of its response; streams not counted.",
            ["route"],
            buckets=BUCKETS_S,
            registry=self._registry,
        )
        self._errors = self._counter("serein_refusals_total", "Error responses by code.", "code")
        self.decoded = self._counter("serein_decoded_seconds_total", "Sound decoded, in seconds.")
        self.streamed = self._counter("serein_streamed_seconds_total", "Sound streamed in.")
        self.decoder_failures = self._counter(
            "serein_decoder_failures_total", "Decoders that ran out of memory or time, or died."
        )
        self.streams = self._gauge("serein_streams_open", "Streams open.")
        self.hop_factor = self._gauge(
            "serein_stream_hop_factor", "How many times longer the hops of streams are than asked."
        )
        self.uploads = self._gauge("serein_queue", "Uploads being read, decoded or predicted.")

    def request(
        self, route: str, method: str, status: int, seconds: float, notes: dict[str, Any]
    ) -> None:
        """Count a request that is over."""
        self._requests.labels(route, method, str(status)).inc()
        if method != "WEBSOCKET":
            self._latency.labels(route).observe(seconds)
        if "refusal" in notes:
            self._errors.labels(notes["refusal"]).inc()

    def page(self) -> bytes:
        """Return everything in Prometheus's text format."""
        return generate_latest(self._registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self._registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self._registry)


def warn_rarely(event: str) -> None:
    """Log a warning, once a minute at most."""
    now = time.monotonic()
    if now - _logged_at_s.get(event, -LOG_EVERY_S) >= LOG_EVERY_S:
        _logged_at_s[event] = now
        logger.warning(event)


def places(trace: TracebackType | None) -> list[str]:
    """List where an error came from; not its message, which may quote what was sent."""
    frames = traceback.extract_tb(trace)
    return [f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in frames[-8:]]


class LogFormatter(JsonFormatter):
    """Writes ``time level event worker``, then the fields that the event adds.

    Of an error that a library logs, its type and where it came from.
    """

    def __init__(self) -> None:
        names = {"levelname": "level", "message": "event", "process": "worker"}
        super().__init__(
            "%(levelname)s%(message)s%(process)d", rename_fields=names, timestamp="time"
        )

    def formatException(self, ei: Any) -> str:  # noqa: N802  # logging's name
        """Describe an error without its message."""
        return f"{getattr(ei[0], '__name__', ei[0])} at {' '.join(places(ei[2]))}"

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        """Write the time first, and the level in small letters."""
        first = {"time": log_data["time"], "level": log_data["level"].lower()}
        return first | {name: log_data[name] for name in log_data if name not in first}


def log_config() -> dict[str, Any]:
    """Return the configuration of logging for all of the service, uvicorn's part too."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"lines": {"()": "serein.serve.observability.LogFormatter"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "lines"}},
        "loggers": {
            "serein.serve": {"level": "INFO"},
            "python_multipart": {"level": "CRITICAL"},  # its warnings quote what was sent
        },
        "root": {"handlers": ["stderr"], "level": "WARNING"},
    }
