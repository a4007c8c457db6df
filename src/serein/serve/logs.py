"""The log: one JSON object a line on stderr. Never sound, names of files, keys, or queries."""

from __future__ import annotations

import logging
import os
from datetime import UTC, datetime
from typing import Any

from pythonjsonlogger.json import JsonFormatter


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
    """Return the configuration of logging for all of the service, uvicorn's part too.

    Returns
    -------
    dict
        For `logging.config.dictConfig`. uvicorn tells warnings only: its other lines hold queries.
    """
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"lines": {"()": "serein.serve.logs.JsonLines"}},
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
