"""How an answer is said on the command line, in English and in Chinese."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from serein.inference.prediction import Segment


class Language(StrEnum):
    """Language of the emotions' names."""

    en = "en"
    zh = "zh"


NO_SPEECH = {Language.en: "no speech", Language.zh: "没有语音"}
VALENCE = {Language.en: "valence", Language.zh: "效价"}
AROUSAL = {Language.en: "arousal", Language.zh: "唤醒度"}


def emotion_name(emotion: str, lang: Language) -> str:
    """Name an emotion, or ``unsure``, in a language."""
    from serein.inference.prediction import chinese_label

    return chinese_label(emotion) if lang is Language.zh else emotion


def prediction_text(answer: Segment, lang: Language) -> str:
    """Say an emotion, its confidence, and the likeliest emotion of an answer that is not sure."""
    from serein.inference.prediction import UNSURE

    if answer.emotion is None or answer.likeliest is None:
        return NO_SPEECH[lang]
    guess = f" ({emotion_name(answer.likeliest, lang)}?)" if answer.emotion == UNSURE else ""
    return f"{emotion_name(answer.emotion, lang)} {answer.confidence:.2f}{guess}"


def affect_text(answer: Segment, lang: Language) -> str:
    """Say valence and arousal; nothing where there is no speech."""
    if answer.valence is None or answer.arousal is None:
        return ""
    return f"{VALENCE[lang]} {answer.valence:+z.2f} {AROUSAL[lang]} {answer.arousal:+z.2f}"


def adaptation_text(count: int, lang: Language) -> str:
    """Say by how many utterances of the speaker an answer is adapted; nothing for none."""
    if not count:
        return ""
    if lang is Language.zh:
        return f"已按 {count} 段语音适应说话人"
    return f"adapted by {count} utterance{'s' if count > 1 else ''}"
