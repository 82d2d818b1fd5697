// All that was decided about duplicates, to be undone.

import { request, thumbnailOf } from "./api.js";
import { button, el, openDialog } from "./elements.js";
import { nameOf } from "./words.js";

/** Show what was decided, here or on the command line.
 *
 * @param {{decide: Function, mayDecide: boolean}} view takes decisions
 */
export async function showDecisions(view) {
  const body = el("div", { class: "decisions" }, el("p", { class: "hint" }, "Loading…"));
  openDialog("Decisions", body, { name: "decided" });
  try {
    const { not_duplicates: apart, keep } = await request("duplicates/decisions");
    const rows = [
      ...apart.map((images) => decision("Not duplicates", "not_duplicates", images, view)),
      ...keep.map((one) => decision("Keep", "keep", [one], view)),
    ];
    const none =
      "Nothing was decided yet. Not duplicates and Keep this one are remembered here, " +
      "wherever the files move.";
    body.replaceChildren(
      rows.length ? el("ul", {}, rows) : el("p", { class: "hint" }, none),
    );
  } catch (error) {
    body.replaceChildren(el("p", { role: "alert" }, error.message));
  }
}

function decision(words, kind, images, view) {
  const item = el(
    "li",
    {},
    el(
      "div",
      { class: "decision-images" },
      images.map((one) => el("img", { src: thumbnailOf(one.id, 80), alt: nameOf(one.path) })),
    ),
    el(
      "div",
      {},
      el("strong", {}, words),
      el("p", { class: "where" }, images.map(({ path }) => nameOf(path)).join(", ")),
    ),
    view.mayDecide
      ? button("Undo", { class: "soft small", draw: "undo" }, async () => {
          const ids = images.map(({ id }) => id);
          if (await view.decide(kind, ids, true)) item.remove();
        })
      : null,
  );
  return item;
}
