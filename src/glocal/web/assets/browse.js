// Looking through the gallery: by time, by folder, and on a map.

import { request, thumbnailOf } from "./api.js";
import { announce, button, el } from "./elements.js";
import { filterBar } from "./filters.js";
import { facets, info, remember } from "./gallery.js";
import { Grid } from "./grid.js";
import { conditionOf, go, linkTo, readNear } from "./state.js";
import { tileActions } from "./search.js";
import { listTools, sortOf } from "./sorting.js";
import { kilometres, loadTowns, nearestName } from "./towns.js";
import { choose, takeImage } from "./uploads.js";
import { count, folderOf, monthOf, nameOf, number, placeOf, shortMonthOf } from "./words.js";
import { WorldMap } from "./worldmap.js";

const PAGE = 120;

/** An endless grid of the images that meet a condition. */
function imageGrid(condition, { sort = "taken", name, section, loaded } = {}) {
  return new Grid({
    label: "Images",
    packed: Boolean(section),
    load: async (cursor, signal) => {
      const page = await request("images", {
        params: {
          cursor,
          limit: PAGE,
          where: condition,
          name,
          order: sort.replace("-", ""),
          reverse: sort.startsWith("-") ? "true" : null,
        },
        signal,
      });
      page.images.forEach(remember);
      return page;
    },
    link: (one) => linkTo({ show: one.id }),
    actions: tileActions,
    section,
    loaded: (how) => {
      if (!how.shown) how.page.empty = true;
      loaded?.(how);
    },
  });
}

const byMonth = (one) =>
  one.taken
    ? { key: one.taken.slice(0, 7), title: monthOf(one.taken.slice(0, 7)) }
    : { key: "undated", title: "No date" };

class GridView {
  /** Draw the view; where the server cannot be reached, offer to try again. */
  start(state) {
    this.draw(state).catch((error) => {
      const again = button("Try again", { class: "soft" }, () => this.start(state));
      this.element.replaceChildren(
        el("div", { class: "empty", role: "alert" }, el("p", {}, error.message), again),
      );
    });
  }

  pause() {
    this.grid?.stop();
  }

  resume() {
    this.grid?.resume();
  }
}

function nothing(text) {
  return el("p", { class: "empty" }, text);
}

/** All images, the newest first, month by month. */
export class TimelineView extends GridView {
  constructor(state) {
    super();
    const filtered = conditionOf(state) || state.name;
    const sort = sortOf(state, "taken");
    const dated = sort.endsWith("taken");
    this.count = el("p", { class: "count" });
    this.rail = el("nav", { class: "rail", "aria-label": "Years and months" });
    const from = state.at ? `taken ${sort === "taken" ? "<=" : ">="} ${state.at}` : "";
    this.grid = imageGrid(conditionOf(state, from), {
      sort,
      name: state.name,
      section: dated ? byMonth : null,
      loaded: ({ shown, page }) => {
        if (page.total != null) this.count.textContent = count(page.total, "image");
        announce(`${count(shown, "image")} shown`);
        if (!shown) this.none(filtered);
      },
    });
    const newer = state.at
      ? el(
          "a",
          { class: "button soft small", href: linkTo({ at: null }) },
          sort === "taken" ? "Back to the newest" : "Back to the oldest",
        )
      : null;
    this.element = el(
      "div",
      { class: "browse" },
      filtered || state.at || state.sort ? null : hero(),
      el(
        "div",
        { class: "view-head" },
        el(
          "div",
          {},
          el(
            filtered || state.at || state.sort ? "h1" : "h2",
            { class: "view-title" },
            dated ? "Timeline" : "All images",
          ),
          this.count,
        ),
        el("div", { class: "filters" }, newer, filterBar(state), listTools(state, "taken")),
      ),
      el("div", { class: dated ? "with-rail" : "" }, this.grid.element, dated ? this.rail : null),
    );
    if (dated) this.drawRail(state).catch(() => {});
  }

  none(filtered) {
    this.grid.foot.replaceChildren(
      filtered
        ? nothing("No images match. Remove a filter to see more.")
        : el(
            "div",
            { class: "empty" },
            el("p", {}, "There are no images yet."),
            el("a", { class: "button primary", href: linkTo({ view: "index" }) }, "Add images"),
          ),
    );
  }

  async drawRail(state) {
    const { months: known } = await facets();
    const years = new Map();
    for (const { month, images } of [...known].reverse()) {
      const year = month.slice(0, 4);
      if (!years.has(year)) years.set(year, []);
      years.get(year).push({ month, images });
    }
    const most = Math.max(...known.map((one) => one.images), 1);
    // Few years are worth their months; many would make a list longer than the screen.
    const monthly = years.size <= 2;
    const here = (at) => (state.at === at ? "true" : null);
    for (const [year, months] of [...years].reverse()) {
      const all = months.reduce((sum, one) => sum + one.images, 0);
      const bars = el(
        "span",
        { class: "bars", "aria-hidden": "true" },
        [...Array(12).keys()].map((at) => {
          const found = months.find((one) => Number(one.month.slice(5)) === at + 1);
          return el("span", {
            style: { height: found ? `${15 + (85 * found.images) / most}%` : "0" },
          });
        }),
      );
      this.rail.append(
        el(
          "a",
          {
            href: linkTo({ at: year }),
            "aria-current": here(year),
            "aria-label": `${year}, ${count(all, "image")}`,
          },
          el("span", {}, year),
          bars,
        ),
      );
      if (monthly) {
        for (const { month, images } of [...months].reverse()) {
          this.rail.append(
            el(
              "a",
              {
                class: "month",
                href: linkTo({ at: month }),
                "aria-current": here(month),
                "aria-label": `${monthOf(month)}, ${count(images, "image")}`,
              },
              el("span", {}, shortMonthOf(month)),
              el("span", { class: "tally" }, number(images)),
            ),
          );
        }
      }
    }
  }
}

/** The invitation to search. */
function hero() {
  const size = el("span", {}, "the images");
  info()
    .then(({ images }) => {
      if (images > 1) size.textContent = `the ${count(images, "image")}`;
    })
    .catch(() => {});
  return el(
    "section",
    { class: "hero", "aria-labelledby": "hero-title" },
    el("h1", { id: "hero-title" }, "Find the same thing."),
    el(
      "p",
      {},
      "Drop an image anywhere on this page, paste one, or start from one of ",
      size,
      " below.",
    ),
    el(
      "div",
      { class: "row" },
      button("Choose an image", { draw: "upload", class: "primary" }, () => choose()),
      button("Use the camera", { draw: "camera", class: "soft" }, () => takeImage()),
    ),
  );
}

/** Folder by folder. */
export class FoldersView extends GridView {
  constructor(state) {
    super();
    this.element = el("div", { class: "browse" });
    this.start(state);
  }

  async draw(state) {
    const { folders } = await facets();
    const known = new Map(folders.map((one) => [one.path, one]));
    const parent = (path) => known.get(path)?.parent ?? null;
    let here = state.folder;
    const tops = folders.filter((one) => parent(one.path) === null);
    // One folder that holds everything is no choice: begin inside.
    if (!here && tops.length === 1) here = tops[0].path;
    const below = folders.filter((one) =>
      here ? parent(one.path) === here : parent(one.path) === null,
    );
    const trail = [];
    for (let at = here; at; at = parent(at)) trail.unshift(at);
    const step = (path, last) =>
      el(
        "li",
        {},
        last
          ? el("span", { "aria-current": "page" }, nameOf(path))
          : el("a", { href: linkTo({ folder: path }) }, nameOf(path)),
      );
    const crumbs = el(
      "nav",
      { class: "crumbs", "aria-label": "Folders above" },
      el(
        "ol",
        {},
        tops.length > 1
          ? el("li", {}, el("a", { href: linkTo({ folder: null }) }, "All folders"))
          : null,
        trail.map((path, at) => step(path, at === trail.length - 1)),
      ),
    );
    const total = here ? known.get(here)?.files : tops.reduce((sum, one) => sum + one.files, 0);
    const tally = el("p", { class: "count" }, count(total ?? 0, "file"));
    this.element.replaceChildren(
      el(
        "div",
        { class: "view-head" },
        el(
          "div",
          {},
          crumbs,
          el("h1", { class: "view-title" }, here ? nameOf(here) : "Folders"),
          tally,
        ),
        here ? el("div", { class: "filters" }, listTools(state, "path")) : null,
      ),
      below.length
        ? el(
            "ul",
            { class: "folders", "aria-label": "Folders" },
            below.map((one) => this.card(one)),
          )
        : "",
    );
    if (!here) return;
    this.grid = imageGrid(conditionOf({ ...state, folder: here }), {
      sort: sortOf(state, "path"),
      name: state.name,
      loaded: ({ shown, page }) => {
        announce(`${count(shown, "image")} shown`);
        if (state.name && page.total != null) tally.textContent = count(page.total, "image");
        if (!shown && state.name)
          this.grid.foot.replaceChildren(nothing("No file here has a name like that."));
      },
    });
    this.element.append(this.grid.element);
  }

  card({ path, files }) {
    const cover = el("div", { class: "cover", "aria-hidden": "true" });
    const watcher = new IntersectionObserver(
      async ([seen]) => {
        if (!seen.isIntersecting) return;
        watcher.disconnect();
        const page = await request("images", {
          params: { limit: 3, where: conditionOf({ folder: path }) },
        }).catch(() => null);
        for (const one of page?.images ?? [])
          cover.append(el("img", { src: thumbnailOf(one.id, 240), alt: "", loading: "lazy" }));
      },
      { rootMargin: "300px" },
    );
    watcher.observe(cover);
    return el(
      "li",
      {},
      el(
        "a",
        { class: "folder", href: linkTo({ view: "folders", folder: path }) },
        cover,
        el("strong", {}, nameOf(path)),
        el("span", { class: "tally" }, count(files, "file")),
      ),
    );
  }
}

/** On a map. */
export class MapView extends GridView {
  constructor(state) {
    super();
    this.list = el("div", { class: "map-list" });
    this.element = el("div", { class: "browse" });
    this.start(state);
  }

  async draw(state) {
    const [{ places }, { images, features }] = await Promise.all([facets(), info()]);
    const located = places.reduce((sum, one) => sum + one.images, 0);
    const head = el(
      "div",
      { class: "view-head" },
      el(
        "div",
        {},
        el("h1", { class: "view-title" }, "Map"),
        el(
          "p",
          { class: "count" },
          features.positions ? `${number(located)} of ${count(images, "image")} have a location` : "",
        ),
      ),
    );
    if (!places.length) {
      this.element.replaceChildren(
        head,
        nothing(
          features.positions
            ? "No image has a location."
            : "This server does not say where images were taken. Its owner can allow it: " +
                "glocal serve --show-positions",
        ),
      );
      return;
    }
    const map = new WorldMap({
      places,
      open: (members, center) => this.opened(members, center),
    });
    this.map = map;
    this.element.replaceChildren(head, map.element, this.list);
    const near = readNear(state.near);
    if (near) this.show(near, state);
  }

  opened(members, center) {
    const away = Math.max(...members.map((one) => kilometres(center, one)));
    if (members.length > 1 && away > 0.3 && this.map.scale < 20_000)
      this.map.zoom(4, this.map.toPixels(center.longitude, center.latitude));
    else this.map.show(center);
    const km = away < 10 ? Math.max(0.1, Math.ceil(away * 11) / 10) : Math.ceil(away * 1.05);
    go(
      { near: `${center.latitude.toFixed(5)},${center.longitude.toFixed(5)},${km}` },
      { replace: true },
    );
  }

  /** Another place: the map stays as it is. */
  update(state) {
    const near = readNear(state.near);
    if (near && this.map) this.show(near, state);
    else this.list.replaceChildren();
  }

  show(near, state) {
    this.grid?.stop();
    const words = el("span", {}, placeOf(near.latitude, near.longitude, near.km < 10 ? 3 : 1));
    const heading = el("h2", { class: "section-title" }, "Around ", words);
    // A town says little about images that lie hundreds of kilometres apart.
    if (near.km < 40)
      loadTowns()
        .then((towns) => (words.textContent = nearestName(towns, near) ?? words.textContent))
        .catch(() => {});
    const tally = el("span", { class: "tally" });
    this.grid = imageGrid(conditionOf(state), {
      loaded: ({ shown, page }) => {
        tally.textContent = ` · ${count(page.total ?? shown, "image")} within ${near.km} km`;
        announce(heading.textContent);
      },
    });
    heading.append(tally);
    this.list.replaceChildren(heading, this.grid.element);
  }
}
