"""Commands that judge a recipe: evaluate, check-leaks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

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
from serein.cli.show import print_json, progress_bar, show_leaks, show_scores
from serein.errors import RecipeError

if TYPE_CHECKING:
    from serein.experiment.evaluate import Evaluation
    from serein.experiment.prepare import Front


def evaluate(
    recipe: RecipeFile = None,
    corpus: CorpusName = None,
    model: ModelName = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for report.html, result.json and predictions.csv."),
    ] = None,
    data: DataFolder = None,
    weights: WeightsFolder = None,
    download: Download = False,
    cache: CacheFolder = None,
    int8: Annotated[bool, typer.Option("--int8", help="Also test with the int8 encoder.")] = False,
    adapt: Annotated[
        bool,
        typer.Option("--adapt", help="Also with utterances of each speaker known, unlabelled."),
    ] = False,
    stress: Annotated[
        bool, typer.Option("--stress", help="Also test under noise, codecs, rooms …, and by group.")
    ] = False,
    stress_clips: Annotated[
        int, typer.Option(min=0, help="Clips drawn for --stress; 0 is all.")
    ] = 400,
    jobs: Jobs = None,
    engine: EngineName = "local",
    address: Address = None,
) -> None:
    """Judge a recipe on speakers it has not heard; print the scores, and report them in --out."""
    from serein.experiment.evaluate import evaluate as judge
    from serein.experiment.evaluate import write_evaluation

    wanted = chosen_recipe(recipe, corpus, model)
    if stress and wanted.features and wanted.features.table:
        raise RecipeError("features read from a table cannot be put to the test: no sound is there")
    with running_on(engine, address=address, jobs=jobs):
        prepared = prepared_recipe(wanted, data, weights, cache, download=download)
        evaluation = judge(
            prepared,
            int8=int8,
            importance=out is not None,
            adaptation=adapt,
            cache=cache,
            progress=progress_bar,
        )
    show_scores(evaluation)
    if out:
        for name in ("stress.json", "stress-predictions.csv", "predictions-adapted.csv"):
            (out / name).unlink(missing_ok=True)  # of what was judged before
        write_evaluation(evaluation, out)
    if stress:
        _stress(evaluation, out, stress_clips, cache)
    if out:
        from serein.evaluation.report import write_report

        typer.echo(f"written: {write_report(out)}")


def check_leaks(
    recipe: RecipeFile = None,
    corpus: CorpusName = None,
    model: ModelName = None,
    data: DataFolder = None,
    weights: WeightsFolder = None,
    download: Download = False,
    cache: CacheFolder = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Judge a recipe honestly, by a random split, and with copies before the split."""
    from serein.experiment.leakage import check_leaks as check

    prepared = prepared_recipe(
        chosen_recipe(recipe, corpus, model), data, weights, cache, download=download
    )
    rows = check(prepared, cache=cache, progress=progress_bar).rows()
    if as_json:
        for row in rows:
            print_json(row)
    else:
        show_leaks(prepared.recipe.name, rows)


def _stress(evaluation: Evaluation, out: Path | None, clips: int, cache: Path | None) -> None:
    from serein.cli.stress import show_stress
    from serein.trials.stress import stress_folds

    prepared = evaluation.prepared
    with progress_bar("stress") as tick:
        report = stress_folds(
            evaluation.fitted,
            cast("Front", prepared.front),  # of a table there is none: refused above
            prepared.corpus,
            name=prepared.recipe.name,
            judged=evaluation.result,
            fingerprint=evaluation.fingerprint,
            clips=clips,
            cache=cache,
            tick=tick,
        )
    show_stress(report)
    if out:
        report.write(out)
