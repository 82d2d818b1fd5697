// How a group of duplicates looks: large previews, what is proposed for each file, and why.

import { imageOf, thumbnailOf } from "./api.js";
import { button, el, notice } from "./elements.js";
import { amongRoots, remember } from "./gallery.js";
import { linkTo } from "./state.js";
import {
  alternativeOf,
  bytesOf,
  count,
  dayOf,
  folderOf,
  likelyOf,
  nameOf,
  verdictOf,
} from "./words.js";

const KINDS = {
  identical: ["Identical files", "They are the same byte for byte."],
  copy: ["Copies", "One image, saved in different ways."],
  same_object: ["Same object", "They show the same object or place."],
};
const ACTIONS = {
  keep: "Keep",
  "could-remove": "Could remove",
  "decide-yourself": "Decide yourself",
  link: "Link",
  changed: "Changed",
};

const EDITS = { "shows-more": "Shows more", "colours-changed": "Colours changed" };
const sentence = (words) => words[0].toUpperCase() + words.slice(1);

/** "Copies · 3 files" */
export function titleOf({ kind, images, left_out: left }) {
  const files = images.reduce((sum, { paths }) => sum + paths.length, 0) + left;
  return `${KINDS[kind][0]} · ${count(files, kind === "same_object" ? "image" : "file")}`;
}

/** A group as a card.
 *
 * @param {object} group of the API
 * @param {{decide: Function} | null} decider what takes decisions; null where none can be made
 */
export function groupCard(group, decider) {
  const { kind, images, left_out: left, bytes_to_free: freed, rows } = group;
  images.forEach(remember);
  const heading = titleOf(group);
  const facts = [
    KINDS[kind][1],
    freed ? `${bytesOf(freed)} could be freed.` : "",
    left ? `${count(left, "more image")} not shown.` : "",
  ];
  const files = rows.filter(({ action }) => !["link", "changed"].includes(action));
  const spare = rows.filter(({ action }) => action === "could-remove");
  const several = images.length > 1;
  const ids = images.map(({ id }) => id);
  return el(
    "article",
    { class: "group", "aria-label": heading },
    el(
      "header",
      {},
      el(
        "div",
        {},
        el("h2", {}, heading),
        el("p", { class: "hint" }, facts.filter(Boolean).join(" ")),
      ),
      el(
        "div",
        { class: "row" },
        several && decider
          ? button("Not duplicates", { class: "soft small", draw: "apart" }, () =>
              decider.decide("not_duplicates", ids),
            )
          : null,
        copyButton("Copy all paths", files),
        spare.length ? copyButton("Copy paths that could go", spare) : null,
      ),
    ),
    el(
      "ul",
      { class: "members", "data-many": several ? null : "no" },
      images.map((one, at) => member(group, one, at, decider)),
    ),
  );
}

/** An image of a group: its files, and how it is related to the one to keep. */
function member(group, one, at, decider) {
  const [first, second] = group.images;
  const pair = second && { beside: first.id, show: at ? one.id : second.id };
  const link = linkTo(pair ?? { show: one.id, beside: null });
  const own = group.rows.filter(({ image }) => image === one.id);
  const status = own.find(({ path }) => path === one.path) ?? own[0];
  const rows = [status, ...own.filter((row) => row !== status)];
  const name = nameOf(one.path);
  return el(
    "li",
    { class: at ? "member" : "member kept", "data-id": one.id },
    el(
      "a",
      { class: "preview", href: link, "aria-label": pair ? `Compare ${name}` : name },
      el("img", { src: thumbnailOf(one.id, 480), alt: alternativeOf(one), loading: "lazy" }),
      el("span", { class: "on-preview" }, actionPill(status?.action)),
    ),
    el(
      "div",
      { class: "member-facts" },
      el("ul", { class: "paths" }, rows.map((row) => fileOf(row, rows.length > 1))),
      el("p", { class: "tally" }, sizeOf(one)),
      at ? verdictLine(one) : null,
      why(one),
      decider && second && (at || one.chosen) ? keepButton(one, decider) : null,
    ),
  );
}

/** What is proposed, in words. */
export function actionPill(action) {
  return el("span", { class: `action ${action}` }, ACTIONS[action] ?? "");
}

/** "1024 × 683 · 138 kB · 17 May 2019" */
export function sizeOf(one) {
  const parts = [
    `${one.width} × ${one.height}`,
    bytesOf(one.bytes),
    one.holds ?? "",
    one.taken ? dayOf(one.taken) : "",
    one.camera ?? "",
  ];
  return parts.filter(Boolean).join(" · ");
}

/** The verdict on an image and the first of its group, with the probability of this verdict. */
export function verdictLine(one) {
  const { words, probability } = verdictOf({ evidence: one });
  const likely = probability === null ? "" : `${likelyOf(probability)} likely`;
  return el(
    "p",
    { class: "group-verdict" },
    el("span", { class: "verdict" }, words),
    el("span", { class: "tally" }, likely),
  );
}

/** Why an image stays, could go or is for a person to decide: the edits, and the server's reason. */
export function why(one) {
  const differs = one.differing?.length;
  const edits = (one.edits ?? []).map(({ kind, evidence }) =>
    el("li", {}, el("strong", {}, EDITS[kind] ?? sentence(kind)), ` ${evidence}`),
  );
  if (differs) edits.push(el("li", {}, el("strong", {}, "Differs"), ` in ${count(differs, "place")}`));
  return el(
    "div",
    { class: "why" },
    edits.length ? el("ul", { class: "edits" }, edits) : null,
    one.reason ? el("p", {}, sentence(one.reason)) : null,
  );
}

/** What is known of one of two images that are compared.
 *
 * @param {object | null} group that has it, as far as that has come
 * @param {object} fallback the image without its group
 * @param {string} caption
 * @param {string} [differs] what the comparison found
 */
export function sideFacts(group, fallback, caption, differs) {
  const one = group?.images.find(({ id }) => id === fallback.id) ?? fallback;
  const rows = group?.rows.filter((row) => row.image === one.id) ?? [];
  const row = rows.find(({ path }) => path === one.path);
  const more = rows.length > 1 ? ` and ${count(rows.length - 1, "more file")}` : "";
  const original = { href: imageOf(one.id), target: "_blank", rel: "noopener" };
  return el(
    "section",
    { class: "review-side", "aria-label": caption },
    el(
      "p",
      { class: "file" },
      row ? actionPill(row.action) : null,
      el("strong", {}, nameOf(one.path)),
      el("a", { class: "original", ...original }, "Original"),
    ),
    el("p", { class: "where", title: one.path }, `${folderOf(amongRoots(one.path))}${more}`),
    el("p", { class: "tally" }, sizeOf(one)),
    one.verdict ? verdictLine(one) : null,
    why({ ...one, differing: null }),
    differs ? el("p", { class: "differs" }, differs) : null,
  );
}

function keepButton(one, decider) {
  return one.chosen
    ? button("Undo keep", { class: "soft small", draw: "undo" }, () =>
        decider.decide("keep", [one.id], true),
      )
    : button("Keep this one", { class: "soft small", draw: "check" }, () =>
        decider.decide("keep", [one.id]),
      );
}

function fileOf({ path, action, reason }, several) {
  return el(
    "li",
    { title: several ? `${path}: ${reason}` : path },
    el(
      "span",
      { class: "file" },
      el("strong", {}, nameOf(path)),
      several ? actionPill(action) : null,
    ),
    el("span", { class: "where" }, folderOf(amongRoots(path))),
  );
}

function copyButton(words, rows) {
  return button(words, { class: "soft small", draw: "copy" }, async () => {
    try {
      await navigator.clipboard.writeText(rows.map(({ path }) => path).join("\n"));
      notice(`${count(rows.length, "path")} copied.`);
    } catch {
      notice("The browser does not let this page use the clipboard.", { error: true });
    }
  });
}
