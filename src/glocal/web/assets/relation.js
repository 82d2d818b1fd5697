// Two boxes on the query image: two things that stand to each other in a way.

import { announce, button, el, svg } from "./elements.js";
import { RegionBox } from "./region.js";
import { go } from "./state.js";

const RELATIONS = {
  "": "As in this image",
  inside: "Inside",
  around: "Around",
  above: "Above",
  below: "Below",
  "left-of": "Left of",
  "right-of": "Right of",
  beside: "Beside",
  overlapping: "Overlapping",
};

/** The second of two boxes: it is drawn only when that was asked for. */
class SecondBox extends RegionBox {
  constructor(frame, changed) {
    super(frame, changed);
    this.waiting = false;
    this.box.classList.add("second");
    this.shade.remove();
    // Before the first box, which takes every other touch.
    const first = (event) => {
      if (!this.waiting && !this.box.contains(event.target)) return;
      event.stopImmediatePropagation();
      this.waiting = false;
      super.grabbed(event);
    };
    frame.addEventListener("pointerdown", first, { capture: true });
  }

  grabbed() {}

  show(region) {
    super.show(region);
    const label = this.box.getAttribute("aria-label");
    if (region && label) this.box.setAttribute("aria-label", `Second ${label.toLowerCase()}`);
  }

  /** A box beside the first one, to be moved or drawn anew. */
  beginBeside([x, , w]) {
    this.waiting = true;
    this.show([x + w / 2 < 0.5 ? 0.62 : 0.03, 0.33, 0.35, 0.35]);
    this.later();
    this.box.focus();
  }

  pressed(event) {
    const removes = event.key === "Delete" || event.key === "Backspace";
    if (!removes) super.pressed(event);
    else {
      event.preventDefault();
      this.remove();
    }
  }

  remove() {
    this.waiting = false;
    this.show(null);
    this.changed(null);
    announce("Second box removed.");
  }
}

/** What a search for two things needs on the page: `element` goes below the image. */
export class PairTools {
  /**
   * @param {HTMLElement} frame exactly covers the image
   * @param {object} state
   */
  constructor(frame, state) {
    this.frame = frame;
    this.box = new SecondBox(frame, (second) =>
      go({ second, relation: second && this.state.relation }, {
        replace: Boolean(this.state.second && second),
      }),
    );
    this.add = button(
      "Second box",
      { class: "soft small", draw: "box", title: "Find two things that stand to each other so" },
      () => {
        this.box.beginBeside(this.state.region);
        announce("Move the second box to the other thing, or draw it.");
      },
    );
    this.choice = el(
      "select",
      { "aria-label": "How the first thing stands to the second" },
      Object.entries(RELATIONS).map(([value, words]) => el("option", { value }, words)),
    );
    this.choice.addEventListener("change", () => go({ relation: this.choice.value || null }));
    this.drop = button("One box", { class: "soft small", draw: "close" }, () => this.box.remove());
    this.element = el("div", { class: "row pair-tools" }, this.add, this.choice, this.drop);
    this.show(state);
  }

  show(state) {
    this.state = state;
    const { region, second } = state;
    const alone = !state.text && !state.change && state.like.length === 1 && !state.unlike.length;
    this.box.show(second);
    this.frame.classList.toggle("pair", Boolean(second));
    this.add.hidden = Boolean(second) || !region || !alone;
    this.choice.hidden = this.drop.hidden = !second;
    this.choice.value = state.relation ?? "";
    this.element.hidden = !region || (!second && !alone);
  }
}

/** The fields of the request. */
export function addPair(form, { second, relation }) {
  if (!second) return;
  form.append("second_region", second.map((n) => n.toFixed(4)).join(","));
  if (relation) form.append("relation", relation);
}

/** What is said over a hit: whether both things are certain, and how similar their relation is. */
export function pairMark({ evidence, score }) {
  const certain = Boolean(evidence) && evidence.verdict !== "similar";
  const words = certain ? "Both things" : "Perhaps";
  const share = `${Math.round(score * 100)}%`;
  return el(
    "span",
    {
      class: certain ? "mark matching" : "mark similar",
      "aria-label": `${words}, relation ${share} similar`,
      role: "img",
    },
    el("span", { class: "mark-words" }, words),
    el("span", { class: "mark-score" }, share),
  );
}

/** Where the second thing is in a hit, drawn as its first one is. */
export function secondLines({ second_box: box, width, height }) {
  if (!box) return [];
  const [x, y, wide, high] = box;
  const rect = { x: x * width, y: y * height, width: wide * width, height: high * height };
  return [
    svg("rect", { ...rect, class: "region-under" }),
    svg("rect", { ...rect, class: "region-line second" }),
  ];
}
