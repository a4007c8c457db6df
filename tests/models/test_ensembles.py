"""Ensembles: every kind of member, inner folds by speaker, weights and seeds."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.ensemble import AdaBoostClassifier, StackingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks

from serein.models.classical import knn, logistic, naive_bayes, random_forest, svm
from serein.models.ensembles import (
    ENSEMBLES,
    GroupedStacking,
    SeriesBoosting,
    bagging,
    boosting,
    stacking,
    voting,
)
from serein.models.hmm import GaussianMixtureHMM
from serein.models.padding import pad, unpad

Array = npt.NDArray[Any]
OF_MEMBERS = {"voting", "stacking"}

NOT_MET = {
    GroupedStacking: {},
    SeriesBoosting: {
        "check_sample_weight_equivalence_on_dense_data": (
            "nor does scikit-learn's AdaBoost meet it, and lists it as not met"
        )
    },
}


def corpus(samples: int = 120, features: int = 4, seed: int = 0) -> tuple[Array, Array]:
    """Three classes around a centre each."""
    generator = np.random.default_rng(seed)
    y = np.arange(samples) % 3
    centres = 2 * generator.standard_normal((3, features))
    X = centres[y] + generator.standard_normal((samples, features))
    return X, np.array(["joy", "anger", "fear"])[y]


class FrameMean(ClassifierMixin, BaseEstimator):
    """Stands for a network over series: takes rows with NaN at the end, and weights."""

    def __init__(self, width: int = 2) -> None:
        self.width = width

    def fit(self, X: Array, y: Array, sample_weight: Array | None = None) -> Any:
        self.n_features_in_ = X.shape[1]
        self.inner_ = GaussianNB().fit(self._means(X), y, sample_weight=sample_weight)
        self.classes_ = self.inner_.classes_
        return self

    def _means(self, X: Array) -> Array:
        batch, lengths = unpad(X, self.width)
        return batch.sum(axis=1) / lengths[:, None]

    def predict_proba(self, X: Array) -> Array:
        return self.inner_.predict_proba(self._means(X))

    def predict(self, X: Array) -> Array:
        return self.inner_.predict(self._means(X))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def mlp() -> MLPClassifier:
    return MLPClassifier((8,), solver="lbfgs", max_iter=500, random_state=0)


def of(name: str, member: Any, **settings: Any) -> Any:
    if name in OF_MEMBERS:
        return ENSEMBLES[name]([("first", member), ("second", clone(member))], **settings)
    return ENSEMBLES[name](member, count=3, random_state=0, **settings)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@parametrize_with_checks(
    [
        stacking([("one", LogisticRegression()), ("two", GaussianNB())], folds=3),
        SeriesBoosting(n_estimators=5, random_state=0),
    ],
    expected_failed_checks=lambda estimator: NOT_MET[type(estimator)],
)
def test_scikit_learns_contract(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    "member", [logistic(C=1.0), naive_bayes(), svm(), random_forest(trees=5, random_state=0), mlp()]
)
@pytest.mark.parametrize("name", ENSEMBLES)
def test_every_ensemble_of_every_kind_of_member(name: str, member: Any):
    X, y = corpus()
    fitted = [of(name, member).fit(X[40:], y[40:]) for _ in range(2)]
    probabilities = fitted[0].predict_proba(X[:40])
    assert fitted[0].classes_.tolist() == ["anger", "fear", "joy"]
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    assert (fitted[0].classes_[probabilities.argmax(axis=1)] == fitted[0].predict(X[:40])).all()
    assert fitted[0].score(X[:40], y[:40]) > 0.8
    np.testing.assert_array_equal(probabilities, fitted[1].predict_proba(X[:40]))


def series(samples: int = 60) -> tuple[Array, Array]:
    generator = np.random.default_rng(0)
    y = np.arange(samples) % 3
    centres = np.array([[0.0, 2.0], [2.0, 0.0], [-2.0, -2.0]])
    lengths = generator.integers(2, 9, samples)
    frames = [
        centres[one] + generator.standard_normal((length, 2))
        for one, length in zip(y, lengths, strict=True)
    ]
    return pad(frames), np.array(["joy", "anger", "fear"])[y]


@pytest.mark.parametrize("name", ENSEMBLES)
def test_series_with_their_filling_go_through(name: str):
    X, y = series()
    assert np.isnan(X).any()
    ensemble = of(name, FrameMean()).fit(X[:40], y[:40])
    assert ensemble.score(X[40:], y[40:]) > 0.8
    np.testing.assert_allclose(ensemble.predict_proba(X[40:]).sum(axis=1), 1.0)


@pytest.mark.parametrize("name", sorted(set(ENSEMBLES) - {"boosting"}))
@pytest.mark.parametrize(
    "member", [knn(neighbours=3), GaussianMixtureHMM(states=1, iterations=3, random_state=0)]
)
def test_members_without_weights(name: str, member: Any):
    X, y = corpus(60)
    assert of(name, member).fit(X[:40], y[:40]).score(X[40:], y[40:]) > 0.8


def test_boosting_beats_its_tree():
    X, y = corpus(300, features=8, seed=3)
    X = X + 1.5 * np.random.default_rng(0).standard_normal(X.shape)
    one = boosting(count=1, depth=1, random_state=0).fit(X[:200], y[:200])
    many = boosting(count=30, depth=1, random_state=0).fit(X[:200], y[:200])
    assert len(many.estimators_) > 5
    assert many.score(X[200:], y[200:]) > one.score(X[200:], y[200:])


def test_boosting_is_scikit_learns_where_there_is_no_penalty():
    X, y = corpus()
    ours = SeriesBoosting(GaussianNB(), n_estimators=4, random_state=0).fit(X, y)
    theirs = AdaBoostClassifier(GaussianNB(), n_estimators=4, random_state=0).fit(X, y)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X))


def test_boosting_does_not_drown_a_penalised_classifier():
    X, y = corpus()
    first = boosting(svm(), count=1, random_state=0).fit(X, y)
    np.testing.assert_allclose(
        first.estimators_[0].predict_proba(X), svm().fit(X, y).predict_proba(X)
    )


def test_voting_is_the_weighted_mean():
    X, y = corpus()
    members = [("one", logistic()), ("two", naive_bayes())]
    fitted = voting(members, weights=[3, 1]).fit(X, y)
    first, second = (member.predict_proba(X) for member in fitted.estimators_)
    np.testing.assert_allclose(fitted.predict_proba(X), 0.75 * first + 0.25 * second)


# --- stacking by speaker ---


class Remembers(ClassifierMixin, BaseEstimator):
    """Says the class that the voice in column 0 always had; of an unknown voice it knows nothing.

    Notes, in a list shared by its clones, the voices it learnt from and was then asked about.
    """

    asked: list[tuple[set[float], set[float]]] = []  # noqa: RUF012 (shared on purpose)

    def fit(self, X: Array, y: Array, sample_weight: Array | None = None) -> Any:
        del sample_weight
        self.classes_ = np.unique(y)
        self.n_features_in_ = X.shape[1]
        self.voices_ = {voice: label for voice, label in zip(X[:, 0], y, strict=True)}
        return self

    def predict_proba(self, X: Array) -> Array:
        Remembers.asked.append((set(self.voices_), set(X[:, 0])))
        result = np.full((len(X), len(self.classes_)), 1 / len(self.classes_))
        for row, voice in enumerate(X[:, 0]):
            if voice in self.voices_:
                result[row] = self.classes_ == self.voices_[voice]
        return result

    def predict(self, X: Array) -> Array:
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


def voices() -> tuple[Array, Array, Array]:
    """Twelve voices, each of one class; column 0 is the voice, the others tell of the class."""
    generator = np.random.default_rng(0)
    speaker = np.arange(120) % 12
    y = speaker % 3
    X = np.column_stack([speaker, y[:, None] + 0.8 * generator.standard_normal((120, 3))])
    return X, y, speaker


def stack() -> GroupedStacking:
    return stacking([("memory", Remembers()), ("honest", logistic(C=1.0))], folds=4)


def test_no_voice_is_on_both_sides_of_an_inner_fold():
    X, y, speaker = voices()
    Remembers.asked.clear()
    stack().fit(X, y, groups=speaker)
    assert len(Remembers.asked) == 4
    assert all(not known & asked for known, asked in Remembers.asked)
    assert set.union(*(asked for _, asked in Remembers.asked)) == set(range(12))
    Remembers.asked.clear()
    stack().fit(X, y)
    assert any(known & asked for known, asked in Remembers.asked)


def test_a_member_that_remembers_voices_is_not_trusted():
    X, y, speaker = voices()
    grouped, plain = stack().fit(X, y, groups=speaker), stack().fit(X, y)
    trust = [
        np.abs(one.final_estimator_.coef_).reshape(3, 2, 3).sum(axis=(0, 2))
        for one in (grouped, plain)
    ]
    assert trust[0][0] < 0.01 * trust[0][1]
    assert trust[1][0] > trust[1][1]


def test_each_sample_a_speaker_of_its_own_is_scikit_learns_stacking():
    X, y, _ = voices()
    members = [("one", logistic()), ("two", naive_bayes())]
    final = LogisticRegression(max_iter=2000)
    ours = stacking(members, folds=4).fit(X, y)
    theirs = StackingClassifier(members, final, cv=4).fit(X, y)
    np.testing.assert_array_equal(ours.predict_proba(X), theirs.predict_proba(X))


def test_folds_are_as_many_as_there_are_speakers_and_the_parameter_stays():
    X, y, speaker = voices()
    ensemble = stacking([("one", logistic())], folds=5)
    few = speaker // 4  # three speakers, each with all classes
    assert ensemble.fit(X, y, groups=few).cv == 5
    with pytest.raises(ValueError, match="needs at least 2 speakers in the training data; got 1"):
        ensemble.fit(X, y, groups=np.zeros(120))
    with pytest.raises(ValueError, match="contains NaN"):
        ensemble.fit(np.where(X > 2, np.nan, X), y, groups=few)
    assert ensemble.cv == 5


def test_a_class_that_one_speaker_alone_has():
    X, y, speaker = voices()
    y = np.where(speaker == 0, 7, y)
    fitted = stacking([("one", logistic())], folds=12).fit(X, y, groups=speaker)
    assert fitted.predict_proba(X).shape == (120, 4)


def test_weights_reach_the_members_of_a_stack():
    X, y = corpus()
    X = X + 3 * np.random.default_rng(0).standard_normal(X.shape)
    light = np.where(y == "joy", 0.02, 1.0)
    speaker = np.arange(len(y)) // 6
    ensemble = stacking([("one", logistic()), ("two", naive_bayes())])
    weighted = ensemble.fit(X, y, sample_weight=light, groups=speaker).predict(X)
    plain = ensemble.fit(X, y, groups=speaker).predict(X)
    assert np.mean(weighted == "joy") < 0.5 * np.mean(plain == "joy")


# --- what is refused ---


@pytest.mark.parametrize("name", sorted(OF_MEMBERS))
def test_no_members(name: str):
    with pytest.raises(ValueError, match="needs at least 1 member; got none"):
        ENSEMBLES[name]([])


def test_boosting_needs_weights():
    with pytest.raises(ValueError, match="takes sample_weight; Pipeline does not"):
        boosting(knn())
    with pytest.raises(ValueError, match="takes sample_weight; GaussianMixtureHMM does not"):
        boosting(GaussianMixtureHMM())


def test_settings_that_cannot_be():
    with pytest.raises(ValueError, match="3 weights for 1 members"):
        voting([("one", logistic())], weights=[1, 2, 3])
    with pytest.raises(ValueError, match="folds is 1; need at least 2"):
        stacking([("one", logistic())], folds=1)
    X, y, speaker = voices()
    with pytest.raises(ValueError, match="cv is 'prefit'; with groups it must be a number"):
        GroupedStacking([("one", logistic())], cv="prefit").fit(X, y, groups=speaker)
    with pytest.raises(ValueError, match="infinity"):
        boosting(FrameMean(), count=2).fit([[0.0, np.inf], [1.0, 2.0]], [0, 1])


def test_bagging_draws_what_it_is_told():
    X, y = corpus()
    drawn = bagging(naive_bayes(), count=4, samples=0.5, features=0.5, random_state=0).fit(X, y)
    assert [len(rows) for rows in drawn.estimators_samples_] == [60] * 4
    assert [len(columns) for columns in drawn.estimators_features_] == [2] * 4
