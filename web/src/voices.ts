/** The voices of a recording: one, or a channel or speaker each, with a timeline without gaps. */

import type { Prediction } from "./api";
import { secondsOf, type Segment } from "./segments";
import { shaped, type Shape } from "./shape";

export type Whole = Omit<Segment, "start" | "end">;

export interface Voice {
  channel: number | null;
  speaker: number | null;
  /** The prediction for all that it says. */
  whole: Whole;
  timeline: readonly Segment[];
  speechS: number;
}

/** The voices of a prediction, their timelines in a shape that is asked for. */
export function voicesOf(prediction: Prediction, shape: Shape): [Voice, ...Voice[]] {
  const { lanes = [], duration } = prediction;
  const voices = lanes.map(({ channel = null, speaker = null, ...whole }): Voice => {
    const own = prediction.timeline.filter(
      (one) => (one.channel ?? null) === channel && (one.speaker ?? null) === speaker,
    );
    const timeline = shaped(withSilence(own, duration), shape);
    return { channel, speaker, whole, timeline, speechS: spokenS(timeline) };
  });
  const [first, ...others] = voices;
  if (first) return [first, ...others];
  const timeline = shaped(prediction.timeline, shape);
  const who = { channel: null, speaker: null, whole: prediction };
  return [{ ...who, timeline, speechS: spokenS(timeline) }];
}

function spokenS(timeline: readonly Segment[]): number {
  return [...secondsOf(timeline).values()].reduce((sum, seconds) => sum + seconds, 0);
}

/** Fill the gaps between utterances. */
function withSilence(segments: readonly Segment[], duration: number): Segment[] {
  const filled: Segment[] = [];
  let at = 0;
  for (const segment of segments) {
    if (segment.start > at) filled.push(silence(at, segment.start));
    filled.push(segment);
    at = segment.end;
  }
  if (at < duration) filled.push(silence(at, duration));
  return filled;
}

function silence(start: number, end: number): Segment {
  const none = { confidence: null, valence: null, arousal: null, probabilities: {} };
  return { start, end, emotion: null, ...none };
}
