"""Temperature scaling: distortions of known size, and speakers that stay together."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.special import log_softmax, softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks

from serein.errors import SettingError
from serein.evaluation.metrics import expected_calibration_error
from serein.models.calibration import TemperatureScaled, fit_temperature
from serein.models.linear import MaskedLogisticRegression
from serein.models.speaker_prior import SpeakerPrior

Array = npt.NDArray[Any]


@parametrize_with_checks(
    [TemperatureScaled(MaskedLogisticRegression())],
    expected_failed_checks=lambda estimator: {
        "check_sample_weight_equivalence_on_dense_data": "folds differ when samples are repeated",
    },
)
def test_scikit_learns_contract(estimator, check):
    check(estimator)


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
    found = fit_temperature(strength * log_probabilities, truth)
    assert found == pytest.approx(strength, rel=0.04)


def test_weights_count_as_repetitions():
    log_probabilities, truth = honest(300)
    times = np.random.default_rng(1).integers(0, 5, 300)
    weighted = fit_temperature(2 * log_probabilities, truth, times)
    repeated = fit_temperature(2 * log_probabilities.repeat(times, axis=0), truth.repeat(times))
    assert weighted == pytest.approx(repeated, rel=1e-4)
    assert weighted != pytest.approx(fit_temperature(2 * log_probabilities, truth), rel=1e-3)


@pytest.mark.parametrize(("right", "bound"), [(True, 0.05), (False, 20.0)])
def test_the_temperature_stays_within_bounds(right: bool, bound: float):
    log_probabilities = log_softmax(np.eye(3)[np.arange(30) % 3], axis=1)
    truth = (np.arange(30) + (not right)) % 3
    assert fit_temperature(log_probabilities, truth) == pytest.approx(bound, rel=0.01)


def test_impossible_answers_do_not_break_it():
    log_probabilities, truth = honest(200)
    log_probabilities[:5] = [0.0, -np.inf, -np.inf]
    truth[:5] = [0, 1, 2, 1, 2]
    before = log_probabilities.copy()
    assert 1.0 < fit_temperature(log_probabilities, truth) <= 20.0
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


def test_undefined_held_out_probabilities_are_refused():
    """They are not taken for samples that were never held out."""

    class Undefined(MaskedLogisticRegression):
        def predict_log_proba(self, X: Any) -> Any:
            found = super().predict_log_proba(X)
            found[np.asarray(X)[:, 0] > 1.0] = np.nan
            return found

    X, y, speakers = noisy_speakers(120, 4)
    count = (X[:, 0] > 1.0).sum()
    with pytest.raises(SettingError, match=f"gives NaN for {count} of 120 held-out samples"):
        TemperatureScaled(Undefined()).fit(X, y, groups=speakers)


def test_the_columns_of_a_fold_without_a_class_are_put_in_place():
    """Class 0 is one speaker's alone, so in one fold the columns of the others move."""
    generator = np.random.default_rng(0)
    y = generator.integers(1, 4, 400)
    speakers = np.arange(400) % 4
    y[(speakers == 0) & (generator.random(400) < 0.5)] = 0
    X = np.eye(4)[y] + 0.05 * generator.standard_normal((400, 4))
    fitted = TemperatureScaled(MaskedLogisticRegression(1.0)).fit(X, y, groups=speakers)
    assert fitted.temperature_ < 1.0  # all held-out predictions are right, so confidence may rise


def test_one_speaker_is_not_enough():
    X, y, _ = noisy_speakers(30, 3)
    with pytest.raises(ValueError, match="at least 2 speakers in the training data; got 1"):
        TemperatureScaled(MaskedLogisticRegression()).fit(X, y, groups=["ann"] * 30)


def test_speakers_who_share_no_class_cannot_calibrate():
    X, _, _ = noisy_speakers(30, 3)
    who = np.arange(30) % 3
    with pytest.raises(ValueError, match="a class that at least 2 speakers have; got none"):
        TemperatureScaled(MaskedLogisticRegression()).fit(X, who, groups=who)


# --- groups, augmented data, votes ---


class Recorder(ClassifierMixin, BaseEstimator):
    """Predicts the second and third feature as log probabilities; keeps what it was given."""

    fits: list[dict[str, Array]] = []  # noqa: RUF012

    def fit(self, X: Array, y: Array, groups: Array, sample_weight: Array | None = None) -> Any:
        Recorder.fits.append({"row": X[:, 0], "groups": groups, "sample_weight": sample_weight})
        self.classes_ = np.unique(y)
        return self

    def predict_log_proba(self, X: Array) -> Array:
        return X[:, 1:3]

    def predict(self, X: Array) -> Array:
        return self.classes_[X[:, 1:3].argmax(axis=1)]


def labelled(samples: int = 400, strength: float = 3.0) -> tuple[Array, Array, Array]:
    """Row number and, too sure by a known strength, log probabilities of two classes."""
    generator = np.random.default_rng(2)
    honest_ones = log_softmax(1.5 * generator.standard_normal((samples, 2)), axis=1)
    truth = (generator.random(samples) > np.exp(honest_ones[:, 0])).astype(int)
    X = np.column_stack([np.arange(samples), strength * honest_ones])
    return X, truth, np.arange(samples) % 5


@pytest.fixture
def listened() -> list[dict[str, Array]]:
    Recorder.fits.clear()
    return Recorder.fits


def test_groups_are_passed_on_to_a_classifier_that_takes_them(listened: list[dict[str, Array]]):
    X, y, speakers = labelled()
    TemperatureScaled(Recorder(), folds=5).fit(X, y, groups=speakers, sample_weight=X[:, 0] + 1)
    assert len(listened) == 6
    for given in listened:
        rows = given["row"].astype(int)
        np.testing.assert_array_equal(given["groups"], speakers[rows])
        np.testing.assert_array_equal(given["sample_weight"], rows + 1)
    assert [len(set(given["groups"].tolist())) for given in listened] == [5, 4, 4, 4, 4, 4]


def test_copies_are_learnt_from_but_do_not_set_the_temperature(listened: list[dict[str, Array]]):
    X, y, speakers = labelled()
    plain = TemperatureScaled(Recorder()).fit(X, y, groups=speakers)
    assert plain.temperature_ == pytest.approx(3.0, rel=0.3)
    wrong = np.column_stack([1000 + X[:, 0], 20 * (1 - y), 20 * y]) * [1, -1, -1]
    both = {
        "X": np.vstack([X, wrong]),
        "y": np.append(y, y),
        "groups": np.append(speakers, speakers),
    }
    is_augmented = np.arange(2 * len(y)) >= len(y)
    listened.clear()
    marked = TemperatureScaled(Recorder()).fit(**both, is_augmented=is_augmented)
    assert marked.temperature_ == plain.temperature_
    assert TemperatureScaled(Recorder()).fit(**both).temperature_ > 2 * plain.temperature_
    assert set(listened[0]["row"].tolist()) == set(both["X"][:, 0].tolist())
    for given in listened[1:6]:  # a copy is where its parent is
        rows = given["row"]
        assert set((rows[rows >= 1000] - 1000).tolist()) == set(rows[rows < 1000].tolist())


def test_a_speaker_of_copies_alone_is_heard_and_sets_nothing(listened: list[dict[str, Array]]):
    X, y, speakers = labelled()
    is_augmented = speakers == 0
    fitted = TemperatureScaled(Recorder()).fit(X, y, groups=speakers, is_augmented=is_augmented)
    rest = TemperatureScaled(Recorder()).fit(
        X[~is_augmented], y[~is_augmented], groups=speakers[~is_augmented]
    )
    assert len(listened[0]["row"]) == len(y)
    assert fitted.temperature_ == pytest.approx(rest.temperature_, rel=1e-4)


def test_copies_alone_cannot_calibrate():
    X, y, speakers = labelled(40)
    with pytest.raises(ValueError, match="a class that at least 2 speakers have; got none"):
        TemperatureScaled(Recorder()).fit(X, y, groups=speakers, is_augmented=np.ones(40, bool))


@pytest.mark.parametrize(
    "voters",
    [
        RandomForestClassifier(5, max_depth=4, random_state=0),
        KNeighborsClassifier(3),
        KNeighborsClassifier(1),
        VotingClassifier([("knn", KNeighborsClassifier(3))], voting="soft"),
        VotingClassifier(
            [("linear", LogisticRegression()), ("knn", KNeighborsClassifier(3))], voting="soft"
        ),
    ],
    ids=["forest", "knn", "one neighbour", "voting", "voting of two"],
)
def test_votes_of_zero_are_calibrated_without_a_warning(voters: Any):
    """Warnings are errors here, so a logarithm of 0 that is not expected would fail."""
    X, y, speakers = noisy_speakers(96, 3)
    unseen, _, _ = noisy_speakers(60, 3, seed=1)
    fitted = TemperatureScaled(voters, folds=3).fit(X, y, groups=speakers)
    raw, probabilities = fitted.estimator_.predict_proba(unseen), fitted.predict_proba(unseen)
    assert np.isfinite(fitted.temperature_)
    assert np.isfinite(probabilities).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    np.testing.assert_array_equal(probabilities == 0, raw == 0)
    np.testing.assert_array_equal(fitted.predict(unseen), fitted.estimator_.predict(unseen))
    voted = raw > 0
    expected = np.where(voted, raw, 0) ** (1 / fitted.temperature_)
    np.testing.assert_allclose(probabilities, expected / expected.sum(axis=1, keepdims=True))


def test_votes_of_zero_for_the_true_class_lower_the_confidence():
    """Never fooled, and fooled by every tenth sample: the latter must be less sure."""
    sure = np.where(np.eye(2)[np.arange(100) % 2] == 1, np.log(0.95), np.log(0.05))
    truth, fooled = np.arange(100) % 2, sure.copy()
    fooled[::10] = np.where(np.eye(2)[truth[::10]] == 1, -np.inf, 0.0)
    assert fit_temperature(fooled, truth) > 2 * fit_temperature(sure, truth)


# --- how speakers differ ---


def test_how_speakers_differ_is_learnt_from_the_calibrated_held_out_answers():
    """What `Recorder` predicts for a row is the same in every fold, so all of it is known."""
    X, y, speakers = labelled()
    fitted = TemperatureScaled(Recorder(), folds=5).fit(X, y, groups=speakers)
    cooled = softmax(X[:, 1:3] / fitted.temperature_, axis=1)
    expected = SpeakerPrior.estimate(cooled, y, speakers)
    for name in ("means", "within", "between"):
        found = getattr(fitted.speaker_prior_, name)
        np.testing.assert_allclose(found, getattr(expected, name), atol=1e-9)
    raw = SpeakerPrior.estimate(softmax(X[:, 1:3], axis=1), y, speakers)
    assert np.abs(raw.means - expected.means).max() > 0.5


def test_what_was_learnt_from_shows_no_speaker():
    """Predictions for training speakers differ from those for unseen ones."""
    X, y, speakers = noisy_speakers(240, 100)
    fitted = TemperatureScaled(MaskedLogisticRegression(C=100.0)).fit(X, y, groups=speakers)
    by_heart = SpeakerPrior.estimate(fitted.predict_proba(X), y, speakers)
    assert np.trace(fitted.speaker_prior_.means) < 0.6 * np.trace(by_heart.means)


def test_copies_and_weights_do_not_tell_how_speakers_differ():
    X, y, speakers = labelled()
    plain = TemperatureScaled(Recorder()).fit(X, y, groups=speakers)
    wrong = np.column_stack([1000 + X[:, 0], 20 * y, 20 * (1 - y)])
    marked = TemperatureScaled(Recorder()).fit(
        np.vstack([X, wrong]),
        np.append(y, y),
        groups=np.append(speakers, speakers),
        is_augmented=np.arange(2 * len(y)) >= len(y),
        sample_weight=np.ones(2 * len(y)),
    )
    assert marked.speaker_prior_.to_dict() == plain.speaker_prior_.to_dict()


def test_without_groups_nothing_is_known_of_speakers():
    X, y, speakers = noisy_speakers(120, 4)
    assert TemperatureScaled(MaskedLogisticRegression()).fit(X, y).speaker_prior_ is None
    told_who = TemperatureScaled(MaskedLogisticRegression()).fit(X, y, groups=speakers)
    assert told_who.speaker_prior_.means.shape == (3, 3)


def test_if_a_class_was_never_held_out_nothing_is_known_of_speakers():
    X, y, speakers = noisy_speakers(240, 4)
    y = y.copy()
    y[np.flatnonzero(speakers == 0)[:3]] = 3
    fitted = TemperatureScaled(MaskedLogisticRegression()).fit(X, y, groups=speakers)
    assert fitted.speaker_prior_ is None
    y[np.flatnonzero(speakers < 3)[:6]] = 3  # of speakers who are in other folds
    again = TemperatureScaled(MaskedLogisticRegression()).fit(X, y, groups=speakers)
    assert again.speaker_prior_.means.shape == (4, 4)
