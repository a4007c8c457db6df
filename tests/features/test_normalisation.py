"""Normalisation per speaker, and reductions, as scikit-learn wants its steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from serein.features.normalisation import SpeakerNormaliser

GENERATOR = np.random.default_rng(0)
X = GENERATOR.standard_normal((60, 6))
Y = np.repeat(["anger", "fear", "sadness"], 20)
SPEAKERS = np.tile(["ann", "bob", "eve"], 20)


@parametrize_with_checks([SpeakerNormaliser()])
def test_scikit_learns_contract(estimator: Any, check: Any) -> None:
    check(estimator)


def test_a_speakers_voice_is_taken_out() -> None:
    voices = {"ann": 5.0, "bob": -3.0, "eve": 0.5}
    shifted = X * 2 + np.array([voices[name] for name in SPEAKERS])[:, None]
    scaled = SpeakerNormaliser().fit(shifted).transform(shifted, speakers=SPEAKERS)
    for name in voices:
        np.testing.assert_allclose(scaled[name == SPEAKERS].mean(axis=0), 0, atol=1e-9)
        np.testing.assert_allclose(scaled[name == SPEAKERS].std(axis=0), 1, atol=1e-9)


def test_a_lone_clip_is_scaled_as_the_training_clips_were() -> None:
    scaler = SpeakerNormaliser().fit(X)
    alone = scaler.transform(X[:2], speakers=["new", "newer"])
    np.testing.assert_allclose(alone, scaler.transform(X[:2]))
    np.testing.assert_allclose(scaler.transform(X).std(axis=0), 1)


def test_as_many_speakers_as_clips() -> None:
    with pytest.raises(ValueError, match=r"speakers has shape \(1,\); X has 60 clips"):
        SpeakerNormaliser().fit(X).transform(X, speakers=["ann"])
