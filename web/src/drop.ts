/** Files and folders that are dropped, anywhere on the page. */

import { t } from "./i18n";

export function onDrop(
  target: HTMLElement,
  words: HTMLElement,
  take: (files: File[]) => void,
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
    const items = [...(event.dataTransfer?.items ?? [])];
    const entries = items.map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
    void Promise.all(entries.map(filesOf)).then((found) => take(found.flat()));
  });
}

async function filesOf(entry: FileSystemEntry): Promise<File[]> {
  if (entry instanceof FileSystemFileEntry) {
    return [await new Promise<File>((resolve, reject) => entry.file(resolve, reject))];
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const files: File[] = [];
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) =>
      reader.readEntries(resolve, reject),
    );
    if (!some.length) return files; // a folder is read in portions, the last of them empty
    files.push(...(await Promise.all(some.map(filesOf))).flat());
  }
}
