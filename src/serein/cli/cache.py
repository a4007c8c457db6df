"""Commands on the cache: where it is, what it holds, and to empty it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from serein.cli.options import CacheFolder
from serein.cli.show import echo
from serein.errors import SereinError
from serein.untrusted import printable

MEGABYTE = 1e6

cache = typer.Typer(
    name="cache",
    help="Where features, checkpoints and predictions are kept: path, list, clear.",
    no_args_is_help=True,
)


@cache.command()
def path() -> None:
    """Print the folder of the cache: $SEREIN_CACHE, else the user's cache folder."""
    echo(_folder(None))


@cache.command("list")
def contents(cache: CacheFolder = None) -> None:
    """Say what the cache holds: files and megabytes of each kind."""
    from serein.features.feature_cache import list_cache

    folder = _folder(cache)
    for kind, files in list_cache(folder).items():
        echo(f"{kind:8s} {len(files):8d} files {_megabytes(files):10.1f} MB")
    echo(f"in {folder}")


@cache.command()
def clear(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask first.")] = False,
    cache: CacheFolder = None,
) -> None:
    """Empty the cache: delete what serein has written there, and nothing else."""
    from serein.features.feature_cache import clear_cache, list_cache

    folder = _folder(cache)
    files = [file for found in list_cache(folder).values() for file in found]
    what = f"{len(files)} files, {_megabytes(files):.1f} MB, in {folder}"
    if files and not yes:
        if not sys.stdin.isatty():
            raise SereinError(f"{what}: nobody is here to be asked; to delete them say --yes")
        typer.confirm(printable(f"Delete {what}?"), abort=True)
    left = clear_cache(folder)
    echo(f"deleted: {what}")
    if left:
        echo(f"left: {left} files or links that serein did not write")


def _folder(named: Path | None) -> Path:
    from serein.features.feature_cache import default_cache

    return named or default_cache()


def _megabytes(files: list[Path]) -> float:
    return sum(file.stat().st_size for file in files) / MEGABYTE
