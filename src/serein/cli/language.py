"""Predictions, and what else is shown of them, as text in English and in Chinese."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from serein.inference.prediction import Segment


class Language(StrEnum):
    """Language of the emotions' names."""

    en = "en"
    zh = "zh"


TEXTS = {  # English, Chinese; some have a place for a number or a name
    "valence": ("valence", "效价"),
    "arousal": ("arousal", "唤醒度"),
    "voice": ("voice", "声音"),
    "face": ("face", "面部"),
    "words": ("words", "文字"),
    "burst": ("vocal burst:", "非语言发声："),
    "no voice": ("no speech", "没有语音"),
    "no face": ("no face", "没有人脸"),
    "no words": ("no words", "没有文字"),
    "notice": (
        "How a listener might describe the voice, not what a person feels. "
        "Tell the people who are listened to.",
        "这是听者可能会如何形容这个声音，不是人的真实感受。请务必告知被听的人。",
    ),
    "listening": ("listening to {}; Ctrl-C ends", "正在听 {}；按 Ctrl-C 结束"),
    "nobody speaks": ("no voice", "没有人声"),
    "someone speaks": ("a voice ...", "有人声 ……"),
    "last minute": ("last minute", "最近一分钟"),
    "now": ("now", "现在"),
    "utterances": ("utterances", "语句"),
    "level": ("level", "音量"),
    "clipping": ("too loud", "过响"),
    "muted": (
        "nothing but zeros comes: is the microphone muted, or not permitted to programs?",
        "只收到零：麦克风是否静音，或未允许程序使用？",
    ),
    "behind": ("behind by {:.1f} s", "落后 {:.1f} 秒"),
    "lost": ("lost {:.1f} s of sound", "丢失 {:.1f} 秒声音"),
}


ERRORS = {  # what an English error says after the name -> Chinese, with the same parts
    r"there is no such file; .*": "没有这个文件；请检查路径",
    r"may not be read; .*": "没有读取权限；请给自己读取权限",
    r"is empty .*": "是空文件；请重新录制或导出",
    r"is truncated: .*": "文件不完整，被截断了；请重新复制或导出",
    r"cannot be decoded \((.*)\); need .*": "无法解码（{}）；请先转换为 WAV 或 FLAC",
    r"lasts longer than (.*), the most .*": "超过 {}，这是能读取的上限；请切成几段",
    r"has (\d+) channels; .*": "有 {} 个声道，太多；请只保留有人声的声道",
    r"has a sampling rate of (\d+) Hz; .*": "采样率为 {} Hz，超出范围；请重新导出",
    r"is \d+ samples? \((.*)\); need at least (.*)": "只有 {}，至少需要 {}",
    r"no recording in this folder.*": "这个文件夹里没有录音",
    r"is several recordings in one.*": "一个文件里有几段录音；请切开",
    r"cannot be read \((.*)\); .*": "无法读取（{}）",
}


def error_text(error: Exception, lang: Language) -> str:
    """Write why an input failed; in Chinese with the English words where there are no others."""
    if lang is Language.en:
        return str(error)
    for pattern, words in ERRORS.items():
        found = re.fullmatch(f"(.*?): {pattern}", str(error), re.DOTALL)
        if found:
            return f"{found[1]}：{words.format(*found.groups()[1:])}"
    return f"无法预测：{error}"


def translated(key: str, lang: Language) -> str:
    """Look up a text."""
    return TEXTS[key][lang is Language.zh]


def emotion_name(emotion: str, lang: Language) -> str:
    """Name an emotion, or ``unsure``, in a language."""
    from serein.inference.prediction import chinese_label

    return chinese_label(emotion) if lang is Language.zh else emotion


def prediction_text(segment: Segment, lang: Language, modality: str = "voice") -> str:
    """Write emotion and confidence, of a burst as such; the likeliest emotion where unsure."""
    from serein.inference.prediction import UNSURE

    if segment.emotion is None or segment.likeliest is None:
        return translated(f"no {modality}", lang)
    guess = f" ({emotion_name(segment.likeliest, lang)}?)" if segment.emotion == UNSURE else ""
    before = f"{translated('burst', lang)} " if segment.burst else ""
    return f"{before}{emotion_name(segment.emotion, lang)} {segment.confidence:.2f}{guess}"


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
