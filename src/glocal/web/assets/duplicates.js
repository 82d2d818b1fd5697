// Groups of duplicates: files and images of which one is enough.

import { request, isAborted, thumbnailOf } from "./api.js";
import { announce, button, el, icon, notice } from "./elements.js";
import { remember } from "./gallery.js";
import { go, linkTo } from "./state.js";
import {
  alternativeOf,
  bytesOf,
  count,
  folderOf,
  nameOf,
  number,
  percent,
  verdictOf,
} from "./words.js";

const LEVELS = {
  identical: ["Identical files", "There are no identical files."],
  copy: ["Copies", "There are no copies."],
  object: ["Same object", "No two images show the same object or place."],
};
const KINDS = {
  identical: ["Identical files", "They are the same byte for byte."],
  copy: ["Copies", "One image, saved in different ways."],
  same_object: ["Same object", "They show the same object or place."],
};
const STAGES = {
  neighbours: "Finding similar images",
  verify: "Comparing images",
};
const AGAIN = 700;
// Arrow keys pass over a choice on the way to the next, which should not start a comparison.
const SETTLE = 350;

const levelOf = (state) => (LEVELS[state.level] ? state.level : "identical");

export class DuplicatesView {
  constructor(state) {
    this.count = el("p", { class: "count" }, "Loading…");
    this.bar = el("progress", { "aria-label": "Comparing images", hidden: true });
    this.list = el("div", { class: "groups" });
    this.foot = el("div", { class: "grid-foot" });
    this.level = levelOf(state);
    this.element = el(
      "div",
      { class: "browse narrow" },
      el(
        "div",
        { class: "view-head" },
        el("div", {}, el("h1", { class: "view-title" }, "Duplicates"), this.count),
        this.choice(),
      ),
      this.bar,
      this.list,
      this.foot,
    );
    this.watcher = new IntersectionObserver(([seen]) => seen.isIntersecting && this.more(), {
      rootMargin: "800px",
    });
    this.begin();
  }

  choice() {
    this.radios = Object.keys(LEVELS).map((level) =>
      el("input", {
        type: "radio",
        name: "level",
        value: level,
        checked: level === this.level,
        // Not a step of the browser's way back, or arrow keys would make many.
        onchange: () => go({ level: level === "identical" ? null : level }, { replace: true }),
      }),
    );
    return el(
      "fieldset",
      { class: "segments" },
      el("legend", { class: "unseen" }, "What counts as a duplicate"),
      this.radios.map((radio) => el("label", {}, radio, el("span", {}, LEVELS[radio.value][0]))),
    );
  }

  /** Take another address of the same view up. */
  update(state) {
    if (this.level === levelOf(state)) return;
    this.level = levelOf(state);
    for (const radio of this.radios) radio.checked = radio.value === this.level;
    this.begin(SETTLE);
  }

  begin(after = 0) {
    this.stop();
    this.cursor = null;
    this.shown = this.announced = 0;
    this.count.textContent = "Loading…";
    this.bar.hidden = true;
    this.list.replaceChildren();
    this.foot.replaceChildren();
    this.timer = setTimeout(() => this.more(), after);
  }

  stop() {
    clearTimeout(this.timer);
    this.aborting?.abort();
    this.watcher.unobserve(this.foot);
    this.waiting = false;
  }

  async more() {
    this.watcher.unobserve(this.foot);
    this.waiting = true;
    const aborting = (this.aborting = new AbortController());
    try {
      const params = { level: this.level, cursor: this.cursor };
      const page = await request("duplicates", { params, signal: aborting.signal });
      if (aborting.signal.aborted) return;
      if (page.state === "comparing") this.showProgress(page.progress);
      else this.show(page);
    } catch (error) {
      if (isAborted(error) || aborting.signal.aborted) return;
      this.waiting = false;
      this.bar.hidden = true;
      this.count.textContent = "";
      this.foot.replaceChildren(
        el(
          "div",
          { class: "empty", role: "alert" },
          el("p", {}, error.message),
          button("Try again", { class: "soft" }, () => (this.shown ? this.more() : this.begin())),
        ),
      );
    }
  }

  /** All images are being compared: show how far it is, and repeat the request. */
  showProgress(progress) {
    const { stage, done, total } = progress ?? {};
    this.bar.hidden = false;
    if (total) {
      this.bar.max = total;
      this.bar.value = done;
    } else this.bar.removeAttribute("value");
    const far = total ? `${number(done)} of ${number(total)}` : "";
    const words = STAGES[stage] ?? "Waiting to compare images";
    this.count.textContent = [words, far].filter(Boolean).join(" · ");
    // Now and then is enough for screen readers.
    if (Date.now() - this.announced > 5000) {
      this.announced = Date.now();
      announce(this.count.textContent);
    }
    this.timer = setTimeout(() => this.more(), AGAIN);
  }

  show(page) {
    this.waiting = false;
    this.bar.hidden = true;
    if (!this.cursor) this.whole = page;
    for (const group of page.groups) this.list.append(this.group(group));
    this.shown += page.groups.length;
    this.cursor = page.next;
    const { total, bytes_to_free: freed, left_out: left } = this.whole;
    const parts = [
      count(total, "group"),
      freed ? `${bytesOf(freed)} can be freed` : "",
      left ? `${number(left)} more not shown` : "",
    ];
    const words = total ? parts.filter(Boolean).join(" · ") : LEVELS[this.level][1];
    if (words !== this.count.textContent) {
      this.count.textContent = words;
      announce(words);
    }
    this.foot.replaceChildren();
    if (page.next) this.watcher.observe(this.foot);
  }

  group({ kind, images, left_out: left, bytes_to_free: freed }) {
    images.forEach(remember);
    const [title, words] = KINDS[kind];
    const paths = images.flatMap((one) => one.paths);
    const spare = images.flatMap((one) => one.spare);
    const noun = kind === "same_object" ? "image" : "file";
    const heading = `${title} · ${count(paths.length + left, noun)}`;
    const facts = [
      words,
      freed ? `${bytesOf(freed)} can be freed.` : "",
      left ? `${count(left, "more image")} not shown.` : "",
    ];
    return el(
      "article",
      { class: "group", "aria-label": heading },
      el(
        "header",
        {},
        el(
          "div",
          {},
          el("h2", {}, heading),
          el("p", { class: "hint" }, facts.filter(Boolean).join(" ")),
        ),
        el(
          "div",
          { class: "row" },
          copyButton("Copy all paths", paths),
          spare.length ? copyButton("Copy paths of extra files", spare) : null,
        ),
      ),
      el(
        "ul",
        { class: "copies" },
        images.map((one) => member(one, images[0])),
      ),
    );
  }

  pause() {
    this.resuming = this.waiting;
    this.stop();
  }

  resume() {
    if (this.resuming) this.more();
    else if (this.cursor) this.watcher.observe(this.foot);
  }
}

/** An image of a group, its files, and how it is related to the one to keep. */
function member(one, first) {
  const link = linkTo({ show: one.id, beside: one === first ? null : first.id });
  return el(
    "li",
    {},
    el(
      "a",
      { class: "group-image", href: link },
      el("img", { src: thumbnailOf(one.id, 300), alt: alternativeOf(one), loading: "lazy" }),
    ),
    el(
      "div",
      {},
      one === first ? null : verdict(one, first, link),
      el(
        "ul",
        { class: "paths" },
        one.paths.map((path) => fileOf(path, one, one === first)),
      ),
      el("p", { class: "tally" }, `${one.width} × ${one.height} · ${bytesOf(one.bytes)}`),
      one.reason ? el("p", { class: "tally" }, one.reason) : null,
    ),
  );
}

function verdict(one, first, link) {
  const { words, probability } = verdictOf({ evidence: one });
  const name = `Compare ${one.name} with ${first.name}`;
  return el(
    "p",
    { class: "group-verdict" },
    el("span", { class: "verdict matching" }, icon("check", 16), words),
    el("span", { class: "tally" }, `${percent(probability)} likely`),
    el("a", { class: "button soft small", href: link, "aria-label": name }, "Compare"),
  );
}

function fileOf(path, one, kept) {
  const extra = one.spare.includes(path);
  const keep = kept && path === one.path;
  return el(
    "li",
    {},
    el(
      "span",
      { class: "file" },
      el("strong", {}, nameOf(path)),
      keep ? el("span", { class: "best" }, "Keep") : null,
      extra ? el("span", { class: "spare" }, "Extra") : null,
    ),
    el("span", { class: "where" }, folderOf(path)),
  );
}

function copyButton(words, paths) {
  return button(words, { class: "soft small", draw: "copy" }, async () => {
    try {
      await navigator.clipboard.writeText(paths.join("\n"));
      notice(`${count(paths.length, "path")} copied.`);
    } catch {
      notice("The browser does not let this page use the clipboard.", { error: true });
    }
  });
}
