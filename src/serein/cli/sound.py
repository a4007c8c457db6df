"""Commands on sound: features, plot, denoise."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from serein.cli.options import (
    Address,
    BundleName,
    CacheFolder,
    EngineName,
    Jobs,
    Lang,
    listed,
    source_of,
)
from serein.cli.progress import progress_bar
from serein.cli.show import (
    check_picture,
    check_target,
    echo,
    picture_beside,
    print_error,
    print_not_read,
    save_figure,
)
from serein.defaults import DEFAULT_MODEL
from serein.engine import running_on
from serein.errors import SereinError
from serein.language import Language, translated
from serein.untrusted import printable

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from serein.audio.read import Signal
    from serein.features.measurement import Measures


def features(
    inputs: Annotated[
        list[str], typer.Argument(help="Recordings, or folders of them.", metavar="PATH...")
    ],
    out: Annotated[Path, typer.Option("--out", help="Table to write: .csv, .parquet or .npz.")],
    sets: Annotated[
        str, typer.Option("--set", help="Names of feature sets, separated by commas.")
    ] = "expert",
    frames: Annotated[
        bool, typer.Option("--frames", help="A row a frame of 10 ms, not a row a file.")
    ] = False,
    jobs: Jobs = None,
    engine: EngineName = "local",
    address: Address = None,
    cache: CacheFolder = None,
) -> None:
    """Measure recordings: MFCC, F0, formants and more, or a compact expert set, as a table."""
    from serein.features.measurement import Measures
    from serein.tables import check_table

    check_table(out, (".csv", ".parquet", ".npz"))
    measures = Measures(sets.split(","), pooled=not frames).check()
    files, failed = _listed(inputs)
    rows: list[tuple[Path, npt.NDArray[np.float32]]] = []
    with running_on(engine, address=address, jobs=jobs), progress_bar("features") as progress:
        found = measures.each(map(_signal_or_path, files), cache=cache, progress=progress)
        results = list(found)
    for file, result in zip(files, results, strict=True):
        if isinstance(result, SereinError):
            failed = True
            print_error(str(file), result, as_json=False)
        else:
            rows.append((file, result))
    if rows:
        echo(f"written: {_write(out, measures, rows)}")
    raise typer.Exit(int(failed))


def plot(
    file: Annotated[Path, typer.Argument(help="Recording.", metavar="FILE")],
    out: Annotated[
        Path | None,
        typer.Option("--out", help=".png, .svg or .pdf to write; FILE.png if not given."),
    ] = None,
    model: BundleName = DEFAULT_MODEL,
    lang: Lang = Language.en,
) -> None:
    """Draw waveform, spectrogram with F0 and formants, and emotions over time, as one picture."""
    from serein.analysis.picture import draw_recording
    from serein.audio.read import read_audio
    from serein.inference.load import load

    target = out or picture_beside(file, ".png")
    check_picture(target, file)
    source = source_of(file)
    timeline = load(model).predict(source).timeline  # reads it by itself: two copies take more
    signal = read_audio(source)
    save_figure(target, draw_recording(signal, timeline, title=printable(file.name), lang=lang))
    echo(translated("written: {}", lang).format(target))


def denoise(
    source: Annotated[Path, typer.Argument(help="Recording.", metavar="IN")],
    target: Annotated[Path, typer.Argument(help="WAV or FLAC to write.", metavar="OUT")],
    method: Annotated[
        str,
        typer.Option(help="wiener or spectral_subtraction; with --reference nlms, lms or rls."),
    ] = "",
    reference: Annotated[
        Path | None, typer.Option(help="Recording of the noise alone, made at the same time.")
    ] = None,
) -> None:
    """Remove noise from a recording; writes mono at 16 kHz.

    `predict` does not denoise, which lowers the accuracy of emotion recognition. See the docs.
    """
    import soundfile

    from serein.audio import denoise as methods
    from serein.audio.read import RATE_HZ, read_audio
    from serein.tables import write_whole

    if target.suffix.lower() not in {".wav", ".flac"}:
        raise SereinError(f"{target}: name the cleaned recording .wav or .flac")
    check_target(target, source, *([reference] if reference else []))
    signal = read_audio(source_of(source))
    if reference is None:
        cleaned = methods.denoise(signal, method=method or "wiener", out=signal)
    else:
        cleaned = methods.adaptive(signal, read_audio(reference), method=method or "nlms").signal
    content = io.BytesIO()
    soundfile.write(content, cleaned, RATE_HZ, format=target.suffix[1:])
    write_whole(target, content.getvalue())
    echo(f"written: {target}")


def _listed(inputs: list[str]) -> tuple[list[Path], bool]:
    """List the recordings, and whether some input had none, or others too."""
    files, failed = [], False
    for entry in inputs:
        try:
            found = listed(entry)
            files += found.files
            failed |= print_not_read(entry, found, as_json=False)
        except SereinError as error:
            failed = True
            print_error(entry, error, as_json=False)
    return files, failed


def _signal_or_path(file: Path) -> Signal | Path:
    """Read what comes on standard input; the others are read where they are described."""
    from serein.audio.read import read_audio

    source = source_of(file)
    return source if isinstance(source, Path) else read_audio(source)


def _write(out: Path, measures: Measures, rows: list[tuple[Path, npt.NDArray[np.float32]]]) -> Path:
    """Write a table with a row a file, or a row a frame with its time."""
    import numpy as np

    from serein.audio.frames import frame_times
    from serein.tables import write_table

    columns = measures.columns
    keys: dict[str, type] = {"file": str} if measures.pooled else {"file": str, "time_s": float}
    blocks: list[dict[str, Any]] = []
    for file, values in rows:
        frames = np.atleast_2d(values)
        block = dict(zip(columns, frames.T, strict=True))
        blocks.append(
            {"file": [str(file)] * len(frames), "time_s": frame_times(len(frames))} | block
        )
    return write_table(out, keys | dict.fromkeys(columns, np.float32), blocks)
