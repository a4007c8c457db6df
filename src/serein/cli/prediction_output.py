"""How `serein predict` shows predictions: as text, or in the formats of other programs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import typer

from serein.cli.language import adaptation_text, affect_text, prediction_text
from serein.cli.show import echo, print_json
from serein.language import Language, error_text, translated
from serein.untrusted import printable, writable_name

if TYPE_CHECKING:
    from serein.inference.prediction import Prediction, Segment


class Form(StrEnum):
    """What `--format` takes; see `serein.inference.formats`."""

    text = "text"
    json = "json"
    csv = "csv"
    srt = "srt"
    vtt = "vtt"
    textgrid = "textgrid"
    eaf = "eaf"
    rttm = "rttm"
    audformat = "audformat"
    labelstudio = "labelstudio"


JOINABLE = (Form.json, Form.rttm)  # of any number of recordings, one after the other


class Output(Protocol):
    """Takes predictions one by one; `as_json`: whether errors stand among them."""

    as_json: bool

    def start(self, files: Sequence[Path | None], count: int) -> None:
        """Prepare for the files of one input, and so many of all."""

    def add(self, prediction: Prediction) -> None:
        """Show a prediction."""

    def close(self) -> None:
        """Show what is of all predictions."""


def make_output(
    form: Form, out: Path | None, lang: Language, *, as_json: bool, timeline: bool, affect: bool
) -> Output:
    """Make what shows predictions."""
    if form is not Form.text:
        return FormatOutput(form, out, lang)
    return JsonLines(timeline) if as_json else Lines(timeline, affect, lang)


class JsonLines:
    """One JSON object a line, errors among them."""

    as_json = True

    def __init__(self, timeline: bool) -> None:
        self._timeline = timeline

    def start(self, files: Sequence[Path | None], count: int) -> None:
        """Nothing is needed."""

    def add(self, prediction: Prediction) -> None:
        """Print an object."""
        print_json(prediction.to_dict(timeline=self._timeline))

    def close(self) -> None:
        """Nothing is left."""


class Lines:
    """A line a recording, channel or segment."""

    as_json = False

    def __init__(self, timeline: bool, affect: bool, lang: Language) -> None:
        self._timeline, self._affect, self._lang = timeline, affect, lang
        self._width = 0

    def start(self, files: Sequence[Path | None], count: int) -> None:
        """Make names as wide as the longest."""
        self._width = max(len(str(file or "")) for file in files)

    def add(self, prediction: Prediction) -> None:
        """Print the lines of a recording."""
        from serein.inference.prediction import Lane, lane_name

        print_notices(prediction, self._lang)
        lang = self._lang
        name = (prediction.file or "").ljust(self._width)
        count, zh = len({lane.channel for lane in prediction.lanes}), lang is Language.zh
        if self._timeline:
            for segment in prediction.timeline:
                times = f"{segment.start:8.2f} {segment.end:8.2f}"
                self._print(segment, [name, times, lane_name(segment, count, zh)])
            return
        known = adaptation_text(prediction.utterances_known, lang)
        lanes: Sequence[Prediction | Lane] = prediction.lanes or (prediction,)
        for whole in lanes:
            seconds = whole.speech_s if isinstance(whole, Lane) else prediction.duration
            own = known if len(lanes) == 1 else ""  # the count is of all lanes
            self._print(whole, [name, lane_name(whole, count, zh)], f"({seconds:.1f} s)", own)
        if known and len(lanes) > 1:
            echo(f"{name}   {known}")

    def close(self) -> None:
        """Nothing is left."""

    def _print(
        self, segment: Segment, before: list[str], length: str = "", known: str = ""
    ) -> None:
        lang = self._lang
        affect = affect_text(segment, lang) if self._affect else ""
        parts = [*before[1:], prediction_text(segment, lang), length, affect, known]
        echo("   ".join([before[0], *filter(None, parts)]))
        for name, modality in segment.modalities.items():  # and its share in the joint prediction
            share = segment.contributions.get(name)
            ending = "" if share is None else f"   {share:+.0%}"
            ending += f'   "{modality.text}"' if modality.text else ""
            title = f"{translated(name, lang):8s}"
            echo(f"    {title}{prediction_text(modality, lang, name)}{ending}")


class FormatOutput:
    """One format: a file a recording in a folder, or on standard output."""

    as_json = False

    def __init__(self, form: Form, folder: Path | None, lang: Language) -> None:
        from serein.tables import make_folder

        self._form, self._lang, self._chinese = form, lang, lang is Language.zh
        if folder is None and form is Form.audformat:
            raise typer.BadParameter("--format audformat is a folder of files: add --out FOLDER")
        self._folder = None if folder is None else make_folder(folder)
        self._all: list[Prediction] = []
        self._names: set[str] = set()

    def start(self, files: Sequence[Path | None], count: int) -> None:
        """Refuse several recordings on standard output, where a format holds one."""
        if self._folder is None and count > 1 and self._form not in JOINABLE:
            raise typer.BadParameter(
                f"--format {self._form} is a file a recording, and {count} came: add --out FOLDER"
            )

    def add(self, prediction: Prediction) -> None:
        """Write a prediction, or keep it for `close`."""
        from serein.inference.formats import FORMATS
        from serein.tables import write_whole

        print_notices(prediction, self._lang)
        if self._form is Form.audformat:
            self._all.append(prediction)
            return
        chosen = FORMATS[self._form]
        if self._folder is None:
            print_file(chosen.write(prediction, self._chinese))
            return
        stem = writable_name(Path(prediction.file or "recording").stem)
        name = self._free_name(stem, chosen.suffix)
        if name != f"{stem}{chosen.suffix}":
            told = translated("{}: written as {}", self._lang)
            echo(f"serein: {told.format(prediction.file, name)}", err=True)
        if self._form is Form.rttm:  # its lines name the recording by one word, not by its path
            prediction = replace(prediction, file=name)
        write_whole(self._folder / name, chosen.write(prediction, self._chinese))

    def close(self) -> None:
        """Write what is of all recordings, and say where all is."""
        from serein.inference.formats import audformat_files
        from serein.tables import write_whole

        if self._folder is None:
            return
        if self._all:
            for name, content in audformat_files(self._all, self._chinese).items():
                write_whole(self._folder / name, content)
        said = translated("{} written: {}", self._lang)
        echo(said.format(len(self._all or self._names), self._folder))

    def _free_name(self, stem: str, suffix: str) -> str:
        """Name a file as its recording; those of the same name in other folders get a number."""
        number, name = 2, f"{stem}{suffix}"
        while name.lower() in self._names:
            number, name = number + 1, f"{stem}-{number}{suffix}"
        self._names.add(name.lower())
        return name


def print_file(content: bytes) -> None:
    """Print a file: the same bytes, but for what a terminal would obey."""
    ends = content.endswith(b"\n")
    if not sys.stdout.isatty():
        typer.echo(content, nl=not ends)
        return
    for line in content.decode().removesuffix("\n").split("\n"):
        typer.echo("\t".join(map(printable, line.removesuffix("\r").split("\t"))))


def print_notices(prediction: Prediction, lang: Language) -> None:
    """Print on standard error what is to be known of a recording."""
    for notice in prediction.notices:
        echo(f"serein: {error_text(f'{prediction.file}: {notice}', lang)}", err=True)
