// Names on the map: some 7,000 towns, which come with the page, so that nothing is asked outside.

const RADIUS = 6371;
const FAR = 80; // kilometres from which on a town says little about where a place is

let towns = null;

/** The towns, the largest first: `{name, latitude, longitude}` in degrees. */
export function loadTowns() {
  towns ??= fetch(new URL("towns.json", import.meta.url))
    .then((answer) => answer.json())
    .then((found) =>
      found.towns.map(([name, latitude, longitude]) => ({
        name,
        latitude: latitude / 100,
        longitude: longitude / 100,
      })),
    )
    .catch((error) => {
      towns = null;
      throw error;
    });
  return towns;
}

const radians = (degrees) => (degrees * Math.PI) / 180;

/** How far two places lie apart, in kilometres; near enough for places on one map. */
export function kilometres(a, b) {
  let across = Math.abs(b.longitude - a.longitude);
  if (across > 180) across = 360 - across;
  const x = radians(across) * Math.cos(radians((a.latitude + b.latitude) / 2));
  return RADIUS * Math.hypot(x, radians(b.latitude - a.latitude));
}

const WINDS = ["north", "north-east", "east", "south-east", "south", "south-west", "west", "north-west"];

/** "Paris", "12 km north-east of Paris", or null where no town is near.
 *
 * @param {{name: string, latitude: number, longitude: number}[]} among the largest first
 * @param {{latitude: number, longitude: number}} place
 */
export function nearestName(among, place) {
  let best = null;
  for (const town of among) {
    if (Math.abs(town.latitude - place.latitude) > 1) continue; // farther than `FAR`
    const away = kilometres(town, place);
    // Of two towns nearly as far the larger one is better known.
    if (away <= FAR && (!best || away < 0.7 * best.away)) best = { town, away };
  }
  if (!best) return null;
  const { town, away } = best;
  if (away < 5) return town.name;
  const east = (place.longitude - town.longitude) * Math.cos(radians(place.latitude));
  const angle = Math.atan2(east, place.latitude - town.latitude) / (2 * Math.PI);
  return `${Math.round(away)} km ${WINDS[Math.round(8 * angle + 8) % 8]} of ${town.name}`;
}

/** Which names to write on a drawing, so that none covers another.
 *
 * @param {{name: string, x: number, y: number}[]} points in pixels, the most important first
 * @param {(name: string) => number} measure the width of a name, in pixels
 * @param {{height: number, most: number}} limits of a line, in pixels, and of the number of names
 */
export function choose(points, measure, { height, most }) {
  const written = [];
  for (const point of points) {
    if (written.length >= most) break;
    const half = measure(point.name) / 2 + 14;
    const free = written.every(
      (one) => Math.abs(one.x - point.x) > one.half + half || Math.abs(one.y - point.y) > 2 * height,
    );
    if (free) written.push({ ...point, half });
  }
  return written;
}
