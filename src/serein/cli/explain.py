"""The command explain."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from serein.cli.language import prediction_text
from serein.cli.options import BundleName, Lang, source_of
from serein.cli.progress import progress_bar
from serein.cli.show import (
    check_picture,
    echo,
    picture_beside,
    print_error,
    print_json,
    save_figure,
)
from serein.defaults import DEFAULT_MODEL
from serein.emotions import emotion_name
from serein.errors import SereinError
from serein.language import Language, translated
from serein.untrusted import printable

if TYPE_CHECKING:
    from serein.analysis.explanation import Explanation
    from serein.audio.read import Signal

BACKGROUND = 30  # recordings drawn from a larger folder
MIN_IMPORTANCE = 0.005  # of probability, to be printed
LINES = 3  # of each kind


def explain(
    file: Annotated[Path, typer.Argument(help="Recording.", metavar="FILE")],
    out: Annotated[
        Path | None,
        typer.Option("--out", help=".png, .svg or .pdf to write; FILE.explained.png if not given."),
    ] = None,
    model: BundleName = DEFAULT_MODEL,
    emotion: Annotated[
        str | None, typer.Option(help="Emotion to explain; the predicted one if not given.")
    ] = None,
    background: Annotated[
        Path | None,
        typer.Option(
            help="Folder of other recordings, for the importance of features; for models of "
            "named features."
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object; a picture only with --out.")
    ] = False,
    lang: Lang = Language.en,
) -> None:
    """Explain a prediction by the moments and frequencies it rests on; draw them on the waveform.

    Each is left out by itself; its importance is how much less probable the emotion gets. Models of
    named features get the importance of features too.
    """
    from serein.analysis import occlusion
    from serein.audio.read import read_audio
    from serein.inference.load import load

    target = None if as_json and out is None else _target(file, out)
    if target is not None:  # without matplotlib this fails at once, not after the work
        from serein.analysis.picture import draw_explanation
    signal = read_audio(source_of(file))
    recognizer = load(model)
    others = None if background is None else _read(background, lang)
    with progress_bar("predicting without parts") as progress:
        found = occlusion.explain(
            recognizer, signal, emotion=emotion, background=others, progress=progress
        )
    found = replace(found, prediction=replace(found.prediction, file=str(file)))
    if target is not None:
        save_figure(target, draw_explanation(signal, found, title=printable(file.name), lang=lang))
    if as_json:
        print_json(found.to_dict() | {"picture": None if target is None else str(target)})
    else:
        _print_explanation(found, lang)
        echo(translated("written: {}", lang).format(target))


def _target(file: Path, out: Path | None) -> Path:
    """Return where the picture goes: never over the recording."""
    target = out or picture_beside(file, ".explained.png")
    check_picture(target, file)
    return target


def _read(folder: Path, lang: Language) -> list[Signal]:
    """Read recordings of a folder; a bad one does not stop the others."""
    import numpy as np

    from serein.audio.read import read_audio
    from serein.recordings import recordings

    files = recordings(folder)
    drawn = np.random.default_rng(0).permutation(len(files))[:BACKGROUND]
    found = []
    for place in [files[number] for number in sorted(drawn)]:
        try:
            found.append(read_audio(place))
        except SereinError as error:
            print_error(str(place), error, as_json=False, lang=lang)
    if not found:
        raise SereinError(f"{folder}: none of its recordings can be read; name another background")
    return found


def _print_explanation(found: Explanation, lang: Language) -> None:
    own, say = found.prediction, partial(translated, lang=lang)
    echo(f"{own.file}   {prediction_text(own, lang)}   ({own.duration:.1f} s)")
    name = emotion_name(found.emotion, lang, own.own)
    if found.emotion != own.emotion:
        echo(say("explained: {} {:.2f}").format(name, found.probability))
    if found.examined_s < own.duration - 0.05:
        echo(say("examined: {:.1f} s of speech").format(found.examined_s))
    echo(say("by how much {} is less probable without").format(name))
    for line in _lines(found, say("{} to {}")) or [
        say("nothing: no part alone changes the prediction")
    ]:
        echo(f"  {line}")
    if found.note:
        echo(say(found.note))


def _lines(found: Explanation, span: str) -> list[str]:
    """Write the most important of each kind."""
    bands = [(f"{band.low_hz:.0f}", f"{band.high_hz:.0f} Hz", band) for band in found.bands]
    moments = [(f"{one.start:.2f}", f"{one.end:.2f} s", one) for one in found.strongest()]
    kinds = [
        *(
            [(part.importance, span.format(low, high)) for low, high, part in parts]
            for parts in (moments, bands)
        ),
        [(part.importance, part.name) for part in found.features],
    ]
    strongest = [sorted(kind, key=lambda row: -abs(row[0]))[:LINES] for kind in kinds]
    return [
        f"{importance:+.2f}   {words}"
        for kind in strongest
        for importance, words in kind
        if abs(importance) >= MIN_IMPORTANCE
    ]
