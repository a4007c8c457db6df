import { expect, test } from "vitest";

import { segmentsCsv } from "../src/export";
import { said } from "./made";

test("segments are rows: when, what, how sure, and every probability", () => {
  const text = segmentsCsv(
    "call.wav",
    [said(0, 1.5, "fear"), said(1.5, 2, null), { ...said(2, 3, "fear"), kind: "burst" }],
    ["anger", "fear"],
  );
  expect(text.split("\r\n")).toEqual([
    "file,start_s,end_s,kind,emotion,confidence,valence,arousal,anger,fear",
    "call.wav,0,1.5,,fear,0.75,-0.75,0.5,0.25,0.75",
    "call.wav,1.5,2,,no speech,,,,,",
    "call.wav,2,3,burst,fear,0.75,-0.75,0.5,0.25,0.75",
    "",
  ]);
});

test("commas, quotation marks and formulas in names stay text", () => {
  const rows = ['a,"b".wav', "=1+1.wav", "@x.wav", "-x.wav"].map((name) =>
    segmentsCsv(name, [said(0, 1, null)], [])
      .split("\r\n")[1]
      ?.replace(/,0,1,,no speech,,,$/, ""),
  );
  expect(rows).toEqual(['"a,""b"".wav"', `"'=1+1.wav"`, `"'@x.wav"`, `"'-x.wav"`]);
});

test("segments of a conversation say whose they are", () => {
  const text = segmentsCsv("call.wav", [{ ...said(0, 1, "fear"), channel: 2 }], []);
  expect(text.split("\r\n")).toEqual([
    "file,start_s,end_s,channel,speaker,kind,emotion,confidence,valence,arousal",
    "call.wav,0,1,2,,,fear,0.75,-0.75,0.5",
    "",
  ]);
});
