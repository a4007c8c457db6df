"""CORPORA: file names, official counts and licence of each known corpus.

A new corpus is one function and one entry.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from serein.corpora.spec import CorpusSpec, Fields, Part, SideTable

_RAVDESS_EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
_RAVDESS_TEXTS = {"01": "Kids are talking by the door", "02": "Dogs are sitting by the door"}


def _ravdess(match: re.Match[str], _path: Path) -> Fields:
    return Fields(
        speaker=match["actor"],
        emotion=_RAVDESS_EMOTIONS[int(match["emotion"]) - 1],
        gender="male" if int(match["actor"]) % 2 else "female",
        intensity={"01": "normal", "02": "strong"}[match["intensity"]],
        text=_RAVDESS_TEXTS[match["text"]],
    )


# The letters are initials of the German words.
_EMODB_EMOTIONS = {"W": "anger", "L": "boredom", "E": "disgust", "A": "fear", "F": "happiness"}
_EMODB_EMOTIONS |= {"T": "sadness", "N": "neutral"}
_EMODB_TEXTS = {
    "a01": "Der Lappen liegt auf dem Eisschrank.",
    "a02": "Das will sie am Mittwoch abgeben.",
    "a04": "Heute abend könnte ich es ihm sagen.",
    "a05": "Das schwarze Stück Papier befindet sich da oben neben dem Holzstück.",
    "a07": "In sieben Stunden wird es soweit sein.",
    "b01": "Was sind denn das für Tüten, die da unter dem Tisch stehen?",
    "b02": "Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter.",
    "b03": "An den Wochenenden bin ich jetzt immer nach Hause gefahren und habe Agnes besucht.",
    "b09": "Ich will das eben wegbringen und dann mit Karl was trinken gehen.",
    "b10": "Die wird auf dem Platz sein, wo wir sie immer hinlegen.",
}


def _emodb(match: re.Match[str], _path: Path) -> Fields:
    return Fields(
        speaker=match["speaker"],
        emotion=_EMODB_EMOTIONS[match["emotion"]],
        gender="male" if match["speaker"] in {"03", "10", "11", "12", "15"} else "female",
        text=_EMODB_TEXTS[match["text"]],
    )


_CREMAD_TEXTS = {
    "DFA": "Don't forget a jacket",
    "IEO": "It's eleven o'clock",
    "IOM": "I'm on my way to the meeting",
    "ITH": "I think I have a doctor's appointment",
    "ITS": "I think I've seen this before",
    "IWL": "I would like a new alarm clock",
    "IWW": "I wonder what this is about",
    "MTI": "Maybe tomorrow it will be cold",
    "TAI": "The airplane is almost full",
    "TIE": "That is exactly what happened",
    "TSI": "The surface is slick",
    "WSI": "We'll stop in a couple of minutes",
}


def _cremad(match: re.Match[str], _path: Path) -> Fields:
    return Fields(
        speaker=match["actor"],
        emotion=match["emotion"],
        intensity={"LO": "low", "MD": "medium", "HI": "high"}.get(match["level"]),
        text=_CREMAD_TEXTS[match["text"]],
    )


def _tess(match: re.Match[str], _path: Path) -> Fields:
    return Fields(
        speaker=match["voice"][0] + "AF",  # one official file has "OA" for "OAF"
        emotion=match["emotion"].replace("_", " "),
        gender="female",
        text=f"Say the word {match['word'].lower()}",
    )


_SAVEE_EMOTIONS = {"a": "anger", "d": "disgust", "f": "fear", "h": "happiness", "n": "neutral"}
_SAVEE_EMOTIONS |= {"sa": "sadness", "su": "surprise"}


def _savee(match: re.Match[str], path: Path) -> Fields | None:
    speaker = (match["speaker"] or path.parent.name).upper()
    if speaker not in {"DC", "JE", "JK", "KL"}:
        return None
    return Fields(speaker, _SAVEE_EMOTIONS[match["emotion"].lower()], gender="male")


def _nemo(match: re.Match[str], _path: Path) -> Fields:
    return Fields(match["speaker"], match["emotion"])


_EMOSPEECH_WORDS = {"help", "bacho", "stop", "no", "go", "yes"}


def _emospeech(match: re.Match[str], _path: Path) -> Fields:
    said = {match["first"], match["second"]} & _EMOSPEECH_WORDS
    return Fields(match["speaker"], match["emotion"], text=min(said, default=None))


# Of the 30 categories, numbered as in the release, those with a name in serein.emotions.
_EMOGATOR_EMOTIONS = {"02": "amusement", "03": "anger", "06": "contempt", "07": "contentment"}
_EMOGATOR_EMOTIONS |= {"10": "disgust", "11": "distress", "13": "elation", "15": "fear"}
_EMOGATOR_EMOTIONS |= {"18": "neutral", "24": "sadness", "27": "surprise", "28": "surprise"}
_BURSTS = "sadness anger fear disgust contempt amusement contentment distress elation"


def _emogator(match: re.Match[str], _path: Path) -> Fields:
    code = match["emotion"]
    intensity = {"27": "negative", "28": "positive"}.get(code)
    return Fields(match["speaker"], _EMOGATOR_EMOTIONS[code], intensity=intensity)


# Labels of IEMOCAP's and MSP-Podcast's tables; "xxx" and "no agreement" are nobody's majority.
_IEMOCAP_WORDS = {"exc": "excitement", "fru": "frustration", "oth": "other"}
_MSP_WORDS = {"A": "anger", "S": "sadness", "H": "happiness", "U": "surprise", "F": "fear"}
_MSP_WORDS |= {"D": "disgust", "C": "contempt", "N": "neutral", "O": "other", "X": "no agreement"}


def _iemocap(match: re.Match[str], _path: Path) -> Fields:
    gender = {"F": "female", "M": "male"}[match["gender"]]
    return Fields(f"{match['session']}{match['gender']}", "", gender=gender)


def _msp_podcast(match: re.Match[str], _path: Path) -> Fields:
    return Fields("", "")


_ESD_EMOTIONS = ("neutral", "angry", "happy", "sad", "surprise")  # 350 sentences each
_ESD_MEN = {4, 5, 6, 8, 10, 11, 12, 13, 14, 20}  # as the ReadMe of the release lists them


def _esd(match: re.Match[str], _path: Path) -> Fields:
    number, speaker = int(match["number"]), int(match["speaker"])
    return Fields(
        speaker=match["speaker"],
        emotion=_ESD_EMOTIONS[(number - 1) // 350] if 0 < number <= 1750 else "",
        gender="male" if speaker in _ESD_MEN else "female",
        language="zh" if speaker <= 10 else "en",
    )


# Its table has the names of roles, and no gender.
def _meld(match: re.Match[str], _path: Path) -> Fields:
    return Fields("", "")


def _meld_part(path: Path) -> str:
    """Tell the part of MELD by the nearest folder that names one, or the name of a table."""
    names = (path.name, *(folder.name for folder in path.parents))
    parts = (part for name in names for part in ("train", "dev", "test") if part in name)
    return next(parts, "")


def _meld_row(row: Mapping[str, str], table: Path) -> str:
    return f"{_meld_part(table)} {row.get('Dialogue_ID')} {row.get('Utterance_ID')}"


def _meld_file(match: re.Match[str], path: Path) -> str:
    return f"{_meld_part(path.parent)} {match['dialogue']} {match['utterance']}"


# Folders of the sentences that are the same for all emotions, and of the others; no gender is told.
_CASIA_EMOTIONS = {"angry", "fear", "happy", "neutral", "normal", "sad", "surprise"}
_CASIA_SPEAKERS = {"chang.liu": "liuchanhg", "zhe.wang": "wangzhe"}
_CASIA_SPEAKERS |= {"quanyin.zhao": "zhaoquanyin", "zuoxiang.zhao": "zhaozuoxiang"}


def _casia(match: re.Match[str], path: Path) -> Fields | None:
    emotion, name = path.parent.name.lower(), path.parent.parent.name.lower()
    speaker = _CASIA_SPEAKERS.get(name, name)
    known = emotion in _CASIA_EMOTIONS and speaker in _CASIA_SPEAKERS.values()
    return Fields(speaker, emotion.replace("normal", "neutral")) if known else None


_EMOVO_EMOTIONS = {"dis": "disgust", "gio": "happiness", "neu": "neutral", "pau": "fear"}
_EMOVO_EMOTIONS |= {"rab": "anger", "sor": "surprise", "tri": "sadness"}


def _emovo(match: re.Match[str], _path: Path) -> Fields:
    gender = "female" if match["speaker"][0] == "f" else "male"
    return Fields(match["speaker"], _EMOVO_EMOTIONS[match["emotion"]], gender=gender)


def _subesco(match: re.Match[str], _path: Path) -> Fields:
    gender = "female" if match["gender"] == "F" else "male"
    return Fields(f"{match['gender']}{match['speaker']}", match["emotion"], gender=gender)


def _jl(match: re.Match[str], _path: Path) -> Fields:
    return Fields(match["speaker"], match["emotion"], gender=match["gender"])


_SHEMO_EMOTIONS = {"A": "anger", "F": "fear", "H": "happiness", "N": "neutral", "S": "sadness"}
_SHEMO_EMOTIONS |= {"W": "surprise"}


def _shemo(match: re.Match[str], _path: Path) -> Fields:
    gender = "female" if match["speaker"][0] == "F" else "male"
    return Fields(match["speaker"], _SHEMO_EMOTIONS[match["emotion"]], gender=gender)


def _each(count: int, emotions: str, *, neutral: int) -> dict[str, int]:
    return {"neutral": neutral, **dict.fromkeys(emotions.split(), count)}


_SPECS = (
    CorpusSpec(
        name="ravdess",
        title="RAVDESS, speech",
        pattern=re.compile(
            r"03-01-(?P<emotion>0[1-8])-(?P<intensity>0[12])-(?P<text>0[12])-0[12]"
            r"-(?P<actor>0[1-9]|1\d|2[0-4])"
        ),
        fields=_ravdess,
        example="03-01-06-01-02-01-12.wav",
        counts=_each(192, "calm happiness sadness anger fear disgust surprise", neutral=96),
        speakers=24,
        language="en",
        licence="CC BY-NC-SA 4.0",
        citation="S. R. Livingstone, F. A. Russo, PLoS ONE 13(5): e0196391, 2018",
        url="https://zenodo.org/records/1188976",
        left_out=re.compile(r"0[12]-0[12](-\d\d){5}|03-02(-\d\d){5}"),  # videos and song
    ),
    CorpusSpec(
        name="emodb",
        title="EmoDB, Berlin Database of Emotional Speech",
        pattern=re.compile(
            r"(?P<speaker>03|08|09|1[0-6])(?P<text>a0[12457]|b0[1239]|b10)"
            r"(?P<emotion>[WLEAFTN])[a-z]"
        ),
        fields=_emodb,
        example="03a01Fa.wav",
        counts={"neutral": 79, "happiness": 71, "sadness": 62, "anger": 127}
        | {"fear": 69, "disgust": 46, "boredom": 81},
        speakers=10,
        language="de",
        licence="CC0-1.0 according to audeering/emodb; the original release states none",
        citation="F. Burkhardt et al., Interspeech 2005",
        url="http://emodb.bilderbar.info/",
    ),
    CorpusSpec(
        name="cremad",
        title="CREMA-D",
        pattern=re.compile(
            rf"(?P<actor>10(?:0[1-9]|[1-8]\d|9[01]))_(?P<text>{'|'.join(_CREMAD_TEXTS)})"
            r"_(?P<emotion>ANG|DIS|FEA|HAP|NEU|SAD)_(?P<level>LO|MD|HI|XX?)"
        ),
        fields=_cremad,
        example="1001_DFA_ANG_XX.wav",
        counts=_each(1271, "happiness sadness anger fear disgust", neutral=1087),
        speakers=91,
        language="en",
        licence="ODbL 1.0",
        citation="H. Cao et al., IEEE Transactions on Affective Computing 5(4), 377-390, 2014",
        url="https://github.com/CheyneyComputerScience/CREMA-D",
        side_table=SideTable("VideoDemographics.csv", ",", "ActorID", "actor", gender="Sex"),
        folders=("crema_d",),
        part=Part({"happiness": 999, "sadness": 998}, speakers=78),
    ),
    CorpusSpec(
        name="tess",
        title="TESS, Toronto Emotional Speech Set",
        pattern=re.compile(
            r"(?P<voice>OAF?|YAF)_(?P<word>[a-z]+)"
            r"_(?P<emotion>angry|disgust|fear|happy|neutral|ps|sad|pleasant_surprised?)",
            re.IGNORECASE,
        ),
        fields=_tess,
        example="OAF_back_angry.wav",
        counts=_each(400, "happiness sadness anger fear disgust surprise", neutral=400),
        speakers=2,
        language="en",
        licence="CC BY-NC-ND 4.0",
        citation="M. K. Pichora-Fuller, K. Dupuis, doi:10.5683/SP2/E8H2MF, 2020",
        url="https://tspace.library.utoronto.ca/handle/1807/24487",
    ),
    CorpusSpec(
        name="savee",
        title="SAVEE, Surrey Audio-Visual Expressed Emotion",
        pattern=re.compile(
            r"(?:(?P<speaker>DC|JE|JK|KL)_)?(?P<emotion>sa|su|[adfhn])\d\d", re.IGNORECASE
        ),
        fields=_savee,
        example="DC_a01.wav",
        counts=_each(60, "happiness sadness anger fear disgust surprise", neutral=120),
        speakers=4,
        language="en",
        licence="research use only, on registration",
        citation="S. Haq, P. J. B. Jackson, in Machine Audition, IGI Global, 2010",
        url="http://kahlan.eps.surrey.ac.uk/savee/",
    ),
    CorpusSpec(
        name="nemo",
        title="nEMO, Dataset of Emotional Speech in Polish",
        pattern=re.compile(
            r"(?P<speaker>EB0|IC0|KD0|KS0|MK0|MP0|SM0|TP0|WR0)"
            r"_(?P<emotion>anger|fear|happiness|neutral|sadness|surprised)_\d{1,2}"
        ),
        fields=_nemo,
        example="EB0_anger_1.wav",
        counts={"neutral": 809, "happiness": 749, "sadness": 769, "anger": 749}
        | {"fear": 736, "surprise": 669},
        speakers=9,
        language="pl",
        licence="CC BY-NC-SA 4.0",
        citation="I. Christop, LREC-COLING 2024",
        url="https://github.com/amu-cai/nEMO",
        side_table=SideTable("data.tsv", "\t", "file_id", 0, gender="gender", text="raw_text"),
    ),
    # "Calm" is the ordinary voice. Counts are of known speakers, without duplicates and silence.
    CorpusSpec(
        name="emospeech_in",
        title="Indian EmoSpeech Command Dataset",
        pattern=re.compile(  # word-environment-... officially; place-word-... with a short speaker
            r"(?P<first>[a-z]+)-(?P<second>[a-z ]+)-(?P<emotion>calm|angry|fearful|happy)-[^-]+"
            r"-(?!d14a028c)(?P<speaker>[0-9a-f]{8})(?:[0-9a-f]{48})?"  # that one is nobody known
        ),
        fields=_emospeech,
        example="webservice-bacho-angry-1562996360436-c7b43119.opus",
        counts={"calm": 749, "happiness": 389, "anger": 455, "fear": 422},
        speakers=105,
        language="en-IN",
        licence="CC BY-NC-SA 4.0",
        citation="S. Banga et al., arXiv:1910.13801, 2019",
        url="https://github.com/RakshakTeam/emospeech-dataset-v1",
        left_out=re.compile(r"[a-z]+-[a-z ]+-[A-Za-z]+-[^-]+-[0-9a-f]{8}(?:[0-9a-f]{48})?"),
    ),
    CorpusSpec(
        name="emogator",
        title="EmoGator, vocal bursts",
        pattern=re.compile(
            rf"(?P<speaker>000[0-3]\d\d)-(?P<emotion>{'|'.join(_EMOGATOR_EMOTIONS)})-[123]"
        ),
        fields=_emogator,
        example="000001-02-1.mp3",
        counts=_each(1071, _BURSTS, neutral=1071) | {"surprise": 2142},
        speakers=357,
        language=None,
        licence="Apache-2.0",
        citation="F. W. Buhl, arXiv:2301.00508, 2023",
        url="https://github.com/fredbuhl/EmoGator",
        left_out=re.compile(r"000[0-3]\d\d-(?:0[1-9]|[12]\d|30)-[123]"),  # other categories
        part=Part(  # the first take of each, without silent and doubled ones
            _each(357, _BURSTS, neutral=356)
            | {"surprise": 714, "amusement": 356, "fear": 356, "sadness": 356},
            speakers=357,
        ),
    ),
    CorpusSpec(
        name="iemocap",
        title="IEMOCAP",
        pattern=re.compile(
            r"Ses(?P<session>0[1-5])[FM]_(?:impro|script)\d\d[a-z]?(?:_\d[a-z]?)?"
            r"_(?P<gender>[FM])(?:XX)?\d{1,3}"
        ),
        fields=_iemocap,
        example="Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav",
        counts={"neutral": 1708, "happiness": 595, "sadness": 1084, "anger": 1103, "fear": 40}
        | {"disgust": 2, "surprise": 107, "excitement": 1041, "frustration": 1849, "other": 3}
        | {"xxx": 2507},
        speakers=10,
        language="en",
        licence="research use only, on request",
        citation="C. Busso et al., Language Resources and Evaluation 42(4), 335-359, 2008",
        url="https://sail.usc.edu/iemocap/",
        side_table=SideTable(
            *("Ses0[1-5]*.txt", "", "key", 0),
            emotion="emotion",
            line=re.compile(
                r"^\[[\d. -]+\]\t(?P<key>Ses\w+)\t(?P<emotion>[a-z]{3})\t", re.MULTILINE
            ),
        ),
        words=_IEMOCAP_WORDS,
    ),
    CorpusSpec(
        name="msp_podcast",
        title="MSP-Podcast",
        pattern=re.compile(r"MSP-PODCAST_\d{4}_\d{4}(?:_\d{4})?"),
        fields=_msp_podcast,
        example="Audios/MSP-PODCAST_0001_0008.wav",
        counts={},  # each release has more
        speakers=0,
        language="en",
        licence="academic or commercial licence, on request",
        citation="R. Lotfian, C. Busso, IEEE Transactions on Affective Computing 10(4), 2019",
        url="https://lab-msp.com/MSP/MSP-Podcast.html",
        side_table=SideTable(
            *("labels_consensus.csv", ",", "FileName", 0),
            gender="Gender",
            emotion="EmoClass",
            speaker="SpkrID",
        ),
        folders=("MSP-PODCAST", "MSP-Podcast"),
        words=_MSP_WORDS,
        acted=False,
    ),
    CorpusSpec(
        name="esd",
        title="ESD, Emotional Speech Database",
        pattern=re.compile(r"(?P<speaker>00(?:0[1-9]|1\d|20))_(?P<number>\d{6})"),
        fields=_esd,
        example="0011/Angry/0011_000351.wav",
        counts=_each(7000, "happiness sadness anger surprise", neutral=7000),
        speakers=20,
        language=None,  # a speaker's: Mandarin or English
        licence="research use only, on request",
        citation="K. Zhou et al., Speech Communication 137, 1-18, 2022",
        url="https://github.com/HLTSingapore/Emotional-Speech-Data",
    ),
    CorpusSpec(
        name="meld",
        title="MELD",
        pattern=re.compile(r"dia(?P<dialogue>\d+)_utt(?P<utterance>\d+)"),
        fields=_meld,
        example="train/dia0_utt3.wav",
        counts={"neutral": 6436, "happiness": 2308, "sadness": 1002, "anger": 1607}
        | {"fear": 358, "disgust": 361, "surprise": 1636},
        speakers=0,
        language="en",
        licence="GPL-3.0 according to its authors; of a television series",
        citation="S. Poria et al., ACL 2019",
        url="https://affective-meld.github.io/",
        side_table=SideTable(
            *("*_sent_emo*.csv", ",", _meld_row, _meld_file),
            emotion="Emotion",
            speaker="Speaker",
            text="Utterance",
        ),
        folders=("MELD", "MELD.Raw"),
        acted=False,
    ),
    CorpusSpec(
        name="casia",
        title="CASIA Chinese emotional corpus",
        pattern=re.compile(r"\d{1,3}"),
        fields=_casia,
        example="liuchanhg/angry/201.wav",
        counts=_each(1600, "happiness sadness anger fear surprise", neutral=1600),
        speakers=4,
        language="zh",
        licence="stated by the Institute of Automation, on request",
        citation="Institute of Automation, Chinese Academy of Sciences, 2005",
        url="http://www.chineseldc.org/",
        folders=("CASIA",),
        part=Part(_each(200, "happiness sadness anger fear surprise", neutral=200), speakers=4),
    ),
    CorpusSpec(
        name="emovo",
        title="EMOVO",
        pattern=re.compile(
            rf"(?P<emotion>{'|'.join(_EMOVO_EMOTIONS)})-(?P<speaker>[fm][123])-[bdln]\d",
            re.IGNORECASE,
        ),
        fields=_emovo,
        example="f1/dis-f1-b1.wav",
        counts=_each(84, "happiness sadness anger fear disgust surprise", neutral=84),
        speakers=6,
        language="it",
        licence="not stated",
        citation="G. Costantini et al., LREC 2014",
        url="http://voice.fub.it/activities/corpora/emovo/index.html",
        folders=("EMOVO",),
    ),
    CorpusSpec(
        name="subesco",
        title="SUBESCO",
        pattern=re.compile(
            r"(?P<gender>[FM])_(?P<speaker>\d\d)_[A-Za-z]+_S_\d+"
            r"_(?P<emotion>ANGRY|DISGUST|FEAR|HAPPY|NEUTRAL|SAD|SURPRISE)_\d"
        ),
        fields=_subesco,
        example="F_02_MONIKA_S_1_NEUTRAL_5.wav",
        counts=_each(1000, "happiness sadness anger fear disgust surprise", neutral=1000),
        speakers=20,
        language="bn",
        licence="CC BY 4.0",
        citation="S. Sultana et al., PLoS ONE 16(4): e0250173, 2021",
        url="https://zenodo.org/records/4526477",
        folders=("SUBESCO",),
    ),
    CorpusSpec(
        name="jl",
        title="JL corpus",
        pattern=re.compile(
            r"(?P<speaker>(?P<gender>female|male)[12])_(?P<emotion>[a-z]+)_\d+[ab]_\d"
        ),
        fields=_jl,
        example="female1_angry_10a_1.wav",
        counts={},  # its ten emotions are primary and secondary ones
        speakers=4,
        language="en-NZ",
        licence="CC0-1.0 according to Kaggle",
        citation="J. James, L. Tian, C. I. Watson, Interspeech 2018",
        url="https://github.com/tli725/JL-Corpus",
    ),
    CorpusSpec(
        name="shemo",
        title="ShEMO, Sharif Emotional Speech Database",
        pattern=re.compile(r"(?P<speaker>[FM]\d\d)(?P<emotion>[AFHNSW])\d\d"),
        fields=_shemo,
        example="F01A01.wav",
        counts={"neutral": 1028, "happiness": 201, "sadness": 449, "anger": 1059}
        | {"fear": 38, "surprise": 225},
        speakers=87,
        language="fa",
        licence="research use only",
        citation="O. Mohamad Nezami et al., Language Resources and Evaluation 53(1), 1-16, 2019",
        url="https://github.com/mansourehk/ShEMO",
        folders=("ShEMO",),
        acted=False,
    ),
)

CORPORA: dict[str, CorpusSpec] = {spec.name: spec for spec in _SPECS}
"""Name of the corpus -> its specification."""
