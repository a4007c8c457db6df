import { expect, test } from "vitest";

import { stepOf } from "../src/time-axis";

test("times are round, and as far apart as they must be", () => {
  expect([0.03, 0.07, 0.4, 3, 61, 5000].map(stepOf)).toEqual([0.05, 0.1, 0.5, 5, 120, 3600]);
});
