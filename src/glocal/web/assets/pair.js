// Two images side by side with the evidence: lines, heat map, and the point under the cursor.

import { request, Problem, thumbnailOf } from "./api.js";
import { announce, el, svg } from "./elements.js";
import { inverse } from "./homography.js";
import { Viewport } from "./viewport.js";
import { percent } from "./words.js";

const NEAR = 0.05;
const MOST_LINES = 40; // more would bury the images
const SIDES = ["query", "hit"];

const other = (side) => (side === "query" ? "hit" : "query");

/** A query and a hit, laid out to fill the space, with the evidence drawn over them.
 *
 * @param {{id: string, words: string, width: number, height: number}} query
 * @param {{id: string, words: string, width: number, height: number}} hit
 * @param {{region: number[] | null, captions: {query: string, hit: string}, swiped?: Function}}
 *   options the part of the query that was searched for, what the two images are called, and what
 *   a swipe does
 */
export class Pair {
  constructor(query, hit, { region, captions, swiped }) {
    this.swiped = swiped;
    this.view = new Viewport(() => this.draw());
    this.images = { query, hit };
    this.region = region;
    this.captions = captions;
    this.lit = null;
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
    const image = this.images[side];
    const img = el("img", { src: thumbnailOf(image.id, 640), alt: "", draggable: "false" });
    const content = el("div", { class: "pair-content" });
    const canvas = el("canvas", { class: "heat", width: 1, height: 1 });
    const box = side === "query" && this.region ? el("div", { class: "pair-region" }) : null;
    const role = this.captions[side];
    const room = el(
      "div",
      {
        class: "pair-frame",
        tabindex: "0",
        role: "img",
        "aria-label": `${role}: ${image.words}. Arrow keys move a point; the other image shows its counterpart.`,
      },
      content,
    );
    content.append(...[img, canvas, box].filter(Boolean));
    const pane = this.view.attach(room, () => this.aspect(side), { swiped: this.swiped });
    room.addEventListener("pointermove", (event) => this.pointed(side, event));
    room.addEventListener("pointerdown", (event) => this.pointed(side, event));
    room.addEventListener("pointerleave", () => this.light(null));
    room.addEventListener("keydown", (event) => this.pressed(side, event));
    room.addEventListener("blur", () => this.light(null));
    if (box) {
      const [x, y, w, h] = this.region.map((n) => `${n * 100}%`);
      for (const one of [box, canvas])
        Object.assign(one.style, { left: x, top: y, width: w, height: h });
    }
    const full = new Image();
    full.onload = () => (img.src = full.src);
    full.src = thumbnailOf(image.id, 1280);
    img.addEventListener("load", () => this.measured(side, img));
    return {
      figure: el("figure", { class: `pair-side ${side}` }, room, el("figcaption", {}, role)),
      room,
      pane,
      content,
      img,
      canvas,
    };
  }

  measured(side, img) {
    const image = this.images[side];
    if (image.width && image.height) return;
    image.width = img.naturalWidth;
    image.height = img.naturalHeight;
    this.lay();
  }

  /** Fetch the explanations that the server has.
   *
   * What is merely similar has no heat map: it would light up as if it were a match.
   *
   * @param {string[]} kinds of `info().features.explanations`
   * @param {{verdict: string} | null} [known] what the search has verified
   * @returns {{matches: number | null, verified: boolean, evidence: object | null, heat: boolean}}
   * @throws {Problem} there is no explanation
   */
  async explain(kinds, known = null) {
    const region = this.region?.map((n) => n.toFixed(4)).join(",");
    const { query, hit } = this.images;
    const fetched = (kind) =>
      kinds.includes(kind)
        ? request("explanation", {
            params: { query: query.id, hit: hit.id, region, kind },
            signal: this.aborting.signal,
          })
        : null;
    // Some models have no contributions; the lines are useful alone.
    const optional = fetched("similarity")?.catch((error) => {
      if (error instanceof Problem) return null;
      throw error;
    });
    const [verified, similarity] = await Promise.all([fetched("matches"), optional]);
    const found = (verified?.matches ?? []).filter((match) => match.inlier !== false);
    this.matches = found.map((match) => ({ query: this.outOf(match.query), hit: match.hit }));
    this.lined = spread(this.matches, MOST_LINES);
    this.homography = verified?.evidence?.homography ?? null;
    const verdicts = [verified?.evidence, known].filter(Boolean).map((one) => one.verdict);
    const unlike = verdicts.length > 0 && verdicts.every((one) => one === "similar");
    this.similarity = unlike ? null : similarity;
    this.draw();
    this.warm();
    this.element.classList.toggle("without-heat", !this.similarity);
    const matches = verified ? this.matches.length : null;
    return {
      matches,
      verified: Boolean(verified?.verified),
      evidence: verified?.evidence ?? null,
      heat: Boolean(this.similarity),
    };
  }

  // The server's points are of the region that was searched for; the whole image is shown.

  outOf([x, y]) {
    const [left, top, width, height] = this.region ?? [0, 0, 1, 1];
    return [left + x * width, top + y * height];
  }

  into([x, y]) {
    const [left, top, width, height] = this.region ?? [0, 0, 1, 1];
    return [(x - left) / width, (y - top) / height];
  }

  /** Show or hide the overlays. */
  show({ lines = this.overlays.lines, heat = this.overlays.heat }) {
    this.overlays = { lines, heat };
    this.element.classList.toggle("with-lines", lines);
    this.element.classList.toggle("with-heat", heat);
  }

  /** Cancel all requests. */
  close() {
    this.aborting.abort();
    this.sizes.disconnect();
  }

  aspect(side) {
    return (this.images[side].width || 4) / (this.images[side].height || 3);
  }

  lay() {
    const { clientWidth: width, clientHeight: height } = this.element;
    if (!width || !height) return;
    const [a, b] = SIDES.map((side) => this.aspect(side));
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

  /** Where a point of an image lies on the drawing, in pixels. */
  place(side, point) {
    const { room, pane } = this.frames[side];
    const box = room.getBoundingClientRect();
    const origin = this.element.getBoundingClientRect();
    const [x, y] = this.view.place(pane, point);
    return [box.left - origin.left + x, box.top - origin.top + y];
  }

  /** Whether a point of an image can be seen; not where something is enlarged beside it. */
  seen(side, point) {
    const { room, pane } = this.frames[side];
    const [x, y] = this.view.place(pane, point);
    return x >= -1 && y >= -1 && x <= room.clientWidth + 1 && y <= room.clientHeight + 1;
  }

  draw() {
    const { clientWidth: width, clientHeight: height } = this.element;
    this.lines.setAttribute("viewBox", `0 0 ${width} ${height}`);
    for (const side of SIDES) {
      const { pane, content } = this.frames[side];
      const [x, y] = this.view.place(pane, [0, 0]);
      content.style.transform = `translate(${x}px, ${y}px) scale(${this.view.scale})`;
    }
    const drawn = (this.matches ?? []).map((match, at) => {
      if (!SIDES.every((side) => this.seen(side, match[side]))) return "";
      const [x1, y1] = this.place("query", match.query);
      const [x2, y2] = this.place("hit", match.hit);
      const group = svg("g", { class: this.lit?.match === at ? "match lit" : "match" });
      const lined = this.lined.has(at) || this.lit?.match === at;
      group.append(
        lined ? svg("line", { x1, y1, x2, y2 }) : "",
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

  /** Paint what every cell of each image adds to the score, or what answers a point. */
  warm(side = null, from = null) {
    const similarity = this.similarity;
    if (!similarity) return;
    for (const painted of SIDES) {
      if (side === painted) continue;
      const values = side ? answers(similarity, side, from) : sums(similarity, painted);
      paint(this.frames[painted].canvas, similarity[painted], values);
    }
  }

  pointed(side, event) {
    const { pane } = this.frames[side];
    if (event.buttons && this.view.zoomed) return; // the images are being moved
    this.light(side, this.view.at(pane, event.clientX, event.clientY));
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

  /** Light the counterpart of a point: of a match nearby, through the homography,
   * or, when nothing agrees there, the place the model finds most similar. */
  light(side, from, aloud = false) {
    if (!side) {
      this.lit = null;
      this.warm();
      this.draw();
      return;
    }
    const inside = side === "query" ? this.into(from) : from;
    const within = inside.every((n) => n >= 0 && n <= 1);
    const match = this.nearest(side, from);
    const to =
      match >= 0
        ? this.matches[match][other(side)]
        : within
          ? this.counterpart(side, inside)
          : null;
    this.lit = { side, from, to, match };
    if (within) this.warm(side, inside);
    this.draw();
    if (to && aloud) this.tell(from, to);
  }

  counterpart(side, inside) {
    const to = this.through(side, inside) ?? this.mostSimilar(side, inside);
    return to && side === "hit" ? this.outOf(to) : to;
  }

  mostSimilar(side, inside) {
    if (!this.similarity) return null;
    const { rows, columns } = this.similarity[other(side)];
    const values = answers(this.similarity, side, inside);
    const best = values.indexOf(Math.max(...values));
    return [((best % columns) + 0.5) / columns, (Math.floor(best / columns) + 0.5) / rows];
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
    if (!this.homography) return null;
    const rows = side === "query" ? this.homography : inverse(this.homography);
    const [[a, b, c], [d, e, f], [g, h, i]] = rows;
    const w = g * x + h * y + i;
    const to = [(a * x + b * y + c) / w, (d * x + e * y + f) / w];
    return w > 0 && to.every((n) => n >= 0 && n <= 1) ? to : null;
  }
}

/** Of points which to draw with lines: each time the one that is farthest from those chosen. */
function spread(matches, most) {
  const chosen = new Set();
  const away = matches.map(() => Infinity);
  while (chosen.size < Math.min(most, matches.length)) {
    const best = chosen.size ? away.indexOf(Math.max(...away)) : 0;
    chosen.add(best);
    matches.forEach(({ query: [x, y] }, at) => {
      const [a, b] = matches[best].query;
      away[at] = chosen.has(at) ? -1 : Math.min(away[at], Math.hypot(x - a, y - b));
    });
  }
  return chosen;
}

/** What each cell of an image adds to the score. */
function sums({ table }, side) {
  if (side === "query") return table.map((row) => row.reduce((a, b) => a + b, 0));
  return table[0].map((_, at) => table.reduce((sum, row) => sum + row[at], 0));
}

/** What each cell of the other image adds to the score together with the cell at a point. */
function answers({ table, ...grids }, side, [x, y]) {
  const { rows, columns } = grids[side];
  const cell =
    Math.min(rows - 1, Math.floor(y * rows)) * columns +
    Math.min(columns - 1, Math.floor(x * columns));
  return side === "query" ? table[cell] : table.map((row) => row[cell]);
}

/** Paint a grid of numbers, the largest of them brightest: from nothing over ember to pale yellow;
 * what speaks against the match stays dark. */
function paint(canvas, { columns, rows }, values) {
  canvas.width = columns;
  canvas.height = rows;
  const most = Math.max(...values, 1e-9);
  const context = canvas.getContext("2d");
  const img = context.createImageData(columns, rows);
  values.forEach((value, at) => {
    const v = Math.max(0, value / most);
    const colour = [
      150 + 190 * v,
      30 + 190 * v * v,
      20 + 130 * v ** 4,
      225 * Math.min(1, v * 1.25),
    ];
    img.data.set(
      colour.map((part) => Math.min(255, part)),
      at * 4,
    );
  });
  context.putImageData(img, 0, 0);
}
