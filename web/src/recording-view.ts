/** The view of one recording: its prediction, as a whole and over time. */

import { at, drawAffect, pathOf, plane } from "./affect";
import { affectLabels } from "./affect-labels";
import { drawPrediction } from "./prediction";
import type { Recording } from "./api";
import { fitted, type Range } from "./canvas";
import { drawCurves, sampled } from "./curves";
import { byId } from "./dom";
import { onGestures } from "./gestures";
import { clock, number } from "./format";
import { emotionName, predictionName, t } from "./i18n";
import { legend } from "./legend";
import { reducedMotion, currentPalette, onRedraw } from "./theme";
import { Player, SPECTROGRAM_UP_TO_S } from "./player";
import { merged, ranked, segmentAt, type Segment } from "./segments";
import { markRow, segmentTable } from "./table";
import { bindSaveButtons } from "./save-files";

const STEPS = 150; // of the path of affect
const POINTS = 600; // of a curve
const READOUT = 3; // emotions named under the curves

export class RecordingView {
  private recording: Recording | null = null;
  private segments: Segment[] = [];
  private player: Player | null = null;
  private playable = false;
  private range: Range = [0, 0];
  private readonly hidden = new Set<string>();
  /** Where each recording was left. */
  private readonly positions = new WeakMap<Blob, number>();

  private readonly section = byId("opened");
  private readonly wave = byId("wave");
  private readonly slider = byId("position");
  private readonly curves = byId<HTMLCanvasElement>("curves");
  private readonly affect = byId<HTMLCanvasElement>("affect");

  constructor() {
    onRedraw(() => this.draw());
    const observer = new ResizeObserver(() => this.drawCanvases());
    observer.observe(this.curves);
    observer.observe(this.affect);
    byId("play").addEventListener("click", () => this.player?.toggle());
    byId("zoom").addEventListener("input", (event) =>
      this.player?.zoom(Number((event.target as HTMLInputElement).value)),
    );
    this.slider.addEventListener("keydown", (event) => this.onKey(event));
    [this.wave, this.curves].forEach((picture) => this.bindPointer(picture));
    bindSaveButtons(() => {
      const { recording, segments, player } = this;
      const peaks = (columns: number): Float32Array | null => player?.peaks(columns) ?? null;
      return recording && { recording, segments, peaks };
    });
  }

  /** Open a recording; `again`, with another prediction, neither page nor position moves. */
  open(recording: Recording, again: boolean): void {
    const kept = again && recording.sound === this.recording?.sound ? this.player : null;
    if (!kept) this.close();
    this.recording = recording;
    const { timeline, duration } = recording.prediction;
    this.segments = merged(timeline);
    if (kept) {
      kept.show({ timeline, segments: this.segments });
      return this.draw();
    }
    this.range = [0, duration];
    this.playable = true;
    this.section.hidden = false;
    byId<HTMLInputElement>("zoom").value = "0";
    this.player = this.load(recording);
    this.draw();
    this.moveTo(0);
    const far = !again && this.section.getBoundingClientRect().top > innerHeight / 2;
    if (far) this.section.scrollIntoView({ behavior: reducedMotion() ? "auto" : "smooth" });
  }

  close(): void {
    if (this.recording) this.positions.set(this.recording.sound, this.player?.time ?? 0);
    this.player?.destroy();
    this.player = null;
    this.recording = null;
    this.section.hidden = true;
    this.wave.replaceChildren();
  }

  private load({ sound, prediction }: Recording): Player {
    const { timeline, duration } = prediction;
    const shown = { timeline, segments: this.segments };
    const player = new Player(this.wave, sound, duration, shown, {
      onTime: (time) => this.moveTo(time),
      onPlaying: (playing) => this.showPlaying(playing),
      onView: (range) => this.view(range),
    });
    const ready = (): void => player.seek(this.positions.get(sound) ?? 0);
    player.ready.then(ready).catch(() => {
      if (this.player === player) this.cannotPlay();
    });
    return player;
  }

  private draw(): void {
    if (!this.recording) return;
    const { name, prediction, converted } = this.recording;
    byId("opened-name").textContent = name;
    byId("opened-facts").textContent = t("factsOf", {
      time: clock(prediction.duration),
      model: prediction.model,
    });
    byId("opened-converted").hidden = !converted;
    drawPrediction(prediction);
    this.drawLegend(prediction.probabilities);
    const play = this.playable ? (segment: Segment): void => this.play(segment) : null;
    byId("segments").replaceChildren(segmentTable(this.segments, t("segmentsCaption"), play));
    byId("not-playable").hidden = this.playable;
    byId("sound").hidden = !this.playable;
    byId("spectrogram-long").hidden = prediction.duration <= SPECTROGRAM_UP_TO_S;
    byId("spectrogram-long").textContent = t("spectrogramLong", {
      time: clock(SPECTROGRAM_UP_TO_S, 0),
    });
    this.showPlaying(this.player?.playing ?? false);
    this.player?.redraw();
    this.drawCanvases();
    this.moveTo(this.player?.time ?? 0);
  }

  private drawLegend(probabilities: Record<string, number>): void {
    const entries = legend(probabilities, this.hidden, (label) => this.toggleCurve(label));
    byId("legend").replaceChildren(...entries);
  }

  private toggleCurve(label: string): void {
    if (!this.hidden.delete(label)) this.hidden.add(label);
    const pressed = document.activeElement?.textContent;
    if (this.recording) this.drawLegend(this.recording.prediction.probabilities);
    for (const button of byId("legend").children) {
      if (button.textContent === pressed) (button as HTMLElement).focus();
    }
    this.drawCanvases();
  }

  private drawCanvases(): void {
    if (!this.recording || this.section.hidden) return;
    const { timeline, probabilities, valence, arousal } = this.recording.prediction;
    const labels = Object.keys(probabilities);
    const palette = currentPalette();
    const curves = fitted(this.curves);
    if (curves) {
      const [context, box] = curves;
      const points = sampled(timeline, this.range, POINTS);
      const { hidden, range } = this;
      drawCurves(context, box, { points, labels, hidden, range, nameOf: emotionName }, palette);
    }
    this.curves.setAttribute("aria-label", t("curvesText"));
    const affect = fitted(this.affect);
    const whole = valence === null || arousal === null ? null : { valence, arousal };
    if (affect) {
      const [context, box] = affect;
      drawAffect(
        context,
        plane(box),
        pathOf(timeline, STEPS),
        whole,
        labels,
        affectLabels(),
        palette,
      );
    }
    this.affect.setAttribute(
      "aria-label",
      whole
        ? t("affectText", { valence: number(whole.valence), arousal: number(whole.arousal) })
        : t("affectNone"),
    );
  }

  private moveTo(time: number): void {
    if (!this.recording) return;
    const { timeline, duration } = this.recording.prediction;
    const [from, to] = this.range;
    const share = (time - from) / (to - from || 1);
    const cursor = byId("curves-cursor");
    cursor.hidden = !this.playable || share < 0 || share > 1;
    cursor.style.left = `${share * 100}%`;
    const segment = segmentAt(timeline, time);
    this.moveDot(segment);
    byId("clock").textContent = `${clock(time)} / ${clock(duration)}`;
    this.slider.setAttribute("aria-valuemax", duration.toFixed(1));
    this.slider.setAttribute("aria-valuenow", time.toFixed(1));
    const words = {
      time: clock(time),
      all: clock(duration),
      emotion: segment ? predictionName(segment) : emotionName(null),
    };
    this.slider.setAttribute("aria-valuetext", t("positionOf", words));
    markRow(byId("segments"), time);
    this.drawReadout(time);
  }

  private moveDot(segment: Segment | undefined): void {
    const here = byId("affect-dot");
    const { clientWidth: width, clientHeight: height } = this.affect;
    here.hidden = !segment || segment.valence === null || segment.arousal === null || !width;
    if (here.hidden || !segment) return;
    const plot = plane({ left: 0, top: 0, width, height });
    const [x, y] = at(plot, { valence: segment.valence ?? 0, arousal: segment.arousal ?? 0 });
    here.style.transform = `translate(${x}px, ${y}px)`;
  }

  /** Write the probabilities at a time. */
  private drawReadout(time: number): void {
    const segment = this.recording && segmentAt(this.recording.prediction.timeline, time);
    if (!segment) return;
    const emotionsNow = ranked(segment.probabilities)
      .slice(0, READOUT)
      .map(([label, value]) => `${emotionName(label)} ${number(value)}`);
    const emotions = emotionsNow.length ? emotionsNow.join(" · ") : t("noSpeech");
    byId("readout").textContent = t("readout", { time: clock(time), emotions });
  }

  private view(range: Range): void {
    if (range[0] === this.range[0] && range[1] === this.range[1]) return;
    this.range = range;
    this.drawCanvases();
    this.moveTo(this.player?.time ?? 0);
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
  private bindPointer(picture: HTMLElement): void {
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
        const segment = segmentAt(this.segments, time);
        if (segment) this.play(segment);
      },
      select: (range, done) => {
        if (done) this.player?.loop(range);
        else this.player?.select(range);
      },
    });
    picture.addEventListener("pointermove", (event) => this.drawReadout(timeAt(event)));
    picture.addEventListener("pointerleave", () => this.drawReadout(this.player?.time ?? 0));
  }

  private onKey(event: KeyboardEvent): void {
    if (!this.player || !this.recording) return;
    const { duration } = this.recording.prediction;
    const step = event.shiftKey ? 5 : 1;
    const { time } = this.player;
    const moves: Record<string, () => void> = {
      ArrowLeft: () => this.player?.seek(time - step),
      ArrowDown: () => this.player?.seek(time - step),
      ArrowRight: () => this.player?.seek(time + step),
      ArrowUp: () => this.player?.seek(time + step),
      PageDown: () => this.player?.seek(time - 10),
      PageUp: () => this.player?.seek(time + 10),
      Home: () => this.player?.seek(0),
      End: () => this.player?.seek(duration),
      " ": () => this.player?.toggle(),
      Enter: () => this.player?.toggle(),
      Escape: () => this.player?.select(null),
    };
    const move = moves[event.key];
    if (!move) return;
    event.preventDefault();
    move();
  }

  private cannotPlay(): void {
    this.player?.destroy();
    this.player = null;
    this.playable = false;
    this.draw();
  }
}
