// The comparison of duplicates: two images in the same place, what differs, and what to do.

import { isAborted, request, thumbnailOf } from "./api.js";
import { announce, button, el, openDialog } from "./elements.js";
import { Compared, MODES } from "./compared.js";
import { image, info } from "./gallery.js";
import { sideFacts, titleOf } from "./groups.js";
import { Pair } from "./pair.js";
import { go, readState } from "./state.js";
import { alternativeOf, count, nameOf, percent } from "./words.js";

const MATCHES = "matches";
const ALL_MODES = { ...MODES, [MATCHES]: "Matches" };
const SHOWN = { mode: "side", marked: true };
const KEPT = 40;

const pairs = new Map();

/** How two images lie on one another, requested once. */
async function pairOf(first, second, signal) {
  const key = `${first} ${second}`;
  if (!pairs.has(key)) {
    const found = await request("duplicates/pair", { params: { first, second }, signal });
    pairs.set(key, found);
    if (pairs.size > KEPT) pairs.delete(pairs.keys().next().value);
  }
  return pairs.get(key);
}

/** The dialog over the duplicates: which two images it compares stands in the address. */
export class Review {
  /** @param {() => DuplicatesView | null} view whose groups are reviewed */
  constructor(view) {
    this.view = view;
    this.dialog = null;
    addEventListener("groups-changed", () => this.dialog && this.drawGroup());
  }

  /** Show the two images that the state names. */
  show(state) {
    if (!this.dialog) this.open();
    this.fill(state).catch((error) => {
      if (isAborted(error)) return;
      this.stage.replaceChildren(el("p", { class: "empty", role: "alert" }, error.message));
    });
  }

  /** Close, whatever the state says. */
  leave() {
    const dialog = this.dialog;
    this.dialog = null;
    this.end();
    dialog?.close();
  }

  open() {
    this.stage = el("div", { class: "stage" });
    this.bar = el("div", { class: "row review-bar", role: "toolbar", "aria-label": "View" });
    this.facts = el("div", { class: "review-facts" });
    this.actions = el("div", { class: "row review-actions" });
    this.strip = el("ul", { class: "strip", "aria-label": "Images of the group" });
    this.opener = document.activeElement;
    const body = el(
      "div",
      { class: "review-body" },
      this.bar,
      this.stage,
      this.facts,
      el("footer", {}, this.strip, this.actions),
    );
    const dialog = openDialog("Comparison", body, {
      name: "review",
      closed: () => this.dialog === dialog && this.closed(),
    });
    this.dialog = dialog;
    this.fresh = true;
    this.title = this.dialog.querySelector("h2");
    this.dialog.addEventListener("keydown", (event) => this.pressed(event));
    // A click leaves the keys to the images: Space must not repeat what was clicked.
    this.dialog.addEventListener("click", (event) => {
      if (event.detail && event.target.closest("button")) this.focus();
    });
  }

  closed() {
    this.end();
    this.dialog = null;
    const shown = readState().show;
    if (shown) go({ show: null, beside: null });
    const item = document.querySelector(`.member[data-id="${CSS.escape(shown ?? "")}"] a`);
    (item ?? this.opener)?.focus?.();
  }

  end() {
    this.aborting?.abort();
    this.compared?.close();
    this.pair?.close();
    this.compared = this.pair = null;
  }

  async fill(state) {
    const key = [state.beside, state.show].join();
    const [first, second] = await Promise.all([image(state.beside), image(state.show)]);
    if (!this.dialog || [readState().beside, readState().show].join() !== key) return;
    this.end();
    Object.assign(this, { first, second, found: null, told: null });
    this.aborting = new AbortController();
    this.compared = new Compared(first, second, {
      captions: [nameOf(first.path), nameOf(second.path)],
      swiped: (step) => this.step(step),
    });
    this.compared.show({ ...SHOWN, mode: SHOWN.mode === MATCHES ? "side" : SHOWN.mode });
    this.drawGroup();
    await this.drawStage();
    const { signal } = this.aborting;
    try {
      const found = await pairOf(first.id, second.id, signal);
      if (signal.aborted) return;
      this.found = found;
      this.compared.register(found);
      this.drawBar();
      this.drawFacts();
      announce(`${nameOf(second.path)}. ${this.differs()}`);
    } catch (error) {
      // One of the files may be gone; the images can still be looked at.
      if (isAborted(error) || signal.aborted) return;
      this.told = error.message;
      this.drawFacts();
    }
    this.prefetch();
  }

  prefetch() {
    const next = this.beside(1);
    if (!next) return;
    new Image().src = thumbnailOf(next.show, 1280);
    pairOf(next.beside, next.show, this.aborting.signal).catch(() => {});
  }

  async drawStage() {
    this.pair?.close();
    this.pair = null;
    if (SHOWN.mode === MATCHES) {
      const side = (one) => ({ ...one, words: alternativeOf(one) });
      const captions = { query: nameOf(this.first.path), hit: nameOf(this.second.path) };
      this.pair = new Pair(side(this.first), side(this.second), { region: null, captions });
      this.stage.replaceChildren(this.pair.element);
      this.drawBar();
      await this.pair.explain((await info()).features.explanations.filter((k) => k === MATCHES));
      return;
    }
    this.compared.show(SHOWN);
    this.stage.replaceChildren(this.compared.element);
    this.drawBar();
    // Opened, or its part with the focus was drawn again: Space is for the images.
    if (this.fresh || !this.dialog.contains(document.activeElement)) this.focus();
    this.fresh = false;
  }

  focus() {
    (this.compared?.element.isConnected ? this.compared.element : this.dialog)?.focus({
      preventScroll: true,
    });
  }

  drawBar() {
    const mode = (name) =>
      button(
        ALL_MODES[name],
        { class: "soft small", "aria-pressed": String(SHOWN.mode === name), "data-mode": name },
        () => this.choose(name),
      );
    const boxes = this.found?.differing.length ?? 0;
    const view = this.pair?.view ?? this.compared.view;
    const tool = (words, draw, act) =>
      button(words, { draw, quiet: true, class: "soft small square" }, act);
    this.bar.replaceChildren(
      el("div", { class: "row modes" }, Object.keys(ALL_MODES).map(mode)),
      button(
        boxes ? `Differences: ${boxes}` : "Differences",
        {
          class: "soft small",
          draw: "box",
          "aria-pressed": String(SHOWN.marked && boxes > 0),
          disabled: !boxes,
          title: "Mark what differs (D)",
        },
        () => this.mark(),
      ),
      el(
        "div",
        { class: "row zooms" },
        tool("Zoom out", "minus", () => view.zoom(1 / 1.5)),
        tool("Zoom in", "plus", () => view.zoom(1.5)),
        tool("Whole image", "whole", () => view.reset()),
      ),
    );
  }

  async choose(mode) {
    SHOWN.mode = mode;
    await this.drawStage();
  }

  mark() {
    SHOWN.marked = !SHOWN.marked;
    this.compared.show({ marked: SHOWN.marked });
    this.drawBar();
  }

  // The group, and what is proposed

  get group() {
    return this.view()?.groupOf(this.second?.id) ?? null;
  }

  drawGroup() {
    if (!this.second) return;
    const group = this.group;
    const at = this.view()?.groups.indexOf(group);
    const whole = this.view()?.whole?.total;
    this.title.textContent = group
      ? `${titleOf(group)} · group ${at + 1} of ${whole}`
      : nameOf(this.second.path);
    this.drawFacts();
    this.drawActions(group);
    const item = (one, index) => {
      const action = group.rows.find(({ path }) => path === one.path)?.action;
      const current = one.id === this.second.id || one.id === this.first.id;
      const name = nameOf(one.path);
      return el(
        "li",
        {},
        el(
          "button",
          {
            type: "button",
            class: "strip-image",
            "aria-current": current ? "true" : null,
            "aria-label": name,
            title: name,
            disabled: index === 0,
            onclick: () => this.to({ beside: group.images[0].id, show: one.id }),
          },
          el("img", { src: thumbnailOf(one.id, 80), alt: "" }),
          el("span", { class: `dot-action ${action}` }),
        ),
      );
    };
    this.strip.replaceChildren(...(group && group.images.length > 2 ? group.images.map(item) : []));
  }

  drawFacts() {
    this.facts.replaceChildren(
      sideFacts(this.group, this.first, "First image"),
      sideFacts(this.group, this.second, "Second image", this.differs()),
    );
  }

  /** What the comparison of the pixels found, in words. */
  differs() {
    if (!this.found) return this.told ?? "Comparing the pixels…";
    const { share, differing } = this.found;
    if (share === null) return "The images do not lie on one another, so they are not aligned.";
    if (share === 0) return "In what both show, nothing differs.";
    if (!differing.length) return "They differ nearly everywhere.";
    return `They differ in ${count(differing.length, "place")}, ${percent(share)} of what both show.`;
  }

  drawActions(group) {
    const view = this.view();
    if (!group || !view?.mayDecide) {
      this.actions.replaceChildren();
      return;
    }
    const key = (letter) => el("kbd", {}, letter);
    const keep = (id, words) => {
      const chosen = group.images.find((one) => one.id === id)?.chosen;
      const how = { class: "soft small", draw: chosen ? "undo" : "check" };
      return button(chosen ? "Kept: undo" : words, how, () => this.decide("keep", [id], chosen));
    };
    const second = keep(this.second.id, "Keep this one");
    second.append(key("K"));
    const apart = button("Not duplicates", { class: "soft small", draw: "apart" }, () =>
      this.act("apart"),
    );
    apart.append(key("N"));
    const next = button("Next", { class: "primary small", draw: "right" }, () => this.step(1));
    const undo = view.decided.length
      ? button("Undo", { class: "soft small", draw: "undo" }, () => this.act("undo"))
      : null;
    undo?.append(key("U"));
    this.actions.replaceChildren(
      ...[keep(this.first.id, "Keep the first"), second, apart, undo, next].filter(Boolean),
    );
  }

  /** Do what a key says: keep the second image, set both apart, or undo. */
  async act(what) {
    const view = this.view();
    if (!view?.mayDecide) return;
    if (what === "keep") await this.decide("keep", [this.second.id]);
    else if (what === "apart") await this.decide("not_duplicates", [this.first.id, this.second.id]);
    else {
      const undone = await view.undo();
      const back = undone?.groups.find(({ images }) => images.length > 1);
      const others = back?.images.slice(1).map((one) => one.id) ?? [];
      const id = undone?.images.find((one) => others.includes(one));
      if (back) this.to({ beside: back.images[0].id, show: id ?? back.images[1].id });
    }
  }

  async decide(kind, images, undo = false) {
    const after = this.beside(1) ?? this.beside(-1);
    const groups = await this.view().decide(kind, images, undo);
    if (!groups || !this.dialog) return;
    const mine = groups.find((group) => group.images.some(({ id }) => id === this.second.id));
    if (kind === "keep" && mine?.images.length > 1) {
      const [first, ...others] = mine.images;
      const ids = others.map(({ id }) => id);
      const other = [this.second.id, this.first.id].find((id) => ids.includes(id));
      this.to({ beside: first.id, show: other ?? others[0].id });
    } else {
      // What comes next may have become part of another group, of which it is the first.
      const next = after && this.view().groupOf(after.show);
      const [first, second] = next?.images ?? [];
      if (!second) this.dialog.close();
      else this.to({ beside: first.id, show: after.show === first.id ? second.id : after.show });
    }
  }

  // From image to image, and from group to group

  /** The comparison after this one, or before it. */
  beside(step) {
    const groups = this.view()?.reviewed ?? [];
    const group = this.group;
    if (!group) return null;
    const at = group.images.findIndex(({ id }) => id === this.second.id) + step;
    if (at >= 1 && at < group.images.length)
      return { beside: group.images[0].id, show: group.images[at].id };
    return target(groups[groups.indexOf(group) + step], step);
  }

  async step(step) {
    let next = this.beside(step);
    if (!next && step > 0 && this.view()?.cursor) {
      await this.view().more();
      next = this.beside(step);
    }
    if (next) this.to(next);
    else announce("There are no more groups.");
  }

  leap(step) {
    const groups = this.view()?.reviewed ?? [];
    const next = target(groups[groups.indexOf(this.group) + step], 1);
    if (next) this.to(next);
    else this.step(step);
  }

  to(where) {
    go(where, { replace: true });
    if (readState().show === this.second?.id && readState().beside === this.first?.id)
      this.drawGroup();
  }

  pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const view = this.pair?.view ?? this.compared?.view;
    if (view?.pressed(event)) return;
    const onControl = event.target.closest("button, a, [role=slider]");
    const act = {
      ArrowLeft: () => this.step(-1),
      ArrowRight: () => this.step(1),
      ArrowUp: () => this.leap(-1),
      ArrowDown: () => this.leap(1),
      " ": () => !onControl && this.blink(),
      d: () => this.mark(),
      v: () => {
        const modes = Object.keys(ALL_MODES);
        this.choose(modes[(modes.indexOf(SHOWN.mode) + 1) % modes.length]);
      },
    }[event.key];
    if (!act || (event.key === " " && onControl)) return;
    event.preventDefault();
    act();
  }

  async blink() {
    if (SHOWN.mode !== "blink") {
      this.compared.show({ over: false });
      await this.choose("blink");
    }
    this.compared.blink();
    const shown = this.compared.over ? this.second : this.first;
    announce(nameOf(shown.path));
  }
}

/** The first comparison of a group, or its last one. */
function target(group, step) {
  if (!group) return null;
  const [first, ...others] = group.images;
  return { beside: first.id, show: others.at(step > 0 ? 0 : -1).id };
}
