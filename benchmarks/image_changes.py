"""Whether two images can say how what is found is to differ from a third: "from this to that".

    python benchmarks/image_changes.py --grocery DATASET --work FOLDER

A query of one class and the change from a second class to a third one search for a fourth: an
orange juice by a brand's apple juice and another brand's both juices. The vector is query +
weight * (to - from), at unit length; with a weight of 1 it is what ``glocal search QUERY --like TO
--unlike FROM`` makes. Weights are chosen on photos of Grocery's training split and applied to all
photos of its validation split, which has few of a class and none of some, and to some of its test
split, without geometric verification. Prints recall@1 and mAP of the fourth class's photos by the
change, by the query alone, by the image of ``to`` alone, by the sum of both, and by chance.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import glocal

WEIGHTS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
EACH, OTHERS = 12, 4
"""Training and test photos of a class that takes part, and of any other one."""

# From, to, query and what is to be found, as numbers of Grocery's classes.
CHANGES = {
    "content of the same package": [
        (28, 29, 30, 31), (28, 29, 34, 36), (30, 31, 34, 36), (42, 43, 40, 41), (57, 58, 49, 50),
        (40, 38, 47, 46),
    ],
    "brand of the same content": [
        (28, 30, 29, 31), (28, 34, 29, 36), (30, 34, 31, 36), (42, 40, 43, 41), (57, 49, 58, 50),
    ],
    "colour of the same kind": [
        (69, 71, 1, 3), (69, 72, 9, 8), (69, 72, 1, 0), (71, 72, 3, 0),
    ],
}  # fmt: skip

Change = tuple[int, int, int, int]
Floats = NDArray[np.float32]
Vector = Callable[[Floats, Floats, Floats], Floats]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--grocery", type=Path, required=True, help="the folder with val.txt")
    parser.add_argument("--work", type=Path, required=True, help="for two galleries")
    given = parser.parse_args()
    splits = {
        split: vectors(given.grocery, split, given.work) for split in ("train", "val", "test")
    }
    for task, changes in CHANGES.items():
        every = [*all_directions(changes)]
        weight = max(WEIGHTS, key=lambda w: figures(by_change(w), every, *splits["train"])[1])
        print(f"{task}: weight {weight:g} chosen on the training split")
        for split in ("val", "test"):
            rows, labels = splits[split]
            there = [each for each in every if set(each) <= set(labels.tolist())]
            if there:
                print(f"  {split}: {len(rows)} photos, {len(there)} changes")
                show(there, weight, rows, labels)


def show(
    changes: list[Change],
    weight: float,
    rows: Floats,
    labels: NDArray[np.int64],
) -> None:
    for name, make in {
        "the change": by_change(weight),
        "with weight 1": by_change(1.0),
        "query alone": lambda query, _, to: query,
        "to alone": lambda query, _, to: to,
        "query and to": lambda query, _, to: query + to,
    }.items():
        first, precision = figures(make, changes, rows, labels)
        print(f"    {name:14} recall@1 {first:5.1f} %  mAP {precision:5.1f} %")
    print(f"    {'chance':14} recall@1 {100 * chance(changes, labels):5.1f} %")


def all_directions(changes: list[Change]) -> Iterator[Change]:
    for a, b, c, d in changes:
        yield from ((a, b, c, d), (b, a, d, c), (c, d, a, b), (d, c, b, a))


def by_change(weight: float) -> Vector:
    return lambda query, before, to: query + weight * (to - before)


def vectors(folder: Path, split: str, work: Path) -> tuple[Floats, NDArray[np.int64]]:
    """Vectors of photos by the default model, kept in a gallery, and their classes."""
    used = {number for changes in CHANGES.values() for each in changes for number in each}
    lines = (folder / f"{split}.txt").read_text(encoding="utf-8").splitlines()
    photos: dict[Path, int] = {}
    counts: dict[int, int] = {}
    for line in lines:
        path, fine, _ = (field.strip() for field in line.split(","))
        counts[int(fine)] = counts.get(int(fine), 0) + 1
        if split == "val" or counts[int(fine)] <= (EACH if int(fine) in used else OTHERS):
            photos[folder / path] = int(fine)
    with glocal.open(work / split, regions="none") as gallery:
        gallery.add(*photos)
        found = {path: gallery.features(path) for path in photos}
    kept = [path for path, each in found.items() if each is not None]
    rows = np.stack([each.vector for each in found.values() if each is not None])
    return rows, np.array([photos[path] for path in kept])


def figures(
    make: Vector, changes: list[Change], rows: Floats, labels: NDArray[np.int64]
) -> tuple[float, float]:
    """Recall@1 and mAP in per cent, each change's mean over its images first."""
    firsts, precisions = [], []
    for before, after, asked, wanted in changes:
        each = []
        members = [np.flatnonzero(labels == number)[:4] for number in (before, after, asked)]
        for b in members[0]:
            for a in members[1]:
                for q in members[2]:
                    scores = make(rows[q], rows[b], rows[a]) @ rows.T
                    scores[[a, b, q]] = -np.inf
                    right = (labels == wanted)[np.argsort(-scores, kind="stable")[:-3]]
                    ranks = np.flatnonzero(right) + 1
                    precision = np.mean(np.arange(1, len(ranks) + 1) / ranks)
                    each.append((right[0], precision))
        first, precision = np.mean(each, axis=0)
        firsts.append(first)
        precisions.append(precision)
    return 100 * float(np.mean(firsts)), 100 * float(np.mean(precisions))


def chance(changes: list[Change], labels: NDArray[np.int64]) -> float:
    return float(np.mean([np.mean(labels == wanted) for *_, wanted in changes]))


if __name__ == "__main__":
    main()
