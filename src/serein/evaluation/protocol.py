"""Folds of unseen speakers."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import StratifiedGroupKFold

from serein.errors import ProtocolError

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
    """Deal speakers into folds of like size, keeping the mix of `strata` alike.

    Parameters
    ----------
    speakers, strata : sequence of str
        Who speaks in each sample, and what should be spread evenly (corpus and emotion).
    folds : int
        Number of folds.
    random_state : int
        Seed of the deal.

    Returns
    -------
    list of (train, test)
        Index arrays, a pair a fold.

    Raises
    ------
    ProtocolError
        If there are fewer speakers than folds, or too few samples to deal.
    """
    count = len(set(speakers))
    if folds < 2 or count < folds:
        raise ProtocolError(f"{folds} folds of {count} speakers; allowed: 2 to {count} folds")
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=random_state)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The least populated class")  # a rare stratum is fine
            dealt = list(splitter.split(strata, np.asarray(strata), np.asarray(speakers)))
    except ValueError as error:
        raise ProtocolError(f"{folds} folds cannot be dealt: {error}") from error
    if not all(len(test) for _, test in dealt):
        raise ProtocolError(
            f"dealing {count} speakers into {folds} folds left one empty: use fewer folds"
        )
    return dealt


def refuse_unfair(
    folds: Sequence[Fold], speakers: Strings, truth: npt.NDArray[np.intp], labels: Strings
) -> None:
    """Raise unless the folds are speaker-independent and test every sample once.

    Parameters
    ----------
    folds : sequence of (train, test)
        Index arrays.
    speakers, truth, labels : numpy.ndarray
        Speaker and class number of each sample; names of the classes.

    Raises
    ------
    ProtocolError
        If a fold shares a speaker, a sample is tested twice or never, or a class is tested that the
        training part lacks.
    """
    tested = np.zeros(len(truth), dtype=np.intp)
    for number, (train, test) in enumerate(folds):
        shared = sorted(set(speakers[train]) & set(speakers[test]))
        if shared:
            raise ProtocolError(
                f"fold {number} has {', '.join(shared[:3])} in training and test; a speaker may be "
                "on one side only: split by speaker"
            )
        lacking = sorted(set(truth[test]) - set(truth[train]))
        if lacking:
            raise ProtocolError(
                f"fold {number} tests {', '.join(labels[lacking])}, of which its training part has "
                "no clip: use fewer folds or leave the class out"
            )
        np.add.at(tested, test, 1)
    if (tested != 1).any():
        raise ProtocolError(
            f"{int((tested != 1).sum())} samples are tested twice or never; each must be once"
        )
