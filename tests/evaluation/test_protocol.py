"""Cross-validation over unseen speakers: nobody is on both sides, and leaks are refused."""

import json
from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, ClassifierMixin

from serein.errors import ProtocolError
from serein.evaluation.cross_validation import cross_validate
from serein.evaluation.protocol import (
    RAVDESS_ACTOR_FOLDS,
    Fold,
    check_folds,
    folds_of,
    leave_one_speaker_out,
    ravdess_actor_folds,
    speaker_k_fold,
)
from serein.evaluation.result import Result
from serein.models.calibration import TemperatureScaled
from serein.models.linear import MaskedLogisticRegression

Array = npt.NDArray[Any]


def assert_fair(folds: list[Fold], speakers: list[str]) -> None:
    names = np.array(speakers)
    for train, test in folds:
        assert len(train)
        assert len(test)
        assert set(names[train]).isdisjoint(names[test])
        assert sorted([*train, *test]) == list(range(len(names)))
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(len(names)))


# --- protocols ---


@settings(deadline=None)
@given(st.lists(st.sampled_from("abcdef"), min_size=2, max_size=30))
def test_each_speaker_is_left_out_once(speakers: list[str]):
    assume(len(set(speakers)) > 1)
    folds = leave_one_speaker_out(speakers)
    assert_fair(folds, speakers)
    assert [{speakers[row] for row in test} for _, test in folds] == [
        {name} for name in sorted(set(speakers))
    ]


@pytest.mark.parametrize("speakers", [["ann"] * 5, []])
def test_one_speaker_cannot_be_left_out(speakers: list[str]):
    with pytest.raises(ProtocolError, match=r"fold\(s\); testing on unseen speakers needs at"):
        leave_one_speaker_out(speakers)


def test_the_actor_folds_of_ravdess_hold_every_actor_once():
    actors = [actor for fold in RAVDESS_ACTOR_FOLDS for actor in fold]
    assert sorted(actors) == list(range(1, 25))
    speakers = [f"ravdess-{actor:02d}" for actor in range(1, 25) for _ in range(3)]
    folds = ravdess_actor_folds(speakers)
    assert_fair(folds, speakers)
    tested = [sorted({speakers[row] for row in test}) for _, test in folds]
    assert [len(test) for _, test in folds] == [12] * 6
    assert tested[0] == ["ravdess-01", "ravdess-11", "ravdess-20", "ravdess-21"]
    assert tested[5] == ["ravdess-06", "ravdess-13", "ravdess-17", "ravdess-22"]


def test_actor_folds_without_clips_are_left_out():
    assert len(ravdess_actor_folds(["ravdess-01", "ravdess-20", "ravdess-04"])) == 2


@pytest.mark.parametrize("unseen", ["ravdess-25", "emodb-03", "ravdess-1"])
def test_who_is_no_actor_of_ravdess_is_refused(unseen: str):
    with pytest.raises(ProtocolError, match=f"speaker {unseen} is in 0 folds"):
        ravdess_actor_folds(["ravdess-01", unseen, "ravdess-04"])


def test_a_speaker_of_two_folds_is_refused():
    with pytest.raises(ProtocolError, match="speaker a is in 2 folds; each must be in exactly one"):
        folds_of(["a", "b"], [["a"], ["b", "a"]])


@st.composite
def recordings(draw: st.DrawFn) -> tuple[list[str], list[str], int]:
    """Speakers with 2 to 6 clips each, what each clip is, and a number of folds."""
    count = draw(st.integers(2, 9))
    clips = [draw(st.integers(2, 6)) for _ in range(count)]
    speakers = [f"s{number}" for number in range(count) for _ in range(clips[number])]
    strata = draw(st.lists(st.sampled_from("xyz"), min_size=len(speakers), max_size=len(speakers)))
    return speakers, strata, draw(st.integers(2, count))


@settings(max_examples=60, deadline=None)
@given(recordings(), st.integers(0, 1000))
def test_dealing_speakers_into_folds(given_: tuple[list[str], list[str], int], seed: int):
    speakers, strata, count = given_
    assume(max(Counter(strata).values()) >= count)  # fewer cannot be spread: see below
    try:
        folds = speaker_k_fold(speakers, strata, folds=count, random_state=seed)
    except ProtocolError as error:
        assume("left one empty" not in str(error))
        raise
    assert len(folds) == count
    assert_fair(folds, speakers)
    again = speaker_k_fold(speakers, strata, folds=count, random_state=seed)
    for (_, test), (_, same) in zip(folds, again, strict=True):
        np.testing.assert_array_equal(test, same)


def test_the_mix_of_strata_is_kept():
    """Twelve speakers of two corpora: each of four folds trains on of both, in like shares."""
    speakers = [f"{corpus}{number}" for corpus in "ab" for number in range(6) for _ in range(10)]
    strata = [name[0] for name in speakers]
    for _, test in speaker_k_fold(speakers, strata, folds=3):
        counts = Counter(strata[row] for row in test)
        assert counts == {"a": 20, "b": 20}


def test_the_seed_deals_anew():
    speakers = [f"s{number}" for number in range(10) for _ in range(4)]
    deals = {
        tuple(tuple(test) for _, test in speaker_k_fold(speakers, ["x"] * 40, random_state=seed))
        for seed in range(5)
    }
    assert len(deals) > 1


def test_a_rare_stratum_is_no_error():
    speakers = [f"s{number}" for number in range(6) for _ in range(4)]
    assert_fair(speaker_k_fold(speakers, ["x"] * 23 + ["rare"], folds=6), speakers)


@pytest.mark.parametrize(
    ("speakers", "folds", "message"),
    [
        ("aabbcc", 4, "4 folds of 3 speakers; allowed: 2 to 3 folds"),
        ("aabbcc", 1, "1 folds of 3 speakers; allowed: 2 to 3 folds"),
        ("aaaa", 2, "2 folds of 1 speaker; give 2 speakers or more"),
        ("abc", 3, "3 folds cannot be made"),
    ],
)
def test_folds_that_cannot_be_dealt(speakers: str, folds: int, message: str):
    strata = [str(number) for number in range(len(speakers))]
    with pytest.raises(ProtocolError, match=message):
        speaker_k_fold(list(speakers), strata, folds=folds)


# --- what is refused ---

SPEAKERS = [f"s{number}" for number in range(4) for _ in range(6)]
EMOTIONS = ["anger", "fear", "joy"] * 8
X = np.column_stack([np.arange(24), np.zeros(24)]).astype(np.float32)


def judge(estimator: Any, folds: list[Fold], **options: Any) -> Any:
    return cross_validate(estimator, X, EMOTIONS, SPEAKERS, folds, protocol="test", **options)


@pytest.mark.parametrize("number", range(4))
def test_a_planted_leak_is_refused(number: int):
    folds = leave_one_speaker_out(SPEAKERS)
    train, test = folds[number]
    folds[number] = (np.append(train, test[-1]), test[:-1])
    with pytest.raises(
        ProtocolError, match=f"fold {number} has s{number} in training and test; .* split by speak"
    ):
        judge(TemperatureScaled(MaskedLogisticRegression()), folds)


def test_a_random_split_is_refused():
    order = np.random.default_rng(0).permutation(24)
    folds = [(order[:12], order[12:]), (order[12:], order[:12])]
    with pytest.raises(ProtocolError, match="may be on one side only"):
        judge(TemperatureScaled(MaskedLogisticRegression()), folds)


def test_a_class_that_training_lacks_is_refused():
    labels, truth = np.unique([*EMOTIONS[:-1], "disgust"], return_inverse=True)
    with pytest.raises(ProtocolError, match="fold 3 tests disgust, of which its training part"):
        check_folds(leave_one_speaker_out(SPEAKERS), np.array(SPEAKERS), truth, labels)


def test_a_class_that_a_test_part_lacks_is_fine():
    labels, truth = np.unique(["anger"] * 6 + EMOTIONS[6:], return_inverse=True)
    check_folds(leave_one_speaker_out(SPEAKERS), np.array(SPEAKERS), truth, labels)


@pytest.mark.parametrize(
    ("change", "count"),
    [
        (lambda folds: folds[:-1], 6),
        (lambda folds: [*folds, folds[0]], 6),
        (lambda folds: [(folds[0][0], folds[0][1][1:]), *folds[1:]], 1),
        (lambda folds: [(folds[0][0], np.append(folds[0][1], folds[0][1][:2])), *folds[1:]], 2),
    ],
    ids=["a fold is missing", "a fold comes twice", "a clip is missing", "two clips come twice"],
)
def test_each_clip_is_tested_once(change: Any, count: int):
    with pytest.raises(ProtocolError, match=f"{count} samples are tested twice or never"):
        judge(
            TemperatureScaled(MaskedLogisticRegression()), change(leave_one_speaker_out(SPEAKERS))
        )


# --- cross-validation ---


def make_spy(fits: list[dict[str, Array]]) -> Any:
    """Make a classifier that writes down what it is given; the first feature is the clip."""

    class Spy(ClassifierMixin, BaseEstimator):
        def fit(self, X: Array, y: Array, *, groups: Array, **rows: Array) -> "Spy":
            fits.append({"clip": X[:, 0].astype(int), "y": y, "groups": groups} | rows)
            self.heard_ = set(groups.tolist())
            self.classes_ = np.unique(y)
            return self

        def predict_proba(self, X: Array) -> Array:
            clips = X[:, 0].astype(int)
            assert self.heard_.isdisjoint(np.array(SPEAKERS)[clips])
            return np.eye(len(self.classes_))[clips % len(self.classes_)]

    return Spy()


def test_an_estimator_is_told_of_its_training_part_and_nothing_else():
    fits: list[dict[str, Array]] = []
    folds = leave_one_speaker_out(SPEAKERS)
    message: list[tuple[int, int]] = []
    fitted = judge(
        make_spy(fits),
        folds,
        per_sample={"sample_weight": np.arange(24) * 10, "label_set": [f"c{n}" for n in range(24)]},
        progress=lambda done, total: message.append((done, total)),
    )
    assert message == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert len(fits) == 4
    for (train, test), given_ in zip(folds, fits, strict=True):
        np.testing.assert_array_equal(given_["clip"], train)
        np.testing.assert_array_equal(given_["groups"], np.array(SPEAKERS)[train])
        np.testing.assert_array_equal(given_["y"], np.array(EMOTIONS)[train])
        np.testing.assert_array_equal(given_["sample_weight"], train * 10)
        assert given_["label_set"].tolist() == [f"c{row}" for row in train]
        assert set(given_["clip"]).isdisjoint(test)
    result = fitted.predict(X)
    assert result.labels == ("anger", "fear", "joy")
    np.testing.assert_array_equal(result.prediction, np.arange(24) % 3)
    np.testing.assert_array_equal(result.fold, np.arange(24) // 6)
    assert result.speakers.tolist() == SPEAKERS
    assert result.scores()["uar"] == 1.0


def test_a_class_that_a_fold_has_not_heard_gets_no_probability_there():
    """Nobody in the first two folds is angry, so their classifiers have columns fewer."""
    rows = np.arange(24).reshape(4, 6)
    emotions = ["fear", "joy"] * 6 + ["anger", "fear", "joy"] * 4
    folds = [(rows[1], rows[0]), (rows[0], rows[1]), (rows[3], rows[2]), (rows[2], rows[3])]
    fitted = cross_validate(make_spy([]), X, emotions, SPEAKERS, folds, protocol="test")
    result = fitted.predict(X)
    assert result.labels == ("anger", "fear", "joy")
    assert (result.probabilities[:12, 0] == 0.0).all()
    np.testing.assert_array_equal(result.prediction[:12], 1 + np.arange(12) % 2)
    np.testing.assert_array_equal(result.prediction[12:], np.arange(12, 24) % 3)


def learnable(strength: float) -> tuple[Array, list[str], list[str]]:
    """Clips of eight speakers with their own voices, and emotions that show by `strength`."""
    generator = np.random.default_rng(0)
    y = np.arange(240) % 3
    who = np.arange(240) // 30
    voices = generator.standard_normal((8, 10))
    emotions = strength * np.eye(3, 10)
    vectors = voices[who] + emotions[y] + 0.5 * generator.standard_normal((240, 10))
    return vectors, [EMOTIONS[k] for k in y], [f"s{k}" for k in who]


def test_what_can_be_learnt_is_learnt_and_what_cannot_stays_at_chance():
    uars = []
    for strength in (4.0, 0.0):
        vectors, emotions, who = learnable(strength)
        result = cross_validate(
            TemperatureScaled(MaskedLogisticRegression(0.1)),
            vectors,
            emotions,
            who,
            speaker_k_fold(who, emotions, folds=4),
            protocol="four folds",
        ).predict(vectors)
        uars.append(result.scores()["uar"])
    assert uars[0] > 0.85
    assert 0.2 < uars[1] < 0.47


# --- results ---


@pytest.fixture
def result() -> Result:
    """Six clips of three speakers; the class "joy" never occurs."""
    probabilities = [[0.8, 0.2, 0.0]] * 3 + [[0.3, 0.6, 0.1]] * 2 + [[0.1, 0.2, 0.7]]
    return Result(
        "by hand",
        ("anger", "fear", "joy"),
        np.array([0, 0, 1, 1, 1, 0]),
        np.array(probabilities),
        np.array(["a", "a", "b", "b", "c", "c"]),
        np.array([0, 0, 1, 1, 1, 1]),
    )


def test_scores_by_hand(result: Result):
    assert result.prediction.tolist() == [0, 0, 0, 1, 1, 2]
    scores = result.scores()
    assert scores["uar"] == pytest.approx(2 / 3)
    assert scores["accuracy"] == pytest.approx(4 / 6)
    assert scores["recall"] == pytest.approx({"anger": 2 / 3, "fear": 2 / 3})
    assert scores["confusion"] == [[2, 0, 1], [1, 2, 0], [0, 0, 0]]
    assert (scores["clips"], scores["speakers"]) == (6, 3)
    # 0.8 three times with two right; 0.6 twice with both right; 0.7 once, wrong
    assert scores["expected_calibration_error"] == pytest.approx((0.4 + 0.8 + 0.7) / 6)
    low, high = scores["uar_interval_95"]
    assert low < 2 / 3 < high
    assert json.loads(json.dumps(scores)) == scores


def test_folds_are_described(result: Result):
    assert result.folds() == [
        {"fold": 0, "test_speakers": ["a"], "clips": 2, "uar": 1.0},
        {"fold": 1, "test_speakers": ["b", "c"], "clips": 4, "uar": pytest.approx(1 / 3)},
    ]


@pytest.mark.parametrize("rows", [[1, 2], [False, True, True, False, False, False]])
def test_a_subset_keeps_rows_together(result: Result, rows: list[Any]):
    part = result.subset(np.array(rows))
    assert part.protocol == "by hand"
    assert part.labels == result.labels
    assert part.truth.tolist() == [0, 1]
    assert part.speakers.tolist() == ["a", "b"]
    assert part.fold.tolist() == [0, 1]
    np.testing.assert_array_equal(part.probabilities, [[0.8, 0.2, 0.0]] * 2)
    assert part.scores()["recall"] == {"anger": 1.0, "fear": 0.0}
