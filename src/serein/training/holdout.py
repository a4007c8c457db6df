"""Which training samples are kept aside to see when to stop: whole speakers, never parts of one."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Flags = npt.NDArray[np.bool_]


def held_out(
    y: npt.NDArray[Any], groups: npt.ArrayLike | None, share: float, random: np.random.RandomState
) -> Flags:
    """Choose the held-out samples; every class keeps at least one training sample."""
    if groups is None:
        return _stratified(y, share, random)
    names = np.asarray(groups).astype(str)
    if names.shape != y.shape:
        raise ValueError(f"groups has shape {names.shape}; need one group for each of {len(y)}")
    speakers = np.unique(names[names != ""])
    spare = len(speakers) - (not np.any(names == ""))
    if spare < 1:
        raise ValueError(
            f"early stopping needs at least 2 speakers, one to hold out; got {len(speakers)}: "
            "give more speakers, or patience 0"
        )
    aside = np.zeros(len(y), dtype=bool)
    wanted = min(max(1, round(share * len(speakers))), spare)
    classes = len(np.unique(y))
    for speaker in random.permutation(speakers):
        more = aside | (names == speaker)
        if wanted and len(np.unique(y[~more])) == classes:
            aside, wanted = more, wanted - 1
    if not aside.any():
        raise ValueError(
            "early stopping cannot hold out a speaker: each is the only one of some class; give "
            "more speakers, or patience 0"
        )
    return aside


def _stratified(y: npt.NDArray[Any], share: float, random: np.random.RandomState) -> Flags:
    aside = np.zeros(len(y), dtype=bool)
    for name in np.unique(y):
        own = np.flatnonzero(y == name)
        count = min(max(1, round(share * len(own))), len(own) - 1)
        aside[random.permutation(own)[:count]] = True
    return aside
