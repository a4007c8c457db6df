/** A recording that is open, and what is shown of it. */

import type { Recording } from "./api";
import { merged, type Segment } from "./segments";
import { voicesOf, type Voice } from "./voices";

export interface Opened {
  recording: Recording;
  voices: readonly Voice[];
  /** The one that is shown in detail. */
  voice: Voice;
  /** Of this voice. */
  segments: readonly Segment[];
  /** Of all voices. */
  rows: readonly Segment[];
}

/** Whoever speaks longest is shown in detail; a conversation's rows are what is said in it. */
export function openedOf(recording: Recording, smoothS: number, leastS: number): Opened {
  const { prediction, unsureBelow } = recording;
  const voices = voicesOf(prediction, { smoothS, leastS, unsureBelow });
  const voice = voices.reduce((most, one) => (one.speechS > most.speechS ? one : most));
  const segments = segmentsOf(voice);
  if (voices.length === 1) return { recording, voices, voice, segments, rows: segments };
  const rows = voices.flatMap(segmentsOf).filter(({ channel, speaker }) => channel || speaker);
  rows.sort((left, right) => left.start - right.start);
  return { recording, voices, voice, segments, rows };
}

/** The segments of a voice; where there is one only, it has the numbers of the whole. */
export function segmentsOf({ timeline, whole }: Voice): Segment[] {
  const segments = merged(timeline);
  const spoken = segments.filter(({ emotion }) => emotion !== null);
  if (spoken.length !== 1 || spoken[0]?.emotion !== whole.emotion) return segments;
  const { confidence, probabilities, valence, arousal } = whole;
  const same = { confidence, probabilities, valence, arousal };
  return segments.map((one) => (one.emotion === null ? one : { ...one, ...same }));
}
