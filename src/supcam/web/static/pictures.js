// Pictures: handed in, on their way, and in the list.

import { ask, pause, send, tell } from "./api.js";
import { at, make, say } from "./dom.js";

const READABLE = /\.(png|jpe?g|bmp|tiff?)$/i;
const AT_ONCE = 2;
const PART = 100;

/** The list and its uploads; ``open`` hears the id of a picture, ``ready`` that one was read. */
export class Pictures {
  constructor({ open, ready }) {
    Object.assign(this, { open, ready });
    this.images = new Map();
    this.jobs = new Map();
    this.waiting = [];
    this.n_sending = 0;
    this.n_shown = PART;
    this.listen();
  }

  /** Asks for the newest pictures, and follows those that are not read yet. */
  async load() {
    const page = await ask(`/images?order=last&limit=${this.n_shown}`);
    this.images = new Map(page.items.filter((image) => !image.purged).map((image) => [image.id, image]));
    at("older").hidden = page.next === null;
    this.show();
    this.follow();
  }

  /** The picture of that id, asked for if it is not in the list. */
  async get(id) {
    if (!this.images.get(id)?.analysis) this.images.set(id, await ask(`/images/${id}`));
    return this.images.get(id);
  }

  /** The counts of a picture have changed. */
  count(id, counts) {
    const image = this.images.get(id);
    if (!image) return;
    image.counts = counts;
    this.show();
  }

  /** The pictures that were read, as listed. */
  read() {
    return [...this.images.values()].filter((image) => image.analysis);
  }

  // The list -------------------------------------------------------------------------------------------------

  show() {
    const onlyOpen = at("only-open").checked;
    const shown = [...this.images.values()].filter((image) => !onlyOpen || !image.counts || image.counts.n_to_review || image.id === this.chosen);
    const focused = at("picture-list").contains(document.activeElement) ? document.activeElement.dataset.id : null;
    at("picture-list").replaceChildren(...shown.map((image) => this.row(image)));
    if (focused) at("picture-list").querySelector(`[data-id="${focused}"]`)?.focus();
  }

  row(image) {
    const name = make("span", { class: "name" }, image.name || "unnamed");
    const caseName = image.case ? make("span", { class: "soft" }, image.case) : null;
    const button = make("button", {
      type: "button", "data-id": image.id, disabled: !image.analysis,
      "aria-current": image.id === this.chosen ? "true" : null, click: () => this.open(image.id),
    }, make("span", { class: "names" }, name, caseName), this.state(image));
    const job = this.jobs.get(image.id);
    if (!image.analysis && job?.state === "failed") return make("li", { class: "failed" }, button, this.failure(job));
    return make("li", {}, button);
  }

  state(image) {
    if (!image.analysis) {
      const job = this.jobs.get(image.id);
      const words = { queued: "waiting", running: "being read", failed: "failed" };
      return make("span", { class: `state ${job?.state ?? "queued"}` }, words[job?.state] ?? "waiting");
    }
    const { n_to_review: open, n_chromosomes: n } = image.counts;
    return make("span", { class: "state" }, make("b", { title: "chromosomes" }, `${n}`), make("span", { class: open ? "open" : "clear" }, open ? `${open} ?` : "✓"));
  }

  failure(job) {
    const retry = make("button", { type: "button", class: "quiet", click: async () => {
      await tell(`/jobs/${job.id}/retry`, {}).catch((error) => say(error.message, true));
      this.jobs.delete(job.image_id);
      this.follow();
    } }, "Try again");
    return make("p", { class: "reason" }, job.reason || "It could not be read.", " ", retry);
  }

  // On their way ---------------------------------------------------------------------------------------------

  /** Asks again and again until every picture is read or has failed. */
  async follow() {
    if (this.isFollowing) return;
    this.isFollowing = true;
    try {
      for (let wait = 250; this.isOpen(); wait = Math.min(2000, wait * 1.3)) {
        await this.look();
        await pause(wait);
      }
    } catch (error) {
      say(error.message, true);
    } finally {
      this.isFollowing = false;
    }
  }

  isOpen() {
    return [...this.images.values()].some((image) => !image.analysis && this.jobs.get(image.id)?.state !== "failed");
  }

  async look() {
    const states = await Promise.all(["running", "queued", "failed"].map((state) => ask(`/jobs?state=${state}&limit=500`)));
    this.jobs = new Map(states.flatMap((page) => page.items).map((job) => [job.image_id, job]));
    const done = [...this.images.values()].filter((image) => !image.analysis && !this.jobs.has(image.id)).slice(0, 20);
    for (const image of done) {
      const read = await ask(`/images/${image.id}`);
      this.images.set(image.id, read);
      if (read.analysis) this.ready(read);
    }
    this.show();
  }

  // Handed in ------------------------------------------------------------------------------------------------

  /** Sends files, two at a time, each with its own progress. */
  add(files) {
    const pictures = files.filter((file) => READABLE.test(file.name));
    const others = files.length - pictures.length;
    if (others) say(`${others} of ${files.length} files are no pictures and stay where they are.`, !pictures.length);
    const settings = { kind: at("kind").value, caseName: at("case").value.trim() };
    for (const file of pictures) this.waiting.push({ file, settings, row: this.sendingRow(file) });
    while (this.n_sending < AT_ONCE && this.waiting.length) this.sendNext();
  }

  sendingRow(file) {
    const bar = make("progress", { max: 1, value: 0, "aria-label": `${file.name}: sent` });
    const row = make("div", { class: "sending" }, make("span", { class: "name" }, file.name), bar);
    at("uploads").append(row);
    return { row, bar };
  }

  async sendNext() {
    const { file, settings, row } = this.waiting.shift();
    this.n_sending += 1;
    try {
      const job = await send(file, { ...settings, progress: (share) => { row.bar.value = share; } });
      row.row.remove();
      await this.accepted(job);
    } catch (error) {
      row.bar.replaceWith(make("span", { class: "reason" }, error.message),
        make("button", { type: "button", class: "quiet", "aria-label": `Forget ${file.name}`, click: () => row.row.remove() }, "×"));
    }
    this.n_sending -= 1;
    if (this.waiting.length) this.sendNext();
  }

  async accepted(job) {
    const image = await ask(`/images/${job.image_id}`);
    this.images = new Map([[image.id, image], ...[...this.images].filter(([id]) => id !== image.id)]);
    this.jobs.set(image.id, job);
    this.show();
    if (image.analysis) this.ready(image);
    else this.follow();
  }

  listen() {
    for (const [button, input] of [["choose-files", "files"], ["choose-folder", "folder"]]) {
      at(button).addEventListener("click", () => at(input).click());
      at(input).addEventListener("change", () => {
        this.add([...at(input).files]);
        at(input).value = "";
      });
    }
    at("drop").addEventListener("submit", (event) => event.preventDefault());
    at("only-open").addEventListener("change", () => this.show());
    at("older").addEventListener("click", () => {
      this.n_shown = Math.min(500, this.n_shown + PART);
      this.load().catch((error) => say(error.message, true));
    });
    this.listenToDrops();
  }

  listenToDrops() {
    const over = (isOver) => document.body.classList.toggle("dropping", isOver);
    window.addEventListener("dragover", (event) => {
      event.preventDefault();
      over(true);
    });
    window.addEventListener("dragleave", (event) => { if (!event.relatedTarget) over(false); });
    window.addEventListener("drop", async (event) => {
      event.preventDefault();
      over(false);
      const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
      const files = entries.length ? (await Promise.all(entries.map(filesOf))).flat() : [...event.dataTransfer.files];
      this.add(files);
    });
  }
}

/** The files of a dropped file or folder, however deep. */
async function filesOf(entry) {
  if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  const reader = entry.createReader();
  const files = [];
  for (;;) {
    const part = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!part.length) return files;
    files.push(...(await Promise.all(part.map(filesOf))).flat());
  }
}
