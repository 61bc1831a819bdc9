"use strict";
const all = (selector) => Array.from(document.querySelectorAll(selector));
const details = document.getElementById("details");

function choose(id, from) {
  for (const item of all("[data-id]")) item.classList.toggle("chosen", item.dataset.id === id);
  const row = document.querySelector(`tr[data-id="${id}"]`);
  if (row) details.textContent = row.dataset.told;
  const button = document.querySelector(`.strip [data-id="${id}"]`);
  if (button && from !== "strip") button.scrollIntoView({ block: "nearest" });
}

function filter() {
  const types = new Set(all("input[name=type]:checked").map((box) => box.value));
  const doubtfulOnly = document.getElementById("doubtful").checked;
  let shown = 0;
  for (const item of all("[data-id]")) {
    const hidden = !types.has(item.dataset.type) || (doubtfulOnly && item.dataset.doubt !== "1");
    if (item.closest("svg")) item.style.display = hidden ? "none" : "";
    else (item.closest("li") || item).hidden = hidden;
    if (item.tagName === "path" && !hidden) shown += 1;
  }
  document.getElementById("shown").textContent = `${shown} objects shown`;
}

function step(by) {
  const buttons = all(".strip button").filter((button) => !button.closest("li").hidden);
  if (!buttons.length) return;
  const at = buttons.findIndex((button) => button.classList.contains("chosen"));
  const next = buttons[(at + by + buttons.length) % buttons.length] || buttons[0];
  next.focus();
  choose(next.dataset.id, "strip");
}

for (const path of all("svg path")) path.addEventListener("click", () => choose(path.dataset.id, "picture"));
for (const button of all(".strip button")) button.addEventListener("click", () => choose(button.dataset.id, "strip"));
for (const box of all("fieldset input")) box.addEventListener("change", filter);
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "n") step(1);
  if (event.key === "p") step(-1);
});
filter();
