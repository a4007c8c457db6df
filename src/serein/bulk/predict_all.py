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
from serein.bulk.object_store import fetch
from serein.defaults import DEFAULT_LIMITS, DEFAULT_PROVIDER, DEFAULT_UNSURE_BELOW, Limits
from serein.engine import each
from serein.errors import ResultsError, SereinError
from serein.inference.lanes import Cut, Telling
from serein.inference.load import find_model, load
from serein.inference.multimodal import MultimodalRecognizer
from serein.inference.prediction import Prediction, Segment
from serein.inference.speakers import Speakers
from serein.language import Language, error_text
from serein.recordings import is_url
from serein.tables import check_table, write_table

Row = Mapping[str, Any]

NAMES: dict[str, type] = {"file": str, "error": str}
TIMES: dict[str, type] = {"start": float, "end": float}
VALUES: dict[str, type] = {
    "duration": float,
    "kind": str,
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
    channels: str = "mix"
    segments: Cut = "windows"
    speakers: Speakers | None = None
    adapt: bool = False
    timeline: bool = False

    @property
    def telling(self) -> dict[str, Any]:
        """What is told apart, as `Recognizer.predict` takes it."""
        return vars(Telling(self.channels, self.segments, self.speakers, self.adapt))

    @property
    def columns(self) -> dict[str, type]:
        """Names and kinds of the columns of the table, before those of the probabilities."""
        lanes: dict[str, type] = {"channel": int} if self.channels != "mix" else {}
        lanes |= {"speaker": int} if self.speakers is not None else {}
        spoken = TIMES if self.timeline else dict.fromkeys(["speech_s"] * bool(lanes), float)
        return NAMES | lanes | spoken | VALUES

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
        Model and limits, and what a row is of.
    journal : Journal
        Takes plain values a file: ``file`` and ``error``, and ``rows`` where that is None.
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


def write_results(
    found: Iterable[Row],
    labels: Sequence[str],
    settings: BulkSettings,
    place: Path,
    *,
    lang: str = Language.en,
) -> tuple[int, int]:
    """Write a table of predictions; return of how many files they are, and how many failed."""
    kinds = settings.columns | {f"p_{label}": float for label in labels}
    counts: Counter[bool] = Counter()

    def rows() -> Iterator[dict[str, Any]]:
        for one in found:
            counts[one["error"] is None] += 1
            about = {"file": one["file"], "error": one["error"] and error_text(one["error"], lang)}
            yield from (_flat(row, lang) | about for row in one.get("rows", [{}]))

    def blocks() -> Iterator[dict[str, list[Any]]]:
        left = rows()
        while part := list(islice(left, BLOCK_ROWS)):
            yield {name: [row.get(name) for row in part] for name in kinds}

    write_table(place, kinds, blocks())
    return counts[True], counts[False]


def _flat(row: Row, lang: str) -> dict[str, Any]:
    """Return a row whose probabilities are columns; those of bursts are of other labels."""
    named = {} if row.get("kind") == "burst" else row.get("probabilities", {})
    emotion = row.get("emotion_zh" if lang == "zh" else "emotion", row.get("emotion"))
    return dict(row) | {"emotion": emotion} | {f"p_{label}": p for label, p in named.items()}


def _predict(settings: BulkSettings, file: str) -> dict[str, Any]:
    """Predict one file as plain values; a function of its own, so that it can be sent away."""
    recognizer = _recognizer(settings)
    try:
        telling = settings.telling
        found = (
            recognizer.voice.predict(fetch(file, recognizer.limits.max_bytes), **telling)
            if is_url(file)
            else recognizer.predict(file, **telling)
        )
    except SereinError as error:
        return {"file": file, "error": str(error)}
    return {"file": file, "error": None, "rows": list(_rows(found, settings))}


def _rows(found: Prediction, settings: BulkSettings) -> Iterator[dict[str, Any]]:
    """Return the rows of a recording: a segment each, or a lane each, or one."""
    parts: Sequence[Segment] = found.timeline if settings.timeline else found.lanes
    kept = (*settings.columns, "probabilities", "emotion_zh")
    for part in parts or (found,):  # also where nobody speaks
        values = part.to_dict() | {"duration": round(found.duration, 3)}
        yield {name: values[name] for name in kept if name in values}


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
