"""Faces by construction: cartoons drawn here, put where the tests know, at times the tests know."""

import builtins

import numpy as np
import pytest
import soundfile

from made_videos import VOICE, clip, scene
from serein.audio.read import read_audio
from serein.emotions import EMOTIONS
from serein.errors import AudioError, MissingExtraError, VideoError
from serein.features.face import (
    EXPRESSIONS,
    ExpressionReader,
    FaceFinder,
    FaceSeries,
    describe_face,
)
from serein.features.video import VideoLimits

pytest.importorskip("av", reason="PyAV is not installed: pip install 'serein[face]'")
cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed: pip install 'serein[face]'")

LEFT, RIGHT = (60, 40, 160), (400, 100, 160)  # x, y, size


def inside(box, face, size=(360, 640)):
    """Whether the middle of a box is in the middle of a face."""
    x, y = (box[0] + box[2] / 2) * size[1], (box[1] + box[3] / 2) * size[0]
    return abs(x - face[0] - face[2] / 2) < 20 and abs(y - face[1] - face[2] / 2) < 20


@pytest.fixture(scope="module")
def half_seen():
    """Two seconds at 25 a second with a voice: a face in the first, none in the second."""
    voice, _ = soundfile.read(VOICE, dtype="float32")
    sound = np.repeat(voice[: 2 * 16_000], 3)
    return clip([scene(LEFT)] * 25 + [scene()] * 25, sound)


# --- the face is where and when it is -------------------------------------------------------------


def test_a_face_is_found_where_and_when_it_is(half_seen):
    series = describe_face(half_seen, per_s=5)
    np.testing.assert_allclose(series.time_s, np.arange(10) / 5, atol=1e-3)
    np.testing.assert_array_equal(series.faces, [1] * 5 + [0] * 5)
    assert series.found == 0.5
    assert all(inside(box, LEFT) for box in series.box[:5])
    assert np.isnan(series.box[5:]).all()
    assert np.isnan(series.expression[5:]).all()
    np.testing.assert_allclose(series.expression[:5].sum(axis=1), 1, atol=1e-5)
    assert abs(read_audio(half_seen).size - 32_000) <= 1024  # the voice is on the same clock


def test_shapes_and_types(half_seen):
    series = describe_face(half_seen)
    assert series.expression.shape == (10, 7)
    assert series.box.shape == (10, 4)
    assert series.expression.dtype == series.box.dtype == np.float32
    assert series.time_s.shape == series.faces.shape == series.seen.shape == (10,)


def test_the_same_video_gives_the_same_series(half_seen):
    one, other = describe_face(half_seen), describe_face(half_seen)
    np.testing.assert_array_equal(one.expression, other.expression)
    np.testing.assert_array_equal(one.box, other.box)


def test_120_frames_a_second_are_as_many_rows_as_25():
    series = describe_face(clip([scene(LEFT, size=(240, 320))] * 120, fps=120))
    np.testing.assert_allclose(series.time_s, np.arange(5) / 5, atol=0.01)
    assert series.found == 1


def test_no_face_is_an_answer():
    noise = np.random.default_rng(0).integers(0, 256, (120, 160, 3)).astype(np.uint8)
    for picture in (scene(), noise):
        series = describe_face(picture)
        assert series.found == 0
        assert series.faces.tolist() == [0]
        assert series.pooled() is None


def test_a_still_image_is_one_row():
    _, png = cv2.imencode(".png", scene(RIGHT))
    series = describe_face(png.tobytes())
    assert series.time_s.tolist() == [0]
    assert inside(series.box[0], RIGHT)


def test_size_does_not_matter():
    small, large = scene(LEFT), cv2.resize(scene(LEFT), None, fx=4, fy=4)
    one, other = describe_face(small), describe_face(large)
    np.testing.assert_allclose(one.box, other.box, atol=0.02)
    np.testing.assert_allclose(one.expression, other.expression, atol=0.1)


# --- several faces --------------------------------------------------------------------------------


def test_of_several_the_largest_is_read_and_all_are_counted():
    series = describe_face(scene((60, 40, 110), RIGHT))
    assert series.faces.tolist() == [2]
    assert inside(series.box[0], RIGHT)


def test_a_face_is_followed_though_a_larger_one_comes():
    larger = (330, 60, 260)
    shown = [scene(LEFT), scene(LEFT, larger), scene((70, 45, 160), larger), scene(larger)]
    series = describe_face([(0.2 * number, picture) for number, picture in enumerate(shown)])
    assert series.faces.tolist() == [1, 2, 2, 1]
    assert [inside(box, LEFT) for box in series.box] == [True, True, True, False]
    assert inside(series.box[3], larger)


def test_a_face_unseen_for_long_is_forgotten():
    larger = (330, 60, 260)
    moments = [(0.0, scene(LEFT)), (0.5, scene()), (5.0, scene(LEFT, larger))]
    assert inside(describe_face(moments).box[2], larger)
    soon = [(0.0, scene(LEFT)), (0.5, scene()), (0.9, scene(LEFT, larger))]
    assert inside(describe_face(soon).box[2], LEFT)


# --- what is made of a series ---------------------------------------------------------------------


def made_series(rows):
    """A series a second apart; a row is a probability of anger, the rest is neutral; None: lost."""
    expression = np.full((len(rows), 7), np.nan, np.float32)
    for number, anger in enumerate(rows):
        if anger is not None:
            expression[number] = [anger, 0, 0, 0, 0, 0, 1 - anger]
    seen = ~np.isnan(expression[:, 0])
    box = np.where(seen[:, None], 0.5, np.nan).astype(np.float32)
    return FaceSeries(np.arange(len(rows), dtype=float), expression, box, seen.astype(np.int32))


def test_names_are_the_house_names():
    assert set(EXPRESSIONS) <= set(EMOTIONS)


def test_pooling_is_the_mean_over_the_frames_with_a_face():
    series = made_series([0.2, None, 0.6, 1.0])
    assert series.found == 0.75
    assert series.pooled()["anger"] == pytest.approx(0.6)
    assert sum(series.pooled().values()) == pytest.approx(1)
    assert series.pooled(2.0)["anger"] == pytest.approx(0.8)
    assert series.pooled(0.0, 2.0)["anger"] == pytest.approx(0.2)
    assert series.pooled(1.0, 2.0) is None
    assert series.pooled(50.0) is None


def test_no_frames_are_an_empty_series():
    series = describe_face([])
    assert series.expression.shape == (0, 7)
    assert series.found == 0
    assert series.pooled() is None


# --- the models -----------------------------------------------------------------------------------


def test_boxes_come_largest_first():
    boxes = FaceFinder().find(scene((60, 40, 110), RIGHT)[..., 0])
    assert len(boxes) == 2
    assert boxes[0, 2] > boxes[1, 2]


def test_expressions_are_those_of_the_package_that_the_weights_come_from():
    ramp = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8)
    found = ExpressionReader().read(ramp, np.array([0, 0, 64, 64]))
    np.testing.assert_allclose(found, FER_SAYS, atol=0.01)


FER_SAYS = (0.525, 0.000, 0.105, 0.083, 0.061, 0.058, 0.167)
"""Of this ramp: emotion_model_quantized.tflite of fer 25.10.3, run by ai-edge-litert 2.3.0."""


# --- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((40, 60), np.uint8),
        np.zeros((40, 60, 4), np.uint8),
        np.zeros((40, 60, 3), np.float32),
        np.zeros((0, 60, 3), np.uint8),
        np.zeros((5000, 10, 3), np.uint8),
        "a word",
    ],
)
def test_what_is_no_picture_is_an_error(picture):
    with pytest.raises(VideoError, match="<picture>"):
        describe_face([(0.0, picture)])


def test_a_time_must_be_one():
    with pytest.raises(VideoError, match="has the time nan"):
        describe_face([(float("nan"), scene())])


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 600, 3), (4096, 1, 3), (23, 23, 3)])
def test_tiny_and_thin_pictures_have_no_face(shape):
    assert describe_face(np.zeros(shape, np.uint8)).found == 0


def test_files_that_are_no_video_are_errors(tmp_path, half_seen):
    with pytest.raises(AudioError, match="no such file"):
        describe_face(tmp_path / "nowhere.mp4")
    with pytest.raises(VideoError, match="no video that can be read"):
        describe_face(VOICE)
    with pytest.raises(VideoError, match="damaged or truncated"):
        describe_face(half_seen[: len(half_seen) // 2])
    with pytest.raises(VideoError, match="longer than 1 s"):
        describe_face(half_seen, limits=VideoLimits(max_s=1))


def test_without_opencv_the_extra_is_named(monkeypatch):
    real = builtins.__import__

    def blocked(name, *rest, **more):
        if name == "cv2":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", blocked)
    with pytest.raises(MissingExtraError, match=r"pip install 'serein\[face\]'"):
        describe_face(scene())


def test_what_is_missing_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr("serein.features.face.MODEL", tmp_path / "face_expression.onnx")
    with pytest.raises(VideoError, match=r"face_expression\.onnx is missing"):
        ExpressionReader()
    monkeypatch.setattr("serein.features.face.CASCADE", "no_such_cascade.xml")
    with pytest.raises(VideoError, match=r"opencv-python-headless<5"):
        FaceFinder()
