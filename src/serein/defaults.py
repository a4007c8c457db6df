"""Defaults and ranges that Python, the command line, the service and bulk prediction share.

Nothing heavy is imported: the command line reads this before it knows which command it runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Range(NamedTuple):
    """The smallest and the largest value that a setting may have."""

    low: float
    high: float


DEFAULT_MODEL = "multi"
DEFAULT_PROVIDER = "cpu"
DEFAULT_UNSURE_BELOW = 0.0  # none is
PAGE_UNSURE_BELOW = 0.35  # on unseen corpora less sure predictions are mostly wrong: see the card
UNSURE_RANGE = Range(0.0, 1.0)
WINDOW_RANGE_S = Range(0.5, 10.0)  # of a window of the timeline
HOP_RANGE_S = Range(0.1, 10.0)  # and at most a window
PAUSE_RANGE_S = Range(0.1, 5.0)  # that ends an utterance of a stream
STREAM_WINDOW_S, STREAM_HOP_S, STREAM_PAUSE_S = 2.0, 0.5, 0.5


@dataclass(frozen=True)
class Limits:
    """What is accepted as a recording.

    Attributes
    ----------
    max_s, min_s : float
        Longest and shortest duration in seconds.
    max_bytes : int
        Largest encoded size; arrays are not encoded.
    min_rate_hz, max_rate_hz : int
        Sampling rates.
    max_channels : int
        Most channels.
    """

    max_s: float = 7200.0
    min_s: float = 0.1
    max_bytes: int = 2 * 2**30
    min_rate_hz: int = 4000
    max_rate_hz: int = 384_000
    max_channels: int = 8


DEFAULT_LIMITS = Limits()
