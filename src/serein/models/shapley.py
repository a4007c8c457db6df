"""How much each modality counts in a prediction (numpy alone, for recognizers too)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from math import factorial
from typing import Any


def subsets(names: Sequence[str]) -> list[tuple[str, ...]]:
    """List all subsets, the empty one first."""
    return [part for size in range(len(names) + 1) for part in combinations(names, size)]


def shapley(worth: Mapping[tuple[str, ...], Any]) -> dict[str, Any]:
    """Return the Shapley value of each name, from the worth of every subset: `subsets` orders it.

    That is what adding it changes, as mean over all orders in which all could be added to none.

    L. S. Shapley, "A value for n-person games", 1953; S. Lundberg, S.-I. Lee, "A Unified Approach
    to Interpreting Model Predictions", NeurIPS 2017, eq. 4.
    """
    names = max(worth, key=len)
    values: dict[str, Any] = dict.fromkeys(names, 0.0)
    for subset, value in worth.items():
        share = factorial(len(subset)) * factorial(max(0, len(names) - len(subset) - 1))
        for name in set(names) - set(subset):
            more = tuple(other for other in names if other in subset or other == name)
            values[name] = values[name] + (worth[more] - value) * share / factorial(len(names))
    return values
