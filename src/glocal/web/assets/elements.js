// Making elements, and saying things: the only way the page builds its DOM (never from HTML text,
// so that no file name can become markup).

const MOST_NOTICES = 3;
const SVG = "http://www.w3.org/2000/svg";

/** An element: `class`, `style` (an object) and `on…` handlers are set as such, `undefined`, `null`
 * and `false` are left out, everything else becomes an attribute. */
export function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "style") Object.assign(node.style, value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(
    ...children.flat().filter((child) => child !== null && child !== undefined && child !== false),
  );
  return node;
}

/** An element of SVG with the attributes given. */
export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
  node.append(...children);
  return node;
}

const PATHS = {
  search: "M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13ZM15.5 15.5 20 20",
  upload: "M12 16V5m0 0L7.5 9.5M12 5l4.5 4.5M5 15v3a2 2 0 0 0 2 2h10a2 2 0 0 0 2-2v-3",
  camera:
    "M4 8.5A1.5 1.5 0 0 1 5.5 7H8l1.5-2h5L16 7h2.5A1.5 1.5 0 0 1 20 8.5v9a1.5 1.5 0 0 1-1.5 1.5h-13A1.5 1.5 0 0 1 4 17.5ZM12 9.5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7Z",
  pencil: "M4 20l1-4.5L16.5 4 20 7.5 8.5 19ZM14 6.5 17.5 10",
  timeline: "M4 5h7v6H4ZM14 5h6v6h-6ZM4 14h5v5H4ZM12 14h8v5h-8Z",
  folder: "M4 7a2 2 0 0 1 2-2h3.5l2 2.5H18a2 2 0 0 1 2 2V17a2 2 0 0 1-2 2H6a2 2 0 0 1-2-2Z",
  map: "M12 21s-6.5-5.8-6.5-10.5a6.5 6.5 0 0 1 13 0C18.5 15.2 12 21 12 21ZM12 8.2a2.3 2.3 0 1 0 0 4.6 2.3 2.3 0 0 0 0-4.6Z",
  duplicates: "M9 9h11v11H9ZM5 15H4V4h11v1",
  index: "M20 11a8 8 0 0 0-14.3-4L4 9m0-5v5h5M4 13a8 8 0 0 0 14.3 4L20 15m0 5v-5h-5",
  calendar: "M5 6h14v14H5ZM5 10h14M9 3.5V7m6-3.5V7",
  lens: "M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16ZM12 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6Z",
  funnel: "M4 6h16M7 12h10M10 18h4",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8ZM12 2.5v2m0 15v2M2.5 12h2m15 0h2M5.3 5.3l1.4 1.4m10.6 10.6 1.4 1.4M5.3 18.7l1.4-1.4M17.3 6.7l1.4-1.4",
  moon: "M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5Z",
  auto: "M12 4a8 8 0 1 0 0 16ZM12 4a8 8 0 0 1 0 16",
  help: "M9 9.2a3 3 0 1 1 4.3 2.7c-.8.4-1.3 1-1.3 1.9v.4M12 17.5v.1",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  close: "M6 6l12 12M18 6 6 18",
  left: "M14.5 5.5 8 12l6.5 6.5",
  right: "M9.5 5.5 16 12l-6.5 6.5",
  down: "M6 9.5l6 6 6-6",
  check: "M5 12.5l4.5 4.5L19 7.5",
  box: "M4 8V4h4M16 4h4v4M20 16v4h-4M8 20H4v-4",
  lines: "M4 7.5h0M20 4.5h0M4 7.5 20 4.5M4 13 20 12M4 18.5l16 1",
  heat: "M12 3c.5 3.5 5 5.5 5 10.5A5 5 0 0 1 7 14c0-2 1-3 2-4 .3 1.5 1 2 1.5 2C10.5 9 10.5 6 12 3Z",
  open: "M13 5h6v6M19 5l-8 8M10 6H5v13h13v-5",
  link: "M10 14a4 4 0 0 0 5.7 0l3-3A4 4 0 0 0 13 5.3l-1 1M14 10a4 4 0 0 0-5.7 0l-3 3A4 4 0 0 0 11 18.7l1-1",
  copy: "M9 9h10v11H9ZM6 15H5V4h10v2",
  download: "M12 4v11m0 0 4.5-4.5M12 15l-4.5-4.5M5 19h14",
  undo: "M8 5 4 9l4 4M4 9h10a5 5 0 0 1 0 10h-3",
  apart: "M9.5 12H3m0 0 3-3m-3 3 3 3M14.5 12H21m0 0-3-3m3 3-3 3M12 4v16",
  leave: "M10 5H5v14h5M14 8l4 4-4 4M18 12H9",
  whole: "M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5",
};

/** A line drawing that takes the colour of the text around it; words beside it name it. */
export function icon(name, size = 20) {
  const drawing = svg("svg", {
    viewBox: "0 0 24 24",
    width: size,
    height: size,
    class: "icon",
    "aria-hidden": "true",
  });
  drawing.append(svg("path", { d: PATHS[name] }));
  return drawing;
}

/** A button with a drawing and words; `quiet` keeps the words for screen readers and the tooltip. */
export function button(words, { draw, quiet = false, ...properties } = {}, onclick) {
  const label = quiet ? { "aria-label": words, title: properties.title ?? words } : {};
  return el(
    "button",
    { type: "button", onclick, ...properties, ...label },
    draw ? icon(draw) : null,
    quiet ? null : el("span", {}, words),
  );
}

/** Say something to people who listen to the page. */
export function announce(words) {
  const dialogs = document.querySelectorAll("dialog[open] [role=status]");
  const where = dialogs[dialogs.length - 1] ?? document.getElementById("status");
  // The same words twice in a row are said again only when the text changes.
  where.textContent = where.textContent === words ? `${words} ` : words;
}

/** Show a sentence for a while, an error until it is closed. */
export function notice(words, { error = false } = {}) {
  const there = [...document.querySelectorAll(".notice")];
  // What is said already is said anew; of many only the last ones are read.
  const same = there.filter((one) => one.querySelector("p").textContent === words);
  const left = there.filter((one) => !same.includes(one));
  for (const one of [...same, ...left.slice(0, Math.max(0, left.length - MOST_NOTICES + 1))])
    one.remove();
  const box = el("div", { class: error ? "notice error" : "notice" }, el("p", {}, words));
  box.append(
    button("Close this message", { draw: "close", quiet: true, class: "plain" }, () =>
      box.remove(),
    ),
  );
  // Above everything else: inside the open dialog, behind which the page is out of reach.
  const dialogs = document.querySelectorAll("dialog[open]");
  const open = dialogs[dialogs.length - 1];
  if (open) {
    const holder = open.querySelector(".notices") ?? el("div", { class: "notices", role: "alert" });
    open.append(holder);
    holder.append(box);
  } else document.getElementById("notices").append(box);
  if (!error) setTimeout(() => box.remove(), 5000);
}

/** Copy text; returns whether the browser lets the page do so, which over plain HTTP it may not. */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // The older way works there too; the field has to be where the focus can go.
    const field = el("textarea", { class: "unseen", "aria-hidden": "true" }, text);
    const before = document.activeElement;
    (document.querySelector("dialog[open]") ?? document.body).append(field);
    field.select();
    const copied = document.execCommand("copy");
    field.remove();
    before?.focus?.();
    return copied;
  }
}

/** Open a dialog: the browser keeps the focus inside, Escape closes it, and the focus returns. */
export function openDialog(title, content, { name = "", closed = () => {} } = {}) {
  const heading = el("h2", { id: `title-${name || "dialog"}` }, title);
  const dialog = el(
    "dialog",
    { class: `dialog ${name}`, "aria-labelledby": heading.id },
    el(
      "div",
      { class: "dialog-head" },
      heading,
      button("Close", { draw: "close", quiet: true, class: "plain" }, () => dialog.close()),
    ),
    content,
    el("p", { class: "unseen", role: "status" }),
  );
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  dialog.addEventListener("close", () => {
    dialog.remove();
    closed();
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}
