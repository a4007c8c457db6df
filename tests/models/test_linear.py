"""Masked logistic regression: scikit-learn as oracle, and what a label set must not touch."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from serein.models.linear import MaskedLogisticRegression
from serein.training.contract import LogProbabilityClassifier

Array = npt.NDArray[Any]
EXACT = {"tol": 1e-8, "max_iter": 10_000}

NOT_MET = {
    "check_sample_weight_equivalence_on_dense_data": (
        "asks for seven digits; the large products are float32. "
        "test_integer_weights_are_repetitions asks for four"
    ),
}


def corpus(samples: int, features: int, classes: int, seed: int = 0) -> tuple[Array, Array]:
    """Samples around one centre a class, on features of different scale and offset."""
    generator = np.random.default_rng(seed)
    y = np.arange(samples) % classes
    centres = generator.standard_normal((classes, features))
    X = centres[y] + 1.5 * generator.standard_normal((samples, features))
    return X * generator.uniform(0.1, 10, features) + generator.uniform(-5, 5, features), y


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@parametrize_with_checks(
    [MaskedLogisticRegression()], expected_failed_checks=lambda estimator: NOT_MET
)
def test_scikit_learns_contract(estimator, check):
    check(estimator)


@pytest.mark.parametrize("C", [0.02, 1.0])
@pytest.mark.parametrize(
    ("samples", "features", "classes"),
    [(150, 6, 4), (150, 6, 2), (60, 60, 3), (40, 150, 4), (24, 900, 2)],
)
def test_equals_scikit_learn(samples: int, features: int, classes: int, C: float):
    X, y = corpus(samples + 50, features, classes)
    ours = MaskedLogisticRegression(C, **EXACT).fit(X[50:], y[50:])
    # With two classes scikit-learn learns one row of weights, we two of half the size: so the same
    # penalty on them weighs half as much.
    theirs = make_pipeline(
        StandardScaler(), LogisticRegression(C=2 * C if classes == 2 else C, **EXACT)
    ).fit(X[50:], y[50:])
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=5e-4)
    assert ours.coef_.shape == (classes, features)
    assert ours.decision_function(X).shape == theirs.decision_function(X).shape


def test_the_default_tolerance_stops_where_answers_no_longer_move():
    X, y = corpus(300, 40, 5)
    rough = MaskedLogisticRegression().fit(X[100:], y[100:])
    exact = MaskedLogisticRegression(**EXACT).fit(X[100:], y[100:])
    np.testing.assert_allclose(rough.predict_proba(X), exact.predict_proba(X), atol=0.02)
    assert np.mean(rough.predict(X) == exact.predict(X)) > 0.98
    assert rough.n_iter_ < exact.n_iter_


@pytest.mark.parametrize("features", [5, 200])
def test_integer_weights_are_repetitions(features: int):
    X, y = corpus(60, features, 3)
    times = np.random.default_rng(1).integers(0, 4, len(y))
    weighted = MaskedLogisticRegression(0.5, **EXACT).fit(X, y, sample_weight=times)
    repeated = MaskedLogisticRegression(0.5, **EXACT).fit(
        np.repeat(X, times, axis=0), y.repeat(times)
    )
    plain = MaskedLogisticRegression(0.5, **EXACT).fit(X, y)
    np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), atol=1e-4)
    assert np.abs(weighted.predict_proba(X) - plain.predict_proba(X)).max() > 0.01


def test_a_feature_that_never_varies_changes_nothing():
    X, y = corpus(60, 4, 3)
    with_constant = np.column_stack([X, np.full(len(y), 1e6)])
    np.testing.assert_allclose(
        MaskedLogisticRegression(**EXACT).fit(with_constant, y).predict_proba(with_constant),
        MaskedLogisticRegression(**EXACT).fit(X, y).predict_proba(X),
        atol=1e-5,
    )


def test_probabilities_follow_classes():
    X, y = corpus(90, 4, 3)
    names = np.array(["fear", "anger", "joy"])[y]
    fitted = MaskedLogisticRegression().fit(X, names)
    assert fitted.classes_.tolist() == ["anger", "fear", "joy"]
    probabilities = fitted.predict_proba(X)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    np.testing.assert_allclose(np.log(probabilities), fitted.predict_log_proba(X))
    assert (fitted.classes_[probabilities.argmax(axis=1)] == fitted.predict(X)).all()
    assert np.mean(fitted.predict(X) == names) > 0.7


# --- label sets ---


@pytest.mark.parametrize("features", [5, 120])
def test_one_label_set_for_all_equals_none(features: int):
    X, y = corpus(60, features, 3)
    masked = MaskedLogisticRegression().fit(X, y, label_set=["a"] * len(y))
    plain = MaskedLogisticRegression().fit(X, y)
    np.testing.assert_array_equal(masked.coef_, plain.coef_)
    np.testing.assert_array_equal(masked.intercept_, plain.intercept_)


def two_corpora() -> tuple[Array, Array, Array]:
    """Corpus "b" holds classes 0, 1, 2; corpus "a", larger, lacks 2 and lies where 2 is."""
    generator = np.random.default_rng(0)
    centres = np.array([[0.0, 3.0], [0.0, -3.0], [3.0, 0.0]])
    y_b = np.arange(60) % 3
    y_a = np.arange(240) % 2
    X_b = centres[y_b] + 0.7 * generator.standard_normal((60, 2))
    X_a = [3.0, 0.0] + 0.3 * centres[y_a] + 0.7 * generator.standard_normal((240, 2))
    return np.concatenate([X_b, X_a]), np.append(y_b, y_a), np.repeat(["b", "a"], [60, 240])


def test_a_class_is_held_in_balance_by_the_corpora_that_have_it_alone():
    """At the optimum the pulls on a class's weights add up to zero, over those corpora alone."""
    X, y, origin = two_corpora()
    C = 0.5
    fitted = MaskedLogisticRegression(C, **EXACT).fit(X, y, label_set=origin)
    scaled = (X - fitted.mean_) / fitted.scale_
    logits = scaled @ fitted.coef_.T + fitted.intercept_
    logits[:, 2] = np.where(origin == "a", -np.inf, logits[:, 2])
    error = softmax(logits, axis=1) - np.eye(3)[y]
    assert (error[origin == "a", 2] == 0).all()
    np.testing.assert_allclose(error.T @ scaled + fitted.coef_ / C, 0.0, atol=2e-3)
    np.testing.assert_allclose(error.sum(axis=0), 0.0, atol=2e-3)
    plain = MaskedLogisticRegression(C, **EXACT).fit(X, y)
    assert np.abs(plain.coef_ - fitted.coef_).max() > 0.5


def test_clips_of_a_corpus_without_a_class_do_not_crowd_it_out():
    X, y, origin = two_corpora()
    own = (origin == "b") & (y == 2)
    masked = MaskedLogisticRegression(1.0).fit(X, y, label_set=origin)
    plain = MaskedLogisticRegression(1.0).fit(X, y)
    assert np.mean(masked.predict(X[own]) == 2) > 0.9
    assert np.mean(plain.predict(X[own]) == 2) < 0.6


@pytest.mark.parametrize("features", [4, 120])
def test_corpora_without_a_common_class_are_learnt_as_if_alone(features: int):
    X, y = corpus(50, features, 2)
    other = np.random.default_rng(3).permutation(np.arange(50) % 3)
    both = MaskedLogisticRegression(0.3, **EXACT).fit(
        np.concatenate([X, X]), np.append(y, 2 + other), label_set=np.repeat(["a", "b"], 50)
    )
    logits = both.decision_function(X)
    for columns, truth in ((slice(0, 2), y), (slice(2, 5), other)):
        alone = MaskedLogisticRegression(0.3, **EXACT).fit(X, truth)
        np.testing.assert_allclose(
            softmax(logits[:, columns], axis=1), alone.predict_proba(X), atol=2e-4
        )


def test_label_sets_and_weights_go_together():
    X, y, origin = two_corpora()
    only_b = (origin == "b").astype(float)
    weighted = MaskedLogisticRegression(**EXACT).fit(X, y, only_b, label_set=origin)
    alone = MaskedLogisticRegression(**EXACT).fit(X[origin == "b"], y[origin == "b"])
    np.testing.assert_allclose(weighted.predict_proba(X), alone.predict_proba(X), atol=1e-4)


# --- what is refused ---


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"y": ["joy"] * 6}, r"y has 1 class \(joy\); a classifier needs samples of at least 2"),
        ({"sample_weight": [1, 1, -1, 1, 1, 1]}, "6 numbers, finite and not negative"),
        ({"sample_weight": [1, 1, np.nan, 1, 1, 1]}, "6 numbers, finite and not negative"),
        ({"sample_weight": np.zeros(6)}, "zero for every sample; at least one must count"),
        ({"sample_weight": np.ones(5)}, "sample_weight must be 6 numbers"),
        ({"label_set": ["a"] * 5}, "label_set has 5 entries for 6 samples"),
        ({"label_set": [["a", "b"]] * 6}, "label_set has 12 entries for 6 samples"),
        ({"X": [[1.0], [2.0], [np.nan], [3.0], [4.0], [5.0]]}, "contains NaN"),
        ({"X": np.zeros((6, 0))}, "0 feature"),
        ({"y": [0.5, 1.5, 2.5, 3.5, 4.5, 5.25]}, "Unknown label type"),
    ],
)
def test_what_is_refused(changed: dict[str, Any], message: str):
    given = {"X": np.arange(6.0)[:, None], "y": ["joy", "fear"] * 3} | changed
    with pytest.raises(ValueError, match=message):
        MaskedLogisticRegression().fit(**given)


def test_a_classifier_without_log_probabilities_says_so():
    class Bare(LogProbabilityClassifier):
        pass

    for method in ("predict_log_proba", "predict_proba", "predict"):
        with pytest.raises(NotImplementedError):
            getattr(Bare(), method)([[0.0]])
