"""Searches without regions beside searches with them, as users get them.

    python benchmarks/region_search.py --images PACKAGES --views VIEWS --work FOLDER
        [--split settings] [--regions coarse fine] [--every N] [--model NAME-OR-FILE]

The sets are those of `region_sets`. The gallery's images are files that `Gallery.add` indexes, once
for each choice of regions; every query is a file's bytes, searched with the defaults: graph,
re-ranking, regions and geometric verification. ``none`` is the first of these galleries searched
with ``regions=False``, which is how a gallery without them is searched. Figures are recall@1, in
the first 10, in the first 50 and mAP (of the first 100, which are asked for), in per cent, and
milliseconds of the processor a search, with decoding and encoding.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np

from glocal import Gallery
from glocal.encoders import DEFAULT_MODEL
from measure import arguments, print_table, print_targets, write_results
from region_data import region_arguments
from region_maps import sets_of
from region_scores import Quality
from region_sets import Queries, Sets
from verification_sets import Source

_LIMIT = 100
_LEAST_LOSS = 0.003
_TARGETS = (
    ("small, 30-40 % of the side, coarse, R@1", ">=", 0.50),
    ("small, 30-40 % of the side, fine, R@1", ">=", 0.85),
    ("crop to a half, coarse, R@1", ">=", 0.95),
    ("places, coarse, R@1", ">=", 0.97),
    ("least change of R@1, coarse", ">=", -_LEAST_LOSS),
    ("least change of R@1, fine", ">=", -_LEAST_LOSS),
)


def contents(source: Source) -> bytes:
    """The bytes of an image's file."""
    return source.read_bytes() if isinstance(source, Path) else source


def indexed(made: Sets, regions: str, files: Path, folder: Path, model: str) -> Gallery:
    """A gallery of the split's images, each in a file that is named by its number."""
    files.mkdir(parents=True, exist_ok=True)
    for number in made.gallery:
        file = files / f"{number:05}.jpg"  # the decoder looks at the bytes, not at the name
        if not file.exists():
            file.write_bytes(contents(made.images.sources[number]))
    gallery = Gallery(folder, regions=regions, model=model)
    gallery.add(files)
    return gallery


def found(gallery: Gallery, query: bytes, *, regions: bool) -> list[int]:
    """Numbers of the images that a search finds, best first."""
    result = gallery.search(query, limit=_LIMIT, regions=regions)
    return [int(hit.path.stem) for hit in result.hits]


def rated(made: Queries, rankings: Iterable[Sequence[int]]) -> Quality:
    """How well a set is ranked."""
    places, precisions = [], []
    for ranking, truth, junk in zip(rankings, made.truth, made.junk, strict=True):
        right = [number in truth for number in ranking if number not in junk]
        at = np.flatnonzero(right)
        places.append(at[0] if len(at) else _LIMIT)
        precisions.append(np.sum((1 + np.arange(len(at))) / (1 + at)) / len(truth))
    first = np.array(places)
    one, ten, fifty = (float(np.mean(first < n)) for n in (1, 10, 50))
    return Quality(one, ten, fifty, float(np.mean(precisions)))


def every_nth(made: Queries, step: int) -> Queries:
    """A part of a set's queries."""
    return Queries(made.name, made.queries[::step], made.truth[::step], made.junk[::step])


def main() -> None:
    parser = arguments(__doc__)
    region_arguments(parser)
    parser.add_argument("--split", choices=("settings", "kept"), default="kept")
    parser.add_argument("--regions", nargs="+", default=["coarse"])
    parser.add_argument("--model", default=DEFAULT_MODEL, help="nothing is written for another")
    parser.add_argument("--every", type=int, default=1, help="search every so manyth query")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    share = 8 if options.quick else 1
    made = sets_of(options.split, options.images, options.views, options.work, share)
    sets = [every_nth(one, options.every) for one in made.sets]
    name = f"{options.split}-{share}"
    ways: dict[str, list[Quality]] = {}
    spent: dict[str, float] = {}
    for choice in ["none", *options.regions]:
        regions = options.regions[0] if choice == "none" else choice
        known = "" if options.model == DEFAULT_MODEL else f"-{Path(options.model).stem}"
        folder = options.work / f"gallery-{name}-{regions}{known}"
        files = options.work / f"files-{name}"
        with indexed(made, regions, files, folder, options.model) as gallery:
            queries = [[contents(made.images.sources[n]) for n in one.queries] for one in sets]
            search = partial(found, gallery, regions=choice != "none")
            search(queries[0][0])  # loads the model and the graphs
            began = time.process_time()
            rankings = [[search(query) for query in some] for some in queries]
            passed = time.process_time() - began
        spent[choice] = 1000 * passed / sum(map(len, queries))
        ways[choice] = [rated(one, each) for one, each in zip(sets, rankings, strict=True)]
    measured: dict[str, float] = {}
    for choice, qualities in ways.items():
        for one, quality in zip(sets, qualities, strict=True):
            measured[f"{one.name}, {choice}, R@1"] = quality.first
        if choice != "none":
            pairs = zip(qualities, ways["none"], strict=True)
            measured[f"least change of R@1, {choice}"] = min(a.first - b.first for a, b in pairs)
    which = "every query" if options.every == 1 else f"one query of {options.every}"
    print_table(
        f"Recall@1 / in 10 / in 50 / mAP ({options.split}, {len(made.gallery)} images, {which})",
        ["set", "queries", *ways],
        [
            (one.name, len(one.queries), *(each[at].short() for each in ways.values()))
            for at, one in enumerate(sets)
        ]
        + [("processor ms a search", "", *spent.values())],
    )
    evaluated = print_targets(measured, _TARGETS)
    if options.model != DEFAULT_MODEL:
        return
    write_results(
        "region_search" if options.split == "kept" else "region_search_settings_split",
        {
            "images": len(made.gallery),
            "every": options.every,
            "queries": {one.name: len(one.queries) for one in sets},
            "ways": {
                choice: {one.name: asdict(each) for one, each in zip(sets, qualities, strict=True)}
                for choice, qualities in ways.items()
            },
            "processor ms a search": spent,
            "targets": evaluated,
        },
        quick=options.quick,
    )


if __name__ == "__main__":
    main()
