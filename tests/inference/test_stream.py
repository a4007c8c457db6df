"""A stream says the same however the sound is cut, and what a file's timeline says."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from made_bundles import adaptive_bundle
from serein.audio.read import RATE_HZ, read_audio
from serein.emotions import UNSURE, circumplex
from serein.errors import AudioError, BundleError, SettingError
from serein.inference.load import load
from serein.inference.recognizer import Recognizer, model_of
from serein.inference.stream import MAX_KNOWN, Event, Stream

Array = npt.NDArray[Any]
SAMPLES = Path(__file__).parents[2] / "samples"
NAMES = (
    *("espeak-english-fast-high", "espeak-german-two-voices-with-pause"),
    *("pink-noise", "espeak-mandarin"),
)


def silence(seconds: float) -> Array:
    return np.zeros(round(seconds * RATE_HZ), np.float32)


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return load(threads=1)


@pytest.fixture(scope="module")
def talk() -> Array:
    """Several voices, noise and pauses, 24 s."""
    parts = [[read_audio(SAMPLES / f"{name}.flac"), silence(0.8)] for name in NAMES]
    return np.concatenate([silence(1.0), *(part for pair in parts for part in pair)])


def listen(stream: Stream, chunks: Iterable[Array]) -> list[Event]:
    return [event for chunk in chunks for event in stream.push(chunk)] + stream.end()


@pytest.fixture(scope="module")
def events(recognizer: Recognizer, talk: Array) -> list[Event]:
    return listen(Stream(recognizer), [talk])


def of_kind(events: list[Event], kind: str) -> list[Event]:
    return [event for event in events if event.kind == kind]


def samples_of(event: Event) -> slice:
    return slice(round(event.start * RATE_HZ), round(event.end * RATE_HZ))


@settings(max_examples=4, deadline=None)
@given(st.data())
def test_any_cutting_gives_the_same_events(
    recognizer: Recognizer, talk: Array, events: list[Event], data: st.DataObject
) -> None:
    cuts = data.draw(st.lists(st.integers(0, talk.size), max_size=200))
    chunks = np.split(talk, sorted(cuts))
    assert listen(Stream(recognizer), chunks) == events


@pytest.mark.parametrize("size", [1, 160, 511, 512, 513, 8000])
def test_equal_chunks_give_the_same_events(recognizer: Recognizer, talk: Array, size: int) -> None:
    short = talk[: (2 if size == 1 else 8) * RATE_HZ]
    whole = listen(Stream(recognizer), [short])
    assert whole
    assert listen(Stream(recognizer), np.split(short, range(size, short.size, size))) == whole


@pytest.mark.parametrize("rate", [8000, 44_100, 48_000])
def test_any_cutting_at_other_rates(recognizer: Recognizer, talk: Array, rate: int) -> None:
    other = soxr.resample(talk[: 8 * RATE_HZ], RATE_HZ, rate)
    stereo = np.stack([other, other], axis=1)
    whole = listen(Stream(recognizer, rate=rate), [stereo])
    assert of_kind(whole, "utterance")
    cut = np.split(stereo, range(1, len(stereo), 997))
    assert listen(Stream(recognizer, rate=rate), cut) == whole


def test_an_utterance_is_answered_like_a_file_of_it(
    recognizer: Recognizer, talk: Array, events: list[Event]
) -> None:
    utterances = of_kind(events, "utterance")
    assert len(utterances) >= 4
    for event in utterances:
        answer = recognizer.predict(talk[samples_of(event)], rate=RATE_HZ)
        assert dict(event.probabilities) == dict(answer.probabilities)
        assert (event.emotion, event.confidence) == (answer.emotion, answer.confidence)


def test_windows_are_those_of_a_files_timeline(recognizer: Recognizer, talk: Array) -> None:
    """Unsmoothed, each full window is the file's own at the same place."""
    stream = Stream(recognizer)
    stream._new_weight = 1.0
    fine = recognizer.predict(talk, rate=RATE_HZ, window_s=2.0, hop_s=0.5)
    by_centre = {}
    for start, segment in zip(np.arange(len(fine.timeline)) / 2, fine.timeline, strict=True):
        by_centre[start + 1.0] = dict(segment.probabilities)
    full = [event for event in of_kind(listen(stream, [talk]), "emotion") if event.start % 0.5 == 0]
    full = [event for event in full if event.end - event.start == 2.0]
    assert len(full) >= 10
    for event in full:
        expected = by_centre[(event.start + event.end) / 2]
        assert event.probabilities == pytest.approx(expected, abs=1e-6)


def test_most_windows_agree_with_the_utterance_they_belong_to(events: list[Event]) -> None:
    for utterance in of_kind(events, "utterance"):
        inside = [
            e for e in of_kind(events, "emotion") if utterance.start <= e.start < utterance.end
        ]
        likeliest = set(sorted(utterance.probabilities, key=utterance.probabilities.get)[-3:])
        assert np.mean([event.emotion in likeliest for event in inside]) >= 0.5


def test_order_and_times(events: list[Event], talk: Array) -> None:
    speaking = False
    for event in events:
        assert speaking is (event.kind != "voice")
        speaking = event.kind != "utterance"
    utterances = of_kind(events, "utterance")
    assert [e.start for e in of_kind(events, "voice")] == [e.start for e in utterances]
    assert all(one.end <= other.start for one, other in pairwise(utterances))
    for event in of_kind(events, "emotion"):
        assert 0.5 <= event.end - event.start <= 2.0
        assert event.end % 0.5 == 0
        assert sum(event.probabilities.values()) == pytest.approx(1, abs=1e-5)
        assert (event.valence, event.arousal) == circumplex(event.probabilities)
    assert events[-1].end <= talk.size / RATE_HZ


def test_noise_and_silence_say_nothing(recognizer: Recognizer) -> None:
    quiet = np.concatenate([read_audio(SAMPLES / "pink-noise.flac"), silence(3.0)])
    assert listen(Stream(recognizer), [quiet]) == []


def test_the_label_holds_until_another_clearly_leads(recognizer: Recognizer) -> None:
    stream = Stream(recognizer)
    stream._new_weight = 1.0
    first, second = np.eye(7, dtype=np.float32)[:2]
    held = []
    for share in (0.0, 0.5, 0.54, 0.56, 0.5, 0.46, 0.44):
        stream._smooth((1 - share) * first + share * second)
        held.append(stream._label)
    assert held == [0, 0, 0, 1, 1, 1, 0]


def test_a_shorter_hop_new_weights_at_the_same_pace(recognizer: Recognizer) -> None:
    after = []
    first, second = np.eye(7, dtype=np.float32)[:2]
    for hop_s in (0.25, 0.5):
        stream = Stream(recognizer, hop_s=hop_s)
        stream._smooth(first)
        for _ in range(round(1 / hop_s)):
            smoothed = stream._smooth(second)
        after.append(smoothed[1])
    assert after[0] == pytest.approx(after[1], abs=1e-5)


def test_a_hop_set_anew_holds_from_the_next_prediction(recognizer: Recognizer, talk: Array) -> None:
    stream = Stream(recognizer, hop_s=0.5)
    before = stream.push(talk[: 2 * RATE_HZ])
    stream.hop_s = 1.5
    with pytest.raises(SettingError, match=r"hop_s is 2\.5; allowed: 0\.1 to 2"):
        stream.hop_s = 2.5
    after = stream.push(talk[2 * RATE_HZ :])
    at = [event.end for event in of_kind(before + after, "emotion") if event.end < 5]
    assert at == [1.5, 2.0, 3.5]
    assert of_kind(before + after, "utterance") == of_kind(
        Stream(recognizer).push(talk), "utterance"
    )


def test_end_answers_at_once_and_the_stream_goes_on(recognizer: Recognizer) -> None:
    speech = read_audio(SAMPLES / "espeak-german.flac")
    stream = Stream(recognizer)
    first = listen(stream, [speech])
    assert first[-1].kind == "utterance"
    assert stream.end() == []
    again = listen(stream, [silence(1.0), speech])
    assert again[-1].kind == "utterance"
    assert again[0].start == pytest.approx(first[0].start + speech.size / RATE_HZ + 1, abs=0.1)


def test_reset_forgets_everything(recognizer: Recognizer, talk: Array) -> None:
    stream = Stream(recognizer, adapt=True)
    first = listen(stream, [talk])
    stream.reset()
    assert stream.position_s == 0
    assert listen(stream, [talk]) == first


def test_who_speaks_on_is_answered_every_half_minute(recognizer: Recognizer) -> None:
    speech = np.tile(read_audio(SAMPLES / "espeak-mandarin.flac")[: 2 * RATE_HZ], 34)
    utterances = of_kind(listen(Stream(recognizer, pause_s=2.0), [speech]), "utterance")
    assert len(utterances) == 3
    assert utterances[0].end == utterances[1].start
    assert 29.9 <= utterances[0].end - utterances[0].start <= 30.1
    for event in utterances:
        answer = recognizer.predict(speech[samples_of(event)], rate=RATE_HZ)
        assert dict(event.probabilities) == dict(answer.probabilities)


def test_the_speaker_is_learnt_from_one_utterance_to_the_next(
    recognizer: Recognizer, talk: Array, events: list[Event]
) -> None:
    adapted = of_kind(listen(Stream(recognizer, adapt=True), [talk]), "utterance")
    unseen = of_kind(events, "utterance")
    known = [event.utterances_known for event in adapted]
    assert known[0] == 0 < known[1] < known[-1]
    assert adapted[0] == unseen[0]
    assert dict(adapted[-1].probabilities) != dict(unseen[-1].probabilities)
    assert recognizer.utterances_known == 0


@pytest.fixture(scope="module")
def adaptive(tmp_path_factory: pytest.TempPathFactory) -> Recognizer:
    return load(adaptive_bundle(tmp_path_factory.mktemp("adaptive")), threads=1)


def test_a_stream_learns_its_recordings_as_it_goes(adaptive: Recognizer, talk: Array) -> None:
    stream = Stream(adaptive, adapt="recordings")
    first = of_kind(listen(stream, [talk]), "utterance")
    assert first[0].utterances_known == 0
    single = of_kind(listen(Stream(adaptive), [talk]), "utterance")
    assert dict(first[0].probabilities) == dict(single[0].probabilities)
    assert dict(first[-1].probabilities) != dict(single[-1].probabilities)
    known = stream._model.adaptation
    known.add(list(adaptive._outputs(talk, RATE_HZ)) * 20, "recordings")
    assert known.utterances_known > MAX_KNOWN  # but those long ago count next to nothing
    assert known._baseline is not None
    assert known._baseline._weight < MAX_KNOWN
    assert adaptive.utterances_known == 0


def test_a_stream_begins_with_what_its_recognizer_is_adapted_to(
    adaptive: Recognizer, talk: Array
) -> None:
    adaptive.adapt([talk], rate=RATE_HZ, to="recordings")
    try:
        known = adaptive.utterances_known
        expected = of_kind(listen(Stream(adaptive), [talk]), "utterance")
        stream = Stream(adaptive, adapt="recordings")
        on = of_kind(listen(stream, [talk]), "utterance")
        assert on[0].utterances_known == expected[0].utterances_known == known > 0
        assert on[0].probabilities == pytest.approx(expected[0].probabilities, abs=1e-6)
        assert on[-1].utterances_known > known == adaptive.utterances_known
        other = of_kind(listen(Stream(adaptive, adapt="speaker"), [talk]), "utterance")
        assert other[0].utterances_known == 0
    finally:
        adaptive.forget_speaker()


def test_a_long_recording_is_adapted_to_itself(adaptive: Recognizer, talk: Array) -> None:
    long = np.tile(talk, 3)
    single = adaptive.predict(long, rate=RATE_HZ)
    adapted = adaptive.adapt(long, rate=RATE_HZ, to="recordings").predict(long, rate=RATE_HZ)
    adaptive.forget_speaker()
    assert adapted.utterances_known == sum(segment.speech for segment in single.timeline)
    assert dict(adapted.probabilities) != dict(single.probabilities)


def test_a_recognizer_that_knows_the_speaker_answers_for_the_speaker(talk: Array) -> None:
    recognizer = load(threads=1).adapt(SAMPLES / "espeak-german.flac")
    utterances = of_kind(listen(Stream(recognizer), [talk]), "utterance")
    answer = recognizer.predict(talk[samples_of(utterances[0])], rate=RATE_HZ)
    assert utterances[0].utterances_known == recognizer.utterances_known > 0
    assert dict(utterances[0].probabilities) == dict(answer.probabilities)


def test_unsure(talk: Array) -> None:
    events = listen(Stream(load(threads=1, unsure_below=1.0)), [talk])
    assert {e.emotion for e in events if e.kind != "voice"} == {UNSURE}


def test_memory_does_not_grow(recognizer: Recognizer, talk: Array) -> None:
    stream = Stream(recognizer, hop_s=2.0, adapt=True)

    def taken() -> int:
        stream.push(talk)
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        taken()
        early = taken()
        late = [taken() for _ in range(3)][-1]
    finally:
        tracemalloc.stop()
    assert late - early < 60_000  # at most 100 predictions of the speaker, and no sound


def test_as_plain_values(events: list[Event]) -> None:
    keys = ["type", "start", "end", "kind", "speech", "emotion", "emotion_zh", "confidence"]
    keys += ["probabilities", "valence", "arousal", "utterances_known"]
    assert {tuple(event.to_dict()) for event in events} == {tuple(keys)}
    assert events[0].to_dict()["type"] == events[0].type == events[0].kind == "voice"
    assert events[-1].to_dict()["kind"] == "speech"


@pytest.mark.parametrize(
    ("chunk", "match"),
    [
        (np.full(10, np.nan, np.float32), "NaN or infinite"),
        (np.full(10, 20_000.0), r"peak of 20000; full scale is 1"),
        (np.zeros(10, np.int64), "is an array of int64"),
        (np.zeros((10, 9), np.float32), "has 9 channels"),
        (np.zeros((10, 1, 1), np.float32), r"need \(samples,\) or"),
        (b"bytes", "is of type bytes"),
    ],
)
def test_a_bad_chunk_changes_nothing(recognizer: Recognizer, chunk: Any, match: str) -> None:
    speech = read_audio(SAMPLES / "espeak-german.flac")
    stream = Stream(recognizer)
    events = stream.push(speech)
    with pytest.raises(AudioError, match=match):
        stream.push(chunk)
    assert events + stream.end() == listen(Stream(recognizer), [speech])


@pytest.mark.parametrize(
    ("wrong", "error", "match"),
    [
        ({"window_s": 0.4}, ValueError, r"window_s is 0\.4; allowed: 0\.5 to 10"),
        ({"hop_s": 0.05}, ValueError, r"hop_s is 0\.05; allowed: 0\.1 to 2"),
        ({"window_s": 1.0, "hop_s": 1.5}, ValueError, r"hop_s is 1\.5"),
        ({"window_s": float("nan")}, ValueError, "window_s is nan"),
        ({"pause_s": 0.0}, ValueError, r"pause_s is 0\.0; allowed: 0\.1 to 5"),
        ({"rate": 100}, AudioError, "sampling rate of 100 Hz"),
        ({"adapt": "me"}, SettingError, "to is 'me'; allowed: recordings, speaker"),
    ],
)
def test_wrong_settings(
    recognizer: Recognizer, wrong: dict[str, Any], error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match):
        Stream(recognizer, **wrong)


def test_a_model_that_cannot_adapt_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    recognizer = load(threads=1)
    adaptation = model_of(recognizer).adaptation
    monkeypatch.setattr(adaptation, "learnt", replace(adaptation.learnt, prior=None, heads=None))
    with pytest.raises(BundleError, match="cannot adapt"):
        Stream(recognizer, adapt=True)
