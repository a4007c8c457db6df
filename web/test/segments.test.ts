import { expect, test } from "vitest";

import { coarse, inRange, merged, ranked, segmentAt, spokenAt } from "../src/segments";
import { said } from "./made";

test("neighbours of the same emotion are one segment, with means weighted by duration", () => {
  const segments = merged([
    said(0, 1, "fear", 0.6),
    said(1, 4, "fear", 0.8),
    said(4, 5, null),
    said(5, 6, "fear", 0.9),
  ]);
  expect(segments.map(({ start, end, emotion }) => [start, end, emotion])).toEqual([
    [0, 4, "fear"],
    [4, 5, null],
    [5, 6, "fear"],
  ]);
  expect(segments[0]?.confidence).toBeCloseTo(0.75);
  expect(segments[0]?.probabilities["fear"]).toBeCloseTo(0.75);
  expect(segments[0]?.probabilities["anger"]).toBeCloseTo(0.25);
  expect(segments[0]?.valence).toBeCloseTo(-0.75);
});

test("silence has neither confidence nor a place", () => {
  const [only] = merged([said(0, 1, null), said(1, 2, null)]);
  expect(only).toEqual(said(0, 2, null));
});

test("an unsure prediction is a segment of its own", () => {
  const unsure = { ...said(1, 2, "fear", 0.4), emotion: "unsure" };
  expect(merged([said(0, 1, "fear"), unsure]).map(({ emotion }) => emotion)).toEqual([
    "fear",
    "unsure",
  ]);
});

test("a vocal burst is a segment of its own", () => {
  const burst = { ...said(1, 2, "anger"), kind: "burst" };
  const segments = merged([{ ...said(0, 1, "anger"), kind: "speech" }, burst, burst]);
  expect(segments.map(({ kind, end }) => [kind, end])).toEqual([
    ["speech", 1],
    ["burst", 2],
  ]);
});

test("nothing is no segments", () => {
  expect(merged([])).toEqual([]);
  expect(coarse([], [0, 1], 10)).toEqual([]);
});

test("an hour of changes becomes few segments without gaps, from start to end", () => {
  const timeline = Array.from({ length: 7200 }, (_, index) =>
    said(index / 2, (index + 1) / 2, index % 3 ? "anger" : "fear"),
  );
  const segments = coarse(timeline, [0, 3600], 80);
  expect(segments.length).toBeLessThanOrEqual(80);
  expect(segments[0]?.start).toBe(0);
  expect(segments.at(-1)?.end).toBe(3600);
  segments.slice(1).forEach((segment, index) => expect(segment.start).toBe(segments[index]?.end));
});

test("a bin of a picture shows what fills most of it", () => {
  const timeline = [said(0, 8, "anger"), said(8, 10, "fear"), said(10, 20, "sadness")];
  const emotions = coarse(timeline, [0, 20], 2).map(({ emotion }) => emotion);
  expect(emotions).toEqual(["anger", "sadness"]);
});

test("what is in view are the segments that reach into it, as they are", () => {
  const segments = merged([said(0, 1, "fear"), said(1, 2, null), said(2, 3, "anger")]);
  expect(inRange(segments, [1.5, 2.5])).toEqual(segments.slice(1));
  expect(inRange(segments, [1, 2])).toEqual([segments[1]]);
});

test("each moment has its segment", () => {
  const segments = [said(0, 1, "fear"), said(1, 2, null), said(2, 3, "anger")];
  const emotions = [-1, 0, 0.99, 1, 2.5, 3, 9].map((time) => segmentAt(segments, time)?.emotion);
  expect(emotions).toEqual(["fear", "fear", "fear", null, "anger", "anger", "anger"]);
  expect(segmentAt([], 0)).toBeUndefined();
});

test("the likeliest emotion comes first", () => {
  expect(ranked({ fear: 0.2, anger: 0.7, calm: 0.1 }).map(([label]) => label)).toEqual([
    "anger",
    "fear",
    "calm",
  ]);
});

test("silence is no segment to label: the nearest with speech is", () => {
  const segments = [said(0, 0.01, null), said(0.01, 2, "fear"), said(2, 9, null), said(9, 12, "joy")];
  const at = (time: number) => spokenAt(segments, time)?.emotion;
  expect([0, 1, 4, 8, 20].map(at)).toEqual(["fear", "fear", "fear", "joy", "joy"]);
  expect(spokenAt([said(0, 1, null)], 0)).toBeUndefined();
});
