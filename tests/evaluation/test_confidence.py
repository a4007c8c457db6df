"""Reliability and the reject option, by hand."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from serein.evaluation.confidence import reliability, risk_coverage
from serein.evaluation.metrics import expected_calibration_error

Array = npt.NDArray[Any]


def sure(*confidence: float) -> Array:
    return np.array([[share, 1 - share] for share in confidence])


def test_reliability_by_hand():
    found = reliability(np.array([0, 1, 0]), sure(0.9, 0.92, 0.65), bins=10)
    assert found.count.tolist() == [0, 0, 0, 0, 0, 0, 1, 0, 0, 2]
    assert found.confidence[9] == pytest.approx(0.91)
    assert found.accuracy[[6, 9]].tolist() == [1.0, 0.5]
    assert np.isnan(found.accuracy[0])


def test_the_gaps_of_the_diagram_are_the_calibration_error():
    generator = np.random.default_rng(0)
    truth, probabilities = generator.integers(3, size=200), generator.dirichlet(np.ones(3), 200)
    found = reliability(truth, probabilities, bins=15)
    gaps = np.abs(found.confidence - found.accuracy) * found.count
    error = expected_calibration_error(truth, probabilities, bins=15)
    assert np.nansum(gaps) / 200 == pytest.approx(error)


def test_leaving_the_unsure_out():
    """Wrong answers are the least sure ones: leaving half out leaves no wrong one."""
    truth, probabilities = np.array([0, 0, 1, 1]), sure(0.9, 0.8, 0.7, 0.6)
    curve = risk_coverage(truth, probabilities)
    assert curve.coverage.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert curve.risk == pytest.approx([0, 0, 1 / 3, 1 / 2])
    assert curve.area == pytest.approx((0 + 0 + 1 / 3 + 1 / 2) / 4)
    assert curve.at(0.75) == (0.5, 1.0)
    assert curve.at(0.95) == (0.0, None)
    assert curve.at(0.0) == (1.0, 0.5)


def test_equal_confidence_is_answered_together():
    curve = risk_coverage(np.array([0, 1, 0]), sure(0.8, 0.8, 0.6))
    assert curve.coverage == pytest.approx([2 / 3, 1])
    assert curve.risk == pytest.approx([1 / 2, 1 / 3])
