/** The legend of the curves, whose entries show and hide them. */

import { h } from "./dom";
import { colourOf, dashOf } from "./emotions";
import { emotionName } from "./i18n";
import { isDark } from "./theme";

export function drawLegend(
  place: HTMLElement,
  labels: readonly string[],
  hidden: Set<string>,
  onChange: () => void,
): void {
  const toggle = (label: string, index: number): void => {
    if (!hidden.delete(label)) hidden.add(label);
    drawLegend(place, labels, hidden, onChange);
    (place.children[index] as HTMLElement).focus();
    onChange();
  };
  const entries = labels.map((label, index) =>
    h(
      "button",
      {
        type: "button",
        "aria-pressed": String(!hidden.has(label)),
        onclick: () => toggle(label, index),
      },
      sample(label, labels),
      emotionName(label),
    ),
  );
  place.replaceChildren(...entries);
}

/** A piece of the curve's line, as the legend shows it. */
function sample(label: string, labels: readonly string[]): SVGSVGElement {
  const name = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(name, "svg");
  svg.setAttribute("class", "sample");
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS(name, "line");
  const ends = { x1: "0", y1: "5", x2: "28", y2: "5" };
  const look = {
    stroke: colourOf(label, isDark()),
    "stroke-width": "3",
    "stroke-dasharray": dashOf(label, labels).join(" "),
  };
  for (const [key, value] of Object.entries({ ...ends, ...look })) line.setAttribute(key, value);
  svg.append(line);
  return svg;
}
