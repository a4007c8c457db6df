/** The page: its parts, put together. */

import "./style.css";

import { models, type Limits, type Model, type Query } from "./api";
import { Batch } from "./batch";
import { byId, h } from "./dom";
import { onDrop } from "./drop";
import { errorText } from "./errors";
import { bytes, clock } from "./format";
import { EmotionChoice } from "./emotion-choice";
import { chooseLanguage, firstLanguage, language, setLanguage, t } from "./i18n";
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
const emotions = new EmotionChoice(() => batch.again(false));
const batch = new Batch(
  settings,
  (recording, again) => {
    live.hide();
    opened.open(recording, again);
  },
  () => {
    opened.close();
    updateState();
  },
);
const live = new LiveView(
  settings,
  () => chosen()?.adapts.includes("speaker") ?? false,
  (file) => batch.add([file], false),
  () => batch.openLast(),
);

function chosen(): Model | undefined {
  return available.find(({ name }) => name === select.value);
}

/** What is asked of the service, for recordings and for live streams. */
function settings(): Query & { model: string } {
  const unsure = String(chosen()?.unsure_below ?? 0);
  return { model: select.value, emotions: emotions.value, unsure_below: unsure };
}

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
  const first = available.find((model) => model.default) ?? available[0];
  select.replaceChildren(...available.map(({ name }) => h("option", { value: name }, name)));
  if (first) select.value = first.name;
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
  const model = chosen();
  byId("model-facts").replaceChildren(...(model ? modelFacts(model) : []));
  emotions.draw(model?.labels ?? []);
  byId("emotions").hidden = !model;
  batch.adaptation.enable(model?.adapts.includes("recordings") ?? false);
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
select.addEventListener("change", () => {
  draw();
  if (batch.adaptation.to) batch.again(true);
});
void connect();
