/** What was said, as files hold it: segments with speech, the reviewer's labels before others. */

import type { Tier } from "./annotations";
import { predictionOf, type Job } from "./jobs";
import type { Correction } from "./review";
import { merged, type Segment } from "./segments";
import { PLAIN } from "./shape";
import { voicesOf, type Voice } from "./voices";

/** Segments of the recording, of all voices; labels of the reviewer stand alone, without numbers. */
export function spokenSegments(job: Job): Segment[] {
  const prediction = predictionOf(job);
  if (!prediction) return [];
  const all = voicesOf(prediction, PLAIN).flatMap((voice) => spokenBy(voice, job.review.segments));
  return all.sort((one, other) => one.start - other.start);
}

/** For each voice the emotions, and below them confidence, valence and arousal. */
export function tiersOf(job: Job): Tier[] {
  const prediction = predictionOf(job);
  if (!prediction) return [];
  return voicesOf(prediction, PLAIN).flatMap((voice) => {
    return tiersOfSegments(fileName(voice), spokenBy(voice, job.review.segments));
  });
}

export function tiersOfSegments(name: string, segments: readonly Segment[]): Tier[] {
  const spoken = segments.filter(({ emotion }) => emotion !== null);
  const tier = (of: string, text: (segment: Segment) => string): Tier => ({
    name: `${name}${of}`,
    intervals: spoken.map((one) => ({ start: one.start, end: one.end, text: text(one) })),
  });
  return [
    tier("", ({ emotion }) => emotion ?? ""),
    ...(["confidence", "valence", "arousal"] as const).map((key) =>
      tier(` ${key}`, ({ [key]: value }) =>
        value === null ? "" : String(Number(value.toFixed(4))),
      ),
    ),
  ];
}

function spokenBy(voice: Voice, corrections: readonly Correction[]): Segment[] {
  const own = corrections.filter(
    ({ channel, speaker }) =>
      (channel ?? null) === voice.channel && (speaker ?? null) === voice.speaker,
  );
  const spoken = merged(voice.timeline).filter(({ emotion }) => emotion !== null);
  const left = own.reduce(
    (segments, one) => segments.flatMap((other) => without(other, one)),
    spoken,
  );
  const said = own.map((one): Segment => {
    const none = { confidence: null, valence: null, arousal: null, probabilities: {} };
    return { ...none, ...one };
  });
  return [...left, ...said].sort((one, other) => one.start - other.start);
}

/** What is left of a segment where another is taken out. */
function without(segment: Segment, { start, end }: Correction): Segment[] {
  if (end <= segment.start || segment.end <= start) return [segment];
  const parts = [
    { ...segment, end: start },
    { ...segment, start: end },
  ];
  return parts.filter((part) => part.start < part.end);
}

/** The name of a voice in files, in any language of the page. */
function fileName({ channel, speaker }: Voice): string {
  const side = channel === null ? "" : (["left", "right"][channel - 1] ?? `channel ${channel}`);
  return [side, speaker === null ? "" : `speaker ${speaker}`].filter(Boolean).join(" ") || "voice";
}
