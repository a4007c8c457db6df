"""The textbook's methods, each beside a plain baseline with all else equal: `make methods`.

Writes results/methods.json, a row a method and corpus, as each is done. `changes` of a row is what
its recipe says beside that of --corpus and --model. Answers for unseen speakers are kept in
runs/methods, so that a run that was killed goes on where it was. Networks are trained once a seed,
and a row is about the answers of all seeds together. Confidence is not calibrated: the temperature
changes neither UAR nor accuracy. Intervals and paired tests are by speaker; p is adjusted for all
rows.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from library import RESULTS, ROOT, Row, parser, read_json, rounded, uar_of, write_lines
from table import fingerprint

from serein.audio.augment import Noise
from serein.audio.denoise import denoise
from serein.cli.progress import progress_bar
from serein.evaluation.comparison import compare, holm
from serein.evaluation.result import Result
from serein.experiment.evaluate import fit_folds
from serein.experiment.prepare import describe, prepare, stack
from serein.experiment.recipe import Recipe, uncalibrated
from serein.experiment.recipe_file import make_recipe, short_table
from serein.features.frontend import FrontEnd

CORPORA = ("emodb", "ravdess")
SEEDS = (0,)
KINDS = ("white", "pink", "music", "wind")  # of noise, by turns
Array = npt.NDArray[np.float32]
Changes = Mapping[str, Any]


@dataclass(frozen=True)
class Topic:
    """A method of the textbook: what is compared with what.

    Attributes
    ----------
    model : str
        Whose recipe is changed.
    plain : str
        Which of `options` the others are compared with.
    options : mapping
        Name -> what the recipe says otherwise. `heard` is no section of a recipe: how the test
        clips are heard, with noise of so many dB and then denoised.
    corpora : tuple of str
        Where it is measured.
    seeds : tuple of int
        Of what is random.
    """

    model: str
    plain: str
    options: Mapping[str, Changes]
    corpora: tuple[str, ...] = CORPORA
    seeds: tuple[int, ...] = (0,)


def training(**settings: Any) -> Changes:
    """Change the section [training]."""
    return {"training": settings}


def vectors(*sets: str) -> Changes:
    """Change the section [features]: so many sets, pooled as by default."""
    return {"features": {"sets": list(sets), "functionals": ["mean", "std", "p20", "p80"]}}


def copied(name: str, **ranges: Any) -> Changes:
    """Change the section [augmentation]: two augmented versions of each clip."""
    more = {"ranges": {name: ranges}} if ranges else {}
    return {"augmentation": {"per_clip": 2, "chain": [name], **more}}


def heard(snr_db: float | None, denoise: str = "none") -> Changes:
    """Change how the test clips are heard."""
    return {"heard": {"snr_db": snr_db, "denoise": denoise}}


def shrunk(dropout: float = 0.0, **penalties: Any) -> Changes:
    """Change what keeps the weights small; the recipe's dropout and l2 are taken out."""
    return {"model": {"dropout": dropout}, **training(**{"l2": 0.0} | penalties)}


def searched(method: str) -> Changes:
    """Change the section [search]: look for settings inside each training part."""
    return {"search": {"nested": True, "method": method, "trials": 12, "folds": 3}}


def network(plain: str, options: Mapping[str, Changes]) -> Topic:
    """Make a topic about a perceptron with one hidden layer."""
    return Topic("mlp", plain, options, ("ravdess",), SEEDS)


QUICK = vectors("mfcc", "mfcc_delta", "mfcc_delta2")  # where much sound is described anew
NARROW = {"model": {"channels": [32, 48, 64, 64]}}  # half the width: quicker
NOISY = copied("noise", kind=["white", "pink"], snr_db=[5.0, 30.0])
PATIENT = {"epochs": 40, "patience": 5}
OPTIMISERS = ("sgd", "rmsprop", "adam", "adamw")
SCHEDULES = ("fixed", "exponential", "cosine", "one_cycle")
FIRST_WEIGHTS = ("default", "normal", "xavier", "he")
ACTIVATIONS = ("sigmoid", "tanh", "relu", "gelu")
TOPICS: dict[str, Topic] = {
    "features": Topic(
        "logistic",
        "mfcc",
        {
            "mfcc": vectors("mfcc"),
            "mfcc and their changes": QUICK,
            "log_mel": vectors("log_mel"),
            "lpcc": vectors("lpcc"),
            "plp": vectors("plp"),
            "f0, intensity": vectors("f0", "intensity"),
            "formants, voice_quality": vectors("formants", "voice_quality"),
            "expert": vectors("expert"),
            "expert, mfcc and their changes": {},
        },
    ),
    "optimiser": network("sgd", {name: training(optimiser=name) for name in OPTIMISERS}),
    "schedule": network(
        "fixed",
        {
            **{name: training(schedule=name) for name in SCHEDULES},
            "step": training(schedule="step", every=5),
            "cosine, 2 epochs of warm-up": training(schedule="cosine", warm_up=2),
        },
    ),
    "initialisation": network(
        "default", {name: training(initialisation=name) for name in FIRST_WEIGHTS}
    ),
    "activation": network(
        "sigmoid", {name: {"model": {"activation": name}} for name in ACTIVATIONS}
    ),
    "regularisation": network(
        "none",
        {
            "none": shrunk(),
            "dropout 0.3": shrunk(0.3),
            "dropout 0.6": shrunk(0.6),
            "l2 0.3": shrunk(l2=0.3),
            "l1 0.001": shrunk(l1=1e-3),
            "label smoothing 0.1": shrunk(label_smoothing=0.1),
        },
    ),
    "early stopping": network(
        "40 epochs",
        {
            "40 epochs": training(schedule="fixed", epochs=40),
            "early stopping": training(schedule="fixed", **PATIENT),
        },
    ),
    "ensemble of networks": network(
        "one network",
        {
            "one network": {},
            "bagging of 3": {"model": {"name": "bagging", "base": "mlp", "count": 3}},
        },
    ),
    "tuning": Topic(
        "svm",
        "as it comes",
        {"as it comes": {}, "random": searched("random"), "bayesian": searched("bayesian")},
    ),
    "denoising": Topic(
        "logistic",
        "noise of 10 dB",
        {
            "noise of 10 dB": {**QUICK, **heard(10.0)},
            "wiener": {**QUICK, **heard(10.0, "wiener")},
            "spectral_subtraction": {**QUICK, **heard(10.0, "spectral_subtraction")},
            "trained on noisy augmentations": {**QUICK, **NOISY, **heard(10.0)},
        },
    ),
    "denoising of clean clips": Topic(
        "logistic",
        "clean",
        {
            "clean": QUICK,
            "wiener": {**QUICK, **heard(None, "wiener")},
            "spectral_subtraction": {**QUICK, **heard(None, "spectral_subtraction")},
        },
    ),
    "augmentation": Topic(
        "logistic",
        "none",
        {
            "none": QUICK,
            "noise": {**QUICK, **NOISY},
            "pitch": {**QUICK, **copied("pitch")},
            "speed": {**QUICK, **copied("speed", rate=[0.88, 1.12])},
        },
        ("ravdess",),
    ),
    "masking": Topic(
        "light_cnn",
        "none",
        {
            "none": NARROW | training(spec_augment=False),
            "SpecAugment": NARROW | training(spec_augment=True),
        },
        ("ravdess",),
        SEEDS,
    ),
}


def main() -> None:
    """Measure what is missing; write each row when it is done."""
    arguments = parser(__doc__, "data", out=RESULTS / "methods.json", answers=ROOT / "runs/methods")
    arguments.add_argument("--corpora", nargs="*", choices=CORPORA, default=CORPORA)
    arguments.add_argument("--only", nargs="*", choices=TOPICS, default=[*TOPICS], metavar="TOPIC")
    options = arguments.parse_args()
    for name in options.only:
        for corpus in TOPICS[name].corpora:
            if corpus not in options.corpora:
                continue
            bench = Bench(corpus, options.data, options.answers)
            for row in bench.rows(name, read_json(options.out)):
                add_row(options.out, row)


@dataclass(frozen=True)
class Bench:
    """A corpus, and where what was answered about it is kept."""

    corpus: str
    data: Path
    folder: Path

    def rows(self, name: str, known: list[Row]) -> Iterator[Row]:
        """Judge each option of a topic that has no row, and compare it with the plain one."""
        topic = TOPICS[name]
        plain = topic.options[topic.plain]
        for option, changes in topic.options.items():
            key = {"topic": name, "method": option, "corpus": self.corpus}
            key |= {"mark": self.mark(topic, changes), "plain": self.mark(topic, plain)}
            key |= {"seeds": len(topic.seeds)}
            if any(key.items() <= row.items() for row in known):
                continue
            found = self.answers(topic, changes)
            row = key | {"model": topic.model, "protocol": found.protocol, "changes": changes}
            row |= scores(found)
            yield row if option == topic.plain else row | gain(self.answers(topic, plain), found)

    def recipe(self, topic: Topic, changes: Changes) -> Recipe:
        """Make the recipe with the changes of an option."""
        table = short_table(self.corpus, topic.model)
        for section, settings in changes.items():
            if section != "heard":
                table[section] = table.get(section, {}) | settings
        return uncalibrated(make_recipe(table, topic.model, ROOT))

    def mark(self, topic: Topic, changes: Changes) -> str:
        """Name what an answer depends on beside the seed, wherever the data lie."""
        told = [fingerprint(self.recipe(topic, changes))]
        told += [changes.get("heard"), changes.get("search")]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:12]

    def answers(self, topic: Topic, changes: Changes) -> Result:
        """Ask for the answers of all seeds, or read those that are there; put them together."""
        results = []
        for seed in topic.seeds:
            file = self.folder / f"{self.corpus}-{self.mark(topic, changes)}-{seed}.npz"
            if not file.exists():
                recipe = seeded(self.recipe(topic, changes), seed)
                write_answers(file, answer(recipe, self.data, changes.get("heard")))
            results.append(read_answers(file))
        return together(results)


def seeded(recipe: Recipe, seed: int) -> Recipe:
    """Give a recipe another seed."""
    return replace(recipe, protocol=replace(recipe.protocol, seed=seed))


def answer(recipe: Recipe, data: Path, heard: Mapping[str, Any] | None) -> Result:
    """Judge a recipe on unseen speakers, whose clips are heard as they are or in noise."""
    prepared = prepare(recipe, data=data, progress_bar=progress_bar)
    fitted = fit_folds(prepared, progress_bar=progress_bar)
    if heard is None:
        return fitted.predict(prepared.X)
    ears = Heard(prepared.front, **heard)
    return fitted.predict(
        stack(describe(prepared.corpus, ears, None, progress_bar), prepared.front)
    )


@dataclass(frozen=True)
class Heard:
    """An extractor that hears a signal in noise, if any, and then denoises it, if asked."""

    extractor: FrontEnd
    snr_db: float | None
    denoise: str

    @property
    def fingerprint(self) -> str:
        """Extractor, noise and denoising in 20 letters."""
        text = json.dumps([self.extractor.fingerprint, KINDS, self.snr_db, self.denoise])
        return hashlib.sha256(text.encode()).hexdigest()[:20]

    def __call__(self, signal: Array) -> Array:
        """Change a signal and describe it; the noise depends on the signal alone."""
        if self.snr_db is not None:
            seed = zlib.crc32(np.ascontiguousarray(signal).tobytes())
            signal = Noise(self.snr_db, KINDS[seed % len(KINDS)], seed=seed).apply(signal)
        if self.denoise != "none":
            signal = denoise(signal, method=self.denoise)
        return self.extractor(signal)


def write_answers(file: Path, result: Result) -> None:
    """Keep the answers for all clips."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part.npz")
    kept = ("protocol", "labels", "truth", "probabilities", "speakers", "fold")
    np.savez(part, **{name: np.asarray(getattr(result, name)) for name in kept})
    part.replace(file)


def read_answers(file: Path) -> Result:
    """Read what `write_answers` wrote."""
    with np.load(file) as kept:
        arrays = [kept[name] for name in ("truth", "probabilities", "speakers", "fold")]
        return Result(str(kept["protocol"]), tuple(kept["labels"].tolist()), *arrays)


def together(results: list[Result]) -> Result:
    """Take the answers of all seeds as those of one system that was asked so many times."""
    names = ("truth", "probabilities", "speakers", "fold")
    columns = {name: [getattr(result, name) for result in results] for name in names}
    return replace(results[0], **{name: np.concatenate(each) for name, each in columns.items()})


def scores(result: Result) -> Row:
    """Score the answers; the UAR of all seeds together is the mean of theirs."""
    found = result.scores()
    return rounded(uar_of(found) | {"accuracy": found["accuracy"]})


def gain(plain: Result, found: Result) -> Row:
    """Compare with the plain option on the same clips: a paired interval and test."""
    test = compare(plain, found)
    low, high = test.interval_95
    values = {"gain": test.difference, "gain_low": low, "gain_high": high, "p": test.p_value}
    return {name: round(float(value), 4) for name, value in values.items()}


def add_row(file: Path, row: Row) -> None:
    """Put a row in the place of the one of the same name, in the order of the topics."""
    places = [(t, m, c) for t, topic in TOPICS.items() for m in topic.options for c in CORPORA]
    known = {name_of(old): old for old in [*read_json(file), row]}
    rows = [known[place] for place in places if place in known]
    tested = [row for row in rows if "p" in row]
    for tried, p in zip(tested, holm([row["p"] for row in tested]), strict=True):
        tried["p_holm"] = round(p, 4)
    write_lines(file, rows)
    shown = ("topic", "method", "corpus", "uar", "low", "high", "gain", "p")
    print(*(row.get(name, "") for name in shown), flush=True)


def name_of(row: Row) -> tuple[str, str, str]:
    """Say which row it is."""
    return row["topic"], row["method"], row["corpus"]


if __name__ == "__main__":
    main()
