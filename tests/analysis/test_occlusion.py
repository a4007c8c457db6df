"""Explanations of models that listen to one known moment, one band, one feature."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import serein
from serein.analysis.explanation import Band, Explanation, FeatureGroup, Moment
from serein.analysis.occlusion import BANDS_HZ, explain
from serein.analysis.picture import draw_explanation
from serein.audio.read import RATE_HZ
from serein.errors import AudioError, SereinError
from serein.features.feature_sets import GROUPS
from serein.features.frontend import FrontEnd
from serein.features.spectral import hz_from_mel, mel_from_hz
from serein.inference.bundle import write_bundle
from serein.inference.prediction import Prediction
from serein.inference.recognizer import Recognizer
from serein.inference.window_model import WindowModel

SAMPLES = Path(__file__).parents[2] / "samples"
LABELS = ("anger", "neutral")
POOLED = FrontEnd("features", sets=("f0", "loudness"), functionals=("mean", "std"))


def listener(
    folder: Path,
    front_end: FrontEnd,
    shape: Sequence[str | int],
    nodes: list[onnx.NodeProto],
    head: tuple[float, float],
    **constants: Any,
) -> Recognizer:
    """Pack a model whose log-odds of anger are a + b times what `nodes` make of the input."""
    steps = [
        *nodes,
        helper.make_node("Reshape", ["level", "column"], ["one"]),
        helper.make_node("MatMul", ["one", "slope"], ["sloped"]),
        helper.make_node("Add", ["sloped", "bias"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probability"], axis=1),
        helper.make_node("ReduceSum", ["probability", "last"], ["speech"], keepdims=0),
    ]
    constants |= {"column": np.array([-1, 1]), "last": np.array([1])}
    constants |= {"bias": np.float32([head[0], 0]), "slope": np.float32([[head[1], 0]])}
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        steps,
        "listener",
        [value("input", TensorProto.FLOAT, shape)],
        [
            value("probability", TensorProto.FLOAT, ["n", 2]),
            value("speech", TensorProto.FLOAT, ["n"]),
        ],
        [numpy_helper.from_array(np.asarray(item), name) for name, item in constants.items()],
    )
    opsets = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    manifest = {
        **{"name": "listener", "precision": "float32", "labels": list(LABELS)},
        **{"front_end": front_end.to_dict(), "window_s": 4.0, "hop_s": 2.5},
        **{"speech_threshold": 0.5, "trained_on": [], "scores": [], "licence": "none"},
    }
    packed = model.SerializeToString()
    return serein.load(write_bundle(folder, manifest, model=packed, card="", notice=""), threads=1)


def of_a_moment(folder: Path, start_s: float, end_s: float) -> Recognizer:
    """Hear anger in the power of one stretch of each window."""
    nodes = [
        helper.make_node("Slice", ["input", "start", "end", "axis"], ["cut"]),
        helper.make_node("Mul", ["cut", "cut"], ["power"]),
        helper.make_node("ReduceMean", ["power"], ["level"], axes=[1]),
    ]
    ends = {
        "start": np.array([round(start_s * RATE_HZ)]),
        "end": np.array([round(end_s * RATE_HZ)]),
    }
    front_end = FrontEnd("waveform")
    return listener(folder, front_end, ["n", "t"], nodes, (-1, 200), **ends, axis=np.array([1]))


def of_a_band(folder: Path, low_hz: float, high_hz: float) -> Recognizer:
    """Hear anger in the level of one band."""
    centres_hz = hz_from_mel(np.linspace(0, float(mel_from_hz(8000)), 82)[1:-1])
    inside = np.flatnonzero((low_hz < centres_hz) & (centres_hz < high_hz))
    nodes = [
        helper.make_node("Slice", ["input", "start", "end", "axis"], ["cut"]),
        helper.make_node("ReduceMean", ["cut"], ["level"], axes=[1, 2]),
    ]
    ends = {"start": inside[:1], "end": inside[-1:] + 1, "axis": np.array([2])}
    return listener(folder, FrontEnd(), ["n", "t", 80], nodes, (0, 2), **ends)


def of_pitch(folder: Path) -> Recognizer:
    """Hear anger in a mean F0 above 200 Hz."""
    weights = np.zeros((6, 1), np.float32)
    weights[0] = 0.02
    nodes = [helper.make_node("MatMul", ["input", "weights"], ["level"])]
    return listener(folder, POOLED, ["n", 6], nodes, (-4, 1), weights=weights)


def noise(seconds: float, rms: float = 0.1) -> np.ndarray:
    generator = np.random.default_rng(5)
    return (rms * generator.standard_normal(round(seconds * RATE_HZ))).astype(np.float32)


def tone(hz: float, seconds: float = 1.0) -> np.ndarray:
    phase = 2 * np.pi * hz * np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return (0.2 * sum(np.sin(k * phase) / k for k in range(1, 6))).astype(np.float32)


# --- moments ---


def test_the_moment_that_the_model_uses_is_found(tmp_path: Path) -> None:
    found = explain(of_a_moment(tmp_path, 1.2, 1.6), noise(3))
    assert found.emotion == "anger"
    assert len(found.moments) == 30
    order = sorted(found.moments, key=lambda moment: -moment.importance)
    assert sorted(moment.start for moment in order[:4]) == pytest.approx([1.2, 1.3, 1.4, 1.5])
    outside = [moment for moment in found.moments if moment.end <= 0.85 or moment.start >= 1.95]
    assert max(abs(moment.importance) for moment in outside) < 1e-6
    strongest = found.strongest()
    assert len(strongest) == 1
    assert strongest[0].importance == order[0].importance > 0.2


def test_what_speaks_for_one_emotion_speaks_against_the_other(tmp_path: Path) -> None:
    recognizer = of_a_moment(tmp_path, 1.2, 1.6)
    pro, contra = (explain(recognizer, noise(3), emotion=emotion) for emotion in LABELS)
    assert contra.prediction.emotion == "anger"
    assert contra.emotion == "neutral"
    assert contra.probability == pytest.approx(1 - pro.probability)
    opposite = [-moment.importance for moment in pro.moments]
    assert [moment.importance for moment in contra.moments] == pytest.approx(opposite, abs=1e-6)
    assert contra.strongest()[0].importance < 0


def test_a_stretch_becomes_noise_as_in_the_quiet_moments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recognizer = of_a_moment(tmp_path, 1.2, 1.6)
    signal = noise(3, rms=0.001)
    signal[RATE_HZ : 2 * RATE_HZ] *= 100
    sounds: list[np.ndarray] = []
    ask = WindowModel.of_signal
    monkeypatch.setattr(
        WindowModel, "of_signal", lambda model, sound: (sounds.append(sound), ask(model, sound))[1]
    )
    explain(recognizer, signal, window_s=0.4, hop_s=0.4, bands=())
    assert len(sounds) == 8
    changed = [np.flatnonzero(sound != signal) for sound in sounds]
    hidden = sounds[3][round(1.25 * RATE_HZ) : round(1.55 * RATE_HZ)]
    assert changed[3].min() == pytest.approx(1.2 * RATE_HZ, abs=100)
    assert changed[3].max() == pytest.approx(1.6 * RATE_HZ, abs=100)
    assert np.sqrt(np.mean(hidden**2)) == pytest.approx(0.001, rel=0.2)
    assert np.abs(np.fft.rfft(hidden)).argmax() > 0


def test_windows_that_hold_a_moment_are_averaged(tmp_path: Path) -> None:
    """The model listens 0.5 to 0.9 s into each of its windows, which start at 0, 2.5 and 5 s."""
    found = explain(of_a_moment(tmp_path, 0.5, 0.9), noise(9))
    heights = np.array([moment.importance for moment in found.moments])
    centres = np.array([(moment.start + moment.end) / 2 for moment in found.moments])
    near = np.abs(centres[:, None] - [0.7, 3.2, 5.7])
    assert np.abs(heights[near.min(axis=1) > 0.65]).max() < 1e-6
    once, *twice = (heights[column < 0.2].max() for column in near.T)
    assert twice == pytest.approx([once / 2] * 2, rel=0.1)
    assert found.examined_s == pytest.approx(9)


@pytest.mark.parametrize("budget", [1, 100, 450])
def test_the_budget_bounds_the_predictions(tmp_path: Path, budget: int) -> None:
    signal = noise(60, rms=0.05)
    signal[40 * RATE_HZ : 44 * RATE_HZ] *= 4
    calls: list[tuple[int, int]] = []
    recognizer = of_a_moment(tmp_path, 0.0, 4.0)
    found = explain(
        recognizer,
        signal,
        emotion="anger",
        budget=budget,
        progress=lambda done, total: calls.append((done, total)),
    )
    assert found.questions <= max(budget, 17)
    assert calls == [(k, found.questions) for k in range(1, found.questions + 1)]
    assert found.hop_s > 0.1
    assert found.window_s == 2 * found.hop_s
    (peak,) = found.strongest(1)
    assert 39 <= peak.start < peak.end <= 45
    examined = sum(moment.end - moment.start for moment in found.moments)
    assert examined == pytest.approx(found.examined_s, abs=1)
    assert (found.examined_s < 60) == (budget < 450)


def test_moments_without_speech_are_left_out(tmp_path: Path) -> None:
    signal = np.concatenate([noise(4), np.zeros(12 * RATE_HZ, np.float32)])
    found = explain(of_a_moment(tmp_path, 0.5, 0.9), signal)
    assert found.moments[-1].end == pytest.approx(6.5)
    assert found.examined_s == pytest.approx(6.5)


def test_only_the_random_state_decides(tmp_path: Path) -> None:
    recognizer = of_pitch(tmp_path)
    others = [tone(hz) for hz in (110, 180, 290)]
    once, again, other = (
        explain(recognizer, tone(250), background=others, hop_s=0.2, random_state=state)
        for state in (1, 1, 2)
    )
    assert once == again
    assert once.moments != other.moments


# --- bands ---


@pytest.mark.parametrize("number", [0, 3, 7])
def test_the_band_that_the_model_uses_is_found(tmp_path: Path, number: int) -> None:
    low_hz, high_hz = BANDS_HZ[number : number + 2]
    found = explain(of_a_band(tmp_path, low_hz, high_hz), noise(1.5), hop_s=0.4)
    best = max(found.bands, key=lambda band: band.importance)
    assert (best.low_hz, best.high_hz) == (low_hz, high_hz)
    others = [band.importance for band in found.bands if band != best]
    assert best.importance > 0.1
    assert max(map(abs, others)) < 0.2 * best.importance


def test_bands_can_be_chosen(tmp_path: Path) -> None:
    found = explain(of_a_band(tmp_path, 1145, 1689), noise(1.5), hop_s=0.4, bands=(0, 1000, 2000))
    assert [(band.low_hz, band.high_hz) for band in found.bands] == [(0, 1000), (1000, 2000)]
    assert found.bands[1].importance > 0.1


# --- features ---


def test_the_feature_that_the_model_uses_is_found(tmp_path: Path) -> None:
    recognizer = of_pitch(tmp_path)
    signal, others = tone(250), [tone(hz) for hz in (110, 180, 290)]
    found = explain(recognizer, signal, background=others, hop_s=0.4)
    assert [group.name for group in found.features] == ["pitch (F0)", "voicing", "loudness"]
    assert [group.columns for group in found.features] == [2, 2, 2]
    odds = [0.02 * POOLED(each)[0] - 4 for each in (signal, *others)]
    own, *theirs = (1 / (1 + np.exp(-each)) for each in odds)
    assert found.features[0].importance == pytest.approx(own - np.mean(theirs), abs=1e-5)
    assert all(abs(group.importance) < 1e-6 for group in found.features[1:])
    assert not found.note


def test_why_there_are_no_features_is_said(tmp_path: Path) -> None:
    without = explain(of_pitch(tmp_path / "a"), tone(250), hop_s=0.4)
    assert "needs other recordings" in without.note
    unnamed = explain(of_a_band(tmp_path / "b", 0, 400), noise(1), background=[noise(1)], hop_s=0.4)
    assert unnamed.note == "no named features: the input of this model is a log-mel spectrogram"
    assert unnamed.features == without.features == ()


# --- what cannot be explained ---


def test_silence_is_not_explained(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="no speech in this recording: there is nothing"):
        explain(of_pitch(tmp_path), np.zeros(RATE_HZ, np.float32))


@pytest.mark.parametrize(
    ("seconds", "settings", "message"),
    [
        (1, {"emotion": "angr"}, "unknown emotion 'angr'; known: anger, neutral"),
        (0.7, {}, "is 0.70 s; occluding 0.4 s at a time needs 0.8 s: give a shorter window_s"),
        (0.01, {}, "need at least 0.1 s"),
        (1, {"window_s": 2.5}, "window_s is 2.5; allowed: 0.02 to 2"),
        (1, {"hop_s": 0.5}, "hop_s is 0.5; allowed: 0.01 to 0.4"),
        (1, {"hop_s": 0}, "hop_s is 0; allowed"),
        (1, {"bands": (0, 500, 400)}, "two edges or more, rising, 0 to 8000 Hz"),
        (1, {"bands": (0, 9000)}, "two edges or more"),
        (1, {"bands": (300,)}, "two edges or more"),
        (1, {"budget": 0}, "budget is 0; allowed: 1 or more"),
        (1, {"background": []}, "the background holds 0 recordings, none with sound"),
        (1, {"background": [np.zeros(RATE_HZ, np.float32)]}, "holds 1 recordings, none with sound"),
        (1, {"background": [np.zeros(9, np.float32)]}, "need at least 0.1 s"),
    ],
)
def test_bad_input_says_what_to_do(
    tmp_path: Path, seconds: float, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises((SereinError, ValueError), match=message):
        explain(of_pitch(tmp_path), tone(250, seconds), **settings)


# --- the bundled model ---


def test_the_bundled_model_is_explained() -> None:
    signal = serein.read_audio(SAMPLES / "espeak-english-slow-low.flac")
    found = explain(serein.load(), signal, window_s=0.8, hop_s=0.8, bands=(0, 1000, 8000))
    assert found.emotion == found.prediction.emotion == found.prediction.likeliest
    assert all(-1 <= part.importance <= 1 for part in (*found.moments, *found.bands))
    assert found.moments[0].start == 0
    assert found.moments[-1].end == pytest.approx(signal.size / RATE_HZ)
    assert max(moment.importance for moment in found.moments) > 0.02
    plain = json.loads(json.dumps(found.to_dict()))
    calls = {"emotion": found.emotion, "probability": plain["confidence"]}
    assert plain["explained"] == calls
    assert plain["bands"][0] == {
        **{"low_hz": 0, "high_hz": 1000},
        **{"importance": pytest.approx(found.bands[0].importance, abs=1e-4)},
    }
    assert len(plain["moments"]) == 8


# --- the picture ---


def explanation(seconds: float, hop_s: float = 0.1, groups: int = 0) -> Explanation:
    ends = np.round(np.arange(hop_s, seconds + hop_s / 2, hop_s), 6).tolist()
    starts = [0.0, *ends[:-1]]
    wave = np.sin(np.arange(len(ends))).tolist()
    return Explanation(
        Prediction(0, seconds, "anger", 0.8, {"anger": 0.8, "neutral": 0.2}, None, "m", ()),
        "anger",
        0.8,
        tuple(map(Moment, starts, ends, wave)),
        tuple(map(Band, BANDS_HZ, BANDS_HZ[1:], np.linspace(-0.9, 0.95, 8).tolist())),
        tuple(FeatureGroup(name, 2, 0.3) for name in list(GROUPS)[:groups]),
        "" if groups else "no named features: the input of this model is a log-mel spectrogram",
        4 * hop_s,
        hop_s,
        seconds,
        1,
    )


def test_strongest_joins_neighbours() -> None:
    heights = [0.1, 0.5, 1.0, 0.2, -0.9, 0.6, 0.0]
    moments = tuple(Moment(float(k), k + 1.0, height) for k, height in enumerate(heights))
    found = replace(explanation(1), moments=moments)
    assert found.strongest() == (Moment(1, 3, 1.0), Moment(4, 5, -0.9), Moment(5, 6, 0.6))
    assert found.strongest(1) == (Moment(1, 3, 1.0),)
    assert replace(found, moments=(Moment(0, 1, 0.0),)).strongest() == ()


@pytest.mark.parametrize("groups", [0, 3, 20])
def test_the_picture_shows_every_part(groups: int) -> None:
    found = explanation(2.0, groups=groups)
    figure = draw_explanation(noise(2), found, title="a $call$.wav")
    wave, curve, colours, *tables = figure.axes
    assert wave.get_title(loc="left") == "a $call$.wav: anger 0.80"
    assert colours.get_ylabel() == "← against    speaks for anger →"
    heights = [moment.importance for moment in found.moments]
    np.testing.assert_allclose(wave.images[0].get_array()[0], heights)
    assert wave.get_xlim() == curve.get_xlim() == (0, 2)
    named = [label.get_text() for label in tables[0].get_yticklabels()]
    assert named[-1] == "0 to 377 Hz"
    assert [bar.get_width() for bar in tables[0].patches][-1] == -0.9
    assert len(tables) == (2 if groups else 1)
    if groups:
        assert [bar.get_width() for bar in tables[1].patches] == [0.3] * min(8, groups)


@pytest.mark.parametrize(
    ("seconds", "hop_s", "groups"), [(1.5, 0.1, 0), (1.5, 0.1, 8), (60, 0.5, 8)]
)
def test_nothing_in_the_picture_is_cut_or_overlaps(
    seconds: float, hop_s: float, groups: int
) -> None:
    title = 20 * "long_name"
    figure = draw_explanation(noise(seconds), explanation(seconds, hop_s, groups), title=title)
    figure.draw_without_rendering()
    texts = [*figure.subfigs[1].texts, figure.axes[2].yaxis.label]
    for axes in figure.axes:
        texts += [*axes.texts, axes.xaxis.label, axes.yaxis.label, axes._left_title]
        for axis, place in ((axes.xaxis, 0), (axes.yaxis, 1)):
            low, high = sorted(axis.get_view_interval())
            ticks = axis.get_ticklabels()
            texts += [tick for tick in ticks if low <= tick.get_position()[place] <= high]
    shown = {id(text): text for text in texts if text.get_text() and text.get_visible()}
    boxes = [text.get_window_extent() for text in shown.values()]
    width, height = figure.bbox.width, figure.bbox.height
    for box in boxes:
        assert 0 <= box.x0 < box.x1 <= width
        assert 0 <= box.y0 < box.y1 <= height
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))


def test_what_was_not_examined_is_grey() -> None:
    found = explanation(3.0)
    found = replace(found, moments=found.moments[10:])
    wave, curve, *_ = draw_explanation(noise(3), found).axes
    assert np.isnan(np.ma.filled(wave.images[0].get_array(), np.nan)[0, :10]).all()
    assert curve.get_xlabel() == "time in s   (grey: no speech, or not examined)"
    assert wave.get_title(loc="left") == "anger 0.80"
