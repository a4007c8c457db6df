"""Leaks of test data into training: each kind is looked for, and refused.

An evaluation is speaker-independent if training saw nothing of the test part: not the speaker, not
the recording, not an augmentation of it, and no statistics of all samples together. `find_leaks`
lists what folds, features and estimator show.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from serein.errors import ProtocolError, unknown_name
from serein.evaluation.protocol import Fold, Strings, shared_speakers
from serein.evaluation.result import OVERLAPS

Matrix = npt.NDArray[np.float32]

NEIGHBOURS = 8  # the distance to the last of them is the local scale
NEAR = 0.15  # of the local scale: a sample this near another is a copy of it
ALIKE, SHARE = 0.35, 0.02  # or this share of samples this near: natural ones are at 0.69 or more
ON_LINE = 1e-3  # a sample this near the line through two others is a mixture of them
MIN_SAMPLES = 50  # fewer give no local scale
MIN_COLUMNS = 8  # in fewer, points are near each other or in line by chance
MAX_CHECKED = 4000  # test samples whose neighbours are looked for; of more, some are drawn
MIXED = 6  # neighbours that may lie in one line with a sample
TOLERANCE = 1e-3  # means and deviations this near to 0 and 1 were scaled


def find_leaks(
    estimator: Any,
    X: npt.ArrayLike,
    speakers: Strings,
    folds: Sequence[Fold],
) -> list[str]:
    """Look for everything by which test data leak into training; say each in a sentence.

    Selecting samples or features by their labels before the split cannot be found here.
    """
    rows = np.asarray(X, dtype=np.float32)
    found = (
        shared_speakers(speakers, folds),
        _fitted_before(estimator),
        _scaled_before(rows),
        _same_samples(rows, folds),
        _near_samples(rows, folds),
    )
    return [sentence for sentence in found if sentence]


def refuse_leaks(leaks: Sequence[str], speaker_overlap: str) -> None:
    """Raise if there are leaks that were not allowed by name."""
    if speaker_overlap not in OVERLAPS:
        raise ProtocolError(unknown_name("speaker_overlap", speaker_overlap, OVERLAPS))
    if leaks and speaker_overlap == "refuse":
        raise ProtocolError(
            f'{leaks[0]}. speaker_overlap = "allow" runs it all the same, and stamps the report'
        )


def _fitted_before(estimator: Any) -> str | None:
    """Name a part of an estimator that stays fitted when it is cloned."""
    for name, part in _parts(clone(estimator)):
        if _is_fitted(part):
            return (
                f"{name} was fitted before the split and stays fitted, so it may have seen the "
                "test speakers: put it into the pipeline unfitted"
            )
    return None


def _scaled_before(X: Matrix) -> str | None:
    """Find features that were scaled or whitened on all samples together."""
    columns = X[:, np.isfinite(X).all(axis=0) & (np.ptp(X, axis=0) > 0)].astype(np.float64)
    if len(columns) < 3 or columns.shape[1] < 2:
        return None
    if np.abs(columns.mean(axis=0)).max() < TOLERANCE:
        if np.abs(columns.std(axis=0) - 1).max() < 1 / len(columns) + TOLERANCE:
            return _scaled("standardised (every column has mean 0 and deviation 1)")
        if columns.shape[1] >= MIN_COLUMNS and _uncorrelated(columns):
            return _scaled("whitened (no two columns correlate), as after a PCA")
    ends = np.stack([columns.min(axis=0), columns.max(axis=0) - 1])
    if columns.shape[1] >= MIN_COLUMNS and np.abs(ends).max() < 1e-6:
        return _scaled("scaled to 0 to 1 (every column reaches from 0 to 1)")
    return None


def _same_samples(X: Matrix, folds: Sequence[Fold]) -> str | None:
    """Find test samples that are in the training part too, number for number."""
    which = _identity(X)
    distinctive = (np.nan_to_num(X) % 1 != 0).sum(axis=1) >= 2
    for number, (train, test) in enumerate(folds):
        twins = np.isin(which[test], which[train]) & distinctive[test]
        if twins.any():
            row = int(test[twins.argmax()])
            other = int(train[(which[train] == which[row]).argmax()])
            return (
                f"fold {number}: {int(twins.sum())} test samples are in training too, sample {row} "
                f"as {other}: the recording is there twice, or samples were resampled before "
                "the split: keep one, and resample inside the fold"
            )
    return None


def _near_samples(X: Matrix, folds: Sequence[Fold]) -> str | None:
    """Find test samples that are augmentations, or mixtures, of training samples."""
    if X.shape[1] < MIN_COLUMNS or len(X) < MIN_SAMPLES:
        return None
    rows = _standardised(X)
    tested = np.unique(np.concatenate([test for _, test in folds]))
    if len(tested) > MAX_CHECKED:
        tested = np.sort(np.random.default_rng(0).choice(tested, MAX_CHECKED, replace=False))
    distance, near = _neighbours(rows, tested)
    closeness = distance[:, :-1] / np.maximum(distance[:, -1:], np.finfo(np.float32).tiny)
    which = _identity(X)
    closeness[which[near[:, :-1]] == which[tested, None]] = np.inf  # `_same_samples` finds those
    place = np.full(len(rows), -1)
    place[tested] = np.arange(len(tested))
    for number, (train, test) in enumerate(folds):
        mine = test[place[test] >= 0]
        if not mine.size:
            continue
        trained = np.isin(near[place[mine]], train)
        close = np.where(trained[:, :-1], closeness[place[mine]], np.inf).min(
            axis=1, initial=np.inf
        )
        if (close < NEAR).any() or (close < ALIKE).mean() > SHARE:
            return (
                f"fold {number}: {int((close < ALIKE).sum())} test samples are near copies of "
                f"training samples, sample {int(mine[close.argmin()])} for one: data were "
                "augmented before the split: augment inside the fold ([augmentation] does)"
            )
        mixed = [
            int(row)
            for row, theirs in zip(mine, trained, strict=True)
            if _is_mixture(rows, row, near[place[row]][:MIXED], theirs[:MIXED])
        ]
        if mixed:
            return _mixtures(number, mixed)
    return None


def _mixtures(fold: int, rows: list[int]) -> str:
    return (
        f"fold {fold}: {len(rows)} test samples are mixtures of a training sample and another, "
        f"sample {rows[0]} for one: samples were synthesised before the split: do so inside the "
        "fold ([balance] does)"
    )


def _parts(estimator: Any, name: str = "the estimator") -> Iterator[tuple[str, Any]]:
    """Give an estimator and its parts, with their names."""
    yield name, estimator
    for key, value in estimator.get_params().items():
        if hasattr(value, "fit") and not isinstance(value, type):
            yield f"{key} ({type(value).__name__})", value


def _is_fitted(part: Any) -> bool:
    try:
        check_is_fitted(part)
    except (NotFittedError, TypeError):
        return False
    return bool(get_tags(part).requires_fit)  # what needs no fit is always ready


def _scaled(how: str) -> str:
    return (
        f"the features are {how} over all samples, or speaker by speaker with the test speakers' "
        "own clips: scale inside the pipeline, so that it is fitted on the training part"
    )


def _uncorrelated(columns: npt.NDArray[np.float64]) -> bool:
    correlation = np.atleast_2d(np.corrcoef(columns, rowvar=False))
    np.fill_diagonal(correlation, 0.0)
    return bool(np.abs(correlation).max() < TOLERANCE)


def _identity(X: Matrix) -> npt.NDArray[np.intp]:
    """Give each row a number, the same to equal rows."""
    bits = np.ascontiguousarray(X).view(np.uint32)
    return np.unique(bits, axis=0, return_inverse=True)[1].ravel()


def _standardised(X: Matrix) -> Matrix:
    """Standardise columns; the padding of series counts as their mean."""
    with np.errstate(invalid="ignore", divide="ignore"):
        scaled = (X - np.nanmean(X, axis=0)) / np.nanstd(X, axis=0)
    result: Matrix = np.where(np.isfinite(scaled), scaled, 0.0).astype(np.float32)
    return result


def _neighbours(
    rows: Matrix, tested: npt.NDArray[np.intp]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.intp]]:
    """Find the distances and numbers of each test sample's neighbours, without itself."""
    finder = NearestNeighbors(n_neighbors=NEIGHBOURS + 1, algorithm="brute").fit(rows)
    distance, near = finder.kneighbors(rows[tested])
    itself = near == tested[:, None]
    itself[~itself.any(axis=1), -1] = True  # as near as others: drop the last of them
    shape = (len(tested), -1)
    return distance[~itself].reshape(shape), near[~itself].reshape(shape)


def _is_mixture(
    rows: Matrix, row: int, near: npt.NDArray[np.intp], trained: npt.NDArray[np.bool_]
) -> bool:
    """Whether a test sample lies in line with two neighbours, one of them in training."""
    steps = rows[near].astype(np.float64) - rows[row]
    length = np.linalg.norm(steps, axis=1)
    if (length == 0).any():
        return False
    angle = np.abs(steps @ steps.T / np.outer(length, length))
    beside = np.sqrt(np.maximum(0.0, 1 - angle**2))
    apart = np.linalg.norm(steps[:, None] - steps, axis=2) > NEAR * np.maximum.outer(length, length)
    return bool(((trained[:, None] | trained) & apart & (beside < ON_LINE)).any())
