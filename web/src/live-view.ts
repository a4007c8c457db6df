/** The live view: sends the microphone to the service, and shows what it predicts. */

import { models, ServiceError, type Query } from "./api";
import { byId } from "./dom";
import { microphoneErrorText } from "./errors";
import { colourOf } from "./emotions";
import { clock, number } from "./format";
import { confidenceText, emotionName, predictionName, t } from "./i18n";
import { isDark, onRedraw } from "./theme";
import { LiveCanvas, SHOWN_S } from "./live-canvas";
import { microphoneAllowedHere, openMicrophone, type Chunk, type Microphone } from "./microphone";
import type { Segment } from "./segments";
import { Stream, type StreamEvent } from "./stream";
import { segmentTable } from "./table";
import { wavFile } from "./wav";
import type { Key } from "./words/en";

type Phase = "idle" | "asking" | "connecting" | "on" | "cut" | "finishing" | "stopped";

const ANNOUNCE_EVERY_MS = 3000; // to screen readers, at most
const FINISH_TIMEOUT_MS = 8000;

export class LiveView {
  private phase: Phase = "idle";
  private problem: (() => string) | null = null;
  private microphone: Microphone | null = null;
  private stream: Stream | null = null;
  private chunks: Chunk[] = [];
  private samples = 0;
  private rate = 0;
  /** Seconds recorded before the present connection. */
  private offset = 0;
  private latest: StreamEvent | null = null;
  private utterances: Segment[] = [];
  private utterancesKnown = 0;
  private announced = { emotion: "", at: 0 };
  private saved = true;

  private readonly section = byId("live");
  private readonly canvas = new LiveCanvas(byId<HTMLCanvasElement>("live-canvas"));
  private readonly adapt = byId<HTMLInputElement>("adapt");

  constructor(
    private readonly settings: () => Query,
    private readonly adapts: () => boolean,
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

  /** Start a new recording. */
  private async start(): Promise<void> {
    this.reset();
    this.setPhase("asking");
    if (!microphoneAllowedHere()) return this.fail(() => t("errorMicInsecure"), "idle");
    try {
      this.microphone = await openMicrophone(
        (chunk) => this.onChunk(chunk),
        () => this.onMicrophoneLost(),
      );
    } catch (error) {
      return this.fail(() => microphoneErrorText(error), "idle");
    }
    this.rate = this.microphone.rate;
    this.connect();
  }

  private stop(): void {
    this.closeMicrophone();
    this.saveRecording();
    if (this.phase === "cut" || !this.stream) return this.setPhase("stopped");
    this.setPhase("finishing");
    const stream = this.stream;
    stream.end();
    setTimeout(() => {
      if (this.phase === "finishing" && this.stream === stream) this.setPhase("stopped");
    }, FINISH_TIMEOUT_MS);
  }

  /** Hide the view; what was recorded is kept. */
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
    this.setPhase("connecting");
    const adapt = this.adapts() && this.adapt.checked ? "speaker" : "none";
    const settings = { ...this.settings(), rate: String(this.rate), adapt };
    const stream = new Stream(settings, {
      onReady: ({ labels }) => {
        this.canvas.labels = labels;
        this.setPhase("on");
      },
      onEvent: (event) => this.onEvent(event),
      onEnd: (how, code, message) => {
        if (this.stream === stream) void this.onStreamEnd(how, code, message);
      },
    });
    this.stream = stream;
  }

  private onChunk(chunk: Chunk): void {
    this.chunks.push(chunk);
    this.samples += chunk.length;
    this.canvas.addSound(chunk, this.rate);
    if (this.phase === "on" || this.phase === "connecting") this.stream?.send(chunk);
    byId("live-time").textContent = t("recordedFor", { time: clock(this.samples / this.rate, 0) });
  }

  private onEvent(event: StreamEvent): void {
    this.utterancesKnown = event.utterances_known;
    this.latest = event;
    if (event.type !== "voice") this.canvas.addEvent(event, this.offset);
    if (event.type === "utterance") {
      const [start, end] = [event.start + this.offset, event.end + this.offset];
      this.utterances.push({ ...event, start, end });
      this.drawUtterances();
    }
    this.drawLatest();
    this.announce(event);
  }

  private async onStreamEnd(
    how: "done" | "refused" | "lost",
    code: string,
    message: string,
  ): Promise<void> {
    this.stream = null;
    if (this.phase === "finishing" || how === "done") return this.setPhase("stopped");
    if (how === "refused") return this.explainRefusal();
    const known = code ? ` ${message}` : "";
    this.fail(() => `${t("errorLost")}${known}`, "cut");
  }

  /** Find out why a stream was refused: browsers do not tell. */
  private async explainRefusal(): Promise<void> {
    try {
      await models(); // asks for the key where one is needed
      this.fail(() => t("errorBusyLive"), "cut");
    } catch (error) {
      const key = error instanceof ServiceError ? "error_no_key" : "errorOffline";
      this.fail(() => t(key), "cut");
    }
  }

  private onMicrophoneLost(): void {
    this.stop();
    this.problem = () => t("errorMicGone");
    this.draw();
  }

  private fail(problem: () => string, phase: Phase): void {
    this.problem = problem;
    this.setPhase(phase);
  }

  private closeMicrophone(): void {
    this.microphone?.close();
    this.microphone = null;
  }

  /** Add the recording to the list, like a file. */
  private saveRecording(): void {
    if (this.saved || !this.samples) return;
    this.saved = true;
    const time = new Date().toLocaleTimeString("sv"); // 16:52:07
    const name = `${t("recordingName", { time: time.replaceAll(":", ".") })}.wav`;
    this.onRecorded(new File([wavFile(this.chunks, this.rate)], name, { type: "audio/wav" }));
  }

  private openRecording(): void {
    this.hide();
    this.onOpen();
  }

  private reset(): void {
    this.problem = null;
    this.chunks = [];
    this.samples = 0;
    this.offset = 0;
    this.latest = null;
    this.utterances = [];
    this.utterancesKnown = 0;
    this.saved = false;
    this.canvas.clear();
    this.drawUtterances();
  }

  private setPhase(phase: Phase): void {
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
    const adapts = this.adapts();
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
    this.canvas.drawSoon();
    this.drawLatest();
    this.drawUtterances();
  }

  private drawLatest(): void {
    const event = this.phase === "on" ? this.latest : null;
    const emotion = event?.type === "emotion" ? event : null;
    const waiting: Record<Phase, Key> = {
      idle: "liveLead",
      asking: "asking",
      connecting: "connecting",
      on: event?.type === "voice" ? "speaking" : "hearing",
      cut: "stopped",
      finishing: "finishing",
      stopped: "stopped",
    };
    const name = byId("live-emotion");
    name.textContent = emotion ? predictionName(emotion) : t(waiting[this.phase]);
    name.classList.toggle("waiting", emotion === null);
    const confidence = emotion?.confidence ?? null;
    byId("live-sure").textContent =
      confidence === null
        ? ""
        : `${confidenceText(confidence)} · ${t("confidenceOf", { value: number(confidence) })}`;
    byId("live-known").textContent =
      this.utterancesKnown > 0 ? t("adaptedBy", { count: this.utterancesKnown }) : "";
    byId("live-now").style.setProperty("--emotion", colourOf(emotion?.emotion ?? null, isDark()));
    byId("live-now").dataset["phase"] = this.phase;
  }

  private drawUtterances(): void {
    const place = byId("utterances");
    if (!this.utterances.length) place.textContent = t("noUtterances");
    else place.replaceChildren(segmentTable(this.utterances, t("utterancesCaption"), null));
  }

  private announce(event: StreamEvent): void {
    if (event.type === "voice" || event.emotion === null) return;
    const same = event.emotion === this.announced.emotion && event.type !== "utterance";
    if (same || Date.now() - this.announced.at < ANNOUNCE_EVERY_MS) return;
    this.announced = { emotion: event.emotion, at: Date.now() };
    byId("live-say").textContent = emotionName(event.emotion);
  }
}
