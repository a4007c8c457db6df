/** One recording of the list: its state, and its row. */

import type { Prediction } from "./api";
import { h, icon } from "./dom";
import { errorText } from "./errors";
import { clock, number } from "./format";
import { predictionName, t } from "./i18n";
import { dot } from "./table";

export type State =
  | { kind: "waiting" | "adapting" | "predicting" | "converting" | "cancelled" }
  | { kind: "sending"; share: number }
  | { kind: "busy"; seconds: number }
  | { kind: "done"; prediction: Prediction }
  | { kind: "failed"; error: unknown };

export interface Job {
  name: string;
  sound: Blob;
  state: State;
  stop: AbortController;
  converted: boolean;
  /** Whether it is adapted to, where that is wanted, or cannot be. */
  adapted: boolean;
  row: HTMLLIElement;
  openWhenDone: boolean;
}

export interface RowActions {
  open: () => void;
  remove: () => void;
  retry: () => void;
}

/** Draw a job's row again; a focus inside it is kept. */
export function drawRow(job: Job, shown: boolean, actions: RowActions): void {
  const { state, name, row } = job;
  const focused = row.contains(document.activeElement);
  const again = state.kind === "failed" || state.kind === "cancelled";
  const remove = { "aria-label": t("remove", { name }), onclick: actions.remove };
  row.className = state.kind;
  row.replaceChildren(
    state.kind === "done"
      ? predictionOf(name, state.prediction, shown, actions.open)
      : progressOf(job),
    ...(again ? [button("quiet", { onclick: actions.retry }, t("tryAgain"))] : []),
    button("bare", remove, icon("close")),
  );
  if (focused) row.querySelector("button")?.focus();
}

function predictionOf(
  name: string,
  prediction: Prediction,
  shown: boolean,
  open: () => void,
): HTMLElement {
  const { emotion, confidence, duration } = prediction;
  const value = confidence === null ? "" : ` ${number(confidence)}`;
  const text = `${predictionName(prediction)}${value} · ${clock(duration, 0)}`;
  return button(
    "entry",
    { "aria-current": String(shown), onclick: open },
    h("span", { class: "name" }, name),
    h("span", { class: "state" }, dot(emotion), text),
  );
}

function progressOf({ name, state }: Job): HTMLElement {
  const failure = state.kind === "failed" ? errorText(state.error) : null;
  return h(
    "div",
    { class: "entry" },
    h("span", { class: "name" }, name),
    h("span", { class: "state" }, failure ? failure.text : stateText(state)),
    failure?.detail ? h("span", { class: "detail", lang: "en" }, failure.detail) : null,
  );
}

function stateText(state: State): string {
  if (state.kind === "sending") return t("sending", { share: Math.round(state.share * 100) });
  if (state.kind === "busy") return t("busyWait", { seconds: state.seconds });
  if (state.kind === "done") return "";
  return t(state.kind);
}

function button(
  look: string,
  attributes: Record<string, string | (() => void)>,
  ...children: (Node | string)[]
): HTMLElement {
  return h("button", { type: "button", class: look, ...attributes }, ...children);
}
