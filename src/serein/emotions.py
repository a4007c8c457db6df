"""Emotions: canonical names, aliases, Chinese names, valence and arousal.

Corpora name the same emotion differently ("happy", "happiness", "joy"). `canonical_emotion` maps
all names to one, so that corpora can be compared and merged.

Valence (unpleasant -1 to pleasant +1) and arousal (sleepy -1 to excited +1) are rough placements
on the circumplex of affect [1]_, which orders states on a circle: pleasure 0°, excitement 45°,
arousal 90°, distress 135°, displeasure 180°, depression 225°, sleepiness 270°, relaxation 315°.
Disgust and contempt are not in that study and are placed by judgement on its unpleasant side, and
neutral in the middle; elation is in the direction that [2]_ found for "elated", and amusement where
[3]_ found "amusing". The places follow from the name of an emotion, for plots and averages; they
are not measured in a voice.

References
----------
.. [1] J. A. Russell, "A circumplex model of affect", Journal of Personality and Social
   Psychology 39(6), 1161-1178, 1980.
.. [2] J. A. Russell, A. Mehrabian, "Evidence for a three-factor theory of emotions", Journal of
   Research in Personality 11(3), 273-294, 1977.
.. [3] A. B. Warriner, V. Kuperman, M. Brysbaert, "Norms of valence, arousal, and dominance for
   13,915 English lemmas", Behavior Research Methods 45(4), 1191-1207, 2013.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from serein.errors import CorpusError, SettingError, check_range, unknown_name
from serein.untrusted import check_file_name


@dataclass(frozen=True, slots=True)
class Emotion:
    """One emotion.

    Colours can be told apart with any colour vision (Okabe and Ito, Tol).
    """

    name: str  # canonical: an English noun in lower case
    chinese: str
    valence: float  # rough pleasantness, -1 to 1
    arousal: float  # rough activation, -1 to 1
    colour: str  # in plots, as ``#rrggbb``
    aliases: tuple[str, ...] = ()  # other words for it, in lower case, with single spaces


@dataclass(frozen=True, slots=True)
class OwnEmotion:
    """What a recipe says of a label of its own: ``[emotions.frustrated]``.

    Attributes
    ----------
    valence, arousal : float or None
        Its place, each from -1 to 1, for the mean over emotions; both or neither.
    zh : str or None
        Its name in Chinese.
    """

    valence: float | None = None
    arousal: float | None = None
    zh: str | None = None

    def __post_init__(self) -> None:
        """Check what came from a file.

        Raises: SettingError.
        """
        if (self.valence is None) != (self.arousal is None):
            raise SettingError("valence and arousal are a place together: give both or neither")
        for name in ("valence", "arousal"):
            check_range(name, getattr(self, name) or 0.0, -1, 1)
        if self.zh is not None:
            _check_own("zh", self.zh)

    @property
    def place(self) -> tuple[float, float] | None:
        """Valence and arousal, if they are known."""
        if self.valence is None or self.arousal is None:
            return None
        return self.valence, self.arousal


EMOTIONS: dict[str, Emotion] = {
    emotion.name: emotion
    for emotion in (
        Emotion("neutral", "中性", 0.0, 0.0, "#bbbbbb", ("neutrality", "neu", "中立")),
        Emotion("calm", "平静", 0.7, -0.7, "#88ccee", ("calmness", "平和")),
        Emotion(
            "happiness",
            "快乐",
            0.9,
            0.3,
            "#ddaa33",
            ("happy", "joy", "joyful", "hap", "高兴", "开心", "喜悦"),
        ),
        Emotion("sadness", "悲伤", -0.9, -0.4, "#4477aa", ("sad", "伤心", "难过")),
        Emotion("anger", "愤怒", -0.6, 0.8, "#cc3311", ("angry", "ang", "生气")),
        Emotion(
            "fear",
            "恐惧",
            -0.7,
            0.7,
            "#aa3377",
            ("fearful", "fea", "afraid", "scared", "anxiety", "anxious", "fear/anxiety", "害怕"),
        ),
        Emotion("disgust", "厌恶", -0.8, 0.3, "#228833", ("disgusted", "dis")),
        Emotion(
            "surprise",
            "惊讶",
            0.3,
            0.9,
            "#ee7733",
            ("surprised", "sur", "ps", "pleasant surprise", "pleasant surprised", "惊奇", "吃惊"),
        ),
        Emotion("boredom", "无聊", -0.5, -0.8, "#999933", ("bored",)),
        Emotion("contempt", "轻蔑", -0.6, 0.2, "#332288", ("contemptuous", "蔑视")),
        Emotion("amusement", "逗乐", 0.65, 0.05, "#dd55ff", ("amused", "好笑")),
        Emotion("contentment", "满足", 0.8, -0.6, "#44ee77", ("content", "contented", "满意")),
        Emotion("distress", "苦恼", -0.7, 0.7, "#442211", ("distressed", "痛苦")),
        Emotion("elation", "欢欣", 0.7, 0.6, "#9900ff", ("elated", "兴高采烈")),
    )
}
"""Canonical name -> `Emotion`, in the order in which serein lists emotions everywhere."""

NO_COLOUR = "#eeeeee"
OWN_COLOURS = ("#c4b294", "#4db6a6", "#d09a78", "#93b0cf", "#b0bf63", "#cf9ab4")  # as the page's
NEAR = 0.8  # similarity of words, of which one may be the other misspelt
UNSURE, UNSURE_ZH = "unsure", "不确定"
"""Abstention: the label in place of an emotion whose confidence is below the threshold."""

RESERVED = {UNSURE, UNSURE_ZH, "no speech", "没有语音"}
"""What predictions say in place of an emotion: no label may."""


def canonical_emotion(word: str) -> str:
    """Map a word for an emotion to its canonical name.

    `word`: a canonical name, an alias or a Chinese name. Case, surrounding space, and the choice of
    space, hyphen or underscore between two words do not matter.
    Returns: a key of `EMOTIONS`.
    Raises: CorpusError if the word is unknown.
    """
    name = _NAMES.get(_plain(word))
    if name is None:
        raise CorpusError(unknown_name("emotion", word, EMOTIONS))
    return name


def label_name(word: str) -> str:
    """Map a word for an emotion to its canonical name, and any other to itself: an own label.

    `word`: case, surrounding space and the choice of space, hyphen or underscore do not matter.
    Returns: a key of `EMOTIONS`, or the word in lower case with single spaces.
    Raises: SettingError if an own label is empty, too long, or holds other marks than a name may.
    """
    own = _plain(word)
    if own in _NAMES:
        return _NAMES[own]
    return _check_own("a label", own)


def in_order(labels: Iterable[str]) -> tuple[str, ...]:
    """Sort labels, each once: those of `EMOTIONS` in their order, then own ones by name."""
    there = set(labels)
    return (*(name for name in EMOTIONS if name in there), *sorted(there - EMOTIONS.keys()))


def near_emotion(label: str) -> str | None:
    """Return the emotion of which an own label may be a misspelling, if there is one."""
    found = get_close_matches(_plain(label), [*_NAMES], 1, NEAR) if label not in EMOTIONS else []
    return _NAMES[found[0]] if found else None


def colour_of(label: str) -> str:
    """Return the colour of an emotion in plots; of an own label one that its letters choose."""
    if label in RESERVED:
        return NO_COLOUR
    if label in EMOTIONS:
        return EMOTIONS[label].colour
    return OWN_COLOURS[sum(map(ord, label)) % len(OWN_COLOURS)]


def in_chinese(name: str) -> str:
    """Return the Chinese name of an emotion.

    `name`: a canonical name or an alias.
    Raises: CorpusError if the name is unknown.
    """
    return EMOTIONS[canonical_emotion(name)].chinese


def emotion_name(label: str, lang: str, own: Mapping[str, OwnEmotion] | None = None) -> str:
    """Name an emotion, or ``unsure``, in a language, en or zh.

    `own`: what a recipe says of labels of its own; others of these have one name.
    """
    if lang != "zh":
        return label
    name = _NAMES.get(_plain(label))
    if label == UNSURE:
        return UNSURE_ZH
    return EMOTIONS[name].chinese if name else (own or {}).get(label, OwnEmotion()).zh or label


def own_emotions(described: Mapping[str, OwnEmotion]) -> dict[str, OwnEmotion]:
    """Check the labels that are described: none that serein knows, whose names are fixed.

    Raises: SettingError.
    """
    named = {label_name(label): own for label, own in described.items()}
    for known in sorted(named.keys() & EMOTIONS.keys()):
        raise SettingError(f"{known} has its place and names already: describe own labels alone")
    return named


def circumplex(
    probabilities: Mapping[str, float], own: Mapping[str, OwnEmotion] | None = None
) -> tuple[float, float] | None:
    """Compute valence and arousal from the probabilities of emotions.

    The mean of the emotions' fixed places, weighted by probability; it is derived, not measured.

    `probabilities`: canonical name or alias -> probability, 0 to 1. A word that is not known has no
    place, and is left out of the mean; `own`: places of such words.
    Returns: valence and arousal, each from -1 to 1; None if no known emotion has any probability.
    """
    named = [(_place(word, own or {}), weight) for word, weight in probabilities.items()]
    known = [(*place, weight) for place, weight in named if place is not None]
    total = sum(weight for *_, weight in known)
    if not total:
        return None
    valence = sum(weight * place for place, _, weight in known)
    arousal = sum(weight * place for _, place, weight in known)
    return valence / total, arousal / total


def _place(word: str, own: Mapping[str, OwnEmotion]) -> tuple[float, float] | None:
    """Return valence and arousal of a word, if it has any."""
    name = _NAMES.get(_plain(word))
    if name is not None:
        return EMOTIONS[name].valence, EMOTIONS[name].arousal
    return own[word].place if word in own else None


def _check_own(what: str, name: str) -> str:
    check_file_name(what, name)
    if name in RESERVED:
        raise SettingError(f"{what} is {name!r}, which serein itself says: give it another name")
    if "," in name:
        raise SettingError(f"{what} is {name!r}: no name holds a comma; for several, give a list")
    return name


def _plain(word: object) -> str:
    """Lower-case a word and put single spaces where it has spaces, hyphens or underscores."""
    return re.sub(r"[\s_-]+", " ", str(word)).strip().casefold()


_NAMES: dict[str, str] = {
    word: emotion.name
    for emotion in EMOTIONS.values()
    for word in (emotion.name, emotion.chinese, *emotion.aliases)
}
