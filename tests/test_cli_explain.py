"""The command explain: a picture and a few lines, or JSON."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import soundfile
import typer
from click.testing import Result
from onnx import TensorProto, helper, numpy_helper
from typer.testing import CliRunner

import serein
from serein.cli.explain import explain
from serein.errors import SereinError
from serein.features.frontend import FrontEnd
from serein.inference.bundle import write_bundle

SAMPLES = Path(__file__).parents[1] / "samples"
VOICE = SAMPLES / "espeak-english-fast-high.flac"
RATE_HZ = 16_000
PNG = b"\x89PNG\r\n\x1a\n"

app = typer.Typer()
app.command()(explain)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def answered(*arguments: str | Path) -> str:
    done = run(*arguments)
    assert done.exit_code == 0, done.exception
    return done.stdout


def refused(*arguments: str | Path) -> str:
    error = run(*arguments).exception
    assert isinstance(error, SereinError)
    return str(error)


@pytest.fixture(scope="module")
def of_pitch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that hears anger where the mean F0 is above 200 Hz, else sadness."""
    constants = {
        "weights": np.float32([[0.05, 0], [0, 0], [0, 0]]),
        "bias": np.float32([-10, 0]),
        "last": np.array([1]),
    }
    steps = [
        helper.make_node("MatMul", ["input", "weights"], ["heard"]),
        helper.make_node("Add", ["heard", "bias"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probability"], axis=1),
        helper.make_node("ReduceSum", ["probability", "last"], ["speech"], keepdims=0),
    ]
    shapes = {"input": ["n", 3], "probability": ["n", 2], "speech": ["n"]}
    values = {
        name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in shapes.items()
    }
    stored = [numpy_helper.from_array(item, name) for name, item in constants.items()]
    outputs = [values["probability"], values["speech"]]
    graph = helper.make_graph(steps, "pitch", [values["input"]], outputs, stored)
    model: onnx.ModelProto = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )
    front_end = FrontEnd("features", sets=("f0", "loudness"), functionals=("mean",))
    manifest = {
        **{"name": "pitch", "precision": "float32", "labels": ["anger", "sadness"]},
        **{"front_end": front_end.to_dict(), "window_s": 4.0, "hop_s": 2.5},
        **{"speech_threshold": 0.5, "trained_on": [], "scores": [], "licence": "none"},
    }
    folder = tmp_path_factory.mktemp("models") / "pitch"
    return write_bundle(folder, manifest, model=model.SerializeToString(), card="", notice="")


def tone(place: Path, hz: float) -> Path:
    phase = 2 * np.pi * hz * np.arange(RATE_HZ) / RATE_HZ
    soundfile.write(place, 0.2 * sum(np.sin(k * phase) / k for k in range(1, 6)), RATE_HZ)
    return place


@pytest.fixture
def high(tmp_path: Path) -> Path:
    return tone(tmp_path / "high.wav", 280)


def test_the_bundled_model_is_explained_beside_the_recording(tmp_path: Path) -> None:
    file = Path(shutil.copy(VOICE, tmp_path / "声音 $1.flac"))
    lines = answered(file).splitlines()
    picture = tmp_path / "声音 $1.explained.png"
    heard = serein.load().predict(VOICE).emotion
    assert lines[0].startswith(f"{file}   {heard} 0.")
    assert lines[1] == f"by how much {heard} is less probable without"
    assert lines[2].endswith(" s")
    assert any(line.endswith(" Hz") for line in lines)
    assert lines[-2:] == [
        "no named features: the input of this model is a log-mel spectrogram",
        f"written: {picture}",
    ]
    assert picture.read_bytes()[:8] == PNG
    assert file.read_bytes() == VOICE.read_bytes()


def test_the_feature_that_mattered_is_named(tmp_path: Path, of_pitch: Path, high: Path) -> None:
    others = tmp_path / "others"
    others.mkdir()
    for hz in (100, 120, 140):
        tone(others / f"{hz}.wav", hz)
    (others / "bad.wav").write_text("not audio")
    out = tmp_path / "x.png"
    done = run(high, "--model", of_pitch, "--background", others, "--out", out)
    assert done.exit_code == 0, done.exception
    assert "bad.wav: cannot be decoded" in done.stderr
    (line,) = [line for line in done.stdout.splitlines() if "F0" in line]
    assert line.startswith("  +0.9")
    assert "loudness" not in done.stdout
    assert out.read_bytes()[:8] == PNG


def test_json_needs_no_picture(tmp_path: Path, of_pitch: Path, high: Path) -> None:
    found = json.loads(answered(high, "--model", of_pitch, "--json"))
    assert found["file"] == str(high)
    assert found["emotion"] == found["explained"]["emotion"] == "anger"
    assert found["picture"] is None
    assert found["features"] == []
    assert "needs other recordings" in found["note"]
    assert len(found["moments"]) == 10
    assert [path.name for path in tmp_path.iterdir()] == ["high.wav"]
    out = tmp_path / "x.png"
    drawn = json.loads(answered(high, "--model", of_pitch, "--json", "--out", out))
    assert drawn == found | {"picture": str(out)}
    assert out.read_bytes()[:8] == PNG


def test_another_emotion_can_be_asked_for(tmp_path: Path, of_pitch: Path, high: Path) -> None:
    out = tmp_path / "x.png"
    lines = answered(high, "--model", of_pitch, "--emotion", "sadness", "--out", out).splitlines()
    assert lines[0] == f"{high}   anger 0.98   (1.0 s)"
    assert lines[1] == "explained: sadness 0.02"
    assert lines[2] == "by how much sadness is less probable without"


def test_wrong_usage_says_what_to_do(tmp_path: Path, of_pitch: Path, high: Path) -> None:
    model = ("--model", of_pitch)
    empty = tmp_path / "empty"
    empty.mkdir()
    wrong = {
        ("--emotion", "angr"): "unknown emotion 'angr'; known: anger, sadness",
        ("--out", tmp_path / "x.jpg"): "name the picture .png",
        ("--out", tmp_path / "nowhere" / "x.png"): "there is no folder",
        ("--background", empty): "no recording in this folder",
        ("--background", tmp_path / "gone"): "none of its recordings can be read",
    }
    for options, message in wrong.items():
        assert message in refused(high, *model, *options)
    assert "no speech in this recording" in refused(SAMPLES / "silence.flac", *model, "--json")
    assert "there is no such file" in refused(tmp_path / "gone.wav", *model)
    as_png = Path(shutil.copy(high, tmp_path / "sound.png"))
    assert "is the recording itself" in refused(as_png, *model, "--out", as_png)
    assert not list(tmp_path.glob("*explained*"))
