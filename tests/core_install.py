"""Check an environment that holds the core install alone: `python tests/core_install.py VENV`."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path
from tempfile import TemporaryDirectory

MOST_MB = 250
HEAVY = {"torch", "scipy", "scikit-learn", "transformers", "librosa", "matplotlib", "pandas"}


def main(environment: str) -> None:
    names = {distribution.metadata["Name"].lower() for distribution in distributions()}
    files = [
        file for file in Path(environment).rglob("*") if file.is_file() and not file.is_symlink()
    ]
    tools = [file for file in files if {"pip", "setuptools"} & set(file.parts)]
    size = (sum(map(_size, files)) - sum(map(_size, tools))) / 1e6
    print(f"{len(names)} packages, {size:.0f} MB: {', '.join(sorted(names))}")
    if names & HEAVY or size > MOST_MB:
        sys.exit(f"the core install holds {names & HEAVY or ''} and {size:.0f} MB; most: {MOST_MB}")
    check_names_the_extra("train", ["evaluate", "recipes/emodb.toml"])
    check_names_the_extra("train", ["export", "multi", "--int8", "--out", "x"])
    check_names_the_extra("scale", ["features", "samples", "--out", "x.parquet"])
    check_names_the_extra("sound", ["plot", "samples/silence.flac", "--out", "x.png"])
    check_names_the_extra("sound", ["explain", "samples/espeak-german.flac"])
    check_names_the_extra("sound", ["stress", "multi", "--data", "samples"])
    check_names_the_extra("sound", ["compare", "a", "b"])
    check_names_the_extra("train", ["check-leaks", "recipes/emodb.toml"])
    check_measures()
    looked_at = "from serein import *; import inspect, serein; inspect.getmembers(serein)"
    subprocess.run([sys.executable, "-W", "error", "-c", looked_at], check=True)


def check_names_the_extra(extra: str, arguments: list[str]) -> None:
    """What needs an extra says which, without a traceback."""
    command = [sys.executable, "-m", "serein", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 2 or not done.stderr.endswith(f"'serein[{extra}]'\n"):
        sys.exit(f"serein {' '.join(arguments)}: status {done.returncode}\n{done.stderr}")


def check_measures() -> None:
    """Features need no extra."""
    with TemporaryDirectory() as folder:
        table = Path(folder) / "x.csv"
        command = ["-m", "serein", "features", "samples", "--out", table, "--cache", folder]
        subprocess.run([sys.executable, *command], check=True)
        lines = table.read_text(encoding="utf-8").splitlines()
    if len(lines) != 1 + len([*Path("samples").glob("*.flac")]):
        sys.exit(f"serein features samples: {len(lines)} lines")


def _size(file: Path) -> int:
    return file.stat().st_size


if __name__ == "__main__":
    main(sys.argv[1])
