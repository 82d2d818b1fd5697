"""Measure what regions cost: indexing an image, bytes, building their graph, searching them.

    python benchmarks/region_cost.py [--photos FOLDER] [--images 2000,10000] [--quick]

All times are of the processor, so that other work on the machine hardly counts. Two parts:

- describing photos (decode, network, local features, small image) with no, coarse and fine regions,
  in turn for each photo;
- stores of so many images whose regions are mixtures of the photos' own with noise: bytes an image,
  the graph, of their signs and of their bytes, and a search as `glocal search` does it: candidates
  of a query at three sizes, then the comparison with all regions of 400 images.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from glocal.encoders import COARSE, FINE, load_encoder
from glocal.gallery.database import Database
from glocal.gallery.describing import Describer
from glocal.gallery.query import REGION_SCALES
from glocal.gallery.records import Attributes, RegionRecord
from glocal.gallery.region_search import CANDIDATES, REORDERED
from glocal.gallery.rows import SCHEMA, RowTable
from glocal.gallery.stores import graph_builder
from glocal.gallery.stores.graph import GraphKind
from glocal.gallery.stores.regions import RegionStore
from glocal.images import Limits
from measure import arguments, median, print_table, write_results

_CHOICES = {"none": None, "coarse": COARSE, "fine": FINE}
_BATCH = 1_000


def describing(photos: Sequence[Path]) -> tuple[list[dict[str, Any]], NDArray[np.float32]]:
    """Milliseconds of describing a photo with each choice, and the photos' coarse regions."""
    encoder = load_encoder()
    spent: dict[str, list[float]] = {name: [] for name in _CHOICES}
    regions = []
    for path in photos:
        data = path.read_bytes()
        for name, settings in _CHOICES.items():
            describer = Describer(encoder, None, Limits(), settings)
            began = time.process_time()
            described = describer.describe(data, path)
            spent[name].append(1000 * (time.process_time() - began))
            if name == COARSE.name:
                regions.append(described.features.regions)
    usual = float(np.mean(spent["none"]))
    rows = [
        {
            "regions": name,
            "photo, ms": float(np.mean(each)),
            "times none": float(np.mean(each)) / usual,
        }
        for name, each in spent.items()
    ]
    return rows, np.stack(regions)


def mixed(regions: NDArray[np.float32], count: int, rng: np.random.Generator) -> Any:
    """Regions of images that are like the given ones: mixtures of three, with noise."""
    three = [regions[rng.integers(0, len(regions), count)] for _ in range(3)]
    shares = rng.dirichlet((1, 1, 1), count).astype(np.float32).T
    made = sum(
        share[:, None, None] * part for share, part in zip(shares, three, strict=True)
    ) + rng.normal(scale=0.02, size=three[0].shape)
    return (made / np.linalg.norm(made, axis=2, keepdims=True)).astype(np.float32)


def searching(
    folder: Path, regions: NDArray[np.float32], images: int, kind: GraphKind
) -> dict[str, Any]:
    """Fill a store, build its graph, and search it."""
    rng = np.random.default_rng(0)
    boxes = np.tile(np.array([0, 0, 0.3, 0.3], np.float32), (COARSE.count, 1))
    dim = regions.shape[2]
    with closing(Database(folder / "catalog.sqlite", SCHEMA)) as database:
        rows = RowTable(database, "space/coarse")
        with closing(RegionStore(folder / "v", dim, COARSE.count, rows, kind)) as store:
            for start in range(0, images, _BATCH):
                count = min(_BATCH, images - start)
                made = mixed(regions, count, rng)
                ids = [UUID(int=start + n + 1) for n in range(count)]
                facts = Attributes((1,), 9, 9, 9)
                pairs = zip(ids, made, strict=True)
                store.upsert([RegionRecord(i, vectors, boxes, facts) for i, vectors in pairs])
            plain = store.bytes_on_disk() + (folder / "catalog.sqlite").stat().st_size
            began = time.process_time()
            graph_builder.extend(store, dim)
            built = time.process_time() - began
            queries = mixed(regions, 20, rng)[:, : 1 + len(REGION_SCALES)]
            candidates, compared, recalls = [], [], []
            everything = [UUID(int=n + 1) for n in rng.permutation(images)[:REORDERED].tolist()]
            store.search(queries[0], CANDIDATES)  # opens the graph
            for query in queries:
                began = time.process_time()
                found = store.search(query, CANDIDATES)
                candidates.append(1000 * (time.process_time() - began))
                began = time.process_time()
                store.compare(query, everything)
                compared.append(1000 * (time.process_time() - began))
            for query in queries[:5]:
                found, exact = (store.search(query, CANDIDATES, exact=e) for e in (False, True))
                recalls.append(len(set(exact) & set(found)) / len(exact))
            graph = store.bytes_on_disk() - images * store.row_bytes
            return {
                "images": images,
                "graph of": kind,
                "bytes an image": plain / images,
                "graph, bytes an image": graph / images,
                "graph, ms an image": 1000 * built / images,
                "candidates, ms": median(candidates),
                "comparing 400, ms": median(compared),
                "recall of candidates": float(np.mean(recalls)),
            }


def main() -> None:
    """Measure, print and write the results."""
    data = Path(__file__).resolve().parents[2] / "shared" / "data" / "grocery"
    parser = arguments(__doc__ or "")
    parser.add_argument("--photos", type=Path, default=data)
    parser.add_argument("--images", default="2000,10000")
    parser.add_argument("--describe", type=int, default=120)
    told = parser.parse_args()
    if told.quick:
        told.images, told.describe = "500", 10
    photos = sorted(told.photos.rglob("*.jpg"))
    chosen = photos[:: max(len(photos) // told.describe, 1)][: told.describe]
    cost, regions = describing(chosen)
    print_table("Describing a photo", [*cost[0]], [[*row.values()] for row in cost])
    grown = []
    kinds: tuple[GraphKind, ...] = ("signs", "bytes")
    for images in map(int, told.images.split(",")):
        for kind in kinds:
            with tempfile.TemporaryDirectory() as folder:
                grown.append(searching(Path(folder), regions, images, kind))
    print_table("Searching regions", [*grown[0]], [[*row.values()] for row in grown])
    write_results("region_cost", {"describing": cost, "searching": grown}, quick=told.quick)


if __name__ == "__main__":
    main()
