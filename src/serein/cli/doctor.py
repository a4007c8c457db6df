"""The command doctor: what is installed, what is missing, and whether the models run."""

from __future__ import annotations

import platform
import re
import time
from collections.abc import Iterator
from typing import Annotated

import typer

from serein import __version__
from serein.cli.show import echo, print_json
from serein.errors import SereinError

CORE = ("numpy", "onnxruntime", "soundfile", "soxr", "typer")


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Say what is installed, what is missing and how to get it, and whether the models run."""
    found = dict(_findings())
    if as_json:
        print_json(found)
    else:
        for title, text in found.items():
            echo(f"{title:12s} {text}")
    raise typer.Exit(int(any("does not run" in text for text in found.values())))


def _findings() -> Iterator[tuple[str, str]]:
    """Give each finding with its title."""
    import onnxruntime

    from serein.engine import usable_cores
    from serein.features.feature_cache import default_cache

    yield "serein", __version__
    yield "Python", f"{platform.python_version()}, {platform.system()} {platform.machine()}"
    yield "packages", ", ".join(f"{name} {_version(name)}" for name in CORE)
    for extra, needed in _extras().items():
        missing = [name for name in needed if not _version(name)]
        lacks = f"lacks {', '.join(missing)}: pip install 'serein[{extra}]'"
        yield f"[{extra}]", lacks if missing else "installed"
    yield "providers", ", ".join(onnxruntime.get_available_providers())
    yield "cores", str(usable_cores())
    yield "cache", str(default_cache())
    yield from _models()


def _extras() -> dict[str, list[str]]:
    """Read the packages of each extra from the metadata of the installed serein."""
    from importlib import metadata  # slow to load

    found: dict[str, list[str]] = {}
    for line in metadata.requires("serein") or []:
        name, extra = re.match(r"[\w.-]+", line), re.search(r"extra == ['\"](\w+)['\"]", line)
        if name and extra:
            found.setdefault(extra[1], []).append(name[0])
    return found


def _version(package: str) -> str:
    """Tell the version of an installed package; of another, nothing."""
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _models() -> Iterator[tuple[str, str]]:
    """Predict a second of noise with each bundled model."""
    import numpy as np

    from serein.audio.read import RATE_HZ
    from serein.inference.load import bundled_models, load

    noise = np.random.default_rng(0).normal(0, 0.1, RATE_HZ).astype(np.float32)
    for name in bundled_models():
        try:
            recognizer = load(name, threads=1)
            start = time.perf_counter()
            recognizer.predict(noise, rate=RATE_HZ)
            yield name, f"runs: {1000 * (time.perf_counter() - start):.0f} ms for a second of sound"
        except SereinError as error:
            yield name, f"does not run: {error}"
