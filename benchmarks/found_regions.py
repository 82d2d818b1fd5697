"""Does the verification of regions in their files say found where the thing is not there?

    python benchmarks/found_regions.py [--quick]

The gallery holds Grocery's test photos of every other class, and the scenes of every other label.
Queries show things of the others: their product images, every fourth of their photos, and their
scenes. Each is searched for twice with a search's defaults, with regions and without, and should
be found by neither; what is found all the same is listed, since labels are not always right (other
sorts of one brand, one castle under three labels).
"""

from __future__ import annotations

import csv
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from glocal.gallery import Gallery
from measure import arguments, print_table, write_results
from verification_sets import COURT, DATA, grocery


def by_label(paths: list[tuple[Path, str]]) -> tuple[list[Path], list[Path]]:
    """Paths of every other label, and those of the others."""
    inside = set(sorted({label for _, label in paths})[::2])
    return (
        [path for path, label in paths if label in inside],
        [path for path, label in paths if label not in inside],
    )


def product_images() -> list[tuple[Path, str]]:
    """The image of each product, with the number of its class."""
    folder = DATA / "grocery" / "dataset"
    lines = (folder / "classes.csv").read_text(encoding="utf-8").splitlines()[1:]
    rows = [line.split(",") for line in lines if line.strip()]
    return [(folder / row[4].strip().lstrip("/"), row[1].strip()) for row in rows]


def scene_labels() -> list[tuple[Path, str]]:
    """The scenes; a castle's court, which three labels show, has one."""
    with (DATA / "scenes" / "labels.csv").open(encoding="utf-8") as file:
        rows = [(row["path"], row["instance"]) for row in csv.DictReader(file)]
    return [(DATA / "scenes" / path, "court" if one in COURT else one) for path, one in rows]


def main() -> None:
    options = arguments(__doc__ or "").parse_args()
    every = 40 if options.quick else 4
    shop, other_shop = by_label(grocery("test"))
    scenes, other_scenes = by_label(scene_labels())
    _, products = by_label(product_images())
    sets = {
        "shop photos": other_shop[::every],
        "product images": products[:: max(1, every // 8)],
        "scenes": other_scenes[:: max(1, every // 8)],
    }
    figures: dict[str, dict[str, Any]] = {}
    rows = []
    with TemporaryDirectory() as temporary, Gallery(Path(temporary) / "gallery") as gallery:
        gallery.add(*shop[:: every if options.quick else 1], *scenes)
        for name, queries in sets.items():
            found: dict[str, list[list[str]]] = {}
            spent = {}
            for kind, regions in (("without", False), ("with regions", True)):
                began = time.process_time()
                found[kind] = wrong(queries, partial(first, gallery, regions=regions))
                spent[kind] = 1000 * (time.process_time() - began) / len(queries)
            figures[name] = {"queries": len(queries), "found": found, "processor_ms": spent}
            counts = (len(each) for each in found.values())
            rows.append((name, len(queries), *counts, *spent.values()))
    print_table(
        "Absent things that were found, and milliseconds of the processor a search",
        ["", "queries", "without regions", "with", "ms without", "ms with"],
        rows,
    )
    for name, figure in figures.items():
        for kind, pairs in figure["found"].items():
            for query, hit in pairs:
                print(f"{name}, {kind}: {query} found {hit}")
    write_results("found_regions", figures, quick=options.quick)


def first(gallery: Gallery, query: Path, *, regions: bool) -> Path | None:
    """The best hit, if the search says that it shows the same."""
    result = gallery.search(query, limit=1, regions=regions)
    return result.hits[0].path if result.found else None


def wrong(queries: list[Path], search: Callable[[Path], Path | None]) -> list[list[str]]:
    """The queries that found something, each with the name of what it found."""
    pairs = [(query, search(query)) for query in queries]
    return [[query.name, hit.name] for query, hit in pairs if hit is not None]


if __name__ == "__main__":
    main()
