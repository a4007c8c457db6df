/** Predictions over time: adjacent ones of the same emotion are one segment. */

import type { Range } from "./canvas";

export interface Segment {
  start: number;
  end: number;
  emotion: string | null;
  confidence: number | null;
  probabilities: Record<string, number>;
  valence: number | null;
  arousal: number | null;
  /** From 1, where channels or speakers were told apart. */
  channel?: number;
  speaker?: number;
  /** speech, burst (a laugh, a cry, a sigh), or null for neither. */
  kind?: string | null;
}

/** Merge adjacent segments of the same emotion and kind; numbers are means, weighted by duration. */
export function merged(timeline: readonly Segment[]): Segment[] {
  return runs(timeline).map(mean);
}

/** Adjacent segments of the same emotion and kind, together. */
export function runs(timeline: readonly Segment[]): Segment[][] {
  const found: Segment[][] = [];
  for (const segment of timeline) {
    const run = found.at(-1);
    const first = run?.[0];
    if (run && first?.emotion === segment.emotion && first.kind === segment.kind) run.push(segment);
    else found.push([segment]);
  }
  return found;
}

/** Seconds of each emotion; silence is left out. */
export function secondsOf(timeline: readonly Segment[]): Map<string, number> {
  const seconds = new Map<string, number>();
  for (const { emotion, start, end } of timeline) {
    if (emotion !== null) seconds.set(emotion, (seconds.get(emotion) ?? 0) + end - start);
  }
  return seconds;
}

/** The segments that reach into a range. */
export function inRange<T extends Segment>(segments: readonly T[], [from, to]: Range): T[] {
  return segments.filter(({ start, end }) => end > from && start < to);
}

/** A range in `bins` equal parts: the most frequent emotion of each, merged. */
export function coarse(segments: readonly Segment[], [from, to]: Range, bins: number): Segment[] {
  const parts: Segment[] = [];
  let first = 0;
  for (let bin = 0; bin < bins; bin++) {
    const [start, end] = [bin, bin + 1].map((edge) => from + ((to - from) * edge) / bins) as [
      number,
      number,
    ];
    while ((segments[first]?.end ?? Infinity) <= start) first += 1;
    let longest: Segment | undefined;
    let share = 0;
    for (let next = first; (segments[next]?.start ?? Infinity) < end; next++) {
      const segment = segments[next] as Segment;
      const inside = Math.min(segment.end, end) - Math.max(segment.start, start);
      if (inside > share) [longest, share] = [segment, inside];
    }
    if (longest) parts.push({ ...longest, start, end });
  }
  return merged(parts);
}

/** The segment at a moment; the last one at and after the end. */
export function segmentAt<T extends Segment>(segments: readonly T[], time: number): T | undefined {
  let [low, high] = [0, segments.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((segments[middle] as T).start <= time) low = middle;
    else high = middle - 1;
  }
  return segments[low];
}

/** The segment with speech at a moment, or else the nearest one. */
export function spokenAt<T extends Segment>(segments: readonly T[], time: number): T | undefined {
  const spoken = segments.filter(({ emotion }) => emotion !== null);
  const off = ({ start, end }: T): number => Math.max(start - time, time - end, 0);
  return spoken.reduce<T | undefined>(
    (best, one) => (best && off(best) < off(one) ? best : one),
    undefined,
  );
}

/** Emotions in the order of their probability, the likeliest first. */
export function ranked(probabilities: Record<string, number>): [string, number][] {
  return Object.entries(probabilities).sort(([, left], [, right]) => right - left);
}

function mean(run: readonly Segment[]): Segment {
  const first = run[0] as Segment;
  if (run.length === 1) return first;
  const weighted = (of: (segment: Segment) => number | null | undefined): number | null => {
    let [sum, weight] = [0, 0];
    for (const segment of run) {
      const value = of(segment);
      if (value === null || value === undefined) continue;
      sum += value * (segment.end - segment.start);
      weight += segment.end - segment.start;
    }
    return weight > 0 ? sum / weight : null;
  };
  const labels = Object.keys(first.probabilities);
  return {
    ...first,
    end: (run.at(-1) as Segment).end,
    confidence: weighted((segment) => segment.confidence),
    probabilities: Object.fromEntries(
      labels.map((label) => [label, weighted((segment) => segment.probabilities[label]) ?? 0]),
    ),
    valence: weighted((segment) => segment.valence),
    arousal: weighted((segment) => segment.arousal),
  };
}
