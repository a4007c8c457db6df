/** Sound that the browser decodes, and the extremes from which waveforms are drawn. */

import { toPcm16, wavFile } from "./wav";

export const RATE_HZ = 16_000;

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

/** The same sound as a file that every service can read. */
export async function asWav(sound: Blob): Promise<Blob> {
  return wavFile([toPcm16(await decode(sound))], RATE_HZ);
}

/** Greatest size, in each of `columns` equal parts, of the average of the channels. */
export function peaksOf(channels: readonly ArrayLike<number>[], columns: number): Float32Array {
  const peaks = new Float32Array(columns);
  const length = channels[0]?.length ?? 0;
  for (let column = 0; column < columns; column++) {
    const from = Math.floor((column * length) / columns);
    const to = Math.max(from + 1, Math.floor(((column + 1) * length) / columns));
    let peak = 0;
    for (let index = from; index < Math.min(to, length); index++) {
      let sum = 0;
      for (const samples of channels) sum += samples[index] as number;
      peak = Math.max(peak, Math.abs(sum));
    }
    peaks[column] = peak / (channels.length || 1);
  }
  return peaks;
}
