/** Plays a recording, and shows its waveform, timeline and spectrogram. */

import WaveSurfer from "wavesurfer.js";
import RegionsPlugin from "wavesurfer.js/plugins/regions";
import SpectrogramPlugin from "wavesurfer.js/plugins/spectrogram";

import { outlineOf, peaksOf, RATE_HZ } from "./audio";
import { drawWave, type Range } from "./canvas";
import { colourOf } from "./emotions";
import { segmentAt, type Segment } from "./segments";
import { drawStripe } from "./stripe";
import { currentPalette, type Palette } from "./theme";

export const SPECTROGRAM_UP_TO_S = 600;

const BAR_PX = 3;
const WAVE_PX = 96;
const SPECTROGRAM_PX = 110;
const HIGHEST_HZ = 5500;
const HZ_STEP = 1000;
const NARROWEST_VIEW_S = 10;
const LEAST_ZOOM = 20; // of the closest view
const SEEK_TOLERANCE_S = 0.05; // browsers seek to a frame of the sound
const SOUND_RGB = [0.34, 0.45, 0.57];

export interface PlayerHandlers {
  onTime: (time: number) => void;
  onPlaying: (playing: boolean) => void;
  onView: (range: Range) => void;
}

/** What is shown with the sound. */
export interface Shown {
  timeline: readonly Segment[];
  /** The timeline, merged. */
  segments: readonly Segment[];
  /** From 1; the mix, if null. */
  channel: number | null;
}

export class Player {
  readonly ready: Promise<void>;
  private readonly wave: WaveSurfer;
  private readonly regions = RegionsPlugin.create();
  private target: number | null = null; // of a seek that goes on
  private range: Range;
  private selected: Range | null = null; // is played in a loop
  private drawing = 0;

  constructor(
    container: HTMLElement,
    sound: Blob,
    readonly duration: number,
    private shown: Shown,
    handlers: PlayerHandlers,
  ) {
    this.range = [0, duration];
    const long = duration > SPECTROGRAM_UP_TO_S;
    this.wave = WaveSurfer.create({
      container,
      height: WAVE_PX,
      sampleRate: RATE_HZ,
      cursorWidth: 2,
      interact: false, // the view's gestures do more
      renderFunction: (_, context) => this.drawSound(context),
      plugins: long ? [this.regions] : [this.regions, spectrogram()],
      ...colours(currentPalette()),
    });
    this.bind(handlers);
    this.ready = new Promise((resolve, reject) => {
      this.wave.on("error", reject); // loading itself waits for ever for what cannot be played
      const outlined = long ? outlineOf(sound) : Promise.resolve(undefined);
      outlined
        .then((outline) => this.wave.loadBlob(sound, outline, outline && duration))
        .then(() => resolve(this.drawStripe()), reject);
    });
  }

  /** The position; during a seek, its target, for a browser may still report the old position. */
  get time(): number {
    return this.target ?? this.wave.getCurrentTime();
  }

  get playing(): boolean {
    return this.wave.isPlaying();
  }

  toggle(): void {
    void this.wave.playPause();
  }

  play(start: number, end: number): void {
    this.target = null;
    this.select(null);
    void this.wave.play(start, end);
  }

  /** Play a range over and over, until something else is played or sought. */
  loop(range: Range): void {
    this.select(range);
    this.target = null;
    void this.wave.play(range[0]);
  }

  /** Mark a range of the sound. */
  select(range: Range | null): void {
    if (range === this.selected) return;
    this.selected = range;
    this.drawStripe();
  }

  setSpeed(speed: number): void {
    this.wave.setPlaybackRate(speed, true);
  }

  seek(time: number): void {
    this.target = Math.max(0, Math.min(this.duration, time));
    if (this.selected && !contains(this.selected, this.target)) this.select(null);
    this.wave.setTime(this.target);
  }

  /** Show from the whole recording, at 0, to the closest view, at 1. */
  zoom(closeness: number): void {
    const closest = Math.max(LEAST_ZOOM, this.duration / NARROWEST_VIEW_S);
    const width = closest ** closeness * this.wave.getWidth();
    this.wave.zoom(closeness <= 0 ? 0 : width / this.duration);
    this.drawSoon(); // there is more room for names now
  }

  peaks(columns: number): Float32Array {
    return peaksOf(this.channels, columns);
  }

  /** Take other predictions of the same sound, to be shown by the next `redraw`. */
  show(shown: Shown): void {
    this.shown = shown;
  }

  redraw(): void {
    this.wave.setOptions(colours(currentPalette()));
    if (this.wave.getDecodedData()) this.drawStripe();
  }

  destroy(): void {
    cancelAnimationFrame(this.drawing);
    this.wave.destroy();
  }

  /** How many channels the sound has, once it is read. */
  get channelCount(): number {
    return this.wave.getDecodedData()?.numberOfChannels ?? 0;
  }

  /** The samples of those that are shown. */
  private get channels(): Float32Array[] {
    const sound = this.wave.getDecodedData();
    if (!sound) return [];
    const { channel } = this.shown;
    if (channel && channel <= sound.numberOfChannels) return [sound.getChannelData(channel - 1)];
    return Array.from({ length: sound.numberOfChannels }, (_, one) => sound.getChannelData(one));
  }

  private bind({ onTime, onPlaying, onView }: PlayerHandlers): void {
    const { wave } = this;
    wave.on("timeupdate", () => {
      if (this.playing && this.selected && this.time >= this.selected[1]) this.loop(this.selected);
      onTime(this.time);
    });
    const media = wave.getMediaElement();
    media?.addEventListener("seeked", () => {
      if (!media.seeking && (this.playing || this.isAtTarget(media))) this.target = null;
    });
    wave.on("play", () => {
      this.target = null;
      onPlaying(true);
    });
    wave.on("pause", () => onPlaying(false));
    wave.on("finish", () => {
      if (this.selected) this.loop(this.selected);
      else onPlaying(false);
    });
    wave.on("scroll", (from, to) => {
      this.range = [from, Math.min(to, this.duration)];
      this.drawSoon();
      onView(this.range);
    });
  }

  /** Tell whether a seek has arrived; the media may end before the service's duration. */
  private isAtTarget(media: HTMLMediaElement): boolean {
    const target = Math.min(this.target ?? 0, media.duration);
    return Math.abs(media.currentTime - target) < SEEK_TOLERANCE_S;
  }

  /** Draw one canvas of the waveform; a zoomed one has several, each at its own offset. */
  private drawSound(context: CanvasRenderingContext2D): void {
    const { canvas } = context;
    const { dark } = currentPalette();
    const scale = canvas.width / (parseFloat(canvas.style.width) || canvas.clientWidth || 1);
    const all = this.wave.getWrapper().scrollWidth * scale;
    const left = (parseFloat(canvas.style.left) || 0) * scale;
    const bars = Math.max(1, Math.round(canvas.width / (BAR_PX * scale)));
    const box = { left: 0, top: 0, width: canvas.width, height: canvas.height };
    const [from, to] = [left / all, (left + canvas.width) / all];
    const parts = this.channels.map((samples) =>
      samples.subarray(Math.floor(from * samples.length), Math.ceil(to * samples.length)),
    );
    drawWave(context, box, peaksOf(parts, bars), (share) => {
      const time = ((left + share * canvas.width) / all) * this.duration;
      return colourOf(segmentAt(this.shown.timeline, time)?.emotion ?? null, dark);
    });
  }

  private drawSoon(): void {
    cancelAnimationFrame(this.drawing);
    this.drawing = requestAnimationFrame(() => this.drawStripe());
  }

  private drawStripe(): void {
    const { range, selected } = this;
    const pxPerSecond = this.wave.getWrapper().scrollWidth / this.duration;
    drawStripe(this.regions, this.shown.segments, { range, pxPerSecond, selected });
  }
}

/** Frequencies of the spectrogram, with their distance from the top of the waveform. */
export function frequencies(): { hz: number; top: number }[] {
  return Array.from({ length: Math.floor(HIGHEST_HZ / HZ_STEP) }, (_, index) => {
    const hz = (index + 1) * HZ_STEP;
    return { hz, top: WAVE_PX + SPECTROGRAM_PX * (1 - hz / HIGHEST_HZ) };
  });
}

function contains([from, to]: Range, time: number): boolean {
  return from <= time && time <= to;
}

function colours(palette: Palette): { progressColor: string; cursorColor: string } {
  return {
    progressColor: palette.dark ? "rgb(255 255 255 / 0.35)" : "rgb(20 24 40 / 0.28)",
    cursorColor: palette.ink,
  };
}

/** One colour, the denser the louder: it is seen on light and on dark ground. */
function spectrogram(): SpectrogramPlugin {
  return SpectrogramPlugin.create({
    height: SPECTROGRAM_PX,
    fftSamples: 512,
    frequencyMax: HIGHEST_HZ,
    scale: "linear",
    rangeDB: 60,
    preEmphasis: 6,
    autoGain: true,
    colorMap: Array.from({ length: 256 }, (_, level) => [...SOUND_RGB, (level / 255) ** 0.65]),
    useWebWorker: true,
    labels: false,
  });
}
