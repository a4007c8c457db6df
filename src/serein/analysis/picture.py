"""A recording as one picture: waveform, spectrogram with F0 and formants, emotions over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from serein.analysis.explanation import Explanation
from serein.audio.frames import BLOCK_FRAMES, frame_count, frame_times, frames_of, power_spectra
from serein.audio.read import RATE_HZ, Signal, check_signal
from serein.emotions import colour_of, emotion_name
from serein.errors import MissingExtraError
from serein.features.formants import formants
from serein.features.pitch import f0
from serein.inference.prediction import Segment
from serein.language import translated

try:
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine
    from matplotlib.patches import Patch
except ImportError as error:
    raise MissingExtraError("drawing", "sound") from error

if TYPE_CHECKING:
    from matplotlib.axes import Axes


Array = npt.NDArray[np.float32]
Values = npt.NDArray[np.float64]

COLUMNS = 2000  # of the picture: longer recordings are drawn by the extremes of each column
HIGHEST_HZ = 5500
MIN_SHARE = 1 / 15  # of the timeline: a shorter segment has no room for its name
RANGE_DB = 70
FOR, AGAINST, UNKNOWN = "#f0963c", "#6a92d4", "#dcdcdc"  # told apart with any colour vision
SHADES = LinearSegmentedColormap.from_list("importance", [AGAINST, "#ffffff", FOR]).with_extremes(
    bad=UNKNOWN
)
MIN_REACH = 0.05  # of probability, of the scales: they would magnify nothing otherwise
MAX_GROUPS = 8  # of features that are shown
MAX_TITLE = 60  # letters
BAR_INCHES = 0.26


def draw_recording(
    signal: Array, timeline: Sequence[Segment], *, title: str = "", lang: str = "en"
) -> Figure:
    """Draw a recording.

    `timeline`: as a `Prediction` holds it; `lang`: en or zh.
    Returns: the figure; save it with ``savefig``.
    """
    signal = check_signal(signal)
    figure = Figure(figsize=(12, 7), dpi=120, layout="constrained")
    wave, spectrum, emotions = figure.subplots(3, 1, sharex=True, height_ratios=[2, 5, 1.4])
    draw_wave(wave, signal, lang)
    _draw_spectrogram(spectrum, signal)
    _draw_voice(spectrum, signal, lang)
    _draw_emotions(emotions, timeline, lang)
    wave.set_title(title, loc="left", parse_math=False)
    wave.set_xlim(0, signal.size / RATE_HZ)
    return figure


def draw_wave(axes: Axes, signal: Array, lang: str) -> None:
    """Draw the waveform of a recording."""
    low, high = _extremes(signal)
    time_s = np.linspace(0, signal.size / RATE_HZ, low.size)
    axes.fill_between(time_s, low, high, color="#333333", linewidth=0.5)
    axes.set_ylabel(translated("amplitude", lang))


def _extremes(signal: Array) -> tuple[Array, Array]:
    """Find the least and greatest sample of each column of the picture."""
    edges = np.unique(np.linspace(0, signal.size, COLUMNS, endpoint=False).astype(int))
    return np.minimum.reduceat(signal, edges), np.maximum.reduceat(signal, edges)


def _draw_spectrogram(axes: Axes, signal: Array) -> None:
    level_db = 10 * np.log10(np.maximum(_greatest_power(signal), 1e-10))
    top = float(level_db.max())
    axes.imshow(
        level_db.T,
        origin="lower",
        aspect="auto",
        cmap="Greys",
        extent=(0.0, signal.size / RATE_HZ, 0.0, RATE_HZ / 2),
        vmin=top - RANGE_DB,
        vmax=top,
    )
    axes.set_ylim(0, HIGHEST_HZ)
    axes.set_ylabel("Hz")


def _greatest_power(signal: Array) -> Array:
    """Find the greatest power of each column and frequency, some columns at a time."""
    count = frame_count(signal.size)
    edges = np.unique(np.linspace(0, count, COLUMNS, endpoint=False).astype(int))
    parts = np.array_split(edges, min(len(edges), -(-count // BLOCK_FRAMES)))
    found = []
    for part, end in zip(parts, [*(later[0] for later in parts[1:]), count], strict=True):
        power = power_spectra(frames_of(signal, slice(part[0], end)))
        found.append(np.maximum.reduceat(power, part - part[0]))
    return np.concatenate(found)


def _draw_voice(axes: Axes, signal: Array, lang: str) -> None:
    pitch_hz = f0(signal)[:, 0]
    voiced = np.flatnonzero(pitch_hz)
    voiced = voiced[:: max(1, voiced.size // COLUMNS)]
    time_s = frame_times(len(pitch_hz))[voiced]
    for number, track in enumerate(formants(signal)[voiced, :5].T):
        label = translated("F1 to F5", lang) if number == 0 else None
        axes.plot(time_s, _gaps(track), ".", color="#ee7733", markersize=2, label=label)
    axes.plot(time_s, pitch_hz[voiced], ".", color="#0077bb", markersize=4, label="F0")
    if voiced.size:
        axes.legend(loc="upper right", markerscale=3)


def _gaps(track: Array) -> Array:
    return np.where(track > 0, track, np.float32(np.nan))


def _draw_emotions(axes: Axes, timeline: Sequence[Segment], lang: str) -> None:
    for segment in timeline:
        width = segment.end - segment.start
        name, confidence = _label(segment, lang), segment.confidence or 0.0
        colour = colour_of(segment.emotion or "no speech")
        axes.bar(segment.start, confidence or 1.0, width, align="edge", color=colour, edgecolor="w")
        if width > timeline[-1].end * MIN_SHARE:
            words = name if segment.emotion is None else f"{name} {confidence:.2f}"
            axes.text(segment.start + width / 2, 0.06, words, ha="center", fontsize=9)
    if len(timeline) * MIN_SHARE >= 1:
        _add_legend(axes, timeline, lang)
    axes.set_ylim(0, 1)
    axes.set_ylabel(translated("confidence", lang))
    axes.set_xlabel(translated("time in s", lang))


def _label(segment: Segment, lang: str) -> str:
    if segment.emotion is None:
        return translated("no speech", lang)
    name = emotion_name(segment.emotion, lang, segment.own)
    return translated("{} (burst)", lang).format(name) if segment.burst else name


def _add_legend(axes: Axes, timeline: Sequence[Segment], lang: str) -> None:
    names = {
        _label(segment, lang): colour_of(segment.emotion or "no speech") for segment in timeline
    }
    patches = [Patch(color=colour, label=name) for name, colour in names.items()]
    axes.legend(handles=patches, loc="upper center", bbox_to_anchor=(0.5, -0.35), ncols=len(names))


def draw_explanation(
    signal: Signal, explanation: Explanation, *, title: str = "", lang: str = "en"
) -> Figure:
    """Draw what speaks for an emotion and what against it.

    `explanation`: of this signal; `title`: the recording's name, written before the prediction;
    `lang`: en or zh.
    Returns: the figure; save it with ``savefig``.
    """
    signal = check_signal(signal)
    tables = [_bands(explanation, lang), _features(explanation)]
    tables = [table for table in tables if table]
    low = 0.9 + BAR_INCHES * max([2, *map(len, tables)])
    figure = Figure(figsize=(12, 4.6 + low), dpi=120, layout=ConstrainedLayoutEngine(w_pad=0.1))
    over_time, apart = figure.subfigures(2, 1, squeeze=False, height_ratios=[4.6, low])[:, 0]
    wave, curve = over_time.subplots(2, 1, sharex=True, height_ratios=[3, 2])
    draw_wave(wave, signal, lang)
    _draw_moments(wave, curve, explanation, signal.size / RATE_HZ, lang)
    wave.set_title(_headline(explanation, title, lang), loc="left", parse_math=False)
    colours = over_time.colorbar(wave.images[0], ax=[wave, curve], pad=0.015, aspect=30)
    name = emotion_name(explanation.emotion, lang, explanation.prediction.own)
    colours.set_label(translated("← against    speaks for {} →", lang).format(name))
    for column, table in enumerate(tables):
        _draw_bars(apart.add_subplot(1, len(tables), column + 1), table)
    apart.supxlabel(_legend(explanation, lang), fontsize="medium")
    return figure


def _draw_moments(
    wave: Axes, curve: Axes, explanation: Explanation, end_s: float, lang: str
) -> None:
    """Shade the waveform and draw a curve under it; what was not examined is grey."""
    edges, heights = _curve(explanation, end_s)
    most = max(MIN_REACH, float(np.nanmax(np.abs(heights))))
    peak = max(abs(edge) for edge in wave.get_ylim())
    for axes, tall in ((wave, peak), (curve, 1.1 * most)):
        shown = heights if axes is wave else np.where(np.isnan(heights), heights, 0)
        axes.imshow(
            shown[None],
            cmap=SHADES,
            vmin=-most,
            vmax=most,
            aspect="auto",
            interpolation="nearest",
            extent=(0, edges[-1], -tall, tall),
            zorder=0,
        )
        axes.set_ylim(-tall, tall)
    for colour, side in ((FOR, heights > 0), (AGAINST, heights < 0)):
        curve.stairs(np.where(side, heights, 0), edges, fill=True, color=colour)
    curve.stairs(heights, edges, baseline=None, color="#333333", linewidth=0.8)
    curve.axhline(0, color="#333333", linewidth=0.6)
    curve.set_xlim(0, end_s)
    curve.set_ylabel(translated("importance", lang))
    gaps = "   (grey: no speech, or not examined)" if np.isnan(heights).any() else ""
    curve.set_xlabel(translated("time in s", lang) + (translated(gaps, lang) if gaps else ""))


def _curve(explanation: Explanation, end_s: float) -> tuple[Values, Values]:
    """Give the edges of the hops in seconds, and their importance; NaN if not examined."""
    hops = int(np.ceil(end_s / explanation.hop_s - 1e-9))
    heights = np.full(hops, np.nan)
    for moment in explanation.moments:
        heights[round(moment.start / explanation.hop_s)] = moment.importance
    return explanation.hop_s * np.arange(hops + 1, dtype=np.float64), heights


def _bands(explanation: Explanation, lang: str) -> list[tuple[str, float]]:
    span = translated("{} to {}", lang)
    return [
        (span.format(f"{band.low_hz:.0f}", f"{band.high_hz:.0f} Hz"), band.importance)
        for band in reversed(explanation.bands)  # high frequencies above
    ]


def _features(explanation: Explanation) -> list[tuple[str, float]]:
    return [(group.name, group.importance) for group in explanation.features[:MAX_GROUPS]]


def _draw_bars(axes: Axes, table: Sequence[tuple[str, float]]) -> None:
    names, values = [name for name, _ in table], [value for _, value in table]
    colours = [FOR if value > 0 else AGAINST for value in values]
    bars = axes.barh(np.arange(len(table)), values, color=colours)
    axes.bar_label(bars, fmt=_signed, padding=3, fontsize=9)
    axes.set_yticks(np.arange(len(table)), names)
    axes.invert_yaxis()
    axes.axvline(0, color="#333333", linewidth=0.8)
    reach = 1.25 * max([MIN_REACH, *map(abs, values)])
    axes.set_xlim(-reach if min(values) < -0.005 else -0.1 * reach, reach)
    axes.spines[["top", "right"]].set_visible(False)


def _signed(value: float) -> str:
    """Write an importance with its sign; a zero has none."""
    text = f"{value:+.2f}"
    return "0.00" if text in {"+0.00", "-0.00"} else text


def _headline(explanation: Explanation, title: str, lang: str) -> str:
    prediction, own = explanation.prediction, explanation.prediction.own
    text = f"{emotion_name(prediction.emotion or '', lang, own)} {prediction.confidence:.2f}"
    if explanation.emotion != prediction.emotion:
        told = emotion_name(explanation.emotion, lang, own), explanation.probability
        text += f"; {translated('explained: {} {:.2f}', lang).format(*told)}"
    name = title if len(title) <= MAX_TITLE else f"{title[: MAX_TITLE - 1]}…"
    return f"{name}: {text}" if name else text


def _legend(explanation: Explanation, lang: str) -> str:
    words = translated("importance: by how much {} is less probable without this part", lang)
    words = words.format(emotion_name(explanation.emotion, lang, explanation.prediction.own))
    return f"{words}\n{translated(explanation.note, lang)}" if explanation.note else words
