/** A project: a batch in one file, with predictions, labels, notes, and the sound if it is wanted. */

import type { Prediction } from "./api";
import { strFromU8 } from "fflate";
import { newJob, pathOf, predictionOf, type Job, type Settings } from "./jobs";
import { NOTHING_SAID, type Review } from "./review";
import { unzipped, zipped } from "./zip";

export const SUFFIX = ".serein";
const CONTENT = "project.json";
const FORMAT = "serein project";
const VERSION = 1;
const AT_ONCE = 500; // recordings between which the page may do other things

/** A recording as a project holds it; without `sound`, the file has to be given again. */
interface Kept {
  name: string;
  folder: string;
  bytes: number;
  sound: string | null;
  settings: Settings;
  prediction: Prediction | null;
  converted: boolean;
  facts: Record<string, string>;
  review: Review;
}

export function isProject(name: string): boolean {
  return name.toLowerCase().endsWith(SUFFIX);
}

export async function saveProject(jobs: readonly Job[], withSound: boolean): Promise<Blob> {
  const files = new Map<string, string | Blob>();
  const recordings = jobs.map((job, index): Kept => {
    const { name, folder, sound, settings, converted, facts, review } = job;
    const place = `audio/${String(index + 1).padStart(4, "0")}-${name}`;
    const kept = withSound && sound.size > 0;
    if (kept) files.set(place, sound);
    const bytes = job.missing ?? sound.size;
    const prediction = predictionOf(job);
    return {
      name,
      folder,
      bytes,
      sound: kept ? place : null,
      settings,
      prediction,
      converted,
      facts,
      review,
    };
  });
  const values = { format: FORMAT, version: VERSION, saved: new Date().toISOString(), recordings };
  return zipped(new Map<string, string | Blob>([[CONTENT, JSON.stringify(values)], ...files]));
}

/** Read a project; raises an error where the file is none. */
export async function openProject(file: Blob): Promise<Job[]> {
  const files = await unzipped(file);
  const content = files[CONTENT];
  if (!content) throw new Error(`no ${CONTENT}`);
  const values = JSON.parse(strFromU8(content)) as {
    format: string;
    version: number;
    recordings: Kept[];
  };
  if (values.format !== FORMAT || values.version !== VERSION) throw new Error("another format");
  const jobs: Job[] = [];
  for (const kept of values.recordings) {
    if (jobs.length % AT_ONCE === 0) await new Promise((resolve) => setTimeout(resolve));
    jobs.push(jobOf(kept, kept.sound === null ? undefined : files[kept.sound]));
  }
  return jobs;
}

function jobOf(kept: Kept, sound: Uint8Array | undefined): Job {
  const { name, folder, settings, prediction, converted, facts, review, bytes } = kept;
  const fine = typeof name === "string" && typeof settings.query.model === "string";
  if (!fine || (prediction && !Array.isArray(prediction.timeline))) throw new Error("a recording");
  const parts = sound ? [sound as Uint8Array<ArrayBuffer>] : [];
  const job = newJob({ file: new File(parts, name), folder: String(folder) }, settings);
  if (prediction) job.state = { kind: "done", prediction };
  else if (!sound) job.state = { kind: "cancelled" };
  const missing = sound ? null : bytes;
  return Object.assign(job, {
    converted,
    facts: { ...facts },
    review: { ...NOTHING_SAID, ...review },
    missing,
  });
}

/** Give recordings of a project their sound; return the files that are none of theirs. */
export function withSounds<T extends { file: File; folder: string }>(
  jobs: readonly Job[],
  given: readonly T[],
): { found: Job[]; others: T[] } {
  const found: Job[] = [];
  const others = given.filter(({ file, folder }) => {
    const path = folder ? `${folder}/${file.name}` : file.name;
    const missing = jobs.filter((job) => job.missing === file.size && job.name === file.name);
    const job = missing.find((one) => pathOf(one) === path) ?? missing[0];
    if (!job) return true;
    job.sound = file;
    job.missing = null;
    found.push(job);
    return false;
  });
  return { found, others };
}
