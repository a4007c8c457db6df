"""Commands that learn: evaluate, train, tune, export, corpus."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from serein.cli.show import progress_bar, show_search
from serein.errors import RecipeError

if TYPE_CHECKING:
    from serein.experiment.evaluate import Evaluation
    from serein.experiment.prepare import Prepared
    from serein.experiment.recipe import Recipe

RecipeFile = Annotated[
    Path | None, typer.Argument(help="Recipe, a TOML file.", metavar="[RECIPE.toml]")
]
CorpusName = Annotated[
    str | None, typer.Option("--corpus", help="Instead of a recipe: ravdess, emodb … or a CSV.")
]
ModelName = Annotated[
    str | None, typer.Option("--model", help="Instead of a recipe: cnn, svm, stacking …")
]
DataFolder = Annotated[
    Path | None, typer.Option("--data", help="Folder of the corpora, or of the one corpus.")
]
WeightsFolder = Annotated[
    Path | None, typer.Option("--weights", help="Folder searched for the encoder before the hub.")
]
CacheFolder = Annotated[
    Path | None, typer.Option("--cache", help="Folder of the feature cache.", show_default=False)
]


def evaluate(
    recipe: RecipeFile = None,
    corpus: CorpusName = None,
    model: ModelName = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for result.json and predictions.csv.")
    ] = None,
    data: DataFolder = None,
    weights: WeightsFolder = None,
    cache: CacheFolder = None,
    int8: Annotated[bool, typer.Option("--int8", help="Also test with the int8 encoder.")] = False,
) -> None:
    """Judge a recipe on speakers it has not heard; print the scores, and write them to --out."""
    from serein.experiment.evaluate import evaluate as judge
    from serein.experiment.evaluate import write_evaluation

    prepared = _prepared(_recipe(recipe, corpus, model), data, weights, cache)
    evaluation = judge(prepared, int8=int8, cache=cache, progress=progress_bar)
    _print_scores(evaluation)
    if out:
        typer.echo(f"written: {write_evaluation(evaluation, out)}")


def train(
    recipe: RecipeFile = None,
    corpus: CorpusName = None,
    model: ModelName = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the bundle; runs/NAME if not given.")
    ] = None,
    data: DataFolder = None,
    weights: WeightsFolder = None,
    cache: CacheFolder = None,
) -> None:
    """Judge a recipe, train it on all its speakers and write a bundle that `predict` runs."""
    from serein.experiment.evaluate import evaluate as judge
    from serein.experiment.train import fit, pack, refuse_unpackable

    wanted = _recipe(recipe, corpus, model)
    refuse_unpackable(wanted)
    prepared = _prepared(wanted, data, weights, cache)
    int8 = wanted.encoder is not None
    evaluation = judge(prepared, int8=int8, cache=cache, progress=progress_bar)
    _print_scores(evaluation)
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
        str | None, typer.Option(help="Optuna storage URL or .db file; OUT/search.db if not given.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for trials.csv and best.toml.")
    ] = None,
    data: DataFolder = None,
    weights: WeightsFolder = None,
    cache: CacheFolder = None,
) -> None:
    """Search for better settings in folds of unseen speakers; goes on where it was stopped."""
    from serein.experiment.reading import with_search
    from serein.experiment.tune import tune as look
    from serein.experiment.tune import write_search

    wanted = with_search(_recipe(recipe, corpus, model), trials=trials, method=method)
    folder = out or Path("runs") / f"{wanted.name}-search"
    folder.mkdir(parents=True, exist_ok=True)
    prepared = _prepared(wanted, data, weights, cache)
    result = look(prepared, storage=storage or folder / "search.db", progress=progress_bar)
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


def _recipe(file: Path | None, corpus: str | None, model: str | None) -> Recipe:
    """Read a recipe, or make the one of --corpus and --model."""
    from serein.experiment.reading import read_recipe, short_recipe

    if file and not (corpus or model):
        return read_recipe(file)
    if file or not (corpus and model):
        raise RecipeError("give either a recipe file, or both --corpus and --model")
    return short_recipe(corpus, model)


def _prepared(
    recipe: Recipe, data: Path | None, weights: Path | None, cache: Path | None
) -> Prepared:
    from serein.experiment.prepare import prepare

    return prepare(recipe, data=data, weights=weights, cache=cache, progress=progress_bar)


def _print_scores(evaluation: Evaluation) -> None:
    def line(name: str, scores: dict[str, Any]) -> str:
        low, high = scores["uar_interval_95"]
        return (
            f"{name:16} UAR {scores['uar']:.4f} (95 % {low:.3f} to {high:.3f})   "
            f"accuracy {scores['accuracy']:.4f}   "
            f"ECE {scores['expected_calibration_error']:.3f}   "
            f"{scores['clips']} clips, {scores['speakers']} speakers"
        )

    typer.echo(f"{evaluation.prepared.recipe.name}: {evaluation.result.protocol}")
    for corpus_name, scores in evaluation.by_corpus().items():
        typer.echo(line(corpus_name, scores))
    for corpus_name, scores in evaluation.by_corpus(int8=True).items():
        typer.echo(line(f"{corpus_name} int8", scores))
