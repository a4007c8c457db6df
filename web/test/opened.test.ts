import { expect, test } from "vitest";

import { openedOf } from "../src/opened";
import { prediction, said } from "./made";

const sound = new Blob();

function opened(...timeline: Parameters<typeof prediction>[0]) {
  const whole = { ...prediction(timeline), confidence: 0.6 };
  const recording = { name: "x", sound, prediction: whole, converted: false, unsureBelow: 0 };
  return openedOf(recording, 0, 0);
}

test("an only segment has the confidence of the whole, several have their own", () => {
  expect(opened(said(0, 2, "fear"), said(2, 3, null)).segments[0]?.confidence).toBe(0.6);
  expect(opened(said(0, 2, "fear"), said(2, 3, "anger")).segments[0]?.confidence).toBe(0.75);
});
