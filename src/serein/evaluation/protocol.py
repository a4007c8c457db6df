"""Folds of unseen speakers, sentences and corpora."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import LeaveOneGroupOut, StratifiedGroupKFold, StratifiedKFold

from serein.errors import ProtocolError, counted, unknown_name

Fold = tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]
Strings = npt.NDArray[np.str_]

# The actor folds that the field reports on RAVDESS (EmoBox and others use the same six).
RAVDESS_ACTOR_FOLDS: tuple[tuple[int, ...], ...] = (
    (1, 11, 20, 21),
    (4, 10, 12, 14),
    (8, 9, 19, 23),
    (3, 5, 7, 24),
    (2, 15, 16, 18),
    (6, 13, 17, 22),
)


def leave_one_speaker_out(speakers: Sequence[str]) -> list[Fold]:
    """Test each speaker with a model trained on all others.

    Parameters
    ----------
    speakers : sequence of str
        Who speaks in each sample.

    Returns
    -------
    list of (train, test)
        Index arrays, a pair a speaker.

    Raises
    ------
    ProtocolError
        If there are fewer than two speakers.
    """
    names = np.unique(np.asarray(speakers))
    return folds_of(speakers, [[name] for name in names.tolist()])


def folds_of(speakers: Sequence[str], groups: Iterable[Iterable[str]]) -> list[Fold]:
    """Test named groups of speakers in turn.

    Parameters
    ----------
    speakers : sequence of str
        Who speaks in each sample.
    groups : iterable of iterables of str
        The test speakers of each fold; a group that no sample belongs to is left out.

    Returns
    -------
    list of (train, test)
        Index arrays, a pair a fold.

    Raises
    ------
    ProtocolError
        If a speaker is in no group or in two, or fewer than two groups have samples.
    """
    names = np.asarray(speakers)
    sets = [set(group) for group in groups]
    for name in sorted(set(names.tolist())):
        count = sum(name in group for group in sets)
        if count != 1:
            raise ProtocolError(f"speaker {name} is in {count} folds; each must be in exactly one")
    masks = [np.isin(names, sorted(group)) for group in sets]
    folds = [(np.flatnonzero(~mask), np.flatnonzero(mask)) for mask in masks if mask.any()]
    if len(folds) < 2:
        raise ProtocolError(
            f"{len(set(names.tolist()))} speaker(s) make {len(folds)} fold(s); testing on unseen "
            "speakers needs at least 2 folds: add recordings of other speakers"
        )
    return folds


def ravdess_actor_folds(speakers: Sequence[str]) -> list[Fold]:
    """Test the actors of RAVDESS in the six folds that the field reports.

    Parameters
    ----------
    speakers : sequence of str
        ``ravdess-01`` to ``ravdess-24``.

    Returns
    -------
    list of (train, test)
        Index arrays, a pair a fold.

    Raises
    ------
    ProtocolError
        If a speaker is not an actor of RAVDESS.
    """
    groups = [[f"ravdess-{actor:02d}" for actor in fold] for fold in RAVDESS_ACTOR_FOLDS]
    return folds_of(speakers, groups)


def speaker_k_fold(
    speakers: Sequence[str], strata: Sequence[str], *, folds: int = 6, random_state: int = 0
) -> list[Fold]:
    """Split speakers into folds of similar size and a similar mix of `strata`.

    Parameters
    ----------
    speakers, strata : sequence of str
        Who speaks in each sample, and what should be spread evenly (corpus and emotion).
    folds : int
        Number of folds.
    random_state : int
        Seed of the split.

    Returns
    -------
    list of (train, test)
        Index arrays, a pair a fold.

    Raises
    ------
    ProtocolError
        If there are fewer speakers than folds, or too few samples to split.
    """
    count = len(set(speakers))
    if folds < 2 or count < folds:
        allowed = f"allowed: 2 to {count} folds" if count > 1 else "give 2 speakers or more"
        raise ProtocolError(f"{folds} folds of {counted(count, 'speaker')}; {allowed}")
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=random_state)
    found = _split(splitter, strata, np.asarray(speakers))
    if not all(len(test) for _, test in found):
        raise ProtocolError(
            f"splitting {count} speakers into {folds} folds left one empty: use fewer folds"
        )
    return found


def leave_one_sentence_out(
    sentences: Sequence[str],
    speakers: Sequence[str],
    *,
    folds: int = 6,
    random_state: int = 0,
    speaker_overlap: str = "refuse",
) -> list[Fold]:
    """Test each sentence with a model trained on other sentences, of other speakers.

    Parameters
    ----------
    sentences, speakers : sequence of str
        Transcript and speaker of each sample.
    folds : int
        Groups of speakers: each is tested, sentence by sentence, with a model trained on the other
        groups' other sentences. As many as there are speakers, if those are fewer.
    random_state : int
        Seed of the split into groups.
    speaker_overlap : {"refuse", "allow"}
        With ``allow`` all speakers are tested together, by a model trained on them too.

    Returns
    -------
    list of (train, test)
        Index arrays, a pair a sentence and group.

    Raises
    ------
    ProtocolError
        If a sentence is not known, or there are fewer than two sentences or speakers.
    """
    spoken, names = np.asarray(sentences), np.asarray(speakers)
    unknown = int((spoken == "").sum())
    if unknown:
        raise ProtocolError(
            f"{unknown} samples have no sentence; leaving sentences out needs the column text"
        )
    distinct = np.unique(spoken)
    if len(distinct) < 2:
        raise ProtocolError(
            f"{len(distinct)} sentence(s): leaving one out needs at least 2; use another protocol"
        )
    if speaker_overlap == "allow":
        return list(LeaveOneGroupOut().split(spoken, groups=spoken))
    count = min(folds, len(np.unique(names)))
    groups = speaker_k_fold(speakers, sentences, folds=count, random_state=random_state)
    crossed = [
        (train[spoken[train] != one], test[spoken[test] == one])
        for train, test in groups
        for one in distinct
    ]
    return [(train, test) for train, test in crossed if len(test)]


def leave_one_corpus_out(corpora: Sequence[str], test: Iterable[str] = ()) -> list[Fold]:
    """Test each corpus with a model trained on all others.

    Parameters
    ----------
    corpora : sequence of str
        Which corpus each sample is of.
    test : iterable of str
        The corpora that are left out in turn; all, if none are named.

    Returns
    -------
    list of (train, test)
        Index arrays, a pair a corpus.

    Raises
    ------
    ProtocolError
        If there are fewer than two corpora, or one to test on is unknown.
    """
    names = np.asarray(corpora)
    known, wanted = np.unique(names), set(test)
    for name in sorted(wanted - set(known.tolist())):
        raise ProtocolError(unknown_name("corpus to test on", name, known.tolist()))
    if len(known) < 2:
        raise ProtocolError(
            f"{', '.join(known)} is the only corpus; leaving one out needs at least 2: name more "
            "under data.corpora"
        )
    folds = LeaveOneGroupOut().split(names, groups=names)
    return [fold for fold in folds if not wanted or names[fold[1][0]] in wanted]


def train_and_test(corpora: Sequence[str], test: Iterable[str]) -> list[Fold]:
    """Train on some corpora and test on others.

    Parameters
    ----------
    corpora : sequence of str
        Which corpus each sample is of.
    test : iterable of str
        The corpora to test on; the others are trained on and not tested.

    Returns
    -------
    list of (train, test)
        A single pair.

    Raises
    ------
    ProtocolError
        If a corpus is unknown, or nothing is left for one of the two.
    """
    names = np.asarray(corpora)
    wanted = set(test)
    for name in sorted(wanted - set(names.tolist())):
        raise ProtocolError(unknown_name("corpus to test on", name, sorted(set(names.tolist()))))
    tested = np.isin(names, sorted(wanted))
    if tested.all() or not tested.any():
        raise ProtocolError(
            f"testing on {', '.join(sorted(wanted)) or 'no corpus'} leaves nothing to "
            f"{'train on' if tested.all() else 'test'}: name at least 2 corpora, and test on some"
        )
    return [(np.flatnonzero(~tested), np.flatnonzero(tested))]


def random_k_fold(
    strata: Sequence[str], *, folds: int = 6, random_state: int = 0, speaker_overlap: str = "refuse"
) -> list[Fold]:
    """Split samples into folds that share speakers, to show how optimistic that is."""
    if speaker_overlap != "allow":
        raise ProtocolError(
            "a random split has the same speakers in training and test: split by speaker. "
            'speaker_overlap = "allow" runs it all the same, and stamps the report'
        )
    if not 2 <= folds <= len(strata):
        raise ProtocolError(f"{folds} folds of {len(strata)} samples; allowed: 2 to {len(strata)}")
    return _split(StratifiedKFold(folds, shuffle=True, random_state=random_state), strata)


def check_folds(
    folds: Sequence[Fold],
    speakers: Strings,
    truth: npt.NDArray[np.intp],
    labels: Strings,
    *,
    speaker_overlap: str = "refuse",
) -> None:
    """Raise unless the folds are speaker-independent and test no sample twice."""
    shared = shared_speakers(speakers, folds)
    if shared and speaker_overlap == "refuse":
        raise ProtocolError(shared)
    tested = np.zeros(len(truth), dtype=np.intp)
    for number, (train, test) in enumerate(folds):
        if np.intersect1d(train, test).size:
            raise ProtocolError(f"fold {number} trains on samples that it tests; never allowed")
        lacking = sorted(set(truth[test]) - set(truth[train]))
        if lacking:
            raise ProtocolError(
                f"fold {number} tests {', '.join(labels[lacking])}, of which its training part has "
                "no clip: use fewer folds or leave the class out"
            )
        np.add.at(tested, test, 1)
    if (tested > 1).any() or (len(folds) != 1 and (tested == 0).any()):
        raise ProtocolError(
            f"{int((tested != 1).sum())} samples are tested twice or never; each must be once"
        )


def shared_speakers(speakers: Strings, folds: Sequence[Fold]) -> str | None:
    """Say which speakers a fold has in training and in test; None if there are none."""
    for number, (train, test) in enumerate(folds):
        shared = sorted(set(speakers[train]) & set(speakers[test]))
        if shared:
            return (
                f"fold {number} has {', '.join(shared[:3])} in training and test; a speaker may be "
                "on one side only: split by speaker"
            )
    return None


def _split(
    splitter: Any, strata: Sequence[str], groups: npt.NDArray[Any] | None = None
) -> list[Fold]:
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The least populated class")  # a rare stratum is fine
            return list(splitter.split(strata, np.asarray(strata), groups))
    except ValueError as error:
        raise ProtocolError(f"{splitter.n_splits} folds cannot be made: {error}") from error
