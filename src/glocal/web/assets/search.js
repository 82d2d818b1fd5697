// A search: what is looked for on the left, what was found on the right.

import { ask, thumbnailOf } from "./api.js";
import { announce, button, el, icon, notice } from "./elements.js";
import { filterBar } from "./filters.js";
import { image, remember } from "./gallery.js";
import { Grid } from "./grid.js";
import { RegionBox } from "./region.js";
import { conditionOf, go, linkTo, readState } from "./state.js";
import { choose, firstPage, PAGE, useId } from "./uploads.js";
import { alternativeOf, count, percent, verdictOf } from "./words.js";

/** The buttons over an image. */
export function tileActions(one) {
  const searching = readState().like.length > 0;
  const act = (draw, words, role) =>
    button(words, { draw, quiet: true }, () => useId(one.id, role));
  return [
    act("search", "Find this", "query"),
    searching ? act("plus", "Also like this", "like") : null,
    searching ? act("minus", "Not like this", "not") : null,
  ].filter(Boolean);
}

/** Score and verdict over a hit. */
function mark(hit) {
  const { kind, words, sure } = verdictOf(hit);
  const score = sure === null || kind === "alike" ? hit.score.toFixed(2) : percent(sure);
  const said = kind === "same" ? `${words}, ${score}` : `Score ${hit.score.toFixed(2)}`;
  return el(
    "span",
    { class: `mark ${kind}`, "aria-label": said, role: "img" },
    kind === "same" ? icon("check", 14) : null,
    el("span", {}, kind === "same" ? words : score),
    kind === "same" ? el("span", { class: "mark-score" }, score) : null,
  );
}

export class SearchView {
  constructor(state) {
    this.state = state;
    this.count = el("p", { class: "count" }, "Searching…");
    this.filters = el("div", { class: "filters" });
    this.side = el("aside", { class: "asked", "aria-label": "What is looked for" });
    this.hits = [];
    this.grid = new Grid({
      label: "Hits, best first",
      load: (cursor, signal) => this.load(cursor ?? 0, signal),
      link: (hit) => linkTo({ show: hit.id }),
      mark,
      actions: tileActions,
      loaded: ({ shown, ended, page }) => this.counted(shown, ended, page),
      failed: () => (this.count.textContent = "Nothing was found."),
    });
    this.element = el(
      "div",
      { class: "search" },
      this.side,
      el(
        "section",
        { class: "found", "aria-label": "What was found" },
        el(
          "div",
          { class: "found-head" },
          el("div", {}, el("h1", {}, "Found"), this.count),
          this.filters,
        ),
        this.grid.element,
      ),
    );
    this.drawSide();
    this.drawFilters();
  }

  /** Another search, as a change of this one: the image stays, the hits are new. */
  update(state) {
    const before = this.state;
    this.state = state;
    const same = before.like.join() === state.like.join() && before.not.join() === state.not.join();
    if (!same) this.drawSide();
    this.box?.show(state.region);
    this.whole.hidden = !state.region;
    this.hint.hidden = Boolean(state.region);
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
    const plain = offset === 0 && state.like.length === 1 && !state.not.length && !state.region;
    let answer = plain ? firstPage(state.like[0], condition) : null;
    if (!answer) {
      const form = new FormData();
      for (const id of state.like) form.append("like", id);
      for (const id of state.not) form.append("not", id);
      if (state.region) form.append("region", state.region.map((n) => n.toFixed(4)).join(","));
      if (condition) form.append("where", condition);
      form.append("limit", String(PAGE));
      form.append("offset", String(offset));
      answer = await ask("search", { method: "POST", form, signal });
    }
    this.element.classList.remove("renewing");
    answer.hits.forEach(remember);
    this.hits.push(...answer.hits);
    const next = answer.more ? offset + PAGE : null;
    return { images: answer.hits, next, timings: answer.timings_ms };
  }

  counted(shown, ended, page) {
    const took = Object.values(page.timings ?? {}).reduce((a, b) => a + b, 0);
    if (took && shown === page.images.length) this.took = took;
    const same = this.hits.filter((hit) => verdictOf(hit).kind === "same").length;
    const time = this.took ? `${Math.max(1, Math.round(this.took))} ms` : "";
    const how = ended ? count(shown, "image") : `The best ${shown}`;
    const parts = [how, same ? `${same} proven the same` : "", time].filter(Boolean);
    this.count.textContent = shown ? parts.join(" · ") : "Nothing was found.";
    if (!shown)
      this.grid.foot.replaceChildren(
        el("p", { class: "empty" }, "No image meets the filters. Take one away to see more."),
      );
    announce(this.count.textContent);
  }

  drawFilters() {
    this.filters.replaceChildren(filterBar(this.state));
  }

  drawSide() {
    const [first, ...more] = this.state.like;
    const frame = el("div", { class: "asked-frame" });
    const img = el("img", {
      alt: "The image that is looked for",
      src: thumbnailOf(first, 640),
      draggable: "false",
    });
    img.addEventListener(
      "error",
      () => {
        frame.classList.add("gone");
        notice("The image that was looked for is no longer kept here. Drop it once more.", {
          error: true,
        });
      },
      { once: true },
    );
    frame.append(img);
    this.box = new RegionBox(frame, (region) =>
      go({ region }, { replace: Boolean(this.state.region && region) }),
    );
    this.box.show(this.state.region);
    image(first)
      .then((one) => (img.alt = `Looked for: ${alternativeOf(one)}`))
      .catch(() => {});
    this.whole = button("Whole image", { class: "soft small", draw: "close" }, () =>
      go({ region: null }),
    );
    this.whole.hidden = !this.state.region;
    this.hint = el("p", { class: "hint" }, "Draw a box around a thing to find just that.");
    this.hint.hidden = Boolean(this.state.region);
    const draw = button(
      "Box",
      { class: "soft small", draw: "box", title: "Draw a box with the keyboard (B)" },
      () => this.box.begin(),
    );
    this.side.replaceChildren(
      el("div", { class: "asked-main" }, frame),
      el(
        "div",
        { class: "asked-tools" },
        this.hint,
        el(
          "div",
          { class: "row" },
          draw,
          this.whole,
          el(
            "a",
            { class: "button soft small", href: "./" },
            icon("close", 16),
            el("span", {}, "End search"),
          ),
        ),
      ),
      this.examples("Also like", "like", more),
      this.examples("Not like", "not", this.state.not),
    );
  }

  examples(title, role, ids) {
    const item = (id) =>
      el(
        "li",
        {},
        el("img", { src: thumbnailOf(id, 80), alt: "" }),
        button(
          `Remove this example (${title.toLowerCase()})`,
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
            role === "like"
              ? "Add an image of what is looked for"
              : "Add an image of what is not looked for",
            { draw: role === "like" ? "plus" : "minus", quiet: true, class: "add" },
            () => choose(role),
          ),
        ),
      ),
    );
  }

  /** Begin to draw a box from the keyboard. */
  drawBox() {
    this.box.begin();
  }
}
