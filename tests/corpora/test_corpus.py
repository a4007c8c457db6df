import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from serein.corpora import CORPORA, Corpus, Utterance, Validation
from serein.errors import CorpusError


def row(name: str, speaker: str, emotion: str, **more: str) -> Utterance:
    return Utterance(Path(name), "my", f"my-{speaker}", emotion, **more)


@pytest.fixture
def small() -> Corpus:
    rows = (
        row("1.wav", "bob", "surprise", gender="male"),
        row("2.wav", "ann", "calm", gender="female"),
        row("3.wav", "ann", "neutral", gender="female"),
        row("4.wav", "ann", "anger"),
    )
    return Corpus("my", rows, "MIT", Path("here"))


def names(corpus: Corpus) -> list[str]:
    return [path.stem for path in corpus.paths]


def test_a_corpus_knows_its_rows(small: Corpus):
    assert small.emotions == ("neutral", "calm", "anger", "surprise")
    assert small.speakers == ("my-ann", "my-bob")
    assert len(small) == 4
    assert tuple(small) == small.utterances
    assert repr(small) == "Corpus('my', utterances=4, speakers=2, emotions=4)"


def test_counts(small: Corpus):
    assert list(small.counts().items()) == [
        ("neutral", 1),
        ("calm", 1),
        ("anger", 1),
        ("surprise", 1),
    ]
    assert small.counts("speaker") == {"my-ann": 3, "my-bob": 1}
    assert small.counts("gender") == {"female": 2, "male": 1, "unknown": 1}
    with pytest.raises(CorpusError, match="unknown group to count by 'path'"):
        small.counts("path")


def test_filter(small: Corpus):
    assert names(small.filter(emotions=["angry", "neutral", "fear"])) == ["3", "4"]
    assert names(small.filter(emotions="angry")) == ["4"]
    assert names(small.filter(speakers=["my-bob"])) == ["1"]
    assert names(small.filter(speakers="my-ann", predicate=lambda u: u.gender is None)) == ["4"]
    assert len(small.filter(predicate=lambda _: False)) == 0
    assert small.filter() == small


def test_filter_refuses_strangers(small: Corpus):
    with pytest.raises(CorpusError, match="unknown emotion 'rage'"):
        small.filter(emotions=["rage"])
    with pytest.raises(CorpusError, match="unknown speaker of my 'bob'; known: my-bob, my-ann"):
        small.filter(speakers=["bob"])


def test_map_emotions_renames_and_drops(small: Corpus):
    mapped = small.map_emotions({"calm": "neutral", "surprised": None})
    assert names(mapped) == ["2", "3", "4"]
    assert mapped.counts() == {"neutral": 2, "anger": 1}
    swapped = small.map_emotions({"calm": "neutral", "neutral": "calm"})
    assert [u.emotion for u in swapped] == ["surprise", "neutral", "calm", "anger"]
    assert small.counts()["calm"] == 1
    with pytest.raises(CorpusError, match="unknown emotion 'clam'"):
        small.map_emotions({"clam": "neutral"})


def test_own_emotions_are_emotions(write_csv):
    path = write_csv("file,emotion,speaker\n1.wav,Sad,a\n2.wav,Fed_Up,a\n3.wav,xxx,a\n")
    corpus = Corpus.from_csv(path)
    assert corpus.emotions == ("sadness", "fed up", "xxx")
    assert corpus.counts() == {"sadness": 1, "fed up": 1, "xxx": 1}
    mapped = corpus.map_emotions({"fed-up": "weary", "xxx": None, "anger": "weary"})
    assert mapped.emotions == ("sadness", "weary")
    assert names(corpus.filter(emotions=["FED UP"])) == ["2"]
    note = "note: 2 emotions of your own, without valence and arousal: fed up, xxx"
    assert note in corpus.validate().summary()


def test_a_misspelt_emotion_is_a_warning(tmp_path: Path):
    found = written(tmp_path, ("1.wav", "1", "a", "hapiness"), ("2.wav", "2", "a", "anger"))
    assert found.problems() == ["labels that may be misspelt: hapiness (is it happiness?)"]


def test_merge(small: Corpus):
    other = Corpus("their", (Utterance(Path("9.wav"), "their", "their-z", "fear"),), "CC0")
    both = Corpus.merge(small, other)
    assert (both.name, both.licence, both.root) == ("my+their", "MIT; CC0", None)
    assert both.utterances == small.utterances + other.utterances
    assert small.merge(other, name="all").name == "all"
    parts = [small.filter(emotions=[emotion]) for emotion in small.emotions]
    again = Corpus.merge(*parts)
    assert (again.name, again.licence, again.root) == ("my", "MIT", Path("here"))
    with pytest.raises(CorpusError, match=r"1\.wav is in 2 of the corpora"):
        small.merge(small)


# --- a folder ---


def ravdess(root: Path, *, copies: int = 1) -> Path:
    """Make all 1440 names as small files of distinct contents, `copies` times."""
    for copy in range(copies):
        for actor in range(1, 25):
            folder = root / f"copy{copy}" / f"Actor_{actor:02}"
            folder.mkdir(parents=True)
            for emotion in range(1, 9):
                for take in range(4 if emotion == 1 else 8):
                    level, text, repetition = (1 + (take >> bit & 1) for bit in (2, 1, 0))
                    codes = (3, 1, emotion, level, text, repetition, actor)
                    name = "-".join(f"{code:02}" for code in codes)
                    (folder / f"{name}.wav").write_text(name)
    return root


def test_a_whole_corpus_is_ok(tmp_path: Path):
    corpus = Corpus.load("ravdess", ravdess(tmp_path))
    found = corpus.validate()
    assert (len(corpus), len(corpus.speakers)) == (1440, 24)
    assert corpus.licence == CORPORA["ravdess"].licence
    assert corpus.counts() == dict(CORPORA["ravdess"].counts)
    assert found.ok
    assert found.problems() == []
    assert found.summary() == "ravdess: 1440 utterances, 24 speakers, 8 emotions: ok"


def test_a_doubled_download_is_seen(tmp_path: Path):
    found = Corpus.load("ravdess", ravdess(tmp_path, copies=2)).validate()
    assert not found.ok
    assert found.copies == 1440
    assert found.unexpected == dict(CORPORA["ravdess"].counts)
    assert "1440 of 2880 files are copies of another file" in found.summary()
    assert "1440 more than the official 1440 files: neutral 96, calm 192" in found.summary()
    assert "and 1435 more" in found.summary()


def test_holes_are_seen(tmp_path: Path):
    ravdess(tmp_path)
    for path in sorted(tmp_path.rglob("03-01-0[15]-*-24.wav")):
        path.unlink()
    for path in tmp_path.rglob("*-11.wav"):
        path.unlink()
    found = Corpus.load("ravdess", tmp_path).validate()
    assert found.missing["neutral"] == 8
    assert found.missing["anger"] == 16
    assert found.missing["calm"] == 8
    assert not found.unexpected
    assert found.errors() == [
        "72 fewer than the official 1440 files: neutral 8, calm 8, happiness 8, sadness 8, "
        "anger 16, fear 8, disgust 8, surprise 8",
        "23 speakers, officially 24",
    ]


def test_a_known_part_is_whole_in_itself(tmp_path: Path):
    (tmp_path / "crema_d").mkdir()
    for code, count in (("HAP", 999), ("SAD", 998)):
        for number in range(count):
            text = ("DFA", "IEO", "IOM", "ITH")[number // 312]
            level = ("LO", "MD", "HI", "XX")[number // 78 % 4]
            name = f"{1001 + number % 78}_{text}_{code}_{level}"
            (tmp_path / "crema_d" / f"{name}.opus").write_text(name)
    corpus = Corpus.load("cremad", tmp_path)
    found = corpus.validate()
    assert found.ok, found.summary()
    assert "note: compared with a known part of the release, 1997 of 7442 files" in found.summary()
    corpus.paths[0].unlink()
    assert Corpus.load("cremad", tmp_path).validate().errors() == [
        "1 fewer than the part's 1997 files: happiness 1",
    ]


def test_after_a_filter_the_official_counts_are_not_asked_for(tmp_path: Path):
    corpus = Corpus.load("ravdess", ravdess(tmp_path))
    assert corpus.filter(emotions=["anger", "calm"]).validate().ok
    assert corpus.map_emotions({"calm": "neutral"}).validate().ok


def test_names_that_say_nothing_are_reported(tmp_path: Path):
    for name in ("03a01Fa.wav", "03a01Wa.wav", "take 7.wav"):
        (tmp_path / name).write_text(name)
    corpus = Corpus.load("emodb", tmp_path)
    assert [path.name for path in corpus.unparsed] == ["take 7.wav"]
    found = corpus.validate()
    assert found.unparsed == corpus.unparsed
    assert found.warnings() == [
        "1 audio file named unlike 03a01Fa.wav, not used: take 7.wav",
    ]


def test_song_is_noted(tmp_path: Path):
    for name in ("03-01-04-02-02-01-07.wav", "03-02-04-02-02-01-07.wav"):
        (tmp_path / name).write_text(name)
    found = Corpus.load("ravdess", tmp_path).validate()
    assert "1 audio file of other parts of the release left out" in found.summary()
    assert found.unparsed == ()


def test_a_corpus_is_found_in_a_sub_folder_of_its_name(tmp_path: Path):
    (tmp_path / "emodb" / "wav").mkdir(parents=True)
    (tmp_path / "emodb" / "wav" / "03a01Fa.wav").write_text("x")
    (tmp_path / "03a01Wa.wav").write_text("y")
    corpus = Corpus.load("emodb", str(tmp_path))
    assert names(corpus) == ["03a01Fa"]
    assert corpus.root == tmp_path / "emodb"


def test_an_unknown_corpus_lists_the_nearest_first(tmp_path: Path):
    with pytest.raises(CorpusError, match="unknown corpus 'emo-db'; known: emodb, "):
        Corpus.load("emo-db", tmp_path)


# --- what does not add up ---


def written(tmp_path: Path, *rows: tuple[str, str, str, str]) -> Validation:
    """Write (file, content, speaker, emotion) and validate them."""
    utterances = []
    for name, content, speaker, emotion in rows:
        (tmp_path / name).write_text(content)
        utterances.append(Utterance(tmp_path / name, "my", speaker, emotion))
    return Corpus("my", tuple(utterances)).validate()


def test_a_copy_inside_one_speaker_is_a_warning(tmp_path: Path):
    found = written(
        tmp_path,
        ("1.wav", "same", "a", "anger"),
        ("2.wav", "same", "a", "anger"),
        ("3.wav", "diff", "a", "fear"),
    )
    assert found.ok
    assert [[u.path.name for u in group] for group in found.duplicates] == [["1.wav", "2.wav"]]
    assert found.problems() == [
        "1 of 3 files is a copy of another file: 1.wav = 2.wav (a anger)",
    ]


def test_a_copy_with_another_emotion_is_an_error(tmp_path: Path):
    found = written(
        tmp_path,
        ("1.wav", "same", "a", "anger"),
        ("2.wav", "same", "a", "fear"),
    )
    assert not found.ok
    assert found.errors() == [
        "1 recording under more than one emotion: 1.wav = 2.wav (a anger / a fear)",
    ]


def test_a_copy_under_another_speaker_is_an_error(tmp_path: Path):
    found = written(
        tmp_path,
        ("1.wav", "same", "a", "anger"),
        ("2.wav", "same", "b", "anger"),
        ("3.wav", "else", "a", "fear"),
        ("4.wav", "elsewhere", "b", "fear"),
    )
    assert found.errors() == [
        "1 recording under more than one speaker: 1.wav = 2.wav (a anger / b anger)",
    ]


def test_empty_files_are_errors_and_no_copies(tmp_path: Path):
    found = written(
        tmp_path,
        ("1.wav", "", "a", "anger"),
        ("2.wav", "", "a", "fear"),
        ("3.wav", "x", "a", "fear"),
    )
    assert found.duplicates == []
    assert found.errors() == ["2 files of 0 bytes: 1.wav, 2.wav"]


def test_pointers_and_pages_are_no_recordings(tmp_path: Path):
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:7\nsize 72862\n"
    found = written(
        tmp_path,
        ("a.wav", pointer, "ann", "anger"),
        ("b.wav", pointer, "ann", "sadness"),
        ("c.wav", "<!DOCTYPE html><html>", "bo", "anger"),
        ("d.wav", "x", "bo", "sadness"),
    )
    assert found.duplicates == []
    assert found.errors() == [
        "2 files, each is a Git-LFS pointer, not the recording: fetch it with: git lfs pull: "
        "a.wav, b.wav",
        "1 file is a web page, not the recording: the download failed, or wants a login; "
        "repeat it: c.wav",
    ]


def test_a_speaker_with_one_emotion_is_a_warning(tmp_path: Path):
    found = written(
        tmp_path,
        ("1.wav", "1", "a", "anger"),
        ("2.wav", "2", "b", "anger"),
        ("3.wav", "3", "b", "fear"),
    )
    assert found.ok
    assert found.single_emotion_speakers == ("a",)
    assert found.problems() == ["1 speaker in one emotion only: a"]


def test_odd_speakers_are_warnings(tmp_path: Path):
    found = written(
        tmp_path,
        *(
            (f"{number}.wav", str(number), speaker, emotion)
            for number, (speaker, emotion) in enumerate(
                (name, emotion) for name in ("Anna", "anna", "bo") for emotion in ("fear", "calm")
            )
        ),
    )
    assert found.problems() == [
        "1 group of speakers whose names look alike, and count as several people: Anna and anna"
    ]
    each = written(tmp_path, *((f"{n}.wav", str(n), f"s{n}", "fear") for n in range(3)))
    assert each.warnings()[-1].startswith("each file has a speaker of its own: are they people?")


def test_an_empty_corpus_is_not_ok():
    found = Corpus("my", ()).validate()
    assert not found.ok
    assert found.errors() == ["there are no utterances"]
    assert "error: there are no utterances" in found.summary()


def test_a_file_that_has_gone_is_an_error(small: Corpus):
    with pytest.raises(CorpusError, match=r"cannot read 1\.wav"):
        small.validate()


@pytest.mark.parametrize(
    "name", ["ravdess", "emodb", "nemo", "crema_d", "emospeech_in", "emogator"]
)
def test_the_real_corpora_are_ok(name: str, corpus_dir: Callable[[str], Path]):
    above = corpus_dir(name).parent
    found = Corpus.load(name.replace("crema_d", "cremad"), above).validate()
    assert found.ok, found.summary()
    assert len(found.duplicates) == (1 if name == "ravdess" else 0)


def test_the_known_copy_in_ravdess_is_shown(corpus_dir: Callable[[str], Path]):
    found = Corpus.load("ravdess", corpus_dir("ravdess").parent).validate()
    (pair,) = found.duplicates
    assert [u.path.stem for u in pair] == ["03-01-03-01-02-01-07", "03-01-03-01-02-02-07"]
    (problem,) = found.problems()
    assert problem.startswith("1 of 1440 files is a copy of another file: 03-01-03-01-02-01-07")
    assert problem.endswith('(ravdess-07 happiness, "Dogs are sitting by the door")')


# --- any table ---


@pytest.fixture
def write_csv(tmp_path: Path) -> Callable[[str | bytes], Path]:
    def write(content: str | bytes) -> Path:
        for name in ("1.wav", "2.wav", "3.wav"):
            (tmp_path / name).write_text(name)
        path = tmp_path / "calls.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def test_a_table_gives_a_corpus(write_csv):
    path = write_csv(
        "file,emotion,speaker,gender,intensity,text,language,remark\n"
        '2.wav,Angry,Ann,F,strong,"No, not now",EN,x\n'
        "\n"
        "1.wav,快乐,calls-bob,,,,\n"
        ",,,,,,,\n"
    )
    corpus = Corpus.from_csv(path, licence="CC0-1.0")
    assert (corpus.name, corpus.licence, corpus.root) == ("calls", "CC0-1.0", path.parent)
    assert corpus.utterances == (
        Utterance(
            path.parent / "2.wav",
            "calls",
            "calls-Ann",
            "anger",
            gender="female",
            intensity="strong",
            text="No, not now",
            language="en",
        ),
        Utterance(path.parent / "1.wav", "calls", "calls-bob", "happiness"),
    )
    assert corpus.validate().problems() == ["2 speakers in one emotion only: calls-Ann, calls-bob"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_delimiters_line_ends_and_a_bom(write_csv, delimiter: str, newline: str, encoding: str):
    lines = ("Speaker| File |EMOTION", "ann|1.wav|sad", "ann| 2.wav |calm")
    text = newline.join(lines).replace("|", delimiter)
    corpus = Corpus.from_csv(write_csv(text.encode(encoding)), name="m")
    assert names(corpus) == ["1", "2"]
    assert corpus.speakers == ("m-ann",)
    assert corpus.emotions == ("calm", "sadness")


def test_files_are_looked_for_in_audio_root(write_csv, tmp_path: Path):
    path = write_csv("file,emotion,speaker\nwav/9.wav,sad,ann\n")
    (tmp_path / "deep" / "wav").mkdir(parents=True)
    (tmp_path / "deep" / "wav" / "9.wav").write_text("9")
    corpus = Corpus.from_csv(path, audio_root=tmp_path / "deep")
    assert corpus.paths == (tmp_path / "deep" / "wav" / "9.wav",)
    with pytest.raises(CorpusError, match=r"1 of its files not found in .*line 2: 'wav/9\.wav'"):
        Corpus.from_csv(path)


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_paths_of_other_systems_are_found(write_csv, tmp_path: Path, form: str):
    (tmp_path / "sub").mkdir()
    name = unicodedata.normalize(form, "Ärger.wav")
    (tmp_path / "sub" / name).write_text("x")
    path = write_csv("file,emotion,speaker\nsub\\Ärger.wav,sad,ann\n")
    (tmp_path / "elsewhere").mkdir()
    corpus = Corpus.from_csv(path, audio_root=tmp_path / "elsewhere")  # beside the table then
    assert corpus.paths == (tmp_path / "sub" / name,)


def test_a_corpus_column_names_the_speakers(write_csv):
    path = write_csv(
        "file,emotion,speaker,corpus\n1.wav,sad,one-a,one\n2.wav,sad,a,two\n3.wav,sad,a,\n"
    )
    corpus = Corpus.from_csv(path, name="mix")
    assert [(u.corpus, u.speaker) for u in corpus] == [
        ("one", "one-a"),
        ("two", "two-a"),
        ("mix", "mix-a"),
    ]


def test_the_name_of_a_corpus_is_no_path(write_csv):
    path = write_csv("file,emotion,speaker,corpus\n1.wav,angry,ann,../x\n")
    with pytest.raises(CorpusError, match=r"line 2: the name of the corpus is '\.\./x'; allowed: "):
        Corpus.from_csv(path)
    with pytest.raises(CorpusError, match=r"the name of the corpus is 'a\\u001b\[2J'; allowed: "):
        Corpus.from_csv(path, name="a\x1b[2J")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"calls\.csv is empty: it needs a header, file,emotion,speaker"),
        ("\n \n", r"is empty"),
        ("file,emotion,speaker\n", r"has a header but no rows"),
        ("file,emotion\n1.wav,sad\n", r"has no column 'speaker'; it has: file, emotion"),
        ("name\n", r"has no column 'file'; it has: name"),
        ("x" * 600 + "\n", r"has no column 'file'; it has: x{500} …$"),
        (b"file\0\0\n", r"is no text, but binary: save it as a CSV table in UTF-8$"),
        ("file,emotion,speaker\n1.wav,sad,\n", r"line 2: speaker is blank: name each person"),
        ("file,emotion,speaker\n1.wav,sad\n", r"line 2: speaker is blank"),
        ("file,emotion,speaker\n,sad,ann\n", r"line 2: file is blank"),
        ("file,emotion,speaker\n1.wav,sad,a\n2.wav, ,a\n", r"line 3: emotion is blank"),
        ("file,emotion,speaker\n1.wav,unsure,ann\n", r"line 2: a label is 'unsure', which serein"),
        ("file,emotion,speaker\n1.wav,a/b,ann\n", r"line 2: a label is 'a/b'; allowed: at most"),
        (
            "file,emotion,speaker\n8.wav,sad,ann\n",
            r"1 of its files not found in .*: give their folder \(--data .*; line 2: '8\.wav'$",
        ),
        (
            "file,emotion,speaker\n" + "".join(f"{n}x.wav,sad,ann\n" for n in range(12)),
            r"12 of its files not found in .*; line 2: '0x\.wav', .*'9x\.wav', and 2 more$",
        ),
        ("file,Emotion,speaker,emotion\n1.wav,sad,a,fear\n", r"has the column 'emotion' twice"),
        ("file,start,end,emotion,speaker\n1.wav,0,1,sad,a\n", r"line 2: start and end name a part"),
        (
            "file,emotion,speaker\n1.wav,sad,a\n1.wav,sad,a\n",
            r"line 3: file '1\.wav' is listed twice",
        ),
        ("file,emotion,speaker,text\n1.wav,sad,a,No, no\n", r"line 2: more cells than column"),
        ("file,emotion,speaker\n1.wav,Ärger,a\n".encode("latin-1"), r"not UTF-8 \(byte 27\)"),
        ("file,emotion,speaker\n".encode("utf-16"), r"not UTF-8 \(byte 0\)"),
        ("file,emotion,speaker\n1.wav,sad," + "x" * 200_000, r"after line 1: field larger than"),
        ('file,emotion,speaker\n1.wav,sad,"a\n2.wav,sad,b\n', r"after line 1: unexpected end"),
        (f"file,emotion,speaker\n{'x' * 5000},sad,a\n", r"line 2: File name too long$"),
        ("sep=;\nfile;emotion;speaker\n1.wav;sad;\n", r"line 3: speaker is blank"),
    ],
)
def test_a_bad_table_is_refused(write_csv, content: str | bytes, message: str):
    with pytest.raises(CorpusError, match=message):
        Corpus.from_csv(write_csv(content))


def test_a_missing_table_is_refused(tmp_path: Path):
    with pytest.raises(CorpusError, match=r"cannot read the table .*gone\.csv"):
        Corpus.from_csv(tmp_path / "gone.csv")


def test_the_index_of_a_real_corpus_is_a_table(corpus_dir: Callable[[str], Path]):
    folder = corpus_dir("emodb")
    from_index = Corpus.from_csv(folder / "index.csv", name="emodb")
    assert from_index.utterances == Corpus.load("emodb", folder).utterances
