// The field for words: in names, folders, captions and images.

import { el, icon } from "./elements.js";
import { afresh, go, readState } from "./state.js";

const PAUSE = 300; // milliseconds without a key, after which a search by words is renewed

/** The field; `show(state)` makes it say what is searched for. */
export function findBox() {
  const field = el("input", {
    type: "search",
    name: "text",
    maxlength: "200",
    placeholder: "Search words",
    autocomplete: "off",
    enterkeyhint: "search",
    "aria-label": "Search words in names, folders, captions and images",
  });
  let waiting = null;
  const search = (replace) => {
    clearTimeout(waiting);
    const state = readState();
    const text = field.value.trim() || null;
    if (text === state.text) return;
    // With an image in the search, words are added to it.
    if (state.like.length) go({ text, show: null }, { replace });
    else go({ ...afresh, view: text ? null : state.view, text }, { replace });
  };
  field.addEventListener("input", () => {
    clearTimeout(waiting);
    if (readState().text) waiting = setTimeout(() => search(true), PAUSE);
  });
  const form = el("form", { class: "find", role: "search" }, icon("search", 16), field);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    search(false);
  });
  return {
    element: form,
    show: ({ text }) => {
      if (document.activeElement !== field || !field.value) field.value = text ?? "";
    },
    focus: () => field.focus(),
  };
}
