"""Feature sets by name: logarithms of power, and sets side by side."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from serein.audio.read import RATE_HZ
from serein.errors import AudioError
from serein.features.extractor import FeatureExtractor
from serein.features.feature_sets import GROUPS, SETS, describe, group_columns, series
from serein.features.frontend import FrontEnd
from serein.features.functionals import FUNCTIONALS, pool

Array = npt.NDArray[np.float32]


@pytest.fixture
def voice() -> Array:
    """A buzz of 150 Hz between noise and digital silence."""
    time = np.arange(RATE_HZ // 2) / RATE_HZ
    buzz = 0.3 * np.sign(np.sin(2 * np.pi * 150 * time))
    noise = 0.05 * np.random.default_rng(0).standard_normal(RATE_HZ // 4)
    return np.concatenate([noise, buzz, np.zeros(RATE_HZ // 4)]).astype(np.float32)


@pytest.mark.parametrize(("logarithm", "power"), [("log_mel", "mel"), ("log_power", "power")])
def test_logarithms_are_to_base_10_and_100_db_deep(voice: Array, logarithm: str, power: str):
    found = series(voice, [logarithm, power])
    expected = np.log10(np.maximum(found[power].astype(np.float64), 1e-10))
    np.testing.assert_allclose(found[logarithm], expected, atol=1e-5)
    assert found[logarithm].dtype == np.float32
    assert found[logarithm].min() == pytest.approx(-10)  # the silence at the end
    assert found[logarithm].max() > 0
    assert len(SETS[logarithm].columns) == len(SETS[power].columns)


@pytest.mark.parametrize("name", ["log_mel", "log_power"])
def test_ten_times_the_amplitude_is_two_decades(voice: Array, name: str):
    loud, quiet = (series(np.float32(gain) * voice, [name])[name] for gain in (1.0, 0.1))
    heard = quiet > -7
    assert heard.mean() > 0.3
    np.testing.assert_allclose((loud - quiet)[heard], 2.0, atol=1e-3)


def test_columns_of_logarithms_say_so():
    assert SETS["log_mel"].columns[0] == "log_mel_1"
    assert SETS["log_power"].columns[-1] == "log_power_8000_hz"


def test_series_come_in_the_order_of_the_names(voice: Array):
    names = ["spectral_flux", "rhythm", "mfcc", "spectral_centroid"]
    found = series(voice, names)
    assert list(found) == names
    for name in names:
        np.testing.assert_array_equal(found[name], series(voice, [name])[name])


def test_without_functionals_series_lie_side_by_side(voice: Array):
    found = describe(voice, ["mfcc", "f0"])
    parts = series(voice, ["mfcc", "f0"])
    np.testing.assert_array_equal(found, np.hstack([parts["mfcc"], parts["f0"]]))


def test_with_functionals_each_set_is_pooled(voice: Array):
    names, functionals = ["f0", "rhythm", "mfcc"], ["mean", "p80", "slope"]
    found = describe(voice, names, functionals=functionals)
    parts = series(voice, names)
    expected = [
        pool(parts["f0"], functionals=functionals, zeros_are_gaps=True),
        parts["rhythm"],
        pool(parts["mfcc"], functionals=functionals),
    ]
    np.testing.assert_array_equal(found, np.concatenate(expected))
    assert found.shape == (2 * 3 + 5 + 13 * 3,)


def test_gaps_are_left_out_where_zeros_are_gaps(voice: Array):
    f0_hz = series(voice, ["f0"])["f0"][:, 0]
    assert 0 < np.mean(f0_hz == 0) < 1
    mean_hz = describe(voice, ["f0"], functionals=["mean"])[0]
    assert mean_hz == pytest.approx(f0_hz[f0_hz != 0].mean(), rel=1e-5)
    assert mean_hz > f0_hz.mean() + 1


def test_utterance_normalisation_comes_before_functionals(voice: Array):
    means, deviations = (
        describe(voice, ["mfcc"], functionals=[name], utterance_normalisation=True)
        for name in ("mean", "std")
    )
    np.testing.assert_allclose(means, 0, atol=1e-5)
    np.testing.assert_allclose(deviations, 1, atol=1e-4)
    shapes = {name: describe(voice, ["mfcc"], functionals=[name]).shape for name in FUNCTIONALS}
    assert set(shapes.values()) == {(13,)}


@pytest.mark.parametrize(
    "signal", [np.zeros(100, np.float32), np.full(RATE_HZ, np.nan, np.float32)]
)
def test_what_is_no_signal_is_refused(signal: Any):
    with pytest.raises(AudioError):
        describe(signal, ["mfcc"])


# --- groups of columns ---


def test_every_column_of_every_set_has_a_measure() -> None:
    front_end = FrontEnd("features", sets=tuple(SETS), functionals=("mean", "p80"))
    names = FeatureExtractor(front_end.sets, functionals=front_end.functionals)
    groups = group_columns(front_end.sets, front_end.functionals)
    assert set(groups) <= set(GROUPS)
    columns = sorted(column for group in groups.values() for column in group)
    assert columns == list(range(len(names.get_feature_names_out())))


def test_columns_are_grouped_as_they_are_named() -> None:
    extractor = FeatureExtractor(["expert", "formants"], functionals=["mean", "std"])
    names = extractor.get_feature_names_out()
    front_end = FrontEnd("features", sets=("expert", "formants"), functionals=("mean", "std"))
    groups = {
        name: set(names[columns])
        for name, columns in group_columns(front_end.sets, front_end.functionals).items()
    }
    assert {"f1_hz_mean", "f5_hz_std", "expert_f2_hz_std"} <= groups["formants"]
    assert {"b1_hz_std", "expert_b1_hz_mean"} <= groups["formant bandwidths"]
    assert {"expert_loudness_p80", "expert_loudness_rise_std"} <= groups["loudness"]
    assert {"expert_loudness_peaks_per_s", "expert_voiced_share"} <= groups["rhythm and pauses"]
    assert {"expert_f1_level_db_mean"} <= groups["harmonics, formant levels"]
    assert {"expert_mfcc_3_delta_std"} <= groups["changes of MFCC"]
