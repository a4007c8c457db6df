"""What other programs read out of the files for them is what was predicted."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from serein.emotions import emotion_name
from serein.errors import MissingExtraError
from serein.inference import formats
from serein.inference.formats import FORMATS, audformat_files, audformat_zip, spoken
from serein.inference.prediction import Lane, Prediction, Segment, lane_name
from serein.inference.timeline import make_segment

SCHEMA = Path(__file__).parents[1] / "schemas" / "EAFv2.8.xsd"
LANES = [(1, 1), (2, 2), (2, 3)]  # channel and speaker


def emotional(start: float, end: float, anger: float, **who: int) -> Segment:
    named = {"anger": anger, "joy": 1 - anger}
    return replace(make_segment((start, end), named), **who)


@pytest.fixture(scope="module", params=["one voice", "lanes"])
def prediction(request: pytest.FixtureRequest) -> Prediction:
    """Segments at times that are no binary fractions, some at once; and silence."""
    rng = np.random.default_rng(5)
    apart = request.param == "lanes"
    timeline = []
    for number in range(30):
        start = 1.5 * number + float(rng.uniform(0, 0.1))
        channel, speaker = LANES[number % 3]
        who = {"channel": channel, "speaker": speaker} if apart else {}
        length = 1.3999 if not apart else 2.7
        timeline.append(emotional(start, start + length, float(rng.uniform(0.1, 0.9)), **who))
    timeline.append(replace(make_segment((50.0, 3700.0), {}), channel=1 if apart else None))
    timeline.append(
        emotional(3700.0, 3700.7, 0.7, **({"channel": 2, "speaker": 3} if apart else {}))
    )
    lanes = [emotional(0, 3701, 0.6, channel=c, speaker=s) for c, s in LANES]
    return Prediction(
        *(0.0, 3701.0, "anger", 0.6, {"anger": 0.6, "joy": 0.4}, "calls/Anruf 1 电话.wav", "multi"),
        timeline=tuple(timeline),
        lanes=tuple(Lane(**vars(lane), speech_s=9.0) for lane in lanes) if apart else (),
    )


def rows_of(prediction: Prediction, chinese: bool) -> list[tuple[str, float, float, str]]:
    """Lane, start, end and emotion of each segment with speech, sorted."""
    voice = formats.VOICE[chinese]
    return sorted(
        (
            lane_name(one, 2, chinese) or voice,
            round(one.start, 3),
            round(one.end, 3),
            emotion_name(str(one.emotion), "zh" if chinese else "en"),
        )
        for one in spoken(prediction)
    )


def written(prediction: Prediction, form: str, chinese: bool, folder: Path) -> Path:
    place = folder / f"file{FORMATS[form].suffix}"
    place.write_bytes(FORMATS[form].write(prediction, chinese))
    return place


def same(found: list[tuple[str, float, float, str]], expected: list[tuple[str, float, float, str]]):
    assert len(found) == len(expected) == 31
    for one, other in zip(sorted(found), expected, strict=True):
        assert (one[0], one[3]) == (other[0], other[3])
        assert one[1:3] == pytest.approx(other[1:3], abs=1e-3)


both = pytest.mark.parametrize("chinese", [False, True])


@both
def test_praat_reads_the_textgrid(prediction: Prediction, chinese: bool, tmp_path: Path) -> None:
    parselmouth = pytest.importorskip("parselmouth")
    grid = parselmouth.read(str(written(prediction, "textgrid", chinese, tmp_path)))
    call = parselmouth.praat.call
    names = [call(grid, "Get tier name", n + 1) for n in range(call(grid, "Get number of tiers"))]
    found, numbers = [], []
    for tier, name in enumerate(names, 1):
        for number in range(1, call(grid, "Get number of intervals", tier) + 1):
            label = call(grid, "Get label of interval", tier, number)
            start = call(grid, "Get start time of interval", tier, number)
            end = call(grid, "Get end time of interval", tier, number)
            if label and name.endswith(" arousal"):
                numbers.append((start, float(label)))
            elif label and not name.endswith((" confidence", " valence")):
                found.append((name, start, end, label))
    same(found, rows_of(prediction, chinese))
    for (start, value), one in zip(sorted(numbers), spoken(prediction), strict=True):
        assert (start, value) == pytest.approx((one.start, one.arousal), abs=1e-3)


@both
def test_elan_has_the_schema_of_the_eaf(prediction: Prediction, chinese: bool, tmp_path: Path):
    pympi = pytest.importorskip("pympi")
    etree = pytest.importorskip("lxml.etree")
    place = written(prediction, "eaf", chinese, tmp_path)
    etree.XMLSchema(etree.parse(SCHEMA)).assertValid(etree.parse(place))
    eaf = pympi.Elan.Eaf(str(place))
    tops = [name for name in eaf.get_tier_names() if eaf.get_parameters_for_tier(name).get(
        "PARENT_REF") is None]  # fmt: skip
    found = [
        (name, start / 1000, end / 1000, text)
        for name in tops
        for start, end, text in eaf.get_annotation_data_for_tier(name)
    ]
    same(found, rows_of(prediction, chinese))
    said = sorted(
        (start, float(value))
        for name in tops
        for start, _, value, *_ in eaf.get_ref_annotation_data_for_tier(f"{name} valence")
    )
    for (start, value), one in zip(said, spoken(prediction), strict=True):
        assert (start / 1000, value) == pytest.approx((one.start, one.valence), abs=1e-3)


@both
@pytest.mark.parametrize("form", ["srt", "vtt"])
def test_ffmpeg_reads_the_subtitles(
    prediction: Prediction, form: str, chinese: bool, tmp_path: Path
) -> None:
    av = pytest.importorskip("av")
    pytest.importorskip("webvtt")
    place = written(prediction, form, chinese, tmp_path)
    with av.open(str(place), format={"srt": "srt", "vtt": "webvtt"}[form]) as container:
        (stream,) = container.streams.subtitles
        packets = [packet for packet in container.demux(stream) if packet.size]
    found = []
    for packet in packets:
        first, more = bytes(packet).decode().splitlines()
        lane, _, said = first.rpartition(": ")
        start = float(packet.pts * packet.time_base)
        length = float(packet.duration * packet.time_base)
        label = said.split()[0]
        found.append((lane or formats.VOICE[chinese], start, start + length, label))
        assert more.startswith("valence ")
    same(found, rows_of(prediction, chinese))


@both
def test_pyannote_reads_the_rttm(prediction: Prediction, chinese: bool, tmp_path: Path) -> None:
    util = pytest.importorskip("pyannote.database.util")
    place = written(prediction, "rttm", chinese, tmp_path)
    (uri, annotation), = util.load_rttm(place).items()  # fmt: skip
    assert uri == "Anruf_1_电话"
    expected = [(a.replace(" ", "_"), b, c, "") for a, b, c, _ in rows_of(prediction, chinese)]
    found = [
        (who, part.start, part.end, "") for part, _, who in annotation.itertracks(yield_label=True)
    ]
    same(found, expected)
    emotions = [line.split()[5] for line in place.read_text(encoding="utf-8").splitlines()]
    assert sorted(emotions) == sorted(row[3] for row in rows_of(prediction, chinese))


@both
@pytest.mark.filterwarnings("ignore:The inplace keyword")  # of its own way to read
def test_audformat_loads_its_database(
    prediction: Prediction, chinese: bool, tmp_path: Path
) -> None:
    audformat = pytest.importorskip("audformat")
    with zipfile.ZipFile(io.BytesIO(audformat_zip(prediction, chinese))) as archive:
        archive.extractall(tmp_path)
    table = audformat.Database.load(str(tmp_path))["segments"].get()
    found = []
    for (file, start, end), row in table.iterrows():
        assert file == prediction.file
        who = {} if not prediction.lanes else {"channel": row["channel"], "speaker": row["speaker"]}
        name = lane_name(Segment(0, 0, None, None, {}, **who), 2, chinese) or formats.VOICE[chinese]
        found.append((name, start.total_seconds(), end.total_seconds(), row["emotion"]))
    same(found, rows_of(prediction, chinese))
    for value, one in zip(table["valence"], spoken(prediction), strict=True):
        assert value == pytest.approx(one.valence, abs=1e-3)


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # of its own way to read
def test_channels_of_the_same_times_are_two_tables(tmp_path: Path) -> None:
    audformat = pytest.importorskip("audformat")
    said = [Segment(0.0, 2.0, "anger", 0.9, {"anger": 0.9}, channel=channel) for channel in (1, 2)]
    call = Prediction(0.0, 2.0, "anger", 0.9, {"anger": 0.9}, "call.wav", "multi", tuple(said))
    for name, content in audformat_files([call, call], False).items():
        (tmp_path / name).write_bytes(content)
    tables = audformat.Database.load(str(tmp_path)).tables
    assert {name: table.get()["channel"].tolist() for name, table in tables.items()} == {
        "segments1": [1],
        "segments2": [2],
    }


@both
def test_csv_and_label_studio_hold_the_same(
    prediction: Prediction, chinese: bool, tmp_path: Path
) -> None:
    rows = csv.DictReader(FORMATS["csv"].write(prediction, chinese).decode().splitlines())
    found = []
    for row in rows:
        who = {key: int(row[key]) for key in ("channel", "speaker") if row[key]}
        name = lane_name(Segment(0, 0, None, None, {}, **who), 2, chinese) or formats.VOICE[chinese]
        found.append((name, float(row["start"]), float(row["end"]), row["emotion"]))
        assert float(row["p_anger"]) + float(row["p_joy"]) == pytest.approx(1, abs=1e-3)
    same(found, rows_of(prediction, chinese))
    (task,) = json.loads(FORMATS["labelstudio"].write(prediction, chinese))
    assert task["data"]["audio"] == prediction.file
    regions: dict[str, dict[str, object]] = {}
    for result in task["predictions"][0]["result"]:
        value = result["value"]
        region = regions.setdefault(result["id"], {"start": value["start"], "end": value["end"]})
        region[result["from_name"]] = value[result["type"]]
    same(
        [(r["lane"][0], r["start"], r["end"], r["emotion"][0]) for r in regions.values()],
        rows_of(prediction, chinese),
    )


@pytest.mark.parametrize("form", FORMATS)
def test_silence_is_a_file_without_segments(form: str, tmp_path: Path) -> None:
    silence = Prediction(
        *(0.0, 1.0, None, None, {}, None, "multi"), timeline=(make_segment((0.0, 1.0), {}),)
    )
    content = FORMATS[form].write(silence, False)
    assert b"anger" not in content
    assert form in ("srt", "rttm") or content
    assert audformat_files([silence], False).keys() == {"db.yaml", "db.segments.csv"}


@pytest.mark.parametrize("form", [*FORMATS, "audformat"])
def test_an_own_emotion_has_no_valence_anywhere(form: str, tmp_path: Path) -> None:
    segment = make_segment((0.0, 1.0), {"fed up": 1.0})
    mine = Prediction(**vars(segment), file="a.wav", model="m", timeline=(segment,))
    assert segment.valence is None
    if form == "audformat":
        (content,) = (
            text for name, text in audformat_files([mine], False).items() if "csv" in name
        )
    else:
        content = FORMATS[form].write(mine, False)
    text = content.decode().replace(" ", "")
    assert "fed" in text
    assert "valence+" not in text
    if form == "csv":
        (row,) = csv.DictReader(io.StringIO(content.decode()))
        assert (row["confidence"], row["valence"], row["arousal"]) == ("1.0", "", "")
    if form == "labelstudio":
        names = {one["from_name"] for one in json.loads(content)[0]["predictions"][0]["result"]}
        assert names == {"emotion", "lane", "confidence"}


def test_what_is_missing_is_said(prediction: Prediction, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pympi", "webvtt", "audformat"):
        monkeypatch.setitem(__import__("sys").modules, name, None)
    for write in (*(FORMATS[form].write for form in ("eaf", "textgrid", "srt")), audformat_zip):
        with pytest.raises(MissingExtraError, match=r"serein\[formats\]"):
            write(prediction, False)
