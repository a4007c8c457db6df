import csv
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

from serein.corpora import CORPORA, Corpus
from serein.emotions import EMOTIONS, canonical_emotion
from serein.errors import CorpusError

RAVDESS_SAD = "03-01-04-02-02-01-07.wav"


def make(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return root


def parse(corpus: str, path: str) -> tuple[str | None, ...] | None:
    u = CORPORA[corpus].utterance(Path(path))
    return u and (u.speaker, u.emotion, u.gender, u.intensity, u.text, u.language)


DOGS = "Dogs are sitting by the door"
EMOSPEECH_HASH = "c7b431195e2871a0c0b0825234c1e22bbcde02163992fd45108a7974"
PAPER = "Das schwarze Stück Papier befindet sich da oben neben dem Holzstück."


@pytest.mark.parametrize(
    ("corpus", "path", "fields"),
    [
        ("ravdess", RAVDESS_SAD, ("ravdess-07", "sadness", "male", "strong", DOGS, "en")),
        (
            "ravdess",
            "Actor_24/03-01-01-01-01-02-24.flac",
            ("ravdess-24", "neutral", "female", "normal", "Kids are talking by the door", "en"),
        ),
        ("emodb", "08a05Lb.wav", ("emodb-08", "boredom", "female", None, PAPER, "de")),
        (
            "cremad",
            "1001_DFA_ANG_XX.wav",
            ("cremad-1001", "anger", None, None, "Don't forget a jacket", "en"),
        ),
        (
            "cremad",
            "1040_ITH_SAD_X.wav",
            ("cremad-1040", "sadness", None, None, "I think I have a doctor's appointment", "en"),
        ),
        (
            "cremad",
            "1091_IEO_FEA_MD.mp3",
            ("cremad-1091", "fear", None, "medium", "It's eleven o'clock", "en"),
        ),
        (
            "tess",
            "YAF_dog_happy.wav",
            ("tess-yaf", "happiness", "female", None, "Say the word dog", "en"),
        ),
        (
            "tess",
            "OA_bite_neutral.wav",
            ("tess-oaf", "neutral", "female", None, "Say the word bite", "en"),
        ),
        (
            "tess",
            "OAF_back_ps.wav",
            ("tess-oaf", "surprise", "female", None, "Say the word back", "en"),
        ),
        (
            "tess",
            "OAF_back_Pleasant_Surprised.wav",
            ("tess-oaf", "surprise", "female", None, "Say the word back", "en"),
        ),
        ("savee", "DC_sa11.wav", ("savee-dc", "sadness", "male", None, None, "en")),
        ("savee", "AudioData/KL/a01.wav", ("savee-kl", "anger", "male", None, None, "en")),
        ("savee", "JK/su15.wav", ("savee-jk", "surprise", "male", None, None, "en")),
        ("nemo", "EB0_anger_1.opus", ("nemo-eb0", "anger", None, None, None, "pl")),
        ("nemo", "WR0_surprised_90.wav", ("nemo-wr0", "surprise", None, None, None, "pl")),
        (
            "cremad",
            "1001_DFA_HAP_XX.opus",
            ("cremad-1001", "happiness", None, None, "Don't forget a jacket", "en"),
        ),
        (
            "emospeech_in",
            "webservice-bacho-angry-1562996360436-c7b43119.opus",
            ("emospeech_in-c7b43119", "anger", None, None, "bacho", "en-IN"),
        ),
        (  # the official name of the same recording
            "emospeech_in",
            f"bacho-safe-angry-1562996360436-{EMOSPEECH_HASH}.wav",
            ("emospeech_in-c7b43119", "anger", None, None, "bacho", "en-IN"),
        ),
        (
            "emospeech_in",
            "webservice-help-fearful-??-3d9d3e0e.opus",
            ("emospeech_in-3d9d3e0e", "fear", None, None, "help", "en-IN"),
        ),
        (
            "emospeech_in",
            "webservice-unknown-calm-1563000218582-5dcce36f.opus",
            ("emospeech_in-5dcce36f", "calm", None, None, None, "en-IN"),
        ),
        ("emogator", "000001-02-1.opus", ("emogator-000001", "amusement", *[None] * 4)),
        (
            "emogator",
            "000357-28-3.mp3",
            ("emogator-000357", "surprise", None, "positive", None, None),
        ),
        (
            "emogator",
            "000010-27-1.mp3",
            ("emogator-000010", "surprise", None, "negative", None, None),
        ),
    ],
)
def test_names_are_read(corpus: str, path: str, fields: tuple[str | None, ...]):
    assert parse(corpus, path) == fields


IEMOCAP = """% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]

[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5000, 2.5000, 2.5000]
C-E2:\tNeutral;\t()
[10.0100 - 11.3925]\tSes01F_impro01_M001\tfru\t[2.5000, 2.5000, 2.5000]
[14.8872 - 18.0175]\tSes01F_impro01_M002\txxx\t[2.5000, 2.5000, 2.5000]
"""
MSP = """FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set
MSP-PODCAST_0001_0008.wav,N,3.1,4.0,3.2,127,Male,Train
MSP-PODCAST_0001_0019.wav,U,3.1,4.0,3.2,Unknown,Female,Train
"""
MELD = """Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode
1,"Oh, I see",Monica,{},positive,0,3,1,1
"""


@pytest.mark.parametrize(
    ("corpus", "files", "tables", "read"),
    [
        (
            "iemocap",
            [
                f"Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_{n}.wav"
                for n in ("F000", "M001", "M002")
            ],
            {
                "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt": IEMOCAP,
                "Session1/dialog/transcriptions/Ses01F_impro01.txt": "Ses01F_impro01_F000: Hm.",
            },
            [
                ("01f", "neutral", "female", "en"),
                ("01m", "frustration", "male", "en"),
                ("01m", "xxx", "male", "en"),
            ],
        ),
        (
            "msp_podcast",
            [
                "Audios/MSP-PODCAST_0001_0008.wav",
                "Audios/MSP-PODCAST_0001_0019.wav",
                "Audios/MSP-PODCAST_0001_0020.wav",
            ],
            {"Labels/labels_consensus.csv": MSP},
            [("127", "neutral", "male", "en")],
        ),
        (
            "esd",
            ["0001/Sad/train/0001_001051.wav", "0011/Angry/0011_000351.wav"],
            {},
            [("0001", "sadness", "female", "zh"), ("0011", "anger", "male", "en")],
        ),
        (
            "meld",
            ["train/train_splits/dia0_utt3.wav", "test/output_repeated_splits_test/dia0_utt3.wav"],
            {
                "train/train_sent_emo.csv": MELD.format("joy"),
                "test/test_sent_emo.csv": MELD.format("anger"),
            },
            [("monica", "anger", None, "en"), ("monica", "happiness", None, "en")],
        ),
        (
            "casia",
            ["a/liuchanhg/angry/201.wav", "b/Chang.Liu/normal/001.wav", "b/me/sad/202.wav"],
            {},
            [("liuchanhg", "neutral", None, "zh"), ("liuchanhg", "anger", None, "zh")],
        ),
        (
            "emovo",
            ["f1/gio-f1-b1.wav", "m2/pau-m2-n5.wav"],
            {},
            [("f1", "happiness", "female", "it"), ("m2", "fear", "male", "it")],
        ),
        (
            "subesco",
            ["F_02_MONIKA_S_1_NEUTRAL_5.wav", "M_07_RIAD_S_10_SAD_1.wav"],
            {},
            [("f02", "neutral", "female", "bn"), ("m07", "sadness", "male", "bn")],
        ),
        (
            "jl",
            ["female1_angry_10a_1.wav", "male2_enthusiastic_9b_2.wav"],
            {},
            [("female1", "anger", "female", "en-NZ"), ("male2", "enthusiastic", "male", "en-NZ")],
        ),
        (
            "shemo",
            ["female/F01A01.wav", "male/M56W02.wav"],
            {},
            [("f01", "anger", "female", "fa"), ("m56", "surprise", "male", "fa")],
        ),
    ],
)
def test_a_release_as_it_is_laid_out(
    tmp_path: Path,
    corpus: str,
    files: list[str],
    tables: dict[str, str],
    read: list[tuple[str | None, ...]],
):
    make(tmp_path, *files, *tables)
    for name, text in tables.items():
        (tmp_path / name).write_text(text)
    found = Corpus.load(corpus, tmp_path)
    speakers = [row.speaker.removeprefix(f"{corpus}-") for row in found]
    rows = [(row.emotion, row.gender, row.language) for row in found]
    assert [(who, *row) for who, row in zip(speakers, rows, strict=True)] == read
    assert len(found.unparsed) == len(files) - len(read)
    assert corpus in found.validate().summary()


@pytest.mark.parametrize(
    ("corpus", "path"),
    [
        ("ravdess", "03-01-09-01-01-01-01.wav"),  # no ninth emotion
        ("ravdess", "03-01-01-01-01-01-25.wav"),  # no 25th actor
        ("ravdess", "03-01-01-01-01-01-01 (1).wav"),
        ("ravdess", "03-02-01-01-01-01-01.wav"),  # song
        ("ravdess", "01-01-01-01-01-01-01.mp4"),  # video
        ("emodb", "07a01Fa.wav"),
        ("emodb", "03a03Fa.wav"),
        ("emodb", "03a01Xa.wav"),
        ("cremad", "1092_DFA_ANG_XX.wav"),
        ("cremad", "1001_DFA_CAL_XX.wav"),
        ("cremad", "1001_XYZ_ANG_XX.wav"),
        ("tess", "OAF_back_bored.wav"),
        ("tess", "MAF_back_sad.wav"),
        ("savee", "a01.wav"),  # no speaker in the name, nor in the folder
        ("savee", "XX/a01.wav"),
        ("nemo", "AB0_anger_1.wav"),
        ("nemo", "EB0_boredom_1.wav"),
        ("emospeech_in", "bacho-safe-angry-123-d14a028c" + "0" * 48 + ".wav"),  # nobody named
        ("emospeech_in", f"background-safe-None-123-{EMOSPEECH_HASH}.wav"),
        ("emogator", "000001-01-1.mp3"),  # adoration
        ("emogator", "000001-31-1.mp3"),
        ("emogator", "000001-02-4.mp3"),
    ],
)
def test_other_names_say_nothing(corpus: str, path: str):
    assert parse(corpus, path) is None


@pytest.mark.parametrize("spec", CORPORA.values(), ids=list(CORPORA))
def test_every_entry_is_whole(spec):
    assert CORPORA[spec.name] is spec
    by_table = spec.name in ("iemocap", "msp_podcast", "meld")
    assert (spec.utterance(Path(spec.example)) is None) is by_table
    assert spec.pattern.fullmatch(Path(spec.example).stem)
    assert set(spec.counts) <= {*EMOTIONS, *spec.words.values(), "xxx"}
    assert spec.url.startswith("http")
    assert all((spec.title, spec.licence, spec.citation))
    assert spec.language or spec.name in ("emogator", "esd")  # of no language, and of two
    assert spec.part is None or set(spec.part.counts) <= set(spec.counts)


def test_official_totals():
    totals = {name: (spec.total, spec.speakers) for name, spec in CORPORA.items()}
    assert totals == {
        "ravdess": (1440, 24),
        "emodb": (535, 10),
        "cremad": (7442, 91),
        "tess": (2800, 2),
        "savee": (480, 4),
        "nemo": (4481, 9),
        "emospeech_in": (2015, 105),
        "emogator": (12852, 357),
        "iemocap": (10039, 10),
        "msp_podcast": (0, 0),
        "esd": (35000, 20),
        "meld": (13708, 0),
        "casia": (9600, 4),
        "emovo": (588, 6),
        "subesco": (7000, 20),
        "jl": (0, 4),
        "shemo": (3000, 87),
    }


def test_song_and_video_are_left_out_and_odd_names_reported(tmp_path: Path):
    make(tmp_path, RAVDESS_SAD, "03-02-04-02-02-01-07.wav", "01-01-04-02-02-01-07.wav", "take.wav")
    found = CORPORA["ravdess"].read(tmp_path)
    assert [u.path.name for u in found.utterances] == [RAVDESS_SAD]
    assert [path.name for path in found.left_out] == [
        "01-01-04-02-02-01-07.wav",
        "03-02-04-02-02-01-07.wav",
    ]
    assert [path.name for path in found.unparsed] == ["take.wav"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["x.wav", "y.flac"], r"found 2 audio files of other names, for instance 'x.wav'"),
        (["corpus.zip"], r"found no audio file but others, for instance 'corpus.zip'"),
        ([], r"found an empty folder"),
    ],
)
def test_a_folder_without_the_corpus_is_refused(tmp_path: Path, files: list[str], message: str):
    make(tmp_path, *files)
    with pytest.raises(CorpusError, match=r"files are named like 03a01Fa.wav .*" + message):
        CORPORA["emodb"].read(tmp_path)


def test_a_missing_folder_is_refused(tmp_path: Path):
    with pytest.raises(CorpusError, match=r"gone is not a folder"):
        CORPORA["emodb"].read(tmp_path / "gone")
    with pytest.raises(CorpusError, match="is not a folder"):
        CORPORA["emodb"].read(make(tmp_path, "file.wav") / "file.wav")


DEMOGRAPHICS = (
    '"ActorID","Age","Sex","Race","Ethnicity"\n1001,51,"Male","x","y"\n1002,21,"Female"\n'
)


@pytest.mark.parametrize("table", [".", "AudioWAV", "AudioWAV/deeper"])
def test_cremad_takes_gender_from_its_table(tmp_path: Path, table: str):
    names = ("1001_DFA_ANG_XX.wav", "1002_DFA_ANG_XX.wav", "1003_DFA_ANG_XX.wav")
    make(tmp_path / "AudioWAV", *names)
    (tmp_path / table).mkdir(exist_ok=True)
    (tmp_path / table / "VideoDemographics.csv").write_text(DEMOGRAPHICS)
    found = CORPORA["cremad"].read(tmp_path / "AudioWAV")
    assert [u.gender for u in found.utterances] == ["male", "female", None]


def test_nemo_takes_gender_and_text_from_its_table(tmp_path: Path):
    make(tmp_path / "samples", "EB0_anger_1.wav", "MP0_fear_2.wav")
    (tmp_path / "data.tsv").write_text(
        "file_id\temotion\traw_text\tnormalized_text\tspeaker_id\tgender\tage\n"
        "EB0_anger_1.wav\tanger\tLubię czytać przed snem.\tlubię\t     EB0\tfemale\t27\n",
        encoding="utf-8",
    )
    first, second = CORPORA["nemo"].read(tmp_path).utterances
    assert (first.gender, first.text) == ("female", "Lubię czytać przed snem.")
    assert (second.gender, second.text) == (None, None)


def test_another_table_of_the_same_name_is_passed_over(tmp_path: Path):
    make(tmp_path, "EB0_anger_1.wav")
    (tmp_path / "data.tsv").write_text("a\tb\n1\t2\n")
    assert CORPORA["nemo"].read(tmp_path).utterances[0].gender is None


def test_recordings_without_their_labels_name_the_table(tmp_path: Path):
    make(tmp_path, "Audios/MSP-PODCAST_0001_0008.wav")
    with pytest.raises(CorpusError, match=r"MSP-Podcast without their labels: .*labels_consensus"):
        Corpus.load("msp_podcast", tmp_path)


def test_a_damaged_side_table_is_refused(tmp_path: Path):
    make(tmp_path, "EB0_anger_1.wav")
    (tmp_path / "data.tsv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CorpusError, match=r"cannot read .*data\.tsv"):
        CORPORA["nemo"].read(tmp_path)


def test_other_parts_of_a_release_are_no_unknown_names(tmp_path: Path):
    make(tmp_path / "mp3", "000001-01-1.mp3", "000001-02-1.mp3")
    make(
        tmp_path / "web",
        f"stop-safe-happy-1-{EMOSPEECH_HASH}.wav",
        f"go-safe-None-1-{'d' * 56}.wav",
    )
    for name, folder in (("emogator", "mp3"), ("emospeech_in", "web")):
        found = CORPORA[name].read(tmp_path / folder)
        assert [len(paths) for paths in found] == [1, 1, 0]


FOLDERS = {"cremad": "crema_d"}  # name of the corpus -> its folder, where that is another


@pytest.mark.parametrize("name", ["ravdess", "emodb", "nemo", "cremad", "emospeech_in", "emogator"])
def test_the_real_corpus_is_read_as_its_index_says(name: str, corpus_dir: Callable[[str], Path]):
    folder = corpus_dir(FOLDERS.get(name, name))
    with (folder / "index.csv").open(encoding="utf-8", newline="") as file:
        index = {row["file"]: row for row in csv.DictReader(file)}
    corpus = Corpus.load(name, folder)
    assert {row.path.name for row in corpus} == set(index)
    whose: dict[str, set[str]] = defaultdict(set)
    for row in corpus:
        expected = index[row.path.name]
        assert row.corpus == name
        whose[row.speaker].add(expected["speaker"])
        assert row.emotion == canonical_emotion(expected["emotion"])
        assert row.language == (expected["language"] or None)
        assert row.intensity == (expected["intensity"] or None)
        if name != "nemo":  # its names tell neither; its own table is not there
            assert row.text == (expected["text"] or None)
        if name not in {"nemo", "cremad"}:  # whose own table is not there
            assert row.gender == (expected["gender"] or None)
    assert all(len(people) == 1 for people in whose.values())
    assert len(whose) == len({row["speaker"] for row in index.values()})
    if name not in {"cremad", "emospeech_in"}:  # whose index names speakers in another way
        assert all(people == {speaker} for speaker, people in whose.items())
