"""Pooled: the same as pooling by hand and the classifier after it, with weights."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks

from serein.models.classical import MarginSVM
from serein.models.padding import pad
from serein.models.pipelines import Pooled

Array = npt.NDArray[Any]
WIDTH = 3


def spoken(samples: int = 30, seed: int = 0) -> tuple[list[Array], Array]:
    """Series of different length, around one place an emotion."""
    generator = np.random.default_rng(seed)
    y = np.arange(samples) % 3
    series = [
        np.eye(WIDTH)[emotion] + generator.standard_normal((generator.integers(1, 9), WIDTH))
        for emotion in y
    ]
    return series, np.array(["anger", "fear", "joy"])[y]


def by_hand(series: list[Array]) -> Array:
    rows = [one.astype(np.float32).astype(np.float64) for one in series]
    parts = [[one.mean(0), one.std(0), one.min(0), one.max(0)] for one in rows]
    return np.stack([np.concatenate(four) for four in parts])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@parametrize_with_checks([Pooled(LogisticRegression())])
def test_scikit_learns_contract(estimator, check):
    check(estimator)


def test_it_is_pooling_by_hand_and_the_classifier():
    series, y = spoken()
    ours = Pooled(LogisticRegression(), width=WIDTH).fit(pad(series), y)
    vectors = by_hand(series)
    theirs = LogisticRegression().fit(vectors, y)
    for method in ("predict_proba", "predict_log_proba"):
        np.testing.assert_allclose(
            getattr(ours, method)(pad(series)), getattr(theirs, method)(vectors), atol=1e-5
        )
    np.testing.assert_array_equal(ours.predict(pad(series)), theirs.predict(vectors))
    assert ours.classes_.tolist() == ["anger", "fear", "joy"]
    assert ours.estimator_.n_features_in_ == 4 * WIDTH


def test_without_a_width_rows_are_vectors_already():
    series, y = spoken()
    X = by_hand(series)
    ours, theirs = Pooled(LogisticRegression()).fit(X, y), LogisticRegression().fit(X, y)
    np.testing.assert_array_equal(ours.predict_proba(X), theirs.predict_proba(X))


def test_weights_reach_the_classifier():
    series, y = spoken()
    X = pad(series)
    times = np.random.default_rng(1).integers(0, 4, len(y))
    weighted = Pooled(LogisticRegression(), width=WIDTH).fit(X, y, sample_weight=times)
    repeated = Pooled(LogisticRegression(), width=WIDTH).fit(
        X.repeat(times, axis=0), y.repeat(times)
    )
    plain = Pooled(LogisticRegression(), width=WIDTH).fit(X, y)
    np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), atol=1e-3)
    assert np.abs(weighted.predict_proba(X) - plain.predict_proba(X)).max() > 0.01


def test_weights_are_refused_where_the_classifier_takes_none():
    series, y = spoken()
    model = Pooled(KNeighborsClassifier(3), width=WIDTH)
    with pytest.raises(ValueError, match="KNeighborsClassifier takes no sample_weight: give none"):
        model.fit(pad(series), y, sample_weight=np.ones(len(y)))
    assert model.fit(pad(series), y).predict_proba(pad(series)).shape == (len(y), 3)


def test_log_probabilities_are_there_where_the_classifier_has_them():
    assert hasattr(Pooled(MarginSVM()), "predict_log_proba")
    assert not hasattr(Pooled(KNeighborsClassifier()), "predict_log_proba")


def test_the_classifier_that_was_given_stays_unfitted():
    series, y = spoken()
    inner = LogisticRegression(C=0.3)
    model = Pooled(inner, width=WIDTH).fit(pad(series), y)
    assert not hasattr(inner, "classes_")
    again = clone(model)
    assert not hasattr(again, "estimator_")
    assert again.get_params()["estimator__C"] == 0.3
    assert again.width == WIDTH


def test_rows_that_are_no_series_of_that_width_are_refused():
    series, y = spoken()
    model = Pooled(LogisticRegression(), width=WIDTH)
    with pytest.raises(ValueError, match="columns; need a multiple of the width, which is 3"):
        model.fit(np.ones((len(y), 7)), y)
    with pytest.raises(ValueError, match="NaN inside a series"):
        model.fit(np.where(np.arange(6) == 1, np.nan, np.ones((len(y), 6))), y)
    with pytest.raises(ValueError, match="contains NaN"):
        Pooled(LogisticRegression()).fit(pad(series), y)
