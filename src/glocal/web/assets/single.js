// One image, to be enlarged.

import { el } from "./elements.js";
import { Layer } from "./layer.js";
import { Viewport } from "./viewport.js";
import { alternativeOf } from "./words.js";

export class Single {
  /**
   * @param {{id: string, path: string, width: number, height: number}} one
   * @param {{swiped: (step: number) => void}} options
   */
  constructor(one, { swiped }) {
    this.view = new Viewport(() => this.draw());
    this.element = el("div", { class: "single pane" });
    this.pane = this.view.attach(this.element, () => (one.width || 4) / (one.height || 3), {
      swiped,
    });
    this.layer = new Layer(one.id, {
      alt: alternativeOf(one),
      loaded: () => this.draw(),
      gone: () => this.told(),
    });
    this.element.append(this.layer.element);
    this.sizes = new ResizeObserver(() => this.draw());
    this.sizes.observe(this.element);
  }

  told() {
    const words =
      "The file of this image is missing, or has changed since it was indexed. Index its folder " +
      "again to bring the gallery up to date.";
    this.element.replaceChildren(el("p", { class: "empty", role: "alert" }, words));
  }

  draw() {
    if (!this.element.clientWidth) return;
    const [x0, y0] = this.view.place(this.pane, [0, 0]);
    const [x1, y1] = this.view.place(this.pane, [1, 1]);
    const shown = [
      [x1 - x0, 0, x0],
      [0, y1 - y0, y0],
      [0, 0, 1],
    ];
    this.layer.draw(shown, x1 - x0);
  }

  close() {
    this.sizes.disconnect();
  }
}
