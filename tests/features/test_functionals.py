"""Functionals by construction, and against numpy and scipy."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from serein.features.functionals import FUNCTIONALS, normalise_utterance, pool

SERIES = np.random.default_rng(0).gamma(2.0, size=(150, 3)).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mean", np.mean(SERIES, axis=0)),
        ("std", np.std(SERIES, axis=0)),
        ("min", SERIES.min(axis=0)),
        ("max", SERIES.max(axis=0)),
        ("p20", np.percentile(SERIES, 20, axis=0)),
        ("p50", np.median(SERIES, axis=0)),
        ("p80", np.percentile(SERIES, 80, axis=0)),
        ("range", np.percentile(SERIES, 80, axis=0) - np.percentile(SERIES, 20, axis=0)),
        ("skewness", scipy.stats.skew(SERIES)),
        ("kurtosis", scipy.stats.kurtosis(SERIES, fisher=False)),
    ],
)
def test_equals_the_textbook(name: str, expected: np.ndarray) -> None:
    np.testing.assert_allclose(pool(SERIES, functionals=[name]), expected, rtol=1e-4)


def test_slope_is_per_second() -> None:
    line = np.stack([np.arange(100) * 0.02, np.full(100, 7.0)], axis=1).astype(np.float32)
    np.testing.assert_allclose(pool(line, functionals=["slope"]), [2.0, 0.0], atol=1e-4)


def test_order_is_functional_by_functional() -> None:
    both = pool(SERIES, functionals=["mean", "max"])
    np.testing.assert_allclose(both, [*SERIES.mean(axis=0), *SERIES.max(axis=0)], rtol=1e-5)


def test_gaps_are_left_out_column_by_column() -> None:
    gappy = SERIES.copy()
    gappy[::2, 0] = 0
    gappy[:, 1] = 0
    pooled = pool(gappy, functionals=list(FUNCTIONALS), zeros_are_gaps=True).reshape(-1, 3)
    alone = pool(SERIES[1::2, :1], functionals=list(FUNCTIONALS))
    np.testing.assert_allclose(pooled[:, 0], alone, rtol=1e-5)
    assert (pooled[:, 1] == 0).all()
    whole = pool(SERIES[:, 2:], functionals=list(FUNCTIONALS))
    np.testing.assert_allclose(pooled[:, 2], whole, rtol=1e-5)


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("frames", [1, 2])
@pytest.mark.parametrize("value", [0.0, 5.0])
def test_short_and_constant_series_have_values(gaps: bool, frames: int, value: float) -> None:
    series = np.full((frames, 2), value, dtype=np.float32)
    pooled = pool(series, functionals=list(FUNCTIONALS), zeros_are_gaps=gaps)
    assert np.isfinite(pooled).all()
    assert (normalise_utterance(series, zeros_are_gaps=gaps) == 0).all()


def test_unknown_functional_is_named() -> None:
    with pytest.raises(ValueError, match="unknown functional 'meen'; known: mean"):
        pool(SERIES, functionals=["meen"])


def test_normalised_utterances_have_mean_0_and_variance_1() -> None:
    scaled = normalise_utterance(SERIES)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(scaled.std(axis=0), 1, atol=1e-5)


def test_gaps_stay_gaps_in_normalised_utterances() -> None:
    gappy = SERIES.copy()
    gappy[::3] = 0
    scaled = normalise_utterance(gappy, zeros_are_gaps=True)
    assert (scaled[::3] == 0).all()
    measured = np.delete(scaled, np.s_[::3], axis=0)
    np.testing.assert_allclose(measured.std(axis=0), 1, atol=1e-5)
