/** Failures in the words of the person before the screen. */

import { ServiceError } from "./api";
import { isKey, t } from "./i18n";

export interface Failure {
  text: string;
  /** What the service said itself, in English; it names the file's trouble. */
  detail: string;
}

export function inWords(error: unknown): Failure {
  if (error instanceof ServiceError) {
    const key = `error_${error.code}`;
    const text = isKey(key) ? t(key) : t("errorServer", { status: error.status });
    return { text, detail: error.message };
  }
  if (error instanceof TypeError) return { text: t("errorOffline"), detail: "" };
  return { text: error instanceof Error ? error.message : String(error), detail: "" };
}

const MICROPHONE: Record<string, "errorMicDenied" | "errorMicNone" | "errorMicTaken"> = {
  NotAllowedError: "errorMicDenied",
  SecurityError: "errorMicDenied",
  NotFoundError: "errorMicNone",
  OverconstrainedError: "errorMicNone",
};

export function microphoneInWords(error: unknown): string {
  return t(MICROPHONE[error instanceof Error ? error.name : ""] ?? "errorMicTaken");
}
