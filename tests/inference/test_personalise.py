"""Learning from a few labelled recordings: what is learnt, kept as a bundle, and refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

import serein
from made_bundles import adaptive_bundle, pitched_bundle
from made_corpus import RATE_HZ, make_voice
from serein.corpora.corpus import read_labels
from serein.errors import AudioError, BundleError, CorpusError, SettingError
from serein.inference.bundle import CARD, MANIFEST, NOTICE, PERSONAL, read_bundle, write_bundle
from serein.inference.personalise import personalise
from serein.inference.stream import Stream
from test_cli import run

SILENCE = Path(__file__).parents[2] / "samples" / "silence.flac"
VOICES = ("fast-high", "slow-low")
KNOWN = ("anger", "sadness")


@pytest.fixture(scope="module")
def pitched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pitched_bundle(tmp_path_factory.mktemp("models") / "pitch", KNOWN)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Voices of which the middle ones are called excited, a label of one's own."""
    folder = tmp_path_factory.mktemp("clips")
    rows = ["file,emotion"]
    for take in range(3):
        for label, emotion, rate in (
            ("anger", "anger", RATE_HZ),
            ("Excited", "anger", RATE_HZ * 2 // 3),
            ("sad", "sadness", RATE_HZ),
        ):
            name = f"{label}-{take}.wav"
            soundfile.write(folder / name, make_voice(emotion, 1, take), rate)
            rows.append(f"{name},{label}")
    (folder / "my.csv").write_text("\n".join(rows[:7]) + "\n")
    (folder / "my.tsv").write_text("\n".join(rows[:7]).replace(",", "\t") + "\n")
    return folder


def files(clips: Path, take: int) -> list[Path]:
    return [clips / f"{label}-{take}.wav" for label in ("anger", "Excited", "sad")]


@pytest.fixture(scope="module")
def mine(pitched: Path, clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("mine") / "mine"
    model = ("--model", pitched, "--licence", "CC0 | mine")
    text = run("personalise", "--labels", clips / "my.csv", "--out", out, *model).stdout
    assert text == f"written: {out}, from 6 recordings of 3 labels\n"
    return out


def test_a_label_of_ones_own_is_predicted(mine: Path, pitched: Path, clips: Path) -> None:
    recognizer = serein.load(mine)
    assert recognizer.labels == ("anger", "sadness", "excited")
    found = [recognizer.predict(file) for file in files(clips, 2)]
    assert [one.likeliest for one in found] == ["anger", "excited", "sadness"]
    assert found[1].to_dict()["emotion_zh"] == "excited"
    assert found[1].valence is not None  # of the others alone
    assert serein.load(pitched).predict(files(clips, 2)[1]).likeliest in KNOWN


def test_a_bundle_predicts_what_was_learnt(mine: Path, pitched: Path, clips: Path) -> None:
    recognizer = serein.load(pitched)
    labels = ["anger", "excited", "sadness"]
    known = files(clips, 0) + files(clips, 1)
    assert recognizer.learn(map(str, known), labels * 2) is recognizer
    again = serein.load(mine)
    for file in files(clips, 2):
        expected = recognizer.predict(file).probabilities
        assert again.predict(file).probabilities == pytest.approx(expected, abs=1e-6)


def test_the_bundle_says_what_it_was_made_of(mine: Path, pitched: Path) -> None:
    bundle = read_bundle(mine)
    assert (bundle.manifest["name"], bundle.manifest["version"]) == ("mine", 3)
    counts = {"anger": 2, "excited": 2, "sadness": 2}
    about = {"model": "pitch", "known": 2, "recordings": counts, "licence": "CC0 | mine"}
    assert bundle.manifest["personalised"] == about
    card = bundle.files[CARD].decode()
    assert "2 of anger, 2 of excited, 2 of sadness. New labels: excited." in card
    assert r"CC0 \| mine" in card
    assert card.endswith(read_bundle(pitched).files[CARD].decode())
    assert "CC0 | mine" in bundle.files[NOTICE].decode()


def test_it_adapts_streams_and_is_told_what_can_occur(mine: Path, clips: Path) -> None:
    recognizer = serein.load(mine, emotions=["Excited", "sadness"])
    assert recognizer.labels == ("sadness", "excited")
    single = recognizer.predict(files(clips, 2)[1]).probabilities
    recognizer.adapt(files(clips, 0) + files(clips, 1) + files(clips, 2), to="recordings")
    adapted = recognizer.predict(files(clips, 2)[1])
    assert adapted.utterances_known == 9
    assert adapted.probabilities != single
    assert sum(adapted.probabilities.values()) == pytest.approx(1)
    stream = Stream(serein.load(mine), adapt=True)
    stream.push(np.tile(make_voice("anger", 1, 0), 6))
    assert stream.labels == ("anger", "sadness", "excited")


def test_it_learns_beside_near_heads_and_distances(tmp_path: Path) -> None:
    place = adaptive_bundle(tmp_path / "near")
    voices = [SILENCE.with_name(f"espeak-english-{name}.flac") for name in VOICES]
    recognizer = serein.load(place, emotions=["anger", "sadness", "neutral"])
    recognizer.learn(voices, ["Excited", "sad"])
    assert recognizer.labels == ("anger", "neutral", "sadness", "excited")
    mine = personalise(voices, ["excited", "sadness"], tmp_path / "own", model=place)
    kept = serein.load(mine, emotions=recognizer.labels)
    assert kept.predict(voices[0]).likeliest == "excited"
    for one in (kept, recognizer):
        one.adapt(voices, to="recordings")
    found = kept.predict(voices[1]).probabilities
    assert found == pytest.approx(recognizer.predict(voices[1]).probabilities)


def test_it_is_packed_and_personalised_again(mine: Path, clips: Path, tmp_path: Path) -> None:
    packed = tmp_path / "mine.zip"
    assert "same prediction 100.0%" in run("export", mine, "--out", packed).stdout
    again = personalise(files(clips, 2), ["anger", "sure", "sad"], tmp_path / "b", model=packed)
    manifest = read_bundle(again).manifest
    assert manifest["labels"] == ["anger", "sadness", "excited", "sure"]
    assert manifest["personalised"]["known"] == 2
    assert manifest["personalised"]["before"]["model"] == "pitch"
    assert serein.load(again).predict(files(clips, 2)[1]).speech


def test_multimodal_recognizers_learn_too(pitched: Path, clips: Path) -> None:
    recognizer = serein.MultimodalRecognizer(serein.load(pitched))
    recognizer.learn(files(clips, 0), ["anger", "excited", "sadness"])
    assert recognizer.labels == ("anger", "sadness", "excited")
    found = recognizer.predict(files(clips, 2)[1], text=None)
    assert set(found.probabilities) == set(recognizer.labels)


@pytest.mark.parametrize(
    ("labels", "error", "match"),
    [
        (["anger", "anger", "angry"], SettingError, "of anger: to learn, recordings of at least 2"),
        (["anger", "sadness"], SettingError, "3 recordings and 2 emotions"),
        (["anger", "unsure", "sadness"], SettingError, "'unsure', which serein itself says"),
        (["anger", "a,b", "sadness"], SettingError, "no name holds a comma"),
        (["anger", "x\x1b[2J", "sadness"], SettingError, "a label is 'x"),
    ],
)
def test_labels_that_cannot_be_learnt_are_refused(
    pitched: Path, clips: Path, labels: list[str], error: type[Exception], match: str
) -> None:
    recognizer = serein.load(pitched)
    with pytest.raises(error, match=match):
        recognizer.learn(files(clips, 0), labels)
    assert recognizer.labels == KNOWN


def test_a_recording_without_speech_is_named(pitched: Path, clips: Path) -> None:
    with pytest.raises(AudioError, match=r"silence\.flac: no speech, so nothing"):
        serein.load(pitched).learn([files(clips, 0)[0], SILENCE], ["anger", "calm"])


def test_a_model_without_features_says_so(clips: Path, pitched: Path, tmp_path: Path) -> None:
    bundle = read_bundle(pitched)
    plain = write_bundle(
        tmp_path / "plain",
        bundle.manifest,
        model=bundle.files["model.onnx"],
        card="",
        notice="",
    )
    with pytest.raises(BundleError, match="trained with relative = true"):
        serein.load(plain).learn(files(clips, 0), ["anger", "calm", "sadness"])


@pytest.mark.parametrize(
    ("table", "match"),
    [
        ("file,label\na.wav,anger\n", "no column 'emotion'; it has: file, label"),
        ("", "is empty: it needs a header, file,emotion$"),
        ("file,emotion\n", "a header but no rows"),
        ("file,emotion\ngone.wav,anger\n", r"1 of its files not found .*line 2: 'gone\.wav'"),
        ("file,emotion\nsad-0.wav,anger\nsad-0.wav,sad\n", "line 3: .* is listed twice"),
        ("file,emotion\nsad-0.wav,\n", "line 2: a label is ''"),
    ],
)
def test_a_bad_table_is_refused(clips: Path, table: str, match: str) -> None:
    file = clips / "bad.csv"
    file.write_text(table)
    with pytest.raises(CorpusError, match=match):
        read_labels(file)


def test_duplicates_count_once_and_contradictory_ones_are_refused(
    pitched: Path, clips: Path, tmp_path: Path
) -> None:
    sound, rate = soundfile.read(clips / "sad-0.wav", dtype="int16")
    soundfile.write(clips / "again.flac", sound, rate)
    rows, once, twice = (clips / "my.csv").read_text(), tmp_path / "once", tmp_path / "twice"
    (clips / "twice.csv").write_text(f"{rows}again.flac,sadness\n")
    personalise(files(clips, 0) + files(clips, 1), ["anger", "x", "sad"] * 2, once, model=pitched)
    done = run("personalise", "--labels", clips / "twice.csv", "--out", twice, "--model", pitched)
    assert done.stdout == f"written: {twice}, from 6 recordings of 3 labels\n"
    assert done.stderr == ("serein: left out: 1 duplicate of other recordings of the same label\n")
    assert read_bundle(once).files[PERSONAL] == read_bundle(twice).files[PERSONAL]
    (clips / "both.csv").write_text(f"{rows}again.flac,anger\n")
    done = run("personalise", "--labels", clips / "both.csv", "--out", twice, status=2)
    assert "both.csv: 2 of 7 recordings cannot be used" in done.stderr
    assert "is the same sound as" in done.stderr
    assert "under more than one emotion: keep one" in done.stderr


def test_tabs_are_as_good_as_commas(pitched: Path, clips: Path, tmp_path: Path) -> None:
    out = tmp_path / "tabs"
    run("personalise", "--labels", clips / "my.tsv", "--out", out, "--model", pitched)
    assert read_bundle(out).labels == ("anger", "sadness", "excited")


def test_a_model_is_not_written_over_itself(pitched: Path, clips: Path) -> None:
    with pytest.raises(BundleError, match="is the model itself"):
        personalise(files(clips, 0), ["anger", "x", "sad"], pitched, model=pitched)
    with pytest.raises(BundleError, match=r"mine\.zip names a zip file, and the bundle is written"):
        personalise(files(clips, 0), ["anger", "x", "sad"], "mine.zip", model=pitched)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"known": 5}, "needs 'labels'"),
        ({"known": "2"}, "needs 'labels'"),
        ({"known": 1}, "not a probability for each of 1 labels|not of this model"),
        (None, "are not of one bundle"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(
    mine: Path, tmp_path: Path, change: dict[str, object] | None, match: str
) -> None:
    bundle = read_bundle(mine)
    manifest = json.loads(bundle.files[MANIFEST])
    about = manifest.pop("personalised")
    manifest |= {"labels": ["anger", "sadness"]} if change is None else {}
    manifest |= {} if change is None else {"personalised": about | change}
    parts = {name: bundle.files[name] for name in ("model.onnx", "adaptation.npz", PERSONAL)}
    with pytest.raises(BundleError, match=match):
        serein.load(
            write_bundle(
                tmp_path / "odd",
                manifest,
                model=parts["model.onnx"],
                card="",
                notice="",
                adaptation=parts["adaptation.npz"],
                personal=parts[PERSONAL],
            )
        )
