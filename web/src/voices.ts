/** The voices of a recording: one, or a channel or speaker each, with a timeline without gaps. */

import type { Prediction } from "./api";
import type { Segment } from "./segments";

export type Whole = Omit<Segment, "start" | "end">;

export interface Voice {
  channel: number | null;
  speaker: number | null;
  /** The prediction for all that it says. */
  whole: Whole;
  timeline: readonly Segment[];
  speechS: number;
}

export function voicesOf(prediction: Prediction): [Voice, ...Voice[]] {
  const { timeline, lanes = [], duration } = prediction;
  const voices = lanes.map(({ channel = null, speaker = null, ...whole }): Voice => {
    const own = timeline.filter(
      (one) => (one.channel ?? null) === channel && (one.speaker ?? null) === speaker,
    );
    const filled = withSilence(own, duration);
    return { channel, speaker, whole, timeline: filled, speechS: spokenS(filled) };
  });
  const [first, ...others] = voices;
  if (first) return [first, ...others];
  const speechS = spokenS(timeline);
  return [{ channel: null, speaker: null, whole: prediction, timeline, speechS }];
}

export function spokenS(timeline: readonly Segment[]): number {
  const spoken = timeline.filter(({ emotion }) => emotion !== null);
  return spoken.reduce((sum, { start, end }) => sum + end - start, 0);
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
