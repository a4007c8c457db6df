/** Segments as files of annotation programs: Praat's TextGrid, ELAN's EAF, Audacity's labels. */

export interface Interval {
  start: number;
  end: number;
  text: string;
}

/** Intervals in order, without overlaps. */
export interface Tier {
  name: string;
  intervals: readonly Interval[];
}

/** Praat wants every moment of a tier in an interval: gaps are empty ones. */
export function textGrid(tiers: readonly Tier[], recordingS: number): string {
  const ends = tiers.map(({ intervals }) => intervals.at(-1)?.end ?? 0);
  const durationS = Math.max(recordingS, ...ends);
  const lines = [
    ...['File type = "ooTextFile"', 'Object class = "TextGrid"', ""],
    ...[`xmin = 0`, `xmax = ${s(durationS)}`, "tiers? <exists>"],
    ...[`size = ${tiers.length}`, "item []:"],
  ];
  tiers.forEach(({ name, intervals }, number) => {
    const all = filled(intervals, durationS);
    lines.push(
      ...[`    item [${number + 1}]:`, '        class = "IntervalTier"'],
      ...[`        name = ${quoted(name)}`, "        xmin = 0"],
      ...[`        xmax = ${s(durationS)}`, `        intervals: size = ${all.length}`],
    );
    all.forEach(({ start, end, text }, index) => {
      lines.push(
        ...[`        intervals [${index + 1}]:`, `            xmin = ${s(start)}`],
        ...[`            xmax = ${s(end)}`, `            text = ${quoted(text)}`],
      );
    });
  });
  return `${lines.join("\n")}\n`;
}

export function eaf(tiers: readonly Tier[], file: string, date: Date): string {
  const slots: string[] = [];
  const slot = (seconds: number): string => {
    const id = `ts${slots.length + 1}`;
    const value = Math.round(1000 * seconds);
    slots.push(`<TIME_SLOT TIME_SLOT_ID="${id}" TIME_VALUE="${value}"/>`);
    return id;
  };
  const annotation = ({ start, end, text }: Interval): string => {
    const [from, to] = [slot(start), slot(end)];
    const refs = `ANNOTATION_ID="a${slots.length / 2}" TIME_SLOT_REF1="${from}" TIME_SLOT_REF2="${to}"`;
    const value = `<ANNOTATION_VALUE>${escaped(text)}</ANNOTATION_VALUE>`;
    return `<ANNOTATION><ALIGNABLE_ANNOTATION ${refs}>${value}</ALIGNABLE_ANNOTATION></ANNOTATION>`;
  };
  const written = tiers.map(({ name, intervals }) => {
    const inner = intervals.map(annotation).join("\n");
    return `<TIER TIER_ID="${escaped(name)}" LINGUISTIC_TYPE_REF="default-lt">\n${inner}\n</TIER>`;
  });
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<ANNOTATION_DOCUMENT AUTHOR="serein" DATE="${date.toISOString()}" FORMAT="3.0" VERSION="3.0"`,
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"',
    'xsi:noNamespaceSchemaLocation="http://www.mpi.nl/tools/elan/EAFv3.0.xsd">',
    '<HEADER MEDIA_FILE="" TIME_UNITS="milliseconds">',
    `<MEDIA_DESCRIPTOR MEDIA_URL="./${escaped(file)}" MIME_TYPE="audio/*"/></HEADER>`,
    `<TIME_ORDER>${slots.join("\n")}</TIME_ORDER>`,
    ...written,
    '<LINGUISTIC_TYPE LINGUISTIC_TYPE_ID="default-lt" TIME_ALIGNABLE="true" GRAPHIC_REFERENCES="false"/>',
    "</ANNOTATION_DOCUMENT>\n",
  ].join("\n");
}

/** A line for each interval: start, end, text; all tiers in the order of time. */
export function audacityLabels(tiers: readonly Tier[]): string {
  return tiers
    .flatMap(({ intervals }) => intervals)
    .sort((one, other) => one.start - other.start)
    .map(({ start, end, text }) => `${start.toFixed(6)}\t${end.toFixed(6)}\t${printable(text)}\n`)
    .join("");
}

function filled(intervals: readonly Interval[], durationS: number): Interval[] {
  const all: Interval[] = [];
  let at = 0;
  for (const interval of intervals) {
    if (interval.start > at) all.push({ start: at, end: interval.start, text: "" });
    all.push({ ...interval, start: Math.max(at, interval.start) });
    at = interval.end;
  }
  if (at < durationS || !all.length) all.push({ start: at, end: durationS, text: "" });
  return all;
}

function s(seconds: number): string {
  return String(Number(seconds.toFixed(3)));
}

function quoted(text: string): string {
  return `"${printable(text).replaceAll('"', '""')}"`;
}

function escaped(text: string): string {
  const codes: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
  return printable(text).replace(/[&<>"]/g, (one) => codes[one] as string);
}

/** Without control characters, which neither format can hold. */
function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cs}]/gu, " ");
}
