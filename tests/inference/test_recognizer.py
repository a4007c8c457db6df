"""The recognizer on real sound: synthetic speech, silence, noise, and the corpora where present."""

from __future__ import annotations

import io
import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

import serein
from serein.audio.nonspeech import KINDS, draw
from serein.audio.read import RATE_HZ
from serein.errors import BundleError, SereinError
from serein.inference.load import find_model
from serein.inference.prediction import Segment
from serein.inference.recognizer import Recognizer

SAMPLES = Path(__file__).parents[2] / "samples"
VOICE = SAMPLES / "espeak-english-fast-high.flac"
PAUSE = SAMPLES / "espeak-german-two-voices-with-pause.flac"


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return serein.load()


def voice(seconds: float) -> np.ndarray:
    return np.resize(serein.read_audio(VOICE), round(seconds * RATE_HZ))


def test_answers_with_an_emotion_and_a_probability(recognizer: Recognizer) -> None:
    answer = recognizer.predict(VOICE)
    assert answer.emotion in recognizer.labels
    assert answer.confidence == max(answer.probabilities.values())
    assert sum(answer.probabilities.values()) == pytest.approx(1.0, abs=1e-5)
    assert tuple(answer.probabilities) == recognizer.labels
    assert answer.file == str(VOICE)
    assert answer.duration == pytest.approx(soundfile.info(VOICE).duration)


def test_path_bytes_file_and_array_agree(recognizer: Recognizer) -> None:
    by_path = recognizer.predict(VOICE)
    samples, rate = soundfile.read(VOICE, dtype="int16")
    others = [VOICE.read_bytes(), io.BytesIO(VOICE.read_bytes())]
    answers = [recognizer.predict(other) for other in others]
    answers.append(recognizer.predict(samples, rate=rate))
    for answer in answers:
        assert answer.probabilities == by_path.probabilities
        assert answer.file is None


def test_the_same_question_gets_the_same_answer(recognizer: Recognizer) -> None:
    assert recognizer.predict(VOICE) == recognizer.predict(VOICE)
    alone = serein.load(threads=1).predict(VOICE)
    for emotion, probability in recognizer.predict(VOICE).probabilities.items():
        assert alone.probabilities[emotion] == pytest.approx(probability, abs=1e-3)


@pytest.mark.parametrize("gain", [0.01, 0.1])
def test_the_gain_of_the_microphone_does_not_matter(recognizer: Recognizer, gain: float) -> None:
    loud, quiet = recognizer.predict(voice(3), rate=RATE_HZ), voice(3) * np.float32(gain)
    for emotion, probability in recognizer.predict(quiet, rate=RATE_HZ).probabilities.items():
        assert loud.probabilities[emotion] == pytest.approx(probability, abs=0.02)


def test_silence_around_a_voice_does_not_matter(recognizer: Recognizer) -> None:
    tight = recognizer.predict(voice(2), rate=RATE_HZ)
    padded = np.pad(voice(2), RATE_HZ)
    for emotion, probability in recognizer.predict(padded, rate=RATE_HZ).probabilities.items():
        assert tight.probabilities[emotion] == pytest.approx(probability, abs=0.1)


@pytest.mark.parametrize("seconds", [0.1, 1.0, 6.0, 6.01, 30.0])
def test_silence_is_no_emotion(recognizer: Recognizer, seconds: float) -> None:
    answer = recognizer.predict(np.zeros(round(seconds * RATE_HZ), np.float32), rate=RATE_HZ)
    assert not answer.speech
    assert answer.emotion is None
    assert answer.confidence is None
    assert answer.probabilities == {}
    assert (answer.valence, answer.arousal) == (None, None)
    plain = answer.to_dict()
    assert plain["speech"] is False
    assert (plain["valence"], plain["arousal"]) == (None, None)
    assert (plain["timeline"][0]["valence"], plain["timeline"][0]["arousal"]) == (None, None)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_sounds_that_are_not_speech_are_no_emotion(recognizer: Recognizer, kind: str) -> None:
    generator = np.random.default_rng(12345)
    sounds = [draw(generator, kind).signal() for _ in range(10)]
    refused = [not recognizer.predict(sound, rate=RATE_HZ).speech for sound in sounds]
    assert sum(refused) >= 9


def test_a_long_recording_gets_a_timeline(recognizer: Recognizer) -> None:
    answer = recognizer.predict(voice(20), rate=RATE_HZ)
    assert len(answer.timeline) > 3
    assert answer.timeline[0].start == 0.0
    assert answer.timeline[-1].end == pytest.approx(20.0)
    for left, right in zip(answer.timeline, answer.timeline[1:], strict=False):
        assert left.end == right.start
    lengths = [segment.end - segment.start for segment in answer.timeline]
    for emotion, probability in answer.probabilities.items():
        parts = [segment.probabilities[emotion] for segment in answer.timeline]
        assert probability == pytest.approx(np.average(parts, weights=lengths))


def test_a_finer_timeline_when_asked(recognizer: Recognizer) -> None:
    sound = voice(10)
    fine = recognizer.predict(sound, rate=RATE_HZ, window_s=2.0, hop_s=0.5)
    assert len(fine.timeline) == 17
    third = recognizer.predict(sound[RATE_HZ : 3 * RATE_HZ], rate=RATE_HZ)
    assert fine.timeline[2].probabilities == third.probabilities
    assert (fine.timeline[2].start, fine.timeline[2].end) == (1.75, 2.25)
    assert fine.probabilities == recognizer.predict(sound, rate=RATE_HZ).probabilities
    apart = recognizer.predict(sound, rate=RATE_HZ, window_s=2.0)
    assert [segment.end for segment in apart.timeline] == [2, 4, 6, 8, 10]


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"window_s": 0.2}, r"window_s is 0\.2; allowed: 0\.5 to 10"),
        ({"hop_s": 5.0}, r"hop_s is 5\.0; allowed: 0\.1 to 4"),
        ({"hop_s": 0.0}, r"hop_s is 0\.0"),
    ],
)
def test_a_timeline_that_cannot_be(
    recognizer: Recognizer, wrong: dict[str, float], match: str
) -> None:
    with pytest.raises(ValueError, match=match):
        recognizer.predict(voice(2), rate=RATE_HZ, **wrong)


def test_a_pause_in_a_long_recording_is_left_out(recognizer: Recognizer) -> None:
    quiet = np.zeros(20 * RATE_HZ, np.float32)
    answer = recognizer.predict(np.concatenate([voice(6), quiet, voice(6)]), rate=RATE_HZ)
    spoken = [segment.speech for segment in answer.timeline]
    assert spoken[0]
    assert spoken[-1]
    assert not all(spoken)
    assert answer.speech


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_any_rate_and_two_channels(recognizer: Recognizer, rate: int, tmp_path: Path) -> None:
    import soxr

    stereo = np.stack([soxr.resample(voice(3), RATE_HZ, rate)] * 2, axis=1)
    soundfile.write(tmp_path / "stereo.wav", stereo, rate)
    answer = recognizer.predict(tmp_path / "stereo.wav")
    assert answer.speech
    assert answer.duration == pytest.approx(3.0, abs=0.01)


def test_one_bad_file_does_not_stop_the_others(recognizer: Recognizer, tmp_path: Path) -> None:
    for number in range(5):
        soundfile.write(tmp_path / f"{number}.wav", voice(1), RATE_HZ)
    (tmp_path / "2.wav").write_text("not audio")
    answers = dict(recognizer.predict_all([tmp_path, tmp_path / "missing.wav"]))
    failed = {path.name for path, answer in answers.items() if isinstance(answer, SereinError)}
    assert failed == {"2.wav", "missing.wav"}
    assert len(answers) == 6


@pytest.mark.parametrize(
    ("corpus", "model", "least"), [("emodb", "emodb", 0.9), ("ravdess", "multi", 0.85)]
)
def test_predicts_the_corpora_it_was_trained_on(
    corpus_dir: Callable[[str], Path], corpus: str, model: str, least: float
) -> None:
    """Not a score: it was trained on these speakers. It checks labels, order and front end."""
    table = serein.Corpus.load(corpus, corpus_dir(corpus)).map_emotions({"calm": "neutral"})
    recognizer = serein.load(model)
    clips = [clip for clip in table if clip.emotion in recognizer.labels][::23]
    right = [recognizer.predict(clip.path).emotion == clip.emotion for clip in clips]
    assert np.mean(right) > least


# --- valence and arousal ---


def segment(probabilities: dict[str, float]) -> Segment:
    likeliest = max(probabilities, key=probabilities.__getitem__)
    return Segment(0.0, 1.0, likeliest, probabilities[likeliest], probabilities)


def test_pure_anger_has_the_place_of_anger() -> None:
    answer, anger = segment({"anger": 1.0, "calm": 0.0}), serein.EMOTIONS["anger"]
    assert (answer.valence, answer.arousal) == (anger.valence, anger.arousal)


def test_emotions_as_likely_as_each_other_give_the_mean_place() -> None:
    answer = segment({"anger": 0.25, "calm": 0.25, "surprise": 0.25, "neutral": 0.25})
    assert answer.valence == pytest.approx((-0.6 + 0.7 + 0.3 + 0.0) / 4)
    assert answer.arousal == pytest.approx((0.8 - 0.7 + 0.9 + 0.0) / 4)


def test_valence_and_arousal_follow_the_probabilities_in_json() -> None:
    plain = segment({"anger": 1 / 3, "neutral": 2 / 3}).to_dict()
    assert list(plain)[-3:] == ["probabilities", "valence", "arousal"]
    assert (plain["valence"], plain["arousal"]) == (-0.2, 0.2667)


def test_nearly_nothing_is_not_minus_zero_in_json() -> None:
    plain = segment({"neutral": 1 - 1e-6, "sadness": 1e-6}).to_dict()
    assert json.dumps([plain["valence"], plain["arousal"]]) == "[0.0, 0.0]"


def test_the_place_of_a_recording_is_the_mean_of_its_segments(recognizer: Recognizer) -> None:
    answer = recognizer.predict(voice(20), rate=RATE_HZ)
    lengths = [part.end - part.start for part in answer.timeline]
    for name in ("valence", "arousal"):
        parts = [getattr(part, name) for part in answer.timeline]
        assert getattr(answer, name) == pytest.approx(np.average(parts, weights=lengths))


# --- doubt ---


def test_below_the_threshold_the_answer_is_unsure():
    sure = serein.load("multi").predict(PAUSE)
    assert sure.emotion == sure.likeliest
    doubtful = serein.load("multi", unsure_below=1.0).predict(PAUSE)
    assert doubtful.emotion == "unsure"
    assert (doubtful.likeliest, doubtful.confidence) == (sure.emotion, sure.confidence)
    assert doubtful.probabilities == sure.probabilities
    assert doubtful.to_dict()["emotion_zh"] == "不确定"
    assert {segment.emotion for segment in doubtful.timeline} <= {"unsure", None}


def test_a_confidence_at_the_threshold_is_sure():
    confidence = serein.load("multi").predict(PAUSE).confidence
    assert serein.load("multi", unsure_below=confidence).predict(PAUSE).emotion != "unsure"
    above = np.nextafter(confidence, 1)
    assert serein.load("multi", unsure_below=above).predict(PAUSE).emotion == "unsure"


def test_silence_is_no_doubt():
    silence = np.zeros(16_000, np.float32)
    answer = serein.load("multi", unsure_below=1.0).predict(silence, rate=16_000)
    assert (answer.emotion, answer.likeliest, answer.speech) == (None, None, False)


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_a_threshold_outside_0_to_1_is_refused(threshold: float):
    with pytest.raises(ValueError, match=r"unsure_below is .*; allowed: 0 to 1"):
        serein.load("multi", unsure_below=threshold)


def test_a_recognizer_is_pickled_by_place_and_hash(recognizer: Recognizer, tmp_path: Path) -> None:
    signal = serein.read_audio(VOICE)
    text = pickle.dumps(serein.MultimodalRecognizer(recognizer))
    assert len(text) < 2**17
    again = pickle.loads(text)  # noqa: S301  # of our own making
    assert again.predict(signal, rate=RATE_HZ) == recognizer.predict(signal, rate=RATE_HZ)
    place = shutil.copytree(find_model("emodb"), tmp_path / "moved")
    text = pickle.dumps(serein.load(place, unsure_below=0.9, emotions=["anger", "neutral"]))
    again = pickle.loads(text)  # noqa: S301
    assert (again.unsure_below, again.labels) == (0.9, ("anger", "neutral"))
    shutil.rmtree(place)
    shutil.copytree(find_model("multi"), place)
    with pytest.raises(BundleError, match="is not the model that was pickled: its sha256 differs"):
        pickle.loads(text)  # noqa: S301


def test_an_adapted_recognizer_is_pickled_with_what_it_found() -> None:
    recognizer = serein.load().adapt([VOICE, VOICE.parent / "espeak-mandarin.flac"])
    again = pickle.loads(pickle.dumps(recognizer))  # noqa: S301
    assert again.utterances_known == recognizer.utterances_known > 0
    assert again.predict(VOICE).to_dict() == recognizer.predict(VOICE).to_dict()
