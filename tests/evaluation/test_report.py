"""report.html: everything asked for is on it, from raw data, escaped, and nothing is fetched."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest

from made_results import document_of, made_result, scores_of, write_full, write_plain, write_stress
from serein.errors import MissingExtraError, ProtocolError
from serein.evaluation.report import svg
from serein.evaluation.report.paper import latex_table
from serein.evaluation.report.report import SECTIONS, render_report, write_report
from serein.evaluation.result import STAMP
from serein.evaluation.result_file import read_record, write_record

STYLE = Path(svg.__file__).with_name("templates") / "style.css"
EVIL = '<script>alert("{}")</script><!-- \'$'
VOID = {"meta", "link", "br", "img", "input", "hr"}


class Page(HTMLParser):
    """What a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    def all(self, name: str) -> list[str]:
        return [attributes[name] or "" for _, attributes in self.tags if name in attributes]


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_full(tmp_path_factory.mktemp("full"))


@pytest.fixture(scope="module")
def html(full: Path) -> str:
    return write_report(full).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    return write_plain(tmp_path / "plain")


def edit(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    file = folder / "result.json"
    document = json.loads(file.read_text())
    change(document)
    file.write_text(json.dumps(document))


def test_every_section_is_there_in_order(page: Page) -> None:
    shown = [name for name in page.all("id") if name in SECTIONS]
    assert shown == list(SECTIONS)
    assert [link.removeprefix("#") for link in page.all("href") if "-" not in link] == shown
    for title in SECTIONS.values():
        assert page.text.count(title) >= 2  # in the contents, and above the section


def test_the_protocol_is_in_the_title_and_so_is_the_stamp(full: Path, page: Page) -> None:
    record = read_record(full)
    title = page.text[: page.text.index("Evaluation")]
    assert title.split() == f"{record.name}: {record.result.protocol} [{STAMP}]".split()
    for leak in record.result.leaks:
        assert leak in page.text
    assert "These scores are optimistic" in page.text


def test_scores_stand_beside_their_intervals(full: Path, page: Page) -> None:
    document = read_record(full).document
    for name in ("uar", "accuracy", "f1_macro", "auc_macro", "expected_calibration_error", "brier"):
        low, high = document[f"{name}_interval_95"]
        assert re.search(rf"{document[name]:.3f}\D{{1,16}}{low:.3f}–{high:.3f}", page.text), name
    for label, entry in document["by_class"].items():
        low, high = entry["recall_interval_95"]
        assert f"{label} {entry['clips']} {entry['recall']:.3f} {low:.3f}–{high:.3f}" in page.text
    for name, entry in document["by_speaker"].items():
        low, high = entry["accuracy_interval_95"]
        row = f"{name} 20 {entry['uar']:.3f} {entry['accuracy']:.3f} {low:.3f}–{high:.3f}"
        assert row in page.text


def test_speakers_come_worst_first(full: Path, page: Page) -> None:
    by_speaker = read_record(full).document["by_speaker"]
    names = re.findall(r"(a speaker with quite a long name \d\d) 20 0", page.text)
    ordered = [by_speaker[name]["accuracy"] for name in names]
    assert len(ordered) == len(by_speaker) == 24
    assert ordered == sorted(ordered)


def test_the_worst_predictions_and_thresholds_come_from_the_raw_predictions(
    full: Path, page: Page
) -> None:
    result = read_record(full).result
    true = result.probabilities[np.arange(len(result.truth)), result.truth]
    row = int(true.argmin())
    prediction = result.labels[result.prediction[row]]
    shown_text = (
        f"{result.about['file'][row]} {result.speakers[row]} {result.labels[result.truth[row]]}"
    )
    assert f"{shown_text} {prediction} {true[row]:.4f}" in page.text
    assert len(re.findall(r"take-\d+\.wav", page.text)) == 20
    given = result.probabilities.max(axis=1) >= 0.7
    right = 100 * np.mean((result.prediction == result.truth)[given])
    assert f"0.7 {100 * given.mean():.1f} % {right:.1f} %" in page.text


def test_data_folds_and_versions_are_listed(page: Page) -> None:
    for shown_text in (
        "ravdess 480 24 anger 48, calm 48",
        "emodb 480 10",
        "CC BY-NC-SA 4.0",
        "seed 7",
        "torch 2.9.0",
        "4 clips shorter than 0.1 s.",
        "epoch 23 18 held-out clips of 3 training speakers 0",
        'channels = [32, 64]',
        "not what a person feels",
    ):  # fmt: skip
        assert shown_text in page.text
    test_speakers = ", ".join(f"a speaker with quite a long name {n:02d}" for n in (1, 9, 17))
    assert test_speakers in page.text


def test_what_it_buys_to_know_the_speaker_is_shown(full: Path, html: str, page: Page) -> None:
    document = read_record(full).document
    (section,) = re.findall(r'<section[^>]* id="adapted".*?</section>', html, re.S)
    section_page = Page(section)
    assert [row["known"] for row in document["adapted"]] == [1, 2, 5, 10, None, None]
    heads = ["1", "2", "5", "10", "all", "all of one emotion"]
    for head, row in zip(heads, document["adapted"], strict=True):
        low, high = row["uar_interval_95"]
        error = row["expected_calibration_error"]
        assert f"{head} {row['uar']:.3f} {low:.3f}–{high:.3f} {error:.3f}" in section_page.text
    assert len([tag for tag, _ in section_page.tags if tag == "tr"]) == 1 + len(heads)
    assert "without their labels" in section_page.text


def test_a_single_speaker_can_be_adapted_to(plain: Path) -> None:
    row = {"known": 1, "one_emotion": False, "uar": 0.5, "uar_interval_95": None}
    rows = [row | {"protocol": "x", "accuracy": 0.5, "expected_calibration_error": 0.125}]
    edit(plain, lambda document: document.update(adapted=rows))
    page = Page(write_report(plain).read_text())
    assert "adapted" in page.all("id")
    assert re.search(r"1 0\.500\D{0,9}0\.125", page.text)


def test_the_stress_test_is_shown(full: Path, page: Page) -> None:
    document = json.loads((full / "stress.json").read_text())
    for name, entry in document["conditions"].items():
        change = f"{entry['difference']:+.3f}".replace("-", "−")
        assert f"{name} {entry['uar']:.3f} {change}" in page.text
    female = document["fairness"]["gender"]["groups"][0]
    assert f"female 240 12 {female['uar']:.3f}" in page.text
    assert "Of every clip the language is en: there is nothing to compare." in page.text


def test_nothing_is_fetched_and_nothing_runs(html: str, page: Page) -> None:
    assert not re.search(r"""(src|href|url|@import)\s*[=(]?\s*["']?\s*(https?:)?//""", html)
    assert all(link.startswith("#") for link in page.all("href") + page.all("xlink:href"))
    assert not {"script", "link", "img", "iframe", "object", "image"} & {t for t, _ in page.tags}
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert len(html.encode()) < 750_000  # with a third of the clips of RAVDESS


def test_it_is_well_made(page: Page) -> None:
    ids = page.all("id")
    assert len(ids) == len(set(ids))
    pointed = page.all("href") + page.all("xlink:href")
    assert {link.removeprefix("#") for link in pointed} <= set(ids)
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later - before <= 1 for before, later in pairwise(levels))
    assert page.tags[0] == ("html", {"lang": "en"})
    figures = [attributes for tag, attributes in page.tags if tag == "svg"]
    assert len(figures) == 8
    assert all(figure["role"] == "img" and figure["aria-label"] for figure in figures)
    assert page.open == []


def test_the_same_files_give_the_same_bytes(full: Path, html: str) -> None:
    with mpl.rc_context({"font.size": 20, "svg.fonttype": "none", "axes.facecolor": "red"}):
        assert render_report(full) == html
        assert mpl.rcParams["font.size"] == 20


def test_what_is_not_known_is_left_out(plain: Path) -> None:
    page = Page(write_report(plain).read_text())
    shown = {name for name in page.all("id") if name in SECTIONS}
    gone = {"origins", "adapted", "learning", "robustness", "fairness", "chosen", "importance"}
    assert shown == set(SECTIONS) - gone - {"corpora", "recipe", "versions"}
    assert STAMP not in page.text
    assert "guessing among 2 emotions gets 50: +" in page.text


def test_it_is_in_chinese_too_with_figures_and_tables_as_files(plain: Path) -> None:
    page = Page(write_report(plain, lang="zh", paper=True).read_text(encoding="utf-8"))
    assert page.tags[0] == ("html", {"lang": "zh"})
    assert "在 2 种情绪中随机猜测得到 50 个" in page.text
    protocol = read_record(plain).result.title
    assert not re.search(r"[a-z]{3,} [a-z]{3,} [a-z]{3,}", page.text.replace(protocol, ""))
    figures = {file.name for file in (plain / "figures").iterdir()}
    names = ("calibration", "confusion", "roc", "selective")
    assert figures == {f"{name}.{ending}" for name in names for ending in ("png", "svg", "pdf")}
    assert b"NotoSans" in (plain / "figures" / "confusion.pdf").read_bytes()
    (first, *_) = (plain / "tables" / "scores.csv").read_text(encoding="utf-8").splitlines()
    assert first == "成绩,值,95% 区间起,止"
    latex = (plain / "tables" / "confusion.tex").read_text(encoding="utf-8")
    assert latex.startswith("\\begin{tabular}{lrr}\n\\toprule\n真实 \\textbackslash{} 预测 & ")


def test_a_cell_of_a_latex_table_is_escaped() -> None:
    text = latex_table(["a_b", "95 %"], [["R&D", 0.12345], ["{x}~", None]])
    assert r"a\_b & 95 \% \\" in text
    assert r"R\&D & 0.123 \\" in text
    assert r"\{x\}\textasciitilde{} & -- \\" in text


def test_a_single_speaker_has_no_interval(tmp_path: Path) -> None:
    result = made_result(("a", "b"), speakers=1, clips=12)
    write_record(result, scores_of(result, "one"), tmp_path)
    assert "no interval: a single speaker" in render_report(tmp_path)


def test_a_class_without_clips_and_letters_without_a_picture(tmp_path: Path) -> None:
    labels = ("中性", "ख़ुशी", "悲伤")
    result = made_result(labels, speakers=4, clips=12)
    result = result.subset(result.truth != 2)
    write_record(result, scores_of(result, "中文"), tmp_path)
    html = render_report(tmp_path)
    assert re.search(r"<text[^>]*>ख़ुशी", html)  # written by the browser: no font here has it
    assert "<h1>中文" in html


def test_names_cannot_break_out(tmp_path: Path) -> None:
    def evil(*names: str) -> np.ndarray:
        return np.array([EVIL.format(name) for name in names])

    result = made_result(tuple(evil("label 0", "label 1")), speakers=3, clips=8)
    names = {name: evil(*(f"{name} {row}" for row in column)) for name, column in
             result.about.items()}  # fmt: skip
    result = replace(
        result,
        protocol=EVIL.format("protocol"),
        speakers=evil(*result.speakers),
        about=names,
        leaks=tuple(evil("leak")),
    )
    document = document_of(result, EVIL.format("name"))
    document["importance"][0]["feature"] = EVIL.format("feature")
    document["corpora"][0] |= {"corpus": EVIL.format("corpus"), "licence": EVIL.format("licence")}
    document["recipe"]["model"]["name"] = EVIL.format("recipe")
    document["versions"][EVIL.format("package")] = EVIL.format("version")
    write_record(result, document, tmp_path)
    write_stress(result, tmp_path / "stress.json")
    stress = (tmp_path / "stress.json").read_text()
    bad = json.dumps(EVIL.format("condition"))[1:-1]
    (tmp_path / "stress.json").write_text(stress.replace("babble 0 dB", bad))
    html = render_report(tmp_path)
    page = Page(html)
    assert "<script" not in html
    assert "<!--" not in html
    for name in ("label 0", "protocol", "name", "corpus", "licence", "version", "condition"):
        assert " ".join(EVIL.format(name).split()) in page.text, name
    assert all(set(attributes) <= KNOWN_ATTRIBUTES for _, attributes in page.tags)


KNOWN_ATTRIBUTES = {
    *("lang", "charset", "name", "content", "http-equiv", "class", "id", "href", "style", "scope"),
    *("role", "tabindex", "colspan", "aria-label", "aria-labelledby", "aria-hidden", "viewbox"),
    *("width", "height", "d", "transform", "xlink:href", "clip-path", "x", "y"),
}


def test_a_stress_test_alone_is_a_page(tmp_path: Path) -> None:
    result = made_result(("a", "b"), speakers=6, clips=24)
    write_stress(result, tmp_path / "stress.json")
    document = json.loads((tmp_path / "stress.json").read_text())
    document["title"] = f"{STAMP}: {document['title']}"
    (tmp_path / "stress.json").write_text(json.dumps(document))
    page = Page(write_report(tmp_path).read_text())
    assert [name for name in page.all("id") if name in SECTIONS] == [
        "robustness",
        "fairness",
        "use",
    ]
    assert "Robustness test cnn cnn on ravdess" in page.text
    assert f"[{STAMP}]" in page.text


def test_a_folder_with_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProtocolError, match=r"holds no result\.json that can be read"):
        write_report(tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_what_must_be_there_is_named(plain: Path) -> None:
    edit(plain, lambda document: [document.pop(name) for name in ("uar", "confusion")])
    with pytest.raises(ProtocolError, match=r"lacks uar, confusion; a report needs all"):
        write_report(plain)


def test_files_of_two_evaluations_are_noticed(plain: Path) -> None:
    edit(plain, lambda document: document.update(clips=37))
    with pytest.raises(ProtocolError, match=r"about 37 clips and predictions\.csv holds 36"):
        write_report(plain)


@pytest.mark.parametrize(
    ("name", "value"), [("uar", "high"), ("by_class", {"a": {}}), ("confusion", [[1]])]
)
def test_values_of_another_kind_are_refused(plain: Path, name: str, value: Any) -> None:
    edit(plain, lambda document: document.update({name: value}))
    with pytest.raises(ProtocolError, match="does not hold what a report shows"):
        write_report(plain)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("curves.csv", "fold,epoch,train_loss\n0,one,1\n", r"curves\.csv is damaged"),
        ("curves.csv", "epoch,train_loss\n1,1\n", r"curves\.csv is damaged"),
        ("stress.json", "{", r"stress\.json is damaged"),
        ("stress.json", '{"name": 1, "conditions": []}', r"stress\.json is damaged"),
    ],
)
def test_damaged_files_are_named(plain: Path, name: str, content: str, message: str) -> None:
    (plain / name).write_text(content)
    with pytest.raises(ProtocolError, match=message):
        write_report(plain)


@pytest.mark.parametrize("package", ["jinja2", "matplotlib"])
def test_the_pip_line_is_shown(plain: Path, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=r"pip install 'serein\[sound\]'"):
        write_report(plain)


def luminance(colour: str) -> float:
    """As WCAG 2 defines it."""
    parts = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    linear = np.where(parts <= 0.03928, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_words_can_be_read_on_their_ground() -> None:
    for scheme in STYLE.read_text().split("@media screen and (prefers-color-scheme: dark)"):
        colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", scheme))
        for words in ("ink", "muted", "accent", "alarm"):
            for ground in ("paper", "ground", "alarm-ground"):
                assert contrast(colours[words], colours[ground]) >= 4.5, (words, ground)
    assert all(contrast(colour, "#ffffff") >= 4.5 for colour in (svg.INK, svg.MUTED))


def test_shades_only_get_darker() -> None:
    found = [luminance(shade) for shade in svg.SHADES]
    assert found == sorted(found, reverse=True)
