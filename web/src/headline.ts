/** The prediction for a voice in a few words; of long recordings, the share of time comes first. */

import { UNSURE } from "./emotions";
import { clock, number } from "./format";
import { confidenceText, emotionName, percent, t, voiceName } from "./i18n";
import { ranked, secondsOf } from "./segments";
import type { Voice } from "./voices";

export const LONG_S = 30; // of speech: more has seldom one emotion
const LEADS = 0.5; // of the time of speech
const NAMED = 3;

export interface Headline {
  /** Whose colour it has; none where no emotion leads. */
  emotion: string | null;
  lead: string;
  name: string;
  /** How sure, or how much of the time. */
  sure: string;
  /** Of the time of speech, the greatest first; null for a short recording. */
  shares: [label: string, share: number][] | null;
}

export function headline(voice: Voice): Headline {
  const found = voice.speechS < LONG_S ? ofShort(voice) : ofLong(voice);
  const lead = [voiceName(voice), found.lead].filter(Boolean).join(": ");
  return { ...found, lead };
}

function ofShort({ whole }: Voice): Headline {
  const { emotion, confidence, probabilities } = whole;
  const unsure = emotion === UNSURE;
  const likeliest = ranked(probabilities)[0]?.[0] ?? null;
  return {
    emotion,
    lead: emotion === null ? "" : t(unsure ? "predictionUnsure" : "predictionIs"),
    name: emotionName(unsure ? likeliest : emotion),
    sure:
      confidence === null
        ? ""
        : `${confidenceText(confidence)} · ${t("confidenceOf", { value: number(confidence) })}`,
    shares: null,
  };
}

function ofLong({ timeline, speechS }: Voice): Headline {
  const shares = ranked(Object.fromEntries(secondsOf(timeline))).map(
    ([label, seconds]): [string, number] => [label, seconds / (speechS || 1)],
  );
  const [most = "", share = 0] = shares[0] ?? [];
  const leads = share >= LEADS && most !== UNSURE;
  const named = shares.slice(0, NAMED).map(([label, part]) => `${emotionName(label)} ${percent(part)}`);
  return {
    emotion: leads ? most : null,
    lead: t("sharesOf", { time: clock(speechS, 0) }),
    name: leads ? t("mostly", { emotion: emotionName(most) }) : t("mixed"),
    sure: named.join(" · "),
    shares,
  };
}
