"""Many recordings on the page: a table that is sorted, filtered, searched, and summed up."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import shutil
import zipfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from page_visitor import PAGE, ROOT, launched, least_sure, missing, traced, visiting
from serein.corpora.segments import read_segments

playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed: pip install playwright"
)
WHY_NOT = missing()
pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))
SAMPLES = ROOT / "samples"
SLOW, FAST = (SAMPLES / f"espeak-english-{name}.flac" for name in ("slow-low", "fast-high"))
GERMAN, SILENCE = SAMPLES / "espeak-german.flac", SAMPLES / "silence.flac"
UNSURE = least_sure()
NAMES = "#list .col-name"
MOST_KB = 400  # of the page and its script, compressed
MOST_TASK_MS = 200
PAINT = """() => new Promise((done) => new PerformanceObserver((list) =>
    done(list.getEntries()[0].startTime)).observe({type: "paint", buffered: true}))"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with launched(playwright, GERMAN) as opened:
        yield opened


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two folders of recordings, what is none, and a table of speakers."""
    folder = tmp_path_factory.mktemp("batch") / "calls"
    for name, files in {"old": (SLOW, FAST), "new": (GERMAN, SILENCE)}.items():
        (folder / name).mkdir(parents=True)
        for file in files:
            shutil.copy(file, folder / name)
    (folder / "new" / "notes.wav").write_text("no recording")
    rows = (f"old/{SLOW.name},ann,en", f"old/{FAST.name},ben,en", f"{GERMAN.name},ann,de")
    table = "\r\n".join(("file,speaker,language", *rows))
    (folder / "who.csv").write_text(table, encoding="utf-8-sig")
    return folder


def names(visitor: Any) -> list[str]:
    return [str(text) for text in visitor.page.locator(NAMES).all_inner_texts()]


def _lists(visitor: Any, expected: list[str]) -> None:
    """Wait for these rows, which may be drawn a moment after a click."""
    playwright.expect(visitor.page.locator(NAMES)).to_have_text(expected)


def test_a_batch_is_a_table(browser: Any, service: Any, calls: Path) -> None:
    with visiting(browser, service.url) as visitor:
        page = visitor.page
        visitor.drop(calls)
        page.wait_for_selector("#batch-progress:text-is('4 of 5 done, 1 failed')")
        page.wait_for_selector("#batch-note:has-text('who.csv: names 3 recordings')")
        _sorts(visitor)
        _filters(visitor)
        _sums_up(visitor)
        assert visitor.violations() == []
        visitor.ignore_complaints("422")


def _sorts(visitor: Any) -> None:
    page = visitor.page
    page.click("#heads button:has-text('Length')")
    lengths = page.locator("#list .col-length").all_inner_texts()
    assert lengths == sorted(lengths)
    assert len(lengths) == 4
    assert names(visitor)[-1] == "notes.wav"  # what has no length comes last
    page.click("#heads button:has-text('Length')")
    assert page.locator("#list .col-length").all_inner_texts() == sorted(lengths, reverse=True)
    assert page.get_attribute("#heads .col-length", "aria-sort") == "descending"
    page.click("#heads button:has-text('Recording')")
    assert names(visitor) == sorted(names(visitor))
    page.focus("#list button.entry")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    visitor.wait_opened(sorted(names(visitor))[1])
    assert page.locator("#list .job[aria-current=true]").count() == 1


def _filters(visitor: Any) -> None:
    page = visitor.page
    for control, value, found in (
        ("#find-speaker", "ann", {SLOW.name, GERMAN.name}),
        ("#find-folder", "calls/old", {SLOW.name, FAST.name}),
        ("#find-emotion", "no speech", {SILENCE.name}),
        ("#find-state", "failed", {"notes.wav"}),
    ):
        page.select_option(control, value)
        assert {*names(visitor)} == found
        page.click("#filter-clear")
        page.wait_for_selector("#list .job:nth-child(5)")
    for words, found in (("cannot be read", ["notes.wav"]), ("BEN fast", [FAST.name]), ("x?", [])):
        page.fill("#find", words)
        _lists(visitor, found)
    assert page.is_visible("#none-found")
    page.fill("#find", "")
    page.fill("#find-length-most", "2.5")
    assert {*names(visitor)} == {FAST.name, SILENCE.name}
    page.fill("#find-confidence-least", "0.1")
    _lists(visitor, [FAST.name])
    page.click("#filter-clear")
    page.wait_for_selector("#list .job:nth-child(5)")


def _sums_up(visitor: Any) -> None:
    page = visitor.page
    facts = visitor.text("#summary-facts")
    assert facts.startswith("5 recordings, 0:1")
    for part in ("1 without speech", "1 failed", "model multi", "languages de, en"):
        assert part in facts
    shares = page.locator("#summary-emotions li").all_inner_texts()
    assert sum(int(text.split(", ")[-1].split(" %")[0]) for text in shares) in range(98, 103)
    page.select_option("#group-by", "language")
    assert page.locator("#groups tbody th").all_inner_texts() == ["de", "en"]
    page.select_option("#group-by", "folder")
    groups = page.locator("#groups tbody tr").all_inner_texts()
    assert [row.split()[0] for row in groups] == ["calls/new", "calls/old"]
    page.select_option("#find-folder", "calls/old")
    assert page.locator("#groups tbody tr").count() == 1  # it is of what is shown
    page.click("#filter-clear")


@pytest.fixture
def two(browser: Any, service: Any) -> Iterator[Any]:
    """A visitor with two recordings, of which the reviewer labelled one."""
    with visiting(browser, service.url) as visitor:
        visitor.give(FAST, SILENCE)
        visitor.page.wait_for_selector("#batch-progress:text-is('2 of 2 done')")
        visitor.wait_opened(FAST.name)
        visitor.page.check("#review-segment")
        visitor.page.click("#review-emotions button[value=fear]")
        visitor.page.check("#review-whole")
        visitor.page.click("#review-emotions button[value=anger]")
        yield visitor


def test_a_batch_is_saved_for_other_programs(two: Any, tmp_path: Path) -> None:
    two.page.click("#batch-export")
    place = tmp_path / "all"
    zipfile.ZipFile(two.saved("#save-zip", tmp_path)).extractall(place)
    rows = list(csv.DictReader((place / "segments.csv").read_text("utf-8-sig").splitlines()))
    assert {row["file"] for row in rows} == {FAST.name}
    assert all(float(one["end"]) <= float(two["start"]) + 1e-9 for one, two in _in_order(rows))
    wholes = list(csv.DictReader((place / "recordings.csv").read_text("utf-8-sig").splitlines()))
    assert [row["label"] for row in wholes] == ["anger", ""]
    answers = json.loads((place / "predictions.json").read_text())
    assert [answer["label"] for answer in answers] == ["anger", None]
    first = [row for row in rows if row["file"] == FAST.name]
    assert first[0]["emotion"] == "fear"
    for kind, suffix in (("textgrid", ".TextGrid"), ("eaf", ".eaf")):
        found, _ = read_segments(place / kind / f"{FAST.stem}{suffix}")
        spoken = [(one.start, one.end, one.emotion) for one in found]
        known = [row for row in first if row["emotion"] != "unsure"]
        expected = [(float(row["start"]), float(row["end"]), row["emotion"]) for row in known]
        assert spoken == [pytest.approx(one, abs=1e-3) for one in expected]
    labels = (place / "audacity" / f"{FAST.stem}.txt").read_text().splitlines()
    assert [line.split("\t")[2] for line in labels] == [row["emotion"] for row in first]
    one = two.saved("#save-textgrid", tmp_path)
    assert len(zipfile.ZipFile(one).namelist()) == 2
    two.page.click("#save-report")
    _report_is_printed(two, tmp_path)


def _in_order(rows: list[dict[str, str]]) -> Iterator[tuple[dict[str, str], dict[str, str]]]:
    return (pair for pair in pairwise(rows) if pair[0]["file"] == pair[1]["file"])


def _report_is_printed(two: Any, tmp_path: Path) -> None:
    text = two.text("#report-place")
    for part in (
        "CC BY-NC-SA 4.0",
        "unsure_below = 0.35",
        "not what the person feels",
        SILENCE.name,
    ):
        assert part in text
    assert two.violations() == []
    html = two.saved("#report-save", tmp_path).read_text(encoding="utf-8")
    assert html.startswith("<!doctype html>")
    assert "<script" not in html
    assert "@page" in html
    paper = two.page.pdf(prefer_css_page_size=True)
    assert b"/MediaBox [0 0 595" in paper.replace(b"594.95", b"595")  # A4
    two.page.emulate_media(media="print", color_scheme="dark")
    assert not two.page.is_visible("#batch")
    assert two.colour(".report") == "rgb(22, 25, 31)"


def test_a_project_goes_on_where_it_was_saved(two: Any, tmp_path: Path) -> None:
    page = two.page
    page.fill("#review-note", "hm")
    page.click("#batch-export")
    bare = two.saved("#save-project", tmp_path).rename(tmp_path / "bare.serein")
    whole = two.saved("#save-project-sound", tmp_path)
    assert FAST.read_bytes() in whole.read_bytes()
    page.keyboard.press("Escape")
    page.click("#batch-clear")
    page.click("#undo")
    _lists(two, [FAST.name, SILENCE.name])
    page.click(f"#list button[aria-label='Remove {SILENCE.name}']")
    _lists(two, [FAST.name])
    page.click("#undo")
    _lists(two, [FAST.name, SILENCE.name])
    page.click("#batch-clear")
    two.give(bare)
    two.wait_opened(FAST.name)
    page.wait_for_selector("#batch-note:has-text('2 recordings, 2 without sound')")
    page.wait_for_selector("#not-playable:not([hidden])")
    assert page.input_value("#review-note") == "hm"
    assert "✓ anger" in two.text("#list .col-emotion >> nth=0")
    two.give(FAST)
    two.wait_drawn()
    _lists(two, [FAST.name, SILENCE.name])
    page.click("#batch-clear")
    two.give({"name": "x.serein", "mimeType": "", "buffer": b"no project"})
    page.wait_for_selector("#batch-note:has-text('x.serein is no project')")
    two.give(whole)
    two.wait_drawn()
    _leaving_is_asked_about(two, whole)
    two.ignore_complaints("ERR_REQUEST_RANGE_NOT_SATISFIABLE")


def _leaving_is_asked_about(two: Any, project: Path) -> None:
    """And a link comes back to where it was made."""
    page, asked = two.page, []
    page.focus("#position")
    page.keyboard.press("ArrowRight")
    page.click("#copy-link")
    page.wait_for_selector("#batch-note:has-text('link')")
    assert page.url.endswith(f"#recording={FAST.name}&t=1.0")
    page.click("#review-emotions button[value=sadness]")
    page.once("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    page.reload()
    assert asked == ["beforeunload"]
    two.give(project)
    two.wait_at(lambda now: now == 1)


def test_a_queue_waits_for_the_service(browser: Any, service: Any, tmp_path: Path) -> None:
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "notes.wav").write_text("no recording")
    with visiting(browser, service.url) as visitor:
        page = visitor.page
        page.context.set_offline(True)
        visitor.give(tmp_path / "empty.wav", tmp_path / "notes.wav", FAST, SILENCE)
        page.wait_for_selector("#down:has-text('go on by themselves')")
        page.wait_for_selector("#list .failed")
        assert page.locator("#list .failed").count() == 1  # the empty one; the others wait
        page.context.set_offline(False)
        page.click("#retry")
        page.wait_for_selector("#batch-progress:text-is('2 of 4 done, 2 failed')")
        assert not page.is_visible("#down")
        visitor.wait_opened(FAST.name)  # the first that can be read
        assert "The file is empty." in visitor.text("#list .failed >> nth=0")
        page.click("#batch-export")
        saved = visitor.saved("#batch-save", tmp_path).read_text("utf-8-sig").splitlines()
        codes = [row["error_code"] for row in csv.DictReader(saved)]
        assert codes == ["empty", "unreadable", "", ""]
        page.keyboard.press("Escape")
        page.click("#batch-retry:text-is('Retry all failed (2)')")
        page.wait_for_selector("#batch-progress:text-is('2 of 4 done, 2 failed')")
        visitor.ignore_complaints("422", "ERR_INTERNET_DISCONNECTED")


def project_of(count: int) -> dict[str, Any]:
    """A project of many recordings without sound, in two folders."""
    labels = ("anger", "fear", "happiness", "neutral", "sadness")

    def segment(index: int, at: int) -> dict[str, Any]:
        emotion = labels[(index * 7 + at) % 5]
        values = {label: 0.6 if label == emotion else 0.1 for label in labels}
        return {
            **{"start": at, "end": at + 1, "speech": True, "emotion": emotion, "emotion_zh": ""},
            **{"confidence": 0.6, "probabilities": values, "valence": 0.1, "arousal": 0.2},
        }

    def recording(index: int) -> dict[str, Any]:
        timeline = [segment(index, at) for at in range(8)]
        whole = {k: v for k, v in timeline[0].items() if k not in {"start", "end"}}
        about = {"file": "", "model": "multi", "duration": 8, "utterances_known": 0}
        return {
            **{"name": f"{index}.wav", "folder": f"calls/{index % 2}", "bytes": 1, "sound": None},
            **{"settings": {"query": {"model": "multi"}, "to": None}, "converted": False},
            **{"facts": {"speaker": f"s{index % 40}"}, "prediction": about | whole},
            "review": {"emotion": None, "note": "", "segments": []},
        } | {"prediction": about | whole | {"timeline": timeline}}

    recordings = [recording(index) for index in range(count)]
    values = {"format": "serein project", "version": 1, "saved": "", "recordings": recordings}
    place = io.BytesIO()
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("project.json", json.dumps(values))
    return {"name": "many.serein", "mimeType": "", "buffer": place.getvalue()}


def test_two_thousand_recordings_stay_quick(browser: Any, service: Any) -> None:
    with visiting(browser, service.url) as visitor:
        page = visitor.page
        with traced(browser, page) as tasks_ms:
            visitor.give(project_of(2000))
            page.wait_for_selector("#summary-facts:has-text('2000 recordings')")
            assert page.locator("#list .job").count() < 40
            for column in ("Confidence", "Recording", "Emotion"):
                page.click(f"#heads button:has-text('{column}')")
            page.select_option("#group-by", "folder")
            shares = page.locator("#groups tbody td:last-child").all_inner_texts()
            assert all("(" in share for share in shares)  # with an interval
            page.select_option("#find-emotion", "sadness")
            page.fill("#find", "calls/1 s7")
            page.wait_for_selector("#summary-facts:has-text('50 recordings')")
            page.click("#filter-clear")
            page.wait_for_selector("#summary-facts:has-text('2000 recordings')")
            page.eval_on_selector("#batch-table", "(e) => e.scrollTo(0, 40000)")
            page.wait_for_selector("#list .job[aria-rowindex='915']")
            assert page.locator("#list .job").count() < 40
        assert len(tasks_ms) > 100
        assert max(tasks_ms) < MOST_TASK_MS
        visitor.ignore_complaints("ERR_REQUEST_RANGE_NOT_SATISFIABLE")


def test_the_page_is_small_and_soon_painted(browser: Any, service: Any) -> None:
    files = [PAGE, *(PAGE.parent / "assets").iterdir()]
    assert sum(len(gzip.compress(file.read_bytes())) for file in files) < MOST_KB * 1000
    with visiting(browser, service.url) as visitor:
        took, busy = [], max(1, os.getloadavg()[0] / (os.cpu_count() or 1))
        for _ in range(3):
            visitor.page.reload()
            took.append(visitor.page.evaluate(PAINT))
        assert min(took) < 1000 * busy, took


def test_settings_hold_for_what_is_run_with_them(browser: Any, service: Any) -> None:
    with visiting(browser, service.url) as visitor:
        page = visitor.page
        visitor.give(UNSURE)
        visitor.wait_opened(UNSURE.name)
        assert "unsure" in visitor.text("#list .col-emotion")
        assert not page.is_visible("#run-again")
        page.click("#window-settings summary")
        page.fill("#unsure-below", "0")
        page.fill("#window", "4")
        page.fill("#hop", "5")  # longer than a window: the usual one holds
        page.click("#run-again:text-is('Run again with the new settings')")
        page.wait_for_selector("#list .col-emotion:not(:has-text('unsure'))")
        asked = [address for address in visitor.asked if "/v1/predict" in address][-1]
        query = parse_qs(urlsplit(asked).query)
        assert [query[name] for name in ("unsure_below", "window_s", "hop_s")] == [
            *(["0"], ["4"], ["0.5"])
        ]
        page.select_option("#model", "emodb")
        visitor.give(FAST)  # is run with what is chosen now; the other stays as it is
        page.wait_for_selector("#batch-progress:text-is('2 of 2 done')")
        assert page.locator("#list .col-model").all_inner_texts() == ["multi", "emodb"]
        page.click("#run-again:text-is('Run again with emodb')")
        page.wait_for_selector("#run-again", state="hidden")
        page.wait_for_selector("#summary-facts:has-text('model emodb')")
        assert page.locator("#list .col-model").all_inner_texts() == ["emodb", "emodb"]
        assert visitor.violations() == []
