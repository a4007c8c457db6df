/** What reviewers said, as tables that `serein corpus`, `evaluate` and `personalise` read. */

import { csv, type Cell } from "./export";
import { pathOf, predictionOf, type Job } from "./jobs";
import { speakerOf } from "./rows";

const KNOWN = ["gender", "text", "language", "corpus"]; // further columns that serein reads

/** A row for each recording of which a reviewer said the emotion. */
export function labelsCsv(jobs: readonly Job[]): string {
  const said = jobs.filter(({ review }) => review.emotion !== null);
  const more = KNOWN.filter((column) => said.some(({ facts }) => facts[column]));
  const rows = said.map((job) => [
    ...[fileOf(job), job.review.emotion, speakerOf(job)],
    ...more.map((column) => job.facts[column] ?? ""),
    ...predicted(job),
    job.review.note,
  ]);
  return csv([
    ["file", "emotion", "speaker", ...more, "predicted", "confidence", "model", "note"],
    ...rows,
  ]);
}

/** A row for each segment of which a reviewer said the emotion: for `serein corpus --cut`. */
export function segmentLabelsCsv(jobs: readonly Job[]): string {
  const rows = jobs.flatMap((job) =>
    job.review.segments.map(({ start, end, emotion, channel, speaker }) => [
      ...[fileOf(job), start, end, emotion, speakerOf(job) || voiceOf(channel, speaker)],
      ...[voiceOf(channel, speaker), job.review.note],
    ]),
  );
  return csv([["file", "start", "end", "emotion", "speaker", "voice", "note"], ...rows]);
}

/** Who speaks, where several were told apart; speakers are counted in each channel. */
function voiceOf(channel?: number, speaker?: number): string {
  const names = [channel ? `channel ${channel}` : "", speaker ? `speaker ${speaker}` : ""];
  return names.filter(Boolean).join(" ");
}

function predicted(job: Job): Cell[] {
  const prediction = predictionOf(job);
  const { emotion = null, confidence = null, model = null } = prediction ?? {};
  return [emotion, confidence, model];
}

/** The path of a recording, as a spreadsheet takes it for a text and serein finds it. */
function fileOf(job: Job): string {
  const path = pathOf(job);
  return /^[=+\-@\t\r]/.test(path) ? `./${path}` : path;
}
