// The review: pictures, their objects, and what is decided, one step after the other.

import { ask, askAll, tell } from "./api.js";
import { addressOf } from "./closeup.js";
import { at, say } from "./dom.js";
import { frame } from "./frame.js";
import { fillHelp, listen } from "./keys.js";
import { Panel } from "./panel.js";
import { Pictures } from "./pictures.js";
import { Stage } from "./stage.js";
import { Strip } from "./strip.js";
import { countsOf, isDoubtful, isFixed, numberFor, standing, TYPES, typeOf } from "./types.js";

const NUMBER_REST_MS = 600;

class Review {
  constructor() {
    this.stage = new Stage({ choose: (id) => this.act(() => this.choose(id)) });
    this.strip = new Strip({ choose: (id) => this.act(() => this.choose(id)) });
    this.panel = new Panel({
      heatShown: (heat) => this.showHeat(heat),
      hides: (decision) => this.isSecond() && decision.reviewer !== this.who.name,
    });
    this.pictures = new Pictures({
      open: (id) => this.act(() => this.open(id)),
      ready: (image) => { if (!this.image) this.act(() => this.open(image.id)); },
    });
    this.objects = [];
    this.mine = [];
    this.queue = Promise.resolve();
  }

  async start() {
    this.who = await frame();
    if (this.who.role === "reader") this.panel.forbid("Your role is reader: you may look at everything, and decide nothing.");
    at("drop").hidden = this.who.role === "reader";
    this.listen();
    await this.pictures.load();
    const asked = new URLSearchParams(location.search);
    const first = asked.get("picture") ?? this.pictures.read()[0]?.id;
    if (first) await this.act(() => this.open(first, asked.get("object")));
  }

  /** Steps are taken one after the other, so that a key meets the object that was shown when it was pressed. */
  act(step) {
    this.queue = this.queue.then(step).catch((error) => say(error.message, true));
    return this.queue;
  }

  // Pictures -------------------------------------------------------------------------------------------------

  async open(id, objectId = null) {
    await this.saveNumber();
    const image = await this.pictures.get(id);
    if (!image.analysis) throw new Error("This picture was not read yet, or was removed.");
    const { width, height, picture_scale: scale } = image.analysis.facts;
    const href = `/api/v1/images/${id}/picture.png`;
    const [objects, picture] = await Promise.all([askAll(`/images/${id}/objects?order=doubt`), loaded(href)]);
    Object.assign(this, { image, picture, scale, all: objects, rested: false });
    this.objects = objects.map((object) => this.masked(object));
    this.stage.show({ href, width, height, objects: this.objects, name: image.name });
    this.strip.show({ objects: this.objects, picture, scale });
    this.pictures.chosen = id;
    this.pictures.show();
    at("welcome").hidden = true;
    at("pictures").classList.remove("open");
    at("drawer").setAttribute("aria-expanded", "false");
    this.tellPicture();
    const wanted = this.objects.find((object) => object.id === objectId);
    await this.choose((wanted ?? this.objects.find((object) => this.isOpen(object)) ?? this.objects[0])?.id);
    if (!document.activeElement?.matches("input, select, .stage")) this.strip.focus();
  }

  tellPicture() {
    const { facts } = this.image.analysis;
    at("name").textContent = this.image.name || "unnamed";
    at("case-name").textContent = this.image.case;
    const notes = [...facts.reasons, ...facts.notes];
    at("notes").hidden = !notes.length;
    at("notes").textContent = notes.join(" · ");
    this.tellCounts();
  }

  tellCounts() {
    const { facts } = this.image.analysis;
    const counts = countsOf(this.objects);
    at("count").replaceChildren(strong(counts.n_chromosomes), ` chromosomes `, soft(`model ${facts.n_chromosomes} (${facts.n_chromosomes_low}–${facts.n_chromosomes_high}) · ${counts.n_decided} of ${counts.n_objects} decided`));
    for (const type of TYPES) at(`n-${type.name}`).textContent = counts.by_type[type.name];
    at("n-doubts").textContent = counts.n_to_review;
    at("progress").textContent = counts.n_to_review ? `${counts.n_to_review} doubtful to look at` : "all doubtful ones are decided";
    this.pictures.count(this.image.id, countsOf(this.all));
  }

  // Objects --------------------------------------------------------------------------------------------------

  isSecond() {
    return at("second").checked;
  }

  /** In a second reading what others decided is hidden. */
  masked(object) {
    return this.isSecond() && object.decided?.reviewer !== this.who.name ? { ...object, decided: null } : object;
  }

  isOpen(object) {
    return isDoubtful(object) && !object.decided;
  }

  async choose(id) {
    await this.saveNumber();
    this.object = this.objects.find((object) => object.id === id) ?? null;
    this.stage.select(this.object);
    this.strip.select(this.object);
    this.panel.show(this.object, this);
    const place = this.object ? `&object=${this.object.id}` : "";
    history.replaceState(null, "", `/?picture=${this.image.id}${place}`);
  }

  async step(by) {
    const now = this.objects.indexOf(this.object);
    const next = this.objects[Math.min(this.objects.length - 1, Math.max(0, now + by))];
    if (next && next !== this.object) await this.choose(next.id);
  }

  /** The next doubtful object; where none is left, it says so, and then opens the next picture that has some. */
  async next() {
    await this.saveNumber();
    const now = this.objects.indexOf(this.object);
    const order = [...this.objects.slice(now + 1), ...this.objects.slice(0, now)];
    const open = order.find((object) => this.isOpen(object));
    if (open) return this.choose(open.id);
    const isLast = this.object && this.isOpen(this.object);
    if (isLast) return say("This is the last doubtful object of the picture.");
    const other = this.pictures.read().find((image) => image.id !== this.image?.id && image.counts.n_to_review);
    if (other && this.rested) return this.open(other.id);
    this.rested = true;
    say(other ? `Nothing doubtful is left here. n opens ${other.name || "the next picture"}.` : "Nothing doubtful is left in any picture of the list.");
  }

  // Decisions ------------------------------------------------------------------------------------------------

  async decide(type, n) {
    const { object } = this;
    if (!object || this.who.role === "reader") return;
    await this.saveNumber();
    const number = n ?? numberFor(type, this.object);
    const last = this.object.decided;
    if (last && last.reviewer === this.who.name && last.type === type && last.n_chromosomes === number) return;
    const decision = await tell(`/objects/${object.id}/decisions`, { type, n_chromosomes: number });
    this.mine.push(decision);
    this.replace({ ...this.object, decided: decision });
    say(`Object ${object.number}: ${typeOf(type).word}${number > 1 ? `, ${number} chromosomes` : ""}`);
  }

  async agree() {
    if (!this.object) return;
    await this.saveNumber();
    const { type, n } = standing(this.object);
    if (this.object.decided?.reviewer !== this.who.name) await this.decide(type, n);
    await this.next();
  }

  /** Another number; it is sent when nobody changes it for a moment, or when something else is done. */
  async shiftNumber(by) {
    if (!this.object || this.who.role === "reader") return;
    const { type, n } = standing(this.object);
    if (isFixed(type)) return say(`${typeOf(type).word}: the number is fixed. Choose a type of cluster first (2 to 4).`);
    this.draft = Math.min(1000, Math.max(typeOf(type).least, (this.draft ?? n) + by));
    this.panel.number(this.draft);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.act(() => this.saveNumber()), NUMBER_REST_MS);
  }

  async saveNumber() {
    clearTimeout(this.timer);
    const { draft } = this;
    if (draft === undefined) return;
    this.draft = undefined;
    const { type, n } = standing(this.object);
    if (draft !== n) await this.decide(type, draft);
  }

  async undo() {
    if (this.draft !== undefined) {
      clearTimeout(this.timer);
      this.draft = undefined;
      return this.panel.tell();
    }
    const decision = this.mine.pop() ?? (await this.ownLast());
    if (!decision) return say("Nothing of yours to take back on this object.");
    await tell(`/objects/${decision.object_id}/decisions`, { revokes: decision.id });
    const changed = await ask(`/objects/${decision.object_id}`);
    if (changed.image_id !== this.image.id) return this.open(changed.image_id, changed.id);
    this.replace(changed);
    await this.choose(changed.id);
    say(`Object ${changed.number}: the decision was taken back`);
  }

  async ownLast() {
    if (!this.object) return null;
    const decisions = await ask(`/objects/${this.object.id}/decisions`);
    return decisions.filter((each) => each.holds && each.reviewer === this.who.name).at(-1);
  }

  /** An object as it is now, wherever it is shown. */
  replace(object) {
    const shown = this.masked(object);
    this.objects[this.objects.findIndex((each) => each.id === object.id)] = shown;
    this.all[this.all.findIndex((each) => each.id === object.id)] = object;
    this.rested = false;
    if (this.object?.id === object.id) this.object = shown;
    this.stage.update(shown);
    this.strip.update(shown);
    this.tellCounts();
    if (this.object === shown) this.panel.show(shown, this);
  }

  // Where the network looked ---------------------------------------------------------------------------------

  async showHeat(heat) {
    this.heat = heat;
    if (!heat) return this.stage.showHeat(null);
    const href = await addressOf(heat.canvas);
    if (this.heat === heat) this.stage.showHeat({ ...heat, href });
    setTimeout(() => URL.revokeObjectURL(href), 5000);
  }

  // Keys and buttons -----------------------------------------------------------------------------------------

  async otherPicture(by) {
    const all = this.pictures.read();
    const next = all[all.findIndex((image) => image.id === this.image?.id) + by];
    if (next) await this.open(next.id);
  }

  zoomObject() {
    if (!this.object) return;
    if (this.stage.isWhole) this.stage.closeIn(this.object);
    else this.stage.fit();
  }

  outlines() {
    const isShown = at("outlines").getAttribute("aria-pressed") !== "true";
    at("outlines").setAttribute("aria-pressed", String(isShown));
    this.stage.outline(isShown);
  }

  actions() {
    const pans = { ArrowRight: [0.12, 0], ArrowLeft: [-0.12, 0], ArrowUp: [0, -0.12], ArrowDown: [0, 0.12] };
    return {
      decide: (type) => this.act(() => this.decide(type)),
      more: () => this.act(() => this.shiftNumber(1)),
      fewer: () => this.act(() => this.shiftNumber(-1)),
      agree: () => this.act(() => this.agree()),
      next: () => this.act(() => this.next()),
      undo: () => this.act(() => this.undo()),
      step: (key) => this.act(() => this.step(key === "ArrowRight" ? 1 : -1)),
      picture: (key) => this.act(() => this.otherPicture(key === "." ? 1 : -1)),
      zoomObject: () => this.zoomObject(),
      zoom: (key) => this.stage.zoom(key === "i" ? 1.3 : 1 / 1.3),
      fit: () => this.stage.fit(),
      pan: (key) => this.stage.pan(...pans[key]),
      looked: () => this.panel.look(!this.panel.isLooked),
      outlines: () => this.outlines(),
      help: () => at("help").showModal(),
    };
  }

  /** After the mouse was used, Enter means the object again; who came by keyboard stays at the button. */
  clicked(event, does) {
    if (event.detail) this.strip.focus();
    does();
  }

  listen() {
    const does = this.actions();
    fillHelp();
    listen(does);
    const clicks = {
      keys: does.help, agree: does.agree, undo: does.undo, skip: does.next, more: does.more, fewer: does.fewer,
      "zoom-in": () => does.zoom("i"), "zoom-out": () => does.zoom("o"), "zoom-object": () => this.object && this.stage.closeIn(this.object),
      fit: does.fit, outlines: does.outlines, looked: does.looked,
    };
    for (const [id, click] of Object.entries(clicks)) at(id).addEventListener("click", (event) => this.clicked(event, click));
    for (const button of document.querySelectorAll("[data-decide]")) button.addEventListener("click", (event) => this.clicked(event, () => does.decide(button.dataset.decide)));
    at("second").addEventListener("change", () => this.image && this.act(() => this.open(this.image.id)));
    at("drawer").addEventListener("click", () => {
      at("drawer").setAttribute("aria-expanded", String(at("pictures").classList.toggle("open")));
    });
    window.addEventListener("pagehide", () => { if (this.draft !== undefined) this.act(() => this.saveNumber()); });
  }
}

function strong(text) {
  const element = document.createElement("b");
  element.textContent = text;
  return element;
}

function soft(text) {
  const element = document.createElement("span");
  element.className = "soft";
  element.textContent = text;
  return element;
}

/** A picture that was loaded. */
function loaded(href) {
  return new Promise((resolve, reject) => {
    const picture = new Image();
    picture.onload = () => resolve(picture);
    picture.onerror = () => reject(new Error("The picture cannot be loaded."));
    picture.src = href;
  });
}

new Review().start().catch((error) => say(error.message, true));
