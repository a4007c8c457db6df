"""The whole story on a made-up corpus and a tiny encoder: recipe, train, export, predict."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import serein
from command_line import run
from serein.errors import AudioError, BundleError, SettingError
from serein.experiment import bursts, speech, train
from serein.experiment.export import torch_graph
from serein.features.encoder import SpeechEncoder
from serein.inference.bundle import read_bundle, write_bundle
from serein.inference.recognizer import Recognizer, model_of
from serein.inference.stream import History, UtteranceTimeline

pytestmark = pytest.mark.slow

RATE_HZ = 16_000
PITCH_HZ = {"anger": 300.0, "sullen": 110.0}  # the latter is no emotion that serein knows


def make_voice(emotion: str, speaker: int, take: int) -> np.ndarray:
    """A buzz with an emotion's pitch: enough for a random encoder to tell two emotions apart."""
    generator = np.random.default_rng([speaker, take])
    time = np.arange(RATE_HZ) / RATE_HZ
    hz = PITCH_HZ[emotion] * generator.uniform(0.95, 1.05)
    buzz = sum(np.sin(2 * np.pi * hz * part * time) / part for part in range(1, 8))
    wobble = 1 + 0.5 * np.sin(2 * np.pi * 4 * time)
    return (0.1 * buzz * wobble + 0.001 * generator.standard_normal(time.size)).astype(np.float32)


def make_laugh(emotion: str, speaker: int, take: int) -> np.ndarray:
    """A second of noise, bright or dull: enough to tell it from the buzzes."""
    noise = np.random.default_rng([speaker, take, 1]).standard_normal(RATE_HZ)
    dull = np.convolve(noise, np.ones(12) / 4, "same")
    return (0.1 * (noise if emotion == "amusement" else dull)).astype(np.float32)


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a CSV corpus of four speakers, a tiny Whisper encoder and a recipe."""
    from transformers import WhisperConfig, WhisperModel

    folder = tmp_path_factory.mktemp("studio")
    rows = []
    for speaker in range(4):
        for emotion in PITCH_HZ:
            for take in range(4):
                name = f"{speaker}-{emotion}-{take}.wav"
                soundfile.write(folder / name, make_voice(emotion, speaker, take), RATE_HZ)
                rows.append([name, emotion, f"s{speaker}"])
    with (folder / "mine.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["file", "emotion", "speaker"], *rows])
    torch.manual_seed(0)
    sizes = {"d_model": 32, "encoder_layers": 2, "encoder_attention_heads": 2}
    decoder = {"decoder_layers": 1, "decoder_attention_heads": 2, "vocab_size": 60}
    special = dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id"), 1)
    config = WhisperConfig(**sizes, **decoder, **special, encoder_ffn_dim=64, decoder_ffn_dim=64)
    config.decoder_start_token_id = 1
    WhisperModel(config).save_pretrained(folder / "weights" / "tiny")
    (folder / "mine.toml").write_text(
        """
name = "mine"
[data]
corpora = ["mine.csv"]
folder = "."
[encoder]
name = "tiny"
weights = "weights"
layers = [1, 2]
[bundle]
licence = "CC0-1.0"
[emotions.sullen]
valence = -0.5
arousal = -0.25
zh = "闷闷不乐"
"""
    )
    return folder


def serein_command(*arguments: str | Path, status: int = 0) -> str:
    """Run in this process: torch takes seconds to start, and other tests start a process."""
    done = run(*arguments, status=status)
    return done.stdout + done.stderr


@pytest.fixture(autouse=True, scope="module")
def one_graph_an_encoder() -> Iterator[None]:
    """Write the graph of an encoder once: two recipes here have the same."""
    graphs: dict[str, bytes] = {}
    encoder_graph = torch_graph.encoder_graph

    def kept(encoder: SpeechEncoder) -> bytes:
        name = encoder.fingerprint
        graphs[name] = graphs.get(name) or encoder_graph(encoder)
        return graphs[name]

    with pytest.MonkeyPatch.context() as patch:
        for place in (train, torch_graph):
            patch.setattr(place, "encoder_graph", kept)
        yield


def test_evaluate_writes_the_scores(studio: Path, tmp_path: Path) -> None:
    cache = ("--cache", tmp_path / "cache")
    text = serein_command("evaluate", studio / "mine.toml", "--out", tmp_path / "out", *cache)
    assert "leave one speaker out" in text
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert result["labels"] == ["anger", "sullen"]
    assert [fold["test_speakers"] for fold in result["folds"]] == [
        [f"mine-s{speaker}"] for speaker in range(4)
    ]
    assert result["clips"] == 32
    assert set(result["recall"]) == set(PITCH_HZ)
    again = serein_command("evaluate", studio / "mine.toml", "--out", tmp_path / "two", *cache)
    assert "UAR" in again
    first, second = (tmp_path / name / "predictions.csv" for name in ("out", "two"))
    assert first.read_text() == second.read_text()


def test_train_export_predict(
    studio: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speech, "SOUNDS", 10)
    cache = ("--cache", tmp_path / "cache")
    serein_command("train", studio / "mine.toml", "--out", tmp_path / "model", *cache)
    recognizer = serein.load(tmp_path / "model")
    assert recognizer.labels == ("anger", "sullen")
    said = {"valence": -0.5, "arousal": -0.25, "zh": "闷闷不乐"}
    assert recognizer.manifest["emotions"] == {"sullen": said}
    assert recognizer.manifest["trained_on"][0]["clips"] == 32
    sha256 = recognizer.manifest["encoder"]["weights_sha256"]["model.safetensors"]
    assert f"model.safetensors with sha256 {sha256}" in (tmp_path / "model" / "CARD.md").read_text()
    answers = {
        emotion: model_of(recognizer).of_signal(make_voice(emotion, 9, 9)).argmax()
        for emotion in PITCH_HZ
    }
    assert answers == {"anger": 0, "sullen": 1}
    text = serein_command(
        "export", tmp_path / "model", "--int8", "--out", tmp_path / "int8", "--audio", studio
    )
    assert "parity over 32 signals" in text
    assert serein.load(tmp_path / "int8").manifest["precision"] == "int8"
    lines = serein_command("predict", *sorted(studio.glob("*.wav")), "--model", tmp_path / "int8")
    lines = lines.splitlines()
    assert len(lines) == 32
    again = ("export", tmp_path / "int8", "--int8", "--out", tmp_path / "twice")
    assert "int8 already" in serein_command(*again, status=2)
    itself = ("export", tmp_path / "model", "--out", tmp_path / "model")
    assert "is the bundle itself" in serein_command(*itself, status=2)


def test_a_network_learns_from_the_encoders_frames(
    studio: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speech, "SOUNDS", 10)
    recipe = (studio / "mine.toml").read_text().replace("[encoder]", "[encoder]\nframes = true")
    recipe += '[model]\nname = "lstm"\nhidden = 16\n[training]\nepochs = 5\nbatch_size = 8\n'
    recipe += '[protocol]\ncalibration_folds = 0\n[augmentation]\nper_clip = 1\nchain = ["speed"]\n'
    (studio / "frames.toml").write_text(recipe)
    cache = tmp_path / "cache"
    text = serein_command(
        "train", studio / "frames.toml", "--out", tmp_path / "model", "--cache", cache
    )
    assert "UAR" in text
    kept = [np.load(file) for file in (cache / "features").rglob("*.npy")]
    assert {(one.dtype, one.shape[1]) for one in kept} == {(np.dtype(np.float16), 32)}
    recognizer = serein.load(tmp_path / "model")
    assert recognizer.manifest["encoder"].items() >= {"layers": [1, 2], "frames": True}.items()
    assert "as a series, 40 ms a frame" in (tmp_path / "model" / "CARD.md").read_text()
    for emotion in PITCH_HZ:
        assert recognizer.predict(studio / f"0-{emotion}-0.wav").emotion == emotion
    talk = Path(__file__).parents[2] / "samples" / "espeak-german.flac"
    events = serein_command("listen", "--file", talk, "--model", tmp_path / "model", "--json")
    found = [json.loads(line) for line in events.splitlines()]
    assert {name for event in found for name in event["probabilities"]} == set(PITCH_HZ)
    serein_command("export", tmp_path / "model", "--int8", "--out", tmp_path / "int8")
    text = serein_command("predict", studio / "0-anger-0.wav", "--model", tmp_path / "int8")
    assert "anger" in text


def test_a_corpus_of_one_speaker_is_refused(studio: Path, tmp_path: Path) -> None:
    rows = (studio / "mine.csv").read_text().splitlines()
    alone = [row for row in rows if row.endswith(("speaker", "s0"))]
    (studio / "alone.csv").write_text("\n".join(alone))
    recipe = (studio / "mine.toml").read_text().replace("mine.csv", "alone.csv")
    (studio / "alone.toml").write_text(recipe)
    text = serein_command(
        "evaluate", studio / "alone.toml", "--cache", tmp_path / "cache", status=2
    )
    assert "needs at least 2 folds: add recordings of other speakers" in text


def test_a_broken_recording_is_named_before_training(studio: Path, tmp_path: Path) -> None:
    (studio / "broken.wav").write_text("not audio")
    table = (studio / "mine.csv").read_text() + "broken.wav,anger,s1\n"
    (studio / "broken.csv").write_text(table)
    recipe = (studio / "mine.toml").read_text().replace("mine.csv", "broken.csv")
    (studio / "broken.toml").write_text(recipe)
    text = serein_command("train", studio / "broken.toml", "--cache", tmp_path / "c", status=2)
    assert "broken.wav: cannot be decoded" in text
    (studio / "broken.wav").unlink()


@pytest.fixture(scope="module")
def adaptive(studio: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of a recipe with a head for features relative to a baseline."""
    place = tmp_path_factory.mktemp("adaptive")
    recipe = (studio / "mine.toml").read_text()
    more = '[model]\nname = "ridge"\n[adaptation]\nrelative = true\n'
    more += "[protocol]\ncalibration_folds = 2\n[bursts]\n"
    more += f'corpus = "{place}/laughs.csv"\n'
    more += 'merge = { elation = "amusement" }\n'
    rows = ["file,emotion,speaker"]
    for speaker in range(5):
        for emotion in ("elation", "distress"):
            for take in range(3):
                name = f"{speaker}-{emotion}-{take}.wav"
                laugh = make_laugh({"elation": "amusement"}.get(emotion, emotion), speaker, take)
                soundfile.write(place / name, laugh, RATE_HZ)
                rows.append(f"{name},{emotion},p{speaker}")
    first = place / "0-elation-0.wav"
    (place / "copy.wav").write_bytes(first.read_bytes())
    soundfile.write(place / "copy.flac", soundfile.read(first, dtype="int16")[0], RATE_HZ)
    rows += ["copy.wav,elation,p0", "copy.flac,elation,p0"]
    (place / "laughs.csv").write_text("\n".join(rows))
    (studio / "adaptive.toml").write_text(recipe + more)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(speech, "SOUNDS", 10)
        patch.setattr(bursts, "SOUNDS", 4)
        patch.setattr(bursts, "SOUNDS_TAKEN", 1.0)  # these laughs are made of noise
        cache = ("--cache", place / "cache")
        said = serein_command("train", studio / "adaptive.toml", "--out", place / "model", *cache)
    words = "2 duplicates of other recordings of the same speaker and emotion"
    assert f"serein: left out: {words}, of vocal bursts\n" in said
    assert f"|\n\nLeft out: {words}.\n" in (place / "model/CARD.md").read_text()
    return place / "model"


def test_a_bundle_with_a_relative_head_adapts_to_recordings(
    adaptive: Path, studio: Path, tmp_path: Path
) -> None:
    recognizer = serein.load(adaptive)
    clip = studio / "0-anger-0.wav"
    single = recognizer.predict(clip)
    assert recognizer.adapt([clip]).predict(clip).probabilities == single.probabilities
    recognizer.forget_speaker()
    recognizer.adapt(studio, to="recordings")
    adapted = recognizer.predict(clip)
    assert adapted.utterances_known == 32
    assert adapted.probabilities != single.probabilities
    with pytest.raises(SettingError, match="adapted to recordings already"):
        recognizer.adapt(clip, to="speaker")
    saved = recognizer.save_adaptation(tmp_path / "room.json")
    assert saved.stat().st_size < 20_000
    again = serein.load(adaptive).load_adaptation(saved).predict(clip)
    assert again.emotion == adapted.emotion
    assert list(again.probabilities.values()) == pytest.approx(
        list(adapted.probabilities.values()), abs=1e-3
    )
    with pytest.raises(SettingError, match="another model"):
        serein.load().load_adaptation(saved)


def test_a_bundle_of_version_2_says_what_it_holds(adaptive: Path) -> None:
    manifest = serein.load(adaptive).manifest
    assert manifest["version"] == 2
    assert "adaptation" not in manifest
    assert set(manifest["confidence"]) == {"single", "recordings", "speaker"}
    states = {row.get("adapted_to") for row in manifest["scores"]}
    assert states == {None, "speaker", "recordings"}


def test_predict_adapts_and_saves(adaptive: Path, studio: Path, tmp_path: Path) -> None:
    clips = [studio / f"{speaker}-{emotion}-0.wav" for speaker in range(4) for emotion in PITCH_HZ]
    saved = tmp_path / "room.json"
    common = ("--model", adaptive, "--json")
    text = serein_command(
        "predict", *clips, *common, "--adapt", "recordings", "--adapt-save", saved
    )
    first = [json.loads(line) for line in text.splitlines()]
    assert {row["utterances_known"] for row in first} == {8}
    alone = serein_command("predict", clips[0], *common, "--adapt", "recordings")
    assert "predictions are hardly adapted: there is one recording" in alone
    text = serein_command("predict", clips[0], *common, "--adapt-from", saved)
    again = json.loads(text)
    assert again["utterances_known"] == 8
    assert again["probabilities"] == pytest.approx(first[0]["probabilities"], abs=2e-3)
    for wrong in (
        ("--adapt", "speaker", "--adapt-from", saved),
        ("--adapt-save", saved),
        ("--adapt", "recordings", "--same-speaker"),
    ):
        assert "--adapt" in serein_command("predict", clips[0], *common, *wrong, status=2)


def test_a_relative_head_survives_int8(adaptive: Path, studio: Path, tmp_path: Path) -> None:
    serein_command("export", adaptive, "--out", tmp_path / "small.zip", "--int8")
    clip = studio / "0-anger-0.wav"
    small, whole = (
        serein.load(place).adapt(studio) for place in (tmp_path / "small.zip", adaptive)
    )
    pair = [one.predict(clip).probabilities for one in (small, whole)]
    assert pair[0] == pytest.approx(pair[1], abs=0.1)


def test_damaged_arrays_of_adaptation_are_refused(adaptive: Path, tmp_path: Path) -> None:
    bundle = read_bundle(adaptive)
    for content in (b"", b"PK", bundle.files["adaptation.npz"][:-200]):
        files = {**bundle.files, "adaptation.npz": content}
        with pytest.raises(BundleError, match="adaptation"):
            Recognizer(replace(bundle, files=files))


@pytest.fixture(scope="module")
def deaf(adaptive: Path) -> Path:
    """The same bundle, hearing no speech, and bursts from even odds on: its encoder is tiny."""
    bundle = read_bundle(adaptive)
    told = bundle.manifest["bursts"] | {"threshold": 0.0}
    parts = ("model.onnx", "CARD.md", "NOTICE", "adaptation.npz", "bursts.npz")
    model, card, notice, adaptation, heads = (bundle.files[name] for name in parts)
    return write_bundle(
        adaptive.parent / "deaf",
        {**bundle.manifest, "speech_threshold": 1.0, "bursts": told},
        **{"model": model, "adaptation": adaptation, "bursts": heads},
        **{"card": card.decode(), "notice": notice.decode()},
    )


def test_vocal_bursts_are_a_kind_of_their_own(adaptive: Path, deaf: Path, tmp_path: Path) -> None:
    recognizer = serein.load(deaf)
    for emotion in ("amusement", "distress"):
        found = recognizer.predict(make_laugh(emotion, 9, 9), rate=RATE_HZ)
        assert (found.kind, found.emotion, found.speech) == ("burst", emotion, False)
        assert [segment.kind for segment in found.timeline] == ["burst"]
        assert set(found.probabilities) == {"amusement", "distress"}
        assert sum(found.probabilities.values()) == pytest.approx(1, abs=1e-5)
        assert found.to_dict()["kind"] == found.to_dict()["timeline"][0]["kind"] == "burst"
    silence = recognizer.predict(np.zeros(RATE_HZ, np.float32), rate=RATE_HZ)
    assert (silence.kind, silence.emotion) == (None, None)
    voice = serein.load(adaptive).predict(make_voice("anger", 9, 9), rate=RATE_HZ)
    assert (voice.kind, voice.speech, set(voice.probabilities)) == ("speech", True, set(PITCH_HZ))
    clip = adaptive.parent / "0-elation-0.wav"
    line = serein_command("predict", clip, "--model", deaf)
    assert "vocal burst: amusement" in line
    table = tmp_path / "all.csv"
    serein_command("predict", clip, "--model", deaf, "--out", table, "--jobs", "1")
    (row,) = csv.DictReader(table.read_text().splitlines())
    assert (row["kind"], row["emotion"], row["p_anger"]) == ("burst", "amusement", "")


def test_an_utterance_of_a_stream_may_be_a_burst(deaf: Path) -> None:
    laugh = make_laugh("amusement", 9, 9)
    history = History(laugh.size)
    history.append(laugh)
    utterance = UtteranceTimeline(0, model_of(serein.load(deaf)))
    whole, spoken = utterance.close(laugh.size, history)
    assert (whole.kind, whole.emotion, spoken) == ("burst", "amusement", [])


def test_bursts_leave_the_predictions_of_speech_as_they_are(
    adaptive: Path, deaf: Path, studio: Path
) -> None:
    bundle = read_bundle(adaptive)
    files = {name: data for name, data in bundle.files.items() if name != "bursts.npz"}
    clip = studio / "0-anger-0.wav"
    with_bursts, without = Recognizer(bundle), Recognizer(replace(bundle, files=files))
    assert with_bursts.predict(clip).probabilities == without.predict(clip).probabilities
    with pytest.raises(AudioError, match="no speech in 1 recording"):
        serein.load(deaf).adapt(adaptive.parent / "0-elation-0.wav")


def test_the_bundle_says_how_well_bursts_are_told(
    adaptive: Path, deaf: Path, tmp_path: Path
) -> None:
    found = serein.load(adaptive).manifest["bursts"]
    assert found["labels"] == ["amusement", "distress"]
    assert (found["clips"], found["speakers"], found["corpus"]) == (30, 5, "laughs")
    assert found["uar"] > 0.9
    assert set(found["bursts_recognised"]) == {"clean", "noisy", "short"}
    assert found["speech_taken"]["mine"] <= 1 / 32
    card = (adaptive / "CARD.md").read_text()
    assert "## Vocal bursts" in card
    assert f"speech, mine | {found['speech_taken']['mine']:.2%}" in card
    assert "- laughs, vocal bursts: not stated" in (adaptive / "NOTICE").read_text()
    serein_command("export", deaf, "--out", tmp_path / "int8", "--int8")
    laugh = make_laugh("distress", 9, 9)
    assert serein.load(tmp_path / "int8").predict(laugh, rate=RATE_HZ).kind == "burst"


@pytest.mark.parametrize("content", [b"", b"PK", "cut", "short"])
def test_damaged_arrays_of_bursts_are_refused(deaf: Path, content: bytes | str) -> None:
    bundle = read_bundle(deaf)
    if content == "cut":
        content = bundle.files["bursts.npz"][:-200]
    if content == "short":
        heads = model_of(Recognizer(bundle)).bursts
        assert heads is not None
        content = replace(heads, weight=heads.weight[:, :-1]).to_bytes()
        narrow = Recognizer(replace(bundle, files={**bundle.files, "bursts.npz": content}))
        with pytest.raises(BundleError, match="no vector of the length"):
            narrow.predict(make_laugh("distress", 9, 9), rate=RATE_HZ)
        return
    with pytest.raises(BundleError, match="bursts: "):
        Recognizer(replace(bundle, files={**bundle.files, "bursts.npz": content}))


@pytest.mark.parametrize(
    "about", [None, [], {"labels": ["amusement"]}, {"labels": ["joke", "x"], "threshold": 0}]
)
def test_a_manifest_that_does_not_describe_its_bursts_is_refused(
    adaptive: Path, about: object
) -> None:
    bundle = read_bundle(adaptive)
    with pytest.raises(BundleError, match="bursts: "):
        Recognizer(replace(bundle, manifest={**bundle.manifest, "bursts": about}))
