"""A reviewer labels recordings on the page; the other commands read what is saved."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from page_visitor import ROOT, launched, missing, visiting
from serein.corpora.segments import read_segments
from test_cli import run

playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed: pip install playwright"
)
WHY_NOT = missing()
pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))
GERMAN = ROOT / "samples" / "espeak-german.flac"
KEYS = {"anger": "1", "sadness": "6"}  # among the model's, in alphabetical order


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with launched(playwright, GERMAN) as opened:
        yield opened


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """Two speakers with a recording for each of two emotions, without labels."""
    folder = tmp_path / "mine"
    folder.mkdir()
    rows = ["file,speaker"]
    for speaker, voice in {"ann": "english-fast-high", "ben": "german"}.items():
        sound, rate = soundfile.read(ROOT / "samples" / f"espeak-{voice}.flac")
        for emotion, part in zip(KEYS, np.array_split(sound, 2), strict=True):
            soundfile.write(folder / f"{speaker}-{emotion}.wav", part, rate)
            rows.append(f"{speaker}-{emotion}.wav,{speaker}")
    (folder / "who.csv").write_text("\n".join(rows))
    return tmp_path


def test_what_is_labelled_by_keys_is_read_as_labels(browser: Any, service: Any, mine: Path) -> None:
    with visiting(browser, service.url) as visitor:
        page = visitor.page
        visitor.drop(mine / "mine")
        page.wait_for_selector("#batch-progress:text-is('4 of 4 done')")
        page.click("#heads button:has-text('Recording')")
        page.click("#list .job:first-child button.entry")
        for name in sorted(file.name for file in (mine / "mine").glob("*.wav")):
            visitor.wait_opened(name)
            page.keyboard.press(KEYS[name[4:-4]])
            page.keyboard.press("n")
        page.select_option("#find-state", "unreviewed")
        assert page.is_visible("#none-found")
        page.click("#filter-clear")
        page.click("#batch-export")
        labels = visitor.saved("#save-labels", mine)
        assert page.is_disabled("#save-segment-labels")
    rows = list(csv.DictReader(labels.read_text(encoding="utf-8-sig").splitlines()))
    assert [(row["speaker"], row["emotion"]) for row in rows] == [
        tuple(Path(row["file"]).stem.split("-")) for row in rows
    ]
    _is_read_by_the_commands(labels, mine)


def _is_read_by_the_commands(labels: Path, folder: Path) -> None:
    text = run("corpus", labels, folder).stdout
    assert "4" in text.splitlines()[0]
    told = run("personalise", "--labels", labels, "--out", folder / "moved").stdout
    assert told.endswith("from 4 recordings of 2 labels\n")
    rows = csv.DictReader(labels.read_text(encoding="utf-8-sig").splitlines())
    pitched = [f"{row['file']},{int(row['emotion'] == 'anger')}" for row in rows]
    (folder / "pitch.csv").write_text("\n".join(("file,pitch", *pitched)))
    recipe = folder / "mine.toml"
    recipe.write_text(
        f'name = "mine"\n[data]\ncorpora = ["{labels.name}"]\nfolder = "."\n'
        '[features]\ntable = "pitch.csv"\n[model]\nname = "ridge"\n'
        "[protocol]\ncalibration_folds = 0\n"
    )
    assert "4 clips, 2 speakers" in run("evaluate", recipe).stdout


def test_segments_and_notes_are_corrected_and_taken_back(
    browser: Any, service: Any, tmp_path: Path
) -> None:
    with visiting(browser, service.url) as visitor:
        page = visitor.page
        visitor.give(GERMAN)
        visitor.wait_opened(GERMAN.name)
        visitor.wait_drawn()
        page.select_option("#review-speed", "2")
        page.check("#review-segment")
        page.click("#review-emotions button[value=fear]")
        page.wait_for_selector("#review-emotions button[value=fear][aria-pressed=true]")
        segment = visitor.text("#review-corrected li")
        assert segment.startswith("Segment 0:00.0 – ")
        assert segment.endswith(": fear")
        page.check("#review-whole")
        page.select_option("#review-other", "boredom")
        page.fill("#review-note", "tired, 3 of 5")
        page.keyboard.press("Enter")
        page.fill("#review-speaker", "ann")
        page.keyboard.press("Tab")
        assert "✓ boredom (predicted: " in visitor.text("#list .col-emotion")
        page.keyboard.press("l")
        page.wait_for_selector("#play[data-playing=true]")
        page.click("#batch-export")
        segments = visitor.saved("#save-segment-labels", tmp_path)
        assert visitor.violations() == []
        found, _ = read_segments(segments)
        assert [(one.file, one.emotion, one.speaker) for one in found] == [
            (GERMAN.name, "fear", "ann")
        ]
        page.keyboard.press("Escape")
        for _ in range(4):
            page.keyboard.press("Control+z")
        assert "boredom" not in visitor.text("#list .col-emotion")
        assert page.is_disabled("#review-undo")
        assert page.input_value("#review-note") == ""
        assert page.locator("#review-corrected li").count() == 0
