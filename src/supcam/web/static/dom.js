// Elements from data: text stays text, nothing is ever parsed as HTML.

const SVG = "http://www.w3.org/2000/svg";

/** The element with that id. */
export const at = (id) => document.getElementById(id);

/** A new element; attributes that are false or null are left out, functions are listeners. */
export function make(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same, of a drawing. */
export function draw(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** The line style of a type as a small drawing. */
export function glyph(type) {
  return draw("svg", { class: `glyph t-${type}`, viewBox: "0 0 26 10", "aria-hidden": "true" }, draw("path", { d: "M1 5h24" }));
}

/** A short message at the edge, read out by screen readers; ``isBad`` ones stay longer. */
export function say(text, isBad = false) {
  const note = make("p", { class: isBad ? "toast bad" : "toast" }, text);
  const all = at("toasts");
  if (!isBad) all.querySelectorAll(".toast:not(.bad)").forEach((old) => old.remove());
  all.append(note);
  setTimeout(() => note.remove(), isBad ? 9000 : 2600);
}

/** A share as a percentage. */
export const percent = (share) => (share > 0.995 && share < 1 ? "> 99 %" : `${(100 * share).toFixed(0)} %`);

/** A moment as date and time of this place. */
export const moment = (text) => new Date(text).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
