import { expect, test } from "vitest";

import { textGrid } from "../src/annotations";
import { tiersOfSegments } from "../src/spoken";
import { said } from "./made";

test("a TextGrid has a tier of emotions and one of each number, without gaps", () => {
  const text = textGrid(tiersOfSegments('a "voice"', [said(1, 2, "fear"), said(2, 3, null)]), 4);
  expect(text).toContain("xmax = 4\ntiers? <exists>\nsize = 4\n");
  expect(text).toContain('name = "a ""voice"""\n');
  const tiers = text.split(/item \[\d\]:/).slice(1);
  const rows = tiers.map((tier) =>
    [...tier.matchAll(/xmin = (\S+)\s+xmax = (\S+)\s+text = "(.*)"/g)].map(([, ...cells]) => cells),
  );
  expect(rows[0]).toEqual([
    ["0", "1", ""],
    ["1", "2", "fear"],
    ["2", "4", ""],
  ]);
  expect(rows[1]?.[1]).toEqual(["1", "2", "0.75"]);
});
