// Groups of duplicates: files and images of which one is enough. What is proposed for a file, and
// why, is the server's word; a person decides here what no comparison can tell.

import { address, request, isAborted } from "./api.js";
import { announce, button, el, icon, notice } from "./elements.js";
import { filterButton, folderPanel } from "./filters.js";
import { info } from "./gallery.js";
import { groupCard } from "./groups.js";
import { showDecisions } from "./decisions.js";
import { go } from "./state.js";
import { bytesOf, count, nameOf, number } from "./words.js";

const LEVELS = {
  identical: ["Identical files", "There are no identical files."],
  copy: ["Copies", "There are no copies."],
  object: ["Same object", "No two images show the same object or place."],
};
const STAGES = {
  neighbours: "Finding similar images",
  verify: "Comparing images",
};
const PREFER = {
  name: "prefer",
  title: "Prefer a folder",
  draw: "folder",
  fields: ["prefer"],
  shown: (state) => state.prefer && `Prefer ${nameOf(state.prefer)}`,
  panel: (known, state, choose) => folderPanel(known, state.prefer, (prefer) => choose({ prefer })),
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
    this.list.addEventListener("keydown", (event) => this.pressed(event));
    this.foot = el("div", { class: "grid-foot" });
    this.tools = el("div", { class: "row dup-tools" });
    this.level = levelOf(state);
    this.prefer = state.prefer;
    this.decided = [];
    this.turn = Promise.resolve();
    this.mayDecide = false;
    this.element = el(
      "div",
      { class: "browse duplicates" },
      el(
        "div",
        { class: "view-head" },
        el("div", {}, el("h1", { class: "view-title" }, "Duplicates"), this.count),
        this.choice(),
      ),
      this.tools,
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

  drawTools() {
    const params = { level: this.level, prefer: this.prefer };
    const plan = el(
      "a",
      {
        class: "button soft small",
        href: address("duplicates/plan", params),
        download: `duplicates-${this.level}.csv`,
        title: "What to keep, what could be removed and why, for glocal duplicates --check",
      },
      icon("download", 16),
      el("span", {}, "Download the plan"),
    );
    this.tools.replaceChildren(
      filterButton(PREFER, { prefer: this.prefer }),
      ...(this.entries.length ? [plan] : []),
      button("Decisions", { class: "soft small", draw: "check" }, () => showDecisions(this)),
      ...(this.decided.length && this.mayDecide
        ? [button("Undo", { class: "soft small", draw: "undo" }, () => this.undo())]
        : []),
      el(
        "p",
        { class: "hint keys-hint" },
        ...[
          ["← → ↑ ↓", "choose"],
          ["Space", "compare"],
          ["K", "keep"],
          ["N", "not duplicates"],
          ["U", "undo"],
        ].flatMap(([key, words]) => [el("kbd", {}, key), ` ${words} `]),
      ),
    );
  }

  /** Take another address of the same view up. */
  update(state) {
    if (this.level === levelOf(state) && this.prefer === state.prefer) return;
    this.level = levelOf(state);
    this.prefer = state.prefer;
    for (const radio of this.radios) radio.checked = radio.value === this.level;
    this.begin(SETTLE);
  }

  begin(after = 0) {
    this.stop();
    this.cursor = null;
    this.entries = [];
    this.whole = null;
    this.announced = 0;
    this.count.textContent = "Loading…";
    this.bar.hidden = true;
    this.list.replaceChildren();
    this.foot.replaceChildren();
    this.drawTools();
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
      const params = { level: this.level, prefer: this.prefer, cursor: this.cursor };
      const page = await this.page(params, aborting.signal);
      this.mayDecide = (await info()).features.deciding;
      if (aborting.signal.aborted) return;
      if (page.state === "comparing") this.showProgress(page.progress);
      else this.show(page);
    } catch (error) {
      if (isAborted(error) || aborting.signal.aborted) return;
      this.waiting = false;
      this.bar.hidden = true;
      this.count.textContent = "";
      const again = () => (this.entries.length ? this.more() : this.begin());
      this.foot.replaceChildren(
        el(
          "div",
          { class: "empty", role: "alert" },
          el("p", {}, error.message),
          button("Try again", { class: "soft" }, again),
        ),
      );
    }
  }

  /** A page of groups, or how far their comparison is, which begins here where it has to. */
  async page(params, signal) {
    const page = await request("duplicates", { params, signal });
    if (page.state !== "not_compared") return page;
    const json = { level: this.level, prefer: this.prefer };
    await request("duplicates/comparisons", { method: "POST", json, signal });
    return { ...page, state: "comparing" };
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
    if (!this.cursor) this.whole = { ...page };
    const made = page.groups.map((group) => this.entry(group));
    this.entries.push(...made);
    this.list.append(...made.map(({ element }) => element));
    this.cursor = page.next;
    this.summarise();
    this.drawTools();
    this.foot.replaceChildren();
    if (page.next) this.watcher.observe(this.foot);
    dispatchEvent(new Event("groups-changed"));
  }

  summarise() {
    const { total, bytes_to_free: freed, left_out: left } = this.whole;
    const parts = [
      count(total, "group"),
      freed ? `${bytesOf(freed)} could be freed` : "",
      left ? `${number(left)} more not shown` : "",
    ];
    const words = total ? parts.filter(Boolean).join(" · ") : LEVELS[this.level][1];
    if (words === this.count.textContent) return;
    this.count.textContent = words;
    announce(words);
  }

  entry(group) {
    const ids = group.images.map(({ id }) => id);
    return { ids, group, element: groupCard(group, this.mayDecide ? this : null) };
  }

  // Deciding

  /** The group of an image, as the server described it last. */
  groupOf(id) {
    return this.entries.find(({ group, ids }) => group && ids.includes(id))?.group;
  }

  /** All groups that have come, in their order. */
  get groups() {
    return this.entries.map(({ group }) => group).filter(Boolean);
  }

  /** Those of several images. */
  get reviewed() {
    return this.groups.filter(({ images }) => images.length > 1);
  }

  /** Decide that images are no duplicates of one another, or that they stay; or undo that.
   *
   * @param {"not_duplicates" | "keep"} kind
   * @param {string[]} images their ids
   * @returns {Promise<object[] | null>} the groups they are in now; null if it was refused
   */
  decide(kind, images, undo = false) {
    // One after another: what a decision is about may be in another group after the one before.
    const made = this.turn.then(() => this.decideNow(kind, images, undo));
    this.turn = made;
    return made;
  }

  async decideNow(kind, images, undo) {
    const touched = this.entries.filter(({ ids }) => images.some((id) => ids.includes(id)));
    for (const { element } of touched) element.classList.add("pending");
    try {
      const json = { kind, images, undo, level: this.level, prefer: this.prefer };
      const path = "duplicates/decisions";
      const { groups } = await request(path, { method: "POST", json });
      if (undo) this.decided = this.decided.filter((one) => !same(one, { kind, images }));
      else this.decided.push({ kind, images });
      if (groups === null || !touched.length) this.begin();
      else this.replace(touched, groups, undo ? null : { kind, images });
      announce(undo ? "Undone" : kind === "keep" ? "Kept" : "Not duplicates");
      return groups ?? [];
    } catch (error) {
      notice(error.message, { error: true });
      return null;
    } finally {
      for (const { element } of touched) element.classList.remove("pending");
    }
  }

  /** Take the last decision of this page back. */
  async undo() {
    await this.turn;
    const last = this.decided.at(-1);
    if (!last) {
      notice("There is nothing to undo here. Decisions lists all that was decided.");
      return null;
    }
    const groups = await this.decide(last.kind, last.images, true);
    return groups && { groups, ...last };
  }

  replace(touched, groups, decision) {
    const old = touched.map(({ group }) => group).filter(Boolean);
    const freed = (all) => all.reduce((sum, group) => sum + group.bytes_to_free, 0);
    this.whole.total += groups.length - old.length;
    if (this.whole.bytes_to_free !== null) this.whole.bytes_to_free += freed(groups) - freed(old);
    const made = groups.map((group) => this.entry(group));
    const still = new Set(made.flatMap(({ ids }) => ids));
    const gone = touched.flatMap(({ ids }) => ids).filter((id) => !still.has(id));
    if (decision?.kind === "not_duplicates") made.unshift(this.strip(decision, gone));
    const held = this.list.contains(document.activeElement);
    const at = this.entries.indexOf(touched[0]);
    touched[0].element.before(...made.map(({ element }) => element));
    for (const { element } of touched) element.remove();
    this.entries = this.entries.filter((one) => !touched.includes(one));
    this.entries.splice(at, 0, ...made);
    this.summarise();
    this.drawTools();
    dispatchEvent(new Event("groups-changed"));
    if (held) this.focus(this.entries.slice(at).find(({ group }) => group) ?? this.entries[at]);
  }

  /** What stands in the place of a group that is none. */
  strip({ kind, images }, gone) {
    const words = `${count(images.length, "image")} are not duplicates of one another.`;
    const element = el(
      "p",
      { class: "decided" },
      icon("check", 16),
      el("span", {}, words),
      button("Undo", { class: "soft small" }, () => this.decide(kind, images, true)),
    );
    return { ids: [...new Set([...images, ...gone])], group: null, element };
  }

  // Keys

  focus(entry, id) {
    const item = id && entry?.element.querySelector(`[data-id="${CSS.escape(id)}"]`);
    const first = entry?.element.querySelector(".member a") ?? entry?.element.querySelector("button");
    (item?.querySelector("a") ?? first)?.focus();
  }

  /** The image that has the focus, with its entry. */
  selected() {
    const item = document.activeElement?.closest?.(".member");
    const entry = item && this.entries.find(({ element }) => element.contains(item));
    return entry?.group ? { entry, id: item.dataset.id } : null;
  }

  pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    const selected = this.selected();
    if (!selected) return;
    const onButton = event.target.closest("button, .button");
    const { entry, id } = selected;
    const groups = this.entries.filter(({ group }) => group);
    const at = entry.ids.indexOf(id);
    const from = groups.indexOf(entry);
    const beside = (step) => groups[from + step];
    const act = {
      ArrowRight: () => this.focus(entry, entry.ids[at + 1] ?? id),
      ArrowLeft: () => this.focus(entry, entry.ids[at - 1] ?? id),
      ArrowDown: () => beside(1) && this.focus(beside(1)),
      ArrowUp: () => beside(-1) && this.focus(beside(-1)),
      " ": () => !onButton && this.open(entry.group, id),
    }[event.key];
    if (!act || (event.key === " " && onButton)) return;
    event.preventDefault();
    act();
  }

  /** Show an image of a group beside the one to keep. */
  open(group, id) {
    const [first, second] = group.images;
    if (!second) go({ show: first.id });
    else go({ beside: first.id, show: id === first.id ? second.id : id });
  }

  /** Do what a key says: keep, apart or undo. */
  async act(what) {
    if (!this.mayDecide) return;
    if (what === "undo") {
      await this.undo();
      return;
    }
    const selected = this.selected();
    if (!selected) {
      notice("Select an image first, with the arrow keys.");
      return;
    }
    const { entry, id } = selected;
    if (entry.ids.length < 2) return;
    if (what === "keep") {
      const groups = await this.decide("keep", [id]);
      const now = groups && this.entries.find(({ group, ids }) => group && ids.includes(id));
      if (now) this.focus(now, id);
    } else await this.decide("not_duplicates", entry.ids);
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

const same = (one, other) =>
  one.kind === other.kind && [...one.images].sort().join() === [...other.images].sort().join();
