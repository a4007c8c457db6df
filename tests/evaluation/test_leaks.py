"""Each leak, planted on purpose, is caught; and data without leaks pass."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from imblearn.over_sampling import SMOTE, RandomOverSampler
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler

from serein.errors import ProtocolError
from serein.evaluation.cross_validation import cross_validate
from serein.evaluation.leaks import find_leaks
from serein.evaluation.protocol import Fold, leave_one_speaker_out, random_k_fold
from serein.models.padding import pad

Array = npt.NDArray[Any]
SPEAKERS, CLIPS, COLUMNS = 6, 20, 12


def voices(seed: int = 0) -> tuple[Array, Array, Array]:
    """Clips of six speakers, each with a place of their own; two emotions, one of them rare."""
    generator = np.random.default_rng(seed)
    who = np.repeat([f"s{number}" for number in range(SPEAKERS)], CLIPS)
    y = np.tile(np.repeat(["calm", "anger"], [14, 6]), SPEAKERS)
    X = generator.normal(0, 1, (len(who), COLUMNS)) + 2.0
    X += generator.normal(0, 1, (SPEAKERS, COLUMNS)).repeat(CLIPS, axis=0)
    X[y == "anger", 0] += 2
    return X.astype(np.float32), y, who


def cross_validated(
    X: Array, y: Array, who: Array, folds: list[Fold], model: Any = None, **options: Any
):
    return cross_validate(model or GaussianNB(), X, y, who, folds, protocol="planted", **options)


def split(y: Array) -> list[Fold]:
    """A split that knows nothing of speakers."""
    return random_k_fold(y.tolist(), folds=5, speaker_overlap="allow")


def apart(count: int) -> Array:
    """Say that every sample is of a speaker of its own, as who does not know better may."""
    return np.array([f"x{number}" for number in range(count)])


def test_speaker_independent_data_pass():
    X, y, who = voices()
    found = cross_validated(X, y, who, leave_one_speaker_out(who.tolist()))
    assert found.leaks == ()
    assert found.predict(X).title == "planted"


def test_a_shared_speaker():
    X, y, who = voices()
    with pytest.raises(ProtocolError, match="fold 0 has s0, s1, s2 in training and test"):
        cross_validated(X, y, who, split(y))


def test_allowed_by_name_it_runs_and_is_stamped():
    X, y, who = voices()
    result = cross_validated(X, y, who, split(y), speaker_overlap="allow").predict(X)
    assert "in training and test" in result.leaks[0]
    assert result.title.startswith("planted [NOT SPEAKER-INDEPENDENT")
    assert result.subset(result.truth == 0).leaks == result.leaks


def test_an_unknown_way_of_allowing():
    X, y, who = voices()
    folds = leave_one_speaker_out(who.tolist())
    with pytest.raises(ProtocolError, match="unknown speaker_overlap 'yes'; known: "):
        cross_validated(X, y, who, folds, speaker_overlap="yes")


def test_the_same_recording_under_two_speakers():
    X, y, who = voices()
    X[25] = X[3]  # s0's clip once more, as s1's
    with pytest.raises(ProtocolError, match="1 test samples are in training too, sample 3 as 25"):
        cross_validated(X, y, who, leave_one_speaker_out(who.tolist()))


def test_over_sampling_before_the_split():
    X, y, _ = voices()
    X, y = RandomOverSampler(random_state=0).fit_resample(X, y)
    with pytest.raises(ProtocolError, match="resampled before the split"):
        cross_validated(X, y, apart(len(y)), split(y))


def test_smote_before_the_split():
    X, y, _ = voices()
    X, y = SMOTE(random_state=0).fit_resample(X, y)
    with pytest.raises(ProtocolError, match=r"before the split: (do so|augment) inside the fold"):
        cross_validated(X.astype(np.float32), y, apart(len(y)), split(y))


@pytest.mark.parametrize("jitter", [0.001, 0.05, 0.1])
@pytest.mark.parametrize("copies", [1, 3])
def test_jittered_copies_before_the_split(jitter: float, copies: int):
    X, y, _ = voices()
    generator = np.random.default_rng(1)
    made = [X + jitter * X.std(axis=0) * generator.normal(size=X.shape) for _ in range(copies)]
    X, y = np.concatenate([X, *made]).astype(np.float32), np.tile(y, copies + 1)
    with pytest.raises(ProtocolError, match="augmented before the split"):
        cross_validated(X, y, apart(len(y)), split(y))


def test_a_single_copy_of_a_recording_coded_anew():
    X, y, who = voices()
    X[25] = X[3] * np.float32(1.001)
    with pytest.raises(ProtocolError, match="near copies of training samples"):
        cross_validated(X, y, who, leave_one_speaker_out(who.tolist()))


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        (StandardScaler(), "standardised"),
        (MinMaxScaler(), "scaled to 0 to 1"),
        (PCA(10), "whitened"),
        (PCA(10, whiten=True), "standardised|whitened"),
    ],
)
def test_a_transform_of_all_samples_together(transform: Any, message: str):
    X, y, who = voices()
    X = transform.fit_transform(X).astype(np.float32)
    with pytest.raises(ProtocolError, match=f"{message}.*scale inside the pipeline"):
        cross_validated(X, y, who, leave_one_speaker_out(who.tolist()))


def test_a_speakers_own_clips_as_the_scale():
    X, y, who = voices()
    for name in np.unique(who):
        X[who == name] = StandardScaler().fit_transform(X[who == name])
    with pytest.raises(ProtocolError, match="speaker by speaker with the test speakers' own clips"):
        cross_validated(X, y, who, leave_one_speaker_out(who.tolist()))


def test_a_transform_that_stays_fitted():
    X, y, who = voices()
    frozen = FrozenEstimator(StandardScaler().fit(X))
    model = make_pipeline(frozen, LogisticRegression())
    with pytest.raises(ProtocolError, match=r"frozenestimator.* was fitted before the split"):
        cross_validated(X, y, who, leave_one_speaker_out(who.tolist()), model)


@pytest.mark.parametrize(
    "model", [LogisticRegression(), make_pipeline(StandardScaler(), GaussianNB())]
)
def test_a_pipeline_that_was_fitted_once_is_cloned_and_passes(model: Any):
    X, y, who = voices()
    model.fit(X, y)
    assert cross_validated(X, y, who, leave_one_speaker_out(who.tolist()), model).leaks == ()


def test_a_part_that_learns_nothing_passes():
    X, _, who = voices()
    model = make_pipeline(FunctionTransformer(np.abs), GaussianNB())
    assert find_leaks(model, X, who, leave_one_speaker_out(who.tolist())) == []


def test_series_of_different_length():
    generator = np.random.default_rng(0)
    who = np.repeat([f"s{number}" for number in range(SPEAKERS)], 6)
    series = [generator.normal(size=(int(generator.integers(5, 9)), 4)) for _ in who]
    folds = leave_one_speaker_out(who.tolist())
    assert find_leaks(GaussianNB(), pad(series), who, folds) == []
    series[7] = series[0]
    leaks = find_leaks(GaussianNB(), pad(series), who, folds)
    assert "sample 0 as 7" in leaks[0]


def test_silence_and_other_round_rows_may_coincide():
    X, _, who = voices()
    X[::10] = 0.0
    assert find_leaks(GaussianNB(), X, who, leave_one_speaker_out(who.tolist())) == []


def test_speaker_independent_data_pass_whatever_the_draw():
    """No false alarm: other draws, few columns, columns that nearly repeat each other."""
    for seed in range(20):
        X, _, who = voices(seed)
        folds = leave_one_speaker_out(who.tolist())
        near = np.concatenate([X, X + 1e-3 * np.random.default_rng(seed).normal(size=X.shape)], 1)
        for rows in (X, X[:, :3], near.astype(np.float32), np.round(X, 1)):
            assert find_leaks(GaussianNB(), rows, who, folds) == []


def test_of_many_samples_some_are_looked_at(monkeypatch: pytest.MonkeyPatch):
    """Folds of which none is looked at are passed over; copies of all are still found."""
    monkeypatch.setattr("serein.evaluation.leaks.MAX_CHECKED", 5)
    X, y, who = voices()
    assert find_leaks(GaussianNB(), X, who, leave_one_speaker_out(who.tolist())) == []
    jitter = 0.01 * np.random.default_rng(1).normal(size=X.shape)
    both, names = np.concatenate([X, X + jitter]).astype(np.float32), apart(2 * len(X))
    (leak,) = find_leaks(GaussianNB(), both, names, split(np.tile(y, 2)))
    assert "copies of training samples" in leak
