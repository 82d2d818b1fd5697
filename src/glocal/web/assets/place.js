// Where a photo was probably taken: asked for under the query image, told with its spread.

import { request } from "./api.js";
import { button, el } from "./elements.js";
import { info } from "./gallery.js";
import { loadTowns, nearestName } from "./towns.js";
import { count, placeOf } from "./words.js";

const SURE = { likely: "Likely", possible: "Possibly", weak: "A weak guess" };
const SILENCE = {
  no_positions: "No photo of the gallery says where it was taken.",
  nothing_similar: "No photo that says where it was taken is similar enough.",
  no_agreement: "The similar photos were taken at no one place more often than others.",
};
const SHOWN = 3;

/** The button, where the server says where photos were taken, and what it found. */
export function placeTool(id) {
  const said = el("div", { class: "places", "aria-live": "polite" });
  const ask = button("Where is it?", { class: "soft small", draw: "map" }, async () => {
    ask.disabled = true;
    try {
      const found = await request("locate", { method: "POST", json: { query: id, limit: SHOWN } });
      const towns = await loadTowns().catch(() => []);
      said.replaceChildren(...lines(found, towns));
    } catch (error) {
      said.replaceChildren(el("p", {}, error.message));
    } finally {
      ask.disabled = false;
    }
  });
  ask.hidden = true;
  info()
    .then(({ features }) => (ask.hidden = !features.positions))
    .catch(() => {}); // which the page says elsewhere
  return el("div", { class: "place" }, ask, said);
}

function lines({ position, places, world, silence }, towns) {
  const shown = [];
  if (position) {
    const [latitude, longitude] = position;
    shown.push(el("p", {}, "The photo itself says: ", link({ latitude, longitude, radius_km: 1 }, towns)));
  }
  if (silence) shown.push(el("p", {}, SILENCE[silence] ?? "Nothing can be said."));
  const items = places.map((one) =>
    el("li", {}, `${SURE[one.confidence] ?? one.confidence}: `, link(one, towns), `, ${behind(one)}`),
  );
  for (const one of world ?? []) {
    const share = `${Math.round(100 * one.share)}% of its belief`;
    items.push(el("li", {}, "The world model guesses: ", link(one, towns), `, ${share}`));
  }
  if (items.length) shown.push(el("ul", {}, items));
  return shown;
}

/** A place with its spread, as a link to the map. */
function link(place, towns) {
  const { latitude, longitude, radius_km: km } = place;
  const position = placeOf(latitude, longitude, km < 10 ? 3 : km < 100 ? 1 : 0);
  const name = km <= 100 ? nearestName(towns, place) : null;
  const words = `within ${km} km of ${name ?? position}`;
  const near = `${latitude.toFixed(5)},${longitude.toFixed(5)},${km}`;
  return el("a", { href: `?view=map&near=${near}`, title: position }, words);
}

function behind({ matches, hits }) {
  const others = hits.length - matches;
  const parts = [];
  if (matches) parts.push(`${count(matches, "photo")} of the same thing`);
  if (others) parts.push(`${others} similar`);
  return parts.join(" and ");
}
