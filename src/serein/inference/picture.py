"""A recording as one picture: waveform, spectrogram with F0 and formants, emotions over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from serein.audio.frames import frame_times
from serein.audio.read import RATE_HZ, check_signal
from serein.emotions import EMOTIONS
from serein.errors import MissingExtraError
from serein.features.descriptors import power_spectrogram
from serein.features.formants import formants
from serein.features.pitch import f0
from serein.inference.prediction import Segment

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = npt.NDArray[np.float32]

COLOURS = {name: emotion.colour for name, emotion in EMOTIONS.items()}
COLUMNS = 2000  # of the picture: longer recordings are drawn by the extremes of each column
HIGHEST_HZ = 5500
CROWDED = 15  # segments of a timeline: shorter ones have no room for their name
RANGE_DB = 70


def draw_recording(signal: Array, timeline: Sequence[Segment], *, title: str = "") -> Figure:
    """Draw a recording.

    Parameters
    ----------
    signal : numpy.ndarray
        Shape (samples,), float32, mono at 16 kHz.
    timeline : sequence of Segment
        As a `Prediction` holds it.
    title : str
        Written above.

    Returns
    -------
    matplotlib.figure.Figure
        Save it with ``savefig``.

    Raises
    ------
    AudioError
        If the signal is not one.
    MissingExtraError
        If matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("drawing", "sound") from error
    signal = check_signal(signal)
    figure = Figure(figsize=(12, 7), dpi=120, layout="constrained")
    wave, spectrum, emotions = figure.subplots(3, 1, sharex=True, height_ratios=[2, 5, 1.4])
    draw_wave(wave, signal)
    _draw_spectrogram(spectrum, signal)
    _draw_voice(spectrum, signal)
    _draw_emotions(emotions, timeline)
    wave.set_title(title, loc="left", parse_math=False)
    wave.set_xlim(0, signal.size / RATE_HZ)
    return figure


def draw_wave(axes: Axes, signal: Array) -> None:
    """Draw the waveform of a recording.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Where; its horizontal axis is in seconds.
    signal : numpy.ndarray
        Shape (samples,), float32, mono at 16 kHz.
    """
    low, high = _extremes(signal)
    time_s = np.linspace(0, signal.size / RATE_HZ, low.size)
    axes.fill_between(time_s, low, high, color="#333333", linewidth=0.5)
    axes.set_ylabel("amplitude")


def _extremes(signal: Array) -> tuple[Array, Array]:
    """Least and greatest sample of each column of the picture."""
    edges = np.unique(np.linspace(0, signal.size, COLUMNS, endpoint=False).astype(int))
    return np.minimum.reduceat(signal, edges), np.maximum.reduceat(signal, edges)


def _draw_spectrogram(axes: Axes, signal: Array) -> None:
    power = power_spectrogram(signal)
    edges = np.unique(np.linspace(0, len(power), COLUMNS, endpoint=False).astype(int))
    level_db = 10 * np.log10(np.maximum(np.maximum.reduceat(power, edges), 1e-10))
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


def _draw_voice(axes: Axes, signal: Array) -> None:
    pitch_hz = f0(signal)[:, 0]
    voiced = np.flatnonzero(pitch_hz)
    voiced = voiced[:: max(1, voiced.size // COLUMNS)]
    time_s = frame_times(len(pitch_hz))[voiced]
    for number, track in enumerate(formants(signal)[voiced, :5].T):
        label = "F1 to F5" if number == 0 else None
        axes.plot(time_s, _gaps(track), ".", color="#ee7733", markersize=2, label=label)
    axes.plot(time_s, pitch_hz[voiced], ".", color="#0077bb", markersize=4, label="F0")
    if voiced.size:
        axes.legend(loc="upper right", markerscale=3)


def _gaps(track: Array) -> Array:
    return np.where(track > 0, track, np.float32(np.nan))


def _draw_emotions(axes: Axes, timeline: Sequence[Segment]) -> None:
    for segment in timeline:
        width = segment.end - segment.start
        name, confidence = segment.emotion or "no speech", segment.confidence or 0.0
        colour = COLOURS.get(name, "#eeeeee")
        axes.bar(segment.start, confidence or 1.0, width, align="edge", color=colour, edgecolor="w")
        if width > timeline[-1].end / CROWDED:
            words = name if segment.emotion is None else f"{name} {confidence:.2f}"
            axes.text(segment.start + width / 2, 0.06, words, ha="center", fontsize=9)
    if len(timeline) >= CROWDED:
        _add_legend(axes, timeline)
    axes.set_ylim(0, 1)
    axes.set_ylabel("confidence")
    axes.set_xlabel("time in s")


def _add_legend(axes: Axes, timeline: Sequence[Segment]) -> None:
    from matplotlib.patches import Patch

    names = dict.fromkeys(segment.emotion or "no speech" for segment in timeline)
    patches = [Patch(color=COLOURS.get(name, "#eeeeee"), label=name) for name in names]
    axes.legend(handles=patches, loc="upper center", bbox_to_anchor=(0.5, -0.35), ncols=len(names))
