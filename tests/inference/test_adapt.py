"""Adapting a recognizer to a speaker: what is added, forgotten and refused."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import serein
from serein.audio.read import RATE_HZ
from serein.errors import AudioError, BundleError
from serein.inference.bundle import read_bundle
from serein.inference.load import find_model
from serein.inference.recognizer import Recognizer

SAMPLES = Path(__file__).parents[2] / "samples"
VOICES = sorted(SAMPLES.glob("espeak-*.flac"))
VOICE = SAMPLES / "espeak-english-fast-high.flac"


@pytest.fixture
def recognizer() -> Recognizer:
    return serein.load()


def altered(**changes: Any) -> Recognizer:
    """A model of version 1 with another manifest; None takes a key out."""
    bundle = read_bundle(find_model("emodb"))
    manifest = {**bundle.manifest, **changes}
    kept = {key: value for key, value in manifest.items() if value is not None}
    return Recognizer(replace(bundle, manifest=kept))


def test_it_returns_itself_and_says_what_it_knows(recognizer: Recognizer) -> None:
    assert recognizer.predict(VOICE).utterances_known == 0
    assert recognizer.adapt(VOICES) is recognizer
    known = recognizer.utterances_known
    assert known >= len(VOICES)
    answer = recognizer.predict(VOICE)
    assert answer.utterances_known == known == answer.to_dict()["utterances_known"]
    assert sum(answer.probabilities.values()) == pytest.approx(1, abs=1e-5)


def test_answers_move_and_forgetting_brings_them_back(recognizer: Recognizer) -> None:
    before = recognizer.predict(VOICE)
    recognizer.adapt(VOICES)
    assert recognizer.predict(VOICE).probabilities != before.probabilities
    recognizer.forget_speaker()
    assert recognizer.utterances_known == 0
    assert recognizer.predict(VOICE) == before


def test_every_kind_of_source_teaches_the_same(recognizer: Recognizer, tmp_path: Path) -> None:
    (tmp_path / VOICE.name).write_bytes(VOICE.read_bytes())
    signal = serein.read_audio(VOICE)
    answers = []
    for source, rate in (
        (VOICE, None),
        (str(VOICE), None),
        ([VOICE], None),
        (tmp_path, None),
        (VOICE.read_bytes(), None),
        (io.BytesIO(VOICE.read_bytes()), None),
        (signal, RATE_HZ),
        (iter([signal]), RATE_HZ),
    ):
        recognizer.forget_speaker()
        answers.append(recognizer.adapt(source, rate=rate).predict(VOICE).probabilities)
    assert all(answer == answers[0] for answer in answers)


def test_calls_add_up(recognizer: Recognizer) -> None:
    together = serein.load().adapt(VOICES[:3]).predict(VOICE)
    one_by_one = [recognizer.adapt(voice) for voice in VOICES[:3]][-1].predict(VOICE)
    assert one_by_one == together


def test_copies_in_other_files_count_once(recognizer: Recognizer, tmp_path: Path) -> None:
    known = recognizer.adapt(VOICES[:3]).utterances_known
    soundfile.write(tmp_path / "copy.wav", *soundfile.read(VOICES[0], dtype="int16"))
    assert recognizer.adapt([VOICES[1], tmp_path / "copy.wav"]).utterances_known == known
    recognizer.forget_speaker()
    assert recognizer.adapt(tmp_path).utterances_known > 0


def test_each_window_of_a_long_recording_is_an_utterance(recognizer: Recognizer) -> None:
    long = np.resize(serein.read_audio(VOICE), 20 * RATE_HZ)
    recognizer.adapt(long, rate=RATE_HZ)
    assert recognizer.utterances_known == len(recognizer.predict(long, rate=RATE_HZ).timeline)


def test_a_single_emotion_moves_next_to_nothing(recognizer: Recognizer) -> None:
    before = recognizer.predict(VOICE).probabilities
    signal = serein.read_audio(VOICE)
    hiss = np.random.default_rng(0).normal(0, 1e-4, (20, signal.size)).astype(np.float32)
    recognizer.adapt(list(signal + hiss), rate=RATE_HZ)
    assert recognizer.utterances_known >= 20
    after = recognizer.predict(VOICE).probabilities
    assert max(abs(after[name] - before[name]) for name in before) < 0.15


@pytest.mark.parametrize("bad", ["silence", "missing", "broken"])
def test_what_cannot_teach_is_refused_and_nothing_is_learnt(
    recognizer: Recognizer, tmp_path: Path, bad: str
) -> None:
    (tmp_path / "broken.wav").write_bytes(b"RIFF nothing")
    source: Any = {
        "silence": SAMPLES / "silence.flac",
        "missing": [VOICE, tmp_path / "missing.wav"],
        "broken": [VOICE, tmp_path / "broken.wav"],
    }[bad]
    words = {"silence": "no speech in 1 recording", "missing": "missing.wav", "broken": "broken"}
    recognizer.adapt(VOICES[0])
    known = recognizer.utterances_known
    with pytest.raises(AudioError, match=words[bad]):
        recognizer.adapt(source)
    assert recognizer.utterances_known == known


def test_a_model_that_did_not_learn_how_speakers_differ_says_so() -> None:
    with pytest.raises(BundleError, match="cannot adapt: train it again"):
        altered(adaptation=None).adapt(VOICE)


@pytest.mark.parametrize(
    "values", [[], {"means": [[1.0]]}, {"means": "x"}, {"means": [[float("nan")] * 7] * 7}]
)
def test_a_damaged_manifest_is_refused(values: Any) -> None:
    with pytest.raises(BundleError, match="adaptation: "):
        altered(adaptation=values)
