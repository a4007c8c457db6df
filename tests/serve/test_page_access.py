"""The page for everybody: two languages, light and dark, phones, keyboards, screen readers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from page_visitor import ROOT, launched, missing, spoken, visiting

playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed: pip install playwright"
)
WHY_NOT = missing()
pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))
VOICES = ROOT / "samples" / "espeak-german-two-voices-with-pause.flac"
UNTRANSLATED = r"""() => [...document.querySelectorAll("body *")]
    .filter((e) => e.checkVisibility() && !e.children.length && e.tagName !== "OPTION")
    .filter((e) => !e.closest("#model-facts, #opened-name, #list, #language, [lang=en]"))
    .map((e) => e.textContent.trim() + " " + (e.getAttribute("aria-label") ?? ""))
    .filter((text) => /[a-z]{4,}/i.test(text) && !/[\u4e00-\u9fff]/.test(text))
    .filter((text) => !/^(serein|JSON) *$/.test(text))"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    file = tmp_path_factory.mktemp("access") / "microphone.wav"
    sound = spoken(file, "espeak-german")
    with launched(playwright, sound) as opened:
        yield opened


def open_voices(visitor: Any) -> None:
    visitor.give(VOICES)
    visitor.wait_opened(VOICES.name)
    visitor.wait_drawn()


@pytest.mark.parametrize(
    ("width", "theme", "language"),
    [
        (390, "light", "zh-CN"),
        (390, "dark", "en-US"),
        (1280, "light", "en-US"),
        (1280, "dark", "zh-CN"),
    ],
)
def test_every_view_fits_and_is_accessible(
    browser: Any, service: Any, width: int, theme: str, language: str
) -> None:
    options = {"color_scheme": theme, "locale": language}
    with visiting(browser, service.url, width=width, **options) as visitor:
        page = visitor.page
        assert page.get_attribute("html", "data-theme") == theme
        assert visitor.violations() == []
        assert visitor.too_wide() <= 0
        open_voices(visitor)
        page.click("#model-facts summary")
        assert visitor.violations() == []
        assert visitor.too_wide() <= 0
        page.click("#about-more")
        assert visitor.violations() == []
        page.keyboard.press("Escape")
        page.click("#record")
        assert visitor.violations() == []
        assert visitor.too_wide() <= 0


def test_everything_is_in_chinese_and_stays_so(browser: Any, service: Any) -> None:
    with visiting(browser, service.url) as visitor:
        page = visitor.page
        assert page.get_attribute("html", "lang") == "en"
        page.click("#language")
        assert page.get_attribute("html", "lang") == "zh-Hans"
        open_voices(visitor)
        assert visitor.text("#prediction-emotion") in "中性快乐悲伤愤怒恐惧厌恶惊讶"
        assert page.evaluate(UNTRANSLATED) == []
        page.click("#record")
        assert page.evaluate(UNTRANSLATED) == []
        page.reload()
        assert visitor.text("#headline") == page.evaluate("document.title").split("：")[1].replace(
            "听者会从声音里听出什么", "听者会听出什么情绪？"
        )
        page.click("#language")
        assert visitor.text("#headline") == "What would a listener hear?"


def test_the_theme_can_be_chosen_and_stays(browser: Any, service: Any) -> None:
    with visiting(browser, service.url, color_scheme="light") as visitor:
        light = visitor.colour("#headline")
        visitor.page.click("#theme")
        dark = visitor.colour("#headline")
        assert dark != light
        visitor.page.reload()
        assert visitor.colour("#headline") == dark


def test_everything_can_be_done_by_keyboard(browser: Any, service: Any) -> None:
    with visiting(browser, service.url) as visitor:
        page = visitor.page
        walk = []
        for _ in range(10):
            page.keyboard.press("Tab")
            walk.append(visitor.focused())
        assert all(stop["seen"] for stop in walk), walk
        assert [stop["id"] for stop in walk[1:]][:8] == [
            *("language", "theme", "about-open", "choose", "record", "about-more", "model"),
            "",  # the scores of the model
        ]
        open_voices(visitor)
        page.focus("#position")
        for key, second in (("Right", 1), ("Right", 2), ("Left", 1), ("Right", 2)):
            page.keyboard.press(f"Arrow{key}")
            assert page.get_attribute("#position", "aria-valuenow") == f"{second}.0"
            assert visitor.text("#clock").startswith(f"0:0{second}.0")
        page.keyboard.press("Home")
        assert float(page.get_attribute("#position", "aria-valuenow")) == 0
        page.keyboard.press(" ")
        page.wait_for_selector("#play[data-playing=true]")
        page.keyboard.press(" ")
        page.wait_for_selector("#play[data-playing=false]")
        page.focus("#legend button")
        page.keyboard.press("Enter")
        assert page.get_attribute("#legend button:focus", "aria-pressed") == "false"
        page.focus("#segments tbody button")
        page.keyboard.press("Enter")
        page.wait_for_selector("#play[data-playing=true]")
        page.focus("#about-open")
        page.keyboard.press("Enter")
        assert page.is_visible("#about")
        page.keyboard.press("Escape")
        assert visitor.focused()["id"] == "about-open"


def test_views_say_in_words_what_they_show(browser: Any, service: Any) -> None:
    with visiting(browser, service.url) as visitor:
        open_voices(visitor)
        page = visitor.page
        assert "valence" in page.get_attribute("#affect", "aria-label")
        assert page.get_attribute("#curves", "aria-label")
        assert " of 0:" in page.get_attribute("#position", "aria-valuetext")
        page.wait_for_selector(
            "#batch-say:text-matches('^1 of 1 done. .*flac: [a-z ?()]+$')", state="attached"
        )
        assert page.locator("table:not(:has(caption))").count() == 0
        assert page.locator("th:not([scope])").count() == 0


def test_movement_is_left_out_where_it_is_not_wanted(browser: Any, service: Any) -> None:
    with visiting(browser, service.url, reduced_motion="reduce") as visitor:
        open_voices(visitor)
        moves = visitor.page.eval_on_selector(
            "#affect-dot", "(e) => getComputedStyle(e).transitionProperty"
        )
        assert moves == "none"
