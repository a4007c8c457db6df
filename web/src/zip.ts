/** ZIP files: written and read without holding up the page. */

import { unzip, zip, type AsyncZippable, type Unzipped } from "fflate";

const PACKED = /\.(csv|json|html|txt|TextGrid|eaf)$/;

export async function zipped(files: ReadonlyMap<string, string | Blob>): Promise<Blob> {
  const parts: AsyncZippable = {};
  for (const [name, content] of files) {
    const bytes = new Uint8Array(await new Blob([content]).arrayBuffer());
    parts[name] = [bytes, { level: PACKED.test(name) ? 6 : 0 }]; // sound does not get smaller
  }
  return new Promise((resolve, reject) =>
    zip(parts, (error, data) =>
      error
        ? reject(error)
        : resolve(new Blob([data as Uint8Array<ArrayBuffer>], { type: "application/zip" })),
    ),
  );
}

export async function unzipped(file: Blob): Promise<Unzipped> {
  const bytes = new Uint8Array(await file.arrayBuffer());
  return new Promise((resolve, reject) =>
    unzip(bytes, (error, found) => (error ? reject(error) : resolve(found))),
  );
}
