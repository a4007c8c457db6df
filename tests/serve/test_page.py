"""The page as a person uses it: recordings go in, predictions come out, and can be saved."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import serein
from page_visitor import (
    ROOT,
    answering,
    launched,
    least_sure,
    made_prediction,
    missing,
    spoken,
    visiting,
)
from serein.defaults import PAGE_UNSURE_BELOW

playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed: pip install playwright"
)
WHY_NOT = missing()
pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))
SAMPLES = ROOT / "samples"
FAST = SAMPLES / "espeak-english-fast-high.flac"
GERMAN = SAMPLES / "espeak-german.flac"
UNSURE = least_sure()


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Several voices, with pauses."""
    names = ("english-fast-high", "german-two-voices-with-pause")
    file = tmp_path_factory.mktemp("page") / "talk.wav"
    return spoken(file, *(f"espeak-{name}" for name in names))


@pytest.fixture(scope="module")
def browser(talk: Path) -> Iterator[Any]:
    with launched(playwright, talk) as opened:
        yield opened


def rows(file: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(file.read_text(encoding="utf-8-sig").splitlines()))


def refusing(status: int, code: str, **headers: str) -> dict[str, Any]:
    return {
        "status": status,
        "headers": headers,
        "json": {"error": {"code": code, "message": f"the service's own words on {code}"}},
    }


def test_a_recording_gets_the_prediction_of_the_recognizer(
    browser: Any, service: Any, talk: Path
) -> None:
    recognizer = serein.load(unsure_below=PAGE_UNSURE_BELOW)
    expected = recognizer.predict(str(talk), window_s=2.0, hop_s=0.5)
    with visiting(browser, service.url) as visitor:
        visitor.give(talk)
        visitor.wait_opened("talk.wav")
        visitor.wait_drawn()
        assert visitor.text("#prediction-emotion").casefold() == expected.likeliest
        assert f"{expected.confidence:.2f}" in visitor.text("#prediction-sure")
        bars = visitor.page.locator("#bars tr")
        assert bars.count() == len(expected.probabilities)
        assert bars.first.inner_text().split() == [expected.likeliest, f"{expected.confidence:.2f}"]
        labels = [segment.emotion or "no speech" for segment in expected.timeline]
        changes = [label for label, _ in groupby(labels)]
        shown = visitor.page.locator("#segments tbody td:nth-child(2)").all_inner_texts()
        assert [text.partition(" (")[0] for text in shown] == changes
        assert visitor.page.locator("#wave [part~=region]").count() == len(changes)


def test_files_and_folders_can_be_dropped(browser: Any, service: Any, tmp_path: Path) -> None:
    (tmp_path / "calls" / "older").mkdir(parents=True)
    for place in ("one.flac", "calls/two.flac", "calls/older/three.flac"):
        shutil.copy(FAST, tmp_path / place)
    (tmp_path / "calls" / "notes.txt").write_text("no recording")
    with visiting(browser, service.url) as visitor:
        visitor.drop(tmp_path / "one.flac")
        visitor.wait_opened("one.flac")
        with visitor.page.expect_console_message(lambda said: said.type == "error"):
            visitor.drop(tmp_path / "calls", GERMAN)
        for name in ("two.flac", "three.flac", "notes.txt", GERMAN.name):
            visitor.page.wait_for_selector(f"#list :text('{name}')")
        visitor.ignore_complaints("415", "422")


def test_the_cursor_moves_through_all_views_while_a_segment_plays(
    browser: Any, service: Any, talk: Path
) -> None:
    with visiting(browser, service.url) as visitor:
        visitor.give(talk)
        visitor.wait_opened("talk.wav")
        visitor.wait_drawn()
        lengths = visitor.page.eval_on_selector_all(
            "#segments tbody tr", "(all) => all.map(({dataset: {start, end}}) => end - start)"
        )
        number = lengths.index(max(lengths)) + 1  # a short one may be over before it is seen
        row = f"#segments tbody tr:nth-child({number})"
        start = float(visitor.page.get_attribute(row, "data-start"))
        visitor.page.click(f"{row} button")
        visitor.page.wait_for_selector(f"{row}[aria-current=true]")
        visitor.page.wait_for_selector("#play[aria-label=Pause]")
        visitor.wait_at(lambda now: now > start)
        assert float(visitor.page.eval_on_selector("#curves-cursor", "(e) => e.offsetLeft")) > 0
        both = "['readout', 'clock'].map((id) => document.getElementById(id).textContent)"
        readout, clock = visitor.page.evaluate(both)  # at once, for time goes on
        assert readout.startswith(clock.split(" / ")[0])
        visitor.page.wait_for_selector("#play[aria-label=Play]")  # stops where the segment ends
        assert visitor.text("#readout").startswith(visitor.text("#clock").split(" / ")[0])


def test_labels_of_ones_own_are_shown(browser: Any, adaptive: Any) -> None:
    with visiting(browser, adaptive.url) as visitor:
        visitor.page.select_option("#model", "own")
        visitor.give(FAST)
        visitor.wait_opened(FAST.name)
        visitor.wait_drawn()
        assert visitor.text("#prediction-emotion").casefold() == "frustrated"
        visitor.page.click("#language")
        assert visitor.text("#prediction-emotion") == "沮丧"
        bars = visitor.page.locator("#bars th").all_inner_texts()
        assert bars == ["沮丧", "xxx"]


def test_predictions_can_be_saved(browser: Any, service: Any, talk: Path, tmp_path: Path) -> None:
    with visiting(browser, service.url) as visitor:
        visitor.give(talk)
        visitor.wait_opened("talk.wav")
        visitor.wait_drawn()
        segments = rows(visitor.saved("#save-csv", tmp_path))
        answer = json.loads(visitor.saved("#save-json", tmp_path).read_text())
        picture = visitor.saved("#save-png", tmp_path)
        assert len(segments) == visitor.page.locator("#segments tbody tr").count()
    assert [segments[0]["file"], float(segments[0]["start_s"])] == ["talk.wav", 0.0]
    assert float(segments[-1]["end_s"]) == pytest.approx(answer["duration"], abs=1e-3)
    known = {*answer["probabilities"], "no speech", "unsure"}
    assert {row["emotion"] for row in segments} <= known
    assert answer["file"] == "talk.wav"
    assert len(answer["timeline"]) > 10
    pixels = pytest.importorskip("PIL.Image").open(picture)
    assert pixels.size == (1600, 1060)
    assert len(pixels.convert("RGB").getcolors(pixels.width * pixels.height)) > 50


def test_one_bad_file_does_not_stop_the_others(browser: Any, service: Any, tmp_path: Path) -> None:
    bad = tmp_path / "notes.wav"
    bad.write_text("this is no sound")
    with visiting(browser, service.url) as visitor:
        visitor.give(FAST, bad, SAMPLES / "silence.flac")
        visitor.page.wait_for_selector("#batch-progress:text-is('2 of 3 done, 1 failed')")
        assert visitor.text("#list .failed .state") == "This cannot be read as sound."
        assert visitor.text("#list .failed .detail")
        visitor.page.click("#list .job:nth-child(3) button.entry")
        visitor.wait_opened("silence.flac")
        assert visitor.text("#prediction-emotion") == "No speech"
        assert "no speech in this recording" in visitor.text("#prediction-note")
        assert visitor.focused()["id"] == "opened-name"
        visitor.page.click("#batch-export")
        everything = rows(visitor.saved("#batch-save", tmp_path))
        visitor.ignore_complaints("422")
    assert [row["file"] for row in everything] == [FAST.name, "notes.wav", "silence.flac"]
    assert [bool(row["error"]) for row in everything] == [False, True, False]
    assert everything[2]["emotion"] == "no speech"


def test_a_busy_service_is_waited_for_and_a_batch_can_be_cancelled(
    browser: Any, service: Any
) -> None:
    busy = refusing(503, "busy", **{"Retry-After": "1"})
    long_busy = refusing(429, "too_many", **{"Retry-After": "60"})
    with visiting(browser, service.url) as visitor:
        visitor.page.route("**/v1/predict?*", answering(busy, long_busy))
        visitor.give(FAST, SAMPLES / "silence.flac")
        visitor.page.wait_for_selector("#list .state:has-text('again in 60 s')")
        visitor.page.click("#batch-cancel")
        states = visitor.page.locator("#list .state").all_inner_texts()
        assert states == ["cancelled", "cancelled"]
        visitor.page.locator("#list button:text-is('Try again')").first.click()
        visitor.wait_opened(FAST.name)
        visitor.ignore_complaints("503", "429")


def test_what_only_the_browser_can_read_is_converted(browser: Any, service: Any) -> None:
    with visiting(browser, service.url) as visitor:
        visitor.page.route("**/v1/predict?*", answering(refusing(422, "unsupported_format")))
        visitor.give(FAST)
        visitor.wait_opened(FAST.name)
        assert visitor.page.is_visible("#opened-converted")
        expected = serein.load().predict(str(FAST), window_s=2.0, hop_s=0.5)
        assert visitor.text("#prediction-emotion").casefold() == expected.likeliest
        assert sum("/v1/predict" in asked for asked in visitor.asked) == 2
        visitor.ignore_complaints("422")


WEBM = """async () => {
  const context = new AudioContext(), to = context.createMediaStreamDestination();
  const tone = context.createOscillator();
  tone.connect(to);
  tone.start();
  const recorder = new MediaRecorder(to.stream, { mimeType: "audio/webm" });
  const part = new Promise((done) => (recorder.ondataavailable = ({ data }) => done(data)));
  recorder.start();
  setTimeout(() => recorder.stop(), 1500);
  return [...new Uint8Array(await (await part).arrayBuffer())];
}"""


def test_webm_without_the_extra_is_converted(browser: Any, start: Any, tmp_path: Path) -> None:
    (tmp_path / "av.py").write_text("raise ImportError")
    paths = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    with (
        start("--requests-per-minute", "0", PYTHONPATH=paths) as bare,
        visiting(browser, bare.url) as visitor,
    ):
        visitor.page.click("#drop")  # a browser starts sound after a gesture
        recorded = bytes(visitor.page.evaluate(WEBM))
        visitor.give({"name": "a.webm", "mimeType": "audio/webm", "buffer": recorded})
        visitor.wait_opened("a.webm")
        assert visitor.page.is_visible("#opened-converted")
        visitor.ignore_complaints("422")


def test_a_cut_recording_is_not_converted(browser: Any, service: Any, tmp_path: Path) -> None:
    cut = tmp_path / "cut.flac"
    cut.write_bytes(FAST.read_bytes()[:-9000])
    with visiting(browser, service.url) as visitor:
        visitor.give(cut)
        visitor.page.wait_for_selector("#list .failed")
        assert "truncated" in visitor.text("#list .failed .detail")
        assert sum("/v1/predict" in asked for asked in visitor.asked) == 1
        visitor.ignore_complaints("422")


def test_a_narrow_page_says_why_a_file_failed(browser: Any, service: Any, tmp_path: Path) -> None:
    notes = tmp_path / "notes.wav"
    notes.write_text("this is no sound")
    with visiting(browser, service.url, width=390) as visitor:
        page = visitor.page
        visitor.give(notes, GERMAN)
        visitor.wait_opened(GERMAN.name)
        assert page.is_visible("#list .failed .detail")
        why = page.locator("#list .failed").bounding_box()
        row = page.locator("#list .job:nth-child(2)").bounding_box()
        assert why["height"] > 60
        assert row["y"] == pytest.approx(why["y"] + why["height"], abs=1)
        for width in (1280, 390):
            page.set_viewport_size({"width": width, "height": 900})
            page.wait_for_timeout(300)
            row, whole = (
                page.locator(one).bounding_box()["height"] for one in ("#list .failed", "#list")
            )
            assert whole == pytest.approx(row + 44, abs=1)
        for part in ("#list .failed .col-progress", "#heads .col-confidence"):
            scrolled, seen = page.eval_on_selector(part, "(e) => [e.scrollWidth, e.clientWidth]")
            assert scrolled <= seen, part
        visitor.ignore_complaints("422")


def test_what_the_browser_cannot_play_is_still_predicted(browser: Any, service: Any) -> None:
    with visiting(browser, service.url) as visitor:
        visitor.page.route("**/v1/predict?*", answering({"json": made_prediction()}))
        visitor.give({"name": "old.aiff", "mimeType": "audio/aiff", "buffer": b"FORM....AIFF"})
        visitor.wait_opened("old.aiff")
        visitor.page.wait_for_selector("#not-playable")
        assert not visitor.page.is_visible("#sound")
        assert visitor.text("#segments tbody tr").split() == [
            *("0:00.0", "–", "0:01.0", "fear", "0.70", "−0.67", "0.73")
        ]


def test_an_hour_with_labels_that_the_page_does_not_know(
    browser: Any, service: Any, tmp_path: Path
) -> None:
    hour = tmp_path / "hour.flac"
    soundfile.write(hour, np.zeros(8000 * 3600, dtype=np.int16), 8000)
    words = ("awe", "unsure", None, "boredom")
    (template,) = made_prediction()["timeline"]
    timeline = [
        template
        | {"start": at / 2, "end": (at + 1) / 2, "emotion": words[at % 4], "speech": at % 4 != 2}
        | {"probabilities": {"awe": 0.6, "boredom": 0.4} if at % 4 != 2 else {}}
        for at in range(7200)
    ]
    whole = made_prediction(
        duration=3600.0,
        emotion="awe",
        probabilities={"awe": 0.6, "boredom": 0.4},
        timeline=timeline,
    )
    with visiting(browser, service.url) as visitor:
        visitor.page.route("**/v1/predict?*", answering({"json": whole}))
        visitor.give(hour)
        visitor.wait_opened("hour.flac")
        visitor.wait_drawn()
        assert visitor.text("#prediction-emotion") == "Mixed"
        assert visitor.text("#prediction-sure").startswith("awe 33 %")
        assert visitor.page.locator("#wave [part~=region]").count() <= 80
        assert visitor.page.is_visible("#spectrogram-long")
        assert visitor.page.locator("#segments tbody tr").count() == 100
        visitor.page.click("#segments button.quiet")
        assert visitor.page.locator("#segments tbody tr").count() == 200
        assert "unsure" in visitor.text("#segments")


def test_recordings_are_adapted_to_by_a_switch(
    browser: Any, adaptive: Any, adaptive_model: Path
) -> None:
    recognizer = serein.load(adaptive_model, unsure_below=PAGE_UNSURE_BELOW)
    recognizer.adapt([GERMAN, FAST], to="recordings")
    expected = recognizer.predict(GERMAN)
    with visiting(browser, adaptive.url) as visitor:
        visitor.give(GERMAN, FAST)
        visitor.page.wait_for_selector("#batch-progress:has-text('2 of 2 done')")
        assert "in common" in visitor.text("#adapt-set-note")
        visitor.page.check("#adapt-all")
        visitor.page.click("#run-again")
        visitor.page.wait_for_selector("#adapt-set-note:has-text('Adapted on 2 recordings.')")
        adapted = f"Adapted with {expected.utterances_known} utterances."
        visitor.page.wait_for_selector(f"#prediction-note:has-text('{adapted}')")
        assert visitor.text("#prediction-emotion").casefold() == expected.likeliest
        assert f"{expected.confidence:.2f}" in visitor.text("#prediction-sure")
        assert visitor.page.is_enabled("#adapt-one")
        assert visitor.violations() == []
        visitor.page.uncheck("#adapt-all")
        visitor.page.click("#run-again")
        visitor.page.wait_for_selector("#prediction-note:not(:has-text('Adapted'))")


def test_emotions_that_cannot_occur_are_left_out(browser: Any, service: Any) -> None:
    few = ("anger", "neutral", "sadness")
    expected = serein.load(emotions=few).predict(UNSURE)
    with visiting(browser, service.url) as visitor:
        visitor.give(UNSURE)
        visitor.wait_opened(UNSURE.name)
        assert "unsure" in visitor.text("#list .state")
        grey = visitor.page.eval_on_selector(
            "#prediction", "(e) => e.style.getPropertyValue('--emotion')"
        )
        assert grey == "#707884"
        for label in set(serein.load().labels) - {*few}:
            visitor.page.uncheck(f"#emotions input[value={label}]")
        visitor.page.click("#run-again")
        visitor.page.wait_for_selector("#bars tr:nth-child(3):last-child")
        assert f"{expected.confidence:.2f}" in visitor.text("#prediction-sure")
        visitor.page.uncheck("#emotions input[value=anger]")
        assert visitor.page.is_disabled("#emotions input[value=neutral]")


def test_another_model_has_other_emotions(browser: Any, service: Any) -> None:
    with visiting(browser, service.url) as visitor:
        assert "not for commercial use" in visitor.text("#model-facts")
        visitor.page.select_option("#model", "emodb")
        assert "MIT" in visitor.text("#model-facts")
        visitor.page.click("#model-facts summary")
        assert visitor.page.locator("#model-facts tbody tr").count() >= 1
        visitor.give(FAST)
        visitor.wait_opened(FAST.name)
        assert "model emodb" in visitor.text("#opened-facts")
        assert "boredom" in visitor.text("#bars")


def test_a_service_with_a_key_is_asked_with_the_key(
    browser: Any, start: Any, tmp_path: Path
) -> None:
    file = tmp_path / "keys"
    file.write_text("a-long-and-secret-key-of-the-tests\n")
    with start("--api-key-file", str(file)) as guarded:
        context = browser.new_context(locale="en-US")
        page = context.new_page()
        page.goto(guarded.url)
        page.fill("#key-field", "wrong")
        page.click("#key button.main")
        page.wait_for_selector("#key-wrong:text-is('That key was not accepted.')")
        page.fill("#key-field", "a-long-and-secret-key-of-the-tests")
        page.keyboard.press("Enter")
        page.wait_for_selector("#model option", state="attached")
        page.set_input_files("#files", FAST)
        page.wait_for_selector("#opened:not([hidden])")
        assert page.evaluate("Object.keys(localStorage)") == []
        assert page.evaluate("sessionStorage.length") == 1
        page.click("#record")
        page.click("#live-start")
        page.wait_for_selector("#live-now[data-phase=on]")
        context.close()
