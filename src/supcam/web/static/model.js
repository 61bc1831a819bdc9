// The card of the model that reads the pictures.

import { ask } from "./api.js";
import { at, make, say } from "./dom.js";
import { frame } from "./frame.js";

const FIGURE_HEADS = ["Measured", "Value", "Interval", "Pictures", "Data", "Role"];
const TOLD_ELSEWHERE = ["name", "version", "description", "figures"];

function figures(rows) {
  const head = make("tr", {}, ...FIGURE_HEADS.map((word) => make("th", { scope: "col" }, word)));
  const body = rows.map((row) => make("tr", { title: row.note || null },
    make("th", { scope: "row" }, row.name), make("td", {}, row.value.toFixed(3)),
    make("td", {}, row.low === null ? "–" : `${row.low.toFixed(3)} to ${row.high.toFixed(3)}`),
    make("td", {}, row.n ?? "–"), make("td", {}, row.source), make("td", {}, row.role)));
  return make("section", { class: "card wide" }, make("h2", {}, "Figures"),
    make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Figures" }, make("table", {}, make("thead", {}, head), make("tbody", {}, ...body))));
}

function value(thing) {
  if (Array.isArray(thing)) return thing.every((each) => typeof each !== "object") ? make("span", {}, thing.join(", ") || "–") : make("ul", {}, ...thing.map((each) => make("li", {}, value(each))));
  if (thing !== null && typeof thing === "object") return list(thing);
  return make("span", {}, thing === null || thing === "" ? "–" : String(thing));
}

function list(thing) {
  return make("dl", {}, ...Object.entries(thing).flatMap(([key, each]) => [make("dt", {}, key.replaceAll("_", " ")), make("dd", {}, value(each))]));
}

function part(name, thing) {
  return make("details", { class: "card" }, make("summary", {}, name.replaceAll("_", " ")), value(thing));
}

async function start() {
  await frame();
  const view = await ask("/model");
  at("model-name").textContent = `${view.model.name} ${view.model.version}`;
  at("model-lead").textContent = view.card.description;
  const seals = part("identity", { weights_sha256: view.model.sha256, seal: view.seal });
  seals.open = true;
  const rest = Object.entries(view.card).filter(([key, thing]) => !TOLD_ELSEWHERE.includes(key) && thing !== null && typeof thing === "object");
  at("card").replaceChildren(...(view.card.figures.length ? [figures(view.card.figures)] : []), seals,
    part("calibration", view.calibration), ...rest.map(([key, thing]) => part(key, thing)));
}

start().catch((error) => say(error.message, true));
