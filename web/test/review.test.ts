import { expect, test } from "vitest";

import { newJob, type Job } from "../src/jobs";
import { labelsCsv, segmentLabelsCsv } from "../src/labels";
import { labelled, NOTHING_SAID, type Review } from "../src/review";
import { prediction, said } from "./made";

const [first, second] = [
  { start: 0, end: 1.5 },
  { start: 1.5, end: 3 },
];

function job(name: string, folder: string, review: Partial<Review>): Job {
  const settings = { query: { model: "multi" }, to: null };
  const made = newJob({ file: new File(["x"], name), folder }, settings);
  made.state = { kind: "done", prediction: prediction([said(0, 3, "fear")]) };
  made.review = { ...NOTHING_SAID, ...review };
  return made;
}

test("the same label again takes it back; another replaces it", () => {
  const angry = labelled(NOTHING_SAID, "anger", null);
  expect(angry.emotion).toBe("anger");
  expect(labelled(angry, "fear", null).emotion).toBe("fear");
  expect(labelled(angry, "anger", null)).toEqual(NOTHING_SAID);
});

test("segments are labelled in order, each once", () => {
  const two = labelled(labelled(NOTHING_SAID, "fear", second), "anger", first);
  expect(two.segments.map(({ emotion }) => emotion)).toEqual(["anger", "fear"]);
  expect(labelled(two, "fear", first).segments).toHaveLength(2);
  expect(labelled(two, "anger", first).segments).toMatchObject([{ ...second, emotion: "fear" }]);
  expect(labelled(two, "sadness", { start: 1, end: 2 }).segments).toHaveLength(1); // it covers both
});

test("labels are saved as serein reads them, and as no spreadsheet calculates them", () => {
  const jobs = [job("-a.wav", "", { emotion: "anger", note: "=1" }), job("b.wav", "x", {})];
  jobs[0]!.facts = { speaker: "ann", language: "en", age: "30" };
  expect(labelsCsv(jobs).split("\r\n")).toEqual([
    "file,emotion,speaker,language,predicted,confidence,model,note",
    `./-a.wav,anger,ann,en,fear,0.75,multi,"'=1"`,
    "",
  ]);
  jobs[1]!.review = labelled(NOTHING_SAID, "calm", second);
  expect(segmentLabelsCsv(jobs).split("\r\n").slice(1)).toEqual(["x/b.wav,1.5,3,calm,,,", ""]);
  jobs[1]!.review = labelled(NOTHING_SAID, "calm", { ...second!, channel: 1, speaker: 2 });
  const voice = "channel 1 speaker 2";
  expect(segmentLabelsCsv(jobs)).toContain(`x/b.wav,1.5,3,calm,${voice},${voice},`);
});
