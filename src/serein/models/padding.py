"""Series of frames as NaN-padded rows of a matrix, as scikit-learn's tools need them.

A series of shape (time, width) becomes one row: its frames one after the other, then NaN up to the
longest series' end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from serein.errors import SettingError

Single = npt.NDArray[np.float32]


def pad(series: Sequence[npt.ArrayLike]) -> Single:
    """Pad series (time, width) of different length to one matrix, a row each."""
    frames = [np.asarray(one, dtype=np.float32) for one in series]
    if not frames:
        raise SettingError("there is no series to pad; need at least 1")
    for row, one in enumerate(frames):
        if one.ndim != 2 or one.size == 0 or one.shape[1:] != frames[0].shape[1:]:
            raise SettingError(
                f"series {row} has shape {one.shape}; need (time, width) with at least 1 frame and "
                f"the width of series 0, whose shape is {frames[0].shape}"
            )
        if not np.isfinite(one).all():
            raise SettingError(f"series {row} holds NaN or infinity; a series must be finite")
    X = np.full((len(frames), max(one.size for one in frames)), np.nan, dtype=np.float32)
    for row, one in enumerate(frames):
        X[row, : one.size] = one.ravel()
    return X


def unpad(X: npt.ArrayLike, width: int) -> tuple[Single, npt.NDArray[np.int64]]:
    """Turn rows back into series, filled with 0 (samples, time, width), and their lengths."""
    rows = np.asarray(X, dtype=np.float32)
    if rows.ndim != 2:
        raise SettingError(f"X has shape {rows.shape}; need (samples, longest * width)")
    if width < 1 or rows.shape[1] == 0 or rows.shape[1] % width:
        raise SettingError(
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
        raise SettingError(message.format(f"row {int(bad.argmax())}"))


class SeriesInput:
    """An estimator whose rows are padded series of `width` features a frame; vectors if None."""

    width: int | None

    def _finite(self) -> bool | str:
        return True if self.width is None else "allow-nan"

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.input_tags.allow_nan = self.width is not None
        return tags
