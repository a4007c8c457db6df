"""Commands that learn: train, tune, export, corpus."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from serein.cli.engines import Address, EngineName, Jobs, running_on
from serein.cli.recipes import (
    CacheFolder,
    CorpusName,
    DataFolder,
    Download,
    ModelName,
    RecipeFile,
    WeightsFolder,
    chosen_recipe,
    prepared_recipe,
)
from serein.cli.show import progress_bar, show_scores, show_search
from serein.engine import parallel


def train(
    recipe: RecipeFile = None,
    corpus: CorpusName = None,
    model: ModelName = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the bundle; runs/NAME if not given.")
    ] = None,
    data: DataFolder = None,
    weights: WeightsFolder = None,
    download: Download = False,
    cache: CacheFolder = None,
    jobs: Jobs = None,
    engine: EngineName = "local",
    address: Address = None,
) -> None:
    """Judge a recipe, train it on all its speakers and write a bundle that `predict` runs."""
    from serein.experiment.evaluate import evaluate as judge
    from serein.experiment.train import fit, pack, refuse_unpackable

    wanted = chosen_recipe(recipe, corpus, model)
    refuse_unpackable(wanted)
    int8 = wanted.encoder is not None
    with running_on(engine, address=address, jobs=jobs):
        prepared = prepared_recipe(wanted, data, weights, cache, download=download)
        evaluation = judge(prepared, int8=int8, adaptation=None, cache=cache, progress=progress_bar)
        show_scores(evaluation)
        fitted = fit(prepared, cache=cache, progress=progress_bar)
    folder = pack(fitted, prepared, evaluation, out or Path("runs") / wanted.name)
    typer.echo(f"written: {folder}")


def tune(
    recipe: RecipeFile = None,
    corpus: CorpusName = None,
    model: ModelName = None,
    trials: Annotated[int | None, typer.Option(help="Candidates tried, in all.")] = None,
    method: Annotated[
        str | None, typer.Option(help="grid, random, halving or bayesian.", show_default=False)
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            help="Optuna storage URL, .db or .journal file; OUT/search.db if not given, or "
            "OUT/search.journal where trials run side by side."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for trials.csv and best.toml.")
    ] = None,
    data: DataFolder = None,
    weights: WeightsFolder = None,
    download: Download = False,
    cache: CacheFolder = None,
    jobs: Jobs = None,
    engine: EngineName = "local",
    address: Address = None,
) -> None:
    """Search for better settings in folds of unseen speakers; goes on where it was stopped."""
    from serein.experiment.reading import with_search
    from serein.experiment.tune import tune as look
    from serein.experiment.tune import write_search

    wanted = with_search(chosen_recipe(recipe, corpus, model), trials=trials, method=method)
    folder = out or Path("runs") / f"{wanted.name}-search"
    folder.mkdir(parents=True, exist_ok=True)
    with running_on(engine, address=address, jobs=jobs):
        prepared = prepared_recipe(wanted, data, weights, cache, download=download)
        kept = folder / ("search.journal" if parallel() else "search.db")
        result = look(prepared, storage=storage or kept.absolute(), progress=progress_bar)
    show_search(result)
    typer.echo(f"written: {write_search(result, wanted, folder)}")


def export(
    model: Annotated[str, typer.Argument(help="Bundle, or bundled model.", metavar="MODEL")],
    out: Annotated[Path, typer.Option("--out", help="Folder, or .zip file, to write.")],
    int8: Annotated[bool, typer.Option("--int8", help="Quantise to int8.")] = False,
    audio: Annotated[
        list[Path] | None, typer.Option(help="Recordings or folders to measure the parity on.")
    ] = None,
) -> None:
    """Write a bundle anew: as int8, as one zip file; prints the parity with the original."""
    from serein.inference.convert import convert

    typer.echo(convert(model, out, int8=int8, audio=audio or []))


def corpus(
    name: Annotated[
        str, typer.Argument(help="ravdess, emodb, cremad, tess, savee or nemo; or a CSV.")
    ],
    folder: Annotated[Path, typer.Argument(help="Where its recordings are.")],
) -> None:
    """Count a corpus, find duplicates in it and compare it with the official release."""
    from serein.corpora import Corpus

    table = Corpus.from_csv(name, audio_root=folder) if name.endswith(".csv") else None
    found = (table or Corpus.load(name, folder)).validate()
    typer.echo(found.summary())
    raise typer.Exit(0 if found.ok else 1)
