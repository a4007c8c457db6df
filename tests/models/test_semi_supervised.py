"""Self-training and co-training: few labels, two views that are independent within a class."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from serein.models.fusion import EarlyFusion, LateFusion
from serein.models.fusion.semi_supervised import CoTraining, SelfTraining, most_confident
from serein.models.linear import MaskedLogisticRegression

Array = npt.NDArray[Any]
LATE = LateFusion(MaskedLogisticRegression(0.3), folds=3)
BOTH = [SelfTraining, CoTraining]


def views(samples: int, seed: int) -> tuple[dict[str, Array], Array, Array]:
    """Two views, independent within a class, each of 30 columns of which 3 tell the class."""
    generator = np.random.default_rng(seed)
    truth = generator.integers(3, size=samples)
    X = {}
    for name in ("voice", "face"):
        array = generator.standard_normal((samples, 30))
        array[np.arange(samples), truth] += 2.2
        X[name] = array
    return X, np.array(["calm", "fear", "joy"])[truth], np.arange(samples) % 6


def few(y: Array, each: int = 4) -> Array:
    """Keep the first labels of each class."""
    kept = np.full(len(y), None, dtype=object)
    for name in np.unique(y):
        kept[np.flatnonzero(y == name)[:each]] = name
    return kept


def known(y: Array) -> Array:
    return np.flatnonzero([label is not None for label in y])


@pytest.mark.parametrize("method", BOTH)
def test_it_beats_supervised_learning_on_the_same_labels(method):
    gains = []
    for seed in range(3):
        X, y, speakers = views(300, seed)
        test, truth, _ = views(600, seed + 100)
        part = few(y)
        rows = known(part)
        alone = LATE.fit({name: X[name][rows] for name in X}, y[rows], groups=speakers[rows])
        before = (alone.predict(test) == truth).mean()
        more = method(LATE, threshold=0.7).fit(X, part, groups=speakers)
        gains.append((more.predict(test) == truth).mean() - before)
    assert np.mean(gains) > 0.02


@pytest.mark.parametrize("method", BOTH)
def test_what_it_found_is_mostly_right_and_grows_evenly(method):
    X, y, speakers = views(300, 0)
    part = few(y)
    model = method(LATE, threshold=0.7, growth=0.5, rounds=4).fit(X, part, groups=speakers)
    found = model.found_ > 0
    assert found.sum() > 10
    assert (model.labels_[found] == y[found]).mean() > 0.75
    assert (model.labels_[known(part)] == y[known(part)]).all()
    assert (model.found_[known(part)] == 0).all()
    assert all(label is None for label in model.labels_[model.found_ < 0])
    teachers = 1 if method is SelfTraining else 2
    for number in range(1, model.found_.max() + 1):
        new = model.labels_[model.found_ == number].astype(str)
        assert np.unique(new, return_counts=True)[1].max() <= 2 * teachers  # half of 4 labels


@pytest.mark.parametrize("method", BOTH)
def test_none_and_an_empty_string_mark_the_same(method):
    X, y, speakers = views(90, 1)
    part = few(y)
    empty = np.where(part == None, "", part)  # noqa: E711
    first = method(LATE, threshold=0.5, rounds=2).fit(X, part, groups=speakers)
    second = method(LATE, threshold=0.5, rounds=2).fit(X, empty.astype(str), groups=speakers)
    assert np.array_equal(first.predict_proba(X), second.predict_proba(X))


@pytest.mark.parametrize("method", BOTH)
def test_the_seed_decides_the_pool(method):
    X, y, speakers = views(120, 2)

    def found(seed: int) -> list[int]:
        model = method(LATE, threshold=0.5, rounds=2, pool=20, random_state=seed)
        result: list[int] = model.fit(X, few(y), groups=speakers).found_.tolist()
        return result

    assert found(0) == found(0)
    assert found(0) != found(1)
    assert sum(number > 0 for number in found(0)) <= 2 * 20


@pytest.mark.parametrize("method", BOTH)
def test_without_rounds_it_is_supervised_learning(method):
    X, y, speakers = views(90, 3)
    part = few(y)
    rows = known(part)
    alone = LATE.fit({name: X[name][rows] for name in X}, y[rows], groups=speakers[rows])
    expected = alone.predict_proba(X)
    model = method(LATE, rounds=0).fit(X, part, groups=speakers)
    assert np.allclose(model.predict_proba(X), expected)


@pytest.mark.parametrize("method", BOTH)
def test_modalities_may_be_missing_everywhere(method):
    X, y, speakers = views(120, 4)
    X["face"][::3] = np.nan
    X["voice"][1::6] = np.nan
    X["face"][7], X["voice"][7] = np.nan, np.nan  # nothing at all, and no label is needed
    part = few(y, 8)
    part[7] = None
    model = method(EarlyFusion(), threshold=0.5, rounds=2).fit(X, part, groups=speakers)
    assert model.labels_[7] is None
    assert np.allclose(model.predict_proba({"face": X["face"]}).sum(axis=1), 1)
    assert model.contributions(X).shape == (120, 2)


def test_a_view_is_trained_on_its_own_modalities():
    X, y, speakers = views(120, 5)
    X["words"] = np.random.default_rng(0).standard_normal((120, 2))
    model = CoTraining(LATE, views=["voice", ["face", "words"]], threshold=0.5, rounds=1)
    assert model.fit(X, few(y), groups=speakers).estimator_.modalities_ == (
        "voice",
        "face",
        "words",
    )
    own = LateFusion({"voice": MaskedLogisticRegression(0.3)}, folds=3)  # names one view's model
    CoTraining(own, threshold=0.5, rounds=1).fit(X, few(y), groups=speakers)


def test_found_labels_set_no_weights_of_modalities():
    X, y, speakers = views(200, 6)
    part = few(y)
    model = SelfTraining(LATE, threshold=0.5).fit(X, part, groups=speakers)
    assert (model.found_ > 0).any()
    assert len(model.estimator_.held_out_.truth) == len(known(part))


def test_where_teachers_disagree_there_is_no_label():
    rows = np.array([4, 5, 6])
    first = (rows, np.array([0, 0, 1]), np.array([0.9, 0.8, 0.95]))
    second = (rows, np.array([1, 0, 1]), np.array([0.9, 0.7, 0.5]))
    found, classes = most_confident([first, second], np.array([2, 2]), 0.6)
    assert dict(zip(found.tolist(), classes.tolist(), strict=True)) == {5: 0, 6: 1}
    found, _ = most_confident([first], np.array([1, 1]), 0.6)
    assert sorted(found.tolist()) == [4, 6]  # the most confident of each class


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (SelfTraining(threshold=1.0), "threshold is 1.0"),
        (SelfTraining(growth=0.0), "growth is 0.0"),
        (CoTraining(rounds=-1), "rounds is -1"),
        (CoTraining(pool=0), "pool is 0"),
        (CoTraining(views=["voice"]), "co-training has 1 view"),
        (CoTraining(views=["voice", "fce"]), "unknown modality of views 'fce'; known: face"),
    ],
)
def test_wrong_settings_are_refused(model, says: str):
    X, y, speakers = views(60, 7)
    with pytest.raises(ValueError, match=says):
        model.fit(X, few(y), groups=speakers)


def test_labels_of_one_class_are_refused():
    X, y, _ = views(60, 8)
    with pytest.raises(ValueError, match="none of 60 samples has a label"):
        SelfTraining().fit(X, [None] * 60)
    with pytest.raises(ValueError, match="y has 1 class"):
        SelfTraining().fit(X, np.where(y == "calm", y, ""))
    with pytest.raises(ValueError, match=r"y has shape \(59,\)"):
        SelfTraining().fit(X, y[:-1])
