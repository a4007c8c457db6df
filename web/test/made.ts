import type { Prediction } from "../src/api";
import type { Segment } from "../src/segments";

/** A segment in which one emotion has `confidence`, and anger or neutral the rest. */
export function said(
  start: number,
  end: number,
  emotion: string | null,
  confidence = 0.75,
): Segment {
  if (emotion === null) {
    const none = { confidence: null, valence: null, arousal: null };
    return { start, end, emotion, probabilities: {}, ...none };
  }
  const rest = emotion === "anger" ? "neutral" : "anger";
  const probabilities = { [emotion]: confidence, [rest]: 1 - confidence };
  return { start, end, emotion, confidence, probabilities, valence: -confidence, arousal: 0.5 };
}

export function prediction(timeline: Segment[]): Prediction {
  const { start: _, ...whole } = timeline[0] as Segment;
  return {
    ...whole,
    file: "call.wav",
    model: "multi",
    duration: timeline.at(-1)?.end ?? 0,
    utterances_known: 0,
    speech: whole.emotion !== null,
    emotion_zh: null,
    timeline: timeline.map((segment) => ({
      ...segment,
      speech: segment.emotion !== null,
      emotion_zh: null,
    })),
  };
}
