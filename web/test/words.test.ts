import { expect, test, vi } from "vitest";

vi.hoisted(() => Object.assign(globalThis, { matchMedia: () => ({ matches: false }) })); // no browser

import html from "../index.html?raw";
import { colourOf, dashOf, EMOTIONS } from "../src/emotions";
import { t } from "../src/i18n";
import { en } from "../src/words/en";
import { inChinese } from "../src/words/model-facts";
import { zh } from "../src/words/zh";

const CARD = { light: "#ffffff", dark: "#1a2029" }; // --card of style.css

const scripts = import.meta.glob<string>("../src/*.ts", {
  query: "?raw",
  import: "default",
  eager: true,
});
const manifests = import.meta.glob<{ licence: string; scores: { protocol: string }[] }>(
  "../../src/serein/inference/pretrained/*/manifest.json",
  { import: "default", eager: true },
);
const sources = [html, ...Object.values(scripts)].join("\n");

test("both languages have the same words, with the same blanks to fill", () => {
  expect(Object.keys(zh)).toEqual(Object.keys(en));
  const blanks = (text: string): string[] => [...text.matchAll(/\{(\w+)\}/g)].map(String).sort();
  for (const [key, text] of Object.entries(en)) {
    expect(blanks(zh[key as keyof typeof en]), key).toEqual(blanks(text));
    expect(text, key).not.toBe("");
  }
});

test("one is told from several", () => {
  expect(t("removed", { count: 1 })).toBe("1 recording removed.");
  expect(t("removed", { count: 2 })).toBe("2 recordings removed.");
  const plural = /\{(\w+)\} (?:recordings|speakers|utterances|segments)\b/;
  expect(Object.values(en).filter((text) => plural.test(text))).toEqual([]);
});

test("what the bundles say of themselves is in Chinese too", () => {
  const facts = Object.values(manifests).flatMap(({ licence, scores }) => [
    licence,
    ...scores.map(({ protocol }) => protocol),
  ]);
  expect(facts.length).toBeGreaterThan(10);
  expect(facts.filter((text) => inChinese(text) === null)).toEqual([]);
});

test("Chinese has full-width punctuation, and the words of the field", () => {
  const texts = Object.values(zh);
  const narrow = /[\u4e00-\u9fff][,:;?!.]|[,:;?!][\u4e00-\u9fff]|\d %/;
  expect(texts.filter((text) => narrow.test(text))).toEqual([]);
  expect(texts.filter((text) => /预测|服务(?!端)|(?<!自)适应|情绪识别/.test(text))).toEqual([]);
});

test("every word is used", () => {
  const plain = Object.keys(en).filter((key) => !/^(error|column|state)_/.test(key));
  expect(plain.filter((key) => !sources.includes(`"${key}"`))).toEqual([]);
});

test("every word that the page names is there", () => {
  const named = [...sources.matchAll(/data-t(?:-label)?="(\w+)"/g)].map((match) => match[1]);
  expect(named.filter((key) => key && !(key in en))).toEqual([]);
});

test("colours of emotions stand out from their ground by 3 : 1", () => {
  for (const name of [...Object.keys(EMOTIONS), ..."abcdef"]) {
    for (const shade of ["light", "dark"] as const) {
      const contrast = ratio(colourOf(name, shade === "dark"), CARD[shade]);
      expect(contrast, `${name} on ${shade}`).toBeGreaterThanOrEqual(3);
    }
  }
});

test("the curve of each emotion has a kind of line of its own", () => {
  const labels = Object.keys(EMOTIONS);
  expect(new Set(labels.map((label) => dashOf(label, labels).join())).size).toBe(labels.length);
});

function ratio(one: string, other: string): number {
  const [dark, light] = [luminance(one), luminance(other)].sort((left, right) => left - right);
  return ((light as number) + 0.05) / ((dark as number) + 0.05);
}

function luminance(colour: string): number {
  const [red, green, blue] = [1, 3, 5].map((at) => {
    const value = parseInt(colour.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
