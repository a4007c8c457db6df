"""What a voice, a face and words say together: independent witnesses, each trusted so much.

References
----------
G. E. Hinton, "Training products of experts by minimizing contrastive divergence", Neural
Computation 14(8), 2002.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import exp, log
from typing import TypeVar

from serein.errors import unknown_name
from serein.inference.prediction import UNSURE, Segment

SENSES = ("voice", "face", "words")
TRUST = {"voice": 1.0, "face": 0.5, "words": 0.5}
"""Exponents of the product. The voice's probabilities are calibrated on speakers like the user's;
those of faces on photographs, those of words on one television series: they count half."""
DOUBT = 0.01  # no sense is surer than this that an emotion is absent: none can veto the others
ALONE = 1e-9  # the same where there are no others

Answer = TypeVar("Answer", bound=Segment)


def check_trust(trust: Mapping[str, float]) -> dict[str, float]:
    """Complete and check how much each sense is trusted.

    Parameters
    ----------
    trust : mapping of str to float
        Of `SENSES`; those that are not named keep their `TRUST`.

    Returns
    -------
    dict
        One number a sense.

    Raises
    ------
    ValueError
        If a name is unknown or a number is not 0 to 10.
    """
    for name, value in trust.items():
        if name not in SENSES:
            raise ValueError(unknown_name("sense", name, SENSES))
        if not 0 <= value <= 10:
            raise ValueError(f"trust in {name} is {value}; allowed: 0 to 10, where 1 is in full")
    return TRUST | dict(trust)


def together(
    whole: Answer,
    senses: Mapping[str, Segment],
    trust: Mapping[str, float] = TRUST,
    unsure_below: float = 0.0,
) -> Answer:
    """Join what the senses say about one stretch.

    The joint probability of an emotion is proportional to the product of what each sense gives it,
    relative to chance, to the power of the trust in that sense. A sense that has nothing to say, or
    does not know an emotion, leaves it as it was.

    Parameters
    ----------
    whole : Segment
        Gives the stretch, and whatever else the answer carries.
    senses : mapping of str to Segment
        What each of `SENSES` says; without probabilities where it says nothing.
    trust : mapping of str to float
        The exponents.
    unsure_below : float
        Answers of less confidence, 0 to 1, are ``unsure``.

    Returns
    -------
    Segment
        `whole` with the joint answer, the senses and their contributions; emotion None if no sense
        says anything.

    Examples
    --------
    >>> voice = Segment(0, 2, "anger", 0.6, {"anger": 0.6, "happiness": 0.4})
    >>> face = Segment(0, 2, "happiness", 0.9, {"anger": 0.1, "happiness": 0.9})
    >>> together(voice, {"voice": voice, "face": face}).emotion
    'happiness'
    """
    heard = {name: said.probabilities for name, said in senses.items() if trust[name] > 0}
    heard = {name: probabilities for name, probabilities in heard.items() if probabilities}
    doubt = DOUBT if len(heard) > 1 else ALONE
    evidence = {
        name: _evidence(probabilities, trust[name], doubt) for name, probabilities in heard.items()
    }
    labels = list(dict.fromkeys(label for found in evidence.values() for label in found))
    if not labels:
        return replace(
            whole, emotion=None, confidence=None, probabilities={}, senses=senses, contributions={}
        )
    total = {label: sum(found.get(label, 0.0) for found in evidence.values()) for label in labels}
    probabilities = _softmax(total)
    emotion = max(probabilities, key=probabilities.__getitem__)
    confidence = probabilities[emotion]
    return replace(
        whole,
        emotion=UNSURE if confidence < unsure_below else emotion,
        confidence=confidence,
        probabilities=probabilities,
        senses=senses,
        contributions=_contributions(evidence, emotion, labels),
    )


def _evidence(probabilities: Mapping[str, float], trust: float, doubt: float) -> dict[str, float]:
    """Return how far each emotion is lifted over chance, in logarithms."""
    chance = log(1 / len(probabilities))
    return {k: trust * (log(max(value, doubt)) - chance) for k, value in probabilities.items()}


def _softmax(scores: Mapping[str, float]) -> dict[str, float]:
    highest = max(scores.values())
    raised = {label: exp(score - highest) for label, score in scores.items()}
    total = sum(raised.values())
    return {label: value / total for label, value in raised.items()}


def _contributions(
    evidence: Mapping[str, Mapping[str, float]], emotion: str, labels: list[str]
) -> dict[str, float]:
    """Return each sense's lead of the answer over the mean of the others, as a share of all."""
    others = [label for label in labels if label != emotion]
    leads = {
        name: found.get(emotion, 0.0)
        - sum(found.get(label, 0.0) for label in others) / max(1, len(others))
        for name, found in evidence.items()
    }
    total = sum(map(abs, leads.values()))
    return {name: lead / total if total else 0.0 for name, lead in leads.items()}
