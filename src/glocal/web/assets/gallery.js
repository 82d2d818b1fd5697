// What the whole page knows of the gallery, fetched once and again after it changed.

import { ask, isUpload } from "./api.js";

let facts = null;
let counted = null;

/** What the server says of itself and its gallery. */
export function info() {
  facts ??= ask("info").catch((error) => {
    facts = null;
    throw error;
  });
  return facts;
}

/** Folders, months, cameras and positions, with how many pictures each has. */
export function facets() {
  counted ??= ask("facets").catch((error) => {
    counted = null;
    throw error;
  });
  return counted;
}

/** Ask again next time: the gallery has changed. */
export function changed() {
  facts = counted = null;
}

const pictures = new Map();

/** What is known of a picture, asked once. */
export async function picture(id) {
  if (isUpload(id)) return { id, path: "Your picture" };
  if (!pictures.has(id)) remember(await ask(`pictures/${encodeURIComponent(id)}`));
  return pictures.get(id);
}

/** Keep what another answer told of a picture. */
export function remember(one) {
  if (pictures.size > 20000) pictures.clear();
  pictures.set(one.id, one);
  return one;
}
