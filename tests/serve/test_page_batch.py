"""Many recordings on the page: a table that is sorted, filtered, searched, and summed up."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from page_visitor import ROOT, launched, missing, visiting

playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed: pip install playwright"
)
WHY_NOT = missing()
pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))
SAMPLES = ROOT / "samples"
SLOW, FAST = (SAMPLES / f"espeak-english-{name}.flac" for name in ("slow-low", "fast-high"))
GERMAN, SILENCE = SAMPLES / "espeak-german.flac", SAMPLES / "silence.flac"
NAMES = "#list .col-name"


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
        assert names(visitor) == found
    assert page.is_visible("#none-found")
    page.fill("#find", "")
    page.fill("#find-length-most", "2.5")
    assert {*names(visitor)} == {FAST.name, SILENCE.name}
    page.fill("#find-confidence-least", "0.1")
    assert names(visitor) == [FAST.name]
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
