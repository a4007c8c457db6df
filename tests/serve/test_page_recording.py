"""One recording on the page: what is in view, and what pointer and keys do with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import serein
from page_visitor import RATE_HZ, answering, launched, made_prediction, missing, spoken, visiting
from serein.defaults import PAGE_UNSURE_BELOW

playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed: pip install playwright"
)
WHY_NOT = missing()
pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))
LONG_S = 64
STEP_S = 0.5
NAMES = ("anger", "fear", "sadness")
REGION = "#wave [part~=region]"
SLIDE = """(slider, to) => { slider.value = to; slider.dispatchEvent(new Event("input")); }"""


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Soft noise, whose predictions are made up."""
    file = tmp_path_factory.mktemp("recording") / "long.flac"
    noise = np.random.default_rng(0).normal(scale=300, size=LONG_S * 8000)
    soundfile.write(file, noise.astype(np.int16), 8000)
    return file


@pytest.fixture(scope="module")
def browser(quiet: Path) -> Iterator[Any]:
    with launched(playwright, quiet) as opened:
        yield opened


def said(start: float, end: float, emotion: str | None, confidence: float = 0.7) -> dict[str, Any]:
    (template,) = made_prediction()["timeline"]
    rest = (1 - confidence) / (len(NAMES) - 1)
    probabilities = {name: confidence if name == emotion else rest for name in NAMES}
    spoken = {"confidence": confidence, "probabilities": probabilities, "speech": True}
    silent = {"confidence": None, "probabilities": {}, "speech": False, "valence": None}
    values = silent | {"arousal": None} if emotion is None else spoken
    return template | {"start": start, "end": end, "emotion": emotion} | values


def changing() -> dict[str, Any]:
    """Another emotion every half second: more segments than a picture can hold."""
    count = int(LONG_S / STEP_S)
    timeline = [said(at * STEP_S, (at + 1) * STEP_S, NAMES[at % len(NAMES)]) for at in range(count)]
    return made_prediction(duration=float(LONG_S), timeline=timeline)


def open_made(visitor: Any, file: Path, prediction: dict[str, Any]) -> None:
    visitor.page.route("**/v1/predict?*", answering({"json": prediction}))
    visitor.give(file)
    visitor.wait_opened(file.name)
    visitor.wait_drawn()


def position(visitor: Any) -> float:
    return float(visitor.page.get_attribute("#position", "aria-valuenow"))


def test_the_stripe_names_the_segments_in_view_whatever_their_number(
    browser: Any, service: Any, quiet: Path
) -> None:
    with visiting(browser, service.url) as visitor:
        open_made(visitor, quiet, changing())
        assert visitor.page.locator(REGION).count() <= 80
        visitor.page.eval_on_selector("#zoom", SLIDE, 1)
        visitor.page.wait_for_selector(f"{REGION}[title]", state="attached")
        titles = visitor.page.eval_on_selector_all(REGION, "(all) => all.map((e) => e.title)")
        assert titles[:3] == [
            *("0:00.0 – 0:00.5  anger", "0:00.5 – 0:01.0  fear", "0:01.0 – 0:01.5  sadness")
        ]
        visitor.page.focus("#position")
        visitor.page.keyboard.press("End")  # which the view follows
        visitor.page.wait_for_selector(f"{REGION}[title^='1:03']", state="attached")
        assert visitor.page.locator(f"{REGION}[title^='0:00']").count() == 0


def test_a_click_seeks_a_double_click_plays_the_segment_and_a_drag_repeats_a_part(
    browser: Any, service: Any, quiet: Path
) -> None:
    with visiting(browser, service.url) as visitor:
        open_made(visitor, quiet, changing())
        for picture in ("#wave", "#curves"):
            visitor.page.mouse.click(*visitor.pointer_at(picture, 0.25))
            visitor.wait_at(lambda now: now == pytest.approx(LONG_S / 4, abs=0.5))
            assert visitor.page.get_attribute("#play", "data-playing") == "false"
            visitor.page.mouse.dblclick(*visitor.pointer_at(picture, 0.5003))
            visitor.page.wait_for_selector("#play[data-playing=true]")
            visitor.page.wait_for_selector("#play[data-playing=false]")
            assert position(visitor) == pytest.approx(LONG_S / 2 + STEP_S, abs=0.3)
        visitor.page.eval_on_selector("#zoom", SLIDE, 1)
        visitor.page.wait_for_selector(f"{REGION}[title^='0:32']", state="attached")
        visitor.pointer_at("#curves", 0.3)
        visitor.page.mouse.down()
        visitor.pointer_at("#curves", 0.36, steps=4)
        visitor.page.mouse.up()
        visitor.page.wait_for_selector("#wave [part~=selection]", state="attached")
        visitor.page.wait_for_timeout(700)  # longer than the part is
        assert visitor.page.get_attribute("#play", "data-playing") == "true"
        visitor.page.focus("#position")
        visitor.page.keyboard.press("Escape")
        visitor.page.wait_for_selector("#wave [part~=selection]", state="detached")


def test_a_recording_opens_again_where_it_was_left(browser: Any, service: Any, quiet: Path) -> None:
    with visiting(browser, service.url) as visitor:
        open_made(visitor, quiet, changing())
        visitor.page.focus("#position")
        visitor.page.keyboard.press("PageUp")
        visitor.wait_at(lambda now: now == 10)
        visitor.page.route("**/v1/predict?*", answering({"json": made_prediction()}))
        visitor.page.uncheck("#emotions input[value=anger]")
        visitor.page.click("#run-again")
        visitor.page.wait_for_selector("#segments tbody tr:only-child")
        assert position(visitor) == 10


@pytest.fixture(scope="module")
def call(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One voice on the left, then another on the right."""
    folder = tmp_path_factory.mktemp("call")
    voices = [
        soundfile.read(spoken(folder / f"{name}.wav", f"espeak-{name}"))[0]
        for name in ("english-fast-high", "german")
    ]
    left, right = (np.zeros(sum(voice.size for voice in voices)) for _ in voices)
    left[: voices[0].size], right[voices[0].size :] = voices
    file = folder / "call.wav"
    soundfile.write(file, np.stack([left, right], axis=1), RATE_HZ, subtype="PCM_16")
    return file


def test_channels_and_speakers_are_lanes_with_who_spoke_how_long_and_how(
    browser: Any, service: Any, call: Path, tmp_path: Path
) -> None:
    recognizer = serein.load(unsure_below=PAGE_UNSURE_BELOW)
    expected = recognizer.predict(call, channels="each", segments="utterances")
    spoken_s = [
        sum(one.end - one.start for one in expected.timeline if one.channel == lane.channel)
        for lane in expected.lanes
    ]
    with visiting(browser, service.url) as visitor:
        visitor.give(call)
        visitor.wait_opened(call.name)
        visitor.wait_drawn()
        assert "2 channels" in visitor.text("#opened-facts")
        visitor.page.click("#split-channels")
        visitor.page.wait_for_selector("#lanes:not([hidden])")
        lanes = visitor.page.locator("#lanes p").all_inner_texts()
        for side, lane, text, seconds in zip(
            ("left", "right"), expected.lanes, lanes, spoken_s, strict=True
        ):
            assert text.startswith(side)
            assert f"speaks 0:0{seconds:.1f}" in text
            assert (lane.likeliest or "") in text
        visitor.page.click("#lanes button:text-is('right')")
        assert visitor.page.get_attribute("#lanes button:focus", "aria-pressed") == "true"
        visitor.page.check("#review-segment")
        visitor.page.click("#review-emotions button[value=fear]")
        assert visitor.text("#review-corrected li").endswith(", right: fear")
        assert visitor.text("#prediction-lead").startswith("right: ")
        assert visitor.text("#prediction-emotion").casefold() == expected.lanes[1].likeliest
        rows = visitor.page.locator("#segments tbody tr").all_inner_texts()
        assert [row.split("\t")[1] for row in rows] == [
            ("left", "right")[(one.channel or 0) - 1] for one in expected.timeline
        ]
        saved = visitor.saved("#save-csv", tmp_path).read_text(encoding="utf-8-sig")
        assert saved.startswith("file,start_s,end_s,channel,speaker,")
        assert visitor.violations() == []
        visitor.page.select_option("#channels", "mix")
        visitor.page.select_option("#speakers", "2")
        visitor.page.click("#run-again")
        visitor.page.wait_for_selector("#lanes button:text-is('speaker 2')")


def test_of_a_long_recording_the_share_of_time_of_each_emotion_comes_first(
    browser: Any, service: Any, quiet: Path
) -> None:
    with visiting(browser, service.url) as visitor:
        open_made(visitor, quiet, changing())
        assert visitor.text("#prediction-emotion") == "Mixed"
        assert visitor.text("#prediction-sure") == "anger 34 % · fear 34 % · sadness 33 %"
        assert "fear is the most probable, with confidence 0.70" in visitor.text("#prediction-note")
        visitor.page.eval_on_selector("#least", SLIDE, 1)
        visitor.page.wait_for_selector("#segments tbody tr:only-child")
        assert visitor.text("#prediction-emotion") == "Mostly fear"
        visitor.page.eval_on_selector("#least", SLIDE, 0)
        visitor.page.focus("#smooth")
        visitor.page.keyboard.press("ArrowRight")
        visitor.page.keyboard.press("ArrowRight")
        visitor.page.keyboard.press("ArrowRight")
        visitor.page.wait_for_selector("#smooth-value:text-is('1.5 s')")
        visitor.page.wait_for_selector("#segments tbody td:text-is('0.33')")


def test_confidence_says_for_which_voices_it_was_measured(
    browser: Any, service: Any, quiet: Path
) -> None:
    manifest = serein.load().manifest
    bins = manifest["reliability"]["unseen corpora"]
    right = min(bins, key=lambda one: abs(one["confidence"] - 0.7))["right"]
    short = made_prediction(duration=2.0, timeline=[said(0, 2, "fear", 0.6)])
    with visiting(browser, service.url) as visitor:
        open_made(visitor, quiet, short)
        note = visitor.text("#prediction-note")
        assert "unseen speakers of German, English, English (India), and Polish" in note
        assert f"{right:.0%}".replace("%", " %") in note
        assert "such as Chinese, it has not been measured" in note
        assert visitor.text("#segments tbody tr").split("\t")[2] == "0.70"  # as of the whole
        visitor.page.click("#language")
        assert "尚未评测" in visitor.text("#prediction-note")


def test_space_and_arrows_hold_everywhere_and_the_playing_row_stays_in_view(
    browser: Any, service: Any, quiet: Path
) -> None:
    with visiting(browser, service.url) as visitor:
        open_made(visitor, quiet, changing())
        page = visitor.page
        page.click("#prediction-note")  # which takes no focus
        page.keyboard.press("ArrowRight")
        visitor.wait_at(lambda now: now == 1)
        curves = page.locator("#curves")
        curves.click(position={"x": 0.9 * curves.bounding_box()["width"], "y": 40})
        visitor.wait_at(lambda now: now > 50)
        page.keyboard.press(" ")
        page.wait_for_selector("#play[data-playing=true]")
        visitor.wait_at(lambda now: now > 58)
        page.keyboard.press(" ")
        page.wait_for_selector("#play[data-playing=false]")
        row = page.locator("#segments tr[aria-current=true]").bounding_box()
        table = page.locator("#segments").bounding_box()
        assert table["y"] <= row["y"] <= table["y"] + table["height"] - row["height"] + 1
        page.fill("#review-note", "two words")
        page.keyboard.press(" ")
        assert page.input_value("#review-note") == "two words "
        assert page.get_attribute("#play", "data-playing") == "false"


def test_pictures_and_paper_are_light_and_nothing_is_cut(
    browser: Any, service: Any, quiet: Path, tmp_path: Path
) -> None:
    with visiting(browser, service.url, color_scheme="dark") as visitor:
        open_made(visitor, quiet, changing())
        page = visitor.page
        saved = visitor.saved("#save-png", tmp_path)
        picture = pytest.importorskip("PIL.Image").open(saved).convert("RGB")
        assert picture.getpixel((2, 2)) == (255, 255, 255)
        page.evaluate(
            "addEventListener('beforeprint', () => {"
            " window.paper = getComputedStyle(document.documentElement).colorScheme })"
        )
        page.pdf()
        assert page.evaluate("window.paper") == "light"
        assert page.get_attribute("html", "data-theme") == "dark"
        hertz = page.locator("#hertz span").all_inner_texts()
        assert hertz == [f"{khz}000 Hz" for khz in range(1, 6)]
        page.click("#model-facts summary")
        wide = "(e) => [e.scrollWidth, e.clientWidth]"
        scrolled, seen = page.eval_on_selector("#model-facts .scroll", wide)
        assert scrolled <= seen
