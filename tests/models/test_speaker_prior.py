"""Adaptation to a speaker: planted vectors are found, and a single emotion is not taken for one."""

import json
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.special import softmax

from serein.models.speaker_prior import SpeakerPrior, remove_bias

Array = npt.NDArray[Any]
EMOTIONS = 5
MEANS = 3.0 * np.eye(EMOTIONS) - 3.0 / EMOTIONS


def speaker(
    generator: np.random.Generator, own: Array, emotions: Array, *, within: float = 0.6
) -> Array:
    """Predictions for utterances of a speaker: means of the emotions, speaker bias and noise."""
    noise = within * generator.standard_normal((len(emotions), EMOTIONS))
    return softmax(MEANS[emotions] + own + noise, axis=1)


def vectors(generator: np.random.Generator, speakers: int) -> Array:
    """Speakers' own vectors, each with mean 0."""
    own = 0.8 * generator.standard_normal((speakers, EMOTIONS))
    return own - own.mean(axis=1, keepdims=True)


def training(speakers: int = 40, each: int = 6) -> tuple[Array, Array, Array, Array]:
    """Predictions, truth and speakers of a training set, and the vectors planted in it."""
    generator = np.random.default_rng(0)
    own = vectors(generator, speakers)
    own -= own.mean(axis=0)  # what all speakers had in common would be taken for the emotions'
    emotions = np.arange(EMOTIONS).repeat(each)
    predictions = [speaker(generator, vector, emotions) for vector in own]
    truth, who = np.tile(emotions, speakers), np.arange(speakers).repeat(len(emotions))
    return np.concatenate(predictions), truth, who, own


@pytest.fixture(scope="module")
def prior() -> SpeakerPrior:
    predictions, truth, who, _ = training()
    return SpeakerPrior.estimate(predictions, truth, who)


def error(prior: SpeakerPrior, utterances: int, speakers: int = 60) -> float:
    """Mean distance from the planted vector to the one found, of emotions drawn at random."""
    generator = np.random.default_rng(7)
    away = []
    for own in vectors(generator, speakers):
        emotions = generator.integers(0, EMOTIONS, utterances)
        away.append(np.linalg.norm(prior.bias(speaker(generator, own, emotions)) - own))
    return float(np.mean(away))


# --- what is learnt ---


def test_means_and_covariances_are_those_that_were_planted(prior: SpeakerPrior):
    _, _, _, own = training()
    np.testing.assert_allclose(prior.means, MEANS, atol=0.15)
    np.testing.assert_allclose(prior.means.sum(axis=1), 0, atol=1e-9)
    plane = np.eye(EMOTIONS) - 1 / EMOTIONS  # centred: the noise lies in a plane
    np.testing.assert_allclose(prior.within, 0.6**2 * plane, atol=0.05)
    np.testing.assert_allclose(prior.between, np.cov(own.T, bias=True), atol=0.1)


def test_two_speakers_by_hand():
    """Of one utterance an emotion and speaker all can be counted."""
    own = np.array([0.5, -0.5])
    logits = np.array([[2.0, 0.0], [0.0, 2.0]])
    predictions = softmax(np.concatenate([logits + own, logits - own]), axis=1)
    found = SpeakerPrior.estimate(predictions, [0, 1, 0, 1], ["ann", "ann", "bob", "bob"])
    np.testing.assert_allclose(found.means, [[1.0, -1.0], [-1.0, 1.0]])
    np.testing.assert_allclose(found.within, np.zeros((2, 2)), atol=1e-12)
    np.testing.assert_allclose(found.between, [[0.25, -0.25], [-0.25, 0.25]])


def test_a_class_that_does_not_occur_is_refused():
    predictions, truth, who, _ = training(4)
    heard = truth != 3
    with pytest.raises(ValueError, match="a class has no utterance"):
        SpeakerPrior.estimate(predictions[heard], truth[heard], who[heard])


def test_a_single_training_speaker_teaches_that_speakers_do_not_differ():
    predictions, truth, who, _ = training(1)
    found = SpeakerPrior.estimate(predictions, truth, who)
    generator = np.random.default_rng(1)
    own = vectors(generator, 1)[0]
    bias = found.bias(speaker(generator, own, np.arange(EMOTIONS).repeat(8)))
    assert np.linalg.norm(bias) < 0.05 * np.linalg.norm(own)


# --- a new speaker ---


def test_a_planted_vector_is_found_if_all_emotions_are_heard(prior: SpeakerPrior):
    generator = np.random.default_rng(1)
    for own in vectors(generator, 20):
        emotions = np.arange(EMOTIONS).repeat(12)
        bias = prior.bias(speaker(generator, own, emotions))
        assert np.linalg.norm(bias - own) < 0.4
        assert bias @ own > 0.95 * np.linalg.norm(bias) * np.linalg.norm(own)


@pytest.mark.parametrize("each", [1, 4, 50])
def test_if_all_emotions_are_heard_as_often_it_is_their_shrunken_mean(each: int):
    """How far it is shrunken, by hand: all covariances are multiples of the same matrix."""
    plane = np.eye(EMOTIONS) - 1 / EMOTIONS
    between, within, emotions = 0.64, 0.36, 3.0**2 / EMOTIONS
    prior = SpeakerPrior(MEANS, within * plane, between * plane)
    own = np.array([0.4, -0.3, 0.2, 0.1, -0.4])
    bias = prior.bias(softmax(np.tile(MEANS + own, (each, 1)), axis=1))
    noise = (within + emotions) / (EMOTIONS * each)
    np.testing.assert_allclose(bias, own * between / (between + noise), rtol=0.03)


def test_what_is_taken_off_helps(prior: SpeakerPrior):
    """Biases as large as the emotions are apart make many predictions wrong, until removed."""
    generator = np.random.default_rng(2)
    before, after = [], []
    for own in 2 * vectors(generator, 30):
        emotions = generator.integers(0, EMOTIONS, 40)
        predictions = speaker(generator, own, emotions)
        righted = remove_bias(predictions, prior.bias(predictions))
        before.append(np.mean(predictions.argmax(axis=1) == emotions))
        after.append(np.mean(righted.argmax(axis=1) == emotions))
    assert np.mean(before) < 0.9
    assert 1 - np.mean(after) < 0.35 * (1 - np.mean(before))


@pytest.mark.parametrize("emotion", range(EMOTIONS))
def test_a_speaker_of_one_emotion_stays_as_they_are(prior: SpeakerPrior, emotion: int):
    generator = np.random.default_rng(emotion)
    planted, found = [], []
    for own in vectors(generator, 30):
        bias = prior.bias(speaker(generator, own, np.full(30, emotion)))
        planted.append(np.linalg.norm(own))
        found.append(np.linalg.norm(bias))
    assert np.mean(found) < 0.02 * np.mean(planted)


def test_the_more_utterances_the_closer_to_the_truth(prior: SpeakerPrior):
    errors = [error(prior, utterances) for utterances in (1, 3, 6, 12, 30, 100)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.25 * errors[0]


def test_of_few_utterances_little_is_believed(prior: SpeakerPrior):
    """All emotions are heard here, so it is the number alone that counts."""
    noisy = SpeakerPrior(prior.means, 20 * prior.within, prior.between)
    generator = np.random.default_rng(3)
    for own in vectors(generator, 10):
        predictions = speaker(generator, own, np.arange(EMOTIONS), within=0.0)
        sizes = [
            np.linalg.norm(noisy.bias(np.tile(predictions, (times, 1)))) for times in (1, 3, 10, 40)
        ]
        assert sizes == sorted(sizes)
        assert sizes[0] < 0.6 * sizes[-1] < np.linalg.norm(own)


def test_of_one_utterance_not_all_is_believed(prior: SpeakerPrior):
    generator = np.random.default_rng(3)
    for own in vectors(generator, 10):
        for emotion in range(EMOTIONS):
            bias = prior.bias(speaker(generator, own, np.array([emotion])))
            assert np.linalg.norm(bias) < 0.8 * np.linalg.norm(own)


def test_the_order_of_utterances_does_not_matter(prior: SpeakerPrior):
    generator = np.random.default_rng(4)
    predictions = speaker(generator, vectors(generator, 1)[0], np.arange(30) % EMOTIONS)
    shuffled = generator.permutation(predictions)
    np.testing.assert_allclose(prior.bias(shuffled), prior.bias(predictions), atol=1e-3)


def test_the_order_of_classes_does_not_matter():
    predictions, truth, who, _ = training(8)
    order = np.array([3, 0, 4, 1, 2])
    number = np.argsort(order)  # of each old class among the new
    one = SpeakerPrior.estimate(predictions, truth, who)
    other = SpeakerPrior.estimate(predictions[:, order], number[truth], who)
    np.testing.assert_allclose(other.means, one.means[np.ix_(order, order)])
    generator = np.random.default_rng(5)
    for emotions in (np.arange(20) % EMOTIONS, np.full(4, 2), np.array([0, 0, 1])):
        heard = speaker(generator, vectors(generator, 1)[0], emotions)
        bias, moved = one.bias(heard), other.bias(heard[:, order])
        np.testing.assert_allclose(moved, bias[order], atol=1e-3)
        np.testing.assert_allclose(
            remove_bias(heard[:, order], moved), remove_bias(heard, bias)[:, order], atol=1e-3
        )


# --- predictions ---


def filled(rows: Array) -> Array:
    """Make rows probabilities; one of zeros says nothing."""
    rows = rows + (rows.sum(axis=1, keepdims=True) == 0)
    return rows / rows.sum(axis=1, keepdims=True)


def probabilities(least: int, most: int) -> st.SearchStrategy[Array]:
    """Rows of so many classes, zeros and ones among them."""
    shapes = st.tuples(st.integers(1, 12), st.integers(least, most))
    entries = st.floats(0, 1, width=16) | st.sampled_from([0.0, 1.0])
    return arrays.arrays(np.float64, shapes, elements=entries).map(filled)


@settings(max_examples=60, deadline=None)
@given(probabilities(EMOTIONS, EMOTIONS))
def test_whatever_is_answered_the_bias_is_finite_and_has_mean_0(
    prior: SpeakerPrior, predictions: Array
):
    bias = prior.bias(predictions)
    assert bias.shape == (EMOTIONS,)
    assert np.isfinite(bias).all()
    assert abs(bias.sum()) < 1e-6
    given_then = remove_bias(predictions, bias)
    assert np.isfinite(given_then).all()
    np.testing.assert_allclose(given_then.sum(axis=1), 1)


@settings(max_examples=60, deadline=None)
@given(probabilities(2, 6))
def test_without_a_bias_predictions_are_as_they_were(predictions: Array):
    same = remove_bias(predictions, np.zeros(predictions.shape[1]))
    np.testing.assert_allclose(same, predictions, atol=1e-8)  # 0 is taken for 1e-9
    np.testing.assert_allclose(same.sum(axis=1), 1)


def test_a_lean_is_taken_off_log_probabilities():
    predictions = np.array([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]])
    bias = np.log([2.0, 1.0, 0.5])
    once = remove_bias(predictions, bias)
    np.testing.assert_allclose(once[0], np.array([0.1, 0.3, 1.0]) / 1.4)
    np.testing.assert_allclose(remove_bias(once, -bias), predictions)
    np.testing.assert_allclose(
        remove_bias(predictions, bias + 5), once
    )  # what all have in common is none


@pytest.mark.parametrize("bias", [[50.0, -50.0, 0.0], [-900.0, 900.0, 0.0]])
def test_large_biases_stay_finite(bias: list[float]):
    found = remove_bias(np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]), np.array(bias))
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found.sum(axis=1), 1)


def test_predictions_without_any_doubt():
    """All within is 0, as of a model that is never wrong; and all means lie far out."""
    truth = np.tile(np.arange(3), 6)
    sure = SpeakerPrior.estimate(np.eye(3)[truth], truth, np.arange(18) // 3)
    assert np.abs(sure.within).max() == 0
    bias = sure.bias(np.eye(3)[[0, 1, 2, 2]])
    np.testing.assert_allclose(bias, 0, atol=1e-6)
    assert np.isfinite(sure.bias(np.full((4, 3), 1 / 3))).all()


# --- on disk ---


def test_there_and_back_through_json(prior: SpeakerPrior):
    text = json.dumps(prior.to_dict())
    back = SpeakerPrior.from_dict(json.loads(text), EMOTIONS)
    for name in ("means", "within", "between"):
        np.testing.assert_allclose(getattr(back, name), getattr(prior, name), atol=5.1e-6)
    assert back.to_dict() == prior.to_dict()
    generator = np.random.default_rng(6)
    heard = speaker(generator, vectors(generator, 1)[0], np.arange(20) % EMOTIONS)
    np.testing.assert_allclose(back.bias(heard), prior.bias(heard), atol=1e-3)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("means", None),
        ("within", [[1.0, 0.0], [0.0, 1.0]]),
        ("between", np.zeros((5, 4)).tolist()),
        ("between", np.zeros((1, 5, 5)).tolist()),
        ("means", np.full((5, 5), np.nan).tolist()),
        ("within", np.where(np.eye(5), np.inf, 0).tolist()),
        ("means", 3.0),
        ("means", []),
    ],
)
def test_damaged_values_are_refused(prior: SpeakerPrior, name: str, value: Any):
    with pytest.raises(ValueError, match=f"{name} is not a matrix of 5 rows and columns"):
        SpeakerPrior.from_dict(prior.to_dict() | {name: value}, EMOTIONS)


@pytest.mark.parametrize("name", ["within", "between"])
@pytest.mark.parametrize("value", [np.triu(np.ones((5, 5))), -np.eye(5)])
def test_what_is_no_covariance_is_refused(prior: SpeakerPrior, name: str, value: Array):
    with pytest.raises(ValueError, match=f"{name} is not a covariance"):
        SpeakerPrior.from_dict(prior.to_dict() | {name: value.tolist()}, EMOTIONS)


def test_missing_parts_are_named(prior: SpeakerPrior):
    values = prior.to_dict()
    del values["between"]
    with pytest.raises(ValueError, match="between is not a matrix"):
        SpeakerPrior.from_dict(values, EMOTIONS)


@pytest.mark.parametrize("value", [[[1.0], [1.0, 2.0]], "much", [["a"] * 5] * 5])
def test_what_is_no_matrix_at_all_is_refused(prior: SpeakerPrior, value: Any):
    with pytest.raises(ValueError, match=r"inhomogeneous|could not convert"):
        SpeakerPrior.from_dict(prior.to_dict() | {"means": value}, EMOTIONS)


def test_a_prior_for_other_emotions_is_refused(prior: SpeakerPrior):
    with pytest.raises(ValueError, match="means is not a matrix of 4 rows and columns"):
        SpeakerPrior.from_dict(prior.to_dict(), 4)
