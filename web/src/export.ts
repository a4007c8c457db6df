/** Files to save: tables as CSV, a prediction as JSON, a picture as PNG. */

import Papa from "papaparse";

import { drawAffect, pathOf, plane, type AffectLabels } from "./affect";
import type { Prediction } from "./api";
import { drawWave, font, type Box } from "./canvas";
import { drawCurves, sampled } from "./curves";
import { colourOf } from "./emotions";
import type { Palette } from "./theme";
import { ranked, segmentAt, type Segment } from "./segments";

const PICTURE = { width: 1600, height: 1060 };
const EDGE = 60;

export const MARK = "\uFEFF"; // without which Excel does not read UTF-8

export type Cell = string | number | null;

/** One row per segment. Names are serein's own, in any language, so that programs can read them. */
export function segmentsCsv(file: string, segments: readonly Segment[], labels: string[]): string {
  const told = segments.some(({ channel, speaker }) => channel || speaker);
  const who = told ? ["channel", "speaker"] : [];
  const said = ["kind", "emotion", "confidence", "valence", "arousal"];
  const head = ["file", "start_s", "end_s", ...who, ...said];
  const rows = segments.map((segment) => [
    file,
    segment.start,
    segment.end,
    ...(told ? [segment.channel ?? null, segment.speaker ?? null] : []),
    ...emotionCells(segment, labels),
  ]);
  return csv([[...head, ...labels], ...rows]);
}

export function csvFile(text: string): Blob {
  return new Blob([MARK, text], { type: "text/csv;charset=utf-8" });
}

export function jsonFile(prediction: Prediction): Blob {
  return new Blob([`${JSON.stringify(prediction, null, 2)}\n`], { type: "application/json" });
}

export interface PictureLabels extends AffectLabels {
  title: string;
  emotion: string;
  confidenceText: string;
  honest: string;
}

/** A picture of the prediction, the sound, the curves, and the path of affect. */
export async function picture(
  prediction: Prediction,
  peaks: Float32Array | null,
  words: PictureLabels,
  palette: Palette,
): Promise<Blob> {
  const canvas = Object.assign(document.createElement("canvas"), PICTURE);
  const context = canvas.getContext("2d") as CanvasRenderingContext2D;
  context.fillStyle = palette.card;
  context.fillRect(0, 0, PICTURE.width, PICTURE.height);
  drawText(context, prediction, words, palette);
  drawSound(context, prediction, peaks, words, palette);
  const labels = Object.keys(prediction.probabilities);
  const box = { left: 1010, top: 60, width: 540, height: 500 };
  const { valence, arousal } = prediction;
  const whole = valence === null || arousal === null ? null : { valence, arousal };
  drawAffect(context, plane(box), pathOf(prediction.timeline, 150), whole, labels, words, palette);
  return new Promise((resolve, reject) =>
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("no picture"))), "image/png"),
  );
}

function drawText(
  context: CanvasRenderingContext2D,
  prediction: Prediction,
  words: PictureLabels,
  palette: Palette,
): void {
  context.textBaseline = "alphabetic";
  context.textAlign = "left";
  const write = (text: string, size: number, weight: number, y: number, colour: string): void => {
    context.font = font(size, weight);
    context.fillStyle = colour;
    context.fillText(text, EDGE, y, 920);
  };
  write(words.title, 22, 500, 80, palette.muted);
  write(words.emotion, 64, 700, 165, palette.ink);
  write(words.confidenceText, 24, 400, 210, palette.muted);
  ranked(prediction.probabilities).forEach(([label, value], index) => {
    const y = 270 + index * 40;
    write(words.nameOf(label), 20, 400, y, palette.ink);
    context.fillStyle = colourOf(label, palette.dark);
    context.beginPath();
    context.roundRect(EDGE + 140, y - 16, Math.max(3, value * 560), 18, 4);
    context.fill();
    context.fillStyle = palette.muted;
    context.fillText(value.toFixed(2), EDGE + 152 + Math.max(3, value * 560), y);
  });
  write(words.honest, 20, 400, PICTURE.height - 34, palette.muted);
  context.textAlign = "right";
  context.fillText("serein", PICTURE.width - EDGE, PICTURE.height - 34);
}

function drawSound(
  context: CanvasRenderingContext2D,
  { timeline, duration, probabilities }: Prediction,
  peaks: Float32Array | null,
  words: PictureLabels,
  palette: Palette,
): void {
  const wave: Box = { left: EDGE, top: 610, width: PICTURE.width - 2 * EDGE, height: 110 };
  if (peaks) {
    drawWave(context, wave, peaks, (share) =>
      colourOf(segmentAt(timeline, share * duration)?.emotion ?? null, palette.dark),
    );
  }
  const labels = ranked(probabilities).map(([label]) => label);
  const range = [0, duration] as const;
  const curves = { ...wave, top: 740, height: 260 };
  const points = sampled(timeline, range, 700);
  drawCurves(
    context,
    curves,
    { points, labels, hidden: new Set(), range, nameOf: words.nameOf },
    palette,
  );
}

export function emotionCells(
  segment: Omit<Segment, "start" | "end">,
  labels: readonly string[],
): Cell[] {
  const { emotion, confidence, valence, arousal, probabilities, kind } = segment;
  const values = labels.map((label) => rounded(probabilities[label] ?? null));
  return [
    kind ?? null,
    emotion ?? "no speech",
    rounded(confidence),
    rounded(valence),
    rounded(arousal),
    ...values,
  ];
}

function rounded(value: number | null): number | null {
  return value === null ? null : Number(value.toFixed(4));
}

/** Rows as CSV; a text that a spreadsheet would take for a formula gets a quotation mark in front. */
export function csv(rows: readonly (readonly Cell[])[]): string {
  const cells = rows.map((row) =>
    row.map((cell) => (typeof cell === "number" ? rounded(cell) : cell)),
  );
  return `${Papa.unparse(cells, { newline: "\r\n", escapeFormulae: true })}\r\n`;
}
