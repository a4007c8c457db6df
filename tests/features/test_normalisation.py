"""Normalisation per speaker, and reductions, as scikit-learn wants its steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from serein.features.normalisation import REDUCTIONS, SpeakerScaler, reduction

GENERATOR = np.random.default_rng(0)
X = GENERATOR.standard_normal((60, 6))
Y = np.repeat(["anger", "fear", "sadness"], 20)
SPEAKERS = np.tile(["ann", "bob", "eve"], 20)


@parametrize_with_checks([SpeakerScaler()])
def test_scikit_learns_contract(estimator: Any, check: Any) -> None:
    check(estimator)


def test_a_speakers_voice_is_taken_out() -> None:
    voices = {"ann": 5.0, "bob": -3.0, "eve": 0.5}
    shifted = X * 2 + np.array([voices[name] for name in SPEAKERS])[:, None]
    scaled = SpeakerScaler().fit(shifted).transform(shifted, speakers=SPEAKERS)
    for name in voices:
        np.testing.assert_allclose(scaled[name == SPEAKERS].mean(axis=0), 0, atol=1e-9)
        np.testing.assert_allclose(scaled[name == SPEAKERS].std(axis=0), 1, atol=1e-9)


def test_a_lone_clip_is_scaled_as_the_training_clips_were() -> None:
    scaler = SpeakerScaler().fit(X)
    alone = scaler.transform(X[:2], speakers=["new", "newer"])
    np.testing.assert_allclose(alone, scaler.transform(X[:2]))
    np.testing.assert_allclose(scaler.transform(X).std(axis=0), 1)


def test_as_many_speakers_as_clips() -> None:
    with pytest.raises(ValueError, match=r"speakers has shape \(1,\); X has 60 clips"):
        SpeakerScaler().fit(X).transform(X, speakers=["ann"])


@pytest.mark.parametrize("name", sorted(REDUCTIONS))
def test_reductions_leave_as_many_as_asked(name: str) -> None:
    assert reduction(name, 2).fit(X, Y).transform(X).shape == (60, 2)


def test_lda_parts_the_emotions() -> None:
    told = X.copy()
    told[:, 3] += 6 * (Y == "fear")
    flat = reduction("lda", 1).fit(told, Y).transform(told).ravel()
    fear, rest = flat[Y == "fear"], flat[Y != "fear"]
    assert fear.min() > rest.max() or fear.max() < rest.min()


def test_wrong_reductions_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown reduction 'pcs'; known: pca"):
        reduction("pcs", 2)
    with pytest.raises(ValueError, match="count is 0; need at least 1"):
        reduction("pca", 0)
