import { expect, test } from "vitest";

import { pathOf } from "../src/affect";
import { peaksOf } from "../src/audio";
import { byMean, sampled } from "../src/curves";
import { said } from "./made";

test("short segments are points at their middle, long ones keep their width", () => {
  const points = sampled([said(0, 0.5, "fear"), said(0.5, 4.5, "anger")], [0, 4.5], 100);
  expect(points.map(({ time }) => time)).toEqual([0.25, 0.5, 4.5]);
});

test("silence is a gap", () => {
  const points = sampled([said(0, 0.5, "fear"), said(0.5, 1, null)], [0, 1], 100);
  expect(points.map(({ values }) => values?.["fear"] ?? null)).toEqual([0.75, null]);
});

test("more moments than columns are averaged, and silence does not count", () => {
  const timeline = [
    said(0, 1, "fear", 0.5),
    said(1, 2, "fear", 1),
    said(2, 3, "fear", 0.5),
    said(3, 4, null),
  ];
  const points = sampled(timeline, [0, 4], 2);
  expect(points).toHaveLength(2);
  expect(points[0]?.time).toBe(1);
  expect(points[0]?.values?.["fear"]).toBeCloseTo(0.75);
  expect(points[1]?.values?.["fear"]).toBeCloseTo(0.5);
});

test("a range takes what lies in it, and the neighbours that its curves come from", () => {
  const timeline = Array.from({ length: 100 }, (_, index) =>
    said(index / 2, (index + 1) / 2, "fear"),
  );
  const times = sampled(timeline, [10, 12], 1000).map(({ time }) => time);
  expect(times[0]).toBeLessThan(10);
  expect(times.at(-1)).toBeGreaterThan(12);
  expect(times.length).toBeLessThan(10);
});

test("an hour is drawn with as many points as there are columns", () => {
  const timeline = Array.from({ length: 7200 }, (_, index) =>
    said(index / 2, (index + 1) / 2, "fear"),
  );
  expect(sampled(timeline, [0, 3600], 600)).toHaveLength(600);
  expect(pathOf(timeline, 150)).toHaveLength(150);
  expect(pathOf(timeline, 150).at(-1)?.time).toBe(3599.75);
});

test("the path of affect leaves silence out", () => {
  expect(pathOf([said(0, 1, null), said(1, 2, "fear")], 10).map(({ time }) => time)).toEqual([1.5]);
});

test("the curves that matter are those of the greatest mean", () => {
  const points = sampled([said(0, 0.5, "fear", 0.6), said(0.5, 1, "anger", 0.9)], [0, 1], 10);
  expect(byMean(points, ["joy", "fear", "anger"])).toEqual(["anger", "fear", "joy"]);
});

test("peaks are the greatest sizes of equal stretches", () => {
  expect([...peaksOf([[0.5, -1, 0.25, 0]], 2)]).toEqual([1, 0.25]);
  expect([...peaksOf([[1]], 3)]).toHaveLength(3);
  expect([...peaksOf([], 2)]).toEqual([0, 0]);
});

test("several channels are drawn as their mix, as they were predicted", () => {
  const [left, right] = [
    [1, 0, 0.5],
    [0, 1, -0.5],
  ];
  expect([...peaksOf([left, right], 3)]).toEqual([0.5, 0.5, 0]);
});
