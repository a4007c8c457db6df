"""Fusion of made modalities that carry different information; gaps of every kind, no leaks."""

from itertools import combinations
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.decomposition import PCA
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegression

from serein.models.calibration import TemperatureScaled
from serein.models.fusion import (
    FUSIONS,
    RULES,
    BlockRidge,
    EarlyFusion,
    HybridFusion,
    LateFusion,
    Modalities,
)
from serein.models.fusion.early import Blocks, drop
from serein.models.fusion.rules import HeldOut, Product, Stacked, WeightedMean
from serein.models.linear import MaskedLogisticRegression
from serein.training.plan import Training

Array = npt.NDArray[Any]
PLAN = Training(epochs=15, batch_size=32, learning_rate=0.01, device="cpu")
NAMES = ("voice", "face", "words")


def made(samples: int = 240, seed: int = 0) -> tuple[dict[str, Array], Array, Array]:
    """Four classes of two bits: one in the voice, one in the face, a little of both in words."""
    generator = np.random.default_rng(seed)
    bits = generator.integers(2, size=(samples, 2))
    speakers = np.arange(samples) % 8
    voice = generator.standard_normal((samples, 12))
    voice[:, 0] += 4 * bits[:, 0]
    face = 10 + 3 * generator.standard_normal((samples, 5))
    face[:, 2] += 12 * bits[:, 1]
    words = generator.standard_normal((samples, 3))
    words[:, 0] += bits.sum(axis=1)
    labels = np.array(["calm", "fear", "joy", "rage"])[2 * bits[:, 0] + bits[:, 1]]
    return {"voice": voice, "face": face, "words": words}, labels, speakers


def without(X: dict[str, Array], name: str, rows: Any = slice(None)) -> dict[str, Array]:
    """Take a modality from some samples."""
    changed = {key: array.copy() for key, array in X.items()}
    changed[name][rows] = np.nan
    return changed


def part(X: dict[str, Array], rows: Any) -> dict[str, Array]:
    return {name: array[rows] for name, array in X.items()}


def every() -> list[Any]:
    late = [LateFusion(MaskedLogisticRegression(1.0), rule=rule, folds=3) for rule in RULES]
    early = [EarlyFusion(), EarlyFusion(dropout=0.5), EarlyFusion(LogisticRegression())]
    hybrid = [HybridFusion(kind, size=16, training=PLAN) for kind in ("gated", "cross_modal")]
    return [*early, *late, *hybrid]


def title(estimator: Any) -> str:
    more = {"rule", "attention", "dropout"} & set(estimator.get_params())
    return "-".join([type(estimator).__name__, *(str(getattr(estimator, m)) for m in sorted(more))])


@pytest.fixture(scope="module", params=every(), ids=title)
def fitted(request) -> Any:
    X, y, speakers = made()
    gaps = np.arange(0, len(y), 9)
    X = without(without(X, "face", gaps), "words", gaps + 1)
    return request.param.fit(X, y, groups=speakers)


def test_it_is_better_than_any_modality_alone(fitted):
    X, y, _ = made(400, seed=1)
    whole = (fitted.predict(X) == y).mean()
    alone = [(fitted.predict({name: X[name]}) == y).mean() for name in NAMES]
    assert max(alone) < 0.6
    assert whole > max(alone) + 0.2


@pytest.mark.parametrize("size", [0, 1, 2, 3])
def test_any_subset_gets_probabilities(fitted, size: int):
    X, _, _ = made(40, seed=2)
    for names in combinations(NAMES, size):
        gaps = {name: X[name] if name in names else np.full_like(X[name], np.nan) for name in X}
        p = fitted.predict_proba(gaps)
        assert p.shape == (40, 4)
        assert np.allclose(p.sum(axis=1), 1)
        if names:  # a gap is the same as a modality that is not mentioned
            assert np.allclose(p, fitted.predict_proba({name: X[name] for name in names}))
        else:
            assert np.allclose(p, fitted.prior_)


def test_a_gap_changes_only_its_own_sample(fitted):
    X, _, _ = made(30, seed=3)
    some = fitted.predict_proba(without(X, "voice", slice(10)))
    assert np.allclose(some[10:], fitted.predict_proba(X)[10:])
    assert not np.allclose(some[:10], fitted.predict_proba(X)[:10], atol=1e-3)


def test_contributions_are_shares_of_what_is_there(fitted):
    X, _, _ = made(40, seed=4)
    X = without(without(X, "face", slice(10)), "voice", slice(5))
    X["words"][0] = np.nan
    shares = fitted.contributions(X)
    present = Modalities.read(X).present
    assert fitted.modalities_ == NAMES
    assert (shares >= 0).all()
    assert (shares[~present] == 0).all()
    assert np.allclose(shares.sum(axis=1), present.any(axis=1))
    assert np.allclose(shares[1:5], present[1:5])  # where words are alone


def test_evidence_adds_up_to_the_prediction(fitted):
    X, _, _ = made(30, seed=5)
    X = without(X, "face", slice(10))
    log_p = fitted.predict_log_proba(X)
    best = log_p.argmax(axis=1)
    gained = log_p.max(axis=1) - np.log(fitted.prior_)[best]
    assert np.allclose(fitted.evidence(X).sum(axis=1), gained, atol=1e-6)


def test_evidence_is_with_the_informative_modalities(fitted):
    X, y, _ = made(200, seed=6)
    right = fitted.predict(X) == y
    voice, face, words = fitted.contributions(X)[right].mean(axis=0)
    assert words < min(voice, face)


@pytest.mark.parametrize("estimator", every(), ids=title)
def test_the_same_seed_gives_the_same_predictions(estimator):
    X, y, speakers = made(96)
    first = clone(estimator).fit(X, y, groups=speakers).predict_proba(X)
    assert np.array_equal(first, clone(estimator).fit(X, y, groups=speakers).predict_proba(X))


def test_the_registry_makes_estimators():
    X, y, speakers = made(96)
    for make in FUSIONS.values():
        settings = {"training": PLAN} if make is HybridFusion else {}
        assert make(**settings).fit(X, y, groups=speakers).score(X, y) > 0.8


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda X: X["voice"], "X is of type ndarray; need a mapping"),
        (lambda X: {}, "X is empty"),
        (lambda X: X | {"face": X["face"][:-1]}, "modalities differ in samples: voice 48, face 47"),
        (lambda X: X | {"face": X["face"][:, 0]}, r"face has shape \(48,\)"),
        (lambda X: X | {"face": X["face"][:, :0]}, r"face has shape \(48, 0\)"),
        (lambda X: X | {"face": np.where(np.eye(48, 5) > 0, np.nan, X["face"])}, "part of row 0"),
        (lambda X: X | {"face": np.where(np.eye(48, 5) > 0, np.inf, X["face"])}, "infinite"),
    ],
)
@pytest.mark.parametrize("when", ["fit", "predict"])
def test_wrong_samples_are_refused(change, says: str, when: str):
    X, y, speakers = made(48)
    late = LateFusion(folds=2).fit(X, y, groups=speakers)
    with pytest.raises(ValueError, match=says):
        late.fit(change(X), y) if when == "fit" else late.predict(change(X))


def test_an_unknown_or_changed_modality_is_refused():
    X, y, speakers = made(48)
    late = LateFusion(folds=2).fit(X, y, groups=speakers)
    with pytest.raises(ValueError, match="unknown modality 'vioce'; known: voice"):
        late.predict({"vioce": X["voice"]})
    with pytest.raises(ValueError, match="face has 4 features; the model was trained on 5"):
        late.predict({"face": X["face"][:, :4]})


def test_data_that_cannot_be_trained_on_are_refused():
    X, y, speakers = made(48)
    bare = {name: np.where(np.arange(48)[:, None] == 7, np.nan, X[name]) for name in X}
    with pytest.raises(ValueError, match="1 samples have no modality at all, row 7"):
        EarlyFusion().fit(bare, y)
    with pytest.raises(ValueError, match="no training sample has face"):
        EarlyFusion().fit(without(X, "face"), y)
    with pytest.raises(ValueError, match="y has 1 class"):
        EarlyFusion().fit(X, ["calm"] * 48)
    with pytest.raises(ValueError, match=r"y has shape \(47,\)"):
        EarlyFusion().fit(X, y[:-1])
    with pytest.raises(ValueError, match=r"groups has shape \(1,\)"):
        EarlyFusion().fit(X, y, groups=speakers[:1])
    with pytest.raises(ValueError, match="sample_weight is zero"):
        EarlyFusion().fit(X, y, sample_weight=np.zeros(48))
    with pytest.raises(ValueError, match="at least 2 speakers"):
        LateFusion().fit(X, y, groups=np.zeros(48))


@pytest.mark.parametrize(
    ("estimator", "says"),
    [
        (EarlyFusion(dropout=1.5), "dropout is 1.5"),
        (EarlyFusion(reduction={"fce": 2}), "unknown modality of reduction 'fce'; known: face"),
        (EarlyFusion(reduction=0), "reduction of voice is 0"),
        (EarlyFusion(reduction=1.5), "reduction of voice is 1.5"),
        (EarlyFusion(weights={"face": 0.0}), "weight of face is 0.0"),
        (LateFusion(rule="wieghted"), "unknown rule 'wieghted'; known: weighted"),
        (LateFusion({"fce": BlockRidge()}), "unknown modality of estimators 'fce'"),
        (LateFusion(folds=1), "folds is 1"),
        (HybridFusion("gatd"), "unknown attention 'gatd'; known: gated"),
        (HybridFusion("cross_modal", size=6), "size is 6"),
        (HybridFusion(modality_dropout=1.0), "modality_dropout is 1.0"),
        (HybridFusion(members=0), "members is 0"),
    ],
)
def test_wrong_settings_are_refused(estimator, says: str):
    X, y, speakers = made(48)
    with pytest.raises(ValueError, match=says):
        estimator.fit(X, y, groups=speakers)


class Spy(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Remembers its training speakers; the first feature of a sample is its speaker."""

    seen: ClassVar[list[tuple[str, set[float]]]] = []

    def fit(self, X: Array, y: Array) -> "Spy":
        self.classes_ = np.unique(y)
        self.known = set(X[:, 0])
        Spy.seen.append(("fit", self.known))
        return self

    def predict_proba(self, X: Array) -> Array:
        Spy.seen.append(("ask", set(X[:, 0]) & self.known))
        return np.full((len(X), len(self.classes_)), 1 / len(self.classes_))


def test_rules_are_learnt_on_unseen_speakers():
    X, y, speakers = made(80)
    X = {name: np.column_stack([speakers, array]) for name, array in X.items()}
    Spy.seen = []
    LateFusion(Spy(), folds=4).fit(X, y, groups=speakers)
    asked = [both for what, both in Spy.seen if what == "ask"]
    assert len(asked) == 3 * 4
    assert not any(asked)


def test_augmented_data_are_trained_on_and_set_no_weights():
    X, y, speakers = made(120)
    augmented = {name: np.random.default_rng(1).permutation(array) for name, array in X.items()}
    whole = {name: np.concatenate([X[name], augmented[name]]) for name in X}
    is_augmented = np.arange(240) >= 120
    late = LateFusion(folds=3)
    both = np.tile(speakers, 2)
    late.fit(whole, np.tile(y, 2), groups=both, is_augmented=is_augmented)
    held = late.held_out_
    assert held.log_p.shape == (3, 120, 4)
    assert np.isfinite(held.log_p).all()
    assert (late.classes_[held.truth] == y).all()


def test_another_rule_needs_no_other_classifiers():
    X, y, speakers = made(96)
    product = LateFusion(rule="product", folds=3).fit(X, y, groups=speakers)
    stacked = product.with_rule("stacked")
    anew = LateFusion(rule="stacked", folds=3).fit(X, y, groups=speakers)
    assert np.allclose(stacked.predict_proba(X), anew.predict_proba(X))
    assert stacked.rule == "stacked"
    assert product.rule == "product"


def held_out(samples: int = 2000) -> HeldOut:
    """Two modalities that err independently: calibrated log probabilities of three classes."""
    generator = np.random.default_rng(0)
    truth = generator.integers(3, size=samples)
    seen = 1.5 * np.eye(3)[truth] + generator.standard_normal((2, samples, 3))
    log_p = 1.5 * seen
    log_p -= np.log(np.exp(log_p).sum(axis=2, keepdims=True))
    return HeldOut(log_p, truth, np.ones(samples), np.arange(samples), np.log(np.full(3, 1 / 3)))


def test_exponents_of_independent_experts_are_one():
    rule = Product.learn(held_out())
    assert isinstance(rule, Product)
    assert rule.exponents == pytest.approx([1, 1], abs=0.1)


def test_exponents_of_the_same_expert_twice_add_up_to_one():
    held = held_out()
    twice = HeldOut(held.log_p[[0, 0]], held.truth, held.weight, held.groups, held.log_prior)
    rule = Product.learn(twice)
    assert isinstance(rule, Product)
    assert rule.exponents.sum() == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("learn", [WeightedMean.learn, Product.learn, Stacked.learn])
def test_noise_gets_no_weight(learn):
    held = held_out()
    noise = np.random.default_rng(1).permutation(held.log_p[1])
    rule = learn(HeldOut(np.stack([held.log_p[0], noise]), *list(vars(held).values())[1:]))
    alone = held.log_p[0].argmax(axis=1)
    fused = rule(np.stack([held.log_p[0], noise])).argmax(axis=1)
    assert (fused == held.truth).mean() > (alone == held.truth).mean() - 0.01


def test_blocks_have_the_same_variance_or_that_of_their_weights():
    X, _, _ = made()
    samples = Modalities.read(X)
    columns = Blocks({"voice": 10}).fit(samples).transform(samples)
    assert columns.shape == (240, 18)
    totals = [block.var(axis=0).sum() for block in np.split(columns, [10, 15], axis=1)]
    assert totals == pytest.approx([6, 6, 6])
    weighted = Blocks({"voice": 10}, {"face": 4.0}).fit(samples).transform(samples)
    totals = [block.var(axis=0).sum() for block in np.split(weighted, [10, 15], axis=1)]
    assert totals == pytest.approx([3, 12, 3])


def test_a_reduction_is_a_number_a_share_or_a_transformer():
    X, _, _ = made()
    samples = Modalities.read(X)
    nystroem = Nystroem(n_components=7, random_state=0)
    blocks = Blocks({"voice": 0.5, "face": nystroem}).fit(samples)
    assert isinstance(blocks.steps_["voice"][1], PCA)
    assert blocks.steps_["voice"][1].explained_variance_ratio_.sum() >= 0.5
    assert len(blocks.mean_["face"]) == 7
    assert not hasattr(nystroem, "components_")


def test_dropout_takes_one_modality_from_samples_that_have_several():
    present = np.array([[True, True], [True, False], [True, True], [False, True]])
    chosen, keep = drop(present, 1.0, np.random.RandomState(0))
    assert chosen.tolist() == [0, 2]
    assert keep.sum(axis=1).tolist() == [1, 1]
    assert len(drop(present, 0.0, np.random.RandomState(0))[0]) == 0


def test_early_fusion_keeps_the_scale_that_blocks_were_given():
    X, y, speakers = made()
    heavy = EarlyFusion(BlockRidge(0.1), weights={"face": 100.0}).fit(X, y, groups=speakers)
    light = EarlyFusion(BlockRidge(0.1), weights={"face": 0.01}).fit(X, y, groups=speakers)
    assert heavy.contributions(X)[:, 1].mean() > light.contributions(X)[:, 1].mean() + 0.2


def test_early_fusion_is_calibrated_on_other_speakers():
    X, y, speakers = made()
    early = EarlyFusion().fit(X, y, groups=speakers)
    assert isinstance(early.estimator_, TemperatureScaled)
    assert early.estimator_.speaker_prior_ is not None  # speakers were handed on


def test_a_hybrid_is_trained_stopped_and_calibrated_by_speakers():
    X, y, speakers = made(120)
    plan = Training(epochs=6, batch_size=32, patience=2, device="cpu")
    hybrid = HybridFusion("gated", size=16, training=plan, members=2, calibration_folds=2)
    hybrid.fit(X, y, groups=speakers)
    assert len(hybrid.networks_) == 2
    assert "valid_loss" in hybrid.networks_[1].history_[0]
    assert hybrid.temperature_ != 1.0


def test_classes_of_a_part_of_the_speakers_do_no_harm():
    X, y, speakers = made(120)
    keep = (y != "rage") | (speakers == 0)  # one speaker alone has it
    late = LateFusion(rule="stacked", folds=3)
    late.fit(part(X, keep), y[keep], groups=speakers[keep])
    assert late.classes_.tolist() == ["calm", "fear", "joy", "rage"]
    assert np.isfinite(late.predict_log_proba(X)).all()


def test_narrowing_keeps_what_belongs_to_a_modality():
    late = LateFusion({"voice": BlockRidge(0.1), "face": BlockRidge(0.2)}, rule="stacked")
    narrow = late.narrowed(("face",))
    assert list(narrow.estimators) == ["face"]
    assert narrow.rule == "stacked"
    assert list(late.estimators) == ["voice", "face"]
