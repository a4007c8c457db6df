"""Permutation importance: the one column that tells is found, on speakers not learnt from."""

import numpy as np
import pytest
from sklearn.naive_bayes import GaussianNB

from serein.evaluation.cross_validation import cross_validate
from serein.evaluation.importance import permutation_importance
from serein.evaluation.protocol import leave_one_speaker_out


def test_the_feature_that_matters_is_found():
    generator = np.random.default_rng(0)
    who = np.repeat([f"s{number}" for number in range(6)], 30)
    y = np.tile(["calm", "anger", "fear"], 60)
    X = generator.normal(size=(180, 12)).astype(np.float32)
    X[:, 4] += np.array([0, 3, 6])[np.tile([0, 1, 2], 60)]
    X[:, 5] = X[:, 4] + 0.1 * generator.normal(size=180)  # says the same once more
    folds = leave_one_speaker_out(who.tolist())
    fitted = cross_validate(GaussianNB(), X, y, who, folds, protocol="p")
    groups = {"noise": [0, 1, 2], "telling": [4, 5], "more noise": [6, 7]}
    found: list[tuple[int, int]] = []
    rows = permutation_importance(
        fitted, X, groups, progress=lambda done, total: found.append((done, total))
    )
    assert rows[0]["feature"] == "telling"
    assert rows[0]["drop"] > 0.4
    assert rows[0]["low"] > 0.2
    for row in rows[1:]:
        assert row["low"] <= 0.01
        assert abs(row["drop"]) < 0.05
    assert found == [(1, 3), (2, 3), (3, 3)]
    assert rows == permutation_importance(fitted, X, groups)
    alone = permutation_importance(fitted, X, {"telling": [4]})
    assert alone[0]["drop"] < rows[0]["drop"]
    assert fitted.predict(X).scores()["uar"] == pytest.approx(1.0, abs=0.1)
