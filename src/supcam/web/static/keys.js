// Keys: what each does, listened to and told.

import { at, make } from "./dom.js";
import { TYPES } from "./types.js";

/** Keys with a word for the help and the name of what they do. */
export const KEYS = [
  ...TYPES.map((type) => ({ keys: type.name === "rejected" ? [type.key, "x"] : [type.key], word: `decide: ${type.word.toLowerCase()}`, does: "decide", with: type.name })),
  { keys: ["+", "="], shown: "+", word: "one chromosome more in the cluster", does: "more" },
  { keys: ["-"], word: "one chromosome fewer", does: "fewer" },
  { keys: ["Enter"], word: "right as it stands; on to the next doubtful one", does: "agree" },
  { keys: ["n"], word: "next doubtful one, without deciding; then the next picture", does: "next" },
  { keys: ["u"], word: "undo: take back the last decision", does: "undo" },
  { keys: ["ArrowRight", "ArrowLeft"], shown: "→ ←", word: "next and previous object in the strip", does: "step" },
  { keys: ["z"], word: "zoom to the object; again: whole picture", does: "zoomObject" },
  { keys: ["i", "o"], word: "zoom in, zoom out", does: "zoom" },
  { keys: ["f"], word: "whole picture", does: "fit" },
  { keys: ["ArrowRight", "ArrowLeft", "ArrowUp", "ArrowDown"], isShifted: true, shown: "Shift → ← ↑ ↓", word: "move the picture", does: "pan" },
  { keys: ["w"], word: "where the network looked", does: "looked" },
  { keys: ["l"], word: "outlines on and off", does: "outlines" },
  { keys: [".", ","], word: "next and previous picture", does: "picture" },
  { keys: ["?"], word: "this list", does: "help" },
];

/** From now on keys do what ``actions`` say, unless somebody types or a dialog is open. */
export function listen(actions) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTaken(event)) return;
    const wants = (entry) => entry.keys.includes(event.key) && (!event.key.startsWith("Arrow") || Boolean(entry.isShifted) === event.shiftKey);
    const entry = KEYS.find(wants);
    if (!entry) return;
    event.preventDefault();
    actions[entry.does](entry.with ?? event.key);
  });
}

function isTaken({ target, key }) {
  if (document.querySelector("dialog[open]")) return true;
  if (target.closest("input:not([type=checkbox]), select, textarea")) return true;
  return key === "Enter" && Boolean(target.closest("a, button:not(.thumb), input"));
}

/** Fills the help with all keys. */
export function fillHelp() {
  const shown = (entry) => (entry.shown ? [entry.shown] : entry.keys);
  at("help-rows").replaceChildren(...KEYS.map((entry) => make("tr", {},
    make("td", {}, ...shown(entry).flatMap((key) => [make("kbd", {}, key), " "])), make("td", {}, entry.word))));
}
