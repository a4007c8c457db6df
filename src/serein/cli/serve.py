"""The command `serve`: recordings over HTTP, live streams over WebSocket, and the page."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from serein import __version__
from serein.cli.options import AdaptFrom, Emotions, Provider, UnsureBelow
from serein.defaults import DEFAULT_LIMITS, DEFAULT_PROVIDER
from serein.errors import MissingExtraError
from serein.serve.settings import Settings, read_key


def serve(
    host: Annotated[str, typer.Option(help="Name or address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: a free one.")] = 8000,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Server processes.")] = 1,
    model: Annotated[
        list[str] | None,
        typer.Option(help="Bundled model, or path of a bundle; the first is the default. All."),
    ] = None,
    provider: Provider = DEFAULT_PROVIDER,
    emotions: Emotions = None,
    unsure_below: UnsureBelow = Settings.unsure_below,
    adapt_from: AdaptFrom = None,
    api_key_file: Annotated[
        Path | None, typer.Option(help="File whose first line is the key that clients must send.")
    ] = None,
    allow_origin: Annotated[
        list[str] | None, typer.Option(help="Another origin whose pages may send requests.")
    ] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="Another host name of the service.")
    ] = None,
    max_megabytes: Annotated[
        float, typer.Option(min=0.001, help="Largest upload.")
    ] = Settings.max_megabytes,
    max_seconds: Annotated[
        float, typer.Option(min=DEFAULT_LIMITS.min_s, help="Longest recording.")
    ] = Settings.max_seconds,
    connections_per_client: Annotated[
        int, typer.Option(min=0, help="Connections of one client, per worker; 0: no limit.")
    ] = Settings.connections_per_client,
    max_streams: Annotated[
        int, typer.Option(min=0, help="Streams open at once, per worker.")
    ] = Settings.max_streams,
    max_queue: Annotated[
        int, typer.Option(min=1, help="Uploads in progress at once, per worker.")
    ] = Settings.max_queue,
    requests_per_minute: Annotated[
        int, typer.Option(min=0, help="Per client and worker; 0: no limit.")
    ] = Settings.requests_per_minute,
    max_stream_seconds: Annotated[
        float, typer.Option(min=1, help="Longest stream.")
    ] = Settings.max_stream_seconds,
    max_window_seconds: Annotated[
        float, typer.Option(min=1, help="Windows of a timeline, all together.")
    ] = Settings.max_window_seconds,
    predict_seconds: Annotated[
        float, typer.Option(min=1, help="Longest wait for a prediction.")
    ] = Settings.predict_seconds,
    store: Annotated[
        Path | None,
        typer.Option(help="Store uploads and predictions in this folder; without it, nothing."),
    ] = None,
) -> None:
    """Serve predictions over HTTP and WebSocket, and a page that uses them.

    Without an API key, from that file or from SEREIN_API_KEY, it listens to this machine alone.
    """
    try:
        from serein.serve.server import serve as run
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("serein"):
            raise
        raise MissingExtraError("serein serve", "serve") from error

    settings = Settings(
        models=tuple(model or ()),
        provider=provider,
        emotions=emotions,
        unsure_below=unsure_below,
        adapt_from=str(adapt_from.resolve()) if adapt_from else "",
        version=__version__,
        api_key=read_key(api_key_file) if api_key_file else os.environ.get("SEREIN_API_KEY", ""),
        api_key_file=str(api_key_file or ""),
        allow_origins=tuple(allow_origin or ()),
        allow_hosts=tuple(allow_host or ()),
        max_megabytes=max_megabytes,
        max_seconds=max_seconds,
        connections_per_client=connections_per_client,
        max_streams=max_streams,
        max_queue=max_queue,
        requests_per_minute=requests_per_minute,
        max_stream_seconds=max_stream_seconds,
        max_window_seconds=max_window_seconds,
        predict_seconds=predict_seconds,
        store=str(store.resolve()) if store else "",
    )
    run(settings, host=host, port=port, workers=workers)
