"""Series as rows: what goes in comes out, NaN only where it belongs, pooling as numpy has it."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from serein.models.padding import pad, unpad
from serein.models.pipelines import Pooling

NAN = float("nan")


def noise(lengths: list[int], width: int, seed: int = 0) -> list[npt.NDArray[np.float32]]:
    generator = np.random.default_rng(seed)
    return [generator.standard_normal((time, width)).astype(np.float32) for time in lengths]


@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=6),
    st.integers(1, 5),
    st.integers(0, 1000),
)
def test_what_is_packed_can_be_unpacked(lengths: list[int], width: int, seed: int) -> None:
    series = noise(lengths, width, seed)
    X = pad(series)
    assert X.shape == (len(series), max(lengths) * width)
    assert X.dtype == np.float32
    batch, found = unpad(X, width)
    assert batch.shape == (len(series), max(lengths), width)
    assert (batch.dtype, found.dtype) == (np.float32, np.int64)
    assert found.tolist() == lengths
    for one, row, length in zip(series, batch, lengths, strict=True):
        np.testing.assert_array_equal(row[:length], one)
        assert not row[length:].any()


def test_rows_may_be_longer_than_the_longest_series() -> None:
    batch, lengths = unpad(pad(noise([2, 6], 3))[:1], 3)
    assert batch.shape == (1, 6, 3)
    assert lengths.tolist() == [2]


@pytest.mark.parametrize(
    ("X", "width", "message"),
    [
        ([[1, 2, 3]], 2, "3 columns; need a multiple of the width, which is 2"),
        ([[1, 2]], 0, "multiple of the width, which is 0"),
        ([1, 2], 1, r"shape \(2,\); need \(samples"),
        (np.zeros((2, 0)), 1, "0 columns"),
        ([[1, 2, 3, 4], [1, 2, 3, NAN]], 2, "NaN inside a series of X, row 1"),
        ([[NAN, NAN, 1, 2], [1, 2, 3, 4]], 2, "NaN inside a series of X, row 0"),
        ([[1, 2, NAN, NAN, 3, 4]], 2, "NaN inside a series of X, row 0"),
        ([[1, 2], [NAN, NAN]], 2, "NaN only in X, row 1"),
        ([[1, 2], [1, np.inf]], 2, "infinity in X, row 1|X contains infinity"),
    ],
)
def test_rows_that_are_no_series(X: Any, width: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        unpad(X, width)
    if np.ndim(X) == 2 and np.size(X):
        with pytest.raises(ValueError, match=message):
            Pooling(width).fit(X)


@pytest.mark.parametrize(
    ("series", "message"),
    [
        ([], "no series to pad"),
        ([np.ones((2, 3)), np.ones((2, 4))], r"series 1 has shape \(2, 4\)"),
        ([np.ones(3)], r"series 0 has shape \(3,\)"),
        ([np.ones((1, 3)), np.ones((0, 3))], "series 1 .* at least 1 frame"),
        ([np.ones((1, 1)), np.array([[NAN]])], "series 1 holds NaN"),
    ],
)
def test_what_cannot_be_packed(series: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pad(series)


# --- pooling ---


def test_pooling_equals_numpy_on_each_series() -> None:
    series = noise([1, 4, 9], 3)
    expected = [np.concatenate([one.mean(0), one.std(0), one.min(0), one.max(0)]) for one in series]
    pooled = Pooling(3).fit_transform(pad(series))
    np.testing.assert_allclose(pooled, expected, atol=1e-6)


def test_vectors_pass_unchanged() -> None:
    X = np.random.default_rng(0).standard_normal((4, 6))
    np.testing.assert_array_equal(Pooling().fit_transform(X), X)


def test_any_classifier_takes_series_behind_it() -> None:
    calm, lively = noise([5, 8, 3, 6], 2), [4 * one for one in noise([7, 2, 9, 4], 2, 1)]
    y = ["calm"] * 4 + ["lively"] * 4
    X = pad(calm + lively)
    fitted = make_pipeline(Pooling(2), LogisticRegression()).fit(X, y)
    assert fitted.score(X, y) == 1.0


SCATTERED = "sets NaN anywhere in X; in series it may only stand at the end"
NOT_MET = {"check_estimators_pickle": SCATTERED}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@parametrize_with_checks(
    [Pooling(), Pooling(width=1)],
    expected_failed_checks=lambda estimator: {} if estimator.width is None else NOT_MET,
)
def test_scikit_learns_contract(estimator: Any, check: Any) -> None:
    check(estimator)
