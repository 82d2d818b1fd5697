// Copies: groups of files that show one picture, for people who want to keep one of each.

import { ask, thumbnailOf } from "./api.js";
import { announce, button, el, notice } from "./elements.js";
import { remember } from "./gallery.js";
import { linkTo } from "./state.js";
import { alternativeOf, count, folderOf, nameOf } from "./words.js";

const LEVELS = {
  identical: ["Identical", "the same bytes in several files"],
  near: ["Copies", "one picture saved in several ways"],
  copy: ["Copies", "one picture saved in several ways"],
  copies: ["Copies", "one picture saved in several ways"],
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
      const all = page.total ?? this.shown;
      this.count.textContent = all ? count(all, "group") : "No two files show the same picture.";
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

  group({ level, pictures }) {
    pictures.forEach(remember);
    const [title, words] = LEVELS[level] ?? [level[0].toUpperCase() + level.slice(1), ""];
    const most = Math.max(...pictures.map((one) => one.width * one.height));
    const largest = pictures.filter((one) => one.width * one.height === most);
    const best = largest.length === 1 ? largest[0] : null;
    const item = (one) =>
      el(
        "li",
        {},
        el(
          "a",
          {
            class: "group-picture",
            href: linkTo({
              show: one.id,
              beside: pictures[0].id === one.id ? null : pictures[0].id,
            }),
          },
          el("img", { src: thumbnailOf(one.id, 300), alt: alternativeOf(one), loading: "lazy" }),
        ),
        el("strong", { title: one.path }, nameOf(one.path)),
        el("span", { class: "where", title: one.path }, folderOf(one.path)),
        el(
          "span",
          { class: "tally" },
          `${one.width} × ${one.height}`,
          one === best ? el("span", { class: "best" }, "Largest") : null,
        ),
      );
    const compare =
      pictures.length > 1 && pictures[0].id !== pictures[1].id
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
        await navigator.clipboard.writeText(pictures.map((one) => one.path).join("\n"));
        notice("The paths are on the clipboard.");
      } catch {
        notice("The browser does not let this page write to the clipboard.", { error: true });
      }
    });
    return el(
      "article",
      { class: "group", "aria-label": `${title}, ${count(pictures.length, "file")}` },
      el(
        "header",
        {},
        el(
          "div",
          {},
          el("h2", {}, `${title} · ${count(pictures.length, "file")}`),
          words ? el("p", { class: "hint" }, words) : null,
        ),
        el("div", { class: "row" }, compare, copy),
      ),
      el("ul", {}, pictures.map(item)),
    );
  }

  pause() {
    this.watcher.unobserve(this.foot);
  }

  resume() {
    if (this.cursor) this.watcher.observe(this.foot);
  }
}
