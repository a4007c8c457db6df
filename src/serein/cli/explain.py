"""The command explain."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from serein.cli.options import BundleName, source_of
from serein.cli.progress import progress_bar
from serein.cli.show import (
    check_target,
    echo,
    picture_beside,
    print_error,
    print_json,
    save_figure,
)
from serein.defaults import DEFAULT_MODEL
from serein.errors import SereinError
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
        typer.Option("--out", help="PNG to write; FILE.explained.png if not given."),
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
    others = None if background is None else _read(background)
    with progress_bar("predicting without parts") as progress:
        found = occlusion.explain(
            recognizer, signal, emotion=emotion, background=others, progress=progress
        )
    found = replace(found, prediction=replace(found.prediction, file=str(file)))
    if target is not None:
        save_figure(target, draw_explanation(signal, found, title=printable(file.name)))
    if as_json:
        print_json(found.to_dict() | {"picture": None if target is None else str(target)})
    else:
        _print_explanation(found)
        echo(f"written: {target}")


def _target(file: Path, out: Path | None) -> Path:
    """Return where the picture goes: never over the recording."""
    target = out or picture_beside(file, ".explained.png")
    if target.suffix.lower() != ".png":
        raise SereinError(f"{target}: name the picture .png")
    check_target(target, file)
    return target


def _read(folder: Path) -> list[Signal]:
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
            print_error(str(place), error, as_json=False)
    if not found:
        raise SereinError(f"{folder}: none of its recordings can be read; name another background")
    return found


def _print_explanation(found: Explanation) -> None:
    own = found.prediction
    echo(f"{own.file}   {own.emotion} {own.confidence:.2f}   ({own.duration:.1f} s)")
    if found.emotion != own.emotion:
        echo(f"explained: {found.emotion} {found.probability:.2f}")
    if found.examined_s < own.duration - 0.05:
        echo(f"examined: {found.examined_s:.1f} s of speech")
    echo(f"by how much {found.emotion} is less probable without")
    for line in _lines(found) or ["nothing: no part alone changes the prediction"]:
        echo(f"  {line}")
    if found.note:
        echo(found.note)


def _lines(found: Explanation) -> list[str]:
    """Write the most important of each kind."""
    kinds = [
        [(part.importance, f"{part.start:.2f} to {part.end:.2f} s") for part in found.strongest()],
        [(part.importance, f"{part.low_hz:.0f} to {part.high_hz:.0f} Hz") for part in found.bands],
        [(part.importance, part.name) for part in found.features],
    ]
    strongest = [sorted(kind, key=lambda row: -abs(row[0]))[:LINES] for kind in kinds]
    return [
        f"{importance:+.2f}   {words}"
        for kind in strongest
        for importance, words in kind
        if abs(importance) >= MIN_IMPORTANCE
    ]
