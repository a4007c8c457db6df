"""Commands on recipes: train, tune, evaluate, check-leaks; and export, corpus."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from serein.cli.options import (
    Address,
    CacheFolder,
    CorpusName,
    DataFolder,
    Download,
    EngineName,
    FeatureNames,
    Jobs,
    LangOfReport,
    ModelName,
    RecipeFile,
    SkipBad,
    SplitName,
    WeightsFolder,
    chosen_recipe,
    prepared_recipe,
)
from serein.cli.progress import progress_bar
from serein.cli.show import echo, print_json, show_leaks, show_scores, show_search
from serein.engine import parallel, running_on
from serein.errors import CorpusError, RecipeError
from serein.language import Language

if TYPE_CHECKING:
    from serein.experiment.evaluate import Evaluation
    from serein.experiment.prepare import Front


def train(
    recipe: RecipeFile = None,
    corpus: CorpusName = None,
    model: ModelName = None,
    features: FeatureNames = None,
    split: SplitName = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the bundle; runs/NAME if not given.")
    ] = None,
    data: DataFolder = None,
    weights: WeightsFolder = None,
    download: Download = False,
    skip_bad: SkipBad = False,
    cache: CacheFolder = None,
    jobs: Jobs = None,
    engine: EngineName = "local",
    address: Address = None,
) -> None:
    """Evaluate a recipe, train it on all its speakers and write a bundle that `predict` runs."""
    wanted = chosen_recipe(recipe, corpus, model, features, split, data)
    from serein.experiment.evaluate import evaluate as evaluate_recipe
    from serein.experiment.evaluate import on_unseen_corpora
    from serein.experiment.train import fit, pack, refuse_unpackable
    from serein.inference.bundle import check_bundle_folder

    refuse_unpackable(wanted)
    int8, folder = wanted.encoder is not None, out or Path("runs") / wanted.name
    check_bundle_folder(folder)
    with running_on(engine, address=address, jobs=jobs):
        prepared = prepared_recipe(
            wanted, data, weights, cache, download=download, skip_bad=skip_bad
        )
        evaluation = evaluate_recipe(
            prepared, int8=int8, adaptation=None, cache=cache, progress_bar=progress_bar
        )
        show_scores(evaluation)
        unseen = on_unseen_corpora(prepared, cache=cache, progress_bar=progress_bar)
        if unseen is not None:
            show_scores(unseen)
        fitted = fit(prepared, cache=cache, progress_bar=progress_bar)
    pack(fitted, prepared, evaluation, folder, unseen=unseen)
    echo(f"written: {folder}")


def tune(
    recipe: RecipeFile = None,
    corpus: CorpusName = None,
    model: ModelName = None,
    features: FeatureNames = None,
    split: SplitName = None,
    trials: Annotated[int | None, typer.Option(help="Number of trials.")] = None,
    method: Annotated[
        str | None, typer.Option(help="grid, random, halving or bayesian.", show_default=False)
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            help="Optuna storage URL, .db or .journal file; OUT/search.db if not given, or "
            "OUT/search.journal where trials run in parallel."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for trials.csv and best.toml.")
    ] = None,
    data: DataFolder = None,
    weights: WeightsFolder = None,
    download: Download = False,
    skip_bad: SkipBad = False,
    cache: CacheFolder = None,
    jobs: Jobs = None,
    engine: EngineName = "local",
    address: Address = None,
) -> None:
    """Search hyperparameters in folds of unseen speakers; a stopped search is resumed."""
    chosen = chosen_recipe(recipe, corpus, model, features, split, data)
    from serein.evaluation.search.study import held
    from serein.experiment import tune as search
    from serein.experiment.recipe_file import with_search
    from serein.tables import make_folder

    wanted = with_search(chosen, trials=trials, method=method)
    folder = out or Path("runs") / f"{wanted.name}-search"
    make_folder(folder)
    with running_on(engine, address=address, jobs=jobs):
        place = storage or (folder / ("search.journal" if parallel() else "search.db")).absolute()
        with held(place):  # before any feature is computed
            prepared = prepared_recipe(
                wanted, data, weights, cache, download=download, skip_bad=skip_bad, search=True
            )
            result = search.tune(prepared, storage=place, progress_bar=progress_bar)
    show_search(result)
    echo(f"written: {search.write_search(result, wanted, folder)}")


def export(
    model: Annotated[str, typer.Argument(help="Bundle, or bundled model.", metavar="MODEL")],
    out: Annotated[Path, typer.Option("--out", help="Folder, or .zip file, to write.")],
    int8: Annotated[bool, typer.Option("--int8", help="Quantise to int8.")] = False,
    audio: Annotated[
        list[Path] | None, typer.Option(help="Recordings or folders to measure the parity on.")
    ] = None,
) -> None:
    """Convert a bundle to int8 or to one zip file; prints the parity with the original."""
    from serein.experiment.export.convert_bundle import convert

    for line in convert(model, out, int8=int8, audio=audio or []).splitlines():
        echo(line)


def corpus(
    name: Annotated[
        str,
        typer.Argument(
            help="A corpus that serein knows, such as ravdess, or a CSV, TextGrid, EAF or other "
            "segments; a wrong name lists all."
        ),
    ],
    folder: Annotated[Path, typer.Argument(help="Where its recordings are.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    cut: Annotated[
        Path | None,
        typer.Option(
            help="New folder, for long recordings: cut them at the labelled segments of NAME, a "
            "CSV with start and end, TextGrid, EAF, audformat, Label Studio, or a folder of these."
        ),
    ] = None,
) -> None:
    """Count and measure a corpus, find copies and compare it with the official release."""
    from serein.analysis.corpus_report import report_corpus
    from serein.corpora.corpus import Corpus, is_table, place_of
    from serein.corpora.segments import has_segments, is_annotation

    if not folder.is_dir():
        raise CorpusError(
            f"{folder} is not a folder: give the one that holds the recordings",
            to_try=f"ls {shlex.quote(str(folder.absolute().parent))}",
        )
    if cut is not None:
        from serein.experiment.cut_segments import cut_segments, left_out_words

        made, left_out = cut_segments(place_of(name, folder), folder, cut)
        name, folder = str(made), cut
        if left_out:
            echo(f"serein: {left_out_words(left_out)}", err=True)
    place, table = place_of(name, folder), None
    if is_annotation(name) or (is_table(name) and has_segments(place)):
        from serein.experiment.cut_segments import cut_once

        table = Corpus.from_csv(cut_once(place, folder, None), name=place.stem)
    elif is_table(name):
        table = Corpus.from_csv(place, audio_root=folder)
    with progress_bar("recordings") as progress:
        report = report_corpus(table or Corpus.load(name, folder), progress)
    if as_json:
        print_json(report.to_dict())
    for line in () if as_json else report.lines():
        echo(line)
    raise typer.Exit(0 if report.validation.ok else 1)


def evaluate(
    recipe: RecipeFile = None,
    corpus: CorpusName = None,
    model: ModelName = None,
    features: FeatureNames = None,
    split: SplitName = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for report.html, result.json and predictions.csv."),
    ] = None,
    data: DataFolder = None,
    weights: WeightsFolder = None,
    download: Download = False,
    skip_bad: SkipBad = False,
    cache: CacheFolder = None,
    int8: Annotated[bool, typer.Option("--int8", help="Also test with the int8 encoder.")] = False,
    adapt: Annotated[
        bool,
        typer.Option("--adapt", help="Also adapted to each speaker by unlabelled utterances."),
    ] = False,
    paper: Annotated[
        bool,
        typer.Option(
            "--paper",
            help="With --out: also figures as PNG, SVG and PDF, and tables as CSV and LaTeX.",
        ),
    ] = False,
    lang: LangOfReport = Language.en,
    stress: Annotated[
        bool,
        typer.Option("--stress", help="Also robustness to noise, codecs, rooms …, and fairness."),
    ] = False,
    stress_clips: Annotated[
        int,
        typer.Option(
            min=0,
            help="Clips drawn for --stress, one of each speaker and emotion or more; 0 is all.",
        ),
    ] = 400,
    jobs: Jobs = None,
    engine: EngineName = "local",
    address: Address = None,
) -> None:
    """Evaluate a recipe on unseen speakers; print the scores, and write a report into --out."""
    wanted = chosen_recipe(recipe, corpus, model, features, split, data)
    from serein.experiment.evaluate import evaluate as evaluate_recipe
    from serein.experiment.evaluate import write_evaluation
    from serein.tables import check_writable

    if stress and wanted.features and wanted.features.table:
        raise RecipeError("features read from a table have no sound to change: leave --stress out")
    if stress and wanted.fusion:
        raise RecipeError(
            "--stress changes the voice, and fused predictions do not follow from it alone: train "
            "a bundle, and give it to `serein stress`"
        )
    if out:
        check_writable(out)
    with running_on(engine, address=address, jobs=jobs):
        prepared = prepared_recipe(
            wanted, data, weights, cache, download=download, skip_bad=skip_bad
        )
        evaluation = evaluate_recipe(
            prepared,
            int8=int8,
            importance=out is not None,
            adaptation=adapt,
            cache=cache,
            progress_bar=progress_bar,
        )
    show_scores(evaluation)
    if out:
        for name in (
            "stress.json",
            "stress-predictions.csv",
            "predictions-adapted.csv",
            "predictions-adapted-recordings.csv",
        ):
            (out / name).unlink(missing_ok=True)  # of an earlier evaluation
        write_evaluation(evaluation, out)
    if stress:
        _stress(evaluation, out, stress_clips, cache)
    if out:
        from serein.evaluation.report.report import write_report

        echo(f"written: {write_report(out, lang=lang, paper=paper)}")


def check_leaks(
    recipe: RecipeFile = None,
    corpus: CorpusName = None,
    model: ModelName = None,
    features: FeatureNames = None,
    split: SplitName = None,
    data: DataFolder = None,
    weights: WeightsFolder = None,
    download: Download = False,
    skip_bad: SkipBad = False,
    cache: CacheFolder = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Evaluate a recipe on its folds, on a random split, and with copies before the split."""
    chosen = chosen_recipe(recipe, corpus, model, features, split, data)
    from serein.experiment.leakage import check_leaks as check

    prepared = prepared_recipe(
        chosen,
        data,
        weights,
        cache,
        download=download,
        skip_bad=skip_bad,
    )
    rows = check(prepared, cache=cache, progress_bar=progress_bar)
    if as_json:
        for row in rows:
            print_json(row)
    else:
        show_leaks(prepared.recipe.name, rows)


def _stress(evaluation: Evaluation, out: Path | None, clips: int, cache: Path | None) -> None:
    from serein.analysis.robustness import stress_folds
    from serein.cli.stress import show_stress

    prepared = evaluation.prepared
    with progress_bar("stress") as progress:
        report = stress_folds(
            evaluation.fitted,
            cast("Front", prepared.front),  # of a table there is none: refused above
            prepared.corpus,
            name=prepared.recipe.name,
            result=evaluation.result,
            fingerprint=evaluation.fingerprint,
            clips=clips,
            cache=cache,
            progress=progress,
        )
    show_stress(report)
    if out:
        report.write(out)
