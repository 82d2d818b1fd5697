// Copies: groups of files that show one picture, for people who want to keep one of each.

import { ask, thumbnailOf } from "./api.js";
import { announce, button, el, notice } from "./elements.js";
import { remember } from "./gallery.js";
import { linkTo } from "./state.js";
import { alternativeOf, bytesOf, count, folderOf, nameOf } from "./words.js";

const KINDS = {
  identical: ["Identical", "The same picture, byte for byte, in several files."],
  copy: ["Copies", "One picture, saved in several ways."],
};

export class DuplicatesView {
  constructor() {
    this.count = el("p", { class: "count" }, "Looking…");
    this.list = el("div", { class: "groups" });
    this.foot = el("div", { class: "grid-foot" });
    this.shown = 0;
    this.element = el(
      "div",
      { class: "browse narrow" },
      el(
        "div",
        { class: "found-head" },
        el("div", {}, el("h1", { class: "view-title" }, "Duplicates"), this.count),
      ),
      this.list,
      this.foot,
    );
    this.watcher = new IntersectionObserver(([seen]) => seen.isIntersecting && this.more(), {
      rootMargin: "800px",
    });
    this.more();
  }

  async more() {
    this.watcher.unobserve(this.foot);
    try {
      const page = await ask("duplicates", { params: { cursor: this.cursor } });
      for (const group of page.groups) this.list.append(this.group(group));
      this.shown += page.groups.length;
      this.cursor = page.next;
      const all = page.next
        ? `The first ${count(this.shown, "group")}`
        : count(this.shown, "group");
      this.count.textContent = this.shown ? all : "No two files hold the same picture.";
      announce(this.count.textContent);
      this.foot.replaceChildren();
      if (page.next) this.watcher.observe(this.foot);
    } catch (error) {
      this.count.textContent = "";
      this.foot.replaceChildren(
        el(
          "div",
          { class: "empty", role: "alert" },
          el("p", {}, error.message),
          button("Try again", { class: "soft" }, () => this.more()),
        ),
      );
    }
  }

  group({ kind, pictures }) {
    pictures.forEach(remember);
    const [title, words] = KINDS[kind] ?? [kind[0].toUpperCase() + kind.slice(1), ""];
    const paths = pictures.flatMap((one) => one.paths);
    const sizes = pictures.map((one) => one.width * one.height);
    const best = pictures.length > 1 ? pictures[sizes.indexOf(Math.max(...sizes))] : null;
    const beside = (one) => (one === pictures[0] ? null : pictures[0].id);
    const item = (one) =>
      el(
        "li",
        {},
        el(
          "a",
          { class: "group-picture", href: linkTo({ show: one.id, beside: beside(one) }) },
          el("img", { src: thumbnailOf(one.id, 300), alt: alternativeOf(one), loading: "lazy" }),
        ),
        el(
          "div",
          {},
          el(
            "ul",
            { class: "paths" },
            one.paths.map((path) =>
              el(
                "li",
                {},
                el("strong", {}, nameOf(path)),
                el("span", { class: "where" }, folderOf(path)),
              ),
            ),
          ),
          el(
            "p",
            { class: "tally" },
            `${one.width} × ${one.height} · ${bytesOf(one.bytes)}`,
            one === best ? el("span", { class: "best" }, "Largest") : null,
          ),
        ),
      );
    const compare =
      pictures.length > 1
        ? el(
            "a",
            {
              class: "button soft small",
              href: linkTo({ show: pictures[1].id, beside: pictures[0].id }),
            },
            "Compare",
          )
        : null;
    const copy = button("Copy the paths", { class: "soft small", draw: "copy" }, async () => {
      try {
        await navigator.clipboard.writeText(paths.join("\n"));
        notice("The paths are on the clipboard.");
      } catch {
        notice("The browser does not let this page write to the clipboard.", { error: true });
      }
    });
    return el(
      "article",
      { class: "group", "aria-label": `${title}, ${count(paths.length, "file")}` },
      el(
        "header",
        {},
        el(
          "div",
          {},
          el("h2", {}, `${title} · ${count(paths.length, "file")}`),
          words ? el("p", { class: "hint" }, words) : null,
        ),
        el("div", { class: "row" }, compare, copy),
      ),
      el("ul", { class: "copies" }, pictures.map(item)),
    );
  }

  pause() {
    this.watcher.unobserve(this.foot);
  }

  resume() {
    if (this.cursor) this.watcher.observe(this.foot);
  }
}
