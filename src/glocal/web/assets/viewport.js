// Zoom and pan of panes that show the same place of their images: wheel, drag, pinch, double click
// and keys.

const STEP = 1.5;
const MOST = 24;
const TAP = 300;
const SWIPE = 50;

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

/** What panes show, in fractions of what they show when nothing is enlarged.
 *
 * Every pane is an element that fills its room and clips; what it shows at first, its frame, lies
 * centred in it and as large as it fits. All panes have one scale and one centre.
 */
export class Viewport {
  /** @param {() => void} changed draws the panes again */
  constructor(changed) {
    this.changed = changed;
    this.panes = [];
    this.pointers = new Map();
    this.scale = 1;
    this.centre = [0.5, 0.5];
  }

  get zoomed() {
    return this.scale > 1.001;
  }

  /** Let an element be zoomed and panned.
   *
   * @param {HTMLElement} element
   * @param {() => number} aspect width / height of its frame
   * @param {{swiped?: (step: number) => void, tapped?: () => void}} acts what a swipe and a tap do
   *   while nothing is enlarged
   */
  attach(element, aspect, { swiped, tapped } = {}) {
    const pane = { element, aspect, swiped, tapped };
    this.panes.push(pane);
    element.classList.add("viewport");
    element.addEventListener("wheel", (event) => this.wheeled(pane, event), { passive: false });
    element.addEventListener("pointerdown", (event) => this.grabbed(pane, event));
    element.addEventListener("pointermove", (event) => this.moved(pane, event));
    for (const name of ["pointerup", "pointercancel"])
      element.addEventListener(name, (event) => this.released(pane, event));
    element.addEventListener("dblclick", (event) => {
      event.preventDefault();
      this.zoom(this.zoomed ? 1 / this.scale : 3, this.at(pane, event.clientX, event.clientY));
    });
    return pane;
  }

  /** Where the frame of a pane lies when nothing is enlarged, in pixels. */
  fit(pane) {
    const { clientWidth: width, clientHeight: height } = pane.element;
    const aspect = pane.aspect();
    const wide = Math.min(width, height * aspect);
    return { width: wide, height: wide / aspect, room: [width, height] };
  }

  /** Where a point of the frame lies in a pane, in pixels. */
  place(pane, [x, y]) {
    const { width, height, room } = this.fit(pane);
    const [cx, cy] = this.clamped(pane);
    return [
      room[0] / 2 + (x - cx) * width * this.scale,
      room[1] / 2 + (y - cy) * height * this.scale,
    ];
  }

  /** The point of the frame at a place of the window. */
  at(pane, clientX, clientY) {
    const box = pane.element.getBoundingClientRect();
    const { width, height, room } = this.fit(pane);
    const [cx, cy] = this.clamped(pane);
    return [
      cx + (clientX - box.left - room[0] / 2) / (width * this.scale),
      cy + (clientY - box.top - room[1] / 2) / (height * this.scale),
    ];
  }

  /** The centre such that nothing is beside the frame where the frame is larger than the pane. */
  clamped(pane) {
    const { width, height, room } = this.fit(pane);
    return [width, height].map((size, at) => {
      const half = room[at] / (2 * size * this.scale);
      return half >= 0.5 ? 0.5 : clamp(this.centre[at], half, 1 - half);
    });
  }

  /** Enlarge so that a point of the frame stays where it is. */
  zoom(factor, point = this.clamped(this.panes[0])) {
    const scale = clamp(this.scale * factor, 1, MOST);
    const by = this.scale / scale;
    const from = this.clamped(this.panes[0]);
    this.scale = scale;
    this.centre = from.map((value, at) => point[at] + (value - point[at]) * by);
    this.settle();
  }

  /** Move what is shown, by fractions of what is visible. */
  pan(x, y) {
    const { width, height, room } = this.fit(this.panes[0]);
    this.centre = [
      this.centre[0] + (x * room[0]) / (width * this.scale),
      this.centre[1] + (y * room[1]) / (height * this.scale),
    ];
    this.settle();
  }

  /** Show all of the frame. */
  reset() {
    this.scale = 1;
    this.centre = [0.5, 0.5];
    this.settle();
  }

  settle() {
    if (this.panes.length) this.centre = this.clamped(this.panes[0]);
    for (const { element } of this.panes) element.classList.toggle("zoomed", this.zoomed);
    this.changed();
  }

  /** Do what a key says; returns whether it says anything here. */
  pressed(event) {
    const act = {
      "+": () => this.zoom(STEP),
      "=": () => this.zoom(STEP),
      "-": () => this.zoom(1 / STEP),
      z: () => this.zoom(STEP),
      Z: () => this.zoom(1 / STEP),
      0: () => this.reset(),
    }[event.key];
    const way = event.shiftKey && {
      ArrowLeft: [-0.2, 0],
      ArrowRight: [0.2, 0],
      ArrowUp: [0, -0.2],
      ArrowDown: [0, 0.2],
    }[event.key];
    if (act) act();
    else if (way) this.pan(...way);
    else return false;
    event.preventDefault();
    return true;
  }

  wheeled(pane, event) {
    event.preventDefault();
    // A pinch on a touchpad comes as a wheel with Ctrl and small steps.
    const speed = event.ctrlKey ? 0.012 : event.deltaMode === 1 ? 0.06 : 0.002;
    this.zoom(Math.exp(-event.deltaY * speed), this.at(pane, event.clientX, event.clientY));
  }

  grabbed(pane, event) {
    if (event.button) return;
    if (event.target.closest("button, a, [role=slider]")) return;
    if (this.pointers.size && this.holder !== pane) return;
    this.holder = pane;
    if (!this.pointers.size) this.began = { x: event.clientX, y: event.clientY, at: Date.now() };
    else this.began = null;
    this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
    pane.element.setPointerCapture(event.pointerId);
  }

  moved(pane, event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const now = [event.clientX, event.clientY];
    if (this.pointers.size === 1) {
      if (this.zoomed) this.drag(pane, before, now);
    } else {
      const [other] = [...this.pointers].filter(([id]) => id !== event.pointerId).map(([, p]) => p);
      const apart = (one) => Math.max(10, Math.hypot(one[0] - other[0], one[1] - other[1]));
      const middle = (one) => [(one[0] + other[0]) / 2, (one[1] + other[1]) / 2];
      this.drag(pane, middle(before), middle(now));
      this.zoom(apart(now) / apart(before), this.at(pane, ...middle(now)));
    }
    this.pointers.set(event.pointerId, now);
  }

  drag(pane, from, to) {
    const { width, height } = this.fit(pane);
    this.centre = [
      this.centre[0] - (to[0] - from[0]) / (width * this.scale),
      this.centre[1] - (to[1] - from[1]) / (height * this.scale),
    ];
    this.settle();
  }

  released(pane, event) {
    if (!this.pointers.delete(event.pointerId) || !this.began) return;
    if (event.type === "pointercancel") return;
    const [dx, dy] = [event.clientX - this.began.x, event.clientY - this.began.y];
    const still = Math.hypot(dx, dy) < 8;
    if (still && Date.now() - this.began.at < TAP) pane.tapped?.();
    else if (!this.zoomed && Math.abs(dx) > SWIPE && Math.abs(dx) > 1.5 * Math.abs(dy))
      pane.swiped?.(dx < 0 ? 1 : -1);
    this.began = null;
  }
}
