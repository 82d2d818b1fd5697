// Adding pictures: what the gallery holds, and an index run as it happens.

import { address, ask } from "./api.js";
import { announce, button, el, notice } from "./elements.js";
import { changed, info } from "./gallery.js";
import { smallPicture } from "./browse.js";
import { count, nameOf, number, timeOf } from "./words.js";

const ENDED = {
  finished: "Done",
  failed: "It failed",
  cancelled: "Stopped; what was added stays",
  interrupted: "Interrupted; the next run goes on",
};

export class IndexView {
  constructor() {
    this.facts = el("dl", { class: "facts" });
    this.folders = el("ul", { class: "allowed", "aria-label": "Folders" });
    this.runs = el("div", { class: "runs" });
    this.element = el(
      "div",
      { class: "browse narrow" },
      el(
        "div",
        { class: "found-head" },
        el("div", {}, el("h1", { class: "view-title" }, "Add pictures")),
      ),
      this.facts,
      this.runs,
      this.folders,
    );
    this.start();
  }

  async start() {
    await this.drawFacts();
    try {
      const { runs } = await ask("index-runs");
      const going = runs.find((run) => run.state === "running" || run.state === "queued");
      if (going) this.follow(going);
    } catch (error) {
      notice(error.message, { error: true });
    }
  }

  async drawFacts() {
    try {
      const told = await info();
      const fact = (words, value) => el("div", {}, el("dt", {}, words), el("dd", {}, value));
      const model = told.model?.name ?? told.model ?? "";
      this.facts.replaceChildren(
        fact("Pictures", number(told.pictures)),
        told.files ? fact("Files", number(told.files)) : "",
        fact("Model", String(model)),
      );
      const allowed = told.index_folders ?? [];
      this.folders.replaceChildren(...allowed.map((folder) => this.allowed(folder)));
      if (!allowed.length) {
        this.folders.append(
          el(
            "li",
            { class: "hint" },
            "The owner of this server allowed no folder to be indexed from here. At a terminal it is: glocal index FOLDER",
          ),
        );
      }
    } catch (error) {
      this.facts.replaceChildren(el("div", {}, error.message));
    }
  }

  allowed(folder) {
    const start = button(
      "Index now",
      { class: "primary small", "data-folder": folder },
      async () => {
        try {
          this.follow(await ask("index-runs", { method: "POST", json: { folder } }));
        } catch (error) {
          notice(error.message, { error: true });
        }
      },
    );
    start.setAttribute("aria-label", `Index ${folder} now`);
    return el(
      "li",
      {},
      el("div", {}, el("strong", {}, nameOf(folder)), el("span", { class: "where" }, folder)),
      start,
    );
  }

  /** Show a run as it goes on. */
  follow(run) {
    this.events?.close();
    this.run = run;
    this.title = el("h2", {}, `Indexing ${nameOf(run.folder)}`);
    this.bar = el("progress", { "aria-label": `Indexing ${run.folder}` });
    this.line = el("p", { class: "count" }, "Looking for pictures…");
    this.latest = el("div", { class: "latest" });
    this.failures = el("ul", { class: "failures" });
    this.stop = button("Stop", { class: "soft small" }, () =>
      ask(`index-runs/${run.id}`, { method: "DELETE" }).catch((error) =>
        notice(error.message, { error: true }),
      ),
    );
    this.runs.replaceChildren(
      el(
        "article",
        { class: "run" },
        el("header", {}, this.title, this.stop),
        this.bar,
        this.line,
        this.latest,
        this.failures,
      ),
    );
    this.said = 0;
    this.events = new EventSource(address(`index-runs/${run.id}/events`));
    const told = (event) => this.progressed(JSON.parse(event.data));
    for (const name of ["message", "progress", "finished", "failed", "cancelled"])
      this.events.addEventListener(name, told);
    this.events.addEventListener("error", () => {
      // The browser itself connects again; only a refusal is final.
      if (this.events.readyState === EventSource.CLOSED && !this.over)
        this.line.textContent = "The server no longer tells of this run.";
    });
    this.over = false;
  }

  progressed(run) {
    if (run.total) {
      this.bar.max = run.total;
      this.bar.value = run.done;
    }
    const parts = [
      run.total
        ? `${number(run.done)} of ${count(run.total, "file")}`
        : count(run.done ?? 0, "file"),
      `${number(run.added ?? 0)} added`,
      run.updated ? `${number(run.updated)} updated` : "",
      run.removed ? `${number(run.removed)} forgotten` : "",
      run.failed ? `${number(run.failed)} skipped` : "",
      run.pictures_per_second ? `${Math.round(run.pictures_per_second)} pictures/s` : "",
      run.state === "running" && run.seconds_left ? `${timeOf(run.seconds_left)} left` : "",
    ];
    this.line.textContent = parts.filter(Boolean).join(" · ");
    this.show(run.latest ?? []);
    this.failures.replaceChildren(
      ...(run.failures ?? []).map(({ path, reason }) =>
        el("li", {}, el("strong", {}, nameOf(path)), ` ${reason}`),
      ),
    );
    // Now and then is enough for ears.
    if (Date.now() - this.said > 5000) {
      this.said = Date.now();
      announce(this.line.textContent);
    }
    if (run.state !== "running" && run.state !== "queued") this.ended(run);
  }

  show(ids) {
    const before = new Set([...this.latest.children].map((node) => node.dataset.id));
    for (const id of ids) {
      if (before.has(id)) continue;
      const node = smallPicture(id);
      node.dataset.id = id;
      this.latest.prepend(node);
    }
    while (this.latest.children.length > 24) this.latest.lastChild.remove();
  }

  ended(run) {
    this.over = true;
    this.events.close();
    this.stop.hidden = true;
    const words = ENDED[run.state] ?? run.state;
    this.title.textContent = `${nameOf(run.folder ?? this.run.folder)}: ${words.toLowerCase()}`;
    if (run.detail) this.line.textContent = run.detail;
    this.bar.max = 1;
    this.bar.value = 1;
    announce(`${this.title.textContent}. ${this.line.textContent}`);
    changed();
    dispatchEvent(new Event("gallery-changed"));
    this.drawFacts();
  }

  pause() {
    this.events?.close();
  }

  resume() {
    if (this.run && !this.over) this.follow(this.run);
  }
}
