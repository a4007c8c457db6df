"""Every model through the whole story, in process, on a made-up corpus of buzzes: no encoder."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
import torch
from sklearn.neighbors import KNeighborsClassifier

import serein
from serein.audio.read import RATE_HZ
from serein.cli import recipes as judge
from serein.cli import recipes as learn
from serein.errors import AudioError, CorpusError, ProtocolError, RecipeError
from serein.evaluation.cross_validation import fit_part
from serein.experiment import speech, train
from serein.experiment.evaluate import Evaluation, evaluate, write_evaluation
from serein.experiment.prepare import Prepared, make_classifier, prepare, stack
from serein.experiment.recipe_file import make_recipe
from serein.experiment.train import Fitted, fit, pack, refuse_unpackable
from serein.inference.recognizer import model_of
from serein.models.architectures import ARCHITECTURES
from serein.models.catalogue import MODELS
from serein.training import balance
from serein.training.generative import ConditionalWGAN

pytestmark = pytest.mark.slow

PITCH_HZ = {"anger": 300.0, "sadness": 110.0}
SPEAKERS, TAKES = 3, 3
SMALL: dict[str, dict[str, Any]] = {
    "textbook_cnn": {"channels": [4, 4], "dense": 8},
    "cnn": {"channels": [4, 4], "dense": 8},
    "light_cnn": {"channels": [8, 8]},
    "transformer": {"layers": 1, "d_model": 16, "heads": 2, "feed_forward": 16},
    "cnn_lstm_attention": {"channels": [8, 8], "hidden": 8},
    "attentive_statistics": {"channels": [8, 8, 8, 16], "dense": 8},
    "random_forest": {"trees": 10},
    "gradient_boosting": {"trees": 10},
    "knn": {"neighbours": 3},
    "gmm_hmm": {"states": 2, "mixtures": 1, "iterations": 3},
    "bagging": {"count": 3},
    "boosting": {"count": 5},
    "voting": {"random_forest": {"trees": 10}},
    "stacking": {"random_forest": {"trees": 10}, "folds": 2},
}
OWN = """
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

def Plain(C: float = 1.0):
    return make_pipeline(StandardScaler(), LogisticRegression(C=C))

class Net(nn.Module):
    def __init__(self, inputs, classes, hidden: int = 16):
        super().__init__()
        layers = nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, classes)
        self.layers = nn.Sequential(*layers)

    def forward(self, series, lengths=None):
        return self.layers(series.mean(dim=1))
"""
OF_OWN: dict[str, dict[str, Any]] = {"own:Plain": {"C": 0.5}, "own:Net": {"hidden": 8}}
UNCALIBRATED = (  # a training fold has two speakers: too few for both of the first
    *("bagging", "stacking", "own:Net"),
    *(name for name in ARCHITECTURES if name != "lstm"),  # one network calibrated is enough
)
OF_NETWORKS: dict[str, dict[str, Any]] = {
    "bagging": {"base": "mlp", "count": 2},
    "voting": {"members": ["light_cnn", "svm"]},
    "stacking": {"members": ["rnn", "knn"], "knn": {"neighbours": 3}, "folds": 2},
}


def make_voice(emotion: str, speaker: int, take: int) -> npt.NDArray[np.float32]:
    """A buzz of 0.5 to 0.8 s with an emotion's pitch."""
    generator = np.random.default_rng([speaker, take])
    time = np.arange(int(RATE_HZ * generator.uniform(0.5, 0.8))) / RATE_HZ
    hz = PITCH_HZ[emotion] * generator.uniform(0.95, 1.05)
    buzz = sum(np.sin(2 * np.pi * hz * part * time) / part for part in range(1, 8))
    wobble = 1 + 0.5 * np.sin(2 * np.pi * 4 * time)
    return (0.1 * buzz * wobble + 0.001 * generator.standard_normal(time.size)).astype(np.float32)


def write_table(file: Path, rows: list[tuple[str, str, str]]) -> None:
    with file.open("w", newline="") as opened:
        csv.writer(opened).writerows([("file", "emotion", "speaker"), *rows])


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Networks this small only wait for a second thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the recordings; two tables: a balanced one, and one where sadness is rarer."""
    folder = tmp_path_factory.mktemp("studio")
    rows = []
    for speaker in range(SPEAKERS):
        for emotion in PITCH_HZ:
            for take in range(TAKES):
                name = f"{speaker}-{emotion}-{take}.wav"
                soundfile.write(folder / name, make_voice(emotion, speaker, take), RATE_HZ)
                rows.append((name, emotion, f"s{speaker}"))
    write_table(folder / "mine.csv", rows)
    (folder / "own.py").write_text(OWN)
    write_table(folder / "uneven.csv", [row for row in rows if "sadness-2" not in row[0]])
    yield folder
    for name in OF_OWN:  # which recipes put among the others
        MODELS.pop(name, None)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


Story = Callable[..., Prepared]


@pytest.fixture
def story(studio: Path, cache: Path) -> Story:
    """From sections of a recipe to a recipe with its data."""

    def make(model: str, settings: dict[str, Any] | None = None, **sections: Any) -> Prepared:
        table = {
            "name": model.replace(":", " "),
            "data": {"corpora": ["mine.csv"], "folder": "."},
            "features": {},
            "model": {"name": model, **(settings or {})},
            "training": {"epochs": 1, "batch_size": 8},
        }
        return prepare(make_recipe(table | sections, "here", studio), cache=cache)

    return make


@pytest.fixture
def small_detector(monkeypatch: pytest.MonkeyPatch) -> None:
    """Learn from one sound of each kind."""
    monkeypatch.setattr(speech, "SOUNDS", 1)
    monkeypatch.setattr(speech, "CLIPS", 9)


_detectors: dict[str, speech.SpeechDetector] = {}


@pytest.fixture
def one_detector(small_detector: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Train the real detector, once for each kind of features: the model does not change it."""
    real = speech.train_speech_detector

    def kept(prepared: Prepared, **options: Any) -> speech.SpeechDetector:
        front = prepared.front
        assert front is not None
        if front.fingerprint not in _detectors:
            _detectors[front.fingerprint] = real(prepared, **options)
        return _detectors[front.fingerprint]

    monkeypatch.setattr(train, "train_speech_detector", kept)


def scores_of(prepared: Prepared, tmp_path: Path) -> tuple[Evaluation, str]:
    """Judge, and return what predictions.csv says."""
    judged = evaluate(prepared, cache=tmp_path / "training")
    write_evaluation(judged, tmp_path / "out")
    return judged, (tmp_path / "out" / "predictions.csv").read_text()


def agrees(recognizer: serein.Recognizer, fitted: Fitted, prepared: Prepared) -> None:
    """Assert that the bundle says of an unheard voice what the classifier says of it."""
    front = prepared.front
    assert front is not None
    for emotion in PITCH_HZ:
        signal = make_voice(emotion, 9, 9)
        rows = stack([front(signal)], front)
        if prepared.width:  # a classifier fitted on series expects as many columns
            more = prepared.X.shape[1] - rows.shape[1]
            rows = np.pad(rows, [(0, 0), (0, more)], constant_values=np.nan)
        expected = fitted.classifier.predict_proba(rows)[0]
        np.testing.assert_allclose(model_of(recognizer).of_signal(signal), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("nowhere:Net", {}, "there is no file"),
        ("os:system", {}, "there is no file"),
        ("own:Nobody", {}, "has no Nobody"),
        ("own:Net", {"hiden": 8}, "unknown key 'hiden'"),
    ],
)
def test_an_own_model_that_is_none_is_refused(
    story: Story, name: str, settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(RecipeError, match=words):
        story(name, settings)


@pytest.mark.usefixtures("one_detector")
@pytest.mark.parametrize(
    ("name", "settings"),
    [*((name, SMALL.get(name, {})) for name in MODELS), *OF_NETWORKS.items(), *OF_OWN.items()],
    ids=[*MODELS, *(f"{name}-of-networks" for name in OF_NETWORKS), *OF_OWN],
)
def test_from_a_recipe_to_an_answer(
    story: Story, tmp_path: Path, studio: Path, name: str, settings: dict[str, Any]
) -> None:
    protocol = {"calibration_folds": 0} if name in UNCALIBRATED else {}
    prepared = story(name, settings, protocol=protocol)
    judged, _ = scores_of(prepared, tmp_path)
    assert judged.result.labels == ("anger", "sadness")
    assert len(judged.result.folds()) == SPEAKERS
    assert np.isfinite(judged.result.probabilities).all()
    np.testing.assert_allclose(judged.result.probabilities.sum(axis=1), 1, atol=1e-6)

    fitted = fit(prepared, cache=tmp_path / "final")
    folder = pack(fitted, prepared, judged, tmp_path / "bundle")
    model = "model.npz" if name == "gmm_hmm" else "model.onnx"
    found = {file.name: file.read_bytes() for file in folder.iterdir()}
    assert set(found) == {"manifest.json", model, "CARD.md", "NOTICE", "SHA256SUMS"}
    assert not any(content.startswith(b"\x80") for content in found.values())  # as pickle does

    recognizer = serein.load(folder)
    agrees(recognizer, fitted, prepared)
    answer = recognizer.predict(studio / "0-anger-0.wav")
    assert answer.emotion in recognizer.labels == ("anger", "sadness")
    assert recognizer.manifest["model"]["name"] == name


# --- rare emotions, augmented data, calibration ---


@pytest.mark.parametrize("method", ["over", "under", "smote", "class_weights", "corpora", "gan"])
def test_rare_emotions(
    story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    monkeypatch.setitem(balance.METHODS, "gan", partial(ConditionalWGAN, epochs=2))
    data = {"corpora": ["uneven.csv"], "folder": "."}
    judged, _ = scores_of(story("svm", data=data, balance={"method": method}), tmp_path)
    assert judged.result.scores()["clips"] == SPEAKERS * (2 * TAKES - 1)
    assert judged.by_corpus()["uneven"]["uar"] > 0.9  # the pitch is easy to hear
    seen = make_classifier(story("svm", data=data, balance={"method": method}))
    assert seen.get_params().get("estimator__method", "corpora") == method


def test_augmented_data_are_learnt_from_and_never_tested(story: Story, tmp_path: Path) -> None:
    changes = {"per_clip": 1, "chain": ["speed", "noise"]}
    prepared = story("svm", augmentation=changes)
    augmented, clips = prepared.augmented, len(prepared.corpus)
    assert augmented is not None
    assert clips == len(prepared.X) == len(augmented.X) == SPEAKERS * 2 * TAKES
    assert augmented.parent.tolist() == list(range(clips))
    assert not np.isclose(augmented.X, prepared.X).all(axis=1).any()
    np.testing.assert_array_equal(story("svm", augmentation=changes).augmented.X, augmented.X)
    emotions, speakers = np.array(prepared.emotions), np.array(prepared.speakers)
    for fold, test in prepared.folds:
        neighbours = fit_part(
            KNeighborsClassifier(1), prepared.X, emotions, speakers, fold, augmented=augmented
        )
        learnt = [row.tobytes() for row in neighbours._fit_X]
        assert learnt == [row.tobytes() for row in [*prepared.X[fold], *augmented.X[fold]]]
        assert not {row.tobytes() for row in [*prepared.X[test], *augmented.X[test]]} & set(learnt)
    judged, _ = scores_of(prepared, tmp_path)
    assert judged.result.scores()["clips"] == clips


def test_without_calibration_folds_confidence_is_the_models(story: Story, tmp_path: Path) -> None:
    raw = story("svm", protocol={"calibration_folds": 0})
    assert not hasattr(make_classifier(raw), "folds")
    plain, _ = scores_of(raw, tmp_path / "plain")
    cooled, _ = scores_of(story("svm"), tmp_path / "cooled")
    assert plain.result.prediction.tolist() == cooled.result.prediction.tolist()
    assert not np.allclose(plain.result.probabilities, cooled.result.probabilities)


@pytest.mark.usefixtures("one_detector")
def test_without_calibration_folds_the_temperature_is_1(story: Story, tmp_path: Path) -> None:
    prepared = story("naive_bayes", protocol={"calibration_folds": 0})
    fitted = fit(prepared, cache=tmp_path)
    folder = pack(fitted, prepared, evaluate(prepared), tmp_path / "bundle")
    recognizer = serein.load(folder)
    assert recognizer.manifest["temperature"] == 1.0
    agrees(recognizer, fitted, prepared)


# --- the same again ---


@pytest.mark.parametrize("name", ["cnn", "svm", "random_forest"])
def test_the_same_recipe_gives_the_same_to_the_last_digit(
    story: Story, tmp_path: Path, name: str
) -> None:
    noise = np.random.default_rng()
    runs = []
    for number in range(2):
        np.random.seed(noise.integers(2**31))
        runs.append(scores_of(story(name, SMALL.get(name)), tmp_path / str(number)))
    (first, first_text), (second, second_text) = runs
    assert first_text == second_text
    assert first.result.probabilities.tobytes() == second.result.probabilities.tobytes()
    other, _ = scores_of(story(name, SMALL.get(name), protocol={"seed": 1}), tmp_path / "other")
    if name != "svm":  # which draws nothing
        assert not np.array_equal(other.result.probabilities, first.result.probabilities)


# --- vectors that are there already ---


def write_vectors(file: Path, value: Callable[[int, str], float]) -> None:
    names = [f"{s}-{e}-{t}.wav" for s in range(SPEAKERS) for e in PITCH_HZ for t in range(TAKES)]
    rows = [(name, value(k, name), k % 5) for k, name in enumerate(names)]
    with file.open("w", newline="") as opened:
        csv.writer(opened).writerows([("file", "pitch", "other"), *rows])


def test_a_table_is_judged_and_not_packed(story: Story, studio: Path, tmp_path: Path) -> None:
    write_vectors(studio / "vectors.csv", lambda k, name: k / 100 + ("anger" in name))
    prepared = story("svm", features={"table": "vectors.csv"})
    assert prepared.X.shape == (SPEAKERS * 2 * TAKES, 2)
    judged, _ = scores_of(prepared, tmp_path)
    assert judged.result.scores()["uar"] == 1.0
    with pytest.raises(RecipeError, match="read from a table make no bundle"):
        refuse_unpackable(prepared.recipe)


def test_train_refuses_a_table_before_it_looks_at_the_data(tmp_path: Path) -> None:
    text = f"name = 'x'\n[data]\ncorpora = ['gone.csv']\nfolder = '{tmp_path}'\n"
    (tmp_path / "x.toml").write_text(text + "[features]\ntable = 'gone.csv'\n")
    with pytest.raises(RecipeError, match="read from a table make no bundle"):
        learn.train(tmp_path / "x.toml", out=tmp_path / "out")
    with pytest.raises(CorpusError, match=r"gone\.csv"):  # the data is what is seen else
        judge.evaluate(tmp_path / "x.toml")
    assert not (tmp_path / "out").exists()


# --- refused before any time is spent ---

FAIR = [
    (f"{s}-{e}-{t}.wav", e, f"s{s}") for s in range(3) for e in ("anger", "sadness") for t in "ab"
]


@pytest.mark.parametrize(
    ("rows", "protocol", "error", "message"),
    [
        (FAIR, {}, AudioError, r"\.wav: cannot be decoded"),
        (FAIR[:4], {}, ProtocolError, "at least 2 folds: add recordings of other speakers"),
        (FAIR[::4] + FAIR[1::4], {}, CorpusError, "clips of anger only; .* at least 2 emotions"),
        ([*FAIR, ("x.wav", "fear", "s1")], {}, CorpusError, "a single clip of fear; .*leave_out"),
        (FAIR, {"split": "speaker_k_fold", "folds": 9}, ProtocolError, "9 folds|3 speakers"),
        (FAIR[:6], {}, ProtocolError, "sadness"),  # of one speaker only: never in training
    ],
    ids=["fair", "one speaker", "one emotion", "single clip", "many folds", "one has sadness"],
)
def test_data_that_cannot_be_judged_is_refused_before_any_recording_is_read(
    tmp_path: Path,
    rows: list[tuple[str, str, str]],
    protocol: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    write_table(tmp_path / "mine.csv", rows)
    for name, _, _ in rows:
        (tmp_path / name).write_text(f"not audio, {name}")
    data = {"corpora": ["mine.csv"], "folder": "."}
    table = {"name": "x", "data": data, "model": {"name": "svm"}, "protocol": protocol}
    with pytest.raises(error, match=message):
        prepare(make_recipe(table, "here", tmp_path), cache=tmp_path / "cache")


@pytest.mark.parametrize("wrong", ["nan", "inf", "", "loud"])
def test_a_table_of_features_must_hold_numbers(tmp_path: Path, wrong: str) -> None:
    write_table(tmp_path / "mine.csv", FAIR)
    for name, _, _ in FAIR:
        (tmp_path / name).write_text(f"not audio, {name}")
    vectors = "".join(f"{name},{wrong if k == 4 else k}\n" for k, (name, _, _) in enumerate(FAIR))
    (tmp_path / "vectors.csv").write_text("file,pitch\n" + vectors)
    table = {
        "name": "x",
        "data": {"corpora": ["mine.csv"], "folder": "."},
        "model": {"name": "svm"},
        "features": {"table": "vectors.csv"},
    }
    with pytest.raises(CorpusError, match=r"vectors\.csv: 1-anger-a\.wav: .*number"):
        prepare(make_recipe(table, "here", tmp_path))
