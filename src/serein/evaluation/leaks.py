"""Leaks: ways in which a test sample is known before the test. Each is looked for, and refused.

A score is honest if nothing of a test part was there when its model was made: not the speaker, not
the recording, not a copy of it, and not what was learnt of all samples together. What can be seen
in folds, features and estimator is found here; `find_leaks` lists it.
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

Matrix = npt.NDArray[np.float32]

OVERLAPS = ("refuse", "allow")
NEIGHBOURS = 8  # the last of them says how far apart samples are hereabouts
NEAR = 0.15  # of that distance: a single sample so near another is a copy of it
ALIKE, SHARE = 0.35, 0.02  # or this share of samples so near: natural ones are at 0.69 and more
ON_LINE = 1e-3  # a sample this little beside the line between two others was drawn on it
FEWEST_SAMPLES = 50  # of fewer, none can say how far apart they are
FEWEST_COLUMNS = 8  # in fewer, points are near each other or in line by chance
CHECKED = 4000  # test samples whose neighbours are looked at; more are drawn from
MIXED = 6  # neighbours that may lie in one line with a sample
ROUND = 1e-3  # means and deviations this near to 0 and 1 were made so


def find_leaks(
    estimator: Any,
    X: npt.ArrayLike,
    speakers: Strings,
    folds: Sequence[Fold],
) -> list[str]:
    """Look for everything that lets a model know its test samples beforehand.

    Parameters
    ----------
    estimator : estimator
        Not fitted, as it will be cloned for each fold.
    X : array_like
        Shape (samples, features), as it will be given to the estimator; series are filled up with
        NaN.
    speakers : numpy.ndarray
        Shape (samples,).
    folds : sequence of (train, test)
        Index arrays.

    Returns
    -------
    list of str
        A sentence a leak, each saying what to do; empty if there is none to be seen.

    Notes
    -----
    Samples chosen or features selected by their labels before the split leave no trace here.
    """
    rows = np.asarray(X, dtype=np.float32)
    looked = (
        shared_speakers(speakers, folds),
        fitted_before(estimator),
        scaled_before(rows),
        same_samples(rows, folds),
        near_samples(rows, folds),
    )
    return [sentence for sentence in looked if sentence]


def refuse_leaks(leaks: Sequence[str], speaker_overlap: str) -> None:
    """Raise if there are leaks and they were not allowed by name."""
    if speaker_overlap not in OVERLAPS:
        raise ProtocolError(unknown_name("speaker_overlap", speaker_overlap, OVERLAPS))
    if leaks and speaker_overlap == "refuse":
        raise ProtocolError(
            f'{leaks[0]}. speaker_overlap = "allow" runs it all the same, and stamps the report'
        )


def fitted_before(estimator: Any) -> str | None:
    """Say which part of an estimator stays fitted when it is cloned."""
    for name, part in _parts(clone(estimator)):
        if _is_fitted(part):
            return (
                f"{name} was fitted before the split and stays so, so it may know the test "
                "speakers: put it into the pipeline unfitted"
            )
    return None


def scaled_before(X: Matrix) -> str | None:
    """Say whether the features look as if they were scaled or whitened on all samples together."""
    columns = X[:, np.isfinite(X).all(axis=0) & (np.ptp(X, axis=0) > 0)].astype(np.float64)
    if len(columns) < 3 or columns.shape[1] < 2:
        return None
    if np.abs(columns.mean(axis=0)).max() < ROUND:
        if np.abs(columns.std(axis=0) - 1).max() < 1 / len(columns) + ROUND:
            return _scaled("standardised (every column has mean 0 and deviation 1)")
        if columns.shape[1] >= FEWEST_COLUMNS and _uncorrelated(columns):
            return _scaled("whitened (no two columns correlate), as after a PCA")
    ends = np.stack([columns.min(axis=0), columns.max(axis=0) - 1])
    if columns.shape[1] >= FEWEST_COLUMNS and np.abs(ends).max() < 1e-6:
        return _scaled("scaled to 0 to 1 (every column reaches from 0 to 1)")
    return None


def same_samples(X: Matrix, folds: Sequence[Fold]) -> str | None:
    """Say whether a sample of a test part is in its training part too, number for number."""
    which = _identity(X)
    telling = (np.nan_to_num(X) % 1 != 0).sum(axis=1) >= 2
    for number, (train, test) in enumerate(folds):
        twins = np.isin(which[test], which[train]) & telling[test]
        if twins.any():
            row = int(test[twins.argmax()])
            other = int(train[(which[train] == which[row]).argmax()])
            return (
                f"fold {number}: {int(twins.sum())} test samples are in training too, sample {row} "
                f"as {other}: the recording is there twice, or samples were drawn again before "
                "the split: keep one, and resample inside the fold"
            )
    return None


def near_samples(X: Matrix, folds: Sequence[Fold]) -> str | None:
    """Say whether a test part holds copies, or mixtures, of samples of its training part."""
    if X.shape[1] < FEWEST_COLUMNS or len(X) < FEWEST_SAMPLES:
        return None
    rows = _standardised(X)
    tested = np.unique(np.concatenate([test for _, test in folds]))
    if len(tested) > CHECKED:
        tested = np.sort(np.random.default_rng(0).choice(tested, CHECKED, replace=False))
    distance, near = _neighbours(rows, tested)
    closeness = distance[:, :-1] / np.maximum(distance[:, -1:], np.finfo(np.float32).tiny)
    which = _identity(X)
    closeness[which[near[:, :-1]] == which[tested, None]] = np.inf  # `same_samples` judges those
    place = np.full(len(rows), -1)
    place[tested] = np.arange(len(tested))
    for number, (train, test) in enumerate(folds):
        mine = test[place[test] >= 0]
        if not mine.size:
            continue
        learnt = np.isin(near[place[mine]], train)
        close = np.where(learnt[:, :-1], closeness[place[mine]], np.inf).min(axis=1, initial=np.inf)
        if (close < NEAR).any() or (close < ALIKE).mean() > SHARE:
            return (
                f"fold {number}: {int((close < ALIKE).sum())} test samples are copies of training "
                f"samples but for a trifle, sample {int(mine[close.argmin()])} for one: copies "
                "were made before the split: make them inside the fold ([augmentation] does)"
            )
        mixed = [
            row
            for row, theirs in zip(mine, learnt, strict=True)
            if _is_mixture(rows, row, near[place[row]][:MIXED], theirs[:MIXED])
        ]
        if mixed:
            return (
                f"fold {number}: {len(mixed)} test samples are mixtures of a training sample and "
                f"another, sample {int(mixed[0])} for one: samples were made before the split: "
                "make them inside the fold ([balance] does)"
            )
    return None


def _parts(estimator: Any, name: str = "the estimator") -> Iterator[tuple[str, Any]]:
    """Walk through an estimator and all that it is made of."""
    yield name, estimator
    for key, value in estimator.get_params().items():
        if hasattr(value, "fit") and not isinstance(value, type):
            yield f"{key} ({type(value).__name__})", value


def _is_fitted(part: Any) -> bool:
    try:
        check_is_fitted(part)
    except (NotFittedError, TypeError):
        return False
    return bool(get_tags(part).requires_fit)  # what has nothing to learn is always ready


def _scaled(how: str) -> str:
    return (
        f"the features are {how} over all samples, or speaker by speaker with the test speakers' "
        "own clips: scale inside the pipeline, so that it is learnt from the training part"
    )


def _uncorrelated(columns: npt.NDArray[np.float64]) -> bool:
    correlation = np.atleast_2d(np.corrcoef(columns, rowvar=False))
    np.fill_diagonal(correlation, 0.0)
    return bool(np.abs(correlation).max() < ROUND)


def _identity(X: Matrix) -> npt.NDArray[np.intp]:
    """Give each row a number, the same to equal rows."""
    bits = np.ascontiguousarray(X).view(np.uint32)
    return np.unique(bits, axis=0, return_inverse=True)[1].ravel()


def _standardised(X: Matrix) -> Matrix:
    """Bring columns to one scale; the gaps of series count as their mean."""
    with np.errstate(invalid="ignore", divide="ignore"):
        scaled = (X - np.nanmean(X, axis=0)) / np.nanstd(X, axis=0)
    result: Matrix = np.where(np.isfinite(scaled), scaled, 0.0).astype(np.float32)
    return result


def _neighbours(
    rows: Matrix, tested: npt.NDArray[np.intp]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.intp]]:
    """Find the samples next to each tested one, nearest first; itself it is not."""
    finder = NearestNeighbors(n_neighbors=NEIGHBOURS + 1, algorithm="brute").fit(rows)
    distance, near = finder.kneighbors(rows[tested])
    itself = near == tested[:, None]
    itself[~itself.any(axis=1), -1] = True  # so many others are as near: drop the last of them
    shape = (len(tested), -1)
    return distance[~itself].reshape(shape), near[~itself].reshape(shape)


def _is_mixture(
    rows: Matrix, row: int, near: npt.NDArray[np.intp], learnt: npt.NDArray[np.bool_]
) -> bool:
    """Whether a test sample lies in one line with two neighbours, one of them in training."""
    steps = rows[near].astype(np.float64) - rows[row]
    length = np.linalg.norm(steps, axis=1)
    if (length == 0).any():
        return False
    angle = np.abs(steps @ steps.T / np.outer(length, length))
    beside = np.sqrt(np.maximum(0.0, 1 - angle**2))
    apart = np.linalg.norm(steps[:, None] - steps, axis=2) > NEAR * np.maximum.outer(length, length)
    return bool(((learnt[:, None] | learnt) & apart & (beside < ON_LINE)).any())
