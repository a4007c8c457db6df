/** The probability of each emotion over time: sampled from a timeline, drawn as curves. */

import { font, halo, type Box, type Range } from "./canvas";
import { colourOf, dashOf } from "./emotions";
import type { Palette } from "./theme";
import { drawTimes } from "./time-axis";
import type { Segment } from "./segments";

/** One moment; `values` is null where there is no speech. */
export interface Point {
  time: number;
  values: Record<string, number> | null;
}

export interface Curves {
  points: readonly Point[];
  labels: readonly string[];
  /** Curves that are left out. */
  hidden: ReadonlySet<string>;
  range: Range;
  nameOf: (label: string) => string;
}

const SHORTEST_PLATEAU_S = 0.25;
const LABEL_FROM = 0.3;
const MATTER = 3; // curves that are drawn strongly
const SCALE_PX = 24; // of the numbers at the left
const NAMES_PX = 20; // above the curves
const TIMES_PX = 20; // below them

/** Moments within a range, at most `columns`: neighbours are averaged where there are more. */
export function sampled(timeline: readonly Segment[], range: Range, columns: number): Point[] {
  const [from, to] = range;
  const before = timeline.findLastIndex((segment) => segment.end < from);
  const after = timeline.findIndex((segment) => segment.start > to);
  const inside = timeline.slice(Math.max(0, before), after < 0 ? undefined : after + 1);
  const together = Math.ceil(inside.length / columns);
  if (together <= 1) return inside.flatMap(plateau);
  const points: Point[] = [];
  for (let first = 0; first < inside.length; first += together) {
    points.push(average(inside.slice(first, first + together)));
  }
  return points;
}

export function drawCurves(
  context: CanvasRenderingContext2D,
  box: Box,
  { points, labels, hidden, range, nameOf }: Curves,
  palette: Palette,
): void {
  const x = (time: number): number =>
    box.left + ((time - range[0]) / (range[1] - range[0] || 1)) * box.width;
  const plot = { ...box, top: box.top + NAMES_PX, height: box.height - NAMES_PX - TIMES_PX };
  const y = (value: number): number => plot.top + (1 - value) * plot.height;
  drawLevels(context, box, y, palette);
  drawTimes(context, box, range, palette);
  context.save();
  context.beginPath();
  context.rect(plot.left, plot.top - 2, plot.width, plot.height + 4);
  context.clip();
  const shown = byMean(
    points,
    labels.filter((label) => !hidden.has(label)),
  );
  for (const [rank, label] of [...shown.entries()].reverse()) {
    const faint = rank >= MATTER;
    context.strokeStyle = context.fillStyle = colourOf(label, palette.dark);
    context.lineJoin = "round";
    context.lineWidth = faint ? 1 : rank ? 2 : 3.5;
    for (const run of runsOf(points, label)) {
      context.globalAlpha = faint ? 0.35 : 1;
      context.setLineDash(dashOf(label, labels));
      context.beginPath();
      for (const [time, value] of run) context.lineTo(x(time), y(value));
      context.stroke();
      context.lineTo(x((run.at(-1) as [number, number])[0]), y(0));
      context.lineTo(x((run[0] as [number, number])[0]), y(0));
      context.globalAlpha = faint ? 0 : 0.07;
      context.fill();
      context.globalAlpha = 1;
    }
  }
  context.setLineDash([]);
  context.restore();
  const named = shown.slice(0, MATTER);
  nameThePeaks(context, box, { points, labels: named, x, y, nameOf, range }, palette);
}

/** Labels by their mean probability, the greatest first. */
export function byMean(points: readonly Point[], labels: readonly string[]): string[] {
  const sum = (label: string): number =>
    points.reduce((total, { values }) => total + (values?.[label] ?? 0), 0);
  const sums = new Map(labels.map((label) => [label, sum(label)]));
  return [...labels].sort((left, right) => (sums.get(right) ?? 0) - (sums.get(left) ?? 0));
}

function plateau(segment: Segment): Point[] {
  const values = segment.emotion === null ? null : segment.probabilities;
  const [middle, half] = [(segment.start + segment.end) / 2, (segment.end - segment.start) / 2];
  if (half <= SHORTEST_PLATEAU_S) return [{ time: middle, values }];
  return [middle - half, middle + half].map((time) => ({ time, values }));
}

function average(group: readonly Segment[]): Point {
  const [first, last] = [group[0] as Segment, group.at(-1) as Segment];
  const time = (first.start + last.end) / 2;
  const spoken = group.filter((segment) => segment.emotion !== null);
  if (!spoken.length) return { time, values: null };
  const values: Record<string, number> = {};
  for (const { probabilities } of spoken) {
    for (const [label, value] of Object.entries(probabilities)) {
      values[label] = (values[label] ?? 0) + value / spoken.length;
    }
  }
  return { time, values };
}

/** Stretches of speech, as lists of time and value; a single moment is drawn a little wide. */
function runsOf(points: readonly Point[], label: string): [number, number][][] {
  const runs: [number, number][][] = [[]];
  for (const { time, values } of points) {
    if (values === null) runs.push([]);
    else runs.at(-1)?.push([time, values[label] ?? 0]);
  }
  return runs
    .filter((run) => run.length)
    .map((run) => {
      if (run.length > 1) return run;
      const [time, value] = run[0] as [number, number];
      return [
        [time - SHORTEST_PLATEAU_S, value],
        [time + SHORTEST_PLATEAU_S, value],
      ];
    });
}

function drawLevels(
  context: CanvasRenderingContext2D,
  box: Box,
  y: (value: number) => number,
  palette: Palette,
): void {
  context.font = font(11);
  context.textAlign = "left";
  context.textBaseline = "bottom";
  for (const value of [0, 0.5, 1]) {
    context.strokeStyle = palette.line;
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(box.left, Math.round(y(value)) + 0.5);
    context.lineTo(box.left + box.width, Math.round(y(value)) + 0.5);
    context.stroke();
    context.fillStyle = palette.muted;
    if (value > 0) context.fillText(String(value), box.left + 2, y(value) + 14);
  }
}

interface Peaks {
  points: readonly Point[];
  labels: readonly string[];
  range: Range;
  x: (time: number) => number;
  y: (value: number) => number;
  nameOf: (label: string) => string;
}

/** Write each emotion's name at its highest moment, where it fits beside the others. */
function nameThePeaks(
  context: CanvasRenderingContext2D,
  box: Box,
  { points, labels, range, x, y, nameOf }: Peaks,
  palette: Palette,
): void {
  const taken: Box[] = [];
  const best = labels
    .map((label) => ({ label, ...highest(points, label, range) }))
    .filter(({ value }) => value >= LABEL_FROM)
    .sort((left, right) => right.value - left.value);
  context.font = font(12, 600);
  context.textBaseline = "middle";
  context.textAlign = "center";
  for (const { label, time, value } of best) {
    const text = nameOf(label);
    const width = context.measureText(text).width + 8;
    const middle = Math.min(
      Math.max(x(time), box.left + SCALE_PX + width / 2),
      box.left + box.width - width / 2,
    );
    const place = { left: middle - width / 2, top: y(value) - 20, width, height: 18 };
    if (taken.some((other) => overlap(other, place))) continue;
    taken.push(place);
    halo(context, text, middle, place.top + 9, palette.ink, palette.card);
  }
}

function highest(
  points: readonly Point[],
  label: string,
  [from, to]: Range,
): { time: number; value: number } {
  let best = { time: 0, value: 0 };
  for (const { time, values } of points) {
    const value = values?.[label] ?? 0;
    if (value > best.value && time >= from && time <= to) best = { time, value };
  }
  return best;
}

function overlap(one: Box, other: Box): boolean {
  return (
    one.left < other.left + other.width &&
    other.left < one.left + one.width &&
    one.top < other.top + other.height &&
    other.top < one.top + one.height
  );
}
