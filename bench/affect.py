"""What derived valence and arousal correlate with: the intensity asked of RAVDESS's actors.

Reads the probabilities of `make accuracy` in results/accuracy, each of an unseen speaker, and
runs no model. Writes results/affect.json and the table of docs/EVALUATION.md.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from library import (
    RESULTS,
    ROOT,
    Row,
    interval,
    rounded,
    table,
    write_between,
    write_json,
)
from scipy.stats import spearmanr

from serein.emotions import circumplex
from serein.evaluation.intervals import expanded_percentile, resample_speakers

MARK = "<!-- python bench/affect.py -->"
DRAWS = 1000
SYSTEMS = {
    "ravdess-recipe": "trained on RAVDESS",
    "emodb-nemo-to-ravdess-recipe": "trained on EmoDB and nEMO",
}
ABOUT = ("file", "speaker", "fold", "truth", "answer")
Floats = npt.NDArray[np.float64]


def main() -> None:
    """Measure, and write rows and document."""
    rows = [rounded(row) for name in SYSTEMS for row in measured(name)]
    write_json(RESULTS / "affect.json", rows)
    write_between(ROOT / "docs/EVALUATION.md", MARK, markdown(rows))


def measured(name: str) -> Iterator[Row]:
    """Correlate each dimension with intensity, over clips that are not neutral."""
    clips = [clip for clip in read(RESULTS / f"accuracy/{name}.csv") if clip["truth"] != "neutral"]
    strong = np.array([clip["file"].split("-")[3] == "02" for clip in clips], float)
    found = np.array([derived(clip) for clip in clips])
    speakers = np.array([clip["speaker"] for clip in clips])
    for column, dimension in enumerate(("valence", "arousal")):
        value = spearmanr(found[:, column], strong).statistic
        low, high = bounds(found[:, column], strong, speakers)
        yield {"system": name, "dimension": dimension, "rho": value, "low": low, "high": high}


def read(file: Path) -> list[dict[str, str]]:
    """Read predictions, a row a clip."""
    with file.open(newline="", encoding="utf-8") as text:
        return list(csv.DictReader(text))


def derived(clip: dict[str, str]) -> tuple[float, float]:
    """Derive valence and arousal from the probabilities of a clip, as a prediction does."""
    return circumplex({name: float(clip[name]) for name in clip if name not in ABOUT})


def bounds(values: Floats, strong: Floats, speakers: npt.NDArray[np.str_]) -> tuple[float, float]:
    """Compute the ends of the interval, by drawing whole speakers."""
    names = np.unique(speakers)
    own = [np.flatnonzero(speakers == name) for name in names]
    counts = resample_speakers(len(names), DRAWS, 0)
    scores = []
    for drawn in counts.astype(int):
        rows = np.concatenate(
            [np.tile(mine, times) for mine, times in zip(own, drawn, strict=True)]
        )
        scores.append(spearmanr(values[rows], strong[rows]).statistic)
    low, high = expanded_percentile(np.array(scores), len(names))
    return float(low), float(high)


def markdown(rows: list[Row]) -> str:
    """Write a row a system and a column a dimension."""
    cells = {(row["system"], row["dimension"]): row for row in rows}
    lines = [
        [SYSTEMS[name], *(shown(cells[name, one]) for one in ("valence", "arousal"))]
        for name in SYSTEMS
    ]
    return table(("Spearman's ρ with intensity", "valence", "arousal"), lines)


def shown(row: Row) -> str:
    """Write a correlation with its interval."""
    return interval(row["rho"], row["low"], row["high"], "+.2f")


if __name__ == "__main__":
    main()
