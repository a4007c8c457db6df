import { expect, test } from "vitest";

import { merged, type Segment } from "../src/segments";
import { shaped } from "../src/shape";
import { said } from "./made";

const PLAIN = { smoothS: 0, leastS: 0, unsureBelow: 0 };

function emotions(timeline: readonly Segment[]): (string | null)[] {
  return merged(timeline).map(({ emotion }) => emotion);
}

test("nothing asked for leaves a timeline as it is", () => {
  const timeline = [said(0, 1, "fear"), said(1, 2, null)];
  expect(shaped(timeline, PLAIN)).toEqual(timeline);
});

test("smoothing is the mean of what is spoken around, and does not cross silence", () => {
  const timeline = [said(0, 1, "fear", 0.9), said(1, 2, "anger", 0.6), said(2, 3, "fear", 0.9)];
  const smooth = shaped(timeline, { ...PLAIN, smoothS: 2 });
  expect(smooth[1]?.probabilities["fear"]).toBeCloseTo(0.6);
  expect(smooth[1]?.emotion).toBe("fear");
  const apart = [said(0, 1, "fear", 0.9), said(1, 2, null), said(2, 3, "anger", 0.6)];
  expect(shaped(apart, { ...PLAIN, smoothS: 6 })).toEqual(apart);
});

test("what is not confident enough once it is smoothed is unsure", () => {
  const timeline = [said(0, 1, "fear", 0.8), said(1, 2, "anger", 0.8)];
  const smooth = shaped(timeline, { ...PLAIN, smoothS: 4, unsureBelow: 0.6 });
  expect(smooth.map(({ emotion }) => emotion)).toEqual(["unsure", "unsure"]);
});

test("a segment that is too short joins the speech before it, or else after it", () => {
  const few = { ...PLAIN, leastS: 1 };
  const [long, short, rest] = [said(0, 2, "fear"), said(2, 2.5, "anger"), said(2.5, 5, "sadness")];
  expect(emotions(shaped([long, short, rest], few))).toEqual(["fear", "sadness"]);
  expect(emotions(shaped([short, rest], few))).toEqual(["sadness"]);
  expect(emotions(shaped([said(0, 2, null), short], few))).toEqual([null, "anger"]);
  const joined = shaped([long, short, rest], few)[1];
  expect(joined?.confidence).toBe(0); // that of fear, in which it has no part
});
