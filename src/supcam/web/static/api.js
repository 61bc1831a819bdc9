// The API: who asks, requests, problems told in words, files sent with their progress.

const PATH = "/api/v1";
let csrf = "";

/** What the service says went wrong. */
export class ApiProblem extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

/** Name and role of whoever works here; leads to the log-in page where a token is needed. */
export async function session() {
  const view = await ask("/session");
  csrf = view.csrf;
  return view;
}

/** The answer to a GET; waits and asks again when the service wants it slower. */
export async function ask(path, options = {}) {
  return request(path, { ...options, method: "GET" });
}

/** The answer to a POST of JSON. */
export async function tell(path, body) {
  const headers = { "Content-Type": "application/json", "X-CSRF-Token": csrf };
  return request(path, { method: "POST", headers, body: JSON.stringify(body) });
}

/** All items of a list, part after part. */
export async function askAll(path, options = {}) {
  const items = [];
  for (let offset = 0; offset !== null; ) {
    const joint = path.includes("?") ? "&" : "?";
    const part = await ask(`${path}${joint}limit=500&offset=${offset}`, options);
    items.push(...part.items);
    offset = part.next;
  }
  return items;
}

async function request(path, options, attempt = 0) {
  const answer = await fetch(PATH + path, { credentials: "same-origin", ...options }).catch((error) => {
    if (error.name === "AbortError") throw error;
    throw new ApiProblem(0, "The service cannot be reached. Nothing that was confirmed is lost.");
  });
  if (answer.ok) return answer.status === 204 ? null : answer.json();
  if (answer.status === 401) toLogin();
  if (answer.status === 429 && attempt < 3) {
    await pause(1000 * Number(answer.headers.get("Retry-After") || 1));
    return request(path, options, attempt + 1);
  }
  throw new ApiProblem(answer.status, await detail(answer));
}

async function detail(answer) {
  const told = await answer.json().catch(() => ({}));
  return told.detail || told.title || `The service answered ${answer.status}.`;
}

function toLogin() {
  if (location.pathname !== "/login") location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
}

/** Whether a token was accepted: from now on a cookie vouches for this browser. */
export async function login(token) {
  const answer = await fetch(`${PATH}/session`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ token }),
  });
  if (!answer.ok) throw new ApiProblem(answer.status, await detail(answer));
}

/** The cookie is gone. */
export async function logout() {
  await fetch(`${PATH}/session`, { method: "DELETE" });
}

/** The job of a file that was handed in; ``progress`` hears the share that was sent. */
export async function send(file, { kind, caseName, progress }) {
  for (;;) {
    const { status, answer, after } = await sendOnce(file, { kind, caseName, progress });
    if (status === 202) return answer.jobs[0];
    if (status === 401) toLogin();
    if (status !== 429) throw new ApiProblem(status, answer.detail || "The service cannot be reached.");
    await pause(1000 * after);
  }
}

function sendOnce(file, { kind, caseName, progress }) {
  const body = new FormData();
  body.append("files", file, file.name);
  body.append("case", caseName);
  return new Promise((resolve) => {
    const sending = new XMLHttpRequest();
    sending.open("POST", `${PATH}/${kind}`);
    if (csrf) sending.setRequestHeader("X-CSRF-Token", csrf);
    sending.upload.addEventListener("progress", (event) => progress(event.loaded / (event.total || 1)));
    sending.addEventListener("loadend", () => {
      resolve({ status: sending.status, answer: parsed(sending.responseText), after: Number(sending.getResponseHeader("Retry-After") || 2) });
    });
    sending.send(body);
  });
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}

/** A promise that is kept after so many milliseconds. */
export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
