/** TextGrid, the format of Praat: tiers of texts over time, as the service writes them. */

import type { Segment } from "./segments";

const TIERS = ["confidence", "valence", "arousal"] as const;

/** Tiers of the emotion, and of its numbers; what lies between the segments is empty. */
export function textGrid(segments: readonly Segment[], durationS: number, name: string): string {
  const spoken = segments.filter(({ emotion }) => emotion !== null);
  const end = Math.max(durationS, spoken.at(-1)?.end ?? 0);
  const tiers = [
    tier(name, spoken, end, ({ emotion }) => emotion ?? ""),
    ...TIERS.map((key) => tier(`${name} ${key}`, spoken, end, (one) => rounded(one[key]))),
  ];
  const head = [
    'File type = "ooTextFile"',
    'Object class = "TextGrid"',
    "",
    "xmin = 0",
    `xmax = ${time(end)}`,
    "tiers? <exists>",
    `size = ${tiers.length}`,
    "item []:",
  ];
  const items = tiers.flatMap((lines, index) => [`    item [${index + 1}]:`, ...lines]);
  return `${[...head, ...items].join("\n")}\n`;
}

function tier(
  name: string,
  segments: readonly Segment[],
  end: number,
  textOf: (segment: Segment) => string,
): string[] {
  const intervals: [start: number, end: number, text: string][] = [];
  let at = 0;
  for (const segment of segments) {
    if (segment.start > at) intervals.push([at, segment.start, ""]);
    intervals.push([Math.max(at, segment.start), segment.end, textOf(segment)]);
    at = segment.end;
  }
  if (at < end) intervals.push([at, end, ""]);
  return [
    '        class = "IntervalTier"',
    `        name = ${quoted(name)}`,
    "        xmin = 0",
    `        xmax = ${time(end)}`,
    `        intervals: size = ${intervals.length}`,
    ...intervals.flatMap(([from, to, text], index) => [
      `        intervals [${index + 1}]:`,
      `            xmin = ${time(from)}`,
      `            xmax = ${time(to)}`,
      `            text = ${quoted(text)}`,
    ]),
  ];
}

function quoted(text: string): string {
  return `"${text.replaceAll('"', '""')}"`;
}

function time(seconds: number): string {
  return String(Number(seconds.toFixed(3)));
}

function rounded(value: number | null): string {
  return value === null ? "" : String(Number(value.toFixed(4)));
}
