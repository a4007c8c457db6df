/** The HTTP interface of the service. */

import type { OwnEmotion } from "./emotions";
import { askForKey, authorization, storedKey } from "./key";
import type { Segment } from "./segments";

export interface TimelineSegment extends Segment {
  speech: boolean;
  emotion_zh: string | null;
}

export interface Prediction extends Omit<TimelineSegment, "start" | "end"> {
  file: string | null;
  model: string;
  duration: number;
  utterances_known: number;
  timeline: TimelineSegment[];
  /** One a channel and speaker, where they were told apart. */
  lanes?: TimelineSegment[];
  /** What is to be known of the recording, in English. */
  notices?: string[];
}

/** A recording with its prediction. */
export interface Recording {
  name: string;
  sound: Blob;
  prediction: Prediction;
  /** Whether the browser had to convert it for the service. */
  converted: boolean;
  /** Confidence below which its emotions are unsure. */
  unsureBelow: number;
}

export interface Score {
  corpus: string;
  protocol: string;
  precision: string;
  uar: number;
  uar_interval_95: [number, number];
  expected_calibration_error: number;
  adapted: boolean;
}

export interface Model {
  name: string;
  default: boolean;
  labels: string[];
  own_labels?: Record<string, OwnEmotion>;
  precision: string;
  licence: string;
  scores: Score[];
  adapts: string[];
  unsure_below: number;
  /** Those of the speakers that it was measured with. */
  languages: string[];
  /** How often predictions were right, by their confidence. */
  reliability: Record<string, { confidence: number; right: number }[]>;
}

/** What recordings have in common, as the service says it and wants it back. */
export interface Adaptation {
  utterances: number;
  counts: boolean;
}

export interface Limits {
  max_bytes?: number;
  max_seconds?: number;
  stores?: boolean;
}

/** An error response of the service. */
export class ServiceError extends Error {
  override name = "ServiceError";

  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly retryAfterS: number | null = null,
  ) {
    super(message);
  }
}

/** The service could not be reached, or went away in the middle. */
export class NoAnswer extends TypeError {
  override name = "NoAnswer";
}

/** Whether the service can be reached. */
export async function answers(): Promise<boolean> {
  return fetch("/healthz").then(
    ({ ok }) => ok,
    () => false,
  );
}

export async function models(): Promise<Model[]> {
  return ((await get("/v1/models")) as { models: Model[] }).models;
}

export async function limits(): Promise<Limits> {
  return (await get("/v1/limits")) as Limits;
}

export interface Sending {
  name: string;
  adaptation: Adaptation | null;
  signal: AbortSignal;
  onSent: (share: number) => void;
}

export type Query = Record<string, string>;

/** Predict a sound, with a timeline fine enough for curves. */
export async function predict(sound: Blob, query: Query, sending: Sending): Promise<Prediction> {
  const { window_s = "2", hop_s = "0.5", ...others } = query;
  const fine = others["segments"] === "utterances" ? others : { window_s, hop_s, ...others };
  const prediction = (await post("/v1/predict", fine, sound, sending)) as Prediction;
  return { ...prediction, file: sending.name };
}

/** Adapt to one more sound. */
export async function adapt(sound: Blob, query: Query, sending: Sending): Promise<Adaptation> {
  return (await post("/v1/adapt", query, sound, sending)) as Adaptation;
}

async function post(path: string, query: Query, sound: Blob, sending: Sending): Promise<unknown> {
  for (;;) {
    try {
      return await postOnce(`${path}?${new URLSearchParams(query)}`, sound, sending);
    } catch (error) {
      if (!(error instanceof ServiceError && error.status === 401)) throw error;
      if (!(await askForKey())) throw error;
    }
  }
}

/** Address of a live stream, and the protocols that carry the key. */
export function streamAddress(settings: Record<string, string>): [string, string[]] {
  const address = new URL("/v1/stream", location.href);
  address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
  address.search = new URLSearchParams({ window_s: "2", hop_s: "0.5", ...settings }).toString();
  return [address.href, storedKey() === null ? ["serein"] : ["serein", keyProtocol()]];
}

async function get(path: string): Promise<unknown> {
  for (;;) {
    const response = await fetch(path, { headers: authorization() });
    if (response.ok) return response.json();
    const error = serviceError(
      response.status,
      await response.text(),
      response.headers.get("Retry-After"),
    );
    if (error.status !== 401 || !(await askForKey())) throw error;
  }
}

/** XMLHttpRequest rather than fetch, which cannot say how much of a file has been sent. */
function postOnce(address: string, sound: Blob, sending: Sending): Promise<unknown> {
  const { name, adaptation, signal, onSent } = sending;
  const body = new FormData();
  body.append("file", sound, name);
  if (adaptation) body.append("adaptation", new Blob([JSON.stringify(adaptation)]));
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", address);
    for (const [header, value] of Object.entries(authorization())) {
      request.setRequestHeader(header, value);
    }
    const stop = (): void => request.abort();
    signal.addEventListener("abort", stop);
    request.upload.onprogress = ({ loaded, total }): void => onSent(total ? loaded / total : 1);
    request.onload = (): void => {
      if (request.status === 200) resolve(JSON.parse(request.responseText));
      else {
        const wait = request.getResponseHeader("Retry-After");
        reject(serviceError(request.status, request.responseText, wait));
      }
    };
    request.onerror = (): void => reject(new NoAnswer("the service does not answer"));
    request.onabort = (): void => reject(new DOMException("cancelled", "AbortError"));
    request.onloadend = (): void => signal.removeEventListener("abort", stop);
    request.send(body);
  });
}

function serviceError(status: number, text: string, retryAfter: string | null): ServiceError {
  const seconds = Number(retryAfter);
  const wait = retryAfter !== null && Number.isFinite(seconds) ? seconds : null;
  try {
    const { error } = JSON.parse(text) as { error: { code: string; message: string } };
    return new ServiceError(status, error.code, error.message, wait);
  } catch {
    return new ServiceError(status, "", text.slice(0, 200), wait);
  }
}

function keyProtocol(): string {
  const bytes = new TextEncoder().encode(storedKey() ?? "");
  const base64 = btoa(String.fromCharCode(...bytes));
  return `key.${base64.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")}`;
}
