// Images that are selected, in whatever views, and what can be done with all of them.

import { address, request } from "./api.js";
import { announce, button, copyText, el, icon, notice } from "./elements.js";
import { bytesOf, count, nameOf, number } from "./words.js";

const chosen = new Map();
let anchor = null;

const bar = el("section", { class: "selection", "aria-label": "Selection", hidden: true });
const tally = el("p", { class: "selection-count" });

/** Let the tile of an image be selected.
 *
 * @param {HTMLElement} item the tile, whose `image` is known
 */
export function selectable(item) {
  const box = el(
    "button",
    {
      type: "button",
      class: "tile-check",
      role: "checkbox",
      tabindex: "-1",
      "aria-label": `Select ${nameOf(item.image.path)}`,
      onclick: (event) => toggle(item, event.shiftKey),
    },
    icon("check", 16),
  );
  item.append(box);
  draw(item);
}

function draw(item) {
  const selected = chosen.has(item.image.id);
  item.classList.toggle("selected", selected);
  item.querySelector(".tile-check").setAttribute("aria-checked", String(selected));
}

const tiles = () => [...document.querySelectorAll("li.tile:has(.tile-check)")];

/** Select an image or give it up; with `range` all from the last one that was changed up to it. */
export function toggle(item, range = false) {
  const all = tiles();
  const [from, to] = [all.findIndex((one) => one.image.id === anchor), all.indexOf(item)];
  const selected = !chosen.has(item.image.id) || range;
  const changed = range && from >= 0 ? all.slice(Math.min(from, to), Math.max(from, to) + 1) : [item];
  for (const { image } of changed) {
    if (selected) chosen.set(image.id, image);
    else chosen.delete(image.id);
  }
  anchor = item.image.id;
  changedSelection();
}

/** Select all images that are shown. */
export function selectAll() {
  for (const { image } of tiles()) chosen.set(image.id, image);
  changedSelection();
}

function clear() {
  const within = bar.contains(document.activeElement);
  chosen.clear();
  changedSelection();
  if (within) document.querySelector("li.tile a[tabindex='0']")?.focus();
}

function changedSelection() {
  tiles().forEach(draw);
  const bytes = [...chosen.values()].reduce((sum, one) => sum + (one.bytes ?? 0), 0);
  bar.hidden = !chosen.size;
  document.body.classList.toggle("selecting", chosen.size > 0);
  tally.replaceChildren(
    el("strong", {}, `${number(chosen.size)} selected`),
    el("span", { class: "tally" }, bytes ? ` · ${bytesOf(bytes)}` : ""),
  );
  announce(`${number(chosen.size)} selected`);
}

/** Download all that is selected: the files as "zip", or what is known of them as "csv". */
async function download(kind) {
  try {
    // Also asks for the token again, where the session has ended.
    const { limits } = await request("info");
    const bytes = [...chosen.values()].reduce((sum, one) => sum + (one.bytes ?? 0), 0);
    if (chosen.size > limits.selected) {
      notice(`Select up to ${count(limits.selected, "image")} for one download.`, { error: true });
    } else if (kind === "zip" && bytes > limits.archive_bytes) {
      notice(`Select up to ${bytesOf(limits.archive_bytes)} for one download.`, { error: true });
    } else send(kind);
  } catch (error) {
    notice(error.message, { error: true });
  }
}

/** By a form, so that the browser writes to the disk what comes, however large it is. */
function send(kind) {
  const form = el(
    "form",
    { method: "post", action: address(`downloads/${kind}`), enctype: "multipart/form-data" },
    el("input", { type: "hidden", name: "images", value: [...chosen.keys()].join(",") }),
  );
  form.hidden = true;
  document.body.append(form);
  form.submit();
  form.remove();
}

/** Copy the path of an image, or of each that is selected. */
export async function copyPaths(one = null) {
  const images = one ? [one] : [...chosen.values()];
  if (!images.length) return;
  const copied = await copyText(images.map((image) => image.path).join("\n"));
  const paths = images.length === 1 ? "Path copied." : `${count(images.length, "path")} copied.`;
  notice(copied ? paths : "This browser does not let the page copy.", { error: !copied });
}

/** Whether any image is selected. */
export const selecting = () => chosen.size > 0;

/** Take clicks with Ctrl, ⌘ or Shift, long presses, and Escape. */
export function listenForSelection() {
  bar.append(
    tally,
    el(
      "div",
      { class: "row" },
      button("ZIP", { draw: "download", class: "primary small", title: "Download the files" }, () =>
        download("zip"),
      ),
      button("CSV", { draw: "download", class: "soft small", title: "Download a table" }, () =>
        download("csv"),
      ),
      button("Copy paths", { draw: "copy", class: "soft small" }, () => copyPaths()),
      button("All shown", { draw: "check", class: "soft small", title: "Select all shown" }, selectAll),
    ),
    button("Clear the selection", { draw: "close", quiet: true, class: "plain" }, clear),
  );
  document.getElementById("main").after(bar);
  document.addEventListener(
    "click",
    (event) => {
      const link = event.target.closest?.("li.tile > a");
      const item = link?.closest("li.tile");
      if (!item?.querySelector(".tile-check") || event.button || event.altKey) return;
      const marked = event.ctrlKey || event.metaKey || event.shiftKey;
      // Enter, whose click has no detail, opens an image also while others are selected.
      if (!marked && !(selecting() && event.detail)) return;
      event.preventDefault();
      event.stopPropagation();
      toggle(item, event.shiftKey);
    },
    true,
  );
  let pointer = "";
  document.addEventListener("pointerdown", (event) => (pointer = event.pointerType), true);
  document.addEventListener("contextmenu", (event) => {
    const item = event.target.closest?.("li.tile");
    if (pointer !== "touch" || !item?.querySelector(".tile-check")) return;
    event.preventDefault();
    toggle(item);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.defaultPrevented || !selecting()) return;
    if (!document.querySelector("dialog[open], .panel")) clear();
  });
}
