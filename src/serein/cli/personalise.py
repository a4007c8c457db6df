"""The command personalise: a bundle moved by a few labelled recordings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from serein.cli.options import BundleName, Threads
from serein.cli.show import echo
from serein.defaults import DEFAULT_MODEL


def personalise(
    labels: Annotated[
        Path,
        typer.Option(help="Table (CSV or TSV): file, relative to it, and emotion or own label."),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the bundle that `predict` runs.")],
    model: BundleName = DEFAULT_MODEL,
    licence: Annotated[
        str, typer.Option(help="Licence of the recordings, for the bundle's card.")
    ] = "not stated",
    threads: Threads = None,
) -> None:
    """Move a model by 1 to 10 labelled recordings an emotion; own labels, too, may be learnt."""
    from serein.corpora.corpus import read_labels
    from serein.inference.personalise import personalise as write_personalised

    found = read_labels(labels)
    folder = write_personalised(
        list(found), list(found.values()), out, model=model, licence=licence, threads=threads
    )
    echo(f"written: {folder}, from {len(found)} recordings of {len({*found.values()})} labels")
