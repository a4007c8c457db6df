"""Which features a model needs: what the score loses when they are taken from other samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from serein.evaluation.cross_validation import FittedFolds
from serein.evaluation.intervals import SpeakerSums, draw_speakers, ends, summed_scores
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
    base = _sums(before)
    people = len(base)
    weight = np.concatenate([np.ones((1, people)), draw_speakers(people, 1000, random_state)])
    classes = len(before.labels)
    uar = summed_scores(weight @ base, classes)["uar"]
    generator = np.random.default_rng(random_state)
    rows = []
    for number, (name, columns) in enumerate(groups.items()):
        falls = [
            uar - summed_scores(weight @ _sums(fitted.predict(changed)), classes)["uar"]
            for changed in _permuted(fitted, X, np.asarray(columns), repeats, generator)
        ]
        fall = np.mean(falls, axis=0)
        low, high = ends(fall[1:], people).tolist()
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
        changed = X.copy()
        for _, test in fitted.members:
            changed[np.ix_(test, columns)] = X[np.ix_(generator.permutation(test), columns)]
        yield changed


def _sums(result: Result) -> Floats:
    return SpeakerSums.of(result.truth, result.probabilities, result.speakers).sums
