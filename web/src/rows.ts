/** Which recordings the table shows, and in which order. */

import { UNSURE } from "./emotions";
import { predictionOf, type Job } from "./jobs";
import { isSaid } from "./review";

export const COLUMNS = [
  "name",
  "emotion",
  "confidence",
  "length",
  "speaker",
  "folder",
  "model",
] as const;
export type Column = (typeof COLUMNS)[number];

export interface Order {
  by: Column;
  down: boolean;
}

export const STATES = ["done", "unsure", "reviewed", "unreviewed", "failed", "unfinished"] as const;

/** What a recording must be to be shown; an empty text, or no number, asks for nothing. */
export interface Filter {
  text: string;
  emotion: string;
  speaker: string;
  folder: string;
  state: "" | (typeof STATES)[number];
  confidence: Bounds;
  length: Bounds;
}

export type Bounds = readonly [least: number | null, most: number | null];

export const ALL: Filter = {
  text: "",
  emotion: "",
  speaker: "",
  folder: "",
  state: "",
  confidence: [null, null],
  length: [null, null],
};

/** The label of no speech, as files name it. */
export const SILENT = "no speech";

const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

export function speakerOf({ facts }: Job): string {
  return facts["speaker"] ?? "";
}

/** The emotion of a recording, the reviewer's before the predicted; nothing while there is none. */
export function emotionOf(job: Job): string | null {
  const prediction = predictionOf(job);
  return job.review.emotion ?? (prediction && (prediction.emotion ?? SILENT));
}

/** The jobs to show, in their order; `wordsOf` says what a search finds. */
export function arranged(
  jobs: readonly Job[],
  filter: Filter,
  order: Order | null,
  wordsOf: (job: Job) => string,
): Job[] {
  const parts = filter.text.toLowerCase().split(/\s+/).filter(Boolean);
  const shown = jobs.filter((job) => {
    if (!fits(job, filter)) return false;
    if (!parts.length) return true;
    const words = wordsOf(job).toLowerCase();
    return parts.every((part) => words.includes(part));
  });
  if (!order) return shown;
  const keyed = shown.map((job) => [keyOf(job, order.by), job] as const);
  const sign = order.down ? -1 : 1;
  keyed.sort(([left], [right]) => compared(left, right, sign));
  return keyed.map(([, job]) => job);
}

/** All values of a text of the jobs, in order. */
export function valuesOf(jobs: readonly Job[], of: (job: Job) => string | null): string[] {
  const all = new Set(jobs.map((job) => of(job) ?? ""));
  all.delete("");
  return [...all].sort(collator.compare);
}

function fits(job: Job, filter: Filter): boolean {
  if (filter.speaker && speakerOf(job) !== filter.speaker) return false;
  if (filter.folder && job.folder !== filter.folder) return false;
  if (filter.emotion && emotionOf(job) !== filter.emotion) return false;
  if (!within(predictionOf(job)?.confidence, filter.confidence)) return false;
  if (!within(predictionOf(job)?.duration, filter.length)) return false;
  return isIn(job, filter.state);
}

function isIn(job: Job, state: Filter["state"]): boolean {
  const { kind } = job.state;
  if (state === "reviewed") return isSaid(job.review);
  if (state === "unreviewed") return kind === "done" && !isSaid(job.review);
  if (state === "unsure") return emotionOf(job) === UNSURE;
  if (state === "failed") return kind === "failed" || kind === "cancelled";
  if (state === "unfinished") return !["done", "failed", "cancelled"].includes(kind);
  return state === "" || kind === state;
}

function within(value: number | null | undefined, [least, most]: Bounds): boolean {
  if (least === null && most === null) return true;
  if (value === null || value === undefined) return false;
  return value >= (least ?? -Infinity) && value <= (most ?? Infinity);
}

function keyOf(job: Job, by: Column): string | number | null {
  const prediction = predictionOf(job);
  if (by === "name") return job.name;
  if (by === "folder") return job.folder || null;
  if (by === "speaker") return speakerOf(job) || null;
  if (by === "confidence") return prediction?.confidence ?? null;
  if (by === "length") return prediction?.duration ?? null;
  if (by === "model") return job.settings.query.model;
  return emotionOf(job);
}

/** Compare two keys; what has none comes last, whichever way the order goes. */
function compared(left: string | number | null, right: typeof left, sign: number): number {
  if (left === null || right === null) return Number(left === null) - Number(right === null);
  if (typeof left === "number" && typeof right === "number") return sign * (left - right);
  return sign * collator.compare(String(left), String(right));
}
