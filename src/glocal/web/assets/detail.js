// One image enlarged: alone, or beside the query.

import { imageOf } from "./api.js";
import { announce, button, el, icon, notice, openDialog } from "./elements.js";
import { amongRoots, info, image } from "./gallery.js";
import { Pair } from "./pair.js";
import { copyPaths } from "./selection.js";
import { Single } from "./single.js";
import { go, readState } from "./state.js";
import { useId } from "./uploads.js";
import { alternativeOf, count, likelyOf, momentOf, nameOf, placeOf, verdictOf } from "./words.js";

const overlays = { lines: true, heat: false };

const HIT = { query: "Your image", hit: "Result" };

/** The dialog over a view: which image it shows stands in the address. */
export class Detail {
  /** @param {() => {ids: string[], hit: (id) => object | undefined}} around what stands beside it */
  constructor(around) {
    this.around = around;
    this.dialog = null;
    this.pair = null;
  }

  /** Show what the state says, or close. */
  show(state) {
    if (!state.show) {
      this.dialog?.close();
      return;
    }
    if (!this.dialog) this.open();
    this.fill(state).catch((error) => {
      this.stage.replaceChildren(el("p", { class: "empty", role: "alert" }, error.message));
      this.facts.replaceChildren();
      this.tools.replaceChildren();
    });
  }

  /** Close, whatever the state says. */
  leave() {
    const dialog = this.dialog;
    this.end();
    this.dialog = null;
    dialog?.close();
  }

  end() {
    this.pair?.close();
    this.single?.close();
    this.pair = this.single = null;
  }

  open() {
    this.stage = el("div", { class: "stage" });
    this.facts = el("div", { class: "detail-facts" });
    this.tools = el("div", { class: "row detail-tools" });
    this.opener = document.activeElement;
    const dialog = openDialog(
      "Image",
      el("div", { class: "detail-body" }, this.stage, el("footer", {}, this.facts, this.tools)),
      {
        name: "detail",
        closed: () => {
          if (this.dialog !== dialog) return;
          this.end();
          this.dialog = null;
          const shown = readState().show;
          if (shown) go({ show: null, beside: null });
          const tile = document.querySelector(`li.tile[data-id="${CSS.escape(shown ?? "")}"] a`);
          (tile ?? this.opener)?.focus?.();
        },
      },
    );
    this.dialog = dialog;
    this.title = dialog.querySelector("h2");
    this.dialog.addEventListener("keydown", (event) => this.pressed(event));
  }

  async fill(state) {
    const queryId = state.like[0];
    const hit = this.around().hit(state.show);
    const one = hit ?? (await image(state.show));
    const query = queryId && queryId !== state.show ? await queryOf(queryId) : null;
    if (readState().show !== state.show || !this.dialog) return; // one went on meanwhile
    this.end();
    this.title.textContent = nameOf(one.path);
    this.title.title = one.path;
    this.drawFacts(one);
    if (query) this.drawPair(query, one, state, hit);
    else this.drawSingle(one);
    this.drawSteps(state);
    if (this.pair) await this.explain(this.pair, one, hit);
  }

  drawSingle(one) {
    this.single = new Single(one, { swiped: (step) => this.swiped(step) });
    this.stage.replaceChildren(this.single.element);
    this.tools.replaceChildren(
      button("Search with this", { draw: "search", class: "primary" }, () => useId(one.id)),
      this.original(one),
    );
  }

  original(one) {
    return el(
      "a",
      { class: "button soft", href: imageOf(one.id), target: "_blank", rel: "noopener" },
      icon("open"),
      el("span", {}, "Original"),
    );
  }

  drawPair(query, one, state, hit) {
    const side = (of) => ({
      id: of.id,
      words: alternativeOf(of),
      width: of.width,
      height: of.height,
    });
    const pair = new Pair(side(query), side(one), {
      region: state.region,
      captions: HIT,
      swiped: (step) => this.swiped(step),
    });
    this.pair = pair;
    pair.show(overlays);
    const toggle = (name, draw, words) => {
      const pressed = String(overlays[name]);
      const how = { draw, class: "soft", "aria-pressed": pressed, "data-toggle": name };
      return button(words, how, () => this.toggle(name));
    };
    this.tools.replaceChildren(
      toggle("lines", "lines", "Lines"),
      toggle("heat", "heat", "Heat map"),
      el("span", { class: "rule" }),
      button("More like this", { draw: "plus", class: "soft" }, () => useId(one.id, "like")),
      button("Less like this", { draw: "minus", class: "soft" }, () => useId(one.id, "unlike")),
      button("Search with this", { draw: "search", class: "soft" }, () => useId(one.id)),
      this.original(one),
    );
    this.stage.replaceChildren(pair.element);
    this.drawVerdict(hit ? verdictOf(hit) : null, hit, null);
  }

  async explain(pair, one, hit) {
    try {
      const kinds = (await info()).features.explanations;
      const explanation = await pair.explain(kinds, hit?.evidence);
      if (this.pair !== pair) return;
      this.tools.querySelector("[data-toggle=lines]").hidden = explanation.matches === null;
      this.tools.querySelector("[data-toggle=heat]").hidden = !explanation.heat;
      // The list may have loaded after the image.
      const scored = hit ?? this.around().hit(one.id);
      const evidence = explanation.evidence ?? scored?.evidence;
      const verdict = evidence ? verdictOf({ evidence }) : null;
      this.drawVerdict(verdict, scored, explanation);
    } catch (error) {
      if (this.pair === pair && error.name !== "AbortError") notice(error.message, { error: true });
    }
  }

  drawVerdict(verdict, hit, explanation) {
    const match = verdict?.kind === "matching";
    const parts = [
      match && verdict.probability !== null ? `${likelyOf(verdict.probability)} likely` : "",
      hit ? `similarity ${hit.score.toFixed(2)}` : "",
      explanation?.matches != null ? agreement(explanation) : "",
    ];
    const words = parts.filter(Boolean).join(" · ");
    const pill = verdict
      ? el(
          "span",
          { class: `verdict ${verdict.kind}` },
          match ? icon("check", 16) : "",
          verdict.words,
        )
      : "";
    this.verdict?.remove();
    this.verdict = el("p", { class: "evidence" }, pill, el("span", {}, words));
    this.facts.prepend(this.verdict);
    if (explanation) announce(`${verdict?.words ?? ""} ${words}`);
  }

  drawFacts(one) {
    this.verdict = null;
    const parts = [
      one.taken ? momentOf(one.taken) : "",
      one.camera ?? "",
      one.width ? `${one.width} × ${one.height}` : "",
      one.position ? placeOf(...one.position) : "",
    ];
    const path = el("span", { title: one.path }, nameOf(one.path));
    const copy = button("Copy path", { draw: "copy", quiet: true, class: "plain tiny" }, () =>
      copyPaths(one),
    );
    const where = el("p", { class: "where with-copy" }, path, copy);
    const others = (one.paths ?? []).filter((path) => path !== one.path);
    const list = el("ul", { class: "where" });
    const more = el(
      "details",
      { class: "others" },
      el("summary", {}, `The same bytes in ${count(others.length, "other file")}`),
      list,
    );
    const what = el("p", { class: "what" }, parts.filter(Boolean).join(" · "));
    this.facts.replaceChildren(what, where, others.length ? more : "");
    const place = () => {
      path.textContent = amongRoots(one.path);
      list.replaceChildren(...others.map((path) => el("li", { title: path }, amongRoots(path))));
    };
    info().then(place, place);
  }

  drawSteps(state) {
    const ids = this.around().ids;
    const at = ids.indexOf(state.show);
    this.steps = { before: ids[at - 1], after: at >= 0 ? ids[at + 1] : undefined };
    this.dialog?.querySelectorAll(".step").forEach((node) => node.remove());
    const step = (id, draw, words) =>
      id && button(words, { draw, quiet: true, class: `step ${draw}` }, () => this.step(id));
    this.stage.append(
      ...[
        step(this.steps.before, "left", "Previous image"),
        step(this.steps.after, "right", "Next image"),
      ].filter(Boolean),
    );
  }

  step(id) {
    if (!id) return;
    go({ show: id, beside: null }, { replace: true });
    this.dialog.focus();
  }

  /** Go on to what a swipe leads to. */
  swiped(step) {
    this.step(step > 0 ? this.steps?.after : this.steps?.before);
  }

  /** Turn the lines or the heat map on or off. */
  toggle(name) {
    if (!this.pair) return;
    overlays[name] = !overlays[name];
    this.pair.show(overlays);
    this.tools
      .querySelector(`[data-toggle=${name}]`)
      .setAttribute("aria-pressed", String(overlays[name]));
  }

  pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    // In a search, plus and minus are examples.
    const example = readState().like.length && "+-".includes(event.key);
    if (!example && (this.pair ?? this.single)?.view.pressed(event)) return;
    if (event.key === "ArrowLeft") this.step(this.steps?.before);
    else if (event.key === "ArrowRight") this.step(this.steps?.after);
    else return;
    event.preventDefault();
  }
}

/** What is known of the query, which may no longer be in the gallery. */
async function queryOf(id) {
  try {
    return await image(id);
  } catch {
    return { id, path: "Your image" };
  }
}

function agreement({ matches, verified }) {
  const points = matches ? count(matches, "matching point") : "no matching points";
  return verified ? `${points} verified` : points;
}
