// Keys that do things, and the list of them.

import { el, openDialog } from "./elements.js";

const keys = [];
let on = true;
try {
  on = localStorage.getItem("shortcuts") !== "off";
} catch {
  // Storage is forbidden: the keys are on.
}

/** Let a key do something.
 *
 * @param {string} key as `KeyboardEvent.key` has it
 * @param {string} words what it does
 * @param {(event: KeyboardEvent) => void} act
 * @param {{inDialog?: boolean}} options whether it works while a dialog is open
 */
export function shortcut(key, words, act, { inDialog = false } = {}) {
  keys.push({ key, words, act, inDialog });
}

/** Listen for the keys. */
export function listenForKeys() {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input:not([type=radio]), textarea, select, [contenteditable]")) return;
    if (!on && event.key !== "?") return;
    const inDialog = Boolean(document.querySelector("dialog[open]"));
    const shortcut = keys.find(
      (one) => one.key.toLowerCase() === event.key.toLowerCase() && (!inDialog || one.inDialog),
    );
    if (!shortcut) return;
    event.preventDefault();
    shortcut.act(event);
  });
}

const FIXED = [
  ["Ctrl V", "search with the image on the clipboard"],
  ["← → ↑ ↓", "go from image to image; move the box, the map, or the point in a comparison"],
  ["Shift ← → ↑ ↓", "change the box’s size; move an enlarged image"],
  ["Z ⇧Z 0", "enlarge, reduce, show the whole image"],
  ["Space", "duplicates: compare, and show both images in turn"],
  ["V D", "duplicates: another view of both; mark what differs"],
  ["Delete", "remove the box"],
  ["Enter", "open the image"],
  ["Esc", "close what is open"],
];

/** Show the list. */
export function showShortcuts() {
  const row = ([key, words]) =>
    el(
      "div",
      {},
      el(
        "dt",
        {},
        key.split(" ").map((one) => el("kbd", {}, one)),
      ),
      el("dd", {}, words),
    );
  const box = el("input", { type: "checkbox" });
  box.checked = on;
  box.addEventListener("change", () => {
    on = box.checked;
    try {
      localStorage.setItem("shortcuts", on ? "on" : "off");
    } catch {
      // It lasts as long as the page, then.
    }
  });
  openDialog(
    "Keyboard shortcuts",
    el(
      "div",
      {},
      el(
        "dl",
        { class: "keys" },
        keys.map((one) => row([one.key.toUpperCase(), one.words])),
        FIXED.map(row),
      ),
      el("label", { class: "check" }, box, "Use single-key shortcuts"),
      el("p", {}, el("a", { href: "docs" }, "API reference")),
    ),
    { name: "shortcuts" },
  );
}
