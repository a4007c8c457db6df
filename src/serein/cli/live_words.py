"""What `serein listen` says, in the languages that it speaks."""

from __future__ import annotations

from dataclasses import dataclass

from serein.cli.words import Language


@dataclass(frozen=True)
class Words:
    """The sentences of one language; some have a place for a number."""

    notice: str
    listening: str
    no_voice: str
    voice: str
    last_minute: str
    now: str
    heard: str
    level: str
    clipping: str
    muted: str
    behind: str
    lost: str


WORDS = {
    Language.en: Words(
        notice=(
            "How a listener might describe the voice, not what a person feels. "
            "Tell the people who are listened to."
        ),
        listening="listening to {}; Ctrl-C ends",
        no_voice="no voice",
        voice="a voice ...",
        last_minute="last minute",
        now="now",
        heard="utterances",
        level="level",
        clipping="too loud",
        muted="nothing but zeros comes: is the microphone muted, or not permitted to programs?",
        behind="behind by {:.1f} s",
        lost="lost {:.1f} s of sound",
    ),
    Language.zh: Words(
        notice="这是听者可能会如何形容这个声音，不是人的真实感受。请务必告知被听的人。",
        listening="正在听 {}；按 Ctrl-C 结束",
        no_voice="没有人声",
        voice="有人声 ……",
        last_minute="最近一分钟",
        now="现在",
        heard="语句",
        level="音量",
        clipping="过响",
        muted="只收到零：麦克风是否静音，或未允许程序使用？",
        behind="落后 {:.1f} 秒",
        lost="丢失 {:.1f} 秒声音",
    ),
}
