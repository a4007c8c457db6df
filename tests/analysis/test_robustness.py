"""Robustness tests by construction: emotions are tones, which a peak finder tells apart."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

from serein.analysis.clips import NO_SPEECH, find_corpus
from serein.analysis.robustness import _Cache, stress, stress_folds, stress_model
from serein.analysis.robustness_report import StressReport
from serein.audio.conditions import CONDITIONS, choose_conditions
from serein.audio.read import RATE_HZ, Signal
from serein.corpora import Corpus, Utterance
from serein.errors import AudioError, CorpusError, ProtocolError
from serein.evaluation.fairness import OUTSIDE, WITHIN

SAMPLES = Path(__file__).parents[2] / "samples"
HZ = {"anger": 900, "happiness": 1300, "neutral": 500, "sadness": 700}
FEW = choose_conditions(["gain -20 dB", "telephone", "babble 20 dB", "start cut"])
SPEAKERS = 8


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Eight people, four emotions, two sentences: a tone each, of its own level and length."""
    folder = tmp_path_factory.mktemp("tones")
    rows, generator = [], np.random.default_rng(0)
    for speaker in range(SPEAKERS):
        for emotion, hz in HZ.items():
            for text in ("one", "two"):
                time = np.arange(round(generator.uniform(0.5, 0.7) * RATE_HZ)) / RATE_HZ
                tone = 0.2 * np.sin(2 * np.pi * hz * time) + 0.001 * generator.normal(
                    size=time.size
                )
                path = folder / f"{speaker}-{emotion}-{text}.wav"
                soundfile.write(path, tone, RATE_HZ)
                gender = "female" if speaker % 2 else "male"
                rows.append(
                    Utterance(path, "tones", f"tones-{speaker}", emotion, gender, None, text, "en")
                )
    return Corpus("tones", tuple(rows))


def predict_tone(signal: Signal) -> np.ndarray:
    """Answer by the strongest frequency, whatever the level: right by construction."""
    spectrum = np.abs(np.fft.rfft(signal, RATE_HZ))
    powers = np.array([spectrum[hz - 20 : hz + 20].max() for hz in HZ.values()])
    return powers / max(powers.sum(), 1e-20)


def predict_if_loud(signal: Signal) -> np.ndarray:
    return predict_tone(signal) if np.abs(signal).max() > 0.1 else np.eye(4)[0]


@dataclass
class Counting:
    """Counts its calls, and dies after so many."""

    predict: Callable[[Signal], np.ndarray] = predict_tone
    dies_after: int = 10**9
    calls_made: int = 0

    def __post_init__(self) -> None:
        self.lock = Lock()

    def __call__(self, signal: Signal) -> np.ndarray:
        with self.lock:
            self.calls_made += 1
            if self.calls_made > self.dies_after:
                raise KeyboardInterrupt
        return self.predict(signal)


def run(corpus: Corpus, predict: Any = predict_tone, **options: Any) -> StressReport:
    given = {"labels": tuple(HZ), "conditions": FEW, "clips": 0, "threads": 2}
    return stress(predict, corpus, **given | options)


def test_a_model_that_is_right_by_construction_is_robust(corpus: Corpus) -> None:
    report = run(corpus, conditions=CONDITIONS, clips=16)
    assert report.clean_uar == 1
    assert set(report.changes) == set(CONDITIONS)
    gentle = [name for name in CONDITIONS if not name.startswith(("white", "babble", "clip"))]
    for name in gentle:
        assert report.changes[name].unchanged > 0.9, name


def test_a_prediction_that_depends_on_the_level_changes_under_gain_alone(corpus: Corpus) -> None:
    report = run(corpus, predict_if_loud)
    assert report.clean_uar == 1
    assert report.changes["gain -20 dB"].unchanged == 0.25  # anger stays anger
    assert report.changes["gain -20 dB"].difference == pytest.approx(-0.75)
    assert report.changes["start cut 250 ms"].difference == 0
    level_does_not_matter = run(corpus)
    assert level_does_not_matter.changes["gain -20 dB"].difference == 0
    assert {group.verdict for group in level_does_not_matter.fairness["gender"].groups} == {WITHIN}


def test_a_model_that_fails_women_is_flagged(corpus: Corpus) -> None:
    women = {clip.path: clip.gender == "female" for clip in corpus}
    failed = {
        soundfile.read(path, dtype="float32")[0].tobytes() for path, woman in women.items() if woman
    }
    report = run(
        corpus, lambda sound: np.eye(4)[1] if sound.tobytes() in failed else predict_tone(sound)
    )
    assert {group.verdict for group in report.fairness["gender"].groups} == {OUTSIDE}
    assert report.fairness["language"].groups == ()


def test_the_same_run_says_the_same(corpus: Corpus) -> None:
    one, other = run(corpus, threads=1), run(corpus, threads=4)
    for name in FEW:
        np.testing.assert_array_equal(
            one.changed[name].probabilities, other.changed[name].probabilities
        )
    assert one.to_dict() == other.to_dict()


def test_a_run_that_was_killed_goes_on_where_it_was(corpus: Corpus, tmp_path: Path) -> None:
    kept = {"fingerprint": "ears", "cache": tmp_path}
    with pytest.raises(KeyboardInterrupt):
        run(corpus, Counting(dies_after=100), **kept)
    files = list((tmp_path / "stress" / "ears").glob("*.csv"))
    assert len(files) == 5
    torn = max(files, key=lambda file: file.stat().st_size)
    torn.write_bytes(torn.read_bytes()[:-30])  # as a power cut leaves it
    second = Counting()
    resumed, fresh = run(corpus, second, **kept), run(corpus)
    assert second.calls_made == 5 * len(corpus) - 100 + 1
    assert resumed.to_dict() == fresh.to_dict()
    for name in FEW:
        np.testing.assert_array_equal(
            resumed.changed[name].probabilities, fresh.changed[name].probabilities
        )
    third = Counting()
    run(corpus, third, **kept)
    assert third.calls_made == 0


def test_another_model_seed_or_babble_is_predicted_anew(corpus: Corpus, tmp_path: Path) -> None:
    run(corpus, fingerprint="ears", cache=tmp_path)
    for options, times in (
        ({"fingerprint": "other ears"}, 5),
        ({"fingerprint": "ears", "seed": 1}, 4),  # the recording as it is has no seed
        ({"fingerprint": "ears"}, 0),
    ):
        counting = Counting()
        run(corpus, counting, cache=tmp_path, **options)
        assert counting.calls_made == times * len(corpus)
    counting = Counting()
    some = corpus.filter(speakers=corpus.speakers[:4])
    run(some, counting, fingerprint="ears", cache=tmp_path)
    assert counting.calls_made == len(some)  # other people babble


def test_without_a_fingerprint_nothing_is_kept(corpus: Corpus, tmp_path: Path) -> None:
    run(corpus, cache=tmp_path)
    assert not list(tmp_path.iterdir())


def test_progress_counts_predictions(corpus: Corpus) -> None:
    calls: list[tuple[int, int]] = []
    run(corpus, progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (320, 320)
    assert len(calls) == len(corpus)


def test_speakers_of_the_training_data_are_left_out(corpus: Corpus) -> None:
    report = run(corpus, trained_on=["tones-0", "tones-1", "others-7"])
    assert set(report.clean.speakers) == set(corpus.speakers[2:])
    assert report.title == "model on tones: 48 clips, 6 unseen speakers"
    assert "was trained on them: 2 speakers (tones-0, tones-1)" in " ".join(report.notes)


def test_a_model_trained_on_everybody_is_not_tested(corpus: Corpus) -> None:
    with pytest.raises(
        ProtocolError, match=r"was trained on every speaker of these recordings, 8 speakers"
    ):
        run(corpus, trained_on=corpus.speakers)
    allowed = run(corpus, trained_on=corpus.speakers[:5], overlap="allow")
    assert allowed.title.startswith("NOT SPEAKER-INDEPENDENT, OPTIMISTIC: model on tones: 64 clips")
    assert "5 of them seen" in allowed.clean.protocol
    with pytest.raises(ValueError, match="unknown speaker overlap 'yes'; known:"):
        run(corpus, overlap="yes")


def test_an_unknown_option_is_named(corpus: Corpus) -> None:
    with pytest.raises(TypeError, match=r"^stress\(\) got an unexpected keyword argument 'clip'"):
        run(corpus, clip=16)


def test_emotions_without_a_label_are_left_out_with_a_note(corpus: Corpus) -> None:
    calm = corpus.map_emotions({"neutral": "calm"})
    report = run(calm)
    assert len(report.clean.truth) == 48
    assert any("no such label: 16 of calm (see --merge)" in note for note in report.notes)
    assert any("may also predict neutral" in note for note in report.notes)
    with pytest.raises(CorpusError, match=r"predicts boredom: map an emotion with --merge"):
        run(corpus, labels=["boredom"])


def test_no_speech_is_a_wrong_prediction(corpus: Corpus) -> None:
    def quiet_is_nothing(signal: Signal) -> np.ndarray:
        nothing = np.abs(signal).max() < 0.1
        return np.append(
            0 * predict_tone(signal) if nothing else predict_tone(signal), float(nothing)
        )

    report = run(corpus, quiet_is_nothing, labels=(*HZ, NO_SPEECH))
    assert report.clean_uar == 1
    assert report.changes["gain -20 dB"].uar == 0
    assert not any(NO_SPEECH in note for note in report.notes)


def test_probabilities_of_another_shape_is_refused(corpus: Corpus) -> None:
    with pytest.raises(ValueError, match=r"shape \(4,\); need one for each label, 5"):
        run(corpus, labels=(*HZ, NO_SPEECH))


def test_a_recording_that_cannot_be_read_stops_the_run(corpus: Corpus, tmp_path: Path) -> None:
    bad = tmp_path / "bad.wav"
    bad.write_text("not audio")
    rows = (*corpus.utterances, replace(corpus.utterances[0], path=bad))
    with pytest.raises(AudioError, match=r"bad\.wav"):
        run(Corpus("tones", rows))


def test_babble_needs_another_speaker(corpus: Corpus) -> None:
    report = run(corpus.filter(speakers=["tones-3"]))
    assert "babble 20 dB" not in report.changes
    assert any("there is one speaker" in note for note in report.notes)
    assert report.changes["telephone"].interval_95 is None


def test_a_report_is_written_with_every_prediction(corpus: Corpus, tmp_path: Path) -> None:
    report = run(corpus, clips=40)
    place = report.write(tmp_path / "new" / "folder")
    document = json.loads(place.read_text())
    assert document["clips"] == 40
    assert document["conditions"]["telephone"]["settings"]["test"] == "low quality phone"
    assert document["conditions"]["telephone"]["unchanged"] == 1
    assert document["fairness"]["gender"]["groups"][0]["name"] == "female"
    assert document["notes"] == ["40 of 64 clips, drawn with seed 0 (see --clips)"]
    (note,) = run(corpus, clips=1).notes
    assert note.endswith("(see --clips): 1 would not hold one of each speaker and emotion")
    with (place.parent / "stress-predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 5 * 40
    assert {row["condition"] for row in rows} == {"clean", *FEW}
    right = [row["truth"] == row["answer"] for row in rows if row["condition"] == "clean"]
    assert np.mean(right) == document["clean"]["uar"] == 1


class Fold:
    """A classifier of one fold: remembers what it was given."""

    classes_ = np.array(["anger", "neutral"])

    def __init__(self) -> None:
        self.rows: list[np.ndarray] = []

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        self.rows.append(X)
        return np.array([[0.2, 0.8]])


@pytest.mark.parametrize("series", [False, True])
def test_each_clip_is_predicted_by_the_model_of_its_own_fold(corpus: Corpus, series: bool) -> None:
    members = [(Fold(), np.arange(0, 40)), (Fold(), np.arange(40, 64))]
    fitted = SimpleNamespace(members=members, labels=np.array(sorted(HZ)), protocol="two folds")

    def front(signal: Signal) -> np.ndarray:
        return signal[:100].reshape(50, 2) if series else signal[:100]

    conditions = choose_conditions(["telephone"])
    report = stress_folds(
        fitted, front, corpus, name="toy", conditions=conditions, clips=0, threads=1
    )
    assert [len(fold.rows) for fold, _ in members] == [2 * 40, 2 * 24]
    assert {row.shape for fold, _ in members for row in fold.rows} == {(1, 100)}
    assert report.title == (
        "toy on tones: 64 clips, two folds, each clip by the model of its own fold"
    )
    assert report.clean.labels == tuple(sorted(HZ))
    np.testing.assert_array_equal(report.clean.fold, np.repeat([0, 1], [40, 24]))
    np.testing.assert_array_equal(report.clean.probabilities[0], [0.2, 0, 0.8, 0])
    with pytest.raises(ProtocolError, match="32 clips came and row 63 was tested"):
        stress_folds(fitted, front, corpus.filter(speakers=corpus.speakers[:4]))


def test_clips_that_no_fold_tested_are_left_out(corpus: Corpus) -> None:
    tested = np.arange(16, 40)[::-1]
    fitted = SimpleNamespace(
        members=[(Fold(), tested)], labels=np.array(sorted(HZ)), protocol="one"
    )
    report = stress_folds(
        fitted, lambda signal: signal[:100], corpus, conditions=FEW, clips=0, threads=1
    )
    assert list(report.clean.about["file"]) == [clip.path.name for clip in corpus.utterances[16:40]]
    assert set(report.clean.speakers) == {"tones-2", "tones-3", "tones-4"}
    fitted.members[0] = (Fold(), np.array([-1, 3]))
    with pytest.raises(ProtocolError, match="64 clips came and row 3 was tested"):
        stress_folds(fitted, lambda signal: signal[:100], corpus)


def test_groups_are_compared_on_all_clips_where_their_predictions_are_known(corpus: Corpus) -> None:
    members = [(Fold(), np.arange(0, 40)), (Fold(), np.arange(40, 64))]
    fitted = SimpleNamespace(members=members, labels=np.array(sorted(HZ)), protocol="two folds")
    options = {"conditions": {}, "threads": 1}

    def sizes(report: StressReport) -> int:
        return sum(group.clips for group in report.fairness["speaker"].groups)

    whole = stress_folds(fitted, lambda signal: signal[:100], corpus, clips=0, **options)
    drawn = stress_folds(
        fitted, lambda signal: signal[:100], corpus, clips=20, result=whole.clean, **options
    )
    assert len(drawn.clean.truth) < 64
    assert sizes(drawn) == sizes(whole)
    assert "groups are compared on all 64 clips" in drawn.notes


def test_a_bundled_model_may_predict_no_speech(tmp_path: Path) -> None:
    lines = ["file,emotion,speaker"]
    for name, speaker in (("espeak-german", "a"), ("espeak-mandarin", "b"), ("silence", "a")):
        (tmp_path / f"{name}.flac").write_bytes((SAMPLES / f"{name}.flac").read_bytes())
        lines.append(f"{name}.flac,anger,{speaker}")
    (tmp_path / "robots.csv").write_text("\n".join(lines))
    report = stress_model(
        "emodb",
        find_corpus(tmp_path),
        conditions=choose_conditions(["gain -20 dB", "babble 20 dB"]),
        cache=tmp_path / "cache",
    )
    assert report.title == "emodb on robots: 3 clips, 2 speakers not known to the model by name"
    assert report.clean.labels[-1] == NO_SPEECH
    assert [report.clean.labels[number] for number in report.clean.prediction][2] == NO_SPEECH
    np.testing.assert_allclose(report.clean.probabilities.sum(axis=1), 1, atol=1e-5)
    assert report.changes["gain -20 dB"].unchanged == 1
    assert len(list((tmp_path / "cache" / "stress").glob("*/*.csv"))) == 3


def test_nothing_that_trains_is_imported() -> None:
    heavy = "{'torch', 'sklearn', 'transformers', 'onnx', 'librosa', 'matplotlib'}"
    code = f"import sys, serein.analysis.robustness; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_cached_predictions_are_for_this_user_alone_and_others_are_not_believed(
    tmp_path: Path,
) -> None:
    place = tmp_path / "stress" / "fingerprint" / "condition.csv"
    row = np.array([0.25, 0.75])
    _Cache(place, 2).add("clip-0", row)
    assert place.stat().st_mode & 0o777 == 0o600
    assert place.parent.stat().st_mode & 0o777 == 0o700
    with place.open("a") as end:
        end.write("damaged-0,zz,0x1p99999,\ncut-0,0x1")
    assert _Cache(place, 2).known.keys() == {"clip-0"}
    place.rename(tmp_path / "elsewhere")
    place.symlink_to(tmp_path / "elsewhere")
    before = (tmp_path / "elsewhere").read_bytes()
    again = _Cache(place, 2)
    assert again.known == {}
    again.add("clip-0", row)
    assert not place.is_symlink()
    assert (tmp_path / "elsewhere").read_bytes() == before
