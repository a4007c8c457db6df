"""Malformed files: recordings, bundles and recipes from strangers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hostile import REFUSALS

GROWN_MB = 200


@pytest.mark.parametrize(
    ("target", "error"),
    [("decoder", "AudioError"), ("bundle", "BundleError"), ("recipe", "RecipeError")],
)
def test_each_is_refused_by_its_own_error(
    hunt: Callable[[str], dict[str, Any]], target: str, error: str
) -> None:
    report = hunt(target)
    assert report["refused"] >= REFUSALS[target]
    assert report["ended"][error] >= 0.99 * report["refused"]
    assert report["slowest_s"] <= 2
    assert report["grown_mb"] < GROWN_MB


def test_there_are_enough_in_all() -> None:
    assert sum(REFUSALS.values()) >= 10_000
    assert min(REFUSALS.values()) >= 500
