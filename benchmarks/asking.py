"""Run the queries of the worked example in docs/asking.md, and print what comes back.

    python benchmarks/asking.py GROCERY SCENES --work DIR [--pair FOLDER] [--quick]

``GROCERY`` is the Grocery Store Dataset (with ``train.txt``), ``SCENES`` a folder of photos of
places with ``labels.csv`` (path, instance). The gallery is made in DIR, and kept there for the next
run: the validation and test photos of Grocery in folders that are named after their products, and
the places. Queries are the first photos of a product in the training split. ``--pair`` is a toy
image-text pair that ``scripts/make_toy_text_pair.py`` made; without it nothing is asked by what
words mean. The drawings are made here, of straight strokes and arcs.
"""

from __future__ import annotations

import argparse
import csv
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from glocal.errors import QueryError
from glocal.gallery import Gallery, SearchResult
from measure import print_table, write_results

FIRST, DEEP = 10, 1_000
PHOTOS = {
    "pepper": "Vegetables/Pepper/Green-Bell-Pepper",
    "red-pepper": "Vegetables/Pepper/Red-Bell-Pepper",
    "yellow-pepper": "Vegetables/Pepper/Yellow-Bell-Pepper",
    "juice": "Packages/Juice/Bravo-Apple-Juice",
    "apple": "Fruit/Apple/Granny-Smith",
    "lime": "Fruit/Lime",
}
WRITTEN = ("oatly milk", "alpro vanila", "green pepper", "something sour and yellow")
MEANT = (
    "a drink made of oats", "orange juice without pulp", "mushrooms", "yoghurt with berries",
    "something sour and yellow", "purple vegetable", "a church",
)  # fmt: skip
CHANGES = (("pepper", "red"), ("juice", "orange juice"), ("apple", "red"))
EXAMPLES = (("pepper", "red-pepper", "pepper"), ("lime", "yellow-pepper", "pepper"))


def products(dataset: Path, split: str) -> list[tuple[Path, str]]:
    """Photos of a split, each with the folder of its product."""
    lines = (dataset / f"{split}.txt").read_text("utf-8").splitlines()
    names = [Path(line.split(",")[0]) for line in lines if line]
    return [(dataset / name, "/".join(name.parts[1:-1])) for name in names]


def fill(grocery: Path, scenes: Path, folder: Path, every: int) -> None:
    """Copy the photos to where they are indexed."""
    for split in ("val", "test"):
        for path, product in products(grocery, split)[::every]:
            target = folder / "groceries" / product.rsplit("/", 1)[-1] / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    with (scenes / "labels.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            target = folder / "buildings" / row["instance"] / Path(row["path"]).name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(scenes / row["path"], target)


def drawings(folder: Path) -> dict[str, tuple[Path, tuple[str, ...]]]:
    """Five drawings, and the folders in which something of the kind lies."""
    folder.mkdir(exist_ok=True)

    def sheet() -> tuple[Image.Image, ImageDraw.ImageDraw]:
        made = Image.new("RGB", (400, 400), "white")
        return made, ImageDraw.Draw(made)

    pen: dict[str, Any] = {"fill": "black", "width": 4}
    made: dict[str, tuple[Image.Image, tuple[str, ...]]] = {}
    image, draw = sheet()
    draw.ellipse((130, 140, 270, 380), outline="black", width=4)
    for step in range(-3, 4):
        draw.line((130, 260 + 40 * step, 270, 260 + 40 * step + 60), **pen)
        draw.line((270, 260 + 40 * step, 130, 260 + 40 * step + 60), **pen)
    for end in (90, 140, 200, 260, 310):
        draw.line((200, 145, end, 20 + abs(end - 200) // 2), **pen)
    made["pineapple"] = image, ("Pineapple",)
    image, draw = sheet()
    draw.arc((60, -120, 340, 320), 20, 160, **pen)
    draw.arc((60, -160, 340, 260), 20, 160, **pen)
    made["banana"] = image, ("Banana",)
    image, draw = sheet()
    draw.rectangle((120, 140, 280, 380), outline="black", width=4)
    draw.polygon((120, 140, 150, 70, 250, 70, 280, 140), outline="black", width=4)
    draw.line((150, 70, 150, 40, 250, 40, 250, 70), **pen)
    made["a carton"] = image, ("Milk", "Juice", "Soy", "Oat", "Yoghurt", "Cream", "Tropicana")
    image, draw = sheet()
    for left in (100, 260):
        draw.rectangle((left, 90, left + 40, 320), outline="black", width=4)
        draw.line((left, 90, left + 20, 50, left + 40, 90), **pen)
    draw.line((10, 270, 390, 270), **pen)
    draw.line((140, 150, 260, 150), **pen)
    made["a bridge with two towers"] = image, ("tower_bridge",)
    image, draw = sheet()
    draw.rectangle((60, 230, 340, 370), outline="black", width=4)
    draw.pieslice((130, 110, 270, 350), 180, 360, outline="black", width=4)
    for left in range(80, 330, 40):
        draw.line((left, 230, left, 370), **pen)
    made["a building with a dome"] = image, ("reichstag", "us_capitol", "st_pauls", "sacre_coeur")
    found = {}
    for name, (image, right) in made.items():
        path = folder / f"{name.replace(' ', '-')}.png"
        image.save(path)
        found[name] = path, right
    return found


def said(result: SearchResult) -> str:
    """The folders of the first hits with how many of each, in the order in which they come."""
    counts = Counter(hit.path.parent.name for hit in result.hits[:FIRST])
    return ", ".join(f"{count} {name}" for name, count in counts.items()) or "none"


def rank_of(result: SearchResult, right: Sequence[str]) -> int | None:
    """The rank of the first hit in one of some folders, by a part of their names."""
    for hit in result.hits:
        if any(part in hit.path.parent.name for part in right):
            return hit.rank
    return None


class Asker:
    """Asks a gallery, and keeps what comes back."""

    def __init__(self, gallery: Gallery) -> None:
        self.gallery = gallery
        self.rows: list[tuple[str, str, str]] = []

    def ask(self, way: str, what: str, **asked: object) -> None:
        try:
            found = said(self.gallery.search(limit=FIRST, **asked))  # type: ignore[arg-type]
        except QueryError as error:
            found = f"refused: {error}"
        self.rows.append((way, what, found))


def ask_meanings(asker: Asker, queries: dict[str, Path], pair: Path) -> dict[str, object]:
    """By what words mean, with a toy pair."""
    began = time.process_time()
    info = asker.gallery.add_text_model(pair, anchors=1_000)
    took = time.process_time() - began
    for words in MEANT:
        asker.ask("meant", words, text=words)
    for name, words in CHANGES:
        asker.ask("change", f"{name}, {words}", query=queries[name], change=words)
    return {"seconds of fitting": took, "anchors": info.anchors}


def ask_drawings(asker: Asker, folder: Path) -> dict[str, list[int | None]]:
    """Ranks of the first right photos: before anything is learnt, after it, and from any view."""
    gallery, drawn = asker.gallery, drawings(folder)
    ranks: dict[str, list[int | None]] = {name: [] for name in drawn}
    (gallery.folder / "sketches.npz").unlink(missing_ok=True)
    for learnt in (False, True):
        if learnt:
            gallery.learn_sketches()
        for name, (path, right) in drawn.items():
            result = gallery.search_sketch(path, limit=DEEP)
            ranks[name].append(rank_of(result, right))
            if learnt:
                asker.rows.append(("drawing", name, said(result)))
                turned = gallery.search_sketch(path, limit=DEEP, any_view=True)
                ranks[name].append(rank_of(turned, right))
    return ranks


def main() -> None:
    """Make the gallery, ask, print and keep."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("grocery", type=Path, metavar="GROCERY")
    parser.add_argument("scenes", type=Path, metavar="SCENES")
    parser.add_argument("--work", type=Path, required=True, metavar="DIR")
    parser.add_argument("--pair", type=Path, metavar="FOLDER")
    parser.add_argument("--quick", action="store_true", help="few photos, to see that it runs")
    options = parser.parse_args()
    work: Path = options.work
    if not (work / "groceries").exists():
        fill(options.grocery, options.scenes, work, 20 if options.quick else 1)
    train = products(options.grocery, "train")
    queries = {
        name: next(p for p, of in train if of == product) for name, product in PHOTOS.items()
    }
    figures: dict[str, object] = {}
    with Gallery(work / "gallery") as gallery:
        began = time.process_time()
        gallery.add(work / "groceries", work / "buildings")
        figures["seconds of indexing"] = time.process_time() - began
        asker = Asker(gallery)
        for name in ("pepper", "juice", "apple", "lime"):
            asker.ask("photo", name, query=queries[name])
        for words in WRITTEN:
            asker.ask("written", words, text=words)
        gallery.remove_text_model()
        asker.ask("change", "pepper, red (no model)", query=queries["pepper"], change="red")
        if options.pair is not None:
            figures |= ask_meanings(asker, queries, options.pair)
        for name, to, origin in EXAMPLES:
            like, unlike = [queries[to]], [queries[origin]]
            what = f"{name}, like {to}, unlike {origin}"
            asker.ask("examples", what, query=queries[name], like=like, unlike=unlike)
        ranks = ask_drawings(asker, work / "drawings")
    print_table("Asked", ["way", "what", f"the first {FIRST}"], asker.rows)
    print_table(
        "Drawings: rank of the first right photo",
        ["drawing", "nothing learnt", "learnt", "any view"],
        [(name, *found) for name, found in ranks.items()],
    )
    asked = [dict(zip(("way", "what", "found"), row, strict=True)) for row in asker.rows]
    write_results("asking", figures | {"asked": asked, "drawings": ranks}, quick=options.quick)


if __name__ == "__main__":
    main()
