"""Permutation importance of features, on unseen speakers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from serein.evaluation.cross_validation import FittedFolds
from serein.evaluation.intervals import (
    expanded_percentile,
    resample_speakers,
    speaker_sums,
    summed_scores,
)
from serein.evaluation.metrics import Floats
from serein.evaluation.result import Result


def permutation_importance(
    fitted: FittedFolds,
    X: npt.NDArray[np.float32],
    groups: Mapping[str, Sequence[int]],
    *,
    repeats: int = 3,
    random_state: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[dict[str, Any]]:
    """Permute groups of columns among each fold's test samples, and see how far UAR falls.

    L. Breiman, "Random forests", Machine Learning 45, 2001, section 10.
    """
    before = fitted.predict(X)
    people = len(np.unique(before.speakers))
    weight = np.concatenate([np.ones((1, people)), resample_speakers(people, 1000, random_state)])
    uar = _uar(before, weight)
    generator = np.random.default_rng(random_state)
    rows = []
    for number, (name, columns) in enumerate(groups.items()):
        falls = [
            uar - _uar(fitted.predict(permuted), weight)
            for permuted in _permuted(fitted, X, np.asarray(columns), repeats, generator)
        ]
        fall = np.mean(falls, axis=0)
        low, high = expanded_percentile(fall[1:], people).tolist()
        rows.append({"feature": name, "drop": float(fall[0]), "low": low, "high": high})
        progress(number + 1, len(groups))
    return sorted(rows, key=lambda row: -row["drop"])


def _permuted(
    fitted: FittedFolds,
    X: npt.NDArray[np.float32],
    columns: npt.NDArray[np.intp],
    repeats: int,
    generator: np.random.Generator,
) -> Iterator[npt.NDArray[np.float32]]:
    for _ in range(repeats):
        permuted = X.copy()
        for _, test in fitted.members:
            permuted[np.ix_(test, columns)] = X[np.ix_(generator.permutation(test), columns)]
        yield permuted


def _uar(result: Result, weight: Floats) -> Floats:
    """Score resamples of the speakers: (1 + resamples,)."""
    sums = speaker_sums(result.truth, result.probabilities, result.speakers)
    return summed_scores(weight @ sums, len(result.labels))["uar"]
