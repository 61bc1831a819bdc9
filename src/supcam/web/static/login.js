// A token, exchanged for a cookie that scripts cannot read.

import { login } from "./api.js";
import { at } from "./dom.js";
import { frame } from "./frame.js";

/** Where to go on: a place of this service and of no other. */
function next() {
  const wanted = new URL(new URLSearchParams(location.search).get("next") || "/", location.origin);
  return wanted.origin === location.origin ? wanted.pathname + wanted.search : "/";
}

at("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  at("refused").textContent = "";
  try {
    await login(at("token").value.trim());
    location.assign(next());
  } catch (error) {
    at("refused").textContent = error.message;
  }
});
frame({ asks: false });
at("go").disabled = false; // before this, Enter would send the form as the browser does, to nobody
at("token").focus();
