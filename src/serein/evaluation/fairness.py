"""Fairness: which groups are recognised worse, by a permutation test.

Names follow audEERING's ser-tests: difference of UAR, of recall and of precision per class. Where
ser-tests takes a random model and groups of a standard size, `fairness` permutes the groups of
these predictions, whose sizes stay: the null distribution is that of this model on this data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import comb, isnan
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from serein.errors import check_name, counted
from serein.evaluation.comparison import holm
from serein.evaluation.metrics import (
    Floats,
    class_recalls,
    confusion_matrices,
    mean_present,
    overall_scores,
)
from serein.evaluation.result import Result

Counts = npt.NDArray[np.int64]
Value = TypeVar("Value", float, "Difference")

DRAWS = 2000
MIN_CLIPS = 10  # of a group that is tested
SIGNIFICANT = 0.05
TAILS = (0.025, 0.975)
WITHIN, OUTSIDE = "within chance", "outside chance"
TOO_FEW, DISJOINT = "too few speakers", "no class in common"


class Grouping(NamedTuple):
    """Where the groups come from, and what is permuted between them."""

    column: str  # of `Result.about`
    unit: str


GROUPINGS = {
    "gender": Grouping("gender", "speaker"),
    "language": Grouping("language", "speaker"),
    "speaker": Grouping("speakers", "clip"),
    "sentence": Grouping("text", "clip"),
}


@dataclass(frozen=True)
class Difference:
    """A group's score less that of everybody else, with its null distribution."""

    value: float
    chance_95: tuple[float, float]
    p_value: float
    p_holm: float

    @property
    def outside(self) -> bool:
        """Whether the difference is significant: corrected p of at most 0.05."""
        return self.p_holm <= SIGNIFICANT


@dataclass(frozen=True)
class Group:
    """How well one group is recognised."""

    name: str
    clips: int
    speakers: int
    uar: float
    uar_difference: Difference
    recall: Mapping[str, float]
    recall_difference: Mapping[str, Difference]
    precision: Mapping[str, float]
    precision_difference: Mapping[str, Difference]
    verdict: str

    @property
    def classes_outside(self) -> tuple[str, ...]:
        """Classes whose recall differs significantly."""
        return tuple(name for name, entry in self.recall_difference.items() if entry.outside)


@dataclass(frozen=True)
class Fairness:
    """How the groups of one kind compare; no group if there is nothing to compare."""

    by: str
    unit: str
    groups: tuple[Group, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def fairness(
    result: Result, by: str = "gender", *, draws: int = DRAWS, random_state: int = 0
) -> Fairness:
    """Compare each group with everybody else, and with random groups of its size.

    Gender and language belong to speakers, whose clips are alike: whole speakers are permuted.
    Speaker and sentence belong to clips: clips are permuted within their true class. Where many
    groups are compared, there are more permutations than `draws`.

    P. Good, "Permutation, Parametric and Bootstrap Tests of Hypotheses", 3rd edition, 2005.
    """
    check_name("group to compare", by, GROUPINGS)
    column, unit = GROUPINGS[by]
    unknown = np.full(len(result.truth), "")
    values = result.speakers if column == "speakers" else result.about.get(column, unknown)
    known = np.asarray(values) != ""
    part, values = result.subset(known), np.asarray(values)[known]
    names, clips = np.unique(values, return_counts=True)
    tested = np.flatnonzero((clips >= MIN_CLIPS) & (len(names) > 1))
    notes = _notes(by, unit, names, tested, int(np.sum(~known)))
    if not tested.size:
        return Fairness(by, unit, (), notes)
    permutation = _Permutation(part, values, unit, max(draws, 50 * tested.size), random_state)
    return Fairness(by, unit, _groups(part, values, tested, permutation), notes)


class _Permutation:
    """Permutes predictions between groups: whole speakers, or clips within their true class."""

    def __init__(
        self, result: Result, values: npt.NDArray[Any], unit: str, draws: int, seed: int
    ) -> None:
        self.draws, self.seed, self.by_speaker = draws, seed, unit == "speaker"
        group = np.unique(values, return_inverse=True)[1]
        speaker = np.unique(result.speakers, return_inverse=True)[1] * self.by_speaker
        owners, which = np.unique(np.stack([group, speaker]), axis=1, return_inverse=True)
        self.owner = owners[0]  # the group of each unit that is permuted
        classes = len(result.labels)
        self.units: Counts = confusion_matrices(
            which.ravel(), self.owner.size, result.truth, result.prediction, classes
        )
        self.total: Counts = self.units.sum(axis=0)
        self.groups = int(group.max()) + 1

    def cells(self, number: int) -> Counts:
        """Give a group's confusion matrix, (classes, classes)."""
        cells: Counts = self.units[self.owner == number].sum(axis=0)
        return cells

    def permuted(self, number: int) -> Counts:
        """Give its confusion matrices under permutation, (draws, classes, classes)."""
        if self.groups == 2 and number == 1:
            return self.total - self.permuted(0)  # what one has more the other has less
        generator = np.random.default_rng(self.seed)
        if self.by_speaker:
            order = generator.permuted(np.tile(self.owner, (self.draws, 1)), axis=1)
            cells: Counts = np.tensordot((order == number).astype(np.int64), self.units, 1)
            return cells
        sizes = zip(self.total, self.cells(number).sum(axis=1), strict=True)
        rows = [
            generator.multivariate_hypergeometric(everyone, mine, self.draws, method="marginals")
            for everyone, mine in sizes
        ]
        return np.stack(rows, axis=1)

    def can_tell(self, number: int) -> bool:
        """Say whether the rarest permutation is rare enough to be significant."""
        mine, everyone = int(np.sum(self.owner == number)), self.owner.size
        alike = 2 if self.groups == 2 and 2 * mine == everyone else 1
        compared = self.groups if self.groups > 2 else 1
        return not self.by_speaker or alike * compared <= SIGNIFICANT * comb(everyone, mine)

    def test(self, number: int) -> tuple[Floats, Floats, Floats]:
        """Give a group's differences, their 95 % bands under permutation, and p of each."""
        cells, permuted = self.cells(number), self.permuted(number)
        value = _differences(cells, self.total - cells)
        chance = _differences(permuted, self.total - permuted)
        defined = ~np.isnan(chance)
        as_far = defined & (np.abs(chance) >= np.abs(value) - 1e-12)
        p = (1 + as_far.sum(axis=0)) / (1 + defined.sum(axis=0))
        drawn = [column[known] for column, known in zip(chance.T, defined.T, strict=True)]
        band = [np.quantile(column, TAILS) if column.size else (np.nan, np.nan) for column in drawn]
        return value, np.array(band), np.where(np.isnan(value), np.nan, p)


def _groups(
    result: Result,
    values: npt.NDArray[Any],
    tested: npt.NDArray[np.intp],
    permutation: _Permutation,
) -> tuple[Group, ...]:
    """Test each group, and correct p for all that were tested."""
    names, classes = np.unique(values), len(result.labels)
    tests = [permutation.test(int(number)) for number in tested]
    after = np.stack([p for _, _, p in tests])
    for family in (slice(0, 1), slice(1, 1 + classes), slice(1 + classes, None)):
        # of two groups there is one comparison, seen from either side
        rows = after[:1, family] if permutation.groups == 2 else after[:, family]
        after[:, family] = _corrected(rows)
    groups = []
    for number, (value, band, p), corrected in zip(tested.tolist(), tests, after, strict=True):
        columns = zip(value.tolist(), band.tolist(), p.tolist(), corrected.tolist(), strict=True)
        found = [Difference(gap, (low, high), *ps) for gap, (low, high), *ps in columns]
        mine, cells = values == names[number], permutation.cells(number)
        recall, precision = _shares(cells)
        groups.append(
            Group(
                name=str(names[number]),
                clips=int(mine.sum()),
                speakers=len(np.unique(result.speakers[mine])),
                uar=float(overall_scores(cells)["uar"]),
                uar_difference=found[0],
                recall=_known(result.labels, recall.tolist()),
                recall_difference=_known(result.labels, found[1 : 1 + classes]),
                precision=_known(result.labels, precision.tolist()),
                precision_difference=_known(result.labels, found[1 + classes :]),
                verdict=_verdict(found[0], permutation.can_tell(number)),
            )
        )
    return tuple(groups)


def _verdict(difference: Difference, can_tell: bool) -> str:
    if isnan(difference.value):
        return DISJOINT
    if not can_tell:
        return TOO_FEW
    return OUTSIDE if difference.outside else WITHIN


def _notes(
    by: str, unit: str, names: npt.NDArray[Any], tested: npt.NDArray[np.intp], unknown: int
) -> tuple[str, ...]:
    """Say what was left out, and how p was corrected."""
    notes = [f"left out: {counted(unknown, 'clip')} whose {by} is not known"] if unknown else []
    small = len(names) - tested.size
    if len(names) < 2:
        found = f"of every clip the {by} is {names[0]}" if len(names) else f"no {by} is known"
        return (*notes, f"{found}: there is nothing to compare")
    if small:
        notes.append(f"{small} of {len(names)} with fewer than {MIN_CLIPS} clips are not tested")
    if tested.size:
        permuted = "speakers" if unit == "speaker" else "clips within their true class"
        times = tested.size if len(names) > 2 else 1
        corrected = (
            f"p is corrected for {times} comparisons (Holm)" if times > 1 else "one comparison"
        )
        notes.append(f"chance: permutation of {permuted}; {corrected}")
    return tuple(notes)


def _shares(cells: Counts) -> tuple[Floats, Floats]:
    """Give each class's recall and precision; NaN if it is never true, or never predicted."""
    return class_recalls(cells), class_recalls(cells.swapaxes(-1, -2))


def _differences(mine: Counts, rest: Counts) -> Floats:
    """Give differences of UAR, of each recall and each precision: (..., 1 + 2 * classes)."""
    recall, precision = (
        one - other for one, other in zip(_shares(mine), _shares(rest), strict=True)
    )
    uar = mean_present(recall, ~np.isnan(recall))
    return np.concatenate([uar[..., None], recall, precision], axis=-1)


def _corrected(p: Floats) -> Floats:
    """Correct p-values for their number; NaN is none."""
    known, corrected = ~np.isnan(p), np.full(p.shape, np.nan)
    corrected[known] = holm(p[known].tolist())
    return corrected


def _known(labels: tuple[str, ...], values: list[Value]) -> dict[str, Value]:
    """Give each label its value; NaN is none."""
    plain = [value if isinstance(value, float) else value.value for value in values]
    found = zip(labels, values, plain, strict=True)
    return {label: value for label, value, number in found if not isnan(number)}
