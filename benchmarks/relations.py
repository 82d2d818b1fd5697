"""Two things in a relation: does `Gallery.search_relation` find them so, among photos?

Product images of Grocery are cut out and pasted in pairs into photos of Grocery: each pair into
seven photos, in seven relations. An eighth photo has the pair in one of these relations again,
elsewhere and at other sizes, and its two boxes are the query. What is wanted is the one photo of
the seven that has that relation; beside them are photos without products, and those of other pairs.

    python benchmarks/relations.py --grocery FOLDER [--pairs 10] [--others 300]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

import glocal
from glocal.query.areas import Box, overlap
from glocal.query.relations import Relation

SIZE = (640, 640)
RELATIONS = ("above", "below", "left-of", "right-of", "inside", "around", "overlapping")


def product(path: Path) -> Image.Image:
    """A product without the white around it."""
    rgb = np.asarray(Image.open(path).convert("RGB"))
    alpha = Image.fromarray(((rgb.min(axis=2) < 245) * 255).astype(np.uint8))
    image = Image.fromarray(rgb)
    image.putalpha(alpha)
    return image.crop(alpha.getbbox())


def boxes(relation: str, random: np.random.Generator) -> tuple[Box, Box]:
    """Two boxes in a photo, in pixels, the first in the relation to the second."""
    width, height = SIZE
    while True:
        sides = random.uniform(230, 310, 2)
        if relation in ("inside", "around"):
            sides = np.array([random.uniform(190, 240), random.uniform(560, 630)])
            sides = sides if relation == "inside" else sides[::-1]
        one, two = (
            (float(random.uniform(0, width - s)), float(random.uniform(0, height - s)), s, s)
            for s in sides.tolist()
        )
        first, second = (
            (x / width, y / height, w / width, h / height) for x, y, w, h in (one, two)
        )
        named = {name: Relation.named(name).similarity(first, second, SIZE) for name in RELATIONS}
        shared = overlap(one, two)
        fine = shared < 0.15 if relation == "overlapping" else relation in ("inside", "around")
        if max(named, key=named.__getitem__) == relation and (fine or shared == 0):
            return one, two


def composed(
    back: Path, things: list[Image.Image], places: tuple[Box, Box]
) -> tuple[Image.Image, tuple[Box, Box]]:
    """A photo with both things in it, the larger one behind, and the boxes that they fill."""
    canvas = Image.open(back).convert("RGB").resize(SIZE)
    tight: list[Box] = list(places)
    order = sorted(range(2), key=lambda at: -places[at][2])
    for at in order:
        x, y, side, _ = (round(v) for v in places[at])
        thing = things[at].copy()
        thing = thing.resize([max(round(v * side / max(thing.size)), 1) for v in thing.size])
        left, top = x + (side - thing.width) // 2, y + (side - thing.height) // 2
        canvas.paste(thing, (left, top), thing)
        tight[at] = (left, top, *thing.size)
    return canvas, (tight[0], tight[1])


def main() -> None:  # noqa: PLR0915 - one measurement from end to end
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--grocery", type=Path, required=True, help="folder with train.txt")
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--others", type=int, default=300)
    parser.add_argument("--keep", type=Path, help="folder to keep the made photos in")
    parser.add_argument("--detector", help="of local features; otherwise the default")
    options = parser.parse_args()
    random = np.random.default_rng(0)
    icons = sorted((options.grocery / "iconic-images-and-descriptions").rglob("*_Iconic.jpg"))
    packages = [icon for icon in icons if "Packages" in icon.parts]
    photos = sorted((options.grocery / "test").rglob("*.jpg"))
    photos = [photos[at] for at in random.permutation(len(photos))]
    chosen = random.permutation(len(packages)).tolist()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        (folder / "photos").mkdir(parents=True, exist_ok=True)
        queries = []
        for pair in range(options.pairs):
            things = [product(packages[chosen[(2 * pair + k) % len(chosen)]]) for k in (0, 1)]
            wanted = RELATIONS[pair % len(RELATIONS)]
            for relation in (*RELATIONS, None):
                places = boxes(relation or wanted, random)
                image, places = composed(photos.pop(), things, places)
                if relation is None:
                    image.save(folder / f"query-{pair}.jpg", quality=92)
                    queries.append((folder / f"query-{pair}.jpg", pair, wanted, places))
                else:
                    image.save(folder / "photos" / f"{pair}-{relation}.jpg", quality=92)
        for photo in photos[: options.others]:
            Image.open(photo).convert("RGB").resize(SIZE).save(folder / "photos" / photo.name)
        with glocal.open(Path(temporary) / "gallery", detector=options.detector) as gallery:
            gallery.add(folder / "photos")
            ranks, among, found = [], [], []
            same: list[float] = []
            other: list[float] = []
            spent = time.process_time()
            for path, pair, wanted, places in queries:
                result = gallery.search_relation(path, *places, limit=1000)
                names = [hit.path.stem for hit in result]
                siblings = [f"{pair}-{relation}" for relation in RELATIONS]
                right = f"{pair}-{wanted}"
                ranks.append(names.index(right) + 1 if right in names else len(names) + 1)
                there = [name for name in names if name in siblings]
                among.append(there.index(right) + 1 if right in there else len(siblings))
                for hit in result:
                    if hit.path.stem in siblings and hit.evidence and hit.evidence.verdict.is_match:
                        found.append(hit.path.stem)
                        (same if hit.path.stem == right else other).append(hit.score)
                print(path.name, wanted, names[:3], [f"{hit.score:.2f}" for hit in result.hits[:3]])
            spent = (time.process_time() - spent) / len(queries)
    count, ranked, own = len(queries), np.array(ranks), np.array(among)
    print(f"{count} queries, {count * len(RELATIONS)} photos of pairs, {options.others} others")
    print(
        f"right photo first: {np.mean(ranked == 1):.2f}, in the first 3: {np.mean(ranked <= 3):.2f}"
    )
    print(f"right relation first among the pair's own: {np.mean(own == 1):.2f} (chance .14)")
    print(f"photos of pairs in which both things were proven: {len(found) / (7 * count):.2f}")
    print(f"least relation of right ones {min(same, default=0):.2f}")
    print(f"greatest relation of others {max(other, default=0):.2f}")
    print(f"seconds of the processor a search: {spent:.2f}")


if __name__ == "__main__":
    main()
