import { expect, test } from "vitest";

import { bytes, clock, number } from "../src/format";

test("numbers have two digits, a real minus, and are never certain", () => {
  expect([0.7, -0.456, -0.001, 0, 0.994, 0.998, null].map(number)).toEqual([
    "0.70",
    "−0.46",
    "0.00",
    "0.00",
    "0.99",
    "> 0.99",
    "–",
  ]);
});

test("times carry over what is rounded", () => {
  expect([0, 9.96, 59.97, 75.26, 3599.96, 3661].map((time) => clock(time))).toEqual([
    "0:00.0",
    "0:10.0",
    "1:00.0",
    "1:15.3",
    "1:00:00.0",
    "1:01:01.0",
  ]);
  expect([9.6, 600].map((time) => clock(time, 0))).toEqual(["0:10", "10:00"]);
});

test("sizes are in megabytes, or in gigabytes", () => {
  expect([25 * 2 ** 20, 2 ** 31].map(bytes)).toEqual(["25 MB", "2.0 GB"]);
});
