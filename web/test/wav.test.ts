import { expect, test } from "vitest";

import { toPcm16, wavFile } from "../src/wav";

const text = (view: DataView, at: number): string =>
  String.fromCharCode(...new Uint8Array(view.buffer, at, 4));

test("samples become 16-bit numbers, and what is too loud is cut", () => {
  const samples = new Float32Array([0, 0.5, 1, -1, 1.5, -2]);
  expect([...toPcm16(samples)]).toEqual([0, 16384, 32767, -32768, 32767, -32768]);
});

test("a WAV file says its rate, one channel, 16 bits, and how long it is", async () => {
  const chunks = [new Int16Array([1, -2]), new Int16Array([300])];
  const view = new DataView(await wavFile(chunks, 48_000).arrayBuffer());
  expect([0, 8, 12, 36].map((at) => text(view, at))).toEqual(["RIFF", "WAVE", "fmt ", "data"]);
  expect(view.byteLength).toBe(44 + 6);
  expect(view.getUint32(4, true)).toBe(view.byteLength - 8);
  expect(view.getUint16(20, true)).toBe(1);
  expect(view.getUint16(22, true)).toBe(1);
  expect(view.getUint32(24, true)).toBe(48_000);
  expect(view.getUint32(28, true)).toBe(96_000);
  expect(view.getUint16(34, true)).toBe(16);
  expect(view.getUint32(40, true)).toBe(6);
  expect([44, 46, 48].map((at) => view.getInt16(at, true))).toEqual([1, -2, 300]);
});
