// The field for words, in names, folders, captions and images, and for the address of an image.

import { el, icon } from "./elements.js";
import { afresh, go, readState } from "./state.js";
import { isAddress, useAddress } from "./uploads.js";

const PAUSE = 300; // milliseconds without a key, after which a search by words is renewed

/** The field; `show(state)` makes it say what is searched for. */
export function findBox() {
  const field = el("input", {
    type: "search",
    name: "text",
    maxlength: "2000",
    placeholder: "Search words",
    title: "Words, or the address of an image",
    autocomplete: "off",
    enterkeyhint: "search",
    "aria-label": "Search words in names, folders, captions and images",
  });
  let waiting = null;
  const search = async (replace) => {
    clearTimeout(waiting);
    const state = readState();
    const text = field.value.trim() || null;
    if (text === state.text) return;
    if (text && isAddress(text)) {
      // It is fetched when it is whole: a person says so by Enter.
      if (!replace && (await useAddress(text))) field.value = readState().text ?? "";
      return;
    }
    // With an image in the search, words are added to it.
    if (state.like.length) go({ text, change: null, show: null }, { replace });
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
