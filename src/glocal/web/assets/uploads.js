// Images from outside: dropped, pasted, chosen or taken. The server keeps each for a while under
// an id of its own, and from then on it is an image like any other.

import { ask } from "./api.js";
import { announce, button, el, notice, openDialog } from "./elements.js";
import { remember } from "./gallery.js";
import { afresh, conditionOf, go, readState } from "./state.js";

export const PAGE = 60;

const firsts = new Map();

/** The first page of hits that came with an upload, so that nothing is asked twice. */
export function firstPage(id, condition) {
  const kept = firsts.get(id);
  firsts.delete(id);
  return kept?.condition === condition ? kept.answer : null;
}

async function upload(file, limit, condition) {
  const form = new FormData();
  form.append("image", file, file.name || "image");
  form.append("limit", String(limit));
  if (condition) form.append("where", condition);
  const answer = await ask("search", { method: "POST", form });
  answer.hits.forEach(remember);
  return answer;
}

/** Search with image files, or add them to the search.
 *
 * @param {Iterable<File>} files
 * @param {"query" | "like" | "not"} role of the first; any more are added as further examples
 */
export async function use(files, role = "query") {
  const wanted = [...files].filter((file) => !file.type || file.type.startsWith("image/"));
  if (!wanted.length) {
    notice("That is no image.", { error: true });
    return;
  }
  try {
    for (const file of wanted) {
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
    const condition = conditionOf(readState());
    const answer = await upload(file, PAGE, condition);
    firsts.set(answer.query, { condition, answer });
    go({ ...afresh, like: [answer.query] });
    return;
  }
  const answer = await upload(file, 1, "");
  addExample(answer.query, role);
}

/** Search with an image that the server knows, or add it to the search. */
export function useId(id, role = "query") {
  if (role === "query" || !readState().like.length) go({ ...afresh, like: [id] });
  else addExample(id, role);
}

function addExample(id, role) {
  const state = readState();
  const [list, rest] = role === "like" ? ["like", "not"] : ["not", "like"];
  if (rest === "like" && state.like[0] === id) {
    notice("That is the image that is looked for; it cannot stand against itself.");
    return;
  }
  go({
    [list]: [...state[list].filter((one) => one !== id), id],
    [rest]: state[rest].filter((one) => one !== id),
    show: null,
  });
  announce(role === "like" ? "Added to what is looked for" : "Added to what is not looked for");
}

/** Let a person choose files. */
export function choose(role = "query") {
  const input = el("input", { type: "file", accept: "image/*,.heic,.heif,.avif", multiple: true });
  input.addEventListener("change", () => use(input.files, role));
  input.click();
}

/** Let a person take an image with the camera. */
export async function takeImage(role = "query") {
  if (!navigator.mediaDevices?.getUserMedia) {
    notice("The browser gives no camera to this page; over a network it does so only with https.", {
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
      error.name === "NotAllowedError" ? "The camera was not allowed." : "No camera was found.",
      { error: true },
    );
    return;
  }
  const video = el("video", {
    autoplay: true,
    playsinline: true,
    "aria-label": "What the camera sees",
  });
  video.muted = true;
  video.srcObject = stream;
  const take = button("Take the image", { draw: "camera", class: "primary" }, async () => {
    const canvas = el("canvas", { width: video.videoWidth, height: video.videoHeight });
    canvas.getContext("2d").drawImage(video, 0, 0);
    const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.92));
    dialog.close();
    if (blob) use([new File([blob], "camera.jpg", { type: "image/jpeg" })], role);
  });
  const dialog = openDialog("Take an image", el("div", { class: "taking" }, video, take), {
    name: "camera",
    closed: () => stream.getTracks().forEach((track) => track.stop()),
  });
  take.focus();
}

/** Take what is dropped anywhere on the page, and what is pasted. */
export function acceptDropsAndPastes() {
  const zone = (role, title, words) =>
    el("div", { class: "zone", "data-role": role }, el("strong", {}, title), el("span", {}, words));
  const zones = [
    zone("query", "Find this", "a new search"),
    zone("like", "Also like this", "one more example"),
    zone("not", "Not like this", "what to leave out"),
  ];
  const veil = el("div", { class: "veil", hidden: true, "aria-hidden": "true" }, zones);
  document.body.append(veil);
  let depth = 0;
  const carries = (event) =>
    [...(event.dataTransfer?.types ?? [])].some(
      (type) => type === "Files" || type === "application/x-glocal",
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
    if (id) useId(id, role);
    else use(event.dataTransfer.files, role);
  });
  addEventListener("paste", (event) => {
    const files = event.clipboardData?.files;
    if (!files?.length) return;
    event.preventDefault();
    use(files, "query");
  });
}
