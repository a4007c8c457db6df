"""The live view of the page: the microphone goes in, emotions and utterances come out."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import soundfile

from page_visitor import launched, missing, spoken, visiting

playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed: pip install playwright"
)
WHY_NOT = missing()
pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))
KNOWN = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
HEARD = "#live-now[data-phase=on] #live-emotion:not(.waiting)"
WITHOUT = """(name) => { navigator.mediaDevices.getUserMedia = () =>
    Promise.reject(new DOMException("as a browser does", name)); }"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    file = tmp_path_factory.mktemp("live") / "microphone.wav"
    names = ("espeak-english-fast-high", "espeak-german")
    with launched(playwright, spoken(file, *names)) as opened:
        yield opened


def best_guess(shown: str) -> str:
    """Take the emotion out of `unsure (anger?)`."""
    return shown.casefold().removeprefix("unsure (").removesuffix("?)")


def listen(visitor: Any) -> None:
    visitor.page.click("#record")
    visitor.page.click("#live-start")


def test_a_live_stream_is_predicted_and_kept_as_a_recording(
    browser: Any, service: Any, tmp_path: Path
) -> None:
    with visiting(browser, service.url) as visitor:
        listen(visitor)
        visitor.page.wait_for_selector(HEARD)
        assert best_guess(visitor.text("#live-emotion")) in KNOWN
        assert " · confidence " in visitor.text("#live-sure")
        assert "unseen speakers of German" in visitor.text("#live-measured")
        visitor.page.wait_for_selector("#utterances tbody tr")
        cells = visitor.page.locator("#utterances tbody td").all_inner_texts()
        assert best_guess(cells[0]) in KNOWN
        assert visitor.violations() == []
        visitor.page.click("#live-stop")
        visitor.page.wait_for_selector("#live-now[data-phase=stopped]")
        visitor.page.click("#live-open")
        visitor.page.wait_for_selector("#opened:not([hidden])")
        visitor.wait_drawn()
        assert visitor.text("#opened-name").startswith("Recording ")
        file = visitor.saved("#save-csv", tmp_path)
    segments = list(csv.DictReader(file.read_text(encoding="utf-8-sig").splitlines()))
    assert float(segments[-1]["end_s"]) > 2
    assert any(row["emotion"] in (*KNOWN, "unsure") for row in segments)


def test_what_is_too_long_to_be_sent_is_saved_as_the_stream_told_it(
    browser: Any, service: Any, tmp_path: Path
) -> None:
    with visiting(browser, service.url) as visitor:
        page = visitor.page
        short = page.request.get(f"{service.url}/v1/limits").json() | {"max_seconds": 1.0}
        page.route("**/v1/limits", lambda route: route.fulfill(json=short))
        visitor.arrive()
        listen(visitor)
        page.wait_for_selector("#utterances tbody tr:nth-child(2)")
        assert page.locator("#live-legend button").count() == len(KNOWN)
        page.click("#live-stop")
        page.wait_for_selector("#live-now[data-phase=stopped]")
        assert "Stopped" in visitor.text("#live-known")
        assert best_guess(visitor.text("#live-emotion")) in KNOWN  # of the last utterance
        times = page.eval_on_selector_all(
            "#utterances tbody tr", "(all) => all.map((row) => Number(row.dataset.start))"
        )
        assert times == sorted(times, reverse=True)
        assert visitor.text("#live-summary").startswith(f"{len(times)} utterances, 0:")
        assert page.is_visible("#live-too-long")
        assert not page.is_visible("#live-open")
        sound = soundfile.info(visitor.saved("#live-wav", tmp_path))
        assert (sound.samplerate, sound.channels) == (16_000, 1)
        table = visitor.saved("#live-csv", tmp_path).read_text(encoding="utf-8-sig")
        assert len(list(csv.DictReader(table.splitlines()))) == len(times)
        told = json.loads(visitor.saved("#live-json", tmp_path).read_text())
        assert [one["start"] for one in told["utterances"]] == times[::-1]
        assert told["duration"] == pytest.approx(sound.duration, abs=1e-6)
        grid = visitor.saved("#live-textgrid", tmp_path)
        praat = pytest.importorskip("parselmouth", reason="praat-parselmouth is not installed")
        tiers = praat.praat.call(praat.read(str(grid)), "Get number of tiers")
        assert tiers == 4
        assert visitor.violations() == []
        assert not any("/v1/predict" in asked for asked in visitor.asked)


def test_it_adapts_to_one_speaker_where_asked(browser: Any, service: Any) -> None:
    streams: list[str] = []
    with visiting(browser, service.url) as visitor:
        visitor.page.on("websocket", lambda opened: streams.append(opened.url))
        visitor.page.click("#record")
        visitor.page.check("#adapt")
        visitor.page.click("#live-start")
        visitor.page.wait_for_selector("#live-now[data-phase=on]")
        assert visitor.page.is_disabled("#adapt")
        visitor.page.click("#live-leave")
        assert visitor.focused()["id"] == "record"
    assert "adapt=speaker" in streams[0]


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        ("NotAllowedError", "did not allow the microphone"),
        ("NotFoundError", "No microphone was found"),
        ("NotReadableError", "another program may be using it"),
    ],
)
def test_a_microphone_that_cannot_be_had_is_explained(
    browser: Any, service: Any, failure: str, words: str
) -> None:
    with visiting(browser, service.url) as visitor:
        visitor.page.evaluate(WITHOUT, failure)
        listen(visitor)
        visitor.page.wait_for_selector(f"#live-problem:has-text('{words}')")
        assert visitor.page.is_visible("#live-start")


def test_a_lost_connection_can_be_taken_up_again(browser: Any, service: Any) -> None:
    streams: list[Any] = []

    def between(stream: Any) -> None:
        stream.connect_to_server()
        streams.append(stream)

    with visiting(browser, service.url) as visitor:
        visitor.page.route_web_socket("**/v1/stream?*", between)
        listen(visitor)
        visitor.page.wait_for_selector("#live-now[data-phase=on]")
        streams[0].close(code=1001)
        visitor.page.wait_for_selector("#live-problem:has-text('The connection was lost')")
        assert visitor.page.is_visible("#live-stop")
        visitor.page.click("#live-again")
        visitor.page.wait_for_selector(HEARD)
        assert visitor.text("#live-problem") == ""
        visitor.page.click("#live-stop")
        visitor.page.wait_for_selector("#live-now[data-phase=stopped]")
        visitor.page.wait_for_selector("#list .done")


def test_a_service_that_is_full_says_so(browser: Any, start_with: Any) -> None:
    with (
        start_with(max_streams=1, requests_per_minute=0) as full,
        visiting(browser, full.url) as first,
        visiting(browser, full.url) as second,
    ):
        listen(first)
        first.page.wait_for_selector("#live-now[data-phase=on]")
        listen(second)
        second.page.wait_for_selector("#live-problem:has-text('takes no further live streams')")
        assert second.page.is_visible("#live-again")
        second.ignore_complaints("503")
