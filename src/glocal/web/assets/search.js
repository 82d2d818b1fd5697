// A search: the query on the left, the results on the right.

import { isUpload, request, thumbnailOf } from "./api.js";
import { addChange, changeField } from "./change.js";
import { announce, button, el, icon, notice, svg } from "./elements.js";
import { filterBar, scoreOf } from "./filters.js";
import { image, remember } from "./gallery.js";
import { Grid } from "./grid.js";
import { placeTool } from "./place.js";
import { RegionBox } from "./region.js";
import { addPair, pairMark, PairTools, secondLines } from "./relation.js";
import { addSketch, sketchSide } from "./sketch.js";
import { conditionOf, go, linkTo, readState } from "./state.js";
import { choose, firstPage, PAGE, useId } from "./uploads.js";
import { alternativeOf, count, likelyOf, verdictOf } from "./words.js";

/** The buttons over an image. */
export function tileActions(one) {
  const { like, sketch, second } = readState();
  const searching = like.length > 0 && !sketch && !second; // those take no examples
  const act = (draw, words, role) =>
    button(words, { draw, quiet: true }, () => useId(one.id, role));
  return [
    act("search", "Search with this", "query"),
    searching ? act("plus", "More like this", "like") : null,
    searching ? act("minus", "Less like this", "unlike") : null,
  ].filter(Boolean);
}

/** The verdict over a hit. */
function mark(hit) {
  if (hit.second_box) return pairMark(hit);
  const { kind, words, probability } = verdictOf(hit);
  if (kind === "similar" && Object.keys(hit.words ?? {}).length) return wordsMark(hit);
  if (kind === "similar") {
    const { meaning, change } = hit.scores ?? {};
    const score = el("span", { class: "mark-score" }, (meaning ?? hit.score).toFixed(2));
    const label = change !== undefined ? "As changed" : meaning !== undefined ? "By meaning" : words;
    return el("span", { class: "mark similar" }, el("span", { class: "mark-words" }, label), score);
  }
  const likely = likelyOf(probability);
  return el(
    "span",
    { class: "mark matching", "aria-label": `${words}, ${likely} likely`, role: "img" },
    el("span", { class: "mark-words" }, icon("check", 14), words),
    el("span", { class: "mark-score" }, likely),
  );
}

const PLACES = { name: "Name", folder: "Folder", caption: "Caption", image: "In the image" };

/** The words over a hit: where they stand, the most telling place first. */
function wordsMark({ words }) {
  const [place] = Object.keys(PLACES).filter((one) => words[one]);
  const label = el("span", { class: "mark-score" }, PLACES[place]);
  const said = Object.entries(words).map(([one, text]) => `${PLACES[one]}: ${text}`);
  return el("span", { class: "mark said", title: said.join("\n") }, label, " ", words[place]);
}

/** Where in a hit the query is, if it is a region of it. Its shape fits the tile as the image does. */
function regionOf(hit) {
  const { box, width, height } = hit;
  if (!box || !width || !height) return null;
  const [left, top, wide, high] = box;
  const rect = { x: left * width, y: top * height, width: wide * width, height: high * height };
  return svg(
    "svg",
    { class: "region", viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" },
    svg("rect", { ...rect, class: "region-under" }),
    svg("rect", { ...rect, class: "region-line" }),
    ...secondLines(hit),
  );
}

/** "Found in 7 images", "No match"; nothing where the images could not be verified. */
function summary({ found, matches }) {
  if (found === null) return "";
  return found ? `Found in ${count(matches, "image")}` : "No match";
}

/** The heading above a hit: a line parts the matches from images that are merely similar. */
function section({ found, matches }, hit) {
  if (found === null) return null;
  if (hit.rank <= matches) return { key: "match", title: summary({ found, matches }) };
  const title = found ? "Similar, but no match" : "No match. The most similar images";
  return { key: "similar", title };
}

export class SearchView {
  constructor(state) {
    this.state = state;
    this.count = el("p", { class: "count" }, "Searching…");
    this.filters = el("div", { class: "filters" });
    this.side = el("aside", { class: "query-panel", "aria-label": "Query" });
    this.hits = [];
    this.grid = new Grid({
      label: "Results, best first",
      load: (cursor, signal) => this.load(cursor ?? 0, signal),
      link: (hit) => linkTo({ show: hit.id }),
      mark: (hit) => [regionOf(hit), mark(hit)],
      actions: tileActions,
      section: (hit) => section(this.answer, hit),
      loaded: ({ shown, ended, page }) => this.counted(shown, ended, page),
      failed: () => (this.count.textContent = "The search failed."),
    });
    this.element = el(
      "div",
      { class: "search" },
      this.side,
      el(
        "section",
        { class: "results", "aria-label": "Results" },
        el(
          "div",
          { class: "view-head" },
          el("div", {}, el("h1", {}, "Results"), this.count),
          this.filters,
        ),
        this.grid.element,
      ),
    );
    this.drawSide();
    this.drawFilters();
  }

  /** Change the search: the query image stays, the results are new. */
  update(state) {
    const before = this.state;
    this.state = state;
    const same = ["like", "unlike"].every((role) => before[role].join() === state[role].join());
    const kept = ["text", "change", "sketch"].every((name) => before[name] === state[name]);
    if (!same || !kept) this.drawSide();
    else if (this.box) {
      this.box.show(state.region);
      this.pair.show(state);
      this.whole.hidden = !state.region;
      this.hint.hidden = Boolean(state.region);
    }
    this.drawFilters();
    this.hits = [];
    this.element.classList.add("renewing");
    this.grid.reset();
  }

  pause() {
    this.grid.stop();
  }

  resume() {
    this.grid.resume();
  }

  /** The hit with an id, when it is among those that were loaded. */
  hit(id) {
    return this.hits.find((one) => one.id === id);
  }

  async load(offset, signal) {
    const state = this.state;
    const condition = conditionOf(state);
    const least = scoreOf(state);
    const whole = state.like.length === 1 && !state.unlike.length && !state.region;
    const more = ["sketch", "small", "text", "change"].some((name) => state[name]);
    const plain = offset === 0 && whole && !more && least === null;
    let answer = plain ? firstPage(state.like[0], condition) : null;
    if (!answer) {
      const form = new FormData();
      const [query, ...like] = state.like;
      if (query) form.append("query", query);
      if (state.text) form.append("text", state.text);
      for (const id of like) form.append("like", id);
      for (const id of state.unlike) form.append("unlike", id);
      if (state.region) form.append("region", state.region.map((n) => n.toFixed(4)).join(","));
      addPair(form, state);
      addSketch(form, state);
      addChange(form, state);
      if (condition) form.append("where", condition);
      if (least !== null) form.append("min_score", String(least));
      if (state.small && query) form.append("small_objects", "true");
      form.append("limit", String(PAGE));
      form.append("offset", String(offset));
      answer = await request("search", { method: "POST", form, signal });
    }
    this.element.classList.remove("renewing");
    this.answer = answer;
    answer.hits.forEach(remember);
    this.hits.push(...answer.hits);
    const next = answer.more ? offset + PAGE : null;
    return { images: answer.hits, next, timings: answer.timings_ms, answer };
  }

  counted(shown, ended, page) {
    const took = Object.values(page.timings ?? {}).reduce((a, b) => a + b, 0);
    if (took && shown === page.images.length) this.took = took;
    const time = this.took ? `${Math.max(1, Math.round(this.took))} ms` : "";
    const images = ended ? count(shown, "image") : "";
    const parts = [summary(page.answer) || images, time].filter(Boolean);
    this.count.textContent = shown ? parts.join(" · ") : "No images found";
    if (!shown)
      this.grid.foot.replaceChildren(
        el("p", { class: "empty" }, this.nothing()),
      );
    announce(this.count.textContent);
  }

  /** What to do where nothing was found. */
  nothing() {
    const filtered = conditionOf(this.state) || this.state.score;
    if (!this.state.text || filtered) return "No images match. Remove a filter to see more.";
    return "No image has these words in its name, folder or caption. Try fewer or shorter words.";
  }

  drawFilters() {
    const { like, sketch, second, change } = this.state;
    this.filters.replaceChildren(filterBar(this.state, { searching: like.length > 0 && !sketch && !second && !change }));
  }

  drawSide() {
    const [first, ...more] = this.state.like;
    const text = this.state.text && el("p", { class: "query-words" }, this.state.text);
    const end = el(
      "a",
      { class: "button soft small", href: "./" },
      icon("close", 16),
      el("span", {}, "End search"),
    );
    if (!first) {
      this.box = null;
      this.side.replaceChildren(
        el("div", { class: "query-main" }, text),
        el("div", { class: "query-tools" }, el("div", { class: "row" }, end)),
      );
      return;
    }
    if (this.state.sketch) {
      this.box = null;
      this.side.replaceChildren(...sketchSide(this.state, end));
      return;
    }
    const frame = el("div", { class: "query-frame" });
    const img = el("img", {
      alt: "Your image",
      src: thumbnailOf(first, 640),
      draggable: "false",
    });
    img.addEventListener(
      "error",
      () => {
        frame.classList.add("gone");
        // Of an image of the gallery the results say why there are none.
        if (isUpload(first))
          notice("The server no longer has your image. Drop it here again.", { error: true });
      },
      { once: true },
    );
    frame.append(img);
    this.box = new RegionBox(frame, (region) =>
      go({ region }, { replace: Boolean(this.state.region && region) }),
    );
    this.box.show(this.state.region);
    image(first)
      .then((one) => (img.alt = alternativeOf(one)))
      .catch(() => {});
    this.whole = button("Whole image", { class: "soft small", draw: "close" }, () =>
      go({ region: null }),
    );
    this.whole.hidden = !this.state.region;
    this.hint = el("p", { class: "hint" }, "Draw a box around an object to search for it alone.");
    this.hint.hidden = Boolean(this.state.region);
    const draw = button(
      "Box",
      { class: "soft small", draw: "box", title: "Draw a box with the keyboard (B)" },
      () => this.box.begin(),
    );
    this.pair = new PairTools(frame, this.state);
    this.side.replaceChildren(
      el("div", { class: "query-main" }, frame, text || null),
      el(
        "div",
        { class: "query-tools" },
        this.hint,
        changeField(this.state),
        el(
          "div",
          { class: "row" },
          draw,
          this.whole,
          end,
        ),
        this.pair.element,
        placeTool(first),
      ),
      this.examples("More like this", "like", more),
      this.examples("Less like this", "unlike", this.state.unlike),
    );
  }

  examples(title, role, ids) {
    const item = (id) =>
      el(
        "li",
        {},
        el("img", { src: thumbnailOf(id, 80), alt: "" }),
        button(
          `Remove this image: ${title.toLowerCase()}`,
          { draw: "close", quiet: true, class: "plain" },
          () => go({ [role]: readState()[role].filter((one) => one !== id) }),
        ),
      );
    const heading = el("h2", { id: `examples-${role}` }, title);
    return el(
      "section",
      { class: `examples ${role}`, "aria-labelledby": heading.id },
      heading,
      el(
        "ul",
        {},
        ids.map(item),
        el(
          "li",
          {},
          button(
            `Add an image: ${title.toLowerCase()}`,
            { draw: role === "like" ? "plus" : "minus", quiet: true, class: "add" },
            () => choose(role),
          ),
        ),
      ),
    );
  }

  /** Begin to draw a box from the keyboard. */
  drawBox() {
    this.box?.begin();
  }
}
