// What every page has: who works here, light or dark, the way out.

import { logout, session } from "./api.js";
import { at } from "./dom.js";

const THEMES = ["auto", "light", "dark"];

/** Who works here, or ``null`` on the log-in page; the page's head says it too. */
export async function frame({ asks = true } = {}) {
  startTheme();
  at("leave").addEventListener("click", async () => {
    await logout();
    location.assign("/login");
  });
  if (!asks) return null;
  const who = await session();
  at("who").textContent = who.name === "local" ? "this machine" : `${who.name}, ${who.role}`;
  at("leave").hidden = !who.csrf;
  return who;
}

function startTheme() {
  const button = at("theme");
  const show = (theme) => {
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    button.setAttribute("aria-label", `Light or dark: ${theme}`);
    button.title = `Light or dark: ${theme}`;
  };
  show(kept("theme", "auto"));
  button.addEventListener("click", () => {
    const next = THEMES[(THEMES.indexOf(kept("theme", "auto")) + 1) % THEMES.length];
    keep("theme", next);
    show(next);
  });
}

/** What this browser remembers under a name. */
export function kept(name, otherwise) {
  try {
    return localStorage.getItem(`supcam-${name}`) ?? otherwise;
  } catch {
    return otherwise;
  }
}

/** From now on this browser remembers it, if it may. */
export function keep(name, value) {
  try {
    localStorage.setItem(`supcam-${name}`, value);
  } catch {
    // A browser that remembers nothing shows the same page.
  }
}
