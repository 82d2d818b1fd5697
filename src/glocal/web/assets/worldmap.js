// A map of the world drawn from coastlines alone: no tiles, nothing from outside. Equirectangular,
// so that a degree is the same length everywhere when all of the world is in sight; close by, degrees
// of longitude shrink with the cosine of the latitude, so that shapes are true.

import { thumbnailOf } from "./api.js";
import { button, el, icon } from "./elements.js";
import { choose, loadTowns, nearestName } from "./towns.js";
import { count, number, placeOf } from "./words.js";

const CELL = 76;
const CLOSEST = 60_000; // pixels in a degree: two metres in a pixel
const COARSE = 1_500; // from here on the coastlines are too coarse to tell land from sea
const LINE = 15;

let coast = null;

/** The coastlines: rings of longitudes and latitudes in degrees. */
function land() {
  coast ??= fetch(new URL("land.json", import.meta.url))
    .then((answer) => answer.json())
    .then(({ rings }) =>
      rings.map((steps) => {
        const points = [];
        for (let at = 0, x = 0, y = 0; at < steps.length; at += 2)
          points.push([(x += steps[at]) / 10, (y += steps[at + 1]) / 10]);
        return points;
      }),
    );
  return coast;
}

/** Points that lie within one cell of the drawing, put together.
 *
 * @param {{x: number, y: number}[]} points in pixels
 * @param {number} cell pixels
 * @returns {{x: number, y: number, members: object[]}[]} at the middle of their members
 */
export function cluster(points, cell) {
  const cells = new Map();
  for (const point of points) {
    const key = `${Math.floor(point.x / cell)},${Math.floor(point.y / cell)}`;
    if (!cells.has(key)) cells.set(key, []);
    cells.get(key).push(point);
  }
  const groups = [...cells.values()].map((members) => ({
    x: members.reduce((sum, one) => sum + one.x, 0) / members.length,
    y: members.reduce((sum, one) => sum + one.y, 0) / members.length,
    members,
  }));
  // Neighbours across the edge of a cell would overlap: the larger takes the smaller.
  groups.sort((a, b) => b.members.length - a.members.length);
  const kept = [];
  for (const group of groups) {
    const near = kept.find((one) => Math.hypot(one.x - group.x, one.y - group.y) < cell * 0.7);
    if (near) near.members.push(...group.members);
    else kept.push(group);
  }
  return kept;
}

/** The map.
 *
 * @param {object} options
 * @param {{id: string, latitude: number, longitude: number, images: number}[]} options.places of images
 * @param {(place: {latitude, longitude}) => void} [options.pick] a point was chosen
 * @param {(members: object[], center: {latitude, longitude}) => void} [options.open] a cluster that
 *   zooming would not take apart, or any with thumbnails, was chosen
 */
export class WorldMap {
  constructor({ places, pick, open }) {
    this.places = places;
    this.pick = pick;
    this.open = open;
    this.center = [0, 20];
    this.scale = null;
    this.canvas = el("canvas", { "aria-hidden": "true" });
    this.pins = el("div", { class: "pins" });
    this.bar = el("span", { class: "map-scale" });
    this.where = el("p", { class: "map-where" });
    this.towns = [];
    this.element = el(
      "div",
      {
        class: "worldmap",
        tabindex: "0",
        role: "group",
        "aria-label": "Map of the world. Arrow keys move it, plus and minus zoom.",
      },
      this.canvas,
      this.pins,
      el(
        "div",
        { class: "map-tools" },
        button("Zoom in", { draw: "plus", quiet: true }, () => this.zoom(2)),
        button("Zoom out", { draw: "minus", quiet: true }, () => this.zoom(0.5)),
      ),
      this.bar,
      this.where,
      el("span", { class: "map-credit" }, "Natural Earth, GeoNames"),
    );
    this.sizes = new ResizeObserver(() => this.resized());
    this.sizes.observe(this.element);
    this.canvas.addEventListener("wheel", (event) => this.wheeled(event), { passive: false });
    this.canvas.addEventListener("pointerdown", (event) => this.grabbed(event));
    this.canvas.addEventListener("dblclick", (event) =>
      this.zoom(2, [event.offsetX, event.offsetY]),
    );
    this.element.addEventListener("keydown", (event) => this.pressed(event));
    this.fingers = new Map();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    land()
      .then((rings) => {
        this.rings = rings;
        this.draw();
      })
      .catch(() => {});
    loadTowns()
      .then((towns) => {
        this.towns = towns;
        this.draw();
      })
      .catch(() => {});
  }

  resized() {
    const { clientWidth: width, clientHeight: height } = this.element;
    if (!width || !height) return;
    const sharp = Math.min(2, devicePixelRatio || 1);
    this.canvas.width = width * sharp;
    this.canvas.height = height * sharp;
    this.width = width;
    this.height = height;
    this.sharp = sharp;
    if (!this.scale) this.fit();
    this.draw();
  }

  least() {
    return Math.max(this.width / 360, this.height / 180);
  }

  /** Show all positions, or the world when there are none. */
  fit() {
    this.scale = this.least();
    if (!this.places.length) return;
    const longitudes = this.places.map((one) => one.longitude);
    const latitudes = this.places.map((one) => one.latitude);
    const [west, east, south, north] = [
      Math.min(...longitudes),
      Math.max(...longitudes),
      Math.min(...latitudes),
      Math.max(...latitudes),
    ];
    this.center = [(west + east) / 2, (south + north) / 2];
    this.scale = Math.min(
      this.width / ((east - west) * 1.5 + 0.02),
      this.height / ((north - south) * 1.7 + 0.02),
    );
    this.bound();
  }

  /** Bring a place to the middle. */
  show({ latitude, longitude }) {
    this.center = [longitude, latitude];
    this.bound();
    this.draw();
  }

  bound() {
    this.scale = Math.min(CLOSEST, Math.max(this.least(), this.scale));
    const [half, tall] = [
      this.width / 2 / this.scale / this.squeeze(),
      this.height / 2 / this.scale,
    ];
    const within = (value, most) =>
      Math.max(-Math.max(0, most), Math.min(Math.max(0, most), value));
    this.center = [within(this.center[0], 180 - half), within(this.center[1], 90 - tall)];
  }

  /** How much shorter a degree of longitude is drawn than one of latitude. */
  squeeze() {
    const closeness = Math.min(1, Math.log2(this.scale / this.least()) / 3);
    return 1 + (Math.cos((this.center[1] * Math.PI) / 180) - 1) * closeness;
  }

  toPixels(longitude, latitude) {
    const wide = this.scale * this.squeeze();
    return [
      this.width / 2 + (longitude - this.center[0]) * wide,
      this.height / 2 - (latitude - this.center[1]) * this.scale,
    ];
  }

  toDegrees(x, y) {
    const wide = this.scale * this.squeeze();
    return [
      this.center[0] + (x - this.width / 2) / wide,
      this.center[1] - (y - this.height / 2) / this.scale,
    ];
  }

  zoom(factor, at = [this.width / 2, this.height / 2]) {
    const [longitude, latitude] = this.toDegrees(...at);
    this.scale = Math.min(CLOSEST, Math.max(this.least(), this.scale * factor));
    const [x, y] = this.toPixels(longitude, latitude);
    this.center = this.toDegrees(this.width / 2 + x - at[0], this.height / 2 + y - at[1]);
    this.bound();
    this.draw();
  }

  draw() {
    if (!this.width) return;
    const context = this.canvas.getContext("2d");
    const colours = getComputedStyle(this.element);
    context.setTransform(this.sharp, 0, 0, this.sharp, 0, 0);
    context.clearRect(0, 0, this.width, this.height);
    context.fillStyle = colours.getPropertyValue("--map-land");
    const near = this.scale > COARSE;
    if (near) context.fillRect(0, 0, this.width, this.height);
    this.drawLines(context, colours);
    context.fillStyle = colours.getPropertyValue("--map-land");
    context.strokeStyle = colours.getPropertyValue("--map-coast");
    context.lineWidth = 0.75;
    for (const ring of (!near && this.rings) || []) {
      context.beginPath();
      for (const [longitude, latitude] of ring)
        context.lineTo(...this.toPixels(longitude, latitude));
      context.closePath();
      context.fill();
      context.stroke();
    }
    this.drawNames(context, colours.getPropertyValue("--map-name"));
    this.drawPins();
    this.drawScale();
  }

  /** Towns, the largest first, and in words where the middle is. */
  drawNames(context, colour) {
    context.font = `12px ${getComputedStyle(document.body).fontFamily}`;
    context.textAlign = "center";
    context.fillStyle = colour;
    const seen = [];
    for (const town of this.towns) {
      const [x, y] = this.toPixels(town.longitude, town.latitude);
      if (x > 0 && y > 0 && x < this.width && y < this.height) seen.push({ name: town.name, x, y });
    }
    const limits = { height: LINE, most: Math.ceil((this.width * this.height) / 16_000) };
    for (const { name, x, y } of choose(seen, (one) => context.measureText(one).width, limits)) {
      context.beginPath();
      context.arc(x, y, 2, 0, 2 * Math.PI);
      context.fill();
      context.fillText(name, x, y - 6);
    }
    const [longitude, latitude] = this.center;
    const near = this.scale > 100 ? nearestName(this.towns, { latitude, longitude }) : null;
    this.where.textContent = near ?? "";
  }

  drawLines(context, colours) {
    const target = 110 / this.scale;
    const step =
      [30, 15, 10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001].findLast(
        (one) => one >= target,
      ) ?? 30;
    const [west, north] = this.toDegrees(0, 0);
    const [east, south] = this.toDegrees(this.width, this.height);
    const line = this.scale > COARSE ? "--map-coast" : "--map-line";
    context.strokeStyle = colours.getPropertyValue(line);
    context.lineWidth = 1;
    context.beginPath();
    for (let at = Math.ceil(west / step) * step; at <= east; at += step) {
      const [x] = this.toPixels(at, 0);
      context.moveTo(x, 0);
      context.lineTo(x, this.height);
    }
    for (let at = Math.ceil(south / step) * step; at <= north; at += step) {
      const [, y] = this.toPixels(0, at);
      context.moveTo(0, y);
      context.lineTo(this.width, y);
    }
    context.stroke();
    if (this.scale <= COARSE) return;
    // Close by, where there may be neither coast nor town, the lines say where one is.
    const digits = Math.max(0, Math.ceil(-Math.log10(step)));
    context.fillStyle = colours.getPropertyValue("--map-name");
    context.font = "11px system-ui, sans-serif";
    context.textAlign = "left";
    for (let at = Math.ceil(west / step) * step; at <= east; at += step)
      context.fillText(degreesOf(at, "E", "W", digits), this.toPixels(at, 0)[0] + 4, 14);
    for (let at = Math.ceil(south / step) * step; at <= north; at += step)
      context.fillText(degreesOf(at, "N", "S", digits), 6, this.toPixels(0, at)[1] - 4);
  }

  drawScale() {
    const perPixel =
      ((111.195 / this.scale) * Math.cos((this.center[1] * Math.PI) / 180)) / this.squeeze();
    const nice =
      [5000, 2000, 1000, 500, 200, 100, 50, 20, 10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05].find(
        (km) => km / perPixel <= 120,
      ) ?? 0.05;
    this.bar.style.width = `${nice / perPixel}px`;
    this.bar.textContent = nice < 1 ? `${nice * 1000} m` : `${nice} km`;
  }

  drawPins() {
    const points = [];
    for (const one of this.places) {
      const [x, y] = this.toPixels(one.longitude, one.latitude);
      if (x > -CELL && y > -CELL && x < this.width + CELL && y < this.height + CELL)
        points.push({ ...one, x, y });
    }
    const held = this.pins.contains(document.activeElement)
      ? document.activeElement.dataset.first
      : null;
    this.pins.replaceChildren(...cluster(points, CELL).map((group) => this.pin(group)));
    if (held)
      (this.pins.querySelector(`[data-first="${CSS.escape(held)}"]`) ?? this.element).focus();
  }

  pin({ x, y, members }) {
    const center = { latitude: mean(members, "latitude"), longitude: mean(members, "longitude") };
    const images = members.reduce((sum, one) => sum + one.images, 0);
    const place = nearestName(this.towns, center) ?? placeOf(center.latitude, center.longitude, 2);
    const words = `${count(images, "image")}: ${place}`;
    const style = { left: `${x}px`, top: `${y}px` };
    if (this.pick) return el("span", { class: "dot", style, title: words });
    return el(
      "button",
      {
        type: "button",
        class: "pin",
        style,
        "aria-label": words,
        title: words,
        "data-first": members[0].id,
        onclick: () => this.open(members, center),
      },
      el("img", { src: thumbnailOf(members[0].id, 80), alt: "", loading: "lazy" }),
      images > 1 ? el("span", { class: "badge" }, number(images)) : null,
    );
  }

  wheeled(event) {
    event.preventDefault();
    this.zoom(Math.exp(-event.deltaY * 0.0016), [event.offsetX, event.offsetY]);
  }

  grabbed(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.fingers.set(event.pointerId, [event.offsetX, event.offsetY]);
    let moved = 0;
    const dragged = (next) => {
      const before = this.fingers.get(next.pointerId);
      const now = [next.offsetX, next.offsetY];
      if (next.pointerId !== event.pointerId) return;
      const second = [...this.fingers].find(([id]) => id !== next.pointerId)?.[1];
      moved += Math.hypot(now[0] - before[0], now[1] - before[1]);
      this.fingers.set(next.pointerId, now);
      if (second) {
        const apart = (point) => Math.hypot(point[0] - second[0], point[1] - second[1]) || 1;
        this.zoom(apart(now) / apart(before), [(now[0] + second[0]) / 2, (now[1] + second[1]) / 2]);
        return;
      }
      this.center = this.toDegrees(
        this.width / 2 + before[0] - now[0],
        this.height / 2 + before[1] - now[1],
      );
      this.bound();
      this.draw();
    };
    const done = (last) => {
      if (last.pointerId !== event.pointerId) return;
      this.fingers.delete(event.pointerId);
      for (const [name, listener] of [
        ["pointermove", dragged],
        ["pointerup", done],
        ["pointercancel", done],
      ])
        this.canvas.removeEventListener(name, listener);
      if (moved < 4 && last.type === "pointerup" && this.pick)
        this.picked([last.offsetX, last.offsetY]);
    };
    for (const [name, listener] of [
      ["pointermove", dragged],
      ["pointerup", done],
      ["pointercancel", done],
    ])
      this.canvas.addEventListener(name, listener);
  }

  picked(at) {
    const [longitude, latitude] = this.toDegrees(...at);
    this.target?.remove();
    this.target = el(
      "span",
      { class: "picked", style: { left: `${at[0]}px`, top: `${at[1]}px` } },
      icon("map", 26),
    );
    this.pins.append(this.target);
    this.pick({ latitude, longitude });
  }

  pressed(event) {
    if (event.target !== this.element && !event.target.classList.contains("pin")) return;
    const step = 60;
    const [dx, dy] = {
      ArrowLeft: [-step, 0],
      ArrowRight: [step, 0],
      ArrowUp: [0, -step],
      ArrowDown: [0, step],
    }[event.key] ?? [0, 0];
    if (dx || dy) {
      this.center = this.toDegrees(this.width / 2 + dx, this.height / 2 + dy);
      this.bound();
      this.draw();
    } else if (event.key === "+" || event.key === "=") this.zoom(1.6);
    else if (event.key === "-") this.zoom(1 / 1.6);
    else if (event.key === "Enter" && this.pick && event.target === this.element)
      this.picked([this.width / 2, this.height / 2]);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}

const degreesOf = (value, plus, minus, digits) =>
  `${Math.abs(value).toFixed(digits)}° ${value < 0 ? minus : plus}`;

/** Where the images of some places lie on average. */
function mean(members, name) {
  const images = members.reduce((sum, one) => sum + one.images, 0);
  return members.reduce((sum, one) => sum + one[name] * one.images, 0) / images;
}
