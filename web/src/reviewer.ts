/** The reviewer's controls: emotions by a key each, a note, next and previous, undo. */

import type { Prediction } from "./api";
import { byId, h } from "./dom";
import { EMOTIONS } from "./emotions";
import { clock } from "./format";
import { emotionName, listed, t, voiceName } from "./i18n";
import type { Job } from "./jobs";
import { labelled, labelOf, type Review, type Span } from "./review";
import type { Segment } from "./segments";
import { dot } from "./table";
import { onRedraw } from "./theme";

export interface ReviewEvents {
  onChange: (job: Job) => void;
  /** Open the recording that is so many rows on. */
  onStep: (step: 1 | -1) => void;
  /** The segment with speech at the position of the open recording. */
  segmentHere: () => Segment | undefined;
  /** The emotions of a model that the service has. */
  labelsOf: (model: string) => readonly string[] | undefined;
  onLoop: () => void;
  onSpeed: (speed: number) => void;
}

interface Open {
  job: Job;
  prediction: Prediction;
}

export class Reviewer {
  private shown: Open | null = null;
  private readonly done: { job: Job; before: Review; speaker: string }[] = [];

  private readonly section = byId("review");
  private readonly note = byId<HTMLInputElement>("review-note");
  private readonly speaker = byId<HTMLInputElement>("review-speaker");
  private readonly other = byId<HTMLSelectElement>("review-other");
  private readonly ofSegment = byId<HTMLInputElement>("review-segment");

  constructor(private readonly on: ReviewEvents) {
    onRedraw(() => this.draw());
    const bind = (id: string, action: () => void): void =>
      byId(id).addEventListener("click", action);
    bind("review-next", () => on.onStep(1));
    bind("review-previous", () => on.onStep(-1));
    bind("review-undo", () => this.undo());
    bind("review-loop", () => on.onLoop());
    byId("review-speed").addEventListener("change", () => on.onSpeed(this.speed));
    byId("review-scope").addEventListener("change", () => this.draw());
    this.other.addEventListener("change", () => this.say(this.other.value));
    this.note.addEventListener("change", () => this.write((job) => this.setNote(job)));
    this.speaker.addEventListener("change", () => this.write((job) => this.setSpeaker(job)));
    document.addEventListener("keydown", (event) => this.onKey(event));
  }

  get speed(): number {
    return Number(byId<HTMLSelectElement>("review-speed").value);
  }

  open(job: Job, prediction: Prediction): void {
    this.shown = { job, prediction };
    this.draw();
  }

  close(): void {
    this.shown = null;
    this.draw();
  }

  /** Name the segment at the position, which has moved. */
  moved(): void {
    const here = this.on.segmentHere();
    byId("review-segment-words").textContent = here ? segmentName(here) : "";
    if (this.ofSegment.checked) this.drawPressed();
  }

  private get span(): Segment | null {
    return this.ofSegment.checked ? (this.on.segmentHere() ?? null) : null;
  }

  private say(emotion: string): void {
    const { span } = this;
    if (!emotion || (this.ofSegment.checked && !span)) return;
    this.write((job) => (job.review = labelled(job.review, emotion, span)));
  }

  private setNote(job: Job): void {
    job.review = { ...job.review, note: this.note.value.trim() };
  }

  private setSpeaker(job: Job): void {
    job.facts = { ...job.facts, speaker: this.speaker.value.trim() };
  }

  private write(change: (job: Job) => void): void {
    const job = this.shown?.job;
    if (!job) return;
    this.done.push({ job, before: job.review, speaker: job.facts["speaker"] ?? "" });
    change(job);
    this.changed(job);
  }

  /** Take back what was said last, of whichever recording. */
  private undo(): void {
    const last = this.done.pop();
    if (!last) return;
    last.job.review = last.before;
    last.job.facts = { ...last.job.facts, speaker: last.speaker };
    this.changed(last.job);
    byId("review-say").textContent = t("reviewUndone", { name: last.job.name });
  }

  private changed(job: Job): void {
    byId("review-say").textContent = "";
    this.on.onChange(job);
    this.draw();
  }

  private draw(): void {
    this.section.hidden = this.shown === null;
    if (!this.shown) return;
    const { job, prediction } = this.shown;
    const labels = this.labels(prediction);
    byId("review-emotions").replaceChildren(
      ...labels.map((label, index) => this.button(label, index)),
    );
    const rest = Object.keys(EMOTIONS).filter((label) => !labels.includes(label));
    const choices = rest.map((label) => h("option", { value: label }, emotionName(label)));
    this.other.replaceChildren(h("option", { value: "" }, t("reviewOther")), ...choices);
    this.note.value = job.review.note;
    this.speaker.value = job.facts["speaker"] ?? "";
    byId<HTMLButtonElement>("review-undo").disabled = this.done.length === 0;
    byId("review-corrected").replaceChildren(...this.corrections(job));
    this.moved();
    this.drawPressed();
  }

  private button(label: string, index: number): HTMLElement {
    const key = index < 9 ? String(index + 1) : "";
    return h(
      "button",
      {
        type: "button",
        value: label,
        ...(key ? { "aria-keyshortcuts": key } : {}),
        onclick: () => this.say(label),
      },
      dot(label),
      emotionName(label),
      key ? h("kbd", { "aria-hidden": "true" }, key) : null,
    );
  }

  /** The model's emotions, in an order that stays. */
  private labels({ model, probabilities }: Prediction): string[] {
    const known = this.on.labelsOf(model) ?? Object.keys(probabilities);
    return [...known].sort();
  }

  private drawPressed(): void {
    if (!this.shown) return;
    const said = labelOf(this.shown.job.review, this.span);
    for (const button of byId("review-emotions").querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button.value === said));
    }
    this.other.value = said ?? "";
    if (this.other.selectedIndex < 0) this.other.value = "";
  }

  private corrections(job: Job): HTMLElement[] {
    return job.review.segments.map((one) => {
      return h("li", {}, dot(one.emotion), `${segmentName(one)}: ${emotionName(one.emotion)}`);
    });
  }

  private onKey(event: KeyboardEvent): void {
    const typing = (event.target as HTMLElement).closest(
      "input:not([type=checkbox], [type=radio]), select, textarea, dialog",
    );
    if (!this.shown || typing || event.altKey) return;
    const undoes = (event.ctrlKey || event.metaKey) && event.key === "z";
    if ((event.ctrlKey || event.metaKey) && !undoes) return;
    const label = this.labels(this.shown.prediction)[Number(event.key) - 1];
    const actions: Record<string, () => void> = {
      n: () => this.on.onStep(1),
      p: () => this.on.onStep(-1),
      l: () => byId("review-loop").click(),
      z: () => this.undo(),
    };
    const action = label ? (): void => this.say(label) : actions[event.key];
    if (!action || (event.key === "z" && !undoes)) return;
    event.preventDefault();
    action();
  }
}

/** The times of a segment, and its channel or speaker where they were told apart. */
function segmentName(one: Span): string {
  const times = t("reviewSegment", { start: clock(one.start), end: clock(one.end) });
  const voice = voiceName(one);
  return voice ? listed([times, voice]) : times;
}
