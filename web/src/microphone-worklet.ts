/** Runs on the audio thread: cuts what the microphone hears into chunks of 16-bit samples. */

declare const sampleRate: number;
declare class AudioWorkletProcessor {
  readonly port: MessagePort;
}
declare function registerProcessor(name: string, of: new () => AudioWorkletProcessor): void;

const CHUNK_S = 0.05;

class Microphone extends AudioWorkletProcessor {
  private chunk = new Int16Array(Math.round(sampleRate * CHUNK_S));
  private filled = 0;

  process([channels]: Float32Array[][]): boolean {
    for (const sample of channels?.[0] ?? []) {
      const value = Math.max(-1, Math.min(1, sample));
      this.chunk[this.filled++] = Math.round(value * (value < 0 ? 0x8000 : 0x7fff));
      if (this.filled === this.chunk.length) this.hand();
    }
    return true;
  }

  private hand(): void {
    this.port.postMessage(this.chunk, [this.chunk.buffer]);
    this.chunk = new Int16Array(Math.round(sampleRate * CHUNK_S));
    this.filled = 0;
  }
}

registerProcessor("microphone", Microphone);
