"""Robustness: what a harder recording changes in the answers of one model.

Names follow audEERING's ser-tests: change of UAR, percentage of unchanged predictions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from serein.evaluation.intervals import draw_speakers, ends
from serein.evaluation.metrics import class_scores, confusion_matrix, overall_scores
from serein.evaluation.result import Result


@dataclass(frozen=True)
class Change:
    """What one condition does to the answers."""

    uar: float
    clean_uar: float
    difference: float
    interval_95: tuple[float, float] | None
    unchanged: float
    recall: Mapping[str, float]


def change(clean: Result, changed: Result, *, draws: int = 2000, random_state: int = 0) -> Change:
    """Compare the answers of one model to the same clips without and with a condition.

    B. Efron, R. Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13. T. C. Hesterberg,
    "What teachers should know about the bootstrap", The American Statistician 69(4), 2015.
    """
    for name in ("labels", "truth", "speakers"):
        if not np.array_equal(getattr(clean, name), getattr(changed, name)):
            raise ValueError(f"the two results differ in their {name}; give the same clips twice")
    if not len(clean.truth):
        raise ValueError("there is no clip to compare answers to; give at least one")
    before, after = _by_speaker(clean), _by_speaker(changed)
    people = len(before)
    weight = draw_speakers(people, draws, random_state)
    drawn = [overall_scores(np.tensordot(weight, cells, 1))["uar"] for cells in (before, after)]
    low, high = ends(drawn[1] - drawn[0], people).tolist()
    old, new = (float(overall_scores(cells.sum(axis=0))["uar"]) for cells in (before, after))
    recall = class_scores(after.sum(axis=0))["recall"].tolist()
    named = zip(clean.labels, recall, strict=True)
    return Change(
        uar=new,
        clean_uar=old,
        difference=new - old,
        interval_95=(low, high) if people > 1 else None,
        unchanged=float(np.mean(clean.prediction == changed.prediction)),
        recall={label: value for label, value in named if not np.isnan(value)},
    )


def _by_speaker(result: Result) -> npt.NDArray[np.intp]:
    """Count the answers to each speaker: (speakers, classes, classes), sorted by name."""
    truth, answer, classes = result.truth, result.prediction, len(result.labels)
    mine = [result.speakers == speaker for speaker in np.unique(result.speakers)]
    return np.stack([confusion_matrix(truth[rows], answer[rows], classes) for rows in mine])
