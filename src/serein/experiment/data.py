"""Clips of a recipe: which take part, their weights, augmentation and tables of features."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections import Counter, defaultdict
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from serein.audio.augment import Augmentation as Changed
from serein.audio.augment import Generator, Noise
from serein.audio.chain import Chain, draw
from serein.audio.read import RATE_HZ, read_audio
from serein.corpora import CORPORA, Corpus, Utterance
from serein.corpora.corpus import place_of, read_corpus
from serein.corpora.same_sound import refuse_shared, same_sound, without_duplicates
from serein.corpora.segments import has_segments, is_annotation
from serein.corpora.validation import duplicates
from serein.errors import AudioError, CorpusError
from serein.evaluation.protocol import Fold
from serein.experiment.cut_segments import cut_once
from serein.experiment.recipe import Augmentation, Recipe
from serein.experiment.recipe_table import folder_of
from serein.experiment.splits import common_emotions
from serein.features.feature_cache import Extractor
from serein.recordings import recordings
from serein.tables import read_rows


def read_corpora(
    recipe: Recipe,
    data: str | Path | None = None,
    *,
    names: tuple[str, ...] | None = None,
    labelled: bool = True,
    cache: Path | None = None,
    bad: Container[Path] = (),
) -> tuple[Corpus, ...]:
    """Read each corpus that a recipe names; labelled segments are cut into the cache first.

    `bad`: recordings of which tables may name some that are not there.
    """
    wanted = recipe.data.corpora if names is None else names
    places = {name: folder_of(name, recipe, data) for name in wanted}
    return tuple(
        Corpus.load(name, places[name])
        if name in CORPORA
        else _read_table(places[name], name, labelled=labelled, cache=cache, bad=bad)
        for name in wanted
    )


def _read_table(
    folder: Path, name: str, *, labelled: bool, cache: Path | None, bad: Container[Path]
) -> Corpus:
    place = place_of(name, folder)
    if is_annotation(name) or has_segments(place):
        table = cut_once(place, folder, cache)
        return Corpus.from_csv(table, name=place.stem, labelled=labelled)
    return read_corpus(place, audio_root=folder, labelled=labelled, bad=bad)


def read_unlabelled(
    recipe: Recipe,
    data: str | Path | None,
    corpus: Corpus,
    cache: Path | None = None,
    bad: Container[Path] = (),
) -> tuple[Corpus, ...]:
    """Read the clips of which a recipe uses no label; speakers and recordings must be others."""
    parts = read_corpora(
        recipe, data, names=recipe.data.unlabelled, labelled=False, cache=cache, bad=bad
    )
    found = [clip for part in parts for clip in part]
    known = set(corpus.speakers)
    shared = sorted(known & {clip.speaker for clip in found})
    if shared:
        raise CorpusError(f"{shared[0]} speaks in data.unlabelled and in data.corpora: keep one")
    if recipe.protocol.speaker_overlap == "refuse":
        refuse_shared(duplicates((*corpus, *found)), corpus, SHARED)
    return parts


SHARED = "data.unlabelled and data.corpora have the same recording: {}. Keep one"


def read_bursts(
    recipe: Recipe, data: str | Path | None = None, bad: Container[Path] = ()
) -> tuple[Corpus | None, frozenset[Path]]:
    """Read a recipe's vocal bursts as it merges and leaves out emotions, and the duplicates."""
    bursts = recipe.bursts
    if bursts is None:
        return None, frozenset()
    (corpus,) = read_corpora(recipe, data, names=(bursts.corpus,), bad=bad)
    mapping: dict[str, str | None] = {**bursts.merge, **dict.fromkeys(bursts.leave_out)}
    named = corpus.filter(predicate=lambda row: row.path not in bad).map_emotions(mapping)
    overlap = recipe.protocol.speaker_overlap
    kept = without_duplicates(named, same_sound(named, read_audio), overlap=overlap)
    return kept, frozenset(named.paths) - frozenset(kept.paths)


def combine(recipe: Recipe, sources: tuple[Corpus, ...]) -> Corpus:
    """Merge corpora into one, with emotions merged and left out as the recipe says."""
    mapping: dict[str, str | None] = {**recipe.data.merge}
    mapping.update(dict.fromkeys(recipe.data.leave_out))
    corpus = sources[0].merge(*sources[1:], name=recipe.name).map_emotions(mapping)
    if not len(corpus):
        raise CorpusError(f"the recipe {recipe.name!r} leaves no clip: see leave_out under [data]")
    return common_emotions(recipe.protocol, corpus)


def describe_corpora(
    sources: tuple[Corpus, ...],
    used: Corpus,
    unlabelled: tuple[Corpus, ...] = (),
    duplicates: Container[Path] = (),
) -> list[dict[str, Any]]:
    """Describe, for each corpus, the clips that take part; those without labels last."""
    described = []
    for source in sources:
        names = {clip.corpus for clip in source}
        clips = [clip for clip in used if clip.corpus in names]
        emotions = Counter(clip.emotion for clip in clips).most_common()
        about = _about(source, clips) | {"emotions": dict(emotions)}
        left_out = sum(clip.path in duplicates for clip in source)
        described.append(about | ({"duplicates": left_out} if left_out else {}))
    return described + [
        _about(source, source.utterances) | {"emotions": {}, "labels": False}
        for source in unlabelled
    ]


def _about(source: Corpus, clips: Sequence[Utterance]) -> dict[str, Any]:
    return {
        "corpus": source.name,
        "licence": source.licence,
        "clips": len(clips),
        "languages": sorted({clip.language for clip in clips if clip.language}),
        "speakers": sorted({clip.speaker for clip in clips}),
    }


def corpus_weights(recipe: Recipe, sources: tuple[Corpus, ...]) -> dict[str, float]:
    """Return the relative weight of each corpus, by the name that its clips give."""
    given = recipe.balance.weight
    return {
        clip.corpus: given.get(name, 1.0)
        for name, source in zip(recipe.data.corpora, sources, strict=True)
        for clip in source
    }


def balanced_weights(
    origin: list[str], emotions: list[str], weights: Mapping[str, float] | None = None
) -> npt.NDArray[np.float64]:
    """Weight clips so that all corpora, and all emotions in one, weigh the same; mean 1.

    `weights`: corpus -> its relative weight as a whole, 1 where it is not given.
    """
    pairs, which, counts = np.unique(
        np.array([origin, emotions]), axis=1, return_inverse=True, return_counts=True
    )
    cells = np.array([np.sum(pairs[0] == corpus) for corpus in pairs[0]])
    whole = np.array([(weights or {}).get(corpus, 1.0) for corpus in pairs[0]])
    weight = (whole / (counts * cells))[which.ravel()]
    result: npt.NDArray[np.float64] = weight / weight.mean()
    return result


Array = npt.NDArray[np.float32]
VOICES = (4, 8)  # of babble, fewest and most
VOICE_S = 10.0  # of a recording that babble is mixed from, at most
VOICES_KEPT = 1000  # in memory, for each is mixed many times
NOISE_S, NOISES_KEPT = 60.0, 100  # of a recording of noise, at most; in memory
FROM_FOLDER: dict[str, dict[str, Any]] = {
    "noise": {"snr_db": (0, 30), "repeat": True},
    "overlay": {},
}
"""Augmentations that ``folder`` gives recordings to, and what each asks of `Overlay` then."""


def read_sounds(
    recipe: Recipe, corpus: Corpus, bad: Container[Path] = ()
) -> dict[str, tuple[Path, ...]]:
    """List the recordings of noise and overlays that a recipe takes from folders, all readable.

    Raises: BadFilesError that names the others; CorpusError if one is in the corpus too, and could
    be on the other side of a fold.
    """
    ranges = recipe.augmentation.ranges if recipe.augmentation.per_clip else {}
    found: dict[str, tuple[Path, ...]] = {}
    for name in FROM_FOLDER.keys() & ranges.keys():
        folder = ranges[name].get("folder")
        if folder is None:
            continue
        key = f"augmentation.ranges.{name}.folder"
        if not Path(folder).exists():
            raise CorpusError(f"{key}: {folder} is not there: give the folder of the recordings")
        found[name] = tuple(file for file in recordings(folder) if file not in bad)
        if not found[name]:
            raise CorpusError(f"{key}: {folder} has no recording that can be used: add some")
    noises = {file: Utterance(file, "", "", "") for files in found.values() for file in files}
    refuse = bool(noises) and recipe.protocol.speaker_overlap == "refuse"
    groups = same_sound(
        (*(corpus if refuse else ()), *noises.values()),
        lambda path: _noise(path) if path in noises else read_audio(path),
    )
    refuse_shared(groups, noises.values(), MIXED_IN)
    return found


MIXED_IN = (
    "augmentation: a recording to be mixed in is in the corpus too: {}; mixed into training, it "
    "would be in the test part of another fold: leave it out"
)


def _noise(path: Path) -> Array:
    """Read a recording that is no silence."""
    signal = read_audio(path)
    if not np.any(signal):
        raise AudioError(f"{path}: is silent, and no noise")
    return signal


def babble_parts(
    augmentation: Augmentation, corpus: Corpus, folds: Sequence[Fold]
) -> list[list[int]]:
    """Group the rows whose voices may be mixed into babble; no groups, where there is none.

    They are of one corpus and on the same side of every fold, so that no clip of a training part
    holds a voice of its test part.
    """
    kinds = augmentation.ranges.get("noise", {}).get("kind", ())  # one, or a tuple to draw from
    if not augmentation.per_clip or "noise" not in augmentation.chain or "babble" not in kinds:
        return []
    side = np.zeros((len(corpus), len(folds)), np.int8)
    for number, (train, test) in enumerate(folds):
        side[train, number], side[test, number] = 1, 2
    parts = defaultdict(list)
    for row, clip in enumerate(corpus):
        parts[clip.corpus, side[row].tobytes()].append(row)
    for (name, _), rows in parts.items():
        if len(rows) < 2:
            raise CorpusError(
                f"babble is mixed from other recordings of the same corpus and test part, and "
                f"{corpus.paths[rows[0]].name} of {name} is alone in its part: take fewer folds, "
                "or babble out of the kinds of noise"
            )
    return list(parts.values())


@dataclass(frozen=True)
class AugmentingExtractor:
    """Augments a signal, then extracts; what is drawn depends on signal, seed, number and voices.

    `voices` are the recordings that babble is mixed from; the signal's own is never among them.
    `sounds`: as `read_sounds` lists them.
    """

    extractor: Extractor
    augmentation: Augmentation
    number: int
    seed: int
    voices: tuple[Path, ...] = ()
    sounds: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """Extractor, augmentation, number, seed and content of the recordings in 20 letters."""
        ranges = {
            name: {key: value for key, value in options.items() if key != "folder"}
            for name, options in self.augmentation.ranges.items()
        }
        drawn = [self.augmentation.chain, ranges, self.number, self.seed]
        drawn += [self.augmentation.probability] if self.augmentation.probability else []
        for files in (self.voices, *self.sounds.values()):
            if files:
                drawn.append([hashlib.sha256(path.read_bytes()).hexdigest() for path in files])
        text = json.dumps([self.extractor.fingerprint, drawn], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:20]

    def __call__(self, signal: Array) -> Array:
        """Augment a signal and extract its features."""
        content = zlib.crc32(np.ascontiguousarray(signal).tobytes())
        generator = np.random.default_rng([self.seed, self.number, content])
        steps = [
            self._step(generator, name)
            for name in self.augmentation.chain
            if name not in self.augmentation.probability
            or generator.random() < self.augmentation.probability[name]
        ]
        steps = [
            replace(step, voices=self._voices_beside(signal, step.seed))
            if isinstance(step, Noise) and step.kind == "babble"
            else step
            for step in steps
        ]
        return self.extractor(Chain(tuple(steps)).apply(signal))

    def _step(self, generator: Generator, name: str) -> Changed:
        options: dict[str, Any] = self.augmentation.ranges.get(name, {})
        if name not in self.sounds:
            return draw(generator, name, **options)
        files = self.sounds[name]
        sound = _read_noise(files[generator.integers(len(files))])
        sound = np.roll(sound, generator.integers(sound.size))
        return draw(generator, "overlay", other=sound, **overlaid(name, options))

    def _voices_beside(self, signal: Array, seed: int) -> tuple[Array, ...]:
        """Draw some voices, none of them that of the signal."""
        generator = np.random.default_rng(seed)
        count = int(generator.integers(VOICES[0], VOICES[1] + 1))
        own = _voice(signal)
        drawn = (_read_voice(self.voices[k]) for k in generator.permutation(len(self.voices)))
        return tuple(islice((one for one in drawn if not np.array_equal(one, own)), count))


def overlaid(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what noise or an overlay from a folder asks of `serein.audio.augment.Overlay`."""
    return FROM_FOLDER[name] | {key: options[key] for key in options if key != "folder"}


def _voice(signal: Array) -> Array:
    return signal[: round(VOICE_S * RATE_HZ)]


@lru_cache(VOICES_KEPT)
def _read_voice(path: Path) -> Array:
    return _voice(read_audio(path)).copy()


@lru_cache(NOISES_KEPT)
def _read_noise(path: Path) -> Array:
    return read_audio(path)[: round(NOISE_S * RATE_HZ)].copy()


def read_vectors(
    table: str | Path, corpus: Corpus, *, columns: Sequence[str] = (), gaps: bool = False
) -> Array:
    """Read the vectors of a corpus's clips, found by file name; with `gaps` NaN for those missing.

    All columns are read, if none are named.
    """
    table = Path(table)
    try:
        rows = read_rows(table)
    except (OSError, ValueError) as error:
        raise CorpusError(f"{table}: cannot be read as a table of features: {error}") from error
    there = [name for name in (rows[0] if rows else {}) if name and name != "file"]
    if not there or "file" not in rows[0]:
        raise CorpusError(f"{table} needs the column file, columns of numbers, and rows")
    lacking = [name for name in columns if name not in there]
    if lacking:
        raise CorpusError(f"{table} has no column {lacking[0]}; need {', '.join(columns)}")
    columns = columns or there
    by_name: dict[str, dict[str, str]] = {}
    for row in rows:
        name = Path(row["file"] or "").name
        if name in by_name:
            raise CorpusError(f"{table} has {name} twice: is it a table of frames? pool them")
        by_name[name] = row
    refuse_same_names([path.name for path in corpus.paths], corpus)
    if gaps:
        none = np.full(len(columns), np.nan, np.float32)
        found = (by_name.get(path.name) for path in corpus.paths)
        return np.stack([_numbers(row, columns, table) if row else none for row in found])
    missing = [path.name for path in corpus.paths if path.name not in by_name]
    if missing:
        raise CorpusError(f"{table} has no row for {len(missing)} clips, {missing[0]} for one")
    return np.stack([_numbers(by_name[path.name], columns, table) for path in corpus.paths])


def refuse_same_names(names: Sequence[str], corpus: Corpus) -> None:
    """Raise CorpusError if clips that are found by name have the same one."""
    same = [name for name, count in Counter(names).items() if count > 1]
    if same:
        raise CorpusError(
            f"{corpus.name} has several clips called {same[0]}, which a table cannot tell apart"
        )


def _numbers(row: dict[str, str], columns: Sequence[str], table: Path) -> Array:
    try:
        values = np.array([float(row[name]) for name in columns])
    except (TypeError, ValueError) as error:
        raise CorpusError(f"{table}: {row['file']}: not all columns are numbers: {error}") from None
    wrong = np.flatnonzero(~(np.abs(values) <= np.finfo(np.float32).max))  # NaN is not, either
    if wrong.size:
        raise CorpusError(
            f"{table}: {row['file']}: {columns[wrong[0]]} is {values[wrong[0]]}; every feature "
            "must be a finite number"
        )
    return values.astype(np.float32)
