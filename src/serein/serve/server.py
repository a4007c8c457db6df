"""Checks the settings, binds the port, and runs the service."""

from __future__ import annotations

import ipaddress
import logging
import logging.config
import os
import socket
from functools import partial
from pathlib import Path

from serein.errors import ServiceError
from serein.inference.network import providers
from serein.serve.app import create_app
from serein.serve.connections import fit_connections
from serein.serve.observability import log_config
from serein.serve.recognizers import check_models
from serein.serve.sandbox import protect_memory
from serein.serve.settings import Settings
from serein.serve.uploads import make_store
from serein.serve.uvicorn_server import run

logger = logging.getLogger("serein.serve")


def serve(settings: Settings, *, host: str, port: int, workers: int) -> None:
    """Run the service until SIGTERM or SIGINT."""
    settings = fit_connections(settings)
    logging.config.dictConfig(log_config())
    protect_memory()
    make_store(settings.store)
    _warn_of_readers("--store", settings.store)
    _warn_of_readers("--api-key-file", settings.api_key_file)
    check_models(settings)
    providers(settings.provider)
    bound = _bind(host, port)
    _check_reach(bound, settings)
    parent = os.getpid() if workers > 1 else None
    run(partial(create_app, settings, parent), settings, bound, workers)


def _bind(host: str, port: int) -> socket.socket:
    """Bind the port, without listening yet."""
    try:
        family, kind, number, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, number)
        if os.name == "posix":  # elsewhere it would let two services share a port
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except (OSError, OverflowError) as cause:
        reason = getattr(cause, "strerror", None) or cause
        raise ServiceError(f"cannot listen on {host}, port {port}: {reason}") from cause
    return bound


def _check_reach(bound: socket.socket, settings: Settings) -> None:
    """Refuse an address that other machines can reach, unless there is a key."""
    address = bound.getsockname()[0]
    if not ipaddress.ip_address(address.partition("%")[0]).is_loopback and not settings.api_key:
        bound.close()
        raise ServiceError(
            f"{address} can be reached from other machines: give an API key by --api-key-file or "
            "SEREIN_API_KEY, or listen on 127.0.0.1"
        )


def _warn_of_readers(option: str, path: str) -> None:
    """Log a warning if other users can read a file, or look into a folder."""
    if path and os.name == "posix" and Path(path).stat().st_mode & 0o077:
        advice = f"other users have access to what {option} names: take it from them by chmod go="
        logger.warning("readable_by_others", extra={"advice": advice})
