"""The command personalise: a bundle moved by a few labelled recordings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from serein.cli.options import BundleName, Threads
from serein.cli.show import echo
from serein.defaults import DEFAULT_MODEL
from serein.errors import BadFilesError, CorpusError, SereinError, counted


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
    from serein.audio.read import read_audio
    from serein.corpora import Corpus, Utterance
    from serein.corpora.corpus import read_labels
    from serein.corpora.same_sound import duplicates_words, same_sound, without_duplicates
    from serein.inference.bundle import check_bundle_folder
    from serein.inference.personalise import personalise as write_personalised

    check_bundle_folder(out)
    rows = tuple(Utterance(file, "", "", label) for file, label in read_labels(labels).items())
    table = Corpus(labels.stem, rows)
    try:
        kept = without_duplicates(table, same_sound(table, read_audio))
    except BadFilesError as error:
        raise CorpusError(f"{labels}: {error}", to_try=SereinError.to_try) from error
    folder = write_personalised(
        kept.paths,
        [row.emotion for row in kept],
        out,
        model=model,
        licence=licence,
        threads=threads,
    )
    sizes = f"{counted(len(kept), 'recording')} of {counted(len(kept.emotions), 'label')}"
    echo(f"written: {folder}, from {sizes}")
    if len(kept) < len(table):
        left_out = duplicates_words(len(table) - len(kept), same="label")
        echo(f"serein: left out: {left_out}", err=True)
