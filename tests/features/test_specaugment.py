"""What was drawn is what is hidden, and the same draw hides the same."""

import numpy as np
import pytest

from serein.features.specaugment import SpecAugment


def hidden(masked: np.ndarray, mean: float) -> np.ndarray:
    return np.isclose(masked, mean, atol=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_masks_are_as_wide_as_asked_and_the_rest_stays(seed: int):
    series = np.random.default_rng(0).uniform(1, 2, (200, 80)).astype(np.float32)
    series[0, 0] -= 40 * series.size  # a mean that no cell has
    before = series.copy()
    masked = SpecAugment(frames=(17,), bands=(9,), seed=seed).apply(series)
    cells = hidden(masked, float(series.mean(dtype=np.float64)))
    rows, columns = cells.all(axis=1), cells.all(axis=0)
    assert rows.sum() == 17
    assert columns.sum() == 9
    assert np.ptp(np.flatnonzero(rows)) == 16
    assert np.ptp(np.flatnonzero(columns)) == 8
    np.testing.assert_array_equal(cells, rows[:, None] | columns)
    np.testing.assert_array_equal(masked[~cells], series[~cells])
    np.testing.assert_array_equal(series, before)


def test_masks_reach_both_ends_and_differ_by_seed():
    series = np.arange(40, dtype=np.float32)[:, None] * np.ones(4, np.float32) + 100
    firsts = {
        int(np.flatnonzero(hidden(SpecAugment((10,), (), seed).apply(series), 119.5)[:, 0])[0])
        for seed in range(300)
    }
    assert firsts == set(range(31))


def test_masks_are_drawn_within_their_widest():
    generator = np.random.default_rng(0)
    masks = [SpecAugment.draw(generator, max_frames=5, max_bands=3) for _ in range(100)]
    assert {width for mask in masks for width in mask.frames} == set(range(6))
    assert {width for mask in masks for width in mask.bands} == set(range(4))
    one, same = (SpecAugment.draw(np.random.default_rng(1)) for _ in range(2))
    series = np.random.default_rng(0).standard_normal((300, 40)).astype(np.float32)
    assert one == same
    assert one.apply(series).tobytes() == same.apply(series).tobytes()
    assert len({mask.apply(series).tobytes() for mask in masks}) > 90


def test_a_short_series_keeps_half():
    series = np.arange(11, dtype=np.float32)[:, None] * np.ones(3, np.float32)
    masked = SpecAugment((40,), ()).apply(series)
    assert (masked != series).any(axis=1).sum() in (4, 5)  # the middle frame is the mean itself
    one = np.ones((1, 1), np.float32)
    np.testing.assert_array_equal(SpecAugment((40,), (15,)).apply(one), one)


@pytest.mark.parametrize(
    ("series", "message"),
    [
        (np.zeros(5, np.float32), r"\(5,\); need floats"),
        (np.zeros((0, 4), np.float32), "need floats"),
        (np.zeros((3, 4), np.int16), "int16"),
        (np.full((3, 4), np.inf, np.float32), "NaN or infinite"),
    ],
)
def test_what_is_no_series(series: np.ndarray, message: str):
    with pytest.raises(ValueError, match=message):
        SpecAugment((1,), (1,)).apply(series)


def test_a_width_below_zero_is_refused():
    with pytest.raises(ValueError, match="width of a mask is -1; need 0 or more"):
        SpecAugment((-1,), ())
