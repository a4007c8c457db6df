"""GMM-HMM: hmmlearn and enumeration of all paths as oracles, order in time, what is refused."""

import itertools
import logging
import subprocess
import sys
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from serein.models.hmm import GaussianMixtureHMM
from serein.models.hmm_forward import SHAPES, HmmArrays
from serein.models.padding import pad, unpad

Array = npt.NDArray[Any]


def moving(samples: int = 36, width: int = 3, seed: int = 0) -> tuple[Array, Array, list[Array]]:
    """Three emotions with the same frames on the whole, in another order."""
    generator = np.random.default_rng(seed)
    places = 3 * np.random.default_rng(7).standard_normal((3, width))
    y = np.arange(samples) % 3
    series = []
    for emotion in y:
        length = generator.integers(9, 20)
        place = (np.arange(length) * 3 // length + emotion) % 3
        series.append(5 * (places[place] + generator.standard_normal((length, width))) + 20)
    return pad(series), np.array(["anger", "fear", "joy"])[y], series


def small(**parameters: Any) -> GaussianMixtureHMM:
    defaults = {"width": 3, "states": 3, "iterations": 5, "random_state": 0}
    return GaussianMixtureHMM(**(defaults | parameters))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@parametrize_with_checks([GaussianMixtureHMM(mixtures=1, iterations=2, random_state=0)])
def test_scikit_learns_contract(estimator, check):
    check(estimator)


@pytest.mark.parametrize("mixtures", [1, 2])
@pytest.mark.parametrize("topology", ["left_right", "ergodic"])
def test_scores_are_hmmlearns(topology: str, mixtures: int):
    X, y, series = moving()
    fitted = small(topology=topology, mixtures=mixtures).fit(X, y)
    arrays = fitted.arrays_
    for one in series[:6]:
        frames = (one.astype(np.float32) - fitted.centre_) / fitted.scale_
        expected = [model.score(frames) for model in fitted.models_]
        np.testing.assert_allclose(arrays.log_likelihood(one.astype(np.float32)), expected)


def test_probabilities_are_from_the_mean_frame():
    X, y, series = moving()
    y = np.where(y == "fear", "joy", y)
    for prior, shares in (("uniform", [1 / 2, 1 / 2]), ("data", [1 / 3, 2 / 3])):
        fitted = small(prior=prior).fit(X, y)
        single = series[0].astype(np.float32)
        score = fitted.arrays_.log_likelihood(single) / len(single) + np.log(shares)
        np.testing.assert_allclose(fitted.predict_log_proba(X)[0], score - logsumexp(score))
        np.testing.assert_allclose(fitted.predict_proba(X).sum(axis=1), 1.0)


def test_likelihood_is_the_sum_over_all_paths():
    generator = np.random.default_rng(0)
    emotions, states, mixtures, width = 2, 3, 2, 2
    start = generator.dirichlet(np.ones(states), emotions)
    transition = generator.dirichlet(np.ones(states), (emotions, states))
    weight = generator.dirichlet(np.ones(mixtures), (emotions, states))
    mean = generator.standard_normal((emotions, states, mixtures, width))
    variance = generator.uniform(0.2, 2, mean.shape)
    arrays = HmmArrays(
        np.zeros(width),
        np.ones(width),
        np.log([0.5, 0.5]),
        np.log(start),
        np.log(transition),
        np.log(weight),
        mean,
        variance,
    )
    frames = generator.standard_normal((4, width))
    for emotion in range(emotions):
        density = np.array(
            [
                [
                    sum(
                        weight[emotion, state, mixture]
                        * multivariate_normal.pdf(
                            frame, mean[emotion, state, mixture], variance[emotion, state, mixture]
                        )
                        for mixture in range(mixtures)
                    )
                    for state in range(states)
                ]
                for frame in frames
            ]
        )
        total = 0.0
        for path in itertools.product(range(states), repeat=len(frames)):
            chance = start[emotion, path[0]] * density[0, path[0]]
            for at in range(1, len(frames)):
                chance *= transition[emotion, path[at - 1], path[at]] * density[at, path[at]]
            total += chance
        assert arrays.log_likelihood(frames)[emotion] == pytest.approx(np.log(total))


@pytest.mark.parametrize("topology", ["left_right", "ergodic"])
def test_emotions_that_differ_in_order_alone_are_told_apart(topology: str):
    X, y, _ = moving(60)
    new, truth, _ = moving(60, seed=1)
    fitted = small(topology=topology, iterations=15).fit(X, y)
    assert fitted.score(new[:, : X.shape[1]], truth) > 0.9
    one_state = small(states=1).fit(X, y)
    assert one_state.score(new[:, : X.shape[1]], truth) < 0.6


def test_left_right_goes_from_the_first_state_to_the_next():
    X, y, _ = moving()
    for model in small(states=4).fit(X, y).models_:
        assert model.startprob_.tolist() == [1, 0, 0, 0]
        assert (model.transmat_[~np.triu(np.tri(4, k=1, dtype=bool))] == 0).all()
        assert model.transmat_[3, 3] == 1


def test_same_seed_same_scores_and_an_untouched_global_state():
    X, y, _ = moving()
    before = np.random.get_state()[1].copy()
    predictions = [small(topology="ergodic").fit(X, y).predict_proba(X) for _ in range(2)]
    np.testing.assert_array_equal(predictions[0], predictions[1])
    np.testing.assert_array_equal(before, np.random.get_state()[1])


def test_filling_changes_nothing():
    X, y, _ = moving()
    wider = np.pad(X, ((0, 0), (0, 9)), constant_values=np.nan)
    np.testing.assert_array_equal(
        small().fit(X, y).predict_proba(X), small().fit(wider, y).predict_proba(wider)
    )
    batch, lengths = unpad(X, 3)
    shortest = lengths.argmin()
    alone = small().fit(X, y).arrays_.log_probabilities(batch[shortest, : lengths[shortest]])
    np.testing.assert_array_equal(small().fit(X, y).predict_log_proba(X)[shortest], alone)


def test_frames_that_never_change_do_not_break_it(caplog: pytest.LogCaptureFixture):
    X = pad([np.full((6, 2), value) for value in (1.0, 1.0, 4.0, 4.0)])
    with caplog.at_level(logging.DEBUG):
        fitted = small(width=2, variance_floor=0.05).fit(X, ["calm", "calm", "joy", "joy"])
    assert fitted.predict(X).tolist() == ["calm", "calm", "joy", "joy"]
    assert fitted.arrays_.variance.min() >= 0.05
    assert not caplog.records


def test_an_emotion_with_few_frames_gets_fewer_mixtures():
    X, y, series = moving(30)
    X, y = pad([*series, series[0][:5]]), np.append(y, "calm")
    fitted = small(mixtures=4).fit(X, y)
    assert [model.n_mix for model in fitted.models_] == [4, 1, 4, 4]
    assert fitted.classes_[1] == "calm"
    weight = fitted.arrays_.log_weight
    assert weight.shape == (4, 3, 4)
    assert np.isneginf(weight[1, :, 1:]).all()
    assert np.isfinite(fitted.predict_log_proba(X)).all()


def test_no_more_states_than_frames():
    _, y, series = moving()
    short = pad([one[:2] for one in series])
    fitted = small(states=5).fit(short, y)
    assert fitted.arrays_.log_start.shape == (3, 2)
    vectors = GaussianMixtureHMM(random_state=0).fit(np.stack([one[0] for one in series]), y)
    assert vectors.arrays_.log_start.shape == (3, 1)


# --- arrays ---


def stored() -> dict[str, Array]:
    X, y, _ = moving()
    return small(iterations=1).fit(X, y).arrays_.to_arrays()


def test_arrays_come_back_as_they_went_also_from_float32():
    arrays, frames = stored(), np.random.default_rng(0).standard_normal((30, 3)) + 20
    assert set(arrays) == set(SHAPES)
    expected = HmmArrays(**arrays).log_probabilities(frames)
    np.testing.assert_array_equal(HmmArrays.from_arrays(arrays).log_probabilities(frames), expected)
    single = {name: values.astype(np.float32) for name, values in arrays.items()}
    np.testing.assert_allclose(
        HmmArrays.from_arrays(single).log_probabilities(frames), expected, atol=1e-3
    )


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"mean": None}, "arrays are .*; need centre, scale"),
        ({"extra": np.ones(1)}, "arrays are .*extra.*; need centre, scale"),
        ({"centre": np.zeros(4)}, r"centre has shape \(4,\); need \(features\) with 3 features"),
        ({"log_start": np.zeros(3)}, r"log_start has shape \(3,\); need \(emotions, states\)"),
        ({"log_prior": np.zeros(0)}, r"log_prior has shape \(0,\); need \(emotions\)"),
        ({"log_prior": np.log([0.5, 0.5, 0.5])}, "log_prior must be logs of probabilities that"),
        ({"log_prior": np.array([np.nan, -1, -1])}, "log_prior holds NaN or a value above 0"),
        ({"log_prior": np.array([1.0, -9, -9])}, "log_prior holds NaN or a value above 0"),
        ({"scale": np.array([1.0, 0, 1])}, "scale holds a value of 0 or below"),
        ({"centre": np.array([1.0, np.inf, 1])}, "centre holds NaN or infinity"),
    ],
)
def test_damaged_arrays(changed: dict[str, Any], message: str):
    arrays = {name: values for name, values in (stored() | changed).items() if values is not None}
    with pytest.raises(ValueError, match=message):
        HmmArrays.from_arrays(arrays)


@pytest.mark.parametrize(
    ("series", "message"),
    [
        (np.zeros((4, 2)), r"series has shape \(4, 2\); need \(time, 3\)"),
        (np.zeros((0, 3)), "at least 1 frame"),
        (np.zeros(3), r"series has shape \(3,\)"),
        (np.full((2, 3), np.nan), "series holds NaN or infinity"),
    ],
)
def test_series_that_cannot_be_scored(series: Array, message: str):
    with pytest.raises(ValueError, match=message):
        HmmArrays(**stored()).log_probabilities(series)


def test_scoring_needs_numpy_alone():
    program = (
        "import sys\n"
        "for name in ('scipy', 'sklearn', 'hmmlearn'): sys.modules[name] = None\n"
        "import serein.models.hmm_forward\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_scoring_takes_one_step_a_frame_however_many_emotions_and_states(
    monkeypatch: pytest.MonkeyPatch,
):
    generator = np.random.default_rng(0)
    same = np.full((8, 4, 4), np.log(0.25))
    mean = generator.standard_normal((8, 4, 4, 40))
    arrays = HmmArrays(
        np.zeros(40), np.ones(40), np.full(8, np.log(1 / 8)), same[:, 0], same, same, mean, mean**2
    )
    sums: list[int] = []
    plain = np.logaddexp.reduce

    class Counted:
        """`numpy.logaddexp`, whose reductions are counted."""

        @staticmethod
        def reduce(values: Array, axis: int = 0) -> Array:
            sums.append(values.size)
            return plain(values, axis=axis)

    monkeypatch.setattr(np, "logaddexp", Counted)
    arrays.log_probabilities(generator.standard_normal((300, 40)))
    assert sums.count(8 * 4 * 4) == 299  # all paths to the next frame at once
    assert len(sums) == 299 + 3  # and over mixtures, last states and emotions


# --- what is refused ---


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"topology": "left"}, "unknown topology 'left'; known: left_right, ergodic"),
        ({"prior": "flat"}, "unknown prior 'flat'; known: "),
        ({"states": 0}, "states is 0; need at least 1"),
        ({"mixtures": 0}, "mixtures is 0; need at least 1"),
        ({"iterations": 0}, "iterations is 0; need at least 1"),
        ({"variance_floor": 0.0}, "variance_floor is 0.0; allowed: above 0, up to 1"),
        ({"width": 4}, "need a multiple of the width, which is 4"),
    ],
)
def test_parameters_that_cannot_be(parameters: dict[str, Any], message: str):
    X, y, _ = moving()
    with pytest.raises(ValueError, match=message):
        clone(small()).set_params(**parameters).fit(X[:, :9], y)


def test_data_that_cannot_be():
    X, y, series = moving()
    with pytest.raises(ValueError, match=r"y has 1 class \(joy\)"):
        small().fit(X, ["joy"] * len(y))
    with pytest.raises(ValueError, match="class calm has 2 frames in training, and 3 states"):
        small().fit(pad([*series, series[0][:2]]), np.append(y, "calm"))
    holed = X.copy()
    holed[4, 3] = np.nan
    with pytest.raises(ValueError, match="NaN inside a series of X, row 4"):
        small().fit(holed, y)
    with pytest.raises(ValueError, match=r"(?i)infinity"):
        small().fit(np.where(X > 35, np.inf, X), y)
    with pytest.raises(ValueError, match="contains NaN"):
        GaussianMixtureHMM().fit(X, y)
