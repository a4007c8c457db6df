/** One recording of the list: where it is from, what is asked about it, and its state. */

import type { Prediction, Query } from "./api";
import { NOTHING_SAID, type Review } from "./review";

export type State =
  | { kind: "waiting" | "adapting" | "predicting" | "converting" | "cancelled" }
  | { kind: "sending"; share: number }
  | { kind: "busy"; seconds: number }
  | { kind: "done"; prediction: Prediction }
  | { kind: "failed"; error: unknown };

/** What is asked of the service; a recording keeps it until it is run again. */
export interface Settings {
  query: Query & { model: string };
  /** What is adapted to, if anything. */
  to: "recordings" | "speaker" | null;
}

/** A file, and the folder in which it was dropped. */
export interface Given {
  file: File;
  folder: string;
}

export interface Job {
  name: string;
  folder: string;
  sound: Blob;
  settings: Settings;
  state: State;
  stop: AbortController;
  converted: boolean;
  /** Whether it is adapted to, where that is wanted, or cannot be. */
  adapted: boolean;
  openWhenDone: boolean;
  /** Bytes of the recording, of a project without its sound, until it is given again. */
  missing: number | null;
  /** How often the connection was lost while it was sent. */
  lost: number;
  /** Columns of a table that was given with the recordings. */
  facts: Record<string, string>;
  /** What a reviewer says of it. */
  review: Review;
}

export function newJob({ file, folder }: Given, settings: Settings): Job {
  return {
    name: file.name,
    folder,
    sound: file,
    settings,
    state: { kind: "waiting" },
    stop: new AbortController(),
    converted: false,
    adapted: false,
    openWhenDone: false,
    missing: null,
    lost: 0,
    facts: {},
    review: NOTHING_SAID,
  };
}

/** Where a recording is, from where it was dropped. */
export function pathOf({ folder, name }: Job): string {
  return folder ? `${folder}/${name}` : name;
}

export function predictionOf({ state }: Job): Prediction | null {
  return state.kind === "done" ? state.prediction : null;
}

export function isFinished({ state }: Job): boolean {
  return ["done", "failed", "cancelled"].includes(state.kind);
}

export function sameSettings(one: Settings, other: Settings): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
