// Adding images: what the gallery holds, and an index run as it happens.

import { address, request } from "./api.js";
import { announce, button, el, notice } from "./elements.js";
import { changed, info } from "./gallery.js";
import { count, nameOf, number, timeOf } from "./words.js";

const ENDED = {
  done: "done",
  failed: "failed",
  cancelled: "cancelled; images added so far are kept",
};
const STAGES = {
  scan: "Scanning folders",
  encode: "Reading images",
  graph: "Building the index",
};
const underWay = (run) => run.state === "waiting" || run.state === "running";

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
        { class: "view-head" },
        el("div", {}, el("h1", { class: "view-title" }, "Add images")),
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
      const { runs } = await request("index-runs");
      const going = runs.find(underWay);
      if (going) this.follow(going);
    } catch (error) {
      notice(error.message, { error: true });
    }
  }

  async drawFacts() {
    try {
      const known = await info();
      const fact = (words, value) => el("div", {}, el("dt", {}, words), el("dd", {}, value));
      const model = known.model.name;
      const upgrade = known.upgrade;
      this.facts.replaceChildren(
        fact("Images", number(known.images)),
        known.files ? fact("Files", number(known.files)) : "",
        fact("Model", model),
        upgrade
          ? fact("Upgrade", `${number(upgrade.encoded)} of ${number(upgrade.images)} images`)
          : "",
      );
      const allowed = known.features.index_runs ? known.allowed_folders : [];
      this.folders.replaceChildren(...allowed.map((folder) => this.allowed(folder)));
      this.uploads = known.features.uploads;
      this.limits = known.limits;
      if (this.uploads) this.folders.prepend(this.chooser());
      else if (!allowed.length) {
        this.folders.append(
          el(
            "li",
            { class: "hint" },
            known.features.removing
              ? "No folder can be indexed from this page. Run glocal index FOLDER, or start the server with --allow-folder."
              : "You can search this gallery here, but not change it: changes need the server's full token, and a server without --read-only.",
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
          this.follow(await request("index-runs", { method: "POST", json: { folder } }));
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

  /** The way to add images of one's own. */
  chooser() {
    const input = el("input", {
      type: "file",
      accept: "image/*,.heic,.heif,.avif",
      multiple: true,
      hidden: true,
      onchange: () => this.send([...input.files]).finally(() => (input.value = "")),
    });
    return el(
      "li",
      {},
      el(
        "div",
        {},
        el("strong", {}, "Images of your own"),
        el("span", { class: "where" }, "Choose them, or drop them here. The server keeps a copy."),
      ),
      input,
      button("Add images", { class: "primary small", draw: "plus" }, () => input.click()),
    );
  }

  /** Send images in as many requests as the server's limits make necessary.
   *
   * @param {File[]} files
   */
  async send(files) {
    const images = files.filter((file) => !file.type || file.type.startsWith("image/"));
    if (!images.length) {
      notice("This file isn't an image.", { error: true });
      return;
    }
    let run = null;
    for (let at = 0; at < images.length; at += this.limits.images) {
      const form = new FormData();
      for (const file of images.slice(at, at + this.limits.images))
        form.append("image", file, file.name || "image");
      try {
        ({ run } = await request("images", { method: "POST", form }));
      } catch (error) {
        notice(error.message, { error: true });
      }
    }
    if (run) this.follow(run);
  }

  /** Show a run as it goes on. */
  follow(run) {
    this.events?.close();
    this.run = run;
    this.title = el("h2", {}, `Indexing ${nameOf(run.folder)}`);
    this.bar = el("progress", { "aria-label": `Indexing ${run.folder}` });
    this.line = el("p", { class: "count" }, "Scanning folders…");
    this.failures = el("ul", { class: "failures" });
    this.stop = button("Stop", { class: "soft small" }, () =>
      request(`index-runs/${run.id}`, { method: "DELETE" }).catch((error) =>
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
        this.failures,
      ),
    );
    this.announced = 0;
    this.events = new EventSource(address(`index-runs/${run.id}/events`));
    this.events.addEventListener("run", (event) => this.progressed(JSON.parse(event.data)));
    this.events.addEventListener("error", () => {
      // The browser itself connects again; only a refusal is final.
      if (this.events.readyState === EventSource.CLOSED && !this.over)
        this.line.textContent = "Lost the connection to this run.";
    });
    this.over = false;
  }

  progressed(run) {
    const at = run.progress;
    if (at) this.showProgress(at);
    if (!at && run.state === "waiting") this.line.textContent = "Waiting for another run to finish";
    // Now and then is enough for screen readers.
    if (Date.now() - this.announced > 5000) {
      this.announced = Date.now();
      announce(this.line.textContent);
    }
    if (!underWay(run)) this.ended(run);
  }

  showProgress({ stage, done, total, unchanged, failed }) {
    if (total) {
      this.bar.max = total;
      this.bar.value = done;
    } else this.bar.removeAttribute("value");
    const now = performance.now() / 1000;
    if (this.began?.stage !== stage) this.began = { stage, now, done };
    const rate = (done - this.began.done) / Math.max(now - this.began.now, 0.001);
    const telling = stage === "encode" && now - this.began.now > 1 && rate > 0;
    const parts = [
      STAGES[stage] ?? stage,
      total ? `${number(done)} of ${number(total)}` : done ? number(done) : "",
      unchanged ? `${number(unchanged)} unchanged` : "",
      failed ? `${number(failed)} skipped` : "",
      telling ? `${Math.round(rate)} images/s` : "",
      telling && total ? `${timeOf((total - done) / rate)} left` : "",
    ];
    this.line.textContent = parts.filter(Boolean).join(" · ");
  }

  showReport({ added, updated, unchanged, removed, failed, left_out: left, seconds }) {
    const parts = [
      `${number(added)} added`,
      updated ? `${number(updated)} updated` : "",
      unchanged ? `${number(unchanged)} unchanged` : "",
      removed ? `${number(removed)} removed` : "",
      failed.length ? `${number(failed.length + left)} skipped` : "",
      timeOf(seconds),
    ];
    this.line.textContent = parts.filter(Boolean).join(" · ");
    const one = ({ path, reason }) =>
      el("li", {}, el("strong", { title: path }, nameOf(path)), ` ${reason}`);
    this.failures.replaceChildren(...failed.slice(0, 100).map(one));
  }

  ended(run) {
    this.over = true;
    this.events.close();
    this.stop.hidden = true;
    const words = ENDED[run.state] ?? run.state;
    this.title.textContent = `${nameOf(run.folder)}: ${words}`;
    if (run.report) this.showReport(run.report);
    if (run.error) this.line.textContent = run.error;
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
