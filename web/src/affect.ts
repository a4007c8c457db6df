/** Valence and arousal: the path of a recording over their plane. */

import { font, halo, type Box } from "./canvas";
import { colourOf, placeOf, type Place } from "./emotions";
import type { Palette } from "./theme";
import type { Segment } from "./segments";

export interface Step extends Place {
  time: number;
  emotion: string | null;
}

export interface AffectLabels {
  valence: string;
  arousal: string;
  tense: string;
  lively: string;
  low: string;
  relaxed: string;
  start: string;
  end: string;
  nameOf: (emotion: string) => string;
}

const MARGIN = 26;
const CORNER = 0.03; // of the width: words inside the plane keep off its edge
const APART_PX = 34; // of start and end, for both to be named

/** The path over time, thinned evenly to at most `limit` steps. */
export function pathOf(timeline: readonly Segment[], limit: number): Step[] {
  const steps = timeline.flatMap(({ start, end, valence, arousal, emotion }) =>
    valence === null || arousal === null
      ? []
      : [{ time: (start + end) / 2, valence, arousal, emotion }],
  );
  if (steps.length <= limit) return steps;
  return Array.from(
    { length: limit },
    (_, index) => steps[Math.round((index * (steps.length - 1)) / (limit - 1))] as Step,
  );
}

/** The plot within its canvas. */
export function plane(box: Box): Box {
  return {
    left: box.left + MARGIN,
    top: box.top + MARGIN,
    width: box.width - 2 * MARGIN,
    height: box.height - 2 * MARGIN,
  };
}

export function at(plot: Box, { valence, arousal }: Place): [x: number, y: number] {
  return [
    plot.left + ((valence + 1) / 2) * plot.width,
    plot.top + ((1 - arousal) / 2) * plot.height,
  ];
}

export function drawAffect(
  context: CanvasRenderingContext2D,
  plot: Box,
  path: readonly Step[],
  whole: Place | null,
  labels: readonly string[],
  words: AffectLabels,
  palette: Palette,
): void {
  drawPlane(context, plot, words, palette);
  drawPath(context, plot, path, palette);
  drawEmotions(context, plot, labels, words, palette);
  const [first, last] = [path[0], path.at(-1)];
  if (first && last && path.length > 1) {
    context.font = font(12, 600);
    context.textAlign = "center";
    const [from, to] = [at(plot, first), at(plot, last)];
    halo(context, words.start, from[0], from[1] - 12, palette.ink, palette.card);
    if (Math.hypot(from[0] - to[0], from[1] - to[1]) > APART_PX) {
      halo(context, words.end, to[0], to[1] - 12, palette.ink, palette.card);
    }
  }
  if (whole) drawWhole(context, at(plot, whole), palette);
}

function drawPlane(
  context: CanvasRenderingContext2D,
  plot: Box,
  words: AffectLabels,
  palette: Palette,
): void {
  const { left, top, width, height } = plot;
  context.strokeStyle = palette.line;
  context.lineWidth = 1;
  context.beginPath();
  context.roundRect(left, top, width, height, 8);
  context.moveTo(left + width / 2, top);
  context.lineTo(left + width / 2, top + height);
  context.moveTo(left, top + height / 2);
  context.lineTo(left + width, top + height / 2);
  context.stroke();
  context.fillStyle = palette.muted;
  context.textBaseline = "middle";
  context.font = font(12);
  const write = (text: string, share: number, y: number): void => {
    context.textAlign = share < 0.5 ? "left" : share > 0.5 ? "right" : "center";
    context.fillText(text, left + share * width, y);
  };
  write(words.tense, 0, top - 13);
  write(words.lively, 1, top - 13);
  write(words.low, CORNER, top + height - 12);
  write(words.relaxed, 1 - CORNER, top + height - 12);
  write("−1", 0, top + height + 14);
  write("+1", 1, top + height + 14);
  context.font = font(12, 600);
  write(words.valence, 0.5, top + height + 14);
  context.save();
  context.translate(left - 14, top);
  context.rotate(-Math.PI / 2);
  context.textAlign = "center";
  context.fillText(words.arousal, -height / 2, 0);
  context.font = font(12);
  context.fillText("+1", -10, 0);
  context.fillText("−1", 10 - height, 0);
  context.restore();
}

function drawEmotions(
  context: CanvasRenderingContext2D,
  plot: Box,
  labels: readonly string[],
  words: AffectLabels,
  palette: Palette,
): void {
  context.font = font(11);
  context.textBaseline = "middle";
  for (const label of labels) {
    const place = placeOf(label);
    if (!place) continue;
    const [x, y] = at(plot, place);
    context.fillStyle = colourOf(label, palette.dark);
    context.beginPath();
    context.arc(x, y, 3, 0, 2 * Math.PI);
    context.fill();
    const onTheRight = x > plot.left + plot.width * 0.7;
    context.textAlign = onTheRight ? "right" : "left";
    halo(context, words.nameOf(label), x + (onTheRight ? -7 : 7), y, palette.muted, palette.card);
  }
}

function drawPath(
  context: CanvasRenderingContext2D,
  plot: Box,
  path: readonly Step[],
  palette: Palette,
): void {
  context.lineWidth = 1.5;
  context.lineCap = "round";
  path.forEach((step, index) => {
    const [x, y] = at(plot, step);
    const before = path[index - 1];
    if (before) {
      context.globalAlpha = 0.25 + (0.75 * index) / path.length;
      context.strokeStyle = colourOf(step.emotion, palette.dark);
      context.beginPath();
      context.moveTo(...at(plot, before));
      context.lineTo(x, y);
      context.stroke();
    }
    context.globalAlpha = 1;
    context.fillStyle = colourOf(step.emotion, palette.dark);
    context.beginPath();
    context.arc(x, y, 2.5, 0, 2 * Math.PI);
    context.fill();
  });
}

function drawWhole(
  context: CanvasRenderingContext2D,
  [x, y]: [number, number],
  palette: Palette,
): void {
  context.strokeStyle = palette.ink;
  context.lineWidth = 2;
  context.beginPath();
  context.arc(x, y, 9, 0, 2 * Math.PI);
  context.stroke();
}
