"""Queries for things that are in a gallery, and for the same things once they were taken out.

They are made of Grocery's photos and of `surroundings`, besides those of `verification_sets`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from surroundings import KINDS, photographed
from verification_sets import DATA, Images, LabelledSet, grocery, small


def same_surroundings(
    images: Images, contents: Sequence[Path], split: str, *, first: int, each: int, per: int
) -> dict[str, LabelledSet]:
    """Different things in the same surroundings, photographed twice, among groceries.

    Args:
        images: to which they are added.
        contents: images of which the things are made.
        split: of Grocery's photos.
        first: number of the first surroundings; others are other ones.
        each: surroundings of each kind.
        per: things in each of them.

    Returns:
        A set of each kind; all share one gallery.
    """
    things = distinct(contents)
    order = np.random.default_rng(first).permutation(len(things)).tolist()
    made: dict[str, LabelledSet] = {}
    gallery: list[int] = []
    showing: dict[int, set[int]] = {}  # images of each content, which are no wrong answers
    for number, (name, kind) in enumerate(KINDS.items()):
        made[name] = LabelledSet(f"same surroundings: {name}", [], gallery, [], [])
        for turn in range(first, first + each):
            for place in range(per):
                at = order[len(gallery) % len(order)]
                content = small(things[at], 600).convert("RGB")
                shared, seed = np.random.default_rng([turn, number]), [turn, number, place]
                thing = kind(content, shared, np.random.default_rng([*seed, 3]))
                kept = photographed(thing, np.random.default_rng([*seed, 1]), far=False)
                sent = photographed(thing, np.random.default_rng([*seed, 2]), far=place % 2 == 1)
                gallery.append(images.add(kept))
                made[name].queries.append(images.add(sent))
                made[name].truth.append({gallery[-1]})
                made[name].junk.append(showing.setdefault(at, set()))
                showing[at].add(gallery[-1])
    for each_made in made.values():
        each_made.junk[:] = [
            junk - truth for junk, truth in zip(each_made.junk, each_made.truth, strict=True)
        ]
    gallery.extend(images.add_all(path for path, _ in grocery(split)))
    return made


def distinct(paths: Sequence[Path]) -> list[Path]:
    """Images of which none nearly is another one."""
    kept: list[Path] = []
    known: list[NDArray[np.float32]] = []
    for path in paths:
        tiny = np.asarray(small(path, 96).convert("RGB").resize((12, 12), 4), np.float32).ravel()
        tiny -= tiny.mean()
        tiny /= max(float(np.linalg.norm(tiny)), 1.0)
        if not any(float(tiny @ other) > 0.8 for other in known):
            known.append(tiny)
            kept.append(path)
    return kept


def half_crops(images: Images, split: str, every: int) -> LabelledSet:
    """Halves of photos; other photos of the same groceries are left out."""
    rows = grocery(split)
    gallery = images.add_all(path for path, _ in rows)
    made = LabelledSet(f"half crops {split}", [], gallery, [], [])
    rng = np.random.default_rng(8)
    for path, label in rows[::every]:
        image = small(path, 900)
        width, height = image.size
        if rng.integers(2):
            left, top = int(rng.integers(0, width // 2 + 1)), 0
            box = (left, top, left + width // 2, height)
        else:
            left, top = 0, int(rng.integers(0, height // 2 + 1))
            box = (left, top, width, top + height // 2)
        file = io.BytesIO()
        image.crop(box).save(file, "JPEG", quality=85)
        made.queries.append(images.add(file.getvalue()))
        made.truth.append({images.add(path)})
        alike = images.add_all(p for p, other in rows if other == label and p != path)
        made.junk.append(set(alike))
    return made


def product_pictures(images: Images) -> LabelledSet:
    """A shop's own picture of each of Grocery's products, among photos taken in shops."""
    by_class: dict[str, set[int]] = {}
    for path, label in grocery("test"):
        by_class.setdefault(label, set()).add(images.add(path))
    gallery = [number for numbers in by_class.values() for number in numbers]
    made = LabelledSet("product pictures", [], gallery, [], [])
    with (DATA / "grocery" / "dataset" / "classes.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            path = DATA / "grocery" / "dataset" / row["Iconic Image Path (str)"].strip("/ ")
            label = row["Class ID (int)"].strip()
            if path.exists() and label in by_class:
                made.queries.append(images.add(path))
                made.truth.append(by_class[label])
                made.junk.append(set())
    return made


def thinned(
    images: Images, sets: Sequence[LabelledSet], share: float
) -> tuple[Images, list[LabelledSet]]:
    """The same queries among a share of the images that are none of their answers.

    Of each query at most 25 answers stay.
    """
    rng = np.random.default_rng(0)
    needed = {query for made in sets for query in made.queries}
    needed |= {n for made in sets for truth in made.truth for n in sorted(truth)[:25]}
    numbers = range(len(images.sources))
    kept = [n for n in numbers if n in needed or rng.random() < share]
    new = {number: place for place, number in enumerate(kept)}
    fewer = Images()
    fewer.add_all(images.sources[number] for number in kept)

    def those(old: Sequence[int] | set[int]) -> list[int]:
        return [new[number] for number in old if number in new]

    return fewer, [
        LabelledSet(
            made.name,
            those(made.queries),
            those(made.gallery),
            [set(those(truth)) for truth in made.truth],
            [set(those(junk)) for junk in made.junk],
        )
        for made in sets
    ]


def all_images(folders: Sequence[Path]) -> list[Path]:
    """Every image file of at least 300 pixels below some folders."""
    found = []
    for path in sorted(p for folder in folders for p in folder.rglob("*")):
        if path.suffix.lower() in {".jpg", ".jpeg", ".png", ".webp"} and path.is_file():
            with Image.open(path) as opened:
                if min(opened.size) >= 300:
                    found.append(path)
    return found
