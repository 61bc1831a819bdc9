// The picture with its outlines: zoom and pan by mouse, touch and keys; a click chooses an object.

import { at, draw } from "./dom.js";
import { caption, isDoubtful, standing } from "./types.js";

const CLICK_PX = 5;
const MOST_ZOOM = 24;

/** The view of one picture at a time; ``choose`` hears the id of an object that was clicked. */
export class Stage {
  constructor({ choose }) {
    this.stage = at("stage");
    this.svg = at("view");
    this.choose = choose;
    this.fingers = new Map();
    this.shapes = new Map();
    this.size = { width: 1, height: 1 };
    this.box = { x: 0, y: 0, width: 1, height: 1 };
    this.listen();
    new ResizeObserver(() => this.resized()).observe(this.stage);
  }

  /** Shows a picture (its address and its size in pixels) and its objects. */
  show({ href, width, height, objects, name }) {
    this.size = { width, height };
    this.picture = draw("image", { href, x: 0, y: 0, width, height, preserveAspectRatio: "none" });
    this.heat = draw("g", { class: "heat" });
    this.lines = draw("g", { class: "lines" });
    this.labels = draw("g", { class: "labels" });
    this.svg.replaceChildren(this.picture, this.heat, this.lines, this.labels);
    this.svg.setAttribute("aria-label", `${name || "Picture"} with ${objects.length} outlined objects`);
    this.shapes.clear();
    this.tops = new Map();
    for (const object of [...objects].sort((a, b) => b.area_px - a.area_px)) this.add(object);
    this.fit();
  }

  /** Nothing is shown. */
  clear() {
    this.svg.replaceChildren();
    this.shapes.clear();
  }

  add(object) {
    const d = object.outline.map((ring) => `M${ring.map(([x, y]) => `${x + 0.5} ${y + 0.5}`).join("L")}Z`).join("");
    const group = draw("g", { "data-id": object.id },
      draw("path", { class: "halo", d }), draw("path", { class: "line", d }), draw("path", { class: "hit", d }));
    const label = draw("text", { "text-anchor": "middle", "data-id": object.id });
    this.lines.append(group);
    this.labels.append(label);
    const top = object.outline.flat().reduce((best, point) => (point[1] < best[1] ? point : best), [object.box.left, object.box.bottom]);
    this.shapes.set(object.id, { group, label, top, object });
    this.update(object);
  }

  /** The object's line and letters as they stand now. */
  update(object) {
    const shape = this.shapes.get(object.id);
    if (!shape) return;
    shape.object = object;
    const doubt = isDoubtful(object) && !object.decided ? " doubt" : "";
    const quiet = standing(object).type === "instance" && !doubt && !object.decided ? " quiet" : "";
    const chosen = object.id === this.chosen ? " chosen" : "";
    shape.group.setAttribute("class", `t-${standing(object).type}${doubt}${chosen}`);
    shape.label.setAttribute("class", `t-${standing(object).type}${doubt}${quiet}${chosen}`);
    shape.label.textContent = caption(object);
  }

  /** Marks the chosen object, and moves the view so that it is seen. */
  select(object) {
    const old = this.chosen && this.shapes.get(this.chosen);
    this.chosen = object?.id;
    if (old) this.update(old.object);
    if (!object) return;
    this.update(object);
    this.lines.append(this.shapes.get(object.id).group);
    const { top, left, bottom, right } = object.box;
    const { x, y, width, height } = this.box;
    const isSeen = left >= x && top >= y && right <= x + width && bottom <= y + height;
    if (!isSeen) this.place({ ...this.box, x: (left + right - width) / 2, y: (top + bottom - height) / 2 });
  }

  /** The whole picture, beside the tools as far as there is room. */
  fit() {
    const { clientWidth, clientHeight } = this.stage;
    const scale = Math.min(clientWidth / this.size.width, clientHeight / this.size.height) * 0.97 || 1;
    const [width, height] = [clientWidth / scale, clientHeight / scale];
    const tools = this.stage.querySelector(".stage-tools").offsetWidth / scale;
    const free = Math.max(0, width - this.size.width);
    const left = Math.min(free / 2, Math.max(free * 0.05, (free - tools) / 2));
    this.place({ x: -left, y: (this.size.height - height) / 2, width, height }, true);
  }

  /** The object and its surroundings, large. */
  closeIn(object) {
    const { top, left, bottom, right } = object.box;
    const side = 3 * Math.max(right - left, bottom - top, 12);
    const ratio = this.stage.clientWidth / (this.stage.clientHeight || 1);
    const [width, height] = ratio > 1 ? [side * ratio, side] : [side, side / ratio];
    this.place({ x: (left + right - width) / 2, y: (top + bottom - height) / 2, width, height });
  }

  /** Larger (factor above 1) or smaller, around a point of the window or the middle. */
  zoom(factor, point) {
    const around = point ? this.toPicture(point) : { x: this.box.x + this.box.width / 2, y: this.box.y + this.box.height / 2 };
    const least = this.size.width / MOST_ZOOM / 2;
    const most = 3 * Math.max(this.size.width, this.size.height * (this.stage.clientWidth / (this.stage.clientHeight || 1)));
    const width = Math.min(most, Math.max(least, this.box.width / factor));
    const ratio = width / this.box.width;
    this.place({
      x: around.x - (around.x - this.box.x) * ratio,
      y: around.y - (around.y - this.box.y) * ratio,
      width,
      height: this.box.height * ratio,
    });
  }

  /** Moves the view by shares of its size. */
  pan(right, down) {
    this.place({ ...this.box, x: this.box.x + right * this.box.width, y: this.box.y + down * this.box.height });
  }

  place(box, isWhole = false) {
    this.isWhole = isWhole;
    const { width, height } = this.size;
    const middle = { x: box.x + box.width / 2, y: box.y + box.height / 2 };
    const x = Math.min(width, Math.max(0, middle.x)) - box.width / 2;
    const y = Math.min(height, Math.max(0, middle.y)) - box.height / 2;
    this.box = { ...box, x, y };
    this.svg.setAttribute("viewBox", `${x} ${y} ${box.width} ${box.height}`);
    this.letter();
  }

  /** Letters keep their size on the screen whatever the zoom. */
  letter() {
    const pixel = this.box.width / (this.stage.clientWidth || 1);
    this.labels?.setAttribute("font-size", 13 * pixel);
    this.labels?.setAttribute("stroke-width", 3.2 * pixel);
    for (const { label, top, object } of this.shapes.values()) {
      const isAtTop = object.box.top < 18 * pixel;
      label.setAttribute("x", top[0]);
      label.setAttribute("y", isAtTop ? object.box.bottom + 15 * pixel : top[1] - 5 * pixel);
    }
  }

  resized() {
    if (this.isWhole) this.fit();
    else this.place({ ...this.box, height: this.box.width * (this.stage.clientHeight / (this.stage.clientWidth || 1)) });
  }

  /** Where the network looked: a picture over a square of this one; ``null``: none. */
  showHeat(heat) {
    this.heat?.replaceChildren();
    if (!heat || !this.heat) return;
    const { href, left, top, side } = heat;
    this.heat.append(draw("image", { href, x: left, y: top, width: side, height: side, preserveAspectRatio: "none" }));
  }

  /** Outlines and letters, or the bare picture. */
  outline(isShown) {
    this.stage.classList.toggle("bare", !isShown);
  }

  toPicture({ x, y }) {
    const frame = this.svg.getBoundingClientRect();
    return {
      x: this.box.x + ((x - frame.left) / frame.width) * this.box.width,
      y: this.box.y + ((y - frame.top) / frame.height) * this.box.height,
    };
  }

  listen() {
    const { svg } = this;
    svg.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0018)), { x: event.clientX, y: event.clientY });
    }, { passive: false });
    svg.addEventListener("pointerdown", (event) => this.down(event));
    svg.addEventListener("pointermove", (event) => this.move(event));
    for (const end of ["pointerup", "pointercancel"]) svg.addEventListener(end, (event) => this.up(event));
    svg.addEventListener("dblclick", (event) => {
      const object = this.objectAt(event);
      if (object) this.closeIn(object);
    });
  }

  objectAt(event) {
    const target = document.elementFromPoint(event.clientX, event.clientY);
    return this.shapes.get(target?.closest("[data-id]")?.dataset.id)?.object;
  }

  down(event) {
    if (event.button !== 0) return;
    this.svg.setPointerCapture(event.pointerId);
    this.fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    this.travel = this.fingers.size > 1 ? Infinity : 0;
  }

  move(event) {
    const before = this.fingers.get(event.pointerId);
    if (!before) return;
    const now = { x: event.clientX, y: event.clientY };
    const other = [...this.fingers].find(([id]) => id !== event.pointerId)?.[1];
    this.fingers.set(event.pointerId, now);
    this.travel += Math.hypot(now.x - before.x, now.y - before.y);
    if (other) this.pinch(before, now, other);
    else if (this.travel > CLICK_PX) this.drag(before, now);
  }

  drag(before, now) {
    const pixel = this.box.width / this.svg.clientWidth;
    this.place({ ...this.box, x: this.box.x - (now.x - before.x) * pixel, y: this.box.y - (now.y - before.y) * pixel });
  }

  pinch(before, now, other) {
    const apart = (a, b) => Math.max(8, Math.hypot(a.x - b.x, a.y - b.y));
    this.drag({ x: before.x / 2, y: before.y / 2 }, { x: now.x / 2, y: now.y / 2 });
    this.zoom(apart(now, other) / apart(before, other), { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 });
  }

  up(event) {
    const wasDown = this.fingers.delete(event.pointerId);
    const object = wasDown && event.type === "pointerup" && this.travel <= CLICK_PX ? this.objectAt(event) : null;
    if (object) this.choose(object.id);
  }
}
