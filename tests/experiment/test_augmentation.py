"""Augmented data: drawn from signal, seed and number alone, and never the recording itself."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from serein.audio.chain import AUGMENTATIONS
from serein.audio.read import RATE_HZ
from serein.errors import AudioError
from serein.experiment.data import AugmentingExtractor
from serein.experiment.recipe import Augmentation
from serein.features.frontend import FrontEnd

Array = npt.NDArray[np.float32]
CHAIN = ("noise", "gain", "speed")
ALONE = [name for name in AUGMENTATIONS if name != "overlay"]  # it needs another recording


@dataclass(frozen=True)
class Untouched:
    """Gives back what it hears."""

    fingerprint: str = "untouched"

    def __call__(self, signal: Array) -> Array:
        return signal


def augmenting(
    number: int = 0,
    seed: int = 0,
    chain: tuple[str, ...] = CHAIN,
    ranges: dict[str, Any] | None = None,
    extractor: Any = None,
    probability: dict[str, float] | None = None,
) -> AugmentingExtractor:
    changes = Augmentation(2, chain, ranges or {}, probability or {})
    return AugmentingExtractor(extractor or Untouched(), changes, number, seed)


@pytest.fixture
def voice() -> Array:
    generator = np.random.default_rng(0)
    time = np.arange(RATE_HZ) / RATE_HZ
    buzz = np.sign(np.sin(2 * np.pi * 140 * time)) + 0.3 * generator.standard_normal(RATE_HZ)
    return (0.05 * (1 + np.sin(2 * np.pi * 4 * time)) * buzz).astype(np.float32)


def differ(one: Array, other: Array) -> bool:
    return one.shape != other.shape or bool(np.abs(one - other).max() > 1e-4)


def test_the_same_seed_and_number_give_the_same_copy(voice: Array):
    np.testing.assert_array_equal(augmenting(1, 7)(voice), augmenting(1, 7)(voice.copy()))


def test_another_number_seed_or_signal_draws_anew(voice: Array):
    assert differ(augmenting(0)(voice), augmenting(1)(voice))
    assert differ(augmenting(0, 0)(voice), augmenting(0, 1)(voice))
    assert differ(augmenting(0, 1)(voice), augmenting(1, 0)(voice))
    other = voice.copy()
    other[100] += 0.001
    assert differ(augmenting()(voice), augmenting()(other))


def test_nothing_outside_is_drawn_from_or_changed(voice: Array):
    before, state = voice.copy(), np.random.get_state()[1].copy()
    first = augmenting()(voice)
    np.random.default_rng(0).random(100)
    np.testing.assert_array_equal(augmenting()(voice), first)
    np.testing.assert_array_equal(voice, before)
    np.testing.assert_array_equal(np.random.get_state()[1], state)


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("name", ALONE)
def test_a_copy_is_never_the_recording_itself(voice: Array, name: str, number: int):
    changed = augmenting(number, chain=(name,))(voice)
    assert differ(changed, voice)
    assert changed.dtype == np.float32
    assert np.isfinite(changed).all()


def test_ranges_are_drawn_from(voice: Array):
    quieter = augmenting(chain=("gain",), ranges={"gain": {"gain_db": (-20.0, -20.0)}})(voice)
    np.testing.assert_allclose(quieter, 0.1 * voice, rtol=1e-5)
    slower = augmenting(chain=("speed",), ranges={"speed": {"rate": (0.5, 0.5)}})(voice)
    assert slower.size == pytest.approx(2 * voice.size, rel=0.01)


def test_the_chain_runs_in_its_order(voice: Array):
    """Played at half speed, nothing is above 4 kHz; noise added after it is."""
    ranges = {"speed": {"rate": (0.5, 0.5)}, "noise": {"snr_db": (0.0, 0.0)}}

    def share_above_4_khz(*chain: str) -> float:
        power = np.abs(np.fft.rfft(augmenting(chain=chain, ranges=ranges)(voice))) ** 2
        return float(power[int(0.55 * power.size) :].sum() / power.sum())

    assert share_above_4_khz("noise", "speed") < 0.001
    assert share_above_4_khz("speed", "noise") > 0.1


def test_a_copy_goes_through_an_augmentation_with_its_probability(voice: Array):
    def changed(probability: float) -> float:
        copies = (
            augmenting(n, chain=("gain",), probability={"gain": probability}) for n in range(60)
        )
        return float(np.mean([differ(one(voice), voice) for one in copies]))

    assert changed(0.0) == 0.0
    assert changed(1.0) == 1.0
    assert changed(0.5) == pytest.approx(0.5, abs=0.2)


def test_a_probability_leaves_other_augmentations_of_the_chain_to_themselves(voice: Array):
    never = augmenting(chain=("noise", "gain"), probability={"noise": 0.0})(voice)
    scale = float(never[100] / voice[100])
    np.testing.assert_allclose(never, scale * voice, atol=1e-6)


def test_the_extractor_describes_the_changed_signal(voice: Array):
    front_end = FrontEnd("features", sets=("mfcc",), functionals=("mean",))
    found = augmenting(3, extractor=front_end)(voice)
    np.testing.assert_array_equal(found, front_end(augmenting(3)(voice)))
    assert differ(found, front_end(voice))


# --- fingerprint ---


def test_equal_copies_have_equal_fingerprints():
    one = augmenting(1, 2, ranges={"gain": {"gain_db": (-3, 3)}, "noise": {"kind": "pink"}})
    other = augmenting(1, 2, ranges={"noise": {"kind": "pink"}, "gain": {"gain_db": (-3, 3)}})
    assert one.fingerprint == other.fingerprint
    assert len(one.fingerprint) == 20


@pytest.mark.parametrize(
    "other",
    [
        augmenting(1),
        augmenting(seed=1),
        augmenting(chain=("gain",)),
        augmenting(chain=("gain", "noise", "speed")),
        augmenting(ranges={"gain": {"gain_db": (-3, 3)}}),
        augmenting(extractor=Untouched("another")),
    ],
)
def test_whatever_changes_a_copy_changes_its_fingerprint(other: AugmentingExtractor):
    assert augmenting().fingerprint != other.fingerprint
    assert augmenting().fingerprint != Untouched().fingerprint


# --- bad input ---


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"chain": ("nose",)}, "unknown augmentation 'nose'; known: noise"),
        ({"ranges": {"gain": {"gain_bd": (0, 1)}}}, "unknown option 'gain_bd'; known: gain_db"),
        ({"ranges": {"gain": {"gain_db": (1, 0)}}}, "need the lower number first"),
        ({"ranges": {"gain": {"gain_db": (0, 500)}}}, "gain_db is 500; allowed: -120 to 120"),
    ],
)
def test_what_cannot_be_drawn_is_refused(voice: Array, settings: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        augmenting(**settings)(voice)


def test_what_is_no_signal_is_refused():
    with pytest.raises(AudioError):
        augmenting()(np.zeros(10, np.float32))


def test_a_probability_has_another_fingerprint():
    assert augmenting().fingerprint != augmenting(probability={"noise": 0.5}).fingerprint
