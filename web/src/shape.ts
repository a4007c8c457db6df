/** A timeline made smoother: means over a few seconds, and no segment shorter than wanted. */

import { UNSURE } from "./emotions";
import { ranked, runs, type Segment } from "./segments";

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
  return timeline.map((segment, index) => {
    if (segment.emotion === null) return segment;
    const middle = (segment.start + segment.end) / 2;
    const near = ({ start, end, emotion, kind }: Segment): boolean =>
      emotion !== null &&
      kind === segment.kind &&
      Math.abs((start + end) / 2 - middle) <= smoothS / 2;
    let [first, last] = [index, index];
    while (first > 0 && near(timeline[first - 1] as Segment)) first -= 1;
    while (last < timeline.length - 1 && near(timeline[last + 1] as Segment)) last += 1;
    return averaged(segment, timeline.slice(first, last + 1), unsureBelow);
  });
}

function averaged(segment: Segment, near: readonly Segment[], unsureBelow: number): Segment {
  const mean = (of: (one: Segment) => number | null | undefined): number =>
    near.reduce((sum, one) => sum + (of(one) ?? 0), 0) / near.length;
  const labels = new Set(near.flatMap((one) => Object.keys(one.probabilities)));
  const probabilities = Object.fromEntries(
    [...labels].map((label) => [label, mean((one) => one.probabilities[label])]),
  );
  const [label, confidence] = ranked(probabilities)[0] ?? [segment.emotion, segment.confidence];
  return {
    ...segment,
    probabilities,
    confidence,
    emotion: (confidence ?? 0) < unsureBelow ? UNSURE : label,
    valence: mean((one) => one.valence),
    arousal: mean((one) => one.arousal),
  };
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
