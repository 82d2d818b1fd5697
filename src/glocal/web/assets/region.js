// The box around a part of an image: drawn with a pointer or moved with the arrow keys.

import { announce, el } from "./elements.js";
import { percent } from "./words.js";

const LEAST = 0.03;
const CORNERS = ["nw", "n", "ne", "e", "se", "s", "sw", "w"];

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

/** "from 20% across and 30% down, 40% wide and 35% high" */
function wordsOf([x, y, w, h]) {
  return `from ${percent(x)} across and ${percent(y)} down, ${percent(w)} wide and ${percent(h)} high`;
}

/** Lets a box be drawn on an image.
 *
 * @param {HTMLElement} frame exactly covers the image
 * @param {(region: number[] | null) => void} changed x, y, width and height as fractions, once the
 *   hand or the keys rest
 */
export class RegionBox {
  constructor(frame, changed) {
    this.frame = frame;
    this.changed = changed;
    this.region = null;
    this.box = el("div", {
      class: "box",
      tabindex: "0",
      role: "group",
      hidden: true,
      onkeydown: (event) => this.pressed(event),
    });
    for (const corner of CORNERS)
      this.box.append(el("span", { class: `grip ${corner}`, "data-grip": corner }));
    this.shade = el("div", { class: "box-shade", hidden: true });
    frame.append(this.shade, this.box);
    frame.classList.add("drawable");
    frame.addEventListener("pointerdown", (event) => this.grabbed(event));
  }

  /** Show a box, or none. */
  show(region) {
    this.region = region;
    this.box.hidden = this.shade.hidden = !region;
    if (!region) return;
    const [x, y, w, h] = region;
    const style = {
      left: `${x * 100}%`,
      top: `${y * 100}%`,
      width: `${w * 100}%`,
      height: `${h * 100}%`,
    };
    Object.assign(this.box.style, style);
    const [l, t, r, b] = [x, y, x + w, y + h].map((n) => `${n * 100}%`);
    this.shade.style.clipPath = `polygon(evenodd, 0 0, 100% 0, 100% 100%, 0 100%, 0 0, ${l} ${t}, ${r} ${t}, ${r} ${b}, ${l} ${b}, ${l} ${t})`;
    this.box.setAttribute(
      "aria-label",
      `Box ${wordsOf(region)}. Arrow keys move it, with Shift they change its size, Delete removes it.`,
    );
  }

  /** A box to begin with, for those who have no pointer; or the one that is there. */
  begin() {
    if (!this.region) {
      this.show([0.25, 0.25, 0.5, 0.5]);
      this.later();
    }
    this.box.focus();
  }

  pressed(event) {
    if (!this.region || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Delete" || event.key === "Backspace") {
      event.preventDefault();
      this.show(null);
      this.changed(null);
      announce("Box removed. Searching with the whole image.");
      return;
    }
    const step = 0.02;
    const [dx, dy] = {
      ArrowLeft: [-step, 0],
      ArrowRight: [step, 0],
      ArrowUp: [0, -step],
      ArrowDown: [0, step],
    }[event.key] ?? [0, 0];
    if (!dx && !dy) return;
    event.preventDefault();
    event.stopPropagation();
    const [x, y, w, h] = this.region;
    this.show(
      event.shiftKey
        ? [x, y, clamp(w + dx, LEAST, 1 - x), clamp(h + dy, LEAST, 1 - y)]
        : [clamp(x + dx, 0, 1 - w), clamp(y + dy, 0, 1 - h), w, h],
    );
    this.later();
  }

  later() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      announce(`Box ${wordsOf(this.region)}`);
      this.changed(this.region);
    }, 350);
  }

  point(event) {
    const room = this.frame.getBoundingClientRect();
    return [
      clamp((event.clientX - room.left) / room.width, 0, 1),
      clamp((event.clientY - room.top) / room.height, 0, 1),
    ];
  }

  grabbed(event) {
    if (event.button || !event.isPrimary) return;
    event.preventDefault();
    const before = this.region;
    const start = this.point(event);
    const grip = event.target.dataset?.grip;
    const move = grip
      ? this.resizing(grip)
      : this.box.contains(event.target)
        ? this.moving(start)
        : this.drawing(start);
    this.frame.setPointerCapture(event.pointerId);
    const dragged = (next) => this.show(move(this.point(next)));
    const done = (next) => {
      this.frame.removeEventListener("pointermove", dragged);
      this.frame.removeEventListener("pointerup", done);
      this.frame.removeEventListener("pointercancel", done);
      const drawn = this.region;
      const tiny = !drawn || drawn[2] < LEAST || drawn[3] < LEAST;
      if (next.type === "pointercancel" || tiny) this.show(before);
      else {
        this.box.focus({ preventScroll: true });
        if (drawn !== before) this.changed(drawn);
      }
    };
    this.frame.addEventListener("pointermove", dragged);
    this.frame.addEventListener("pointerup", done);
    this.frame.addEventListener("pointercancel", done);
  }

  drawing([x, y]) {
    return ([a, b]) => [Math.min(x, a), Math.min(y, b), Math.abs(a - x), Math.abs(b - y)];
  }

  moving([fromX, fromY]) {
    const [x, y, w, h] = this.region;
    return ([a, b]) => [clamp(x + a - fromX, 0, 1 - w), clamp(y + b - fromY, 0, 1 - h), w, h];
  }

  resizing(grip) {
    const [x, y, w, h] = this.region;
    return ([a, b]) => {
      const left = grip.includes("w") ? Math.min(a, x + w - LEAST) : x;
      const top = grip.includes("n") ? Math.min(b, y + h - LEAST) : y;
      const right = grip.includes("e") ? Math.max(a, x + LEAST) : x + w;
      const bottom = grip.includes("s") ? Math.max(b, y + LEAST) : y + h;
      return [left, top, right - left, bottom - top];
    };
  }
}
