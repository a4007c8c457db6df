/** WAV files: 16-bit PCM, one channel. */

const HEADER_BYTES = 44;

export function toPcm16(samples: Float32Array): Int16Array<ArrayBuffer> {
  const pcm = new Int16Array(samples.length);
  for (let index = 0; index < samples.length; index++) {
    const value = Math.max(-1, Math.min(1, samples[index] as number));
    pcm[index] = Math.round(value * (value < 0 ? 0x8000 : 0x7fff));
  }
  return pcm;
}

/** How long the file of so many samples is. */
export function wavBytes(samples: number): number {
  return HEADER_BYTES + 2 * samples;
}

export function wavFile(chunks: readonly Int16Array<ArrayBuffer>[], rate: number): Blob {
  const bytes = chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0);
  return new Blob([wavHeader(bytes, rate), ...chunks], { type: "audio/wav" });
}

function wavHeader(bytes: number, rate: number): ArrayBuffer {
  const header = new DataView(new ArrayBuffer(HEADER_BYTES));
  const word = (at: number, text: string): void => {
    for (let index = 0; index < 4; index++) header.setUint8(at + index, text.charCodeAt(index));
  };
  word(0, "RIFF");
  header.setUint32(4, HEADER_BYTES - 8 + bytes, true);
  word(8, "WAVE");
  word(12, "fmt ");
  header.setUint32(16, 16, true);
  header.setUint16(20, 1, true); // PCM
  header.setUint16(22, 1, true); // channels
  header.setUint32(24, rate, true);
  header.setUint32(28, rate * 2, true);
  header.setUint16(32, 2, true); // bytes a frame
  header.setUint16(34, 16, true); // bits a sample
  word(36, "data");
  header.setUint32(40, bytes, true);
  return header.buffer;
}
