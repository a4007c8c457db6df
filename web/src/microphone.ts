/** The microphone, as chunks of 16-bit samples at 16 kHz, or else at the device's own rate. */

import { RATE_HZ } from "./audio";
import worklet from "./microphone-worklet?worker&url";

export type Chunk = Int16Array<ArrayBuffer>;

export interface Microphone {
  rate: number;
  close: () => void;
}

/** Browsers hide the microphone from pages that came over an open line. */
export function microphoneAllowedHere(): boolean {
  return "mediaDevices" in navigator;
}

export async function openMicrophone(
  onChunk: (chunk: Chunk) => void,
  onGone: () => void,
): Promise<Microphone> {
  const stream = await navigator.mediaDevices.getUserMedia({
    // What makes calls pleasant to hear also takes away what a voice says about its speaker.
    audio: {
      channelCount: 1,
      echoCancellation: false,
      noiseSuppression: false,
      autoGainControl: false,
    },
  });
  const [context, source] = listening(stream);
  const close = (): void => {
    stream.getTracks().forEach((track) => track.stop());
    void context.close();
  };
  try {
    await context.resume();
    await context.audioWorklet.addModule(worklet);
  } catch (error) {
    close();
    throw error;
  }
  const node = new AudioWorkletNode(context, "microphone", { numberOfOutputs: 0 });
  node.port.onmessage = ({ data }: MessageEvent<Chunk>): void => onChunk(data);
  source.connect(node);
  stream.getTracks().forEach((track) => track.addEventListener("ended", onGone));
  return { rate: context.sampleRate, close };
}

/** At the rate of the models, of which an hour has 115 MB; not all browsers can resample. */
function listening(stream: MediaStream): [AudioContext, MediaStreamAudioSourceNode] {
  const context = new AudioContext({ sampleRate: RATE_HZ });
  try {
    return [context, context.createMediaStreamSource(stream)];
  } catch {
    void context.close();
    const own = new AudioContext();
    return [own, own.createMediaStreamSource(stream)];
  }
}
