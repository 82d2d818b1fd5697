// The page: which view is shown, and what stands above and around all of them.

import { request, onLocked, Problem } from "./api.js";
import { FoldersView, MapView, TimelineView } from "./browse.js";
import { Detail } from "./detail.js";
import { DuplicatesView } from "./duplicates.js";
import { button, el, icon, notice, openDialog } from "./elements.js";
import { findBox } from "./find.js";
import { changed, image, info } from "./gallery.js";
import { IndexView } from "./indexing.js";
import { Review } from "./review.js";
import { SearchView } from "./search.js";
import { copyPaths, listenForSelection, selectAll, selecting, toggle } from "./selection.js";
import { openPad } from "./sketch.js";
import { listenForKeys, shortcut, showShortcuts } from "./shortcuts.js";
import { afresh, go, linkTo, onState, readState, unfiltered, viewKey, viewOf } from "./state.js";
import { acceptDropsAndPastes, choose, takeImage, useId } from "./uploads.js";

const VIEWS = {
  timeline: { title: "Timeline", draw: "timeline", make: TimelineView },
  folders: { title: "Folders", draw: "folder", make: FoldersView },
  map: { title: "Map", draw: "map", make: MapView },
  duplicates: { title: "Duplicates", draw: "duplicates", make: DuplicatesView },
  index: { title: "Add", draw: "index", make: IndexView },
};
const MAKERS = {
  ...Object.fromEntries(Object.entries(VIEWS).map(([name, { make }]) => [name, make])),
  search: SearchView,
};
const KEPT = 4;

const main = document.getElementById("main");
const kept = new Map();
let current = null;

const find = findBox();
document.getElementById("tools").before(find.element);

const detail = new Detail(() => {
  const ids = current?.view.grid?.images?.map((one) => one.id) ?? [];
  return { ids, hit: (id) => current?.view.hit?.(id) };
});

const duplicates = () => (current?.view instanceof DuplicatesView ? current.view : null);
const review = new Review(duplicates);

/** Show what the address says; a view that was left lately comes back as it was. */
function render(state, { back = false } = {}) {
  const name = MAKERS[viewOf(state)] ? viewOf(state) : "timeline";
  const key = viewKey(state);
  if (current?.key !== key) {
    const changeOnly =
      current?.name === name &&
      current.view.update &&
      (name !== "search" || current.first === state.like[0]);
    if (changeOnly) {
      kept.delete(current.key);
      current.view.update(state);
      current.key = key;
    } else {
      if (current) {
        current.view.pause();
        current.scroll = scrollY;
      }
      const old = back ? kept.get(key) : null;
      current = old ?? { name, key, view: new MAKERS[name](state), scroll: 0 };
      main.replaceChildren(current.view.element);
      if (old) old.view.resume();
      scrollTo(0, current.scroll);
    }
    current.first = state.like[0];
    kept.delete(key);
    kept.set(key, current);
    if (kept.size > KEPT) kept.delete(kept.keys().next().value);
    drawViews(name);
  }
  document.title = name === "search" ? "Results – glocal" : `${VIEWS[name].title} – glocal`;
  document.body.dataset.view = name;
  find.show(state);
  if (name === "duplicates" && state.show && state.beside) {
    detail.leave();
    review.show(state);
  } else {
    review.leave();
    detail.show(state);
  }
}

function drawViews(name) {
  const link = ([one, { title, draw }]) =>
    el(
      "a",
      {
        href: linkTo({ ...afresh, ...unfiltered, view: one === "timeline" ? null : one }),
        "aria-current": one === name ? "page" : null,
      },
      icon(draw),
      el("span", {}, title),
    );
  document.getElementById("views").replaceChildren(...Object.entries(VIEWS).map(link));
}

const THEMES = {
  auto: ["auto", "system"],
  light: ["sun", "light"],
  dark: ["moon", "dark"],
};

function drawTools() {
  const themed = document.documentElement.dataset.theme ?? "auto";
  const leave = button("Log out", { draw: "leave", quiet: true, class: "plain" }, logOut);
  leave.hidden = true;
  const theme = button(
    `Theme: ${THEMES[themed][1]}`,
    { draw: THEMES[themed][0], quiet: true, class: "plain" },
    nextTheme,
  );
  info()
    .then(({ features }) => (leave.hidden = !features.login))
    .catch(() => {});
  document.getElementById("tools").replaceChildren(
    button("Search with an image", { draw: "search", class: "primary small call" }, () =>
      choose(),
    ),
    button("Use the camera", { draw: "camera", quiet: true, class: "plain" }, () => takeImage()),
    button("Search with a drawing", { draw: "pencil", quiet: true, class: "plain" }, openPad),
    theme,
    button("Keyboard shortcuts", { draw: "help", quiet: true, class: "plain" }, showShortcuts),
    leave,
  );
  return theme;
}

function nextTheme() {
  const order = Object.keys(THEMES);
  const now = document.documentElement.dataset.theme ?? "auto";
  const next = order[(order.indexOf(now) + 1) % order.length];
  if (next === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  try {
    localStorage.setItem("theme", next);
  } catch {
    // It lasts as long as the page, then.
  }
  drawTools().focus();
  current?.view.map?.draw();
}

let unlocking = null;
let locked = false;

/** Let a person enter the server's token. */
function askForToken() {
  const needed = new Problem("Enter the token to open this gallery.", 401);
  if (locked) return Promise.reject(needed);
  unlocking ??= new Promise((done, refuse) => {
    let open = false;
    const field = el("input", {
      type: "password",
      name: "token",
      required: true,
      autocomplete: "current-password",
    });
    const wrong = el("p", { class: "wrong", role: "alert" });
    const form = el(
      "form",
      {},
      el("p", {}, "This gallery needs a token. Ask its owner for it."),
      el("label", {}, "Token", field),
      wrong,
      el("button", { class: "primary" }, "Open the gallery"),
    );
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      try {
        await request("login", { method: "POST", json: { token: field.value } });
        open = true;
        done();
        dialog.close();
      } catch (error) {
        wrong.textContent = error.message;
        field.select();
      }
    });
    const dialog = openDialog("Token", form, {
      name: "token",
      closed: () => {
        unlocking = null;
        locked = !open;
        if (locked) showLocked();
        refuse(needed);
      },
    });
    field.focus();
  });
  return unlocking;
}

/** What is left when nobody enters a token: the way to enter it. */
function showLocked() {
  // After the views, which each say that they were refused.
  setTimeout(() => {
    const enter = button("Enter the token", { class: "primary" }, () => location.reload());
    main.replaceChildren(
      el("div", { class: "empty" }, el("p", {}, "This gallery needs a token."), enter),
    );
    enter.focus();
  });
}

async function logOut() {
  try {
    await request("logout", { method: "POST" });
    location.reload();
  } catch (error) {
    notice(error.message, { error: true });
  }
}

/** Draw again what is shown: the gallery was changed elsewhere. */
async function catchUp() {
  if (document.hidden || document.querySelector("dialog[open]")) return;
  const before = await info().catch(() => null);
  changed();
  const now = await info().catch(() => null);
  if (!before || !now || (before.images === now.images && before.files === now.files)) return;
  kept.clear();
  const scroll = scrollY;
  current?.view.pause();
  current = null;
  render(readState());
  scrollTo(0, scroll);
}

/** The image that has the focus, or that the dialog shows. */
const focused = () => document.activeElement?.closest?.("li.tile")?.dataset.id ?? readState().show;

function withFocused(role) {
  const id = focused();
  if (id) useId(id, role);
  else notice("Select an image first, with the arrow keys or by opening it.");
}

const tile = () => document.activeElement?.closest?.("li.tile:has(.tile-check)");

function select(range) {
  if (tile()) toggle(tile(), range);
  else notice("Go to an image first, with G and the arrow keys.");
}

async function copyPath() {
  const id = selecting() && !document.querySelector("dialog[open]") ? null : focused();
  if (!id && !selecting()) notice("Select an image first, with the arrow keys or by opening it.");
  else copyPaths(id ? await image(id) : null);
}

function defineKeys() {
  shortcut("/", "search words", () => find.focus());
  shortcut("o", "choose an image to search with", () => choose());
  shortcut("c", "use the camera", () => takeImage());
  shortcut("d", "draw what to find", openPad);
  shortcut("s", "search with the selected image", () => withFocused("query"), { inDialog: true });
  shortcut("+", "more like the selected image", () => withFocused("like"), { inDialog: true });
  shortcut("-", "less like the selected image", () => withFocused("unlike"), { inDialog: true });
  shortcut("x", "select an image, or no longer; with Shift all up to it", (event) =>
    select(event.shiftKey),
  );
  shortcut("a", "select all images that are shown", selectAll);
  shortcut("p", "copy the path of the image, or of all that are selected", copyPath, {
    inDialog: true,
  });
  shortcut("b", "draw a box around an object", () => current?.view.drawBox?.());
  shortcut("g", "go to the images", () =>
    document.querySelector("li.tile a[tabindex='0']")?.focus(),
  );
  shortcut("f", "go to the filters", () => document.querySelector(".filter-bar button")?.focus());
  const act = (what) => (review.dialog ? review.act(what) : duplicates()?.act(what));
  shortcut("k", "keep the selected duplicate", () => act("keep"), { inDialog: true });
  shortcut("n", "these are not duplicates", () => act("apart"), { inDialog: true });
  shortcut("u", "undo the last decision", () => act("undo"), { inDialog: true });
  shortcut("l", "show or hide the lines", () => detail.toggle("lines"), { inDialog: true });
  shortcut("h", "show or hide the heat map", () => detail.toggle("heat"), { inDialog: true });
  Object.entries(VIEWS).forEach(([name, { title }], at) => {
    shortcut(
      String(at + 1),
      title.toLowerCase() === "add" ? "add images" : title.toLowerCase(),
      () => go({ ...afresh, ...unfiltered, view: name === "timeline" ? null : name }),
    );
  });
  shortcut("t", "change the theme", nextTheme);
  shortcut("?", "show the shortcuts", showShortcuts);
  listenForKeys();
}

onLocked(askForToken);
onState(render);
drawTools();
defineKeys();
listenForSelection();
acceptDropsAndPastes(() => {
  const view = current?.view;
  return view instanceof IndexView && view.uploads ? (files) => view.send(files) : null;
});
// Wherever an image cannot be loaded, a drawing says so in its place.
document.addEventListener(
  "error",
  ({ target }) => {
    if (!(target instanceof HTMLImageElement) || target.dataset.missing) return;
    target.dataset.missing = target.getAttribute("src");
    target.title = "This image is missing, or cannot be reached";
    target.src = "assets/missing.svg";
  },
  true,
);
addEventListener("gallery-changed", () => {
  for (const [key, one] of kept) if (one !== current) kept.delete(key);
  changed();
});
document.addEventListener("visibilitychange", catchUp);
addEventListener("focus", catchUp);
if ("scrollRestoration" in history) history.scrollRestoration = "manual";
render(readState());
