"""Where the bytes of a gallery go, for each image.

    python benchmarks/gallery_bytes.py [GALLERY] [--photos FOLDER] [--count 500] [--made 100000]

Without a gallery, two are measured: one of so many photos, indexed with the defaults of `glocal
index`, and one of made vectors (see ``synthetic.py``) with local features as large as the model's.
The catalogue's pages are counted by SQLite, those that are half filled as well; what an image's
local features take is told apart from the small grey image behind them by their own lengths. The
model's own file and SQLite's log are left out: neither grows with the images.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from contextlib import closing
from pathlib import Path

from glocal import Gallery
from glocal.gallery.catalog import Catalog
from glocal.gallery.packed_features import small_image
from measure import arguments, print_table, write_results
from synthetic import fill_gallery

_TABLES = {"rows": "rows and blocks", "blocks": "rows and blocks", "terms": "rows and blocks"}


def bytes_of(folder: Path) -> tuple[int, dict[str, float]]:
    """How many images a gallery has, and the bytes of each of them by what they are."""
    found: Counter[str] = Counter()
    with closing(Catalog(folder / "catalog.sqlite")) as catalog:
        counted = catalog.counts()
        for name, size in catalog.rows(
            "SELECT m.tbl_name, SUM(d.pgsize) FROM dbstat d "
            "JOIN sqlite_master m ON m.name = d.name "
            "GROUP BY 1"
        ):
            table = "rows and blocks" if name in _TABLES else "other tables"
            if name in ("files", "contents"):
                table = "files and contents"
            found["local features" if name == "local_features" else table] += int(size)
        small = sum(
            len(small_image(packed))
            for page in catalog.all_local_features()
            for packed in page.values()
        )
        regions = {
            space: "regions"
            for (space,) in catalog.rows("SELECT space FROM spaces")
            if "/" in space
        }
        graphs = dict(catalog.rows("SELECT name, space FROM graphs"))
    found["small images"] = small
    found["local features"] -= small
    for path in folder.rglob("*"):
        if path.parent.name == "vectors":
            graph = path.suffix in (".graph", ".signs")
            region = "%2F" in path.name or graphs.get(path.name) in regions
            name = ("region " if region else "") + ("graph" if graph else "vectors")
            found[name] += path.stat().st_size
        elif path.name == "words.sqlite":
            found["words"] += path.stat().st_size
    images = counted["images"]
    return images, {name: size / images for name, size in found.items()}


def photos_gallery(place: Path, photos: Path, count: int) -> Path:
    """A gallery of some photos of a folder, as `glocal index` makes it."""
    every = sorted(p for p in photos.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
    chosen = every[:: max(len(every) // count, 1)][:count]
    (place / "images").mkdir()
    for number, path in enumerate(chosen):
        shutil.copy(path, place / "images" / f"{number:05d}-{path.name}")
    with Gallery(place / "photos") as gallery:
        gallery.add(place / "images")
    return place / "photos"


def main() -> None:
    data = Path(__file__).resolve().parents[2] / "shared" / "data" / "grocery" / "dataset"
    parser = arguments(__doc__ or "")
    parser.add_argument("gallery", type=Path, nargs="?")
    parser.add_argument("--photos", type=Path, default=data / "train")
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--made", type=int, default=100_000)
    told = parser.parse_args()
    if told.quick:
        told.count, told.made = 20, 1_000
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        if told.gallery:
            galleries = {str(told.gallery.name): told.gallery}
        else:
            galleries = {"photos": photos_gallery(place, told.photos, told.count)}
            made = place / "made"
            fill_gallery(made, told.made, root=Path("/images"), with_local_features=True)
            galleries["made"] = made
        rows = []
        for name, folder in galleries.items():
            images, each = bytes_of(folder)
            beside = sum(
                size
                for what, size in each.items()
                if what not in ("local features", "small images") and "region" not in what
            )
            each["all but local features, small images and regions"] = beside
            rows += [(name, images, what, round(size)) for what, size in sorted(each.items())]
    print_table("Bytes of an image", ["gallery", "images", "what", "bytes"], rows)
    if not told.gallery:
        named = [
            dict(zip(("gallery", "images", "what", "bytes"), row, strict=True)) for row in rows
        ]
        write_results("gallery_bytes", {"rows": named}, quick=told.quick)


if __name__ == "__main__":
    main()
