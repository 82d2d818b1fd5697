// Requests to the server; its errors come as sentences.

/** An error whose message is fit to show. */
export class Problem extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

let unlock = null;
let waiting = 0;
let busyTimer = 0;

/** Have `enter` called when the server needs a token; its promise ends when there is one. */
export function onLocked(enter) {
  unlock = enter;
}

/** Send a request to the server.
 *
 * @param {string} path below `v1/`
 * @param {{params?: object, method?: string, json?: object, form?: FormData, signal?: AbortSignal}} how
 * @returns the JSON of the answer, or null where there is none
 * @throws {Problem} with the server's own sentence
 */
export async function request(path, { params = {}, method = "GET", json, form, signal } = {}) {
  const headers = { Accept: "application/json, application/problem+json" };
  if (method !== "GET") headers["X-Glocal"] = "1";
  if (json) headers["Content-Type"] = "application/json";
  busy(1);
  try {
    const body = json ? JSON.stringify(json) : form;
    const answer = await fetch(address(path, params), {
      method,
      headers,
      body,
      signal,
      credentials: "same-origin",
    });
    if (answer.status === 401 && unlock && path !== "login") {
      await unlock();
      return await request(path, { params, method, json, form, signal });
    }
    if (!answer.ok) throw await problemOf(answer);
    return answer.status === 204 ? null : await answer.json();
  } catch (error) {
    if (error instanceof Problem || error.name === "AbortError") throw error;
    throw new Problem(
      "Can't reach the server. Check that it is running and that you are online.",
      0,
    );
  } finally {
    busy(-1);
  }
}

async function problemOf(answer) {
  let problem = {};
  try {
    problem = await answer.json();
  } catch {
    // No JSON: a proxy answered, or the connection broke.
  }
  const fallback = `The server responded with status ${answer.status}.`;
  const words = problem.detail || problem.title || fallback;
  return new Problem(sentence(String(words)), answer.status);
}

function sentence(words) {
  const whole = words[0].toUpperCase() + words.slice(1);
  return /[.!?]$/.test(whole) ? whole : `${whole}.`;
}

/** The address of something below `v1/`. */
export function address(path, params = {}) {
  const url = new URL(`v1/${path}`, document.baseURI);
  for (const [name, value] of Object.entries(params)) {
    for (const one of [value].flat())
      if (one !== undefined && one !== null && one !== "") url.searchParams.append(name, one);
  }
  return url.href;
}

const SIZES = [160, 320, 640, 1280];

/** The address of a thumbnail that is at least `pixels` of the page wide and high, and hardly more. */
export function thumbnailOf(id, pixels) {
  const needed = pixels * Math.min(devicePixelRatio || 1, 2) * 0.95;
  const size = SIZES.find((one) => one >= needed) ?? SIZES.at(-1);
  // The server keeps uploads elsewhere, and only for a while.
  const where = isUpload(id) ? "uploads" : "images";
  return address(`${where}/${encodeURIComponent(id)}/thumbnail`, { size });
}

/** Whether an id names an image that was sent with a search. */
export const isUpload = (id) => id.startsWith("u-");

/** The address of the image itself. */
export const imageOf = (id) => address(`images/${encodeURIComponent(id)}/file`);

/** Whether an error only says that the request was cancelled. */
export const isAborted = (error) => error.name === "AbortError";

function busy(change) {
  waiting += change;
  clearTimeout(busyTimer);
  // Shown only when it takes long enough to be noticed.
  busyTimer = setTimeout(
    () => {
      document.getElementById("busy").hidden = waiting === 0;
    },
    waiting ? 180 : 0,
  );
}
