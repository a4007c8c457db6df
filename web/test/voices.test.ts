import { expect, test } from "vitest";

import { voicesOf } from "../src/voices";
import { prediction, said } from "./made";

const PLAIN = { smoothS: 0, leastS: 0, unsureBelow: 0 };

test("one voice has the timeline as it is", () => {
  const whole = prediction([said(0, 1, "fear"), said(1, 2, null)]);
  const voices = voicesOf(whole, PLAIN);
  expect(voices).toHaveLength(1);
  expect(voices[0].timeline).toEqual(whole.timeline);
  expect(voices[0].speechS).toBe(1);
});

test("each channel and speaker has its own utterances, with silence between them", () => {
  const whole = prediction([said(0, 4, "fear")]);
  const [left, right] = [
    { ...said(1, 2, "fear"), channel: 1, speaker: 1 },
    { ...said(1.5, 4, "anger"), channel: 2, speaker: 2 },
  ];
  const body = { speech: true, emotion_zh: null };
  const lanes = [left, right].map((one) => ({ ...one, ...body, start: 0, end: 4 }));
  const timeline = [left, right].map((one) => ({ ...one, ...body }));
  const voices = voicesOf({ ...whole, timeline, lanes }, PLAIN);
  expect(
    voices.map((voice) => voice.timeline.map(({ start, end, emotion }) => [start, end, emotion])),
  ).toEqual([
    [
      [0, 1, null],
      [1, 2, "fear"],
      [2, 4, null],
    ],
    [
      [0, 1.5, null],
      [1.5, 4, "anger"],
    ],
  ]);
  expect(voices.map(({ speechS }) => speechS)).toEqual([1, 2.5]);
});
