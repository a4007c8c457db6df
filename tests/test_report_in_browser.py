"""The report as a person sees it: laid out by Chromium on a desk and on a phone, and printed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from made_results import write_full, write_plain
from serein.evaluation.report.report import write_report
from serein.evaluation.report.side_by_side import side_by_side, write_comparison
from serein.evaluation.result_file import read_record

playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed: pip install playwright"
)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium: apt-get install --no-install-recommends chromium"
)
OPTIONS = [
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--no-first-run"),
]
PAGES = ("full", "plain", "stress", "compare")
BOXES = ".card, .box, figure, table, .scroll, .tiles > div, nav li, .two > *, .summary > *, h2, p"
OVERLAPPING = """(boxes) => {
    const found = [], name = (e) => `${e.tagName}.${e.className} ${e.textContent.slice(0, 30)}`;
    const all = [...document.querySelectorAll(boxes)].filter((e) => e.getClientRects().length);
    for (const one of all) for (const other of all) {
        if (one === other || one.parentElement !== other.parentElement) continue;
        const a = one.getBoundingClientRect(), b = other.getBoundingClientRect();
        const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
        const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
        if (across > 1 && down > 1) found.push(`${name(one)} and ${name(other)}`);
    }
    return found;
}"""
CUT = """() => {
    const found = [];
    for (const e of document.querySelectorAll("body, body *")) {
        const inside = e.parentElement && e.parentElement.closest(".scroll, svg");
        if (inside || e.matches("svg, .scroll") || !e.getClientRects().length) continue;
        const card = e.closest(".card, .box") || document.body;
        const a = e.getBoundingClientRect(), b = card.getBoundingClientRect();
        const wide = e.clientWidth > 0 && e.scrollWidth > e.clientWidth + 1;
        if (wide || a.right > b.right + 1 || a.left < b.left - 1)
            found.push(`${e.tagName}.${e.className} ${e.textContent.slice(0, 40)}`);
    }
    return found;
}"""
CELLS = """() => [...document.querySelectorAll("th, td")]
    .filter((e) => e.getClientRects().length && e.scrollWidth > e.clientWidth + 1)
    .map((e) => e.textContent)"""

OUTSIDE = """() => [...document.querySelectorAll("figure svg")].filter((e) => {
    const box = e.getBBox(), view = e.viewBox.baseVal;
    return box.x < -0.5 || box.y < -0.5 || box.x + box.width > view.width + 0.5 ||
        box.y + box.height > view.height + 0.5;
}).map((e) => e.getAttribute("aria-label"))"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Address of each page."""
    folder = tmp_path_factory.mktemp("pages")
    full, plain = (
        write_full(folder / "full"),
        write_plain(folder / "plain"),
    )
    (folder / "stress").mkdir()
    shutil.copy(full / "stress.json", folder / "stress")
    records = [read_record(place) for place in (full, plain, full)]
    files = [
        write_report(folder / name, lang="zh" if name == "plain" else "en") for name in PAGES[:3]
    ]
    files.append(write_comparison(side_by_side(records), folder / "compare.html"))
    return {name: file.as_uri() for name, file in zip(PAGES, files, strict=True)}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield opened
        opened.close()


@pytest.fixture(params=[1280, 390])
def seen(request: pytest.FixtureRequest, browser: Any, pages: dict[str, str], name: str) -> Any:
    """A page at a width, with what it said and asked for."""
    page = browser.new_page(viewport={"width": request.param, "height": 900})
    page.told, page.asked = [], []
    page.on("console", lambda message: page.told.append(message.text))
    page.on("pageerror", lambda error: page.told.append(str(error)))
    page.on("request", lambda asked: page.asked.append(asked.url))
    page.goto(pages[name])
    yield page
    page.close()


@pytest.mark.parametrize("name", PAGES)
def test_nothing_overlaps_and_nothing_is_cut(seen: Any, pages: dict[str, str], name: str) -> None:
    wide = seen.viewport_size["width"]
    assert seen.evaluate("document.scrollingElement.scrollWidth") <= wide
    seen.evaluate("document.querySelectorAll('details').forEach((e) => (e.open = true))")
    assert seen.evaluate("document.scrollingElement.scrollWidth") <= wide
    assert seen.evaluate(OVERLAPPING, BOXES) == []
    assert seen.evaluate(CUT) == []
    assert seen.evaluate(CELLS) == []
    assert seen.evaluate(OUTSIDE) == []
    assert seen.told == []
    assert seen.asked == [pages[name]]


@pytest.mark.parametrize("name", ["full"])
def test_figures_fill_their_cards_and_can_be_read(seen: Any) -> None:
    widths = seen.evaluate(
        "[...document.querySelectorAll('figure svg')].map((e) => e.getBoundingClientRect().width)"
    )
    assert len(widths) == 8
    assert min(widths) * 8 / 72 * 96 / 400 >= 9  # px of letters of 8 points


@pytest.mark.parametrize("name", ["full"])
def test_cards_stand_side_by_side_where_there_is_room(seen: Any) -> None:
    first, second = (
        seen.locator(f"#{name}").bounding_box() for name in ("confusion", "roc")
    )  # fmt: skip
    beside = first["y"] == second["y"]
    assert beside == (seen.viewport_size["width"] == 1280)


def test_on_paper_all_is_open_and_nothing_scrolls(browser: Any, pages: dict[str, str]) -> None:
    page = browser.new_page(viewport={"width": 700, "height": 1000})
    page.emulate_media(media="print")
    page.goto(pages["full"])
    shown = page.evaluate(
        "[...document.querySelectorAll('details:not(.screen) table, details pre')]"
        ".map((e) => e.checkVisibility({contentVisibilityAuto: true}) && e.offsetHeight > 20)"
    )
    assert len(shown) == 3  # choices, speakers as groups, recipe
    assert all(shown)
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 700
    assert page.evaluate(OVERLAPPING, BOXES) == []
    assert page.pdf(format="A4")[:5] == b"%PDF-"
    page.close()


@pytest.mark.parametrize("name", ["plain"])
@pytest.mark.parametrize(
    ("style", "check"),
    [
        (".card { margin-bottom: -60px }", OVERLAPPING),
        (".big { white-space: nowrap; width: 40px }", CUT),
        (".note { margin-left: -40px }", CUT),
        ("td { max-width: 0; overflow: hidden }", CELLS),
    ],
)
def test_a_page_that_is_not_right_is_noticed(seen: Any, style: str, check: str) -> None:
    seen.add_style_tag(content=style)
    assert seen.evaluate(check, BOXES) != []
