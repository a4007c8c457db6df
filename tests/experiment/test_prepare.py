"""From a recipe to weights, folds and vectors, on corpora made by hand."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import WhisperConfig, WhisperModel

from serein.audio.read import RATE_HZ, read_audio
from serein.corpora import Corpus, Utterance
from serein.corpora.same_sound import same_sound
from serein.errors import AudioError, BadFilesError, CorpusError, ProtocolError, RecipeError
from serein.experiment import card
from serein.experiment.data import (
    AugmentingExtractor,
    babble_parts,
    balanced_weights,
    combine,
    read_corpora,
)
from serein.experiment.prepare import Prepared, make_classifier, no_progress_bar, prepare
from serein.experiment.recipe import (
    Augmentation,
    Balance,
    Data,
    Encoder,
    Features,
    Model,
    Protocol,
    Recipe,
)
from serein.experiment.recipe_table import check_named
from serein.experiment.splits import make_folds
from serein.features.frontend import FrontEnd
from serein.models.linear import MaskedLogisticRegression


def corpus(name: str, speakers: int, *emotions: str) -> Corpus:
    """A corpus in which every speaker says everything once."""
    rows = [
        Utterance(Path(f"{name}-{number}-{emotion}.wav"), name, f"{name}-{number:02d}", emotion)
        for number in range(1, speakers + 1)
        for emotion in emotions
    ]
    return Corpus(name, tuple(rows))


def twice(source: Corpus) -> Corpus:
    """The same corpus with every clip there twice."""
    return Corpus(source.name, source.utterances * 2)


def recipe(**data: Any) -> Recipe:
    return Recipe("mix", Data(**{"corpora": ("one.csv", "two.csv")} | data))


# --- weights ---

clips = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["joy", "fear", "calm"])), min_size=1
)


@settings(deadline=None)
@given(clips)
def test_every_corpus_and_every_emotion_in_it_counts_the_same(table: list[tuple[str, str]]):
    origin, emotions = map(list, zip(*table, strict=True))
    weight = balanced_weights(origin, emotions)
    assert weight.shape == (len(table),)
    assert (weight > 0).all()
    assert weight.mean() == pytest.approx(1.0)
    cells: dict[tuple[str, str], set[float]] = defaultdict(set)
    totals: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for (where, what), value in zip(table, weight.tolist(), strict=True):
        cells[where, what].add(value)
        totals[where][what] += value
    assert all(len(values) == 1 for values in cells.values())
    whole = len(table) / len(totals)
    for by_emotion in totals.values():
        np.testing.assert_allclose(sum(by_emotion.values()), whole)
        np.testing.assert_allclose(list(by_emotion.values()), whole / len(by_emotion))


def test_the_order_of_clips_does_not_matter():
    origin, emotions = list("aabbbc"), ["joy", "fear", "joy", "joy", "calm", "fear"]
    order = [4, 2, 0, 5, 1, 3]
    shuffled = balanced_weights([origin[k] for k in order], [emotions[k] for k in order])
    np.testing.assert_array_equal(shuffled, balanced_weights(origin, emotions)[order])


@settings(deadline=None)
@given(clips, st.dictionaries(st.sampled_from("abc"), st.floats(0.01, 100)))
def test_a_corpus_weighs_as_much_as_is_said(
    table: list[tuple[str, str]], given_weights: dict[str, float]
):
    origin, emotions = map(list, zip(*table, strict=True))
    weight = balanced_weights(origin, emotions, given_weights)
    assert weight.mean() == pytest.approx(1.0)
    relative = {name: given_weights.get(name, 1.0) for name in set(origin)}
    for name, value in relative.items():
        here = np.array([where == name for where in origin])
        share = value / sum(relative.values())
        assert weight[here].sum() / len(table) == pytest.approx(share)
        plain = balanced_weights(origin, emotions)[here]
        np.testing.assert_allclose(weight[here] / weight[here][0], plain / plain[0])


def test_no_weight_and_a_weight_of_1_change_nothing():
    origin, emotions = list("aabbbc"), ["joy", "fear", "joy", "joy", "calm", "fear"]
    plain = balanced_weights(origin, emotions)
    np.testing.assert_array_equal(balanced_weights(origin, emotions, {"b": 1.0}), plain)


# --- corpora ---


def test_emotions_are_merged_and_left_out():
    sources = (corpus("one", 2, "calm", "neutral", "fear"), corpus("two", 1, "calm", "boredom"))
    mixed = combine(recipe(merge={"calm": "neutral"}, leave_out=("boredom",)), sources)
    assert mixed.name == "mix"
    assert [(row.corpus, row.speaker, row.emotion) for row in mixed] == [
        ("one", "one-01", "neutral"),
        ("one", "one-01", "neutral"),
        ("one", "one-01", "fear"),
        ("one", "one-02", "neutral"),
        ("one", "one-02", "neutral"),
        ("one", "one-02", "fear"),
        ("two", "two-01", "neutral"),
    ]


def test_without_wishes_everything_stays():
    sources = (corpus("one", 2, "calm", "anger"), corpus("two", 1, "calm"))
    mixed = combine(recipe(), sources)
    assert mixed.utterances == sources[0].utterances + sources[1].utterances


def test_what_is_left_out_is_left_out_even_if_it_is_merged():
    mixed = combine(
        recipe(merge={"calm": "neutral"}, leave_out=("calm",)),
        (corpus("one", 1, "calm", "anger"),),
    )
    assert mixed.emotions == ("anger",)


def write_table(folder: Path, name: str, emotions: tuple[str, ...] = ("anger", "calm")) -> None:
    """Write a CSV corpus of two speakers with real recordings: tones of their own pitch."""
    lines = ["file,emotion,speaker"]
    time = np.arange(RATE_HZ // 2) / RATE_HZ
    for number, speaker in enumerate(("ann", "bob")):
        for step, emotion in enumerate(emotions):
            file = f"{name}-{speaker}-{emotion}.wav"
            hz = 150 + 100 * number + 37 * step + 11 * len(name.removeprefix("one"))
            tone = 0.3 * np.sin(2 * np.pi * hz * time)
            soundfile.write(folder / file, tone, RATE_HZ)
            lines.append(f"{file},{emotion},{speaker}")
    (folder / f"{name}.csv").write_text("\n".join(lines))


def test_tables_are_read_from_the_folder(tmp_path: Path):
    write_table(tmp_path, "one")
    write_table(tmp_path, "two")
    for found in (
        read_corpora(recipe(folder=str(tmp_path))),
        read_corpora(recipe(folder="/elsewhere"), tmp_path),
    ):
        assert [source.name for source in found] == ["one", "two"]
        assert found[1].speakers == ("two-ann", "two-bob")


def test_a_corpus_of_the_catalogue_is_read_from_the_folder(tmp_path: Path):
    (tmp_path / "emodb").mkdir()
    (tmp_path / "emodb" / "03a01Fa.wav").write_text("x")
    (source,) = read_corpora(recipe(corpora=("emodb",)), tmp_path)
    assert source.official
    assert source.speakers == ("emodb-03",)


def test_a_corpus_may_have_a_folder_of_its_own(tmp_path: Path):
    (tmp_path / "near").mkdir()
    (tmp_path / "far").mkdir()
    write_table(tmp_path / "near", "one")
    write_table(tmp_path / "far", "two")
    apart = recipe(folder=str(tmp_path / "near"), folders={"two.csv": str(tmp_path / "far")})
    assert [source.root for source in read_corpora(apart)] == [tmp_path / "near", tmp_path / "far"]
    with pytest.raises(CorpusError, match="is not a folder"):
        read_corpora(recipe(folder=str(tmp_path / "near"), folders={"two.csv": "/elsewhere"}))
    wrong = "'tow.csv'; known: two.csv, one.csv"
    with pytest.raises(RecipeError, match=f"mix: unknown corpus in data.folders {wrong}"):
        check_named(recipe(folders={"tow.csv": "/elsewhere"}), "mix", None, tmp_path)


def test_no_folder_is_refused():
    with pytest.raises(
        CorpusError, match="'mix' does not say where its recordings are: give --data DIR, or folder"
    ):
        read_corpora(recipe())


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path):
    (tmp_path / "file").write_text("x")
    for wrong in (tmp_path / "gone", tmp_path / "file"):
        with pytest.raises(CorpusError, match=r"is not a folder; give .*: --data DIR"):
            read_corpora(recipe(), wrong)
        with pytest.raises(CorpusError, match="is not a folder"):
            read_corpora(recipe(folder=str(wrong)))


@pytest.mark.parametrize(
    ("name", "message"), [("emodb", "holds no recording of EmoDB"), ("one.csv", r"one\.csv")]
)
def test_a_corpus_that_is_not_there_is_refused(tmp_path: Path, name: str, message: str):
    with pytest.raises(CorpusError, match=message):
        read_corpora(recipe(corpora=(name,)), tmp_path)


# --- folds and classifier ---


def prepared(*sources: Corpus, **options: Any) -> Prepared:
    """A recipe with its clips, and neither folds nor vectors: neither is needed here."""
    made = replace(recipe(), **options)
    return Prepared(
        made, combine(made, sources), sources, [], "", None, np.empty((0, 0), np.float32)
    )


def test_a_classifier_is_told_the_corpora_and_if_asked_the_weights():
    sources = (corpus("one", 2, "calm", "anger"), corpus("two", 1, "calm"))
    told = prepared(*sources).per_sample()
    assert list(told) == ["label_set"]
    assert told["label_set"].tolist() == ["one"] * 4 + ["two"]
    told = prepared(*sources, balance=Balance("corpora")).per_sample()
    np.testing.assert_allclose(told["sample_weight"], [0.625] * 4 + [2.5])
    weighed = Balance("corpora", {"two.csv": 0.5})  # named as in the recipe, not as in its clips
    told = prepared(*sources, balance=weighed).per_sample()
    np.testing.assert_allclose(told["sample_weight"], [5 / 6] * 4 + [5 / 3])


@pytest.mark.parametrize(
    ("protocol", "count", "words"),
    [
        (Protocol("leave_one_speaker_out"), 24, "leave one speaker out"),
        (Protocol("ravdess_actor_folds"), 6, "six RAVDESS actor folds, unseen speakers"),
        (Protocol("speaker_k_fold", folds=4), 4, "4 folds of unseen speakers"),
    ],
)
def test_folds_are_those_of_the_protocol(protocol: Protocol, count: int, words: str):
    data = corpus("ravdess", 24, "anger", "calm", "fear")
    folds, said = make_folds(protocol, data)
    assert (len(folds), said) == (count, words)
    names = np.array([clip.speaker for clip in data])
    assert all(set(names[train]).isdisjoint(names[test]) for train, test in folds)


def test_k_folds_spread_the_corpora():
    data = prepared(corpus("one", 8, "anger", "calm"), corpus("two", 4, "anger", "calm"))
    folds, _ = make_folds(Protocol("speaker_k_fold", folds=4), data.corpus)
    origin = np.array(data.origin)
    assert [(origin[test] == "two").sum() for _, test in folds] == [2] * 4


def test_the_seed_is_the_recipes():
    data = corpus("one", 12, "anger", "calm")
    dealt = [
        make_folds(Protocol("speaker_k_fold", folds=3, seed=seed), data)[0] for seed in range(6)
    ]
    assert len({tuple(test) for folds in dealt for test in [folds[0][1].tolist()]}) > 1


def test_speakers_that_do_not_allow_a_protocol():
    with pytest.raises(ProtocolError, match="at least 2 folds"):
        make_folds(Protocol("leave_one_speaker_out"), twice(corpus("one", 1, "calm", "fear")))


def test_the_classifier_is_the_recipes():
    options = {"model": Model("logistic", {"C": 0.7}), "protocol": Protocol(calibration_folds=3)}
    made = make_classifier(prepared(corpus("one", 2, "calm", "anger"), **options))
    assert isinstance(made.estimator, MaskedLogisticRegression)
    assert (made.estimator.C, made.folds) == (0.7, 3)


# --- babble ---

BABBLE = Augmentation(1, ("gain", "noise"), {"noise": {"kind": ("pink", "babble")}})


@pytest.mark.parametrize(
    ("protocol", "count"),
    [
        (Protocol("leave_one_speaker_out"), 12),
        (Protocol("speaker_k_fold", folds=4), 8),
        (Protocol("leave_one_corpus_out"), 2),
        (Protocol("train_and_test", test=("two",)), 2),
        (Protocol("leave_one_sentence_out", folds=2), 7),
    ],
)
def test_no_voice_of_a_test_part_babbles_in_its_training_part(protocol: Protocol, count: int):
    emotions = ("anger", "calm", "fear")
    data = corpus("one", 8, *emotions).merge(corpus("two", 4, *emotions))
    said = tuple(replace(clip, text="ab"[row // 3 % 2]) for row, clip in enumerate(data))
    data = replace(data, utterances=said)
    folds, _ = make_folds(protocol, data)
    parts = babble_parts(BABBLE, data, folds)
    assert len(parts) == count
    assert sorted(row for part in parts for row in part) == list(range(len(data)))
    for part in parts:
        assert len({data.utterances[row].corpus for row in part}) == 1
        for train, test in folds:
            assert np.isin(part, train).all() or not np.isin(part, train).any()
            assert np.isin(part, test).all() or not np.isin(part, test).any()


@pytest.mark.parametrize(
    "augmentation",
    [
        Augmentation(),
        replace(BABBLE, per_clip=0),
        replace(BABBLE, chain=("gain",)),
        replace(BABBLE, ranges={}),
        replace(BABBLE, ranges={"noise": {"kind": ("white", "pink")}}),
    ],
)
def test_without_babble_there_are_no_parts(augmentation: Augmentation):
    data = corpus("one", 2, "anger", "calm")
    assert babble_parts(augmentation, data, make_folds(Protocol(), data)[0]) == []


def test_a_clip_alone_in_its_part_cannot_babble():
    data = corpus("one", 3, "anger").merge(corpus("two", 1, "anger", "calm"))
    folds = [(np.arange(3, 5), np.arange(2)), (np.arange(2), np.arange(3, 5))]
    with pytest.raises(CorpusError, match=r"one-3-anger\.wav of one is alone in its part"):
        babble_parts(BABBLE, data, folds)


def test_babble_of_a_recipe_is_of_the_clips_own_part(tmp_path: Path):
    write_table(tmp_path, "one")
    write_table(tmp_path, "two")
    made = replace(
        recipe(folder=str(tmp_path)),
        features=Features(sets=("mfcc",), functionals=("mean", "std")),
        augmentation=replace(BABBLE, ranges={"noise": {"kind": "babble", "snr_db": 0.0}}),
        protocol=Protocol("speaker_k_fold", folds=2),
    )
    told: list[tuple[int, int]] = []

    @contextmanager
    def progress_bar(title: str) -> Iterator[Any]:
        yield lambda done, total: told.append((done, total))

    found = prepare(made, cache=tmp_path / "cache", progress_bar=progress_bar)
    assert found.augmented.parent.tolist() == list(range(8))
    assert isinstance(found.front, FrontEnd)
    for row, clip in enumerate(found.corpus):
        same = tuple(one.path for one in found.corpus if one.speaker == clip.speaker)
        extractor = AugmentingExtractor(found.front, made.augmentation, 0, 0, same)
        np.testing.assert_allclose(found.augmented.X[row], extractor(read_audio(clip.path)))
    assert told == [(done, 8) for done in range(1, 9)] * 2


def with_noise(folder: Path) -> Recipe:
    return replace(
        recipe(folder=str(folder)),
        features=Features(sets=("mfcc",), functionals=("mean", "std")),
        augmentation=Augmentation(1, ("noise",), {"noise": {"folder": str(folder / "street")}}),
        protocol=Protocol("speaker_k_fold", folds=2),
    )


def test_noise_from_a_folder_is_checked_before_any_feature(tmp_path: Path):
    write_table(tmp_path, "one")
    write_table(tmp_path, "two")
    street, cache = tmp_path / "street", tmp_path / "cache"
    with pytest.raises(CorpusError, match=r"ranges\.noise\.folder: .*street is not there"):
        prepare(with_noise(tmp_path), cache=cache)
    street.mkdir()
    with pytest.raises(AudioError, match="street: no recording in this folder"):
        prepare(with_noise(tmp_path), cache=cache)
    (street / "bad.wav").write_text("no sound")
    with pytest.raises(CorpusError, match=r"ranges\.noise\.folder: .* that can be used"):
        prepare(with_noise(tmp_path), cache=cache, skip_bad=True)
    (street / "bad.wav").unlink()
    soundfile.write(street / "hum.wav", 0.1 * np.sin(np.arange(RATE_HZ)), RATE_HZ)
    soundfile.write(street / "silent.wav", np.zeros(RATE_HZ), RATE_HZ)
    (street / "text.wav").write_text("no sound")
    with pytest.raises(AudioError, match=r"2 of 11 recordings(?s:.*)silent\.wav: is silent"):
        prepare(with_noise(tmp_path), cache=cache)
    sound, rate = soundfile.read(tmp_path / "one-ann-anger.wav", dtype="int16")
    for name in ("copied.wav", "copied.flac"):
        copied = street / name
        soundfile.write(copied, sound, rate)
        with pytest.raises(CorpusError, match=rf"in the corpus too: .*{name}"):
            prepare(with_noise(tmp_path), cache=cache, skip_bad=True)
        copied.unlink()
    assert not cache.exists()
    found = prepare(with_noise(tmp_path), cache=cache, skip_bad=True)
    assert len(found.augmented.X) == 8
    assert len(found.skipped) == 2


# --- all of it ---


def test_every_clip_is_described_by_the_recipes_encoder(tmp_path: Path):
    write_table(tmp_path, "one", ("anger", "calm", "disgust"))
    write_table(tmp_path, "two")
    torch.manual_seed(0)
    tiny = {"d_model": 16, "encoder_layers": 2, "encoder_ffn_dim": 16, "vocab_size": 20}
    tokens = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 3}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "decoder_layers": 1}
    model = WhisperModel(WhisperConfig(**tiny, **tokens, **heads))
    model.save_pretrained(tmp_path / "weights" / "tiny")
    told: list[str] = []

    def progress_bar(title: str) -> Any:
        told.append(title)
        return no_progress_bar(title)

    encoder = Encoder("openai/tiny", layers=(1,), weights=str(tmp_path / "weights"))
    made = replace(recipe(folder=str(tmp_path), leave_out=("disgust",)), encoder=encoder)
    found = prepare(made, cache=tmp_path / "cache", progress_bar=progress_bar)
    assert told == ["features"]
    assert len(found.sources) == 2
    assert found.emotions == ["anger", "calm"] * 4
    assert found.speakers == [
        f"{c}-{s}" for c in ("one", "two") for s in ("ann", "bob") for _ in "12"
    ]
    assert found.origin == ["one"] * 4 + ["two"] * 4
    assert found.X.shape == (8, 32)
    for row, path in enumerate(found.corpus.paths):
        np.testing.assert_allclose(found.X[row], found.front(read_audio(path)), atol=1e-6)
    assert len(np.unique(found.X, axis=0)) == 8
    assert found.front.front_end.level == made.encoder.level
    assert len(list((tmp_path / "cache").rglob("*.npy"))) == 8
    assert found.about["file"][0] == "one-ann-anger.wav"
    assert found.left_out == [
        "2 clips of disgust in one: left out by the recipe",
    ]


# --- protocols across sentences and corpora ---


def spoken(name: str, speakers: int, sentences: str, *emotions: str) -> Corpus:
    """Every speaker says every sentence in every emotion."""
    rows = [
        Utterance(
            Path(f"{name}-{number}-{text}-{emotion}.wav"),
            name,
            f"{name}-{number}",
            emotion,
            text=text,
        )
        for number in range(speakers)
        for text in sentences
        for emotion in emotions
    ]
    return Corpus(name, tuple(rows))


def test_a_sentence_left_out_is_new_and_so_is_its_speaker():
    data = spoken("one", 4, "abc", "calm", "anger")
    folds, words = make_folds(Protocol("leave_one_sentence_out", folds=2), data)
    assert (len(folds), words) == (6, "leave one sentence out, unseen speakers")
    said = np.array([clip.text for clip in data])
    who = np.array([clip.speaker for clip in data])
    for train, test in folds:
        assert set(said[train]).isdisjoint(said[test])
        assert set(who[train]).isdisjoint(who[test])
    allowed = Protocol("leave_one_sentence_out", speaker_overlap="allow")
    folds, words = make_folds(allowed, data)
    assert (len(folds), words) == (3, "leave one sentence out, speakers known")


def test_named_folds_are_as_named():
    data = spoken("one", 4, "a", "calm", "anger")
    named = {"north": ("one-0", "one-3"), "south": ("one-1", "one-2")}
    folds, words = make_folds(Protocol("named_folds", named=named), data)
    assert words == "2 named folds of unseen speakers (north, south)"
    assert {data.utterances[row].speaker for row in folds[0][1]} == {"one-0", "one-3"}
    with pytest.raises(ProtocolError, match="speaker one-1 is in 0 folds"):
        make_folds(Protocol("named_folds", named={"north": ("one-0", "one-3")}), data)


def test_across_corpora_only_common_emotions_count():
    sources = (
        spoken("one", 2, "a", "calm", "anger", "fear"),
        spoken("two", 2, "a", "anger", "fear", "happiness"),
    )
    out = replace(recipe(), protocol=Protocol("leave_one_corpus_out"))
    made = combine(out, sources)
    assert made.emotions == ("anger", "fear")
    folds, words = make_folds(out.protocol, made)
    assert (len(folds), words) == (2, "leave one corpus out, 2 common emotions")
    across = replace(out, protocol=Protocol("train_and_test", test=("two",)))
    folds, words = make_folds(across.protocol, combine(across, sources))
    assert words == "trained on one, tested on two, 2 common emotions"
    assert len(folds) == 1
    assert {made.utterances[row].corpus for row in folds[0][1]} == {"two"}
    lost = Prepared(out, made, sources, folds, words, None, np.empty((0, 0), np.float32)).left_out
    assert lost == [
        "2 clips of calm in one: the other side of the split has none",
        "2 clips of happiness in two: the other side of the split has none",
    ]


def test_corpora_with_other_emotions_cannot_be_judged_across():
    sources = (spoken("one", 2, "a", "calm", "anger"), spoken("two", 2, "a", "fear", "anger"))
    out = replace(recipe(), protocol=Protocol("leave_one_corpus_out"))
    with pytest.raises(CorpusError, match=r"1 emotion\(s\) in common.*one: anger, calm;"):
        combine(out, sources)


@pytest.mark.parametrize(
    ("protocol", "message"),
    [
        (Protocol("leave_one_corpus_out"), "one is the only corpus"),
        (Protocol("train_and_test", test=("three",)), "unknown corpus to test on 'three'"),
        (Protocol("train_and_test", test=("one",)), "leaves nothing to train on"),
        (Protocol("random_k_fold"), "a random split has the same speakers"),
        (Protocol("leave_one_sentence_out"), r"1 sentence\(s\): leaving one out needs at least 2"),
    ],
)
def test_protocols_that_the_corpus_does_not_allow(protocol: Protocol, message: str):
    with pytest.raises(ProtocolError, match=message):
        make_folds(protocol, spoken("one", 3, "a", "calm", "anger"))


def test_a_wrong_name_of_a_corpus_to_test_on_is_told_before_emotions_in_common():
    sources = (spoken("one", 2, "a", "calm", "anger"), spoken("two", 2, "a", "fear", "anger"))
    out = replace(recipe(), protocol=Protocol("train_and_test", test=("twoo",)))
    with pytest.raises(ProtocolError, match=r"unknown corpus in protocol\.test 'twoo'; known: two"):
        combine(out, sources)


def with_duplicates(folder: Path, *rows: str) -> Recipe:
    """A recipe on a table with duplicates of ann's calm recording: its bytes, and its sound."""
    write_table(folder, "one")
    original = folder / "one-ann-calm.wav"
    (folder / "again.wav").write_bytes(original.read_bytes())
    samples, rate = soundfile.read(original, dtype="int16")
    soundfile.write(folder / "again.flac", samples, rate)
    with (folder / "one.csv").open("a") as table:
        table.write("".join(f"\n{row}" for row in rows))
    features = Features(sets=("mfcc",), functionals=("mean",))
    return replace(recipe(corpora=("one.csv",)), features=features)


@pytest.mark.parametrize("name", ["again.wav", "again.flac"])
@pytest.mark.parametrize(
    ("labels", "what"),
    [("calm,bob", "speaker"), ("anger,ann", "emotion"), ("anger,bob", "speaker and emotion")],
)
def test_duplicates_of_another_speaker_or_emotion_are_refused(
    tmp_path: Path, name: str, labels: str, what: str
):
    twice = with_duplicates(tmp_path, f"{name},{labels}")
    message = (
        rf"^2 of 5 .*calm\.wav: is the same sound as .*{name}, under more than one {what}: keep"
    )
    with pytest.raises(BadFilesError, match=message) as found:
        prepare(twice, data=tmp_path, cache=tmp_path / "cache")
    assert {path.name for path in found.value.files} == {"one-ann-calm.wav", name}
    assert (tmp_path / "cache").exists() == name.endswith("flac")  # bytes are told before features
    leaking = replace(twice, protocol=Protocol(speaker_overlap="allow"))
    assert len(prepare(leaking, data=tmp_path, cache=tmp_path / "cache").corpus) == 5


def test_duplicates_of_the_same_speaker_and_emotion_are_dropped_and_counted(tmp_path: Path):
    twice = with_duplicates(tmp_path, "again.wav,calm,ann", "again.flac,calm,ann")
    made = prepare(twice, data=tmp_path, cache=tmp_path / "cache")
    plain = prepare(with_duplicates(tmp_path), data=tmp_path, cache=tmp_path / "cache")
    assert made.corpus == plain.corpus
    np.testing.assert_array_equal(made.X, plain.X)
    assert {path.name for path in made.duplicates} == {"again.wav", "again.flac"}
    assert made.left_out == ["2 duplicates of other recordings of the same speaker and emotion"]
    assert made.corpora[0]["duplicates"] == 2
    assert plain.corpora[0].keys() == made.corpora[0].keys() - {"duplicates"}
    assert card._duplicates(made.corpora) == [f"Left out: {made.left_out[0]}."]
    assert card._duplicates(plain.corpora) == plain.left_out == []


def test_duplicates_are_found_where_features_are_read_from_a_table(tmp_path: Path):
    twice = with_duplicates(tmp_path, "again.flac,calm,ann")
    vectors = ["one-ann-anger", "one-bob-anger", "one-bob-calm", "one-ann-calm", "again"]
    rows = [f"{name}.{'flac' if name == 'again' else 'wav'}" for name in vectors]
    numbers = [*range(4), 3]
    text = "\n".join(f"{row},{number}" for row, number in zip(rows, numbers, strict=True))
    (tmp_path / "features.csv").write_text(f"file,x\n{text}\n")
    made = prepare(
        replace(twice, features=Features(table=str(tmp_path / "features.csv"))), data=tmp_path
    )
    assert [path.name for path in made.duplicates] == ["again.flac"]
    assert made.X.shape == (4, 1)


def test_other_sounds_of_the_same_features_are_no_duplicates(tmp_path: Path):
    write_table(tmp_path, "one")
    rows = Corpus.from_csv(tmp_path / "one.csv").utterances
    assert same_sound(rows, read_audio, [np.zeros(2, np.float32)] * len(rows)) == []


def test_bad_recordings_are_all_named_and_can_be_left_out(tmp_path: Path):
    write_table(tmp_path, "one")
    table = tmp_path / "one.csv"
    for name in ("bad-1.wav", "bad-2.wav"):
        (tmp_path / name).write_bytes(b"RIFF\x00\x00\x00\x00WAVE" + name.encode())
    table.write_text(table.read_text() + "\nbad-1.wav,calm,bob\nbad-2.wav,anger,ann")
    features = Features(sets=("mfcc",), functionals=("mean",))
    some = replace(recipe(corpora=("one.csv",)), features=features)
    with pytest.raises(AudioError, match=r"^2 of 6 recordings cannot be used: .*bad-1.*; .*bad-2"):
        prepare(some, data=tmp_path, cache=tmp_path / "cache")
    table.write_text(table.read_text() + "\ngone.wav,anger,ann")
    with pytest.raises(CorpusError, match="1 of its files not found in "):
        prepare(some, data=tmp_path, cache=tmp_path / "cache")
    made = prepare(some, data=tmp_path, cache=tmp_path / "cache", skip_bad=True)
    assert len(made.X) == len(made.corpus) == 4
    assert [path.name for path in made.skipped] == ["gone.wav", "bad-1.wav", "bad-2.wav"]
    assert [line.split(":")[0] for line in made.left_out] == ["a recording that cannot be used"] * 3
