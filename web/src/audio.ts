/** Sound that the browser decodes, and the extremes from which waveforms are drawn. */

import { toPcm16, wavFile } from "./wav";

export const RATE_HZ = 16_000;

const OUTLINED_HZ = 8000;
const OUTLINE_HZ = 50; // parts a second
const PARTS_AT_ONCE = 5000;

/** Decode any sound the browser knows, into one channel at 16 kHz. */
export async function decode(sound: Blob): Promise<Float32Array> {
  const context = new OfflineAudioContext(1, 1, RATE_HZ);
  const buffer = await context.decodeAudioData(await sound.arrayBuffer());
  if (buffer.numberOfChannels === 1) return buffer.getChannelData(0);
  const mono = new Float32Array(buffer.length);
  for (let channel = 0; channel < buffer.numberOfChannels; channel++) {
    const samples = buffer.getChannelData(channel);
    for (let index = 0; index < mono.length; index++) {
      mono[index] = (mono[index] as number) + (samples[index] as number) / buffer.numberOfChannels;
    }
  }
  return mono;
}

/** The outline of a long sound: the greatest sample of each short part, channel by channel. */
export async function outlineOf(sound: Blob): Promise<Float32Array[]> {
  const context = new OfflineAudioContext(1, 1, OUTLINED_HZ);
  const buffer = await context.decodeAudioData(await sound.arrayBuffer());
  const parts = Math.ceil(buffer.duration * OUTLINE_HZ);
  const outline: Float32Array[] = [];
  for (let channel = 0; channel < buffer.numberOfChannels; channel++) {
    const [samples, peaks] = [buffer.getChannelData(channel), new Float32Array(parts)];
    for (let part = 0; part < parts; part += PARTS_AT_ONCE) {
      const count = Math.min(PARTS_AT_ONCE, parts - part);
      const [from, to] = [part, part + count].map((at) => Math.round((at / parts) * samples.length));
      peaks.set(peaksOf([samples.subarray(from, to)], count), part);
      await new Promise((resolve) => setTimeout(resolve)); // the page goes on meanwhile
    }
    outline.push(peaks);
  }
  return outline;
}

/** The same sound as a file that every service can read. */
export async function asWav(sound: Blob): Promise<Blob> {
  return wavFile([toPcm16(await decode(sound))], RATE_HZ);
}

/** Greatest size, in each of `columns` equal parts, of the average of the channels. */
export function peaksOf(channels: readonly ArrayLike<number>[], columns: number): Float32Array {
  const peaks = new Float32Array(columns);
  const [first, ...others] = channels;
  const length = first?.length ?? 0;
  for (let column = 0; column < columns; column++) {
    const from = Math.floor((column * length) / columns);
    const to = Math.max(from + 1, Math.floor(((column + 1) * length) / columns));
    let peak = 0;
    for (let index = from; index < Math.min(to, length); index++) {
      let sum = first?.[index] as number;
      for (let other = 0; other < others.length; other++) sum += others[other]?.[index] as number;
      if (sum < 0) sum = -sum;
      if (sum > peak) peak = sum;
    }
    peaks[column] = peak / (channels.length || 1);
  }
  return peaks;
}
