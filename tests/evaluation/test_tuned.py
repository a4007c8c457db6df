from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks

from serein.errors import ProtocolError
from serein.evaluation.cross_validation import cross_validate
from serein.evaluation.protocol import leave_one_speaker_out
from serein.evaluation.search.search import candidates_of, search
from serein.evaluation.search.tuned import Tuned

DEPTH = {"max_depth": [2, 4]}
STUMP = DecisionTreeClassifier(max_depth=1, random_state=0)


def clips() -> tuple[Any, Any, Any]:
    """Return two rings by six speakers: one cut does not part them, four do."""
    generator = np.random.default_rng(0)
    y = np.arange(180) % 2
    angle = generator.uniform(0, 2 * np.pi, 180)
    radius = np.where(y == 1, 3.0, 1.0) + 0.2 * generator.standard_normal(180)
    X = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return X, np.array(["calm", "angry"])[y], np.repeat([f"s{number}" for number in range(6)], 30)


def tree(**options: Any) -> Tuned:
    options = {"method": "grid", "folds": 3, "trials": 4} | options
    return Tuned(STUMP, options.pop("space", DEPTH), **options)


@parametrize_with_checks(
    [Tuned(STUMP, DEPTH, method=method, trials=2, folds=2) for method in ("grid", "bayesian")]
)
def test_is_a_scikit_learn_classifier(estimator: Tuned, check: Any):
    check(estimator)


def test_finds_and_refits_the_best():
    X, y, groups = clips()
    fitted = tree().fit(X, y, groups=groups)
    assert fitted.best_params_ == fitted.search_.best_values == {"max_depth": 4}
    assert fitted.search_.tried == 3  # with the stump itself
    assert fitted.classes_.tolist() == ["angry", "calm"]
    alone = DecisionTreeClassifier(max_depth=4, random_state=0).fit(X, y)
    np.testing.assert_array_equal(fitted.predict(X), alone.predict(X))
    np.testing.assert_array_equal(fitted.predict_proba(X), alone.predict_proba(X))
    with np.errstate(divide="ignore"):  # a tree is sure
        log = fitted.predict_log_proba(X)
        np.testing.assert_array_equal(log, alone.predict_log_proba(X))


def test_searches_as_search_does():
    X, y, groups = clips()
    fitted = tree(random_state=3).fit(X, y, groups=groups)
    found = search(
        candidates_of(STUMP),
        *(X, y, groups, DEPTH),
        method="grid",
        folds=3,
        start=({},),
        random_state=3,
    )
    assert [row["score"] for row in fitted.search_.table] == [row["score"] for row in found.table]


def test_cross_validated_it_is_nested(monkeypatch: pytest.MonkeyPatch):
    """The search of each outer fold is given none of the fold's speakers."""
    groups_of_fits = []
    fit = Tuned.fit

    def spied(self: Tuned, X: Any, y: Any, groups: Any = None, **rows: Any) -> Tuned:
        groups_of_fits.append(set(groups))
        return fit(self, X, y, groups, **rows)

    monkeypatch.setattr(Tuned, "fit", spied)
    X, y, groups = clips()
    folds = leave_one_speaker_out(groups)
    fitted = cross_validate(tree(), X, y, groups, folds, protocol="nested")
    assert [sorted(set(groups) - each) for each in groups_of_fits] == [[f"s{n}"] for n in range(6)]
    assert fitted.predict(X).scores()["uar"] > 0.8


def test_weights_reach_search_and_refit():
    X, y, groups = clips()
    weight = np.where(np.arange(180) < 90, 1.0, 0.0)
    fitted = tree().fit(X, y, groups=groups, sample_weight=weight)
    alone = clone(STUMP).set_params(**fitted.best_params_).fit(X, y, sample_weight=weight)
    np.testing.assert_array_equal(fitted.predict_proba(X), alone.predict_proba(X))
    plain = tree().fit(X, y, groups=groups)
    assert [row["score"] for row in fitted.search_.table] != [
        row["score"] for row in plain.search_.table
    ]


def test_has_what_its_estimator_has():
    assert hasattr(tree(), "predict_proba")
    assert not hasattr(Tuned(SVC(), {"C": [1, 2]}), "predict_proba")


def test_nan_passes_where_the_estimator_takes_it():
    X, y, groups = clips()
    X[::7, 0] = np.nan
    assert tree().fit(X, y, groups=groups).predict(X).shape == (180,)
    with pytest.raises(ValueError, match="contains NaN"):
        Tuned(KNeighborsClassifier(), {"n_neighbors": [1, 3]}).fit(X, y, groups=groups)


@pytest.mark.parametrize("state", [None, np.random.RandomState(0)])
def test_takes_every_kind_of_random_state(state: Any):
    X, y, groups = clips()
    fitted = tree(method="random", random_state=state).fit(X, y, groups=groups)
    assert fitted.search_.tried == 4


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"space": {"max_dept": [1]}}, ValueError, "unknown parameter 'max_dept'; known: max_dep"),
        ({"space": {"max_depth": []}}, ValueError, "max_depth has no choices"),
        ({"folds": 7}, ProtocolError, "7 folds of 6 speakers"),
        ({"method": "best"}, ValueError, "unknown search method 'best'"),
    ],
)
def test_what_is_refused(options: dict[str, Any], error: type[Exception], message: str):
    X, y, groups = clips()
    with pytest.raises(error, match=message):
        tree(**options).fit(X, y, groups=groups)


def test_one_class_is_refused():
    X, _, groups = clips()
    with pytest.raises(ValueError, match=r"y has 1 class \(calm\)"):
        tree().fit(X, ["calm"] * 180, groups=groups)
