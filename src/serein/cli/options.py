"""Options that commands share, and the recipe that they name."""

from __future__ import annotations

import sys
from enum import StrEnum
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Literal, TextIO

import typer

from serein.cli.progress import progress_bar
from serein.cli.show import echo
from serein.defaults import DEFAULT_LIMITS, UNSURE_RANGE, Range
from serein.engine import check_jobs
from serein.errors import AudioError, RecipeError, SettingError, counted
from serein.language import Language

if TYPE_CHECKING:
    from serein.experiment.prepare import Prepared
    from serein.experiment.recipe import Recipe
    from serein.recordings import Listing


def within(allowed: Range) -> dict[str, Any]:
    """Return a range as parameters of `typer.Option`."""
    return {"min": allowed.low, "max": allowed.high}


class AdaptTo(StrEnum):
    """What `--adapt` takes."""

    none = "none"
    recordings = "recordings"
    speaker = "speaker"

    @property
    def kind(self) -> Literal["recordings", "speaker"] | None:
        """What is adapted to, if anything."""
        if self is AdaptTo.none:
            return None
        return "speaker" if self is AdaptTo.speaker else "recordings"


Lang = Annotated[Language, typer.Option("--lang", help="Language of what is shown.")]
LangOfReport = Annotated[Language, typer.Option("--lang", help="Language of the report.")]
EngineName = Annotated[
    str, typer.Option("--engine", help="Where it runs: local, or ray for a cluster.")
]
Address = Annotated[
    str | None,
    typer.Option("--address", help="Of the Ray cluster, host:port; RAY_ADDRESS if not given."),
]


def checked_jobs(value: int | None) -> int | None:
    """Check --jobs before any work."""
    try:
        return check_jobs(value)
    except SettingError as error:
        raise typer.BadParameter(f"--{error}") from error


Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs", callback=checked_jobs, help="Processes; -1 is all cores.", show_default=False
    ),
]
Provider = Annotated[
    str,
    typer.Option("--provider", help="What computes the network: cpu, or cuda, coreml … if there."),
]

BundleName = Annotated[str, typer.Option("--model", help="Bundled model, or path of a bundle.")]
Threads = Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads.")]
Emotions = Annotated[
    str | None,
    typer.Option(help="The emotions that can occur, where that is known: anger,neutral,sadness."),
]
AdaptFrom = Annotated[
    Path | None, typer.Option(help="Adapt by what --adapt-save wrote, with the same model.")
]
UnsureBelow = Annotated[
    float,
    typer.Option(
        "--unsure-below",
        **within(UNSURE_RANGE),
        help="Predict 'unsure' below this confidence.",
    ),
]


RecipeFile = Annotated[
    Path | None, typer.Argument(help="Recipe, a TOML file.", metavar="[RECIPE.toml]")
]
CorpusName = Annotated[
    str | None, typer.Option("--corpus", help="Instead of a recipe: ravdess, emodb … or a CSV.")
]
ModelName = Annotated[
    str | None,
    typer.Option("--model", help="Instead of a recipe: cnn, svm, stacking … or whisper."),
]
FeatureNames = Annotated[
    str | None,
    typer.Option("--features", help="With --model: log_mel, mfcc,f0 … or a CSV of features."),
]
SplitName = Annotated[
    str | None,
    typer.Option("--split", help="With --corpus: speaker_k_fold, leave_one_sentence_out …"),
]
DataFolder = Annotated[
    Path | None, typer.Option("--data", help="Folder of the corpora, or of the one corpus.")
]
WeightsFolder = Annotated[
    Path | None, typer.Option("--weights", help="Folder searched for the encoder.")
]
Download = Annotated[
    bool,
    typer.Option("--download", help="Fetch the encoder from the model hub if it is not here."),
]
SkipBad = Annotated[
    bool,
    typer.Option("--skip-bad", help="Leave out recordings that cannot be used; they are named."),
]
CacheFolder = Annotated[
    Path | None, typer.Option("--cache", help="Folder of the feature cache.", show_default=False)
]


STDIN = Path("-")


def listed(entry: str) -> Listing:
    """List the recordings of an input; - is the one on standard input."""
    from serein.recordings import Listing, list_recordings

    return Listing([STDIN], []) if entry == str(STDIN) else list_recordings(entry)


def source_of(file: Path) -> Path | BinaryIO:
    """Return what a recording is read from: its path, or what came on standard input."""
    return _standard_input(sys.stdin) if file == STDIN else file


@lru_cache(1)
def _standard_input(stream: TextIO) -> BinaryIO:
    """Read standard input once, up to the limit."""
    if stream.isatty():
        raise AudioError("-: standard input is a terminal; give it a recording: serein … - < FILE")
    content = Named(stream.buffer.read(DEFAULT_LIMITS.max_bytes + 1))
    content.name = str(STDIN)
    return content


class Named(BytesIO):
    """Bytes with the name that errors tell."""

    name: str


def chosen_recipe(
    file: Path | None,
    corpus: str | None,
    model: str | None,
    features: str | None = None,
    split: str | None = None,
    data: Path | None = None,
) -> Recipe:
    """Read a recipe, or make the one of --corpus, --model, --features and --split.

    `data`: --data. What can be wrong is said before torch is imported, which takes seconds.
    """
    own = file and not (corpus or model or features or split)
    if not own and (file or not (corpus and model)):
        raise RecipeError(
            "give either a recipe file, or both --corpus and --model, to which --features and "
            "--split may be added"
        )
    check_choice(file, _named(corpus or "", model or "", features, split), data)
    from serein.experiment.recipe_file import read_recipe, short_recipe

    if file:
        return read_recipe(file)
    return short_recipe(corpus or "", model or "", features=features, split=split, data=data)


def check_choice(file: Path | None, named: dict[str, Any], data: Path | None) -> None:
    """Check a recipe file, or what is named in its place, without importing torch."""
    from serein.experiment.recipe_table import check_named, read_table, sections_of

    table = read_table(file) if file else named
    place, near = str(file or "--corpus and --model"), file.resolve().parent if file else Path()
    check_named(sections_of(table, place), place, data, near)


def _named(corpus: str, model: str, features: str | None, split: str | None) -> dict[str, Any]:
    """Return what is named on the command line as sections of a recipe."""
    table: dict[str, Any] = {"data": {"corpora": [corpus]}}
    table["name"] = f"{Path(corpus).stem}-{model}".replace(":", " ")
    if model != "whisper":
        table["model"] = {"name": model}
    if features and not features.lower().endswith(".csv"):
        table["features"] = {"sets": [name.strip() for name in features.split(",")]}
    if split:
        table["protocol"] = {"split": split}
    return table


def prepared_recipe(
    recipe: Recipe,
    data: Path | None,
    weights: Path | None,
    cache: Path | None,
    *,
    download: bool,
    skip_bad: bool,
    search: bool = False,
) -> Prepared:
    """Read a recipe's corpora and extract their features, with a progress bar."""
    from serein.corpora.validation import speaker_warnings
    from serein.experiment.prepare import prepare

    prepared = prepare(
        recipe,
        data=data,
        weights=weights,
        cache=cache,
        download=download,
        search=search,
        skip_bad=skip_bad,
        progress_bar=progress_bar,
    )
    if prepared.skipped:
        echo(f"serein: {counted(len(prepared.skipped), 'recording')} left out:", err=True)
    for reason in prepared.skipped.values():
        echo(f"  {reason}", err=True)
    for sentence in prepared.duplicates_told:
        echo(f"serein: left out: {sentence}", err=True)
    for sentence in speaker_warnings(prepared.speakers):
        echo(f"serein: {sentence}", err=True)
    return prepared
