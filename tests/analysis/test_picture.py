"""The picture shows what was measured."""

from __future__ import annotations

import io

import numpy as np
import pytest

import serein
from serein.analysis.picture import draw_recording
from serein.audio.read import RATE_HZ
from serein.emotions import colour_of
from serein.evaluation.report.fonts import write_all_letters
from serein.inference.prediction import Segment

TONE = 0.3 * np.sign(np.sin(2 * np.pi * 200 * np.arange(3 * RATE_HZ) / RATE_HZ)).astype(np.float32)


def segment(start: float, end: float, emotion: str | None = "anger") -> Segment:
    confidence = None if emotion is None else 0.8
    return Segment(start, end, emotion, confidence, {})


def test_shows_f0_and_the_timeline() -> None:
    figure = draw_recording(TONE, [segment(0, 2), segment(2, 3, None)], title="a $call$.wav")
    wave, spectrum, emotions = figure.axes
    assert wave.get_title(loc="left") == "a $call$.wav"
    assert not wave._left_title.get_parse_math()
    (f0,) = [line for line in spectrum.lines if line.get_label() == "F0"]
    assert np.median(f0.get_ydata()) == pytest.approx(200, rel=0.01)
    assert [text.get_text() for text in emotions.texts] == ["anger 0.80", "no speech"]
    assert [bar.get_width() for bar in emotions.patches] == [2, 1]


def test_long_recordings_get_a_legend_and_stay_small() -> None:
    long = np.tile(TONE, 40)
    figure = draw_recording(long, [segment(2.0 * k, 2.0 * k + 2) for k in range(60)])
    _, spectrum, emotions = figure.axes
    assert not emotions.texts
    assert [text.get_text() for text in emotions.get_legend().get_texts()] == ["anger"]
    assert spectrum.images[0].get_array().shape[1] <= 2000


def test_every_emotion_has_a_colour_of_its_own() -> None:
    colours = {colour_of(name) for name in serein.EMOTIONS}
    assert len(colours) == len(serein.EMOTIONS)


def test_chinese_names_are_drawn_and_what_no_font_has_is_escaped(
    recwarn: pytest.WarningsRecorder,
) -> None:
    figure = draw_recording(TONE, [segment(0, 3)], title="张三 和 Größe\U0010fffd")
    write_all_letters(figure)
    title = figure.axes[0].get_title(loc="left")
    assert title == "张三 和 Größe\\U0010fffd"
    figure.savefig(io.BytesIO())
    assert not [one for one in recwarn if "Glyph" in str(one.message)]
