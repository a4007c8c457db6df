/** The API key, kept until the tab is closed. */

import { byId } from "./dom";
import { t } from "./i18n";

const STORED = "serein.key";

let asked: Promise<boolean> | null = null;

export function storedKey(): string | null {
  return sessionStorage.getItem(STORED);
}

export function authorization(): Record<string, string> {
  const key = storedKey();
  return key === null ? {} : { Authorization: `Bearer ${key}` };
}

/** Ask the person for the key, once at a time; false if they have none. */
export function askForKey(): Promise<boolean> {
  asked ??= ask().finally(() => {
    asked = null;
  });
  return asked;
}

function ask(): Promise<boolean> {
  const dialog = byId<HTMLDialogElement>("key");
  const field = byId<HTMLInputElement>("key-field");
  byId("key-wrong").textContent = storedKey() === null ? "" : t("keyWrong");
  sessionStorage.removeItem(STORED);
  field.value = "";
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener(
      "close",
      () => {
        const entered = dialog.returnValue === "use" && field.value.trim() !== "";
        if (entered) sessionStorage.setItem(STORED, field.value.trim());
        field.value = "";
        resolve(entered);
      },
      { once: true },
    );
  });
}
