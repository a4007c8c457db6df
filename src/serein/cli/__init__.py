"""The command line: `serein --help`. Heavy parts are imported by the command that needs them.

Exit status: 0 all good; 1 some inputs failed, the others are answered; 2 wrong usage.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from serein import __version__
from serein.errors import SereinError

if TYPE_CHECKING:
    from collections.abc import Callable

    from serein.experiment.evaluate import Evaluation
    from serein.experiment.prepare import Prepared
    from serein.inference.prediction import Prediction, Segment

app = typer.Typer(
    name="serein",
    help="Speech emotion recognition that people can trust: how a listener would describe a voice.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Language(StrEnum):
    """Language of the emotions' names."""

    en = "en"
    zh = "zh"


RecipeFile = Annotated[Path, typer.Argument(help="Recipe, a TOML file.", metavar="RECIPE.toml")]
DataFolder = Annotated[
    Path | None, typer.Option("--data", help="Folder of the corpora, or of the one corpus.")
]
WeightsFolder = Annotated[
    Path | None, typer.Option("--weights", help="Folder searched for the encoder before the hub.")
]
CacheFolder = Annotated[
    Path | None, typer.Option("--cache", help="Folder of the feature cache.", show_default=False)
]


def main() -> None:
    """Run the command line; errors that serein raises become one line and status 2."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # file names may hold bytes that are not text
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except SereinError as error:
        typer.echo(f"serein: {error}", err=True)
        sys.exit(2)
    except BrokenPipeError:  # the reader, `head` for one, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


@app.callback(invoke_without_command=True)
def serein(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Speech emotion recognition that people can trust."""
    if version:
        typer.echo(f"serein {__version__}")
        raise typer.Exit


@app.command()
def predict(
    inputs: Annotated[
        list[str], typer.Argument(help="Recordings, or folders of them.", metavar="PATH...")
    ],
    model: Annotated[str, typer.Option(help="Bundled model, or path of a bundle.")] = "multi",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    timeline: Annotated[bool, typer.Option("--timeline", help="One row a segment.")] = False,
    lang: Annotated[Language, typer.Option(help="Language of emotion names.")] = Language.en,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads.")] = None,
    max_seconds: Annotated[
        float, typer.Option(min=0.1, help="Longest recording that is accepted.")
    ] = 7200.0,
) -> None:
    """Tell the emotion of recordings.

    WAV, FLAC, Ogg (Opus, Vorbis), MP3 and AIFF of any rate. Where there is no speech, that is the
    answer.
    """
    from serein.audio.read import Limits
    from serein.inference.recognizer import load
    from serein.recordings import recordings

    recognizer = load(model, threads=threads, limits=Limits(max_s=max_seconds))
    failed = False
    for entry in inputs:
        try:
            files = recordings(entry)
        except SereinError as error:
            failed = True
            _print_error(entry, error, as_json=as_json)
            continue
        width = max(len(str(file)) for file in files)
        for file, answer in recognizer.predict_all(files):
            if isinstance(answer, SereinError):
                failed = True
                _print_error(str(file), answer, as_json=as_json)
            elif as_json:
                _print_json(answer.to_dict(timeline=timeline))
            else:
                _print_answer(answer, width, timeline=timeline, lang=lang)
    raise typer.Exit(int(failed))


@app.command()
def models(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """List the bundled models with their licences and scores."""
    from serein.inference.bundle import read_bundle
    from serein.inference.recognizer import DEFAULT_MODEL, bundled_models, find_model

    for name in bundled_models():
        manifest = read_bundle(find_model(name)).manifest
        if as_json:
            _print_json(manifest)
            continue
        default = " (default)" if name == DEFAULT_MODEL else ""
        typer.echo(f"{name}{default}: {', '.join(manifest['labels'])}; {manifest['precision']}")
        typer.echo(f"  licence: {manifest['licence']}")
        for row in manifest["scores"]:
            low, high = row["uar_interval_95"]
            typer.echo(
                f"  {row['corpus']}: UAR {row['uar']:.3f} (95 % {low:.3f} to {high:.3f}), "
                f"{row['precision']}, {row['protocol']}"
            )


@app.command()
def evaluate(
    recipe: RecipeFile,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for result.json and predictions.csv.")
    ] = None,
    data: DataFolder = None,
    weights: WeightsFolder = None,
    cache: CacheFolder = None,
    int8: Annotated[bool, typer.Option("--int8", help="Also test with the int8 encoder.")] = False,
) -> None:
    """Judge a recipe on speakers it has not heard; print the scores, and write them to --out."""
    from serein.experiment.evaluate import evaluate as judge
    from serein.experiment.evaluate import write_evaluation

    prepared = _prepared(recipe, data, weights, cache)
    evaluation = judge(prepared, int8=int8, cache=cache, progress=_progress)
    _print_scores(evaluation)
    if out:
        typer.echo(f"written: {write_evaluation(evaluation, out)}")


@app.command()
def train(
    recipe: RecipeFile,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the bundle; runs/NAME if not given.")
    ] = None,
    data: DataFolder = None,
    weights: WeightsFolder = None,
    cache: CacheFolder = None,
) -> None:
    """Judge a recipe, train it on all its speakers and write a bundle that `predict` runs."""
    from serein.experiment.evaluate import evaluate as judge
    from serein.experiment.train import fit, pack

    prepared = _prepared(recipe, data, weights, cache)
    evaluation = judge(prepared, int8=True, cache=cache, progress=_progress)
    _print_scores(evaluation)
    fitted = fit(prepared, progress=_progress)
    folder = pack(fitted, prepared, evaluation, out or Path("runs") / prepared.recipe.name)
    typer.echo(f"written: {folder}")


@app.command()
def export(
    model: Annotated[str, typer.Argument(help="Bundle, or bundled model.", metavar="MODEL")],
    out: Annotated[Path, typer.Option("--out", help="Folder, or .zip file, to write.")],
    int8: Annotated[bool, typer.Option("--int8", help="Quantise to int8.")] = False,
    audio: Annotated[
        list[Path] | None, typer.Option(help="Recordings or folders to measure the parity on.")
    ] = None,
) -> None:
    """Write a bundle anew: as int8, as one zip file; prints the parity with the original."""
    from serein.inference.convert import convert

    typer.echo(convert(model, out, int8=int8, audio=audio or []))


@app.command()
def corpus(
    name: Annotated[
        str, typer.Argument(help="ravdess, emodb, cremad, tess, savee or nemo; or a CSV.")
    ],
    folder: Annotated[Path, typer.Argument(help="Where its recordings are.")],
) -> None:
    """Count a corpus, find duplicates in it and compare it with the official release."""
    from serein.corpora import Corpus

    table = Corpus.from_csv(name, audio_root=folder) if name.endswith(".csv") else None
    found = (table or Corpus.load(name, folder)).validate()
    typer.echo(found.summary())
    raise typer.Exit(0 if found.ok else 1)


def _prepared(
    recipe: Path, data: Path | None, weights: Path | None, cache: Path | None
) -> Prepared:
    from serein.experiment.prepare import prepare
    from serein.experiment.recipe import read_recipe

    return prepare(read_recipe(recipe), data=data, weights=weights, cache=cache, progress=_progress)


@contextmanager
def _progress(title: str) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar on the terminal, away from what the command prints."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _print_scores(evaluation: Evaluation) -> None:
    def line(name: str, scores: dict[str, Any]) -> str:
        low, high = scores["uar_interval_95"]
        return (
            f"{name:16} UAR {scores['uar']:.4f} (95 % {low:.3f} to {high:.3f})   "
            f"accuracy {scores['accuracy']:.4f}   "
            f"ECE {scores['expected_calibration_error']:.3f}   "
            f"{scores['clips']} clips, {scores['speakers']} speakers"
        )

    typer.echo(f"{evaluation.prepared.recipe.name}: {evaluation.result.protocol}")
    for corpus_name, scores in evaluation.by_corpus().items():
        typer.echo(line(corpus_name, scores))
    for corpus_name, scores in evaluation.by_corpus(int8=True).items():
        typer.echo(line(f"{corpus_name} int8", scores))


def _print_answer(answer: Prediction, width: int, *, timeline: bool, lang: Language) -> None:
    name = (answer.file or "").ljust(width)
    if not timeline:
        typer.echo(f"{name}   {_words(answer, lang)}   ({answer.duration:.1f} s)")
        return
    for segment in answer.timeline:
        span = f"{segment.start:8.2f} {segment.end:8.2f}"
        typer.echo(f"{name}   {span}   {_words(segment, lang)}")


def _words(answer: Segment, lang: Language) -> str:
    from serein.emotions import in_chinese

    if answer.emotion is None:
        return "没有语音" if lang is Language.zh else "no speech"
    name = in_chinese(answer.emotion) if lang is Language.zh else answer.emotion
    return f"{name} {answer.confidence:.2f}"


def _print_json(values: dict[str, Any]) -> None:
    typer.echo(json.dumps(values, ensure_ascii=False))


def _print_error(file: str, error: SereinError, *, as_json: bool) -> None:
    if as_json:
        _print_json({"file": file, "error": str(error)})
    else:
        typer.echo(f"serein: {error}", err=True)
