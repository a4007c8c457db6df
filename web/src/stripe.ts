/** The stripe over the waveform: the segments in view, with the names that fit. */

import type RegionsPlugin from "wavesurfer.js/plugins/regions";

import type { Range } from "./canvas";
import { colourOf } from "./emotions";
import { clock } from "./format";
import { emotionName } from "./i18n";
import { coarse, inRange, type Segment } from "./segments";
import { currentPalette, type Palette } from "./theme";

const MOST = 80; // stretches drawn at once
const NARROWEST_NAME_PX = 64; // a narrower one has no room for its name

type Regions = ReturnType<typeof RegionsPlugin.create>;

export interface View {
  range: Range;
  /** Of the sound in view. */
  pxPerSecond: number;
  selected: Range | null;
}

/** Draw the segments in view; where there are too many, the most frequent of each part. */
export function drawStripe(
  regions: Regions,
  segments: readonly Segment[],
  { range, pxPerSecond, selected }: View,
): void {
  const palette = currentPalette();
  const inside = inRange(segments, range);
  const exact = inside.length <= MOST;
  regions.clearRegions();
  for (const segment of exact ? inside : coarse(inside, range, MOST)) {
    const width = (segment.end - segment.start) * pxPerSecond;
    const wide = width >= NARROWEST_NAME_PX && segment.emotion !== null;
    const { element } = regions.addRegion({
      ...span(segment.start, segment.end, "transparent"),
      ...(wide ? { content: label(segment, palette) } : {}),
    });
    if (element) edge(element, segment, exact, palette);
  }
  if (!selected) return;
  const colour = palette.dark ? "rgb(132 199 228 / 0.3)" : "rgb(31 99 130 / 0.22)";
  regions.addRegion({ ...span(...selected, colour), id: "selection" });
}

function span(start: number, end: number, color: string) {
  return { start, end, color, drag: false, resize: false };
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
    color: palette.ink,
    background: palette.card,
    opacity: "0.9",
    whiteSpace: "nowrap",
  });
  return label;
}

function edge(element: HTMLElement, segment: Segment, exact: boolean, palette: Palette): void {
  Object.assign(element.style, {
    borderTop: `3px solid ${colourOf(segment.emotion, palette.dark)}`,
    borderRadius: "0",
    boxSizing: "border-box",
    cursor: "pointer",
  });
  const name = emotionName(segment.emotion);
  if (exact) element.title = `${clock(segment.start)} – ${clock(segment.end)}  ${name}`;
}
