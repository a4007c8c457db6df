"""What the service counts about itself, for Prometheus. Each worker counts for itself."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from datetime import UTC, datetime
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

BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """Counts requests, refusals, sound and work in hand."""

    def __init__(self, version: str) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        worker = self._gauge("serein_worker_info", "This worker: always 1.", "pid", "version")
        worker.labels(str(os.getpid()), version).set(1)
        route = ("route", "method", "status")
        self._requests = self._counter("serein_requests_total", "Requests answered.", *route)
        self._latency = Histogram(
            "serein_request_seconds",
            "From the first byte of a request to the last of its answer; streams not counted.",
            ["route"],
            buckets=BUCKETS_S,
            registry=self._registry,
        )
        self._refusals = self._counter("serein_refusals_total", "Refusals by code.", "code")
        self._decoded = self._counter("serein_decoded_seconds_total", "Sound decoded, in seconds.")
        self._streamed = self._counter("serein_streamed_seconds_total", "Sound streamed in.")
        self._failures = self._counter(
            "serein_decoder_failures_total", "Decoders that ran out of memory or time, or died."
        )
        self._streams = self._gauge("serein_streams_open", "Streams open.")
        self._queue = self._gauge("serein_queue", "Uploads being read, decoded or judged.")

    def request(
        self, route: str, method: str, status: int, seconds: float, notes: dict[str, Any]
    ) -> None:
        """Count a request that is over."""
        self._requests.labels(route, method, str(status)).inc()
        if method != "WEBSOCKET":
            self._latency.labels(route).observe(seconds)
        if "refusal" in notes:
            self._refusals.labels(notes["refusal"]).inc()

    def decoded(self, seconds: float) -> None:
        """Count sound that was decoded."""
        self._decoded.inc(seconds)

    def streamed(self, seconds: float) -> None:
        """Count sound that came over streams."""
        self._streamed.inc(seconds)

    def decoder_failed(self) -> None:
        """Count a decoder that failed."""
        self._failures.inc()

    def watch(self, streams: Callable[[], int], queue: Callable[[], int]) -> None:
        """Say where open streams and uploads in hand can be counted."""
        self._streams.set_function(streams)
        self._queue.set_function(queue)

    def page(self) -> bytes:
        """Return everything in Prometheus's text format."""
        return generate_latest(self._registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self._registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self._registry)


class JsonLines(JsonFormatter):
    """Writes ``time level event worker`` and what the event adds."""

    def __init__(self) -> None:
        super().__init__("%(message)s", rename_fields={"message": "event"})

    def add_fields(
        self,
        log_data: dict[str, Any],
        record: logging.LogRecord,
        message_dict: dict[str, Any],
    ) -> None:
        """Put the fields of a record in order."""
        time = datetime.fromtimestamp(record.created, UTC)
        log_data["time"] = time.isoformat(timespec="milliseconds")
        log_data["level"] = record.levelname.lower()
        log_data["worker"] = os.getpid()
        super().add_fields(log_data, record, message_dict)


def log_config() -> dict[str, Any]:
    """Return the configuration of logging for all of the service, uvicorn's part too."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"lines": {"()": "serein.serve.observability.JsonLines"}},
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "formatter": "lines",
                "stream": "ext://sys.stderr",
            }
        },
        "loggers": {
            "serein.serve": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
            "uvicorn": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
        },
        "root": {"handlers": ["stderr"], "level": "WARNING"},
    }
