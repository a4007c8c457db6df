/** A table that is given with the recordings: speakers, languages, and groups to compare. */

import Papa from "papaparse";

import { pathOf, type Job } from "./jobs";

const FILE_COLUMNS = ["file", "path", "filename", "name", "recording"];

export interface FactTable {
  name: string;
  columns: string[];
  /** Rows by the path of their recording. */
  rows: Map<string, Record<string, string>>;
}

export function isTable(name: string): boolean {
  return /\.(csv|tsv)$/i.test(name);
}

/** Read a table; null where no column names recordings. */
export function readTable(name: string, text: string): FactTable | null {
  const { data, meta } = Papa.parse<Record<string, string>>(text.replace(/^\uFEFF/, ""), {
    header: true,
    skipEmptyLines: "greedy",
    transformHeader: (head) => head.trim().toLowerCase(),
    transform: (cell) => cell.trim(),
  });
  const columns = (meta.fields ?? []).filter((column) => column !== "");
  const file = FILE_COLUMNS.find((column) => columns.includes(column));
  if (!file) return null;
  const rows = new Map(data.map((row) => [path(row[file] ?? ""), row]));
  for (const [place, row] of [...rows]) {
    const last = place.split("/").at(-1) as string; // recordings may come without their folder
    if (!rows.has(last)) rows.set(last, row);
  }
  return { name, columns: columns.filter((column) => column !== file), rows };
}

/** Give the recordings what the table says of them; return how many it names. */
export function applyTable(table: FactTable, jobs: readonly Job[]): number {
  let named = 0;
  for (const job of jobs) {
    const row = rowOf(table, job);
    if (!row) continue;
    named += 1;
    const told = table.columns.map((column) => [column, row[column] ?? ""] as const);
    Object.assign(job.facts, Object.fromEntries(told.filter(([, value]) => value !== "")));
  }
  return named;
}

/** The row that names a recording by its path, or the end of it. */
function rowOf({ rows }: FactTable, job: Job): Record<string, string> | undefined {
  const parts = path(pathOf(job)).split("/");
  for (let from = 0; from < parts.length; from++) {
    const row = rows.get(parts.slice(from).join("/"));
    if (row) return row;
  }
  return undefined;
}

function path(text: string): string {
  return text
    .normalize("NFC")
    .replaceAll("\\", "/")
    .replace(/^(\.?\/)+/, "");
}
