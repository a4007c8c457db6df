"""Masked ridge: scikit-learn as oracle, and what a label set does and must not touch."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.special import softmax
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from serein.models.ridge import LOGIT_SCALE, MaskedRidge, moments_of

Array = npt.NDArray[Any]

NOT_MET = {
    "check_sample_weight_equivalence_on_dense_data": (
        "asks for seven digits; all is float32. test_integer_weights_are_repetitions asks for three"
    ),
}


def corpus(samples: int, features: int, classes: int, seed: int = 0) -> tuple[Array, Array]:
    """Samples around one centre a class, on features of different scale and offset."""
    generator = np.random.default_rng(seed)
    y = np.arange(samples) % classes
    centres = generator.standard_normal((classes, features))
    X = centres[y] + 1.5 * generator.standard_normal((samples, features))
    return X * generator.uniform(0.1, 10, features) + generator.uniform(-5, 5, features), y


def theirs(
    X: Array, y: Array, alpha: float, weight: Array | None = None
) -> tuple[Array, Array, Array]:
    """Coefficients and intercepts of scikit-learn, and the scaled features they are for."""
    weight = np.ones(len(y)) if weight is None else weight
    scaled = StandardScaler().fit_transform(X, sample_weight=weight)
    classes = int(y.max()) + 1
    target = np.where(np.eye(classes)[y] == 1, 1.0, -1.0 / (classes - 1))
    ridge = Ridge(alpha=alpha * X.shape[1] * weight.sum())
    ridge.fit(scaled, target, sample_weight=weight)
    return LOGIT_SCALE * ridge.coef_, LOGIT_SCALE * ridge.intercept_, scaled


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@parametrize_with_checks([MaskedRidge()], expected_failed_checks=lambda estimator: NOT_MET)
def test_scikit_learns_contract(estimator, check):
    check(estimator)


SHAPES = [(150, 6, 4), (150, 6, 2), (60, 60, 3), (40, 150, 4), (24, 900, 2)]


@pytest.mark.parametrize("alpha", [5e-4, 0.05])
@pytest.mark.parametrize(("samples", "features", "classes"), SHAPES)
def test_equals_scikit_learn(samples: int, features: int, classes: int, alpha: float):
    X, y = corpus(samples, features, classes)
    coef, intercept, scaled = theirs(X, y, alpha)
    fitted = MaskedRidge(alpha).fit(X, y)
    np.testing.assert_allclose(fitted.coef_, coef, atol=1e-3)
    np.testing.assert_allclose(fitted.intercept_, intercept, atol=1e-3)
    np.testing.assert_allclose(
        fitted.predict_proba(X), softmax(scaled @ coef.T + intercept, axis=1), atol=1e-3
    )
    assert np.ptp(fitted.predict_proba(X)[:, 0]) > 0.3


def test_equals_scikit_learn_with_weights():
    X, y = corpus(120, 30, 4)
    weight = np.random.default_rng(1).uniform(0, 3, len(y))
    coef, intercept, _ = theirs(X, y, 5e-4, weight)
    fitted = MaskedRidge(5e-4).fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(fitted.coef_, coef, atol=1e-3)
    np.testing.assert_allclose(fitted.intercept_, intercept, atol=1e-3)
    assert np.abs(fitted.coef_ - theirs(X, y, 5e-4)[0]).max() > 0.1


@pytest.mark.parametrize("with_label_set", [False, True])
@pytest.mark.parametrize("features", [5, 200])
def test_integer_weights_are_repetitions(features: int, with_label_set: bool):
    """Also for the regularisation strength, which grows with the sum of all weights."""
    X, y = corpus(60, features, 3)
    times = np.random.default_rng(1).integers(0, 4, len(y))
    origin = np.where((np.arange(60) < 30) & (y < 2), "a", "b")
    changed = {"label_set": origin} if with_label_set else {}
    often = {name: values.repeat(times) for name, values in changed.items()}
    weighted = MaskedRidge(0.01).fit(X, y, sample_weight=times, **changed)
    repeated = MaskedRidge(0.01).fit(np.repeat(X, times, axis=0), y.repeat(times), **often)
    plain = MaskedRidge(0.01).fit(X, y, **changed)
    unseen, _ = corpus(60, features, 3, seed=1)
    given = weighted.predict_proba(unseen)
    np.testing.assert_allclose(given, repeated.predict_proba(unseen), atol=1e-3)
    assert np.abs(given - plain.predict_proba(unseen)).max() > 0.05


@pytest.mark.parametrize("factor", [1e-6, 7.0, 1e6])
def test_only_the_ratio_of_weights_counts(factor: float):
    X, y = corpus(60, 20, 3)
    weight = np.random.default_rng(1).uniform(0.5, 2, len(y))
    once = MaskedRidge().fit(X, y, weight)
    scaled = MaskedRidge().fit(X, y, factor * weight)
    np.testing.assert_allclose(scaled.predict_proba(X), once.predict_proba(X), atol=1e-3)


def test_copies_of_all_samples_change_nothing():
    X, y = corpus(60, 20, 3)
    once, thrice = MaskedRidge().fit(X, y), MaskedRidge().fit(np.tile(X, (3, 1)), np.tile(y, 3))
    np.testing.assert_allclose(thrice.predict_proba(X), once.predict_proba(X), atol=1e-3)


def test_a_stronger_alpha_makes_smaller_weights():
    X, y = corpus(60, 40, 3)
    sizes = [np.linalg.norm(MaskedRidge(alpha).fit(X, y).coef_) for alpha in (1e-4, 0.01, 1.0)]
    assert sizes[0] > 1.5 * sizes[1] > 3 * sizes[2]
    assert sizes[2] > 0


def test_a_feature_that_never_varies_only_shares_in_the_alpha():
    """It counts as a feature, and its weight is 0."""
    X, y = corpus(60, 4, 3)
    with_constant = MaskedRidge(4 * 0.01).fit(np.column_stack([X, np.full(len(y), 1e6)]), y)
    without = MaskedRidge(5 * 0.01).fit(X, y)
    np.testing.assert_allclose(with_constant.coef_[:, :4], without.coef_, atol=1e-3)
    np.testing.assert_allclose(with_constant.coef_[:, 4], 0, atol=1e-6)


def test_probabilities_follow_classes():
    X, y = corpus(90, 4, 3)
    names = np.array(["fear", "anger", "joy"])[y]
    fitted = MaskedRidge().fit(X, names)
    assert fitted.classes_.tolist() == ["anger", "fear", "joy"]
    probabilities = fitted.predict_proba(X)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    np.testing.assert_allclose(np.log(probabilities), fitted.predict_log_proba(X))
    np.testing.assert_allclose(softmax(fitted.decision_function(X), axis=1), probabilities)
    assert (fitted.classes_[probabilities.argmax(axis=1)] == fitted.predict(X)).all()
    assert np.mean(fitted.predict(X) == names) > 0.7
    by_number = MaskedRidge().fit(X, y).predict_proba(X)
    np.testing.assert_allclose(by_number[:, [1, 0, 2]], probabilities, atol=1e-3)


def test_what_moves_all_of_a_speakers_vectors_moves_all_logits_alike():
    """Logits are linear also where they are large, which adaptation to a speaker lives on."""
    X, y = corpus(90, 4, 3)
    fitted = MaskedRidge().fit(X, y)
    own = 3 * fitted.scale_ * np.array([1.0, -1.0, 0.5, 2.0])
    moved = fitted.decision_function(X + own) - fitted.decision_function(X)
    np.testing.assert_allclose(moved, np.tile(moved[0], (90, 1)), atol=1e-9)
    assert np.abs(moved[0]).max() > 1


# --- label sets ---


@pytest.mark.parametrize("features", [5, 120])
def test_one_label_set_for_all_equals_none(features: int):
    X, y = corpus(60, features, 3)
    masked = MaskedRidge().fit(X, y, label_set=["a"] * len(y))
    plain = MaskedRidge().fit(X, y)
    np.testing.assert_array_equal(masked.coef_, plain.coef_)
    np.testing.assert_array_equal(masked.intercept_, plain.intercept_)


def test_corpora_with_the_same_classes_equal_none():
    X, y = corpus(60, 5, 3)
    masked = MaskedRidge().fit(X, y, label_set=np.repeat(["a", "b"], 30))
    np.testing.assert_array_equal(masked.coef_, MaskedRidge().fit(X, y).coef_)


def two_corpora() -> tuple[Array, Array, Array]:
    """Corpus "b" holds classes 0, 1, 2; corpus "a", larger, lacks 2 and lies where 2 is."""
    generator = np.random.default_rng(0)
    centres = np.array([[0.0, 3.0], [0.0, -3.0], [3.0, 0.0]])
    y_b = np.arange(60) % 3
    y_a = np.arange(240) % 2
    X_b = centres[y_b] + 0.7 * generator.standard_normal((60, 2))
    X_a = [3.0, 0.0] + 0.3 * centres[y_a] + 0.7 * generator.standard_normal((240, 2))
    return np.concatenate([X_b, X_a]), np.append(y_b, y_a), np.repeat(["b", "a"], [60, 240])


def test_each_class_is_fitted_on_the_corpora_that_have_it_alone():
    """The others only change the scaling and, by their number, the regularisation."""
    X, y, origin = two_corpora()
    fitted = MaskedRidge(0.01).fit(X, y, label_set=origin)
    scaled = (X - fitted.mean_) / fitted.scale_
    of_others = np.where(origin == "a", -1.0, -0.5)  # -1 / (classes - 1) of the sample's corpus
    for number, rows in ((0, slice(None)), (1, slice(None)), (2, origin == "b")):
        target = np.where(y == number, 1.0, of_others)
        alone = Ridge(alpha=0.01 * 2 * 300).fit(scaled[rows], target[rows])
        np.testing.assert_allclose(fitted.coef_[number], 8 * alone.coef_, atol=1e-3)
        np.testing.assert_allclose(fitted.intercept_[number], 8 * alone.intercept_, atol=1e-3)
    plain = MaskedRidge(0.01).fit(X, y)
    assert np.abs(plain.coef_ - fitted.coef_).max() > 0.5


def test_clips_of_a_corpus_without_a_class_do_not_crowd_it_out():
    X, y, origin = two_corpora()
    own = (origin == "b") & (y == 2)
    masked = MaskedRidge().fit(X, y, label_set=origin)
    plain = MaskedRidge().fit(X, y)
    assert np.mean(masked.predict(X[own]) == 2) > 0.9
    assert np.mean(plain.predict(X[own]) == 2) < 0.6


@pytest.mark.parametrize("features", [4, 120])
def test_corpora_without_a_common_class_are_learnt_as_if_alone(features: int):
    """Each with the regularisation of all: here twice its own, for both are equally large."""
    X, y = corpus(50, features, 2)
    other = np.random.default_rng(3).permutation(np.arange(50) % 3)
    both = MaskedRidge(0.01).fit(
        np.concatenate([X, X]), np.append(y, 2 + other), label_set=np.repeat(["a", "b"], 50)
    )
    for columns, truth in ((slice(0, 2), y), (slice(2, 5), other)):
        alone = MaskedRidge(2 * 0.01).fit(X, truth)
        np.testing.assert_allclose(both.coef_[columns], alone.coef_, atol=1e-3)
        np.testing.assert_allclose(both.intercept_[columns], alone.intercept_, atol=1e-3)


def test_the_alpha_is_a_share_of_all_weights():
    """Of two corpora without a common class the one that counts 1 in 5 bears 5 times its own."""
    X, y = corpus(50, 6, 2)
    both = MaskedRidge(0.01).fit(
        np.concatenate([X, X]),
        np.append(y, 2 + y),
        np.repeat([1.0, 4.0], 50),
        label_set=np.repeat(["a", "b"], 50),
    )
    for columns, share in ((slice(0, 2), 1 / 5), (slice(2, 4), 4 / 5)):
        alone = MaskedRidge(0.01 / share).fit(X, y)
        np.testing.assert_allclose(both.coef_[columns], alone.coef_, atol=1e-3)


def test_label_sets_and_weights_go_together():
    X, y, origin = two_corpora()
    only_b = (origin == "b").astype(float)
    weighted = MaskedRidge().fit(X, y, only_b, label_set=origin)
    alone = MaskedRidge().fit(X[origin == "b"], y[origin == "b"])
    np.testing.assert_allclose(weighted.predict_proba(X), alone.predict_proba(X), atol=1e-3)


def test_a_class_whose_corpora_do_not_count_is_not_learnt():
    X, y, origin = two_corpora()
    fitted = MaskedRidge().fit(X, y, (origin == "a").astype(float), label_set=origin)
    alone = MaskedRidge().fit(X[origin == "a"], y[origin == "a"])
    np.testing.assert_allclose(fitted.coef_[:2], alone.coef_, atol=1e-3)
    np.testing.assert_array_equal(fitted.coef_[2], 0)
    assert fitted.intercept_[2] == 0


def test_a_corpus_of_a_single_class_can_be_learnt_from():
    X, y = corpus(60, 6, 3)
    more, _ = corpus(20, 6, 3, seed=1)
    fitted = MaskedRidge().fit(
        np.concatenate([X, more]), np.append(y, [2] * 20), label_set=["a"] * 60 + ["b"] * 20
    )
    assert np.isfinite(fitted.coef_).all()
    assert np.mean(fitted.predict(X) == y) > 0.7


@pytest.mark.parametrize("features", [6, 200])
def test_what_is_learnt_from_sums_is_what_is_learnt_from_samples(features: int):
    """Also where a corpus lacks a class; of blocks of samples, less some centre."""
    X, y = corpus(120, features, 3)
    origin = np.where((np.arange(120) < 60) & (y < 2), "a", "b")
    weight = np.random.default_rng(1).uniform(0.2, 2, len(y))
    fitted = MaskedRidge(0.01).fit(X, y, weight, label_set=origin)
    centre = X.mean(axis=0) + X.std(axis=0)
    blocks = [(origin == name) & (np.arange(120) % 2 == n) for name in "ab" for n in (0, 1)]
    possible = {"a": np.array([True, True, False]), "b": np.ones(3, bool)}
    parts = [
        moments_of(X[mine] - centre, y[mine], weight[mine], possible[origin[mine][0]])
        for mine in blocks
    ]
    summed = MaskedRidge(0.01).fit_moments(parts, centre, fitted.classes_)
    np.testing.assert_allclose(summed.predict_proba(X), fitted.predict_proba(X), atol=1e-3)
    without = MaskedRidge(0.01).fit_moments(parts[:2], centre, fitted.classes_)
    assert set(without.predict(X)) == {0, 1}


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
        ({"X": np.zeros((5, 1))}, "inconsistent numbers of samples"),
        ({"y": [0.5, 1.5, 2.5, 3.5, 4.5, 5.25]}, "Unknown label type"),
    ],
)
def test_what_is_refused(changed: dict[str, Any], message: str):
    given = {"X": np.arange(6.0)[:, None], "y": ["joy", "fear"] * 3} | changed
    with pytest.raises(ValueError, match=message):
        MaskedRidge().fit(**given)
