/** The whole batch as files: tables, JSON, annotations, and all of them in one ZIP. */

import { audacityLabels, eaf, textGrid } from "./annotations";
import { errorText } from "./errors";
import { csv, emotionCells, MARK, type Cell } from "./export";
import { pathOf, predictionOf, type Job } from "./jobs";
import { labelsCsv, segmentLabelsCsv } from "./labels";
import { speakerOf } from "./rows";
import { spokenSegments, tiersOf } from "./spoken";

/** Kinds of annotations: a file for each recording. */
export const ANNOTATIONS = {
  textgrid: {
    suffix: ".TextGrid",
    write: (job: Job): string => textGrid(tiersOf(job), predictionOf(job)?.duration ?? 0),
  },
  eaf: { suffix: ".eaf", write: (job: Job): string => eaf(tiersOf(job), job.name, new Date()) },
  audacity: {
    suffix: ".txt",
    write: (job: Job): string => audacityLabels(tiersOf(job).slice(0, 1)),
  },
} as const;
export type Annotation = keyof typeof ANNOTATIONS;

/** One row per recording; `error` says why one has no prediction, in a code and in words. */
export function recordingsCsv(jobs: readonly Job[]): string {
  const all = jobs.flatMap((job) => Object.keys(predictionOf(job)?.probabilities ?? {}));
  const labels = [...new Set(all)].sort();
  const told = [...new Set(jobs.flatMap(({ facts }) => Object.keys(facts)))]
    .filter((column) => jobs.some(({ facts }) => facts[column]))
    .sort();
  const head = [
    "file",
    "model",
    "duration_s",
    "kind",
    "emotion",
    "confidence",
    "valence",
    "arousal",
  ];
  const rows = jobs.map((job): Cell[] => {
    const prediction = predictionOf(job);
    const failure = job.state.kind === "failed" ? errorText(job.state.error) : null;
    return [
      pathOf(job),
      ...(prediction
        ? [prediction.model, prediction.duration, ...emotionCells(prediction, labels)]
        : [job.settings.query.model, ...Array<Cell>(6 + labels.length).fill(null)]),
      ...[job.review.emotion, job.review.note],
      ...told.map((column) => job.facts[column] ?? ""),
      ...[failure?.code ?? null, failure?.text ?? null],
    ];
  });
  return csv([[...head, ...labels, "label", "note", ...told, "error_code", "error"], ...rows]);
}

/** One row per segment of all recordings. */
export function allSegmentsCsv(jobs: readonly Job[]): string {
  const rows = jobs.flatMap((job) =>
    spokenSegments(job).map((one): Cell[] => [
      ...[pathOf(job), one.start, one.end, one.channel ?? null],
      one.speaker ?? speakerOf(job),
      ...[one.kind ?? null, one.emotion, one.confidence, one.valence, one.arousal],
    ]),
  );
  const head = ["file", "start", "end", "channel", "speaker", "kind", "emotion", "confidence"];
  return csv([[...head, "valence", "arousal"], ...rows]);
}

/** All that the service said, and the reviewer. */
export function batchJson(jobs: readonly Job[]): string {
  const values = jobs.map((job) => ({
    ...(predictionOf(job) ?? {}),
    file: pathOf(job),
    ...{ label: job.review.emotion, note: job.review.note, labels: job.review.segments },
    error: job.state.kind === "failed" ? errorText(job.state.error).code : null,
  }));
  return `${JSON.stringify(values, null, 1)}\n`;
}

/** A file of annotations for each recording, by names that differ. */
export function annotationFiles(jobs: readonly Job[], kind: Annotation): Map<string, string> {
  const { suffix, write } = ANNOTATIONS[kind];
  const files = new Map<string, string>();
  for (const job of jobs) {
    if (!predictionOf(job)) continue;
    const stem = pathOf(job).replace(/\.[^./]+$/, "");
    let name = `${stem}${suffix}`;
    for (let other = 2; files.has(name); other++) name = `${stem} (${other})${suffix}`;
    files.set(name, write(job));
  }
  return files;
}

/** All files, by their path in a ZIP. */
export function everything(jobs: readonly Job[], report: string): Map<string, string> {
  const files = new Map([
    ["recordings.csv", MARK + recordingsCsv(jobs)],
    ["segments.csv", MARK + allSegmentsCsv(jobs)],
    ["labels.csv", MARK + labelsCsv(jobs)],
    ["segment-labels.csv", MARK + segmentLabelsCsv(jobs)],
    ["predictions.json", batchJson(jobs)],
    ["report.html", report],
  ]);
  for (const kind of Object.keys(ANNOTATIONS) as Annotation[]) {
    for (const [name, text] of annotationFiles(jobs, kind)) files.set(`${kind}/${name}`, text);
  }
  return files;
}
