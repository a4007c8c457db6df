"""Domain adaptation: a relative head, its baseline, and confidence for corpora never met."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from serein.errors import SettingError
from serein.models.baseline import LEAST_SHARE, AdaptiveHeads, Baseline, log_softmax
from serein.models.domain_adaptation import DomainAdapted, relative_to
from serein.models.ridge import MaskedRidge

EMOTIONS = np.array(["anger", "fear", "neutral", "sadness"])
WIDTH, SPEAKERS, TAKES = 24, 6, 24


def make_corpora(seed: int, names: str, shift: float = 2.0) -> dict[str, np.ndarray]:
    """Features of made-up corpora, each shifted by its room and each speaker by a voice."""
    generator = np.random.default_rng(seed)
    centres = np.random.default_rng(1).standard_normal((len(EMOTIONS), WIDTH))
    rows: dict[str, list[np.ndarray | str]] = {"X": [], "y": [], "groups": [], "label_set": []}
    for name in names:
        room = shift * generator.standard_normal(WIDTH)
        for speaker in range(SPEAKERS):
            voice = 0.5 * shift * generator.standard_normal(WIDTH)
            for take in range(TAKES):
                emotion = take % len(EMOTIONS)
                noise = 0.7 * generator.standard_normal(WIDTH)
                rows["X"].append(centres[emotion] + room + voice + noise)
                rows["y"].append(EMOTIONS[emotion])
                rows["groups"].append(f"{name}{speaker}")
                rows["label_set"].append(name)
    return {name: np.array(values) for name, values in rows.items()}


def accuracy(log_probabilities: np.ndarray, truth: np.ndarray) -> float:
    return float(np.mean(EMOTIONS[log_probabilities.argmax(axis=1)] == truth))


@pytest.fixture(scope="module")
def fitted() -> DomainAdapted:
    return DomainAdapted(MaskedRidge(), folds=2).fit(**make_corpora(0, "abc"))


@pytest.fixture(scope="module")
def unseen() -> dict[str, np.ndarray]:
    return make_corpora(5, "z", shift=4.0)


def test_a_baseline_of_the_recordings_helps_on_a_corpus_never_met(
    fitted: DomainAdapted, unseen: dict[str, np.ndarray]
) -> None:
    X, y = unseen["X"], unseen["y"]
    single = accuracy(fitted.predict_log_proba(X), y)
    whole = accuracy(fitted.adapted_log_proba(X, X, "recordings"), y)
    voices = [unseen["groups"] == name for name in np.unique(unseen["groups"])]
    each = [accuracy(fitted.adapted_log_proba(X[m], X[m], "speaker"), y[m]) for m in voices]
    assert single < 0.8
    assert whole > single + 0.1
    assert np.mean(each) > whole


def test_one_recording_changes_nothing(
    fitted: DomainAdapted, unseen: dict[str, np.ndarray]
) -> None:
    X = unseen["X"][:5]
    before = fitted.predict_log_proba(X)
    for known in (X[:0], X[:1]):
        np.testing.assert_array_equal(fitted.adapted_log_proba(X, known, "recordings"), before)


def test_without_knowing_how_speakers_differ_the_relative_head_counts_least(
    fitted: DomainAdapted, unseen: dict[str, np.ndarray]
) -> None:
    heads = replace(fitted.heads_, prior=np.zeros_like(fitted.heads_.prior))
    baseline = known_baseline(fitted, unseen["X"])
    assert baseline.evidence(heads) == 0
    assert 0 < baseline.share(0.0) < LEAST_SHARE < baseline.share(1.0) == 1


def test_recordings_of_one_emotion_cost_little(
    fitted: DomainAdapted, unseen: dict[str, np.ndarray]
) -> None:
    X, y = unseen["X"], unseen["y"]
    lost = []
    for emotion in EMOTIONS:
        mine = y == emotion
        single = accuracy(fitted.predict_log_proba(X[mine]), y[mine])
        adapted = accuracy(fitted.adapted_log_proba(X[mine], X[mine], "recordings"), y[mine])
        lost.append(single - adapted)
    assert np.mean(lost) < 0.05


def test_probabilities_are_probabilities(
    fitted: DomainAdapted, unseen: dict[str, np.ndarray]
) -> None:
    X = unseen["X"]
    for logs in (fitted.predict_log_proba(X), fitted.adapted_log_proba(X, X, "speaker")):
        np.testing.assert_allclose(np.exp(logs).sum(axis=1), 1)


def test_what_is_far_from_training_is_predicted_with_less_confidence() -> None:
    """Where unseen corpora are as hard as here, the line over distance rises."""
    fitted = DomainAdapted(MaskedRidge(), folds=2).fit(**make_corpora(0, "abc", shift=4.0))
    near = fitted.predict_proba(make_corpora(0, "abc", shift=4.0)["X"]).max(axis=1).mean()
    far = fitted.predict_proba(make_corpora(9, "z", shift=6.0)["X"]).max(axis=1).mean()
    assert fitted.heads_.confidence[0, 1] > 0
    assert far < near


def test_the_near_head_counts_for_recordings_like_those_of_training() -> None:
    """It is given a head that is always wrong, so that where it counts nothing is right."""

    class Wrong(MaskedRidge):
        def fit_moments(self, *given):  # type: ignore[no-untyped-def]
            super().fit_moments(*given)
            self.coef_, self.intercept_ = -10 * self.coef_, -10 * self.intercept_
            return self

    data = make_corpora(0, "abc", shift=6.0)
    fitted = DomainAdapted(MaskedRidge(), near=Wrong(), folds=2).fit(**data)
    assert accuracy(fitted.predict_log_proba(data["X"]), data["y"]) < 0.2
    far = make_corpora(5, "z", shift=9.0)
    alone = DomainAdapted(MaskedRidge(), folds=2).fit(**data)
    expected = accuracy(alone.predict_log_proba(far["X"]), far["y"])
    assert accuracy(fitted.predict_log_proba(far["X"]), far["y"]) > expected - 0.1


def test_recordings_like_those_of_training_need_little_of_a_baseline() -> None:
    data = make_corpora(0, "abc")
    fitted = DomainAdapted(MaskedRidge(), near=MaskedRidge(1e-5), folds=2).fit(**data)
    room = data["label_set"] == "a"
    assert known_baseline(fitted, data["X"][room]).evidence(fitted.heads_) < 0.3
    far = make_corpora(5, "z", shift=4.0)
    assert known_baseline(fitted, far["X"]).evidence(fitted.heads_) > 0.7


def test_one_corpus_has_no_near_head() -> None:
    fitted = DomainAdapted(MaskedRidge(), near=MaskedRidge(1e-5), folds=2).fit(
        **make_corpora(0, "a")
    )
    assert fitted.near_ is None
    assert fitted.heads_.near_weight.shape == (0, WIDTH)


def test_general_and_relative_head_see_some_columns() -> None:
    data = make_corpora(0, "abc")
    columns = np.arange(0, WIDTH, 2)
    fitted = DomainAdapted(MaskedRidge(), columns=columns, folds=2).fit(**data)
    changed = data["X"].copy()
    changed[:, 1::2] += 100.0
    before, after = (fitted.predict_log_proba(X) for X in (data["X"], changed))
    np.testing.assert_allclose(after, before, atol=1e-5)
    assert (fitted.heads_.weight[:, 1::2] == 0).all()
    assert (fitted.heads_.axes[1::2] == 0).all()


def test_a_corpus_alone_is_calibrated_by_its_speakers() -> None:
    data = make_corpora(0, "a")
    fitted = DomainAdapted(MaskedRidge(), folds=3).fit(**data)
    assert accuracy(fitted.predict_log_proba(data["X"]), data["y"]) > 0.9
    assert fitted.temperature_ > 0


def test_augmented_samples_have_a_baseline_of_their_own() -> None:
    data = make_corpora(0, "abc")
    shifted = {name: np.concatenate([values, values]) for name, values in data.items()}
    shifted["X"][len(data["X"]) :] += 50.0
    augmented = np.arange(len(shifted["X"])) >= len(data["X"])
    fitted = DomainAdapted(MaskedRidge(), folds=2).fit(**shifted, is_augmented=augmented)
    plain = DomainAdapted(MaskedRidge(), folds=2).fit(**data)
    np.testing.assert_allclose(fitted.heads_.mean, plain.heads_.mean, rtol=1e-5)
    np.testing.assert_allclose(fitted.heads_.weight, plain.heads_.weight, atol=0.05)


def test_more_than_one_speaker_is_needed() -> None:
    data = make_corpora(0, "a")
    with pytest.raises(SettingError, match="at least 2 speakers"):
        DomainAdapted(MaskedRidge()).fit(**data | {"groups": np.full(len(data["y"]), "one")})


def test_a_class_of_a_single_speaker_is_refused() -> None:
    data = make_corpora(0, "ab")
    odd = (data["y"] == "fear") & (data["groups"] != "a0")
    kept = {name: values[~odd] for name, values in data.items()}
    with pytest.raises(SettingError, match="at least 2 speakers of each class"):
        DomainAdapted(MaskedRidge()).fit(**kept)


def test_features_relative_to_their_group() -> None:
    groups = np.array(["a"] * 4 + ["b"] * 4)
    X = np.random.default_rng(0).standard_normal((8, 3)).astype(np.float32)
    found = relative_to(X, groups)
    for name in "ab":
        np.testing.assert_allclose(found[groups == name].mean(axis=0), 0, atol=1e-5)
        np.testing.assert_allclose(found[groups == name].std(axis=0), 1, atol=1e-3)


def test_arrays_come_back(fitted: DomainAdapted, unseen: dict[str, np.ndarray]) -> None:
    heads = AdaptiveHeads.from_bytes(fitted.heads_.to_bytes())
    np.testing.assert_array_equal(heads.weight, fitted.heads_.weight)
    assert heads.fingerprint == fitted.heads_.fingerprint
    X = unseen["X"].astype(np.float32)
    np.testing.assert_allclose(heads.distance(X), fitted.heads_.distance(X))


@pytest.mark.parametrize(
    "change",
    [
        {"bias": np.zeros(3, np.float32)},
        {"mean": np.full(WIDTH, np.nan, np.float32)},
        {"deviation": np.zeros(WIDTH, np.float32)},
        {"centres": np.zeros((0, WIDTH), np.float32)},
        {"axes": np.zeros((WIDTH, 0), np.float32)},
        {"near_bias": np.zeros(2, np.float32)},
        {"near_gate": np.array([np.inf, 0], np.float32)},
        {"confidence": np.zeros((1, 2), np.float32)},
        {"prior": -np.ones((3, 4, 4), np.float32)},
        {"varied": np.zeros((2, 2), np.float32)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_arrays_that_do_not_fit_are_refused(
    fitted: DomainAdapted, change: dict[str, np.ndarray]
) -> None:
    with pytest.raises(SettingError):
        replace(fitted.heads_, **change)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not a zip", b"\x93NUMPY"])
def test_bytes_that_are_no_arrays_are_refused(content: bytes) -> None:
    with pytest.raises(SettingError, match="not the arrays"):
        AdaptiveHeads.from_bytes(content)


def known_baseline(fitted: DomainAdapted, X: np.ndarray, memory: int | None = None) -> Baseline:
    baseline = Baseline("recordings", len(EMOTIONS), memory=memory)
    baseline.add(fitted.heads_, X.astype(np.float32), fitted.predict_proba(X))
    return baseline


def test_a_baseline_is_saved_as_json(fitted: DomainAdapted, unseen: dict[str, np.ndarray]) -> None:
    X, heads = unseen["X"].astype(np.float32), fitted.heads_
    baseline = known_baseline(fitted, X)
    again = Baseline.from_dict(json.loads(json.dumps(baseline.to_dict())), heads, None)
    single = fitted.predict_log_proba(X)
    expected = heads.adapted(single, X, baseline)
    np.testing.assert_allclose(heads.adapted(single, X, again), expected, atol=1e-3)
    assert again.count == baseline.count == len(X)


@pytest.mark.parametrize(
    "change",
    [
        {"mean": [0.0]},
        {"mean": "none"},
        {"to": "friends"},
        {"utterances": -1},
        {"weight": 1e12},
        {"near": -1.0},
        {"probabilities": [[-1.0] * 4]},
        {"predicted": [-1.0] * 4},
        {"predicted": [1.0] * 3},
        {"deviation": None},
    ],
)
def test_a_saved_baseline_that_does_not_fit_is_refused(
    fitted: DomainAdapted, unseen: dict[str, np.ndarray], change: dict[str, object]
) -> None:
    values = known_baseline(fitted, unseen["X"]).to_dict() | change
    with pytest.raises(SettingError, match="saved adaptation"):
        Baseline.from_dict(values, fitted.heads_, None)


def test_a_baseline_with_a_memory_follows_the_latest(
    fitted: DomainAdapted, unseen: dict[str, np.ndarray]
) -> None:
    X = unseen["X"].astype(np.float32)
    moved = np.concatenate([X, X + 30.0])
    mean, _ = known_baseline(fitted, moved, memory=60).statistics(fitted.heads_, 1.0)
    everything, _ = known_baseline(fitted, moved).statistics(fitted.heads_, 1.0)
    assert (mean > everything).all()


def test_a_copy_with_a_memory_knows_the_same_of_fewer_recordings(
    fitted: DomainAdapted, unseen: dict[str, np.ndarray]
) -> None:
    near = DomainAdapted(MaskedRidge(), near=MaskedRidge(1e-5), folds=2)
    near.fit(**make_corpora(0, "abc"))
    for classifier in (fitted, near):
        for X in (unseen["X"], make_corpora(0, "abc")["X"]):
            whole = known_baseline(classifier, X)
            part = whole.with_memory(50)
            again = Baseline.from_dict(part.to_dict(), classifier.heads_, 50)
            assert again.evidence(classifier.heads_) == pytest.approx(
                whole.evidence(classifier.heads_), abs=0.25
            )


def test_log_softmax_of_an_impossible_label() -> None:
    logs = log_softmax(np.array([[0.0, -np.inf, 0.0]]))
    np.testing.assert_allclose(np.exp(logs), [[0.5, 0.0, 0.5]])
