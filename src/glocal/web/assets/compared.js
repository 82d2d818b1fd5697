// Two images that are looked at in the same place: beside each other, one over the other with a
// slider between them, or in turn.

import { el, svg } from "./elements.js";
import { carried, IDENTITY, inverse, product } from "./homography.js";
import { Layer } from "./layer.js";
import { Viewport } from "./viewport.js";

export const MODES = { side: "Side by side", slider: "Slider", blink: "Blink" };

const MOST_GROWTH = 4;
const SIDES = ["first", "second"];

/** Two images, and how they lie on one another.
 *
 * @param {{id: string, width: number, height: number, path: string}} first
 * @param {{id: string, width: number, height: number, path: string}} second
 * @param {{captions: string[], swiped?: (step: number) => void}} options
 */
export class Compared {
  constructor(first, second, { captions, swiped }) {
    this.images = { first, second };
    this.marked = true;
    this.over = false;
    this.split = 0.5;
    this.mode = "side";
    this.found = null;
    this.view = new Viewport(() => this.draw());
    this.panes = {};
    const tapped = () => this.mode === "blink" && this.blink();
    SIDES.forEach((side, at) => {
      const layer = new Layer(this.images[side].id, {
        loaded: () => this.draw(),
        gone: () => element.classList.add("gone"),
      });
      const marks = svg("svg", { class: "marks", "aria-hidden": "true" });
      const element = el(
        "div",
        { class: `pane ${side}` },
        layer.element,
        marks,
        el("span", { class: "caption" }, captions[at]),
      );
      const pane = this.view.attach(element, () => this.aspect(side), { swiped, tapped });
      this.panes[side] = { element, pane, layer, marks };
    });
    this.handle = el("div", {
      class: "wipe",
      role: "slider",
      tabindex: "0",
      "aria-label": "How much of the first image is shown",
      "aria-valuemin": "0",
      "aria-valuemax": "100",
      onpointerdown: (event) => this.wiping(event),
      onkeydown: (event) => this.wiped(event),
    });
    this.element = el(
      "div",
      {
        class: "compared",
        tabindex: "0",
        role: "group",
        "aria-label": `${captions[0]} and ${captions[1]}. Space shows them in turn, plus and minus zoom.`,
      },
      this.panes.first.element,
      this.panes.second.element,
      this.handle,
    );
    this.sizes = new ResizeObserver(() => this.draw());
    this.sizes.observe(this.element);
    this.show({});
  }

  close() {
    this.sizes.disconnect();
  }

  /** Say how the images lie on one another; see `PairResult` of the API. */
  register(found) {
    this.found = found;
    this.draw();
  }

  /** Change how they are shown. */
  show({ mode = this.mode, marked = this.marked, over = this.over }) {
    Object.assign(this, { mode, marked, over });
    this.element.dataset.mode = mode;
    this.element.classList.toggle("marked", marked);
    this.element.classList.toggle("over", over);
    this.draw();
  }

  /** Show the one and the other in turn. */
  blink() {
    if (this.mode === "blink") this.show({ over: !this.over });
    else this.show({ mode: "blink", over: true });
  }

  get homography() {
    return this.found?.homography ?? null;
  }

  /** What both show together, in fractions of the first image: left, top, right, bottom. */
  frame() {
    if (!this.homography) return [0, 0, 1, 1];
    const back = inverse(this.homography);
    const corners = [
      [0, 0],
      [1, 0],
      [1, 1],
      [0, 1],
    ].map((corner) => carried(back, corner));
    if (corners.includes(null)) return [0, 0, 1, 1];
    const [xs, ys] = [0, 1].map((at) => corners.map((corner) => corner[at]));
    const frame = [Math.min(0, ...xs), Math.min(0, ...ys), Math.max(1, ...xs), Math.max(1, ...ys)];
    const large = frame[2] - frame[0] > MOST_GROWTH || frame[3] - frame[1] > MOST_GROWTH;
    return large ? [0, 0, 1, 1] : frame;
  }

  aspect(side) {
    if (!this.homography) return ratio(this.images[side]);
    const [left, top, right, bottom] = this.frame();
    return (ratio(this.images.first) * (right - left)) / (bottom - top);
  }

  draw() {
    if (!this.element?.clientWidth) return;
    const [left, top, right, bottom] = this.frame();
    // From the first image's fractions to the frame's.
    const framed = [
      [1 / (right - left), 0, -left / (right - left)],
      [0, 1 / (bottom - top), -top / (bottom - top)],
      [0, 0, 1],
    ];
    for (const side of SIDES) {
      const { pane, layer, marks } = this.panes[side];
      const [x0, y0] = this.view.place(pane, [0, 0]);
      const [x1, y1] = this.view.place(pane, [1, 1]);
      const shown = [
        [x1 - x0, 0, x0],
        [0, y1 - y0, y0],
        [0, 0, 1],
      ];
      const aligned = Boolean(this.homography);
      const placed = side === "second" && aligned ? inverse(this.homography) : IDENTITY;
      const whole = product(shown, aligned ? framed : IDENTITY, placed);
      layer.draw(whole, x1 - x0);
      const boxes = aligned || side === "first" ? this.found?.differing : this.found?.differing_second;
      const there = product(shown, aligned ? framed : IDENTITY);
      marks.replaceChildren(...(boxes ?? []).map((box) => mark(box, there)));
    }
    this.wipe();
  }

  wipe() {
    const slider = this.mode === "slider";
    this.handle.hidden = !slider;
    this.panes.second.element.style.clipPath = slider ? `inset(0 0 0 ${this.split * 100}%)` : "";
    this.handle.style.left = `${this.split * 100}%`;
    this.handle.setAttribute("aria-valuenow", String(Math.round(this.split * 100)));
  }

  wiping(event) {
    event.preventDefault();
    event.stopPropagation();
    this.handle.setPointerCapture(event.pointerId);
    const move = ({ clientX }) => {
      const box = this.element.getBoundingClientRect();
      this.split = Math.min(1, Math.max(0, (clientX - box.left) / box.width));
      this.wipe();
    };
    this.handle.addEventListener("pointermove", move);
    this.handle.addEventListener(
      "lostpointercapture",
      () => this.handle.removeEventListener("pointermove", move),
      { once: true },
    );
  }

  wiped(event) {
    const step = { ArrowLeft: -0.05, ArrowRight: 0.05 }[event.key];
    if (!step || event.shiftKey) return;
    event.preventDefault();
    event.stopPropagation();
    this.split = Math.min(1, Math.max(0, this.split + step));
    this.wipe();
  }
}

const ratio = ({ width, height }) => (width || 4) / (height || 3);

/** A rectangle around what differs, a little larger than it is. */
function mark([x, y, w, h], shown) {
  const [left, top] = carried(shown, [x, y]);
  const [right, bottom] = carried(shown, [x + w, y + h]);
  const box = {
    x: left - 4,
    y: top - 4,
    width: right - left + 8,
    height: bottom - top + 8,
    rx: 5,
  };
  const rows = [
    svg("rect", { ...box, class: "mark-under" }),
    svg("rect", { ...box, class: "mark-box" }),
  ];
  return svg("g", {}, ...rows);
}
