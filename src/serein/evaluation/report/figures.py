"""Figures of a report, each as inline SVG."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from serein.evaluation.confidence import Reliability, RiskCoverage
from serein.evaluation.metrics import Floats, auc, roc_curve
from serein.evaluation.report.svg import (
    BLUE,
    COLOURS,
    DASHES,
    INK,
    MUTED,
    SHADES,
    VERMILLION,
    Drawing,
    name_rows,
    short,
    unit_axis,
)
from serein.evaluation.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


ROW_PX = 24
Say = Callable[[str], str]  # puts a text into the language of the report


def robustness(conditions: Sequence[Mapping[str, Any]], clean: float, say: Say = str) -> Drawing:
    """Draw the UAR under each condition, and without any."""
    rows: list[tuple[str, Mapping[str, Any] | None]] = []
    test = None
    for entry in conditions:
        if entry["test"] != test:
            test = entry["test"]
            rows.append((test, None))
        rows.append((entry["name"], entry))

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        name_rows(axes, [say(name) for name, _ in rows])
        axes.axvline(clean, color=INK, linewidth=0.9, linestyle=DASHES[1])
        for number, (_, entry) in enumerate(rows):
            if entry is None:
                axes.get_yticklabels()[number].set_fontweight("bold")
                continue
            interval = entry["interval_95"]
            _dot(axes, number, entry["uar"], interval and [clean + end for end in interval])
        axes.set_xlabel(say("UAR (dashed: clean, {:.3f})").format(clean))
        axes.set_xlim(0, min(1.0, axes.get_xlim()[1]))
        axes.grid(visible=False, axis="y")

    words = say("UAR under each condition, and without any")
    return Drawing("robustness", words, 60 + ROW_PX * len(rows), paint)


def importance(rows: Sequence[Mapping[str, Any]], say: Say = str) -> Drawing:
    """Draw by how much permuting each feature lowers the UAR."""

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        name_rows(axes, [str(row["feature"]) for row in rows])
        place = np.arange(len(rows))
        axes.barh(place, [row["drop"] for row in rows], height=0.6, color=SHADES[2])
        ends = np.array([[row["low"], row["high"]] for row in rows], dtype=np.float64)  # None: NaN
        axes.hlines(place, *ends.T, color=INK, linewidth=1)
        axes.axvline(0, color=MUTED, linewidth=0.8)
        axes.set_xlabel(say("drop of UAR when the feature is permuted"))
        axes.grid(visible=False, axis="y")

    words = say("Drop of UAR when each feature is permuted")
    return Drawing("importance", words, 60 + ROW_PX * len(rows), paint)


def systems(
    rows: Sequence[tuple[str, float | None, Sequence[float] | None]], score: str, say: Say = str
) -> Drawing:
    """Draw a score of several systems with its intervals."""

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        name_rows(axes, [name for name, _, _ in rows])
        if rows[0][1] is not None:
            axes.axvline(rows[0][1], color=MUTED, linewidth=0.9, linestyle=DASHES[1])
        for number, (_, value, interval) in enumerate(rows):
            _dot(axes, number, value, interval)
        axes.set_xlabel(say("{}, 95 % interval by speaker").format(score))
        axes.margins(x=0.1)

    return Drawing("systems", say("{} of each system").format(score), 60 + 26 * len(rows), paint)


def _dot(axes: Axes, row: int, value: float | None, interval: Sequence[float] | None) -> None:
    if interval is not None:
        axes.plot(interval, [row, row], color=BLUE, linewidth=2.5, alpha=0.45)
    if value is not None:
        axes.plot([value], [row], "o", color=BLUE, markersize=5, clip_on=False)


MAX_POINTS = 400  # of a curve
CURVE_NAMES = {
    "train_loss": "training",
    "valid_loss": "held out",
    "train_uar": "training",
    "valid_uar": "held out",
}


def confusion(cells: Sequence[Sequence[int]], labels: Sequence[str], say: Say = str) -> Drawing:
    """Draw a confusion matrix: per cent of each true class, and below it the clips."""
    counts = np.asarray(cells, dtype=np.intp)
    total = counts.sum(axis=1, keepdims=True)
    share = np.divide(counts, total, out=np.zeros(counts.shape), where=total > 0)

    def paint(figure: Figure) -> None:
        from matplotlib.colors import LinearSegmentedColormap

        axes = figure.subplots()
        shades = LinearSegmentedColormap.from_list("shades", SHADES)
        axes.pcolormesh(share, cmap=shades, vmin=0, vmax=1, edgecolors="white", linewidth=1)
        for row, column in np.ndindex(counts.shape):
            _cell(axes, row, column, int(counts[row, column]), float(share[row, column]))
        middle = np.arange(len(labels)) + 0.5
        names = [short(say(name), 12) for name in labels]
        turned: dict[str, Any] = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"}
        axes.set_xticks(middle, names, **(turned if len(names) > 4 else {}))
        axes.set_yticks(middle, names)
        axes.tick_params(length=0, labelcolor=INK, pad=2)
        axes.set(xlabel=say("prediction"), ylabel=say("truth"), aspect="equal")
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        axes.invert_yaxis()

    words = say("Confusion matrix: a row for each true emotion, a column for each predicted one")
    return Drawing("confusion", words, 395, paint)


def roc(result: Result, say: Say = str) -> Drawing:
    """Draw the ROC curve of each class against all others."""
    truths = [result.truth == number for number in range(len(result.labels))]
    drawn = [number for number, true in enumerate(truths) if true.any() and not true.all()]

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        axes.plot(
            [0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle=":", label=say("chance 0.500")
        )
        for number in drawn:
            score = result.probabilities[:, number]
            area = auc(truths[number], score)
            axes.plot(
                *roc_curve(truths[number], score),
                color=COLOURS[number % len(COLOURS)],
                linestyle=DASHES[number % len(DASHES)],
                label=f"{short(say(result.labels[number]))} {area:.3f}",
            )
        unit_axis(axes.xaxis, say("false-positive rate"))
        unit_axis(axes.yaxis, say("true-positive rate"))
        axes.set_aspect("equal")
        figure.legend(loc="outside lower center", ncols=2, handlelength=3)

    rows = (len(drawn) + 2) // 2
    return Drawing(
        "roc", say("ROC curve of each emotion against all others"), 365 + 15 * rows, paint
    )


def calibration(found: Reliability, say: Say = str) -> Drawing:
    """Draw a reliability diagram over a histogram of confidence."""
    bins = len(found.count)
    there = found.count > 0
    confidence, right = found.confidence[there], found.accuracy[there]

    def paint(figure: Figure) -> None:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
        upper.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle=":")
        upper.vlines(confidence, confidence, right, color=VERMILLION, linewidth=1, alpha=0.7)
        upper.plot(confidence, right, "o-", color=BLUE, markersize=5)
        unit_axis(upper.yaxis, say("accuracy"))
        middle = (np.arange(bins) + 0.5) / bins
        lower.bar(middle, found.count, width=0.9 / bins, color=SHADES[2])
        for place, count in zip(middle, found.count, strict=True):
            lower.annotate(
                str(count), (place, count), (0, 2), textcoords="offset points", ha="center",
                fontsize=7,
            )  # fmt: skip
        lower.set(ylabel=say("clips"), yticks=[], ylim=(0, 1.2 * found.count.max()))
        unit_axis(lower.xaxis, say("confidence: probability of the predicted emotion"))
        figure.align_ylabels()

    words = say("Reliability diagram: accuracy by confidence, and clips in each bin")
    return Drawing("calibration", words, 440, paint)


def selective(curve: RiskCoverage, thresholds: Sequence[float], say: Say = str) -> Drawing:
    """Draw the error rate against coverage when the least confident are left unsure."""
    kept = np.unique(np.linspace(0, len(curve.coverage) - 1, MAX_POINTS).astype(int))

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        axes.plot(curve.coverage[kept], curve.risk[kept], color=BLUE)
        axes.axhline(curve.risk[-1], color=MUTED, linewidth=0.8, linestyle=":")
        last = 2.0
        for threshold in thresholds:
            coverage, accuracy = curve.at(threshold)
            if accuracy is None or last - coverage < 0.06:
                continue
            last, place = coverage, (coverage, 1 - accuracy)
            axes.plot(*place, "o", color=VERMILLION, markersize=5, clip_on=False)
            low = 1 - accuracy < 0.1 * curve.risk.max()  # beside the axis: no room below
            beside = (-16, 6) if coverage > 0.9 else (5, 4 if low else -9)
            axes.annotate(
                f"{threshold:g}", place, beside, textcoords="offset points", fontsize=7.5,
            )  # fmt: skip
        unit_axis(axes.xaxis, say("coverage: share of clips that are not left unsure"))
        axes.set(ylabel=say("risk: error rate among them"), ylim=(0, None))

    return Drawing("selective", say("Risk against coverage as the threshold falls"), 275, paint)


def learning(curves: Mapping[str, Floats], kind: str, say: Say = str) -> Drawing:
    """Draw learning curves: mean and, shaded, range while at least half of the folds train."""

    def paint(figure: Figure) -> None:
        from matplotlib.ticker import MaxNLocator

        axes = figure.subplots()
        for number, (name, values) in enumerate(curves.items()):
            there = np.isfinite(values).sum(axis=0) * 2 >= len(values)
            epoch = np.flatnonzero(there) + 1
            part, colour = values[:, there], COLOURS[number]
            low, high = np.nanmin(part, axis=0), np.nanmax(part, axis=0)
            axes.fill_between(epoch, low, high, alpha=0.2, linewidth=0, color=colour)
            mean = np.nanmean(part, axis=0)
            dashes = DASHES[number % len(DASHES)]
            axes.plot(
                epoch, mean, linestyle=dashes, color=colour, label=say(CURVE_NAMES.get(name, name))
            )
        axes.set(xlabel=say("epoch"), ylabel=say(kind))
        axes.margins(x=0.02)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        figure.legend(loc="outside lower center", ncols=2, handlelength=3)

    key = "learning-" + "".join(sign for sign in kind if sign.isalnum())
    return Drawing(key, say(f"Learning curves: {kind} by epoch"), 275, paint)


def _cell(axes: Axes, row: int, column: int, count: int, share: float) -> None:
    """Write share and clips into a cell of a confusion matrix."""
    look: dict[str, Any] = {"ha": "center", "va": "center"}
    look["color"] = "white" if share > 0.5 else INK
    if not count:
        axes.text(column + 0.5, row + 0.5, "0", fontsize=7, **(look | {"color": "#767676"}))
        return
    weight = "bold" if row == column else "normal"
    look |= {"xy": (column + 0.5, row + 0.5), "textcoords": "offset points"}
    axes.annotate(f"{100 * share:.0f}", xytext=(0, 4), fontsize=8.5, weight=weight, **look)
    axes.annotate(str(count), xytext=(0, -5.5), fontsize=6.5, **look)
