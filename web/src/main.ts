/** The page: its parts, put together. */

import "./style.css";

import { models, type Limits, type Model } from "./api";
import { Batch } from "./batch";
import { byId, h } from "./dom";
import { onDrop } from "./drop";
import { errorText } from "./errors";
import { bytes, clock } from "./format";
import { describeOwn } from "./emotions";
import { EmotionChoice } from "./emotion-choice";
import type { Given, Settings } from "./jobs";
import { chooseLanguage, firstLanguage, language, setLanguage, t } from "./i18n";
import { LiveView } from "./live-view";
import { isDark, onRedraw, startTheme, switchTheme } from "./theme";
import { RecordingView } from "./recording-view";
import { measuredText } from "./measured";
import { modelFacts } from "./models";
import { VoiceChoice } from "./voice-choice";
import { WindowSettings } from "./window-settings";

let available: Model[] = [];
let serviceLimits: Limits = {};
let failure: unknown = null;
let gone = false; // the service, in the middle of a batch

const select = byId<HTMLSelectElement>("model");
const input = byId<HTMLInputElement>("files");
const drop = byId("drop");

const voices = new VoiceChoice(() => batch.drawAgain());
const opened = new RecordingView(
  (name) => available.find((model) => model.name === name),
  () => {
    voices.splitChannels();
    batch.openAgain();
  },
);
const windows = new WindowSettings(() => batch.drawAgain());
const emotions = new EmotionChoice(() => batch.drawAgain());
const batch = new Batch(settings, opened, {
  models: () => available,
  onShow: () => live.hide(),
  onList: updateState,
  onGone: (now) => {
    gone = now;
    draw();
  },
});
const live = new LiveView(
  () => settings().query,
  () => chosen()?.adapts.includes("speaker") ?? false,
  (file) => batch.add([{ file, folder: "" }], false),
  () => batch.openLast(),
  () => serviceLimits,
);

function chosen(): Model | undefined {
  return available.find(({ name }) => name === select.value);
}

/** What is asked of the service, for recordings and for live streams. */
function settings(): Settings {
  const query = { model: select.value, emotions: emotions.value, ...windows.value };
  return { query: { ...query, ...voices.value }, to: batch.adaptation.to };
}

function add(given: readonly Given[]): void {
  if (!given.length) return;
  document.body.dataset["state"] = "work";
  batch.add(given, byId("live").hidden ? undefined : false);
}

/** Show the first view again when there is nothing else to show. */
function updateState(): void {
  const empty = batch.isEmpty && byId("live").hidden;
  document.body.dataset["state"] = empty ? "start" : "work";
}

async function connect(): Promise<void> {
  try {
    [available, serviceLimits] = await Promise.all([models(), batch.askLimits()]);
    failure = null;
    describeOwn(available);
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
  byId("down").hidden = failure === null && !gone;
  if (gone) byId("down-words").textContent = t("serviceGone");
  else if (failure !== null) {
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
  byId("live-measured").textContent = measuredText(model, null);
  byId("model-facts").replaceChildren(...(model ? modelFacts(model) : []));
  emotions.draw(model?.labels ?? []);
  windows.draw(model?.unsure_below ?? 0);
  byId("emotions").hidden = !model;
  batch.adaptation.enable(select.value, model?.adapts.includes("recordings") ?? false);
  batch.drawAgain();
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
  add([...(input.files ?? [])].map((file) => ({ file, folder: "" })));
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
byId("retry").addEventListener("click", () => (gone ? batch.look() : void connect()));
select.addEventListener("change", draw);
void connect();
