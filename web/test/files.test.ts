import { expect, test, vi } from "vitest";

vi.hoisted(() => Object.assign(globalThis, { matchMedia: () => ({ matches: false }) })); // no browser

import { ServiceError } from "../src/api";
import { annotationFiles, batchJson, recordingsCsv } from "../src/batch-files";
import { newJob, type Job } from "../src/jobs";
import { isAt, momentOf } from "../src/moment";
import { openProject, saveProject, withSounds } from "../src/project";
import { labelled, NOTHING_SAID } from "../src/review";
import { spokenSegments } from "../src/spoken";
import { prediction, said } from "./made";

const timeline = [said(0, 1.5, "fear"), said(1.5, 2, null), said(2, 4, "anger")];

function job(name = "a & b.wav", folder = "x"): Job {
  const settings = { query: { model: "multi" }, to: null };
  const made = newJob({ file: new File(["sound"], name), folder }, settings);
  made.state = { kind: "done", prediction: prediction(timeline) };
  return made;
}

test("a row for each recording, with what was said of it, or why it has no prediction", () => {
  const bad = job("notes.txt", "");
  bad.state = { kind: "failed", error: new ServiceError(422, "unreadable", "no sound") };
  const good = job("call.wav", "");
  good.facts = { speaker: "ann" };
  good.review = { ...NOTHING_SAID, emotion: "calm", note: "slow" };
  expect(recordingsCsv([good, bad]).split("\r\n")).toEqual([
    "file,model,duration_s,kind,emotion,confidence,valence,arousal,anger,fear,label,note,speaker,error_code,error",
    "call.wav,multi,4,,fear,0.75,-0.75,0.5,0.25,0.75,calm,slow,ann,,",
    "notes.txt,multi,,,,,,,,,,,,unreadable,This cannot be read as sound.",
    "",
  ]);
  expect(JSON.parse(batchJson([bad]))).toMatchObject([{ file: "notes.txt", error: "unreadable" }]);
});

test("a reviewer's label takes the place of what was predicted, and no more of it", () => {
  const made = job();
  made.review = labelled(NOTHING_SAID, "calm", { start: 1, end: 3 });
  const spans = spokenSegments(made).map(({ start, end, emotion }) => [start, end, emotion]);
  expect(spans).toEqual([
    [0, 1, "fear"],
    [1, 3, "calm"],
    [3, 4, "anger"],
  ]);
});

test("annotations: Praat's intervals fill the time, ELAN's slots are milliseconds", () => {
  const [[name, grid]] = annotationFiles([job()], "textgrid") as unknown as [[string, string]];
  expect(name).toBe("x/a & b.TextGrid");
  expect(grid.match(/name = ".*"/g)).toHaveLength(4);
  expect(grid).toMatch(/intervals \[2\]:\s+xmin = 1.5\s+xmax = 2\s+text = ""/);
  const [elan] = annotationFiles([job()], "eaf").values();
  expect(elan).toContain('TIME_VALUE="1500"');
  expect(elan).toContain("./a &amp; b.wav");
  const two = annotationFiles([job(), job()], "audacity");
  expect([...two.keys()]).toEqual(["x/a & b.txt", "x/a & b (2).txt"]);
  expect(two.get("x/a & b.txt")).toBe("0.000000\t1.500000\tfear\n2.000000\t4.000000\tanger\n");
});

test("a project opens as it was saved; without its sound, the sound is given again", async () => {
  const made = job("call.wav");
  made.review = labelled({ ...NOTHING_SAID, note: "slow" }, "calm", { start: 0, end: 1.5 });
  const [whole] = (await openProject(await saveProject([made], true))) as [Job];
  expect([whole.review, whole.state, whole.missing]).toEqual([made.review, made.state, null]);
  expect(await whole.sound.text()).toBe("sound");
  const [bare] = (await openProject(await saveProject([made], false))) as [Job];
  expect([bare.missing, bare.sound.size]).toEqual([5, 0]);
  const given = ["other", "sound"].map((text) => ({
    file: new File([text], "call.wav"),
    folder: "",
  }));
  given.push({ file: new File(["longer than it"], "call.wav"), folder: "x" });
  const { found, others } = withSounds([bare], given);
  expect([found.length, others.length, bare.missing]).toEqual([1, 2, null]);
  await expect(openProject(new Blob(["no zip"]))).rejects.toThrow();
});

test("a link names a recording and a time", () => {
  expect(momentOf("#recording=x%2Fcall.wav&t=12.5")).toEqual({
    recording: "x/call.wav",
    time: 12.5,
  });
  expect(momentOf("#main")).toBeNull();
  expect(isAt(job("call.wav"), { recording: "x/call.wav", time: 0 })).toBe(true);
});
