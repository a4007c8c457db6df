"""Judging with some utterances of the speaker known: it pays, and no label is looked at."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.naive_bayes import GaussianNB

from serein.errors import RecipeError
from serein.evaluation.cross_validation import FittedFolds, cross_validate
from serein.evaluation.metrics import uar
from serein.evaluation.protocol import leave_one_speaker_out
from serein.evaluation.result import STAMP, Result
from serein.experiment import adapted_scores
from serein.experiment.adapted_scores import KNOWN, Adapted, can_adapt, speaker_prior
from serein.models.calibration import TemperatureScaled
from serein.models.pipelines import Scaled
from serein.models.ridge import MaskedRidge
from serein.models.speaker_prior import centred_log_posteriors

Array = npt.NDArray[Any]
EMOTIONS = np.array(["anger", "fear", "joy"])
SPEAKERS, EACH = 8, 6


def people(spread: float = 1.0) -> tuple[Array, Array, Array]:
    """Vectors around a place an emotion, moved for all that a speaker says."""
    generator = np.random.default_rng(0)
    y = np.tile(np.arange(3).repeat(EACH), SPEAKERS)
    who = np.arange(SPEAKERS).repeat(3 * EACH)
    own = spread * generator.standard_normal((SPEAKERS, 3))
    X = 1.5 * np.eye(3)[y] + own[who] + 0.4 * generator.standard_normal((len(y), 3))
    return X.astype(np.float32), EMOTIONS[y], np.array([f"s{number}" for number in who])


def fitted_folds(classifier: Any, spread: float = 1.0) -> tuple[FittedFolds, Result]:
    X, y, who = people(spread)
    folds = leave_one_speaker_out(who)
    fitted = cross_validate(classifier, X, y, who, folds, protocol="leave one speaker out")
    return fitted, fitted.predict(X)


@pytest.fixture(scope="module")
def judged() -> tuple[FittedFolds, Result]:
    return fitted_folds(TemperatureScaled(MaskedRidge(), folds=4))


def adapt(fitted: FittedFolds, result: Result, **options: Any) -> list[Adapted]:
    """Adapt by posteriors, which needs no features."""
    nothing = np.zeros((len(result.truth), 1), np.float32)
    return adapted_scores.adapt(fitted, result, nothing, **options)


def silent(done: int, total: int) -> None:
    """Show no progress."""


def known(cases: list[Adapted]) -> dict[int | None, Result]:
    """Results of utterances of whatever emotion, by how many were known."""
    return {case.known: case.result for case in cases if not case.one_emotion}


def score(result: Result) -> float:
    return uar(result.truth, result.prediction)


# --- what it buys ---


def test_it_pays_to_know_a_speaker(judged: tuple[FittedFolds, Result]) -> None:
    fitted, result = judged
    found = known(adapt(fitted, result, progress=silent))
    assert score(result) < 0.85
    assert score(found[None]) > score(result) + 0.1
    assert score(found[10]) > score(result) + 0.05
    assert score(found[1]) > score(result) - 0.02


def test_of_a_speaker_heard_in_one_emotion_little_is_learnt(
    judged: tuple[FittedFolds, Result],
) -> None:
    fitted, result = judged
    (last,) = (case for case in adapt(fitted, result, progress=silent) if case.one_emotion)
    moved = np.abs(last.result.probabilities - result.probabilities).mean()
    whole = known(adapt(fitted, result, progress=silent))[None]
    assert moved < 0.25 * np.abs(whole.probabilities - result.probabilities).mean()
    assert score(last.result) > score(result) - 0.05


def test_speakers_who_are_alike_lose_nothing() -> None:
    fitted, result = fitted_folds(TemperatureScaled(MaskedRidge(), folds=4), spread=0.0)
    assert score(result) > 0.9
    for found in known(adapt(fitted, result, progress=silent)).values():
        assert score(found) > score(result) - 0.02


# --- how it is told ---


def test_the_cases_are_told(judged: tuple[FittedFolds, Result]) -> None:
    fitted, result = judged
    steps: list[tuple[int, int]] = []
    cases = adapt(fitted, result, progress=lambda done, total: steps.append((done, total)))
    assert KNOWN == (1, 2, 5, 10, None)
    assert [(case.known, case.one_emotion) for case in cases] == [
        *((number, False) for number in KNOWN),
        (None, True),
    ]
    assert steps == [(number, 6) for number in range(1, 7)]
    start = "leave one speaker out; adapted to the speaker by"
    assert [case.result.protocol for case in cases] == [
        f"{start} 1 other utterance, without labels",
        f"{start} 2 other utterances, without labels",
        f"{start} 5 other utterances, without labels",
        f"{start} 10 other utterances, without labels",
        f"{start} all other utterances, without labels",
        f"{start} all other utterances, of the same emotion, without labels",
    ]
    assert [case.whole for case in cases] == [False] * 4 + [True, False]
    for case in cases:
        for name in ("truth", "speakers", "fold"):
            np.testing.assert_array_equal(getattr(case.result, name), getattr(result, name))
        assert (case.result.labels, case.result.about) == (result.labels, result.about)
        np.testing.assert_allclose(case.result.probabilities.sum(axis=1), 1)


def test_the_plain_answers_stay_as_they_were(judged: tuple[FittedFolds, Result]) -> None:
    fitted, result = judged
    before = result.probabilities.copy()
    adapt(fitted, result, progress=silent)
    np.testing.assert_array_equal(result.probabilities, before)


def test_scores_as_plain_values(judged: tuple[FittedFolds, Result]) -> None:
    fitted, result = judged
    leaking = replace(result, leaks=("speakers are shared",))
    plain, stamped = (adapt(fitted, one, progress=silent)[-1] for one in (result, leaking))
    row, scores = plain.to_dict(), plain.result.scores()
    assert (row["known"], row["one_emotion"]) == (None, True)
    assert row["protocol"] == plain.result.protocol
    for name in ("uar", "uar_interval_95", "accuracy", "expected_calibration_error"):
        assert row[name] == scores[name]
    assert stamped.to_dict()["protocol"] == f"{row['protocol']} [{STAMP}]"


# --- on what ---


@dataclass
class Spy:
    """In the place of a prior: its n-th bias is n hundredths, so a prediction tells the call."""

    heard: list[Array] = field(default_factory=list)

    def bias(self, probabilities: Array) -> Array:
        self.heard.append(probabilities)
        return len(self.heard) / 100 * np.array([1.0, 0.0, -1.0])


def spied() -> tuple[FittedFolds, Result, list[Spy]]:
    """Speakers with 1 to 13 utterances in two folds, no two answers alike."""
    generator = np.random.default_rng(1)
    who = np.array([f"s{number}" for number in (1, 2, 4, 13) for _ in range(number)])
    truth = generator.integers(0, 3, len(who))
    answers = generator.dirichlet(np.full(3, 5.0), len(who))
    fold = np.isin(who, ["s2", "s13"]).astype(np.intp)
    spies = [Spy(), Spy()]
    members = [
        (SimpleNamespace(speaker_prior_=spy), np.flatnonzero(fold == number))
        for number, spy in enumerate(spies)
    ]
    fitted = FittedFolds("folds", EMOTIONS, truth, who, members)
    return fitted, Result("folds", tuple(EMOTIONS), truth, answers, who, fold), spies


def evidence(result: Result, case: Adapted, spies: list[Spy]) -> list[set[int]]:
    """Rows by which each row's answer was adapted: none, if it is as it was."""
    place = {row.tobytes(): number for number, row in enumerate(result.probabilities)}
    bias = centred_log_posteriors(result.probabilities) - centred_log_posteriors(
        case.result.probabilities
    )
    found = []
    for fold, call in zip(result.fold, np.rint(100 * bias[:, 0]).astype(int), strict=True):
        rows = spies[fold].heard[call - 1] if call else []
        found.append({place[row.tobytes()] for row in rows})
        assert len(found[-1]) == len(rows)  # none twice
    return found


def test_evidence_is_of_the_speaker_alone_and_never_the_judged_row() -> None:
    fitted, result, spies = spied()
    *cases, one_emotion = adapt(fitted, result, progress=silent)
    for case in cases:
        for row, rows in enumerate(evidence(result, case, spies)):
            others = set(np.flatnonzero(result.speakers == result.speakers[row])) - {row}
            assert rows <= others
            assert len(rows) == min(case.known or 99, len(others))
    for row, rows in enumerate(evidence(result, one_emotion, spies)):
        same = (result.speakers == result.speakers[row]) & (result.truth == result.truth[row])
        assert rows == set(np.flatnonzero(same)) - {row}


def test_a_speaker_of_a_single_utterance_is_answered_as_a_stranger() -> None:
    fitted, result, _ = spied()
    for spy in (member.speaker_prior_ for member, _ in fitted.members):
        spy.bias = lambda probabilities: np.array([3.0, 0.0, -3.0])
    found = known(adapt(fitted, result, progress=silent))
    moved = np.abs(found[None].probabilities - result.probabilities).max(axis=1) > 1e-6
    np.testing.assert_array_equal(moved, result.speakers != "s1")


def test_which_utterances_are_known_is_drawn_by_the_seed(
    judged: tuple[FittedFolds, Result],
) -> None:
    fitted, result = judged

    def answers(seed: int) -> list[Array]:
        return [
            case.result.probabilities for case in adapt(fitted, result, seed=seed, progress=silent)
        ]

    first, again, other = answers(3), answers(3), answers(4)
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, two)
    differs = [not np.array_equal(one, two) for one, two in zip(first, other, strict=True)]
    assert differs[1:] == [True, True, True, False, False]  # of one, next to nothing is learnt


def test_the_truth_of_what_is_known_is_not_looked_at(judged: tuple[FittedFolds, Result]) -> None:
    fitted, result = judged
    generator = np.random.default_rng(0)
    truth = result.truth.copy()
    for name in np.unique(result.speakers):
        rows = np.flatnonzero(result.speakers == name)
        truth[rows] = generator.permutation(truth[rows])
    assert np.mean(truth != result.truth) > 0.5
    one = adapt(fitted, result, progress=silent)
    two = adapt(fitted, replace(result, truth=truth), progress=silent)
    for before, after in zip(one[:-1], two[:-1], strict=True):
        np.testing.assert_array_equal(before.result.probabilities, after.result.probabilities)
    last = one[-1].result.probabilities, two[-1].result.probabilities
    assert np.abs(last[0] - last[1]).max() > 1e-3  # which utterances are known: by their emotion


def test_other_speakers_answers_change_nothing(judged: tuple[FittedFolds, Result]) -> None:
    fitted, result = judged
    mine = result.speakers == "s3"
    answers = result.probabilities.copy()
    answers[~mine] = answers[~mine][::-1]
    one = adapt(fitted, result, progress=silent)
    two = adapt(fitted, replace(result, probabilities=answers), progress=silent)
    for before, after in zip(one, two, strict=True):
        np.testing.assert_array_equal(
            before.result.probabilities[mine], after.result.probabilities[mine]
        )


# --- what classifiers must have learnt ---


class Wrapper(ClassifierMixin, BaseEstimator):
    """Holds a fitted classifier, as a search over settings does."""

    def __init__(self, estimator: Any) -> None:
        self.estimator_ = estimator


def test_a_prior_is_found_under_what_is_wrapped_around_it(
    judged: tuple[FittedFolds, Result],
) -> None:
    inner = judged[0].members[0][0]
    assert speaker_prior(Wrapper(Wrapper(inner))) is inner.speaker_prior_
    assert can_adapt(judged[0])


@pytest.mark.parametrize("classifier", [MaskedRidge(), Scaled(GaussianNB())])
def test_without_calibration_it_is_refused(classifier: Any) -> None:
    fitted, result = fitted_folds(classifier)
    assert not can_adapt(fitted)
    with pytest.raises(RecipeError, match=r"give protocol\.calibration_folds of 2 or more"):
        adapt(fitted, result, progress=silent)


def test_an_emotion_of_one_speaker_is_named_as_the_reason() -> None:
    X, y, who = people()
    y = y.astype("<U8")
    y[np.flatnonzero(who == "s0")[:3]] = "surprise"
    fitted = TemperatureScaled(MaskedRidge(), folds=4).fit(X, y, groups=who)
    with pytest.raises(RecipeError, match="an emotion that a single speaker has must be left out"):
        speaker_prior(fitted)
