"""Figures with a row for each thing that is compared, each as inline SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from serein.evaluation.drawing import (
    BLUE,
    DASHES,
    INK,
    MUTED,
    SHADES,
    draw,
    name_rows,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROW_PX = 24


def robustness(conditions: Sequence[Mapping[str, Any]], clean: float) -> str:
    """Draw the UAR under each condition, beside that of the recordings as they are.

    Parameters
    ----------
    conditions : sequence of mapping
        ``name``, ``test``, ``uar``, and ``interval_95`` of the change, or None; those of a test
        follow each other.
    clean : float
        UAR of the recordings as they are.

    Returns
    -------
    str
        SVG.
    """
    rows: list[tuple[str, Mapping[str, Any] | None]] = []
    test = None
    for entry in conditions:
        if entry["test"] != test:
            test = entry["test"]
            rows.append((test, None))
        rows.append((entry["name"], entry))

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        name_rows(axes, [name for name, _ in rows])
        axes.axvline(clean, color=INK, linewidth=0.9, linestyle=DASHES[1])
        for number, (label, (_, entry)) in enumerate(
            zip(axes.get_yticklabels(), rows, strict=True)
        ):
            if entry is None:
                label.set_fontweight("bold")
                continue
            _dot(axes, number, entry["uar"], _shifted(entry["interval_95"], clean))
        axes.set_xlabel(f"UAR (dashed: {clean:.3f} without any change)")
        axes.set_xlim(0, min(1.0, axes.get_xlim()[1]))
        axes.grid(visible=False, axis="y")

    words = "UAR under each condition, beside that of the recordings as they are"
    return draw("robustness", words, 60 + ROW_PX * len(rows), paint)


def importance(rows: Sequence[Mapping[str, Any]]) -> str:
    """Draw by how much shuffling each feature lowers the UAR.

    Parameters
    ----------
    rows : sequence of mapping
        ``feature``, ``drop``, ``low`` and ``high``.

    Returns
    -------
    str
        SVG.
    """

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        name_rows(axes, [str(row["feature"]) for row in rows])
        place = np.arange(len(rows))
        axes.barh(place, [row["drop"] for row in rows], height=0.6, color=SHADES[2])
        ends = np.array([[row["low"], row["high"]] for row in rows], dtype=np.float64)  # None: NaN
        axes.hlines(place, *ends.T, color=INK, linewidth=1)
        axes.axvline(0, color=MUTED, linewidth=0.8)
        axes.set_xlabel("drop of UAR when the feature is shuffled")
        axes.grid(visible=False, axis="y")

    words = "Drop of UAR when each feature is shuffled"
    return draw("importance", words, 60 + ROW_PX * len(rows), paint)


def systems(rows: Sequence[tuple[str, float | None, Sequence[float] | None]], score: str) -> str:
    """Draw a score of several systems with its intervals.

    Parameters
    ----------
    rows : sequence of (name, value, interval)
        The first is the one that others are compared with; the interval may be None.
    score : str
        Name of the axis.

    Returns
    -------
    str
        SVG.
    """

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        name_rows(axes, [name for name, _, _ in rows])
        if rows[0][1] is not None:
            axes.axvline(rows[0][1], color=MUTED, linewidth=0.9, linestyle=DASHES[1])
        for number, (_, value, interval) in enumerate(rows):
            _dot(axes, number, value, interval)
        axes.set_xlabel(f"{score}, 95 % interval by speaker")
        axes.margins(x=0.1)

    return draw("systems", f"{score} of each system", 60 + 26 * len(rows), paint)


def _shifted(interval: Sequence[float] | None, by: float) -> list[float] | None:
    return None if interval is None else [by + end for end in interval]


def _dot(axes: Axes, row: int, value: float | None, interval: Sequence[float] | None) -> None:
    if interval is not None:
        axes.plot(interval, [row, row], color=BLUE, linewidth=2.5, alpha=0.45)
    if value is not None:
        axes.plot([value], [row], "o", color=BLUE, markersize=5, clip_on=False)
