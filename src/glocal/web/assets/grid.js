// Images in justified rows that go on as one scrolls: nothing is cropped, and no row has a gap.

import { isAborted, Problem, thumbnailOf } from "./api.js";
import { button, el } from "./elements.js";
import { selectable } from "./selection.js";
import { alternativeOf } from "./words.js";

const GAP = 6;
const LEAST_HEIGHT = 110;

/** Break images into rows.
 *
 * Rows get the height at which they fill the width, as near to `target` as whole images allow;
 * only the last row, which more images may follow, keeps the target height.
 *
 * @param {number[]} aspects width / height of each image
 * @param {number} width to fill, in pixels
 * @param {number} target height of a row, in pixels
 * @param {number} gap between images, in pixels
 * @returns {{start: number, widths: number[], height: number, full: boolean}[]}
 */
export function justify(aspects, width, target, gap) {
  const rows = [];
  let start = 0;
  let sum = 0;
  const close = (end, full) => {
    const room = width - gap * (end - start - 1);
    const height = full ? room / sum : Math.min(target, room / sum);
    // Whole pixels, with what is left over in the last image: a row never wraps for a fraction.
    const widths = aspects
      .slice(start, end)
      .map((aspect) => Math.max(1, Math.floor(aspect * height)));
    if (full) widths[widths.length - 1] += room - widths.reduce((a, b) => a + b, 0);
    rows.push({ start, widths, height: Math.round(height), full });
    start = end;
    sum = 0;
  };
  for (let at = 0; at < aspects.length; at++) {
    const before = sum;
    sum += aspects[at];
    const height = (width - gap * (at - start)) / sum;
    if (height > target) continue;
    const looser = (width - gap * (at - start - 1)) / before;
    if (at > start && looser / target < target / height) {
      sum = before;
      close(at, true);
      sum = aspects[at];
      if ((width - gap * 0) / sum <= target) close(at + 1, true);
    } else close(at + 1, true);
  }
  if (start < aspects.length) close(aspects.length, false);
  return rows;
}

/** An endless grid.
 *
 * @param {object} options
 * @param {(cursor, signal) => Promise<{images: object[], next: any}>} options.load one more page
 * @param {(image) => HTMLElement | string} options.link where an image leads
 * @param {(image) => Node | null | (Node | null)[]} [options.mark] drawn over an image
 * @param {(image) => Node[]} [options.actions] buttons over an image
 * @param {(image) => {key: string, title: string} | null} [options.section] images with one key
 *   stand together below its title
 * @param {(state: {shown: number, ended: boolean}) => void} [options.loaded] after each page
 * @param {boolean} [options.packed] sections of less than a row stand side by side
 * @param {string} options.label what the list is called
 */
export class Grid {
  constructor(options) {
    this.options = options;
    this.element = el("div", { class: "grid" });
    this.foot = el("div", { class: "grid-foot" });
    this.lists = el("div", { class: options.packed ? "grid-lists packed" : "grid-lists" });
    this.element.append(this.lists, this.foot);
    this.watcher = new IntersectionObserver((seen) => this.seen(seen), {
      rootMargin: "1400px 0px",
    });
    this.sizes = new ResizeObserver(() => this.resized());
    this.sizes.observe(this.lists);
    this.lists.addEventListener("keydown", (event) => this.moved(event));
    this.lists.addEventListener("focusin", (event) => this.focused(event));
    this.reset();
  }

  /** Forget everything and load from the beginning. */
  reset() {
    this.stop();
    this.images = [];
    this.sections = [];
    this.cursor = null;
    this.ended = false;
    this.current = null;
    this.fresh = true;
    this.more();
  }

  /** Give up what is under way; the grid stays as it is. */
  stop() {
    this.aborting?.abort();
    this.aborting = null;
    this.watcher.unobserve(this.foot);
  }

  /** Take up again what `stop` ended. */
  resume() {
    if (!this.ended && !this.aborting) this.watcher.observe(this.foot);
    this.resized();
  }

  async more() {
    if (this.aborting || this.ended) return;
    const aborting = new AbortController();
    this.aborting = aborting;
    try {
      await null; // what owns the grid may still be in its constructor
      const page = await this.options.load(this.cursor, aborting.signal);
      if (this.aborting !== aborting) return;
      if (this.fresh) this.lists.replaceChildren();
      this.fresh = false;
      this.cursor = page.next;
      this.ended = page.next === null || page.next === undefined;
      this.add(page.images);
      this.foot.replaceChildren();
      this.options.loaded?.({ shown: this.images.length, ended: this.ended, page });
    } catch (error) {
      if (isAborted(error) || this.aborting !== aborting) return;
      if (this.fresh) this.lists.replaceChildren();
      this.foot.replaceChildren(
        el(
          "div",
          { class: "empty", role: "alert" },
          el("p", {}, error.message),
          button("Try again", { class: "soft" }, () => this.more()),
        ),
      );
      this.options.failed?.(error);
      this.aborting = null;
      if (!(error instanceof Problem)) throw error;
      return;
    }
    this.aborting = null;
    // Observed afresh, so that a foot that is still in sight asks for the next page.
    this.watcher.unobserve(this.foot);
    if (!this.ended) this.watcher.observe(this.foot);
  }

  seen(entries) {
    if (entries.some((entry) => entry.isIntersecting)) this.more();
  }

  add(images) {
    const touched = new Set();
    for (const image of images) {
      const belongs = this.options.section?.(image) ?? { key: "", title: "" };
      let section = this.sections.at(-1);
      if (!section || section.key !== belongs.key) section = this.open(belongs);
      const tile = this.tile(image);
      section.images.push(image);
      section.tiles.push(tile);
      section.list.append(tile.item);
      this.images.push(image);
      touched.add(section);
    }
    for (const section of touched) this.lay(section, section.settled);
    if (!this.current && this.images.length) this.makeCurrent(this.sections[0].tiles[0].item);
  }

  open({ key, title }) {
    const list = el("ul", { class: "tiles", "aria-label": title || this.options.label });
    const heading = title ? el("h2", { class: "section-title" }, title) : null;
    const element = el("section", { class: "grid-section" }, heading, list);
    const section = { key, element, list, images: [], tiles: [], settled: 0 };
    this.lists.append(element);
    this.sections.push(section);
    return section;
  }

  tile(image) {
    const img = el("img", {
      alt: alternativeOf(image),
      decoding: "async",
      loading: "lazy",
      draggable: "false",
    });
    img.addEventListener("load", () => img.classList.add("there"));
    img.addEventListener("error", () => item.classList.add("gone"));
    const link = el(
      "a",
      { href: this.options.link(image), draggable: "true", tabindex: "-1" },
      img,
      this.options.mark?.(image),
    );
    link.addEventListener("dragstart", (event) =>
      event.dataTransfer.setData("application/x-glocal", image.id),
    );
    const actions = this.options.actions?.(image) ?? [];
    for (const action of actions) action.tabIndex = -1;
    const item = el(
      "li",
      { class: "tile", "data-id": image.id },
      link,
      actions.length ? el("div", { class: "tile-actions" }, actions) : null,
    );
    item.image = image;
    selectable(item);
    return { item, img, size: 0 };
  }

  /** Whole pixels that are there; `clientWidth` is rounded up, too, and then rows wrap. */
  get room() {
    return Math.floor(this.lists.getBoundingClientRect().width);
  }

  lay(section, from = 0) {
    const width = this.room;
    if (!width) return;
    const gap = width < 600 ? 3 : GAP;
    const target = width < 600 ? 128 : Math.min(250, 150 + width / 14);
    section.list.style.gap = `${gap}px`;
    // A panorama has a row of its own, unless that would be a strip in which nothing can be seen.
    const most = Math.max(4, width / LEAST_HEIGHT);
    const aspects = section.images
      .slice(from)
      .map((p) => Math.min(most, Math.max(0.4, (p.width || 4) / (p.height || 3))));
    const rows = justify(aspects, width, target, gap);
    if (this.options.packed) {
      const [{ widths, full }] = rows;
      const short = !from && rows.length === 1 && !full;
      const wide = widths.reduce((a, b) => a + b + gap, 0);
      section.element.style.width = short ? `${Math.min(width, wide)}px` : "100%";
    }
    for (const row of rows) {
      if (row.full) section.settled = from + row.start + row.widths.length;
      row.widths.forEach((wide, at) => {
        const tile = section.tiles[from + row.start + at];
        tile.item.style.width = `${wide}px`;
        tile.item.style.height = `${row.height}px`;
        const pixels = Math.max(wide, row.height);
        if (pixels <= tile.size) return;
        tile.size = pixels;
        tile.img.src = thumbnailOf(tile.item.image.id, pixels);
      });
    }
  }

  resized() {
    const width = this.room;
    if (!width || width === this.width) return;
    this.width = width;
    for (const section of this.sections) {
      section.settled = 0;
      this.lay(section);
    }
  }

  // One image at a time can be reached by Tab; the arrow keys go from image to image.

  focused(event) {
    const item = event.target.closest("li.tile");
    if (item) this.makeCurrent(item);
  }

  makeCurrent(item) {
    const reach = (one, index) =>
      one?.querySelectorAll("a, button").forEach((node) => (node.tabIndex = index));
    if (this.current !== item) reach(this.current, -1);
    this.current = item;
    reach(item, 0);
  }

  moved(event) {
    const item = event.target.closest("li.tile");
    if (!item || event.altKey || event.ctrlKey || event.metaKey) return;
    const items = this.sections.flatMap((section) => section.tiles.map((tile) => tile.item));
    const at = items.indexOf(item);
    const to = {
      ArrowRight: () => items[at + 1],
      ArrowLeft: () => items[at - 1],
      ArrowDown: () => besides(items, at, 1),
      ArrowUp: () => besides(items, at, -1),
      Home: () => items[0],
      End: () => items.at(-1),
    }[event.key]?.();
    if (!to) return;
    event.preventDefault();
    to.querySelector("a").focus();
  }
}

/** The image in the next row, or the one before, that stands nearest below or above. */
function besides(items, from, step) {
  const here = items[from].getBoundingClientRect();
  const middle = here.left + here.width / 2;
  let best = null;
  let row = null;
  for (let at = from + step; at >= 0 && at < items.length; at += step) {
    const box = items[at].getBoundingClientRect();
    if (Math.abs(box.top - here.top) < 2) continue;
    if (row !== null && Math.abs(box.top - row) > 2) break;
    row = box.top;
    const away = Math.abs(box.left + box.width / 2 - middle);
    if (!best || away < best.away) best = { item: items[at], away };
  }
  return best?.item;
}
