"""Windows cover the signal, and segments tile it."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serein.audio.read import RATE_HZ
from serein.inference.timeline import segment_bounds, window_starts


@given(samples=st.integers(1, 100_000), window=st.integers(100, 20_000), share=st.floats(0.05, 1.0))
def test_windows_cover_and_segments_tile(samples: int, window: int, share: float) -> None:
    starts = window_starts(samples, window, max(1, round(window * share)))
    assert starts[0] == 0
    assert all(0 < right - left <= window for left, right in pairwise(starts))
    assert len(starts) == 1 or starts[-1] + window == samples
    bounds = segment_bounds(starts, window, samples)
    assert bounds[0][0] == 0.0
    assert bounds[-1][1] == pytest.approx(samples / RATE_HZ)
    assert all(left[1] == right[0] for left, right in pairwise(bounds))
    for start, (begin, end) in zip(starts, bounds, strict=True):
        assert start / RATE_HZ <= begin + 1e-9
        assert end <= max(start + window, samples) / RATE_HZ + 1e-9
        assert begin < end
