import { expect, test } from "vitest";

const sources = import.meta.glob<string>("../src/**/*.ts", {
  query: "?raw",
  import: "default",
  eager: true,
});

/** The files of src that a file imports. */
function imported(file: string): string[] {
  const found = (sources[file] as string).matchAll(/from "(\.[^"]+)"/g);
  return [...found].map(([, path]) => new URL(`${path}.ts`, `file:///${file}`).pathname);
}

const graph = new Map(
  Object.keys(sources).map((file) => [new URL(`file:///${file}`).pathname, imported(file)]),
);

/** A circle of imports that a file is part of, if there is one. */
function circle(file: string, path: string[] = []): string[] | null {
  if (path.includes(file)) return [...path, file];
  for (const next of graph.get(file) ?? []) {
    const found = circle(next, [...path, file]);
    if (found) return found;
  }
  return null;
}

test("no file imports itself, directly or through others", () => {
  expect(graph.size).toBeGreaterThan(20);
  expect([...graph.values()].flat().filter((file) => graph.has(file)).length).toBeGreaterThan(60);
  expect([...graph.keys()].map((file) => circle(file)).filter(Boolean)).toEqual([]);
});
