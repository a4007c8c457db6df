"""Predictions as text in English and in Chinese."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serein.emotions import UNSURE, emotion_name
from serein.language import Language, translated

if TYPE_CHECKING:
    from serein.inference.prediction import Segment


def prediction_text(segment: Segment, lang: Language, modality: str = "voice") -> str:
    """Write emotion and confidence, of a burst as such; the likeliest emotion where unsure."""
    if segment.emotion is None or segment.likeliest is None:
        return translated("no speech" if modality == "voice" else f"no {modality}", lang)
    own = segment.own
    guess = f" ({emotion_name(segment.likeliest, lang, own)}?)" if segment.emotion == UNSURE else ""
    before = f"{translated('vocal burst:', lang)} " if segment.burst else ""
    return f"{before}{emotion_name(segment.emotion, lang, own)} {segment.confidence:.2f}{guess}"


def affect_text(segment: Segment, lang: Language) -> str:
    """Write valence and arousal; nothing where there is no speech."""
    if segment.valence is None or segment.arousal is None:
        return ""
    valence, arousal = translated("valence", lang), translated("arousal", lang)
    return f"{valence} {segment.valence:+z.2f} {arousal} {segment.arousal:+z.2f}"


def adaptation_text(count: int, lang: Language) -> str:
    """Write by how many utterances a prediction is adapted; nothing for none."""
    if not count:
        return ""
    if lang is Language.zh:
        return f"已按 {count} 段语音适应"
    return f"adapted by {count} utterance{'s' if count > 1 else ''}"
