// In which order a list is, and which file names it has.

import { el } from "./elements.js";
import { go } from "./state.js";

const SORTS = [
  ["taken", "Newest first"],
  ["-taken", "Oldest first"],
  ["added", "Added last first"],
  ["path", "By folder"],
  ["name", "Name, A to Z"],
  ["-name", "Name, Z to A"],
  ["bytes", "Largest first"],
  ["-bytes", "Smallest first"],
];

/** The order of a state, one of `SORTS`. */
export const sortOf = (state, usual) =>
  SORTS.some(([sort]) => sort === state.sort) ? state.sort : usual;

/** What is chosen from: the order, and a part of the file names. */
export function listTools(state, usual) {
  const sort = el(
    "select",
    {
      class: "chip",
      "aria-label": "Sort",
      onchange: () => again(sort, { sort: sort.value === usual ? null : sort.value, at: null }),
    },
    SORTS.map(([value, words]) => el("option", { value }, words)),
  );
  sort.value = sortOf(state, usual);
  const find = () => again(field, { name: field.value.trim() || null });
  const field = el("input", {
    type: "search",
    name: "name",
    class: "chip name-field",
    placeholder: "File name",
    "aria-label": "File name contains",
    maxlength: 255,
    value: state.name,
    onkeydown: (event) => event.key === "Enter" && find(),
    onsearch: find, // when it is emptied by its cross
  });
  return [field, sort];
}

/** Change the list and keep the focus, on the same control of the view that is drawn anew. */
function again(control, changes) {
  go(changes);
  if (control.isConnected) return;
  document.querySelector(`.view-head ${control.tagName}.chip`)?.focus();
}
