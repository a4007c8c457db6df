"""Malformed files: recordings, bundles, recipes and journals from strangers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile import REFUSALS

from made_graphs import with_external_data

pytestmark = pytest.mark.slow

GROWN_MB = 200


@pytest.mark.parametrize(
    ("target", "error"),
    [
        *(("decoder", "AudioError"), ("bundle", "BundleError"), ("recipe", "RecipeError")),
        ("journal", "ResultsError"),
    ],
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


def test_a_bundle_asks_for_no_other_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hostile.bundle import BundleTarget

    monkeypatch.chdir(tmp_path)
    Path("key").write_bytes(np.array([0.1, 0.7], np.float32).tobytes())
    target = BundleTarget()
    for place, graph in with_external_data("key").items():
        assert target(b"model.onnx\n" + graph) == "BundleError", place
    target.close()
