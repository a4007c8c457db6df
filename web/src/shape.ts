/** A timeline made smoother: means over a few seconds, and no segment shorter than wanted. */

import { UNSURE } from "./emotions";
import { runs, type Segment } from "./segments";

export interface Shape {
  /** Length of the moving average; 0 leaves the timeline as it is. */
  smoothS: number;
  leastS: number;
  /** Confidence below which an emotion is unsure. */
  unsureBelow: number;
}

/** As predicted. */
export const PLAIN: Shape = { smoothS: 0, leastS: 0, unsureBelow: 0 };

export function shaped(timeline: readonly Segment[], shape: Shape): readonly Segment[] {
  return lengthened(smoothed(timeline, shape), shape.leastS);
}

/** The mean of each moment's neighbours, as far as speech goes on. */
function smoothed(
  timeline: readonly Segment[],
  { smoothS, unsureBelow }: Shape,
): readonly Segment[] {
  if (smoothS <= 0) return timeline;
  const labels = [...new Set(timeline.flatMap((one) => Object.keys(one.probabilities)))];
  const means = labels.map((label) => meansOf(timeline, (one) => one.probabilities[label]));
  const [valence, arousal] = (["valence", "arousal"] as const).map((key) =>
    meansOf(timeline, (one) => one[key]),
  ) as [Mean, Mean];
  let [first, last] = [0, 0];
  return timeline.map((segment, index) => {
    const near = (other: number): boolean => isNear(timeline[other], segment, smoothS / 2);
    if (segment.emotion === null) return segment;
    if (!isNear(timeline[index - 1], segment, Infinity)) first = index;
    while (first < index && !near(first)) first += 1;
    for (last = Math.max(last, index); near(last + 1); ) last += 1;
    if (first === last) return segment;
    const probabilities: Record<string, number> = {};
    let [emotion, confidence] = [UNSURE, 0];
    labels.forEach((label, column) => {
      const value = (probabilities[label] = (means[column] as Mean)(first, last));
      if (value > confidence) [emotion, confidence] = [label, value];
    });
    return {
      ...segment,
      probabilities,
      confidence,
      emotion: confidence < unsureBelow ? UNSURE : emotion,
      valence: valence(first, last),
      arousal: arousal(first, last),
    };
  });
}

type Mean = (first: number, last: number) => number;

/** Means of any part of a timeline, from its running sum. */
function meansOf(
  timeline: readonly Segment[],
  of: (segment: Segment) => number | null | undefined,
): Mean {
  const sums = new Float64Array(timeline.length + 1);
  timeline.forEach((one, index) => (sums[index + 1] = (sums[index] as number) + (of(one) ?? 0)));
  return (first, last) =>
    ((sums[last + 1] as number) - (sums[first] as number)) / (last + 1 - first);
}

function isNear(one: Segment | undefined, other: Segment, awayS: number): boolean {
  if (!one || one.emotion === null || one.kind !== other.kind) return false;
  return Math.abs(one.start + one.end - other.start - other.end) / 2 <= awayS;
}

/** Give what is too short to the speech before it, or else after it; a vocal burst is short. */
function lengthened(timeline: readonly Segment[], leastS: number): readonly Segment[] {
  const all = runs(timeline);
  const owners = all.map((run) => run[0] as Segment);
  all.forEach((run, index) => {
    const [first, last] = [run[0] as Segment, run.at(-1) as Segment];
    if (last.end - first.start >= leastS || first.kind === "burst") return;
    const beside = [owners[index - 1], owners[index + 1]];
    owners[index] = beside.find((one) => one?.emotion && one.kind !== "burst") ?? first;
  });
  return all.flatMap((run, index) => run.map((one) => relabelled(one, owners[index] as Segment)));
}

function relabelled(segment: Segment, { emotion, kind = null }: Segment): Segment {
  if (segment.emotion === emotion || emotion === null) return segment;
  const own = segment.emotion === null || emotion === UNSURE;
  const confidence = own ? segment.confidence : (segment.probabilities[emotion] ?? 0);
  return { ...segment, emotion, confidence, ...(kind ? { kind } : {}) };
}
