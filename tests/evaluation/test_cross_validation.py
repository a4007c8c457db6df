"""Cross-validation: augmented data follow their parent; an estimator gets what its fit takes."""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin

from serein.errors import ProtocolError
from serein.evaluation.cross_validation import Augmented, cross_validate, fit_part
from serein.evaluation.protocol import folds_of

Array = npt.NDArray[Any]
SAMPLES = 24
SPEAKERS = np.array([f"s{row % 4}" for row in range(SAMPLES)])
Y = np.array(["anger", "joy"])[np.arange(SAMPLES) // 4 % 2]
X = np.arange(SAMPLES, dtype=np.float32)[:, None]  # the number of the sample
FOLDS = folds_of(SPEAKERS.tolist(), [["s0", "s1"], ["s2", "s3"]])


class Spy(ClassifierMixin, BaseEstimator):
    """Writes down what it is given; its answer is the share of each class."""

    fits: list[dict[str, Any]] = []  # noqa: RUF012
    asked: list[list[float]] = []  # noqa: RUF012

    def fit(self, X: Array, y: Array) -> "Spy":
        return self._heard(X, y)

    def _heard(self, X: Array, y: Array, **given: Any) -> Any:
        Spy.fits.append({"rows": X[:, 0], "y": y} | given)
        self.classes_, count = np.unique(y, return_counts=True)
        self.share_ = count / count.sum()
        return self

    def predict_proba(self, X: Array) -> Array:
        Spy.asked.append(X[:, 0].tolist())
        return np.tile(self.share_, (len(X), 1))


class ToldAll(Spy):
    def fit(self, X: Array, y: Array, groups: Any = None, is_augmented: Any = None) -> Any:
        return self._heard(X, y, groups=groups, is_augmented=is_augmented)


class Weighed(Spy):
    def fit(self, X: Array, y: Array, sample_weight: Any = None) -> Any:
        return self._heard(X, y, sample_weight=sample_weight)


@pytest.fixture(autouse=True)
def fits() -> list[dict[str, Any]]:
    Spy.fits.clear()
    Spy.asked.clear()
    return Spy.fits


def augmented() -> Augmented:
    """Three samples derived from each of some, in no order; 100 more is another one."""
    parent = np.random.default_rng(0).permutation(np.tile(np.arange(0, SAMPLES, 2), 3))
    return Augmented((parent + 100.0)[:, None].astype(np.float32), parent)


def test_augmented_samples_join_the_training_part_of_their_parent_only(fits: list[dict[str, Any]]):
    changed = augmented()
    cross_validate(Spy(), X, Y, SPEAKERS, FOLDS, protocol="two", augmented=changed)
    assert len(fits) == 2
    for (train, test), given in zip(FOLDS, fits, strict=True):
        rows = given["rows"].astype(int)
        assert rows[: len(train)].tolist() == train.tolist()
        copied = rows[len(train) :] - 100
        expected = [row for row in changed.parent.tolist() if row in set(train.tolist())]
        assert copied.tolist() == expected
        assert set(copied).isdisjoint(test)
        parents = np.append(train, copied)
        assert given["y"].tolist() == Y[parents].tolist()
    assert sum(len(given["rows"]) for given in fits) == SAMPLES + len(changed.parent)


def test_augmented_samples_are_never_tested():
    found = cross_validate(Spy(), X, Y, SPEAKERS, FOLDS, protocol="two", augmented=augmented())
    result = found.predict(X)
    assert sorted(row for asked in Spy.asked for row in asked) == list(range(SAMPLES))
    assert result.probabilities.shape == (SAMPLES, 2)
    np.testing.assert_allclose(result.probabilities.sum(axis=1), 1.0)


def test_groups_and_marks_of_augmented_samples_are_given_to_whom_takes_them(
    fits: list[dict[str, Any]],
):
    cross_validate(ToldAll(), X, Y, SPEAKERS, FOLDS, protocol="two", augmented=augmented())
    for (train, _), given in zip(FOLDS, fits, strict=True):
        rows = given["rows"].astype(int)
        assert given["groups"].tolist() == SPEAKERS[rows % 100].tolist()
        np.testing.assert_array_equal(given["is_augmented"], rows >= 100)
        assert given["is_augmented"].sum() == len(rows) - len(train) > 0


def test_without_augmented_samples_none_is_marked(fits: list[dict[str, Any]]):
    cross_validate(ToldAll(), X, Y, SPEAKERS, FOLDS, protocol="two")
    for (train, _), given in zip(FOLDS, fits, strict=True):
        assert not given["is_augmented"].any()
        assert len(given["is_augmented"]) == len(train)


def test_nothing_is_given_to_whom_takes_nothing(fits: list[dict[str, Any]]):
    cross_validate(Spy(), X, Y, SPEAKERS, FOLDS, protocol="two", augmented=augmented())
    assert [sorted(given) for given in fits] == [["rows", "y"]] * 2


def test_augmented_samples_have_the_weight_of_their_parent(fits: list[dict[str, Any]]):
    weight = 1.0 + np.arange(SAMPLES)
    cross_validate(
        Weighed(),
        *(X, Y, SPEAKERS, FOLDS),
        protocol="two",
        per_sample={"sample_weight": weight},
        augmented=augmented(),
    )
    for given in fits:
        np.testing.assert_array_equal(given["sample_weight"], given["rows"] % 100 + 1)


def test_augmented_samples_weigh_less_where_told(fits: list[dict[str, Any]]):
    given = {"sample_weight": 1.0 + np.arange(SAMPLES)}
    less = replace(augmented(), weight=0.25)
    cross_validate(
        Weighed(), *(X, Y, SPEAKERS, FOLDS), protocol="two", per_sample=given, augmented=less
    )
    for one in fits:
        share = np.where(one["rows"] >= 100, 0.25, 1.0)
        np.testing.assert_array_equal(one["sample_weight"], share * (one["rows"] % 100 + 1))


def test_augmented_samples_of_a_part():
    changed = augmented()
    mine = changed.of(np.array([2, 3, 8]))
    assert sorted(changed.parent[mine].tolist()) == [2, 2, 2, 8, 8, 8]
    assert changed.of(np.array([1, 3, 5])).size == 0


def test_fit_part_fits_a_clone_on_the_part():
    spy = Spy()
    fitted = fit_part(spy, X, Y, SPEAKERS, np.array([0, 4, 9]))
    assert fitted is not spy
    assert not hasattr(spy, "classes_")
    assert Spy.fits[0]["rows"].tolist() == [0, 4, 9]


def test_time_and_progress_are_told():
    done: list[tuple[int, int]] = []
    found = cross_validate(
        Spy(), X, Y, SPEAKERS, FOLDS, protocol="two", progress=lambda *at: done.append(at)
    )
    assert 0 < found.seconds < 60
    assert done == [(1, 2), (2, 2)]
    assert len(found.members) == 2
    assert found.protocol == "two"


def test_a_class_that_a_fold_never_heard_cannot_be_tested():
    """Two speakers are calm, one in each fold; with a single one, calm could not be tested."""
    y = Y.copy()
    y[[0, 2]] = "calm"  # of s0 and s2
    found = cross_validate(Spy(), X, y, SPEAKERS, FOLDS, protocol="two").predict(X)
    assert found.labels == ("anger", "calm", "joy")
    for number, (train, test) in enumerate(FOLDS):
        share = [np.mean(y[train] == label) for label in found.labels]
        np.testing.assert_allclose(found.probabilities[test], np.tile(share, (len(test), 1)))
        assert (found.fold[test] == number).all()
    y[2] = "joy"
    with pytest.raises(ProtocolError, match="fold 0 tests calm, of which its training part has no"):
        cross_validate(Spy(), X, y, SPEAKERS, FOLDS, protocol="two")


def test_nothing_is_fitted_where_a_speaker_is_on_both_sides(fits: list[dict[str, Any]]):
    half = np.arange(SAMPLES // 2)
    folds = [(half, half + len(half)), (half + len(half), half)]
    with pytest.raises(ProtocolError, match="in training and test; a speaker may be on one side"):
        cross_validate(Spy(), X, Y, SPEAKERS, folds, protocol="leak", augmented=augmented())
    assert not fits
