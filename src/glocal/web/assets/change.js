// The field for what is to be different from the query image, in words.

import { el, icon, notice } from "./elements.js";
import { info } from "./gallery.js";
import { go, readState } from "./state.js";

/** The field; it shows itself where the gallery has a text model that can follow it. */
export function changeField({ change }) {
  const field = el("input", {
    type: "search",
    name: "change",
    maxlength: "2000",
    placeholder: "Like this, but …",
    title: "What is to be different, such as: in blue",
    autocomplete: "off",
    enterkeyhint: "search",
    "aria-label": "What is to be different",
  });
  field.value = change ?? "";
  const form = el("form", { class: "change", hidden: true }, icon("pencil", 16), field);
  const search = () => {
    const words = field.value.trim() || null;
    if (words === readState().change) return;
    // What a change cannot be combined with ends.
    go({ change: words, text: null, small: null, second: null, relation: null, show: null });
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    search();
  });
  field.addEventListener("search", search); // the cross of the field
  info()
    .then(({ features }) => (form.hidden = !(features.changes || change)))
    .catch((error) => notice(error.message, { error: true }));
  return form;
}

/** The fields of the request. */
export function addChange(form, { change }) {
  if (change) form.append("change", change);
}
