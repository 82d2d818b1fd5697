// Images from outside: dropped, pasted, chosen or taken. The server keeps each for a while under
// an id, by which the page refers to it from then on.

import { request } from "./api.js";
import { announce, button, el, notice, openDialog } from "./elements.js";
import { info, remember } from "./gallery.js";
import { afresh, conditionOf, go, readState } from "./state.js";

export const PAGE = 60;

const firsts = new Map();

/** The first page of hits that came with an upload, so that it is not requested twice. */
export function firstPage(id, condition) {
  const kept = firsts.get(id);
  firsts.delete(id);
  return kept?.condition === condition ? kept.answer : null;
}

async function upload({ image, url }, limit, condition) {
  const form = new FormData();
  if (url) form.append("url", url);
  else form.append("image", image, image.name || "image");
  form.append("limit", String(limit));
  if (condition) form.append("where", condition);
  const answer = await request("search", { method: "POST", form });
  answer.hits.forEach(remember);
  return answer;
}

/** Search with image files, or add them to the search.
 *
 * @param {Iterable<File>} files
 * @param {"query" | "like" | "unlike"} role of the first; the others become positive examples
 */
export async function use(files, role = "query") {
  const images = [...files].filter((file) => !file.type || file.type.startsWith("image/"));
  if (!images.length) {
    notice("This file isn't an image.", { error: true });
    return;
  }
  try {
    for (const file of images) {
      await useOne(file, role);
      if (role === "query") role = "like";
    }
  } catch (error) {
    notice(error.message, { error: true });
  }
}

async function useOne(file, role) {
  if (role === "query") {
    announce("Searching");
    await searchBy({ image: file });
    return;
  }
  const answer = await upload({ image: file }, 1, "");
  addExample(answer.query, role);
}

/** What a new search clears: the folder that is looked at is a place, and no filter. */
const fresh = () => (readState().view === "folders" ? { ...afresh, folder: null } : afresh);

/** Search with an image or the address of one. */
async function searchBy(query) {
  const cleared = fresh();
  const condition = conditionOf({ ...readState(), ...cleared });
  const answer = await upload(query, PAGE, condition);
  firsts.set(answer.query, { condition, answer });
  go({ ...cleared, like: [answer.query] });
}

/** Search with the address of an image, where the server fetches addresses; returns whether it did. */
export async function useAddress(url) {
  try {
    if (!(await info()).features.urls) {
      notice(
        "This server does not fetch addresses. Drop, paste or choose the image itself instead.",
        { error: true },
      );
      return false;
    }
    announce("Searching");
    await searchBy({ url });
    return true;
  } catch (error) {
    notice(error.message, { error: true });
    return false;
  }
}

/** Whether a text is an address, and nothing else. */
export const isAddress = (text) => /^https?:\/\/\S+$/i.test(text);

/** The address in what was dropped or pasted, if that is one. */
function addressIn(data) {
  const text = data?.getData("text/uri-list") || data?.getData("text/plain") || "";
  const line = (text.split(/\r?\n/).find((one) => one && !one.startsWith("#")) ?? "").trim();
  return isAddress(line) ? line : null;
}

/** Search with an image that the server knows, or add it to the search. */
export function useId(id, role = "query") {
  if (role === "query" || !readState().like.length) go({ ...fresh(), like: [id] });
  else addExample(id, role);
}

function addExample(id, role) {
  const state = readState();
  const [list, rest] = role === "like" ? ["like", "unlike"] : ["unlike", "like"];
  if (rest === "like" && state.like[0] === id) {
    notice("This image is the query; it can't be a negative example too.");
    return;
  }
  go({
    [list]: [...state[list].filter((one) => one !== id), id],
    [rest]: state[rest].filter((one) => one !== id),
    show: null,
  });
  announce(role === "like" ? "Searching for more like this" : "Searching for less like this");
}

/** Let a person choose files. */
export function choose(role = "query") {
  const input = el("input", { type: "file", accept: "image/*,.heic,.heif,.avif", multiple: true });
  input.addEventListener("change", () => use(input.files, role));
  input.click();
}

/** Let a person take a photo with the camera. */
export async function takeImage(role = "query") {
  if (!navigator.mediaDevices?.getUserMedia) {
    notice("This page can't use the camera. Over a network, browsers allow it only with HTTPS.", {
      error: true,
    });
    return;
  }
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({
      video: { facingMode: "environment", width: { ideal: 1920 } },
    });
  } catch (error) {
    notice(
      error.name === "NotAllowedError" ? "Camera access was denied." : "No camera was found.",
      { error: true },
    );
    return;
  }
  const video = el("video", {
    autoplay: true,
    playsinline: true,
    "aria-label": "Camera preview",
  });
  video.muted = true;
  video.srcObject = stream;
  const take = button("Take photo", { draw: "camera", class: "primary" }, async () => {
    const canvas = el("canvas", { width: video.videoWidth, height: video.videoHeight });
    canvas.getContext("2d").drawImage(video, 0, 0);
    const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.92));
    dialog.close();
    if (blob) use([new File([blob], "camera.jpg", { type: "image/jpeg" })], role);
  });
  const dialog = openDialog("Take a photo", el("div", { class: "taking" }, video, take), {
    name: "camera",
    closed: () => stream.getTracks().forEach((track) => track.stop()),
  });
  take.focus();
}

/** Take what is dropped anywhere on the page, and what is pasted.
 *
 * @param {() => ((files: File[]) => void) | null} adder what takes files to be added, where that is
 *   what the view shown is for
 */
export function acceptDropsAndPastes(adder) {
  const zone = (role, title, words) =>
    el("div", { class: "zone", "data-role": role }, el("strong", {}, title), el("span", {}, words));
  const zones = [
    zone("query", "Search with this", "start a new search"),
    zone("like", "More like this", "add a positive example"),
    zone("unlike", "Less like this", "add a negative example"),
  ];
  const [search, words] = zones[0].children;
  const veil = el("div", { class: "veil", hidden: true, "aria-hidden": "true" }, zones);
  document.body.append(veil);
  let depth = 0;
  const carries = (event) =>
    [...(event.dataTransfer?.types ?? [])].some(
      (type) => ["Files", "application/x-glocal", "text/uri-list"].includes(type),
    );
  const end = () => {
    depth = 0;
    veil.hidden = true;
  };
  addEventListener("dragenter", (event) => {
    if (!carries(event) || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    depth++;
    veil.classList.toggle("several", readState().like.length > 0);
    search.textContent = adder() ? "Add to the gallery" : "Search with this";
    words.textContent = adder() ? "the server keeps a copy" : "start a new search";
    veil.hidden = false;
  });
  addEventListener("dragover", (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    for (const one of zones) one.classList.toggle("over", one.contains(event.target));
  });
  addEventListener("dragleave", () => {
    if (--depth <= 0) end();
  });
  addEventListener("dragend", end);
  addEventListener("drop", (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    const role = event.target.closest?.(".zone")?.dataset.role ?? "query";
    end();
    const id = event.dataTransfer.getData("application/x-glocal");
    const url = addressIn(event.dataTransfer);
    const { files } = event.dataTransfer;
    if (id) useId(id, role);
    else if (files.length && adder()) adder()([...files]);
    else if (!files.length && url) useAddress(url);
    else use(files, role);
  });
  addEventListener("paste", (event) => {
    if (event.target.closest?.("input, textarea, [contenteditable]")) return;
    const files = event.clipboardData?.files;
    const url = addressIn(event.clipboardData);
    if (!files?.length && !url) return;
    event.preventDefault();
    if (files.length) use(files, "query");
    else useAddress(url);
  });
}
