// How far reviewers agree, pair by pair.

import { ask } from "./api.js";
import { at, make, percent, say } from "./dom.js";
import { frame } from "./frame.js";

const HEADS = ["Reviewers", "Objects in common", "Same type", "Same number", "Kappa"];

function table(pairs) {
  const head = make("tr", {}, ...HEADS.map((word) => make("th", { scope: "col" }, word)));
  const rows = pairs.map((pair) => make("tr", {},
    make("th", { scope: "row" }, pair.reviewers.join(" and ")), make("td", {}, pair.n_objects),
    make("td", {}, percent(pair.same_type)), make("td", {}, percent(pair.same_number)),
    make("td", {}, pair.kappa === null ? "–" : pair.kappa.toFixed(2))));
  return make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows));
}

async function start() {
  await frame();
  const pairs = await ask("/agreement");
  const none = make("p", { class: "soft" }, "No object was decided by two reviewers yet.");
  at("pairs").replaceChildren(pairs.length ? table(pairs) : none);
}

start().catch((error) => say(error.message, true));
