/** The page: its parts, put together. */

import "./style.css";

import { models, type Limits, type Model } from "./api";
import { Batch } from "./batch";
import { byId, h } from "./dom";
import { onDrop } from "./drop";
import { errorText } from "./errors";
import { bytes, clock } from "./format";
import { chooseLanguage, emotionName, firstLanguage, language, setLanguage, t } from "./i18n";
import { LiveView } from "./live-view";
import { isDark, onRedraw, startTheme, switchTheme } from "./theme";
import { RecordingView } from "./recording-view";
import { modelFacts } from "./models";

let available: Model[] = [];
let serviceLimits: Limits = {};
let failure: unknown = null;

const select = byId<HTMLSelectElement>("model");
const input = byId<HTMLInputElement>("files");
const drop = byId("drop");

const opened = new RecordingView();
const batch = new Batch(
  () => select.value,
  (recording) => {
    live.hide();
    opened.open(recording);
  },
  () => {
    opened.close();
    updateState();
  },
);
const live = new LiveView(
  () =>
    available.find(({ name }) => name === select.value) ?? { name: select.value, adapts: false },
  (file) => batch.add([file], false),
  () => batch.openLast(),
);

function add(files: readonly File[]): void {
  if (!files.length) return;
  document.body.dataset["state"] = "work";
  batch.add(files, byId("live").hidden ? undefined : false);
}

/** Show the first view again when there is nothing else to show. */
function updateState(): void {
  const empty = byId("list").childElementCount === 0 && byId("live").hidden;
  document.body.dataset["state"] = empty ? "start" : "work";
}

async function connect(): Promise<void> {
  try {
    [available, serviceLimits] = await Promise.all([models(), batch.askLimits()]);
    failure = null;
  } catch (error) {
    failure = error;
  }
  const chosen = available.find((model) => model.default) ?? available[0];
  select.replaceChildren(...available.map(({ name }) => h("option", { value: name }, name)));
  if (chosen) select.value = chosen.name;
  draw();
}

function draw(): void {
  byId("theme").setAttribute("aria-label", t(isDark() ? "themeToLight" : "themeToDark"));
  byId("language").lang = language() === "zh" ? "en" : "zh-Hans";
  byId("down").hidden = failure === null;
  if (failure !== null) {
    const { text, detail } = errorText(failure);
    byId("down-words").textContent = `${t("serviceDown")} ${text} ${detail}`;
  }
  const { max_bytes: size, max_seconds: time } = serviceLimits;
  byId("limits").textContent =
    size && time ? t("limits", { size: bytes(size), time: clock(time, 0) }) : "";
  byId("privacy").textContent = t(serviceLimits.stores === true ? "privacyStored" : "privacy", {
    host: location.host,
  });
  const model = available.find(({ name }) => name === select.value);
  byId("model-facts").replaceChildren(...(model ? modelFacts(model, emotionName) : []));
}

function openDialog(id: string): void {
  byId<HTMLDialogElement>(id).showModal();
}

startTheme();
onRedraw(draw);
setLanguage(firstLanguage());
onDrop(drop, byId("drop-words"), add);
byId("choose").addEventListener("click", () => input.click());
input.addEventListener("change", () => {
  add([...(input.files ?? [])]);
  input.value = "";
});
byId("record").addEventListener("click", () => {
  batch.close();
  document.body.dataset["state"] = "work";
  live.show();
});
byId("live-leave").addEventListener("click", updateState);
byId("theme").addEventListener("click", switchTheme);
byId("language").addEventListener("click", () => chooseLanguage(language() === "zh" ? "en" : "zh"));
byId("about-open").addEventListener("click", () => openDialog("about"));
byId("about-more").addEventListener("click", () => openDialog("about"));
byId("retry").addEventListener("click", () => void connect());
select.addEventListener("change", draw);
void connect();
