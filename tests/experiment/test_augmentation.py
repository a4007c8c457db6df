"""Augmented data: drawn from signal, seed and number alone, and never the recording itself."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from serein.audio.chain import AUGMENTATIONS
from serein.audio.read import RATE_HZ, read_audio
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


# --- babble ---

BABBLE = {"noise": {"snr_db": 0.0, "kind": "babble"}}


def write_tones(folder: Path, *tones_hz: int, seconds: float = 1.0) -> tuple[Path, ...]:
    """Write recordings of a tone each, so that a mixture shows who is in it."""
    time, files = np.arange(round(seconds * RATE_HZ)) / RATE_HZ, []
    for hz in tones_hz:
        files.append(folder / f"{hz}.wav")
        soundfile.write(files[-1], 0.3 * np.sin(2 * np.pi * hz * time), RATE_HZ)
    return tuple(files)


def babbling(voices: tuple[Path, ...], number: int = 0, **options: Any) -> AugmentingExtractor:
    made = augmenting(number, **{"chain": ("noise",), "ranges": BABBLE} | options)
    return replace(made, voices=voices)


def tones_in(noise: Array, *tones_hz: int) -> set[int]:
    power = np.square(np.abs(np.fft.rfft(noise[:RATE_HZ] * np.hanning(RATE_HZ))))
    return {hz for hz in tones_hz if power[hz - 2 : hz + 3].sum() > 0.02 * power.sum()}


def test_babble_is_4_to_8_of_the_voices_and_never_the_clip_itself(tmp_path: Path):
    tones = range(500, 1700, 100)
    voices = write_tones(tmp_path, *tones)
    signal, counts = read_audio(voices[3]), set()
    for number in range(40):
        changed = babbling(voices, number)(signal)
        scale = changed @ signal / (signal @ signal)
        found = tones_in(changed - scale * signal, *tones)
        assert 800 not in found
        counts.add(len(found))
    assert counts == {4, 5, 6, 7, 8}


def test_the_clip_itself_is_told_by_its_recording_whatever_went_before(tmp_path: Path):
    voices = write_tones(tmp_path, 500, 800)
    quieter = {"gain": {"gain_db": -40.0}, "noise": {"snr_db": -40.0, "kind": "babble"}}
    extractor = babbling(voices, chain=("gain", "noise"), ranges=quieter)
    assert tones_in(extractor(read_audio(voices[0])), 500, 800) == {800}


def test_fewer_voices_than_4_are_all_mixed(tmp_path: Path, voice: Array):
    changed = babbling(write_tones(tmp_path, 3000, 5000))(voice)
    scale = changed @ voice / (voice @ voice)
    assert tones_in(changed - scale * voice, 3000, 5000) == {3000, 5000}


def test_the_same_voices_make_the_same_babble(tmp_path: Path, voice: Array):
    voices = write_tones(tmp_path, *range(500, 2000, 100), seconds=0.4)
    np.testing.assert_array_equal(babbling(voices, 2)(voice), babbling(voices, 2)(voice.copy()))
    assert differ(babbling(voices, 2)(voice), babbling(voices, 3)(voice))
    assert differ(babbling(voices, 2)(voice), babbling(voices[:6], 2)(voice))


def test_babble_without_voices_is_refused(voice: Array):
    with pytest.raises(ValueError, match="babble is mixed from other recordings"):
        augmenting(chain=("noise",), ranges=BABBLE)(voice)


# --- fingerprint ---


def test_the_content_of_the_voices_is_in_the_fingerprint_and_their_place_is_not(tmp_path: Path):
    voices = write_tones(tmp_path, 500, 600)
    (tmp_path / "moved").mkdir()
    moved = write_tones(tmp_path / "moved", 500, 600)
    fingerprint = babbling(voices).fingerprint
    assert fingerprint == babbling(moved).fingerprint
    assert fingerprint not in (babbling(()).fingerprint, babbling(voices[:1]).fingerprint)
    soundfile.write(moved[1], np.full(RATE_HZ, 0.1), RATE_HZ)
    assert babbling(moved).fingerprint != fingerprint


@pytest.mark.parametrize(
    ("number", "fingerprint", "samples"),
    [
        (0, "f3ac4a06186b1c8b4ecf", [-0.000903024, -0.019718746, -0.064396843, 0.024619693]),
        (1, "ee727b55367fd6ba9c48", [0.004017570, -0.035610180, -0.032559264, 0.046664443]),
    ],
)
def test_noise_of_colours_stays_what_caches_hold(
    voice: Array, number: int, fingerprint: str, samples: list[float]
):
    """Computed before there was babble."""
    ranges = {"noise": {"snr_db": (8.0, 35.0), "kind": ("white", "pink")}}
    extractor = augmenting(
        number, 7, chain=("noise", "gain"), ranges=ranges, probability={"gain": 0.5}
    )
    assert extractor.fingerprint == fingerprint
    np.testing.assert_allclose(extractor(voice)[:12_001:4000], samples, atol=1e-6)


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


# --- recordings of a folder ---


def test_noise_and_overlay_are_recordings_of_a_folder(tmp_path: Path, voice: Array):
    """At 0 dB, half of the power is at the tone of one of them."""
    sounds = write_tones(tmp_path, 1000, 3000, seconds=0.3)
    ranges = {"folder": str(tmp_path), "snr_db": 0.0}
    heard = set()
    for name, number in [("noise", n) for n in range(6)] + [("overlay", 0)]:
        made = augmenting(number, chain=(name,), ranges={name: ranges})
        changed = replace(made, sounds={name: sounds})(voice)
        added = np.abs(np.fft.rfft(changed - voice * (changed.size == voice.size)))
        heard.add((name, 1000 if added[1000] > added[3000] else 3000))
        level = np.sqrt(np.mean(np.square(changed - voice)[: round(0.3 * RATE_HZ)]))
        assert level == pytest.approx(np.sqrt(np.mean(voice**2)), rel=0.3)
        assert (np.abs(changed - voice)[-100:].max() > 0.01) is np.bool_(name == "noise")
    assert {("noise", 1000), ("noise", 3000)} < heard


def test_what_the_folder_holds_changes_the_fingerprint_and_where_it_lies_does_not(tmp_path: Path):
    def fingerprint(folder: str, *tones_hz: int) -> str:
        (tmp_path / folder).mkdir()
        sounds = write_tones(tmp_path / folder, *tones_hz)
        made = augmenting(chain=("noise",), ranges={"noise": {"folder": folder}})
        return replace(made, sounds={"noise": sounds}).fingerprint

    assert fingerprint("a", 1000) == fingerprint("b", 1000) != fingerprint("c", 2000)
