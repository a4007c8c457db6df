/** The live view: sends the microphone to the service, and shows what it predicts. */

import { models, ServiceError, type Limits, type Query } from "./api";
import { byId } from "./dom";
import { microphoneErrorText } from "./errors";
import { colourOf } from "./emotions";
import { clock, number } from "./format";
import { confidenceText, emotionName, predictionName, t } from "./i18n";
import { isDark, onRedraw } from "./theme";
import { drawLegend } from "./legend";
import { LiveCanvas, SHOWN_S } from "./live-canvas";
import { bindLiveFiles } from "./live-files";
import { LiveUtterances } from "./live-utterances";
import { microphoneAllowedHere, openMicrophone, type Chunk, type Microphone } from "./microphone";
import { Stream, type StreamEvent } from "./stream";
import { wavBytes, wavFile } from "./wav";
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
  private name = "";
  private model = "";
  private latest: StreamEvent | null = null;
  /** What was predicted last; it is shown until the next. */
  private answer: StreamEvent | null = null;
  private announced = { emotion: "", at: 0 };
  private saved = true;

  private readonly section = byId("live");
  private readonly canvas = new LiveCanvas(byId<HTMLCanvasElement>("live-canvas"));
  private readonly adapt = byId<HTMLInputElement>("adapt");
  private readonly utterances = new LiveUtterances();

  constructor(
    private readonly settings: () => Query,
    private readonly adapts: () => boolean,
    private readonly onRecorded: (file: File) => void,
    private readonly onOpen: () => void,
    private readonly limits: () => Limits,
  ) {
    bindLiveFiles(() => ({
      name: this.name,
      model: this.model,
      labels: [...this.canvas.labels],
      durationS: this.durationS,
      utterances: this.utterances.list,
      sound: () => wavFile(this.chunks, this.rate),
    }));
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
    this.offset = this.durationS;
    this.setPhase("connecting");
    const adapt = this.adapts() && this.adapt.checked ? "speaker" : "none";
    const settings = { ...this.settings(), rate: String(this.rate), adapt };
    const stream = new Stream(settings, {
      onReady: ({ labels, model }) => {
        this.canvas.labels = labels;
        this.model = model;
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
    byId("live-time").textContent = t("recordedFor", { time: clock(this.durationS, 0) });
  }

  private onEvent(event: StreamEvent): void {
    this.latest = event;
    if (event.type !== "voice") {
      const [start, end] = [event.start + this.offset, event.end + this.offset];
      this.answer = { ...event, start, end };
      this.canvas.addEvent(event, this.offset);
    }
    if (event.type === "utterance" && this.answer) this.utterances.add(this.answer);
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

  private get durationS(): number {
    return this.rate ? this.samples / this.rate : 0;
  }

  /** Whether the service would take the recording as a file. */
  private get fits(): boolean {
    const { max_bytes = Infinity, max_seconds = Infinity } = this.limits();
    return this.durationS <= max_seconds && wavBytes(this.samples) <= max_bytes;
  }

  /** Add the recording to the list, like a file; one that is too long is here to be saved. */
  private saveRecording(): void {
    if (this.saved || !this.samples || !this.fits) return;
    this.saved = true;
    const sound = wavFile(this.chunks, this.rate);
    this.onRecorded(new File([sound], `${this.name}.wav`, { type: "audio/wav" }));
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
    this.latest = this.answer = null;
    this.saved = false;
    const time = new Date().toLocaleTimeString("sv"); // 16:52:07
    this.name = t("recordingName", { time: time.replaceAll(":", ".") });
    this.canvas.clear();
    this.utterances.clear();
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
    const ended = phase === "stopped" && this.samples > 0;
    byId("live-open").hidden = !ended || !this.fits;
    byId("live-files").hidden = !ended && phase !== "cut";
    byId("live-too-long").hidden = !ended || this.fits;
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
    this.utterances.draw();
    const { labels, hidden } = this.canvas;
    drawLegend(byId("live-legend"), labels, hidden, () => this.canvas.drawSoon());
  }

  private drawLatest(): void {
    const { answer } = this;
    const name = byId("live-emotion");
    name.textContent = answer ? predictionName(answer) : t(this.state);
    name.classList.toggle("waiting", answer === null);
    const confidence = answer?.confidence ?? null;
    byId("live-sure").textContent =
      confidence === null
        ? ""
        : `${confidenceText(confidence)} · ${t("confidenceOf", { value: number(confidence) })}`;
    byId("live-known").textContent = answer ? this.small(answer).join(" · ") : "";
    byId("live-now").style.setProperty("--emotion", colourOf(answer?.emotion ?? null, isDark()));
    byId("live-now").dataset["phase"] = this.phase;
  }

  /** What goes on, and what the answer is of. */
  private small({ type, start, end, utterances_known: count }: StreamEvent): string[] {
    const times = { start: clock(start), end: clock(end) };
    return [
      t(this.state),
      ...(type === "utterance" ? [t("liveUtterance", times)] : []),
      ...(count > 0 ? [t("adaptedBy", { count })] : []),
    ];
  }

  private get state(): Key {
    const speaking = this.latest !== null && this.latest.type !== "utterance";
    return {
      idle: "liveLead",
      asking: "asking",
      connecting: "connecting",
      on: speaking ? "speaking" : "hearing",
      cut: "liveCut",
      finishing: "finishing",
      stopped: "stopped",
    }[this.phase] as Key;
  }

  private announce(event: StreamEvent): void {
    if (event.type === "voice" || event.emotion === null) return;
    const same = event.emotion === this.announced.emotion && event.type !== "utterance";
    if (same || Date.now() - this.announced.at < ANNOUNCE_EVERY_MS) return;
    this.announced = { emotion: event.emotion, at: Date.now() };
    byId("live-say").textContent = emotionName(event.emotion);
  }
}
