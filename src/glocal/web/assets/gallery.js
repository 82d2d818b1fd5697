// What the whole page knows of the gallery, fetched once and again after it changed.

import { request, isUpload } from "./api.js";
import { nameOf } from "./words.js";

let facts = null;
let roots = [];
let counted = null;

/** What the gallery holds and the server allows. */
export function info() {
  facts ??= request("info").then(
    (found) => {
      roots = found.roots;
      return found;
    },
    (error) => {
      facts = null;
      throw error;
    },
  );
  return facts;
}

/** A path from the indexed folder on, once `info` has come; what lies above is of little interest. */
export function amongRoots(path) {
  const root = roots.find((one) => path.startsWith(`${one}/`) || path.startsWith(`${one}\\`));
  return root ? path.slice(root.length - nameOf(root).length) : path;
}

/** Folders, months, cameras and positions, with how many images each has. */
export function facets() {
  counted ??= request("facets").catch((error) => {
    counted = null;
    throw error;
  });
  return counted;
}

/** Request everything again: the gallery has changed. */
export function changed() {
  facts = counted = null;
}

const images = new Map();

/** What is known of an image, requested once. */
export async function image(id) {
  if (isUpload(id)) return { id, path: "Your image" };
  if (!images.has(id)) remember(await request(`images/${encodeURIComponent(id)}`));
  return images.get(id);
}

/** Keep what another response contained about an image. */
export function remember(one) {
  if (images.size > 20000) images.clear();
  images.set(one.id, one);
  return one;
}
