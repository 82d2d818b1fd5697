"""The style of a contact sheet: light and dark, from phones to large screens, and on paper.

All text has a contrast of at least 4.5 to 1 with its background.
"""

STYLE = """\
:root {
  --ground: #faf9f7; --tile: #eeece8; --line: #e0ddd7; --ink: #1c1d1f; --quiet: #5c5f66;
  --bar: #4a6f9c; --track: #dfdcd6; --right: #17734a; --wrong: #a83232; --pill: #ffffffeb;
  --edge: #0000001a;
  color-scheme: light;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --ground: #131416; --tile: #1e2023; --line: #2a2d31; --ink: #eceae6; --quiet: #a3a7ae;
    --bar: #86aedd; --track: #2d3035; --right: #63cf98; --wrong: #f2928b; --pill: #131416e6;
    --edge: #ffffff1a;
    color-scheme: dark;
  }
}
* { box-sizing: border-box; margin: 0; }
body {
  max-width: 110rem; margin-inline: auto; padding: clamp(1rem, 3vw, 3rem);
  background: var(--ground); color: var(--ink);
  font: 0.9375rem/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
  -webkit-text-size-adjust: 100%;
}
header { padding-bottom: clamp(1rem, 2.5vw, 2rem); }
h1 { font-size: clamp(1.4rem, 1rem + 1.6vw, 2.1rem); font-weight: 650; line-height: 1.2;
  letter-spacing: -0.015em; overflow-wrap: anywhere; text-wrap: balance; }
header p { max-width: 46rem; padding-top: 0.5rem; color: var(--quiet); overflow-wrap: anywhere; }
nav { padding-bottom: 1.25rem; line-height: 2; }
nav a { padding: 0.25rem 0.5rem; color: var(--bar); }
section {
  display: grid; grid-template-columns: minmax(10rem, 15rem) 1fr; gap: clamp(1.25rem, 3vw, 2.75rem);
  align-items: start; padding-block: clamp(1.25rem, 2.5vw, 2.25rem);
  border-top: 1px solid var(--line);
}
:root { --least: clamp(8rem, 9vw, 12rem); }
.hits {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(var(--least), 1fr));
  gap: 1.5rem 1rem; padding: 0; list-style: none;
}
.query, .hits li { min-width: 0; }
.tile {
  position: relative; display: grid; place-items: center; overflow: hidden;
  aspect-ratio: 1; border-radius: 10px; background: var(--tile);
}
.tile img { width: 100%; height: 100%; object-fit: contain; overflow: hidden;
  font-size: 0.8125rem; color: var(--quiet); }
.gone { padding: 1rem; color: var(--quiet); font-size: 0.8125rem; text-align: center; }
.query .tile { aspect-ratio: auto; width: fit-content; min-width: 9rem; max-width: 100%;
  min-height: 7rem; }
.query img { width: auto; max-width: 100%; height: auto; max-height: 22rem; }
h2 { padding-top: 0.7rem; font-size: 1.0625rem; font-weight: 600; line-height: 1.3; }
h3 { padding-bottom: 0.7rem; font-size: 0.9375rem; font-weight: 600; }
/* Matches and similar images stand side by side where both fit, with tiles of one size. */
.groups { display: flex; flex-wrap: wrap; gap: 1.75rem 1rem; }
.groups h3 { font-size: 0.875rem; white-space: nowrap; }
.groups > div { flex: var(--hits) 1 calc(var(--hits) * (var(--least) + 1rem) - 1rem);
  max-width: min(100%, var(--hits) * 14rem); }
.rank, .mark {
  position: absolute; top: 0.45rem; min-width: 1.55rem; height: 1.55rem; padding-inline: 0.4rem;
  border-radius: 0.8rem; background: var(--pill); color: var(--ink);
  font-size: 0.8125rem; font-weight: 600; line-height: 1.55rem; text-align: center;
  font-variant-numeric: tabular-nums;
}
.rank { left: 0.45rem; }
.mark { right: 0.45rem; display: grid; place-items: center; }
.mark svg { width: 0.85rem; height: 0.85rem; fill: none; stroke: currentColor; stroke-width: 2.4;
  stroke-linecap: round; stroke-linejoin: round; }
.right .mark { color: var(--right); }
.wrong .mark { color: var(--wrong); }
.tile::after {  /* a white image on a white page still has an edge */
  content: ""; position: absolute; inset: 0; border: 1px solid var(--edge);
  border-radius: inherit; pointer-events: none;
}
.right .tile::after { border: 2.5px solid var(--right); }
.score {
  display: flex; align-items: center; gap: 0.6rem; padding-top: 0.55rem;
  font-size: 0.8125rem; font-variant-numeric: tabular-nums;
}
.bar { flex: 1; height: 4px; overflow: hidden; border-radius: 2px; background: var(--track); }
.bar span { display: block; height: 100%; border-radius: 2px; background: var(--bar); }
.right .bar span { background: var(--right); }
.name { padding-top: 0.15rem; line-height: 1.35; }
.name, h2, .note, .folder {
  display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 2; overflow: hidden;
  overflow-wrap: anywhere;
}
.note { -webkit-line-clamp: 4; padding-top: 0.15rem; color: var(--quiet); font-size: 0.8125rem; }
.folder { -webkit-line-clamp: 3; color: var(--quiet); font-size: 0.75rem; line-height: 1.35; }
@media (hover: hover) {
  /* Over the foot of the tile, which is as tall as the hit is wide. */
  .hits li { position: relative; container-type: inline-size; }
  .folder {
    position: absolute; top: 100cqi; translate: 0 -100%; width: 100%;
    padding: 0.4rem 0.6rem; border-radius: 0 0 10px 10px;
    background: var(--pill); color: var(--ink); opacity: 0; transition: opacity 0.15s;
  }
  .hits li:hover .folder { opacity: 1; }
}
.why { padding-top: 0.3rem; font-size: 0.8125rem; }
.why summary { width: max-content; color: var(--quiet); cursor: pointer; }
.why img { width: 100%; margin-top: 0.5rem; border-radius: 10px; background: #fff; }
.hits li:has(.why[open]) { grid-column: 1 / -1; }
.hits li:has(.why[open]) .tile, .hits li:has(.why[open]) .score { max-width: 12rem; }
.hits li:has(.why[open]) .folder { position: static; translate: none; opacity: 1; }
.none { color: var(--quiet); }
.aside {
  position: absolute; width: 1px; height: 1px; overflow: hidden;
  clip-path: inset(50%); white-space: nowrap;
}
@media (max-width: 42rem) {
  section { grid-template-columns: 1fr; }
  .query img { max-height: 15rem; }
  :root { --least: 8.5rem; }
  .hits { gap: 1.25rem 0.9rem; }
}
@media (prefers-reduced-motion: reduce) { .folder { transition: none; } }
@media print {
  @page { margin: 12mm; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  :root { --ground: #fff; }
  body { max-width: none; padding: 0; font-size: 9pt; }
  section { grid-template-columns: 38mm 1fr; gap: 6mm; padding-block: 5mm; break-inside: avoid; }
  :root { --least: 22mm; }
  .hits { gap: 3mm; }
  .hits li { break-inside: avoid; }
  .query img { max-height: 42mm; }
  .folder { display: none; }
}
"""
