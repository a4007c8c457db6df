"""Balancing: who stays, who is made, and what follows its rows into the classifier's fit."""

from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pytest
import torch
from imblearn.over_sampling import SMOTE, RandomOverSampler
from imblearn.under_sampling import RandomUnderSampler, TomekLinks
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.utils.estimator_checks import parametrize_with_checks

from serein.training.balance import METHODS, Balanced
from serein.training.generative import ConditionalWGAN

Array = npt.NDArray[Any]
SHORT = ConditionalWGAN(epochs=1, hidden=(8,), random_state=0)
COUNTS = {"anger": 20, "calm": 10, "fear": 4}


class Recorder(ClassifierMixin, BaseEstimator):
    """Remembers what its fit was given."""

    recorded: ClassVar[dict[str, Array]] = {}

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Self:
        given = {"X": X, "y": y, "sample_weight": sample_weight, "groups": groups}
        Recorder.recorded = {name: values for name, values in given.items() if values is not None}
        self.classes_ = np.unique(y)
        return self


class Corpora(Recorder):
    """Takes label sets too."""

    def fit(self, X: Any, y: Any, label_set: Any = None) -> Self:
        super().fit(X, y)
        Recorder.recorded["label_set"] = label_set
        return self


def uneven() -> tuple[Array, Array, Array]:
    """Vectors, labels and speakers; the last feature is the number of the row."""
    y = np.repeat(list(COUNTS), list(COUNTS.values()))
    random = np.random.default_rng(0)
    order = random.permutation(len(y))
    X = np.column_stack([random.standard_normal((len(y), 3)), np.arange(len(y))])
    return X, y[order], np.array([f"speaker {row % 5}" for row in range(len(y))])


def recorded_counts() -> dict[str, int]:
    names, counts = np.unique(Recorder.recorded["y"], return_counts=True)
    return dict(zip(names.tolist(), counts.tolist(), strict=True))


# --- contract ---

DRAWN = "a sample of weight 2 is one sample to a sampler, a repeated one is two"
NOT_MET = {
    "over": {
        "check_sample_weight_equivalence_on_dense_data": DRAWN,
    },
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@parametrize_with_checks(
    [
        Balanced(LogisticRegression()),
        Balanced(LogisticRegression(), "over", random_state=0),
    ],
    expected_failed_checks=lambda estimator: NOT_MET.get(estimator.method, {}),
)
def test_scikit_learns_contract(estimator, check):
    check(estimator)


# --- who stays and who is made ---


@pytest.mark.parametrize(
    ("method", "count"),
    [
        *(("over", 20), ("smote", 20), ("under", 4), (SHORT, 20), (SMOTE(k_neighbors=2), 20)),
        *((RandomUnderSampler(random_state=0), 4), (RandomOverSampler(random_state=0), 20)),
    ],
)
def test_classes_become_equal(method: Any, count: int):
    X, y, _ = uneven()
    Balanced(Recorder(), method, random_state=0).fit(X, y)
    assert recorded_counts() == dict.fromkeys(COUNTS, count)


@pytest.mark.parametrize("method", ["none", "class_weights"])
def test_nobody_is_made(method: str):
    X, y, _ = uneven()
    Balanced(Recorder(), method).fit(X, y)
    np.testing.assert_array_equal(Recorder.recorded["X"], X)
    np.testing.assert_array_equal(Recorder.recorded["y"], y)


@pytest.mark.parametrize("method", ["over", "under"])
def test_every_array_follows_its_rows_even_through_nan(method: str):
    X, y, speakers = uneven()
    X[::2, 0] = np.nan
    weight = np.arange(len(y)) + 1.0
    Balanced(Recorder(), method, random_state=0).fit(X, y, sample_weight=weight, groups=speakers)
    recorded = Recorder.recorded
    rows = recorded["X"][:, -1].astype(int)
    np.testing.assert_array_equal(recorded["X"], X[rows])
    np.testing.assert_array_equal(recorded["y"], y[rows])
    np.testing.assert_array_equal(recorded["sample_weight"], weight[rows])
    np.testing.assert_array_equal(recorded["groups"], speakers[rows])
    if method == "over":
        assert set(rows) == set(range(len(y)))
    else:
        assert len(set(rows)) == len(rows)
    corpora = np.where(speakers == "speaker 0", "a", "b")
    Balanced(Corpora(), method, random_state=0).fit(X, y, label_set=corpora)
    np.testing.assert_array_equal(recorded["X"], Recorder.recorded["X"])
    np.testing.assert_array_equal(Recorder.recorded["label_set"], corpora[rows])


@pytest.mark.parametrize("method", ["smote", SHORT])
def test_made_samples_weigh_1_and_are_of_nobody(method: Any):
    X, y, speakers = uneven()
    weight = np.full(len(y), 3.0)
    Balanced(Recorder(), method, random_state=0).fit(X, y, sample_weight=weight, groups=speakers)
    recorded, given = Recorder.recorded, len(y)
    np.testing.assert_array_equal(recorded["X"][:given], X)
    np.testing.assert_array_equal(recorded["groups"][:given], speakers)
    assert set(recorded["groups"][given:]) == {""}
    assert recorded["sample_weight"].tolist() == [3.0] * given + [1.0] * (60 - given)


def test_smote_stays_between_samples_of_the_class():
    X, y, _ = uneven()
    Balanced(Recorder(), "smote", random_state=0).fit(X, y)
    for name in ("calm", "fear"):
        made = Recorder.recorded["X"][len(y) :][Recorder.recorded["y"][len(y) :] == name]
        assert (made >= X[y == name].min(axis=0)).all()
        assert (made <= X[y == name].max(axis=0)).all()
        assert len(np.unique(made, axis=0)) == len(made)


def test_class_weights_are_scikit_learns_and_multiply():
    X, y, _ = uneven()
    ours = Balanced(LogisticRegression(), "class_weights").fit(X, y)
    theirs = LogisticRegression(class_weight="balanced").fit(X, y)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-6)
    Balanced(Recorder(), "class_weights").fit(X, y, sample_weight=np.full(len(y), 2.0))
    for name, count in COUNTS.items():
        expected = 2.0 * len(y) / (3 * count)
        np.testing.assert_allclose(Recorder.recorded["sample_weight"][y == name], expected)


def test_a_pipeline_gets_weights_at_its_last_step():
    X, y, _ = uneven()
    weighed = Balanced(make_pipeline(StandardScaler(), LogisticRegression()), "class_weights")
    theirs = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced"))
    np.testing.assert_allclose(
        weighed.fit(X, y).predict_proba(X), theirs.fit(X, y).predict_proba(X), atol=1e-6
    )
    inside = Balanced(Balanced(LogisticRegression()), "class_weights").fit(X, y)
    bare = LogisticRegression(class_weight="balanced").fit(X, y)
    np.testing.assert_allclose(inside.predict_proba(X), bare.predict_proba(X), atol=1e-6)


def test_groups_go_to_those_who_take_them_alone():
    X, y, speakers = uneven()
    with_groups = Balanced(LogisticRegression()).fit(X, y, groups=speakers)
    np.testing.assert_array_equal(
        with_groups.predict_proba(X), LogisticRegression().fit(X, y).predict_proba(X)
    )


@pytest.mark.parametrize("method", [*METHODS])
def test_same_seed_same_answer(method: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ConditionalWGAN.__init__, "__kwdefaults__", SHORT.get_params())
    torch.manual_seed(1)
    before = torch.get_rng_state()
    X, y, _ = uneven()
    first, second = (
        Balanced(LogisticRegression(), method, random_state=3).fit(X, y).predict_log_proba(X)
        for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)
    assert torch.equal(before, torch.get_rng_state())


def test_what_the_classifier_lacks_is_lacking():
    X, y, _ = uneven()
    margins = Balanced(LinearSVC(), "over", random_state=0).fit(X, y)
    assert not hasattr(margins, "predict_proba")
    assert margins.decision_function(X).shape == (len(y), 3)
    assert margins.classes_.tolist() == list(COUNTS)
    assert margins.n_features_in_ == 4


# --- what is refused ---


@pytest.mark.parametrize(
    ("method", "changed", "message"),
    [
        ("smot", {}, "unknown method 'smot'; known: smote, "),
        (TomekLinks(), {}, "method is TomekLinks.*need one of none, over"),
        ("smote", {"nan": True}, "smote works on vectors, not on series"),
        ("gan", {"nan": True}, "gan works on vectors, not on series"),
        (SHORT, {"nan": True}, "ConditionalWGAN works on vectors, not on series"),
        ("smote", {"rare": 1}, "class fear has a single sample"),
        ("gan", {"rare": 1}, "class fear has a single sample"),
        ("none", {"y": ["joy"] * 34}, r"y has 1 class \(joy\)"),
        ("over", {"y": ["joy"] * 34}, r"y has 1 class \(joy\)"),
        ("none", {"sample_weight": np.ones(5)}, r"sample_weight has shape \(5,\); needs \(34,\)"),
        ("over", {"groups": ["ann"] * 3}, r"groups has shape \(3,\)"),
        ("none", {"mood": ["good"] * 34}, "Recorder takes no mood in fit"),
    ],
)
def test_what_is_refused(method: Any, changed: dict[str, Any], message: str):
    X, y, _ = uneven()
    given = dict(changed)
    if given.pop("nan", False):
        X[0, 0] = np.nan
    if rare := given.pop("rare", 0):
        y[np.flatnonzero(y == "fear")[rare:]] = "anger"
    with pytest.raises(ValueError, match=message):
        Balanced(Recorder(), method, random_state=0).fit(X, given.pop("y", y), **given)


@pytest.mark.parametrize("method", ["smote", SHORT])
def test_label_sets_of_made_samples_are_not_known(method: Any):
    X, y, speakers = uneven()
    with pytest.raises(ValueError, match="label_set of synthetic samples is not known: use over"):
        Balanced(Corpora(), method, random_state=0).fit(X, y, label_set=speakers)


def test_class_weights_need_a_classifier_that_weighs():
    X, y, _ = uneven()
    with pytest.raises(ValueError, match="KNeighborsClassifier takes no sample_weight in fit"):
        Balanced(KNeighborsClassifier(), "class_weights").fit(X, y)
