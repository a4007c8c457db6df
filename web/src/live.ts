/** Live: the microphone on its way to the service, and what a listener would hear just now. */

import { models, ServiceError } from "./api";
import { byId } from "./dom";
import { microphoneInWords } from "./errors";
import { colourOf } from "./emotions";
import { clock, number } from "./format";
import { emotionName, sureness, t, type Key } from "./i18n";
import { isDark, onRedraw } from "./look";
import { LivePicture, SHOWN_S } from "./live-picture";
import { microphoneAllowedHere, openMicrophone, type Chunk, type Microphone } from "./microphone";
import type { Segment } from "./segments";
import { Stream, type StreamEvent } from "./stream";
import { segmentTable } from "./table";
import { wavFile } from "./wav";

type Phase = "idle" | "asking" | "connecting" | "on" | "cut" | "finishing" | "stopped";

const QUIET_MS = 3000; // between two announcements to screen readers
const PATIENCE_MS = 8000; // with a service that does not finish

export class Live {
  private phase: Phase = "idle";
  private problem: (() => string) | null = null;
  private microphone: Microphone | null = null;
  private stream: Stream | null = null;
  private chunks: Chunk[] = [];
  private samples = 0;
  private rate = 0;
  /** Seconds of the recording before the present connection. */
  private offset = 0;
  private now: StreamEvent | null = null;
  private utterances: Segment[] = [];
  private known = 0;
  private said = { emotion: "", at: 0 };
  private given = true;

  private readonly section = byId("live");
  private readonly picture = new LivePicture(byId<HTMLCanvasElement>("live-canvas"));
  private readonly adapt = byId<HTMLInputElement>("adapt");

  constructor(
    private readonly model: () => { name: string; adapts: boolean },
    private readonly onRecorded: (file: File) => void,
    private readonly onOpen: () => void,
  ) {
    onRedraw(() => this.draw());
    byId("live-start").addEventListener("click", () => void this.start());
    byId("live-stop").addEventListener("click", () => this.stop());
    byId("live-again").addEventListener("click", () => this.connect());
    byId("live-open").addEventListener("click", () => this.openRecording());
    byId("live-leave").addEventListener("click", () => this.leave());
  }

  show(): void {
    this.section.hidden = false;
    this.draw();
    byId("live-title").focus();
  }

  /** Begin a new recording. */
  private async start(): Promise<void> {
    this.forget();
    this.to("asking");
    if (!microphoneAllowedHere()) return this.fail(() => t("errorMicInsecure"), "idle");
    try {
      this.microphone = await openMicrophone(
        (chunk) => this.take(chunk),
        () => this.lose(),
      );
    } catch (error) {
      return this.fail(() => microphoneInWords(error), "idle");
    }
    this.rate = this.microphone.rate;
    this.connect();
  }

  private stop(): void {
    this.closeMicrophone();
    this.keep();
    if (this.phase === "cut" || !this.stream) return this.to("stopped");
    this.to("finishing");
    const stream = this.stream;
    stream.end();
    setTimeout(() => {
      if (this.phase === "finishing" && this.stream === stream) this.to("stopped");
    }, PATIENCE_MS);
  }

  /** Make place for something else; what was recorded is kept. */
  hide(): void {
    if (this.microphone) this.stop();
    this.section.hidden = true;
  }

  private leave(): void {
    this.hide();
    byId("record").focus();
  }

  private connect(): void {
    this.problem = null;
    this.offset = this.samples / this.rate;
    this.to("connecting");
    const { name, adapts } = this.model();
    const settings = {
      model: name,
      rate: String(this.rate),
      adapt: String(adapts && this.adapt.checked),
    };
    const stream = new Stream(settings, {
      onReady: ({ labels }) => {
        this.picture.labels = labels;
        this.to("on");
      },
      onEvent: (event) => this.hear(event),
      onOver: (how, code, message) => {
        if (this.stream === stream) void this.over(how, code, message);
      },
    });
    this.stream = stream;
  }

  private take(chunk: Chunk): void {
    this.chunks.push(chunk);
    this.samples += chunk.length;
    this.picture.sound(chunk, this.rate);
    if (this.phase === "on" || this.phase === "connecting") this.stream?.send(chunk);
    byId("live-time").textContent = t("recordedFor", { time: clock(this.samples / this.rate, 0) });
  }

  private hear(event: StreamEvent): void {
    this.known = event.utterances_known;
    this.now = event;
    if (event.type !== "voice") this.picture.answer(event, this.offset);
    if (event.type === "utterance") {
      const [start, end] = [event.start + this.offset, event.end + this.offset];
      this.utterances.push({ ...event, start, end });
      this.drawUtterances();
    }
    this.drawNow();
    this.announce(event);
  }

  private async over(
    how: "done" | "refused" | "lost",
    code: string,
    message: string,
  ): Promise<void> {
    this.stream = null;
    if (this.phase === "finishing" || how === "done") return this.to("stopped");
    if (how === "refused") return this.refused();
    const known = code ? ` ${message}` : "";
    this.fail(() => `${t("errorLost")}${known}`, "cut");
  }

  /** Find out why: a browser does not tell a page how a service refused a stream. */
  private async refused(): Promise<void> {
    try {
      await models(); // asks for the key where one is wanted
      this.fail(() => t("errorBusyLive"), "cut");
    } catch (error) {
      const key = error instanceof ServiceError ? "error_no_key" : "errorOffline";
      this.fail(() => t(key), "cut");
    }
  }

  private lose(): void {
    this.stop();
    this.problem = () => t("errorMicGone");
    this.draw();
  }

  private fail(problem: () => string, phase: Phase): void {
    this.problem = problem;
    this.to(phase);
  }

  private closeMicrophone(): void {
    this.microphone?.close();
    this.microphone = null;
  }

  /** Give the recording to the list, as if it were a file. */
  private keep(): void {
    if (this.given || !this.samples) return;
    this.given = true;
    const time = new Date().toLocaleTimeString("sv"); // 16:52:07
    const name = `${t("recordingName", { time: time.replaceAll(":", ".") })}.wav`;
    this.onRecorded(new File([wavFile(this.chunks, this.rate)], name, { type: "audio/wav" }));
  }

  private openRecording(): void {
    this.hide();
    this.onOpen();
  }

  private forget(): void {
    this.problem = null;
    this.chunks = [];
    this.samples = 0;
    this.offset = 0;
    this.now = null;
    this.utterances = [];
    this.known = 0;
    this.given = false;
    this.picture.clear();
    this.drawUtterances();
  }

  private to(phase: Phase): void {
    this.phase = phase;
    this.draw();
  }

  private draw(): void {
    if (this.section.hidden) return;
    const { phase } = this;
    const recording = ["connecting", "on", "cut"].includes(phase);
    const focused = document.activeElement;
    byId("live-start").hidden = !["idle", "stopped"].includes(phase);
    byId("live-start-words").textContent = t(phase === "stopped" ? "liveAgain" : "liveStart");
    byId("live-stop").hidden = !recording;
    byId("live-again").hidden = phase !== "cut";
    byId("live-open").hidden = phase !== "stopped" || !this.samples;
    const { adapts } = this.model();
    this.adapt.disabled = !adapts || !["idle", "stopped"].includes(phase);
    byId("adapt-note").textContent = t(adapts ? "adaptNote" : "adaptNot");
    const shown = byId("live-problem");
    const problem = this.problem?.() ?? "";
    if (shown.textContent !== problem) shown.textContent = problem;
    if (focused instanceof HTMLElement && focused.closest("#live-controls [hidden]")) {
      document.querySelector<HTMLElement>("#live-controls button:not([hidden])")?.focus();
    }
    const canvas = byId("live-canvas");
    canvas.setAttribute("aria-label", t("liveCurvesText", { seconds: SHOWN_S }));
    this.picture.drawSoon();
    this.drawNow();
    this.drawUtterances();
  }

  private drawNow(): void {
    const event = this.phase === "on" ? this.now : null;
    const heard = event?.type === "emotion" ? event : null;
    const waiting: Record<Phase, Key> = {
      idle: "liveLead",
      asking: "asking",
      connecting: "connecting",
      on: event?.type === "voice" ? "voice" : "hearing",
      cut: "stopped",
      finishing: "finishing",
      stopped: "stopped",
    };
    const name = byId("live-emotion");
    name.textContent = heard ? emotionName(heard.emotion) : t(waiting[this.phase]);
    name.classList.toggle("waiting", heard === null);
    const confidence = heard?.confidence ?? null;
    byId("live-sure").textContent =
      confidence === null
        ? ""
        : `${sureness(confidence)} · ${t("confidenceOf", { value: number(confidence) })}`;
    byId("live-known").textContent = this.known > 0 ? t("adaptedBy", { count: this.known }) : "";
    byId("live-now").style.setProperty("--emotion", colourOf(heard?.emotion ?? null, isDark()));
    byId("live-now").dataset["phase"] = this.phase;
  }

  private drawUtterances(): void {
    const place = byId("utterances");
    if (!this.utterances.length) place.textContent = t("noUtterances");
    else place.replaceChildren(segmentTable(this.utterances, t("utterancesCaption"), null));
  }

  private announce(event: StreamEvent): void {
    if (event.type === "voice" || event.emotion === null) return;
    const same = event.emotion === this.said.emotion && event.type !== "utterance";
    if (same || Date.now() - this.said.at < QUIET_MS) return;
    this.said = { emotion: event.emotion, at: Date.now() };
    byId("live-say").textContent = emotionName(event.emotion);
  }
}
