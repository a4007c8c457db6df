/** The page: its parts, and what leads from one to the other. */

import "./style.css";

import { models, type Limits, type Model } from "./api";
import { Batch } from "./batch";
import { byId, h } from "./dom";
import { takeDrops } from "./drop";
import { inWords } from "./errors";
import { bytes, clock } from "./format";
import { chooseLanguage, emotionName, firstLanguage, language, setLanguage, t } from "./i18n";
import { Live } from "./live";
import { isDark, onRedraw, startTheme, switchTheme } from "./look";
import { Opened } from "./opened";
import { modelFacts } from "./models";

let known: Model[] = [];
let taken: Limits = {};
let down: unknown = null;

const select = byId<HTMLSelectElement>("model");
const input = byId<HTMLInputElement>("files");
const drop = byId("drop");

const opened = new Opened();
const batch = new Batch(
  () => select.value,
  (recording) => {
    live.hide();
    opened.open(recording);
  },
  () => {
    opened.close();
    settle();
  },
);
const live = new Live(
  () => known.find(({ name }) => name === select.value) ?? { name: select.value, adapts: false },
  (file) => batch.add([file], false),
  () => batch.openLast(),
);

function add(files: readonly File[]): void {
  if (!files.length) return;
  document.body.dataset["state"] = "work";
  batch.add(files, byId("live").hidden ? undefined : false);
}

/** Go back to the first view when nothing is left to see. */
function settle(): void {
  const empty = byId("list").childElementCount === 0 && byId("live").hidden;
  document.body.dataset["state"] = empty ? "start" : "work";
}

async function meet(): Promise<void> {
  try {
    [known, taken] = await Promise.all([models(), batch.askLimits()]);
    down = null;
  } catch (error) {
    down = error;
  }
  const chosen = known.find((model) => model.default) ?? known[0];
  select.replaceChildren(...known.map(({ name }) => h("option", { value: name }, name)));
  if (chosen) select.value = chosen.name;
  draw();
}

function draw(): void {
  byId("theme").setAttribute("aria-label", t(isDark() ? "themeToLight" : "themeToDark"));
  byId("language").lang = language() === "zh" ? "en" : "zh-Hans";
  byId("down").hidden = down === null;
  if (down !== null) {
    const { text, detail } = inWords(down);
    byId("down-words").textContent = `${t("serviceDown")} ${text} ${detail}`;
  }
  const { max_bytes: size, max_seconds: time } = taken;
  byId("limits").textContent =
    size && time ? t("limits", { size: bytes(size), time: clock(time, 0) }) : "";
  byId("privacy").textContent = t(taken.stores === true ? "privacyStored" : "privacy", {
    host: location.host,
  });
  const model = known.find(({ name }) => name === select.value);
  byId("model-facts").replaceChildren(...(model ? modelFacts(model, emotionName) : []));
}

function openDialog(id: string): void {
  byId<HTMLDialogElement>(id).showModal();
}

startTheme();
onRedraw(draw);
setLanguage(firstLanguage());
takeDrops(drop, byId("drop-words"), add);
byId("choose").addEventListener("click", () => input.click());
input.addEventListener("change", () => {
  add([...(input.files ?? [])]);
  input.value = "";
});
byId("record").addEventListener("click", () => {
  batch.leave();
  document.body.dataset["state"] = "work";
  live.show();
});
byId("live-leave").addEventListener("click", settle);
byId("theme").addEventListener("click", switchTheme);
byId("language").addEventListener("click", () => chooseLanguage(language() === "zh" ? "en" : "zh"));
byId("about-open").addEventListener("click", () => openDialog("about"));
byId("about-more").addEventListener("click", () => openDialog("about"));
byId("retry").addEventListener("click", () => void meet());
select.addEventListener("change", draw);
void meet();
