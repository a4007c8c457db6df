"""Series of frames as rows of a matrix, so that every tool of scikit-learn can carry them.

A series of shape (time, width) becomes one row: its frames one after the other, then NaN up to the
longest series' end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

Single = npt.NDArray[np.float32]


def pack(series: Sequence[npt.ArrayLike]) -> Single:
    """Lay series of different length into one matrix.

    Parameters
    ----------
    series : sequence of array_like
        Each of shape (time, width), at least one frame, all of the same width, finite.

    Returns
    -------
    numpy.ndarray
        Shape (samples, longest * width), float32, filled up with NaN.

    Raises
    ------
    ValueError
        If there is no series, one has no frame or another width, or a value is not finite.

    Examples
    --------
    >>> pack([[[1, 2], [3, 4]], [[5, 6]]])
    array([[ 1.,  2.,  3.,  4.],
           [ 5.,  6., nan, nan]], dtype=float32)
    """
    frames = [np.asarray(one, dtype=np.float32) for one in series]
    if not frames:
        raise ValueError("there is no series to pack; need at least 1")
    for row, one in enumerate(frames):
        if one.ndim != 2 or one.size == 0 or one.shape[1:] != frames[0].shape[1:]:
            raise ValueError(
                f"series {row} has shape {one.shape}; need (time, width) with at least 1 frame and "
                f"the width of series 0, whose shape is {frames[0].shape}"
            )
        if not np.isfinite(one).all():
            raise ValueError(f"series {row} holds NaN or infinity; a series must be finite")
    X = np.full((len(frames), max(one.size for one in frames)), np.nan, dtype=np.float32)
    for row, one in enumerate(frames):
        X[row, : one.size] = one.ravel()
    return X


def unpack(X: npt.ArrayLike, width: int) -> tuple[Single, npt.NDArray[np.int64]]:
    """Turn rows back into series.

    Parameters
    ----------
    X : array_like
        Shape (samples, longest * width), as `pack` makes it.
    width : int
        Features a frame.

    Returns
    -------
    batch : numpy.ndarray
        Shape (samples, longest, width), float32, filled up with zeros.
    lengths : numpy.ndarray
        Shape (samples,), int64: frames of each series, at least 1.

    Raises
    ------
    ValueError
        If the columns are no multiple of the width, a value is infinite, or NaN stands elsewhere
        than in whole frames at the end.

    Examples
    --------
    >>> batch, lengths = unpack([[1, 2, 3, 4], [5, 6, np.nan, np.nan]], width=2)
    >>> batch[1].tolist(), lengths.tolist()
    ([[5.0, 6.0], [0.0, 0.0]], [2, 1])
    """
    rows = np.asarray(X, dtype=np.float32)
    if rows.ndim != 2:
        raise ValueError(f"X has shape {rows.shape}; need (samples, longest * width)")
    if width < 1 or rows.shape[1] == 0 or rows.shape[1] % width:
        raise ValueError(
            f"X has {rows.shape[1]} columns; need a multiple of the width, which is {width}"
        )
    _refuse(np.any(np.isinf(rows), axis=1), "infinity in X, {}; series must be finite")
    batch = rows.reshape(len(rows), -1, width)
    missing = np.isnan(batch)
    lengths: npt.NDArray[np.int64] = (~missing.all(axis=2)).sum(axis=1, dtype=np.int64)
    _refuse(lengths == 0, "NaN only in X, {}; a series needs at least 1 frame")
    beyond = np.arange(batch.shape[1]) >= lengths[:, None]
    _refuse(
        (missing != beyond[:, :, None]).any(axis=(1, 2)),
        "NaN inside a series of X, {}; only whole frames at its end may be NaN",
    )
    return np.where(missing, np.float32(0), batch), lengths


def _refuse(bad: npt.NDArray[Any], message: str) -> None:
    if bad.any():
        raise ValueError(message.format(f"row {int(bad.argmax())}"))


class Pooling(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Series to vectors, so that any classifier of vectors can be given series.

    Parameters
    ----------
    width : int, optional
        Features a frame. If not given, rows are vectors already and pass unchanged.

    Examples
    --------
    >>> Pooling(width=1).fit_transform([[1.0, 3.0], [5.0, np.nan]]).tolist()
    [[2.0, 1.0, 1.0, 3.0], [5.0, 0.0, 5.0, 5.0]]
    """

    def __init__(self, width: int | None = None) -> None:
        self.width = width

    def fit(self, X: npt.ArrayLike, y: Any = None) -> Self:
        """Check the rows; there is nothing to learn.

        Parameters
        ----------
        X : array_like
            Shape (samples, longest * width), or (samples, features) without a width.
        y : ignored
            For pipelines.

        Returns
        -------
        Pooling
            Itself.

        Raises
        ------
        ValueError
            If the rows are no series of that width.
        """
        del y
        rows = self._validated(X, reset=True)
        if self.width is not None:
            unpack(rows, self.width)
        return self

    def transform(self, X: npt.ArrayLike) -> npt.NDArray[Any]:
        """Pool each series over its frames.

        Parameters
        ----------
        X : array_like
            Shape (samples, longest * width), or (samples, features) without a width.

        Returns
        -------
        numpy.ndarray
            Shape (samples, 4 * width): mean, standard deviation (of the population), least and
            greatest value of each feature; without a width, X.

        Raises
        ------
        ValueError
            If the rows are no series of that width.
        """
        check_is_fitted(self)
        rows = self._validated(X, reset=False)
        if self.width is None:
            return rows
        batch, lengths = unpack(rows, self.width)
        valid = (np.arange(batch.shape[1]) < lengths[:, None])[:, :, None]
        count = lengths[:, None].astype(np.float64)
        mean = batch.sum(axis=1, dtype=np.float64) / count
        variance = np.square(np.where(valid, batch - mean[:, None], 0.0)).sum(axis=1) / count
        least = np.where(valid, batch, np.inf).min(axis=1)
        greatest = np.where(valid, batch, -np.inf).max(axis=1)
        return np.concatenate([mean, np.sqrt(variance), least, greatest], axis=1)

    def _validated(self, X: npt.ArrayLike, *, reset: bool) -> npt.NDArray[Any]:
        finite = True if self.width is None else "allow-nan"
        rows: npt.NDArray[Any] = validate_data(
            self, X, dtype=(np.float64, np.float32), ensure_all_finite=finite, reset=reset
        )
        return rows

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "n_features_in_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.width is not None
        return tags
