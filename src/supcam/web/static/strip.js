// The objects of a picture in a row, the doubtful first.

import { drawObject } from "./closeup.js";
import { at, make } from "./dom.js";
import { caption, isDoubtful, standing, typeOf } from "./types.js";

/** The strip; ``choose`` hears the id of an object. */
export class Strip {
  constructor({ choose }) {
    this.list = at("strip");
    this.choose = choose;
    this.items = new Map();
    this.drawing = new IntersectionObserver((seen) => this.drawSeen(seen), { root: this.list, rootMargin: "0px 400px" });
  }

  /** Shows objects in their order, cut from a loaded picture. */
  show({ objects, picture, scale }) {
    this.drawing.disconnect();
    this.items.clear();
    Object.assign(this, { picture, scale });
    this.list.replaceChildren(...objects.map((object) => this.item(object)));
    for (const { button } of this.items.values()) this.drawing.observe(button);
    this.list.scrollLeft = 0;
  }

  item(object) {
    const canvas = make("canvas", { width: 128, height: 128, "aria-hidden": "true" });
    const word = make("span", { class: "word" });
    const button = make("button", { type: "button", tabindex: "-1", "data-id": object.id, click: () => this.choose(object.id) }, canvas, word);
    this.items.set(object.id, { button, canvas, word, object });
    this.update(object);
    return make("li", {}, button);
  }

  /** The object's picture and letters as they stand now. */
  update(object) {
    const item = this.items.get(object.id);
    if (!item) return;
    item.object = object;
    const { type, n } = standing(object);
    const state = object.decided ? "decided" : isDoubtful(object) ? "to look at" : "sure";
    item.button.className = `thumb t-${type}${object.decided ? " decided" : isDoubtful(object) ? " doubt" : ""}`;
    item.button.setAttribute("aria-label", `Object ${object.number}: ${typeOf(type).word}, ${n} chromosomes, ${state}`);
    item.word.textContent = caption(object);
    if (item.isDrawn) this.draw(item);
  }

  /** From now on keys go to the chosen object, not to the button that was used last. */
  focus() {
    this.current?.focus({ preventScroll: true });
  }

  drawSeen(seen) {
    for (const { isIntersecting, target } of seen) {
      const item = this.items.get(target.dataset.id);
      if (!isIntersecting || !item || item.isDrawn) continue;
      item.isDrawn = true;
      this.draw(item);
    }
  }

  draw(item) {
    drawObject(item.canvas, { picture: this.picture, scale: this.scale, object: item.object });
  }

  /** Marks the chosen object and brings it into view. */
  select(object) {
    this.list.querySelector("[aria-current]")?.removeAttribute("aria-current");
    this.list.querySelector('[tabindex="0"]')?.setAttribute("tabindex", "-1");
    const item = object && this.items.get(object.id);
    if (!item) return;
    item.button.setAttribute("aria-current", "true");
    item.button.setAttribute("tabindex", "0");
    const hadFocus = this.list.contains(document.activeElement);
    this.current = item.button;
    if (hadFocus) this.focus();
    const { offsetLeft, offsetWidth } = item.button;
    const { scrollLeft, clientWidth } = this.list;
    if (offsetLeft < scrollLeft || offsetLeft + offsetWidth > scrollLeft + clientWidth) {
      this.list.scrollLeft = offsetLeft - (clientWidth - offsetWidth) / 2;
    }
  }
}
