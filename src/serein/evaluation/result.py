"""Predictions for unseen speakers, and their scores."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from serein.evaluation.intervals import SpeakerSums, speaker_intervals, wilson
from serein.evaluation.metrics import confusion_matrix, uar

Strings = npt.NDArray[np.str_]
Plain = dict[str, Any]
SAMPLES = ("truth", "probabilities", "speakers", "fold")  # a row a sample
STAMP = "NOT SPEAKER-INDEPENDENT, OPTIMISTIC"  # on titles of what a leak was allowed in
OVERALL = (
    *("uar", "accuracy", "precision_macro", "f1_macro", "f1_weighted", "auc_macro"),
    *("log_loss", "expected_calibration_error", "brier"),
)
OVERLAPS = ("refuse", "allow")  # of speakers in training and test
BY_CLASS = ("recall", "precision", "f1", "auc")


@dataclass(frozen=True)
class Result:
    """Predictions for unseen speakers, and their scores.

    `about`: what else is known of the samples, a column a name: ``file``, ``corpus``, ``gender``,
    ``language``, ``text``; an empty string where it is not known.
    `leaks`: what was allowed by name and would have been refused otherwise; titles are stamped.
    """

    protocol: str  # how it was measured, in words
    labels: tuple[str, ...]  # classes, in the order of the columns
    truth: npt.NDArray[np.intp]  # shape (samples,), class numbers
    probabilities: npt.NDArray[np.float64]  # shape (samples, classes)
    speakers: Strings  # shape (samples,)
    fold: npt.NDArray[np.intp]  # shape (samples,): in which each sample was tested
    about: Mapping[str, Strings] = field(default_factory=dict)
    leaks: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The protocol, stamped if a leak was allowed, which makes the scores optimistic."""
        return f"{self.protocol} [{STAMP}]" if self.leaks else self.protocol

    @property
    def prediction(self) -> npt.NDArray[np.intp]:
        """The likeliest class of each sample."""
        likeliest: npt.NDArray[np.intp] = self.probabilities.argmax(axis=1)
        return likeliest

    def subset(self, rows: npt.NDArray[Any]) -> Result:
        """Keep some samples.

        `rows`: indices or a mask.
        Returns: the same protocol, over those samples.
        """
        return replace(
            self,
            **{name: getattr(self, name)[rows] for name in SAMPLES},
            about={name: column[rows] for name, column in self.about.items()},
        )

    def scores(self) -> Plain:
        """Return all scores as plain values, each with its 95 % interval by speaker.

        Returns: each of `OVERALL` and ``NAME_interval_95`` (None with a single speaker, or where
        there is no such score), ``recall``, ``by_class``, ``confusion``, ``clips`` and
        ``speakers``. A class without clips has no recall and is in no mean.
        """
        sums = SpeakerSums.of(self.truth, self.probabilities, self.speakers)
        found = sums.scores(np.ones((1, len(sums.sums))))
        intervals = speaker_intervals(self.truth, self.probabilities, self.speakers)
        clips = np.bincount(self.truth, minlength=len(self.labels))
        scores: Plain = {}
        for name in OVERALL:
            scores[name] = _plain(found[name][0])
            scores[f"{name}_interval_95"] = _ends(intervals[name])
        by_class: dict[str, Plain] = {}
        for number in np.flatnonzero(clips):
            entry: Plain = {"clips": int(clips[number])}
            for name in BY_CLASS:
                entry[name] = _plain(found[name][0, number])
                entry[f"{name}_interval_95"] = _ends(intervals[name][:, number])
            by_class[self.labels[number]] = entry
        return scores | {
            "recall": {label: entry["recall"] for label, entry in by_class.items()},
            "by_class": by_class,
            "confusion": confusion_matrix(self.truth, self.prediction, len(self.labels)).tolist(),
            "clips": len(self.truth),
            "speakers": len(sums.sums),
        }

    def _repr_html_(self) -> str:
        """Draw the UAR and the confusion matrix, for a notebook."""
        from serein.evaluation.report.figures import confusion

        cells = confusion_matrix(self.truth, self.prediction, len(self.labels)).tolist()
        said = f"UAR {uar(self.truth, self.prediction):.3f}, {html.escape(self.protocol)}"
        return f"<b>{said}</b>{confusion(cells, self.labels).inline()}"

    def by_speaker(self) -> dict[str, Plain]:
        """Score each speaker.

        Returns: speaker to ``clips``, ``uar``, ``accuracy`` and ``accuracy_interval_95``: Wilson's,
        over further clips of this speaker.
        """
        described = {}
        for name in np.unique(self.speakers):
            part = self.subset(self.speakers == name)
            clips, correct = len(part.truth), int(np.sum(part.truth == part.prediction))
            described[str(name)] = {
                "clips": clips,
                "uar": uar(part.truth, part.prediction),
                "accuracy": correct / clips,
                "accuracy_interval_95": list(wilson(correct, clips)),
            }
        return described

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
                    "uar": uar(part.truth, part.prediction),
                }
            )
        return described


def _plain(value: np.floating[Any]) -> float | None:
    return None if np.isnan(value) else float(value)


def _ends(interval: npt.NDArray[np.float64]) -> list[float] | None:
    return None if np.isnan(interval).any() else [float(end) for end in interval]
