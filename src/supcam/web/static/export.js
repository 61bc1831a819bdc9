// What can be taken out; for admins, what can be removed.

import { tell } from "./api.js";
import { at, say } from "./dom.js";
import { frame } from "./frame.js";

function aim() {
  const name = at("case").value.trim();
  for (const link of document.querySelectorAll("a[data-case]")) {
    link.href = link.pathname + (name ? `?case=${encodeURIComponent(name)}` : "");
  }
}

async function purge(event) {
  event.preventDefault();
  const name = at("purge-case").value;
  if (name !== at("purge-again").value) return say("The two names differ: nothing was removed.", true);
  const done = await tell("/purge", { case: name });
  at("purged").textContent = `${done.n_images} pictures removed, ${done.n_decisions_kept} decisions stay.`;
  at("purge").reset();
}

async function start() {
  const who = await frame();
  at("case").addEventListener("input", aim);
  at("purge-part").hidden = who.role !== "admin";
  at("purge").addEventListener("submit", (event) => purge(event).catch((error) => say(error.message, true)));
}

start().catch((error) => say(error.message, true));
