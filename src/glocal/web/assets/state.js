// The state of the page, kept in its address: every view is a link that can be shared.

const LISTS = ["like", "unlike"];
const TEXTS = [
  "text",
  "change",
  "relation",
  "sketch",
  "view",
  "level",
  "prefer",
  "folder",
  "from",
  "to",
  "camera",
  "near",
  "where",
  "name",
  "sort",
  "score",
  "small",
  "at",
  "show",
  "beside",
];
const DIALOG = ["show", "beside"];
const FILTERS = ["folder", "from", "to", "camera", "near", "where", "name"];

/** The state that an address describes; what is missing is null, or an empty list. */
export function readState(search = location.search) {
  const query = new URLSearchParams(search);
  const region = readRegion(query.get("region"));
  const state = { region, second: region && readRegion(query.get("second")) };
  for (const name of LISTS) state[name] = query.getAll(name);
  for (const name of TEXTS) state[name] = query.get(name) || null;
  return state;
}

function readRegion(text) {
  const numbers = (text ?? "").split(",").map(Number);
  return numbers.length === 4 &&
    numbers.every((n) => n >= 0 && n <= 1) &&
    numbers[2] > 0 &&
    numbers[3] > 0
    ? numbers
    : null;
}

/** The address of the present state with some changes. */
export function linkTo(changes, state = readState()) {
  const next = { ...state, ...changes };
  const parts = [];
  const put = (name, value) =>
    parts.push(`${name}=${encodeURIComponent(value).replace(/%2C/g, ",").replace(/%2F/g, "/")}`);
  for (const name of LISTS) for (const id of next[name]) put(name, id);
  if (next.region) put("region", next.region.map((n) => n.toFixed(3)).join(","));
  if (next.region && next.second) put("second", next.second.map((n) => n.toFixed(3)).join(","));
  for (const name of TEXTS) if (next[name]) put(name, next[name]);
  return parts.length ? `./?${parts.join("&")}` : "./";
}

/** Everything but the filters cleared: a new search or another view. */
export const afresh = {
  like: [],
  unlike: [],
  text: null,
  change: null,
  region: null,
  second: null,
  relation: null,
  sketch: null,
  view: null,
  level: null,
  prefer: null,
  name: null,
  sort: null,
  score: null,
  small: null,
  at: null,
  show: null,
  beside: null,
};

/** No filter. */
export const unfiltered = Object.fromEntries(FILTERS.map((name) => [name, null]));

/** Identifies the view without its dialog: states with the same key differ only in the dialog. */
export function viewKey(state) {
  return linkTo(Object.fromEntries(DIALOG.map((name) => [name, null])), state);
}

/** Which view it is: "search" as soon as there is a query image, the first of `like`, or words. */
export const viewOf = (state) =>
  state.like.length || state.text ? "search" : (state.view ?? "timeline");

let follow = () => {};

/** Call `listener(state)` whenever the address changes. */
export function onState(listener) {
  follow = listener;
  addEventListener("popstate", () => listener(readState(), { back: true }));
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[href]");
    if (
      !link ||
      event.defaultPrevented ||
      event.button ||
      link.target ||
      link.hasAttribute("download")
    )
      return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const url = new URL(link.href);
    if (url.origin !== location.origin || url.pathname !== location.pathname || url.hash) return;
    event.preventDefault();
    visit(link.href);
  });
}

/** Change the state; `replace` leaves no step for the browser's way back. */
export function go(changes, { replace = false } = {}) {
  visit(linkTo(changes), replace);
}

function visit(address, replace = false) {
  if (new URL(address, location.href).href === location.href) return;
  history[replace ? "replaceState" : "pushState"](null, "", address);
  follow(readState(), { back: false });
}

/** A value in quotes, as the language of conditions wants it. */
const quoted = (text) => (text.includes('"') ? `'${text}'` : `"${text}"`);

/** All filters as one condition in glocal's language, or "". */
export function conditionOf(state, more = "") {
  const parts = [];
  if (state.folder) parts.push(`folder = ${quoted(state.folder)}`);
  if (state.from) parts.push(`taken >= ${state.from}`);
  if (state.to) parts.push(`taken <= ${state.to}`);
  if (state.camera) parts.push(`camera = ${quoted(state.camera)}`);
  const near = readNear(state.near);
  if (near) parts.push(`near ${near.latitude},${near.longitude} within ${near.km} km`);
  if (more) parts.push(more);
  if (!parts.length) return state.where ?? "";
  if (state.where) parts.push(`(${state.where})`);
  return parts.join(" and ");
}

/** "48.858,2.294,5" as latitude, longitude and kilometres, or null. */
export function readNear(text) {
  const [latitude, longitude, km] = (text ?? "").split(",").map(Number);
  return Number.isFinite(latitude) && Number.isFinite(longitude) && km > 0
    ? { latitude, longitude, km }
    : null;
}
