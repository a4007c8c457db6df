/** Error messages in the language of the page. */

import { ServiceError } from "./api";
import { isKey, language, t } from "./i18n";
import { Refused } from "./queue";

export interface Failure {
  /** Says in any language what is wrong. */
  code: string;
  text: string;
  /** The message of the service, in English; it says what is wrong with the file. */
  detail: string;
}

export function errorText(error: unknown): Failure {
  if (error instanceof ServiceError) {
    const key = `error_${error.code}`;
    const text = isKey(key) ? t(key) : t("errorServer", { status: error.status });
    const detail = language() === "en" || !isKey(key) ? error.message : ""; // it is in English
    return { code: error.code || `http_${error.status}`, text, detail };
  }
  if (error instanceof Refused)
    return { code: error.code, text: t(`error_${error.code}`), detail: "" };
  if (error instanceof TypeError) return { code: "no_answer", text: t("errorOffline"), detail: "" };
  return {
    code: "failed",
    text: error instanceof Error ? error.message : String(error),
    detail: "",
  };
}

const MICROPHONE: Record<string, "errorMicDenied" | "errorMicNone" | "errorMicTaken"> = {
  NotAllowedError: "errorMicDenied",
  SecurityError: "errorMicDenied",
  NotFoundError: "errorMicNone",
  OverconstrainedError: "errorMicNone",
};

export function microphoneErrorText(error: unknown): string {
  return t(MICROPHONE[error instanceof Error ? error.name : ""] ?? "errorMicTaken");
}
