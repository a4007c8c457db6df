"""The command stress."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from serein.cli.options import CacheFolder, LangOfReport, SkipBad
from serein.cli.progress import progress_bar
from serein.cli.show import add_row, echo, make_table, print_json, print_table
from serein.errors import MissingFilesError, SereinError, SettingError
from serein.language import Language

if TYPE_CHECKING:
    from rich.table import Table

    from serein.analysis.robustness_report import StressReport
    from serein.evaluation.fairness import Fairness, Group

GROUPS_SHOWN = 8  # of one kind


class Overlap(StrEnum):
    """What to do with speakers that the model was trained on."""

    refuse = "refuse"
    allow = "allow"


def stress(
    model: Annotated[str, typer.Argument(help="Bundled model, or bundle.", metavar="MODEL")],
    data: Annotated[Path, typer.Option("--data", help="Folder of recordings, or a CSV table.")],
    corpus: Annotated[
        str | None, typer.Option("--corpus", help="What the folder is: ravdess, emodb … or a CSV.")
    ] = None,
    merge: Annotated[
        list[str] | None, typer.Option("--merge", help="Take an emotion for another: calm=neutral.")
    ] = None,
    clips: Annotated[
        int,
        typer.Option(min=0, help="Clips drawn, one of each speaker and emotion or more; 0 is all."),
    ] = 400,
    conditions: Annotated[
        str | None,
        typer.Option(help="Some only: names, beginnings of names or tests, separated by commas."),
    ] = None,
    overlap: Annotated[
        Overlap, typer.Option("--speaker-overlap", help="Speakers that the model was trained on.")
    ] = Overlap.refuse,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for report.html, stress.json and predictions."),
    ] = None,
    skip_bad: SkipBad = False,
    cache: CacheFolder = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    lang: LangOfReport = Language.en,
) -> None:
    """Test a model's robustness to noise, telephones, rooms and codecs, and its fairness.

    Speakers that it was trained on are left out. A run that was stopped is resumed.
    """
    from serein.analysis.clips import find_corpus, unusable_words
    from serein.analysis.robustness import stress_model
    from serein.audio.conditions import CONDITIONS, choose_conditions
    from serein.tables import check_writable

    try:
        chosen = choose_conditions(conditions.split(",")) if conditions else CONDITIONS
    except SettingError as error:
        raise SereinError(f"--conditions: {error}; separate several with commas") from error
    if out:
        check_writable(out)
    bad: dict[Path, str] = {}
    try:
        found = find_corpus(data, corpus)
    except MissingFilesError as error:
        if not skip_bad:
            raise
        bad = error.files
        found = find_corpus(data, corpus, bad)
    recordings = found.map_emotions(_mapping(merge or []))
    with progress_bar("stress") as progress:
        report = stress_model(
            model,
            recordings,
            overlap=overlap.value,
            skip_bad=skip_bad,
            conditions=chosen,
            clips=clips,
            cache=cache,
            progress=progress,
        )
    report = replace(report, notes=(*unusable_words(bad), *report.notes))
    if as_json:
        print_json(report.to_dict())
    else:
        show_stress(report)
    if out:
        from serein.evaluation.report.report import write_report

        report.write(out)
        echo(f"written: {write_report(out, lang=lang)}", err=as_json)


def show_stress(report: StressReport) -> None:
    """Print what each condition changes, how groups compare, and what was left out."""
    echo(report.title)
    _show_conditions(report)
    _show_groups(report)
    for note in report.notes:
        echo(f"note: {note}")


def _mapping(merges: list[str]) -> dict[str, str | None]:
    mapping: dict[str, str | None] = {}
    for word in merges:
        old, equals, new = word.partition("=")
        if not (old and equals and new):
            raise SereinError(f"--merge {word!r}: need OLD=NEW, for instance calm=neutral")
        mapping[old] = new
    return mapping


def _show_conditions(report: StressReport) -> None:
    from serein.analysis.clips import NO_SPEECH
    from serein.analysis.robustness_report import CLEAN

    predicted = {
        name: [result.labels[number] for number in result.prediction]
        for name, result in {CLEAN: report.clean, **report.changed}.items()
    }
    silent = any(NO_SPEECH in labels for labels in predicted.values())
    columns = ("UAR", "change", "95 % interval", "unchanged", *[NO_SPEECH] * silent)
    table = _table("Robustness", "condition", 31, columns)

    def no_speech(name: str) -> list[str]:
        labels = predicted[name]
        return [f"{labels.count(NO_SPEECH) / len(labels):.0%}"] * silent

    add_row(table, CLEAN, f"{report.clean_uar:.3f}", "", "", "", *no_speech(CLEAN))
    test = ""
    for name, change in report.changes.items():
        if report.conditions[name].test != test:
            test = report.conditions[name].test
            table.add_section()
            add_row(table, test, style="italic")
        add_row(
            table,
            name,
            f"{change.uar:.3f}",
            f"{change.difference:+.3f}",
            _span(change.interval_95) if change.interval_95 else "one speaker",
            f"{change.unchanged:.0%}",
            *no_speech(name),
        )
    print_table(table)


def _show_groups(report: StressReport) -> None:
    columns = ("clips", "UAR", "diff.", "95 % of chance", "p")
    table = _table("Fairness: UAR, and its difference from everybody else's", "group", 22, columns)
    table.add_column("verdict", no_wrap=True)
    for by, entry in report.fairness.items():
        if entry.groups:
            table.add_section()
            add_row(table, by, style="italic")
        for group in _widest(entry):
            gap = group.uar_difference
            numbers = (f"{gap.value:+.3f}", _span(gap.chance_95), f"{gap.p_holm:.3f}")
            add_row(
                table,
                group.name,
                str(group.clips),
                f"{group.uar:.3f}",
                *(numbers if gap.value == gap.value else ("", "", "")),  # NaN is not
                group.verdict.removesuffix(" chance"),
            )
    if table.row_count:
        print_table(table)
    for by, entry in report.fairness.items():
        more = len(entry.groups) - len(_widest(entry))
        notes = [*entry.notes, *[f"{more} more are nearer to chance"] * bool(more)]
        echo(f"{by}: {'; '.join(notes)}")
        for group in entry.groups:
            for label in group.classes_outside:
                gap = group.recall_difference[label]
                span = _span(gap.chance_95)
                echo(f"  {group.name}, recall of {label}: {gap.value:+.3f}, chance {span}")


def _table(title: str, word: str, widest: int, numbers: tuple[str, ...]) -> Table:
    from rich import box

    options: dict[str, Any] = {"box": box.SIMPLE, "title_justify": "left"}
    table = make_table(title, word, numbers=numbers, collapse_padding=True, **options)
    for column in table.columns:
        column.no_wrap = True
    table.columns[0].max_width, table.columns[0].overflow = widest, "ellipsis"
    return table


def _widest(entry: Fairness) -> list[Group]:
    """Pick the groups with the least p-values, in the order of their names."""
    order = sorted(entry.groups, key=lambda group: group.uar_difference.p_value)
    return [group for group in entry.groups if group in order[:GROUPS_SHOWN]]


def _span(interval: tuple[float, float]) -> str:
    return f"{interval[0]:+.2f} to {interval[1]:+.2f}"
