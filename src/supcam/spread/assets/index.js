"use strict";
function filter() {
  const only = document.getElementById("review").checked;
  for (const card of document.querySelectorAll(".cards > li")) {
    card.hidden = only && card.dataset.decision !== "review";
  }
}
document.getElementById("review").addEventListener("change", filter);
