/** Recordings counted and summed up, as a whole and by groups. */

import type { Prediction } from "./api";
import { UNSURE } from "./emotions";
import { predictionOf, type Job } from "./jobs";
import { emotionOf, SILENT, speakerOf, valuesOf } from "./rows";
import { secondsOf } from "./segments";

export const FEWEST_UNITS = 5; // for an interval
const DRAWS = 1000;
const SEED = 20260;

export interface Summary {
  recordings: number;
  done: number;
  failed: number;
  seconds: number;
  unsure: number;
  silent: number;
  /** Mean confidence of what holds speech. */
  confidence: number | null;
  /** Most frequent first: recordings, and share of the time of speech. */
  emotions: { emotion: string; count: number; share: number }[];
  models: string[];
  languages: string[];
}

export interface Share {
  share: number;
  /** 95 %; null where there are too few speakers or recordings. */
  interval: [low: number, high: number] | null;
}

export interface Group {
  name: string;
  recordings: number;
  units: number;
  confidence: number | null;
  shares: Map<string, Share>;
}

type Times = ReadonlyMap<string, number>;

const known = new WeakMap<Prediction, Times>();

/** Seconds of each emotion over the timeline; silence is left out. */
export function timesOf(prediction: Prediction): Times {
  const found = known.get(prediction);
  if (found) return found;
  const times = secondsOf(prediction.timeline);
  known.set(prediction, times);
  return times;
}

export function summary(jobs: readonly Job[]): Summary {
  const labels = jobs.map(emotionOf);
  const predictions = jobs.map(predictionOf).filter((one) => one !== null);
  const times = added(predictions.map(timesOf));
  const all = total(times);
  const counts = new Map<string, number>();
  for (const label of labels) if (label) counts.set(label, (counts.get(label) ?? 0) + 1);
  const named = new Set([...counts.keys(), ...times.keys()]);
  named.delete(SILENT);
  const emotions = [...named].map((emotion) => ({
    emotion,
    count: counts.get(emotion) ?? 0,
    share: all ? (times.get(emotion) ?? 0) / all : 0,
  }));
  return {
    recordings: jobs.length,
    done: predictions.length,
    failed: jobs.filter(({ state }) => state.kind === "failed").length,
    seconds: predictions.reduce((sum, { duration }) => sum + duration, 0),
    unsure: counts.get(UNSURE) ?? 0,
    silent: counts.get(SILENT) ?? 0,
    confidence: meanConfidence(predictions),
    emotions: emotions.sort((one, other) => other.share - one.share || other.count - one.count),
    models: valuesOf(jobs, (job) => predictionOf(job)?.model ?? null),
    languages: valuesOf(jobs, ({ facts }) => facts["language"] ?? null),
  };
}

/**
 * Shares of time by groups, with intervals of a bootstrap over speakers, where they are known, or
 * else over recordings: percentiles of 1000 draws.
 */
export function groups(jobs: readonly Job[], groupOf: (job: Job) => string): Group[] {
  const done = jobs.filter(predictionOf);
  return valuesOf(done, groupOf).map((name) => {
    const own = done.filter((job) => groupOf(job) === name);
    const units = new Map<string, Times[]>();
    own.forEach((job, index) => {
      const unit = speakerOf(job) || `recording ${index}`;
      const times = timesOf(predictionOf(job) as Prediction);
      units.set(unit, [...(units.get(unit) ?? []), times]);
    });
    const predictions = own.map((job) => predictionOf(job) as Prediction);
    return {
      name,
      recordings: own.length,
      units: units.size,
      confidence: meanConfidence(predictions),
      shares: sharesOf([...units.values()].map(added)),
    };
  });
}

export function sharesOf(units: readonly Times[]): Map<string, Share> {
  const all = added(units);
  const labels = [...all.keys()];
  const table = units.map((unit) => labels.map((label) => unit.get(label) ?? 0));
  const drawn = units.length < FEWEST_UNITS ? [] : draws(table, labels.length);
  return new Map(
    labels.map((label, index) => {
      const values = drawn.map((shares) => shares[index] as number).sort((a, b) => a - b);
      const share = (all.get(label) as number) / total(all);
      return [label, { share, interval: values.length ? percentiles(values) : null }];
    }),
  );
}

/** Shares of units that are drawn with replacement, as often as there are units. */
function draws(table: readonly number[][], labels: number): number[][] {
  const random = generator(SEED);
  return Array.from({ length: DRAWS }, () => {
    const sums = new Array<number>(labels).fill(0);
    for (let draw = 0; draw < table.length; draw++) {
      const unit = table[Math.floor(random() * table.length)] as number[];
      for (let label = 0; label < labels; label++) (sums[label] as number) += unit[label] as number;
    }
    const all = sums.reduce((sum, value) => sum + value, 0);
    return sums.map((value) => (all ? value / all : 0));
  });
}

function percentiles(sorted: readonly number[]): [number, number] {
  const at = (share: number): number => sorted[Math.round(share * (sorted.length - 1))] as number;
  return [at(0.025), at(0.975)];
}

/** Numbers from 0 to 1, always the same (mulberry32). */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function added(all: readonly Times[]): Map<string, number> {
  const sums = new Map<string, number>();
  for (const times of all) {
    for (const [label, seconds] of times) sums.set(label, (sums.get(label) ?? 0) + seconds);
  }
  return sums;
}

function total(times: Times): number {
  return [...times.values()].reduce((sum, seconds) => sum + seconds, 0);
}

function meanConfidence(predictions: readonly Prediction[]): number | null {
  const values = predictions.map(({ confidence }) => confidence).filter((value) => value !== null);
  return values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : null;
}
