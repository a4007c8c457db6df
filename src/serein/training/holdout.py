"""The held-out training samples for early stopping: whole speakers, never parts of one."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from serein.errors import SettingError

Flags = npt.NDArray[np.bool_]
Samples = dict[str, npt.NDArray[Any]]
"""``series`` (samples, time, features), ``lengths`` (samples,) and ``weight`` (samples,)."""
Labelled = tuple[Samples, npt.NDArray[np.int64]]


def held_out(
    y: npt.NDArray[Any], groups: npt.ArrayLike | None, share: float, random: np.random.RandomState
) -> Flags:
    """Choose the held-out samples; every class keeps at least one training sample."""
    if groups is None:
        return _stratified(y, share, random)
    names = np.asarray(groups).astype(str)
    if names.shape != y.shape:
        raise SettingError(f"groups has shape {names.shape}; need one group for each of {len(y)}")
    speakers = np.unique(names[names != ""])
    spare = len(speakers) - (not np.any(names == ""))
    if spare < 1:
        raise SettingError(
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
        raise SettingError(
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


def split(
    samples: Samples, y: npt.NDArray[np.int64], aside: Flags | None
) -> tuple[Labelled, Labelled | None]:
    """Divide labelled samples into those to train on and those held out, None if there are none."""
    if aside is None or not aside.any():
        return (samples, y), None
    train, valid = (
        ({name: values[rows] for name, values in samples.items()}, y[rows])
        for rows in (~aside, aside)
    )
    return train, valid
