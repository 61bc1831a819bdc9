// The chosen object: close-up, probabilities, what was decided on it, what resembles it.

import { ask } from "./api.js";
import { drawObject, heatOf } from "./closeup.js";
import { at, draw, glyph, make, moment, percent } from "./dom.js";
import { isDoubtful, isFixed, standing, TYPES, typeOf } from "./types.js";

const REST_MS = 140;

/** The panel beside the picture; ``heatShown`` hears where the network looked, or ``null``. */
export class Panel {
  constructor({ heatShown, hides }) {
    this.heatShown = heatShown;
    this.hides = hides;
    this.isLooked = false;
  }

  /** Shows an object of a loaded picture, or nothing. */
  show(object, { picture, scale } = {}) {
    clearTimeout(this.timer);
    this.asking?.abort();
    const isNew = object?.id !== this.object?.id;
    Object.assign(this, { object, picture, scale });
    at("panel-empty").hidden = Boolean(object);
    at("panel-full").hidden = !object;
    if (!object) return this.heatShown(null);
    if (isNew) this.forget();
    this.tell();
    this.timer = setTimeout(() => this.askMore(), REST_MS);
  }

  forget() {
    this.seen = null;
    this.mapType = null;
    this.heatShown(null);
    at("similar").replaceChildren(make("li", { class: "soft" }, "…"));
    at("history").replaceChildren();
  }

  tell() {
    const { object } = this;
    const { type, n } = standing(object);
    at("object-name").textContent = `Object ${object.number}`;
    at("standing").replaceChildren(
      glyph(type), make("b", {}, typeOf(type).word), n > 1 ? ` · ${n} chromosomes` : "",
      make("span", { class: object.decided ? "tag done" : isDoubtful(object) ? "tag look" : "tag" },
        object.decided ? `decided by ${object.decided.reviewer}` : isDoubtful(object) ? "to look at" : "sure"));
    for (const button of document.querySelectorAll("[data-decide]")) {
      button.setAttribute("aria-pressed", String(Boolean(object.decided) && button.dataset.decide === type));
      button.classList.toggle("stands", button.dataset.decide === type);
    }
    this.number(n);
    this.bars();
    this.closeUp();
  }

  /** The number shown between minus and plus. */
  number(n) {
    const { type } = standing(this.object);
    at("number").textContent = n;
    at("more").disabled = this.isBarred || isFixed(type);
    at("fewer").disabled = this.isBarred || isFixed(type) || n <= typeOf(type).least;
  }

  bars() {
    const { probabilities, confidence, rejection, doubts, chromosome_probability: chance } = this.object.prediction;
    const rows = TYPES.filter((type) => probabilities && type.name in probabilities).map((type) => this.bar(type, probabilities[type.name]));
    at("bars").replaceChildren(...rows);
    const words = [rejection && `Rejected: ${rejection}.`, ...doubts.map((doubt) => `Look: ${doubt}.`),
      chance !== null && `A chromosome at all: ${percent(chance)}.`, confidence === null && "The model was not asked about it."];
    at("reasons").replaceChildren(...words.filter(Boolean).map((word) => make("li", {}, word)));
  }

  bar(type, share) {
    const isShown = this.isLooked && type.name === this.shownType();
    const drawn = draw("svg", { class: `bar t-${type.name}`, "aria-hidden": "true" },
      draw("rect", { class: "bed", width: "100%", height: "100%", rx: 3 }), draw("rect", { class: "share", width: `${100 * share}%`, height: "100%", rx: 3 }));
    return make("li", {}, make("button", {
      type: "button", title: "Where the network looked for it", "aria-pressed": String(isShown),
      "aria-label": `${type.word}: ${percent(share)}. Show where the network looked for it`,
      click: () => this.look(true, type.name),
    }, make("span", { class: "bar-word" }, make("b", {}, type.letters), ` ${type.word}`), drawn, make("span", { class: "bar-share" }, percent(share))));
  }

  shownType() {
    const { probabilities } = this.object.prediction;
    const best = Object.entries(probabilities ?? {}).sort((a, b) => b[1] - a[1])[0]?.[0];
    return this.mapType ?? best;
  }

  /** Whether to show where the network looked, and for which type. */
  look(isLooked, type = null) {
    this.isLooked = isLooked;
    this.mapType = type ?? this.mapType;
    at("looked").setAttribute("aria-pressed", String(isLooked));
    if (!this.object) return;
    this.bars();
    this.closeUp();
    if (isLooked && !this.seen) this.askMore();
  }

  closeUp() {
    const { object, picture, scale } = this;
    if (!picture) return;
    const heat = this.isLooked && this.seen ? heatOf(this.seen, this.shownType()) : null;
    drawObject(at("closeup"), { picture, scale, object, heat });
    at("closeup").setAttribute("aria-label", `Close-up of object ${object.number}${heat ? `, with where the network looked for ${typeOf(this.shownType()).word}` : ""}`);
    this.heatShown(heat);
  }

  async askMore() {
    const { object } = this;
    this.asking?.abort();
    this.asking = new AbortController();
    const { signal } = this.asking;
    const place = `/objects/${object.id}`;
    const isAsked = object.prediction.probabilities !== null;
    try {
      const needsSeen = isAsked && !this.seen && this.isLooked;
      const [history, similar, seen] = await Promise.all([
        ask(`${place}/decisions`, { signal }),
        isAsked ? ask(`${place}/similar?limit=4`, { signal }) : [],
        needsSeen ? ask(`${place}/seen`, { signal }) : this.seen,
      ]);
      if (signal.aborted) return;
      this.seen = seen;
      this.history(history);
      this.similar(similar, isAsked);
      if (this.isLooked) this.closeUp();
    } catch (error) {
      if (error.name !== "AbortError") at("similar").replaceChildren(make("li", { class: "soft" }, error.message));
    }
  }

  similar(found, isAsked) {
    const rows = found.map(({ object, similarity }) => {
      const { type, n } = standing(object);
      const words = make("span", {}, make("b", {}, typeOf(type).letters + (n > 1 ? n : "")), ` ${percent(Math.max(0, similarity))}`);
      const link = `/?picture=${object.image_id}&object=${object.id}`;
      const picture = object.has_crop ? make("img", { src: `/api/v1/objects/${object.id}/crop.png`, alt: "", loading: "lazy" }) : null;
      return make("li", {}, make("a", { href: link, class: `t-${type}`, "aria-label": `${typeOf(type).word}, ${n} chromosomes, similar by ${percent(similarity)}` }, picture, words));
    });
    const none = isAsked ? "Nothing like it was decided yet." : "The model was not asked about it.";
    at("similar").replaceChildren(...(rows.length ? rows : [make("li", { class: "soft" }, none)]));
  }

  history(decisions) {
    const shown = decisions.filter((decision) => !this.hides(decision));
    const rows = shown.map((decision) => make("li", { class: decision.holds || decision.revokes ? "" : "gone" },
      make("span", {}, decision.type ? `${typeOf(decision.type).word}${decision.n_chromosomes > 1 ? `, ${decision.n_chromosomes}` : ""}` : "taken back"),
      make("span", { class: "soft" }, `${decision.reviewer}, ${moment(decision.created)}`)));
    const { model } = this.object.prediction;
    rows.unshift(make("li", {}, make("span", {}, `Model: ${typeOf(this.object.prediction.type).word}${this.object.prediction.n_chromosomes > 1 ? `, ${this.object.prediction.n_chromosomes}` : ""}`),
      make("span", { class: "soft", title: model.sha256 }, `${model.name} ${model.version}, ${model.sha256.slice(0, 8)}`)));
    at("history").replaceChildren(...rows);
  }

  /** Nothing can be decided here, with the reason. */
  forbid(reason) {
    this.isBarred = true;
    at("may-not").textContent = reason;
    at("may-not").hidden = false;
    for (const button of document.querySelectorAll(".decide button:not(#skip)")) button.disabled = true;
  }
}
