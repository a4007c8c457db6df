"""A person at the page: Chromium with a file as its microphone, and what it complains about."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

import serein

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "src" / "serein" / "serve" / "page" / "index.html"
AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
RATE_HZ = 16_000
OPTIONS = [
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--mute-audio"),
    *("--disable-component-update", "--disable-sync", "--no-first-run"),
    *("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"),
]
VIOLATIONS = """async () => (await axe.run(document, {resultTypes: ["violations"]})).violations
    .map(({id, nodes}) => `${id}: ${nodes.map(({target, any}) =>
        target + " " + any.map(({message}) => message)).join("; ")}`)"""
FOCUSED = """() => {
    const e = document.activeElement, ring = getComputedStyle(e);
    return {id: e.id, name: e.id || e.getAttribute("aria-label") || e.textContent.trim(),
        seen: e.checkVisibility() && ring.outlineStyle !== "none" && ring.outlineWidth !== "0px"};
}"""


def missing() -> str | None:
    """Say why the page cannot be tested here, if it cannot."""
    if CHROMIUM is None:
        return "no Chromium: apt-get install --no-install-recommends chromium"
    if not PAGE.is_file() or not AXE.is_file():
        return "the page is not built: make web"
    return None


def least_sure() -> Path:
    """Choose the sample that is least sure, which is below the page's threshold."""
    voices = (ROOT / "samples").glob("espeak-*.flac")
    return min(voices, key=lambda file: serein.load().predict(file).confidence)


def spoken(file: Path, *names: str, pause_s: float = 0.8) -> Path:
    """Write samples one after the other, with pauses, as a WAV."""
    parts = []
    for name in names:
        sound, rate = soundfile.read(ROOT / "samples" / f"{name}.flac")
        parts += [soxr.resample(sound, rate, RATE_HZ), np.zeros(round(pause_s * RATE_HZ))]
    soundfile.write(file, np.concatenate(parts), RATE_HZ, subtype="PCM_16")
    return file


@contextmanager
def launched(playwright: Any, sound: Path) -> Iterator[Any]:
    """Launch Chromium, whose microphone plays a file from its beginning, in a loop."""
    options = [*OPTIONS, f"--use-file-for-fake-audio-capture={sound}"]
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


def made_prediction(**changes: Any) -> dict[str, Any]:
    """A prediction that no model made."""
    segment = {
        **{"start": 0.0, "end": 1.0, "speech": True, "emotion": "fear", "emotion_zh": "恐惧"},
        **{"confidence": 0.7, "probabilities": {"fear": 0.7, "anger": 0.3}},
        **{"valence": -0.67, "arousal": 0.73},
    }
    whole = {key: value for key, value in segment.items() if key not in {"start", "end"}}
    return (
        {"file": "x", "model": "multi", "duration": 1.0, "utterances_known": 0}
        | whole
        | {"timeline": [segment]}
        | changes
    )


def answering(*replies: dict[str, Any]) -> Callable[[Any], None]:
    """Answer the first requests in place of the service; let it answer the others."""
    left = list(replies)

    def answer(route: Any) -> None:
        if left:
            route.fulfill(**left.pop(0))
        else:
            route.continue_()

    return answer


class Visitor:
    """One person with one tab.

    Attributes
    ----------
    complaints : list of str
        What the browser complained about: errors, warnings, violations of the policy.
    asked : list of str
        Addresses that the page asked for.
    """

    def __init__(self, page: Any, url: str) -> None:
        self.page, self.url = page, url
        self.complaints: list[str] = []
        self.asked: list[str] = []
        page.set_default_timeout(15_000)
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda asked: self.asked.append(asked.url))

    def _hear(self, message: Any) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(f"{message.text} {message.location}")

    def ignore_complaints(self, *expected: str) -> None:
        """Drop complaints that hold one of these texts."""
        self.complaints = [
            text for text in self.complaints if not any(part in text for part in expected)
        ]

    def arrive(self) -> None:
        self.page.goto(self.url)
        self.page.wait_for_selector("#model option", state="attached")

    def give(self, *files: Path | dict[str, Any]) -> None:
        self.page.set_input_files("#files", list(files))

    def drop(self, *paths: Path) -> None:
        """Drag files or folders onto the page, and let go, as Chromium hears it from a desktop."""
        devtools = self.page.context.new_cdp_session(self.page)
        data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            given = {"type": kind, "x": 200, "y": 200, "data": data}
            devtools.send("Input.dispatchDragEvent", given)

    def wait_opened(self, name: str) -> None:
        self.page.wait_for_selector(f"#opened:not([hidden]) #opened-name:text-is('{name}')")

    def wait_drawn(self) -> None:
        """Wait until the sound is drawn: its regions come last."""
        self.page.wait_for_selector("#wave [part~=region]", state="attached")

    def wait_at(self, near: Callable[[float], bool]) -> None:
        """Wait until the position is so; the page's policy forbids scripts that would wait."""
        for _ in range(500):
            if near(float(self.page.get_attribute("#position", "aria-valuenow"))):
                return
            self.page.wait_for_timeout(20)
        raise AssertionError(self.page.get_attribute("#position", "aria-valuenow"))

    def pointer_at(self, picture: str, share: float, *, steps: int = 1) -> tuple[float, float]:
        """Move the pointer over a picture, to a share of its width; return where that is."""
        place = self.page.locator(picture)
        if steps == 1:
            place.hover()  # waits until the page has stopped scrolling
        box = place.bounding_box()
        x, y = box["x"] + share * box["width"], box["y"] + min(40, box["height"] / 2)
        self.page.mouse.move(x, y, steps=steps)
        return x, y

    def text(self, selector: str) -> str:
        return str(self.page.inner_text(selector))

    def saved(self, button: str, folder: Path) -> Path:
        """Press a button that saves a file, and fetch the file."""
        with self.page.expect_download() as waiting:
            self.page.click(button)
        file = folder / waiting.value.suggested_filename
        waiting.value.save_as(file)
        return file

    def violations(self) -> list[str]:
        """What axe finds, of any weight, once all movement is over."""
        self.page.evaluate(AXE.read_text())  # not as a script of the page: its policy forbids that
        self.page.evaluate(
            "Promise.all(document.getAnimations().map((one) => one.finished.catch(() => 0)))"
        )
        return list(self.page.evaluate(VIOLATIONS))

    def too_wide(self) -> float:
        """By how many pixels the page is wider than the window."""
        wide = self.page.evaluate("document.scrollingElement.scrollWidth")
        return float(wide - self.page.viewport_size["width"])

    def focused(self) -> dict[str, Any]:
        return dict(self.page.evaluate(FOCUSED))

    def colour(self, selector: str) -> str:
        return str(self.page.eval_on_selector(selector, "(e) => getComputedStyle(e).color"))


@contextmanager
def visiting(browser: Any, url: str, *, width: int = 1280, **options: Any) -> Iterator[Visitor]:
    """Visit the page; at the end nothing may have been complained of, nor asked of others."""
    given = {"locale": "en-US", "permissions": ["microphone"]} | options
    context = browser.new_context(viewport={"width": width, "height": 900}, **given)
    visitor = Visitor(context.new_page(), url)
    try:
        visitor.arrive()
        yield visitor
    finally:
        context.close()
    own = (url, "blob:", "data:", url.replace("http:", "ws:"))
    assert [asked for asked in visitor.asked if not asked.startswith(own)] == []
    assert visitor.complaints == []


@contextmanager
def traced(browser: Any, page: Any) -> Iterator[list[float]]:
    """Collect how long each task of the page's own thread takes, in ms of processor time."""
    tasks_ms: list[float] = []
    categories = ["toplevel", "disabled-by-default-devtools.timeline"]
    browser.start_tracing(page=page, categories=categories)
    yield tasks_ms
    events = json.loads(browser.stop_tracing())["traceEvents"]
    named = [event for event in events if event["name"] == "thread_name"]
    main = {
        (event["pid"], event["tid"]) for event in named if event["args"]["name"] == "CrRendererMain"
    }
    tasks_ms += [
        event["tdur"] / 1000
        for event in events
        if event["name"].endswith("RunTask") and (event["pid"], event["tid"]) in main
        if "tdur" in event
    ]
