/** A link to a moment of a recording: it opens once the recording is in the list. */

import { pathOf, type Job } from "./jobs";

export interface Moment {
  recording: string;
  time: number;
}

export function momentOf(hash: string): Moment | null {
  const values = new URLSearchParams(hash.replace(/^#/, ""));
  const [recording, time] = [values.get("recording"), Number(values.get("t") ?? 0)];
  return recording && Number.isFinite(time) && time >= 0 ? { recording, time } : null;
}

export function linkTo(job: Job, time: number): string {
  const address = new URL(location.href);
  address.hash = new URLSearchParams({ recording: pathOf(job), t: time.toFixed(1) }).toString();
  return address.href;
}

export function isAt(job: Job, { recording }: Moment): boolean {
  return pathOf(job) === recording || job.name === recording;
}
