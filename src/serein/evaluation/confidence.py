"""Calibration of confidence: reliability diagrams, and risk against coverage when abstaining."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from serein.evaluation.metrics import Floats, Indices, confidence_gaps

THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)  # of confidence, below which a clip may be left unsure


@dataclass(frozen=True)
class Reliability:
    """Accuracy by confidence: the points of a reliability diagram."""

    confidence: Floats
    accuracy: Floats
    count: npt.NDArray[np.intp]


def reliability(truth: Indices, probabilities: Floats, *, bins: int = 10) -> Reliability:
    """Compare confidence with accuracy, over bins of equal width.

    M. H. DeGroot, S. E. Fienberg, "The comparison and evaluation of forecasters", The Statistician
    32, 1983.
    """
    place, gap = confidence_gaps(truth, probabilities, bins)
    confidence = probabilities.max(axis=1)
    count = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        return Reliability(
            np.bincount(place, weights=confidence, minlength=bins) / count,
            np.bincount(place, weights=confidence - gap, minlength=bins) / count,
            count,
        )


@dataclass(frozen=True)
class RiskCoverage:
    """Coverage and error rate of a reject option that leaves the least confident clips unsure."""

    threshold: Floats
    coverage: Floats
    risk: Floats

    @property
    def area(self) -> float:
        """Mean risk over all coverages (AURC); lower is better."""
        share = np.diff(self.coverage, prepend=0.0)
        return float(share @ self.risk)

    def at(self, threshold: float) -> tuple[float, float | None]:
        """Give coverage and accuracy at a threshold; the accuracy of no clip is None."""
        kept = np.flatnonzero(self.threshold >= threshold)
        if not kept.size:
            return 0.0, None
        return float(self.coverage[kept[-1]]), float(1 - self.risk[kept[-1]])


def risk_coverage(truth: Indices, probabilities: Floats) -> RiskCoverage:
    """Trace risk against coverage as the threshold of the reject option falls.

    Y. Geifman, R. El-Yaniv, "Selective classification for deep neural networks", NeurIPS 2017.

    >>> curve = risk_coverage(np.array([0, 1]), np.array([[0.9, 0.1], [0.6, 0.4]]))
    >>> curve.coverage.tolist(), curve.risk.tolist(), curve.at(0.7)
    ([0.5, 1.0], [0.0, 0.5], (0.5, 1.0))
    """
    confidence = probabilities.max(axis=1)
    wrong = probabilities.argmax(axis=1) != truth
    order = np.argsort(-confidence, kind="stable")
    last = np.append(np.flatnonzero(np.diff(confidence[order])), len(order) - 1)
    covered = last + 1
    return RiskCoverage(
        confidence[order][last],
        covered / len(order),
        np.cumsum(wrong[order])[last] / covered,
    )
