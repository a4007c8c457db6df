"""Answers for speakers that an estimator had not heard, and their scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from serein.evaluation.metrics import (
    accuracy,
    confusion_matrix,
    expected_calibration_error,
    recalls,
    speaker_interval,
    uar,
)

Strings = npt.NDArray[np.str_]
SAMPLES = ("truth", "probabilities", "speakers", "fold")  # a row a sample


@dataclass(frozen=True)
class Result:
    """Answers for speakers that the estimator had not heard, and their scores.

    Attributes
    ----------
    protocol : str
        How it was measured, in words.
    labels : tuple of str
        Classes, in the order of the columns.
    truth : numpy.ndarray
        Shape (samples,), class numbers.
    probabilities : numpy.ndarray
        Shape (samples, classes).
    speakers : numpy.ndarray
        Shape (samples,).
    fold : numpy.ndarray
        Shape (samples,), in which fold each sample was tested.
    about : mapping of numpy.ndarray
        More that is known of each sample, a column a name: ``file``, ``corpus``, ``gender``,
        ``language``, ``text``; an empty string where it is not known.
    """

    protocol: str
    labels: tuple[str, ...]
    truth: npt.NDArray[np.intp]
    probabilities: npt.NDArray[np.float64]
    speakers: Strings
    fold: npt.NDArray[np.intp]
    about: Mapping[str, Strings] = field(default_factory=dict)

    @property
    def answer(self) -> npt.NDArray[np.intp]:
        """The likeliest class of each sample."""
        answer: npt.NDArray[np.intp] = self.probabilities.argmax(axis=1)
        return answer

    def subset(self, rows: npt.NDArray[Any]) -> Result:
        """Keep some samples.

        Parameters
        ----------
        rows : numpy.ndarray
            Indices or a mask.

        Returns
        -------
        Result
            The same protocol over fewer samples.
        """
        return replace(
            self,
            **{name: getattr(self, name)[rows] for name in SAMPLES},
            about={name: column[rows] for name, column in self.about.items()},
        )

    def scores(self) -> dict[str, Any]:
        """Return all scores as plain values: UAR with interval, accuracy, recalls, calibration."""
        truth, answer = self.truth, self.answer
        by_class = recalls(truth, answer, len(self.labels))
        return {
            "uar": uar(truth, answer),
            "uar_interval_95": list(speaker_interval(uar, truth, answer, self.speakers)),
            "accuracy": accuracy(truth, answer),
            "recall": {
                label: float(value)
                for label, value in zip(self.labels, by_class, strict=True)
                if not np.isnan(value)
            },
            "expected_calibration_error": expected_calibration_error(truth, self.probabilities),
            "confusion": confusion_matrix(truth, answer, len(self.labels)).tolist(),
            "clips": len(truth),
            "speakers": len(np.unique(self.speakers)),
        }

    def folds(self) -> list[dict[str, Any]]:
        """Describe each fold: its test speakers, clips and UAR."""
        described = []
        for number in np.unique(self.fold):
            part = self.subset(self.fold == number)
            described.append(
                {
                    "fold": int(number),
                    "test_speakers": sorted(set(part.speakers.tolist())),
                    "clips": len(part.truth),
                    "uar": uar(part.truth, part.answer),
                }
            )
        return described
