"""Recognizers kept as arrays: the prediction by hand, untrusted bytes, and bundles."""

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

import serein
from serein.audio.read import RATE_HZ
from serein.errors import BundleError
from serein.experiment.export.convert_bundle import convert
from serein.features.frontend import FrontEnd
from serein.inference.arrays import ArraysModel
from serein.inference.bundle import ARRAYS, MANIFEST, read_bundle, write_bundle, zip_bundle
from serein.inference.recognizer import model_of
from serein.models.hmm_forward import HmmArrays

Array = npt.NDArray[Any]
FRONT_END = FrontEnd("features", sets=("mfcc",), step=4, level="speech_rms")
LABELS = ("anger", "joy", "sadness")


def hmm(features: int = 3, emotions: int = 3, states: int = 2, mixtures: int = 2) -> HmmArrays:
    generator = np.random.default_rng(0)
    shape = (emotions, states, mixtures, features)
    return HmmArrays(
        generator.standard_normal(features),
        generator.uniform(0.5, 2, features),
        np.log(np.full(emotions, 1 / emotions)),
        np.log(generator.dirichlet(np.ones(states), emotions)),
        np.log(generator.dirichlet(np.ones(states), (emotions, states))),
        np.log(generator.dirichlet(np.ones(mixtures), (emotions, states))),
        generator.standard_normal(shape),
        generator.uniform(0.5, 2, shape),
    )


def arrays_model(features: int = 3, **changes: Any) -> ArraysModel:
    weight = 0.3 * np.random.default_rng(1).standard_normal(4 * features)
    return replace(ArraysModel(hmm(features), 1.7, weight, -0.2), **changes)


def frames(time: int, features: int = 3) -> Array:
    return np.random.default_rng(time).standard_normal((time, features)).astype(np.float32)


def stored(**changes: Any) -> dict[str, Array]:
    with np.load(io.BytesIO(arrays_model().to_bytes())) as file:
        return dict(file) | changes


def packed(arrays: dict[str, Array]) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


# --- the answer ---


@pytest.mark.parametrize("time", [1, 2, 40])
def test_the_answer_is_that_of_the_models_and_of_the_logistic_regression(time: int):
    """scikit-learn's logistic regression of speech, on frames pooled by hand."""
    generator = np.random.default_rng(5)
    pooled = generator.standard_normal((60, 12))
    detector = LogisticRegression().fit(pooled, pooled[:, 0] + pooled[:, 7] > 0)
    model = arrays_model(speech_weight=detector.coef_[0], speech_bias=float(detector.intercept_[0]))
    series = frames(time)
    probabilities, speech, *_ = model.predict(series)
    expected = softmax(model.hmm.log_probabilities(series) / 1.7)
    np.testing.assert_allclose(probabilities, expected, rtol=1e-6)
    assert probabilities.dtype == np.float32
    rows = series.astype(np.float64)
    vector = np.concatenate([rows.mean(0), rows.std(0), rows.min(0), rows.max(0)])
    assert speech == pytest.approx(detector.predict_proba([vector])[0, 1])


def test_the_temperature_lowers_confidence_and_keeps_the_order():
    series = frames(7)
    cool, hot = (arrays_model(temperature=t).predict(series)[0] for t in (1.0, 5.0))
    assert hot.max() < cool.max()
    np.testing.assert_array_equal(hot.argsort(), cool.argsort())


@pytest.mark.parametrize(("bias", "speech"), [(1e4, 1.0), (-1e4, 0.0)])
def test_a_detector_that_is_very_sure_does_not_overflow(bias: float, speech: float):
    assert arrays_model(speech_bias=bias).predict(frames(5))[1] == speech


# --- bytes ---


def test_bytes_bring_everything_back():
    model = arrays_model()
    again = ArraysModel.from_bytes(model.to_bytes())
    assert (again.temperature, again.speech_bias) == (1.7, -0.2)
    np.testing.assert_array_equal(again.speech_weight, model.speech_weight)
    for name, values in model.hmm.to_arrays().items():
        np.testing.assert_array_equal(again.hmm.to_arrays()[name], values)
    for one, other in zip(again.predict(frames(9))[:2], model.predict(frames(9))[:2], strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_bytes_are_plain_arrays_without_pickle():
    with np.load(io.BytesIO(arrays_model().to_bytes()), allow_pickle=False) as file:
        assert {values.dtype for values in dict(file).values()} == {np.dtype(np.float64)}


def test_unused_mixtures_come_back():
    weight = hmm().log_weight.copy()
    weight[1] = [0.0, -np.inf]
    model = arrays_model(hmm=replace(hmm(), log_weight=weight))
    again = ArraysModel.from_bytes(model.to_bytes())
    np.testing.assert_array_equal(again.hmm.log_weight, weight)
    assert np.isfinite(again.predict(frames(4))[0]).all()


@pytest.mark.parametrize("content", [b"", b"PK", b"PK\x05\x06" + 18 * b"\0", b"hello" * 100])
def test_what_is_no_archive_is_refused(content: bytes):
    with pytest.raises(ValueError, match=r"not the arrays of a recognizer|arrays are none"):
        ArraysModel.from_bytes(content)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_bytes_that_are_cut_are_refused(share: float):
    content = arrays_model().to_bytes()
    with pytest.raises(ValueError, match="not the arrays of a recognizer"):
        ArraysModel.from_bytes(content[: int(share * len(content))])


@pytest.mark.parametrize("name", stored())
def test_a_changed_number_is_refused(name: str):
    content = bytearray(arrays_model().to_bytes())
    value = stored()[name].tobytes()
    content[content.index(value) + len(value) - 1] ^= 1
    with pytest.raises(ValueError, match="Bad CRC-32"):
        ArraysModel.from_bytes(bytes(content))


def test_a_pickled_object_is_refused():
    file = io.BytesIO()
    np.savez(file, **stored(speech_weight=np.array([None] * 12, dtype=object)))
    with pytest.raises(ValueError, match="Object arrays cannot be loaded"):
        ArraysModel.from_bytes(file.getvalue())


@pytest.mark.parametrize("name", stored())
def test_a_missing_array_is_refused(name: str):
    arrays = stored()
    del arrays[name]
    with pytest.raises(ValueError, match=name.removeprefix("hmm_")):
        ArraysModel.from_bytes(packed(arrays))


def test_an_array_too_many_is_refused():
    with pytest.raises(ValueError, match=r"arrays are .*more"):
        ArraysModel.from_bytes(packed(stored(hmm_more=np.zeros(3))))


def test_a_foreign_array_is_refused():
    with pytest.raises(ValueError, match="more"):
        ArraysModel.from_bytes(packed(stored(more=np.zeros(3))))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"speech_weight": np.full(12, np.nan)}, "speech_weight must be 12 finite numbers"),
        ({"speech_weight": np.zeros(11)}, "speech_weight must be 12 finite numbers"),
        ({"speech_weight": np.zeros((1, 12))}, "speech_weight must be 12 finite numbers"),
        ({"speech_bias": np.float64(np.inf)}, "speech_bias must be finite"),
        ({"temperature": np.float64(0)}, "temperature is 0.0; need a number above 0"),
        ({"temperature": np.float64(np.nan)}, "temperature is nan; need a number above 0"),
        ({"temperature": np.array([1.0, 2.0])}, "not the arrays of a recognizer"),
        ({"temperature": np.array("warm")}, "could not convert string"),
        ({"hmm_mean": np.full((3, 2, 2, 3), np.nan)}, "mean holds NaN or infinity"),
        ({"hmm_mean": np.zeros((3, 2, 2, 4))}, r"mean has shape \(3, 2, 2, 4\)"),
        ({"hmm_variance": np.zeros((3, 2, 2, 3))}, "variance holds a value of 0 or below"),
        ({"hmm_log_prior": np.zeros(3)}, "log_prior must be logs of probabilities"),
        ({"hmm_log_weight": np.full((3, 2, 2), np.nan)}, "log_weight holds NaN"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(changes: dict[str, Array], message: str):
    with pytest.raises(ValueError, match=message):
        ArraysModel.from_bytes(packed(stored(**changes)))


def test_arrays_that_unpack_to_too_much_are_refused(monkeypatch: pytest.MonkeyPatch):
    content = packed(stored(hmm_mean=np.zeros((3, 2, 2, 3000))))
    monkeypatch.setattr("serein.archives.MAX_ARRAY_BYTES", 100_000)
    assert len(content) < 100_000
    with pytest.raises(ValueError, match="unpack to more than 100000 bytes"):
        ArraysModel.from_bytes(content)


def test_arrays_of_many_states_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("serein.inference.arrays.MAX_STATES", 1)
    with pytest.raises(ValueError, match="more than 1 states"):
        ArraysModel.from_bytes(packed(stored()))


def test_an_archive_of_many_members_is_refused():
    content = packed(stored(**{f"array_{number}": np.zeros(1) for number in range(1200)}))
    with pytest.raises(ValueError, match="too many members"):
        ArraysModel.from_bytes(content)


def _of_members(weight: bytes) -> bytes:
    """An archive whose speech_weight.npy is these bytes."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, values in stored().items():
            member = io.BytesIO()
            np.lib.format.write_array(member, values)
            content = weight if name == "speech_weight" else member.getvalue()
            archive.writestr(f"{name}.npy", content)
    return file.getvalue()


def _boastful() -> bytes:
    header = io.BytesIO()
    shape = {"descr": "<f8", "fortran_order": False, "shape": (10**15,)}
    np.lib.format.write_array_header_1_0(header, shape)
    return _of_members(header.getvalue())


def _encrypted() -> bytes:
    content = bytearray(_of_members(b""))
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


def _of_method(method: int) -> bytes:
    content = bytearray(_of_members(b""))
    content[content.index(b"PK\x01\x02") + 10] = method
    return bytes(content)


def _ill_compressed() -> bytes:
    content = bytearray(packed(stored()))
    start = content.index(b"PK\x01\x02")
    content[start // 2 : start // 2 + 40] = 40 * b"\xff"
    return bytes(content)


def test_a_member_that_is_no_array_is_refused():
    with pytest.raises(ValueError, match=r"speech_weight|convert"):
        ArraysModel.from_bytes(_of_members(b"hello"))


@pytest.mark.parametrize(
    "content",
    [
        _boastful(),
        _encrypted(),
        _of_method(99),
        _ill_compressed(),
        _of_members(b"\x93NUMPY\x01\x00\x18\x00{'descr': (((((((((((((("),
    ],
    ids=["huge shape", "encrypted", "unknown method", "bad stream", "bad header"],
)
def test_an_archive_made_with_ill_will_is_refused(content: bytes):
    with pytest.raises(ValueError, match="not the arrays of a recognizer"):
        ArraysModel.from_bytes(content)


# --- bundles ---


def manifest(**changes: Any) -> dict[str, Any]:
    return {
        "name": "hmm",
        "precision": "float64",
        "labels": list(LABELS),
        "front_end": FRONT_END.to_dict(),
        "window_s": 2.0,
        "hop_s": 1.0,
        "speech_threshold": 0.5,
        "trained_on": [],
        "scores": [],
        "licence": "none",
    } | changes


def written(folder: Path, model: ArraysModel, **changes: Any) -> Path:
    return write_bundle(
        folder,
        manifest(**changes),
        model=model.to_bytes(),
        card="# card\n",
        notice="notice\n",
        model_file=ARRAYS,
    )


def noise(seconds: float) -> Array:
    generator = np.random.default_rng(0)
    return (0.1 * generator.standard_normal(round(seconds * RATE_HZ))).astype(np.float32)


def test_a_bundle_of_arrays_answers(tmp_path: Path):
    model = arrays_model(13, speech_weight=np.zeros(52), speech_bias=3.0)
    loaded = serein.load(written(tmp_path / "bundle", model))
    assert loaded.labels == LABELS
    signal = noise(2.0)
    prediction = loaded.predict(signal, rate=RATE_HZ)
    expected = model.predict(FRONT_END(signal)).probability
    assert prediction.speech
    assert list(prediction.probabilities) == list(LABELS)
    np.testing.assert_allclose(list(prediction.probabilities.values()), expected, rtol=1e-6)
    assert prediction.emotion == LABELS[expected.argmax()]
    np.testing.assert_array_equal(model_of(loaded).of_signal(signal), expected)
    assert loaded.predict(noise(5.3), rate=RATE_HZ).end == pytest.approx(5.3)


@pytest.mark.parametrize(("bias", "speech"), [(2.0, True), (-2.0, False)])
def test_its_detector_decides_what_is_speech(tmp_path: Path, bias: float, speech: bool):
    model = arrays_model(13, speech_weight=np.zeros(52), speech_bias=bias)
    loaded = serein.load(written(tmp_path / "bundle", model))
    assert loaded.predict(noise(1.0), rate=RATE_HZ).speech is speech


def test_a_zip_of_arrays_answers_the_same(tmp_path: Path):
    folder = written(tmp_path / "bundle", arrays_model(13))
    loaded = serein.load(zip_bundle(folder, tmp_path / "model.zip"))
    np.testing.assert_array_equal(
        model_of(loaded).of_signal(noise(1.0)), model_of(serein.load(folder)).of_signal(noise(1.0))
    )


def test_labels_that_do_not_fit_are_refused(tmp_path: Path):
    folder = written(tmp_path / "bundle", arrays_model(13), labels=["anger", "joy"])
    with pytest.raises(BundleError, match="has 3 emotions and the manifest 2 labels"):
        serein.load(folder)


def test_arrays_that_are_none_are_refused(tmp_path: Path):
    folder = write_bundle(
        tmp_path / "bundle", manifest(), model=b"hello", card="", notice="", model_file=ARRAYS
    )
    with pytest.raises(BundleError, match=r"model\.npz: not the arrays of a recognizer"):
        serein.load(folder)


def test_a_bundle_has_one_of_the_two_models(tmp_path: Path):
    folder = written(tmp_path / "bundle", arrays_model(13))
    files = {entry.name for entry in folder.iterdir()}
    assert ARRAYS in files
    assert "model.onnx" not in files
    (folder / ARRAYS).unlink()
    with pytest.raises(BundleError, match="missing or not listed"):
        read_bundle(folder)


def test_arrays_are_not_quantised(tmp_path: Path):
    folder = written(tmp_path / "bundle", arrays_model(13))
    with pytest.raises(BundleError, match="holds arrays, not a network: nothing to quantise"):
        convert(folder, tmp_path / "int8", int8=True)
    assert not (tmp_path / "int8").exists()


def test_arrays_are_packed_anew(tmp_path: Path):
    folder = written(tmp_path / "bundle", arrays_model(13))
    said = convert(folder, tmp_path / "model.zip", int8=False)
    assert "largest probability difference 0," in said
    again = read_bundle(tmp_path / "model.zip")
    assert again.files[ARRAYS] == (folder / ARRAYS).read_bytes()
    assert again.manifest == json.loads((folder / MANIFEST).read_text())
