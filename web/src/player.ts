/** Plays a recording, and shows its waveform, timeline and spectrogram. */

import WaveSurfer from "wavesurfer.js";
import RegionsPlugin from "wavesurfer.js/plugins/regions";
import SpectrogramPlugin from "wavesurfer.js/plugins/spectrogram";
import TimelinePlugin from "wavesurfer.js/plugins/timeline";

import { peaksOf, RATE_HZ } from "./audio";
import { drawWave, type Range } from "./canvas";
import { colourOf } from "./emotions";
import { clock } from "./format";
import { emotionName } from "./i18n";
import { currentPalette, type Palette } from "./theme";
import { coarse, segmentAt, type Segment } from "./segments";

export const SPECTROGRAM_UP_TO_S = 600;

const REGIONS = 80;
const BAR_PX = 3;
const HIGHEST_HZ = 5500;
const SEEK_TOLERANCE_S = 0.05; // browsers seek to a frame of the sound
const NARROWEST_NAME_PX = 64; // a narrower region has no room for its name
const SOUND_RGB = [0.34, 0.45, 0.57];

export interface PlayerHandlers {
  onTime: (time: number) => void;
  onPlaying: (playing: boolean) => void;
  onView: (range: Range) => void;
  onSegment: (segment: Segment) => void;
}

export class Player {
  readonly ready: Promise<void>;
  private readonly wave: WaveSurfer;
  private readonly regions = RegionsPlugin.create();
  private readonly segments: Segment[];
  private target: number | null = null; // of a seek that goes on

  constructor(
    container: HTMLElement,
    sound: Blob,
    private readonly timeline: readonly Segment[],
    private readonly duration: number,
    handlers: PlayerHandlers,
  ) {
    this.segments = coarse(timeline, REGIONS);
    const long = duration > SPECTROGRAM_UP_TO_S;
    const palette = currentPalette();
    this.wave = WaveSurfer.create({
      container,
      height: 96,
      sampleRate: long ? 8000 : RATE_HZ,
      cursorWidth: 2,
      dragToSeek: true,
      renderFunction: (peaks, context) => this.drawSound(peaks, context),
      plugins: long ? [this.regions] : [this.regions, spectrogram()],
      ...colours(palette),
    });
    this.wave.registerPlugin(
      TimelinePlugin.create({
        height: 18,
        secondaryLabelOpacity: 0.75,
        formatTimeCallback: (time) => clock(time, 0),
      }),
    );
    this.wave.on("timeupdate", () => handlers.onTime(this.time));
    const media = this.wave.getMediaElement();
    media?.addEventListener("seeked", () => {
      if (!media.seeking && (this.playing || this.isAtTarget(media))) this.target = null;
    });
    this.wave.on("interaction", () => (this.target = null)); // a click or drag seeks elsewhere
    this.wave.on("play", () => {
      this.target = null;
      handlers.onPlaying(true);
    });
    this.wave.on("pause", () => handlers.onPlaying(false));
    this.wave.on("finish", () => handlers.onPlaying(false));
    this.wave.on("scroll", (from, to) => handlers.onView([from, Math.min(to, duration)]));
    this.regions.on("region-clicked", (region, event) => {
      event.stopPropagation();
      const segment = this.segments[Number(region.id)];
      if (segment) handlers.onSegment(segment);
    });
    this.ready = new Promise((resolve, reject) => {
      this.wave.on("error", reject); // loading itself waits for ever for what cannot be played
      this.wave.loadBlob(sound).then(() => resolve(this.drawRegions()), reject);
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
    void this.wave.play(start, end);
  }

  seek(time: number): void {
    this.target = Math.max(0, Math.min(this.duration, time));
    this.wave.setTime(this.target);
  }

  /** Show `factor` times as wide as the page; 1 is the whole recording. */
  zoom(factor: number): void {
    this.wave.zoom(factor <= 1 ? 0 : (factor * this.wave.getWidth()) / this.duration);
    this.drawRegions(); // which have more room for their names now
  }

  peaks(columns: number): Float32Array {
    return Float32Array.from(this.wave.exportPeaks({ maxLength: columns })[0] ?? [], Math.abs);
  }

  redraw(): void {
    this.wave.setOptions(colours(currentPalette()));
    if (this.wave.getDecodedData()) this.drawRegions();
  }

  destroy(): void {
    this.wave.destroy();
  }

  /** Tell whether a seek has arrived; the media may end before the service's duration. */
  private isAtTarget(media: HTMLMediaElement): boolean {
    const target = Math.min(this.target ?? 0, media.duration);
    return Math.abs(media.currentTime - target) < SEEK_TOLERANCE_S;
  }

  /** Draw one canvas of the waveform; a zoomed one has several, each at its own offset. */
  private drawSound(peaks: (Float32Array | number[])[], context: CanvasRenderingContext2D): void {
    const { canvas } = context;
    const { dark } = currentPalette();
    const scale = canvas.width / (parseFloat(canvas.style.width) || canvas.clientWidth || 1);
    const all = this.wave.getWrapper().scrollWidth * scale;
    const left = (parseFloat(canvas.style.left) || 0) * scale;
    const samples = peaks[0] ?? [];
    const bars = Math.max(1, Math.round(canvas.width / (BAR_PX * scale)));
    const box = { left: 0, top: 0, width: canvas.width, height: canvas.height };
    drawWave(context, box, peaksOf(samples, bars), (share) => {
      const time = ((left + share * canvas.width) / all) * this.duration;
      return colourOf(segmentAt(this.timeline, time)?.emotion ?? null, dark);
    });
  }

  private drawRegions(): void {
    const palette = currentPalette();
    this.regions.clearRegions();
    this.segments.forEach((segment, index) => {
      const share = (segment.end - segment.start) / this.duration;
      const wide = share * this.wave.getWrapper().scrollWidth >= NARROWEST_NAME_PX;
      const region = this.regions.addRegion({
        id: String(index),
        start: segment.start,
        end: segment.end,
        drag: false,
        resize: false,
        color: "transparent",
        ...(wide ? { content: label(segment, palette) } : {}),
      });
      if (region.element) edge(region.element, segment, palette);
    });
  }
}

function label(segment: Segment, palette: Palette): HTMLElement {
  const label = document.createElement("span");
  label.textContent = emotionName(segment.emotion);
  Object.assign(label.style, {
    display: "inline-block",
    margin: "4px 0 0 4px",
    padding: "0 5px",
    borderRadius: "4px",
    font: "600 11px/16px system-ui, sans-serif",
    color: segment.emotion === null ? palette.muted : palette.ink,
    background: palette.card,
    opacity: "0.9",
    whiteSpace: "nowrap",
  });
  return label;
}

function edge(element: HTMLElement, segment: Segment, palette: Palette): void {
  Object.assign(element.style, {
    borderTop: `3px solid ${colourOf(segment.emotion, palette.dark)}`,
    borderRadius: "0",
    boxSizing: "border-box",
    cursor: "pointer",
  });
  const name = emotionName(segment.emotion);
  element.title = `${clock(segment.start)} – ${clock(segment.end)}  ${name}`;
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
    height: 110,
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
