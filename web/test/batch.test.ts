import { expect, test } from "vitest";

import { applyTable, readTable } from "../src/facts";
import { newJob, type Job } from "../src/jobs";
import { ALL, arranged } from "../src/rows";
import { groups, sharesOf, summary } from "../src/statistics";
import { prediction, said } from "./made";

function job(name: string, folder: string, emotion: string | null, seconds = 2): Job {
  const settings = { query: { model: "multi" }, to: null };
  const made = newJob({ file: new File(["x"], name), folder }, settings);
  made.state = { kind: "done", prediction: prediction([said(0, seconds, emotion)]) };
  return made;
}

test("what has no key comes last, whichever way the order goes", () => {
  const jobs = [job("b", "", "fear"), job("a10", "", null), job("a9", "", "anger")];
  const names = (by: "name" | "confidence", down: boolean): string[] =>
    arranged(jobs, ALL, { by, down }, ({ name }) => name).map(({ name }) => name);
  expect(names("name", false)).toEqual(["a9", "a10", "b"]);
  expect(names("name", true)).toEqual(["b", "a10", "a9"]);
  for (const down of [false, true]) expect(names("confidence", down).at(-1)).toBe("a10");
});

test("shares are of the time of speech; silence is counted apart", () => {
  const found = summary([job("a", "", "fear", 3), job("b", "", "anger", 1), job("c", "", null, 9)]);
  expect(found.emotions).toEqual([
    { emotion: "fear", count: 1, share: 0.75 },
    { emotion: "anger", count: 1, share: 0.25 },
  ]);
  expect([found.silent, found.seconds, found.confidence]).toEqual([1, 13, 0.75]);
});

test("an interval covers the share, narrows with more units, and needs five", () => {
  const units = (count: number): Map<string, number>[] =>
    Array.from({ length: count }, (_, at) => new Map([[at % 2 ? "fear" : "anger", 1]]));
  expect(sharesOf(units(4)).get("fear")).toEqual({ share: 0.5, interval: null });
  const [few, many] = [sharesOf(units(10)), sharesOf(units(1000))];
  const width = (shares: typeof few): number => {
    const [low, high] = shares.get("fear")?.interval as [number, number];
    expect(low).toBeLessThan(0.5);
    expect(high).toBeGreaterThan(0.5);
    return high - low;
  };
  expect(width(few)).toBeGreaterThan(0.4);
  expect(width(many)).toBeCloseTo(2 * 1.96 * Math.sqrt(0.25 / 1000), 1);
  expect(sharesOf(units(10))).toEqual(few); // and is always the same
});

test("the recordings of a speaker are one unit", () => {
  const jobs = Array.from({ length: 6 }, (_, at) => job(`${at}`, at < 3 ? "x" : "y", "fear"));
  for (const one of jobs.slice(0, 3)) one.facts["speaker"] = "ann";
  expect(groups(jobs, ({ folder }) => folder).map(({ name, units }) => [name, units])).toEqual([
    ["x", 1],
    ["y", 3],
  ]);
});

test("a table names recordings by their path or the end of it", () => {
  const rows = ["Path;Speaker", "x/one.wav;ann", ".\\x\\two.wav;ben", "é.wav;cy"].join("\n");
  const table = readTable("who.csv", `\uFEFF${rows}`);
  const jobs = [job("one.wav", "calls/x", null), job("two.wav", "", null), job("é.wav", "", null)];
  expect(table && applyTable(table, jobs)).toBe(3);
  expect(jobs.map(({ facts }) => facts["speaker"])).toEqual(["ann", "ben", "cy"]);
  expect(readTable("who.csv", "speaker,age\nann,3")).toBeNull();
});
