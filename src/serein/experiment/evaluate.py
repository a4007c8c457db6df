"""Judging a recipe on speakers it has not heard, and writing down what came out."""

from __future__ import annotations

import csv
import json
import platform
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from serein.evaluation.protocol import Result, cross_validate
from serein.experiment.prepare import (
    Prepared,
    Progress,
    make_classifier,
    make_folds,
    no_progress,
)
from serein.experiment.quantised import quantised_encoder

VERSIONED = ("serein", "numpy", "scikit-learn", "scipy", "torch", "transformers", "onnxruntime")
RESULT_VERSION = 1


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
    """

    prepared: Prepared
    result: Result
    int8: Result | None = None

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
    """
    folds, words = make_folds(prepared.recipe.protocol, prepared)
    with progress("cross-validation") as tick:
        fitted = cross_validate(
            make_classifier(prepared.recipe),
            prepared.X,
            prepared.emotions,
            prepared.speakers,
            folds,
            protocol=words,
            per_sample=prepared.per_sample(),
            progress=tick,
        )
    evaluation = Evaluation(prepared, fitted.answer(prepared.X))
    if int8:
        vectors = prepared.vectors(quantised_encoder(prepared.encoder), cache, progress)
        evaluation = replace(evaluation, int8=fitted.answer(vectors))
    return evaluation


def write_evaluation(evaluation: Evaluation, folder: str | Path) -> Path:
    """Write ``result.json`` and the raw ``predictions.csv`` it is computed from.

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
    target = folder / "result.json"
    text = json.dumps(evaluation.to_dict(), indent=2, ensure_ascii=False)
    target.write_text(text + "\n", encoding="utf-8")
    return target


def versions() -> dict[str, str]:
    """Return the versions of Python and of every package that shapes a score."""
    found = {"python": platform.python_version()}
    for name in VERSIONED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
