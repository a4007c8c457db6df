"""Windows cover the signal, and segments tile it."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serein.audio.read import RATE_HZ
from serein.inference.timeline import make_segment, mean_segment, segment_bounds, window_starts


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


def test_bursts_are_the_whole_only_where_there_is_no_speech() -> None:
    silence = make_segment((0.0, 1.0), {})
    laugh = make_segment((1.0, 2.0), {"amusement": 0.9, "distress": 0.1}, burst=True)
    talk = make_segment((2.0, 3.0), {"anger": 0.6, "sadness": 0.4})
    whole = mean_segment((0.0, 3.0), [silence, laugh, talk], 0.0)
    assert (whole.kind, whole.emotion, set(whole.probabilities)) == (
        "speech",
        "anger",
        {"anger", "sadness"},
    )
    alone = mean_segment((0.0, 2.0), [silence, laugh], 0.0)
    assert (alone.kind, alone.emotion, alone.speech) == ("burst", "amusement", False)
    assert mean_segment((0.0, 1.0), [silence], 0.0).kind is None
