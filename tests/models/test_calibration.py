"""Temperature scaling: distortions of known size, and speakers that stay together."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.special import log_softmax
from sklearn.base import BaseEstimator, ClassifierMixin

from serein.evaluation.metrics import expected_calibration_error
from serein.models.calibration import TemperatureScaled, likeliest_temperature
from serein.models.linear import MaskedLogisticRegression

Array = npt.NDArray[Any]


def honest(samples: int, seed: int = 0) -> tuple[Array, Array]:
    """Log probabilities of three classes, and classes drawn with just these probabilities."""
    generator = np.random.default_rng(seed)
    log_probabilities = log_softmax(1.5 * generator.standard_normal((samples, 3)), axis=1)
    level = generator.random(samples)[:, None]
    truth = (level > np.exp(log_probabilities).cumsum(axis=1)).sum(axis=1)
    return log_probabilities, np.minimum(truth, 2)


def noisy_speakers(samples: int, features: int, seed: int = 0) -> tuple[Array, Array, Array]:
    """Three classes that two features tell apart and the others do not, by eight speakers."""
    generator = np.random.default_rng(seed)
    X = generator.standard_normal((samples, features))
    level = X[:, 0] + X[:, 1] + 0.8 * generator.standard_normal(samples)
    return X, np.digitize(level, [-0.7, 0.7]), np.arange(samples) % 8


@pytest.mark.parametrize("strength", [0.25, 1.0, 3.0, 10.0])
def test_a_known_distortion_is_undone(strength: float):
    log_probabilities, truth = honest(20_000)
    found = likeliest_temperature(strength * log_probabilities, truth)
    assert found == pytest.approx(strength, rel=0.04)


def test_weights_count_as_repetitions():
    log_probabilities, truth = honest(300)
    times = np.random.default_rng(1).integers(0, 5, 300)
    weighted = likeliest_temperature(2 * log_probabilities, truth, times)
    repeated = likeliest_temperature(
        2 * log_probabilities.repeat(times, axis=0), truth.repeat(times)
    )
    assert weighted == pytest.approx(repeated, rel=1e-4)
    assert weighted != pytest.approx(likeliest_temperature(2 * log_probabilities, truth), rel=1e-3)


@pytest.mark.parametrize(("right", "bound"), [(True, 0.05), (False, 20.0)])
def test_the_temperature_stays_within_bounds(right: bool, bound: float):
    log_probabilities = log_softmax(np.eye(3)[np.arange(30) % 3], axis=1)
    truth = (np.arange(30) + (not right)) % 3
    assert likeliest_temperature(log_probabilities, truth) == pytest.approx(bound, rel=0.01)


def test_impossible_answers_do_not_break_it():
    log_probabilities, truth = honest(200)
    log_probabilities[:5] = [0.0, -np.inf, -np.inf]
    truth[:5] = [0, 1, 2, 1, 2]
    before = log_probabilities.copy()
    assert 1.0 < likeliest_temperature(log_probabilities, truth) <= 20.0
    np.testing.assert_array_equal(log_probabilities, before)


def test_no_speaker_is_on_both_sides_of_an_inner_fold():
    fits: list[set[float]] = []
    asked: list[tuple[set[float], set[float]]] = []

    class Spy(ClassifierMixin, BaseEstimator):
        """Takes the first feature for the speaker, and writes down who it meets."""

        def fit(self, X: Array, y: Array, tag: Array) -> "Spy":
            np.testing.assert_array_equal(X[:, 1], tag)
            self.heard_ = set(X[:, 0].tolist())
            fits.append(self.heard_)
            self.classes_ = np.unique(y)
            return self

        def predict_log_proba(self, X: Array) -> Array:
            asked.append((self.heard_, set(X[:, 0].tolist())))
            return np.log(np.full((len(X), len(self.classes_)), 1 / len(self.classes_)))

    generator = np.random.default_rng(0)
    speakers = generator.integers(0, 11, 200)
    X = np.column_stack([speakers, np.arange(200)])
    y = generator.integers(0, 3, 200)
    fitted = TemperatureScaled(Spy(), folds=4).fit(X, y, groups=speakers, tag=np.arange(200))
    assert len(fits) == 5
    assert fitted.estimator_.heard_ == set(range(11))
    assert len(asked) == 4
    for trained, tested in asked:
        assert trained.isdisjoint(tested)
        assert trained | tested == set(range(11))
    assert sorted(speaker for _, tested in asked for speaker in tested) == list(range(11))


def test_there_are_no_more_folds_than_speakers():
    X, y, _ = noisy_speakers(60, 3)
    fitted = TemperatureScaled(MaskedLogisticRegression(), folds=5)
    assert fitted.fit(X, y, groups=np.arange(60) % 2).temperature_ > 0


def test_the_answer_stays_and_its_confidence_changes():
    X, y, speakers = noisy_speakers(120, 40)
    fitted = TemperatureScaled(MaskedLogisticRegression(C=100.0)).fit(X, y, groups=speakers)
    raw = fitted.estimator_
    np.testing.assert_array_equal(fitted.predict(X), raw.predict(X))
    probabilities = fitted.predict_proba(X)
    np.testing.assert_array_equal(fitted.classes_[probabilities.argmax(axis=1)], raw.predict(X))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    np.testing.assert_allclose(
        fitted.predict_log_proba(X),
        log_softmax(raw.predict_log_proba(X) / fitted.temperature_, axis=1),
    )
    assert fitted.temperature_ > 1.2
    assert (probabilities.max(axis=1) < raw.predict_proba(X).max(axis=1)).all()


def test_an_overconfident_classifier_is_calibrated_on_voices_it_never_heard():
    X, y, speakers = noisy_speakers(160, 60)
    unseen, truth, _ = noisy_speakers(3000, 60, seed=1)
    fitted = TemperatureScaled(MaskedLogisticRegression(C=100.0)).fit(X, y, groups=speakers)
    before = expected_calibration_error(truth, fitted.estimator_.predict_proba(unseen))
    after = expected_calibration_error(truth, fitted.predict_proba(unseen))
    assert before > 0.2
    assert after < before / 3


def test_a_class_of_one_speaker_does_not_spoil_the_confidence_of_the_others():
    X, y, speakers = noisy_speakers(240, 4)
    usual = TemperatureScaled(MaskedLogisticRegression(1.0)).fit(X, y, groups=speakers)
    y = y.copy()
    y[np.flatnonzero(speakers == 0)[:3]] = 3
    fitted = TemperatureScaled(MaskedLogisticRegression(1.0)).fit(
        X, y, groups=speakers, sample_weight=np.ones(240)
    )
    assert fitted.classes_.tolist() == [0, 1, 2, 3]
    assert np.isfinite(fitted.predict_log_proba(X)).all()
    assert fitted.temperature_ == pytest.approx(usual.temperature_, rel=0.15)


def test_the_columns_of_a_fold_without_a_class_are_put_in_place():
    """Class 0 is one speaker's alone, so in one fold the columns of the others move."""
    generator = np.random.default_rng(0)
    y = generator.integers(1, 4, 400)
    speakers = np.arange(400) % 4
    y[(speakers == 0) & (generator.random(400) < 0.5)] = 0
    X = np.eye(4)[y] + 0.05 * generator.standard_normal((400, 4))
    fitted = TemperatureScaled(MaskedLogisticRegression(1.0)).fit(X, y, groups=speakers)
    assert fitted.temperature_ < 1.0  # all held-out answers are right, so it may be surer


def test_one_speaker_is_not_enough():
    X, y, _ = noisy_speakers(30, 3)
    with pytest.raises(ValueError, match="at least 2 speakers in the training data; got 1"):
        TemperatureScaled(MaskedLogisticRegression()).fit(X, y, groups=["ann"] * 30)


def test_speakers_who_share_no_class_cannot_calibrate():
    X, _, _ = noisy_speakers(30, 3)
    who = np.arange(30) % 3
    with pytest.raises(ValueError, match="a class that at least 2 speakers have; got none"):
        TemperatureScaled(MaskedLogisticRegression()).fit(X, who, groups=who)
