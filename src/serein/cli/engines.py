"""Where a command runs: the options, and the engine they choose."""

from __future__ import annotations

from typing import Annotated

import typer

from serein.engine import running_on

EngineName = Annotated[
    str, typer.Option("--engine", help="Where it runs: local, or ray for a cluster.")
]
Address = Annotated[
    str | None,
    typer.Option("--address", help="Of the Ray cluster, host:port; RAY_ADDRESS if not given."),
]
Jobs = Annotated[
    int | None, typer.Option("--jobs", help="Processes; -1 is all cores.", show_default=False)
]
Provider = Annotated[
    str,
    typer.Option("--provider", help="What computes the network: cpu, or cuda, coreml … if there."),
]

__all__ = ["Address", "EngineName", "Jobs", "Provider", "running_on"]
