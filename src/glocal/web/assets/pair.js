// Two pictures side by side with the proof between them: lines, heat, and the point under the cursor.

import { ask, isAborted, pictureOf, thumbnailOf } from "./api.js";
import { announce, el, svg } from "./elements.js";
import { percent } from "./words.js";

const NEAR = 0.05;
const MOST_LINES = 150;
const SIDES = ["query", "hit"];

const other = (side) => (side === "query" ? "hit" : "query");

/** A query and a hit, laid out to fill their room, with what speaks for the match drawn over them.
 *
 * @param {{id: string, words: string, width: number, height: number}} query
 * @param {{id: string, words: string, width: number, height: number}} hit
 * @param {number[] | null} region of the query that was looked for
 */
export class Pair {
  constructor(query, hit, region) {
    this.pictures = { query, hit };
    this.region = region;
    this.lit = null;
    this.heat = {};
    this.lines = svg("svg", { class: "pair-lines", "aria-hidden": "true" });
    this.frames = Object.fromEntries(SIDES.map((side) => [side, this.frame(side)]));
    this.element = el(
      "div",
      { class: "pair" },
      this.frames.query.figure,
      this.frames.hit.figure,
      this.lines,
    );
    this.aborting = new AbortController();
    this.sizes = new ResizeObserver(() => this.lay());
    this.sizes.observe(this.element);
    this.show({ lines: true, heat: false });
  }

  frame(side) {
    const picture = this.pictures[side];
    const image = el("img", { src: thumbnailOf(picture.id, 640), alt: "", draggable: "false" });
    const canvas = el("canvas", { class: "heat", width: 1, height: 1 });
    const box = side === "query" && this.region ? el("div", { class: "pair-region" }) : null;
    const role = side === "query" ? "Looked for" : "Found";
    const room = el(
      "div",
      {
        class: "pair-frame",
        tabindex: "0",
        role: "img",
        "aria-label": `${role}: ${picture.words}. The arrow keys move a point; its counterpart lights up in the other picture.`,
      },
      image,
      canvas,
      box,
    );
    room.addEventListener("pointermove", (event) => this.pointed(side, event));
    room.addEventListener("pointerdown", (event) => this.pointed(side, event));
    room.addEventListener("pointerleave", () => this.light(null));
    room.addEventListener("keydown", (event) => this.pressed(side, event));
    room.addEventListener("blur", () => this.light(null));
    if (box) {
      const [x, y, w, h] = this.region.map((n) => `${n * 100}%`);
      Object.assign(box.style, { left: x, top: y, width: w, height: h });
    }
    const full = new Image();
    full.onload = () => (image.src = full.src);
    full.src = thumbnailOf(picture.id, 1280);
    image.addEventListener(
      "error",
      () => {
        if (image.src !== pictureOf(picture.id)) image.src = pictureOf(picture.id);
      },
      { once: true },
    );
    image.addEventListener("load", () => this.measured(side, image));
    return {
      figure: el("figure", { class: `pair-side ${side}` }, room, el("figcaption", {}, role)),
      room,
      image,
      canvas,
    };
  }

  measured(side, image) {
    const picture = this.pictures[side];
    if (picture.width && picture.height) return;
    picture.width = image.naturalWidth;
    picture.height = image.naturalHeight;
    this.lay();
  }

  /** Fetch what speaks for the match.
   *
   * @returns the explanation as the server sends it
   * @throws {Problem} there is none
   */
  async explain() {
    this.told = await ask("explanation", {
      params: this.asked({ kind: "matches" }),
      signal: this.aborting.signal,
    });
    const all = this.told.matches ?? [];
    const inliers = all.filter((match) => match.inlier);
    this.matches = (inliers.length ? inliers : []).slice(0, MOST_LINES);
    this.map = this.told.evidence?.homography ?? null;
    this.draw();
    this.warm(this.told.heat);
    return { ...this.told, inliers: inliers.length };
  }

  asked(more) {
    return {
      query: this.pictures.query.id,
      hit: this.pictures.hit.id,
      region: this.region?.map((n) => n.toFixed(4)).join(","),
      format: "json",
      ...more,
    };
  }

  /** Which of the drawings are wanted. */
  show({ lines = this.wanted.lines, heat = this.wanted.heat }) {
    this.wanted = { lines, heat };
    this.element.classList.toggle("with-lines", lines);
    this.element.classList.toggle("with-heat", heat);
  }

  /** Let go of what is under way. */
  close() {
    this.aborting.abort();
    clearTimeout(this.resting);
    this.sizes.disconnect();
  }

  lay() {
    const { clientWidth: width, clientHeight: height } = this.element;
    if (!width || !height) return;
    const [a, b] = SIDES.map(
      (side) => (this.pictures[side].width || 4) / (this.pictures[side].height || 3),
    );
    const stacked = width < 640 || (width < 900 && a + b > 3.2);
    this.element.classList.toggle("stacked", stacked);
    const caption = 30;
    const gap = stacked ? 18 : Math.min(90, Math.max(28, width * 0.05));
    this.element.style.gap = `${gap}px`;
    let sizes;
    if (stacked) {
      const tall = (height - gap - 2 * caption) / 2;
      sizes = [a, b].map((aspect) => Math.min(tall, width / aspect));
    } else {
      const tall = Math.min(height - caption, (width - gap) / (a + b));
      sizes = [tall, tall];
    }
    SIDES.forEach((side, at) => {
      const style = this.frames[side].room.style;
      style.height = `${Math.floor(sizes[at])}px`;
      style.width = `${Math.floor(sizes[at] * [a, b][at])}px`;
    });
    this.draw();
  }

  /** Where a point of a picture lies on the drawing, in pixels. */
  place(side, [x, y]) {
    const room = this.frames[side].room.getBoundingClientRect();
    const origin = this.element.getBoundingClientRect();
    return [room.left - origin.left + x * room.width, room.top - origin.top + y * room.height];
  }

  draw() {
    const { clientWidth: width, clientHeight: height } = this.element;
    this.lines.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const drawn = (this.matches ?? []).map((match, at) => {
      const [x1, y1] = this.place("query", match.query);
      const [x2, y2] = this.place("hit", match.hit);
      const group = svg("g", { class: this.lit?.match === at ? "match lit" : "match" });
      group.append(
        svg("line", { x1, y1, x2, y2 }),
        svg("circle", { cx: x1, cy: y1, r: 2.5 }),
        svg("circle", { cx: x2, cy: y2, r: 2.5 }),
      );
      return group;
    });
    const points = [];
    if (this.lit) {
      const here = this.place(this.lit.side, this.lit.from);
      points.push(svg("circle", { class: "cursor", cx: here[0], cy: here[1], r: 6 }));
      if (this.lit.to) {
        const there = this.place(other(this.lit.side), this.lit.to);
        points.push(
          svg("line", { class: "beam", x1: here[0], y1: here[1], x2: there[0], y2: there[1] }),
          svg("circle", { class: "halo", cx: there[0], cy: there[1], r: 16 }),
          svg("circle", { class: "target", cx: there[0], cy: there[1], r: 7 }),
        );
      }
    }
    this.lines.classList.toggle("dimmed", Boolean(this.lit?.to));
    this.lines.replaceChildren(...drawn, ...points);
  }

  warm(heat) {
    for (const side of SIDES) if (heat?.[side]) paint(this.frames[side].canvas, heat[side]);
  }

  pointed(side, event) {
    const room = this.frames[side].room.getBoundingClientRect();
    this.light(side, [
      (event.clientX - room.left) / room.width,
      (event.clientY - room.top) / room.height,
    ]);
  }

  pressed(side, event) {
    const step = event.shiftKey ? 0.1 : 0.02;
    const [dx, dy] = {
      ArrowLeft: [-step, 0],
      ArrowRight: [step, 0],
      ArrowUp: [0, -step],
      ArrowDown: [0, step],
    }[event.key] ?? [0, 0];
    if (!dx && !dy) return;
    event.preventDefault();
    event.stopPropagation();
    const from = this.lit?.side === side ? this.lit.from : [0.5, 0.5];
    this.light(
      side,
      [Math.min(1, Math.max(0, from[0] + dx)), Math.min(1, Math.max(0, from[1] + dy))],
      true,
    );
  }

  /** Light the counterpart of a point: of a match nearby, through the map from picture to picture,
   * or, when nothing agrees there, the place the model finds most alike. */
  light(side, from, aloud = false) {
    clearTimeout(this.resting);
    if (!side) {
      this.lit = null;
      this.warm(this.told?.heat);
      this.draw();
      return;
    }
    const found = this.nearest(side, from);
    const to = found >= 0 ? this.matches[found][other(side)] : this.through(side, from);
    this.lit = { side, from, to, match: found };
    this.draw();
    this.resting = setTimeout(
      () => this.ask(side, from, aloud),
      to && !this.wanted.heat ? 400 : 120,
    );
    if (to && aloud) this.tell(from, to);
  }

  tell([x, y], [a, b]) {
    announce(
      `${percent(x)} across, ${percent(y)} down corresponds to ${percent(a)} across, ${percent(b)} down.`,
    );
  }

  nearest(side, [x, y]) {
    let best = -1;
    let least = NEAR;
    (this.matches ?? []).forEach((match, at) => {
      const away = Math.hypot(match[side][0] - x, match[side][1] - y);
      if (away < least) [best, least] = [at, away];
    });
    return best;
  }

  through(side, [x, y]) {
    if (!this.map) return null;
    const [[a, b, c], [d, e, f], [g, h, i]] = side === "query" ? this.map : inverse(this.map);
    const w = g * x + h * y + i;
    const to = [(a * x + b * y + c) / w, (d * x + e * y + f) / w];
    return w > 0 && to.every((n) => n >= 0 && n <= 1) ? to : null;
  }

  async ask(side, from, aloud) {
    if (!this.told) return;
    try {
      const point = from.map((n) => Math.min(1, Math.max(0, n)).toFixed(4)).join(",");
      const told = await ask("explanation", {
        params: this.asked({ kind: "similarity", point, side }),
        signal: this.aborting.signal,
      });
      if (this.lit?.from !== from) return;
      paint(this.frames[other(side)].canvas, told.heat);
      if (this.lit.to || !told.best) return;
      this.lit.to = told.best;
      this.draw();
      if (aloud) this.tell(from, told.best);
    } catch (error) {
      // The lines are there without it; an error at every move of the hand would help nobody.
      if (!isAborted(error)) console.debug(error.message);
    }
  }
}

/** The inverse of a 3 × 3 matrix, up to a positive factor. */
function inverse([[a, b, c], [d, e, f], [g, h, i]]) {
  const rows = [
    [e * i - f * h, c * h - b * i, b * f - c * e],
    [f * g - d * i, a * i - c * g, c * d - a * f],
    [d * h - e * g, b * g - a * h, a * e - b * d],
  ];
  const sign = Math.sign(a * rows[0][0] + b * rows[1][0] + c * rows[2][0]) || 1;
  return rows.map((row) => row.map((n) => n * sign));
}

/** Paint a grid of numbers in 0..1: from nothing over ember to a pale yellow. */
function paint(canvas, { columns, rows, values }) {
  canvas.width = columns;
  canvas.height = rows;
  const context = canvas.getContext("2d");
  const image = context.createImageData(columns, rows);
  values.forEach((value, at) => {
    const v = Math.min(1, Math.max(0, value));
    image.data.set(
      [
        Math.min(255, 150 + 190 * v),
        30 + 190 * v * v,
        20 + 130 * v ** 4,
        225 * Math.min(1, v * 1.25),
      ],
      at * 4,
    );
  });
  context.putImageData(image, 0, 0);
}
