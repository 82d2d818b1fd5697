// Searching with a drawing: the pad, and what stands beside the results.

import { request, thumbnailOf } from "./api.js";
import { announce, button, el, notice, openDialog } from "./elements.js";
import { remember } from "./gallery.js";
import { afresh, go, readState } from "./state.js";

const SIDE = 640; // pixels of a drawing
const PEN = 6;
const STEP = 16; // of the arrow keys

const MODES = { view: "As drawn", any: "From any view" };

/** Lines that are drawn with a pointer, or with the arrow keys and Space. */
class Pad {
  constructor() {
    this.strokes = [];
    this.stroke = null;
    this.cursor = null;
    this.element = el("canvas", {
      class: "pad",
      width: SIDE,
      height: SIDE,
      tabindex: "0",
      role: "img",
      "aria-label":
        "Drawing. With the keyboard, arrow keys move the pen, Space sets it down and lifts it.",
    });
    this.element.addEventListener("pointerdown", (event) => this.begun(event));
    this.element.addEventListener("pointermove", (event) => this.moved(event));
    for (const name of ["pointerup", "pointercancel"])
      this.element.addEventListener(name, () => this.ended());
    this.element.addEventListener("keydown", (event) => this.pressed(event));
    this.element.addEventListener("blur", () => this.lift());
    this.draw();
  }

  point(event) {
    const room = this.element.getBoundingClientRect();
    const at = (value) => Math.min(SIDE, Math.max(0, value * SIDE));
    return [
      at((event.clientX - room.left) / room.width),
      at((event.clientY - room.top) / room.height),
    ];
  }

  begun(event) {
    if (event.button || !event.isPrimary) return;
    event.preventDefault();
    this.element.focus({ preventScroll: true });
    this.element.setPointerCapture(event.pointerId);
    this.cursor = null;
    this.stroke = [this.point(event)];
    this.strokes.push(this.stroke);
    this.draw();
  }

  moved(event) {
    if (!this.stroke || this.cursor) return;
    for (const one of event.getCoalescedEvents?.() ?? [event]) this.stroke.push(this.point(one));
    this.draw();
  }

  ended() {
    if (!this.cursor) this.stroke = null;
  }

  pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const way = ways[event.key];
    if (!way && event.key !== " ") return;
    event.preventDefault();
    event.stopPropagation();
    this.cursor ??= [SIDE / 2, SIDE / 2];
    if (way) {
      this.cursor = this.cursor.map((n, at) => Math.min(SIDE, Math.max(0, n + way[at] * STEP)));
      this.stroke?.push([...this.cursor]);
    } else if (this.stroke) {
      this.stroke = null;
      announce("Pen up");
    } else {
      this.stroke = [[...this.cursor]];
      this.strokes.push(this.stroke);
      announce("Pen down");
    }
    this.draw();
  }

  lift() {
    this.stroke = this.cursor = null;
    this.draw();
  }

  undo() {
    this.stroke = null;
    this.strokes.pop();
    this.draw();
    announce("Last line removed");
  }

  clear() {
    this.stroke = null;
    this.strokes = [];
    this.draw();
    announce("Drawing cleared");
  }

  draw({ cursor = true } = {}) {
    const pen = this.element.getContext("2d");
    pen.fillStyle = "#fff";
    pen.fillRect(0, 0, SIDE, SIDE);
    Object.assign(pen, { strokeStyle: "#111", lineWidth: PEN, lineCap: "round", lineJoin: "round" });
    for (const [first, ...rest] of this.strokes) {
      pen.beginPath();
      pen.moveTo(...first);
      for (const point of rest.length ? rest : [first]) pen.lineTo(...point);
      pen.stroke();
    }
    if (!this.cursor || !cursor) return;
    pen.beginPath();
    Object.assign(pen, { strokeStyle: "#c2185b", lineWidth: 3 });
    pen.arc(...this.cursor, this.stroke ? PEN : 2 * PEN, 0, 2 * Math.PI);
    pen.stroke();
  }

  async file() {
    this.draw({ cursor: false });
    const blob = await new Promise((done) => this.element.toBlob(done, "image/png"));
    return new File([blob], "sketch.png", { type: "image/png" });
  }
}

/** The switch between this view and any. */
function modes(chosen, changed) {
  const select = el(
    "select",
    { "aria-label": "Which views to find" },
    Object.entries(MODES).map(([value, words]) => el("option", { value }, words)),
  );
  select.value = chosen;
  select.addEventListener("change", () => changed(select.value));
  return select;
}

/** Let a person draw, and search with it. */
export function openPad() {
  const pad = new Pad();
  let mode = readState().sketch ?? "view";
  const search = button("Search", { draw: "search", class: "primary" }, async () => {
    if (!pad.strokes.length) {
      notice("Nothing is drawn yet.");
      return;
    }
    search.disabled = true;
    try {
      const form = new FormData();
      form.append("image", await pad.file());
      form.append("sketch", "true");
      if (mode === "any") form.append("any_view", "true");
      form.append("limit", "1");
      const answer = await request("search", { method: "POST", form });
      answer.hits.forEach(remember);
      dialog.close();
      go({ ...afresh, like: [answer.query], sketch: mode });
    } catch (error) {
      notice(error.message, { error: true });
    } finally {
      search.disabled = false;
    }
  });
  const tools = el(
    "div",
    { class: "row pad-tools" },
    button("Undo", { draw: "undo", class: "soft small" }, () => pad.undo()),
    button("Clear", { draw: "close", class: "soft small" }, () => pad.clear()),
    modes(mode, (value) => (mode = value)),
    search,
  );
  const dialog = openDialog("Draw what to find", el("div", { class: "drawing" }, pad.element, tools), {
    name: "sketching",
  });
  pad.element.focus();
}

/** What stands beside the results of a drawing. */
export function sketchSide({ like: [first], sketch }, end) {
  const frame = el("div", { class: "query-frame" });
  frame.append(
    el("img", { alt: "Your drawing", src: thumbnailOf(first, 640), draggable: "false" }),
  );
  return [
    el("div", { class: "query-main" }, frame),
    el(
      "div",
      { class: "query-tools" },
      el("p", { class: "hint" }, "Photos that look like the drawing. Nothing here is verified."),
      el(
        "div",
        { class: "row" },
        modes(sketch, (value) => go({ sketch: value }, { replace: true })),
        button("Draw again", { draw: "pencil", class: "soft small" }, openPad),
        end,
      ),
    ),
  ];
}

/** The fields of the request. */
export function addSketch(form, { sketch }) {
  if (!sketch) return;
  form.append("sketch", "true");
  if (sketch === "any") form.append("any_view", "true");
}
