"""Predictions for very many recordings: on all cores or a cluster, resumed, each written once.

Several processes, a cluster and object stores need the extra [scale].
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from itertools import islice
from pathlib import Path
from typing import Any

from serein.bulk.journal import Journal
from serein.bulk.object_store import fetch, is_url
from serein.defaults import DEFAULT_LIMITS, DEFAULT_PROVIDER, DEFAULT_UNSURE_BELOW, Limits
from serein.engine import each
from serein.errors import ResultsError, SereinError
from serein.inference.load import find_model, load
from serein.inference.multimodal import MultimodalRecognizer
from serein.tables import check_table, write_table

Row = Mapping[str, Any]

COLUMNS: dict[str, type] = {
    "file": str,
    "error": str,
    "duration": float,
    "speech": bool,
    "emotion": str,
    "confidence": float,
    "valence": float,
    "arousal": float,
}
FORMATS = (".parquet", ".csv", ".jsonl")
BLOCK_ROWS = 10_000  # in memory at once
DIED = "the process that read it died: it is damaged, or made to do harm"


@dataclass(frozen=True)
class BulkSettings:
    """How all recordings are predicted."""

    model: str
    unsure_below: float = DEFAULT_UNSURE_BELOW
    max_s: float = DEFAULT_LIMITS.max_s
    provider: str = DEFAULT_PROVIDER

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that tell these settings from others."""
        return asdict(self) | {"model": str(Path(find_model(self.model)).resolve())}


def predict_all(
    files: Sequence[str],
    settings: BulkSettings,
    journal: Journal,
    *,
    jobs: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Predict all files that the journal does not hold.

    Parameters
    ----------
    files : sequence of str
        Recordings: paths, or URLs of an object store.
    settings : BulkSettings
        Model and limits.
    journal : Journal
        Takes the rows: plain values with ``file`` and either ``error`` or a prediction.
    jobs : int
        Processes, unless a cluster is chosen (`serein.engine.running_on`); a recording never ends
        more than its own.
    progress : callable
        Called with the number of files done, and of all files.

    Raises
    ------
    BundleError
        If the model cannot be used.
    MissingExtraError
        If `jobs` is more than 1 and joblib is not installed.
    """
    waiting = [file for file in files if file not in journal.done]
    done = len(files) - len(waiting)
    progress(done, len(files))
    for row in each(partial(_predict, settings), waiting, jobs=jobs, lost=_died):
        journal.append(row)
        done += 1
        progress(done, len(files))


def check_results(place: Path) -> None:
    """Check, before any work, that a table of predictions can be written there."""
    check_table(place, FORMATS)
    if place.exists():
        raise ResultsError(f"{place}: is there already: give another name, or remove it")


def write_results(rows: Iterable[Row], labels: Sequence[str], place: Path) -> tuple[int, int]:
    """Write a table of predictions; return how many were made, and how many failed."""
    kinds = COLUMNS | {f"p_{label}": float for label in labels}
    counts: Counter[bool] = Counter()

    def blocks() -> Iterator[dict[str, list[Any]]]:
        left = iter(rows)
        while part := list(islice(left, BLOCK_ROWS)):
            counts.update(row["error"] is None for row in part)
            yield {name: [_flat(row).get(name) for row in part] for name in kinds}

    write_table(place, kinds, blocks())
    return counts[True], counts[False]


def _flat(row: Row) -> dict[str, Any]:
    """Return a row whose probabilities are columns."""
    return dict(row) | {f"p_{label}": p for label, p in row.get("probabilities", {}).items()}


def _predict(settings: BulkSettings, file: str) -> dict[str, Any]:
    """Predict one file as plain values; a function of its own, so that it can be sent away."""
    recognizer = _recognizer(settings)
    try:
        found = (
            recognizer.voice.predict(fetch(file, recognizer.limits.max_bytes))
            if is_url(file)
            else recognizer.predict(file)
        )
    except SereinError as error:
        return {"file": file, "error": str(error)}
    values = found.to_dict(timeline=False)
    kept = [name for name in COLUMNS if name not in ("file", "error")]
    return {"file": file, "error": None} | {name: values[name] for name in (*kept, "probabilities")}


def _died(file: str) -> dict[str, Any]:
    """Return the row of a file that ended the process which read it."""
    return {"file": file, "error": f"{file}: {DIED}"}


@cache
def _recognizer(settings: BulkSettings) -> MultimodalRecognizer:
    """Load the recognizer, once a process."""
    voice = load(
        settings.model,
        threads=1,
        limits=Limits(max_s=settings.max_s),
        unsure_below=settings.unsure_below,
        provider=settings.provider,
    )
    return MultimodalRecognizer(voice)
