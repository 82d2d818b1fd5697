// The row of filters: each a button that opens a small panel; together one condition.

import { button, el, icon, notice } from "./elements.js";
import { facets } from "./gallery.js";
import { go, readNear, unfiltered } from "./state.js";
import { dayOf, nameOf, number, placeOf } from "./words.js";
import { WorldMap } from "./worldmap.js";

const DEEPEST = 6; // steps of indentation; deeper ones leave no room for names
const dated = (text) => (text.length === 10 ? dayOf(`${text}T00:00:00`) : text);

const KINDS = [
  {
    name: "folder",
    title: "Folder",
    draw: "folder",
    fields: ["folder"],
    shown: (s) => s.folder && nameOf(s.folder),
    panel: (known, state, choose) => folderPanel(known, state.folder, (folder) => choose({ folder })),
  },
  {
    name: "date",
    title: "Date",
    draw: "calendar",
    fields: ["from", "to"],
    shown: dateShown,
    panel: datePanel,
  },
  {
    name: "camera",
    title: "Camera",
    draw: "lens",
    fields: ["camera"],
    shown: (s) => s.camera,
    panel: cameraPanel,
  },
  {
    name: "place",
    title: "Place",
    draw: "map",
    fields: ["near"],
    shown: nearShown,
    panel: placePanel,
  },
  {
    name: "more",
    title: "More",
    draw: "funnel",
    fields: ["where"],
    shown: (s) => s.where,
    panel: morePanel,
  },
];

const SCORE = {
  name: "score",
  title: "Similarity",
  draw: "lines",
  fields: ["score"],
  shown: (s) => scoreOf(s) !== null && `at least ${scoreOf(s).toFixed(2)}`,
  panel: scorePanel,
};

/** The least similarity of the hits that are shown, or null. */
export function scoreOf({ score }) {
  const least = Number(score);
  return score && least >= -1 && least <= 1 ? least : null;
}

function dateShown({ from, to }) {
  if (from && from === to) return dated(from);
  if (from && to) return `${dated(from)} – ${dated(to)}`;
  if (from) return `since ${dated(from)}`;
  return to && `until ${dated(to)}`;
}

function nearShown(state) {
  const near = readNear(state.near);
  return near && `within ${near.km} km of ${placeOf(near.latitude, near.longitude, 2)}`;
}

/** The filters of a state, as buttons that change them; those of a search only where `searching`. */
export function filterBar(state, { searching = false } = {}) {
  const bar = el("div", { class: "filter-bar", role: "group", "aria-label": "Filters" });
  for (const kind of searching ? [...KINDS, SCORE] : KINDS) bar.append(filterButton(kind, state));
  if (searching) {
    const title = "Compare the details of every image, which takes longer";
    const how = { draw: "lens", title, class: "chip", "aria-pressed": String(Boolean(state.small)) };
    bar.append(button("Small objects", how, () => go({ small: state.small ? null : "1" })));
  }
  if (Object.keys(unfiltered).some((name) => state[name])) {
    bar.append(button("Clear all", { class: "plain clear" }, () => go(unfiltered)));
  }
  return bar;
}

/** One filter as a button that opens its panel. */
export function filterButton(kind, state) {
  const shown = kind.shown(state);
  const holder = el("div", { class: shown ? "filter set" : "filter" });
  const opener = el(
    "button",
    {
      type: "button",
      class: "chip",
      "aria-expanded": "false",
      "aria-haspopup": "dialog",
      "aria-label": shown ? `${kind.title}: ${shown}` : kind.title,
      "data-filter": kind.name,
    },
    icon(kind.draw, 16),
    el("span", {}, shown || kind.title),
    icon("down", 14),
  );
  opener.addEventListener("click", () => toggle(holder, opener, kind, state));
  holder.append(opener);
  if (shown) {
    const none = Object.fromEntries(kind.fields.map((name) => [name, null]));
    holder.append(
      button(
        `Remove the filter ${kind.title.toLowerCase()}`,
        { draw: "close", quiet: true, class: "chip-close" },
        () => go(none),
      ),
    );
  }
  return holder;
}

let shut = () => {};

async function toggle(holder, opener, kind, state) {
  const mine = holder.querySelector(".panel");
  shut();
  if (mine) return;
  let known;
  try {
    known = await facets();
  } catch (error) {
    notice(error.message, { error: true });
    return;
  }
  const panel = el("div", {
    class: `panel for-${kind.name}`,
    role: "dialog",
    "aria-label": kind.title,
  });
  const close = (focus = false) => {
    panel.remove();
    opener.setAttribute("aria-expanded", "false");
    document.removeEventListener("pointerdown", outside, true);
    shut = () => {};
    if (focus) opener.focus();
  };
  const outside = (event) => {
    if (!holder.contains(event.target)) close();
  };
  shut = close;
  const choose = (changes) => {
    close(true);
    go(changes);
  };
  panel.append(kind.panel(known, state, choose));
  panel.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    close(true);
  });
  panel.addEventListener("focusout", (event) => {
    if (event.relatedTarget && !holder.contains(event.relatedTarget)) close();
  });
  document.addEventListener("pointerdown", outside, true);
  holder.append(panel);
  opener.setAttribute("aria-expanded", "true");
  const room = panel.getBoundingClientRect();
  if (room.right > innerWidth - 12) panel.classList.add("from-right");
  panel.querySelector("input, button, textarea")?.focus();
}

/** A list to choose from, with a field that narrows it. */
function pickList(label, rows, chosen, pick) {
  const list = el("ul", { class: "picks" });
  const draw = (text) => {
    const query = text.trim().toLowerCase();
    const fitting = rows.filter((row) => row.value.toLowerCase().includes(query)).slice(0, 200);
    list.replaceChildren(
      ...fitting.map((row) =>
        el(
          "li",
          {},
          el(
            "button",
            {
              type: "button",
              class: "pick",
              "aria-pressed": String(row.value === chosen),
              style: { paddingLeft: `${0.75 + (query ? 0 : Math.min(DEEPEST, row.depth)) * 0.9}rem` },
              onclick: () => pick(row.value),
            },
            el("span", { title: row.value }, row.words),
            el("span", { class: "tally" }, number(row.count)),
          ),
        ),
      ),
    );
    if (!fitting.length) list.append(el("li", { class: "hint" }, "No matches"));
  };
  draw("");
  const field = el("input", {
    type: "search",
    placeholder: label,
    "aria-label": label,
    oninput: () => draw(field.value),
  });
  return el("div", {}, field, list);
}

/** The gallery's folders to choose from. */
export function folderPanel({ folders }, chosen, pick) {
  const known = new Map(folders.map((folder) => [folder.path, folder]));
  const depth = (folder) => (folder.parent ? 1 + depth(known.get(folder.parent) ?? {}) : 0);
  const rows = folders.map((folder) => ({
    value: folder.path,
    words: folder.name,
    count: folder.files,
    depth: depth(folder),
  }));
  return pickList("Find a folder", rows, chosen, pick);
}

function cameraPanel({ cameras }, state, choose) {
  const rows = cameras.map(({ camera, images }) => ({
    value: camera,
    words: camera,
    count: images,
    depth: 0,
  }));
  return pickList("Find a camera", rows, state.camera, (camera) => choose({ camera }));
}

function datePanel({ months }, state, choose) {
  const years = [...new Set(months.map(({ month }) => month.slice(0, 4)))];
  const day = (name, label, value) =>
    el("label", {}, label, el("input", { type: "date", name, value }));
  const wide = (text, end) =>
    text?.length === 4 ? `${text}-${end}` : text?.length === 7 ? `${text}-01` : text;
  const form = el(
    "form",
    {},
    el(
      "div",
      { class: "years" },
      years.map((year) =>
        button(year, { class: "soft small" }, () => choose({ from: year, to: year })),
      ),
    ),
    day("from", "From", wide(state.from, "01-01")),
    day("to", "To", wide(state.to, "12-31")),
    el("button", { class: "primary small" }, "Apply"),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const fields = new FormData(form);
    choose({ from: fields.get("from") || null, to: fields.get("to") || null });
  });
  return form;
}

function placePanel({ places }, state, choose) {
  const near = readNear(state.near);
  const field = (name, label, value, limits) =>
    el(
      "label",
      {},
      label,
      el("input", { name, type: "number", step: "any", required: true, value, ...limits }),
    );
  const map = new WorldMap({
    places,
    pick: ({ latitude, longitude }) => {
      form.elements.latitude.value = latitude.toFixed(4);
      form.elements.longitude.value = longitude.toFixed(4);
    },
  });
  const form = el(
    "form",
    {},
    map.element,
    el("p", { class: "hint" }, "Choose a point on the map, or enter it."),
    el(
      "div",
      { class: "fields" },
      field("latitude", "Latitude", near?.latitude, { min: -90, max: 90 }),
      field("longitude", "Longitude", near?.longitude, { min: -180, max: 180 }),
      field("km", "Within km", near?.km ?? 5, { min: 0.01, max: 20000 }),
    ),
    el("button", { class: "primary small" }, "Apply"),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const { latitude, longitude, km } = Object.fromEntries(new FormData(form));
    choose({ near: `${latitude},${longitude},${km}` });
  });
  return form;
}

function scorePanel(_, state, choose) {
  const least = scoreOf(state) ?? 0.5;
  const shown = el("output", {}, least.toFixed(2));
  const field = el("input", {
    type: "range",
    name: "score",
    min: 0,
    max: 1,
    step: 0.01,
    value: least,
    oninput: () => (shown.textContent = Number(field.value).toFixed(2)),
  });
  const form = el(
    "form",
    {},
    el("label", {}, el("span", {}, "Similarity of at least ", shown), field),
    el("p", { class: "hint" }, "Matches are shown whatever their similarity."),
    el("button", { class: "primary small" }, "Apply"),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    choose({ score: Number(field.value).toFixed(2) });
  });
  return form;
}

function morePanel(_, state, choose) {
  const form = el(
    "form",
    {},
    el(
      "label",
      {},
      "Condition",
      el(
        "textarea",
        { name: "where", rows: 3, placeholder: "width >= 2000 and not camera = canon" },
        state.where ?? "",
      ),
    ),
    el(
      "p",
      { class: "hint" },
      "Use folder, camera, taken, width, height, bytes and near with and, or, not and parentheses.",
    ),
    el("button", { class: "primary small" }, "Apply"),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    choose({ where: new FormData(form).get("where").trim() || null });
  });
  return form;
}
