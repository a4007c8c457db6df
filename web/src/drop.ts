/** Files and folders that are dropped, anywhere on the page. */

import { t } from "./i18n";
import type { Given } from "./jobs";

export function onDrop(
  target: HTMLElement,
  words: HTMLElement,
  take: (given: Given[]) => void,
): void {
  let inside = 0; // elements that the pointer has entered and not left
  const mark = (now: number): void => {
    inside = Math.max(0, now);
    target.classList.toggle("over", inside > 0);
    words.textContent = t(inside > 0 ? "dropNow" : "dropHere");
  };
  document.addEventListener("dragenter", () => mark(inside + 1));
  document.addEventListener("dragleave", () => mark(inside - 1));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    mark(0);
    const dropped = event.dataTransfer;
    if (dropped) void filesIn(dropped).then(take);
  });
}

/** The files that were dropped, and those of dropped folders. */
async function filesIn(dropped: DataTransfer): Promise<Given[]> {
  const plain = [...dropped.files]; // is empty after the first wait
  const items = [...dropped.items].filter(({ kind }) => kind === "file");
  const entries = items.map((item) => item.webkitGetAsEntry());
  const found = entries.map(async (entry, number) => {
    try {
      if (entry) return await filesOf(entry);
    } catch {
      // what cannot be read this way, such as a link, is given as it was dropped
    }
    const file = plain[number];
    return file ? [{ file, folder: "" }] : [];
  });
  return (await Promise.all(found)).flat();
}

async function filesOf(entry: FileSystemEntry): Promise<Given[]> {
  if (entry.isFile) {
    const one = entry as FileSystemFileEntry;
    const file = await new Promise<File>((resolve, reject) => one.file(resolve, reject));
    return [{ file, folder: entry.fullPath.split("/").slice(1, -1).join("/") }];
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const files: Given[] = [];
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) =>
      reader.readEntries(resolve, reject),
    );
    if (!some.length) return files; // a folder is read in portions, the last of them empty
    files.push(...(await Promise.all(some.map(filesOf))).flat());
  }
}
