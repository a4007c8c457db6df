/** The view of one recording: its prediction, as a whole and over time. */

import { AffectView } from "./affect-view";
import type { Model, Prediction, Recording } from "./api";
import { fitted, type Range } from "./canvas";
import { CurvesView } from "./curves-view";
import { byId, h } from "./dom";
import { clock } from "./format";
import { onGestures } from "./gestures";
import { emotionName, predictionName, t } from "./i18n";
import { bindKeys } from "./keys";
import { Lanes } from "./lanes";
import { openedOf, segmentsOf, type Opened } from "./opened";
import { frequencies, Player, SPECTROGRAM_UP_TO_S, type Shown } from "./player";
import { drawPrediction } from "./prediction";
import { bindSaveButtons } from "./save-files";
import { segmentAt, spokenAt, type Segment } from "./segments";
import { markRow, segmentTable } from "./table";
import { currentPalette, onRedraw, reducedMotion } from "./theme";
import { drawTimes } from "./time-axis";
import type { Voice } from "./voices";

export class RecordingView {
  private opened: Opened | null = null;
  private player: Player | null = null;
  private playable = false;
  private reshaping = 0;
  private range: Range = [0, 0];
  /** Is told that the position has moved. */
  onMove: () => void = () => undefined;
  /** Where each recording was left. */
  private readonly positions = new WeakMap<Blob, number>();

  private readonly section = byId("opened");
  private readonly wave = byId("wave");
  private readonly slider = byId("position");
  private readonly curves = new CurvesView();
  private readonly affect = new AffectView();
  private readonly axis = byId<HTMLCanvasElement>("time-axis");
  private readonly lanes = new Lanes(
    (voice) => this.choose(voice),
    (canvas, voice) => this.bindPointer(canvas, () => segmentsOf(voice)),
  );

  constructor(
    private readonly modelOf: (name: string) => Model | undefined,
    splitChannels: () => void,
  ) {
    onRedraw(() => this.draw());
    for (const id of ["smooth", "least"]) {
      byId(id).addEventListener("input", () => {
        cancelAnimationFrame(this.reshaping);
        this.reshaping = requestAnimationFrame(() => this.reshape());
      });
    }
    byId("split-channels").addEventListener("click", splitChannels);
    byId("play").addEventListener("click", () => this.player?.toggle());
    byId("zoom").addEventListener("input", (event) =>
      this.player?.zoom(Number((event.target as HTMLInputElement).value)),
    );
    bindKeys(this.slider, () => this.player);
    for (const picture of [this.wave, this.curves.canvas]) {
      this.bindPointer(picture, () => this.opened?.segments ?? []);
    }
    bindSaveButtons(() => {
      const { opened, player } = this;
      const peaks = (columns: number): Float32Array | null => player?.peaks(columns) ?? null;
      if (!opened) return null;
      const { recording, rows: segments, voice } = opened;
      return { recording, segments, voice, peaks };
    });
  }

  /** Open a recording; `again`, with another prediction, neither page nor position moves. */
  open(recording: Recording, again: boolean): void {
    const kept = again && recording.sound === this.opened?.recording.sound ? this.player : null;
    if (!kept) this.close();
    this.opened = this.openedOf(recording);
    if (kept) {
      kept.show(this.shown(this.opened));
      return this.draw();
    }
    this.view([0, recording.prediction.duration]);
    this.playable = true;
    this.section.hidden = byId("sound").hidden = false; // the player has to know its width
    byId<HTMLInputElement>("zoom").value = "0";
    this.player = this.load(this.opened);
    this.draw();
    const far = !again && this.section.getBoundingClientRect().top > innerHeight / 2;
    if (far) this.section.scrollIntoView({ behavior: reducedMotion() ? "auto" : "smooth" });
  }

  close(): void {
    if (this.opened) this.positions.set(this.opened.recording.sound, this.player?.time ?? 0);
    this.player?.destroy();
    this.player = null;
    this.opened = null;
    this.section.hidden = true;
    this.wave.replaceChildren();
  }

  /** The segment with speech at the position, of the voice that is shown. */
  get segmentHere(): Segment | undefined {
    return this.opened ? spokenAt(this.opened.segments, this.player?.time ?? 0) : undefined;
  }

  get time(): number {
    return this.player?.time ?? 0;
  }

  /** Go to a time, at once or when the sound can be played. */
  seek(time: number): void {
    if (!this.opened) return;
    this.positions.set(this.opened.recording.sound, time);
    this.player?.seek(time);
    this.moveTo(time);
  }

  /** Play the segment at the position over and over. */
  loop(): void {
    const here = this.segmentHere;
    if (here) this.player?.loop([here.start, here.end]);
  }

  set speed(speed: number) {
    this.player?.setSpeed(speed);
  }

  private load(opened: Opened): Player {
    const { sound, prediction } = opened.recording;
    const player = new Player(this.wave, sound, prediction.duration, this.shown(opened), {
      onTime: (time) => this.moveTo(time),
      onPlaying: (playing) => this.showPlaying(playing),
      onView: (range) => this.view(range),
    });
    const ready = (): void => {
      player.seek(this.positions.get(sound) ?? 0);
      this.drawFacts();
    };
    player.ready.then(ready).catch(() => {
      if (this.player === player) this.cannotPlay();
    });
    return player;
  }

  private shown({ voice, segments }: Opened): Shown {
    return { timeline: voice.timeline, segments, channel: voice.channel };
  }

  private openedOf(recording: Recording): Opened {
    const seconds = (id: string): number => Number(byId<HTMLInputElement>(id).value);
    return openedOf(recording, seconds("smooth"), seconds("least"));
  }

  /** Take smoothing and the least length of segments as they are chosen now. */
  private reshape(): void {
    if (!this.opened) return;
    const { recording, voices, voice } = this.opened;
    const chosen = voices.indexOf(voice);
    this.opened = this.openedOf(recording);
    this.choose(this.opened.voices[chosen] ?? this.opened.voice);
  }

  /** Show another voice in detail. */
  private choose(voice: Voice): void {
    if (!this.opened) return;
    this.opened = { ...this.opened, voice, segments: segmentsOf(voice) };
    this.player?.show(this.shown(this.opened));
    this.draw();
  }

  private draw(): void {
    if (!this.opened) return;
    const { recording, voices, voice, rows } = this.opened;
    const { prediction } = recording;
    const { timeline, whole } = voice;
    this.drawFacts();
    drawPrediction(voice, prediction, this.modelOf(prediction.model));
    const play = this.playable ? (segment: Segment): void => this.play(segment) : null;
    byId("segments").replaceChildren(segmentTable(rows, t("segmentsCaption"), play));
    for (const id of ["smooth", "least"]) {
      const value = byId<HTMLInputElement>(id).value;
      byId(`${id}-value`).textContent = t("seconds", { value });
    }
    byId("not-playable").hidden = this.playable;
    byId("sound").hidden = !this.playable;
    const long = prediction.duration > SPECTROGRAM_UP_TO_S;
    byId("hertz").replaceChildren(...(long ? [] : frequencies().map(hertz)));
    byId("spectrogram-long").hidden = !long;
    byId("spectrogram-long").textContent = t("spectrogramLong", {
      time: clock(SPECTROGRAM_UP_TO_S, 0),
    });
    this.showPlaying(this.player?.playing ?? false);
    this.player?.redraw();
    this.lanes.draw(voices, voice, prediction.duration);
    this.lanes.drawRange(this.range);
    this.drawAxis();
    this.curves.show(timeline, whole.probabilities);
    this.affect.show(timeline, whole);
    this.moveTo(this.player?.time ?? 0);
  }

  private drawFacts(): void {
    if (!this.opened) return;
    const { name, prediction, converted } = this.opened.recording;
    const { duration, model } = prediction;
    const channels = this.player?.channelCount ?? 0;
    const facts = t("factsOf", { time: clock(duration), model });
    const many = channels > 1 ? ` · ${t("channelCount", { count: channels })}` : "";
    byId("opened-name").textContent = name;
    byId("opened-facts").textContent = `${facts}${many}`;
    byId("opened-converted").hidden = !converted;
    const notice = noticeOf(prediction);
    byId("opened-notice").hidden = notice === "";
    byId("notice-words").textContent = notice;
  }

  private moveTo(time: number): void {
    if (!this.opened) return;
    const { recording, voice } = this.opened;
    const { duration } = recording.prediction;
    const segment = segmentAt(voice.timeline, time);
    this.affect.moveTo(segment);
    this.curves.moveTo(time, this.playable);
    byId("clock").textContent = `${clock(time)} / ${clock(duration)}`;
    this.slider.setAttribute("aria-valuemax", duration.toFixed(1));
    this.slider.setAttribute("aria-valuenow", time.toFixed(1));
    const words = {
      time: clock(time),
      all: clock(duration),
      emotion: segment ? predictionName(segment) : emotionName(null),
    };
    this.slider.setAttribute("aria-valuetext", t("positionOf", words));
    markRow(byId("segments"), time, this.player?.playing ?? false);
    this.onMove();
  }

  private view(range: Range): void {
    if (range[0] === this.range[0] && range[1] === this.range[1]) return;
    this.range = range;
    this.curves.view(range);
    this.lanes.drawRange(range);
    this.drawAxis();
    this.moveTo(this.player?.time ?? 0);
  }

  private drawAxis(): void {
    const fit = fitted(this.axis);
    if (fit) drawTimes(...fit, this.range, currentPalette());
  }

  private showPlaying(playing: boolean): void {
    const button = byId("play");
    button.dataset["playing"] = String(playing);
    button.setAttribute("aria-label", t(playing ? "pause" : "play"));
  }

  private play({ start, end }: Segment): void {
    this.player?.play(start, end);
  }

  /** Bind a picture whose width is the time in view. */
  private bindPointer(picture: HTMLElement, segments: () => readonly Segment[]): void {
    const timeAt = ({ clientX }: MouseEvent): number => {
      const { left, width } = picture.getBoundingClientRect();
      const [from, to] = this.range;
      return from + Math.max(0, Math.min(1, (clientX - left) / width)) * (to - from);
    };
    onGestures(picture, {
      timeAt,
      seek: (time) => {
        this.player?.select(null);
        this.player?.seek(time);
      },
      play: (time) => {
        const segment = segmentAt(segments(), time);
        if (segment) this.play(segment);
      },
      select: (range, done) => {
        if (done) this.player?.loop(range);
        else this.player?.select(range);
      },
    });
    picture.addEventListener("pointermove", (event) => this.curves.drawReadout(timeAt(event)));
    picture.addEventListener("pointerleave", () => this.curves.drawReadout(this.player?.time ?? 0));
  }

  private cannotPlay(): void {
    this.player?.destroy();
    this.player = null;
    this.playable = false;
    this.draw();
  }
}

function hertz({ hz, top }: { hz: number; top: number }): HTMLElement {
  const label = h("span", {}, t("hertz", { value: hz }));
  label.style.top = `${top}px`;
  return label;
}

function noticeOf({ notices = [], lanes }: Prediction): string {
  if (!notices.length || lanes) return "";
  return t(notices.some((one) => one.includes("cancel")) ? "channelsCancel" : "channelsDiffer");
}
