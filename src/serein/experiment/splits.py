"""Evaluation protocols by name: the folds that a recipe's section [protocol] makes of a corpus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np

from serein.corpora import Corpus
from serein.errors import CorpusError, ProtocolError, unknown_name
from serein.evaluation import protocol as protocols
from serein.evaluation.protocol import Fold
from serein.experiment.recipe import Protocol

Split = Callable[[Protocol, Corpus], tuple[list[Fold], str]]
CROSS_CORPUS = ("leave_one_corpus_out", "train_and_test")


def _each_speaker(protocol: Protocol, corpus: Corpus) -> tuple[list[Fold], str]:
    return protocols.leave_one_speaker_out(_speakers(corpus)), "leave one speaker out"


def _actor_folds(protocol: Protocol, corpus: Corpus) -> tuple[list[Fold], str]:
    folds = protocols.ravdess_actor_folds(_speakers(corpus))
    return folds, "six RAVDESS actor folds, unseen speakers"


def _speaker_folds(protocol: Protocol, corpus: Corpus) -> tuple[list[Fold], str]:
    folds = protocols.speaker_k_fold(
        _speakers(corpus), strata(corpus), folds=protocol.folds, random_state=protocol.seed
    )
    return folds, f"{protocol.folds} folds of unseen speakers"


def _named_folds(protocol: Protocol, corpus: Corpus) -> tuple[list[Fold], str]:
    folds = protocols.folds_of(_speakers(corpus), protocol.named.values())
    return folds, f"{len(folds)} named folds of unseen speakers ({', '.join(protocol.named)})"


def _each_sentence(protocol: Protocol, corpus: Corpus) -> tuple[list[Fold], str]:
    overlap = protocol.speaker_overlap
    folds = protocols.leave_one_sentence_out(
        [clip.text or "" for clip in corpus],
        _speakers(corpus),
        folds=protocol.folds,
        random_state=protocol.seed,
        speaker_overlap=overlap,
    )
    if overlap == "allow":
        return folds, "leave one sentence out, speakers known"
    return folds, "leave one sentence out, unseen speakers"


def _each_corpus(protocol: Protocol, corpus: Corpus) -> tuple[list[Fold], str]:
    names = [clip.corpus for clip in corpus]
    folds = protocols.leave_one_corpus_out(names, protocol.test)
    return folds, f"leave one corpus out, {_emotions(protocol, corpus)}"


def _train_and_test(protocol: Protocol, corpus: Corpus) -> tuple[list[Fold], str]:
    names = [clip.corpus for clip in corpus]
    folds = protocols.train_and_test(names, protocol.test)
    trained = sorted(set(names) - set(protocol.test))
    words = f"trained on {', '.join(trained)}, tested on {', '.join(sorted(protocol.test))}"
    return folds, f"{words}, {_emotions(protocol, corpus)}"


def _at_random(protocol: Protocol, corpus: Corpus) -> tuple[list[Fold], str]:
    folds = protocols.random_k_fold(
        strata(corpus),
        folds=protocol.folds,
        random_state=protocol.seed,
        speaker_overlap=protocol.speaker_overlap,
    )
    return folds, f"{protocol.folds} random folds, speakers known"


SPLITS: dict[str, Split] = {
    "leave_one_speaker_out": _each_speaker,
    "ravdess_actor_folds": _actor_folds,
    "speaker_k_fold": _speaker_folds,
    "named_folds": _named_folds,
    "leave_one_sentence_out": _each_sentence,
    "leave_one_corpus_out": _each_corpus,
    "train_and_test": _train_and_test,
    "random_k_fold": _at_random,
}


def make_folds(protocol: Protocol, corpus: Corpus) -> tuple[list[Fold], str]:
    """Make a protocol's folds, and say in words how; refuse folds with leaks."""
    _refuse_too_little(corpus)
    folds, words = SPLITS[protocol.split](protocol, corpus)
    labels, truth = np.unique([clip.emotion for clip in corpus], return_inverse=True)
    protocols.check_folds(
        folds,
        np.array(_speakers(corpus)),
        truth,
        labels,
        speaker_overlap=protocol.speaker_overlap,
    )
    return folds, words


def common_emotions(protocol: Protocol, corpus: Corpus) -> Corpus:
    """Keep the emotions that both sides of a cross-corpus protocol have."""
    if protocol.split not in CROSS_CORPUS or protocol.emotions == "all":
        return corpus
    known = {
        name: {clip.emotion for clip in corpus if clip.corpus == name}
        for name in sorted({clip.corpus for clip in corpus})
    }
    for name in protocol.test:
        if name not in known:
            raise ProtocolError(unknown_name("corpus in protocol.test", name, known))
    sides = list(known.values())
    if protocol.split == "train_and_test":
        sides = [
            set().union(*(known[name] for name in known if (name in protocol.test) == tested))
            for tested in (False, True)
        ]
    common = set.intersection(*sides) if sides else set()
    if len(common) < 2 and len(known) > 1:
        each = "; ".join(f"{name}: {', '.join(sorted(there))}" for name, there in known.items())
        raise CorpusError(
            f"the corpora have {len(common)} emotion(s) in common, and cross-corpus evaluation "
            f'needs 2 ({each}): merge emotions under [data], as in merge = {{ calm = "neutral" }}'
        )
    return corpus.filter(emotions=common) if len(known) > 1 else corpus


def _speakers(corpus: Corpus) -> list[str]:
    return [clip.speaker for clip in corpus]


def strata(corpus: Corpus) -> list[str]:
    """Return corpus and emotion of each clip, as one word."""
    return [f"{clip.corpus} {clip.emotion}" for clip in corpus]


def _emotions(protocol: Protocol, corpus: Corpus) -> str:
    kind = "common " if protocol.emotions == "common" else ""
    return f"{len(corpus.emotions)} {kind}emotions"


def _refuse_too_little(corpus: Corpus) -> None:
    counts = Counter(clip.emotion for clip in corpus)
    if len(counts) < 2:
        raise CorpusError(
            f"{corpus.name} has clips of {', '.join(counts)} only; a recognizer needs at least "
            "2 emotions"
        )
    single = sorted(emotion for emotion, count in counts.items() if count == 1)
    if single:
        raise CorpusError(
            f"{corpus.name} has a single clip of {', '.join(single)}; training and testing "
            "need 2: record more, or name it in leave_out under [data]"
        )
