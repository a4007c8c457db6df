"""Judging a recipe on speakers it has not heard, and writing down what came out."""

from __future__ import annotations

import csv
import json
import platform
import time
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from serein.errors import RecipeError, SereinError
from serein.evaluation.cross_validation import FittedFolds, cross_validate
from serein.evaluation.result import Result
from serein.experiment.prepare import (
    Prepared,
    Progress,
    describe,
    make_classifier,
    no_progress,
    stack,
)
from serein.experiment.quantised import quantised_encoder
from serein.features.cache import default_cache
from serein.features.encoder import SpeechEncoder

VERSIONED = (
    *("serein", "numpy", "scikit-learn", "scipy", "torch", "skorch", "imbalanced-learn"),
    *("hmmlearn", "transformers", "onnxruntime"),
)
RESULT_VERSION = 1
KEPT_S = 14 * 24 * 3600  # how long the state of a network's training is kept


@dataclass(frozen=True)
class Evaluation:
    """A recipe's scores on unseen speakers.

    Attributes
    ----------
    prepared : Prepared
        What was judged.
    result : Result
        The pooled answers, features in float32.
    int8 : Result or None
        The same classifiers, tested on features of the int8 encoder.
    curves : tuple of list of dict
        Learning curves of a network: a list a fold, an entry an epoch.
    """

    prepared: Prepared
    result: Result
    int8: Result | None = None
    curves: tuple[list[dict[str, Any]], ...] = ()

    def by_corpus(self, *, int8: bool = False) -> dict[str, dict[str, Any]]:
        """Return the scores of each corpus by itself; of the int8 encoder there may be none."""
        origin = np.array(self.prepared.origin)
        result = self.int8 if int8 else self.result
        if result is None:
            return {}
        return {str(name): result.subset(origin == name).scores() for name in np.unique(origin)}

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, as `result.json` holds it."""
        recipe = self.prepared.recipe
        document: dict[str, Any] = {
            "format": "serein-result",
            "version": RESULT_VERSION,
            "name": recipe.name,
            "protocol": self.result.protocol,
            "labels": list(self.result.labels),
        }
        document |= self.result.scores()
        document["by_corpus"] = self.by_corpus()
        if self.int8:
            document["int8"] = self.int8.scores() | {"by_corpus": self.by_corpus(int8=True)}
        document["folds"] = self.result.folds()
        document["seed"] = recipe.protocol.seed
        document["recipe"] = asdict(recipe)
        document["versions"] = versions()
        return document


def evaluate(
    prepared: Prepared,
    *,
    int8: bool = False,
    cache: Path | None = None,
    progress: Progress = no_progress,
) -> Evaluation:
    """Cross-validate a recipe over speakers.

    Parameters
    ----------
    prepared : Prepared
        The recipe with its data.
    int8 : bool
        Whether to test on features of the quantised encoder as well.
    cache : path, optional
        Folder of the feature cache.
    progress : callable
        Makes a progress bar with a title.

    Returns
    -------
    Evaluation
        Scores on unseen speakers.

    Raises
    ------
    ProtocolError
        If the speakers do not allow the recipe's protocol.
    RecipeError
        If the model cannot learn from the data; or for `int8` without an encoder.
    """
    front = prepared.front
    if int8 and not isinstance(front, SpeechEncoder):
        raise RecipeError(f"{prepared.recipe.name}: int8 is for recipes with an [encoder]")
    fitted = fit_folds(prepared, cache=cache, progress=progress)
    curves = tuple(learning_curve(member) for member, _ in fitted.members)
    evaluation = Evaluation(prepared, fitted.answer(prepared.X), curves=curves)
    if int8 and isinstance(front, SpeechEncoder):
        vectors = describe(prepared.corpus, quantised_encoder(front), cache, progress)
        evaluation = replace(evaluation, int8=fitted.answer(stack(vectors, front)))
    return evaluation


def fit_folds(
    prepared: Prepared, *, cache: Path | None = None, progress: Progress = no_progress
) -> FittedFolds:
    """Fit a recipe's classifier once for each fold of unseen speakers.

    Parameters
    ----------
    prepared : Prepared
        The recipe with its data.
    cache : path, optional
        Folder in which the training of networks keeps its state, so that a run that was killed goes
        on where it was.
    progress : callable
        Makes a progress bar with a title.

    Returns
    -------
    FittedFolds
        The classifiers, each with the samples it did not learn from.

    Raises
    ------
    RecipeError
        If the model cannot learn from the data.
    """
    with progress("cross-validation") as tick:
        try:
            return cross_validate(
                make_classifier(prepared, checkpoint=training_folder(cache)),
                prepared.X,
                prepared.emotions,
                prepared.speakers,
                prepared.folds,
                protocol=prepared.protocol,
                per_sample=prepared.per_sample(),
                copies=prepared.copies,
                progress=tick,
            )
        except ValueError as error:
            if isinstance(error, SereinError):
                raise
            raise RecipeError(f"{prepared.recipe.name}: {error}") from error


def learning_curve(fitted: Any) -> list[dict[str, Any]]:
    """Find the learning curve of a fitted classifier, under what is wrapped around it.

    Parameters
    ----------
    fitted : classifier
        With `history_`, or with `estimator_` that has one.

    Returns
    -------
    list of dict
        An entry an epoch; empty for what is not trained in epochs.
    """
    if hasattr(fitted, "history_"):
        return list(fitted.history_)
    inner = getattr(fitted, "estimator_", None)
    return [] if inner is None else learning_curve(inner)


def training_folder(cache: Path | None) -> Path:
    """Say where networks keep the state of their training, and clear out what is weeks old.

    Parameters
    ----------
    cache : path or None
        Folder of the cache; the user's own if not given.

    Returns
    -------
    pathlib.Path
        A finished training found there is read, so a recipe that was evaluated need not be
        cross-validated again when it is trained.
    """
    folder = (cache or default_cache()) / "training"
    for file in folder.glob("*.safetensors"):
        if time.time() - file.stat().st_mtime > KEPT_S:
            file.unlink(missing_ok=True)
    return folder


def write_evaluation(evaluation: Evaluation, folder: str | Path) -> Path:
    """Write ``result.json`` and the raw ``predictions.csv`` it is computed from.

    Beside them ``curves.csv``, if it was a network.

    Parameters
    ----------
    evaluation : Evaluation
        What came out.
    folder : str or path
        Made if it is not there.

    Returns
    -------
    pathlib.Path
        Of ``result.json``.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    result = evaluation.result
    with (folder / "predictions.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "corpus", "speaker", "fold", "truth", "answer", *result.labels])
        for number, clip in enumerate(evaluation.prepared.corpus):
            rows.writerow(
                [
                    clip.path.name,
                    clip.corpus,
                    clip.speaker,
                    result.fold[number],
                    clip.emotion,
                    result.labels[result.answer[number]],
                    *(f"{value:.6f}" for value in result.probabilities[number]),
                ]
            )
    _write_curves(evaluation, folder / "curves.csv")
    target = folder / "result.json"
    text = json.dumps(evaluation.to_dict(), indent=2, ensure_ascii=False)
    target.write_text(text + "\n", encoding="utf-8")
    return target


def _write_curves(evaluation: Evaluation, target: Path) -> None:
    columns = [name for curve in evaluation.curves for name in (curve[0] if curve else ())]
    if not columns:
        return
    with target.open("w", newline="", encoding="utf-8") as file:
        rows = csv.DictWriter(file, ["fold", *dict.fromkeys(columns)], restval="")
        rows.writeheader()
        for fold, curve in enumerate(evaluation.curves):
            rows.writerows({"fold": fold} | epoch for epoch in curve)


def versions() -> dict[str, str]:
    """Return the versions of Python and of every package that shapes a score."""
    found = {"python": platform.python_version()}
    for name in VERSIONED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
